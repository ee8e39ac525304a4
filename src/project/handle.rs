//! The open project: making, opening, and what `project.json` remembers.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::files;
use crate::jobs::Work;

use super::access::{self, Access, Taken};
use super::class::UNSORTED;
use super::costs::Counters;
use super::document::{self, Document, Loaded};
use super::left_over::is_left_over;
use super::links::confined;
use super::lock::{self, ProjectLock};
use super::{Class, FrameName, Label, ProjectError, Source, SourceId};

/// Folders of a project that are made with it.
const FOLDERS: [&str; 2] = ["classes", UNSORTED];

/// Files that systems put into any folder, and that do not make it any less empty.
const CLUTTER: [&str; 4] = [".DS_Store", "Thumbs.db", "desktop.ini", ".directory"];

/// An open project. All methods take `&self`; share it in an `Arc`.
pub struct Project {
    root: PathBuf,
    document: Mutex<Document>,
    /// Held while `project.json` is written, so that reading `document` never waits for the disk.
    saving: Mutex<()>,
    /// Held while class folders or frames are moved: one change at a time.
    changing: Mutex<()>,
    notices: Mutex<Vec<String>>,
    /// What scans have said already: a folder is scanned again and again, its oddities are reported once.
    told: Mutex<HashSet<String>>,
    counters: Counters,
    pub(super) access: Access,
    /// Where runs are made, if not in the project.
    pub(super) runs: Option<PathBuf>,
    /// Held for [`Access::Full`].
    lock: Option<ProjectLock>,
    /// Whether a change that had begun before the project was opened waits for room on the disk.
    waits_for_room: AtomicBool,
}

impl Project {
    /// Whether the folder `root` holds a project, be it one that has to be recovered.
    #[must_use]
    pub fn is_at(root: &Path) -> bool {
        document::exists(root)
    }

    /// Makes a new project in the folder `root` and opens it. The folder must be empty or not exist, or hold
    /// nothing but `classes/` (and `unsorted/`), whose class folders then become the project's.
    ///
    /// An empty `name` means the folder's name.
    pub fn create(root: &Path, name: &str) -> Result<Self, ProjectError> {
        let root = absolute(root)?;
        if document::exists(&root) {
            return Err(ProjectError::AlreadyAProject { path: root });
        }
        files::create_dir_all(&root).map_err(ProjectError::io("make", &root))?;
        let root = confined(&root)?;
        check_free(&root)?;
        let lock = ProjectLock::take(&root)?;
        for folder in FOLDERS {
            let path = root.join(folder);
            files::create_dir_all(&path).map_err(ProjectError::io("make", &path))?;
        }
        let folder_name = || root.file_name().map(|n| n.to_string_lossy().into_owned());
        let name = match name.trim() {
            "" => folder_name().unwrap_or_else(|| "Project".to_owned()),
            name => name.to_owned(),
        };
        // Last, so that whatever happens before leaves a folder in which the same can be tried again.
        let document = Document::new(&name);
        document::save(&root, &document)?;
        Self::ready(root, document, lock, None)
    }

    /// Whether [`Project::create`] can make a project in the folder `root`; changes nothing on disk.
    ///
    /// # Errors
    /// [`ProjectError::AlreadyAProject`], [`ProjectError::NotEmpty`], or that the folder cannot be read.
    pub fn check_new(root: &Path) -> Result<(), ProjectError> {
        let root = absolute(root)?;
        if document::exists(&root) {
            return Err(ProjectError::AlreadyAProject { path: root });
        }
        if root.try_exists().map_err(ProjectError::io("read", &root))? {
            check_free(&root)?;
        }
        Ok(())
    }

    /// Opens the project in the folder `root` and takes the lock on it.
    ///
    /// On a disk or in a folder that cannot be written it is opened for looking, see [`Project::access`].
    ///
    /// Finishes what a killed process had begun, clears its temporary files away, and follows what was done
    /// to the class folders meanwhile; [`Project::take_notices`] says what the user should know of that.
    pub fn open(root: &Path) -> Result<Self, ProjectError> {
        // Before the lock: a folder that cannot be opened must stay untouched.
        let root = confined(root)?;
        document::load(&root)?;
        let Taken::Full(lock) = access::take(&root)? else {
            return Self::read(root, Access::ReadOnly);
        };
        // Again with the lock: another process may have written in between.
        let Loaded { document, notice } = document::load(&root)?;
        if notice.is_some() {
            document::set_damaged_aside(&root)?;
            match document::save(&root, &document) {
                // The version before stays what is read.
                Err(error) if error.is_full() => log::warn!("{error}"),
                other => other?,
            }
        }
        Self::ready(root, document, lock, notice)
    }

    fn ready(
        root: PathBuf,
        document: Document,
        lock: ProjectLock,
        notice: Option<String>,
    ) -> Result<Self, ProjectError> {
        let project = Self::with(root, document, Access::Full, Some(lock), notice);
        project.recover()?;
        Ok(project)
    }

