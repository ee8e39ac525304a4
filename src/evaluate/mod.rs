//! Predictions, the confusion matrix and per-class figures of a run.

mod confusion;
mod error;
mod evaluation;
mod predict;

pub use confusion::Confusion;
pub use error::EvaluateError;
pub use evaluation::{Evaluation, FramePrediction, evaluate};
pub use predict::{ClassProbability, Prediction, Predictor};
