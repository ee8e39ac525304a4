//! FFmpeg's libraries: initialisation, opening files, and stream properties that the bindings lack.

use std::ffi::CStr;
use std::sync::{Arc, Once};

use ffmpeg_next::codec::packet::side_data;
use ffmpeg_next::format::context::{Input, StreamIo};
use ffmpeg_next::{
    Dictionary, Error, Rational, Stream, codec, ffi, filter, format, media, software, util,
};
use parking_lot::Mutex;

use crate::jobs::Work;
use crate::kind::{HEAD_BYTES, Kind};

use super::MediaError;
use super::file::MediaFile;

/// Bytes read from the file at once.
const READ_BYTES: usize = 256 << 10;
/// Larger films are refused: twice the pixels of 8K cameras. A decoder holds a dozen images and more.
const MAX_PIXELS: u64 = 80_000_000;
/// The most microseconds of a film that are analysed for its properties.
const ANALYSE_US: &str = "10000000";

/// Initialises FFmpeg, once. Its log is disabled: Salamander reports returned errors.
pub(super) fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        if let Err(error) = ffmpeg_next::init() {
            log::error!("FFmpeg cannot be set up: {error}");
        }
        util::log::set_level(util::log::Level::Quiet);
    });
}

/// The versions of FFmpeg's libraries, by name, and their licence, for `doctor`.
#[must_use]
pub fn versions() -> Vec<(String, String)> {
    let dotted = |v: u32| format!("{}.{}.{}", v >> 16, (v >> 8) & 0xff, v & 0xff);
    // SAFETY: av_version_info returns a static, NUL-terminated string.
    let release = unsafe { CStr::from_ptr(ffi::av_version_info()) };
    vec![
        ("FFmpeg".into(), release.to_string_lossy().into_owned()),
        ("libavutil".into(), dotted(util::version())),
        ("libavcodec".into(), dotted(codec::version())),
        ("libavformat".into(), dotted(format::version())),
        ("libavfilter".into(), dotted(filter::version())),
        ("libswscale".into(), dotted(software::scaling::version())),
        ("licence".into(), codec::license().to_owned()),
    ]
}

/// Allows a cancelled job to interrupt FFmpeg's reading, even during a long seek.
#[derive(Clone, Default)]
pub(super) struct Interrupter(Arc<Mutex<Option<Work>>>);

impl Interrupter {
    /// Makes `work` the job whose cancellation interrupts reading.
    pub fn watch(&self, work: &Work) {
        *self.0.lock() = Some(work.clone());
    }

    fn is_cancelled(&self) -> bool {
        let work = self.0.lock();
        work.as_ref().is_some_and(Work::is_cancelled)
    }
}

/// A file opened by FFmpeg, and the index of its video stream.
pub(super) struct OpenVideo {
    pub input: Input,
    pub stream: usize,
    pub interrupter: Interrupter,
}

/// Opens a video: reads its headers and selects its video stream like the `ffmpeg` program.
pub(super) fn open(film: &MediaFile) -> Result<OpenVideo, MediaError> {
    let path = film.path();
    if film.bytes() == 0 {
        return Err(MediaError::unusable(path, "is empty"));
    }
    let (mut input, mut interrupter) = open_input(film)?;
    let name = input.format().name().to_owned();
    // Demuxers that accept any file with a matching name as a slide show or a text screen.
    let stills = name == "tty" || name == "image2" || name.ends_with("_pipe");
    if stills {
        // A sequence of JPEG images is a valid film.
        if name != "jpeg_pipe" || !Kind::of_file(film)?.is_film() {
            return Err(MediaError::unusable(path, what_else(film)));
        }
        // The check has moved the file's position.
        (input, interrupter) = open_input(film)?;
    }
    let Some(stream) = choose_stream(&input) else {
        let sound = input
            .streams()
            .any(|stream| stream.parameters().medium() == media::Type::Audio);
        let reason = if sound {
            "has no picture, only sound"
        } else {
            "holds no video"
        };
        return Err(MediaError::unusable(path, reason));
    };
    let size = input
        .stream(stream)
        .map_or((0, 0), |stream| coded_size(&stream));
    if u64::from(size.0) * u64::from(size.1) > MAX_PIXELS {
        return Err(MediaError::unusable(path, too_large(size)));
    }
    discard_others(&mut input, stream);
    Ok(OpenVideo {
        input,
        stream,
        interrupter,
    })
}

fn too_large((width, height): (u32, u32)) -> String {
    format!(
        "is {width} × {height} pixels; videos over {} megapixels are not supported; make it smaller first",
        MAX_PIXELS / 1_000_000
    )
}

