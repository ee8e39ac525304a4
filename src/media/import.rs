//! Bringing videos and photos into a project.

use std::path::{Path, PathBuf};

use crate::jobs::Work;
use crate::project::{ClassName, Project, Sampling, Source, SourceId};

use super::MediaError;

/// Where the class of a new source comes from.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum ClassFrom {
    /// Frames stay unsorted.
    #[default]
    Nothing,
    /// The name of the folder the file lies in.
    Folder,
    /// The file's name without extension and trailing number (`cat-3.mp4` is `cat`).
    File,
    /// Always this class.
    Chosen(ClassName),
}

/// How to import.
#[derive(Debug, Clone, Default)]
pub struct ImportOptions {
    /// Where classes come from.
    pub class_from: ClassFrom,
    /// How videos are sampled.
    pub sampling: Sampling,
}

/// What an import brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportOutcome {
    /// Sources added or extracted.
    pub sources: u64,
    /// Frames written now.
    pub frames: u64,
    /// Files that were no media or could not be read; each also gave a warning.
    pub skipped: u64,
}

/// The media files among `paths`, folders searched through, in natural order; what is neither video nor
/// photo is left out when found in a folder, and kept when named by the user (so that it is reported).
pub fn gather(paths: &[PathBuf], work: &Work) -> Result<Vec<PathBuf>, MediaError> {
    let _ = work;
    todo!("{paths:?}")
}

/// Adds a file as a source without extracting anything (the window's drop). Photos are added with [`import`].
pub fn add_video(
    project: &Project,
    path: &Path,
    options: &ImportOptions,
) -> Result<Source, MediaError> {
    let _ = project;
    todo!("{path:?} {options:?}")
}

/// Writes the frames of a source that are not in the project yet. Returns how many were written.
pub fn extract(project: &Project, source: &SourceId, work: &Work) -> Result<u64, MediaError> {
    let _ = (project, work);
    todo!("{source}")
}

/// Adds and extracts everything in `paths`: [`gather`], [`add_video`], [`extract`], photos copied.
pub fn import(
    project: &Project,
    paths: &[PathBuf],
    options: &ImportOptions,
    work: &Work,
) -> Result<ImportOutcome, MediaError> {
    let _ = (project, work);
    todo!("{paths:?} {options:?}")
}