    pub(super) fn with(
        root: PathBuf,
        document: Document,
        access: Access,
        lock: Option<ProjectLock>,
        notice: Option<String>,
    ) -> Self {
        Self {
            root,
            document: Mutex::new(document),
            saving: Mutex::new(()),
            changing: Mutex::new(()),
            notices: Mutex::new(notice.into_iter().collect()),
            told: Mutex::default(),
            counters: Counters::default(),
            access,
            runs: None,
            lock,
            waits_for_room: AtomicBool::new(false),
        }
    }

    /// Warns of something in the folders unless that was said since the project was opened.
    pub(super) fn tell_once(&self, work: &Work, text: String) {
        if locked(&self.told).insert(text.clone()) {
            work.warn(text);
        }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The name shown to the user.
    #[must_use]
    pub fn name(&self) -> String {
        self.document().name.clone()
    }

    /// Changes the name shown to the user; the folder keeps its own.
    pub fn set_name(&self, name: &str) -> Result<(), ProjectError> {
        self.update(|document| {
            name.trim().clone_into(&mut document.name);
            Ok(())
        })
    }

    /// When the project was made, RFC 3339; empty if nobody knows.
    #[must_use]
    pub fn created(&self) -> String {
        self.document().created.clone()
    }

    /// What the user should know about opening, a sentence each; each is reported once.
    #[must_use]
    pub fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut *locked(&self.notices))
    }

    /// The classes in the user's order.
    #[must_use]
    pub fn classes(&self) -> Vec<Class> {
        let document = self.document();
        document.classes.iter().map(|c| c.item.clone()).collect()
    }

    /// The sources, oldest first.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        let document = self.document();
        document.sources.iter().map(|s| s.item.clone()).collect()
    }

    /// One source.
    #[must_use]
    pub fn source(&self, id: &SourceId) -> Option<Source> {
        let document = self.document();
        let found = document.sources.iter().find(|s| s.item.id == *id)?;
        Some(found.item.clone())
    }

    /// Whether the project has this source.
    #[must_use]
    pub fn has_source(&self, id: &SourceId) -> bool {
        let document = self.document();
        document.sources.iter().any(|s| s.item.id == *id)
    }

    /// Adds a source or replaces the one with the same id, in its place.
    pub fn put_source(&self, source: Source) -> Result<(), ProjectError> {
        self.update(|document| {
            match document.sources.iter_mut().find(|s| s.item.id == source.id) {
                Some(found) => found.item = source,
                None => document.sources.push(source.into()),
            }
            Ok(())
        })
    }

    /// Changes a source in its place; `false` when the project does not have it (any more).
    pub fn change_source(
        &self,
        id: &SourceId,
        change: impl FnOnce(&mut Source),
    ) -> Result<bool, ProjectError> {
        self.update(|document| {
            let found = document.sources.iter_mut().find(|s| s.item.id == *id);
            let is_there = found.is_some();
            if let Some(found) = found {
                change(&mut found.item);
            }
            Ok(is_there)
        })
    }

    /// Forgets a source; its frames stay.
    pub fn remove_source(&self, id: &SourceId) -> Result<(), ProjectError> {
        self.update(|document| {
            document.sources.retain(|s| s.item.id != *id);
            Ok(())
        })
    }

    /// A setting stored in `project.json` under `key`; the default when absent or unreadable.
    #[must_use]
    pub fn setting<T: DeserializeOwned + Default>(&self, key: &str) -> T {
        let Some(value) = self.stored_setting(key) else {
            return T::default();
        };
        serde_json::from_value(value).unwrap_or_else(|error| {
            log::warn!("setting {key} of {}: {error}", self.root.display());
            T::default()
        })
    }

    pub(super) fn stored_setting(&self, key: &str) -> Option<Value> {
        self.document().settings.get(key).cloned()
    }

    /// Stores a setting in `project.json`.
    pub fn set_setting<T: Serialize>(&self, key: &str, value: &T) -> Result<(), ProjectError> {
        let value = serde_json::to_value(value).map_err(|error| {
            ProjectError::io("write", &document::path(&self.root))(error.into())
        })?;
        self.update(|document| {
            document.settings.insert(key.to_owned(), value);
            Ok(())
        })
    }

    /// The folder in which frames with this label lie.
    #[must_use]
    pub fn label_dir(&self, label: &Label) -> PathBuf {
        self.abs(&label_path(label))
    }

    /// The path, relative to the root, of a frame with this label and name.
    #[must_use]
    pub fn frame_path(&self, label: &Label, name: &FrameName) -> String {
        format!("{}/{}", label_path(label), name.to_file_name())
    }

    /// The full path of a path relative to the root with `/`.
    #[must_use]
    pub fn abs(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// `cache/`: everything in it can be deleted.
    #[must_use]
    pub fn cache_dir(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// `runs/`, or the folder that it was [opened to train](Self::open_to_train) into.
    #[must_use]
    pub fn runs_dir(&self) -> PathBuf {
        self.runs.clone().unwrap_or_else(|| self.root.join("runs"))
    }

    /// `exports/`.
    #[must_use]
    pub fn exports_dir(&self) -> PathBuf {
        self.root.join("exports")
    }

    /// Says if the project's folder is gone. To be asked before anything is made in it.
    pub fn check_there(&self) -> Result<(), ProjectError> {
        if is_there(&self.root) {
            Ok(())
        } else {
            Err(ProjectError::Gone {
                path: self.root.clone(),
            })
        }
    }

    /// What became of a piece of work on the project: where the project is gone, that is why it failed.
    pub fn blame<T, E: From<ProjectError>>(&self, outcome: Result<T, E>) -> Result<T, E> {
        outcome.or_else(|error| {
            self.check_there()?;
            Err(error)
        })
    }

    /// Makes a folder in the project, with those above it that are missing; never the project's own.
    pub fn make_dir(&self, dir: &Path) -> Result<(), ProjectError> {
        self.check_writable()?;
        make_dir(&self.root, dir)
    }

    /// A look at what `project.json` holds. Hold it briefly.
    pub(super) fn document(&self) -> MutexGuard<'_, Document> {
        locked(&self.document)
    }

    /// Keeps others from moving frames and class folders; an error if the project may not be changed or is gone. What waits
    /// for room on the disk since the project was opened is done first.
    pub(super) fn begin_change(&self) -> Result<MutexGuard<'_, ()>, ProjectError> {
        let change = self.begin_deletion()?;
        if self.waits_for_room() {
            self.finish_pending()?;
        }
        Ok(change)
    }

    /// The same for what makes room: that waits for nothing.
    pub(super) fn begin_deletion(&self) -> Result<MutexGuard<'_, ()>, ProjectError> {
        self.check_writable()?;
        Ok(self.hold_still())
    }

    /// Whether a change that had begun before the project was opened waits for room on the disk.
    pub(super) fn waits_for_room(&self) -> bool {
        self.waits_for_room.load(Ordering::Relaxed)
    }

    pub(super) fn set_waits_for_room(&self, waits: bool) {
        self.waits_for_room.store(waits, Ordering::Relaxed);
    }

    /// Keeps others from moving frames and class folders while one looks at them.
    pub(super) fn hold_still(&self) -> MutexGuard<'_, ()> {
        locked(&self.changing)
    }

    pub(super) fn lock(&self) -> Option<&ProjectLock> {
        self.lock.as_ref()
    }

    /// To be held while `project.json` is written.
    pub(super) fn begin_saving(&self) -> MutexGuard<'_, ()> {
        locked(&self.saving)
    }

    /// What operations are counted in ([`super::Costs`]).
    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Says something about opening, see [`Project::take_notices`].
    pub(super) fn notice(&self, notice: String) {
        locked(&self.notices).push(notice);
    }

    /// Changes what `project.json` holds, on disk first; on an error nothing has changed.
    pub(super) fn update<R>(
        &self,
        change: impl FnOnce(&mut Document) -> Result<R, ProjectError>,
    ) -> Result<R, ProjectError> {
        let _saving = self.begin_saving();
        let before = self.document().clone();
        let mut next = before.clone();
        let result = change(&mut next)?;
        if next != before {
            // Opening refuses such a project.
            if let Some(fault) = next.fault() {
                return Err(ProjectError::Impossible(fault));
            }
            self.check_writable()?;
            document::save(&self.root, &next)?;
            self.counters.document_written();
            *self.document() = next;
        }
        Ok(result)
    }
}

