//! A frozen graph of TensorFlow 1: what `retrain.py` left, a `GraphDef` from `input` to `final_result` and the labels as
//! a text beside it, for apps that were built on the old Android and iOS samples.
//!
//! [`write()`] makes the bytes, [`read()`] makes a graph of them again. It shares the schema with the writer and nothing else, so
//! that what runs in ONNX Runtime for the proof is what the file says.

mod exporter;
mod read;
mod read_operators;
mod schema;
mod write;
mod write_operators;

use crate::graph::GraphError;

use super::nhwc::Unwritable;

pub(super) use exporter::FrozenGraph;
pub use read::{read, read_graph};
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

#[cfg(test)]
mod tests;
