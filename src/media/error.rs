//! What can go wrong with a media file, in sentences for people.

use std::path::PathBuf;

use crate::jobs::Cancelled;
use crate::project::ProjectError;

/// An error of the media layer.
#[derive(Debug, thiserror::Error)]
pub enum MediaError {
    /// The file cannot be read at all.
    #[error("cannot read “{path}”: {source}")]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The project refused something.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
