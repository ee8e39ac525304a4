//! The train workspace's state: settings, the training in progress, the runs and how they are shown.

mod architecture;
mod depth;
mod extend;
mod plots;
mod run_table;
mod runs;
mod sweep;
mod sweep_draft;
mod sweep_table;
mod training;

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use crate::app::tasks::TaskId;
use crate::app::{Session, words};
use crate::backbone::{Architecture, Depth};
use crate::project::{Label, Project};
use crate::train::{
    BestPoint, CurvePoint, Curves, Estimate, LiveCurves, Metrics, Part, Run, RunId, RunNote,
    RunState, TrainSettings,
};
use plots::unix;

pub use architecture::{Adding, ArchitectureAction, FoundNetwork};
pub use depth::{Basis, DepthState};
pub use extend::Extension;
pub use plots::{
    Axis, Budget, CurveView, Figure, FigureCurve, FigureError, FigureFormat, Line, LineStretch,
    LineValue, Metric, MetricSide, Points, RunFilter, axes,
};
pub use run_table::{CellTable, RunCell, RunColumn, RunRow, RunTable};
pub use sweep::{SweepAction, SweepEntry, SweepLive, SweepState};
pub use sweep_draft::{SweepDraft, SweepEstimate};
pub use sweep_table::SweepCells;

/// The name of the settings in the project.
pub(super) const SETTINGS: &str = "train";

/// A run on disk with its curves.
#[derive(Debug, Clone)]
pub struct RunEntry {
    /// The run.
    pub run: Run,
    /// The curves of its last part; empty if they cannot be read.
    pub curves: Arc<Curves>,
    /// The curves of the head alone, if the run was fine-tuned.
    pub head: Arc<Curves>,
    /// Other metrics of its last part.
    pub metrics: Arc<Metrics>,
    /// The same of the head alone, if the run was fine-tuned.
    pub head_metrics: Arc<Metrics>,
    /// Its name and note.
    pub note: RunNote,
}

impl RunEntry {
    /// The title of the run: its name, otherwise `lite0@224 last-3 · today 14:02`.
    #[must_use]
    pub fn title(&self) -> String {
        if self.note.name.is_empty() {
            words::run_title(&self.run)
        } else {
            self.note.name.clone()
        }
    }

    /// When it was begun, seconds since 1970; 0 if unknown.
    #[must_use]
    pub fn begun(&self) -> f64 {
        unix(&self.run.created)
    }

    /// Whether the filter of the runs matches its title or the name of its folder.
    #[must_use]
    pub fn is_found(&self, filter: &RunFilter) -> bool {
        !filter.is_on() || filter.finds(&[&self.title(), &self.run.id.0])
    }

    /// The number of steps of its last part: all that were done, or for an interrupted run the last step of its
    /// curves.
    #[must_use]
    pub fn steps(&self) -> u32 {
        let last = || self.curves.last().map_or(0, |point| point.step);
        self.run.result().map_or_else(last, |result| result.steps)
    }
}

/// The training in progress.
pub struct Live {
    /// Its task; `None` before it is started.
    pub task: Option<TaskId>,
    /// The architecture that is trained.
    pub architecture: Architecture,
    /// Its depth; `None` while that is not decided.
    pub depth: Option<Depth>,
    /// The expected duration of the part after the head, seconds; `None` if unknown.
    pub fine_tuning_secs: Option<f64>,
    /// Whether it may end after the head, because the depth is chosen automatically.
    pub may_end: bool,
    /// The number of steps of the current part.
    pub steps: u32,
    /// The run that is resumed; `None` for a new one.
    pub resumed: Option<RunId>,
    /// When the run was begun, seconds since 1970.
    pub begun: f64,
    /// Evaluations so far, of the current part.
    pub points: Curves,
    /// Those of the head alone, during fine-tuning.
    pub head: Curves,
    /// Other metrics of the current part.
    pub metrics: Metrics,
    /// The same of the head alone, during fine-tuning.
    pub head_metrics: Metrics,
    /// The number of evaluations at which other metrics were measured.
    pub(super) measured_at: usize,
    /// The best weights so far.
    pub best: Option<BestPoint>,
    /// The current part: the head, or the fine-tuning.
    pub part: Part,
    /// The result of the head alone, during fine-tuning.
    pub baseline: Option<BestPoint>,
    /// The speed over the last evaluations.
    pub steps_per_second: Option<f64>,
    pub(super) curves: LiveCurves,
}

