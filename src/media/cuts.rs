//! Finds times at which a film can be cut into independently sampled stretches: key frames in the container's index.

use std::path::Path;

use ffmpeg_next::format::context::Input;
use ffmpeg_next::{Packet, Rescale, ffi, rescale};

use crate::jobs::Work;

use super::ffmpeg::{self, OpenVideo};
use super::file::MediaFile;
use super::{MediaError, helper, probe};

/// How many seconds a film may continue after its index, beside twice the longest distance of its key frames.
const BEYOND_INDEX_SECS: f64 = 10.0;
/// The longest delay between decoding and showing an image, in microseconds.
const DELAY_US: i64 = 250_000;
/// How many packets from a key frame on must be intact.
const PACKETS: usize = 32;
/// After this many successive wrong entries the index is not used.
const MOST_WRONG: usize = 8;

/// The times at which the film `path` can be cut into stretches of at least `least_secs` seconds: seconds from its
/// start, ascending, each of a key frame. Nothing is decoded, and little is read. Empty if the film is too short, or
/// has no reliable index of key frames. Intact MP4 (MOV) and Matroska (`WebM`) files have one; of any other film, each
/// stretch is sampled by reading from the start.
///
/// # Errors
/// As for [`probe()`](super::probe()); cancelled.
pub fn cut_points(path: &Path, least_secs: f64, work: &Work) -> Result<Vec<f64>, MediaError> {
    helper::cut_points(&MediaFile::open(path)?, least_secs, work)
}

/// [`cut_points`] in this process.
pub(super) fn cut_points_here(
    film: &MediaFile,
    least_secs: f64,
    work: &Work,
) -> Result<Vec<f64>, MediaError> {
    let mut video = ffmpeg::open(film)?;
    video.interrupter.watch(work);
    let Some(length) = probe::length_secs(&video, video.stream) else {
        return Ok(Vec::new());
    };
    // Also false for NaN.
    let long_enough = least_secs > 0.0 && length >= 2.0 * least_secs;
    if !long_enough || !has_index(&video.input) {
        return Ok(Vec::new());
    }
    let start_us = ffmpeg::start_time_us(&video.input).unwrap_or(0);
    // Matroska's index is read on the first seek.
    let middle = start_us + (length / 2.0 * 1e6) as i64;
    if video.input.seek(middle, ..middle).is_err() {
        return Ok(Vec::new());
    }
    let keys = key_frames(&video, film.bytes());
    if !covers(&keys, start_us, length) {
        return Ok(Vec::new());
    }
    let mut cuts = Vec::new();
    let mut last = 0.0;
    let mut wrong = 0;
    for key in keys {
        work.check()?;
        let fits = |at: f64| at - last >= least_secs && length - at >= least_secs;
        if !fits((key - start_us + DELAY_US) as f64 / 1e6) {
            continue;
        }
        match confirmed(&mut video, key).map(|us| (us - start_us) as f64 / 1e6) {
            Some(at) => {
                wrong = 0;
                if fits(at) {
                    cuts.push(at);
                    last = at;
                }
            }
            None if wrong == MOST_WRONG => return Ok(Vec::new()),
            None => wrong += 1,
        }
    }
    Ok(cuts)
}

/// Whether the container has an index of key frames with which seeking is reliable.
pub(super) fn has_index(input: &Input) -> bool {
    let format = input.format();
    let indexed = ["mov", "matroska"];
    ffmpeg::format_flags(input) & ffi::AVFMT_TS_DISCONT == 0
        && format.name().split(',').any(|name| indexed.contains(&name))
}

/// Decoding times of the key frames in the index, in microseconds of the file's own time. Empty if an entry is beyond
/// the end of the file, or if they do not ascend.
fn key_frames(video: &OpenVideo, bytes: u64) -> Vec<i64> {
    let Some(stream) = video.input.stream(video.stream) else {
        return Vec::new();
    };
    let time_base = stream.time_base();
    let mut keys = Vec::new();
    let mut last = i64::MIN;
    // SAFETY: the stream lives as long as its context, which is borrowed; each entry is read at once, before any other
    // call that could move the index.
    unsafe {
        let pointer = stream.as_ptr();
        for number in 0..ffi::avformat_index_get_entries_count(pointer) {
            let entry = ffi::avformat_index_get_entry(pointer.cast_mut(), number);
            if entry.is_null() {
                break;
            }
            let end = u64::try_from((*entry).pos + i64::from((*entry).size())).unwrap_or(u64::MAX);
            let at = (*entry).timestamp;
            if end > bytes || at < last {
                return Vec::new();
            }
            last = at;
            let flags = (*entry).flags();
            if flags & ffi::AVINDEX_KEYFRAME != 0 && flags & ffi::AVINDEX_DISCARD_FRAME == 0 {
                keys.push(at.rescale(time_base, rescale::TIME_BASE));
            }
        }
    }
    keys
}

/// Whether an index with these key frames covers the whole film. That of a fragmented file may cover only its first
/// fragments.
fn covers(keys: &[i64], start_us: i64, length_secs: f64) -> bool {
    let Some(last) = keys.last() else {
        return false;
    };
    let longest = keys
        .windows(2)
        .filter_map(|pair| match pair {
            [a, b] => Some(b - a),
            _ => None,
        })
        .max()
        .unwrap_or(0);
    let secs = |us: i64| us as f64 / 1e6;
    length_secs - secs(last - start_us) <= 2.0 * secs(longest) + BEYOND_INDEX_SECS
}

/// The time at which the key frame with the decoding time `key` in the index is shown, if it can be found and the
/// following packets are intact; both in microseconds of the file's own time.
fn confirmed(video: &mut OpenVideo, key: i64) -> Option<i64> {
    let time_base = video.input.stream(video.stream)?.time_base();
    let target = key + DELAY_US;
    video.input.seek(target, ..target).ok()?;
    let mut shown = None;
    let mut packet = Packet::empty();
    let mut seen = 0;
    while seen < PACKETS {
        match packet.read(&mut video.input) {
            Ok(()) if packet.stream() != video.stream => {}
            Ok(()) => {
                let pts = packet.pts()?;
                if packet.is_corrupt() || (seen == 0 && !packet.is_key()) {
                    return None;
                }
                shown.get_or_insert(pts.rescale(time_base, rescale::TIME_BASE));
                seen += 1;
            }
            Err(ffmpeg_next::Error::Eof) => break,
            Err(_) => return None,
        }
    }
    shown
}
