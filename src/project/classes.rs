//! Changes of classes: each changes a folder first and the entry in `project.json` second. A change interrupted by a
//! kill is completed when the project is opened.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;

use crate::files::sync_dir;
use crate::jobs::Work;

use super::class::clash_key;
use super::document::{Document, Pending};
use super::handle::remove_file;
use super::left_over;
use super::moves::Moved;
use super::scan::subfolders;
use super::split_memory::MergedSplits;
use super::{Class, ClassName, Label, Project, ProjectError, SourceId};

impl Project {
    /// Adds a class (its folder and its entry) at the end. A name that a file system would confuse with that of
    /// another class is refused.
    pub fn add_class(&self, name: &ClassName) -> Result<(), ProjectError> {
        self.add_classes(std::slice::from_ref(name))
    }

    /// Adds classes at the end, in this order, or none of them: all names are checked before the first folder is
    /// created, also against each other.
    ///
    /// # Errors
    /// If a name clashes with a class, a folder or another of the names, or if a folder or the project cannot be
    /// written.
    pub fn add_classes(&self, names: &[ClassName]) -> Result<(), ProjectError> {
        let _change = self.begin_change()?;
        self.make_classes(names)
    }

    /// Renames a class with its frames. The new name may differ only in case or in the composition of accents.
    pub fn rename_class(&self, from: &ClassName, to: &ClassName) -> Result<(), ProjectError> {
        let _change = self.begin_change()?;
        if self.document().position(from).is_none() {
            return Err(ProjectError::NoSuchClass { name: from.clone() });
        }
        if from == to {
            return Ok(());
        }
        self.check_clash(to, Some(from)).map_err(|error| {
            let other = match &error {
                ProjectError::ClassClash { other, .. } => ClassName::new(other).ok(),
                _ => None,
            };
            match other.filter(|other| self.document().position(other).is_some()) {
                Some(other) => ProjectError::NameTaken {
                    from: from.clone(),
                    other,
                },
                None => error,
            }
        })?;
        self.set_pending(Some(Pending::RenameClass {
            from: from.clone(),
            to: to.clone(),
        }))?;
        let renamed = self.finish_rename(from, to);
        if renamed.is_err() {
            self.set_pending(None)?;
        }
        renamed
    }

    /// Removes a class; its frames become unsorted. Returns the new relative paths of the moved frames. Other files in
    /// the folder are moved to `trash/`.
    pub fn remove_class(&self, name: &ClassName) -> Result<Vec<String>, ProjectError> {
        let _change = self.begin_change()?;
        let moved = self.unmake_class(name, false, &Work::new())?;
        moved.end?;
        Ok(moved.pairs.into_iter().map(|(_, new)| new).collect())
    }

    /// Moves the frames of class `from` to class `into` and removes `from`. Returns the new relative paths of the
    /// moved frames. Sources of class `from` become sources of `into`; runs trained on `from` follow the merger
    /// ([`super::ClassList`]).
    pub fn merge_class(
        &self,
        from: &ClassName,
        into: &ClassName,
        work: &Work,
    ) -> Result<Vec<String>, ProjectError> {
        let _change = self.begin_change()?;
        let (moved, _) = self.unite_classes(from, into, work)?;
        moved.end?;
        Ok(moved.pairs.into_iter().map(|(_, new)| new).collect())
    }

    /// Moves a class to `position` in the user's order (0 is first; beyond the end is last).
    pub fn move_class(&self, name: &ClassName, position: usize) -> Result<(), ProjectError> {
        let _change = self.begin_change()?;
        self.update(|document| {
            let at = document
                .position(name)
                .ok_or_else(|| ProjectError::NoSuchClass { name: name.clone() })?;
            let class = document.classes.remove(at);
            let position = position.min(document.classes.len());
            document.classes.insert(position, class);
            Ok(())
        })
    }

    /// [`Project::add_class`] within a begun change.
    pub(super) fn make_class(&self, name: &ClassName) -> Result<(), ProjectError> {
        self.make_classes(std::slice::from_ref(name))
    }

