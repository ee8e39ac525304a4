//! A frozen graph of TensorFlow 1, as `retrain.py` wrote it: a `GraphDef` from `input` to `final_result`, and the
//! labels in a text file beside it, for apps based on the old Android and iOS samples.
//!
//! [`write()`] writes the bytes, [`read()`] converts them back to a graph. It shares only the schema with the writer,
//! so that the verification in ONNX Runtime tests the contents of the file.

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

/// The attribute of the input node in which a file has its recipe as JSON. TensorFlow ignores attributes that begin
/// with an underscore.
const RECIPE: &str = "_salamander_recipe";

/// Errors of writing a network as a frozen graph, and of reading it.
#[derive(Debug, thiserror::Error)]
pub enum FrozenGraphError {
    /// The network has something that TensorFlow lacks or that is not supported.
    #[error("the network cannot be written as a frozen graph: {0}; export it as ONNX instead")]
    Unwritable(#[from] Unwritable),
    /// The file is no frozen graph, is damaged, or has unsupported contents.
    #[error("it cannot be read as a frozen graph: {0}")]
    Unreadable(String),
    /// An error of the graph that was read.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

/// The graph file of a run, and its labels, one per line. The output node is called `output`.
///
/// # Errors
/// [`ExportError::Unwritable`] for a network that the format cannot represent; errors of a damaged run.
pub fn of_run(run: &Run, classes: &RunClasses, output: &str) -> Result<[Vec<u8>; 2], ExportError> {
    let model = Model::of_run(run, classes)?;
    let mut recipe = model.recipe(FrozenGraph::FLOAT.input(&Options::default()));
    output.clone_into(&mut recipe.output.name);
    FrozenGraph::FLOAT.graph_and_labels(&model, &recipe)
}

/// The contents of `saved_model.pb`, a `SavedModel` with the graph and labels of [`of_run`].
///
/// # Errors
/// [`FrozenGraphError::Unreadable`] if the bytes are no such graph.
pub fn saved_model(
    [graph, labels]: &[Vec<u8>; 2],
    output: &str,
) -> Result<Vec<u8>, FrozenGraphError> {
    let classes = String::from_utf8_lossy(labels).lines().count();
    saved_model::around(graph, output, classes)
}

/// Checks whether TensorFlow allows this as the name of a node.
///
/// # Errors
/// The fault, in words that follow “the name”.
pub fn check_node_name(name: &str) -> Result<(), String> {
    let first = |c: char| c.is_ascii_alphanumeric() || c == '.';
    let later = |c: char| c.is_ascii_alphanumeric() || "_.\\/>-".contains(c);
    let mut chars = name.chars();
    match chars.next() {
        _ if name == "input" => Err("cannot be “input”, which is the name of the image".to_owned()),
        Some(c) if first(c) && chars.all(later) => Ok(()),
        _ => Err(format!(
            "cannot be “{name}”: names of TensorFlow nodes consist of letters, digits and . _ / - \\ >, and begin with a letter, a digit or a point"
        )),
    }
}

#[cfg(test)]
mod tests;
