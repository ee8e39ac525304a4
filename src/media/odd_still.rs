//! Still images that FFmpeg reads but the `image` crate does not: AVIF, JPEG XL, lossless and 12-bit JPEG, rare kinds
//! of TIFF.

use std::io::Cursor;
use std::path::Path;

use ffmpeg_next::Error;
use ffmpeg_next::format::context::StreamIo;
use ffmpeg_next::util::format::Pixel;
use ffmpeg_next::util::frame::Video;
use image::metadata::Orientation;
use image::{DynamicImage, RgbaImage};

use crate::jobs::Work;

use super::decode::{Decoded, Decoding};
use super::ffmpeg::{self, OpenVideo, Turn};
use super::graph::{FilterGraph, Pixels, Plan};
use super::jpeg::rows;

/// The bytes of an AVIF file that are searched for its orientation.
const HEADER_BYTES: usize = 8 << 10;

/// The image as FFmpeg decodes it; `None` if FFmpeg cannot, or if it has more than `max_pixels`.
pub(super) fn decode(bytes: &[u8], path: &Path, max_pixels: u64) -> Option<DynamicImage> {
    let image = first_image(bytes, path, max_pixels)
        .inspect_err(|error| log::debug!("{}: FFmpeg: {error}", path.display()))
        .ok()?;
    let mut image = DynamicImage::ImageRgba8(image);
    for orientation in turns(bytes) {
        image.apply_orientation(orientation);
    }
    Some(image)
}

fn first_image(
    bytes: &[u8],
    path: &Path,
    max_pixels: u64,
) -> Result<RgbaImage, Box<dyn std::error::Error>> {
    let stream = StreamIo::from_read_seek(Cursor::new(bytes.to_vec()))?;
    let (input, interrupter) = ffmpeg::open_stream(stream, "photo")?;
    let stream = ffmpeg::choose_stream(&input).ok_or(Error::StreamNotFound)?;
    let size = input
        .stream(stream)
        .map_or((0, 0), |stream| ffmpeg::coded_size(&stream));
    if u64::from(size.0) * u64::from(size.1) > max_pixels {
        return Err("too large".into());
    }
    let video = OpenVideo {
        input,
        stream,
        interrupter,
    };
    let mut decoding = Decoding::new(video, path, None, 1, None)?;
    let Decoded::Frame(frame) = decoding.next(&Work::new())? else {
        return Err(Error::InvalidData.into());
    };
    if frame.is_corrupt() || frame.has_decode_errors() {
        return Err(Error::InvalidData.into());
    }
    let plan = Plan {
        from_zero: false,
        duration_us: None,
        end: None,
        fps: None,
        turn: Turn::default(),
        aspect: None,
        width_px: None,
        tone_map: false,
        pixels: Pixels::Rgba,
        time_base: decoding.time_base(),
        rate: None,
    };
    let mut graph = FilterGraph::new(&plan, &frame)?;
    graph.push(&frame)?;
    graph.close(frame.pts().unwrap_or(0).saturating_add(1))?;
    let mut image = Video::empty();
    graph.pull(&mut image)?;
    if image.format() != Pixel::RGBA {
        return Err(Error::InvalidData.into());
    }
    let pixels = rows(&image, 4)?;
    RgbaImage::from_raw(image.width(), image.height(), pixels)
        .ok_or_else(|| Error::InvalidData.into())
}

/// The rotation and reflection of an AVIF file (`irot` and `imir`, ISO/IEC 23008-12, 6.5.10 and 6.5.12), which FFmpeg
/// 5 ignores.
fn turns(bytes: &[u8]) -> Vec<Orientation> {
    let head = bytes
        .get(..bytes.len().min(HEADER_BYTES))
        .unwrap_or_default();
    if head.get(4..8) != Some(b"ftyp") {
        return Vec::new();
    }
    let value = |name: &[u8; 4]| {
        let at = head.windows(4).position(|four| four == name)?;
        head.get(at + 4).copied()
    };
    let mut turns = Vec::new();
    match value(b"irot").map(|angle| angle & 3) {
        // The angle is anticlockwise.
        Some(1) => turns.push(Orientation::Rotate270),
        Some(2) => turns.push(Orientation::Rotate180),
        Some(3) => turns.push(Orientation::Rotate90),
        _ => {}
    }
    match value(b"imir").map(|axis| axis & 1) {
        Some(0) => turns.push(Orientation::FlipVertical),
        Some(_) => turns.push(Orientation::FlipHorizontal),
        None => {}
    }
    turns
}
