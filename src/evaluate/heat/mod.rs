//! Heat maps: the places of an image that speak for a class, and those against it.

mod baseline;
mod files;
mod paint;
#[cfg(test)]
mod tests;

pub use files::{HeatFile, write_heat_maps};
pub use paint::{NEGATIVE, POSITIVE, heat_color};

use image::RgbImage;

use crate::backbone::{Cells, FeatureMap, FeatureMaps, Preprocessing};
use crate::jobs::{Work, cores};
use crate::project::Project;
use crate::train::{Head, Run, RunClasses};

use super::EvaluateError;
use super::classifier::{Classifier, softmax};
use super::predict::{Prediction, ranked};

/// The last feature map of an image, and the resulting logits and probabilities.
#[derive(Debug, Clone)]
pub struct ForwardPass {
    map: FeatureMap,
    /// One for each class of the run.
    logits: Vec<f64>,
    /// One for each label, summing to 1.
    pub probabilities: Vec<f32>,
    /// The labels sorted by probability.
    pub prediction: Prediction,
}

/// The contribution of each place of an image to one class.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatMap {
    /// The index of its label.
    pub label: usize,
    /// The number of rows.
    pub rows: usize,
    /// The number of columns.
    pub columns: usize,
    /// For each cell, row by row, its contribution to the class's logit times the number of cells: positive for the
    /// class, negative against it. If maps are exact, their mean plus the bias is the logit.
    pub values: Vec<f32>,
    /// The part of the logit without a place: the logit of the baseline, or the class's bias without a baseline.
    pub bias: f32,
    /// The class's logit. For merged classes, bias and logit are means weighted by their probabilities.
    pub logit: f32,
    /// The positions of rows and columns in the network's square input.
    cells: [Cells; 2],
    preprocessing: Preprocessing,
}

/// A run prepared for heat maps.
pub struct HeatMapper {
    maps: FeatureMaps,
    classifier: Classifier,
    /// The calibrated head.
    head: Head,
    classes: RunClasses,
    preprocessing: Preprocessing,
    unknown_below: Option<f32>,
    /// The baseline of maps; `None` for a feature map of zeros.
    baseline: Option<FeatureMap>,
}

impl HeatMapper {
    /// Prepares a run, with the current names of its classes, for maps of what distinguishes an image from the mean of
    /// the training images. The mean is stored in the project's cache; the first time it takes some 2 s. A single
    /// image uses all cores.
    ///
    /// # Errors
    /// The run cannot be read, its architecture does not support heat maps, or the work is cancelled.
    pub fn of_run(project: &Project, run: &Run, work: &Work) -> Result<Self, EvaluateError> {
        let mut mapper = Self::plain(project, run)?;
        mapper.compare(project, run, work)?;
        Ok(mapper)
    }

    /// From now on, uses the mean of the training images as the baseline.
    ///
    /// # Errors
    /// As for [`HeatMapper::of_run`].
    pub fn compare(
        &mut self,
        project: &Project,
        run: &Run,
        work: &Work,
    ) -> Result<(), EvaluateError> {
        self.baseline = baseline::mean_map(project, run, &mut self.maps, work)?;
        Ok(())
    }

    /// Prepares plain class activation maps, with a feature map of zeros as the baseline.
    ///
    /// # Errors
    /// As for [`HeatMapper::of_run`].
    pub fn plain(project: &Project, run: &Run) -> Result<Self, EvaluateError> {
        let classes = RunClasses::of(project, run);
        let maps = FeatureMaps::new(
            &run.settings.architecture,
            &run.preprocessing,
            run.fine_tuned()?.as_ref(),
            cores(),
        )?;
        Ok(Self {
            classifier: Classifier::of_run(run, maps.dim())?,
            head: run.calibrated_head()?,
            classes,
            preprocessing: run.preprocessing.clone(),
            unknown_below: run.unknown_below()?,
            baseline: None,
            maps,
        })
    }

