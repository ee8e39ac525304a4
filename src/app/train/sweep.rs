//! Sweeps in the window: the one in progress, the one that is shown. The draft of a new one is in `sweep_draft.rs`.

use std::sync::Arc;

use parking_lot::Mutex;

use super::TrainAction;
use super::sweep_draft::{SweepDraft, SweepEstimate};
use crate::app::notes::Tone;
use crate::app::tasks::TaskId;
use crate::app::{Action, App, EvaluateAction, ExportAction, Lane, words};
use crate::jobs::{JobError, Work};
use crate::sweep::{
    FoundSweeps, LiveSweep, Paces, Sweep, SweepError, SweepId, Table, begin, csv, estimate,
    find_sweeps, remove, restore, run, try_again,
};
use crate::train::{RunId, RunState};

/// A sweep on disk with its table.
#[derive(Debug, Clone)]
pub struct SweepEntry {
    /// The sweep.
    pub sweep: Arc<Sweep>,
    /// Its table.
    pub table: Arc<Table>,
}

/// The sweep in progress.
pub struct SweepLive {
    /// Its task.
    pub task: TaskId,
    /// Its name, once it is stored.
    pub id: Option<SweepId>,
    /// The number of the current training, from 1.
    pub training: Option<u32>,
    /// Its start time, as stored in its runs.
    begun: Option<String>,
    watch: LiveSweep,
    revision: u64,
}

/// The state of sweeps.
#[derive(Default)]
pub struct SweepState {
    /// The sweeps of the project, newest first.
    pub list: Vec<SweepEntry>,
    /// A sentence for each sweep that cannot be read.
    pub problems: Vec<String>,
    /// Increased with each change of the list or the current training.
    pub revision: u64,
    /// The sweep that is shown instead of curves.
    pub shown: Option<SweepId>,
    /// The configuration that is chosen in it.
    pub selected: Option<usize>,
    /// The sweep in progress.
    pub live: Option<SweepLive>,
    /// The last estimate for a draft.
    pub estimate: Option<SweepEstimate>,
    pub(in crate::app) estimating: Option<(SweepDraft, TaskId)>,
    pub(in crate::app) paces: Arc<Mutex<Paces>>,
    reading: Option<TaskId>,
}

/// An action of the user on sweeps.
#[derive(Debug, Clone, PartialEq)]
pub enum SweepAction {
    /// Opens the dialog for a new sweep.
    Ask,
    /// Estimates the duration of a draft.
    Estimate(SweepDraft),
    /// Stores a draft and trains it.
    Start(SweepDraft),
    /// Trains the rest of a sweep.
    Resume(SweepId),
    /// Retries the failed trainings of a sweep.
    TryAgain(SweepId),
    /// Pauses the running sweep, or continues it.
    Pause(bool),
    /// Cancels it; it can be resumed.
    Cancel,
    /// Shows a sweep instead of curves, or the curves.
    Show(Option<SweepId>),
    /// Chooses a configuration of the sweep that is shown.
    Select(Option<usize>),
    /// Uses a configuration's settings for the next training, and its run for Evaluate and Export.
    Adopt(SweepId, usize),
    /// Copies the table of a sweep as CSV.
    Copy(SweepId),
    /// Moves a sweep to the trash; its runs stay.
    Remove(SweepId),
    /// Restores a removed sweep.
    Restore(SweepId),
}

impl SweepState {
    /// A sweep by its name.
    #[must_use]
    pub fn entry(&self, id: &SweepId) -> Option<&SweepEntry> {
        self.list.iter().find(|entry| entry.sweep.id == *id)
    }

    /// The sweep that is shown.
    #[must_use]
    pub fn shown(&self) -> Option<&SweepEntry> {
        self.entry(self.shown.as_ref()?)
    }

    /// Whether this sweep is being trained.
    #[must_use]
    pub fn is_live(&self, id: &SweepId) -> bool {
        let live = self.live.as_ref();
        live.is_some_and(|live| live.id.as_ref() == Some(id))
    }

    /// The number of the current training of a sweep.
    #[must_use]
    pub fn training(&self, id: &SweepId) -> Option<u32> {
        let live = self.live.as_ref();
        live.filter(|live| live.id.as_ref() == Some(id))?.training
    }

    /// The estimate for a draft; `None` while it is unknown.
    #[must_use]
    pub fn estimate(&self, draft: &SweepDraft) -> Option<&SweepEstimate> {
        self.estimate.as_ref().filter(|known| known.draft == *draft)
    }

    fn put(&mut self, entry: SweepEntry) {
        match self
            .list
            .iter_mut()
            .find(|known| known.sweep.id == entry.sweep.id)
        {
            Some(known) => *known = entry,
            None => self.list.insert(0, entry),
        }
        self.revision += 1;
    }
}

