//! The poster of a video for the window.

use std::path::Path;

use image::RgbImage;

use crate::jobs::Work;

use super::decode::{Decoded, Decoding};
use super::ffmpeg::{self, Turn};
use super::file::MediaFile;
use super::graph::{FilterGraph, Pixels, Plan, can_tone_map, is_again};
use super::jpeg::to_rgb;
use super::{MediaError, helper};

use ffmpeg_next::util::frame::Video;

/// The poster of a video: a frame from about a tenth of its duration, at most `width_px` wide.
pub fn poster(path: &Path, width_px: u32) -> Result<RgbImage, MediaError> {
    helper::poster(&MediaFile::open(path)?, width_px)
}

/// [`poster`] in this process.
pub(super) fn poster_here(film: &MediaFile, width_px: u32) -> Result<RgbImage, MediaError> {
    let path = film.path();
    let video = ffmpeg::open(film)?;
    let tenth = super::probe::length_secs(&video, video.stream).map(|secs| secs / 10.0);
    let image = match poster_at(video, path, tenth.filter(|secs| *secs >= 1.0), width_px)? {
        Some(image) => Some(image),
        // Nothing can be decoded from there on: use the beginning.
        None => poster_at(ffmpeg::open(film)?, path, None, width_px)?,
    };
    image.ok_or_else(|| {
        MediaError::unusable(
            path,
            "is damaged or encrypted: none of its frames can be decoded",
        )
    })
}

/// The first image from the key frame at or before `from_secs`.
fn poster_at(
    mut video: ffmpeg::OpenVideo,
    path: &Path,
    from_secs: Option<f64>,
    width_px: u32,
) -> Result<Option<RgbImage>, MediaError> {
    let index = video.stream;
    let aspect = ffmpeg::pixel_aspect(&mut video.input, index);
    let Some(stream) = video.input.stream(index) else {
        return Err(MediaError::unusable(path, "holds no video"));
    };
    let turn = Turn::of(&stream);
    let tone_map = ffmpeg::is_hdr(&stream) && can_tone_map();
    // One thread: more would delay the first image.
    let mut decoding = Decoding::new(video, path, from_secs, 1, None)?;
    let plan = Plan {
        from_zero: false,
        duration_us: None,
        end: None,
        fps: None,
        turn,
        aspect,
        width_px: Some(width_px),
        tone_map,
        pixels: Pixels::Jpeg,
        time_base: decoding.time_base(),
        rate: None,
    };
    let work = Work::new();
    let failed = |error| MediaError::Ffmpeg(format!("filter a frame: {error}"));
    let mut graph: Option<FilterGraph> = None;
    loop {
        let Decoded::Frame(frame) = decoding.next(&work)? else {
            return Ok(None);
        };
        let graph = match &mut graph {
            Some(graph) if graph.fits(&frame) => graph,
            other => other.insert(FilterGraph::new(&plan, &frame).map_err(failed)?),
        };
        graph.push(&frame).map_err(failed)?;
        let mut image = Video::empty();
        match graph.pull(&mut image) {
            Ok(()) => return to_rgb(&image).map(Some).map_err(failed),
            Err(error) if is_again(error) => {}
            Err(error) => return Err(failed(error)),
        }
    }
}
