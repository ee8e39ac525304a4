//! The handle of an open project: creating, opening, and the contents of `project.json`.

use std::collections::HashSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};
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

/// Folders that are created with a project.
const FOLDERS: [&str; 2] = ["classes", UNSORTED];

/// Files that systems create in any folder; a folder with these counts as empty.
const CLUTTER: [&str; 4] = [".DS_Store", "Thumbs.db", "desktop.ini", ".directory"];

/// An open project. All methods take `&self`; share it in an `Arc`.
pub struct Project {
    root: PathBuf,
    document: Mutex<Document>,
    /// Locked while `project.json` is written, so that reading `document` never waits for the disk.
    saving: Mutex<()>,
    /// Locked while class folders or frames are moved: one change at a time.
    changing: Mutex<()>,
    notices: Mutex<Vec<String>>,
    /// Warnings already given: folders are scanned repeatedly, but each anomaly is reported once.
    told: Mutex<HashSet<String>>,
    counters: Counters,
    pub(super) access: Access,
    /// Where runs are created, if not in the project.
    pub(super) runs: Option<PathBuf>,
    /// Held for [`Access::Full`].
    lock: Option<ProjectLock>,
    /// Whether a change that was pending when the project was opened waits for free disk space.
    waits_for_room: AtomicBool,
}

impl Project {
    /// Whether the folder `root` contains a project, even if it has to be recovered.
    #[must_use]
    pub fn is_at(root: &Path) -> bool {
        document::exists(root)
    }

