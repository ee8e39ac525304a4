//! Accuracy on parts of the frames: dark and bright ones, blurred and sharp ones, by time of day.

use serde::Serialize;

use image::RgbImage;
use image::imageops::thumbnail;
use jiff::tz::TimeZone;

use crate::jobs::{Work, cores_and_one, in_parallel};
use crate::media::load_image;
use crate::project::Project;

use super::time_of_day::{TimePart, time_parts};
use super::{Confusion, EvaluateError, Evaluation, Figures, FramePrediction, Measure};

/// Images are reduced to this longest side in pixels for measurements: blur that a network of 224 pixels would not see
/// does not count.
const LONGEST_PX: u32 = 256;
/// The number of parts, with equally many frames.
const PARTS: usize = 4;

/// Frames with a similar property, and the accuracy on them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QualityPart {
    /// The lowest and highest value of the property in the part.
    pub range: [f64; 2],
    /// The number of frames.
    pub frames: u64,
    /// The accuracy.
    pub accuracy: Measure,
}

/// Accuracy in quarters of the frames and in parts of the day.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct QualityParts {
    /// By mean brightness (luma, 0..=1), the darkest first.
    pub brightness: Vec<QualityPart>,
    /// By sharpness (the standard deviation of the Laplacian of the luma at 256 pixels, in levels of 0 to 255), the
    /// most blurred first.
    pub sharpness: Vec<QualityPart>,
    /// By the time of day when they were recorded; empty if no image states it.
    pub time_of_day: Vec<TimePart>,
}

/// Measures the frames of an evaluation and returns the accuracy in quarters of them. Unreadable frames are left out.
///
/// # Errors
/// [`EvaluateError::Cancelled`] if `work` is cancelled.
pub fn quality_parts(
    project: &Project,
    evaluation: &Evaluation,
    work: &Work,
) -> Result<QualityParts, EvaluateError> {
    let frames = &evaluation.predictions;
    work.stage("Measuring the images", Some(frames.len() as u64));
    let mut found: Vec<(usize, [f64; 2])> = Vec::with_capacity(frames.len());
    in_parallel(
        cores_and_one(),
        frames,
        work,
        || Ok::<_, EvaluateError>(()),
        |(), frame| {
            let image = load_image(&project.abs(&frame.path));
            Ok(image.ok().map(|image| qualities(&image)))
        },
        |at, qualities| {
            found.extend(qualities.map(|of| (at, of)));
            work.advance(1);
            Ok(())
        },
    )?;
    found.sort_unstable_by_key(|(at, _)| *at);
    let by = |which: fn(&[f64; 2]) -> f64| -> Result<Vec<QualityPart>, EvaluateError> {
        let values: Vec<(usize, f64)> = found.iter().map(|(at, of)| (*at, which(of))).collect();
        parts(evaluation, values, work)
    };
    Ok(QualityParts {
        brightness: by(|[brightness, _]| *brightness)?,
        sharpness: by(|[_, sharpness]| *sharpness)?,
        time_of_day: time_parts(project, evaluation, &TimeZone::system(), work)?,
    })
}

/// The accuracy in quarters of frames sorted by a value.
fn parts(
    evaluation: &Evaluation,
    mut values: Vec<(usize, f64)>,
    work: &Work,
) -> Result<Vec<QualityPart>, EvaluateError> {
    values.sort_by(|a, b| a.1.total_cmp(&b.1));
    let size = values.len().div_ceil(PARTS).max(1);
    let mut parts = Vec::new();
    for part in values.chunks(size) {
        let of_part = part.iter();
        let of_part = of_part.filter_map(|(at, _)| evaluation.predictions.get(*at));
        let figures = figures_of(evaluation, of_part, work)?;
        let ends = [part.first(), part.last()];
        parts.push(QualityPart {
            range: ends.map(|end| end.map_or(0.0, |(_, value)| *value)),
            frames: figures.frames,
            accuracy: figures.accuracy,
        });
    }
    Ok(parts)
}

