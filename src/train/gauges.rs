//! Measurements at the points of the curves, beside accuracy and cross-entropy.

use std::sync::Arc;

use crate::onnx::{OnnxError, Tensor};

use super::batches::{Batches, LabelledFrames};
use super::checkpoint::Place;
use super::evaluation::ImageFigures;
use super::metrics::{
    ACCURACY, FEATURES, GRADIENT_NORM, Histogram, LEARNING_RATE, LOGITS, Measured, MetricSide,
    PROBABILITIES, Series, WEIGHTS,
};
use super::optimizer::Weight;
use super::recipe::Recipe;

/// The most evaluations with accuracies of single classes: enough for a curve. A training of millions of steps would
/// fill the disk with them.
const MOST_BY_CLASS: u32 = 1_000;

/// The most steps with histograms: enough to see a distribution change, and at most a few percent of the time.
const MOST_HISTOGRAMS: u32 = 50;

/// Which measurements are made in a training, and when.
pub(super) struct Gauges {
    columns: Arc<[Series]>,
    recipe: Recipe,
    steps: u32,
    /// Steps between measurements of single classes; `None` for none.
    by_class_every: Option<u32>,
    /// Steps between histograms; `None` for none.
    histograms_every: Option<u32>,
    /// The histogram of the head's input, if that is constant.
    features: Option<Histogram>,
}

impl Gauges {
    /// The measurements of a training of `steps` steps, with these names of classes.
    pub(super) fn new(recipe: &Recipe, classes: &[String], steps: u32) -> Self {
        let run = [LEARNING_RATE, GRADIENT_NORM].map(|tag| Series::new(tag, MetricSide::Run));
        let of_class = |name: &String| {
            let tag = format!("{ACCURACY}/{name}");
            Series::new(tag, MetricSide::Validation)
        };
        let apart = |most| apart(steps, most, recipe.validate_every);
        Self {
            columns: run
                .into_iter()
                .chain(classes.iter().map(of_class))
                .collect(),
            recipe: recipe.clone(),
            steps,
            by_class_every: (!classes.is_empty()).then(|| apart(MOST_BY_CLASS)),
            histograms_every: recipe.measures.histograms.then(|| apart(MOST_HISTOGRAMS)),
            features: None,
        }
    }

    fn is_due(&self, every: Option<u32>, step: u32) -> bool {
        every.is_some_and(|every| step.is_multiple_of(every) || step >= self.steps)
    }

    /// Whether histograms are made after a step.
    pub(super) fn makes_histograms(&self, step: u32) -> bool {
        self.is_due(self.histograms_every, step)
    }

    /// Histograms of weights.
    pub(super) fn of_weights(
        weights: &[Weight],
        tensors: &[Tensor],
    ) -> Result<Vec<(Series, Histogram)>, OnnxError> {
        let mut made = Vec::with_capacity(weights.len());
        for (weight, tensor) in weights.iter().zip(tensors) {
            let name = match weight.name.as_str() {
                // The head alone and the head of a network have the same series.
                "w" => "logits.weight",
                "b" => "logits.bias",
                "hidden.w" => "logits.hidden.weight",
                "hidden.b" => "logits.hidden.bias",
                name => name,
            };
            let series = Series::new(format!("{WEIGHTS}/{name}"), MetricSide::Run);
            made.extend(Histogram::of(tensor.f32()?).map(|histogram| (series, histogram)));
        }
        Ok(made)
    }