    /// [`Project::add_classes`] within a begun change.
    fn make_classes(&self, names: &[ClassName]) -> Result<(), ProjectError> {
        let mut keys: HashMap<String, &ClassName> = HashMap::new();
        for name in names {
            self.check_clash(name, None)?;
            if let Some(other) = keys.insert(name.clash_key(), name) {
                return Err(ProjectError::NamesClash {
                    name: name.clone(),
                    other: other.clone(),
                });
            }
        }
        let mut made = 0;
        let added = names
            .iter()
            .try_for_each(|name| {
                self.make_folder(name)?;
                made += 1;
                Ok(())
            })
            .and_then(|()| {
                self.update(|document| {
                    for name in names {
                        let class = document.new_class(name);
                        document.classes.push(class.into());
                    }
                    Ok(())
                })
            });
        if added.is_err() {
            for name in names.iter().take(made) {
                let folder = self.label_dir(&Label::Class(name.clone()));
                if let Err(error) = crate::files::remove_dir(&folder) {
                    // The next scan lists it as a class.
                    log::warn!("“{}” was left behind: {error}", folder.display());
                }
            }
        }
        added
    }

    fn make_folder(&self, name: &ClassName) -> Result<(), ProjectError> {
        self.check_clash(name, None)?;
        let classes = self.root().join("classes");
        let path = classes.join(name.as_str());
        self.make_dir(&path)?;
        sync_dir(&classes);
        Ok(())
    }

    /// Restores a class with its former identity, position and colour, and applies `more` in the same update. To be
    /// called within a begun change.
    pub(super) fn remake_class(
        &self,
        class: &Class,
        position: usize,
        more: impl FnOnce(&mut Document),
    ) -> Result<(), ProjectError> {
        self.make_folder(&class.name)?;
        self.update(|document| {
            let position = position.min(document.classes.len());
            document.classes.insert(position, class.clone().into());
            document.unretire(class.id);
            more(document);
            Ok(())
        })
    }

    /// [`Project::remove_class`] within a begun change. Unless it succeeds, the class stays with its remaining frames.
    /// `returns` if its creation is undone and may be redone.
    pub(super) fn unmake_class(
        &self,
        name: &ClassName,
        returns: bool,
        work: &Work,
    ) -> Result<Moved, ProjectError> {
        let pending = Pending::RemoveClass(name.clone());
        let moved = self.empty_class(name, &Label::Unsorted, pending, work)?;
        if moved.end.is_ok() {
            self.note_removal(name, returns)?;
        }
        Ok(moved)
    }

    /// [`Project::merge_class`] within a begun change, returning everything needed to undo it. `None` unless it
    /// succeeds: then both classes stay, and some frames are moved.
    pub(super) fn unite_classes(
        &self,
        from: &ClassName,
        into: &ClassName,
        work: &Work,
    ) -> Result<(Moved, Option<Merged>), ProjectError> {
        if from == into {
            return Err(ProjectError::MergeIntoItself { name: from.clone() });
        }
        let pending = Pending::MergeClass {
            from: from.clone(),
            into: into.clone(),
        };
        let moved = self.empty_class(from, &Label::Class(into.clone()), pending, work)?;
        let merged = match moved.end {
            Ok(()) => Some(self.note_merger(from, into)?),
            Err(_) => None,
        };
        Ok((moved, merged))
    }

    /// Restores a class that [`Project::unite_classes`] merged into another; the caller must move its frames. To be
    /// called within a begun change.
    pub(super) fn part_classes(
        &self,
        class: &Class,
        position: usize,
        into: &ClassName,
        merged: &Merged,
    ) -> Result<(), ProjectError> {
        if self.document().position(&class.name).is_some() {
            // An interrupted attempt has already done this.
            return Ok(());
        }
        self.remake_class(class, position, |document| {
            for source in &mut document.sources {
                let of_both = source.item.class.as_ref() == Some(into);
                if of_both && merged.sources.contains(&source.item.id) {
                    source.item.class = Some(class.name.clone());
                }
            }
            let splits = &mut document.splits;
            splits.part_classes(&class.name, into, &merged.splits);
        })
    }

    /// Moves the frames of a class to a label, then removes its folder. The class's entry stays, and after a success
    /// so does `pending`: the caller removes both.
    fn empty_class(
        &self,
        name: &ClassName,
        to: &Label,
        pending: Pending,
        work: &Work,
    ) -> Result<Moved, ProjectError> {
        let found = self
            .follow_folders(work)?
            .into_iter()
            .find(|class| class.name == *name);
        let Some(class) = found else {
            return Err(ProjectError::NoSuchClass { name: name.clone() });
        };
        if let Label::Class(to) = to
            && self.document().position(to).is_none()
        {
            return Err(ProjectError::NoSuchClass { name: to.clone() });
        }
        self.set_pending(Some(pending))?;
        let moved = self
            .frames_in(&class, work)
            .and_then(|frames| self.relabel_frames(&frames, to, work));
        let mut moved = match moved {
            Ok(moved) => moved,
            Err(error) => {
                self.set_pending(None)?;
                return Err(error);
            }
        };
        if moved.end.is_ok() {
            moved.end = self.remove_folder(&class.folder);
        }
        if moved.end.is_err() {
            self.set_pending(None)?;
        }
        Ok(moved)
    }

