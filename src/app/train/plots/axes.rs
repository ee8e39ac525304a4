//! The axes of the plots: their ranges, marks and numbers.

use super::Metric;
use crate::app::words;

/// A mark of an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AxisMark {
    /// Its position.
    pub value: f64,
    /// The distance to the next one.
    pub step: f64,
}

/// The range of the horizontal axis, without a margin: all lines, and at least from `origin` to `length` after it.
#[must_use]
pub fn span_x(lines: impl IntoIterator<Item = [f64; 2]>, origin: f64, length: f64) -> [f64; 2] {
    let mut x = [origin, origin + length.max(0.0)];
    for [from, to] in lines {
        x = [x[0].min(from), x[1].max(to)];
    }
    if x[1] <= x[0] {
        x[1] = x[0] + 1.0;
    }
    x
}

/// The range of the vertical axis, without a margin, for values (per cent for fractions) within `range`. Accuracy ends
/// at 100 and begins at 0, or at a round number below the lowest value if all are high; cross-entropy begins at 0 and
/// ends at a round number, as does any other metric that is not negative and has values near 0. With `tight`, which
/// excludes outliers, accuracy ends at the highest value. With `log` the range is in decimal logarithms, and consists
/// of whole decades.
#[must_use]
pub fn span_y(range: Option<[f64; 2]>, metric: &Metric, log: bool, tight: bool) -> [f64; 2] {
    // A value on a mark ends the range there, despite rounding errors.
    let near = 1e-6;
    if log {
        let ends = range.unwrap_or([0.1, 1.0]);
        let [low, high] = ends.map(|value| metric.height(value, true));
        let [low, high] = [(low + near).floor(), (high - near).ceil()];
        return [low, high.max(low + 1.0)];
    }
    if metric.is_percent() && !tight {
        return match range {
            Some([low, _]) if low >= 50.0 => [((low / 10.0).floor() * 10.0).min(90.0), 100.0],
            _ => [0.0, 100.0],
        };
    }
    let Some([low, high]) = range else {
        return [0.0, 1.0];
    };
    let from_zero = *metric == Metric::CROSS_ENTROPY && !tight;
    let (low, high) = if low >= 0.0 && (from_zero || low <= high - low) {
        (0.0, high)
    } else {
        (low, high)
    };
    if high <= low {
        // All are equal.
        return if low == 0.0 {
            [0.0, 1.0]
        } else {
            let around = low.abs() * 0.1;
            [low - around, low + around]
        };
    }
    let step = step_for((high - low) / 5.0);
    let span = [
        (low / step + near).floor() * step,
        (high / step - near).ceil() * step,
    ];
    if metric.is_percent() {
        return [span[0].max(0.0), span[1].min(100.0)];
    }
    span
}

/// The range of nine of ten values, as `TensorBoard` excludes outliers: from the 5th to the 95th percentile.
#[must_use]
pub fn without_outliers(mut values: Vec<f64>) -> Option<[f64; 2]> {
    let last = values.len().checked_sub(1)?;
    let mut at = |part: f64| {
        let place = (part * last as f64).round() as usize;
        let (_, value, _) = values.select_nth_unstable_by(place, f64::total_cmp);
        *value
    };
    Some([at(0.05), at(0.95)])
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
#[must_use]
pub fn marks([low, high]: [f64; 2], count: f64) -> Vec<AxisMark> {
    let step = step_for((high - low) / count);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last)
        .take(100)
        .map(|index| AxisMark {
            value: index as f64 * step,
            step,
        })
        .collect()
}

/// Marks of an axis of training steps: [`marks`], at whole numbers only.
#[must_use]
pub fn step_marks([low, high]: [f64; 2], count: f64) -> Vec<AxisMark> {
    let mut marks = marks([low, high], count);
    marks.retain(|mark| (mark.value - mark.value.round()).abs() < 1e-6);
    marks
}

