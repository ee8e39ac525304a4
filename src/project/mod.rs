//! What the user owns: a folder with classes, frames, sources, runs and exports.
//!
//! The folder is the truth: the label of a frame is the class folder it lies in. [`Project`] is a
//! handle that can be shared between threads; it holds `project.json` and the lock on the folder.
//! Scanning the folders gives a [`Frames`] snapshot, which everything else works from.

mod class;
mod error;
mod frame;
mod settings;
mod source;
mod split;

pub use class::{Class, ClassName};
pub use error::ProjectError;
pub use frame::{Frame, FrameName, Frames, Label};
pub use settings::{Fps, Sampling};
pub use source::{Source, SourceId, SourceKind};
pub use split::{Assignment, Cut, Split, SplitSettings};

use std::path::{Path, PathBuf};

use serde::{Serialize, de::DeserializeOwned};

use crate::jobs::Work;

/// An open project. All methods take `&self`; share it in an `Arc`.
pub struct Project {
    root: PathBuf,
}

impl Project {
    /// Makes a new project in the folder `root`, which must be empty or not exist, and opens it.
    pub fn create(root: &Path, name: &str) -> Result<Self, ProjectError> {
        todo!("{root:?} {name}")
    }

    /// Opens the project in the folder `root` and takes the lock on it.
    pub fn open(root: &Path) -> Result<Self, ProjectError> {
        todo!("{root:?}")
    }

    /// The folder.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The name shown to the user.
    #[must_use]
    pub fn name(&self) -> String {
        todo!()
    }

    /// The classes in the user's order.
    #[must_use]
    pub fn classes(&self) -> Vec<Class> {
        todo!()
    }

    /// Adds a class (its folder and its entry). A name that a file system would confuse with another
    /// class's is refused.
    pub fn add_class(&self, name: &ClassName) -> Result<(), ProjectError> {
        todo!("{name}")
    }

    /// Renames a class, frames and all.
    pub fn rename_class(&self, from: &ClassName, to: &ClassName) -> Result<(), ProjectError> {
        todo!("{from} {to}")
    }

    /// Removes a class; its frames become unsorted. Returns the new relative paths of the moved frames.
    pub fn remove_class(&self, name: &ClassName) -> Result<Vec<String>, ProjectError> {
        todo!("{name}")
    }

    /// The sources, oldest first.
    #[must_use]
    pub fn sources(&self) -> Vec<Source> {
        todo!()
    }

    /// Adds a source or replaces the one with the same id.
    pub fn put_source(&self, source: Source) -> Result<(), ProjectError> {
        todo!("{source:?}")
    }

    /// Forgets a source; its frames stay.
    pub fn remove_source(&self, id: &SourceId) -> Result<(), ProjectError> {
        todo!("{id}")
    }

    /// Reads the class folders and `unsorted/`. Takes about 1 ms per 1,000 frames.
    pub fn scan(&self, work: &Work) -> Result<Frames, ProjectError> {
        let _ = work;
        todo!()
    }

    /// The folder in which frames with this label lie.
    #[must_use]
    pub fn label_dir(&self, label: &Label) -> PathBuf {
        todo!("{label:?}")
    }

    /// Moves frames (paths relative to the root, with `/`) to another label. Returns each frame's new
    /// relative path, in the same order; a frame that is gone keeps its old path and is named in a warning.
    pub fn relabel(
        &self,
        frames: &[String],
        to: &Label,
        work: &Work,
    ) -> Result<Vec<String>, ProjectError> {
        let _ = work;
        todo!("{frames:?} {to:?}")
    }

    /// Moves frames to `trash/`, from where [`Project::relabel`] brings them back.
    pub fn trash(&self, frames: &[String], work: &Work) -> Result<Vec<String>, ProjectError> {
        let _ = work;
        todo!("{frames:?}")
    }

    /// A setting stored in `project.json` under `key`; the default when absent or unreadable.
    #[must_use]
    pub fn setting<T: DeserializeOwned + Default>(&self, key: &str) -> T {
        todo!("{key}")
    }

    /// Stores a setting in `project.json`.
    pub fn set_setting<T: Serialize>(&self, key: &str, value: &T) -> Result<(), ProjectError> {
        let _ = value;
        todo!("{key}")
    }

    /// `cache/`: everything in it can be deleted.
    #[must_use]
    pub fn cache_dir(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// `runs/`.
    #[must_use]
    pub fn runs_dir(&self) -> PathBuf {
        self.root.join("runs")
    }

    /// `exports/`.
    #[must_use]
    pub fn exports_dir(&self) -> PathBuf {
        self.root.join("exports")
    }

    /// The split of each frame of `frames` (same order); `None` for unsorted frames and for frames in
    /// the gap between two time blocks. Decided per group by hash, remembered in `project.json`, so that
    /// adding, renaming and moving never changes the side of a frame.
    pub fn assign_splits(
        &self,
        frames: &Frames,
        groups: &[String],
        settings: &SplitSettings,
    ) -> Result<Assignment, ProjectError> {
        todo!("{} {} {settings:?}", frames.list.len(), groups.len())
    }
}
