//! TensorFlow Lite: a trained network in the form that phones run, with labels and preprocessing in the file.
//!
//! The file is a flatbuffer ([`write()`]). Its metadata refers to the labels, which are in a ZIP archive appended to
//! it, where `MediaPipe` and the Task Library expect them. [`read()`] converts a file back to a graph. It shares only
//! the schema with the writer, so that the verification in ONNX Runtime tests the contents of the file.

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
use crate::graph::GraphError;

pub use super::nhwc::Unwritable;

pub use check::integers;
pub(super) use exporter::Tflite;
pub use read::{read, read_graph};
pub use write::write;

/// The metadata entry with a file's [`Recipe`], as JSON.
const RECIPE: &str = "salamander.recipe";
/// The name of the label file in the archive.
const LABELS: &str = "labels.txt";

/// The type of the stored weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// 32-bit floats.
    Float32,
    /// 16-bit floats, which phones convert to 32 bits when they load the model: half the size. Small constants stay
    /// 32-bit floats.
    Float16,
    /// 8-bit integers, also for all computations between pixels and probabilities; requires a quantized graph.
    Int8,
}

/// The metadata of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// The name of the model.
    pub name: String,
    /// Its purpose, in one sentence.
    pub description: String,
    /// Its licence.
    pub licence: String,
    /// Labels in the order of the output, and how an image is converted to the input.
    pub recipe: Recipe,
}

/// Errors of writing a network as TensorFlow Lite, and of reading it.
#[derive(Debug, thiserror::Error)]
pub enum TfliteError {
    /// The network has something that the format lacks or that is not supported.
    #[error("the network cannot be written as TensorFlow Lite: {0}; export it as ONNX instead")]
    Unwritable(#[from] Unwritable),
    /// The file is no TensorFlow Lite model, is damaged, or has unsupported contents.
    #[error("it cannot be read as a TensorFlow Lite model: {0}")]
    Unreadable(String),
    /// A model that should compute in integers does not.
    #[error("the model does not compute in integers: {0}")]
    NotIntegers(String),
    /// An error of the graph that was read.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

#[cfg(test)]
mod tests;
