//! The identity of a file by its content.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::jobs::Work;

use super::{Id128, ProjectError};

/// Read between two looks at whether the work was cancelled: a tenth of a second from a slow network drive.
const CHUNK_BYTES: u64 = 1 << 20;

/// Hashed at a time, on all cores: enough that dividing the work costs little.
const BLOCK_BYTES: usize = 8 << 20;

/// Less than this is hashed on this thread, where waking others takes longer.
const SMALL_BYTES: usize = 1 << 20;

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

    /// Of a file; `read` is told the number of bytes after each chunk of them. A file that the system has in memory is
    /// hashed on all cores; for others the disk is the limit. The file is read and not mapped into memory, since a drive
    /// that is unplugged would end the process then.
    pub fn of_file_reporting(
        path: &Path,
        work: &Work,
        mut read: impl FnMut(u64),
    ) -> Result<Self, ProjectError> {
        let mut file = File::open(path).map_err(ProjectError::io("read", path))?;
        let mut hasher = blake3::Hasher::new();
        let mut block = Vec::new();
        loop {
            work.check()?;
            let length = (&mut file)
                .take(CHUNK_BYTES)
                .read_to_end(&mut block)
                .map_err(ProjectError::io("read", path))?;
            if length > 0 {
                read(length as u64);
            }
            if length == 0 || block.len() >= BLOCK_BYTES {
                if block.len() < SMALL_BYTES {
                    hasher.update(&block);
                } else {
                    hasher.update_rayon(&block);
                }
                block.clear();
            }
            if length == 0 {
                return Ok(Self::of_hash(hasher.finalize().as_bytes()));
            }
        }
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
        let mut bytes: Vec<u8> = (0..18_200_000u32).map(|i| (i / 7) as u8).collect();
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
        for position in [0, 1_300_000, 2_100_000, 9_000_000, 18_199_999] {
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
