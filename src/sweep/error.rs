//! Errors of sweeps.

use std::path::{Path, PathBuf};

use crate::backbone::BackboneError;
use crate::files::FileError;
use crate::jobs::Cancelled;
use crate::project::ProjectError;
use crate::train::TrainError;

/// An error of the sweep layer. A training that fails is no error but a row of the table.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// A setting or value that a sweep cannot have, as a sentence.
    #[error("{0}")]
    Plan(String),
    /// There is no sweep of that name.
    #[error("there is no sweep “{0}” in this project; `salamander sweeps` lists them")]
    NoSuchSweep(String),
    /// The sweep was written by a later version of the program.
    #[error("“{}” was written by a newer Salamander; update Salamander to open it", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
    },
    /// The file is invalid.
    #[error("“{}” is damaged ({reason}); restore an earlier copy, or remove this folder (its runs are kept)", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// A sweep cannot be restored from the trash, because another has its name.
    #[error("a sweep “{0}” already exists; remove it first")]
    InTheWay(String),
    /// An error of a sweep's file.
    #[error(transparent)]
    File(#[from] FileError),
    /// An error of the project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// An error of a network.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// An error that ends every training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl SweepError {
    /// For `map_err`: an I/O error with its file.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }

    /// For `map_err`: an invalid file, with the reason.
    pub(super) fn damaged<E: std::fmt::Display>(path: &Path) -> impl Fn(E) -> Self {
        let path = path.to_owned();
        move |reason| Self::Damaged {
            path: path.clone(),
            reason: reason.to_string(),
        }
    }
}
