//! A file that is open for decoding.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use crate::files;

use super::MediaError;

/// A file that is open for decoding. Decoders get it open: they need no right to open anything themselves.
pub(super) struct MediaFile {
    /// Names it in messages; its extension counts where the content has two meanings.
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl MediaFile {
    /// Opens the file `path`; refuses what is no ordinary file (a pipe would keep the reader waiting for ever).
    pub fn open(path: &Path) -> Result<Self, MediaError> {
        let io = |error| MediaError::read(path, error);
        let facts = files::metadata(path).map_err(io)?;
        if facts.is_dir() {
            return Err(MediaError::unusable(path, "is a folder"));
        }
        if !facts.is_file() {
            return Err(MediaError::unusable(path, "is not a file"));
        }
        Self::of_open(files::open(path).map_err(io)?, path)
    }

    /// A file that somebody else has opened.
    pub fn of_open(file: File, path: &Path) -> Result<Self, MediaError> {
        let facts = file
            .metadata()
            .map_err(|error| MediaError::read(path, error))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes: facts.len(),
        })
    }

    /// Names it in messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its size when it was opened, bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The open file itself.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// A handle at its beginning. All handles share one position: only the last one may be read.
    pub fn at_start(&self) -> Result<File, MediaError> {
        let io = |error| MediaError::read(&self.path, error);
        let mut file = self.file.try_clone().map_err(io)?;
        file.rewind().map_err(io)?;
        Ok(file)
    }

    /// Its first `length` bytes, or all if there are fewer.
    pub fn head(&self, length: u64) -> Result<Vec<u8>, MediaError> {
        let mut head = Vec::new();
        self.at_start()?
            .take(length)
            .read_to_end(&mut head)
            .map_err(|error| MediaError::read(&self.path, error))?;
        Ok(head)
    }
}
