//! What can go wrong with a sweep.

use std::path::{Path, PathBuf};

use crate::backbone::BackboneError;
use crate::files::FileError;
use crate::jobs::Cancelled;
use crate::project::ProjectError;
use crate::train::TrainError;

/// An error of the sweep layer. A training that fails is none: it is a row of the table.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Something that cannot be swept over, in a sentence.
    #[error("{0}")]
    Plan(String),
    /// No such sweep.
    #[error("there is no sweep “{0}” in this project; `salamander sweeps` lists them")]
    NoSuchSweep(String),
    /// A sweep written by a later version of the program.
    #[error("“{}” was written by a newer Salamander; update Salamander to open it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// A file that cannot be understood.
    #[error("“{}” is damaged ({reason}); put back an earlier copy, or remove this folder: its runs stay", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A sweep comes back from the trash to where another one is.
    #[error("there is a sweep “{0}” already; remove that one first")]
    InTheWay(String),
    /// A file of a sweep.
    #[error(transparent)]
    File(#[from] FileError),
    /// The project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// A network.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// What ends every training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl SweepError {
    /// For `map_err`: an input or output error with the file it happened to.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }

    /// For `map_err`: a file that cannot be understood, and why.
    pub(super) fn damaged<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> Self {
        let path = path.to_owned();
        move |reason| Self::Damaged {
            path: path.clone(),
            reason: reason.to_string(),
        }
    }
}
