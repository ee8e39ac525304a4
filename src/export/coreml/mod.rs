//! Core ML: a trained network as iPhones, iPads and Macs run it, from an image to a class and its probabilities.
//!
//! A `.mlpackage` is a folder: `Manifest.json` ([`package`]), the model as protobuf messages ([`write()`]), and a file of weights
//! ([`blobs`]). The network is an *ML Program* in Core ML's intermediate language MIL, which has its channels first as a
//! [`Graph`](crate::graph::Graph) has, so that it is written from one directly. [`read()`] makes a graph of the files' bytes again; it
//! shares the schema with the writer and nothing else, so that what runs in ONNX Runtime for the proof is what the files say.

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
/// The operators of that version.
const OPERATORS: &str = "CoreML5";
/// Where a program says its weights are.
const WEIGHTS: &str = "@model_path/weights/weight.bin";

/// What the outputs are called: the most probable class, and the probability of each.
const CLASS: &str = "classLabel";
const PROBABILITIES: &str = "classLabel_probs";

/// What a model says of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// What it does, in a sentence.
    pub description: String,
    /// The version of what made it.
    pub version: String,
    /// Who made it.
    pub author: String,
    /// Its licence.
    pub licence: String,
    /// What else there is to be said, by name.
    pub more: BTreeMap<String, String>,
    /// Labels in the order of the output, and how an image becomes the input.
    pub recipe: Recipe,
}

/// Why a network cannot be written for Core ML, or files cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CoreMlError {
    /// The network has something that the format has not, or that is not written.
    #[error("the network cannot be written for Core ML: {0}; export it as ONNX instead")]
    Unwritable(#[from] Unwritable),
    /// The files are none, are damaged, or hold what is not read.
    #[error("it cannot be read as a Core ML model: {0}")]
    Unreadable(String),
    /// The graph made of files, or to be written.
    #[error(transparent)]
    Graph(#[from] GraphError),
}

#[cfg(test)]
mod tests;
