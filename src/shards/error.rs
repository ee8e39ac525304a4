//! What can go wrong between a list of shards and a merged project.

use std::path::{Path, PathBuf};

use crate::backbone::BackboneError;
use crate::files::FileError;
use crate::jobs::Cancelled;
use crate::media::MediaError;
use crate::onnx::OnnxError;
use crate::project::ProjectError;
use crate::sweep::SweepError;
use crate::train::TrainError;

/// An error of the shards layer.
#[derive(Debug, thiserror::Error)]
pub enum ShardError {
    /// Nothing in the paths can be sampled.
    #[error(
        "there are no videos and no photos in the given paths that could be used; see the warnings"
    )]
    Nothing,
    /// The project has all films.
    #[error(
        "all {films} videos in the given paths are in the project already, sampled in the same way"
    )]
    AllKnown {
        /// How many.
        films: usize,
    },
    /// All trainings of a sweep have ended.
    #[error(
        "nothing is left to train of the sweep “{sweep}”; begin another one, or try again what failed with --try-again"
    )]
    NothingLeft {
        /// The sweep.
        sweep: String,
    },
    /// A file is not what it should be.
    #[error("“{}” {reason}", path.display())]
    Bad {
        /// Which file or folder.
        path: PathBuf,
        /// The rest of the sentence, with the remedy.
        reason: String,
    },
    /// A shard number that the list does not have.
    #[error("“{}” has the shards 1 to {shards}, and none of the number {shard}", path.display())]
    NoShard {
        /// The list.
        path: PathBuf,
        /// How many it has.
        shards: usize,
        /// The number asked for.
        shard: usize,
    },
    /// This machine would make other frames or bottlenecks than the list asks for.
    #[error(
        "“{}” was made for {what} {wanted}, and here is {found}; use the same on all machines, or make the list of shards anew",
        path.display()
    )]
    OtherVersion {
        /// The list or part.
        path: PathBuf,
        /// What differs: "Salamander", "FFmpeg", "ONNX Runtime", the architecture.
        what: String,
        /// What the list was made with.
        wanted: String,
        /// What is here.
        found: String,
    },
    /// Another process makes the same part.
    #[error("shard {shard} is being made in “{}” by another process; wait for it, or end that one", path.display())]
    Busy {
        /// The number of the shard.
        shard: usize,
        /// The folder of the part.
        path: PathBuf,
    },
    /// A file of this layer's own.
    #[error(transparent)]
    File(#[from] FileError),
    /// The disk has not enough room for what is merged.
    #[error(
        "the parts hold {bytes} bytes of frames that are to be written, and {room} are free on the disk of “{}”; free some space, or merge with --force",
        project.display()
    )]
    Room {
        /// The project's folder.
        project: PathBuf,
        /// What is to be written, bytes.
        bytes: u64,
        /// What is free, bytes.
        room: u64,
    },
    /// The project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// Films and photos.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// Bottlenecks.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// ONNX Runtime.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A sweep.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// A run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl ShardError {
    /// For `map_err`: an input or output error with the file it happened to.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }

    /// A file is not what it should be; `reason` follows its name.
    pub(super) fn bad(path: &Path, reason: impl Into<String>) -> Self {
        Self::Bad {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
