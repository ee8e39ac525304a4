//! Changing the classes: each change is a folder first and an entry in `project.json` second, and what a
//! killed process left half-done is finished on opening.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use crate::jobs::Work;

use super::class::clash_key;
use super::document::{Pending, sync_dir};
use super::handle::{is_temporary, remove_file};
use super::moves::Moved;
use super::scan::subfolders;
use super::{Class, ClassName, Label, Project, ProjectError};

impl Project {
    /// Adds a class (its folder and its entry) at the end. A name that a file system would confuse with
    /// another class's is refused.
    pub fn add_class(&self, name: &ClassName) -> Result<(), ProjectError> {
        let _change = self.begin_change();
        self.make_class(name)
    }

    /// Renames a class, frames and all. A change of case or of the composition of accents alone is possible.
    pub fn rename_class(&self, from: &ClassName, to: &ClassName) -> Result<(), ProjectError> {
        let _change = self.begin_change();
        if from == to {
            return Ok(());
        }
        if self.document().position(from).is_none() {
            return Err(ProjectError::NoSuchClass { name: from.clone() });
        }
        self.check_clash(to, Some(from))?;
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

    /// Removes a class; its frames become unsorted. Returns the new relative paths of the moved frames.
    /// Other files in the folder go to `trash/`.
    pub fn remove_class(&self, name: &ClassName) -> Result<Vec<String>, ProjectError> {
        let _change = self.begin_change();
        let moved = self.unmake_class(name, &Work::new())?;
        moved.end?;
        Ok(moved.pairs.into_iter().map(|(_, new)| new).collect())
    }

    /// Moves a class to `position` in the user's order (0 is first; beyond the end is last).
    pub fn move_class(&self, name: &ClassName, position: usize) -> Result<(), ProjectError> {
        let _change = self.begin_change();
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

    /// Gives a class another colour of the palette.
    pub fn set_class_color(&self, name: &ClassName, color: usize) -> Result<(), ProjectError> {
        let _change = self.begin_change();
        self.update(|document| {
            match document.classes.iter_mut().find(|c| c.item.name == *name) {
                Some(class) => class.item.color = color,
                None => return Err(ProjectError::NoSuchClass { name: name.clone() }),
            }
            Ok(())
        })
    }

    /// [`Project::add_class`] with the change begun.
    pub(super) fn make_class(&self, name: &ClassName) -> Result<(), ProjectError> {
        self.check_clash(name, None)?;
        let classes = self.root().join("classes");
        let path = classes.join(name.as_str());
        fs::create_dir_all(&path).map_err(ProjectError::io("make", &path))?;
        sync_dir(&classes);
        self.update(|document| {
            let color = document.free_color();
            document.classes.push(
                Class {
                    name: name.clone(),
                    color,
                }
                .into(),
            );
            Ok(())
        })
    }

    /// Puts a class back with the place and colour that it had. To be called with the change begun.
    pub(super) fn remake_class(&self, class: &Class, position: usize) -> Result<(), ProjectError> {
        self.make_class(&class.name)?;
        self.update(|document| {
            if let Some(at) = document.position(&class.name) {
                let mut entry = document.classes.remove(at);
                entry.item.color = class.color;
                let position = position.min(document.classes.len());
                document.classes.insert(position, entry);
            }
            Ok(())
        })
    }

    /// [`Project::remove_class`] with the change begun. Unless it ends well, the class stays with the frames
    /// that are left in it.
    pub(super) fn unmake_class(
        &self,
        name: &ClassName,
        work: &Work,
    ) -> Result<Moved, ProjectError> {
        let found = self
            .follow_folders(work)?
            .into_iter()
            .find(|class| class.name == *name);
        let Some(class) = found else {
            return Err(ProjectError::NoSuchClass { name: name.clone() });
        };
        self.set_pending(Some(Pending::RemoveClass(name.clone())))?;
        let frames = self.frames_in(&class, work);
        let mut moved = match frames {
            Ok(frames) => self.relabel_frames(&frames, &Label::Unsorted, work)?,
            Err(error) => {
                self.set_pending(None)?;
                return Err(error);
            }
        };
        if moved.end.is_ok() {
            moved.end = self.remove_folder(&class.folder);
        }
        if moved.end.is_ok() {
            self.update(|document| {
                document.classes.retain(|c| c.item.name != *name);
                for source in &mut document.sources {
                    if source.item.class.as_ref() == Some(name) {
                        source.item.class = None;
                    }
                }
                document.pending = None;
                Ok(())
            })?;
        } else {
            self.set_pending(None)?;
        }
        Ok(moved)
    }

    /// Removes a class folder that has no frames any more; what else is in it goes to `trash/`.
    fn remove_folder(&self, folder: &str) -> Result<(), ProjectError> {
        let classes = self.root().join("classes");
        let path = classes.join(folder);
        match fs::remove_dir(&path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) if error.kind() == ErrorKind::DirectoryNotEmpty => {
                let trash = self.root().join("trash").join("removed");
                fs::create_dir_all(&trash).map_err(ProjectError::io("make", &trash))?;
                let place = (1..=u32::MAX)
                    .map(|n| trash.join(format!("{folder} {n}")))
                    .find(|place| !place.exists())
                    .unwrap_or_else(|| trash.join(folder));
                fs::rename(&path, place).map_err(ProjectError::io("move", &path))?;
            }
            // A link to a folder elsewhere: only the link is the project's.
            Err(_) if path.is_symlink() => remove_file(&path)?,
            Err(error) => return Err(ProjectError::io("remove", &path)(error)),
        }
        sync_dir(&classes);
        Ok(())
    }

    /// The folder, then the entry and all that mentions the class.
    fn finish_rename(&self, from: &ClassName, to: &ClassName) -> Result<(), ProjectError> {
        let classes = self.root().join("classes");
        let (old, new) = (classes.join(from.as_str()), classes.join(to.as_str()));
        fs::rename(&old, &new).map_err(ProjectError::io("rename", &old))?;
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

    fn set_pending(&self, pending: Option<Pending>) -> Result<(), ProjectError> {
        self.update(|document| {
            document.pending = pending;
            Ok(())
        })
    }

    /// Refuses a name that a class or a folder (other than `except`'s) has, or nearly has.
    fn check_clash(
        &self,
        name: &ClassName,
        except: Option<&ClassName>,
    ) -> Result<(), ProjectError> {
        let classes = self.root().join("classes");
        let mut others: Vec<String> = self.classes().iter().map(|c| c.name.to_string()).collect();
        if classes.is_dir() {
            others.extend(subfolders(&classes, &Work::new())?);
        }
        let key = name.clash_key();
        let except_here = except.map(ClassName::as_str);
        // Where the file system confuses spellings, the folder of `except` may be listed in another.
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

    /// After opening: finishes what had begun, removes temporary files, follows the folders.
    pub(super) fn recover(&self) -> Result<(), ProjectError> {
        let _change = self.begin_change();
        let work = Work::new();
        let pending = self.document().pending.clone();
        match pending {
            Some(Pending::RenameClass { from, to }) => {
                let classes = self.root().join("classes");
                let there = |name: &ClassName| classes.join(name.as_str()).is_dir();
                match (there(&from), there(&to)) {
                    (true, false) => self.finish_rename(&from, &to)?,
                    (false, true) => self.note_rename(&from, &to)?,
                    // One folder under two spellings, or two folders: the list of folders decides.
                    _ => self.set_pending(None)?,
                }
            }
            Some(Pending::RemoveClass(name)) => {
                if let Err(error) = self.unmake_class(&name, &work).and_then(|moved| moved.end) {
                    self.notice(format!("The class “{name}” could not be removed: {error}."));
                    self.set_pending(None)?;
                }
            }
            None => {}
        }
        remove_temporary(self.root(), 0, false);
        for folder in ["classes", "unsorted", "trash"] {
            remove_temporary(&self.root().join(folder), 8, false);
        }
        for folder in ["cache", "runs", "exports"] {
            remove_temporary(&self.root().join(folder), 3, true);
        }
        self.follow_folders(&work)?;
        for warning in work.take_warnings() {
            self.notice(warning);
        }
        Ok(())
    }
}

/// Whether a folder `name` and a folder `other` are both listed in `parent`.
fn is_listed_twice(parent: &Path, name: &str, other: Option<&str>) -> bool {
    let listed = subfolders(parent, &Work::new()).unwrap_or_default();
    let has = |wanted: &str| listed.iter().any(|folder| folder == wanted);
    has(name) && other.is_some_and(has)
}

/// Removes `*.part` files, which only this process could be writing, down to `depth` folders below; with
/// `folders` also unfinished folders of that ending (a class may be called so).
fn remove_temporary(folder: &Path, depth: usize, folders: bool) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let Ok(kind) = entry.file_type() else {
            continue;
        };
        let temporary = entry.file_name().to_str().is_some_and(is_temporary);
        let removed = if kind.is_dir() && temporary && folders {
            fs::remove_dir_all(entry.path()).map_err(ProjectError::io("remove", &entry.path()))
        } else if kind.is_dir() && depth > 0 {
            remove_temporary(&entry.path(), depth - 1, folders);
            Ok(())
        } else if kind.is_file() && temporary {
            remove_file(&entry.path())
        } else {
            Ok(())
        };
        if let Err(error) = removed {
            log::warn!("{error}");
        }
    }
}
