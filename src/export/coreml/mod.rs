//! Core ML: a trained network in the form that iPhones, iPads and Macs run, from an image to a class and its
//! probabilities.
//!
//! A `.mlpackage` is a folder: `Manifest.json` ([`package`]), the model as protobuf messages ([`write()`]), and a file
//! of weights ([`blobs`]). The network is an *ML Program* in Core ML's intermediate language MIL. Like a
//! [`Graph`](crate::graph::Graph), MIL has channels first, so a graph is written directly. [`read()`] converts the
//! files back to a graph. It shares only the schema with the writer, so that the verification in ONNX Runtime tests
//! the contents of the files.

mod blobs;
mod exporter;
mod package;
mod read;
mod read_operators;
mod schema;
mod values;
mod write;
mod write_layers;
mod write_moves;
mod write_operators;

use std::collections::BTreeMap;

use crate::evaluate::Recipe;
use crate::graph::GraphError;

use super::nhwc::Unwritable;

pub(super) use exporter::CoreMl;
pub use read::read;
pub use write::{halved, write};

/// Version 6 of the format: iOS 15, macOS 12 and later.
const SPECIFICATION_VERSION: i32 = 6;
/// The operator set of that version.
const OPERATORS: &str = "CoreML5";
/// The path of the file of weights in a program.
const WEIGHTS: &str = "@model_path/weights/weight.bin";

/// The names of the outputs: the most probable class, and the probabilities of all.
const CLASS: &str = "classLabel";
const PROBABILITIES: &str = "classLabel_probs";

/// The metadata of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// Its purpose, in one sentence.
    pub description: String,
    /// The version of the program that wrote it.
    pub version: String,
    /// Its author.
    pub author: String,
    /// Its licence.
    pub licence: String,
    /// Further entries, by name.
    pub more: BTreeMap<String, String>,
    /// Labels in the order of the output, and how an image is converted to the input.
    pub recipe: Recipe,
}

/// Errors of writing a network for Core ML, and of reading it.
#[derive(Debug, thiserror::Error)]
pub enum CoreMlError {
    /// The network has something that the format lacks or that is not supported.
    #[error("the network cannot be written for Core ML: {0}; export it as ONNX instead")]
    Unwritable(#[from] Unwritable),
    /// The files are no Core ML model, are damaged, or have unsupported contents.
    #[error("it cannot be read as a Core ML model: {0}")]
    Unreadable(String),
    /// An error of the graph to be written or read.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

#[cfg(test)]
mod tests;