impl App {
    pub(in crate::app) fn apply_sweep(&mut self, action: SweepAction) {
        match action {
            SweepAction::Ask => self.ask_sweep(),
            SweepAction::Estimate(draft) => self.estimate_sweep(draft),
            SweepAction::Start(draft) => self.start_sweep(Some(draft), None, false),
            SweepAction::Resume(id) => self.start_sweep(None, Some(id), false),
            SweepAction::TryAgain(id) => self.start_sweep(None, Some(id), true),
            SweepAction::Pause(paused) => {
                if let Some(work) = self.sweep_work() {
                    work.set_paused(paused);
                }
            }
            SweepAction::Cancel => {
                let live = self.session.as_ref().and_then(|of| of.sweep.live.as_ref());
                if let Some(task) = live.map(|live| live.task) {
                    self.tasks.cancel(task);
                    // A cancelled task that was only waiting ends without a result.
                    if !self.tasks.is_alive(task)
                        && let Some(session) = &mut self.session
                    {
                        session.sweep.live = None;
                        session.train.sweeping = None;
                    }
                }
            }
            SweepAction::Show(id) => {
                if let Some(session) = &mut self.session {
                    if session.sweep.shown != id {
                        session.sweep.selected = None;
                    }
                    session.sweep.shown = id;
                }
            }
            SweepAction::Select(row) => {
                if let Some(session) = &mut self.session {
                    session.sweep.selected = row;
                    let entry = session.sweep.shown();
                    let row = row.and_then(|row| entry?.table.rows.get(row));
                    let run: Option<RunId> = row.and_then(|row| row.runs.first().cloned());
                    if let Some(run) = run.filter(|run| session.train.run(run).is_some()) {
                        self.apply_train(TrainAction::Focus(run));
                    }
                }
            }
            SweepAction::Adopt(id, row) => self.adopt_row(&id, row),
            SweepAction::Copy(id) => {
                let entry = self.session.as_ref().and_then(|of| of.sweep.entry(&id));
                if let Some(entry) = entry {
                    self.ctx.copy_text(csv(&entry.table));
                    self.notes.add(Tone::Info, "Table copied as CSV");
                }
            }
            SweepAction::Remove(id) => self.move_sweep(id, true),
            SweepAction::Restore(id) => self.move_sweep(id, false),
        }
    }

    /// The progress of the sweep; `None` while it waits for other tasks.
    #[must_use]
    pub fn sweep_work(&self) -> Option<&Work> {
        let task = self.session.as_ref()?.sweep.live.as_ref()?.task;
        let mut running = self.tasks.running().iter();
        running
            .find(|running| running.id == task)
            .map(|running| &running.work)
    }

    fn start_sweep(&mut self, draft: Option<SweepDraft>, resumed: Option<SweepId>, again: bool) {
        if !self.may_change() {
            return;
        }
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.sweep;
        if state.live.is_some() || session.train.live.is_some() {
            return;
        }
        let plan = match draft.map(|draft| draft.plan(&session.train.settings)) {
            None => None,
            Some(Ok(plan)) => Some(plan),
            Some(Err(error)) => {
                self.fail(error.to_string());
                return;
            }
        };
        if let Some((_, task)) = state.estimating.take() {
            self.tasks.cancel(task);
        }
        let watch = LiveSweep::default();
        let (project, paces) = (Arc::clone(&session.project), Arc::clone(&state.paces));
        let (on_thread, id) = (watch.clone(), resumed.clone());
        let task = self.tasks.start_as(
            Lane::Learn,
            "Sweep",
            false,
            move |work| {
                let id = match (plan, id) {
                    (Some(plan), _) => {
                        let mut trainings = plan.trainings()?;
                        let mut paces = paces.lock();
                        estimate(&project, &mut trainings, &mut paces, work)?;
                        begin(&project, &plan, trainings)?.id
                    }
                    (None, Some(id)) => {
                        if again {
                            try_again(&project, &id)?;
                        }
                        id
                    }
                    (None, None) => return Err(SweepError::NoSuchSweep(String::new())),
                };
                run(&project, &id, &on_thread, work)
            },
            Self::swept,
        );
        if let Some(session) = &mut self.session {
            let begun = resumed.as_ref().and_then(|id| session.sweep.entry(id));
            let begun = begun.map(|entry| entry.sweep.created.clone());
            session.train.sweeping.clone_from(&begun);
            if resumed.is_some() {
                session.sweep.shown.clone_from(&resumed);
            }
            session.sweep.live = Some(SweepLive {
                task,
                id: resumed,
                training: None,
                begun,
                watch,
                revision: 0,
            });
        }
    }

    fn swept(&mut self, task: TaskId, result: Result<Sweep, JobError>) {
        self.follow_sweep();
        // The project may have been closed, or closed and opened again, in the meantime.
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.sweep;
        if state.live.as_ref().is_none_or(|live| live.task != task) {
            return;
        }
        state.live = None;
        state.revision += 1;
        session.train.sweeping = None;
        let missing = session.missing;
        match result {
            Ok(sweep) => {
                let count = words::count(sweep.trainings.len() as u64, "training");
                let text = format!("Sweep finished: {count}");
                self.notes.add(Tone::Done, text).remedy = Some((
                    "Show".to_owned(),
                    Action::Sweep(SweepAction::Show(Some(sweep.id))),
                ));
            }
            // The window already reports that the project is missing.
            Err(_) if missing => {}
            Err(JobError::Cancelled) => {
                self.notes
                    .add(Tone::Info, "The sweep was cancelled and can be resumed");
            }
            Err(error) => {
                self.fail(error.to_string());
            }
        }
        self.load_runs();
    }

