//! What can go wrong with a file.

use std::io;
use std::path::{Path, PathBuf};

/// A file or folder that could not be written. The layers above turn it into their own error, which names the file
/// and the remedy.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} “{}”: {error}", path.display())]
pub struct FileError {
    /// What was tried: "write", "make".
    pub action: &'static str,
    /// Which file or folder: the one that was to be, not its temporary name.
    pub path: PathBuf,
    /// What the system said; part of the message, so not offered as a source again.
    pub error: io::Error,
}

impl FileError {
    /// For `map_err`: an error with the file it happened to.
    pub(super) fn new(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |error| Self {
            action,
            path,
            error,
        }
    }
}
