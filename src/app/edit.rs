//! Changes of the project that can be undone ([`crate::project::History`]).
//!
//! They are made one after the other on a thread; the screen shows their effect at once and is set right
//! by a scan when they are through.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use super::{App, Lane, Session, Show, label::label_prefix, notes::Tone};
use crate::jobs::{JobError, Work};
use crate::project::{Change, History, Label, Outcome, Project, ProjectError};

/// Which way an edit goes.
#[derive(Debug, Clone)]
enum Way {
    Forward(Change),
    Undo(String),
    Redo(String),
}

/// What an edit brings from its thread.
struct Edited {
    outcome: Outcome,
    undo_text: Option<String>,
    redo_text: Option<String>,
}

/// The history, and what can be undone and redone as of the last edit that went through.
#[derive(Default)]
pub(super) struct Edits {
    history: Arc<Mutex<History>>,
    undo_text: Option<String>,
    redo_text: Option<String>,
}

impl Edits {
    pub(super) fn history(&self) -> Arc<Mutex<History>> {
        Arc::clone(&self.history)
    }

    /// What can be undone and redone now.
    pub(super) fn set_texts(&mut self, undo: Option<String>, redo: Option<String>) {
        self.undo_text = undo;
        self.redo_text = redo;
    }
}

impl Session {
    /// The name of what would be undone.
    #[must_use]
    pub fn undo_text(&self) -> Option<&str> {
        self.edits.undo_text.as_deref()
    }

    /// The name of what would be redone.
    #[must_use]
    pub fn redo_text(&self) -> Option<&str> {
        self.edits.redo_text.as_deref()
    }

    /// Shows the effect of a change before it is made.
    fn foresee(&mut self, change: &Change) {
        match change {
            Change::Relabel { frames, to } => {
                self.foresee_relabel(frames, to);
                // The order does not depend on labels; with all of them shown, the same frames are.
                if self.label.show == Show::All {
                    return;
                }
            }
            Change::Trash { frames } => {
                let gone: HashSet<&str> = frames.iter().map(String::as_str).collect();
                self.snapshot
                    .remove(|frame| gone.contains(frame.path.as_str()));
            }
            // Their effect is a matter of milliseconds; the scan shows it.
            Change::CreateClass { .. }
            | Change::DeleteClass { .. }
            | Change::RenameClass { .. }
            | Change::MoveClass { .. } => return,
        }
        self.rebuild_shown();
    }

    fn foresee_relabel(&mut self, frames: &[String], label: &Label) {
        let prefix = label_prefix(label);
        let moved: Vec<(&str, String)> = frames
            .iter()
            .filter_map(|path| {
                let (_, name) = path.rsplit_once('/')?;
                Some((path.as_str(), format!("{prefix}/{name}")))
            })
            .collect();
        let paths: HashMap<&str, &str> = moved.iter().map(|(from, to)| (*from, &**to)).collect();
        self.moved(&paths);
        self.snapshot.change(|list| {
            for frame in list {
                if let Some(to) = paths.get(frame.path.as_str()) {
                    (*to).clone_into(&mut frame.path);
                    frame.label = label.clone();
                }
            }
        });
    }

    /// Frames have other paths now: their pictures and their places in the selection move along.
    fn moved(&mut self, paths: &HashMap<&str, &str>) {
        self.pictures.renamed(&self.root, paths);
        let selection = std::mem::take(&mut self.label.selection);
        self.label.selection = selection
            .into_iter()
            .map(|path| match paths.get(path.as_str()) {
                Some(to) => (*to).to_owned(),
                None => path,
            })
            .collect();
        for place in [&mut self.label.cursor, &mut self.label.anchor] {
            if let Some(to) = place.as_ref().and_then(|path| paths.get(path.as_str())) {
                *place = Some((*to).to_owned());
            }
        }
    }
}

impl App {
    /// Makes a change that can be undone.
    pub(super) fn edit(&mut self, change: Change) {
        if let Some(session) = &mut self.session {
            session.foresee(&change);
        }
        self.run_edit(Way::Forward(change));
    }

    pub(super) fn undo(&mut self) {
        if let Some(text) = self.session.as_ref().and_then(Session::undo_text) {
            self.run_edit(Way::Undo(text.to_owned()));
        }
    }

    pub(super) fn redo(&mut self) {
        if let Some(text) = self.session.as_ref().and_then(Session::redo_text) {
            self.run_edit(Way::Redo(text.to_owned()));
        }
    }

    fn run_edit(&mut self, way: Way) {
        let Some(session) = &self.session else {
            return;
        };
        let project = Arc::clone(&session.project);
        let history = Arc::clone(&session.edits.history);
        let root = session.root.clone();
        let title = match &way {
            Way::Forward(change) => super::words::sentence(&change.text()),
            Way::Undo(text) => format!("Undo {text}"),
            Way::Redo(text) => format!("Redo {text}"),
        };
        let said = match &way {
            Way::Forward(_) => None,
            Way::Undo(text) => Some(format!("Undone: {text}")),
            Way::Redo(text) => Some(format!("Done again: {text}")),
        };
        self.tasks.start(
            Lane::Edit,
            &title,
            false,
            move |work| run(way, &project, &history, work),
            move |app, result: Result<Edited, JobError>| {
                match result {
                    Ok(edited) => {
                        if let Some(session) = &mut app.session
                            && session.root == root
                        {
                            let moved = edited.outcome.moved.iter();
                            session.moved(&moved.map(|(from, to)| (&**from, &**to)).collect());
                            session.edits.undo_text = edited.undo_text;
                            session.edits.redo_text = edited.redo_text;
                        }
                        if let Some(said) = said {
                            app.notes.add(Tone::Done, said);
                        }
                    }
                    Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(error.to_string());
                    }
                }
                app.refresh();
            },
        );
    }
}

fn run(
    way: Way,
    project: &Project,
    history: &Mutex<History>,
    work: &Work,
) -> Result<Edited, ProjectError> {
    // Only edits lock it, and they come one after the other.
    let mut history = history.lock().unwrap_or_else(PoisonError::into_inner);
    let outcome = match way {
        Way::Forward(change) => history.apply(project, change, work)?,
        Way::Undo(_) => history.undo(project, work)?.unwrap_or_default(),
        Way::Redo(_) => history.redo(project, work)?.unwrap_or_default(),
    };
    Ok(Edited {
        outcome,
        undo_text: history.undo_text(),
        redo_text: history.redo_text(),
    })
}
