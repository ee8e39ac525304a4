//! The identity of a file by its content.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::jobs::Work;

use super::{Id128, ProjectError};

/// Read and hashed between two looks at whether the work was cancelled: about a millisecond each.
const CHUNK_BYTES: usize = 1 << 20;

/// 128 bits of the BLAKE3 hash of a file's bytes, written as 32 lower-case hexadecimal digits. Two files with one
/// identity are the same file: a collision would need about 2⁶⁴ files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentId(Id128);

impl ContentId {
    /// Of bytes that were read already.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::of_hash(blake3::hash(bytes).as_bytes())
    }

    /// Of a file, all of which is read. Reports the bytes read so far to nobody; see
    /// [`ContentId::of_file_reporting`].
    pub fn of_file(path: &Path, work: &Work) -> Result<Self, ProjectError> {
        Self::of_file_reporting(path, work, |_| ())
    }

    /// Of a file; `read` is told the number of bytes after each chunk of them. The disk is the limit: BLAKE3
    /// takes a tenth of the time that a fast disk needs for the same bytes, so one thread does both.
    pub fn of_file_reporting(
        path: &Path,
        work: &Work,
        mut read: impl FnMut(u64),
    ) -> Result<Self, ProjectError> {
        let mut file = File::open(path).map_err(ProjectError::io("read", path))?;
        let mut hasher = blake3::Hasher::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            work.check()?;
            match file.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => {
                    hasher.update(chunk.get(..length).unwrap_or_default());
                    read(length as u64);
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ProjectError::io("read", path)(error)),
            }
        }
        Ok(Self::of_hash(hasher.finalize().as_bytes()))
    }

    /// From the whole hash.
    #[must_use]
    pub fn of_hash(hash: &[u8; 32]) -> Self {
        Self(Id128::of_hash(hash))
    }
}

impl fmt::Display for ContentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;

    #[test]
    fn bytes_and_file_agree_and_every_byte_counts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("film.mp4");
        let mut bytes: Vec<u8> = (0..4_200_000u32).map(|i| (i / 7) as u8).collect();
        let work = Work::new();
        let of_file = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            let mut read = 0;
            let id = ContentId::of_file_reporting(&path, &work, |more| read += more).unwrap();
            assert_eq!(read, bytes.len() as u64);
            id
        };
        let id = of_file(&bytes);
        assert_eq!(id, ContentId::of_bytes(&bytes));
        assert_eq!(id.to_string().len(), 32);
        for position in [0, 1_300_000, 2_100_000, 3_000_000, 4_199_999] {
            bytes[position] ^= 1;
            assert_ne!(id, of_file(&bytes), "{position}");
            bytes[position] ^= 1;
        }
        bytes.push(0);
        assert_ne!(id, of_file(&bytes));
    }

    #[test]
    fn hashing_ends_when_cancelled() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("film.mp4");
        std::fs::write(&path, vec![0; 5 << 20]).unwrap();
        let work = Work::new();
        let mut chunks = 0;
        let result = ContentId::of_file_reporting(&path, &work, |_| {
            chunks += 1;
            work.cancel();
        });
        assert!(
            matches!(result, Err(ProjectError::Cancelled(_))),
            "{result:?}"
        );
        assert_eq!(chunks, 1);
    }
}
