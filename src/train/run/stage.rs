//! The stages of a run: the head, and the fine-tuning. Each has its own checkpoint, curves, measurements and event
//! files.

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
    /// Its stages, in order.
    #[must_use]
    pub fn stages(&self) -> Vec<Stage<'_>> {
        let mut stages = vec![self.head_stage()];
        if self.settings.fine_tune.is_on() {
            stages.push(self.last_stage());
        }
        stages
    }

    /// The stage of the head, the first of every run.
    #[must_use]
    pub fn head_stage(&self) -> Stage<'_> {
        Stage {
            run: self,
            part: Part::Head,
        }
    }

    /// The last stage, whose curves are the run's: the fine-tuning if there is one, otherwise the head.
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
}

impl<'a> Stage<'a> {
    /// The part that is trained in it.
    #[must_use]
    pub fn part(self) -> Part {
        self.part
    }

    /// Whether no other stage follows it.
    #[must_use]
    pub fn is_last(self) -> bool {
        self.part == self.run.last_stage().part
    }

    /// Whether it is the head's and no other stage can follow it. A head that is or could have been followed by
    /// another stage has files with other names.
    pub(in crate::train) fn is_alone(self) -> bool {
        let fine_tune = &self.run.settings.fine_tune;
        self.part == Part::Head && !fine_tune.is_on() && !fine_tune.automatic
    }

    /// The recipe of its training, with this many validation frames.
    pub(in crate::train) fn recipe(self, validation_frames: usize) -> Recipe {
        self.run.settings.recipe(self.part, validation_frames)
    }

    /// Its result; `None` before its end.
    #[must_use]
    pub fn result(self) -> Option<&'a StageResult> {
        let mut results = self.run.results.iter();
        results.find(|result| result.part == self.part)
    }

    /// Its curves; in an unfinished run up to its last checkpoint or slightly beyond.
    pub fn curves(self) -> Result<Curves, TrainError> {
        Ok(files::whole_lines(&self.run.read(&self.curves_path())?))
    }

    /// Its measurements beside the curves.
    pub fn measured(self) -> Result<Metrics, TrainError> {
        let measured = metrics::read(&self.run.read(&self.metrics_path())?);
        Ok(Metrics::of(&[], measured.iter().map(AsRef::as_ref)))
    }

    /// All its measurements, including the curves; in an unfinished run up to its last checkpoint or slightly beyond.
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

    /// The path of its checkpoint.
    pub(in crate::train) fn checkpoint_path(self) -> PathBuf {
        self.run.dir.join(match self.part {
            Part::Head => "checkpoint.safetensors",
            Part::FineTuning => "fine_tune.safetensors",
        })
    }

    /// The path of its curves.
    pub(in crate::train) fn curves_path(self) -> PathBuf {
        self.lines("curves.jsonl")
    }

    /// The path of its measurements beside the curves.
    pub(in crate::train) fn metrics_path(self) -> PathBuf {
        self.lines("metrics.jsonl")
    }

    /// The path of a text file of a stage; a fine-tuning has the same names as a head that [is
    /// alone](Stage::is_alone).
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
