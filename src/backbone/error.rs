//! Errors of backbones and bottlenecks.

use std::path::{Path, PathBuf};

use super::Depth;
use crate::files::FileError;
use crate::graph::GraphError;
use crate::jobs::Cancelled;
use crate::media::MediaError;
use crate::onnx::OnnxError;

/// An error of the backbone layer.
#[derive(Debug, thiserror::Error)]
pub enum BackboneError {
    /// The backbone does not exist, or not at this resolution.
    #[error("unknown architecture “{name}”; known are {known}")]
    UnknownArchitecture {
        /// The name.
        name: String,
        /// The known ones, for users.
        known: String,
    },
    /// The depth does not exist.
    #[error("unknown depth “{name}”; known are {known}")]
    UnknownDepth {
        /// The name.
        name: String,
        /// The known ones, for users.
        known: String,
    },
    /// A network in which no blocks are found.
    #[error("the network cannot be divided into blocks: {0}; train the head alone")]
    Blocks(String),
    /// The network cannot be trained to this depth.
    #[error(
        "the network cannot be trained at the depth “{depth}”: {reason}; choose a smaller depth"
    )]
    NotTrainable {
        /// The depth.
        depth: Depth,
        /// The reason.
        reason: String,
    },
    /// The file of a model in the catalogue is missing.
    #[error(
        "the model file “{file}” is missing (looked in {looked_in}); install Salamander again, or set SALAMANDER_MODELS to the folder with its models"
    )]
    MissingModel {
        /// Its name.
        file: String,
        /// The folders that were searched.
        looked_in: String,
    },
    /// The network of an architecture that was added to a project is missing.
    #[error(
        "the network “{}” is missing; restore its folder from a copy of the project, or add the architecture again",
        path.display()
    )]
    MissingOwn {
        /// The file.
        path: PathBuf,
    },
    /// The network cannot be added to a project.
    #[error("“{}” cannot be added: {reason}", path.display())]
    Add {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The user must state something before the network can be added.
    #[error("“{}” cannot be added yet: {reason}; give it with {option}", path.display())]
    Asked {
        /// The file.
        path: PathBuf,
        /// What is unknown, and why.
        reason: String,
        /// The option of the command line for it.
        option: &'static str,
    },
    /// The architecture is not one that was added to the project.
    #[error("“{name}” was not added to this project, so it cannot be removed")]
    NotOwn {
        /// Its name.
        name: String,
    },
    /// The model file was changed.
    #[error(
        "the model file “{}” is damaged or was changed (its hash does not match the catalogue); {}, or restore the original file",
        path.display(),
        if *shipped { "install Salamander again" } else { "add the architecture again" }
    )]
    AlteredModel {
        /// The file.
        path: PathBuf,
        /// Whether it is in the catalogue.
        shipped: bool,
    },
    /// Unusable weights of a fine-tuned backbone.
    #[error("{}{reason}; delete this run, or restore an earlier copy of its folder", fine_tuned(file.as_deref()))]
    FineTuned {
        /// The file they come from, if there is one.
        file: Option<PathBuf>,
        /// The reason.
        reason: String,
    },
    /// The built-in catalogue cannot be read.
    #[error("the catalogue of models cannot be read: {0}")]
    Catalogue(String),
    /// A frame changed during the work.
    #[error("“{}” was changed meanwhile; start again to use its new content", path.display())]
    ChangedFrame {
        /// The file.
        path: PathBuf,
    },
    /// The index of a frame is out of range.
    #[error("frame {index} was requested, but there are only {count}")]
    NoFrame {
        /// The index.
        index: usize,
        /// The number of frames.
        count: usize,
    },
    /// No heat map can be computed for the network.
    #[error("no heat map can be made with this architecture: {reason}")]
    NoFeatureMap {
        /// The reason.
        reason: String,
    },
    /// An error of the cache or an output file.
    #[error(transparent)]
    File(#[from] FileError),
    /// An error of ONNX Runtime or a model file.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// An error of a network's graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An error of a frame.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

fn fine_tuned(file: Option<&Path>) -> String {
    let of = file.map(|file| format!(" in “{}”", file.display()));
    format!(
        "the fine-tuned weights{} cannot be used: ",
        of.unwrap_or_default()
    )
}

impl BackboneError {
    /// For `map_err`: an I/O error with its file.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }

    /// Whether a file could not be read or written, independent of its contents: another attempt may succeed.
    #[must_use]
    pub fn is_of_a_file(&self) -> bool {
        matches!(self, Self::File(_) | Self::Media(MediaError::Io { .. }))
    }
}
