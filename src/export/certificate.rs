//! `certificate.json`: the results of each model of an export on the whole test set, compared with the run.

use serde::{Deserialize, Serialize};

use crate::evaluate::{Evaluation, Paired, arg_max};
use crate::project::Split;

use super::format::Acceptance;
use super::latency::Latency;
use super::verify::largest_difference;
use super::{ExportError, Search, WrittenModel};

/// Its name.
pub(super) const FILE: &str = "certificate.json";

/// Version of the JSON layout.
const SCHEMA: u32 = 1;

/// The results of all models of an export.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// Version of this layout.
    pub schema: u32,
    /// The program and its version: "Salamander 0.1.0".
    pub program: String,
    /// The run.
    pub run: String,
    /// The side whose frames were used: `test`; without test frames `validation`; without those `train`.
    pub split: String,
    /// How many frames.
    pub frames: u64,
    /// How the 95 % intervals were computed.
    pub interval: String,
    /// The runtime, and the computer on which latencies were measured.
    pub runtime: String,
    /// The size in bytes of the model with all weights in fp32, with which sizes are compared.
    pub fp32_bytes: u64,
    /// One for each model.
    pub models: Vec<ModelCertificate>,
}

/// The results of one model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModelCertificate {
    /// Its file or folder.
    pub file: String,
    /// The name of its format.
    pub format: String,
    /// What the model was verified with.
    pub proof: String,
    /// The requirements that it had to meet.
    pub acceptance: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// Its size divided by `fp32_bytes`.
    pub size_ratio: f64,
    /// Top-1 accuracy of the run on the frames, 0..=1.
    pub run_top1: f64,
    /// Top-1 accuracy of the model on the same frames, 0..=1.
    pub top1: f64,
    /// `top1` minus `run_top1`; negative is a loss.
    pub top1_difference: f64,
    /// The 95 % interval of that difference, for paired answers.
    pub top1_difference_95: [f64; 2],
    /// Fraction of the frames with the same top-1 class as the run, 0..=1.
    pub top1_agreement: f64,
    /// Largest difference of any probability from the run's, 0..=1.
    pub max_probability_difference: f64,
    /// Frames that it classifies differently from the run.
    pub flips: Vec<Flip>,
    /// The latency for one image on this computer.
    pub latency: Option<Latency>,
    /// The loss of accuracy beyond the limit of its format, if the user accepted it.
    pub accepted_loss: Option<String>,
    /// How an int8 model was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub search: Option<Search>,
}

/// A frame that the model classifies differently from the run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flip {
    /// Its path, relative to the project's root.
    pub path: String,
    /// Its class.
    pub truth: String,
    /// The run's answer.
    pub run: TopClass,
    /// The model's answer.
    pub model: TopClass,
}

/// The most probable class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopClass {
    /// The class.
    pub class: String,
    /// Its probability.
    pub probability: f32,
}

impl Certificate {
    /// A certificate without models.
    pub(super) fn new(run: &str, reference: &Evaluation, runtime: String, fp32_bytes: u64) -> Self {
        Self {
            schema: SCHEMA,
            program: format!("Salamander {}", env!("CARGO_PKG_VERSION")),
            run: run.to_owned(),
            split: match reference.split {
                Split::Test => "test",
                Split::Validation => "validation",
                Split::Train => "train",
            }
            .to_owned(),
            frames: reference.predictions.len() as u64,
            interval: "95 %, paired, Newcombe 1998 (Statistics in Medicine 17, 2635-2650), method 10; images assumed independent".into(),
            runtime,
            fp32_bytes,
            models: Vec::new(),
        }
    }

