//! Curves as they are drawn: smoothed, thinned, and looked up under the pointer.

use crate::train::CurvePoint;

/// What the horizontal axis counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Axis {
    /// Steps.
    #[default]
    Step,
    /// Seconds of training.
    Time,
}

/// Which of the two plots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Metric {
    /// Accuracy, percent.
    Accuracy,
    /// Mean cross-entropy, nats.
    CrossEntropy,
}

/// On which frames it was measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The batch that was learned from.
    Train,
    /// Validation frames.
    Validation,
}

/// How curves are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurveView {
    /// Weight of the past in the smoothed line, 0 (none) to 0.99.
    pub smoothing: f64,
    /// The horizontal axis.
    pub axis: Axis,
    /// Whether cross-entropy is drawn on a logarithmic scale.
    pub log_cross_entropy: bool,
}

impl Default for CurveView {
    fn default() -> Self {
        Self {
            smoothing: 0.6,
            axis: Axis::Step,
            log_cross_entropy: false,
        }
    }
}

/// The smallest cross-entropy on a logarithmic scale, nats.
pub const LOG_FLOOR: f64 = 1e-4;
/// Points drawn per line; more than there are pixels bring nothing.
const MOST_POINTS: usize = 1200;

/// One line as it is drawn: x ascending.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// As measured, thinned.
    pub raw: Vec<[f64; 2]>,
    /// Smoothed, thinned.
    pub smooth: Vec<[f64; 2]>,
    /// Whether it was measured at few of the points only, so that these want to be seen.
    pub sparse: bool,
}

impl Series {
    /// The line of `metric` and `side` in `points`; on a logarithmic scale y is the decimal logarithm.
    #[must_use]
    pub fn of(points: &[CurvePoint], metric: Metric, side: Side, view: &CurveView) -> Self {
        let (places, measured): (Vec<usize>, Vec<[f64; 2]>) = points
            .iter()
            .enumerate()
            .filter_map(|(place, point)| {
                let x = match view.axis {
                    Axis::Step => f64::from(point.step),
                    Axis::Time => point.secs,
                };
                let y = f64::from(value(point, metric, side)?);
                let y = match metric {
                    Metric::Accuracy => y * 100.0,
                    Metric::CrossEntropy => y,
                };
                y.is_finite().then_some((place, [x, y]))
            })
            .unzip();
        let log = metric == Metric::CrossEntropy && view.log_cross_entropy;
        // The mean is taken of what was measured, not of its logarithm.
        let smooth = smoothed(&places, &measured, view.smoothing);
        let scale = |line: Vec<[f64; 2]>| -> Vec<[f64; 2]> {
            if log {
                line.into_iter()
                    .map(|[x, y]| [x, y.max(LOG_FLOOR).log10()])
                    .collect()
            } else {
                line
            }
        };
        Self {
            sparse: measured.len() * 2 <= points.len(),
            raw: thinned(&scale(measured), MOST_POINTS),
            smooth: thinned(&scale(smooth), MOST_POINTS),
        }
    }

    /// The smoothed point nearest to `x`; `None` where the line has not begun or has ended.
    #[must_use]
    pub fn at(&self, x: f64) -> Option<[f64; 2]> {
        let after = self.smooth.partition_point(|point| point[0] < x);
        let before = after.checked_sub(1).and_then(|i| self.smooth.get(i));
        match (before, self.smooth.get(after)) {
            (Some(before), Some(after)) => Some(if x - before[0] <= after[0] - x {
                *before
            } else {
                *after
            }),
            // A little beyond the ends still counts: the pointer is never exact.
            (None, Some(first)) => (first[0] - x <= self.reach()).then_some(*first),
            (Some(last), None) => (x - last[0] <= self.reach()).then_some(*last),
            (None, None) => None,
        }
    }

