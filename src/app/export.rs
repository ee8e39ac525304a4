//! The export workspace's state: the run, the format, the folder, and what was written.

use std::path::PathBuf;
use std::sync::Arc;

use super::notes::Tone;
use super::tasks::TaskId;
use super::{App, Lane, Session};
use crate::export::{
    Bundle, ExportError, Format, FoundExport, Options, Order, export, exports_in, found_in,
};
use crate::jobs::JobError;
use crate::train::RunId;

/// Why an export failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportFailure {
    /// A sentence.
    pub text: String,
    /// Whether a model loses too much, which can be accepted.
    pub is_loss: bool,
}

/// The state of the export workspace.
pub struct ExportState {
    /// The run; `None` is the newest finished one.
    pub run: Option<RunId>,
    /// The formats, at least one, in the order in which they are offered.
    pub formats: Vec<Format>,
    /// The folder chosen by the user; `None` is the project's own.
    pub dir: Option<PathBuf>,
    /// The export in progress.
    pub task: Option<TaskId>,
    /// What was exported, newest first.
    pub done: Vec<FoundExport>,
    /// Whether the folders of exports were read, and nobody was in another program since.
    known: bool,
    /// Why the last export failed.
    pub error: Option<ExportFailure>,
}

impl Default for ExportState {
    fn default() -> Self {
        Self {
            run: None,
            formats: vec![Format::ONNX],
            dir: None,
            task: None,
            done: Vec::new(),
            known: false,
            error: None,
        }
    }
}

/// What a person does in the export workspace.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportAction {
    /// Exports this run.
    Run(RunId),
    /// Reads which exports there are.
    Look,
    /// In this format too, or no longer; the last one stays.
    Toggle(Format),
    /// Into this folder; `None` is the project's own.
    Dir(Option<PathBuf>),
    /// Exports.
    Start,
    /// Exports, although a model loses more than its format allows.
    StartAcceptingLoss,
    /// Ends it.
    Cancel,
    /// Shows a folder in the file manager.
    Reveal(PathBuf),
}

impl ExportState {
    /// Whether the folders of exports have to be read.
    #[must_use]
    pub fn is_due(&self) -> bool {
        !self.known
    }

    /// Somebody may have moved or deleted exports meanwhile.
    pub(super) fn forget(&mut self) {
        self.known = false;
    }

    /// Takes in an export that was made, or made again.
    fn take(&mut self, found: FoundExport) {
        self.done.retain(|done| done.dir != found.dir);
        self.done.insert(0, found);
    }
}

impl Session {
    /// The run that would be exported.
    #[must_use]
    pub fn export_run(&self) -> Option<RunId> {
        self.export
            .run
            .as_ref()
            .filter(|id| self.train.run(id).is_some())
            .cloned()
            .or_else(|| {
                self.train
                    .latest_finished()
                    .map(|entry| entry.run.id.clone())
            })
    }

    /// The folder it would be exported into.
    #[must_use]
    pub fn export_dir(&self) -> Option<PathBuf> {
        let run = self.export_run()?;
        let names: Vec<&str> = self
            .export
            .formats
            .iter()
            .map(|format| format.name())
            .collect();
        let name = names.join("_");
        Some(
            self.export
                .dir
                .clone()
                .unwrap_or_else(|| self.project.exports_dir().join(format!("{}_{name}", run.0))),
        )
    }
}

impl App {
    pub(super) fn apply_export(&mut self, action: ExportAction) {
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.export;
        match action {
            ExportAction::Run(id) => state.run = Some(id),
            ExportAction::Look => self.look_for_exports(),
            ExportAction::Toggle(format) => {
                let on = state.formats.contains(&format);
                let wanted = |known: &&Format| {
                    (state.formats.contains(known) && **known != format)
                        || (**known == format && !on)
                };
                let formats: Vec<Format> = Format::all().iter().filter(wanted).copied().collect();
                if !formats.is_empty() {
                    state.formats = formats;
                }
            }
            ExportAction::Dir(dir) => state.dir = dir,
            ExportAction::Start => self.start_export(false),
            ExportAction::StartAcceptingLoss => self.start_export(true),
            ExportAction::Cancel => {
                if let Some(task) = state.task {
                    self.tasks.cancel(task);
                }
            }
            ExportAction::Reveal(path) => self.reveal(path),
        }
    }

    fn look_for_exports(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        session.export.known = true;
        let exports = session.project.exports_dir();
        // Those that were written elsewhere in this session.
        let done = session.export.done.iter().map(|done| done.dir.clone());
        let elsewhere: Vec<PathBuf> = done.filter(|dir| !dir.starts_with(&exports)).collect();

        let root = session.root.clone();
        let read = move |_: &crate::jobs::Work| {
            let (mut found, mut unreadable) = exports_in(&exports);
            for dir in elsewhere {
                match found_in(&dir) {
                    Ok(export) => found.extend(export),
                    Err(error) => unreadable.push(error),
                }
            }
            found.sort_by(|a, b| (b.made, &b.dir).cmp(&(a.made, &a.dir)));
            Ok::<_, ExportError>((found, unreadable))
        };
        self.tasks.start(
            Lane::Free,
            "Reading exports",
            true,
            read,
            move |app, result| {
                let current = |session: &&mut Session| session.root == root;
                let Some(session) = app.session.as_mut().filter(current) else {
                    return;
                };
                if let Ok((found, unreadable)) = result {
                    session.export.done = found;
                    for error in unreadable {
                        app.notes.add(Tone::Warning, error.to_string());
                    }
                }
            },
        );
    }

    fn start_export(&mut self, accept_loss: bool) {
        let Some(session) = &mut self.session else {
            return;
        };
        let (Some(id), Some(dir)) = (session.export_run(), session.export_dir()) else {
            return;
        };
        let Some(entry) = session.train.run(&id) else {
            return;
        };
        if session.export.task.is_some() {
            return;
        }
        session.export.error = None;
        let run = entry.run.clone();
        let order = Order {
            formats: session.export.formats.clone(),
            options: Options::default(),
            bundle: Bundle::Folder,
            force: false,
            accept_loss,
        };
        let project = Arc::clone(&session.project);
        let job_dir = dir.clone();
        let task = self.tasks.start_as(
            Lane::Learn,
            "Exporting",
            false,
            move |work| match export(&project, &run, &order, &job_dir, work) {
                // Not a failure of the task: the user may accept the loss.
                Err(error @ ExportError::Loses { .. }) => Ok(Err(error.to_string())),
                Err(error) => Err(error),
                Ok(_) => found_in(&job_dir).map(Ok),
            },
            move |app, task, result| {
                // The project may have been closed and opened again meanwhile.
                let current = |s: &&mut Session| s.export.task == Some(task);
                let Some(session) = app.session.as_mut().filter(current) else {
                    return;
                };
                session.export.task = None;
                match result {
                    Ok(Ok(found)) => {
                        if let Some(found) = found {
                            session.export.take(found);
                        }
                        app.notes
                            .add(Tone::Done, "Exported and proved on the test set");
                    }
                    Ok(Err(text)) => {
                        session.export.error = Some(ExportFailure {
                            text,
                            is_loss: true,
                        });
                    }
                    Err(JobError::Cancelled) => {}
                    Err(error) => {
                        session.export.error = Some(ExportFailure {
                            text: error.to_string(),
                            is_loss: false,
                        });
                    }
                }
            },
        );
        if let Some(session) = &mut self.session {
            session.export.task = Some(task);
        }
    }
}
