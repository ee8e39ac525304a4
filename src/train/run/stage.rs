//! The stages of a run: the head alone, and what is trained after it. Each has a checkpoint, curves, what else was measured, and
//! event files of its own.

use std::path::PathBuf;

use crate::train::metrics::{self, History, Metrics};
use crate::train::recipe::Recipe;
use crate::train::tensorboard::Events;
use crate::train::{Curves, Part, TrainError, files};

use super::{Run, StageResult};

/// A stage of a run.
#[derive(Debug, Clone, Copy)]
pub struct Stage<'a> {
    run: &'a Run,
    part: Part,
}

impl Run {
    /// Its stages in the order in which they are trained.
    #[must_use]
    pub fn stages(&self) -> Vec<Stage<'_>> {
        let mut stages = vec![self.head_stage()];
        if self.settings.fine_tune.is_on() {
            stages.push(self.last_stage());
        }
        stages
    }

    /// The one of the head alone, with which each run begins.
    #[must_use]
    pub fn head_stage(&self) -> Stage<'_> {
        Stage {
            run: self,
            part: Part::Head,
        }
    }

    /// The last one, whose curves are the run's: the fine-tuning where there is one, else the head's.
    #[must_use]
    pub fn last_stage(&self) -> Stage<'_> {
        Stage {
            run: self,
            part: self.settings.last_part(),
        }
    }

    /// The curves of its [last stage](Run::last_stage).
    pub fn curves(&self) -> Result<Curves, TrainError> {
        self.last_stage().curves()
    }

    /// Everything that was measured in its [last stage](Run::last_stage).
    pub fn metrics(&self) -> Result<Metrics, TrainError> {
        self.last_stage().metrics()
    }
}

impl<'a> Stage<'a> {
    /// What is trained in it.
    #[must_use]
    pub fn part(self) -> Part {
        self.part
    }

    /// Whether no other one follows it.
    #[must_use]
    pub fn is_last(self) -> bool {
        self.part == self.run.last_stage().part
    }

    /// Whether it is the head's and no other one can follow it. The files of a head that another stage follows, or could have
    /// followed while it was trained, have names of their own.
    pub(in crate::train) fn is_alone(self) -> bool {
        let fine_tune = &self.run.settings.fine_tune;
        self.part == Part::Head && !fine_tune.is_on() && !fine_tune.automatic
    }

    /// How it is learned, with so many validation frames.
    pub(in crate::train) fn recipe(self, validation_frames: usize) -> Recipe {
        self.run.settings.recipe(self.part, validation_frames)
    }

    /// Its result; `None` before it has ended.
    #[must_use]
    pub fn result(self) -> Option<&'a StageResult> {
        let mut results = self.run.results.iter();
        results.find(|result| result.part == self.part)
    }

    /// Its curves; of an unfinished run, up to its last checkpoint or a little beyond.
    pub fn curves(self) -> Result<Curves, TrainError> {
        Ok(files::whole_lines(&self.run.read(&self.curves_path())?))
    }

    /// What was measured beside its curves.
    pub fn measured(self) -> Result<Metrics, TrainError> {
        let measured = metrics::read(&self.run.read(&self.metrics_path())?);
        Ok(Metrics::of(&[], measured.iter().map(AsRef::as_ref)))
    }

    /// Everything that was measured over its steps, its curves among it; of an unfinished run, up to its last checkpoint
    /// or a little beyond.
    pub fn metrics(self) -> Result<Metrics, TrainError> {
        let History { points, measured } = self.history()?;
        Ok(Metrics::of(&points, measured.iter().map(AsRef::as_ref)))
    }

    pub(super) fn history(self) -> Result<History, TrainError> {
        Ok(History {
            points: self.curves()?,
            measured: metrics::read(&self.run.read(&self.metrics_path())?),
        })
    }

    /// Where its checkpoint is.
    pub(in crate::train) fn checkpoint_path(self) -> PathBuf {
        self.run.dir.join(match self.part {
            Part::Head => "checkpoint.safetensors",
            Part::FineTuning => "fine_tune.safetensors",
        })
    }

    /// Where its curves are.
    pub(in crate::train) fn curves_path(self) -> PathBuf {
        self.lines("curves.jsonl")
    }

    /// Where what was measured beside its curves is.
    pub(in crate::train) fn metrics_path(self) -> PathBuf {
        self.lines("metrics.jsonl")
    }

    /// A file of a stage; those of a fine-tuning are called as those of a head that [is alone](Stage::is_alone).
    fn lines(self, name: &str) -> PathBuf {
        self.run
            .dir
            .join(if self.part == Part::FineTuning || self.is_alone() {
                name.to_owned()
            } else {
                format!("head_{name}")
            })
    }

    /// Its event files.
    pub(in crate::train) fn events(self) -> Events {
        let dir = if self.part == Part::FineTuning || self.is_alone() {
            self.run.dir.clone()
        } else {
            self.run.dir.join("head")
        };
        Events::new(dir, &self.run.created)
    }
}
