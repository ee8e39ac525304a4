//! Emptying the project's trash: how much lies in it, the question, the deletion.

use std::sync::{Arc, PoisonError};

use super::dialog::Dialog;
use super::notes::Tone;
use super::{App, Lane, words};
use crate::jobs::JobError;
use crate::project::{ProjectError, Trash};

impl App {
    /// Looks how much there is, and asks.
    pub(super) fn ask_empty_trash(&mut self) {
        let Some(session) = &self.session else {
            return;
        };
        let project = Arc::clone(&session.project);
        let root = session.root.clone();
        // After the changes that were asked for before, so that they count.
        self.tasks.start(
            Lane::Edit,
            "Looking into the trash",
            false,
            move |work| project.trash_contents(work),
            move |app, result: Result<Trash, JobError>| {
                if app.session.as_ref().is_none_or(|now| now.root != root) {
                    return;
                }
                match result {
                    Ok(found) if found.files == 0 => {
                        app.notes.add(Tone::Info, "The trash is empty");
                    }
                    // Whatever is being asked meanwhile comes first.
                    Ok(found) if app.dialog.is_none() => {
                        app.dialog = Some(Dialog::EmptyTrash(found));
                    }
                    Ok(_) | Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(error.to_string());
                    }
                }
            },
        );
    }

    /// Deletes these frames in the trash.
    pub(super) fn delete_for_good(&mut self, frames: Vec<String>) {
        if !self.may_change() {
            return;
        }
        let Some(session) = &self.session else {
            return;
        };
        let project = Arc::clone(&session.project);
        let history = session.edits.history();
        let root = session.root.clone();
        self.tasks.start(
            Lane::Edit,
            "Deleting from the trash",
            false,
            move |work| {
                work.stage("Deleting from the trash", Some(frames.len() as u64));
                let deleted = project.delete_trashed(&frames, work);
                let gone: Vec<String> = frames
                    .into_iter()
                    .filter(|path| !project.abs(path).exists())
                    .collect();
                let mut history = history.lock().unwrap_or_else(PoisonError::into_inner);
                history.forget_deleted(&gone);
                Ok::<_, ProjectError>((deleted?, history.undo_step(), history.redo_text()))
            },
            move |app, result| {
                match result {
                    Ok((deleted, undo_text, redo_text)) => {
                        if let Some(session) = &mut app.session
                            && session.root == root
                        {
                            session.edits.set_texts(undo_text, redo_text);
                        }
                        let images = app.noun().count(deleted as usize);
                        app.notes.add(Tone::Done, format!("{images} deleted"));
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

    /// Deletes what lies in the trash.
    pub(super) fn empty_trash(&mut self, expected: Trash) {
        if !self.may_change() {
            return;
        }
        let Some(session) = &self.session else {
            return;
        };
        let project = Arc::clone(&session.project);
        let history = session.edits.history();
        let root = session.root.clone();
        self.tasks.start(
            Lane::Edit,
            "Emptying the trash",
            false,
            move |work| {
                work.stage("Emptying the trash", Some(expected.files));
                let deleted = project.empty_trash(work)?;
                // Their frames cannot come back any more.
                let mut history = history.lock().unwrap_or_else(PoisonError::into_inner);
                history.forget_removals();
                Ok::<_, ProjectError>((deleted, history.undo_step(), history.redo_text()))
            },
            move |app, result| {
                match result {
                    Ok((deleted, undo_text, redo_text)) => {
                        if let Some(session) = &mut app.session
                            && session.root == root
                        {
                            session.edits.set_texts(undo_text, redo_text);
                        }
                        let files = words::count(deleted, "file", "files");
                        app.notes
                            .add(Tone::Done, format!("The trash is empty; {files} deleted"));
                    }
                    Err(JobError::Cancelled) => {
                        app.notes
                            .add(Tone::Info, "The rest of the trash is still there");
                    }
                    Err(error) => {
                        app.fail(error.to_string());
                    }
                }
                app.refresh();
            },
        );
    }
}
