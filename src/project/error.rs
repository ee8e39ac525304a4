//! What can go wrong with a project, in sentences for its owner.

use std::path::PathBuf;

use crate::jobs::Cancelled;

/// An error of the project layer.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// A file or folder could not be read or written.
    #[error("cannot {action} “{path}”: {source}")]
    Io {
        /// What was tried: "read", "write", "move".
        action: &'static str,
        /// Which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}
