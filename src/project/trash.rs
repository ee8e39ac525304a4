//! The contents of `trash/`, and emptying it.

use std::path::{Path, PathBuf};

use crate::jobs::Work;

use super::handle::remove_file;
use super::moves::check_frame_path;
use super::scan::kind_of;
use super::{Project, ProjectError};

/// The contents of `trash/` in numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trash {
    /// Frames.
    pub frames: u64,
    /// Runs, each a folder.
    pub runs: u64,
    /// All files, including those of runs.
    pub files: u64,
    /// Their total size in bytes.
    pub bytes: u64,
}

impl Project {
    /// Counts the contents of `trash/`.
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

    /// Deletes everything in `trash/` permanently. Returns how many files there were. A cancellation keeps the rest.
    pub fn empty_trash(&self, work: &Work) -> Result<u64, ProjectError> {
        let _change = self.begin_deletion()?;
        let trash = self.trash_dir();
        let mut deleted = 0;
        if crate::files::is_dir(&trash) {
            delete_below(&trash, &mut deleted, work)?;
        }
        Ok(deleted)
    }

    /// Deletes these frames in `trash/` (paths relative to the root) permanently. Returns how many existed. A
    /// cancellation keeps the rest. A path outside the trash is refused before anything is deleted.
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

/// The entries of a folder; none if it does not exist or is a link.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, ProjectError> {
    if !is_folder(folder) {
        return Ok(Vec::new());
    }
    crate::files::read_dir(folder)
        .map_err(ProjectError::io("read", folder))?
        .map(|entry| Ok(entry.map_err(ProjectError::io("read", folder))?.path()))
        .collect()
}

/// Whether a path is a folder. A link is itself in the trash; its target is not.
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
    // A file that was just deleted has no size.
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
