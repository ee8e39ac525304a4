//! What can go wrong on the way from files to a model.

use std::path::PathBuf;

use crate::evaluate::EvaluateError;
use crate::export::ExportError;
use crate::files::FileError;
use crate::jobs::Cancelled;
use crate::media::MediaError;
use crate::project::ProjectError;
use crate::train::TrainError;

/// The layout that a folder must have, for every message that asks for it.
const LAYOUT: &str = "give a folder with one folder for each class in it (cat/…, dog/…), or say --class-from file where the files are called cat-1.mp4, dog-1.mp4";

/// An error of the make layer.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// Nothing was given.
    #[error("nothing is given to make a model of; give a folder of videos or photos")]
    Nothing,
    /// A path that is not there.
    #[error("“{}” is not there; check its name", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// Nothing in the paths is an image or a video.
    #[error("there are no videos and no photos in “{}”; {LAYOUT}", path.display())]
    NoFiles {
        /// The first path.
        path: PathBuf,
    },
    /// There are not two classes.
    #[error("{}; {LAYOUT}", classes(found.as_deref(), *without))]
    Classes {
        /// The one class there is.
        found: Option<String>,
        /// Files or images without a class.
        without: usize,
    },
    /// A class that cannot be learned.
    #[error(
        "“{class}” has only {images} images, and a class needs at least 5, better a few dozen from several videos or places; add some, or take its folder out"
    )]
    TooFew {
        /// The class.
        class: String,
        /// Its images.
        images: usize,
    },
    /// What is made would lie among what it is made of.
    #[error(
        "“{}” lies in “{}”, and the model's files would be taken for more of what is in there; choose a folder beside it",
        out.display(), path.display()
    )]
    Inside {
        /// The folder for what is made.
        out: PathBuf,
        /// The folder that is given.
        path: PathBuf,
    },
    /// The folder for what is made is a file.
    #[error("“{}” is a file; choose a folder for the model", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// Something of somebody else's is where the project would be.
    #[error(
        "“{}” was not made by this command and stays as it is; choose another folder for the model (of a project there is, `salamander train` and `salamander export` make one)",
        path.display()
    )]
    NotOurs {
        /// What is there.
        path: PathBuf,
    },
    /// A file of this layer's own.
    #[error(transparent)]
    File(#[from] FileError),
    /// The project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// Importing.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// Training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Evaluating.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// Exporting.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

fn classes(found: Option<&str>, without: usize) -> String {
    match (found, without) {
        (None, _) => "no folder names a class, and a model needs two to tell apart".to_owned(),
        (Some(class), 0) => {
            format!("there is only the class “{class}”, and a model needs two to tell apart")
        }
        (Some(class), without) => format!(
            "there is only the class “{class}” ({without} other files are in no class folder), and a model needs two to tell apart"
        ),
    }
}

impl MakeError {
    /// For `map_err`: an input or output error with the file it happened to.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }
}
