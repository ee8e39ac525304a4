//! Changes of the project that can be undone. Applying one gives the change that takes it back.
//!
//! Changes are applied one after the other on a thread; the screen shows their effect at once and is
//! set right by a scan when they are through.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use super::{App, Lane, Session, label::label_prefix, notes::Tone};
use crate::jobs::{JobError, Work};
use crate::project::{ClassName, Label, Project, ProjectError};

/// A change of the project. Frames are paths relative to its root.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Frames get labels.
    Relabel {
        /// Frames, and the label they get.
        moves: Vec<(Vec<String>, Label)>,
    },
    /// Frames go to the trash.
    Trash {
        /// The frames.
        frames: Vec<String>,
    },
    /// A class is added.
    AddClass {
        /// Its name.
        name: ClassName,
        /// Its place in the list; `None` is the end.
        position: Option<usize>,
        /// Frames that go there.
        frames: Vec<String>,
    },
    /// A class is removed; its frames become unsorted.
    RemoveClass {
        /// Its name.
        name: ClassName,
    },
    /// A class gets another name.
    RenameClass {
        /// Its name now.
        from: ClassName,
        /// Its name then.
        to: ClassName,
    },
    /// A class gets another place in the list.
    MoveClass {
        /// Its name.
        name: ClassName,
        /// The place it gets.
        position: usize,
    },
}

impl Change {
    /// Makes the change; returns what takes it back.
    fn apply(self, project: &Project, work: &Work) -> Result<Self, ProjectError> {
        Ok(match self {
            Self::Relabel { moves } => {
                let mut back: Vec<(Vec<String>, Label)> = Vec::new();
                for (frames, to) in moves {
                    let was: Vec<Label> = frames.iter().map(|frame| label_of(frame)).collect();
                    let now = project.relabel(&frames, &to, work)?;
                    let mut by_label: HashMap<Label, Vec<String>> = HashMap::new();
                    for (label, frame) in was.into_iter().zip(now) {
                        by_label.entry(label).or_default().push(frame);
                    }
                    back.extend(by_label.into_iter().map(|(label, frames)| (frames, label)));
                }
                Self::Relabel { moves: back }
            }
            Self::Trash { frames } => {
                let was: Vec<Label> = frames.iter().map(|frame| label_of(frame)).collect();
                let trashed = project.trash(&frames, work)?;
                let mut by_label: HashMap<Label, Vec<String>> = HashMap::new();
                for (label, frame) in was.into_iter().zip(trashed) {
                    by_label.entry(label).or_default().push(frame);
                }
                let moves = by_label.into_iter().map(|(label, frames)| (frames, label));
                Self::Relabel {
                    moves: moves.collect(),
                }
            }
            Self::AddClass {
                name,
                position,
                frames,
            } => {
                project.add_class(&name)?;
                if let Some(position) = position {
                    project.move_class(&name, position)?;
                }
                if !frames.is_empty() {
                    project.relabel(&frames, &Label::Class(name.clone()), work)?;
                }
                Self::RemoveClass { name }
            }
            Self::RemoveClass { name } => {
                let position = place(project, &name);
                let frames = project.remove_class(&name)?;
                Self::AddClass {
                    name,
                    position,
                    frames,
                }
            }
            Self::RenameClass { from, to } => {
                project.rename_class(&from, &to)?;
                Self::RenameClass { from: to, to: from }
            }
            Self::MoveClass { name, position } => {
                let was = place(project, &name).unwrap_or(position);
                project.move_class(&name, position)?;
                Self::MoveClass {
                    name,
                    position: was,
                }
            }
        })
    }
}

fn place(project: &Project, name: &ClassName) -> Option<usize> {
    project
        .classes()
        .iter()
        .position(|class| class.name == *name)
}

/// The label of a frame, from the folder it lies in. What lies in the trash goes back to where it was.
fn label_of(path: &str) -> Label {
    path.strip_prefix("classes/")
        .and_then(|rest| rest.split_once('/'))
        .and_then(|(class, _)| ClassName::new(class).ok())
        .map_or(Label::Unsorted, Label::Class)
}

/// What can be undone and redone, the last one at the end: a name, and the change that does it.
#[derive(Default)]
pub struct History {
    undo: Vec<(String, Change)>,
    redo: Vec<(String, Change)>,
}

const REMEMBERED: usize = 200;

/// Which way an edit goes.
#[derive(Debug, Clone)]
enum Way {
    Forward(String, Box<Change>),
    Undo,
    Redo,
}

impl Session {
    /// The name of what would be undone.
    #[must_use]
    pub fn undo_text(&self) -> Option<String> {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.undo.last().map(|(text, _)| text.clone())
    }

