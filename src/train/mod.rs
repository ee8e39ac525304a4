//! Settings, batches, the training graph, the trainer, metrics, runs, TensorBoard events.

mod curves;
mod error;
pub mod gradient;
mod run;
mod settings;
mod trainer;

pub use curves::{CurvePoint, Curves, LiveCurves};
pub use error::TrainError;
pub use run::{Head, Run, RunFrame, RunId, RunResult, RunState, runs};
pub use settings::{Optimizer, TrainSettings};
pub use trainer::{resume, train};
