//! What a video file is, before anything is decoded in earnest.

use std::path::Path;

use super::MediaError;

/// The facts of a video that its card shows.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoInfo {
    /// Length in seconds, when the container or the streams tell.
    pub duration_secs: Option<f64>,
    /// Frames in the stream: counted by the container, else estimated from length and rate.
    pub frame_count: Option<u64>,
    /// Whether `frame_count` is an estimate.
    pub frame_count_estimated: bool,
    /// Mean frames per second.
    pub average_fps: Option<f64>,
    /// Lowest and highest rate when the rate varies.
    pub variable_fps: Option<(f64, f64)>,
    /// Width in pixels as shown: upright and with square pixels.
    pub width_px: u32,
    /// Height in pixels as shown.
    pub height_px: u32,
    /// Clockwise rotation in degrees that the container asks for: 0, 90, 180, 270.
    pub rotation_degrees: u32,
    /// Pixel aspect other than 1:1, as (numerator, denominator).
    pub pixel_aspect: Option<(u32, u32)>,
    /// For people: "H.264", "HEVC", "AV1".
    pub codec: String,
    /// Bits per component: 8, 10, 12.
    pub bit_depth: u32,
    /// PQ or HLG transfer.
    pub hdr: bool,
    /// File size in bytes.
    pub bytes: u64,
}

/// Reads the facts of the video `path`. Takes some milliseconds for most files.
pub fn probe(path: &Path) -> Result<VideoInfo, MediaError> {
    todo!("{path:?}")
}
