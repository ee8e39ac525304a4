//! Finding the media files in what a person drops: files, folders, folders within folders.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use crate::jobs::Work;
use crate::kind::Kind;
use crate::project::natural_cmp;

use super::MediaError;

/// The media files among `paths`, folders searched through, in natural order; what is neither video nor
/// photo is left out when found in a folder, and kept when named by the user (so that it is reported).
/// Hidden files and folders are passed over, loops of links are walked once, and a folder that cannot be
/// read gives a warning.
pub fn gather(paths: &[PathBuf], work: &Work) -> Result<Vec<PathBuf>, MediaError> {
    let mut search = Search {
        found: Vec::new(),
        files: HashSet::new(),
        folders: HashSet::new(),
    };
    for path in paths {
        work.check()?;
        if path.is_dir() {
            search.folder(path, work)?;
        } else {
            search.file(path.clone());
        }
    }
    Ok(search.found)
}

struct Search {
    found: Vec<PathBuf>,
    files: HashSet<PathBuf>,
    /// Real paths of the folders on the way and done.
    folders: HashSet<PathBuf>,
}

impl Search {
    fn file(&mut self, path: PathBuf) {
        if self.files.insert(path.clone()) {
            self.found.push(path);
        }
    }

    fn folder(&mut self, folder: &Path, work: &Work) -> Result<(), MediaError> {
        work.check()?;
        let real = folder
            .canonicalize()
            .unwrap_or_else(|_| folder.to_path_buf());
        if !self.folders.insert(real) {
            return Ok(());
        }
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                work.warn(MediaError::read(folder, error).to_string());
                return Ok(());
            }
        };
        let mut children = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => children.push((
                    entry.file_name().to_string_lossy().into_owned(),
                    entry.path(),
                )),
                Err(error) => work.warn(MediaError::read(folder, error).to_string()),
            }
        }
        children.retain(|(name, _)| !name.starts_with('.'));
        children.sort_by(|(a, _), (b, _)| natural_cmp(a, b));
        for (_, path) in children {
            if path.is_dir() {
                self.folder(&path, work)?;
            } else if Kind::at_a_glance(&path).is_ok_and(Kind::is_media) {
                self.file(path);
            }
        }
        Ok(())
    }
}