pub(super) fn open_input(film: &MediaFile) -> Result<(Input, Interrupter), MediaError> {
    // FFmpeg reads through this file handle, which works with any path (FFmpeg's own file protocol requires UTF-8 and
    // reads "a:b" as a protocol).
    let broken = |_| MediaError::Ffmpeg("read files: out of memory".into());
    let stream =
        StreamIo::from_read_seek_with_capacity(film.at_start()?, READ_BYTES).map_err(broken)?;
    let name = film.path().file_name().unwrap_or_default();
    open_stream(stream, &name.to_string_lossy())
        .map_err(|_| MediaError::unusable(film.path(), what_else(film)))
}

/// Opens the data of `stream`. A disguised playlist cannot open other files.
pub(super) fn open_stream(stream: StreamIo, name: &str) -> Result<(Input, Interrupter), Error> {
    init();
    let mut options = Dictionary::new();
    options.set("protocol_whitelist", "none");
    options.set("analyzeduration", ANALYSE_US);
    let interrupter = Interrupter::default();
    let watcher = interrupter.clone();
    format::input_from_stream_with_interrupt(stream, Some(name), Some(options), move || {
        watcher.is_cancelled()
    })
    .map(|input| (input, interrupter))
}

/// Describes a file that FFmpeg does not accept as a video, as the end of a sentence.
fn what_else(film: &MediaFile) -> String {
    let Ok(head) = film.head(HEAD_BYTES as u64) else {
        return "cannot be read".into();
    };
    match Kind::of_head(&head) {
        Kind::Text => return "is not a video but text".into(),
        Kind::Image(_) => return "is a photo, not a video".into(),
        Kind::Film(_) | Kind::Unknown => {}
        other => {
            if let Some(refusal) = other.refusal() {
                return refusal;
            }
        }
    }
    let is_mp4 = head.get(4..8).is_some_and(|kind| {
        [b"ftyp", b"moov", b"mdat", b"wide", b"free"].contains(&kind.try_into().unwrap_or(b"none"))
    });
    if is_mp4
        && head
            .windows(4)
            .any(|four| four == b"encv" || four == b"pssh")
    {
        return "is encrypted (copy protection), so it cannot be read".into();
    }
    if is_mp4 {
        return "is damaged: its index is missing or broken, often because copying or recording was interrupted; copy it again from the original"
            .into();
    }
    "is not a video, or has an unsupported format".into()
}

/// The stream that the `ffmpeg` program would select: the largest video stream with data, except cover art.
pub(super) fn choose_stream(input: &Input) -> Option<usize> {
    input
        .streams()
        .filter(|stream| {
            stream.parameters().medium() == media::Type::Video && !is_attached_picture(stream)
        })
        .map(|stream| {
            let size = coded_size(&stream);
            // SAFETY: the stream lives as long as `input`, which is borrowed.
            let (events, disposition) = unsafe {
                (
                    (*stream.as_ptr()).event_flags,
                    (*stream.as_ptr()).disposition,
                )
            };
            // The weights are those of `ffmpeg_opt.c`.
            let mut score = i64::from(size.0) * i64::from(size.1);
            if events & ffi::AVSTREAM_EVENT_FLAG_NEW_PACKETS != 0 {
                score += 100_000_000;
            }
            if disposition & ffi::AV_DISPOSITION_DEFAULT != 0 {
                score += 5_000_000;
            }
            (score, stream.index())
        })
        // Of equal scores the first.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, index)| index)
}

/// A sentence about the other video streams, to follow the file's name. Streams without data, cover art and the small
/// preview streams of cameras (timed thumbnails) are ignored.
pub(super) fn other_tracks(input: &Input, chosen: usize) -> Option<String> {
    let is_film = |stream: &Stream| {
        // SAFETY: plain fields of the stream, which lives as long as `input`.
        let (events, disposition) = unsafe {
            (
                (*stream.as_ptr()).event_flags,
                (*stream.as_ptr()).disposition,
            )
        };
        stream.parameters().medium() == media::Type::Video
            && disposition
                & (ffi::AV_DISPOSITION_ATTACHED_PIC | ffi::AV_DISPOSITION_TIMED_THUMBNAILS)
                == 0
            && (events & ffi::AVSTREAM_EVENT_FLAG_NEW_PACKETS != 0 || stream.frames() > 1)
            && coded_size(stream) != (0, 0)
    };
    let others = input
        .streams()
        .filter(|stream| stream.index() != chosen && is_film(stream))
        .count();
    let (width, height) = input.stream(chosen).map(|stream| coded_size(&stream))?;
    (others > 0).then(|| {
        format!(
            "has {} video tracks; only one of them ({width} × {height}) was used; save the others as separate files to use them",
            others + 1
        )
    })
}

