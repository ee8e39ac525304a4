//! The depth of the next training: the user's choice, and the estimated cost of each depth on this computer.
//!
//! The measurement runs in the background while the train workspace is shown, again if something relevant has changed,
//! and never together with other long work: that would disturb both.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::app::tasks::TaskId;
use crate::app::{App, Lane, Quitting, Readiness, Session, TrainState, Workspace};
use crate::backbone::Depth;
use crate::jobs::JobError;
use crate::project::{Project, ProjectError};
use crate::train::{Estimate, FineTuneSettings, LearnSettings, TrainSettings, estimate};

const SETTING: &str = "train_depth";
/// The measurement is repeated after this time without a change of the settings.
const SETTLE: Duration = Duration::from_millis(800);
/// A smaller relative change of the number of labelled frames is ignored.
const IMMATERIAL: f64 = 0.1;

/// What a measurement depends on.
#[derive(Debug, Clone, PartialEq)]
pub struct Basis {
    /// The settings, with irrelevant ones at their defaults.
    settings: TrainSettings,
    classes: usize,
    frames: usize,
}

impl Basis {
    /// Whether a measurement for `self` is valid for `other`.
    fn serves(&self, other: &Self) -> bool {
        let most = IMMATERIAL * self.frames as f64;
        self.settings == other.settings
            && self.classes == other.classes
            && self.frames.abs_diff(other.frames) as f64 <= most
    }
}

/// The depth of the next training.
#[derive(Default)]
pub struct DepthState {
    /// The user's choice; `None` is the recommended depth.
    pub chosen: Option<Depth>,
    measured: Option<(Basis, Result<Estimate, String>)>,
    measuring: Option<(Basis, TaskId)>,
    /// The basis of a measurement that waits for the settings, and since when it has been so.
    changed: Option<(Basis, Instant)>,
}

impl DepthState {
    pub(in crate::app) fn load(project: &Project) -> Self {
        Self {
            chosen: project.setting(SETTING),
            ..Self::default()
        }
    }

    pub(in crate::app) fn take(&mut self, basis: Basis, found: Estimate) {
        self.measured = Some((basis, Ok(found)));
    }
}

/// The duration of the part after the head at a depth, seconds.
pub(in crate::app) fn fine_tuning_secs(found: &Estimate, depth: Depth) -> Option<f64> {
    let (head, all) = (found.of(Depth::Head)?, found.of(depth)?);
    Some((all.secs - head.secs).max(0.0))
}

/// Saves the choice.
pub(in crate::app) fn save(project: &Project, chosen: Option<Depth>) -> Result<(), ProjectError> {
    project.set_setting(SETTING, &chosen)
}

impl Session {
    /// The basis of a measurement made now.
    #[must_use]
    pub fn basis(&self) -> Basis {
        let TrainState { settings, .. } = &self.train;
        let (plain, fine_tuning) = (TrainSettings::default(), FineTuneSettings::default());
        let mut head = settings.head.clone();
        head.learn.learning_rate = plain.head.learn.learning_rate;
        Basis {
            settings: TrainSettings {
                head,
                validation_batch_size: plain.validation_batch_size,
                eval_step_interval: plain.eval_step_interval,
                seed: plain.seed,
                fine_tune: FineTuneSettings {
                    depth: fine_tuning.depth,
                    learn: LearnSettings {
                        learning_rate: fine_tuning.learn.learning_rate,
                        weight_decay: fine_tuning.learn.weight_decay,
                        clip_norm: fine_tuning.learn.clip_norm,
                        label_smoothing: fine_tuning.learn.label_smoothing,
                        mixup: fine_tuning.learn.mixup,
                        average_decay: fine_tuning.learn.average_decay,
                        ..settings.fine_tune.learn.clone()
                    },
                    layer_decay: fine_tuning.layer_decay,
                    augmentation: fine_tuning.augmentation,
                    ..settings.fine_tune.clone()
                },
                ..settings.clone()
            },
            classes: self.classes.len(),
            frames: self.snapshot.counts.labelled,
        }
    }

    fn measured(&self) -> Option<&Result<Estimate, String>> {
        let (basis, found) = self.train.depth.measured.as_ref()?;
        basis.serves(&self.basis()).then_some(found)
    }

    /// The estimated cost of each depth; `None` while it is unknown.
    #[must_use]
    pub fn estimate(&self) -> Option<&Estimate> {
        self.measured()?.as_ref().ok()
    }

    /// Why there is no estimate, if the measurement failed.
    #[must_use]
    pub fn estimate_error(&self) -> Option<&str> {
        self.measured()?.as_ref().err().map(String::as_str)
    }

    /// The depth of the next training: the chosen one, otherwise the recommended one; `None` while that is unknown.
    #[must_use]
    pub fn depth(&self) -> Option<Depth> {
        let recommended = || Some(self.estimate()?.recommended);
        self.train.depth.chosen.or_else(recommended)
    }
}

impl App {
    /// Measures this computer if necessary.
    pub(in crate::app) fn measure_depths(&mut self) {
        let busy = self.tasks.is_busy(Lane::Learn) || self.tasks.is_busy(Lane::Extract);
        let shown = self.workspace == Workspace::Train;
        // No new measurement is started while the program waits to quit.
        let ends = self.quitting != Quitting::No;
        let Some(session) = &mut self.session else {
            return;
        };
        let measuring = session.train.depth.measuring.take();
        if let Some((of, task)) = measuring.filter(|(_, task)| self.tasks.is_alive(*task)) {
            // A measurement is valid only for the current basis, on an undisturbed computer.
            if busy || !of.serves(&session.basis()) {
                self.tasks.cancel(task);
            }
            session.train.depth.measuring = Some((of, task));
            return;
        }
        let known = session.measured().is_some();
        if ends
            || !shown
            || busy
            || known
            || session.missing
            || session.readiness() != Readiness::Ready
        {
            return;
        }
        let basis = session.basis();
        let state = &mut session.train.depth;
        // The first one starts at once; later ones wait until the user has finished changing settings.
        let now = Instant::now();
        let since = match &state.changed {
            None => now.checked_sub(SETTLE).unwrap_or(now),
            Some((of, since)) if of.serves(&basis) => *since,
            Some(_) => now,
        };
        state.changed = Some((basis.clone(), since));
        let left = SETTLE.saturating_sub(since.elapsed());
        if !left.is_zero() {
            self.ctx.request_repaint_after(left);
            return;
        }
        let project = Arc::clone(&session.project);
        let settings = session.train.settings.clone();
        let of = basis.clone();
        let task = self.tasks.start(
            Lane::Free,
            "Measuring the speed of this computer",
            true,
            move |work| estimate(&project, &settings, work),
            move |app, result| {
                let found = match result {
                    Err(JobError::Cancelled) => return,
                    other => other.map_err(|error| error.to_string()),
                };
                if let Some(session) = &mut app.session {
                    session.train.depth.measured = Some((of, found));
                }
            },
        );
        session.train.depth.measuring = Some((basis, task));
    }
}
