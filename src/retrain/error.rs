//! Errors of retraining.

use std::io;
use std::path::{Path, PathBuf};

use crate::evaluate::EvaluateError;
use crate::export::ExportError;
use crate::export::frozen_graph::FrozenGraphError;
use crate::files::FileError;
use crate::project::ProjectError;
use crate::train::TrainError;

/// An error of the retrain layer.
#[derive(Debug, thiserror::Error)]
pub enum RetrainError {
    /// The path of the images is no folder.
    #[error("--image_dir “{}” is not a folder; give one with a folder of images per class", path.display())]
    NoFolder {
        /// The path.
        path: PathBuf,
    },
    /// There are fewer than two class folders.
    #[error(
        "there {} in --image_dir “{}”, but at least two are needed, each named after its class (cat/…, dog/…)",
        folders(*found), path.display()
    )]
    FewFolders {
        /// The folder of images.
        path: PathBuf,
        /// The number of folders in it.
        found: usize,
    },
    /// The folder for bottlenecks is inside the folder of images, or the other way round.
    #[error("--bottleneck_dir “{}” and --image_dir are inside each other; give a folder elsewhere", path.display())]
    Nested {
        /// The folder for bottlenecks.
        path: PathBuf,
    },
    /// The project in the folder for bottlenecks was made for other images.
    #[error("--bottleneck_dir “{}” belongs to the images in “{}”; give another folder", path.display(), images.display())]
    OtherImages {
        /// The folder for bottlenecks.
        path: PathBuf,
        /// The images that it was made for.
        images: PathBuf,
    },
    /// The folder for the `SavedModel` is not empty.
    #[error("--saved_model_dir “{}” already exists and is not empty; give a new folder", path.display())]
    SavedModelThere {
        /// The folder.
        path: PathBuf,
    },
    /// The name of the output node is invalid.
    #[error("--final_tensor_name {reason}")]
    FinalTensor {
        /// The reason.
        reason: String,
    },
    /// An error of a folder or file.
    #[error(transparent)]
    File(#[from] FileError),
    /// An error of the project in the folder for bottlenecks.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// An error of the training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// An error of the evaluation.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// An error of the graph.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// An error of the `SavedModel`.
    #[error(transparent)]
    SavedModel(#[from] FrozenGraphError),
}

fn folders(found: usize) -> &'static str {
    match found {
        0 => "is no folder",
        _ => "is only one folder",
    }
}

impl RetrainError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }
}
