//! What lies in `trash/`, and emptying it.

use std::path::{Path, PathBuf};

use crate::jobs::Work;

use super::handle::remove_file;
use super::moves::check_frame_path;
use super::scan::kind_of;
use super::{Project, ProjectError};

/// How much lies in `trash/`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trash {
    /// Frames.
    pub frames: u64,
    /// Runs, each a folder.
    pub runs: u64,
    /// All files, those of runs as well.
    pub files: u64,
    /// Their size together, bytes.
    pub bytes: u64,
}

impl Project {
    /// How much lies in `trash/`.
    pub fn trash_contents(&self, work: &Work) -> Result<Trash, ProjectError> {
        let mut found = Trash::default();
        let root = self.trash_dir();
        for folder in entries(&root)? {
            let runs = folder.file_name().is_some_and(|name| name == "runs");
            let frames = folder
                .file_name()
                .is_some_and(|name| name == "classes" || name == "unsorted" || name == "replaced");
            if runs {
                found.runs = entries(&folder)?.len() as u64;
            }
            measure(&folder, frames, &mut found, work)?;
        }
        Ok(found)
    }

    /// Deletes everything in `trash/` for good. Returns how many files there were. Cancelling keeps what is left.
    pub fn empty_trash(&self, work: &Work) -> Result<u64, ProjectError> {
        let _change = self.begin_deletion()?;
        let trash = self.trash_dir();
        let mut deleted = 0;
        if crate::files::is_dir(&trash) {
            delete_below(&trash, &mut deleted, work)?;
        }
        Ok(deleted)
    }

    /// Deletes these frames in `trash/` (paths relative to the root) for good. Returns how many were there.
    /// Cancelling keeps what is left. A path that does not lead into the trash is refused before anything is
    /// deleted.
    pub fn delete_trashed(&self, frames: &[String], work: &Work) -> Result<u64, ProjectError> {
        let _change = self.begin_deletion()?;
        for path in frames {
            check_frame_path(path)?;
            if !path.starts_with("trash/") {
                return Err(ProjectError::NotAFrame { path: path.clone() });
            }
        }
        let mut deleted = 0;
        for path in frames {
            work.check()?;
            let path = self.abs(path);
            if crate::files::metadata(&path).is_ok() {
                remove_file(&path)?;
                deleted += 1;
            }
            work.advance(1);
        }
        Ok(deleted)
    }

    fn trash_dir(&self) -> PathBuf {
        self.root().join("trash")
    }
}

/// What is in a folder; nothing when it is none or a link to one.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, ProjectError> {
    if !is_folder(folder) {
        return Ok(Vec::new());
    }
    crate::files::read_dir(folder)
        .map_err(ProjectError::io("read", folder))?
        .map(|entry| Ok(entry.map_err(ProjectError::io("read", folder))?.path()))
        .collect()
}

/// A link is itself what lies in the trash; what it leads to is not.
fn is_folder(path: &Path) -> bool {
    crate::files::metadata(path).is_ok_and(|found| found.is_dir())
}

fn measure(
    path: &Path,
    of_frames: bool,
    found: &mut Trash,
    work: &Work,
) -> Result<(), ProjectError> {
    work.check()?;
    if is_folder(path) {
        for entry in entries(path)? {
            measure(&entry, of_frames, found, work)?;
        }
        return Ok(());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    found.frames += u64::from(of_frames && kind_of(&name, || path.to_owned()).is_image());
    found.files += 1;
    // A file that is just going away has no size.
    found.bytes += crate::files::metadata(path).map_or(0, |found| found.len());
    Ok(())
}

fn delete_below(folder: &Path, deleted: &mut u64, work: &Work) -> Result<(), ProjectError> {
    for path in entries(folder)? {
        work.check()?;
        if is_folder(&path) {
            delete_below(&path, deleted, work)?;
            crate::files::remove_dir(&path).map_err(ProjectError::io("remove", &path))?;
        } else {
            remove_file(&path)?;
            *deleted += 1;
            work.advance(1);
        }
    }
    Ok(())
}
