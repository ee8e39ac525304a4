//! A frozen graph of TensorFlow 1: what `retrain.py` left, a `GraphDef` from `input` to `final_result` and the labels as
//! a text beside it, for apps that were built on the old Android and iOS samples.
//!
//! [`write()`] makes the bytes, [`read()`] makes a graph of them again. It shares the schema with the writer and nothing else, so
//! that what runs in ONNX Runtime for the proof is what the file says.

mod exporter;
mod read;
mod read_operators;
mod saved_model;
mod schema;
mod write;
mod write_operators;

use crate::graph::GraphError;
use crate::train::{Run, RunClasses};

use super::nhwc::Unwritable;
use super::{ExportError, Exporter, Model, Options};

pub(super) use exporter::FrozenGraph;
pub use read::{read, read_graph};
pub use saved_model::read_saved_model;
pub use write::write;

/// The attribute of the input's node under which a file carries its recipe as JSON. TensorFlow passes over attributes
/// that begin so.
const RECIPE: &str = "_salamander_recipe";

/// Why a network cannot be written as a frozen graph, or a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FrozenGraphError {
    /// The network has something that TensorFlow has not, or that is not written.
    #[error("the network cannot be written as a frozen graph: {0}; export it as ONNX instead")]
    Unwritable(#[from] Unwritable),
    /// The file is none, is damaged, or holds what is not read.
    #[error("it cannot be read as a frozen graph: {0}")]
    Unreadable(String),
    /// The graph made of a file.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// The graph file of a run, and its labels, one a line. The result is called `output`.
///
/// # Errors
/// [`ExportError::Unwritable`] for a network that cannot be written so; a damaged run.
pub fn of_run(run: &Run, classes: &RunClasses, output: &str) -> Result<[Vec<u8>; 2], ExportError> {
    let model = Model::of_run(run, classes)?;
    let mut recipe = model.recipe(FrozenGraph::FLOAT.input(&Options::default()));
    output.clone_into(&mut recipe.output.name);
    FrozenGraph::FLOAT.graph_and_labels(&model, &recipe)
}

/// What `saved_model.pb` of a `SavedModel` holds around a graph and labels of [`of_run`].
///
/// # Errors
/// [`FrozenGraphError::Unreadable`] for bytes that are no such graph.
pub fn saved_model(
    [graph, labels]: &[Vec<u8>; 2],
    output: &str,
) -> Result<Vec<u8>, FrozenGraphError> {
    let classes = String::from_utf8_lossy(labels).lines().count();
    saved_model::around(graph, output, classes)
}

/// Whether TensorFlow takes this as the name of a node.
///
/// # Errors
/// What is wrong with it, in words that follow “the name”.
pub fn check_node_name(name: &str) -> Result<(), String> {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let later = |c: char| c.is_ascii_alphanumeric() || "_.\\/>-".contains(c);
    let mut chars = name.chars();
    match chars.next() {
        _ if name == "input" => Err("cannot be “input”: the image is called so".to_owned()),
        Some(c) if first(c) && chars.all(later) => Ok(()),
        _ => Err(format!(
            "cannot be “{name}”: nodes of TensorFlow are called by letters, digits and . _ / - \\ >, the first of them a letter, a digit or a point"
        )),
    }
}

#[cfg(test)]
mod tests;
