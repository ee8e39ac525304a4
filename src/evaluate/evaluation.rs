//! A run's predictions on its test frames.

use crate::jobs::Work;
use crate::project::{Project, Split};
use crate::train::Run;

use super::{Confusion, EvaluateError};

/// What the model said of one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct FramePrediction {
    /// Path relative to the project's root.
    pub path: String,
    /// Group (source) of the frame.
    pub group: String,
    /// True class.
    pub truth: usize,
    /// Predicted class.
    pub predicted: usize,
    /// Softmax output, one value per class.
    pub probabilities: Vec<f32>,
}

/// Predictions on one side of the split, and their confusion matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Class names in the order of the indices.
    pub classes: Vec<String>,
    /// Which frames.
    pub split: Split,
    /// One per frame; frames that are gone from disk are left out and counted in `missing`.
    pub predictions: Vec<FramePrediction>,
    /// The matrix.
    pub confusion: Confusion,
    /// Frames that are gone.
    pub missing: u64,
}

/// Runs the head on the frames of one side of the run's split (bottlenecks from the cache).
pub fn evaluate(
    project: &Project,
    run: &Run,
    split: Split,
    work: &Work,
) -> Result<Evaluation, EvaluateError> {
    let _ = (project, run, work);
    todo!("{split:?}")
}