    /// The same line squeezed into `-length..=0`, where it stands before another; `end` is its x at 0.
    #[must_use]
    pub fn before(&self, end: f64, length: f64) -> Self {
        let squeeze = |line: &[[f64; 2]]| -> Vec<[f64; 2]> {
            let scale = length / end.max(1e-9);
            line.iter().map(|[x, y]| [(x - end) * scale, *y]).collect()
        };
        Self {
            raw: squeeze(&self.raw),
            smooth: squeeze(&self.smooth),
            sparse: self.sparse,
        }
    }

    fn reach(&self) -> f64 {
        match (self.smooth.first(), self.smooth.last()) {
            (Some(first), Some(last)) => (last[0] - first[0]) * 0.02,
            _ => 0.0,
        }
    }
}

fn value(point: &CurvePoint, metric: Metric, side: Side) -> Option<f32> {
    match (metric, side) {
        (Metric::Accuracy, Side::Train) => Some(point.train_accuracy),
        (Metric::Accuracy, Side::Validation) => point.validation_accuracy,
        (Metric::CrossEntropy, Side::Train) => Some(point.train_cross_entropy),
        (Metric::CrossEntropy, Side::Validation) => point.validation_cross_entropy,
    }
}

/// An exponential moving mean whose start is not drawn towards zero, as `TensorBoard` smooths
/// (`resmoothDataset` in its line chart): `m ← w·m + (1−w)·y`, shown as `m / (1 − wⁿ)`. Where points in between
/// have no value, `w` counts once for each of them (`places` tells), so that a line with few values is
/// smoothed over as many steps as one with many.
fn smoothed(places: &[usize], points: &[[f64; 2]], weight: f64) -> Vec<[f64; 2]> {
    let weight = weight.clamp(0.0, 0.999);
    let mut mean = 0.0;
    let mut left = 1.0;
    let mut before = None;
    places
        .iter()
        .zip(points)
        .map(|(place, [x, y])| {
            let apart = before.map_or(1, |before| place - before);
            before = Some(*place);
            let weight = weight.powi(i32::try_from(apart).unwrap_or(i32::MAX));
            mean = weight * mean + (1.0 - weight) * y;
            left *= weight;
            [*x, mean / (1.0 - left)]
        })
        .collect()
}

