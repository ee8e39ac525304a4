//! Curves for the plots: the options for drawing, and caches, so that the cost of a frame depends on its pixels, not
//! on the number of points.

pub mod axes;
mod figure;
mod filter;
mod line;
mod save;
mod track;

use std::borrow::Cow;
use std::collections::BTreeSet;

pub use figure::{Figure, FigureCurve, FigureError, FigureFormat, FigurePoints};
pub use filter::RunFilter;
pub use line::{Budget, Line, LineValue, Points};
pub use track::LineStretch;

pub use crate::train::MetricSide;

/// The quantity of the horizontal axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Axis {
    /// Steps.
    #[default]
    Step,
    /// Seconds of training.
    Time,
    /// Time of day: the start of the run plus the seconds of training since, as in its event files.
    Wall,
}

/// A quantity that is measured over the steps: a tag of event files.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Metric(Cow<'static, str>);

impl Metric {
    /// Fraction of the images classified correctly; drawn in per cent.
    pub const ACCURACY: Self = Self(Cow::Borrowed("accuracy"));
    /// Mean cross-entropy, nats.
    pub const CROSS_ENTROPY: Self = Self(Cow::Borrowed("cross_entropy"));

    /// The common prefix of the tags of the accuracies of single classes; as a tag, all of them together.
    pub const BY_CLASS: &str = "accuracy/";

    /// The quantity with this tag.
    #[must_use]
    pub fn new(tag: impl Into<Cow<'static, str>>) -> Self {
        Self(tag.into())
    }

    /// Its tag.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.0
    }

    /// Whether it is a fraction, drawn in per cent.
    #[must_use]
    pub fn is_percent(&self) -> bool {
        self.0 == "accuracy" || self.0.starts_with(Self::BY_CLASS)
    }

    /// The factor by which values are multiplied for drawing.
    #[must_use]
    pub fn scale(&self) -> f64 {
        if self.is_percent() { 100.0 } else { 1.0 }
    }

    /// Its name: “Cross-entropy”, “Learning rate”.
    #[must_use]
    pub fn title(&self) -> String {
        match &*self.0 {
            "cross_entropy" => "Cross-entropy".to_owned(),
            Self::BY_CLASS => "Accuracy by class".to_owned(),
            tag => {
                let words = tag.replace('_', " ");
                let mut letters = words.chars();
                let first = letters.next().into_iter().flat_map(char::to_uppercase);
                first.chain(letters).collect()
            }
        }
    }

    /// The name of its files, without extension.
    #[must_use]
    pub fn file_stem(&self) -> String {
        let allowed = |letter: char| letter.is_alphanumeric() || "_-".contains(letter);
        let letters = self.0.chars();
        letters
            .map(|letter| if allowed(letter) { letter } else { '-' })
            .collect()
    }

    /// A value as it is drawn (per cent for fractions), as text.
    #[must_use]
    pub fn text(&self, value: f64) -> String {
        if self.is_percent() {
            format!("{value:.1} %")
        } else if value == 0.0 || (1e-3..1e5).contains(&value.abs()) {
            let decimals = if value.abs() < 0.1 { 5 } else { 3 };
            format!("{value:.decimals$}")
        } else {
            format!("{value:.3e}")
        }
    }
}

/// The options for drawing curves.
#[derive(Debug, Clone, PartialEq)]
pub struct CurveView {
    /// Weight of earlier values in the smoothed line, 0 (none) to 0.99.
    pub smoothing: f64,
    /// The horizontal axis.
    pub axis: Axis,
    /// The quantities with a logarithmic scale.
    pub logs: BTreeSet<Metric>,
    /// Whether the vertical axis spans the values from the 5th to the 95th percentile only, as in `TensorBoard`.
    pub ignore_outliers: bool,
}

impl Default for CurveView {
    fn default() -> Self {
        Self {
            smoothing: 0.6,
            axis: Axis::Step,
            logs: BTreeSet::new(),
            ignore_outliers: false,
        }
    }
}

impl CurveView {
    /// Whether `metric` has a logarithmic scale.
    #[must_use]
    pub fn is_log(&self, metric: &Metric) -> bool {
        self.logs.contains(metric)
    }

    /// The same with or without a logarithmic scale for `metric`.
    #[must_use]
    pub fn with_log(&self, metric: &Metric, log: bool) -> Self {
        let mut view = self.clone();
        if log {
            view.logs.insert(metric.clone());
        } else {
            view.logs.remove(metric);
        }
        view
    }
}

/// The start time of a run (RFC 3339) as seconds since 1970; 0 if it cannot be read.
pub(super) fn unix(created: &str) -> f64 {
    created
        .parse::<jiff::Timestamp>()
        .map_or(0.0, |time| time.as_millisecond() as f64 / 1000.0)
}

/// The smallest value on a logarithmic scale for cross-entropy, nats.
const LOG_FLOOR: f64 = 1e-4;
/// The smallest value on a logarithmic scale for anything else: learning rates are small.
const LOG_FLOOR_SMALL: f64 = 1e-12;

impl Metric {
    /// The position of a value on the vertical axis: itself, or its decimal logarithm.
    #[must_use]
    pub fn height(&self, value: f64, log: bool) -> f64 {
        if log {
            value.max(self.log_floor()).log10()
        } else {
            value
        }
    }

    /// The smallest value on a logarithmic scale.
    #[must_use]
    pub fn log_floor(&self) -> f64 {
        if *self == Self::CROSS_ENTROPY || self.is_percent() {
            LOG_FLOOR
        } else {
            LOG_FLOOR_SMALL
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_metric_is_called_and_written_by_its_tag() {
        assert_eq!(Metric::ACCURACY.title(), "Accuracy");
        assert_eq!(Metric::CROSS_ENTROPY.title(), "Cross-entropy");
        assert_eq!(Metric::new("gradient_norm").title(), "Gradient norm");
        assert_eq!(Metric::new("accuracy/cat").title(), "Accuracy/cat");
        assert!(Metric::new("accuracy/cat").is_percent());
        assert_eq!(Metric::ACCURACY.text(93.42), "93.4 %");
        assert_eq!(Metric::CROSS_ENTROPY.text(0.2), "0.200");
        assert_eq!(Metric::new("learning_rate").text(0.000_02), "2.000e-5");
    }

    #[test]
    fn a_logarithmic_scale_has_an_end() {
        let [cross_entropy, rate] = [Metric::CROSS_ENTROPY, Metric::new("learning_rate")];
        assert!((cross_entropy.height(0.0, true) + 4.0).abs() < 1e-12);
        assert!((rate.height(1e-6, true) + 6.0).abs() < 1e-12);
        assert!((cross_entropy.height(0.5, false) - 0.5).abs() < 1e-12);
    }
}
