//! Sources: imported videos and batches of photos.

use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{ClassName, Sampling};

/// Identifies a source by its content: 8 lower-case hexadecimal digits, the same on every machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId(pub(super) String);

impl SourceId {
    /// The identity of a video file: a BLAKE3 hash of its length and of its first, middle and last MiB,
    /// so that a 4 GB film takes no longer than a short one.
    pub fn of_file(path: &std::path::Path) -> Result<Self, super::ProjectError> {
        todo!("{path:?}")
    }

    /// The identity of a batch of photos, from a name that is unique in the project (time and folder).
    #[must_use]
    pub fn of_batch(name: &str) -> Self {
        todo!("{name}")
    }

    /// The hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SourceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a source was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// One video file.
    Video,
    /// Photos imported together.
    Photos,
}

/// An imported video, or a batch of imported photos.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Source {
    /// Its identity.
    pub id: SourceId,
    /// Video or photos.
    pub kind: SourceKind,
    /// The file's (or folder's) name, for people.
    pub name: String,
    /// Where it was when it was imported; it may have moved since.
    pub path: PathBuf,
    /// The class its frames were given on extraction; `None` is unsorted.
    pub class: Option<ClassName>,
    /// How it was sampled.
    pub sampling: Sampling,
    /// Length in seconds, when known.
    pub duration_secs: Option<f64>,
    /// Frames written by the last extraction; `None` before the first, or when it did not finish.
    pub extracted: Option<u64>,
    /// What was odd: damage, HDR.
    pub warnings: Vec<String>,
}