/// At most about `most` points that look the same: of each stretch its lowest and its highest.
fn thinned(points: &[[f64; 2]], most: usize) -> Vec<[f64; 2]> {
    if points.len() <= most {
        return points.to_vec();
    }
    let stretch = points.len().div_ceil(most / 2);
    let mut kept = Vec::with_capacity(most + 2);
    for chunk in points.chunks(stretch) {
        let by_y = |a: &&[f64; 2], b: &&[f64; 2]| a[1].total_cmp(&b[1]);
        let (Some(low), Some(high)) = (chunk.iter().min_by(by_y), chunk.iter().max_by(by_y)) else {
            continue;
        };
        let (first, second) = if low[0] <= high[0] {
            (low, high)
        } else {
            (high, low)
        };
        kept.push(*first);
        if second[0] > first[0] {
            kept.push(*second);
        }
    }
    // The newest point is the one that is looked at.
    if let Some(last) = points.last()
        && kept.last() != Some(last)
    {
        kept.push(*last);
    }
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn point(step: u32, train: f32, validation: Option<f32>) -> CurvePoint {
        CurvePoint {
            step,
            secs: f64::from(step) / 100.0,
            train_accuracy: train,
            train_cross_entropy: 1.0 - train,
            validation_accuracy: validation,
            validation_cross_entropy: validation.map(|v| 1.0 - v),
        }
    }

    #[test]
    fn smoothing_is_not_drawn_towards_zero() {
        let line = smoothed(&[0, 1, 2], &[[0.0, 5.0], [1.0, 5.0], [2.0, 8.0]], 0.6);
        assert!((line[0][1] - 5.0).abs() < 1e-12);
        assert!((line[1][1] - 5.0).abs() < 1e-12);
        // 0.4·(0.36·5 + 0.6·5 + 8) / (1 − 0.6³)
        let expected = 0.4 * (0.36 * 5.0 + 0.6 * 5.0 + 8.0) / (1.0 - 0.216);
        assert!((line[2][1] - expected).abs() < 1e-12);
        let plain = smoothed(&[0, 1], &[[0.0, 5.0], [1.0, 7.0]], 0.0);
        assert!((plain[1][1] - 7.0).abs() < 1e-12);
    }

    #[test]
    fn few_values_are_smoothed_over_as_many_steps_as_many() {
        let weight = 0.6;
        let line = smoothed(&[9, 19], &[[90.0, 2.0], [190.0, 4.0]], weight);
        assert!((line[0][1] - 2.0).abs() < 1e-12);
        // Ten places further the weight of what was before has gone down ten times.
        let old = 0.4 * weight.powi(10);
        let new = 1.0 - weight.powi(10);
        let expected = (old * 2.0 + new * 4.0) / (old + new);
        assert!((line[1][1] - expected).abs() < 1e-9, "{line:?}");
        assert!(line[1][1] > 3.98);

        let points: Vec<CurvePoint> = (1..=30)
            .map(|at| point(at * 10, 0.5, at.is_multiple_of(10).then_some(0.75)))
            .collect();
        let of = |side| Series::of(&points, Metric::Accuracy, side, &CurveView::default());
        assert!(of(Side::Validation).sparse && !of(Side::Train).sparse);
        assert_eq!(of(Side::Validation).raw.len(), 3);
    }

    #[test]
    fn thinning_keeps_the_peaks_and_the_end() {
        let mut points: Vec<[f64; 2]> = (0..100_000).map(|x| [f64::from(x), 0.0]).collect();
        points[51_234][1] = 9.0;
        points[51_235][1] = -9.0;
        let thin = thinned(&points, 1000);
        assert!(thin.len() <= 1002, "{}", thin.len());
        assert!(thin.contains(&[51_234.0, 9.0]) && thin.contains(&[51_235.0, -9.0]));
        assert_eq!(thin.last(), points.last());
        assert!(thin.is_sorted_by(|a, b| a[0] < b[0]));
    }

    #[test]
    fn a_series_is_in_percent_and_leaves_gaps_out() {
        let points = [point(0, 0.5, None), point(10, 0.75, Some(0.25))];
        let view = CurveView {
            smoothing: 0.0,
            ..CurveView::default()
        };
        let train = Series::of(&points, Metric::Accuracy, Side::Train, &view);
        assert_eq!(train.raw, [[0.0, 50.0], [10.0, 75.0]]);
        let validation = Series::of(&points, Metric::Accuracy, Side::Validation, &view);
        assert_eq!(validation.raw, [[10.0, 25.0]]);
        assert_eq!(train.at(9.0), Some([10.0, 75.0]));
        assert_eq!(train.at(50.0), None);
        let log = CurveView {
            log_cross_entropy: true,
            axis: Axis::Time,
            ..view
        };
        let line = Series::of(&points, Metric::CrossEntropy, Side::Train, &log);
        assert!((line.raw[1][0] - 0.1).abs() < 1e-9);
        assert!((line.raw[1][1] - 0.25_f64.log10()).abs() < 1e-6);
    }

    #[test]
    fn the_heads_line_is_squeezed_before_the_beginning() {
        let points = [
            point(0, 0.5, None),
            point(2000, 0.6, None),
            point(4000, 0.75, None),
        ];
        let view = CurveView {
            smoothing: 0.0,
            ..CurveView::default()
        };
        let head = Series::of(&points, Metric::Accuracy, Side::Train, &view).before(4000.0, 20.0);
        for (found, expected) in head
            .smooth
            .iter()
            .zip([[-20.0, 50.0], [-10.0, 60.0], [0.0, 75.0]])
        {
            assert!((found[0] - expected[0]).abs() < 1e-9 && (found[1] - expected[1]).abs() < 1e-4);
        }
        assert_eq!((head.raw.len(), head.smooth.len()), (3, 3));
    }
}
