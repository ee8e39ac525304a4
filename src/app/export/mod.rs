//! The export workspace's state: the run, the formats, the folder, and the existing exports.

mod embedding;
mod phone;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::app::notes::Tone;
use crate::app::tasks::TaskId;
use crate::app::{App, Lane, Session};
use crate::export::{
    Bundle, ExportError, Format, FoundExport, Options, Order, export, export_runs, exports_in,
    found_in,
};
use crate::jobs::{JobError, Work};
use crate::project::Project;
use crate::train::{Run, RunId};

pub use phone::{PhoneAction, PhoneState, PhoneTrial, Served};

/// Why an export failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportFailure {
    /// A sentence.
    pub text: String,
    /// Whether a model loses too much accuracy, which the user can accept.
    pub is_loss: bool,
}

/// The state of the export workspace.
pub struct ExportState {
    /// The run; `None` is the newest finished one.
    pub run: Option<RunId>,
    /// Further runs that are exported with it.
    pub also: Vec<RunId>,
    /// Whether an export is one zip file instead of a folder.
    pub zip: bool,
    /// The formats, at least one, in the order of the list.
    pub formats: Vec<Format>,
    /// The folder chosen by the user; `None` is the project's own.
    pub dir: Option<PathBuf>,
    /// The export in progress.
    pub task: Option<TaskId>,
    /// The existing exports, newest first.
    pub done: Vec<FoundExport>,
    /// Whether the folders of exports were read since the window got the focus.
    known: bool,
    /// Why the last export failed.
    pub error: Option<ExportFailure>,
}

impl Default for ExportState {
    fn default() -> Self {
        Self {
            run: None,
            also: Vec::new(),
            zip: false,
            formats: vec![Format::ONNX],
            dir: None,
            task: None,
            done: Vec::new(),
            known: false,
            error: None,
        }
    }
}

/// An action of the user in the export workspace.
#[derive(Debug, Clone, PartialEq)]
pub enum ExportAction {
    /// Exports this run.
    Run(RunId),
    /// Adds this run to the export, or removes it.
    AlsoRun(RunId),
    /// Makes a zip file of each export, or a folder.
    Zip(bool),
    /// Reads which exports exist.
    FindExports,
    /// Adds this format, or removes it; the last one stays.
    Toggle(Format),
    /// Sets the folder; `None` is the project's own.
    Dir(Option<PathBuf>),
    /// Exports.
    Start,
    /// Exports, although a model loses more than its format allows.
    StartAcceptingLoss,
    /// Cancels the export.
    Cancel,
    /// Shows a folder in the file manager.
    Reveal(PathBuf),
}

impl ExportState {
    /// Whether the folders of exports must be read.
    #[must_use]
    pub fn is_due(&self) -> bool {
        !self.known
    }

    /// Exports may have been moved or deleted while another window had the focus.
    pub(super) fn forget(&mut self) {
        self.known = false;
    }

    /// Adds a new export, or replaces one that was made again.
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

    /// All runs that would be exported, each once.
    #[must_use]
    pub fn export_runs(&self) -> Vec<RunId> {
        let first = self.export_run();
        let also = self.export.also.iter();
        let also = also.filter(|id| self.train.run(id).is_some() && first.as_ref() != Some(*id));
        first.iter().chain(also).cloned().collect()
    }

    /// The folder that would be exported into.
    #[must_use]
    pub fn export_dir(&self) -> Option<PathBuf> {
        let run = self.export_run()?;
        if let Some(dir) = &self.export.dir {
            return Some(dir.clone());
        }
        let exports = self.project.exports_dir();
        let formats = self.export.formats.iter();
        let names: Vec<&str> = formats.map(|format| format.name()).collect();
        let names = names.join("_");
        let zip = if self.export.zip { "_zip" } else { "" };
        Some(match self.export_runs().len() {
            1 => exports.join(format!("{}_{names}{zip}", run.0)),
            count => exports.join(format!("{count} runs_{names}{zip}")),
        })
    }
}

