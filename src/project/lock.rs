//! The lock that restricts a project to one process. It belongs to the open file and is released when the process
//! ends.

use std::fs::{File, TryLockError};
use std::io::ErrorKind;
use std::path::Path;

use crate::files;

use super::ProjectError;

pub(super) const FILE: &str = ".lock";

/// The lock, held as long as the project is open.
pub(super) struct ProjectLock {
    file: File,
}

impl Drop for ProjectLock {
    /// Unlocks explicitly: closing the file releases the lock only once all copies of its descriptor are closed, and a
    /// child process that another thread is just starting has one until it executes its program.
    fn drop(&mut self) {
        if let Err(error) = self.file.unlock() {
            log::debug!("the lock goes with the open file: {error}");
        }
    }
}

impl ProjectLock {
    /// Takes the lock on the folder `root`; the error states who has it.
    pub(super) fn take(root: &Path) -> Result<Self, ProjectError> {
        let path = root.join(FILE);
        let file = files::open_lock(&path)
            // In a shared folder it may belong to another user; reading it is sufficient.
            .or_else(|error| {
                if files::is_refusal(&error) {
                    files::open(&path).map_err(|_| error)
                } else {
                    Err(error)
                }
            })
            .map_err(ProjectError::io("write", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { file }),
            Err(TryLockError::WouldBlock) => Err(ProjectError::Locked {
                path: root.to_owned(),
            }),
            // Some network drives do not support locks; refusing to open would not help.
            Err(TryLockError::Error(error)) if error.kind() == ErrorKind::Unsupported => {
                log::warn!("no lock on {}: {error}", path.display());
                Ok(Self { file })
            }
            Err(TryLockError::Error(error)) => Err(ProjectError::io("lock", &path)(error)),
        }
    }

    /// Whether it is the lock on the project that is now in the folder `root`; `true` if the system cannot tell.
    #[cfg(unix)]
    pub(super) fn is_of(&self, root: &Path) -> bool {
        use std::os::unix::fs::MetadataExt;
        let identity = |found: std::fs::Metadata| (found.dev(), found.ino());
        let there = files::metadata(root.join(FILE)).map(identity);
        self.file
            .metadata()
            .map(identity)
            .is_ok_and(|held| there.is_ok_and(|there| there == held))
    }

    #[cfg(not(unix))]
    #[allow(clippy::unused_self)] // the same signature as on Unix
    pub(super) fn is_of(&self, _root: &Path) -> bool {
        true
    }
}

/// Whether a file name is the lock's.
pub(super) fn is_lock_file(name: &str) -> bool {
    name == FILE
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_given_back_although_a_starting_process_has_a_copy_of_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let lock = ProjectLock::take(dir.path()).unwrap();
        assert!(matches!(
            ProjectLock::take(dir.path()),
            Err(ProjectError::Locked { .. })
        ));
        let copy = lock.file.try_clone().unwrap();
        drop(lock);
        drop(ProjectLock::take(dir.path()).unwrap());
        drop(copy);
    }
}
