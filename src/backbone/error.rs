//! What can go wrong between a frame and its bottleneck.

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
    /// No such backbone, or not at this resolution.
    #[error("unknown architecture “{name}”; known are {known}")]
    UnknownArchitecture {
        /// What was asked for.
        name: String,
        /// What there is, for people.
        known: String,
    },
    /// No such depth of training.
    #[error("unknown depth “{name}”; known are {known}")]
    UnknownDepth {
        /// What was asked for.
        name: String,
        /// What there is, for people.
        known: String,
    },
    /// A network in which no blocks can be found.
    #[error("the network cannot be divided into blocks: {0}; train the head alone")]
    Blocks(String),
    /// A network that cannot be trained so deep.
    #[error(
        "the network cannot be trained at the depth “{depth}”: {reason}; train the head, or less of it"
    )]
    NotTrainable {
        /// How deep.
        depth: Depth,
        /// What is in the way.
        reason: String,
    },
    /// A shipped model is nowhere to be found.
    #[error(
        "the model file “{file}” is missing (looked in {looked_in}); install Salamander again, or set SALAMANDER_MODELS to the folder with its models"
    )]
    MissingModel {
        /// Its name.
        file: String,
        /// The folders.
        looked_in: String,
    },
    /// The network of an architecture that was added to a project is not there.
    #[error(
        "the network “{}” is missing; put the folder back from a copy of the project, or add the architecture again",
        path.display()
    )]
    MissingOwn {
        /// The file.
        path: PathBuf,
    },
    /// A network that cannot be added to a project.
    #[error("“{}” cannot be added: {reason}", path.display())]
    Add {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A network of which something must be said before it can be added.
    #[error("“{}” cannot be added yet: {reason}; say it with {option}", path.display())]
    Asked {
        /// The file.
        path: PathBuf,
        /// What is not known, and why.
        reason: String,
        /// The option of the command line that says it.
        option: &'static str,
    },
    /// An architecture that is none of the project's own.
    #[error("“{name}” was not added to this project, so it cannot be removed from it")]
    NotOwn {
        /// Its name.
        name: String,
    },
    /// A model file is not the one that was shipped or added.
    #[error(
        "the model file “{}” is damaged or was changed (its hash is not the one in the catalogue); {}, or put the original file back",
        path.display(),
        if *shipped { "install Salamander again" } else { "add the architecture again" }
    )]
    AlteredModel {
        /// The file.
        path: PathBuf,
        /// Whether it came with Salamander.
        shipped: bool,
    },
    /// Weights of a fine-tuned backbone that cannot be used.
    #[error("{}{reason}; delete this run, or put back an earlier copy of its folder", fine_tuned(file.as_deref()))]
    FineTuned {
        /// The file they come from, if any.
        file: Option<PathBuf>,
        /// What is wrong with them.
        reason: String,
    },
    /// The catalogue that is built in cannot be read.
    #[error("the catalogue of models cannot be read: {0}")]
    Catalogue(String),
    /// A frame that is no longer what it was when the work began.
    #[error("“{}” was changed or replaced in the meantime; start again to use it as it is now", path.display())]
    ChangedFrame {
        /// The file.
        path: PathBuf,
    },
    /// A frame that was not named.
    #[error("frame {index} was asked for where there are {count}")]
    NoFrame {
        /// Which.
        index: usize,
        /// How many there are.
        count: usize,
    },
    /// A network of which no heat map can be made.
    #[error("no heat map can be made with this architecture: {reason}")]
    NoFeatureMap {
        /// What is missing.
        reason: String,
    },
    /// The cache or an output file.
    #[error(transparent)]
    File(#[from] FileError),
    /// ONNX Runtime or a model file.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A network's graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A frame.
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
    /// For `map_err`: an input or output error with the file it happened to.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }

    /// Whether a file could not be read or written, which is no fault of its contents: another attempt may succeed.
    #[must_use]
    pub fn is_of_a_file(&self) -> bool {
        matches!(self, Self::File(_) | Self::Media(MediaError::Io { .. }))
    }
}
