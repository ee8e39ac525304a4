//! Errors of making a model from files.

use std::path::PathBuf;

use crate::evaluate::EvaluateError;
use crate::export::ExportError;
use crate::files::FileError;
use crate::jobs::Cancelled;
use crate::media::MediaError;
use crate::project::ProjectError;
use crate::train::TrainError;

/// The layout that a folder must have, used in several messages.
const LAYOUT: &str = "give a folder with one subfolder per class (cat/…, dog/…), or use --class-from file if the files are named cat-1.mp4, dog-1.mp4";

/// An error of the make layer.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// No path was given.
    #[error("no videos or photos are given; give a folder of them")]
    Nothing,
    /// A path does not exist.
    #[error("“{}” does not exist; check its name", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// The paths contain no image or video.
    #[error("there are no videos or photos in “{}”; {LAYOUT}", path.display())]
    NoFiles {
        /// The first path.
        path: PathBuf,
    },
    /// There are fewer than two classes.
    #[error("{}; {LAYOUT}", classes(found.as_deref(), *without))]
    Classes {
        /// The only class, if there is one.
        found: Option<String>,
        /// How many files or images have no class.
        without: usize,
    },
    /// A class with too few images.
    #[error(
        "“{class}” has only {images} images, but a class needs at least 5, better a few dozen from several videos or places; add some, or remove its folder"
    )]
    TooFew {
        /// The class.
        class: String,
        /// The number of its images.
        images: usize,
    },
    /// The output folder is inside an input folder.
    #[error(
        "“{}” is inside “{}”, so its files would be imported as well; choose a folder elsewhere",
        out.display(), path.display()
    )]
    Inside {
        /// The output folder.
        out: PathBuf,
        /// The input folder.
        path: PathBuf,
    },
    /// The output folder is a file.
    #[error("“{}” is a file; choose a folder for the model", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// The place of the project is taken by something that this command did not make.
    #[error(
        "“{}” was not made by this command and is left unchanged; choose another folder for the model (for an existing project, use `salamander train` and `salamander export`)",
        path.display()
    )]
    NotOurs {
        /// The path of that.
        path: PathBuf,
    },
    /// A file that this layer writes.
    #[error(transparent)]
    File(#[from] FileError),
    /// An error of the project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// An error of the import.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// An error of the training.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// An error of the evaluation.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// An error of the export.
    #[error(transparent)]
    Export(#[from] ExportError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

fn classes(found: Option<&str>, without: usize) -> String {
    match (found, without) {
        (None, _) => {
            "there are no class folders, but a model needs at least two classes".to_owned()
        }
        (Some(class), 0) => {
            format!("there is only the class “{class}”, but a model needs at least two")
        }
        (Some(class), without) => format!(
            "there is only the class “{class}” ({without} other files are not in a class folder), but a model needs at least two"
        ),
    }
}

impl MakeError {
    /// For `map_err`: an I/O error with its file.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }
}