    /// The contents of the file.
    pub(super) fn to_text(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

impl ModelCertificate {
    /// For a model of `bytes` bytes with these probabilities for the frames of `reference`.
    pub(super) fn new(
        model: &WrittenModel,
        bytes: u64,
        fp32_bytes: u64,
        reference: &Evaluation,
        found: &[Vec<f32>],
    ) -> Self {
        let name = |class: usize| reference.classes.get(class).cloned().unwrap_or_default();
        let mut paired = Paired::default();
        let mut largest = 0.0_f64;
        let mut flips = Vec::new();
        for (frame, found) in reference.predictions.iter().zip(found) {
            let top = arg_max(found);
            paired.count(frame.predicted == frame.truth, top == frame.truth);
            largest = largest.max(largest_difference(found, &frame.probabilities));
            if top != frame.predicted {
                flips.push(Flip {
                    path: frame.path.clone(),
                    truth: name(frame.truth),
                    run: TopClass {
                        class: name(frame.predicted),
                        probability: frame.confidence(),
                    },
                    model: TopClass {
                        class: name(top),
                        probability: found.get(top).copied().unwrap_or(0.0),
                    },
                });
            }
        }
        let [run_top1, top1] = paired.accuracies().unwrap_or_default();
        let frames = reference.predictions.len().max(1);
        Self {
            file: model.file.to_owned(),
            format: model.format.name().to_owned(),
            proof: model.format.proof().to_owned(),
            acceptance: model.format.acceptance().to_string(),
            bytes,
            size_ratio: bytes as f64 / fp32_bytes.max(1) as f64,
            run_top1,
            top1,
            top1_difference: top1 - run_top1,
            top1_difference_95: paired.difference_95().unwrap_or_default(),
            top1_agreement: 1.0 - flips.len() as f64 / frames as f64,
            max_probability_difference: largest,
            flips,
            latency: None,
            accepted_loss: None,
            search: None,
        }
    }

    /// Checks the requirements of the model's format. A loss of accuracy beyond them is only recorded if `accept` is
    /// set.
    ///
    /// # Errors
    /// [`ExportError::Loses`] with the figures, if they are not met.
    pub(super) fn judge(
        &mut self,
        acceptance: Acceptance,
        frames: u64,
        accept: bool,
    ) -> Result<(), ExportError> {
        let Acceptance::Agreement { same_top1, loss } = acceptance else {
            return Ok(());
        };
        let mut reasons = Vec::new();
        // Among few frames, one may always differ.
        let allowed = ((1.0 - same_top1) * frames as f64 - 1e-6).ceil();
        if self.flips.len() as f64 > allowed {
            reasons.push(format!(
                "{} of {frames} images get a different answer, but only {allowed} may ({:.1} % must be unchanged)",
                self.flips.len(),
                same_top1 * 100.0
            ));
        }
        let [low, high] = self.top1_difference_95.map(|part| part * 100.0);
        let points = -self.top1_difference * 100.0;
        if points > loss * 100.0 {
            reasons.push(format!(
                "top-1 is {points:.1} points lower ({:.1} % instead of {:.1} %), where {:.1} are allowed",
                self.top1 * 100.0,
                self.run_top1 * 100.0,
                loss * 100.0
            ));
        } else if high < 0.0 {
            reasons.push(format!(
                "top-1 is significantly lower, by {points:.1} points (95 % interval {low:.1} to {high:.1})"
            ));
        }
        if reasons.is_empty() {
            return Ok(());
        }
        let reason = reasons.join("; ");
        if accept {
            self.accepted_loss = Some(reason);
            return Ok(());
        }
        Err(ExportError::Loses {
            model: self.file.clone(),
            reason,
        })
    }
}

impl std::fmt::Display for Acceptance {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SameTop1 { tolerance } => write!(
                f,
                "the same top-1 on every image, probabilities within {tolerance:.0e}"
            ),
            Self::Agreement { same_top1, loss } => write!(
                f,
                "the same top-1 on {:.1} % of the images; top-1 accuracy at most {:.1} points lower, and not significantly so",
                same_top1 * 100.0,
                loss * 100.0
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::evaluate::{Confusion, FramePrediction};
    use crate::export::Format;
    use crate::export::model::tests::small_model;

    const ACCEPTANCE: Acceptance = Acceptance::FP16;

    /// The certificate of a model that differs from the run on the first `lost` of `frames` frames, which the run
    /// classifies correctly, and on `gained` more, which the run classifies wrongly.
    fn certificate(frames: usize, lost: usize, gained: usize) -> ModelCertificate {
        let predictions: Vec<FramePrediction> = (0..frames)
            .map(|index| FramePrediction {
                path: format!("{index}.png"),
                group: String::new(),
                truth: usize::from((lost..lost + gained).contains(&index)),
                predicted: 0,
                probabilities: vec![0.6, 0.4],
            })
            .collect();
        let found: Vec<Vec<f32>> = (0..frames)
            .map(|index| {
                if index < lost + gained {
                    vec![0.45, 0.55]
                } else {
                    vec![0.601, 0.399]
                }
            })
            .collect();
        let reference = Evaluation {
            classes: ["a", "b"].map(str::to_owned).to_vec(),
            split: Split::Test,
            predictions,
            confusion: Confusion::default(),
            relabelled: 0,
            changed: 0,
            missing: 0,
            notes: Vec::new(),
        };
        let format = Format::ONNX_FP16;
        let model = WrittenModel {
            format,
            file: format.file(),
            recipe: small_model().recipe(crate::evaluate::InputKind::Uint8Nhwc),
        };
        ModelCertificate::new(&model, 500, 1000, &reference, &found)
    }

    #[test]
    fn figures_are_those_of_the_frames() {
        let found = certificate(400, 1, 2);
        assert!((found.run_top1 - 398.0 / 400.0).abs() < 1e-12);
        assert!((found.top1 - 399.0 / 400.0).abs() < 1e-12);
        assert!((found.top1_agreement - 397.0 / 400.0).abs() < 1e-12);
        assert!((found.size_ratio - 0.5).abs() < 1e-12);
        assert!((found.max_probability_difference - 0.15).abs() < 1e-6);
        assert_eq!(found.flips.len(), 3);
        let [low, high] = found.top1_difference_95;
        assert!(low < 0.0 && high > 0.0);
        let flip = &found.flips[1];
        assert_eq!(flip.path, "1.png");
        assert_eq!((flip.truth.as_str(), flip.run.class.as_str()), ("b", "a"));
        assert_eq!(
            (flip.model.class.as_str(), flip.model.probability),
            ("b", 0.55)
        );
    }

    #[test]
    fn a_loss_is_refused_or_recorded() {
        let judged = |frames, lost, gained| {
            let mut certificate = certificate(frames, lost, gained);
            certificate.judge(ACCEPTANCE, frames as u64, false)
        };
        judged(400, 1, 1).unwrap();
        judged(30, 0, 1).unwrap();
        let refused = |frames, lost, gained| judged(frames, lost, gained).unwrap_err().to_string();
        let flips = refused(400, 1, 2);
        assert!(
            flips.contains("3 of 400 images") && flips.contains("--accept-loss"),
            "{flips}"
        );
        let loss = refused(1000, 11, 0);
        assert!(loss.contains("1.1 points lower"), "{loss}");
        let significant = refused(2000, 10, 0);
        assert!(significant.contains("significantly"), "{significant}");

        let mut accepted = certificate(1000, 11, 0);
        accepted.judge(ACCEPTANCE, 1000, true).unwrap();
        assert!(accepted.accepted_loss.unwrap().contains("1.1 points"));
    }
}
