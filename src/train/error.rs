//! What can go wrong with a training.

use crate::backbone::BackboneError;
use crate::jobs::Cancelled;
use crate::onnx::OnnxError;
use crate::project::ProjectError;

/// An error of the train layer.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// ONNX Runtime or a graph.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// The backbone or a frame.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// The project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
