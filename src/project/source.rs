//! Sources: imported videos and batches of photos.

use std::fmt;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::frame_name::is_hex;
use super::{ClassName, ProjectError, Sampling};

/// How much of the start, the middle and the end of a file makes its identity.
const SAMPLE_BYTES: u64 = 1 << 20;

/// Identifies a source by its content: 8 lower-case hexadecimal digits, the same on every machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SourceId(String);

impl SourceId {
    /// The identity of a video file: a BLAKE3 hash of its length and of its first, middle and last MiB,
    /// so that a 4 GB film takes no longer than a short one.
    pub fn of_file(path: &Path) -> Result<Self, ProjectError> {
        let hash = sampled_hash(path).map_err(ProjectError::io("read", path))?;
        Ok(Self::from_hash(&hash))
    }

    /// The identity of a batch of photos, from a name that is unique in the project (time and folder).
    #[must_use]
    pub fn of_batch(name: &str) -> Self {
        Self::from_hash(&blake3::hash(name.as_bytes()))
    }

    /// From its 8 lower-case hexadecimal digits, as in a frame's name.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        is_hex(digits).then(|| Self(digits.to_owned()))
    }

    fn from_hash(hash: &blake3::Hash) -> Self {
        Self(hash.to_hex().chars().take(8).collect())
    }

    /// The hexadecimal digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Length, then the first, middle and last MiB; a file of up to 3 MiB is hashed whole.
fn sampled_hash(path: &Path) -> std::io::Result<blake3::Hash> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let mut hasher = blake3::Hasher::new();
    hasher.update(&length.to_le_bytes());
    if length <= 3 * SAMPLE_BYTES {
        hasher.update_reader(&mut file)?;
    } else {
        for start in [0, (length - SAMPLE_BYTES) / 2, length - SAMPLE_BYTES] {
            file.seek(SeekFrom::Start(start))?;
            hasher.update_reader((&mut file).take(SAMPLE_BYTES))?;
        }
    }
    Ok(hasher.finalize())
}

impl TryFrom<String> for SourceId {
    type Error = String;

    fn try_from(digits: String) -> Result<Self, String> {
        Self::from_hex(&digits).ok_or(format!("“{digits}” is no source id"))
    }
}

impl From<SourceId> for String {
    fn from(id: SourceId) -> Self {
        id.0
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

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;

    #[test]
    fn the_identity_follows_the_content_wherever_the_file_lies() {
        let dir = tempfile::tempdir().unwrap();
        let mut bytes: Vec<u8> = (0..4_200_000u32).map(|i| (i / 7) as u8).collect();
        let (a, b) = (dir.path().join("a.mp4"), dir.path().join("猫 b.mov"));
        std::fs::write(&a, &bytes).unwrap();
        std::fs::write(&b, &bytes).unwrap();
        let id = SourceId::of_file(&a).unwrap();
        assert_eq!(id, SourceId::of_file(&b).unwrap());
        assert_eq!(SourceId::from_hex(id.as_str()), Some(id.clone()));
        // A change at the start, in the middle, at the end, or of the length alone is seen.
        for position in [0, 2_100_000, 4_199_999] {
            bytes[position] ^= 1;
            std::fs::write(&b, &bytes).unwrap();
            assert_ne!(id, SourceId::of_file(&b).unwrap(), "{position}");
            bytes[position] ^= 1;
        }
        bytes.push(0);
        std::fs::write(&b, &bytes).unwrap();
        assert_ne!(id, SourceId::of_file(&b).unwrap());
    }

    #[test]
    fn a_missing_file_is_named() {
        let message = SourceId::of_file(Path::new("/nowhere/film.mp4"))
            .unwrap_err()
            .to_string();
        assert!(message.contains("/nowhere/film.mp4"), "{message}");
    }

    #[test]
    fn batches_with_different_names_differ() {
        assert_ne!(SourceId::of_batch("a"), SourceId::of_batch("b"));
        assert_eq!(SourceId::of_batch("a"), SourceId::of_batch("a"));
    }

    #[test]
    fn an_id_is_eight_lower_case_hexadecimal_digits() {
        for bad in ["", "3FA9C1D2", "3fa9c1d", "3fa9c1d22", "../../../"] {
            assert_eq!(SourceId::from_hex(bad), None);
        }
    }
}
