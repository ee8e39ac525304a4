//! Settings of sampling: plain values, stored with the project and with each source.

use serde::{Deserialize, Serialize};

/// Frames per second, over 0 and at most 240.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
pub struct Fps(pub f64);

/// Which frames are taken from a video, and how they are written.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// `FFmpeg`'s `fps=F`.
    pub fps: Fps,
    /// `FFmpeg`'s `scale=W:-1`, in pixels; `None` keeps the size. Frames are never wider than their source.
    pub width_px: Option<u32>,
    /// Start of the range, in seconds from the start of the video.
    pub from_secs: Option<f64>,
    /// End of the range, in seconds from the start of the video.
    pub to_secs: Option<f64>,
    /// `FFmpeg`'s `-q:v`, 2 (best) to 31.
    pub jpeg_quality: u8,
}

/// The largest valid width of frames, in pixels.
const MOST_WIDTH_PX: u32 = 16_384;

impl Sampling {
    /// Start of the range in seconds, 0 by default.
    #[must_use]
    pub fn start_secs(&self) -> f64 {
        self.from_secs.filter(|from| *from > 0.0).unwrap_or(0.0)
    }

    /// Why these settings are invalid, as the end of a sentence that begins with the video's name.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let fps = self.fps.0;
        if !(fps > 0.0 && fps <= 240.0) {
            return Some(format!(
                "cannot be sampled at {fps} frames per second; choose over 0 and up to 240"
            ));
        }
        if let Some(width) = self.width_px
            && !(1..=MOST_WIDTH_PX).contains(&width)
        {
            return Some(format!(
                "cannot be sampled at a width of {width} pixels; choose up to {MOST_WIDTH_PX}"
            ));
        }
        let start = self.start_secs();
        let to = self.to_secs.unwrap_or(f64::MAX);
        (!start.is_finite() || !to.is_finite() || to <= start).then(|| {
            format!("cannot be sampled from {start} s to {to} s: the end is before the start")
        })
    }
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
