//! The hashes that a run keeps of its files, so that a damaged or exchanged one is noticed when it is read.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::train::{TrainError, files};

use super::Run;

/// BLAKE3 hashes, hexadecimal, of files of a run that do not change any more, by their names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::train) struct Hashes(BTreeMap<String, String>);

impl Hashes {
    /// Whether none is kept.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Keeps that of a file with these contents.
    pub fn keep(&mut self, path: &Path, contents: &[u8]) {
        self.0.insert(name(path), files::hash(contents));
    }

    /// The file is going to change.
    pub fn forget(&mut self, path: &Path) {
        self.0.remove(&name(path));
    }
}

/// The hash is of the file in the run's folder.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

impl Run {
    /// Checks all files of which it keeps a hash.
    ///
    /// # Errors
    /// [`TrainError::Damaged`] with the first that is not as it was written.
    pub(in crate::train) fn check_files(&self) -> Result<(), TrainError> {
        let mut names = self.hashes.0.keys();
        names.try_for_each(|name| self.read(&self.dir.join(name)).map(drop))
    }

    /// Reads one of its files; nothing where there is none and none is known.
    ///
    /// # Errors
    /// [`TrainError::Damaged`] for a file that is not the one whose hash the run keeps. A file of which it keeps none, of an earlier
    /// version or still changing, is not checked.
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
