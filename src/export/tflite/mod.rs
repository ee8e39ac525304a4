//! TensorFlow Lite: a trained network as phones run it, with its labels and what to do with pixels inside the file.
//!
//! The file is a flatbuffer ([`write()`]) whose metadata names the labels, which lie in a ZIP archive behind it, as
//! `MediaPipe` and the Task Library look for them. [`read()`] makes a graph of a file's bytes again. It shares the schema
//! with the writer and nothing else, so that what runs in ONNX Runtime for the proof is what the file says.

mod archive;
mod check;
mod exporter;
mod metadata;
mod read;
mod read_integers;
mod read_operators;
mod read_quantized;
mod schema;
mod write;
mod write_operators;

use crate::evaluate::Recipe;
use crate::graph::{Graph, GraphError};

pub use super::nhwc::Unwritable;

pub use check::integers;
pub(super) use exporter::Tflite;
pub use read::{read, read_graph};
pub use write::write;

/// The name under which a file carries its [`Recipe`] as JSON.
const RECIPE: &str = "salamander.recipe";
/// The name of the labels' file in the archive.
const LABELS: &str = "labels.txt";

/// How weights are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// 32-bit floats.
    Float32,
    /// 16-bit floats, which the phone widens when it loads the model: half the size. Small constants stay 32-bit floats.
    Float16,
    /// 8-bit integers, and everything between pixels and probabilities computed with them: of a quantized graph.
    Int8,
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// What the model is called.
    pub name: String,
    /// What it does, in a sentence.
    pub description: String,
    /// Its licence.
    pub licence: String,
    /// Labels in the order of the output, and how an image becomes the input.
    pub recipe: Recipe,
}

/// A file read back.
#[derive(Debug, Clone)]
pub struct Model {
    /// From the input to the probabilities, as ONNX Runtime runs it.
    pub graph: Graph,
    /// The recipe of the file, with the labels and the normalisation that its metadata and its archive hold.
    pub recipe: Recipe,
}

/// Why a network cannot be written as TensorFlow Lite, or a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum TfliteError {
    /// The network has something that the format has not, or that is not written.
    #[error("the network cannot be written as TensorFlow Lite: {0}; export it as ONNX instead")]
    Unwritable(#[from] Unwritable),
    /// The file is none, is damaged, or holds what is not read.
    #[error("it cannot be read as a TensorFlow Lite model: {0}")]
    Unreadable(String),
    /// A model that should compute in integers does not.
    #[error("the model does not compute in integers: {0}")]
    NotIntegers(String),
    /// The graph made of a file.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

#[cfg(test)]
mod tests;