    /// Histograms of the head's input, of its logits, and of the probabilities, if activations were collected.
    pub(super) fn of_activations(
        &mut self,
        figures: &ImageFigures,
        batches: &dyn Batches,
    ) -> Result<Vec<(Series, Histogram)>, OnnxError> {
        let [features, logits] = &figures.activations;
        if logits.is_empty() {
            return Ok(Vec::new());
        }
        let images = figures.correct.len().max(1);
        let features = if features.is_empty() {
            if self.features.is_none() {
                let held = batches.features()?;
                self.features = held.and_then(Histogram::of);
            }
            self.features.clone()
        } else {
            Histogram::of(features)
        };
        let probabilities = softmax(logits, logits.len() / images);
        let made = [
            (FEATURES, features),
            (LOGITS, Histogram::of(logits)),
            (PROBABILITIES, Histogram::of(&probabilities)),
        ];
        let made = made.into_iter().filter_map(|(tag, histogram)| {
            let series = Series::new(tag, MetricSide::Validation);
            histogram.map(|histogram| (series, histogram))
        });
        Ok(made.collect())
    }

    /// All measurements at this point of the training; `validation` are the outputs of the current weights on all
    /// validation images, if they were evaluated.
    pub(super) fn read(
        &self,
        place: &Place,
        side: &LabelledFrames,
        validation: Option<&ImageFigures>,
    ) -> Measured {
        let rate = self.recipe.optimization.rate.at(place.step, self.steps);
        let mut values = vec![rate as f32, place.gradient_norm.unwrap_or(f32::NAN)];
        if let Some(figures) = validation
            && self.is_due(self.by_class_every, place.step)
        {
            let classes = self.columns.len() - values.len();
            values.extend(accuracy_by_class(&figures.correct, &side.y, classes));
        }
        Measured {
            step: place.step,
            secs: place.secs,
            columns: Arc::clone(&self.columns),
            values,
            histograms: Vec::new(),
        }
    }
}

/// The softmax of logits, `classes` for each image.
pub(super) fn softmax(logits: &[f32], classes: usize) -> Vec<f32> {
    let of_image = |logits: &[f32]| {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let powers: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
        let sum: f32 = powers.iter().sum();
        powers.into_iter().map(move |power| power / sum)
    };
    logits.chunks(classes.max(1)).flat_map(of_image).collect()
}

/// Steps between measurements, a multiple of `every`, such that there are at most `most` in total.
fn apart(steps: u32, most: u32, every: u32) -> u32 {
    let every = every.max(1);
    let least = steps.div_ceil(most.max(1)).max(1);
    least.div_ceil(every).saturating_mul(every)
}

/// The accuracy on the images of each class, 0..=1; NaN for a class without any.
fn accuracy_by_class(correct: &[f32], y: &[i64], classes: usize) -> Vec<f32> {
    let mut sums = vec![(0.0_f64, 0_u32); classes];
    for (correct, class) in correct.iter().zip(y) {
        let class = usize::try_from(*class).ok();
        if let Some((right, images)) = class.and_then(|class| sums.get_mut(class)) {
            *right += f64::from(*correct);
            *images += 1;
        }
    }
    let accuracy = |(right, images): (f64, u32)| (right / f64::from(images)) as f32;
    sums.into_iter().map(accuracy).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_measured_one_by_one() {
        let found = accuracy_by_class(&[1.0, 0.0, 1.0, 1.0, 0.0], &[0, 0, 2, 2, 2], 3);
        assert_eq!((found[0], found[1].is_nan()), (0.5, true));
        assert!((found[2] - 2.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn probabilities_of_an_image_sum_up_to_one() {
        let found = softmax(&[0.0, 2.0_f32.ln(), 500.0, 500.0], 2);
        for (found, expected) in found.iter().zip([1.0 / 3.0, 2.0 / 3.0, 0.5, 0.5]) {
            assert!((found - expected).abs() < 1e-6);
        }
    }

    #[test]
    fn there_are_at_most_so_many_measurements_all_at_evaluations() {
        for (steps, every, expected) in [
            (4_000, 10, 10),
            (100_000, 10, 100),
            (1_001, 1, 2),
            (50, 30, 30),
        ] {
            let found = apart(steps, 1_000, every);
            assert_eq!(found, expected);
            assert!(found.is_multiple_of(every) && steps / found <= 1_000);
        }
    }
}
