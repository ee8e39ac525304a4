//! Changes of the project that can be undone ([`crate::project::History`]).
//!
//! They are made one after the other on a thread; the screen shows their effect before ([`super::edit_effect`]), and a
//! scan corrects it afterwards unless the effect was exactly the same.

use std::sync::Arc;

use parking_lot::Mutex;

use super::edit_effect::{self, PendingEffect, Renames};
use super::{App, Dialog, Lane, Session, notes::Tone, words};
use crate::jobs::{JobError, Work};
use crate::project::{Change, ChangeText, History, Project, ProjectError, SourceKind, UndoStep};

/// The direction of an edit.
#[derive(Debug, Clone)]
enum Way {
    Forward(Change),
    Undo(String),
    Redo(String),
}

/// The result of an edit from its thread.
struct Edited {
    renames: Renames,
    /// Whether the frames were moved exactly as the window already shows.
    as_shown: bool,
    undo_text: Option<UndoStep>,
    redo_text: Option<ChangeText>,
}

/// The history, and what can be undone and redone after the last finished edit.
#[derive(Default)]
pub(super) struct Edits {
    history: Arc<Mutex<History>>,
    undo_text: Option<UndoStep>,
    redo_text: Option<ChangeText>,
    pub(super) pending: PendingEffect,
}

impl Edits {
    pub(super) fn history(&self) -> Arc<Mutex<History>> {
        Arc::clone(&self.history)
    }

    /// Sets what can be undone and redone.
    pub(super) fn set_texts(&mut self, undo: Option<UndoStep>, redo: Option<ChangeText>) {
        self.undo_text = undo;
        self.redo_text = redo;
    }
}

impl Session {
    /// Whether something can be undone.
    #[must_use]
    pub fn can_undo(&self) -> bool {
        self.edits.undo_text.is_some()
    }

    /// The name of what would be undone. For an import it includes the frames that have been extracted since, which
    /// are removed as well: `import 15 files and their 168 frames`.
    #[must_use]
    pub fn undo_text(&self) -> Option<String> {
        let step = self.edits.undo_text.as_ref()?;
        Some(match self.undo_frames() {
            0 => step.text.with(self.noun()),
            frames => {
                let their = if step.sources.len() == 1 {
                    "its"
                } else {
                    "their"
                };
                let step = step.text.with(self.noun());
                format!("{step} and {their} {}", words::frames(frames))
            }
        })
    }

    /// The number of frames that undoing an import would remove as well.
    #[must_use]
    pub fn undo_frames(&self) -> usize {
        let Some(step) = self.edits.undo_text.as_ref() else {
            return 0;
        };
        if step.sources.is_empty() {
            return 0;
        }
        self.sources
            .iter()
            .filter(|source| source.kind == SourceKind::Video && step.sources.contains(&source.id))
            .map(|source| self.snapshot.counts.source(&source.id))
            .sum()
    }

    /// The name of what would be redone.
    #[must_use]
    pub fn redo_text(&self) -> Option<String> {
        let text = self.edits.redo_text.as_ref()?;
        Some(text.with(self.noun()))
    }
}

impl App {
    /// Makes a change that can be undone.
    pub(super) fn edit(&mut self, change: Change) {
        let shown = change.clone();
        self.edit_as(&shown, change);
    }

    /// Makes a change whose effect on the frames is that of `shown`; the screen shows it at once.
    pub(super) fn edit_as(&mut self, shown: &Change, change: Change) {
        if self.may_change() {
            self.preview_effect(shown);
            self.run_edit(Way::Forward(change));
        }
    }

    /// Undoes the last change. Asks first if it is an import whose videos have been extracted since.
    pub(super) fn undo(&mut self) {
        let Some(session) = self.session.as_ref().filter(|session| session.can_undo()) else {
            return;
        };
        let frames = session.undo_frames();
        if frames == 0 || !self.may_change() {
            self.undo_now();
        } else {
            self.dialog = Some(Dialog::UndoImport { frames });
        }
    }

    pub(super) fn undo_now(&mut self) {
        if let Some(text) = self.session.as_ref().and_then(Session::undo_text) {
            self.run_edit(Way::Undo(text));
        }
    }

    pub(super) fn redo(&mut self) {
        if let Some(text) = self.session.as_ref().and_then(Session::redo_text) {
            self.run_edit(Way::Redo(text));
        }
    }

    fn run_edit(&mut self, way: Way) {
        if !self.may_change() {
            return;
        }
        let Some(session) = &self.session else {
            return;
        };
        let project = Arc::clone(&session.project);
        let history = Arc::clone(&session.edits.history);
        let title = match &way {
            Way::Forward(change) => words::sentence(&change.text().with(session.noun())),
            Way::Undo(text) => format!("Undo {text}"),
            Way::Redo(text) => format!("Redo {text}"),
        };
        let note = match &way {
            Way::Forward(_) => None,
            Way::Undo(text) => Some(format!("Undone: {text}")),
            Way::Redo(text) => Some(format!("Redone: {text}")),
        };
        self.tasks.start(
            Lane::Edit,
            &title,
            false,
            move |work| run(way, &project, &history, work),
            move |app, result: Result<Edited, JobError>| {
                let mut as_shown = false;
                match result {
                    Ok(edited) => {
                        as_shown = edited.as_shown;
                        if let Some(session) = &mut app.session {
                            session.moved(&edited.renames);
                            session.edits.undo_text = edited.undo_text;
                            session.edits.redo_text = edited.redo_text;
                        }
                        app.tidy(edited.renames);
                        if let Some(note) = note {
                            app.notes.add(Tone::Done, note);
                        }
                    }
                    Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(error.to_string());
                    }
                }
                // Listing all frames after each labelling would cost more the larger the project is. But a scan in
                // progress may have begun before the edit.
                if !as_shown || app.refreshing {
                    app.refresh();
                }
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
    // Only edits lock it, and they run one after the other.
    let mut history = history.lock();
    let (expected, is_shown) = match &way {
        Way::Forward(change) => (edit_effect::renames(change), shows_whole_effect(change)),
        Way::Undo(_) | Way::Redo(_) => (Renames::new(), false),
    };
    let outcome = match way {
        Way::Forward(change) => history.apply(project, change, work)?,
        Way::Undo(_) => history.undo(project, work)?.unwrap_or_default(),
        Way::Redo(_) => history.redo(project, work)?.unwrap_or_default(),
    };
    let as_it_was = |(from, to): &(String, String)| expected.get(from) == Some(to);
    Ok(Edited {
        as_shown: is_shown
            && !expected.is_empty()
            && outcome.moved.len() == expected.len()
            && outcome.moved.iter().all(as_it_was),
        // The predicted effect is already shown.
        renames: outcome
            .moved
            .into_iter()
            .filter(|pair| !as_it_was(pair))
            .collect(),
        undo_text: history.undo_step(),
        redo_text: history.redo_text(),
    })
}

/// Whether the screen shows the whole effect of a change before it is made. Changes of the trash's content are listed
/// by a scan.
fn shows_whole_effect(change: &Change) -> bool {
    match change {
        Change::Relabel { frames, .. } => frames.iter().all(|path| !path.starts_with("trash/")),
        _ => false,
    }
}
