//! Predicts new images and videos with a run or an export.

use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::backbone::Extractor;
use crate::jobs::{Work, cores};
use crate::train::{Run, RunClasses};

use super::classifier::Classifier;
use super::{EvaluateError, Runner};

/// One class of a prediction.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassProbability {
    /// The class.
    pub class: String,
    /// Softmax output, 0..=1.
    pub probability: f32,
}

/// The classes of one image, most probable first.
#[derive(Debug, Clone, PartialEq)]
pub struct Prediction {
    /// All classes, most probable first; equal ones in the order of the classes.
    pub top: Vec<ClassProbability>,
    /// Whether the highest probability is below the model's threshold for unknown images; `None` if it has no
    /// threshold.
    pub unknown: Option<bool>,
}

enum Model {
    Run(Box<Extractor>, Classifier, RunClasses),
    /// The runner of an exported model, and its path for messages.
    Written(Box<dyn Runner>, PathBuf),
}

/// A model for predictions: backbone and head, or an exported model.
pub struct Predictor {
    model: Model,
    classes: Vec<String>,
    /// The threshold for unknown images: those whose highest probability is below it; `None` if there is none.
    pub unknown_below: Option<f32>,
}

/// The tolerance of a sum of 1 and of the range 0..=1: errors of half precision are smaller.
const SLACK: f32 = 0.02;

/// Checks the output of a model file, which may come from anywhere.
fn are_probabilities(values: &[f32]) -> bool {
    let sum: f32 = values.iter().sum();
    // Also false for NaN.
    let are_between = |value: &f32| (-SLACK..=1.0 + SLACK).contains(value);
    values.iter().all(are_between) && (sum - 1.0).abs() <= SLACK
}

/// The classes sorted by probability, and whether the first is below the threshold.
pub(super) fn ranked(
    classes: &[String],
    probabilities: &[f32],
    unknown_below: Option<f32>,
) -> Prediction {
    let mut top: Vec<_> = classes
        .iter()
        .zip(probabilities)
        .map(|(class, probability)| ClassProbability {
            class: class.clone(),
            probability: *probability,
        })
        .collect();
    top.sort_by(|a, b| b.probability.total_cmp(&a.probability));
    let first = top.first().map_or(0.0, |class| class.probability);
    let unknown = unknown_below.map(|threshold| first < threshold);
    Prediction { top, unknown }
}

impl Predictor {
    /// Predicts with a run, with the current names of its classes. A single image uses all cores.
    pub fn from_run(run: &Run, classes: RunClasses) -> Result<Self, EvaluateError> {
        let extractor = Extractor::with_threads(
            &run.settings.architecture,
            &run.preprocessing,
            run.fine_tuned()?.as_ref(),
            cores(),
        )?;
        let classifier = Classifier::of_run(run, extractor.dim())?;
        Ok(Self {
            unknown_below: run.unknown_below()?,
            classes: classes.labels.clone(),
            model: Model::Run(Box::new(extractor), classifier, classes),
        })
    }

    /// Predicts with a model of any format, exported to `path`.
    #[must_use]
    pub fn from_runner(model: Box<dyn Runner>, path: &Path) -> Self {
        Self {
            unknown_below: model.recipe().unknown_below,
            classes: model.recipe().labels.clone(),
            model: Model::Written(model, path.to_owned()),
        }
    }

    /// Class names in the order of the model's output.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes
    }

    /// Probabilities of one image, in the order of [`Predictor::classes`]; stopped immediately if `work` is cancelled.
    pub fn probabilities(
        &mut self,
        image: &RgbImage,
        work: &Work,
    ) -> Result<Vec<f32>, EvaluateError> {
        match &mut self.model {
            Model::Run(extractor, classifier, classes) => {
                let found = classes.fold(classifier.probabilities(&extractor.extract(image)?));
                if found.iter().all(|probability| probability.is_finite()) {
                    Ok(found)
                } else {
                    Err(EvaluateError::NoProbabilities)
                }
            }
            Model::Written(model, path) => {
                let input = model.recipe().tensor(image);
                let found = model.run_until_cancelled(&input, work)?;
                if are_probabilities(&found) {
                    Ok(found)
                } else {
                    Err(EvaluateError::NoExport {
                        path: path.clone(),
                        reason:
                            "its outputs are not probabilities between 0 and 1 that add up to 1"
                                .into(),
                    })
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::backbone::{Architecture, Fit};
    use crate::evaluate::{InputKind, Recipe};
    use crate::onnx::Tensor;

    /// A model that always gives the same numbers.
    struct Fixed(Recipe, Vec<f32>);

    impl Runner for Fixed {
        fn recipe(&self) -> &Recipe {
            &self.0
        }

        fn run(&mut self, _: &Tensor) -> Result<Vec<f32>, EvaluateError> {
            Ok(self.1.clone())
        }
    }

    #[test]
    fn a_model_of_other_numbers_is_refused_by_its_name() {
        let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
        let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
        let labels = ["a", "b"].map(str::to_owned);
        let recipe = Recipe::new(InputKind::Uint8Nhwc, &preprocessing, &architecture, &labels);
        let image = RgbImage::new(8, 8);
        let predict = |numbers: Vec<f32>| {
            let model = Box::new(Fixed(recipe.clone(), numbers));
            Predictor::from_runner(model, Path::new("there/logits.onnx"))
                .probabilities(&image, &Work::new())
        };
        assert_eq!(predict(vec![0.25, 0.75]).unwrap(), [0.25, 0.75]);
        let message = predict(vec![3.0, -1.0]).unwrap_err().to_string();
        assert!(
            message.contains("there/logits.onnx") && message.contains("not probabilities"),
            "{message}"
        );
    }

    #[test]
    fn probabilities_are_told_from_other_numbers() {
        assert!(are_probabilities(&[0.25, 0.75, 0.0]));
        // Rounded as in half precision.
        assert!(are_probabilities(&[0.333, 0.333, 0.333]));
        assert!(!are_probabilities(&[]));
        assert!(!are_probabilities(&[f32::NAN, 1.0]));
        assert!(!are_probabilities(&[1e6, 1e6]));
        assert!(!are_probabilities(&[1.5, -0.5]));
        assert!(!are_probabilities(&[0.5, 0.2]));
    }
}