    /// Creates a new project in the folder `root` and opens it. The folder must be empty or not exist, or contain only
    /// `classes/` (and `unsorted/`), whose class folders then become classes of the project.
    ///
    /// If `name` is empty, the folder's name is used.
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
        // Written last, so that after a failure the same folder can be used again.
        let document = Document::new(&name);
        document::save(&root, &document)?;
        Self::ready(root, document, lock, None)
    }

    /// Checks that [`Project::create`] can create a project in the folder `root`; changes nothing on disk.
    ///
    /// # Errors
    /// [`ProjectError::AlreadyAProject`], [`ProjectError::NotEmpty`], or the folder cannot be read.
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
    /// On a read-only disk or in a read-only folder it is opened for reading, see [`Project::access`].
    ///
    /// Completes a change interrupted by a kill, removes temporary files, and follows changes made to the class
    /// folders meanwhile; [`Project::take_notices`] returns what the user should know of that.
    pub fn open(root: &Path) -> Result<Self, ProjectError> {
        // Before the lock: a folder that cannot be opened must not be changed.
        let root = confined(root)?;
        document::load(&root)?;
        let Taken::Full(lock) = access::take(&root)? else {
            return Self::read(root, Access::ReadOnly);
        };
        // Read again with the lock: another process may have written in between.
        let Loaded { document, notice } = document::load(&root)?;
        if notice.is_some() {
            document::set_damaged_aside(&root)?;
            match document::save(&root, &document) {
                // The previous version, which was read, stays in use.
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

    /// Warns of something in the folders, unless that warning was given since the project was opened.
    pub(super) fn tell_once(&self, work: &Work, text: String) {
        if self.told.lock().insert(text.clone()) {
            work.warn(text);
        }
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The name shown to users.
    #[must_use]
    pub fn name(&self) -> String {
        self.document().name.clone()
    }

    /// Remarks from opening the project, a sentence each; each is returned once.
    #[must_use]
    pub fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut *self.notices.lock())
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

    /// Adds a source, or replaces the one with the same identity.
    pub fn put_source(&self, source: Source) -> Result<(), ProjectError> {
        self.update(|document| {
            match document.sources.iter_mut().find(|s| s.item.id == source.id) {
                Some(found) => found.item = source,
                None => document.sources.push(source.into()),
            }
            Ok(())
        })
    }

    /// Changes a source; `false` if the project does not have it.
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

    /// Removes a source; its frames stay.
    pub fn remove_source(&self, id: &SourceId) -> Result<(), ProjectError> {
        self.update(|document| {
            document.sources.retain(|s| s.item.id != *id);
            Ok(())
        })
    }

    /// A setting stored in `project.json` under `key`; the default if it is missing or invalid.
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

    /// The folder of frames with this label.
    #[must_use]
    pub fn label_dir(&self, label: &Label) -> PathBuf {
        self.abs(&label_path(label))
    }

    /// The path, relative to the root, of a frame with this label and name.
    #[must_use]
    pub fn frame_path(&self, label: &Label, name: &FrameName) -> String {
        format!("{}/{}", label_path(label), name.to_file_name())
    }

    /// The full path for a path relative to the root, separated by `/`.
    #[must_use]
    pub fn abs(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// The folder `cache/`, whose contents can be deleted at any time.
    #[must_use]
    pub fn cache_dir(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// The folder `runs/`, or the one given to [`open_to_train`](Self::open_to_train).
    #[must_use]
    pub fn runs_dir(&self) -> PathBuf {
        self.runs.clone().unwrap_or_else(|| self.root.join("runs"))
    }

    /// `exports/`.
    #[must_use]
    pub fn exports_dir(&self) -> PathBuf {
        self.root.join("exports")
    }

    /// An error if the project's folder does not exist any more. To be called before anything is created in it.
    pub fn check_there(&self) -> Result<(), ProjectError> {
        if is_there(&self.root) {
            Ok(())
        } else {
            Err(ProjectError::Gone {
                path: self.root.clone(),
            })
        }
    }

    /// The outcome of work on the project; if the project is gone, that is returned as the cause of a failure.
    pub fn blame<T, E: From<ProjectError>>(&self, outcome: Result<T, E>) -> Result<T, E> {
        outcome.or_else(|error| {
            self.check_there()?;
            Err(error)
        })
    }

    /// Creates a folder in the project, with missing parents, but never the project's own folder.
    pub fn make_dir(&self, dir: &Path) -> Result<(), ProjectError> {
        self.check_writable()?;
        make_dir(&self.root, dir)
    }

    /// Locks the contents of `project.json` for reading. Hold it briefly.
    pub(super) fn document(&self) -> MutexGuard<'_, Document> {
        self.document.lock()
    }

    /// Begins a change, so that no other moves frames or class folders; an error if the project may not be changed or
    /// is gone. A change that waits for free disk space is completed first.
    pub(super) fn begin_change(&self) -> Result<MutexGuard<'_, ()>, ProjectError> {
        let change = self.begin_deletion()?;
        if self.waits_for_room() {
            self.finish_pending()?;
        }
        Ok(change)
    }

    /// Begins a change that frees space, which does not wait for anything.
    pub(super) fn begin_deletion(&self) -> Result<MutexGuard<'_, ()>, ProjectError> {
        self.check_writable()?;
        Ok(self.hold_still())
    }

    /// Whether a change that was pending when the project was opened waits for free disk space.
    pub(super) fn waits_for_room(&self) -> bool {
        self.waits_for_room.load(Ordering::Relaxed)
    }

    pub(super) fn set_waits_for_room(&self, waits: bool) {
        self.waits_for_room.store(waits, Ordering::Relaxed);
    }

    /// Prevents others from moving frames and class folders while they are read.
    pub(super) fn hold_still(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    pub(super) fn lock(&self) -> Option<&ProjectLock> {
        self.lock.as_ref()
    }

    /// To be held while `project.json` is written.
    pub(super) fn begin_saving(&self) -> MutexGuard<'_, ()> {
        self.saving.lock()
    }

    /// The counters of operations ([`super::Costs`]).
    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Adds a remark from opening the project, see [`Project::take_notices`].
    pub(super) fn notice(&self, notice: String) {
        self.notices.lock().push(notice);
    }

    /// Changes the contents of `project.json`, on disk first; after an error nothing has changed.
    pub(super) fn update<R>(
        &self,
        change: impl FnOnce(&mut Document) -> Result<R, ProjectError>,
    ) -> Result<R, ProjectError> {
        let _saving = self.begin_saving();
        let before = self.document().clone();
        let mut next = before.clone();
        let result = change(&mut next)?;
        if next != before {
            // Opening would refuse such a project.
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

/// Whether there is a project in the folder `root` now. A disconnected drive may leave an empty folder behind.
#[must_use]
pub fn is_there(root: &Path) -> bool {
    document::files(root).iter().any(files::is_file)
}

/// [`Project::make_dir`] for callers without a handle.
pub fn make_dir(root: &Path, dir: &Path) -> Result<(), ProjectError> {
    if !is_there(root) {
        return Err(ProjectError::Gone {
            path: root.to_owned(),
        });
    }
    Ok(files::make_dirs(root, dir)?)
}

/// The relative path of a label's folder: `classes/<name>` or `unsorted`.
pub(super) fn label_path(label: &Label) -> String {
    match label {
        Label::Class(name) => format!("classes/{name}"),
        Label::Unsorted => UNSORTED.to_owned(),
    }
}

/// The absolute path, which does not depend on later changes of the working directory.
pub(super) fn absolute(root: &Path) -> Result<PathBuf, ProjectError> {
    std::path::absolute(root).map_err(ProjectError::io("find", root))
}

/// Checks that a folder for a new project is empty, or contains only class folders.
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

/// Removes a file, unless it is already gone.
pub(super) fn remove_file(path: &Path) -> Result<(), ProjectError> {
    match files::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(ProjectError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}