impl std::fmt::Debug for Project {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Project")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

/// Whether a project is in the folder `root`, now. A drive that was unplugged may leave an empty folder where it was.
#[must_use]
pub fn is_there(root: &Path) -> bool {
    document::files(root).iter().any(files::is_file)
}

/// [`Project::make_dir`] for those who have no handle on the project any more.
pub fn make_dir(root: &Path, dir: &Path) -> Result<(), ProjectError> {
    if !is_there(root) {
        return Err(ProjectError::Gone {
            path: root.to_owned(),
        });
    }
    Ok(files::make_dirs(root, dir)?)
}

/// `classes/<name>` or `unsorted`.
pub(super) fn label_path(label: &Label) -> String {
    match label {
        Label::Class(name) => format!("classes/{name}"),
        Label::Unsorted => UNSORTED.to_owned(),
    }
}

/// The values behind these locks are replaced whole, so they are sound even after a panic elsewhere.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Does not depend on the working folder later on.
pub(super) fn absolute(root: &Path) -> Result<PathBuf, ProjectError> {
    std::path::absolute(root).map_err(ProjectError::io("find", root))
}

/// A folder for a new project holds nothing, or class folders only.
fn check_free(root: &Path) -> Result<(), ProjectError> {
    for entry in files::read_dir(root).map_err(ProjectError::io("read", root))? {
        let entry = entry.map_err(ProjectError::io("read", root))?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        let ours = FOLDERS.contains(&name.as_ref())
            || lock::is_lock_file(&name)
            || document::is_document_file(&name)
            || is_left_over(&name);
        if !ours && !CLUTTER.contains(&name.as_ref()) {
            return Err(ProjectError::NotEmpty {
                path: root.to_owned(),
                found: name.into_owned(),
            });
        }
    }
    Ok(())
}

/// Removes a file; it being gone already is fine.
pub(super) fn remove_file(path: &Path) -> Result<(), ProjectError> {
    match files::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(ProjectError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}
