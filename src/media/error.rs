//! What can go wrong with a media file, in sentences for people.

use std::io;
use std::path::{Path, PathBuf};

use crate::files::{FileError, why};
use crate::jobs::Cancelled;
use crate::project::ProjectError;

use super::Amount;

/// An error of the media layer.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The system does not let the file be read.
    #[error("cannot read “{path}”: {}", why(error))]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said; part of the message, so not offered as a source again.
        error: io::Error,
    },
    /// The system does not let a frame be written.
    #[error("cannot write “{path}”: {}", why(error))]
    Write {
        /// Which file.
        path: PathBuf,
        /// What the system said; part of the message, so not offered as a source again.
        error: io::Error,
    },
    /// The file was read but is nothing that can be used.
    #[error("“{path}” {reason}")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// The rest of the sentence: "is empty", "is not a video but plain text".
        reason: String,
    },
    /// The process that decodes did not survive the file, which is set aside.
    #[error("“{path}” {reason}")]
    SetAside {
        /// Which file.
        path: PathBuf,
        /// The rest of the sentence: what happened, and the remedy.
        reason: String,
    },
    /// So many frames are not written unasked.
    #[error(
        "these videos give {0}; take fewer (a lower rate, a part of each), or agree to it with --force"
    )]
    Much(Amount),
    /// FFmpeg refused something that has nothing to do with the file.
    #[error("FFmpeg cannot {0}")]
    Ffmpeg(String),
    /// The project refused something.
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
    /// The file cannot be used; `reason` follows its name.
    pub(super) fn unusable(path: &Path, reason: impl Into<String>) -> Self {
        Self::Unusable {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// The file cannot be read.
    pub(super) fn read(path: &Path, error: io::Error) -> Self {
        Self::Io {
            path: path.to_owned(),
            error,
        }
    }
}
