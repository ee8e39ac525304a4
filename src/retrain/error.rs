//! What can go wrong while retraining.

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
    /// The folder of images is none.
    #[error("--image_dir “{}” is no folder; give the one that has a folder of images for each class", path.display())]
    NoFolder {
        /// What was given.
        path: PathBuf,
    },
    /// There are not two class folders.
    #[error(
        "there {} in --image_dir “{}”, and two or more are needed, each called as its class (cat/…, dog/…)",
        folders(*found), path.display()
    )]
    FewFolders {
        /// The folder of images.
        path: PathBuf,
        /// How many folders are in it.
        found: usize,
    },
    /// The folder for bottlenecks is in the folder of images, or the other way round.
    #[error("--bottleneck_dir “{}” and --image_dir lie in each other; give a folder elsewhere", path.display())]
    Nested {
        /// The folder for bottlenecks.
        path: PathBuf,
    },
    /// The project is of other images.
    #[error("--bottleneck_dir “{}” belongs to the images in “{}”; give another folder", path.display(), images.display())]
    OtherImages {
        /// The folder for bottlenecks.
        path: PathBuf,
        /// The images that it was made for.
        images: PathBuf,
    },
    /// The folder for the `SavedModel` holds something.
    #[error("--saved_model_dir “{}” is there already and not empty; give the name of a new folder", path.display())]
    SavedModelThere {
        /// The folder.
        path: PathBuf,
    },
    /// The name of the result.
    #[error("--final_tensor_name {reason}")]
    FinalTensor {
        /// What is wrong with it.
        reason: String,
    },
    /// A folder or file.
    #[error(transparent)]
    File(#[from] FileError),
    /// The project in the folder for bottlenecks.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// The training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The test.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// The graph.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// The `SavedModel` around it.
    #[error(transparent)]
    SavedModel(#[from] FrozenGraphError),
}

fn folders(found: usize) -> &'static str {
    match found {
        0 => "is no folder",
        _ => "is one folder only",
    }
}

impl RetrainError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }
}
