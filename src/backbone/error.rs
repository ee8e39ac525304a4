//! What can go wrong between a frame and its bottleneck.

use crate::jobs::Cancelled;
use crate::media::MediaError;
use crate::onnx::OnnxError;

/// An error of the backbone layer.
#[derive(Debug, thiserror::Error)]
pub enum BackboneError {
    /// ONNX Runtime or a model file.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A frame.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
