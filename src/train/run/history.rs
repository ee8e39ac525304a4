//! What was measured over the steps of a run, and where it lies.

use std::path::PathBuf;

use crate::train::metrics::{self, History, Metrics};
use crate::train::tensorboard::Events;
use crate::train::{Curves, TrainError, files};

use super::Run;

impl Run {
    /// Its curves; of an unfinished run, up to its last checkpoint or a little beyond.
    pub fn curves(&self) -> Result<Curves, TrainError> {
        files::read_whole_lines(&self.curves_path())
    }

    /// Where its curves are.
    pub(in crate::train) fn curves_path(&self) -> PathBuf {
        self.dir.join("curves.jsonl")
    }

    /// Everything that was measured over its steps, its curves among it; of an unfinished run, up to its last checkpoint
    /// or a little beyond.
    pub fn metrics(&self) -> Result<Metrics, TrainError> {
        let History { points, measured } = self.history()?;
        Ok(Metrics::of(&points, measured.iter().map(AsRef::as_ref)))
    }

    /// What was measured beside its curves.
    pub fn measured(&self) -> Result<Metrics, TrainError> {
        let measured = metrics::read(&self.metrics_path())?;
        Ok(Metrics::of(&[], measured.iter().map(AsRef::as_ref)))
    }

    /// What was measured beside the curves of the head alone, as [`Run::head_curves`].
    pub fn head_measured(&self) -> Result<Metrics, TrainError> {
        let measured = metrics::read(&self.head_metrics_path())?;
        Ok(Metrics::of(&[], measured.iter().map(AsRef::as_ref)))
    }

    pub(super) fn history(&self) -> Result<History, TrainError> {
        Ok(History {
            points: self.curves()?,
            measured: metrics::read(&self.metrics_path())?,
        })
    }

    /// Where what was measured beside its curves is.
    pub(in crate::train) fn metrics_path(&self) -> PathBuf {
        self.dir.join("metrics.jsonl")
    }

    /// The curves of the head alone, with which a run that goes deeper began; those of any other run.
    pub fn head_curves(&self) -> Result<Curves, TrainError> {
        files::read_whole_lines(&self.head_curves_path())
    }

    /// Where the head's curves are: a run that goes deeper shows the deeper training's as its own.
    pub(in crate::train) fn head_curves_path(&self) -> PathBuf {
        if self.settings.fine_tune.is_on() {
            self.dir.join("head_curves.jsonl")
        } else {
            self.curves_path()
        }
    }

    /// What was measured over the steps of the head alone, as [`Run::head_curves`].
    pub fn head_metrics(&self) -> Result<Metrics, TrainError> {
        let measured = metrics::read(&self.head_metrics_path())?;
        let measured = measured.iter().map(AsRef::as_ref);
        Ok(Metrics::of(&self.head_curves()?, measured))
    }

    /// Where what was measured beside the head's curves is.
    pub(in crate::train) fn head_metrics_path(&self) -> PathBuf {
        if self.settings.fine_tune.is_on() {
            self.dir.join("head_metrics.jsonl")
        } else {
            self.metrics_path()
        }
    }

    /// The event files of its curves.
    pub(in crate::train) fn events(&self) -> Events {
        Events::new(self.dir.clone(), &self.created)
    }

    /// Those of the head's part.
    pub(in crate::train) fn head_events(&self) -> Events {
        if self.settings.fine_tune.is_on() {
            Events::new(self.dir.join("head"), &self.created)
        } else {
            self.events()
        }
    }
}