fn is_attached_picture(stream: &Stream) -> bool {
    // SAFETY: the stream lives as long as its context, which `stream` borrows.
    unsafe { (*stream.as_ptr()).disposition & ffi::AV_DISPOSITION_ATTACHED_PIC != 0 }
}

fn discard_others(input: &mut Input, keep: usize) {
    for index in 0..input.nb_streams() as usize {
        if index != keep
            && let Some(mut stream) = input.stream_mut(index)
        {
            // SAFETY: the stream lives as long as its context, which is borrowed mutably here.
            unsafe { (*stream.as_mut_ptr()).discard = ffi::AVDiscard::AVDISCARD_ALL };
        }
    }
}

/// Width and height as coded.
pub(super) fn coded_size(stream: &Stream) -> (u32, u32) {
    let parameters = stream.parameters();
    // SAFETY: the parameters belong to the stream, which is borrowed.
    let (width, height) = unsafe { ((*parameters.as_ptr()).width, (*parameters.as_ptr()).height) };
    (width.max(0) as u32, height.max(0) as u32)
}

/// Flags of the container format (`AVFMT_…`).
pub(super) fn format_flags(input: &Input) -> i32 {
    // SAFETY: an open input has a format, which is a static description.
    unsafe { (*(*input.as_ptr()).iformat).flags }
}

/// Start of the container's time in microseconds.
pub(super) fn start_time_us(input: &Input) -> Option<i64> {
    // SAFETY: plain field of the context, which is borrowed.
    known(unsafe { (*input.as_ptr()).start_time })
}

/// Whether the container states no duration, so that FFmpeg estimated it from the bit rate.
pub(super) fn length_is_guessed(input: &Input) -> bool {
    use ffi::AVDurationEstimationMethod::AVFMT_DURATION_FROM_BITRATE;
    // SAFETY: plain field of the context, which is borrowed.
    unsafe { (*input.as_ptr()).duration_estimation_method == AVFMT_DURATION_FROM_BITRATE }
}

/// The timestamp; `None` for FFmpeg's "no value".
pub(super) fn known(timestamp: i64) -> Option<i64> {
    (timestamp != ffi::AV_NOPTS_VALUE).then_some(timestamp)
}

/// The frame rate that FFmpeg's program declares to its filters.
pub(super) fn guessed_rate(input: &mut Input, stream: usize) -> Option<Rational> {
    if stream >= input.nb_streams() as usize {
        return None;
    }
    // SAFETY: the index was checked; the guess only reads the context and the stream.
    let rate = unsafe {
        let context = input.as_mut_ptr();
        let stream = *(*context).streams.add(stream);
        ffi::av_guess_frame_rate(context, stream, std::ptr::null_mut())
    };
    positive(rate.into())
}

/// The ratio; `None` for 0/0, 0/1 and the like.
pub(super) fn positive(value: Rational) -> Option<Rational> {
    (value.numerator() > 0 && value.denominator() > 0).then_some(value)
}

/// Whether the transfer function is PQ or HLG.
pub(super) fn is_hdr(stream: &Stream) -> bool {
    use ffi::AVColorTransferCharacteristic::{AVCOL_TRC_ARIB_STD_B67, AVCOL_TRC_SMPTE2084};
    let parameters = stream.parameters();
    // SAFETY: the parameters belong to the stream, which is borrowed.
    let transfer = unsafe { (*parameters.as_ptr()).color_trc };
    transfer == AVCOL_TRC_SMPTE2084 || transfer == AVCOL_TRC_ARIB_STD_B67
}

/// Bits per component of the pixel format; 8 if unknown.
pub(super) fn bit_depth(stream: &Stream) -> u32 {
    let parameters = stream.parameters();
    // SAFETY: for a video stream `format` holds a pixel format or -1, both values of the enumeration;
    // the description is static or null.
    let depth = unsafe {
        let format = (*parameters.as_ptr()).format;
        let pixel = std::mem::transmute::<i32, ffi::AVPixelFormat>(format);
        let description = ffi::av_pix_fmt_desc_get(pixel);
        if description.is_null() {
            0
        } else {
            (*description).comp[0].depth
        }
    };
    if depth > 0 { depth as u32 } else { 8 }
}

/// The pixel aspect ratio in the container or the stream, if it is valid.
pub(super) fn pixel_aspect(input: &mut Input, stream: usize) -> Option<Rational> {
    if stream >= input.nb_streams() as usize {
        return None;
    }
    // SAFETY: the index was checked; the guess only reads the context and the stream.
    let aspect = unsafe {
        let context = input.as_mut_ptr();
        let stream = *(*context).streams.add(stream);
        ffi::av_guess_sample_aspect_ratio(context, stream, std::ptr::null_mut())
    };
    positive(aspect.into())
}

/// The rotation or reflection that the container requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Turn {
    /// The 3×3 display matrix: 16.16 fixed point, last column 2.30.
    matrix: Option<[i32; 9]>,
}

