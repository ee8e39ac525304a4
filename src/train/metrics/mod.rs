//! Measurements over the steps of a training: any number of series, each with a tag, a side and a kind.
//!
//! The loop [measures](Measured) at the points of its curves. The measurements are logged in the run's folder, and
//! during the training also in [`LiveCurves`](super::LiveCurves). [`Metrics`] has them sorted by series, for plots and
//! comparisons.

mod histogram;
mod log;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::CurvePoint;

pub use histogram::{Bucket, Histogram};
pub(super) use log::{read, to_lines};

/// Tag of accuracies, 0..=1, as in `retrain.py`.
pub const ACCURACY: &str = "accuracy";
/// Tag of mean cross-entropies, nats, as in `retrain.py`.
pub const CROSS_ENTROPY: &str = "cross_entropy";
/// Tag of the learning rate of the last step, before factors for single tensors.
pub const LEARNING_RATE: &str = "learning_rate";
/// Tag of the norm of the last step's gradient over all weights, before clipping.
pub const GRADIENT_NORM: &str = "gradient_norm";

/// The prefix of the names of weights in the tags of their histograms.
pub const WEIGHTS: &str = "weights";
/// Tag of the histogram of the head's inputs on the validation images.
pub const FEATURES: &str = "activations/features";
/// Tag of the histogram of the logits of the validation images.
pub const LOGITS: &str = "activations/logits";
/// Tag of the histogram of the probabilities of the validation images.
pub const PROBABILITIES: &str = "activations/probabilities";

/// The side that a series was measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricSide {
    /// Training images.
    Train,
    /// Validation images.
    Validation,
    /// The training itself, without images: rates, weights, gradients.
    Run,
}

/// The kind of a series' values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MetricKind {
    /// Numbers.
    Scalar,
    /// Distributions of numbers.
    Histogram,
    /// Images; only in event files.
    Image,
}

/// A series: a quantity measured on a side.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Series {
    /// The quantity: `accuracy`, `accuracy/<class>`, `weights/<tensor>`.
    pub tag: String,
    /// The side.
    pub side: MetricSide,
}

impl Series {
    /// The series with this tag and side.
    #[must_use]
    pub fn new(tag: impl Into<String>, side: MetricSide) -> Self {
        let tag = tag.into();
        Self { tag, side }
    }
}

/// A value of a series at a step.
#[derive(Debug, Clone, PartialEq)]
pub struct At<T> {
    /// Steps done.
    pub step: u32,
    /// Seconds of training since the start of the run, without pauses.
    pub secs: f64,
    /// The value.
    pub value: T,
}

/// The measurements at one step, beside its [`CurvePoint`].
#[derive(Debug, Clone)]
pub struct Measured {
    /// Steps done.
    pub step: u32,
    /// Seconds of training since the start of the run, without pauses.
    pub secs: f64,
    /// The series of scalars, shared by all steps of a training.
    pub columns: Arc<[Series]>,
    /// A value for each column, NaN if it is missing; may be shorter than the columns.
    pub values: Vec<f32>,
    /// Histograms with their series.
    pub histograms: Vec<(Series, Histogram)>,
}

impl Measured {
    /// The available scalars with their series.
    pub fn scalars(&self) -> impl Iterator<Item = (&Series, f32)> {
        let all = self.columns.iter().zip(&self.values);
        all.filter(|(_, value)| value.is_finite())
            .map(|(series, value)| (series, *value))
    }
}

/// Points of the curves and other measurements, both in the order of their steps.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    pub points: Vec<CurvePoint>,
    pub measured: Vec<Arc<Measured>>,
}

/// All measurements of a training by series.
#[derive(Debug, Clone, Default)]
pub struct Metrics {
    scalars: BTreeMap<Series, Vec<At<f32>>>,
    histograms: BTreeMap<Series, Vec<At<Histogram>>>,
}

