//! Errors of files.

use std::io;
use std::path::PathBuf;

/// An error of reading, writing or creating a file or folder: a variant of the error of every layer that uses files.
#[derive(Debug, thiserror::Error)]
#[error("cannot {action} “{}”: {}", path.display(), why(error))]
pub struct FileError {
    /// The operation: "read", "write", "make".
    pub action: &'static str,
    /// The file or folder: the intended one, not its temporary name.
    pub path: PathBuf,
    /// The system's error. It is part of the message, hence not a source.
    pub error: io::Error,
}

impl FileError {
    /// For `map_err`: an error with its file.
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

/// The system's message, with a remedy if there is one, to follow a colon.
#[must_use]
pub fn why(error: &io::Error) -> String {
    if error.get_ref().is_some() {
        // Not an error of the system.
        return error.to_string();
    }
    match error.kind() {
        io::ErrorKind::NotFound => "it does not exist".into(),
        io::ErrorKind::PermissionDenied => {
            "permission denied; change the permissions of the file or its folder".into()
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            "the disk is full; free some space and try again (what was written is kept)".into()
        }
        io::ErrorKind::ReadOnlyFilesystem => "the disk is read-only".into(),
        io::ErrorKind::IsADirectory => "it is a folder".into(),
        _ => error.to_string(),
    }
}
