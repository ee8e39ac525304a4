//! Emptying the project's trash: its content, the question, the deletion.

use std::sync::Arc;

use parking_lot::Mutex;

use super::dialog::Dialog;
use super::notes::Tone;
use super::{App, Lane, words};
use crate::jobs::{JobError, Work};
use crate::project::{History, Project, ProjectError, Trash};

impl App {
    /// Counts the content of the trash, and asks whether to delete it.
    pub(super) fn ask_empty_trash(&mut self) {
        let Some(session) = &self.session else {
            return;
        };
        let project = Arc::clone(&session.project);
        // After the changes that were requested before, so that they are counted.
        self.tasks.start(
            Lane::Edit,
            "Reading the trash",
            false,
            move |work| project.trash_contents(work),
            move |app, result: Result<Trash, JobError>| {
                match result {
                    Ok(found) if found.files == 0 => {
                        app.notes.add(Tone::Info, "The trash is empty");
                    }
                    // Another dialog that was opened in the meantime is not replaced.
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

    /// Deletes these frames in the trash permanently.
    pub(super) fn delete_for_good(&mut self, frames: Vec<String>) {
        self.delete_in_trash(
            "Deleting from the trash",
            frames.len() as u64,
            |project, history, work| {
                let deleted = project.delete_trashed(&frames, work);
                let gone: Vec<String> = frames
                    .into_iter()
                    .filter(|path| !project.abs(path).exists())
                    .collect();
                history.lock().forget_deleted(&gone);
                deleted
            },
            |app, deleted| format!("{} deleted", app.noun().count(deleted as usize)),
            None,
        );
    }

    /// Deletes the content of the trash.
    pub(super) fn empty_trash(&mut self, expected: Trash) {
        self.delete_in_trash(
            "Emptying the trash",
            expected.files,
            |project, history, work| {
                let deleted = project.empty_trash(work)?;
                // Their frames can no longer be restored.
                history.lock().forget_removals();
                Ok(deleted)
            },
            |_, deleted| {
                let files = words::count(deleted, "file");
                format!("The trash is empty; {files} deleted")
            },
            Some("The rest of the trash was kept"),
        );
    }

    /// Runs `delete`, which returns how many files it deleted, on `files` of them in the background. Reports the
    /// sentence that `done` returns for that number, or `cancelled`.
    fn delete_in_trash(
        &mut self,
        title: &'static str,
        files: u64,
        delete: impl FnOnce(&Project, &Mutex<History>, &Work) -> Result<u64, ProjectError>
        + Send
        + 'static,
        done: impl FnOnce(&Self, u64) -> String + 'static,
        cancelled: Option<&'static str>,
    ) {
        if !self.may_change() {
            return;
        }
        let Some(session) = &self.session else {
            return;
        };
        let project = Arc::clone(&session.project);
        let history = session.edits.history();
        self.tasks.start(
            Lane::Edit,
            title,
            false,
            move |work| {
                work.stage(title, Some(files));
                let deleted = delete(&project, &history, work)?;
                let history = history.lock();
                Ok::<_, ProjectError>((deleted, history.undo_step(), history.redo_text()))
            },
            move |app, result| {
                match result {
                    Ok((deleted, undo_text, redo_text)) => {
                        if let Some(session) = &mut app.session {
                            session.edits.set_texts(undo_text, redo_text);
                        }
                        let text = done(app, deleted);
                        app.notes.add(Tone::Done, text);
                    }
                    Err(JobError::Cancelled) => {
                        if let Some(text) = cancelled {
                            app.notes.add(Tone::Info, text);
                        }
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
