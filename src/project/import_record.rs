//! The record of an import, and undoing it.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::files;
use crate::jobs::Work;

use super::document::Pending;
use super::moves::Target;
use super::{Class, ClassName, Frame, Label, Project, ProjectError, Source, SourceId};

/// Everything that an import did, as needed to undo it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ImportRecord {
    /// Sources that it created. All their frames belong to the import, including those extracted later.
    pub sources: Vec<SourceId>,
    /// Sources that it changed, in their former state.
    pub changed: Vec<Source>,
    /// Frames that it wrote for existing sources; paths relative to the project's root.
    pub frames: Vec<String>,
    /// Old and new path of each frame that it moved to another label or to the trash.
    pub moved: Vec<(String, String)>,
    /// Classes that it created.
    pub classes: Vec<ClassName>,
    /// The frames that it wrote for `sources`, unless they are very many: as long as nothing else happened to them,
    /// they need not be searched for in the whole project.
    pub written: Vec<WrittenSource>,
}

/// A source that an import created, in the state after the import.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WrittenSource {
    /// The source.
    pub source: Source,
    /// All its frames; paths relative to the project's root.
    pub frames: Vec<String>,
}

impl ImportRecord {
    /// Whether the import changed nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What undoing an import did, as needed to redo it without its files.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Undone {
    /// Sources that were removed, with their positions.
    sources: Vec<(usize, Source)>,
    /// Sources that were reset, in the state after the import.
    changed: Vec<Source>,
    /// Former and new path of each frame that was moved to the trash.
    trashed: Vec<(String, String)>,
    /// The paths after the import and the former paths of the frames that were moved back.
    moved: Vec<(String, String)>,
    /// Classes that were removed, with their positions.
    classes: Vec<(usize, Class)>,
}

impl Undone {
    /// Old and new paths of all moved frames.
    pub(super) fn pairs(&self) -> Vec<(String, String)> {
        self.trashed.iter().chain(&self.moved).cloned().collect()
    }
}

impl Project {
    /// Undoes an import: moves its frames to the trash, removes its sources and its empty classes, and resets what it
    /// changed or moved. If the process is killed meanwhile, the next process that opens the project completes it.
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

    /// [`Project::take_back_import`] within a begun and recorded change.
    pub(super) fn finish_take_back(
        &self,
        record: &ImportRecord,
        work: &Work,
    ) -> Result<Undone, ProjectError> {
        let mut undone = Undone::default();
        // The sources first: an extraction in progress ends when its source is removed.
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
        // Not cancellable half-way, because frames moved until then could not be found again.
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

    /// Assigns a class, which is created if necessary, to frames as a part of an import. `record` gets everything that
    /// was moved and created, also after an error.
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

    /// Redoes an import that was undone. Returns old and new paths of frames.
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

    /// The frames of an import, if the record contains all of them and each is where the import put it.
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

    /// The frames of an import that are not in the trash, searched for in the whole project.
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

    /// Removes a class that has no frames and is not the class of any source; `false` if it stays.
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
