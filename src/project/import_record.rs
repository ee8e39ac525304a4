//! What an import did to a project, and taking it back.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::files;
use crate::jobs::Work;

use super::document::Pending;
use super::moves::Target;
use super::{Class, ClassName, Frame, Label, Project, ProjectError, Source, SourceId};

/// What an import did, enough to take it back.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportRecord {
    /// Sources that it made. All their frames are the import's, also those extracted later.
    pub sources: Vec<SourceId>,
    /// Sources that it changed, as they were before.
    pub changed: Vec<Source>,
    /// Frames that it wrote for sources that were there before; paths relative to the project's root.
    pub frames: Vec<String>,
    /// Old and new path of each frame that it moved to another label or to the trash.
    pub moved: Vec<(String, String)>,
    /// Classes that it made.
    pub classes: Vec<ClassName>,
    /// What it wrote for `sources`, unless that was very much: while nothing else has happened to them, their frames need
    /// not be looked for in the whole project.
    pub written: Vec<WrittenSource>,
}

/// A source that an import made, as the import left it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WrittenSource {
    /// The source.
    pub source: Source,
    /// All frames that it had; paths relative to the project's root.
    pub frames: Vec<String>,
}

impl ImportRecord {
    /// Whether it did nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What taking an import back did, enough to do the import again without its files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Undone {
    /// Sources that were taken off the list, with their places.
    sources: Vec<(usize, Source)>,
    /// Sources that were set back, as the import had left them.
    changed: Vec<Source>,
    /// Former and new path of each frame that was put into the trash.
    trashed: Vec<(String, String)>,
    /// The import's paths and the former paths of the frames that were moved back.
    moved: Vec<(String, String)>,
    /// Classes that were removed, with their places.
    classes: Vec<(usize, Class)>,
}

impl Undone {
    /// Where frames went.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        self.trashed.iter().chain(&self.moved).cloned().collect()
    }
}

impl Project {
    /// Takes an import back: its frames go to the trash, its sources off the list, its classes go if they are
    /// empty, and what it changed or moved is set back. A process that is killed meanwhile has it finished by
    /// whoever opens the project next.
    pub(super) fn take_back_import(
        &self,
        record: &ImportRecord,
        work: &Work,
    ) -> Result<Undone, ProjectError> {
        let _change = self.begin_change()?;
        self.update(|document| {
            document.pending = Some(Pending::TakeBackImport(Box::new(record.clone())));
            Ok(())
        })?;
        self.finish_take_back(record, work)
    }

    /// [`Project::take_back_import`] with the change begun and noted.
    pub(super) fn finish_take_back(
        &self,
        record: &ImportRecord,
        work: &Work,
    ) -> Result<Undone, ProjectError> {
        let mut undone = Undone::default();
        // The sources first: an extraction under way ends when its source is gone.
        self.update(|document| {
            let mut position = 0;
            document.sources.retain(|source| {
                let is_gone = record.sources.contains(&source.item.id);
                if is_gone {
                    undone.sources.push((position, source.item.clone()));
                }
                position += 1;
                !is_gone
            });
            for before in &record.changed {
                let found = document.sources.iter_mut();
                for source in found.filter(|source| source.item.id == before.id) {
                    undone.changed.push(source.item.clone());
                    source.item = before.clone();
                }
            }
            Ok(())
        })?;
        // Not to be cancelled half-way: what was moved until then would be out of reach.
        let whole = Work::new();
        let frames = match self.recorded_frames(record, &undone) {
            Some(frames) => frames,
            None => self.frames_of_import(record, &whole)?,
        };
        let trashed = self.trash_frames(&frames, &whole);
        undone.trashed = trashed.pairs;
        trashed.end?;
        let back = record.moved.iter().rev();
        let back = back.map(|(old, new)| (new.clone(), Target::Path(old.clone())));
        let there = |path: &str| files::exists(self.abs(path));
        let back = back.filter(|(path, _)| there(path)).collect();
        let moved = self.move_frames(back, &whole);
        undone.moved = moved.pairs;
        moved.end?;
        for name in record.classes.iter().rev() {
            let position = self.document().position(name);
            let class = self.classes().into_iter().find(|class| class.name == *name);
            if let (Some(position), Some(class)) = (position, class)
                && self.unmake_empty_class(name, &whole)?
            {
                undone.classes.push((position, class));
            }
        }
        self.update(|document| {
            document.pending = None;
            Ok(())
        })?;
        for warning in whole.take_warnings() {
            work.warn(warning);
        }
        Ok(undone)
    }

