//! Where an import gets films and photos from: the files themselves, or what other machines made of them before.

use std::path::Path;

use crate::jobs::Work;
use crate::media::{JpegFrame, JpegSampler, MediaError, VideoInfo, probe};
use crate::project::{ContentId, ProjectError, Source};

use super::name_of;
use super::photos::read_photo;

/// A file of at least this many bytes reports how much of it has been read.
const LARGE_BYTES: u64 = 64 << 20;

/// Gives an import the facts and frames of the films, and the photos, that its plan names.
pub trait MediaOrigin: Sync {
    /// What a film is.
    ///
    /// # Errors
    /// The file cannot be used; cancelled.
    fn film(&self, path: &Path, work: &Work) -> Result<FilmFacts, MediaError>;

    /// The frames that a source's sampling takes from its film, decoded by at most so many threads.
    ///
    /// # Errors
    /// The file cannot be used.
    fn frames(&self, source: &Source, threads: usize) -> Result<Box<dyn FrameReader>, MediaError>;

    /// A photo that can be decoded.
    ///
    /// # Errors
    /// The file cannot be used.
    fn photo(&self, path: &Path) -> Result<Photo, MediaError>;
}

/// A film before its frames are taken.
#[derive(Debug, Clone)]
pub struct FilmFacts {
    /// What the file's headers say.
    pub info: VideoInfo,
    /// The identity of the whole file.
    pub content: ContentId,
}

/// A photo as it is kept in a project.
#[derive(Debug, Clone)]
pub struct Photo {
    /// The file's content.
    pub bytes: Vec<u8>,
    /// Its identity.
    pub content: ContentId,
    /// Extension of the file's format, lower case, without a dot.
    pub extension: String,
    /// What is to be said about it, a sentence each.
    pub remarks: Vec<String>,
}

/// The frames of a film, one after the other.
pub trait FrameReader: Send {
    /// The next frame, `None` at the end. Checks `work` while it waits.
    ///
    /// # Errors
    /// The film cannot be used after all; cancelled.
    fn next_frame(&mut self, work: &Work) -> Result<Option<JpegFrame>, MediaError>;

    /// After the end: what was odd, a sentence each.
    fn warnings(&self) -> Vec<String>;
}

/// The files themselves, decoded by this program.
pub struct Decoded;

impl MediaOrigin for Decoded {
    fn film(&self, path: &Path, work: &Work) -> Result<FilmFacts, MediaError> {
        let info = probe(path)?;
        let content = content(path, info.bytes, work)?;
        Ok(FilmFacts { info, content })
    }

    fn frames(&self, source: &Source, threads: usize) -> Result<Box<dyn FrameReader>, MediaError> {
        let sampler = JpegSampler::open_with_threads(&source.path, &source.sampling, threads)?;
        Ok(Box::new(sampler))
    }

    fn photo(&self, path: &Path) -> Result<Photo, MediaError> {
        read_photo(path)
    }
}

impl FrameReader for JpegSampler {
    fn next_frame(&mut self, work: &Work) -> Result<Option<JpegFrame>, MediaError> {
        JpegSampler::next_frame(self, work)
    }

    fn warnings(&self) -> Vec<String> {
        JpegSampler::warnings(self)
    }
}

/// The identity of a film; of a long one, how much has been read is reported.
fn content(path: &Path, bytes: u64, work: &Work) -> Result<ContentId, ProjectError> {
    let name = name_of(path);
    let (mut read, mut reported) = (0, 0);
    ContentId::of_file_reporting(path, work, |more| {
        read += more;
        if read - reported >= LARGE_BYTES && bytes > LARGE_BYTES {
            reported = read;
            let percent = read * 100 / bytes.max(1);
            work.detail(format!("{name}, {percent} % read"));
        }
    })
}
