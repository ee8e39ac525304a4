//! Evaluations: predictions, the confusion matrix and figures of a run.

mod calibration;
mod classifier;
mod compare;
mod confusion;
mod embedding;
mod error;
mod evaluation;
mod figures;
mod files;
mod heat;
mod interval;
mod nearest;
mod order;
mod paired;
mod predict;
mod quality;
mod ranking;
mod recipe;
mod report;
mod retrained;
mod rows;
mod runner;
mod student;
pub(crate) mod svg;
mod time_of_day;
mod timeline;

pub use calibration::{Reliability, ReliabilityBin, calibrate, calibrate_or_warn, reliability};
pub use classifier::{Classifier, arg_max};
pub use compare::{Comparison, SignTest, exact_p};
pub use confusion::Confusion;
pub use embedding::{Embedding, write_embedding};
pub use error::EvaluateError;
pub use evaluation::{Evaluation, FramePrediction, GroupAccuracy, evaluate};
pub use figures::{ClassFigures, Figures, Measure};
pub use files::{FileImage, FilesOutcome};
pub use heat::{
    ForwardPass, HeatFile, HeatMap, HeatMapper, NEGATIVE, POSITIVE, heat_color, write_heat_maps,
};
pub use interval::effective_sources;
pub use nearest::{NearImage, TrainingImages, near_finding};
pub use order::MatrixOrder;
pub use paired::Paired;
pub use predict::{ClassProbability, Prediction, Predictor};
pub use quality::{QualityPart, QualityParts, quality_parts};
pub use ranking::Ranking;
pub use recipe::{InputKind, Recipe, RecipeInput, RecipeOutput};
pub use report::write_report;
pub use retrained::{
    CrossValidation, Forecast, HeldOut, LeakMeter, LearningCurve, LearningPoint, TestUses,
    UnknownCurve, cross_validate, hold_out_classes, leak_meter, learning_curve, test_uses,
};
pub use runner::Runner;
pub use student::t_975;
pub use time_of_day::TimePart;
pub use timeline::{
    FolderAccuracy, Right, TimedProbabilities, Timeline, Timelines, Verdict, check_csv,
};
