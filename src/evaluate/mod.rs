//! Predictions, the confusion matrix and per-class figures of a run.

mod classifier;
mod confusion;
mod error;
mod evaluation;
mod files;
mod paired;
mod predict;
mod recipe;
mod runner;

pub use classifier::{Classifier, arg_max};
pub use confusion::{Confusion, wilson_95};
pub use error::EvaluateError;
pub use evaluation::{Evaluation, FramePrediction, GroupAccuracy, evaluate};
pub use files::{FilePicture, FilesOutcome};
pub use paired::Paired;
pub use predict::{ClassProbability, FilePrediction, Prediction, Predictor};
pub use recipe::{InputKind, Recipe, RecipeInput, RecipeOutput};
pub use runner::Runner;
