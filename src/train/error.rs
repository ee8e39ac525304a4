//! What can go wrong with a training.

use std::path::PathBuf;

use crate::backbone::BackboneError;
use crate::files::FileError;
use crate::graph::GraphError;
use crate::jobs::Cancelled;
use crate::onnx::OnnxError;
use crate::project::ProjectError;

use super::{calibration, note};

/// An error of the train layer.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// ONNX Runtime.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A network's graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// The backbone or a frame.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// The project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// Nothing to train on.
    #[error(
        "there are no labelled images to train on; import videos or photos and give them classes first"
    )]
    NoFrames,
    /// Fewer than two classes.
    #[error(
        "training needs at least two classes with images; only “{0}” has images in the training set"
    )]
    OneClass(String),
    /// A setting that makes no sense.
    #[error("{0}")]
    Setting(String),
    /// The training diverged before any weights were worth keeping.
    #[error(
        "the training diverged at step {0} (its cross-entropy is no number any more); lower the learning rate"
    )]
    Diverged(u32),
    /// A file of a run.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of a run that cannot be understood.
    #[error("“{}” is damaged ({reason}); {}", path.display(), remedy(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A run written by a later version of the program.
    #[error("“{}” was written by a newer Salamander; update Salamander to open it", path.display())]
    NewerRun {
        /// The file.
        path: PathBuf,
    },
    /// Asked of a run that has not been trained to its end.
    #[error("the run “{0}” is not finished; resume it first")]
    Unfinished(String),
    /// No such run.
    #[error("there is no run “{0}” in this project")]
    NoSuchRun(String),
    /// An architecture is to be removed that runs were trained with.
    #[error("the architecture “{architecture}” is used by the run “{runs}”; remove that first")]
    ArchitectureInUse {
        /// The architecture.
        architecture: String,
        /// The runs.
        runs: String,
    },
    /// A run comes back from the trash to where another one is.
    #[error(
        "there is a run “{0}” already; remove that one first to bring back the one from the trash"
    )]
    RunInTheWay(String),
    /// A run whose last weights are NaN or infinite cannot be trained further.
    #[error(
        "the run “{0}” diverged, so that further steps would learn nothing; train anew with a lower learning rate"
    )]
    DivergedRun(String),
    /// All frames of a class that a run was trained on are gone.
    #[error(
        "the run “{run}” cannot go on: “{class}” has lost all images it was trained on; bring them back, or train anew"
    )]
    FramesGone {
        /// The run.
        run: String,
        /// The class, as it was called then.
        class: String,
    },
}

/// What to do about a damaged file of a run.
fn remedy(file: &std::path::Path) -> &'static str {
    match file.file_name().and_then(|name| name.to_str()) {
        Some(calibration::FILE) => "delete this file, and the run is calibrated anew",
        Some(note::FILE) => "delete this file, and write name and note anew",
        _ => "delete this run, or put back an earlier copy of its folder",
    }
}

impl TrainError {
    /// For `map_err`: an error with the file it happened to.
    pub(super) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }
}