impl App {
    pub(super) fn apply_export(&mut self, action: ExportAction) {
        let Some(session) = &mut self.session else {
            return;
        };
        let state = &mut session.export;
        match action {
            ExportAction::Run(id) => {
                state.also.retain(|known| *known != id);
                state.run = Some(id);
            }
            ExportAction::AlsoRun(id) => {
                if state.also.contains(&id) {
                    state.also.retain(|known| *known != id);
                } else {
                    state.also.push(id);
                }
            }
            ExportAction::Zip(zip) => state.zip = zip,
            ExportAction::FindExports => self.find_exports(),
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
            ExportAction::Reveal(place) => {
                // The folder of an archive is shown.
                let folder = if place.is_file() {
                    place.parent().map(Path::to_owned)
                } else {
                    None
                };
                self.reveal(folder.unwrap_or(place));
            }
        }
    }

    fn find_exports(&mut self) {
        let Some(session) = &mut self.session else {
            return;
        };
        session.export.known = true;
        let exports = session.project.exports_dir();
        // Exports that were written elsewhere in this session.
        let done = session.export.done.iter().map(|done| done.dir.clone());
        let elsewhere: Vec<PathBuf> = done.filter(|dir| !dir.starts_with(&exports)).collect();

        let read = move |_: &Work| {
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
                let Some(session) = &mut app.session else {
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
        let Some(dir) = session.export_dir() else {
            return;
        };
        let runs: Vec<Run> = session
            .export_runs()
            .iter()
            .filter_map(|id| Some(session.train.run(id)?.run.clone()))
            .collect();
        if session.export.task.is_some() || runs.is_empty() {
            return;
        }
        session.export.error = None;
        let order = Order {
            formats: session.export.formats.clone(),
            options: Options::default(),
            bundle: if session.export.zip {
                Bundle::Zip
            } else {
                Bundle::Folder
            },
            force: false,
            accept_loss,
        };
        let project = Arc::clone(&session.project);
        let task = self.tasks.start_as(
            Lane::Learn,
            "Exporting",
            false,
            move |work| make(&project, &runs, &order, &dir, work),
            move |app, task, result| {
                let current = |s: &&mut Session| s.export.task == Some(task);
                let Some(session) = app.session.as_mut().filter(current) else {
                    return;
                };
                session.export.task = None;
                match result {
                    Ok(made) => {
                        session.export.error = made.failure;
                        let some = !made.found.is_empty();
                        for found in made.found.into_iter().rev() {
                            // An earlier export at this place may have had golden images of the same names.
                            let golden = found.examples.iter().map(|image| image.path.clone());
                            session.images.forget(&golden.collect());
                            session.export.take(found);
                        }
                        if some {
                            app.notes
                                .add(Tone::Done, "Exported and verified on the test set");
                        }
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

/// The result of exporting the runs.
struct Made {
    found: Vec<FoundExport>,
    failure: Option<ExportFailure>,
}

/// Exports one run into `out`; several each into a folder of its own there.
fn make(
    project: &Project,
    runs: &[Run],
    order: &Order,
    out: &Path,
    work: &Work,
) -> Result<Made, ExportError> {
    let outcomes: Vec<(RunId, Result<PathBuf, ExportError>)> = match runs {
        [run] => {
            let outcome = match export(project, run, order, out, work) {
                // Not a failure of the task: the user may accept the loss.
                Err(error) if !matches!(error, ExportError::Loses { .. }) => return Err(error),
                outcome => outcome.map(|outcome| outcome.place),
            };
            vec![(run.id.clone(), outcome)]
        }
        runs => export_runs(project, runs, order, out, work)?
            .into_iter()
            .map(|export| (export.run, export.outcome.map(|outcome| outcome.place)))
            .collect(),
    };
    let mut found = Vec::new();
    let mut texts = Vec::new();
    let mut is_loss = false;
    for (run, outcome) in outcomes {
        match outcome {
            Ok(place) => found.extend(found_in(&place)?),
            Err(error) => {
                is_loss |= matches!(error, ExportError::Loses { .. });
                texts.push(match runs {
                    [_] => error.to_string(),
                    _ => format!("{run}: {error}"),
                });
            }
        }
    }
    let failure = (!texts.is_empty()).then(|| ExportFailure {
        text: texts.join("\n"),
        is_loss,
    });
    Ok(Made { found, failure })
}
