//! What the user does to frames and classes, and how each of it is done and taken back.

use crate::jobs::Work;

use super::classes::Merged;
use super::moves::{Moved, Target};
use super::{Class, ClassName, ImportRecord, Label, Noun, Project, ProjectError, SourceId, Undone};

/// One thing that the user does and may want to take back.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Gives frames (paths relative to the root) another label.
    Relabel {
        /// The frames.
        frames: Vec<String>,
        /// Their new label.
        to: Label,
    },
    /// Moves frames to the trash.
    Trash {
        /// The frames.
        frames: Vec<String>,
    },
    /// Moves frames from the trash (paths below `trash/`) back to the label they had.
    Restore {
        /// The frames.
        frames: Vec<String>,
    },
    /// Gives frames that lie between labelled ones of their video the class of these
    /// ([`super::like_neighbours`]), and moves frames that they take the place of to the trash.
    LikeNeighbours {
        /// The frames.
        frames: Vec<String>,
        /// Frames that go to the trash; their labels count.
        replaced: Vec<String>,
    },
    /// Makes a class.
    CreateClass {
        /// Its name.
        name: ClassName,
    },
    /// Renames a class.
    RenameClass {
        /// Old name.
        from: ClassName,
        /// New name.
        to: ClassName,
    },
    /// Deletes a class; its frames become unsorted.
    DeleteClass {
        /// Its name.
        name: ClassName,
    },
    /// Merges a class into another, which takes its frames.
    MergeClass {
        /// The class that ends.
        from: ClassName,
        /// The class that takes its frames.
        into: ClassName,
    },
    /// Gives sources another class. Their frames with the class they had go along; those labelled by hand stay.
    SetSourceClass {
        /// The sources.
        sources: Vec<SourceId>,
        /// Their new class; `None` is unsorted.
        class: Option<ClassName>,
    },
    /// Moves a class within the user's order.
    MoveClass {
        /// Its name.
        name: ClassName,
        /// Its new position, 0 is first.
        position: usize,
    },
    /// An import, which the media layer has done already ([`super::History::apply`] only remembers it). Undo puts
    /// its frames into the trash and forgets its sources and its empty classes; redo brings them back.
    Import {
        /// What it did.
        record: Box<ImportRecord>,
        /// How many files it brought in.
        files: u64,
        /// How many images a model was tried on and that were added one by one; 0 is an import of whole files.
        predictions: usize,
        /// What undo did; `None` while the import stands.
        undone: Option<Box<Undone>>,
    },
}

impl Change {
    /// What it does, to follow "Undo" and "Redo": "label 24 frames “cat”".
    #[must_use]
    pub fn text(&self) -> ChangeText {
        match self {
            Self::Relabel { frames, to } => match to {
                Label::Class(name) => {
                    ChangeText::of_images("label", frames.len(), format!(" “{name}”"))
                }
                Label::Unsorted => ChangeText::of_images("unlabel", frames.len(), ""),
            },
            Self::Trash { frames } => ChangeText::of_images("remove", frames.len(), ""),
            Self::Restore { frames } => ChangeText::of_images("restore", frames.len(), ""),
            Self::LikeNeighbours { frames, replaced } if replaced.is_empty() => {
                ChangeText::of_images("label", frames.len(), " like their neighbours")
            }
            Self::LikeNeighbours { replaced, .. } => {
                ChangeText::of_images("replace", replaced.len(), "")
            }
            Self::CreateClass { name } => format!("create class “{name}”").into(),
            Self::RenameClass { from, to } => format!("rename class “{from}” to “{to}”").into(),
            Self::DeleteClass { name } => format!("delete class “{name}”").into(),
            Self::MergeClass { from, into } => format!("merge class “{from}” into “{into}”").into(),
            Self::SetSourceClass { sources, class } => match (class, sources.len()) {
                (Some(name), 1) => format!("change a source’s class to “{name}”"),
                (Some(name), count) => format!("change the class of {count} sources to “{name}”"),
                (None, 1) => "take a source’s class away".to_owned(),
                (None, count) => format!("take the class of {count} sources away"),
            }
            .into(),
            Self::MoveClass { name, .. } => format!("move class “{name}”").into(),
            Self::Import { predictions: 1, .. } => {
                "add 1 prediction to the project".to_owned().into()
            }
            Self::Import {
                predictions: count @ 2..,
                ..
            } => format!("add {count} predictions to the project").into(),
            Self::Import { files: 1, .. } => "import 1 file".to_owned().into(),
            Self::Import { files, .. } => format!("import {files} files").into(),
        }
    }
}