/// The figures of some frames of an evaluation.
pub(super) fn figures_of<'a>(
    evaluation: &Evaluation,
    frames: impl Iterator<Item = &'a FramePrediction>,
    work: &Work,
) -> Result<Figures, EvaluateError> {
    let part = Evaluation {
        classes: evaluation.classes.clone(),
        split: evaluation.split,
        predictions: frames.cloned().collect(),
        confusion: Confusion::default(),
        relabelled: 0,
        changed: 0,
        missing: 0,
        notes: Vec::new(),
    };
    Ok(Figures::of(&part, work)?)
}

/// Mean brightness, 0..=1, and sharpness of an image.
fn qualities(image: &RgbImage) -> [f64; 2] {
    let (width, height) = image.dimensions();
    let scale = (f64::from(LONGEST_PX) / f64::from(width.max(height).max(1))).min(1.0);
    let side = |px: u32| ((f64::from(px) * scale).round() as u32).max(1);
    let small = thumbnail(image, side(width), side(height));
    let width = small.width() as usize;
    let luma: Vec<f64> = small
        .pixels()
        .map(|pixel| {
            let [r, g, b] = pixel.0.map(f64::from);
            // Rec. 601, as in JPEG.
            0.299 * r + 0.587 * g + 0.114 * b
        })
        .collect();
    let mean = luma.iter().sum::<f64>() / luma.len().max(1) as f64;
    let rows: Vec<&[f64]> = luma.chunks_exact(width.max(1)).collect();
    let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
    for rows in rows.windows(3) {
        let [above, row, below] = rows else { continue };
        let columns = above.windows(3).zip(row.windows(3)).zip(below.windows(3));
        for ((above, row), below) in columns {
            let ([_, up, _], [left, middle, right], [_, down, _]) = (above, row, below) else {
                continue;
            };
            let laplacian = up + down + left + right - 4.0 * middle;
            count += 1.0;
            sum += laplacian;
            squares += laplacian * laplacian;
        }
    }
    let count = f64::max(count, 1.0);
    let variance = squares / count - (sum / count).powi(2);
    [mean / 255.0, variance.max(0.0).sqrt()]
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use image::Rgb;

    use super::*;
    use crate::project::Split;

    #[test]
    fn brightness_and_sharpness_of_images() {
        let grey = RgbImage::from_pixel(64, 48, Rgb([51, 51, 51]));
        let [brightness, sharpness] = qualities(&grey);
        assert!((brightness - 0.2).abs() < 1e-9 && sharpness < 1e-9);
        // A chessboard of single pixels: up + down + left + right - 4·middle alternates between ±1020.
        let board = RgbImage::from_fn(64, 48, |x, y| {
            Rgb([if (x + y) % 2 == 0 { 255 } else { 0 }; 3])
        });
        let [brightness, sharpness] = qualities(&board);
        assert!((brightness - 0.5).abs() < 1e-9, "{brightness}");
        assert!((sharpness - 1020.0).abs() < 1e-6, "{sharpness}");
        let ramp = RgbImage::from_fn(64, 48, |x, _| Rgb([(4 * x) as u8; 3]));
        assert!(qualities(&ramp)[1] < 1e-9, "a ramp has no edges");
        assert!(qualities(&RgbImage::new(1, 1))[1] < 1e-9);
    }

    #[test]
    fn quarters_hold_equally_many_frames_in_order() {
        let predictions: Vec<FramePrediction> = (0..10)
            .map(|at| FramePrediction {
                path: at.to_string(),
                group: at.to_string(),
                truth: 0,
                predicted: usize::from(at < 3),
                probabilities: vec![0.5, 0.5],
            })
            .collect();
        let evaluation = Evaluation {
            classes: vec!["a".into(), "b".into()],
            split: Split::Test,
            predictions,
            confusion: Confusion::default(),
            relabelled: 0,
            changed: 0,
            missing: 0,
            notes: Vec::new(),
        };
        let values = (0..10).map(|at| (at, at as f64)).collect();
        let found = parts(&evaluation, values, &Work::new()).unwrap();
        let frames: Vec<u64> = found.iter().map(|part| part.frames).collect();
        assert_eq!(frames, [3, 3, 3, 1]);
        let right: Vec<f64> = found.iter().map(|of| of.accuracy.value.unwrap()).collect();
        assert!(right[0] < 1e-9 && right[1..].iter().all(|part| *part > 0.999));
        assert!((found[1].range[0] - 3.0).abs() < 1e-9);
    }
}
