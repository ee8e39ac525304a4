//! The lock that keeps a project to one process. It belongs to the open file and dies with the process.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use super::ProjectError;

const FILE: &str = ".lock";

/// Held as long as the project is open.
pub(super) struct ProjectLock {
    // Only held: closing the file gives the lock back.
    _file: File,
}

impl ProjectLock {
    /// Takes the lock on the folder `root`, or says who has it.
    pub(super) fn take(root: &Path) -> Result<Self, ProjectError> {
        let path = root.join(FILE);
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(ProjectError::io("write", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(ProjectError::Locked {
                path: root.to_owned(),
            }),
            // Some network drives know no locks; refusing to open there would help nobody.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                log::warn!("no lock on {}: {error}", path.display());
                Ok(Self { _file: file })
            }
            Err(TryLockError::Error(error)) => Err(ProjectError::io("lock", &path)(error)),
        }
    }
}

/// Whether a file name is the lock's.
pub(super) fn is_lock_file(name: &str) -> bool {
    name == FILE
}
