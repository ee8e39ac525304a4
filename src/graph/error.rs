//! Errors of graphs.

use crate::onnx::OnnxError;

/// An error of the graph layer.
#[derive(Debug, thiserror::Error)]
pub enum GraphError {
    /// The graph cannot be read, changed or differentiated as requested.
    #[error("the model cannot be used: {0}")]
    Model(String),
    /// An error of ONNX Runtime, or a tensor of the file that cannot be read.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
}
