//! The proof of an export: the file as it will be delivered, run on image files, against the run.

use std::path::Path;

use crate::backbone::in_parallel;
use crate::evaluate::{Evaluation, ExportedModel, arg_max, evaluate};
use crate::jobs::Work;
use crate::media::load_image;
use crate::project::{Project, Split};
use crate::train::Run;

use super::ExportError;

/// Probabilities of the exported model may differ by this much from the run's.
pub(super) const MAX_PROBABILITY_DIFFERENCE: f64 = 1e-4;

/// Two classes whose probabilities in the run differ by less are equal to within the last bits of `f32`; which of
/// them comes first says nothing.
const TIE: f32 = 1e-6;

/// What a proof found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Proof {
    /// Part of the frames with the same top-1 as the run.
    pub top1_agreement: f64,
    /// Largest difference of any probability.
    pub max_probability_difference: f64,
}

/// The run's own predictions to verify against: on the test frames, or without such on the validation frames, or on
/// the training frames; which is said in a warning.
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
                "There are no test frames, so the export was verified on the {} {instead} frames",
                evaluation.predictions.len()
            ));
        }
        return Ok(evaluation);
    }
    Err(ExportError::NothingToVerifyOn {
        run: run.id.0.clone(),
    })
}

/// Runs the model file on the image files (below `root`) of all frames of `reference`, which are what `run` predicts.
pub(super) fn verify(
    root: &Path,
    run: &str,
    model: &Path,
    reference: &Evaluation,
    work: &Work,
) -> Result<Proof, ExportError> {
    let frames = &reference.predictions;
    work.stage("Verifying the export", Some(frames.len() as u64));
    // What counts is what is on the disk, not what was meant to be written.
    let bytes = std::fs::read(model).map_err(ExportError::io("read", model))?;
    let mut same = 0_usize;
    let mut largest = 0.0_f64;
    in_parallel(
        frames.len(),
        work,
        || Ok::<_, ExportError>(ExportedModel::from_bytes(&bytes, model, 1)?),
        |exported, index| {
            let Some(frame) = frames.get(index) else {
                return Ok((true, 0.0));
            };
            let picture = load_image(&root.join(&frame.path))?;
            let found = exported.probabilities(&picture)?;
            let disagrees = |difference: String| ExportError::Disagrees {
                run: run.to_owned(),
                frame: frame.path.clone(),
                difference,
            };
            let difference = largest_difference(&found, &frame.probabilities);
            // Not a number is no agreement either.
            if difference.is_nan() || difference > MAX_PROBABILITY_DIFFERENCE {
                return Err(disagrees(format!(
                    "a probability differs by {difference:.1e}, more than {MAX_PROBABILITY_DIFFERENCE:.0e}"
                )));
            }
            let top = arg_max(&found);
            let of_top = frame.probabilities.get(top).copied().unwrap_or(0.0);
            if top != frame.predicted && frame.confidence() - of_top > TIE {
                return Err(disagrees("another class comes first".into()));
            }
            Ok((top == frame.predicted, difference))
        },
        |_, (agrees, difference)| {
            same += usize::from(agrees);
            largest = largest.max(difference);
            work.advance(1);
            Ok(())
        },
    )?;
    Ok(Proof {
        top1_agreement: same as f64 / frames.len().max(1) as f64,
        max_probability_difference: largest,
    })
}

/// The largest difference of two lists; not a number when one holds such, infinite when their lengths differ.
fn largest_difference(a: &[f32], b: &[f32]) -> f64 {
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

    use crate::evaluate::{Confusion, FramePrediction, InputKind};
    use crate::export::onnx;

    use super::*;

    #[test]
    fn only_a_model_that_agrees_passes() {
        let dir = tempfile::tempdir().unwrap();
        let bytes = onnx::tests::small_model(InputKind::Uint8Nhwc);
        let model = dir.path().join("model.onnx");
        std::fs::write(&model, &bytes).unwrap();
        let mut exported = ExportedModel::from_bytes(&bytes, &model, 1).unwrap();
        let predictions = (0..5_u8)
            .map(|number| {
                let picture = RgbImage::from_fn(120, 110, |x, y| {
                    let at = |speed: u32| ((x * speed + y * u32::from(number)) % 256) as u8;
                    image::Rgb([at(1), at(3), at(7)])
                });
                let path = format!("{number}.png");
                picture.save(dir.path().join(&path)).unwrap();
                let probabilities = exported.probabilities(&picture).unwrap();
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
        let verdict =
            |reference: &Evaluation| verify(dir.path(), "the run", &model, reference, &Work::new());
        let proof = verdict(&right).unwrap();
        assert!((proof.top1_agreement - 1.0).abs() < 1e-12);
        assert!(proof.max_probability_difference < 1e-6);

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
        // The run had put another class just in front.
        let top = right.predictions[2].probabilities[best];
        other.predictions[2].probabilities[predicted] = top + 5e-5;
        let error = verdict(&other).unwrap_err().to_string();
        assert!(error.contains("2.png"), "{error}");

        let mut broken = right;
        broken.predictions[1].probabilities[0] = f32::NAN;
        assert!(verdict(&broken).is_err());
    }
}
