//! Changes of frames and classes by the user, and how they are done and undone.

use crate::jobs::Work;

use super::classes::Merged;
use super::moves::{Moved, Target};
use super::{Class, ClassName, ImportRecord, Label, Noun, Project, ProjectError, SourceId, Undone};

/// A change by the user that can be undone.
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
    /// Moves frames from the trash (paths relative to `trash/`) back to their former label.
    Restore {
        /// The frames.
        frames: Vec<String>,
    },
    /// Assigns to frames between labelled ones of their video the class of those ([`super::like_neighbours`]), and
    /// moves the frames that they replace to the trash.
    LikeNeighbours {
        /// The frames.
        frames: Vec<String>,
        /// The replaced frames, whose labels count.
        replaced: Vec<String>,
    },
    /// Creates a class.
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
        /// The class that is removed.
        from: ClassName,
        /// The class that gets its frames.
        into: ClassName,
    },
    /// Assigns another class to sources. Their frames with the former class get it, too; frames labelled by hand stay.
    SetSourceClass {
        /// The sources.
        sources: Vec<SourceId>,
        /// Their new class; `None` for unsorted.
        class: Option<ClassName>,
    },
    /// Moves a class within the user's order.
    MoveClass {
        /// Its name.
        name: ClassName,
        /// Its new position, from 0.
        position: usize,
    },
    /// An import, already done by the media layer ([`super::History::apply`] only records it). Undo moves its frames
    /// to the trash and removes its sources and its empty classes; redo restores them.
    Import {
        /// What the import did.
        record: Box<ImportRecord>,
        /// How many files were imported.
        files: u64,
        /// How many images were added one by one after a model was tried on them; 0 for an import of whole files.
        predictions: usize,
        /// What undo did; `None` unless it is undone.
        undone: Option<Box<Undone>>,
    },
}

impl Change {
    /// A description that follows "Undo" and "Redo": "label 24 frames “cat”".
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
                (None, 1) => "remove a source’s class".to_owned(),
                (None, count) => format!("remove the class of {count} sources"),
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

/// The description of a change, to follow "Undo" and "Redo", with placeholders for the noun of the project's images.
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

    /// The description for a project whose images have this noun.
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

/// The effects of a change, an undo or a redo on frames.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Old and new path of each frame that was moved, including those in a renamed class.
    pub moved: Vec<(String, String)>,
}

/// Everything needed to undo a change.
#[derive(Debug, Clone)]
pub(super) enum Done {
    /// Frames were moved from one path to another.
    Moved(Vec<(String, String)>),
    Created,
    Renamed,
    Deleted {
        class: Class,
        position: usize,
        moved: Vec<(String, String)>,
        /// Sources whose frames belonged to the class.
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
        /// The former class of each source.
        from: Vec<(SourceId, Option<ClassName>)>,
        moved: Vec<(String, String)>,
    },
    Imported,
}

/// The result of an undo.
pub(super) struct Back {
    /// The current paths of the change's frames.
    pub frames: Vec<String>,
    pub moved: Vec<(String, String)>,
    /// For misplaced frames: where they should be, and where they are.
    pub misplaced: Vec<(String, String)>,
    /// Everything needed to redo an import.
    pub undone: Option<Undone>,
}

pub(super) type Performed = (Done, Outcome, Result<(), ProjectError>);

/// Does the change. The inner result is the error that ended it after something had been done.
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
                // The class still exists; only frames were moved.
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
                // Both classes still exist; only frames were moved.
                None => Done::Moved(result.pairs),
            };
            Ok((done, outcome, result.end))
        }
    }
}

/// Frames first: if the process is killed in between, repeating the change completes it.
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

/// Undoes what [`perform`] did.
pub(super) fn take_back(
    project: &Project,
    change: &Change,
    done: &Done,
    work: &Work,
) -> Result<Back, ProjectError> {
    let mut back = Back {
        frames: Vec::new(),
        moved: Vec::new(),
        misplaced: Vec::new(),
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
        // Each kind of change is undone by its own code above.
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
    // In reverse order, so that of two frames with one name each gets its own back. A frame that an interrupted
    // attempt has moved back stays there.
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
            back.misplaced.push((old.clone(), now.clone()));
        }
    }
    back.frames = result.paths.into_iter().rev().collect();
    back.moved = result.pairs;
    result.end
}

/// Renames a class, and returns which paths changed.
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
