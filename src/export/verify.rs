//! The verification of an export: the file to be delivered is run on image files and compared with the run.

use std::path::Path;

use crate::evaluate::{Evaluation, FramePrediction, arg_max, evaluate};
use crate::jobs::{Work, cores_and_one, in_parallel};
use crate::media::load_image;
use crate::project::{Project, Split};
use crate::train::Run;

use super::format::Acceptance;
use super::{ExportError, Open, WrittenModel};

/// If the run's probabilities of two classes differ by less, they are equal except for the last bits of `f32`, and
/// their order means nothing.
const TIE: f32 = 1e-6;

/// The run's predictions to verify against, on the test frames. Without test frames it takes the validation frames,
/// otherwise the training frames, and adds a warning.
pub(super) fn reference(
    project: &Project,
    run: &Run,
    work: &Work,
) -> Result<Evaluation, ExportError> {
    for (split, instead) in [
        (Split::Test, None),
        (Split::Validation, Some("validation")),
        (Split::Train, Some("training")),
    ] {
        let evaluation = evaluate(project, run, split, work)?;
        if evaluation.predictions.is_empty() {
            continue;
        }
        if let Some(instead) = instead {
            work.warn(format!(
                "There are no test images, so the export was verified on the {} {instead} images",
                evaluation.predictions.len()
            ));
        }
        return Ok(evaluation);
    }
    Err(ExportError::NothingToVerifyOn {
        run: run.id.0.clone(),
    })
}

/// If a frame's two highest probabilities differ by less, another processor may rank the other class first.
const NEAR: f32 = 0.01;

/// Compares the accuracy of the run's weights with the one recorded after the training, if it was measured on the same
/// frames with the same labels.
///
/// # Errors
/// [`ExportError::OtherAccuracy`] if they differ by more images than rounding explains.
pub(super) fn as_recorded(run: &Run, reference: &Evaluation) -> Result<(), ExportError> {
    let recorded = run.result().and_then(|result| result.test_accuracy);
    let same_frames = reference.split == Split::Test
        && !run.other_frames
        && reference.relabelled + reference.changed + reference.missing == 0
        && reference.notes.is_empty();
    let (Some(recorded), true) = (recorded, same_frames) else {
        return Ok(());
    };
    let frames = reference.predictions.len();
    let right = reference.predictions.iter();
    let right = right.filter(|frame| frame.predicted == frame.truth).count();
    let near = |frame: &&FramePrediction| {
        let others = frame.probabilities.iter().enumerate();
        let others = others.filter(|(class, _)| *class != frame.predicted);
        others.fold(0.0_f32, |most, (_, other)| most.max(*other)) > frame.confidence() - NEAR
    };
    let near = reference.predictions.iter().filter(near).count();
    let allowed = near.min((frames / 100).max(1));
    let recorded = (f64::from(recorded) * frames as f64).round() as usize;
    if right.abs_diff(recorded) <= allowed {
        return Ok(());
    }
    Err(ExportError::OtherAccuracy {
        run: run.id.0.clone(),
        right,
        recorded,
        frames,
    })
}

/// Runs a written model on the image files (in `root`) of all frames of `reference`, the predictions of `run`, and
/// returns its probabilities for each.
///
/// # Errors
/// [`ExportError::Disagrees`] if it is no working model, or if its format requires the run's answers and it gives
/// others.
pub(super) fn verify(
    root: &Path,
    run: &str,
    model: &WrittenModel,
    open: &Open<'_>,
    reference: &Evaluation,
    work: &Work,
) -> Result<Vec<Vec<f32>>, ExportError> {
    let frames = &reference.predictions;
    work.stage(
        format!("Verifying {}", model.file),
        Some(frames.len() as u64),
    );
    let acceptance = model.format.acceptance();
    let mut all = vec![Vec::new(); frames.len()];
    let open = || {
        let runner = open()?;
        // Probabilities are compared by index: correct ones with wrong labels would pass.
        if runner.recipe().labels == model.recipe.labels {
            Ok(runner)
        } else {
            Err(ExportError::OtherLabels {
                file: model.file,
                run: run.to_owned(),
            })
        }
    };
    in_parallel(
        cores_and_one(),
        frames,
        work,
        open,
        |runner, frame| {
            let found = runner.probabilities(&load_image(&root.join(&frame.path))?)?;
            let disagrees = |difference: String| ExportError::Disagrees {
                run: run.to_owned(),
                frame: frame.path.clone(),
                difference,
            };
            let difference = largest_difference(&found, &frame.probabilities);
            // NaN is never accepted.
            if !difference.is_finite() {
                return Err(disagrees("its probabilities are NaN or infinite".into()));
            }
            if let Acceptance::SameTop1 { tolerance } = acceptance {
                if difference > tolerance {
                    return Err(disagrees(format!(
                        "a probability differs by {difference:.1e}, more than {tolerance:.0e}"
                    )));
                }
                let top = arg_max(&found);
                let of_top = frame.probabilities.get(top).copied().unwrap_or(0.0);
                if top != frame.predicted && frame.confidence() - of_top > TIE {
                    return Err(disagrees("another class is the most probable".into()));
                }
            }
            Ok(found)
        },
        |index, found| {
            if let Some(place) = all.get_mut(index) {
                *place = found;
            }
            work.advance(1);
            Ok(())
        },
    )?;
    Ok(all)
}

