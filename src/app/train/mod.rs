//! The train workspace's state: settings, the training in progress, the runs and what is shown of them.

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
    Axis, Budget, CurveSide, CurveView, Figure, FigureCurve, FigureError, FigureFormat, Line, Look,
    Metric, Points, RunFilter, Stretch, axes,
};
pub use run_table::{CellTable, RunCell, RunColumn, RunRow, RunTable};
pub use sweep::{SweepAction, SweepEntry, SweepLive, SweepState};
pub use sweep_draft::{ForeseenSweep, SweepDraft};
pub use sweep_table::SweepCells;

/// The name of the settings in the project.
pub(super) const SETTINGS: &str = "train";

/// A run on disk with its curves.
#[derive(Debug, Clone)]
pub struct RunEntry {
    /// The run.
    pub run: Run,
    /// The curves of its last part; empty when they cannot be read.
    pub curves: Arc<Curves>,
    /// The curves of the head alone, of a run that went deeper.
    pub head: Arc<Curves>,
    /// What else was measured in its last part.
    pub metrics: Arc<Metrics>,
    /// The same of the head alone, of a run that went deeper.
    pub head_metrics: Arc<Metrics>,
    /// The name and the note that it was given.
    pub note: RunNote,
}

impl RunEntry {
    /// What the run is called: by the name it was given, else `lite0@224 last-3 · today 14:02`.
    #[must_use]
    pub fn title(&self) -> String {
        if self.note.name.is_empty() {
            words::run_title(&self.run)
        } else {
            self.note.name.clone()
        }
    }

    /// When it was begun, seconds since 1970; 0 where that cannot be read.
    #[must_use]
    pub fn begun(&self) -> f64 {
        unix(&self.run.created)
    }

    /// Whether the filter of the runs finds it, by its name or by that of its folder.
    #[must_use]
    pub fn is_found(&self, filter: &RunFilter) -> bool {
        !filter.is_on() || filter.finds(&[&self.title(), &self.run.id.0])
    }

    /// Steps of its last part: all that were done, or as far as the curves of an interrupted run go.
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
    /// How much of it; `None` while that is not decided.
    pub depth: Option<Depth>,
    /// Seconds that the part after the head will take; `None` where that is not known.
    pub fine_tuning_secs: Option<f64>,
    /// Whether it may end after the head, because its depth was left to the program.
    pub may_end: bool,
    /// Steps that the part under way has in all.
    pub steps: u32,
    /// The run that is continued; `None` for a new one.
    pub resumed: Option<RunId>,
    /// When the run was begun, seconds since 1970.
    pub begun: f64,
    /// Evaluations so far, of the part under way.
    pub points: Curves,
    /// Those of the head alone, once training goes deeper.
    pub head: Curves,
    /// What else was measured, of the part under way.
    pub metrics: Metrics,
    /// The same of the head alone, once training goes deeper.
    pub head_metrics: Metrics,
    /// At how many evaluations something else was measured.
    pub(super) measured_at: usize,
    /// The best weights so far.
    pub best: Option<BestPoint>,
    /// Whether the head is trained or what comes after it.
    pub part: Part,
    /// What the head alone reached, once training goes deeper.
    pub baseline: Option<BestPoint>,
    /// The pace over the last evaluations.
    pub steps_per_second: Option<f64>,
    pub(super) curves: LiveCurves,
}

/// The state of the train workspace.
#[derive(Default)]
pub struct TrainState {
    /// The settings of the next training; the depth in them is not yet the one it will have, see
    /// [`TrainState::depth`].
    pub settings: TrainSettings,
    /// How deep the next training goes.
    pub depth: DepthState,
    /// The training in progress.
    pub live: Option<Live>,
    /// The runs, newest first.
    pub runs: Vec<RunEntry>,
    /// A sentence for each run, and each file of one, that cannot be read.
    pub problems: Vec<String>,
    /// Whether the runs have been read.
    pub runs_known: bool,
    /// Counts the changes of the list of runs, so that what is made of it is made again only then.
    pub revision: u64,
    /// The run whose curves are drawn in full when nothing is being trained.
    pub focus: Option<RunId>,
    /// The runs whose validation curves are drawn for comparison.
    pub overlays: BTreeSet<RunId>,
    /// How curves are drawn.
    pub view: CurveView,
    /// Which runs are listed and drawn for comparison.
    pub filter: RunFilter,
    /// The colour of each run, as its place among those of compared runs.
    colors: HashMap<RunId, usize>,
    /// Counts the points of curves that have been visited for the plots; see [`TrainState::visited`].
    looked_at: Cell<u64>,
    /// When the sweep that is being trained was begun, as its runs name it.
    pub(super) sweeping: Option<String>,
    /// The reading of the runs that was begun last.
    pub(super) reading: Option<TaskId>,
    pub(super) unsaved: Option<Instant>,
}