/// The state of the train workspace.
#[derive(Default)]
pub struct TrainState {
    /// The settings of the next training; its depth is not the one in them but [`TrainState::depth`].
    pub settings: TrainSettings,
    /// The depth of the next training.
    pub depth: DepthState,
    /// The training in progress.
    pub live: Option<Live>,
    /// The runs, newest first.
    pub runs: Vec<RunEntry>,
    /// A sentence for each run, and each of its files, that cannot be read.
    pub problems: Vec<String>,
    /// Whether the runs have been read.
    pub runs_known: bool,
    /// Increased with each change of the list of runs, so that derived values are computed again only then.
    pub revision: u64,
    /// The run whose curves are drawn in full when nothing is being trained.
    pub focus: Option<RunId>,
    /// The runs whose validation curves are drawn for comparison.
    pub overlays: BTreeSet<RunId>,
    /// How curves are drawn.
    pub view: CurveView,
    /// Which runs are listed and drawn for comparison.
    pub filter: RunFilter,
    /// The colour of each run, as a number among the colours of compared runs.
    colors: HashMap<RunId, usize>,
    /// The number of points of curves that were visited for the plots; see [`TrainState::visited`].
    visited: Cell<u64>,
    /// The start time of the sweep in progress, as stored in its runs.
    pub(super) sweeping: Option<String>,
    /// The last started reading of the runs.
    pub(super) reading: Option<TaskId>,
    pub(super) unsaved: Option<Instant>,
}

/// An action of the user in the train workspace.
#[derive(Debug, Clone, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "one is made for each click, and none is kept"
)]
pub enum TrainAction {
    /// Changes the settings of the next training, except the depth.
    Set(TrainSettings),
    /// Sets the depth of the next training; `None` is the recommended one.
    SetDepth(Option<Depth>),
    /// Uses this as the measurement for the current settings.
    Measured(Estimate),
    /// Starts a training.
    Start,
    /// Ends the training early and keeps the best weights.
    StopAndKeep,
    /// Pauses or continues.
    Pause(bool),
    /// Cancels the training; its run can be resumed.
    Cancel,
    /// Resumes an unfinished run.
    Resume(RunId),
    /// Asks by how many steps a finished run is to be extended.
    AskExtend(RunId),
    /// Extends a finished run to this total number of steps.
    Extend(RunId, u32),
    /// Draws a run's curves in full.
    Focus(RunId),
    /// Draws a run's validation curves for comparison, or stops drawing them.
    Overlay(RunId, bool),
    /// Changes how curves are drawn.
    View(CurveView),
    /// Lists and compares only the runs whose titles match this regular expression.
    Filter(String),
    /// Writes a plot to a file; with `true` replaces an existing file.
    SaveFigure(Metric, FigureFormat, PathBuf, bool),
    /// Writes the embedding of a run for TensorBoard's projector into its folder.
    SaveEmbedding(RunId),
    /// Moves a run to the trash.
    Remove(RunId),
    /// Restores a removed run.
    Restore(RunId),
    /// Uses a run's settings for the next training.
    UseSettings(RunId),
    /// Gives a run a name and a note.
    SetNote(RunId, RunNote),
}

/// Whether training is possible.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// No frames.
    NoFrames,
    /// No frames with a class.
    NothingLabelled,
    /// Frames of only one class.
    OneClass,
    /// It can start.
    Ready,
}

impl TrainState {
    pub(super) fn load(project: &Project) -> Self {
        Self {
            settings: project.settings(SETTINGS, TrainSettings::is_possible),
            depth: DepthState::load(project),
            ..Self::default()
        }
    }

    /// A run by its name.
    #[must_use]
    pub fn run(&self, id: &RunId) -> Option<&RunEntry> {
        self.runs.iter().find(|entry| entry.run.id == *id)
    }