/// The largest difference of two lists; NaN if one contains NaN, infinite if their lengths differ.
pub(super) fn largest_difference(a: &[f32], b: &[f32]) -> f64 {
    if a.len() != b.len() {
        return f64::INFINITY;
    }
    let mut largest = 0.0_f64;
    for (a, b) in a.iter().zip(b) {
        let difference = (f64::from(*a) - f64::from(*b)).abs();
        if difference.is_nan() {
            return difference;
        }
        largest = largest.max(difference);
    }
    largest
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use image::RgbImage;

    use crate::evaluate::{Confusion, FramePrediction};
    use crate::export::model::tests::small_model;
    use crate::export::{Format, Options};

    use super::*;

    #[test]
    fn only_a_model_that_agrees_passes() {
        let dir = tempfile::tempdir().unwrap();
        let format = Format::ONNX;
        let model = small_model();
        let files = format.write(&model, &Options::default()).unwrap();
        let mut exported = format.open(&files, 1).unwrap();
        let written = WrittenModel {
            format,
            file: format.file(),
            recipe: exported.recipe().clone(),
        };
        let predictions = (0..5_u8)
            .map(|number| {
                let image = RgbImage::from_fn(120, 110, |x, y| {
                    let at = |speed: u32| ((x * speed + y * u32::from(number)) % 256) as u8;
                    image::Rgb([at(1), at(3), at(7)])
                });
                let path = format!("{number}.png");
                image.save(dir.path().join(&path)).unwrap();
                let probabilities = exported.probabilities(&image).unwrap();
                FramePrediction {
                    path,
                    group: String::new(),
                    truth: 0,
                    predicted: arg_max(&probabilities),
                    probabilities,
                }
            })
            .collect();
        let right = Evaluation {
            classes: exported.recipe().labels.clone(),
            split: Split::Test,
            predictions,
            confusion: Confusion::default(),
            relabelled: 0,
            changed: 0,
            missing: 0,
            notes: Vec::new(),
        };
        let open = || Ok(format.open(&files, 1)?);
        let verdict = |reference: &Evaluation| {
            verify(
                dir.path(),
                "the run",
                &written,
                &open,
                reference,
                &Work::new(),
            )
        };
        let found = verdict(&right).unwrap();
        assert_eq!(found.len(), 5);
        for (found, frame) in found.iter().zip(&right.predictions) {
            assert!(largest_difference(found, &frame.probabilities) < 1e-6);
        }

        let mut off = right.clone();
        off.predictions[3].probabilities[1] += 3e-4;
        let error = verdict(&off).unwrap_err().to_string();
        assert!(
            error.contains("3.png") && error.contains("differs"),
            "{error}"
        );

        let mut other = right.clone();
        other.predictions[2].predicted = (right.predictions[2].predicted + 1) % 3;
        let predicted = other.predictions[2].predicted;
        let best = arg_max(&right.predictions[2].probabilities);
        // The run had ranked another class slightly higher.
        let top = right.predictions[2].probabilities[best];
        other.predictions[2].probabilities[predicted] = top + 5e-5;
        let error = verdict(&other).unwrap_err().to_string();
        assert!(error.contains("2.png"), "{error}");

        let mut renamed = WrittenModel {
            recipe: written.recipe.clone(),
            ..written
        };
        renamed.recipe.labels.swap(0, 1);
        let verified = verify(dir.path(), "the run", &renamed, &open, &right, &Work::new());
        let error = verified.unwrap_err().to_string();
        assert!(
            error.contains(renamed.file) && error.contains("labels"),
            "{error}"
        );

        let mut broken = right;
        broken.predictions[1].probabilities[0] = f32::NAN;
        assert!(verdict(&broken).is_err());
    }
}
