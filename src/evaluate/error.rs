//! What can go wrong with an evaluation or a prediction.

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
    /// The run or something below it.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The backbone.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// ONNX Runtime or a model.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// An image or a video.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// The head does not fit the backbone or the classes.
    #[error(
        "the weights of run “{run}” do not fit its backbone and classes; train again or restore the run's folder"
    )]
    Weights {
        /// The run.
        run: String,
    },
    /// A cached bottleneck that holds NaN or infinity.
    #[error(
        "the backbone gave values that are not finite for “{image}”; delete the project's folder “cache” and try again, or train again with another architecture"
    )]
    NotFinite {
        /// The image.
        image: String,
    },
    /// A run that gives no probabilities.
    #[error(
        "the run gives probabilities that are not finite; put back an earlier copy of its folder, or train again"
    )]
    NoProbabilities,
    /// A folder or file that should be an export and is none.
    #[error("“{}” is no export that can predict: {reason}", path.display())]
    NoExport {
        /// What was named.
        path: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// A class that a run does not have.
    #[error("the run has no class “{class}”; its classes are {known}")]
    NoClass {
        /// What was asked for.
        class: String,
        /// Those that it has.
        known: String,
    },
    /// A file that a report would replace and that is no report.
    #[error("“{}” is there already and is no report of Salamander, so it is not replaced; give another name", path.display())]
    NoReport {
        /// The file.
        path: PathBuf,
    },
    /// The image of all thumbnails.
    #[error(
        "the thumbnails cannot be made into one picture: {0}; make room in memory and try again"
    )]
    Sprite(String),
    /// A file that a timeline would replace and that is none.
    #[error("“{}” is there already and holds no probabilities over time, so it is not replaced; give another name", path.display())]
    NoTimeline {
        /// The file.
        path: PathBuf,
    },
    /// A file that cannot be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A project where an export or a run is expected.
    #[error("“{}” is a project; give the folder of an export or of a run, {}", path.display(), newest_in_words(newest.as_deref()))]
    IsProject {
        /// What was named.
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
        None => "of which it has none yet; train one first".into(),
    }
}
