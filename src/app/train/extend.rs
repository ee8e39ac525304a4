//! Extending a run: which runs can be extended, their progress, and the dialog for the number of steps.

use super::{RunEntry, TrainAction, TrainState};
use crate::app::dialog::Dialog;
use crate::app::{App, Session};
use crate::train::{RunId, RunState};

/// A run that can be extended.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Extension {
    /// The number of steps that the extended part (head or fine-tuning) has done.
    pub done: u32,
    /// The proposed number of steps: the remaining ones if it was stopped, otherwise as many as it has.
    pub more: u32,
    /// Seconds per step; `None` if unknown.
    pub secs_per_step: Option<f64>,
}

impl RunEntry {
    /// How it can be extended; `None` if the run is not finished.
    #[must_use]
    pub fn extension(&self) -> Option<Extension> {
        let result = self.run.result()?;
        if self.run.state != RunState::Finished {
            return None;
        }
        let done = result.steps;
        let planned = self.run.settings.steps();
        let more = if planned > done { planned - done } else { done };
        let last = self.curves.last();
        let secs_per_step = last
            .filter(|point| point.step > 0)
            .map(|point| point.secs / f64::from(point.step));
        Some(Extension {
            done,
            more: more.max(1),
            secs_per_step,
        })
    }
}

impl Session {
    /// The run that the command *Train further* applies to: the one whose curves are shown.
    #[must_use]
    pub fn extendable(&self) -> Option<&RunEntry> {
        let TrainState { live, focus, .. } = &self.train;
        if live.is_some() {
            return None;
        }
        let entry = self.train.run(focus.as_ref()?)?;
        entry.extension().is_some().then_some(entry)
    }
}

impl App {
    /// Asks by how many steps a run is to be extended.
    pub(in crate::app) fn ask_extend(&mut self, id: &RunId) {
        let Some(session) = &mut self.session else {
            return;
        };
        if session.train.live.is_some() {
            return;
        }
        let Some(extension) = session.train.run(id).and_then(RunEntry::extension) else {
            return;
        };
        // The run of the question is shown.
        self.apply_train(TrainAction::Focus(id.clone()));
        self.dialog = Some(Dialog::Extend {
            run: id.clone(),
            more: extension.more,
        });
    }
}
