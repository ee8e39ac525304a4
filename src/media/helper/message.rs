//! Messages between this program and the decoding process, and their encoding on the socket.
//!
//! A message is 4 bytes for the length of its head, 8 for that of its body (both little-endian), the head (JSON), and
//! the body (pixels, a JPEG file, the contents of a photo). Readers check both lengths against limits.

use std::io;

use image::RgbImage;
use serde::{Deserialize, Serialize};

use crate::jobs::Cancelled;
use crate::kind::{ImageKind, Kind};
use crate::media::probe::VideoInfo;
use crate::media::sampler::FrameForm;
use crate::media::{Findings, MediaError, Still, Stretch};
use crate::project::Sampling;

/// Bytes before the head.
pub(super) const PREFIX_BYTES: usize = 12;
/// The longest valid head.
const MOST_HEAD_BYTES: usize = 1 << 20;
/// The longest valid body: that of the largest photo that is read, as a file or as pixels.
const MOST_BODY_BYTES: u64 = 1 << 30;

/// A request. The file is passed open beside the message, or its contents as the body.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// Probe a video.
    Probe { name: String },
    /// Find the times at which a video can be cut into stretches of at least this many seconds.
    CutPoints { name: String, least_secs: f64 },
    /// Decode a poster image of a video, at most this wide.
    Poster { name: String, width_px: u32 },
    /// Sample the frames of a whole video or of a stretch.
    Sample {
        name: String,
        sampling: Sampling,
        stretch: Option<Stretch>,
        threads: usize,
        form: FrameForm,
    },
    /// Detect the kind of a file without a known signature.
    Kind { name: String },
    /// Decode a still image; the body is its file.
    Still { name: String },
    /// Report how the process is confined.
    Confinement,
    /// Stop the current request, if there is one.
    Close,
}

/// A reply to a request.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Reply {
    /// The work is in progress.
    Alive,
    /// A video is open.
    Opened,
    /// A sampled frame; the format of the body is [`FrameForm`].
    Frame {
        time_secs: f64,
        width_px: u32,
        height_px: u32,
    },
    /// The end of the frames.
    End(Box<Findings>),
    /// The times at which a video can be cut, in seconds.
    CutPoints(Vec<f64>),
    /// The properties of a video.
    Facts(Box<VideoInfo>),
    /// An image; the body is its pixels, as [`FrameForm::Rgb`].
    Image {
        width_px: u32,
        height_px: u32,
        remarks: Vec<String>,
    },
    /// The kind of a file.
    Kind(Found),
    /// How the process is confined.
    Confinement(Confinement),
    /// The request failed.
    Failed(Failure),
}

impl Reply {
    /// Whether this is the last reply to its request.
    pub fn is_last(&self) -> bool {
        !matches!(self, Self::Alive | Self::Opened { .. } | Self::Frame { .. })
    }
}

/// How the process that decodes is confined.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Whether it cannot open files (Landlock).
    pub no_files: bool,
    /// Whether it cannot use networks, start programs, write or rename anything (seccomp).
    pub no_calls: bool,
    /// Its memory limit in bytes.
    pub memory_bytes: Option<u64>,
}

/// The kind of a file without a known signature, as FFmpeg detects it.
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

/// A failure: [`MediaError`] without the path, which the process does not know.
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
    /// The error for the file `path`.
    pub fn of(self, path: &std::path::Path) -> MediaError {
        match self {
            Self::Unreadable(text) => MediaError::read(path, io::Error::other(text)),
            Self::Unusable(reason) => MediaError::unusable(path, reason),
            Self::Ffmpeg(what) => MediaError::Ffmpeg(what),
            Self::Cancelled => Cancelled.into(),
        }
    }
}

/// The beginning of a message, before its body: prefix and head.
pub(super) fn begin(message: &impl Serialize, body: &[u8]) -> io::Result<Vec<u8>> {
    let head = serde_json::to_vec(message)?;
    let mut bytes = Vec::with_capacity(PREFIX_BYTES + head.len());
    bytes.extend((head.len() as u32).to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend(head);
    Ok(bytes)
}

/// The lengths of head and body.
///
/// # Errors
/// If they exceed the limits of a message.
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

/// An image from its pixels, if there are as many as its size requires.
pub(super) fn rgb_image(width_px: u32, height_px: u32, body: Vec<u8>) -> Option<RgbImage> {
    let expected = u64::from(width_px) * u64::from(height_px) * 3;
    (expected > 0 && expected == body.len() as u64)
        .then(|| RgbImage::from_raw(width_px, height_px, body))
        .flatten()
}

/// A still image as a reply and its body.
pub(super) fn still_reply(still: Still) -> (Reply, Vec<u8>) {
    let (width_px, height_px) = still.image.dimensions();
    let reply = Reply::Image {
        width_px,
        height_px,
        remarks: still.remarks,
    };
    (reply, still.image.into_raw())
}
