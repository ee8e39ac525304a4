//! Errors of trainings.

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
    /// An error of ONNX Runtime.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// An error of a network's graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An error of the backbone or a frame.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// An error of the project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// There are no labelled images.
    #[error(
        "there are no labelled images to train on; import videos or photos and give them classes first"
    )]
    NoFrames,
    /// Fewer than two classes.
    #[error(
        "training needs at least two classes with images; only “{0}” has images in the training set"
    )]
    OneClass(String),
    /// An invalid setting.
    #[error("{0}")]
    Setting(String),
    /// The training diverged before any weights could be kept.
    #[error(
        "the training diverged at step {0} (its cross-entropy is no longer a number); lower the learning rate"
    )]
    Diverged(u32),
    /// An error of a run's file.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file of a run is invalid.
    #[error("“{}” is damaged ({reason}); {}", path.display(), remedy(path))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The run was written by a later version of the program.
    #[error("“{}” was written by a newer Salamander; update Salamander to open it", path.display())]
    NewerRun {
        /// The file.
        path: PathBuf,
    },
    /// The run has not been trained to its end.
    #[error("the run “{0}” is not finished; resume it first")]
    Unfinished(String),
    /// There is no such run.
    #[error("there is no run “{0}” in this project")]
    NoSuchRun(String),
    /// An architecture cannot be removed, because runs were trained with it.
    #[error("the architecture “{architecture}” is used by the run “{runs}”; remove the run first")]
    ArchitectureInUse {
        /// The architecture.
        architecture: String,
        /// The runs.
        runs: String,
    },
    /// A run cannot be restored from the trash, because another has its name.
    #[error("a run “{0}” already exists; remove it before you restore the one from the trash")]
    RunInTheWay(String),
    /// A run whose last weights are NaN or infinite cannot be extended.
    #[error(
        "the run “{0}” diverged and cannot be extended; train again with a lower learning rate"
    )]
    DivergedRun(String),
    /// All frames of a class of a run are gone.
    #[error(
        "the run “{run}” cannot continue, because all images of “{class}” it was trained on are gone; restore them, or train again"
    )]
    FramesGone {
        /// The run.
        run: String,
        /// The class, by its name at that time.
        class: String,
    },
}

/// The remedy for a damaged file of a run.
fn remedy(file: &std::path::Path) -> &'static str {
    match file.file_name().and_then(|name| name.to_str()) {
        Some(calibration::FILE) => "delete this file to have the run calibrated again",
        Some(note::FILE) => "delete this file and enter name and note again",
        _ => "delete this run, or restore an earlier copy of its folder",
    }
}

impl TrainError {
    /// For `map_err`: an I/O error with its file.
    pub(super) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }
}