    /// Reads the results of the sweep in progress since the last frame.
    pub(in crate::app) fn follow_sweep(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.sweep;
        let Some(live) = &mut state.live else { return };
        let Some(now) = live.watch.since(live.revision) else {
            return;
        };
        live.revision = now.revision;
        live.training = now.training;
        let Some(sweep) = now.sweep else { return };
        if live.id.is_none() {
            state.shown = Some(sweep.id.clone());
            state.selected = None;
        }
        live.id = Some(sweep.id.clone());
        live.begun = Some(sweep.created.clone());
        session.train.sweeping.clone_from(&live.begun);
        let ended = now.training.is_none();
        state.put(SweepEntry {
            sweep,
            table: now.table,
        });
        if ended {
            self.load_runs();
        }
    }

    /// Reads the sweeps again, in the background.
    pub(in crate::app) fn load_sweeps(&mut self) {
        let Some(session) = self.session.as_ref().filter(|session| !session.missing) else {
            return;
        };
        let project = Arc::clone(&session.project);
        let task = self.tasks.start_as(
            Lane::Free,
            "Reading the sweeps",
            true,
            move |_| {
                let FoundSweeps { sweeps, unreadable } = find_sweeps(&project)?;
                let entries = sweeps.into_iter().map(|sweep| SweepEntry {
                    table: Arc::new(Table::of(&sweep)),
                    sweep: Arc::new(sweep),
                });
                let problems = unreadable.iter().map(ToString::to_string);
                Ok::<(Vec<_>, Vec<_>), SweepError>((entries.collect(), problems.collect()))
            },
            |app, task, result| match result {
                Ok((entries, problems)) => {
                    let Some(session) = &mut app.session else {
                        return;
                    };
                    let state = &mut session.sweep;
                    // A later reading is newer; the table of the sweep in progress comes from the training.
                    if state.reading != Some(task) {
                        return;
                    }
                    let live = state.live.as_ref().and_then(|live| live.id.clone());
                    let live = live.and_then(|id| state.entry(&id).cloned());
                    state.list = entries;
                    state.problems = problems;
                    state.revision += 1;
                    if let Some(live) = live {
                        state.put(live);
                    }
                    if state.shown().is_none() {
                        state.shown = None;
                        state.selected = None;
                    }
                }
                Err(JobError::Cancelled) => {}
                Err(error) => {
                    app.fail(error.to_string());
                }
            },
        );
        if let Some(session) = &mut self.session {
            session.sweep.reading = Some(task);
        }
    }

    fn adopt_row(&mut self, id: &SweepId, row: usize) {
        let Some(session) = &self.session else { return };
        let Some(entry) = session.sweep.entry(id) else {
            return;
        };
        let Some(row) = entry.table.rows.get(row) else {
            return;
        };
        let (settings, name) = (row.settings.clone(), entry.table.words(row));
        let finished = |run: &RunId| {
            let entry = session.train.run(run);
            entry.is_some_and(|entry| entry.run.state == RunState::Finished)
        };
        let run = row.runs.iter().find(|run| finished(run)).cloned();
        self.apply_train(TrainAction::SetDepth(Some(settings.fine_tune.depth)));
        self.apply_train(TrainAction::Set(settings));
        let what = if run.is_some() {
            "Its run is selected in Evaluate and Export"
        } else {
            "Its run no longer exists; train it again with Train"
        };
        let text = format!("Adopted: {name}. {what}");
        let note = self.notes.add(Tone::Done, text);
        if let Some(run) = run {
            note.remedy = Some((
                "Evaluate".to_owned(),
                Action::Evaluate(EvaluateAction::Open(run.clone())),
            ));
            self.apply_train(TrainAction::Focus(run.clone()));
            self.apply_evaluate(EvaluateAction::Choose(run.clone()));
            self.apply_export(ExportAction::Run(run));
        }
    }

    /// Moves a sweep to the trash or back.
    fn move_sweep(&mut self, id: SweepId, away: bool) {
        if !self.may_change() {
            return;
        }
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.sweep;
        if away && state.is_live(&id) {
            return;
        }
        if away && state.shown.as_ref() == Some(&id) {
            state.shown = None;
            state.selected = None;
        }
        let project = Arc::clone(&session.project);
        self.tasks.start(
            Lane::Edit,
            "Moving a sweep",
            true,
            move |_| {
                if away {
                    remove(&project, &id)
                } else {
                    restore(&project, &id)
                }
            },
            move |app, result| {
                match result {
                    Ok(trashed) if away => {
                        let text = "The sweep was moved to the trash; its runs are kept";
                        app.notes.add(Tone::Info, text).remedy = Some((
                            "Undo".to_owned(),
                            Action::Sweep(SweepAction::Restore(trashed)),
                        ));
                    }
                    Ok(_) | Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(format!(
                            "The sweep could not be moved to the trash: {error}"
                        ));
                    }
                }
                app.load_sweeps();
            },
        );
    }
}
