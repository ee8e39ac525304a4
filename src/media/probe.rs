//! Reads the properties of a video file without decoding all of it.

use std::path::Path;

use ffmpeg_next::{Packet, Rational, ffi};
use serde::{Deserialize, Serialize};

use super::ffmpeg::{self, OpenVideo, Turn};
use super::file::MediaFile;
use super::graph::shown_size;
use super::recorded::film_time;
use super::{MediaError, helper};
use crate::project::{LONGEST_SECS, Recorded};

/// The most video packets that are read for their times if the container has no index.
const PACKETS: usize = 150;
/// The most bytes that are read for them.
const READ_BYTES: usize = 8 << 20;
/// A duration that implies fewer bytes a second is ignored: headers of cut-off streams contain such durations.
const MIN_BYTES_PER_SEC: f64 = 50.0;

/// Two frames closer than this count as one.
const MIN_GAP_SECS: f64 = 0.002;

/// The properties of a video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoInfo {
    /// Duration in seconds, if the container or the streams state it.
    pub duration_secs: Option<f64>,
    /// Frames in the stream: counted by the container, or estimated from duration and rate.
    pub frame_count: Option<u64>,
    /// Whether `frame_count` is an estimate.
    pub frame_count_estimated: bool,
    /// Mean frames per second.
    pub average_fps: Option<f64>,
    /// Lowest and highest rate, if the rate varies.
    pub variable_fps: Option<(f64, f64)>,
    /// Width in pixels as displayed: upright, with square pixels.
    pub width_px: u32,
    /// Height in pixels as displayed.
    pub height_px: u32,
    /// Clockwise rotation in degrees that the container requests: 0, 90, 180, 270.
    pub rotation_degrees: u32,
    /// Pixel aspect ratio, if not 1:1, as (numerator, denominator).
    pub pixel_aspect: Option<(u32, u32)>,
    /// Name of the codec: "H.264", "HEVC", "AV1".
    pub codec: String,
    /// Bits per component: 8, 10, 12.
    pub bit_depth: u32,
    /// Whether the transfer function is PQ or HLG.
    pub hdr: bool,
    /// File size in bytes.
    pub bytes: u64,
    /// When it was recorded, if the file states it.
    pub recorded: Option<Recorded>,
}

impl VideoInfo {
    /// Millions of pixels in a second of it; `None` if its frame rate is unknown.
    #[must_use]
    pub fn megapixels_per_sec(&self) -> Option<f64> {
        let pixels = f64::from(self.width_px) * f64::from(self.height_px);
        self.average_fps.map(|fps| fps * pixels / 1e6)
    }
}

/// Reads the properties of the video `path`. Takes a few milliseconds for most files.
pub fn probe(path: &Path) -> Result<VideoInfo, MediaError> {
    helper::probe(&MediaFile::open(path)?)
}

/// [`probe`] in this process.
pub(super) fn probe_here(film: &MediaFile) -> Result<VideoInfo, MediaError> {
    let path = film.path();
    let mut video = ffmpeg::open(film)?;
    let index = video.stream;
    let aspect = ffmpeg::pixel_aspect(&mut video.input, index).unwrap_or(Rational(1, 1));
    let duration_secs = length_secs(&video, index);
    let times = frame_times(&mut video, index);
    let Some(stream) = video.input.stream(index) else {
        return Err(MediaError::unusable(path, "holds no video"));
    };
    let codec_id = stream.parameters().id();
    let codec = ffmpeg::codec_name(&stream);
    if ffmpeg_next::decoder::find(codec_id).is_none() {
        return Err(MediaError::unusable(
            path,
            format!(
                "is coded as {codec}, which this FFmpeg cannot decode; convert it to H.264 first"
            ),
        ));
    }
    let turn = Turn::of(&stream);
    let coded = ffmpeg::coded_size(&stream);
    if coded.0 == 0 || coded.1 == 0 {
        return Err(MediaError::unusable(
            path,
            format!("is damaged: its {codec} header cannot be read"),
        ));
    }
    let (width_px, height_px) = shown_size(coded.0, coded.1, aspect, turn);
    let counted = u64::try_from(stream.frames()).ok().filter(|n| *n > 0);
    let stated = ffmpeg::positive(stream.avg_frame_rate())
        .or_else(|| ffmpeg::positive(stream.rate()))
        .map(f64::from);
    let average_fps = match (counted, duration_secs) {
        (Some(count), Some(secs)) if stated.is_none() && secs > 0.0 => Some(count as f64 / secs),
        _ => stated,
    };
    let estimated = match (duration_secs, average_fps) {
        (Some(secs), Some(fps)) => Some((secs * fps).round().max(1.0) as u64),
        _ => None,
    };
    let degrees = (turn.degrees() / 90.0).round() as u32 * 90 % 360;
    Ok(VideoInfo {
        duration_secs,
        frame_count: counted.or(estimated),
        frame_count_estimated: counted.is_none() && estimated.is_some(),
        average_fps,
        variable_fps: spread(&times),
        width_px,
        height_px,
        rotation_degrees: degrees,
        pixel_aspect: (aspect.numerator() != aspect.denominator()).then(|| {
            let reduced = aspect.reduce();
            (reduced.numerator() as u32, reduced.denominator() as u32)
        }),
        codec,
        bit_depth: ffmpeg::bit_depth(&stream),
        hdr: ffmpeg::is_hdr(&stream),
        bytes: film.bytes(),
        recorded: film_time(&video),
    })
}