/// What a person does in the train workspace.
#[derive(Debug, Clone, PartialEq)]
#[allow(
    clippy::large_enum_variant,
    reason = "one is made for each click, and none is kept"
)]
pub enum TrainAction {
    /// Trains otherwise next time; the depth in the settings plays no part.
    Set(TrainSettings),
    /// Trains at this depth next time, or at the one that is recommended.
    SetDepth(Option<Depth>),
    /// Takes this for what was measured with the present settings.
    Measured(Estimate),
    /// Starts a training.
    Start,
    /// Ends the training early and keeps the best weights.
    StopAndKeep,
    /// Pauses or continues.
    Pause(bool),
    /// Cancels the training; its run can be resumed.
    Cancel,
    /// Continues an unfinished run.
    Resume(RunId),
    /// Asks how many more steps a finished run is to be trained for.
    AskExtend(RunId),
    /// Trains a finished run further, to so many steps in all.
    Extend(RunId, u32),
    /// Draws a run's curves in full.
    Focus(RunId),
    /// Draws a run's validation curves for comparison, or no longer.
    Overlay(RunId, bool),
    /// Draws curves otherwise.
    View(CurveView),
    /// Lists and compares only the runs whose names match this regular expression.
    Filter(String),
    /// Writes a plot to a file; whether one that is there is replaced.
    SaveFigure(Metric, FigureFormat, PathBuf, bool),
    /// Writes the embedding of a run for TensorBoard's projector into its folder.
    SaveEmbedding(RunId),
    /// Moves a run to the trash.
    Remove(RunId),
    /// Brings a removed run back.
    Restore(RunId),
    /// Takes a run's settings for the next training.
    UseSettings(RunId),
    /// Gives a run a name and a note.
    SetNote(RunId, RunNote),
}

/// What training on this project would be like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// No frames at all.
    NoFrames,
    /// Frames, but none with a class.
    NothingLabelled,
    /// Only one class has frames.
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

    /// The points that are drawn in full: of the training in progress, else of the chosen run.
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

    /// The points of the head alone, of the run that is drawn in full; empty where its own points are the head's.
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

    /// What else than the points was measured in the run that is drawn in full.
    #[must_use]
    pub fn main_metrics(&self) -> Option<&Metrics> {
        if let Some(live) = &self.live {
            return Some(&live.metrics);
        }
        let entry = self.focus.as_ref().and_then(|id| self.run(id))?;
        Some(&entry.metrics)
    }

    /// The same of its head alone, where it went deeper.
    #[must_use]
    pub fn head_metrics(&self) -> Option<&Metrics> {
        if let Some(live) = &self.live {
            return Some(&live.head_metrics);
        }
        let entry = self.focus.as_ref().and_then(|id| self.run(id))?;
        Some(&entry.head_metrics)
    }

    /// The result of the head alone, of the run that is drawn in full; `None` where nothing deeper was trained.
    #[must_use]
    pub fn baseline(&self) -> Option<BestPoint> {
        if let Some(live) = &self.live {
            return live.baseline;
        }
        let entry = self.focus.as_ref().and_then(|id| self.run(id))?;
        entry.run.head_only()?.best()
    }

    /// The colour in which a run is drawn for comparison, as a number from 0: as long as the project is open, a run keeps
    /// it, whichever runs are added or removed.
    #[must_use]
    pub fn color_of(&self, id: &RunId) -> usize {
        self.colors.get(id).copied().unwrap_or_default()
    }

    /// How many points of curves the plots have visited since the project was opened.
    #[must_use]
    pub fn visited(&self) -> u64 {
        self.looked_at.get()
    }

    /// Counts points that were visited.
    pub fn visit(&self, points: usize) {
        self.looked_at.set(self.looked_at.get() + points as u64);
    }

    pub(super) fn color_runs(&mut self) {
        // From the oldest, so that a run has the same colour the next time.
        for entry in self.runs.iter().rev() {
            let next = self.colors.values().max().map_or(0, |last| last + 1);
            self.colors.entry(entry.run.id.clone()).or_insert(next);
        }
    }

    /// Whether `id` is being trained now, so that nothing else may be done with it.
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
            // A new run appears on disk while it is trained.
            None => self
                .run(id)
                .is_some_and(|entry| entry.run.state == RunState::Unfinished),
        }
    }
}

impl Session {
    /// Whether training can start, and if not why.
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
