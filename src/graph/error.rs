//! What can go wrong with a graph.

use crate::onnx::OnnxError;

/// An error of the graph layer.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// A graph that cannot be read, changed or differentiated as was asked.
    #[error("the model cannot be used: {0}")]
    Model(String),
    /// ONNX Runtime, or a tensor of the file.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
}