impl Turn {
    /// The rotation that `stream` requests.
    pub fn of(stream: &Stream) -> Self {
        let matrix = stream
            .side_data()
            .find(|data| data.kind() == side_data::Type::DisplayMatrix)
            .and_then(|data| {
                let mut matrix = [0_i32; 9];
                let (values, _) = data.data().as_chunks::<4>();
                if values.len() < matrix.len() {
                    return None;
                }
                for (to, from) in matrix.iter_mut().zip(values) {
                    *to = i32::from_ne_bytes(*from);
                }
                Some(matrix)
            });
        Self { matrix }
    }

    /// The rotation clockwise, in degrees 0..360.
    pub fn degrees(self) -> f64 {
        let Some(matrix) = self.matrix else {
            return 0.0;
        };
        // SAFETY: the matrix has nine elements, which is all the function reads.
        let counterclockwise = unsafe { ffi::av_display_rotation_get(matrix.as_ptr()) };
        if counterclockwise.is_nan() {
            return 0.0;
        }
        // As in the `ffmpeg` program: slightly less than 360 counts as 0.
        let theta = -counterclockwise.round();
        theta - 360.0 * (theta / 360.0 + 0.9 / 360.0).floor()
    }

    /// Whether width and height are swapped.
    pub fn swaps_sides(self) -> bool {
        let degrees = self.degrees();
        (degrees - 90.0).abs() < 1.0 || (degrees - 270.0).abs() < 1.0
    }

    /// The filters that rotate images upright, as the `ffmpeg` program selects them.
    pub fn filters(self) -> Vec<String> {
        let Some(matrix) = self.matrix else {
            return Vec::new();
        };
        let degrees = self.degrees();
        let near = |angle: f64| (degrees - angle).abs() < 1.0;
        if near(90.0) {
            vec![
                if matrix[3] > 0 {
                    "transpose=cclock_flip"
                } else {
                    "transpose=clock"
                }
                .into(),
            ]
        } else if near(180.0) {
            let mut filters = Vec::new();
            if matrix[0] < 0 {
                filters.push("hflip".into());
            }
            if matrix[4] < 0 {
                filters.push("vflip".into());
            }
            filters
        } else if near(270.0) {
            vec![
                if matrix[3] < 0 {
                    "transpose=clock_flip"
                } else {
                    "transpose=cclock"
                }
                .into(),
            ]
        } else if degrees.abs() > 1.0 {
            vec![format!("rotate={degrees}*PI/180")]
        } else if matrix[4] < 0 {
            vec!["vflip".into()]
        } else {
            Vec::new()
        }
    }
}

/// The codec's name for users; for one that FFmpeg does not know, the container's four-character code.
pub(super) fn codec_name(stream: &Stream) -> String {
    use codec::Id;
    let parameters = stream.parameters();
    match parameters.id() {
        Id::H264 => "H.264".into(),
        Id::HEVC => "HEVC".into(),
        Id::VVC => "H.266 (VVC)".into(),
        Id::AV1 => "AV1".into(),
        Id::VP8 => "VP8".into(),
        Id::VP9 => "VP9".into(),
        Id::MPEG1VIDEO => "MPEG-1".into(),
        Id::MPEG2VIDEO => "MPEG-2".into(),
        Id::MPEG4 => "MPEG-4 Part 2".into(),
        Id::MSMPEG4V2 | Id::MSMPEG4V3 => "MS MPEG-4".into(),
        Id::H263 => "H.263".into(),
        Id::MJPEG => "Motion JPEG".into(),
        Id::PRORES => "Apple ProRes".into(),
        Id::DNXHD => "DNxHD".into(),
        Id::FFV1 => "FFV1".into(),
        Id::WMV1 => "WMV 7".into(),
        Id::WMV2 => "WMV 8".into(),
        Id::WMV3 => "WMV 9".into(),
        Id::VC1 => "VC-1".into(),
        Id::THEORA => "Theora".into(),
        Id::GIF => "GIF".into(),
        Id::RAWVIDEO => "uncompressed".into(),
        Id::DVVIDEO => "DV".into(),
        Id::None => {
            // SAFETY: the parameters belong to the stream, which is borrowed.
            let tag = unsafe { (*parameters.as_ptr()).codec_tag }.to_le_bytes();
            match tag.map(|letter| letter.to_ascii_lowercase()) {
                [b'v', b'v', b'c' | b'i', _] => "H.266 (VVC)".into(),
                letters if letters.iter().all(u8::is_ascii_graphic) => {
                    letters.iter().map(|letter| *letter as char).collect()
                }
                _ => "something unknown".into(),
            }
        }
        other => other.name().to_uppercase(),
    }
}