/// Marks of a logarithmic axis: at powers of ten and, if few of them are visible, at 2 and 5 times each.
#[must_use]
pub fn decades([low, high]: [f64; 2]) -> Vec<AxisMark> {
    let between: &[f64] = if high - low < 1.5 {
        &[1.0, 2.0, 5.0]
    } else {
        &[1.0]
    };
    (low.floor() as i64..=high.floor() as i64)
        .take(100)
        .flat_map(|decade| between.iter().map(move |part| decade as f64 + part.log10()))
        .filter(|value| (low..=high).contains(value))
        .map(|value| AxisMark { value, step: 1.0 })
        .collect()
}

/// The number whose decimal logarithm is `height`, as short as possible for a mark of [`decades`].
#[must_use]
pub fn power(height: f64) -> String {
    let decade = (height + 1e-6).floor();
    let digit = 10f64.powf(height - decade).round();
    if (-4.0..5.0).contains(&decade) {
        let decimals = (-decade).max(0.0) as usize;
        format!("{:.decimals$}", digit * 10f64.powf(decade))
    } else {
        format!("{digit}e{decade}")
    }
}

/// Distances between marks of a time axis, seconds.
const CLOCK_STEPS: [f64; 18] = [
    1.0, 2.0, 5.0, 10.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 900.0, 1800.0, 3600.0, 7200.0,
    10800.0, 21600.0, 43200.0, DAY,
];
const DAY: f64 = 86400.0;

/// Marks at round times of day, about `count` of them; `offset` is the offset of local time from UTC, seconds.
#[must_use]
pub fn clock_marks([low, high]: [f64; 2], count: f64, offset: f64) -> Vec<AxisMark> {
    let rough = (high - low) / count;
    let step = CLOCK_STEPS
        .into_iter()
        .find(|step| *step >= rough * 0.75)
        .unwrap_or_else(|| DAY * step_for(rough / DAY).max(1.0));
    let first = ((low + offset) / step).ceil() as i64;
    let last = ((high + offset) / step).floor() as i64;
    (first..=last)
        .take(100)
        .map(|index| AxisMark {
            value: index as f64 * step - offset,
            step,
        })
        .collect()
}

/// A time of day, as precise as the distance between marks needs.
#[must_use]
pub fn clock(secs: f64, step: f64) -> String {
    let Ok(time) = jiff::Timestamp::from_second(secs.round() as i64) else {
        return String::new();
    };
    let local = time.to_zoned_datetime(jiff::tz::TimeZone::system());
    let format = if step >= DAY {
        "%b %-d"
    } else if step >= 60.0 {
        "%H:%M"
    } else {
        "%H:%M:%S"
    };
    local.strftime(format).to_string()
}

/// The offset of local time from UTC at a moment, seconds.
#[must_use]
pub fn clock_offset(secs: f64) -> f64 {
    let Ok(time) = jiff::Timestamp::from_second(secs as i64) else {
        return 0.0;
    };
    f64::from(jiff::tz::TimeZone::system().to_offset(time).seconds())
}

/// A number with as many decimals as the distance between marks needs.
#[must_use]
pub fn plain(value: f64, step: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    format!("{value:.decimals$}")
}

