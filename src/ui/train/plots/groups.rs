//! The quantities that can be plotted: accuracy and cross-entropy, and in collapsible groups everything else that was
//! measured.

use std::collections::BTreeMap;

use crate::app::{Metric, MetricSide, Session};
use crate::train::{MetricKind, Series};

/// A plot of curves.
pub(super) struct Plotted {
    /// The metric of its title, unit and scale.
    pub metric: Metric,
    pub of: PlotOf,
}

/// The source of the curves of a plot.
pub(super) enum PlotOf {
    /// The evaluations of each run.
    Evaluations,
    /// Series of one quantity.
    Series(Vec<Series>),
    /// The accuracy of each class of one run.
    Classes(Vec<Class>),
}

/// A class with the series of its accuracy.
pub(super) struct Class {
    pub name: String,
    pub metric: Metric,
    pub series: Series,
}

impl Plotted {
    /// Accuracy or cross-entropy.
    pub fn evaluations(metric: Metric) -> Self {
        Self {
            metric,
            of: PlotOf::Evaluations,
        }
    }

    /// The side that runs are compared by: validation if there is one.
    pub fn compared_side(&self) -> MetricSide {
        match &self.of {
            PlotOf::Evaluations | PlotOf::Classes(_) => MetricSide::Validation,
            PlotOf::Series(series) => {
                let mut sides = series.iter().map(|series| series.side);
                let first = sides.next().unwrap_or(MetricSide::Run);
                sides.fold(first, |found, side| match side {
                    MetricSide::Validation => side,
                    MetricSide::Train | MetricSide::Run => found,
                })
            }
        }
    }
}

/// Plots that belong together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum PlotGroup {
    /// One quantity.
    Scalar(String),
    /// The accuracy of each class, in one plot.
    Classes,
    /// Histograms of tensors whose tags begin with the same part: `weights`, `activations`.
    Histograms(String),
}

impl PlotGroup {
    fn of(series: &Series, kind: MetricKind) -> Option<Self> {
        let first = |tag: &str| tag.split('/').next().unwrap_or(tag).to_owned();
        match kind {
            MetricKind::Scalar if series.tag.starts_with(Metric::BY_CLASS) => Some(Self::Classes),
            MetricKind::Scalar => Some(Self::Scalar(series.tag.clone())),
            MetricKind::Histogram => Some(Self::Histograms(first(&series.tag))),
            MetricKind::Image => None,
        }
    }

    /// The title above it.
    pub fn title(&self) -> String {
        match self {
            Self::Scalar(tag) => Metric::new(tag.clone()).title(),
            Self::Classes => Metric::new(Metric::BY_CLASS).title(),
            Self::Histograms(of) => format!("Histograms of {}", of.replace('_', " ")),
        }
    }

    /// Its plot of curves; `None` for histograms.
    pub fn plot(&self, series: Vec<Series>) -> Option<Plotted> {
        match self {
            Self::Scalar(tag) => Some(Plotted {
                metric: Metric::new(tag.clone()),
                of: PlotOf::Series(series),
            }),
            Self::Classes => {
                let classes = series.into_iter().filter_map(|series| {
                    let name = series.tag.strip_prefix(Metric::BY_CLASS)?.to_owned();
                    Some(Class {
                        name,
                        metric: Metric::new(series.tag.clone()),
                        series,
                    })
                });
                Some(Plotted {
                    metric: Metric::new(Metric::BY_CLASS),
                    of: PlotOf::Classes(classes.collect()),
                })
            }
            Self::Histograms(_) => None,
        }
    }
}

/// The groups of the run that is drawn in full, each with its series.
pub(super) fn groups(session: &Session) -> BTreeMap<PlotGroup, Vec<Series>> {
    let mut groups: BTreeMap<PlotGroup, Vec<Series>> = BTreeMap::new();
    let state = &session.train;
    let parts = [state.main_metrics(), state.head_metrics()];
    for metrics in parts.into_iter().flatten() {
        for (series, kind) in metrics.series() {
            if let Some(group) = PlotGroup::of(series, kind) {
                let of = groups.entry(group).or_default();
                if !of.contains(series) {
                    of.push(series.clone());
                }
            }
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_grouped_by_what_they_are_of() {
        let of = |tag: &str, kind| PlotGroup::of(&Series::new(tag, MetricSide::Run), kind);
        let scalar = |tag| of(tag, MetricKind::Scalar);
        assert_eq!(scalar("accuracy/cat"), Some(PlotGroup::Classes));
        assert_eq!(scalar("accuracy/a/b"), Some(PlotGroup::Classes));
        assert_eq!(
            scalar("learning_rate").map(|group| group.title()),
            Some("Learning rate".to_owned())
        );
        assert_eq!(
            of("weights/w", MetricKind::Histogram).map(|group| group.title()),
            Some("Histograms of weights".to_owned())
        );
        assert_eq!(of("confusion", MetricKind::Image), None);
    }

    #[test]
    fn runs_are_compared_on_validation_images_where_there_are_some() {
        let plot = |sides: &[MetricSide]| {
            let series = sides.iter().map(|side| Series::new("x", *side)).collect();
            let plot = PlotGroup::Scalar("x".to_owned()).plot(series);
            plot.map(|plot| plot.compared_side())
        };
        assert_eq!(
            plot(&[MetricSide::Train, MetricSide::Validation]),
            Some(MetricSide::Validation)
        );
        assert_eq!(plot(&[MetricSide::Run]), Some(MetricSide::Run));
        assert_eq!(plot(&[MetricSide::Train]), Some(MetricSide::Train));
    }
}