/// What a change does, to follow "Undo" and "Redo"; what its images are called is the project's matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChangeText {
    before: String,
    images: Option<usize>,
    after: String,
}

impl ChangeText {
    fn of_images(before: &str, images: usize, after: impl Into<String>) -> Self {
        Self {
            before: format!("{before} "),
            images: Some(images),
            after: after.into(),
        }
    }

    /// The text in a project whose images are called so.
    #[must_use]
    pub fn with(&self, noun: Noun) -> String {
        let images = self.images.map(|images| noun.count(images));
        format!(
            "{}{}{}",
            self.before,
            images.unwrap_or_default(),
            self.after
        )
    }
}

impl From<String> for ChangeText {
    fn from(before: String) -> Self {
        Self {
            before,
            ..Self::default()
        }
    }
}

/// What a change, an undo or a redo did to frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Old and new path of each frame that was moved (also of those that a renamed class took along).
    pub moved: Vec<(String, String)>,
}

/// What it takes to undo a change.
#[derive(Debug, Clone)]
pub(super) enum Done {
    /// Frames went from one path to another.
    Moved(Vec<(String, String)>),
    Created,
    Renamed,
    Deleted {
        class: Class,
        position: usize,
        moved: Vec<(String, String)>,
        /// Sources whose frames were to go into the class.
        sources: Vec<SourceId>,
    },
    Merged {
        class: Class,
        position: usize,
        moved: Vec<(String, String)>,
        merged: Merged,
    },
    Reordered {
        from: usize,
    },
    SourceClass {
        /// The class that each had.
        from: Vec<(SourceId, Option<ClassName>)>,
        moved: Vec<(String, String)>,
    },
    Imported,
}

/// What undo did.
pub(super) struct Back {
    /// Where the frames of the change are now.
    pub frames: Vec<String>,
    pub moved: Vec<(String, String)>,
    /// Where a frame should have gone and where it went.
    pub astray: Vec<(String, String)>,
    /// What it takes to do an import again.
    pub undone: Option<Undone>,
}

pub(super) type Performed = (Done, Outcome, Result<(), ProjectError>);

