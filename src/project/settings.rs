//! How videos are sampled: plain values, stored with the project and with each source.

use serde::{Deserialize, Serialize};

/// Frames per second, over 0 and at most 240.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Fps(pub f64);

/// Which frames of a video are taken, and how they are written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// `FFmpeg`'s `fps=F`.
    pub fps: Fps,
    /// `FFmpeg`'s `scale=W:-1`, pixels; `None` keeps the size. A frame is never made wider than its source.
    pub width_px: Option<u32>,
    /// Start of the range in seconds from the start of the video.
    pub from_secs: Option<f64>,
    /// End of the range in seconds.
    pub to_secs: Option<f64>,
    /// `FFmpeg`'s `-q:v`, 2 (best) to 31.
    pub jpeg_quality: u8,
}

impl Default for Sampling {
    fn default() -> Self {
        Self {
            fps: Fps(2.0),
            width_px: Some(500),
            from_secs: None,
            to_secs: None,
            jpeg_quality: 2,
        }
    }
}
