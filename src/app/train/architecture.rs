//! Adding an architecture: the findings about a file, the user's answers, and the cost.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use image::RgbImage;

use crate::app::notes::Tone;
use crate::app::tasks::TaskId;
use crate::app::{Action, App, Dialog, Lane, TrainAction, words};
use crate::backbone::{
    Architecture, Asked, Backbone, BackboneError, Candidate, Fit, Inspected, Preprocessing,
    inspect, own_of,
};
use crate::jobs::{JobError, Work};
use crate::media::load_image;
use crate::train::remove_architecture;

/// Extensions of files that can be added.
const EXTENSIONS: [&str; 1] = ["onnx"];

/// A network that is being added.
pub struct Adding {
    /// Its file.
    pub path: PathBuf,
    /// The user's answers.
    pub asked: Asked,
    /// The inspection or the writing in progress.
    pub task: Option<TaskId>,
    /// Whether it is being written.
    pub writing: bool,
    /// The last findings, or why there are none.
    pub found: Option<Result<Arc<FoundNetwork>, String>>,
}

/// The findings about a file.
pub struct FoundNetwork {
    /// The properties of the network.
    pub inspected: Inspected,
    /// What would be added, once nothing is missing; otherwise why not.
    pub candidate: Option<Result<Candidate, String>>,
    /// An image of the project as input of the network.
    pub preview: Option<RgbImage>,
}

/// An action of the user on adding an architecture.
#[derive(Debug, Clone, PartialEq)]
pub enum ArchitectureAction {
    /// Inspects a file and shows the findings.
    Offer(PathBuf),
    /// Answers questions about the network.
    Say(Asked),
    /// Adds it to the project.
    Add,
    /// Moves an added architecture to the trash.
    Remove(String),
}

/// Whether a file may be a network to add, by its name; its content is checked later.
#[must_use]
pub fn is_network(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy();
    EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
}

impl App {
    pub(in crate::app) fn apply_architecture(&mut self, action: ArchitectureAction) {
        match action {
            ArchitectureAction::Offer(path) => {
                if self.may_change() {
                    self.look_into(path, Asked::default());
                    self.dialog = Some(Dialog::AddArchitecture);
                }
            }
            ArchitectureAction::Say(asked) => {
                if let Some(adding) = self.adding.take_if(|adding| !adding.writing) {
                    if let Some(task) = adding.task {
                        self.tasks.cancel(task);
                    }
                    self.look_into(adding.path, asked);
                    if let Some(new) = &mut self.adding {
                        // It stays on the screen until there is a newer one.
                        new.found = adding.found;
                    }
                }
            }
            ArchitectureAction::Add => self.add_architecture(),
            ArchitectureAction::Remove(name) => self.remove_architecture(name),
        }
    }

    /// Cancels the inspection when the dialog was closed.
    pub(in crate::app) fn close_adding(&mut self) {
        if matches!(self.dialog, Some(Dialog::AddArchitecture)) {
            return;
        }
        if let Some(adding) = self.adding.take_if(|adding| !adding.writing)
            && let Some(task) = adding.task
        {
            self.tasks.cancel(task);
        }
    }

    fn look_into(&mut self, path: PathBuf, asked: Asked) {
        let Some(session) = &self.session else { return };
        let root = session.root.clone();
        let first = session.snapshot.order.first();
        let frame = first.and_then(|at| session.snapshot.frames.list.get(*at as usize));
        let frame = frame.map(|frame| root.join(&frame.path));
        let (file, say) = (path.clone(), asked.clone());
        let task = self.tasks.start_as(
            Lane::Free,
            "Reading a network",
            true,
            move |work| found(&file, &say, frame.as_deref(), work),
            |app, task, result| {
                let current = |adding: &&mut Adding| adding.task == Some(task);
                let Some(adding) = app.adding.as_mut().filter(current) else {
                    return;
                };
                adding.task = None;
                adding.found = match result {
                    Ok(found) => Some(Ok(Arc::new(found))),
                    Err(JobError::Cancelled) => return,
                    Err(error) => Some(Err(error.to_string())),
                };
            },
        );
        self.adding = Some(Adding {
            path,
            asked,
            task: Some(task),
            writing: false,
            found: None,
        });
    }

