//! The draft of a sweep in its dialog, and its estimated duration.

use std::sync::Arc;

use crate::app::{App, Dialog, Lane};
use crate::backbone::{Architecture, Depth};
use crate::jobs::JobError;
use crate::sweep::{RankBy, SweepAxis, SweepError, SweepPlan, estimate};
use crate::train::TrainSettings;

/// The content of the dialog.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SweepDraft {
    /// The architectures.
    pub architectures: Vec<Architecture>,
    /// The depths.
    pub depths: Vec<Depth>,
    /// Keys of settings, and the typed values of each.
    pub axes: Vec<(&'static str, String)>,
    /// The number of trainings of each configuration.
    pub repeats: u32,
    /// The metric for ranking.
    pub rank: RankBy,
}

impl SweepDraft {
    /// The plan of the sweep; all other settings are those of `base`.
    ///
    /// # Errors
    /// A sentence that says what is missing or invalid.
    pub fn plan(&self, base: &TrainSettings) -> Result<SweepPlan, SweepError> {
        let mut axes = Vec::new();
        if self.architectures.is_empty() || self.depths.is_empty() {
            return Err(SweepError::Plan(
                "Choose at least one architecture and one depth".into(),
            ));
        }
        let architectures = self.architectures.iter();
        axes.push(SweepAxis {
            key: "architecture".into(),
            values: architectures.map(Architecture::to_string).collect(),
        });
        axes.push(SweepAxis::depths(&self.depths));
        for (key, text) in &self.axes {
            axes.push(SweepAxis::parse(key, text)?);
        }
        let mut base = base.clone();
        base.forget_extensions();
        Ok(SweepPlan {
            base,
            axes,
            repeats: self.repeats.max(1),
            rank: self.rank,
        })
    }
}

/// The estimate for a draft.
#[derive(Debug, Clone, PartialEq)]
pub struct SweepEstimate {
    /// The draft.
    pub draft: SweepDraft,
    /// Seconds if nothing is cached; `None` if a network cannot be measured.
    pub secs: Option<f64>,
}

impl App {
    pub(in crate::app) fn ask_sweep(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        // Images may have been added since the last time.
        session.sweep.paces = Arc::default();
        session.sweep.estimate = None;
        let draft = SweepDraft {
            architectures: vec![session.train.settings.architecture.clone()],
            depths: vec![Depth::Head],
            axes: Vec::new(),
            repeats: 1,
            rank: RankBy::Accuracy,
        };
        self.dialog = Some(Dialog::Sweep(Box::new(draft)));
    }

    pub(in crate::app) fn estimate_sweep(&mut self, draft: SweepDraft) {
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.sweep;
        if let Some((of, task)) = &state.estimating {
            if *of == draft && self.tasks.is_alive(*task) {
                return;
            }
            self.tasks.cancel(*task);
        }
        let (project, paces) = (Arc::clone(&session.project), Arc::clone(&state.paces));
        let (settings, of) = (session.train.settings.clone(), draft.clone());
        let task = self.tasks.start_as(
            Lane::Free,
            "Measuring the speed of this computer",
            true,
            move |work| {
                let mut trainings = of.plan(&settings)?.trainings()?;
                let mut paces = paces.lock();
                work.check()?;
                let secs = estimate(&project, &mut trainings, &mut paces, work)?;
                Ok::<_, SweepError>(SweepEstimate { draft: of, secs })
            },
            |app, task, result| {
                let Some(session) = &mut app.session else {
                    return;
                };
                let state = &mut session.sweep;
                if state.estimating.as_ref().is_none_or(|(_, of)| *of != task) {
                    return;
                }
                match result {
                    Ok(found) => state.estimate = Some(found),
                    Err(JobError::Cancelled) => {}
                    Err(error) => {
                        log::warn!("the duration of a sweep could not be estimated: {error}");
                    }
                }
            },
        );
        if let Some(session) = &mut self.session {
            session.sweep.estimating = Some((draft, task));
        }
    }
}
