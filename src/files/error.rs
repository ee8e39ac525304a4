//! What can go wrong with a file.

use std::io;
use std::path::PathBuf;

/// A file or folder that could not be read, written or made: a variant of the error of every layer that reaches for
/// files.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} “{}”: {}", path.display(), why(error))]
pub struct FileError {
    /// What was tried: "read", "write", "make".
    pub action: &'static str,
    /// Which file or folder: the one that was to be, not its temporary name.
    pub path: PathBuf,
    /// What the system said; part of the message, so not offered as a source again.
    pub error: io::Error,
}

impl FileError {
    /// For `map_err`: an error with the file it happened to.
    pub(crate) fn new(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self {
            action,
            path,
            error,
        }
    }
}

/// What the system said, in words that say what to do where there is something to do; to follow a colon.
#[must_use]
pub fn why(error: &io::Error) -> String {
    if error.get_ref().is_some() {
        // Not the system's own words.
        return error.to_string();
    }
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such file".into(),
        io::ErrorKind::PermissionDenied => {
            "permission denied; change the rights of the file or its folder".into()
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full; free some space and try again, what is written stays".into()
        }
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only".into(),
        io::ErrorKind::IsADirectory => "it is a folder".into(),
        _ => error.to_string(),
    }
}
