//! Errors of evaluations and predictions.

use std::path::{Path, PathBuf};

use crate::backbone::BackboneError;
use crate::files::FileError;
use crate::jobs::Cancelled;
use crate::media::MediaError;
use crate::onnx::OnnxError;
use crate::project::ProjectError;
use crate::train::TrainError;

/// An error of the evaluate layer.
#[derive(Debug, thiserror::Error)]
pub enum EvaluateError {
    /// An error of the run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// An error of the project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// An error of the backbone.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// An error of ONNX Runtime or a model.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// An error of an image or a video.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The head does not match the backbone or the classes.
    #[error(
        "the weights of run “{run}” do not fit its backbone and classes; train again or restore the run's folder"
    )]
    Weights {
        /// The run.
        run: String,
    },
    /// A cached bottleneck contains NaN or infinity.
    #[error(
        "the backbone computed NaN or infinite values for “{image}”; delete the project's folder “cache” and try again, or train again with another architecture"
    )]
    NotFinite {
        /// The image.
        image: String,
    },
    /// A run's probabilities are not finite.
    #[error(
        "the run computes NaN or infinite probabilities; restore an earlier copy of its folder, or train again"
    )]
    NoProbabilities,
    /// A folder or file is not an export.
    #[error("“{}” is not an export that can predict: {reason}", path.display())]
    NoExport {
        /// The path.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The run does not have this class.
    #[error("the run has no class “{class}”; its classes are {known}")]
    NoClass {
        /// The name.
        class: String,
        /// The names of its classes.
        known: String,
    },
    /// A file in place of a report is not a report.
    #[error("“{}” already exists and is not a Salamander report, so it is not replaced; give another name", path.display())]
    NoReport {
        /// The file.
        path: PathBuf,
    },
    /// The thumbnails cannot be combined into one image.
    #[error(
        "the thumbnails cannot be combined into one image: {0}; free some memory and try again"
    )]
    Sprite(String),
    /// A file in place of a timeline is not a timeline.
    #[error("“{}” already exists and does not hold probabilities over time, so it is not replaced; give another name", path.display())]
    NoTimeline {
        /// The file.
        path: PathBuf,
    },
    /// An error of a file that is written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A project instead of an export or a run.
    #[error("“{}” is a project; give the folder of an export or of a run, {}", path.display(), newest_in_words(newest.as_deref()))]
    IsProject {
        /// The path.
        path: PathBuf,
        /// The newest export or finished run in it.
        newest: Option<PathBuf>,
    },
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

fn newest_in_words(newest: Option<&Path>) -> String {
    match newest {
        Some(newest) => format!("the newest is “{}”", newest.display()),
        None => "but it has none yet; train one first".into(),
    }
}