    /// The name of what would be redone.
    #[must_use]
    pub fn redo_text(&self) -> Option<String> {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.redo.last().map(|(text, _)| text.clone())
    }

    /// Shows the effect of a change before it is made.
    fn foresee(&mut self, change: &Change) {
        match change {
            Change::Relabel { moves } => {
                for (frames, label) in moves {
                    self.foresee_relabel(frames, label);
                }
            }
            Change::AddClass { name, frames, .. } => {
                self.foresee_relabel(frames, &Label::Class(name.clone()));
            }
            Change::Trash { frames } => {
                let gone: std::collections::HashSet<&str> =
                    frames.iter().map(String::as_str).collect();
                self.snapshot
                    .remove(|frame| gone.contains(frame.path.as_str()));
            }
            // Their effect is a matter of milliseconds; the scan shows it.
            Change::RemoveClass { .. } | Change::RenameClass { .. } | Change::MoveClass { .. } => {
                return;
            }
        }
        self.rebuild_shown();
    }

    fn foresee_relabel(&mut self, frames: &[String], label: &Label) {
        let prefix = label_prefix(label);
        let paths: HashMap<&str, String> = frames
            .iter()
            .filter_map(|path| {
                let (_, name) = path.rsplit_once('/')?;
                Some((path.as_str(), format!("{prefix}/{name}")))
            })
            .collect();
        for (from, to) in &paths {
            self.moved(from, to);
        }
        self.snapshot.change(|list| {
            for frame in list {
                if let Some(to) = paths.get(frame.path.as_str()) {
                    frame.path.clone_from(to);
                    frame.label = label.clone();
                }
            }
        });
    }

    /// A frame has another path now: its picture and its place in the selection move along.
    fn moved(&mut self, from: &str, to: &str) {
        let (from_path, to_path): (PathBuf, PathBuf) = (self.root.join(from), self.root.join(to));
        self.pictures.renamed(&from_path, &to_path);
        if self.label.selection.remove(from) {
            self.label.selection.insert(to.to_owned());
        }
        for place in [&mut self.label.cursor, &mut self.label.anchor] {
            if place.as_deref() == Some(from) {
                *place = Some(to.to_owned());
            }
        }
    }
}

impl App {
    /// Makes a change that can be undone; `text` names it: “label 24 frames”.
    pub(super) fn edit(&mut self, text: String, change: Change) {
        if let Some(session) = &mut self.session {
            session.foresee(&change);
        }
        self.run_edit(Way::Forward(text, Box::new(change)));
    }

    pub(super) fn undo(&mut self) {
        self.run_edit(Way::Undo);
    }

    pub(super) fn redo(&mut self) {
        self.run_edit(Way::Redo);
    }

    fn run_edit(&mut self, way: Way) {
        let Some(session) = &self.session else {
            return;
        };
        let project = Arc::clone(&session.project);
        let history = Arc::clone(&session.history);
        let title = match &way {
            Way::Forward(text, _) => capitalised(text),
            Way::Undo => "Undo".to_owned(),
            Way::Redo => "Redo".to_owned(),
        };
        let said = way.clone();
        self.tasks.start(
            Lane::Edit,
            &title,
            false,
            move |work| run(way, &project, &history, work),
            move |app, result: Result<Option<String>, JobError>| {
                match (result, said) {
                    (Ok(Some(text)), Way::Undo) => {
                        app.notes.add(Tone::Done, format!("Undone: {text}"));
                    }
                    (Ok(Some(text)), Way::Redo) => {
                        app.notes.add(Tone::Done, format!("Done again: {text}"));
                    }
                    (Ok(_) | Err(JobError::Cancelled), _) => {}
                    (Err(error), _) => {
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
) -> Result<Option<String>, ProjectError> {
    let lock = || history.lock().unwrap_or_else(PoisonError::into_inner);
    let (text, change, undoing) = match way {
        Way::Forward(text, change) => {
            let back = change.apply(project, work)?;
            let mut history = lock();
            history.undo.push((text, back));
            history.redo.clear();
            if history.undo.len() > REMEMBERED {
                history.undo.remove(0);
            }
            return Ok(None);
        }
        Way::Undo => match lock().undo.pop() {
            Some((text, change)) => (text, change, true),
            None => return Ok(None),
        },
        Way::Redo => match lock().redo.pop() {
            Some((text, change)) => (text, change, false),
            None => return Ok(None),
        },
    };
    let back = change.apply(project, work)?;
    let mut history = lock();
    let stack = if undoing {
        &mut history.redo
    } else {
        &mut history.undo
    };
    stack.push((text.clone(), back));
    Ok(Some(text))
}

fn capitalised(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map(|first| first.to_uppercase().chain(chars).collect())
        .unwrap_or_default()
}
