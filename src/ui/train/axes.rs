//! The axes of the plots: what they span, their marks and numbers.

use egui_plot::{GridInput, GridMark};

use crate::app::{LOG_FLOOR, Metric, words};

/// What is beyond the span at each side, in parts of it: lines at its ends are seen in full.
pub(super) const MARGIN: [f32; 2] = [0.015, 0.05];
/// The head's own curves take this part of the length of what follows them.
pub(super) const HEAD_PART: f64 = 0.22;

/// What the axes span, without [`MARGIN`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Span {
    pub x: [f64; 2],
    pub y: [f64; 2],
}

/// The span in which every point is seen. Steps and times begin at 0 and go to `end` at least; accuracy (percent) ends
/// at 100 and begins at 0, or at a round number below the lowest point where all are high; cross-entropy begins at 0
/// and ends at a round number. With `log` y is a decimal logarithm, and the span whole decades.
pub(super) fn span(
    points: impl IntoIterator<Item = [f64; 2]>,
    metric: Metric,
    log: bool,
    end: f64,
) -> Span {
    let mut x = [0.0_f64, end];
    let mut y = [f64::INFINITY, f64::NEG_INFINITY];
    for point in points {
        x = [x[0].min(point[0]), x[1].max(point[0])];
        y = [y[0].min(point[1]), y[1].max(point[1])];
    }
    if x[1] <= 0.0 {
        x[1] = 1.0;
    }
    let [low, high] = y;
    let known = low <= high;
    let y = match metric {
        Metric::Accuracy if known && low >= 50.0 => {
            [((low / 10.0).floor() * 10.0).min(90.0), 100.0]
        }
        Metric::Accuracy => [0.0, 100.0],
        Metric::CrossEntropy if !known && log => [-1.0, 0.0],
        Metric::CrossEntropy if log => {
            let [low, high] = [low.floor(), high.ceil()];
            [low, high.max(low + 1.0)]
        }
        Metric::CrossEntropy if !known || high <= 0.0 => [0.0, 1.0],
        Metric::CrossEntropy => {
            let step = step_for(high / 5.0);
            [0.0, (high / step).ceil() * step]
        }
    };
    Span { x, y }
}

/// A round number near `rough`: 1, 2 or 5 times a power of ten.
fn step_for(rough: f64) -> f64 {
    let rough = rough.max(1e-12);
    let magnitude = 10f64.powf(rough.log10().floor());
    [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .map(|factor| factor * magnitude)
        .find(|step| *step >= rough * 0.75)
        .unwrap_or(magnitude * 10.0)
}

/// Marks at round numbers, about `count` of them.
pub(super) fn marks(input: &GridInput, count: f64) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let step = step_for((high - low) / count);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last)
        .take(100)
        .map(|index| GridMark {
            value: index as f64 * step,
            step_size: step,
        })
        .collect()
}

/// A mark at every power of ten.
pub(super) fn decades(input: &GridInput) -> Vec<GridMark> {
    let (low, high) = input.bounds;
    let lowest = LOG_FLOOR.log10();
    (low.max(lowest).ceil() as i64..=high.floor() as i64)
        .map(|decade| GridMark {
            value: decade as f64,
            step_size: 1.0,
        })
        .collect()
}

/// A number with as many decimals as the distance between marks needs.
pub(super) fn plain(value: f64, step: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    format!("{value:.decimals$}")
}

pub(super) fn seconds(mark: GridMark) -> String {
    if mark.step_size >= 60.0 {
        words::clock(mark.value)
    } else {
        format!("{} s", plain(mark.value, mark.step_size))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: Span, x: [f64; 2], y: [f64; 2]) {
        for (found, expected) in [(found.x, x), (found.y, y)] {
            for (found, expected) in found.iter().zip(expected) {
                assert!((found - expected).abs() < 1e-9, "{found}, not {expected}");
            }
        }
    }

    #[test]
    fn every_point_is_within_the_span() {
        let accuracy = |points: &[[f64; 2]]| span(points.to_vec(), Metric::Accuracy, false, 0.0);
        // Nothing, one point, all of them right, all of them wrong.
        check(accuracy(&[]), [0.0, 1.0], [0.0, 100.0]);
        check(accuracy(&[[10.0, 33.0]]), [0.0, 10.0], [0.0, 100.0]);
        let right = accuracy(&[[10.0, 100.0], [20.0, 100.0]]);
        check(right, [0.0, 20.0], [90.0, 100.0]);
        check(accuracy(&[[10.0, 0.0]]), [0.0, 10.0], [0.0, 100.0]);
        let high = accuracy(&[[10.0, 87.5], [71.0, 97.0]]);
        check(high, [0.0, 71.0], [80.0, 100.0]);
        // The curves of the head stand before the beginning.
        let head = accuracy(&[[-15.0, 60.0], [71.0, 97.0]]);
        check(head, [-15.0, 71.0], [60.0, 100.0]);
        let entropy =
            |points: &[[f64; 2]], log| span(points.to_vec(), Metric::CrossEntropy, log, 4000.0);
        let all = [0.0, 4000.0];
        check(entropy(&[[10.0, 1.09]], false), all, [0.0, 1.2]);
        check(entropy(&[[10.0, 0.0]], false), all, [0.0, 1.0]);
        check(entropy(&[[10.0, 23.0]], false), all, [0.0, 25.0]);
        let log = entropy(&[[10.0, -2.5], [20.0, 0.2]], true);
        check(log, all, [-3.0, 1.0]);
        check(entropy(&[[10.0, -2.0]], true), all, [-2.0, -1.0]);
    }

    #[test]
    fn marks_stand_at_round_numbers() {
        let values = |low, high, count| -> Vec<f64> {
            marks(
                &GridInput {
                    bounds: (low, high),
                    base_step_size: 1.0,
                },
                count,
            )
            .iter()
            .map(|mark| mark.value)
            .collect()
        };
        assert_eq!(values(-1.0, 103.0, 5.0).len(), 6);
        assert_eq!(
            values(0.0, 100.0, 5.0),
            [0.0, 20.0, 40.0, 60.0, 80.0, 100.0]
        );
        assert_eq!(values(0.0, 4000.0, 8.0).len(), 9);
    }

    #[test]
    fn numbers_have_the_decimals_they_need() {
        assert_eq!(plain(0.1 + 0.2, 0.1), "0.3");
        assert_eq!(plain(20.0, 20.0), "20");
        assert_eq!(plain(0.25, 0.05), "0.25");
    }
}
