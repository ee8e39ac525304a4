//! A text file that grows with the checkpoints of a training.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::files::{Durability, append};

use super::{TrainError, files};

/// The beginning of a file up to a checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Beginning {
    /// Its length in bytes.
    bytes: u64,
    /// Its BLAKE3 hash, hexadecimal.
    blake3: String,
}

/// A growing file, and the hash of its contents.
pub(super) struct GrowingFile {
    path: PathBuf,
    written: blake3::Hasher,
}

impl GrowingFile {
    /// The file at `path`, whose contents are not known yet.
    pub(super) fn at(path: PathBuf) -> Self {
        Self {
            path,
            written: blake3::Hasher::new(),
        }
    }

    /// The path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The current contents, by length and hash.
    pub(super) fn written(&self) -> Beginning {
        Beginning {
            bytes: self.written.count(),
            blake3: self.written.finalize().to_hex().to_string(),
        }
    }

    /// Appends lines. They survive a power failure once another file beside it was written synced.
    pub(super) fn add(&mut self, lines: &[u8]) -> Result<(), TrainError> {
        if lines.is_empty() {
            return Ok(());
        }
        append(&self.path, lines, Durability::Synced)?;
        self.written.update(lines);
        Ok(())
    }

    /// Truncates the file to this beginning, and returns its text.
    ///
    /// # Errors
    /// [`TrainError::Damaged`] if the file has another beginning.
    pub(super) fn cut_to(&mut self, beginning: &Beginning) -> Result<Vec<u8>, TrainError> {
        let mut text = files::read_if_there(&self.path)?;
        let whole = text.len();
        let bytes = usize::try_from(beginning.bytes).unwrap_or(usize::MAX);
        if bytes > whole {
            return Err(files::damaged(&self.path)("its end is missing"));
        }
        text.truncate(bytes);
        if files::hash(&text) != beginning.blake3 {
            return Err(files::damaged(&self.path)(files::ALTERED));
        }
        if bytes < whole {
            files::write(&self.path, &text)?;
        }
        self.written = blake3::Hasher::new();
        self.written.update(&text);
        Ok(text)
    }

    /// Replaces the contents; if the text is empty, no file is created.
    pub(super) fn replace(&mut self, text: &[u8]) -> Result<(), TrainError> {
        if !text.is_empty() || crate::files::exists(&self.path) {
            files::write(&self.path, text)?;
        }
        self.written = blake3::Hasher::new();
        self.written.update(text);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

    use std::fs;

    use super::*;

    #[test]
    fn what_is_beyond_a_checkpoint_is_cut_off_and_what_is_before_must_be_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("curves.jsonl");
        let mut file = GrowingFile::at(path.clone());
        let nothing = file.written();
        assert_eq!(file.cut_to(&nothing).unwrap(), b"");
        file.replace(b"").unwrap();
        assert!(!path.exists());
        file.add(b"1\n").unwrap();
        file.add(b"2\n").unwrap();
        let checkpoint = file.written();
        file.add(b"3\n").unwrap();
        append(&path, b"4 is cut", Durability::Renamed).unwrap();

        let mut again = GrowingFile::at(path.clone());
        assert_eq!(again.cut_to(&checkpoint).unwrap(), b"1\n2\n");
        assert_eq!(fs::read(&path).unwrap(), b"1\n2\n");
        assert_eq!(again.written(), checkpoint);
        again.add(b"3\n").unwrap();
        assert_eq!(again.written(), file.written());

        let mut bytes = fs::read(&path).unwrap();
        bytes[2] ^= 4;
        fs::write(&path, &bytes).unwrap();
        let refused = again.cut_to(&checkpoint).unwrap_err().to_string();
        assert!(refused.contains("checksum"), "{refused}");
        fs::write(&path, b"1\n2").unwrap();
        let refused = again.cut_to(&checkpoint).unwrap_err().to_string();
        assert!(refused.contains("end is missing"), "{refused}");
    }
}
