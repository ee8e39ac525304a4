//! A run: one training with its settings, curves, weights and results, in a folder of its own, never overwritten.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::backbone::Preprocessing;
use crate::project::{Project, Split};

use super::{Curves, TrainError, TrainSettings};

/// The name of a run's folder, `2026-11-24_efficientnet-lite0@224_1`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunId(pub String);

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Begun; if nobody is training it, it was interrupted and can be resumed.
    Unfinished,
    /// All steps done, or stopped by the user with the best weights kept.
    Finished,
}

/// What a finished run measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Steps done.
    pub steps: u32,
    /// The step whose weights were kept.
    pub best_step: u32,
    /// Accuracy on all validation frames with the kept weights; `None` without validation frames.
    pub validation_accuracy: Option<f32>,
    /// Accuracy on the test frames with the kept weights; `None` without test frames.
    pub test_accuracy: Option<f32>,
    /// Seconds of training, bottlenecks included.
    pub seconds: f64,
    /// What the user should know about these figures, a sentence each (how the split was made).
    pub notes: Vec<String>,
}

/// A frame as the run saw it: enough to evaluate again and to know whether it has changed since.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunFrame {
    /// Path relative to the project's root at the time.
    pub path: String,
    /// Index into `classes`.
    pub class: usize,
    /// The group it was split by.
    pub group: String,
    /// Its side.
    pub split: Split,
}

/// A run on disk.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// Its name.
    pub id: RunId,
    /// Its folder.
    pub dir: PathBuf,
    /// Its settings.
    pub settings: TrainSettings,
    /// How frames became input.
    pub preprocessing: Preprocessing,
    /// Class names in the order of the logits.
    pub classes: Vec<String>,
    /// Where it stands.
    pub state: RunState,
    /// What it measured, when finished.
    pub result: Option<RunResult>,
}

impl Run {
    /// Reads the run in the folder `dir`.
    pub fn open(dir: &Path) -> Result<Self, TrainError> {
        todo!("{dir:?}")
    }

    /// Its curves.
    pub fn curves(&self) -> Result<Curves, TrainError> {
        todo!()
    }

    /// The frames it was trained and tested on.
    pub fn frames(&self) -> Result<Vec<RunFrame>, TrainError> {
        todo!()
    }

    /// The kept weights of the head: `w` row-major `f32[D, C]`, `b` `f32[C]`.
    pub fn head(&self) -> Result<Head, TrainError> {
        todo!()
    }
}

/// The trained layer: `logits = x·W + b`.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// Row-major `f32[D, C]`.
    pub w: Vec<f32>,
    /// `f32[C]`.
    pub b: Vec<f32>,
}

/// The runs of a project, newest first; a folder that is no run is left out.
pub fn runs(project: &Project) -> Result<Vec<Run>, TrainError> {
    todo!("{:?}", project.root())
}
