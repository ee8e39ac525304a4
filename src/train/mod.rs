//! Trainings: settings, batches, the learner and its problems, runs, `TensorBoard` events.

mod batches;
mod calibration;
mod checkpoint;
mod curves;
mod data;
mod decision;
mod draws;
mod early_stopping;
mod error;
mod evaluation;
mod files;
mod fine_tune;
mod folds;
mod gauges;
mod growing;
mod head;
mod head_table;
mod layers;
mod learn_settings;
mod learner;
mod measure;
pub mod metrics;
mod mixup;
mod note;
mod optimizer;
mod parts;
mod present;
mod problem;
mod recipe;
mod removal;
mod run;
mod run_classes;
pub mod schema;
mod settings;
mod taking;
mod tensorboard;
#[cfg(test)]
mod tests;
mod trainer;
mod training;
mod views;

pub use calibration::{Calibration, UnknownThreshold};
pub use curves::{BestPoint, CurvePoint, Curves, LiveCurves, Part};
pub use decision::Decision;
pub use error::TrainError;
pub use fine_tune::{
    DepthEstimate, Estimate, FineTuneSettings, FineTuningOutcome, FineTuningVerdict, Pace,
    estimate, measure_fine_tuning_step,
};
pub(crate) use folds::{folds, other_folds, shuffle};
pub use head_table::HeadTable;
pub use layers::{Head, Hidden};
pub use learn_settings::{HeadSettings, LearnSettings};
pub use measure::measure_steps_per_second;
pub use metrics::{At, Histogram, Measured, MetricKind, MetricSide, Metrics, Series};
pub use note::RunNote;
pub use optimizer::Optimizer;
pub use present::{Present, present};
pub(crate) use removal::to_trash;
pub use removal::{remove_architecture, remove_run, restore_run};
pub use run::{
    FoundRuns, Parent, Run, RunFrame, RunId, RunState, Stage, StageResult, UnreadableRun, find_runs,
};
pub use run_classes::RunClasses;
pub use settings::{
    ClassSampling, ClassWeights, EvalSpacing, KeepBy, RankBy, Schedule, TrainSettings,
};
pub use taking::take_run;
pub use trainer::{remember_split, resume, train, train_child};
