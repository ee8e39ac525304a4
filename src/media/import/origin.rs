//! The origin of an import's films and photos: the files themselves, or parts made by other machines.

use std::path::Path;

use crate::jobs::Work;
use crate::media::{JpegFrame, JpegSampler, MediaError, VideoInfo, probe};
use crate::project::{ContentId, ProjectError, Source};

use super::name_of;
use super::photos::read_photo;

/// Files of at least this many bytes report the progress of reading.
const LARGE_BYTES: u64 = 64 << 20;

/// Supplies an import with the properties and frames of films, and with photos.
pub trait MediaOrigin: Sync {
    /// The properties of a film.
    ///
    /// # Errors
    /// The file is unusable; cancelled.
    fn film(&self, path: &Path, work: &Work) -> Result<FilmFacts, MediaError>;

    /// The frames that a source's sampling takes from its film, decoded by at most this many threads.
    ///
    /// # Errors
    /// The file is unusable.
    fn frames(&self, source: &Source, threads: usize) -> Result<Box<dyn FrameReader>, MediaError>;

    /// A photo that can be decoded.
    ///
    /// # Errors
    /// The file is unusable.
    fn photo(&self, path: &Path) -> Result<Photo, MediaError>;
}

/// A film before it is sampled.
#[derive(Debug, Clone)]
pub struct FilmFacts {
    /// Properties from the file's headers.
    pub info: VideoInfo,
    /// The identity of the whole file.
    pub content: ContentId,
}

/// A photo in the form that a project stores.
#[derive(Debug, Clone)]
pub struct Photo {
    /// The file's content.
    pub bytes: Vec<u8>,
    /// Its identity.
    pub content: ContentId,
    /// Extension of the file's format, lower case, without a dot.
    pub extension: String,
    /// Remarks, a sentence each.
    pub remarks: Vec<String>,
}

/// Reads the frames of a film, in order.
pub trait FrameReader: Send {
    /// The next frame; `None` at the end. Checks `work` while it waits.
    ///
    /// # Errors
    /// The film turns out to be unusable; cancelled.
    fn next_frame(&mut self, work: &Work) -> Result<Option<JpegFrame>, MediaError>;

    /// After the end: anomalies, a sentence each.
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

/// The identity of a film; for a long one the progress of reading is reported.
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
