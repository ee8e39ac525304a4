//! Files made from a run, each proved to behave as the run did before it counts as exported.

use std::path::{Path, PathBuf};

use crate::evaluate::EvaluateError;
use crate::jobs::{Cancelled, Work};
use crate::project::Project;
use crate::train::{Run, TrainError};

/// An error of the export layer.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The run or something below it.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Predicting for the proof.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `model.onnx`: `image` uint8 `[N, H, W, 3]` RGB to probabilities.
    Onnx,
    /// The same with `image` f32 `[N, 3, H, W]`, normalised by the caller.
    OnnxFloat,
}

/// One exported file and its proof.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportedFile {
    /// Where it is.
    pub path: PathBuf,
    /// `onnx`, `labels`, `preprocess`.
    pub format: String,
    /// Its size.
    pub bytes: u64,
    /// For a model: part of the test frames with the same top-1 as the run, 1.0 when verified.
    pub top1_agreement: Option<f64>,
    /// For a model: largest difference of any probability from the run's.
    pub max_probability_difference: Option<f64>,
}

/// Writes the model, labels and preprocessing of a run into the folder `out`, re-runs the model on the
/// whole test set, and renames it into place only if it agrees.
pub fn export(
    project: &Project,
    run: &Run,
    format: Format,
    out: &Path,
    work: &Work,
) -> Result<Vec<ExportedFile>, ExportError> {
    let _ = (project, run, out, work);
    todo!("{format:?}")
}
