//! Errors of media files, as sentences for users.

use std::io;
use std::path::{Path, PathBuf};

use crate::files::{FileError, why};
use crate::jobs::Cancelled;
use crate::project::ProjectError;

use super::Amount;

/// An error of the media layer.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The file cannot be read.
    #[error("cannot read “{path}”: {}", why(error))]
    Io {
        /// Which file.
        path: PathBuf,
        /// The system's error. It is part of the message, hence not a source.
        error: io::Error,
    },
    /// A frame cannot be written.
    #[error("cannot write “{path}”: {}", why(error))]
    Write {
        /// Which file.
        path: PathBuf,
        /// The system's error. It is part of the message, hence not a source.
        error: io::Error,
    },
    /// The file was read, but is unusable.
    #[error("“{path}” {reason}")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// The end of the sentence: "is empty", "is not a video but plain text".
        reason: String,
    },
    /// The decoding process crashed on the file or hung, so the file is set aside.
    #[error("“{path}” {reason}")]
    SetAside {
        /// Which file.
        path: PathBuf,
        /// The end of the sentence: what happened, and the remedy.
        reason: String,
    },
    /// Very many frames, which the user must confirm.
    #[error(
        "these videos give {0}; extract fewer (a lower rate, part of each video), or use --force"
    )]
    Much(Amount),
    /// An error of FFmpeg that is not caused by the file.
    #[error("FFmpeg cannot {0}")]
    Ffmpeg(String),
    /// An error of the project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<FileError> for MediaError {
    fn from(error: FileError) -> Self {
        Self::Write {
            path: error.path,
            error: error.error,
        }
    }
}

impl MediaError {
    /// The error of an unusable file; `reason` follows its name.
    pub(super) fn unusable(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// The error of a file that cannot be read.
    pub(super) fn read(path: &Path, error: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            error,
        }
    }
}