    /// The labels.
    #[must_use]
    pub fn classes(&self) -> &[String] {
        &self.classes.labels
    }

    /// The index of the label called `class`.
    ///
    /// # Errors
    /// [`EvaluateError::NoClass`] if there is none.
    pub fn label(&self, class: &str) -> Result<usize, EvaluateError> {
        let at = self.classes.labels.iter().position(|label| label == class);
        at.ok_or_else(|| EvaluateError::NoClass {
            class: class.to_owned(),
            known: self.classes.labels.join(", "),
        })
    }

    /// Whether maps are exact instead of weighted by a gradient, see [`FeatureMaps::is_exact`]; those of a head with a
    /// hidden layer are weighted by its gradient.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.maps.is_exact() && self.head.hidden.is_none()
    }

    /// Runs the network on an image. The probabilities are those of [`Predictor`](super::Predictor); maps of all
    /// classes are then computed without running it again.
    pub fn forward(&mut self, image: &RgbImage) -> Result<ForwardPass, EvaluateError> {
        let map = self.maps.extract(image)?;
        let logits = self.classifier.logits(&map.bottleneck);
        let probabilities = self.classes.fold(softmax(&logits));
        Ok(ForwardPass {
            prediction: ranked(&self.classes.labels, &probabilities, self.unknown_below),
            map,
            logits,
            probabilities,
        })
    }

    /// The heat map of a label. Classes that were merged into it are weighted by their probabilities, as in the
    /// derivative of the logarithm of their sum.
    pub fn map(&mut self, seen: &ForwardPass, label: usize) -> Result<HeatMap, EvaluateError> {
        let of_label = self.classes.label_of.iter().enumerate();
        let members = of_label.filter(|(_, of)| **of == label);
        let members: Vec<usize> = members.map(|(class, _)| class).collect();
        let logit = |class: &usize| seen.logits.get(*class).copied().unwrap_or(0.0);
        let logits: Vec<f64> = members.iter().map(logit).collect();
        let shares = softmax(&logits);
        let (mut bias, mut mean_logit) = (0.0, 0.0);
        for ((class, logit), share) in members.iter().zip(&logits).zip(&shares) {
            bias += share * self.head.b.get(*class).copied().unwrap_or(0.0);
            mean_logit += f64::from(*share) * logit;
        }
        let shares: Vec<(usize, f32)> = members.into_iter().zip(shares).collect();
        let column = self.head.slope(&seen.map.bottleneck, &shares);
        let product = |x: &[f32]| {
            let pairs = x.iter().zip(&column);
            pairs
                .map(|(x, w)| f64::from(*x) * f64::from(*w))
                .sum::<f64>()
        };
        let mut bias = f64::from(bias);
        if self.head.hidden.is_some() {
            // The head is linear only around this image; the rest of the logit has no place.
            bias = mean_logit - product(&seen.map.bottleneck);
        }
        let (rows, columns) = self.maps.size();
        let baseline = self.baseline.as_ref();
        let of_baseline = baseline.map_or(0.0, |mean| product(&mean.bottleneck));
        Ok(HeatMap {
            label,
            rows,
            columns,
            values: self.maps.weigh(&seen.map, &column, baseline)?,
            bias: (bias + of_baseline) as f32,
            logit: mean_logit as f32,
            cells: self.maps.cells(),
            preprocessing: self.preprocessing.clone(),
        })
    }
}

impl HeatMap {
    /// The lowest and the highest of its values.
    #[must_use]
    pub fn range(&self) -> (f32, f32) {
        let fold =
            |first: f32, pick: fn(f32, f32) -> f32| self.values.iter().copied().fold(first, pick);
        (
            fold(f32::INFINITY, f32::min),
            fold(f32::NEG_INFINITY, f32::max),
        )
    }

    /// The largest absolute value, which gets the strongest colour.
    #[must_use]
    pub fn limit(&self) -> f32 {
        self.values
            .iter()
            .fold(0.0, |most, value| most.max(value.abs()))
    }
}
