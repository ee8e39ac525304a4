//! Sampling: FFmpeg's `fps=F,scale=W:-1` in-process, by timestamp, upright.

use std::path::Path;

use image::RgbImage;

use crate::jobs::Work;
use crate::project::Sampling;

use super::MediaError;

/// One sampled frame.
pub struct SampledFrame {
    /// Seconds from the start of the video.
    pub time_secs: f64,
}

impl SampledFrame {
    /// The picture as RGB.
    pub fn to_rgb(&self) -> Result<RgbImage, MediaError> {
        todo!()
    }

    /// The picture as a JPEG file, at the quality of the sampling.
    pub fn to_jpeg(&self) -> Result<Vec<u8>, MediaError> {
        todo!()
    }
}

/// Decodes a video and yields the frames that [`Sampling`] asks for.
pub struct Sampler {}

impl Sampler {
    /// Opens the video. Damage later in the file does not fail; see [`Sampler::warning`].
    pub fn open(path: &Path, sampling: &Sampling) -> Result<Self, MediaError> {
        todo!("{path:?} {sampling:?}")
    }

    /// The next frame, `None` at the end. Checks `work` for every decoded frame.
    pub fn next_frame(&mut self, work: &Work) -> Result<Option<SampledFrame>, MediaError> {
        let _ = work;
        todo!()
    }

    /// How many frames will come, about.
    #[must_use]
    pub fn expected_frames(&self) -> Option<u64> {
        todo!()
    }

    /// After the end: one sentence if the file is damaged, saying where.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        todo!()
    }
}

/// A picture that stands for the video: a frame from about a tenth of its length, at most `width_px` wide.
pub fn poster(path: &Path, width_px: u32) -> Result<RgbImage, MediaError> {
    todo!("{path:?} {width_px}")
}
