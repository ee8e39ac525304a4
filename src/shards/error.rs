//! Errors of lists of shards, parts and merging.

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
    /// The paths contain nothing that can be sampled.
    #[error("the given paths contain no usable videos or photos; see the warnings")]
    Nothing,
    /// The project already has all films.
    #[error(
        "all {films} videos in the given paths are already in the project, with the same sampling"
    )]
    AllKnown {
        /// How many there are.
        films: usize,
    },
    /// All trainings of a sweep have ended.
    #[error(
        "the sweep “{sweep}” has nothing left to train; begin another one, or retry failed trainings with --try-again"
    )]
    NothingLeft {
        /// The sweep.
        sweep: String,
    },
    /// A file or folder has invalid contents.
    #[error("“{}” {reason}", path.display())]
    Bad {
        /// The file or folder.
        path: PathBuf,
        /// The end of the sentence, with the remedy.
        reason: String,
    },
    /// The list has no shard of this number.
    #[error("“{}” has shards 1 to {shards}, but no shard {shard}", path.display())]
    NoShard {
        /// The list.
        path: PathBuf,
        /// How many shards it has.
        shards: usize,
        /// The number.
        shard: usize,
    },
    /// This machine would compute other frames or bottlenecks than those of the list.
    #[error(
        "“{}” was made with {what} {wanted}, but this machine has {found}; use the same version on all machines, or make the list again",
        path.display()
    )]
    OtherVersion {
        /// The list or part.
        path: PathBuf,
        /// The component that differs: "Salamander", "FFmpeg", "ONNX Runtime", the architecture.
        what: String,
        /// The version used for the list.
        wanted: String,
        /// The version here.
        found: String,
    },
    /// Another process is making the same part.
    #[error("another process is making shard {shard} in “{}”; wait for it, or end it", path.display())]
    Busy {
        /// The number of the shard.
        shard: usize,
        /// The folder of the part.
        path: PathBuf,
    },
    /// A file that this layer writes.
    #[error(transparent)]
    File(#[from] FileError),
    /// The disk has not enough room for the merged frames.
    #[error(
        "merging writes {bytes} bytes of frames, but only {room} are free on the disk of “{}”; free some space, or merge with --force",
        project.display()
    )]
    Room {
        /// The project's folder.
        project: PathBuf,
        /// The bytes to be written.
        bytes: u64,
        /// The free bytes.
        room: u64,
    },
    /// An error of the project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// An error of films and photos.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// An error of bottlenecks.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// An error of ONNX Runtime.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// An error of a sweep.
    #[error(transparent)]
    Sweep(#[from] SweepError),
    /// An error of a run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl ShardError {
    /// For `map_err`: an I/O error with its file.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }

    /// The error of a file with invalid contents; `reason` follows its name.
    pub(super) fn bad(path: &Path, reason: impl Into<String>) -> Self {
        Self::Bad {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }
}
