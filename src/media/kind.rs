//! Detects the kind of a file with FFmpeg's help, for importing and predicting alike.

use std::ffi::CStr;
use std::io::BufReader;
use std::path::Path;

use ffmpeg_next::{Stream, ffi, media};

use crate::kind::{ANIMATED_GIF, HEAD_BYTES, ImageKind, Kind, MOTION_JPEG, gif, jpeg};

use super::file::MediaFile;
use super::{MediaError, ffmpeg, helper};

/// The bytes read from a file that begins like a JPEG image but has another extension, to see whether further images
/// follow.
const MOTION_JPEG_BYTES: u64 = 8 << 20;

/// `AVPROBE_SCORE_RETRY`: with a score up to this, FFmpeg itself would read more of the file.
const UNSURE_SCORE: i32 = 25;

impl Kind {
    /// The kind of a file by its content: usually the first [`HEAD_BYTES`], more only in doubt (a long GIF, an unknown
    /// signature that FFmpeg recognises). The extension decides if the content is ambiguous: raw files of most cameras
    /// are TIFF, TGA has no signature, and a film may be a sequence of JPEG images.
    ///
    /// # Errors
    /// [`MediaError`] if the file cannot be read or is a folder.
    pub fn of(path: &Path) -> Result<Self, MediaError> {
        Self::of_file(&MediaFile::open(path)?)
    }

    /// [`Kind::of`] a file that is already open.
    pub(super) fn of_file(file: &MediaFile) -> Result<Self, MediaError> {
        let named = Self::of_name(file.path());
        let head = file.head(HEAD_BYTES as u64)?;
        let more = head.len() == HEAD_BYTES;
        Ok(match (Self::of_head(&head).settled_by(named), named) {
            (Self::Image(ImageKind::Gif), _) if more => {
                if gif::images(&mut BufReader::new(file.at_start()?), 2) > 1 {
                    Self::Film(ANIMATED_GIF)
                } else {
                    Self::Image(ImageKind::Gif)
                }
            }
            (Self::Image(ImageKind::Jpeg), named) if !named.is_some_and(Self::is_image) => {
                if jpeg::is_motion(&file.head(MOTION_JPEG_BYTES)?) {
                    Self::Film(MOTION_JPEG)
                } else {
                    Self::Image(ImageKind::Jpeg)
                }
            }
            (Self::Unknown, Some(Self::Image(ImageKind::Tga))) if is_tga(&head) => {
                Self::Image(ImageKind::Tga)
            }
            (Self::Unknown, _) => helper::kind(file)?,
            (kind, _) => kind,
        })
    }

    /// The kind by the name if that is sufficient, otherwise by content: for listing many files that are opened later
    /// anyway.
    ///
    /// # Errors
    /// [`MediaError`] if the name is not sufficient and the file cannot be read.
    pub fn at_a_glance(path: &Path) -> Result<Self, MediaError> {
        Self::of_name(path).map_or_else(|| Self::of(path), Ok)
    }
}

/// FFmpeg's guess from the beginning of a file.
pub(super) enum Guess {
    /// A still image, by its codec.
    Still(&'static str),
    /// A container, by its full name.
    Container(&'static str),
}

/// Asks FFmpeg's demuxers whether one recognises a file that begins with `head`; `None` if the answer is unsure.
pub(super) fn guess(head: &[u8]) -> Option<Guess> {
    ffmpeg::init();
    let mut padded = head.to_vec();
    padded.resize(head.len() + ffi::AVPROBE_PADDING_SIZE as usize, 0);
    let data = ffi::AVProbeData {
        // A name would mislead demuxers that use it.
        filename: c"".as_ptr(),
        buf: padded.as_mut_ptr(),
        buf_size: i32::try_from(head.len()).ok()?,
        mime_type: std::ptr::null(),
    };
    let mut score = 0;
    // SAFETY: the data lives through the call and is padded as it must be. The answer is null or a static
    // description whose names are static, NUL-terminated ASCII.
    let (name, long) = unsafe {
        let format = ffi::av_probe_input_format3(&raw const data, 1, &raw mut score);
        if format.is_null() {
            return None;
        }
        (
            CStr::from_ptr((*format).name).to_str().ok()?,
            CStr::from_ptr((*format).long_name).to_str().ok()?,
        )
    };
    if score <= UNSURE_SCORE || name == "tty" {
        return None;
    }
    Some(match name.strip_suffix("_pipe") {
        Some(codec) => Guess::Still(codec),
        None => Guess::Container(long),
    })
}

/// The contents of a file that FFmpeg can open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contents {
    /// Video of a known size.
    Video,
    /// Only sound.
    Sound,
    /// Nothing of use.
    Nothing,
}

/// The contents of a file that FFmpeg can open.
fn contents(file: &MediaFile) -> Contents {
    let Ok((input, _)) = ffmpeg::open_input(file) else {
        return Contents::Nothing;
    };
    let video = ffmpeg::choose_stream(&input)
        .and_then(|index| input.stream(index))
        .is_some_and(|stream| ffmpeg::coded_size(&stream) != (0, 0));
    let sound = |stream: Stream| stream.parameters().medium() == media::Type::Audio;
    match (video, input.streams().any(sound)) {
        (true, _) => Contents::Video,
        (false, true) => Contents::Sound,
        (false, false) => Contents::Nothing,
    }
}

/// The kind of a file without a known signature, as FFmpeg detects it.
pub(super) fn ask_ffmpeg(file: &MediaFile) -> Result<Kind, MediaError> {
    Ok(match guess(&file.head(HEAD_BYTES as u64)?) {
        None => Kind::Unknown,
        Some(Guess::Still(name)) => Kind::Image(ImageKind::Rare(name)),
        // Some demuxers accept almost anything; the file must also open and contain video.
        Some(Guess::Container(name)) => match contents(file) {
            Contents::Video => Kind::Film(name),
            Contents::Sound => Kind::Sound,
            Contents::Nothing => Kind::Unknown,
        },
    })
}

/// Whether a header is valid for TGA, which has no signature (Truevision TGA specification 2.0).
pub(super) fn is_tga(head: &[u8]) -> bool {
    let at = |index: usize| head.get(index).copied().unwrap_or(0);
    let side = |low: usize| u16::from_le_bytes([at(low), at(low + 1)]);
    head.len() > 18
        && at(1) <= 1
        && matches!(at(2), 1..=3 | 9..=11)
        && side(12) > 0
        && side(14) > 0
        && matches!(at(16), 8 | 15 | 16 | 24 | 32)
}
