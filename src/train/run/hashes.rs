//! Hashes of a run's files, to detect damaged or exchanged ones when they are read.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::train::{TrainError, files};

use super::Run;

/// BLAKE3 hashes, hexadecimal, of files of a run that do not change any more, by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::train) struct Hashes(BTreeMap<String, String>);

impl Hashes {
    /// Whether there are no hashes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Records the hash of a file with these contents.
    pub fn keep(&mut self, path: &Path, contents: &[u8]) {
        self.0.insert(name(path), files::hash(contents));
    }

    /// Removes the hash of a file that is going to change.
    pub fn forget(&mut self, path: &Path) {
        self.0.remove(&name(path));
    }
}

/// The key of a file in the run's folder.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

impl Run {
    /// Checks all files with a hash.
    ///
    /// # Errors
    /// [`TrainError::Damaged`] names the first that has changed.
    pub(in crate::train) fn check_files(&self) -> Result<(), TrainError> {
        let mut names = self.hashes.0.keys();
        names.try_for_each(|name| self.read(&self.dir.join(name)).map(drop))
    }

    /// Reads a file of the run; empty if it does not exist and has no hash.
    ///
    /// # Errors
    /// [`TrainError::Damaged`] for a file with another hash. Files without a hash, of earlier versions or still
    /// changing, are not checked.
    pub(super) fn read(&self, path: &Path) -> Result<Vec<u8>, TrainError> {
        let contents = files::read_if_there(path)?;
        match self.hashes.0.get(&name(path)) {
            Some(hash) if *hash != files::hash(&contents) => {
                let reason = if crate::files::exists(path) {
                    files::ALTERED
                } else {
                    "the file is missing"
                };
                Err(files::damaged(path)(reason))
            }
            _ => Ok(contents),
        }
    }
}