    fn note_removal(&self, name: &ClassName, returns: bool) -> Result<(), ProjectError> {
        self.update(|document| {
            document.retire(name, None, returns);
            for source in &mut document.sources {
                if source.item.class.as_ref() == Some(name) {
                    source.item.class = None;
                }
            }
            document.pending = None;
            Ok(())
        })
    }

    fn note_merger(&self, from: &ClassName, into: &ClassName) -> Result<Merged, ProjectError> {
        self.update(|document| {
            let target = document
                .position(into)
                .and_then(|at| document.classes.get(at));
            let target = target.map(|class| class.item.id);
            document.retire(from, target, false);
            let mut sources = Vec::new();
            for source in &mut document.sources {
                if source.item.class.as_ref() == Some(from) {
                    source.item.class = Some(into.clone());
                    sources.push(source.item.id.clone());
                }
            }
            let splits = document.splits.merge_class(from, into);
            document.pending = None;
            Ok(Merged { sources, splits })
        })
    }

    /// Removes a class folder without frames; its other contents are moved to `trash/`.
    fn remove_folder(&self, folder: &str) -> Result<(), ProjectError> {
        let classes = self.root().join("classes");
        let path = classes.join(folder);
        match crate::files::remove_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                let trash = self.root().join("trash").join("removed");
                self.make_dir(&trash)?;
                let place = (1..=u32::MAX)
                    .map(|n| trash.join(format!("{folder} {n}")))
                    .find(|place| !crate::files::exists(place))
                    .unwrap_or_else(|| trash.join(folder));
                crate::files::rename(&path, place).map_err(ProjectError::io("move", &path))?;
            }
            // A link to a folder elsewhere: only the link belongs to the project.
            Err(_) if path.is_symlink() => remove_file(&path)?,
            Err(error) => return Err(ProjectError::io("remove", &path)(error)),
        }
        sync_dir(&classes);
        Ok(())
    }

    /// Renames the folder, then the entry and all references to the class.
    fn finish_rename(&self, from: &ClassName, to: &ClassName) -> Result<(), ProjectError> {
        let classes = self.root().join("classes");
        let (old, new) = (classes.join(from.as_str()), classes.join(to.as_str()));
        crate::files::rename(&old, &new).map_err(ProjectError::io("rename", &old))?;
        sync_dir(&classes);
        self.note_rename(from, to)
    }

    fn note_rename(&self, from: &ClassName, to: &ClassName) -> Result<(), ProjectError> {
        self.update(|document| {
            for class in &mut document.classes {
                if class.item.name == *from {
                    class.item.name = to.clone();
                }
            }
            for source in &mut document.sources {
                if source.item.class.as_ref() == Some(from) {
                    source.item.class = Some(to.clone());
                }
            }
            document.splits.rename_class(from, to);
            document.pending = None;
            Ok(())
        })
    }

    fn label_dir_exists(&self, name: &ClassName) -> bool {
        crate::files::is_dir(self.label_dir(&Label::Class(name.clone())))
    }

    fn set_pending(&self, pending: Option<Pending>) -> Result<(), ProjectError> {
        self.update(|document| {
            document.pending = pending;
            Ok(())
        })
    }

    /// Refuses a name that is the same as, or could be confused with, that of a class or a folder other than
    /// `except`'s.
    fn check_clash(
        &self,
        name: &ClassName,
        except: Option<&ClassName>,
    ) -> Result<(), ProjectError> {
        let classes = self.root().join("classes");
        let mut others: Vec<String> = self.classes().iter().map(|c| c.name.to_string()).collect();
        if crate::files::is_dir(&classes) {
            others.extend(subfolders(&classes, &Work::new())?);
        }
        let key = name.clash_key();
        let except_here = except.map(ClassName::as_str);
        // If the file system equates spellings, the folder of `except` may be listed with another one.
        let except_key = except.map(ClassName::clash_key);
        let clash = others.into_iter().find(|other| {
            let itself = Some(other.as_str()) == except_here
                || (except_key.as_ref() == Some(&key)
                    && except_key.as_deref() == Some(&clash_key(other))
                    && other != name.as_str()
                    && !is_listed_twice(&classes, other, except_here));
            !itself && clash_key(other) == key
        });
        match clash {
            Some(other) => Err(ProjectError::ClassClash {
                name: name.clone(),
                other,
            }),
            None => Ok(()),
        }
    }

    /// After opening: removes temporary files, completes pending changes, follows the folders. On a full disk pending
    /// changes wait, and the project opens anyway, so that the user can free space.
    pub(super) fn recover(&self) -> Result<(), ProjectError> {
        let _change = self.begin_deletion()?;
        left_over::remove(self.root());
        match self.finish_pending() {
            Err(error) if error.is_full() => {
                self.notice(format!(
                    "An earlier change could not be finished because the disk is full: {error}. Free some space, for example by emptying the trash; the next change finishes it."
                ));
                return Ok(());
            }
            other => other?,
        }
        let work = Work::new();
        self.follow_folders(&work)?;
        for warning in work.take_warnings() {
            self.notice(warning);
        }
        Ok(())
    }

    /// Completes a change that was pending when the project was opened. To be called within a begun change.
    ///
    /// # Errors
    /// A full disk, for which the change then [waits](Project::waits_for_room), or a project that cannot be written.
    pub(super) fn finish_pending(&self) -> Result<(), ProjectError> {
        self.set_waits_for_room(false);
        let finished = self.try_to_finish();
        self.set_waits_for_room(finished.as_ref().is_err_and(ProjectError::is_full));
        finished
    }

    fn try_to_finish(&self) -> Result<(), ProjectError> {
        let work = Work::new();
        let pending = self.document().pending.clone();
        // A change that fails is abandoned, except if the disk is full.
        let given_up = |what: String, error: ProjectError| {
            if error.is_full() {
                return Err(error);
            }
            self.notice(format!("{what}: {error}."));
            self.set_pending(None)
        };
        match pending {
            Some(Pending::RenameClass { from, to }) => {
                let classes = self.root().join("classes");
                let there = |name: &ClassName| crate::files::is_dir(classes.join(name.as_str()));
                match (there(&from), there(&to)) {
                    (true, false) => self.finish_rename(&from, &to)?,
                    (false, true) => self.note_rename(&from, &to)?,
                    // One folder under two spellings, or two folders: the listing of folders decides.
                    _ => self.set_pending(None)?,
                }
            }
            // Following the folders would regard the class, which has no folder, as removed by hand.
            Some(Pending::RemoveClass(name)) if !self.label_dir_exists(&name) => {
                self.note_removal(&name, false)?;
            }
            Some(Pending::RemoveClass(name)) => {
                let ended = self.unmake_class(&name, false, &work);
                if let Err(error) = ended.and_then(|moved| moved.end) {
                    given_up(format!("The class “{name}” could not be removed"), error)?;
                }
            }
            Some(Pending::MergeClass { from, into }) if !self.label_dir_exists(&from) => {
                self.note_merger(&from, &into)?;
            }
            Some(Pending::MergeClass { from, into }) => {
                let ended = self.unite_classes(&from, &into, &work);
                if let Err(error) = ended.and_then(|(moved, _)| moved.end) {
                    let what = format!("The class “{from}” could not be merged into “{into}”");
                    given_up(what, error)?;
                }
            }
            Some(Pending::TakeBackImport(record)) => {
                if let Err(error) = self.finish_take_back(&record, &work) {
                    given_up("An import could not be undone".to_owned(), error)?;
                }
            }
            None => {}
        }
        for warning in work.take_warnings() {
            self.notice(warning);
        }
        Ok(())
    }
}

/// Everything needed to undo a merger, except for the frames.
#[derive(Debug, Clone)]
pub(super) struct Merged {
    /// Sources of the class that was merged.
    sources: Vec<SourceId>,
    splits: MergedSplits,
}

/// Whether `name` and `other` are both listed as folders in `parent`.
fn is_listed_twice(parent: &Path, name: &str, other: Option<&str>) -> bool {
    let listed = subfolders(parent, &Work::new()).unwrap_or_default();
    let has = |wanted: &str| listed.iter().any(|folder| folder == wanted);
    has(name) && other.is_some_and(has)
}