/// Does it. The inner result is how it ended after something had been done.
pub(super) fn perform(
    project: &Project,
    change: &Change,
    work: &Work,
) -> Result<Performed, ProjectError> {
    let whole = |done| Ok((done, Outcome::default(), Ok(())));
    match change {
        Change::Relabel { frames, to } => {
            let _change = project.begin_change()?;
            Ok(moved(project.relabel_frames(frames, to, work)?))
        }
        Change::Trash { frames } => {
            let _change = project.begin_change()?;
            Ok(moved(project.trash_frames(frames, work)))
        }
        Change::Restore { frames } => {
            let _change = project.begin_change()?;
            Ok(moved(project.restore_frames(frames, work)?))
        }
        Change::LikeNeighbours { frames, replaced } => Ok(moved(
            project.label_like_neighbours(frames, replaced, work)?,
        )),
        Change::CreateClass { name } => {
            project.add_class(name)?;
            whole(Done::Created)
        }
        Change::RenameClass { from, to } => {
            let moved = rename(project, from, to, work)?;
            Ok((Done::Renamed, Outcome { moved }, Ok(())))
        }
        Change::MoveClass { name, position } => {
            let (_, from) = place_of(project, name)?;
            project.move_class(name, *position)?;
            whole(Done::Reordered { from })
        }
        Change::SetSourceClass { sources, class } => {
            let _change = project.begin_change()?;
            set_source_class(project, sources, class.as_ref(), work)
        }
        Change::Import { undone: None, .. } => whole(Done::Imported),
        Change::Import {
            undone: Some(undone),
            ..
        } => {
            let moved = project.redo_import(undone, work)?;
            Ok((Done::Imported, Outcome { moved }, Ok(())))
        }
        Change::DeleteClass { name } => {
            let _change = project.begin_change()?;
            let (class, position) = place_of(project, name)?;
            let sources = project
                .sources()
                .into_iter()
                .filter(|source| source.class.as_ref() == Some(name))
                .map(|source| source.id)
                .collect();
            let result = project.unmake_class(name, false, work)?;
            let outcome = Outcome {
                moved: result.pairs.clone(),
            };
            let done = if result.end.is_ok() {
                Done::Deleted {
                    class,
                    position,
                    moved: result.pairs,
                    sources,
                }
            } else {
                // The class is still there; only frames were moved.
                Done::Moved(result.pairs)
            };
            Ok((done, outcome, result.end))
        }
        Change::MergeClass { from, into } => {
            let _change = project.begin_change()?;
            let (class, position) = place_of(project, from)?;
            let (result, merged) = project.unite_classes(from, into, work)?;
            let outcome = Outcome {
                moved: result.pairs.clone(),
            };
            let done = match merged {
                Some(merged) => Done::Merged {
                    class,
                    position,
                    moved: result.pairs,
                    merged,
                },
                // Both classes are still there; only frames were moved.
                None => Done::Moved(result.pairs),
            };
            Ok((done, outcome, result.end))
        }
    }
}

/// The frames first: if the process is killed in between, doing it again does what is left.
fn set_source_class(
    project: &Project,
    sources: &[SourceId],
    class: Option<&ClassName>,
    work: &Work,
) -> Result<Performed, ProjectError> {
    let label = |class: Option<&ClassName>| class.cloned().map_or(Label::Unsorted, Label::Class);
    let mut from = Vec::new();
    let mut frames = Vec::new();
    for id in sources {
        let Some(source) = project.source(id) else {
            return Err(ProjectError::NoSuchSource { id: id.to_string() });
        };
        if source.class.as_ref() != class {
            frames.extend(project.frames_of(id, &label(source.class.as_ref()), work)?);
            from.push((source.id, source.class));
        }
    }
    if from.is_empty() {
        return Ok((Done::Moved(Vec::new()), Outcome::default(), Ok(())));
    }
    let result = project.relabel_frames(&frames, &label(class), work)?;
    let outcome = Outcome {
        moved: result.pairs.clone(),
    };
    let to: Vec<_> = from
        .iter()
        .map(|(source, _)| (source.clone(), class.cloned()))
        .collect();
    let end = result.end.and_then(|()| note_source_classes(project, &to));
    let done = match end {
        Ok(()) => Done::SourceClass {
            from,
            moved: result.pairs,
        },
        // The sources keep their classes; only frames were moved.
        Err(_) => Done::Moved(result.pairs),
    };
    Ok((done, outcome, end))
}

fn note_source_classes(
    project: &Project,
    classes: &[(SourceId, Option<ClassName>)],
) -> Result<(), ProjectError> {
    project.update(|document| {
        for known in &mut document.sources {
            let found = classes.iter().find(|(source, _)| *source == known.item.id);
            if let Some((_, class)) = found {
                known.item.class.clone_from(class);
            }
        }
        Ok(())
    })
}

fn moved(result: Moved) -> Performed {
    let outcome = Outcome {
        moved: result.pairs.clone(),
    };
    (Done::Moved(result.pairs), outcome, result.end)
}

