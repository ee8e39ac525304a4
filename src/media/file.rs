//! A file that is open for decoding.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use crate::files;

use super::MediaError;

/// A file that is open for decoding. Decoders receive it open, so they need no permission to open files.
pub(super) struct MediaFile {
    /// Used in messages; its extension decides between formats if the content is ambiguous.
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl MediaFile {
    /// Opens the file `path`; refuses anything but regular files (a pipe would block the reader forever).
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

    /// Wraps a file that is already open.
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

    /// The path, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The size in bytes when it was opened.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The open file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// A handle positioned at the beginning. All handles share one position, so only the newest may be read.
    pub fn at_start(&self) -> Result<File, MediaError> {
        let io = |error| MediaError::read(&self.path, error);
        let mut file = self.file.try_clone().map_err(io)?;
        file.rewind().map_err(io)?;
        Ok(file)
    }

    /// The first `length` bytes, or all if the file is shorter.
    pub fn head(&self, length: u64) -> Result<Vec<u8>, MediaError> {
        let mut head = Vec::new();
        self.at_start()?
            .take(length)
            .read_to_end(&mut head)
            .map_err(|error| MediaError::read(&self.path, error))?;
        Ok(head)
    }
}
