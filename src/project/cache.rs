//! The project's cache: results that took time and can be computed again. Each file ends with the BLAKE3 hash of its
//! contents, 64 hexadecimal digits, so that a damaged one is computed again, too.

use std::path::Path;

use crate::files::{self, Durability, FileError};

use super::Project;

impl Project {
    /// Writes files to the project's cache, each by its path relative to the cache's folder.
    ///
    /// This is also done for a project opened for reading: the cache contains no user data, and each file is either
    /// complete or missing. If it cannot be written (a read-only or full disk), the result is computed again next
    /// time; the log records that.
    pub fn keep_in_cache(&self, kept: &[(impl AsRef<Path>, &[u8])]) {
        let write = |path: &Path, bytes: &[u8]| -> Result<(), FileError> {
            let path = self.cache_dir().join(path);
            files::make_dirs(self.root(), path.parent().unwrap_or(&path))?;
            let hash = blake3::hash(bytes).to_hex();
            files::write(
                &path,
                &[bytes, hash.as_bytes()].concat(),
                Durability::Renamed,
            )
        };
        for (path, bytes) in kept {
            if let Err(error) = write(path.as_ref(), bytes) {
                log::warn!("a result could not be cached: {error}");
                return;
            }
        }
    }

    /// The file that [`Project::keep_in_cache`] wrote to that path; `None` if it is missing or damaged.
    #[must_use]
    pub fn kept_in_cache(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let path = self.cache_dir().join(path);
        let mut bytes = files::read(&path).ok()?;
        let length = bytes.len().checked_sub(2 * blake3::OUT_LEN)?;
        let hash = bytes.split_off(length);
        if blake3::hash(&bytes).to_hex().as_bytes() == hash {
            return Some(bytes);
        }
        log::debug!("“{}” is created again", path.display());
        None
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

    use super::*;

    #[test]
    fn a_flipped_bit_is_a_result_that_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(&dir.path().join("p"), "p").unwrap();
        project.keep_in_cache(&[
            ("some/result.json", b"{\"a\": 1}".as_slice()),
            ("none", b""),
        ]);
        let kept = project.kept_in_cache("some/result.json").unwrap();
        assert_eq!(kept, b"{\"a\": 1}");
        assert_eq!(project.kept_in_cache("none").unwrap(), b"");
        let path = project.cache_dir().join("some/result.json");
        let whole = std::fs::read(&path).unwrap();
        for bit in 0..whole.len() * 8 {
            let mut bytes = whole.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, bytes).unwrap();
            assert_eq!(project.kept_in_cache("some/result.json"), None, "{bit}");
        }
        std::fs::write(&path, &whole[..20]).unwrap();
        assert_eq!(project.kept_in_cache("some/result.json"), None);
        assert_eq!(project.kept_in_cache("some/other"), None);
    }
}
