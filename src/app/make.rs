//! Making a model of a folder in one go, from the start screen: the files, the progress, and the result.

use std::path::PathBuf;

use super::{App, Dialog, Lane, TaskId};
use crate::jobs::{JobError, Work};
use crate::make::{LiveMake, Made, MakeError, MakeOrder, MakePhase, make};
use crate::media::{Amount, MediaError};

/// A model that is being made, or was just made.
pub struct Making {
    /// Its files.
    pub paths: Vec<PathBuf>,
    /// The folder for everything.
    pub out: PathBuf,
    /// Whether the user has agreed to any number of frames.
    pub all: bool,
    /// The current phase.
    pub live: LiveMake,
    /// The task, while it runs.
    pub task: Option<TaskId>,
    /// How it ended.
    pub end: Option<MakeEnd>,
}

/// How the making of a model ended.
pub enum MakeEnd {
    /// It is made.
    Made(Box<Made>),
    /// It needs the user's consent to this many frames.
    Much(Amount),
    /// It was cancelled; finished parts are kept.
    Cancelled,
    /// It failed, with a sentence that says why.
    Failed(String),
}

/// An action of the user on making a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MakeAction {
    /// Shows what would be made of these files, to be confirmed.
    Offer(Vec<PathBuf>),
    /// Makes a model of these files in this folder.
    Start(Vec<PathBuf>, PathBuf),
    /// Cancels it; finished parts are kept.
    Cancel,
    /// Resumes after a failure or a cancellation.
    Again,
    /// Continues with all frames, however many.
    All,
    /// Goes back to the start screen.
    Close,
    /// Opens the project of the model.
    OpenProject,
    /// Shows the model's folder in the file manager.
    Reveal,
}

impl Making {
    /// The current phase, or the one that failed; `None` before the first, and once all are done.
    #[must_use]
    pub fn phase(&self) -> Option<MakePhase> {
        match self.end {
            Some(MakeEnd::Made(_)) => None,
            _ => self.live.phase(),
        }
    }
}

impl App {
    pub(super) fn apply_make(&mut self, action: MakeAction) {
        match action {
            MakeAction::Offer(paths) => {
                let first = paths.first();
                let name = first.and_then(|path| path.file_name()).unwrap_or_default();
                let name = format!("{} model", name.to_string_lossy());
                let out = self.projects_dir().join(name.trim());
                self.dialog = Some(Dialog::Make {
                    paths,
                    out: out.to_string_lossy().into_owned(),
                });
            }
            MakeAction::Start(paths, out) => self.start_making(paths, out, false),
            MakeAction::Cancel => {
                if let Some(task) = self.making.as_ref().and_then(|making| making.task) {
                    self.tasks.cancel(task);
                }
            }
            MakeAction::Again | MakeAction::All => {
                if let Some(making) = self.making.take_if(|making| making.task.is_none()) {
                    let all = making.all || action == MakeAction::All;
                    self.start_making(making.paths, making.out, all);
                }
            }
            MakeAction::Close => {
                self.making.take_if(|making| making.task.is_none());
            }
            MakeAction::OpenProject => {
                if let Some(Making {
                    end: Some(MakeEnd::Made(made)),
                    ..
                }) = &self.making
                {
                    let root = made.project.clone();
                    self.making = None;
                    self.prefs.learn(&root);
                    self.open_project(root, Vec::new());
                }
            }
            MakeAction::Reveal => {
                if let Some(Making {
                    end: Some(MakeEnd::Made(made)),
                    ..
                }) = &self.making
                {
                    let place = &made.export.place;
                    let folder = if place.is_dir() {
                        place.as_path()
                    } else {
                        place.parent().unwrap_or(place)
                    };
                    self.reveal(folder.to_owned());
                }
            }
        }
    }

    /// The progress, while it runs.
    #[must_use]
    pub fn making_work(&self) -> Option<&Work> {
        let id = self.making.as_ref()?.task?;
        let mut running = self.tasks.running().iter();
        running.find(|task| task.id == id).map(|task| &task.work)
    }

    fn start_making(&mut self, paths: Vec<PathBuf>, out: PathBuf, all: bool) {
        if self
            .making
            .as_ref()
            .is_some_and(|making| making.task.is_some())
        {
            return;
        }
        if let Some(parent) = out.parent() {
            self.prefs.projects_dir = Some(parent.to_owned());
            self.save_prefs();
        }
        let live = LiveMake::default();
        let mut order = MakeOrder::new(paths.clone(), out.clone());
        order.force = all;
        let on_thread = live.clone();
        let task = self.tasks.start_as(
            Lane::Learn,
            "Making a model",
            false,
            move |work| match make(&order, &on_thread, work) {
                Err(MakeError::Media(MediaError::Much(amount))) => Ok(MakeEnd::Much(amount)),
                made => made.map(|made| MakeEnd::Made(Box::new(made))),
            },
            |app, task, result| {
                let current = |making: &&mut Making| making.task == Some(task);
                let Some(making) = app.making.as_mut().filter(current) else {
                    return;
                };
                making.task = None;
                making.end = Some(match result {
                    Ok(end) => end,
                    Err(JobError::Cancelled) => MakeEnd::Cancelled,
                    Err(error) => MakeEnd::Failed(error.to_string()),
                });
            },
        );
        self.making = Some(Making {
            paths,
            out,
            all,
            live,
            task: Some(task),
            end: None,
        });
    }
}