/// Duration in seconds: of the video stream, otherwise of the container.
pub(super) fn length_secs(video: &OpenVideo, index: usize) -> Option<f64> {
    let bytes = video.input.io_size().unwrap_or(i64::MAX) as f64;
    stream_length_secs(video, index)
        .or_else(|| container_length_secs(video))
        .filter(|secs| *secs < 60.0 || bytes / secs > MIN_BYTES_PER_SEC)
        .filter(|secs| *secs <= LONGEST_SECS)
}

/// The duration, if a complete file must have it: stated for the video itself, not estimated from the bit rate, and
/// not that of a container whose sound or subtitles may be longer.
pub(super) fn promised_secs(video: &OpenVideo, index: usize) -> Option<f64> {
    if ffmpeg::length_is_guessed(&video.input) {
        return None;
    }
    let stated = stream_length_secs(video, index).is_some() || video.input.nb_streams() == 1;
    length_secs(video, index).filter(|_| stated)
}

fn stream_length_secs(video: &OpenVideo, index: usize) -> Option<f64> {
    let stream = video.input.stream(index)?;
    if let Some(ticks) = ffmpeg::known(stream.duration()).filter(|ticks| *ticks > 0) {
        return Some(ticks as f64 * f64::from(stream.time_base()));
    }
    // Matroska's statistics tag, such as 00:01:02.345000000: the time of the end.
    let tag = stream.metadata().get("DURATION")?.to_owned();
    let mut end = 0.0;
    for part in tag.split(':') {
        end = end * 60.0 + part.parse::<f64>().ok()?;
    }
    let start = ffmpeg::start_time_us(&video.input).unwrap_or(0) as f64 / 1e6;
    Some(end - start.max(0.0)).filter(|secs| *secs > 0.0)
}

fn container_length_secs(video: &OpenVideo) -> Option<f64> {
    let mut us = ffmpeg::known(video.input.duration()).filter(|us| *us > 0)?;
    // Matroska counts from zero, even if the first image comes later.
    if video.input.format().name().contains("matroska") {
        let start = ffmpeg::start_time_us(&video.input).unwrap_or(0);
        if start < us {
            us -= start.max(0);
        }
    }
    Some(us as f64 / 1e6)
}

/// Times of the first frames in seconds, sorted: from the container's index, otherwise from the first packets.
fn frame_times(video: &mut OpenVideo, index: usize) -> Vec<f64> {
    let Some(stream) = video.input.stream(index) else {
        return Vec::new();
    };
    let tick = f64::from(stream.time_base());
    let frames = stream.frames();
    let mut times = indexed_times(&stream);
    // An index of key frames only contains no information about the rate.
    if times.len() < 2 || (times.len() as i64) < frames {
        times.clear();
        let mut read = 0;
        let mut packet = Packet::empty();
        let mut untimed = false;
        while times.len() < PACKETS && read < READ_BYTES && packet.read(&mut video.input).is_ok() {
            read += packet.size();
            if packet.stream() != index {
                continue;
            }
            match packet.pts() {
                Some(pts) => times.push(pts),
                None => untimed = true,
            }
        }
        // The gaps are known only if every packet has a time.
        if untimed {
            return Vec::new();
        }
        times.sort_unstable();
        // Images of the last group may be missing between those that were read.
        let complete = times.len().saturating_sub(8);
        if complete > 8 {
            times.truncate(complete);
        }
    }
    times.sort_unstable();
    times.dedup();
    times.into_iter().map(|time| time as f64 * tick).collect()
}

fn indexed_times(stream: &ffmpeg_next::Stream) -> Vec<i64> {
    // SAFETY: the stream lives as long as its context, which is borrowed; each entry is read at once,
    // before any other call that could move the index.
    unsafe {
        let pointer = stream.as_ptr();
        let count = ffi::avformat_index_get_entries_count(pointer);
        (0..count)
            .map_while(|entry| {
                let entry = ffi::avformat_index_get_entry(pointer.cast_mut(), entry);
                (!entry.is_null()).then(|| (*entry).timestamp)
            })
            .collect()
    }
}

/// Lowest and highest rate, if they differ by more than the rounding of timestamps explains.
fn spread(times: &[f64]) -> Option<(f64, f64)> {
    let mut gaps: Vec<f64> = times
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] => Some(b - a),
            _ => None,
        })
        // Packets of images that are never shown come just before the next one.
        .filter(|gap| *gap > MIN_GAP_SECS)
        .collect();
    if gaps.len() < 4 {
        return None;
    }
    gaps.sort_by(f64::total_cmp);
    // A single deviating gap (a cut, the last frame) does not make a variable rate.
    let (short, long) = (gaps.get(1)?, gaps.get(gaps.len() - 2)?);
    // Matroska rounds to milliseconds.
    (long - short > 0.0025 && *long > *short * 1.25).then(|| (1.0 / long, 1.0 / short))
}
