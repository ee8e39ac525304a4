//! What can go wrong with an evaluation.

use crate::jobs::Cancelled;
use crate::train::TrainError;

/// An error of the evaluate layer.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// The run or something below it.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
