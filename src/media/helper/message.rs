//! What is said between this program and the process that decodes, and how it lies on the socket.
//!
//! A message is 4 bytes for the length of its head, 8 for that of its body (both little-endian), the head (JSON),
//! the body (pixels, a JPEG file, the content of a photo). Whoever reads believes neither length beyond a bound.

use std::io;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::jobs::Cancelled;
use crate::kind::{ImageKind, Kind};
use crate::media::probe::VideoInfo;
use crate::media::sampler::FrameForm;
use crate::media::{Findings, MediaError, Still, Stretch};
use crate::project::Sampling;

/// Bytes before a head.
pub(super) const PREFIX_BYTES: usize = 12;
/// Above this a head is nonsense.
const MOST_HEAD_BYTES: usize = 1 << 20;
/// Above this a body is nonsense: the largest photo that is read, as a file or as pixels.
const MOST_BODY_BYTES: u64 = 1 << 30;

/// What is to be done. The file comes open beside the message, or its content as the body.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// The facts of a video.
    Probe { name: String },
    /// The times at which a video can be cut into stretches of at least so many seconds.
    CutPoints { name: String, least_secs: f64 },
    /// A picture that stands for a video, at most so wide.
    Poster { name: String, width_px: u32 },
    /// The frames that a sampling takes, of the whole video or of a stretch, one after the other.
    Sample {
        name: String,
        sampling: Sampling,
        stretch: Option<Stretch>,
        threads: usize,
        form: FrameForm,
    },
    /// What a file of no known signature is.
    Kind { name: String },
    /// A still image; the body is its file.
    Still { name: String },
    /// How the process is confined.
    Confinement,
    /// No more is wanted of the request under way, if there is one.
    Close,
}

/// What came of it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// It is being worked on.
    Alive,
    /// A video is open; about so many frames will come.
    Opened { expected: Option<u64> },
    /// A sampled frame; the body is as [`FrameForm`] says.
    Frame {
        time_secs: f64,
        width_px: u32,
        height_px: u32,
    },
    /// No more frames come.
    End(Box<Findings>),
    /// Where a video can be cut, in seconds.
    CutPoints(Vec<f64>),
    /// The facts of a video.
    Facts(Box<VideoInfo>),
    /// A picture; the body is its pixels, as [`FrameForm::Rgb`].
    Image {
        width_px: u32,
        height_px: u32,
        remarks: Vec<String>,
    },
    /// What a file is.
    Kind(Found),
    /// How the process is confined.
    Confinement(Confinement),
    /// It could not be done.
    Failed(Failure),
}

impl Reply {
    /// Whether nothing more comes of the request.
    pub fn is_last(&self) -> bool {
        !matches!(self, Self::Alive | Self::Opened { .. } | Self::Frame { .. })
    }
}

/// How the process that decodes is confined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// It can open no file (Landlock).
    pub no_files: bool,
    /// It can reach no network, start no program, write or rename nothing (seccomp).
    pub no_calls: bool,
    /// It gets no more memory than this, bytes.
    pub memory_bytes: Option<u64>,
}

/// What FFmpeg makes of a file of no known signature.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Found {
    Film(String),
    Image(String),
    Sound,
    Nothing,
}

impl From<Kind> for Found {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::Film(name) => Self::Film(name.into()),
            Kind::Image(ImageKind::Rare(name)) => Self::Image(name.into()),
            Kind::Sound => Self::Sound,
            _ => Self::Nothing,
        }
    }
}

/// Why something could not be done: [`MediaError`] without the file, whose path the process does not know.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Failure {
    Unreadable(String),
    Unusable(String),
    Ffmpeg(String),
    Cancelled,
}

impl From<MediaError> for Failure {
    fn from(error: MediaError) -> Self {
        match error {
            MediaError::Io { error, .. } => Self::Unreadable(error.to_string()),
            MediaError::Unusable { reason, .. } | MediaError::SetAside { reason, .. } => {
                Self::Unusable(reason)
            }
            MediaError::Ffmpeg(what) => Self::Ffmpeg(what),
            MediaError::Cancelled(Cancelled) => Self::Cancelled,
            error @ (MediaError::Write { .. } | MediaError::Project(_) | MediaError::Much(_)) => {
                Self::Ffmpeg(error.to_string())
            }
        }
    }
}

impl Failure {
    /// The failure of the file `path`.
    pub fn of(self, path: &std::path::Path) -> MediaError {
        match self {
            Self::Unreadable(text) => MediaError::read(path, io::Error::other(text)),
            Self::Unusable(reason) => MediaError::unusable(path, reason),
            Self::Ffmpeg(what) => MediaError::Ffmpeg(what),
            Self::Cancelled => Cancelled.into(),
        }
    }
}

/// The message before its body: prefix and head.
pub(super) fn begin(message: &impl Serialize, body: &[u8]) -> io::Result<Vec<u8>> {
    let head = serde_json::to_vec(message)?;
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + head.len());
    bytes.extend((head.len() as u32).to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(head);
    Ok(bytes)
}

/// Lengths of head and body.
///
/// # Errors
/// If they are beyond what a message may have.
pub(super) fn lengths(prefix: &[u8]) -> io::Result<(usize, usize)> {
    let nonsense = || io::Error::from(io::ErrorKind::InvalidData);
    let (head, rest) = prefix.split_first_chunk::<4>().ok_or_else(nonsense)?;
    let (body, _) = rest.split_first_chunk::<8>().ok_or_else(nonsense)?;
    let (head, body) = (
        u32::from_le_bytes(*head) as usize,
        u64::from_le_bytes(*body),
    );
    if head > MOST_HEAD_BYTES || body > MOST_BODY_BYTES {
        return Err(nonsense());
    }
    Ok((head, body as usize))
}

/// A picture from its pixels, if there are as many as its size says.
pub(super) fn rgb_image(width_px: u32, height_px: u32, body: Vec<u8>) -> Option<RgbImage> {
    let expected = u64::from(width_px) * u64::from(height_px) * 3;
    (expected > 0 && expected == body.len() as u64)
        .then(|| RgbImage::from_raw(width_px, height_px, body))
        .flatten()
}

/// An image as a reply and its body.
pub(super) fn still_reply(still: Still) -> (Reply, Vec<u8>) {
    let (width_px, height_px) = still.image.dimensions();
    let reply = Reply::Image {
        width_px,
        height_px,
        remarks: still.remarks,
    };
    (reply, still.image.into_raw())
}