    /// The newest finished run.
    #[must_use]
    pub fn latest_finished(&self) -> Option<&RunEntry> {
        self.runs
            .iter()
            .find(|entry| entry.run.state == RunState::Finished)
    }

    /// The points that are drawn in full: of the training in progress, otherwise of the chosen run.
    #[must_use]
    pub fn main_points(&self) -> &[CurvePoint] {
        if let Some(live) = &self.live {
            return &live.points;
        }
        self.focus
            .as_ref()
            .and_then(|id| self.run(id))
            .map_or(&[], |entry| entry.curves.as_slice())
    }

    /// The points of the head alone, for the run that is drawn in full; empty if its own points are those of the head.
    #[must_use]
    pub fn head_points(&self) -> &[CurvePoint] {
        if let Some(live) = &self.live {
            return &live.head;
        }
        self.focus
            .as_ref()
            .and_then(|id| self.run(id))
            .map_or(&[], |entry| entry.head.as_slice())
    }

    /// The other metrics of the run that is drawn in full.
    #[must_use]
    pub fn main_metrics(&self) -> Option<&Metrics> {
        if let Some(live) = &self.live {
            return Some(&live.metrics);
        }
        let entry = self.focus.as_ref().and_then(|id| self.run(id))?;
        Some(&entry.metrics)
    }

    /// The same of its head alone, if it was fine-tuned.
    #[must_use]
    pub fn head_metrics(&self) -> Option<&Metrics> {
        if let Some(live) = &self.live {
            return Some(&live.head_metrics);
        }
        let entry = self.focus.as_ref().and_then(|id| self.run(id))?;
        Some(&entry.head_metrics)
    }

    /// The result of the head alone, for the run that is drawn in full; `None` without fine-tuning.
    #[must_use]
    pub fn baseline(&self) -> Option<BestPoint> {
        if let Some(live) = &self.live {
            return live.baseline;
        }
        let entry = self.focus.as_ref().and_then(|id| self.run(id))?;
        entry.run.head_only()?.best()
    }

    /// The colour of a compared run, as a number from 0: a run keeps it while the project is open, whichever runs are
    /// added or removed.
    #[must_use]
    pub fn color_of(&self, id: &RunId) -> usize {
        self.colors.get(id).copied().unwrap_or_default()
    }

    /// The number of points of curves that the plots have visited since the project was opened.
    #[must_use]
    pub fn visited(&self) -> u64 {
        self.visited.get()
    }

    /// Counts visited points.
    pub fn visit(&self, points: usize) {
        self.visited.set(self.visited.get() + points as u64);
    }

    pub(super) fn color_runs(&mut self) {
        // From the oldest, so that a run has the same colour next time.
        for entry in self.runs.iter().rev() {
            let next = self.colors.values().max().map_or(0, |last| last + 1);
            self.colors.entry(entry.run.id.clone()).or_insert(next);
        }
    }

    /// Whether `id` is being trained now, so that it must not be changed.
    #[must_use]
    pub fn is_live(&self, id: &RunId) -> bool {
        let of_sweep = |entry: &RunEntry| {
            let parent = entry.run.parent.as_ref();
            let begun = parent.map(|parent| &parent.begun);
            entry.run.state == RunState::Unfinished && begun == self.sweeping.as_ref()
        };
        if self.sweeping.is_some() && self.run(id).is_some_and(of_sweep) {
            return true;
        }
        let Some(live) = &self.live else { return false };
        match &live.resumed {
            Some(resumed) => resumed == id,
            // A new run is stored on disk during its training.
            None => self
                .run(id)
                .is_some_and(|entry| entry.run.state == RunState::Unfinished),
        }
    }
}

impl Session {
    /// Whether training is possible, or why not.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let with_frames = self
            .classes
            .iter()
            .filter(|class| {
                let label = Label::Class(class.name.clone());
                self.snapshot.counts.label(&label) > 0
            })
            .count();
        match (self.snapshot.counts.total(), with_frames) {
            (0, _) => Readiness::NoFrames,
            (_, 0) => Readiness::NothingLabelled,
            (_, 1) => Readiness::OneClass,
            _ => Readiness::Ready,
        }
    }
}