/// A duration of training, as precise as the distance between marks needs.
#[must_use]
pub fn seconds(mark: AxisMark) -> String {
    if mark.step >= 60.0 {
        words::clock(mark.value)
    } else {
        format!("{} s", plain(mark.value, mark.step))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(found: [f64; 2], expected: [f64; 2]) {
        for (at, right) in found.iter().zip(expected) {
            assert!((at - right).abs() < 1e-9, "{found:?}, not {expected:?}");
        }
    }

    #[test]
    fn there_are_no_halves_of_steps() {
        let at = |ends| -> Vec<f64> { step_marks(ends, 8.0).iter().map(|m| m.value).collect() };
        assert_eq!(at([0.0, 1.0]), [0.0, 1.0]);
        assert!(at([0.3, 0.9]).is_empty());
        assert_eq!(at([0.0, 3.0]), [0.0, 1.0, 2.0, 3.0]);
        assert_eq!(at([0.0, 200.0]).len(), 11);
    }

    #[test]
    fn every_line_is_within_the_span() {
        check(span_x([], 0.0, 0.0), [0.0, 1.0]);
        check(span_x([[10.0, 10.0]], 0.0, 0.0), [0.0, 10.0]);
        // The curves of the head are before the beginning; a compared run is longer.
        check(
            span_x([[-15.0, 0.0], [1.0, 71.0]], 0.0, 40.0),
            [-15.0, 71.0],
        );
        check(span_x([[1e9, 1e9 + 5.0]], 1e9, 20.0), [1e9, 1e9 + 20.0]);

        let accuracy = |range| span_y(range, &Metric::ACCURACY, false, false);
        // No values, one value, all right, all wrong.
        check(accuracy(None), [0.0, 100.0]);
        check(accuracy(Some([33.0, 33.0])), [0.0, 100.0]);
        check(accuracy(Some([100.0, 100.0])), [90.0, 100.0]);
        check(accuracy(Some([0.0, 0.0])), [0.0, 100.0]);
        check(accuracy(Some([87.5, 97.0])), [80.0, 100.0]);
        check(accuracy(Some([60.0, 97.0])), [60.0, 100.0]);
        let entropy = |range, log| span_y(range, &Metric::CROSS_ENTROPY, log, false);
        check(entropy(Some([1.09, 1.09]), false), [0.0, 1.2]);
        check(entropy(Some([0.0, 0.0]), false), [0.0, 1.0]);
        check(entropy(Some([20.0, 23.0]), false), [0.0, 25.0]);
        check(entropy(None, true), [-1.0, 0.0]);
        check(entropy(Some([0.003, 1.6]), true), [-3.0, 1.0]);
        check(entropy(Some([0.01, 0.01]), true), [-2.0, -1.0]);
        check(entropy(Some([0.0, 1.0]), true), [-4.0, 0.0]);
    }

    #[test]
    fn other_quantities_have_the_span_that_they_need() {
        let rate = Metric::new("learning_rate");
        let of = |low, high| span_y(Some([low, high]), &rate, false, false);
        check(of(0.0, 0.001), [0.0, 0.001]);
        check(of(1.0, 1.04), [1.0, 1.04]);
        check(of(-0.4, 2.0), [-0.5, 2.0]);
        check(of(0.01, 0.01), [0.009, 0.011]);
        check(span_y(Some([1e-6, 1e-3]), &rate, true, false), [-6.0, -3.0]);
        check(
            span_y(Some([81.0, 84.0]), &Metric::ACCURACY, false, true),
            [81.0, 84.0],
        );
    }

    #[test]
    fn outliers_are_what_is_beyond_nine_of_ten() {
        let mut values: Vec<f64> = (0..=100).map(f64::from).collect();
        values[50] = 1e9;
        values[51] = -1e9;
        assert_eq!(without_outliers(values), Some([4.0, 96.0]));
        assert_eq!(without_outliers(Vec::new()), None);
        assert_eq!(without_outliers(vec![2.0]), Some([2.0, 2.0]));
    }

    #[test]
    fn marks_stand_at_round_numbers() {
        let values = |low, high, count| -> Vec<f64> {
            marks([low, high], count)
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
    fn a_logarithmic_axis_has_marks_in_every_section() {
        let values = |low, high| -> Vec<String> {
            decades([low, high])
                .iter()
                .map(|mark| power(mark.value))
                .collect()
        };
        assert_eq!(values(-3.0, 0.2), ["0.001", "0.01", "0.1", "1"]);
        assert_eq!(values(-1.0, 0.0), ["0.1", "0.2", "0.5", "1"]);
        assert_eq!(values(-6.0, -4.0), ["1e-6", "1e-5", "0.0001"]);
    }

    #[test]
    fn the_clock_has_marks_at_round_times() {
        let marks = clock_marks([90.0, 1300.0], 4.0, 60.0);
        let values: Vec<f64> = marks.iter().map(|mark| mark.value).collect();
        assert_eq!(values, [240.0, 540.0, 840.0, 1140.0]);
    }

    #[test]
    fn numbers_have_the_decimals_they_need() {
        assert_eq!(plain(0.1 + 0.2, 0.1), "0.3");
        assert_eq!(plain(20.0, 20.0), "20");
        assert_eq!(plain(0.25, 0.05), "0.25");
    }
}