impl Metrics {
    /// From the points of the curves and the other measurements.
    #[must_use]
    pub fn of<'a>(points: &[CurvePoint], measured: impl IntoIterator<Item = &'a Measured>) -> Self {
        let mut metrics = Self::default();
        metrics.push_points(points);
        for measured in measured {
            metrics.push(measured);
        }
        metrics
    }

    /// Adds points of the curves, as scalars with the tags [`ACCURACY`] and [`CROSS_ENTROPY`].
    pub fn push_points(&mut self, points: &[CurvePoint]) {
        for side in [MetricSide::Train, MetricSide::Validation] {
            for tag in [ACCURACY, CROSS_ENTROPY] {
                let of_point = |point: &CurvePoint| {
                    let (accuracy, cross_entropy) = point.figures(side)?;
                    Some(At {
                        step: point.step,
                        secs: point.secs,
                        value: if tag == ACCURACY {
                            accuracy
                        } else {
                            cross_entropy
                        },
                    })
                };
                let mut new = points.iter().filter_map(of_point).peekable();
                if new.peek().is_some() {
                    let series = Series::new(tag, side);
                    self.scalars.entry(series).or_default().extend(new);
                }
            }
        }
    }

    /// Adds the measurements of a later step.
    pub fn push(&mut self, measured: &Measured) {
        let (step, secs) = (measured.step, measured.secs);
        for (series, value) in measured.scalars() {
            add(&mut self.scalars, series, At { step, secs, value });
        }
        for (series, value) in &measured.histograms {
            let value = value.clone();
            add(&mut self.histograms, series, At { step, secs, value });
        }
    }

    /// The scalars of a series, by step; empty if it does not exist.
    #[must_use]
    pub fn scalars(&self, series: &Series) -> &[At<f32>] {
        self.scalars.get(series).map_or(&[], Vec::as_slice)
    }

    /// The histograms of a series, by step; empty if it does not exist.
    #[must_use]
    pub fn histograms(&self, series: &Series) -> &[At<Histogram>] {
        self.histograms.get(series).map_or(&[], Vec::as_slice)
    }

    /// All series with their kinds, by tag.
    pub fn series(&self) -> impl Iterator<Item = (&Series, MetricKind)> {
        let scalars = self.scalars.keys();
        let histograms = self.histograms.keys();
        scalars
            .map(|series| (series, MetricKind::Scalar))
            .chain(histograms.map(|series| (series, MetricKind::Histogram)))
    }
}

fn add<T>(to: &mut BTreeMap<Series, Vec<At<T>>>, series: &Series, at: At<T>) {
    // Names are copied only for the first value.
    match to.get_mut(series) {
        Some(values) => values.push(at),
        None => {
            to.insert(series.clone(), vec![at]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scalars_come_by_series_and_what_was_not_measured_is_left_out() {
        let point = |step, validation| CurvePoint {
            step,
            secs: f64::from(step) / 10.0,
            train_accuracy: 0.5,
            train_cross_entropy: 0.75,
            validation_accuracy: validation,
            validation_cross_entropy: validation.map(|value| value + 1.0),
        };
        let columns: Arc<[Series]> = Arc::new([
            Series::new(LEARNING_RATE, MetricSide::Run),
            Series::new("accuracy/cat", MetricSide::Validation),
        ]);
        let measured = |step, values: &[f32]| Measured {
            step,
            secs: f64::from(step) / 10.0,
            columns: columns.clone(),
            values: values.to_vec(),
            histograms: Vec::new(),
        };
        let metrics = Metrics::of(
            &[point(10, None), point(20, Some(0.25))],
            &[
                measured(10, &[0.1]),
                measured(20, &[0.2, 1.0]),
                measured(30, &[f32::NAN, 0.5]),
            ],
        );
        let of = |tag: &str, side| -> Vec<(u32, f32)> {
            let values = metrics.scalars(&Series::new(tag, side)).iter();
            values.map(|at| (at.step, at.value)).collect()
        };
        assert_eq!(of(ACCURACY, MetricSide::Train), [(10, 0.5), (20, 0.5)]);
        assert_eq!(of(CROSS_ENTROPY, MetricSide::Validation), [(20, 1.25)]);
        assert_eq!(of(LEARNING_RATE, MetricSide::Run), [(10, 0.1), (20, 0.2)]);
        assert_eq!(
            of("accuracy/cat", MetricSide::Validation),
            [(20, 1.0), (30, 0.5)]
        );
        assert_eq!(of(LEARNING_RATE, MetricSide::Train), []);
        assert_eq!(metrics.series().count(), 6);
    }
}
