//! Settings, batches, the training graph, the trainer, metrics, runs, `TensorBoard` events.

mod batches;

mod curves;
mod error;
mod files;
pub mod gradient;
mod graph;
mod learner;
mod loss;
mod run;
mod settings;
mod tensorboard;
#[cfg(test)]
mod tests;
mod trainer;

pub use curves::{BestPoint, CurvePoint, Curves, LiveCurves};
pub use error::TrainError;
pub use learner::measure_steps_per_second;
pub use loss::CrossEntropy;
pub use run::{Head, Run, RunFrame, RunId, RunResult, RunState, runs};
pub use settings::{Optimizer, TrainSettings};
pub use trainer::{resume, train};
