//! Predicts many files: photos, videos and folders of them.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::jobs::{Work, sentence};
use crate::media::{Kind, MediaError, Sampler, gather, load_image};
use crate::project::Sampling;

use super::predict::ranked;
use super::{EvaluateError, Prediction, Predictor};

/// An image of a file, with its prediction.
pub struct FileImage<'a> {
    /// The file.
    pub path: &'a Path,
    /// Seconds from the start of the video; `None` for a photo.
    pub time_secs: Option<f64>,
    /// The image.
    pub image: RgbImage,
    /// One for each class, in the order of [`Predictor::classes`].
    pub probabilities: Vec<f32>,
    /// The classes, most probable first.
    pub prediction: Prediction,
}

/// The numbers of images that were predicted and of files that were not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FilesOutcome {
    /// Images: photos, and sampled frames of videos.
    pub predictions: u64,
    /// Unreadable files; each also gave a warning.
    pub skipped: u64,
    /// Whether the receiver stopped before the end.
    pub ended: bool,
}

impl Predictor {
    /// Predicts the photos in `paths`, which may contain folders, and the frames that `sampling` takes from videos,
    /// and calls `each` with every one until it breaks. Unusable files are skipped with a warning.
    pub fn predict_files(
        &mut self,
        paths: &[PathBuf],
        sampling: &Sampling,
        work: &Work,
        mut each: impl FnMut(FileImage<'_>) -> ControlFlow<()>,
    ) -> Result<FilesOutcome, EvaluateError> {
        for_each_image(paths, sampling, work, |path, image, time_secs| {
            let probabilities = self.probabilities(&image, work)?;
            let prediction = ranked(self.classes(), &probabilities, self.unknown_below);
            Ok(each(FileImage {
                path,
                time_secs,
                image,
                probabilities,
                prediction,
            }))
        })
    }
}

/// Reads the photos in `paths`, which may contain folders, and the frames that `sampling` takes from videos, and calls
/// the function with each, its file and its time until it breaks. Unusable files are skipped with a warning.
pub(super) fn for_each_image(
    paths: &[PathBuf],
    sampling: &Sampling,
    work: &Work,
    mut each: impl FnMut(&Path, RgbImage, Option<f64>) -> Result<ControlFlow<()>, EvaluateError>,
) -> Result<FilesOutcome, EvaluateError> {
    let files = gather(paths, work)?;
    let mut outcome = FilesOutcome::default();
    work.stage("Predicting", Some(files.len() as u64));
    for path in &files {
        work.check()?;
        work.detail(path.file_name().unwrap_or_default().to_string_lossy());
        let predicted = images(path, sampling, work, |image, time_secs| {
            let flow = each(path, image, time_secs)?;
            outcome.predictions += 1;
            Ok(flow)
        });
        match predicted {
            Ok(ControlFlow::Continue(())) => {}
            Ok(ControlFlow::Break(())) => {
                outcome.ended = true;
                break;
            }
            Err(EvaluateError::Media(MediaError::Cancelled(cancelled))) => {
                return Err(cancelled.into());
            }
            Err(EvaluateError::Media(error)) => {
                outcome.skipped += 1;
                work.warn(sentence(&error));
            }
            Err(error) => return Err(error),
        }
        work.advance(1);
    }
    Ok(outcome)
}

/// Reads a photo, or the frames of a video with their times, until `each` breaks.
fn images(
    path: &Path,
    sampling: &Sampling,
    work: &Work,
    mut each: impl FnMut(RgbImage, Option<f64>) -> Result<ControlFlow<()>, EvaluateError>,
) -> Result<ControlFlow<()>, EvaluateError> {
    // A file that is neither image nor film is opened as a film, whose error describes it.
    if Kind::of(path)?.is_image() {
        return each(load_image(path)?, None);
    }
    let mut sampler = Sampler::open(path, sampling)?;
    while let Some(frame) = sampler.next_frame(work)? {
        if each(frame.image, Some(frame.time_secs))?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    for warning in sampler.warnings() {
        work.warn(warning);
    }
    Ok(ControlFlow::Continue(()))
}
