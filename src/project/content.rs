//! The identity of a file's contents.

use std::fmt;
use std::io::Read;
use std::path::Path;

use crossbeam_channel::bounded;
use serde::{Deserialize, Serialize};

use crate::files;
use crate::jobs::Work;

use super::{Id128, ProjectError};

/// Bytes read between checks for cancellation: a tenth of a second from a slow network drive.
const CHUNK_BYTES: u64 = 1 << 20;

/// Bytes hashed at once on all cores: enough to make the distribution worthwhile. Shorter files are hashed on one
/// core.
const BLOCK_BYTES: usize = 8 << 20;

/// 128 bits of the BLAKE3 hash of a file's bytes, written as 32 lower-case hexadecimal digits. Files with equal
/// identities are equal: a collision would need about 2⁶⁴ files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ContentId(Id128);

impl ContentId {
    /// The identity of bytes in memory.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Self {
        Self::of_hash(blake3::hash(bytes).as_bytes())
    }

    /// The identity of a file, which is read completely, without reporting progress; see
    /// [`ContentId::of_file_reporting`].
    pub fn of_file(path: &Path, work: &Work) -> Result<Self, ProjectError> {
        Self::of_file_reporting(path, work, |_| ())
    }

    /// The identity of a file; `read` is called with the number of bytes of each chunk. A file in the system's cache
    /// takes about as long to read as to hash on one core, so reading and hashing overlap, and hashing uses all cores.
    /// The file is not memory-mapped, because disconnecting its drive would then kill the process.
    pub fn of_file_reporting(
        path: &Path,
        work: &Work,
        mut read: impl FnMut(u64),
    ) -> Result<Self, ProjectError> {
        let mut file = files::open(path).map_err(ProjectError::io("read", path))?;
        let mut fill = |block: &mut Vec<u8>| {
            block.clear();
            while block.len() < BLOCK_BYTES {
                work.check()?;
                let length = (&mut file)
                    .take(CHUNK_BYTES)
                    .read_to_end(block)
                    .map_err(ProjectError::io("read", path))?;
                if length == 0 {
                    return Ok(true);
                }
                read(length as u64);
            }
            Ok::<_, ProjectError>(false)
        };
        let mut block = Vec::new();
        if fill(&mut block)? {
            return Ok(Self::of_bytes(&block));
        }
        std::thread::scope(|scope| {
            let (full, blocks) = bounded::<Vec<u8>>(1);
            let (emptied, empty) = bounded(2);
            let hashing = std::thread::Builder::new()
                .name("hash".to_owned())
                .spawn_scoped(scope, move || {
                    let mut hasher = blake3::Hasher::new();
                    for block in blocks {
                        hasher.update_rayon(&block);
                        // A surplus block is freed.
                        drop(emptied.try_send(block));
                    }
                    hasher.finalize()
                })
                .map_err(ProjectError::io("read", path))?;
            let mut ended = false;
            while full.send(std::mem::take(&mut block)).is_ok() && !ended {
                block = empty.try_recv().unwrap_or_default();
                ended = fill(&mut block)?;
            }
            drop(full);
            match hashing.join() {
                Ok(hash) => Ok(Self::of_hash(hash.as_bytes())),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    /// The identity from the complete hash.
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
        let bytes: Vec<u8> = (0..70_000_u32).map(|i| (i / 7) as u8).collect();
        // Five and a fraction blocks.
        let mut bytes = bytes.repeat(620);
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
        for position in [0, 1_300_000, 2_100_000, 9_000_000, 43_399_999] {
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