/// Takes back what [`perform`] did.
pub(super) fn take_back(
    project: &Project,
    change: &Change,
    done: &Done,
    work: &Work,
) -> Result<Back, ProjectError> {
    let mut back = Back {
        frames: Vec::new(),
        moved: Vec::new(),
        astray: Vec::new(),
        undone: None,
    };
    match (done, change) {
        (Done::Moved(moved), _) => {
            let _change = project.begin_change()?;
            move_back(project, moved, &mut back, work)?;
        }
        (Done::Created, Change::CreateClass { name }) => {
            let _change = project.begin_change()?;
            let result = project.unmake_class(name, true, work)?;
            result.end?;
            back.moved = result.pairs;
        }
        (Done::Renamed, Change::RenameClass { from, to }) => {
            back.moved = rename(project, to, from, work)?;
        }
        (Done::Reordered { from }, Change::MoveClass { name, .. }) => {
            project.move_class(name, *from)?;
        }
        (
            Done::Deleted {
                class,
                position,
                moved,
                sources,
            },
            _,
        ) => {
            let _change = project.begin_change()?;
            if place_of(project, &class.name).is_err() {
                project.remake_class(class, *position, |document| {
                    for source in &mut document.sources {
                        if source.item.class.is_none() && sources.contains(&source.item.id) {
                            source.item.class = Some(class.name.clone());
                        }
                    }
                })?;
            }
            move_back(project, moved, &mut back, work)?;
        }
        (
            Done::Merged {
                class,
                position,
                moved,
                merged,
            },
            Change::MergeClass { into, .. },
        ) => {
            let _change = project.begin_change()?;
            project.part_classes(class, *position, into, merged)?;
            move_back(project, moved, &mut back, work)?;
        }
        (Done::SourceClass { from, moved }, _) => {
            let _change = project.begin_change()?;
            move_back(project, moved, &mut back, work)?;
            note_source_classes(project, from)?;
        }
        (Done::Imported, Change::Import { record, .. }) => {
            let undone = project.take_back_import(record, work)?;
            back.moved = undone.pairs();
            back.undone = Some(undone);
        }
        // Each kind of change is undone by its own code, above.
        (
            Done::Created
            | Done::Renamed
            | Done::Reordered { .. }
            | Done::Merged { .. }
            | Done::Imported,
            _,
        ) => {}
    }
    Ok(back)
}

fn move_back(
    project: &Project,
    moved: &[(String, String)],
    back: &mut Back,
    work: &Work,
) -> Result<(), ProjectError> {
    // The last first, so that of two frames of one name each gets its own back. A frame that an interrupted
    // attempt has put back already stays there.
    let targets = moved
        .iter()
        .rev()
        .map(|(old, new)| {
            let is_back =
                !crate::files::exists(project.abs(new)) && crate::files::exists(project.abs(old));
            let from = if is_back { old } else { new };
            (from.clone(), Target::Path(old.clone()))
        })
        .collect();
    let result = project.move_frames(targets, work);
    for ((old, new), now) in moved.iter().rev().zip(&result.paths) {
        if now != old && now != new {
            back.astray.push((old.clone(), now.clone()));
        }
    }
    back.frames = result.paths.into_iter().rev().collect();
    back.moved = result.pairs;
    result.end
}

/// Renames a class and tells which paths changed with it.
fn rename(
    project: &Project,
    from: &ClassName,
    to: &ClassName,
    work: &Work,
) -> Result<Vec<(String, String)>, ProjectError> {
    project.rename_class(from, to)?;
    let (old, new) = (format!("classes/{from}/"), format!("classes/{to}/"));
    let frames = project.scan(work)?;
    let moved = frames.list.into_iter().filter_map(|frame| {
        let rest = frame.path.strip_prefix(&new)?;
        Some((format!("{old}{rest}"), frame.path.clone()))
    });
    Ok(moved.collect())
}

fn place_of(project: &Project, name: &ClassName) -> Result<(Class, usize), ProjectError> {
    let classes = project.classes();
    let found = classes
        .into_iter()
        .enumerate()
        .find(|(_, class)| class.name == *name);
    match found {
        Some((position, class)) => Ok((class, position)),
        None => Err(ProjectError::NoSuchClass { name: name.clone() }),
    }
}
