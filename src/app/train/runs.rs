//! The runs of the open project: reading, removing, restoring.

use std::sync::Arc;

use super::{RunEntry, TrainAction, TrainState};
use crate::app::notes::Tone;
use crate::app::{Action, App, Lane};
use crate::jobs::JobError;
use crate::train::{
    Curves, FoundRuns, Metrics, Part, Run, RunId, RunNote, RunState, TrainError, find_runs,
    remove_run, restore_run,
};

impl RunEntry {
    /// Reads what is drawn of a run. Unreadable files are left out, with a sentence in `problems`.
    fn of(run: Run, problems: &mut Vec<String>) -> Self {
        fn read<T: Default>(found: Result<T, TrainError>, problems: &mut Vec<String>) -> T {
            found.unwrap_or_else(|error| {
                problems.push(error.to_string());
                T::default()
            })
        }
        // A run that was interrupted in its first part has only the curves of the head.
        let in_the_head = run.state == RunState::Unfinished && run.head_only().is_none();
        let stage = if in_the_head {
            run.head_stage()
        } else {
            run.last_stage()
        };
        let curves: Curves = read(stage.curves(), problems);
        let metrics: Metrics = read(stage.measured(), problems);
        let (head, head_metrics) = if stage.part() == Part::Head {
            (Curves::new(), Metrics::default())
        } else {
            let head = run.head_stage();
            (
                read(head.curves(), problems),
                read(head.measured(), problems),
            )
        };
        let (curves, metrics) = (Arc::new(curves), Arc::new(metrics));
        let (head, head_metrics) = (Arc::new(head), Arc::new(head_metrics));
        let note = read(run.note(), problems);
        Self {
            run,
            curves,
            head,
            metrics,
            head_metrics,
            note,
        }
    }
}

impl App {
    /// Reads the runs again, in the background.
    pub(in crate::app) fn load_runs(&mut self) {
        let Some(session) = self.session.as_ref().filter(|session| !session.missing) else {
            return;
        };
        let project = Arc::clone(&session.project);
        let task = self.tasks.start_as(
            Lane::Free,
            "Reading the runs",
            true,
            move |_| {
                let FoundRuns { runs, unreadable } = find_runs(&project)?;
                let problems = unreadable.iter().map(|run| run.error.to_string());
                let mut problems: Vec<String> = problems.collect();
                let entries = runs.into_iter().map(|run| RunEntry::of(run, &mut problems));
                Ok::<(Vec<_>, Vec<_>), TrainError>((entries.collect(), problems))
            },
            |app, task, result| match result {
                Ok((entries, problems)) => {
                    // The result of the read that was started later is kept, even if it ends first.
                    if let Some(session) = &mut app.session
                        && session.train.reading == Some(task)
                    {
                        let before = session.evaluate.result(&session.train);
                        session.train.take_runs(entries);
                        session.train.problems = problems;
                        session.evaluate.follow(&session.train, before.as_ref());
                    }
                }
                Err(JobError::Cancelled) => {}
                Err(error) => {
                    app.fail(error.to_string());
                }
            },
        );
        if let Some(session) = &mut self.session {
            session.train.reading = Some(task);
        }
        self.load_sweeps();
    }

    /// Gives a run a name and a note, replacing those it had.
    pub(in crate::app) fn set_note(&mut self, id: &RunId, note: RunNote) {
        let Some(session) = &mut self.session else {
            return;
        };
        let entries = &mut session.train.runs;
        let Some(entry) = entries.iter_mut().find(|entry| entry.run.id == *id) else {
            return;
        };
        entry.note.clone_from(&note);
        let run = entry.run.clone();
        session.train.revision += 1;
        self.tasks.start(
            Lane::Edit,
            "Saving a note",
            true,
            move |_| run.set_note(&note),
            |app, result| {
                if let Err(error) = result {
                    app.fail(error.to_string());
                    app.load_runs();
                }
            },
        );
    }

    /// Moves a run to the project's trash.
    pub(in crate::app) fn remove_run(&mut self, id: RunId) {
        if !self.may_change() {
            return;
        }
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.train;
        if state.is_live(&id) {
            return;
        }
        state.runs.retain(|entry| entry.run.id != id);
        state.revision += 1;
        state.forget_gone();
        let project = Arc::clone(&session.project);
        self.tasks.start(
            Lane::Edit,
            "Moving a run",
            true,
            move |_| remove_run(&project, &id),
            |app, result| {
                match result {
                    Ok(trashed) => {
                        app.notes
                            .add(Tone::Info, "The run was moved to the trash")
                            .remedy = Some((
                            "Undo".to_owned(),
                            Action::Train(TrainAction::Restore(trashed)),
                        ));
                    }
                    Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(format!("The run could not be moved to the trash: {error}"));
                    }
                }
                app.load_runs();
            },
        );
    }

    /// Moves a run back from the trash.
    pub(in crate::app) fn restore_run(&mut self, trashed: RunId) {
        if !self.may_change() {
            return;
        }
        let Some(session) = &mut self.session else {
            return;
        };
        let project = Arc::clone(&session.project);
        self.tasks.start(
            Lane::Edit,
            "Moving a run",
            true,
            move |_| restore_run(&project, &trashed),
            |app, result| {
                match result {
                    Ok(_) | Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(format!("The run could not be restored: {error}"));
                    }
                }
                app.load_runs();
            },
        );
    }
}

impl TrainState {
    /// A run is resumed: until it ends again, it has no result.
    pub(in crate::app) fn begin_again(&mut self, id: &RunId) {
        if let Some(entry) = self.runs.iter_mut().find(|entry| entry.run.id == *id) {
            entry.run.begin_again();
        }
        self.revision += 1;
        self.overlays.remove(id);
    }

    fn take_runs(&mut self, entries: Vec<RunEntry>) {
        self.runs = entries;
        self.color_runs();
        self.revision += 1;
        self.runs_known = true;
        self.forget_gone();
        if self.focus.is_none() {
            self.focus = self.runs.first().map(|entry| entry.run.id.clone());
        }
    }

    fn forget_gone(&mut self) {
        let there = |id: &RunId| self.runs.iter().any(|entry| entry.run.id == *id);
        if self.focus.as_ref().is_some_and(|id| !there(id)) {
            self.focus = None;
        }
        let gone: Vec<RunId> = self
            .overlays
            .iter()
            .filter(|id| !there(id))
            .cloned()
            .collect();
        for id in gone {
            self.overlays.remove(&id);
        }
    }
}
