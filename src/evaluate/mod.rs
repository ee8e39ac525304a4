//! Predictions, the confusion matrix and per-class figures of a run.

mod classifier;
mod confusion;
mod error;
mod evaluation;
mod exported;
mod files;
mod predict;
mod recipe;

pub use classifier::{Classifier, arg_max};
pub use confusion::{Confusion, wilson_95};
pub use error::EvaluateError;
pub use evaluation::{Evaluation, FramePrediction, GroupAccuracy, evaluate};
pub use exported::{ExportedModel, RECIPE_KEY};
pub use files::{FilePicture, FilesOutcome};
pub use predict::{ClassProbability, FilePrediction, Prediction, Predictor};
pub use recipe::{InputKind, Recipe};