    /// Gives frames a class, which is made if it is missing, as a part of an import: `record` holds what was moved and
    /// made, also after an error.
    pub fn label_imported(
        &self,
        frames: &[String],
        class: &ClassName,
        record: &mut ImportRecord,
        work: &Work,
    ) -> Result<(), ProjectError> {
        let _change = self.begin_change()?;
        if self.document().position(class).is_none() {
            self.make_class(class)?;
            record.classes.push(class.clone());
        }
        let moved = self.relabel_frames(frames, &Label::Class(class.clone()), work)?;
        record.moved.extend(moved.pairs);
        moved.end
    }

    /// Does an import again that was taken back. Returns where frames went.
    pub(super) fn redo_import(
        &self,
        undone: &Undone,
        work: &Work,
    ) -> Result<Vec<(String, String)>, ProjectError> {
        let _change = self.begin_change()?;
        for (position, class) in undone.classes.iter().rev() {
            if self.document().position(&class.name).is_none() {
                self.remake_class(class, *position, |_| ())?;
            }
        }
        self.update(|document| {
            for (position, source) in &undone.sources {
                if document.sources.iter().all(|s| s.item.id != source.id) {
                    let position = (*position).min(document.sources.len());
                    document.sources.insert(position, source.clone().into());
                }
            }
            for after in &undone.changed {
                let found = document.sources.iter_mut();
                for source in found.filter(|source| source.item.id == after.id) {
                    source.item = after.clone();
                }
            }
            Ok(())
        })?;
        let pairs = undone.moved.iter().rev().chain(&undone.trashed);
        let targets = pairs
            .filter(|(_, new)| files::exists(self.abs(new)))
            .map(|(old, new)| (new.clone(), Target::Path(old.clone())))
            .collect();
        let moved = self.move_frames(targets, work);
        moved.end?;
        Ok(moved.pairs)
    }

    /// The frames that an import wrote, if the record knows all of them and each is where the import put it.
    fn recorded_frames(&self, record: &ImportRecord, undone: &Undone) -> Option<Vec<String>> {
        let mut frames = record.frames.clone();
        for id in &record.sources {
            let (_, now) = undone.sources.iter().find(|(_, now)| now.id == *id)?;
            let written = record.written.iter().find(|of| of.source == *now)?;
            frames.extend(written.frames.iter().cloned());
        }
        self.count_files(frames.len() as u64);
        let all_there = frames.iter().all(|path| files::is_file(self.abs(path)));
        all_there.then_some(frames)
    }

    /// The frames that an import wrote and that are in use, looked for in the whole project.
    fn frames_of_import(
        &self,
        record: &ImportRecord,
        work: &Work,
    ) -> Result<Vec<String>, ProjectError> {
        let sources: HashSet<&SourceId> = record.sources.iter().collect();
        let written: HashSet<&String> = record.frames.iter().collect();
        let classes = self.follow_folders(work)?;
        let scanned = self.scan_followed(classes, work)?.list.into_iter();
        let is_of_import = |frame: &Frame| {
            frame
                .source
                .as_ref()
                .is_some_and(|source| sources.contains(source))
                || written.contains(&frame.path)
        };
        Ok(scanned
            .filter(is_of_import)
            .map(|frame| frame.path)
            .collect())
    }

    /// Removes a class that has no frames and is the class of no source; `false` if it stays.
    pub fn remove_empty_class(&self, name: &ClassName) -> Result<bool, ProjectError> {
        let _change = self.begin_change()?;
        self.unmake_empty_class(name, &Work::new())
    }

    fn unmake_empty_class(&self, name: &ClassName, work: &Work) -> Result<bool, ProjectError> {
        let has_source = |source: Source| source.class.as_ref() == Some(name);
        if self.sources().into_iter().any(has_source) {
            return Ok(false);
        }
        let classes = self.follow_folders(work)?;
        let Some(folder) = classes.into_iter().find(|class| class.name == *name) else {
            return Ok(false);
        };
        if !self.frames_in(&folder, work)?.is_empty() {
            return Ok(false);
        }
        self.unmake_class(name, true, work)?.end?;
        Ok(true)
    }
}
