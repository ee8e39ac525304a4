//! The frames that a sampling takes from a video, as pixels or as JPEG files, decoded in a separate process.

use std::path::Path;

use image::RgbImage;

use crate::jobs::Work;
use crate::project::Sampling;

use super::file::MediaFile;
use super::helper::Frames;
use super::sample::decoder_threads;
use super::{Findings, MediaError, Stretch};

/// A sampled frame as pixels.
pub struct SampledFrame {
    /// Seconds from the start of the video.
    pub time_secs: f64,
    /// The image, upright.
    pub image: RgbImage,
}

/// A sampled frame as a JPEG file, at the quality of the sampling.
pub struct JpegFrame {
    /// Seconds from the start of the video.
    pub time_secs: f64,
    /// Width in pixels.
    pub width_px: u32,
    /// Height in pixels.
    pub height_px: u32,
    /// The contents of the file.
    pub jpeg: Vec<u8>,
}

/// Decodes a video and returns the frames that [`Sampling`] takes, as pixels.
pub struct Sampler {
    frames: Frames,
    name: String,
}

/// Decodes a video and returns the frames that [`Sampling`] takes, as JPEG files.
pub struct JpegSampler {
    frames: Frames,
    name: String,
}

/// The format of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) enum FrameForm {
    /// 8-bit red, green and blue, row by row.
    Rgb,
    /// A JPEG file.
    Jpeg,
}

/// A frame in either format.
pub(super) struct RawFrame {
    /// Seconds from the start of the video.
    pub time_secs: f64,
    pub width_px: u32,
    pub height_px: u32,
    /// In the format [`FrameForm`].
    pub bytes: Vec<u8>,
}

impl Sampler {
    /// Opens the video. Damage later in the file is no error here; see [`Sampler::warnings`].
    pub fn open(path: &Path, sampling: &Sampling) -> Result<Self, MediaError> {
        let film = MediaFile::open(path)?;
        let frames = Frames::open(&film, sampling, None, decoder_threads(), FrameForm::Rgb)?;
        let name = name_of(path);
        Ok(Self { frames, name })
    }

    /// The next frame; `None` at the end. Checks `work` while it waits. A video too short for one frame at this rate
    /// returns its first. An error at the end if no frame could be decoded.
    pub fn next_frame(&mut self, work: &Work) -> Result<Option<SampledFrame>, MediaError> {
        let Some(frame) = self.frames.next(work)? else {
            return Ok(None);
        };
        let image = RgbImage::from_raw(frame.width_px, frame.height_px, frame.bytes)
            .ok_or_else(|| MediaError::Ffmpeg("convert a frame: too few pixels".into()))?;
        Ok(Some(SampledFrame {
            time_secs: frame.time_secs,
            image,
        }))
    }

    /// After the end: sentences about damage (with its place), gaps, periods without changes, brightness and further
    /// streams.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.frames.findings().warnings(&self.name)
    }
}

impl JpegSampler {
    /// As for [`Sampler::open`].
    pub fn open(path: &Path, sampling: &Sampling) -> Result<Self, MediaError> {
        Self::open_with_threads(path, sampling, decoder_threads())
    }

    /// [`JpegSampler::open`] with this many decoder threads.
    pub(super) fn open_with_threads(
        path: &Path,
        sampling: &Sampling,
        threads: usize,
    ) -> Result<Self, MediaError> {
        Self::open_part(path, sampling, None, threads)
    }

    /// Like [`JpegSampler::open`], for the frames of a stretch of the film: with the same times and bytes as those
    /// that a sampling of the whole film takes there. (Damage is an exception: FFmpeg itself decodes it differently
    /// from run to run.) Decoding may have to start long before the stretch. `threads` is the number of decoder
    /// threads. A stretch without frames is no error; [`Findings::check`] reports a whole film without any.
    pub fn open_stretch(
        path: &Path,
        sampling: &Sampling,
        stretch: Stretch,
        threads: usize,
    ) -> Result<Self, MediaError> {
        Self::open_part(path, sampling, Some(stretch), threads)
    }

    fn open_part(
        path: &Path,
        sampling: &Sampling,
        stretch: Option<Stretch>,
        threads: usize,
    ) -> Result<Self, MediaError> {
        let film = MediaFile::open(path)?;
        let frames = Frames::open(&film, sampling, stretch, threads, FrameForm::Jpeg)?;
        let name = name_of(path);
        Ok(Self { frames, name })
    }

    /// As for [`Sampler::next_frame`].
    pub fn next_frame(&mut self, work: &Work) -> Result<Option<JpegFrame>, MediaError> {
        Ok(self.frames.next(work)?.map(|frame| JpegFrame {
            time_secs: frame.time_secs,
            width_px: frame.width_px,
            height_px: frame.height_px,
            jpeg: frame.bytes,
        }))
    }

    /// After the end: the findings in the film or the stretch.
    #[must_use]
    pub fn findings(&self) -> Findings {
        self.frames.findings()
    }

    /// As for [`Sampler::warnings`].
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.frames.findings().warnings(&self.name)
    }
}

/// The name of a film in messages.
fn name_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}
