//! What is kept in the project's cache: results that took time, which can be made again.

use std::path::Path;

use crate::files::{self, Durability, FileError};

use super::Project;

impl Project {
    /// Keeps files in the project's cache, one after the other, each by its path below the cache's folder.
    ///
    /// Also of a project that is opened for reading: what lies in the cache is nobody's data, and each file is there whole or
    /// not at all. Where it cannot be written (a read-only disk, a full one), what was to be kept is made again next time;
    /// the log says so.
    pub fn keep_in_cache(&self, kept: &[(impl AsRef<Path>, &[u8])]) {
        let write = |path: &Path, bytes: &[u8]| -> Result<(), FileError> {
            let path = self.cache_dir().join(path);
            files::make_dirs(self.root(), path.parent().unwrap_or(&path))?;
            files::write(&path, bytes, Durability::Renamed)
        };
        for (path, bytes) in kept {
            if let Err(error) = write(path.as_ref(), bytes) {
                log::warn!("a result is not kept: {error}");
                return;
            }
        }
    }
}