    fn add_architecture(&mut self) {
        let (Some(session), Some(adding)) = (&self.session, &mut self.adding) else {
            return;
        };
        let Some(Ok(found)) = &adding.found else {
            return;
        };
        let Some(Ok(candidate)) = &found.candidate else {
            return;
        };
        if adding.task.is_some() || !session.can_change() {
            return;
        }
        let (candidate, project) = (candidate.clone(), Arc::clone(&session.project));
        adding.writing = true;
        adding.task = Some(self.tasks.start(
            Lane::Edit,
            "Adding an architecture",
            false,
            move |_| {
                let architecture = candidate.add(&project)?;
                Ok::<_, BackboneError>((architecture, own_of(project.root())))
            },
            move |app, result| {
                app.adding = None;
                app.dialog
                    .take_if(|dialog| *dialog == Dialog::AddArchitecture);
                match result {
                    Ok((architecture, own)) => {
                        if let Some(session) = &mut app.session {
                            session.architectures = own;
                            app.use_architecture(architecture);
                        }
                    }
                    Err(JobError::Cancelled) => {}
                    Err(error) => {
                        app.fail(format!("The architecture could not be added: {error}"));
                    }
                }
            },
        ));
    }

    fn use_architecture(&mut self, architecture: Architecture) {
        let Some(session) = &self.session else { return };
        let mut settings = session.train.settings.clone();
        let name = words::architecture_name(&architecture);
        settings.architecture = architecture;
        self.apply_train(TrainAction::Set(settings));
        let text = format!("Added {name}; the next training uses it");
        self.notes.add(Tone::Info, text);
    }

    fn remove_architecture(&mut self, name: String) {
        if !self.may_change() {
            return;
        }
        let Some(session) = &self.session else { return };
        let project = Arc::clone(&session.project);
        self.tasks.start(
            Lane::Edit,
            "Moving an architecture",
            true,
            move |work| {
                let removed = match Backbone::named(&name) {
                    Ok(backbone) => remove_architecture(&project, backbone, work),
                    Err(error) => Err(error.into()),
                };
                removed.map(|_| own_of(project.root()))
            },
            move |app, result| match result {
                Ok(own) => {
                    if let Some(session) = &mut app.session {
                        session.architectures = own;
                        let settings = &session.train.settings;
                        if settings.architecture.entry().is_err() {
                            let mut settings = settings.clone();
                            settings.architecture = Architecture::default();
                            app.apply_train(TrainAction::Set(settings));
                        }
                    }
                    app.notes
                        .add(Tone::Info, "The architecture was moved to the trash");
                }
                Err(JobError::Cancelled) => {}
                Err(error) => {
                    app.fail(format!("The architecture could not be removed: {error}"));
                }
            },
        );
    }

    /// Removes networks from dropped files, to add them to the open project; returns the others.
    pub(in crate::app) fn take_networks(&mut self, paths: Vec<PathBuf>) -> Vec<PathBuf> {
        if self.session.is_none() {
            return paths;
        }
        let (networks, others): (Vec<PathBuf>, Vec<PathBuf>) =
            paths.into_iter().partition(|path| is_network(path));
        let mut networks = networks.into_iter();
        if let Some(first) = networks.next() {
            self.apply(Action::Architecture(ArchitectureAction::Offer(first)));
        }
        let more = networks.count();
        if more > 0 {
            let words = words::count(more as u64, "more network");
            let text = format!("Networks are added one at a time: drop {words} afterwards");
            self.notes.add(Tone::Info, text);
        }
        others
    }
}

fn found(
    path: &Path,
    asked: &Asked,
    frame: Option<&Path>,
    work: &Work,
) -> Result<FoundNetwork, BackboneError> {
    let inspected = inspect(path, asked)?;
    let candidate = match inspected.missing() {
        Some(_) => None,
        None => match inspected.candidate(work) {
            Err(BackboneError::Cancelled(cancelled)) => return Err(cancelled.into()),
            other => Some(other.map_err(|error| error.to_string())),
        },
    };
    let [mean, std] = inspected
        .normalisation
        .value
        .unwrap_or([[0.0; 3], [1.0; 3]]);
    let preview = inspected
        .size_px
        .value
        .zip(frame)
        .and_then(|(resolution_px, frame)| {
            let preprocessing = Preprocessing {
                fit: Fit::CenterCrop,
                resolution_px,
                mean,
                std,
            };
            Some(preprocessing.resize(&load_image(frame).ok()?))
        });
    Ok(FoundNetwork {
        inspected,
        candidate,
        preview,
    })
}
