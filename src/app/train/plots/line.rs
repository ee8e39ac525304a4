//! One curve as it is drawn: new points are added as they arrive, limited per frame.

use super::track::{LineStretch, Track};
use super::{Axis, Metric, MetricSide};
use crate::train::{At, CurvePoint};

/// The number of points of each curve that are used for percentiles.
const SAMPLED: usize = 128;

/// The number of points that may still be added in this frame.
#[derive(Debug)]
pub struct Budget {
    left: usize,
    spent: usize,
}

impl Budget {
    /// A budget of this many points.
    #[must_use]
    pub const fn new(points: usize) -> Self {
        Self {
            left: points,
            spent: 0,
        }
    }

    /// The number of visited points.
    #[must_use]
    pub const fn spent(&self) -> usize {
        self.spent
    }

    /// Whether it is used up.
    #[must_use]
    pub const fn is_used_up(&self) -> bool {
        self.left == 0
    }

    /// Takes as many as are left, at most `wanted`.
    fn take(&mut self, wanted: usize) -> usize {
        let taken = wanted.min(self.left);
        self.left -= taken;
        self.spent += taken;
        taken
    }
}

/// One measurement.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Steps so far.
    pub step: u32,
    /// Seconds of training.
    pub secs: f64,
    /// The value; `None` if it was not measured.
    pub value: Option<f64>,
}

/// The source of the points of a curve.
#[derive(Debug, Clone, Copy)]
pub enum Points<'a> {
    /// The evaluations of a run.
    Evaluations(&'a [CurvePoint], &'a Metric, MetricSide),
    /// A series.
    Scalars(&'a [At<f32>], &'a Metric),
}

impl Points<'_> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Evaluations(points, ..) => points.len(),
            Self::Scalars(points, _) => points.len(),
        }
    }

    /// Step, seconds and measured value of a point.
    pub(super) fn measured(&self, place: usize) -> Option<(u32, f64, Option<f32>)> {
        match self {
            Self::Evaluations(points, metric, side) => {
                let point = points.get(place)?;
                Some((point.step, point.secs, value(point, metric, *side)))
            }
            Self::Scalars(points, _) => {
                let point = points.get(place)?;
                Some((point.step, point.secs, Some(point.value)))
            }
        }
    }

    fn get(&self, place: usize) -> Option<Sample> {
        let (step, secs, value) = self.measured(place)?;
        let (Self::Evaluations(_, metric, _) | Self::Scalars(_, metric)) = self;
        Some(Sample {
            step,
            secs,
            value: value.map(|value| f64::from(value) * metric.scale()),
        })
    }
}

fn value(point: &CurvePoint, metric: &Metric, side: MetricSide) -> Option<f32> {
    match (metric.tag(), side) {
        ("accuracy", MetricSide::Train) => Some(point.train_accuracy),
        ("accuracy", MetricSide::Validation) => point.validation_accuracy,
        ("cross_entropy", MetricSide::Train) => Some(point.train_cross_entropy),
        ("cross_entropy", MetricSide::Validation) => point.validation_cross_entropy,
        _ => None,
    }
}

/// One value of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LineValue {
    /// Steps so far.
    pub step: u32,
    /// Seconds of training.
    pub secs: f64,
    /// As measured; per cent for fractions.
    pub value: f64,
    /// Smoothed.
    pub smooth: f64,
}

/// A curve as it is drawn: measured and smoothed values, in the order of steps.
#[derive(Debug, Clone, Default)]
pub struct Line {
    /// The number of added points, including those without a value.
    taken: usize,
    first: Option<Sample>,
    last: Option<Sample>,
    steps: Vec<u32>,
    secs: Vec<f64>,
    /// For each value, the index of its point among the added points.
    places: Vec<u32>,
    raw: Track,
    smooth: Track,
    mean: Mean,
    /// The line with the new smoothing, as far as it is computed.
    next: Option<(Mean, Track)>,
}

impl Line {
    /// Adds new points, and smooths the line again if `smoothing` has changed: as far as the budget allows, the rest
    /// in the next call. Until that is finished, the line keeps the previous smoothing.
    pub fn follow(&mut self, points: Points<'_>, smoothing: f64, budget: &mut Budget) {
        let smoothing = smoothing.clamp(0.0, 0.999);
        let before = self.taken.checked_sub(1);
        let same =
            before.is_none_or(|last| points.get(last) == self.last && points.get(0) == self.first);
        if !same {
            *self = Self::default();
        }
        if self.raw.len() == 0 {
            self.mean = Mean::new(smoothing);
            self.next = None;
        }
        let new = points.len().saturating_sub(self.taken);
        for _ in 0..budget.take(new) {
            let Some(sample) = points.get(self.taken) else {
                break;
            };
            self.push(sample);
        }
        self.smooth_anew(smoothing, budget);
    }

    fn push(&mut self, sample: Sample) {
        let place = self.taken as u32;
        self.taken += 1;
        self.first.get_or_insert(sample);
        self.last = Some(sample);
        let Some(value) = sample.value.filter(|value| value.is_finite()) else {
            return;
        };
        self.steps.push(sample.step);
        self.secs.push(sample.secs);
        self.places.push(place);
        self.raw.push(value as f32);
        self.smooth.push(self.mean.push(place, value) as f32);
    }

    fn smooth_anew(&mut self, smoothing: f64, budget: &mut Budget) {
        let is = |mean: &Mean| (mean.weight - smoothing).abs() < 1e-9;
        if is(&self.mean) {
            self.next = None;
            return;
        }
        // A smoothing that was begun is finished first, so that the line changes while a slider is being moved.
        let (mean, track) = self
            .next
            .get_or_insert_with(|| (Mean::new(smoothing), Track::default()));
        for _ in 0..budget.take(self.raw.len() - track.len()) {
            let at = track.len();
            let (Some(place), Some(value)) = (self.places.get(at), self.raw.get(at)) else {
                break;
            };
            track.push(mean.push(*place, f64::from(value)) as f32);
        }
        if track.len() == self.raw.len()
            && let Some((mean, track)) = self.next.take()
        {
            self.mean = mean;
            self.smooth = track;
        }
    }

    /// Whether all these points are added, with this smoothing.
    #[cfg(test)]
    fn is_settled(&self, points: Points<'_>, smoothing: f64) -> bool {
        self.taken == points.len() && (self.mean.weight - smoothing).abs() < 1e-9
    }

    /// The number of values.
    #[must_use]
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether there are no values.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether few of the points have a value, so that dots are drawn.
    #[must_use]
    pub fn is_sparse(&self) -> bool {
        self.len() * 2 <= self.taken
    }

    /// The value at a place, its index among the values.
    #[must_use]
    pub fn value_at(&self, place: usize) -> Option<LineValue> {
        Some(LineValue {
            step: *self.steps.get(place)?,
            secs: *self.secs.get(place)?,
            value: f64::from(self.raw.get(place)?),
            smooth: f64::from(self.smooth.get(place)?),
        })
    }

    /// The position of a place on the horizontal axis: steps or seconds (for [`Axis::Wall`] since the run was begun).
    #[must_use]
    pub fn x(&self, place: usize, axis: Axis) -> Option<f64> {
        match axis {
            Axis::Step => self.steps.get(place).map(|step| f64::from(*step)),
            Axis::Time | Axis::Wall => self.secs.get(place).copied(),
        }
    }

    /// The x of its end; `None` for a line without values.
    #[must_use]
    pub fn end(&self, axis: Axis) -> Option<f64> {
        self.x(self.len().checked_sub(1)?, axis)
    }

    /// The lowest and the highest value, smoothed and, if requested, as measured; `None` without values.
    #[must_use]
    pub fn range(&self, measured: bool) -> Option<[f64; 2]> {
        let smooth = self.smooth.range()?;
        let raw = self.raw.range().filter(|_| measured).unwrap_or(smooth);
        Some([
            f64::from(smooth[0].min(raw[0])),
            f64::from(smooth[1].max(raw[1])),
        ])
    }

    /// Smoothed values from all parts of the line, evenly spread if it is long.
    pub fn sampled(&self) -> impl Iterator<Item = f64> + '_ {
        let apart = self.len().div_ceil(SAMPLED).max(1);
        (0..self.len())
            .step_by(apart)
            .filter_map(|place| self.smooth.get(place).map(f64::from))
    }

    fn first_not_before(&self, x: f64, axis: Axis) -> usize {
        match axis {
            Axis::Step => self.steps.partition_point(|step| f64::from(*step) < x),
            Axis::Time | Axis::Wall => self.secs.partition_point(|secs| *secs < x),
        }
    }

    /// The places within a section of the axis, and one more at each end.
    #[must_use]
    pub fn stretch(&self, [from, to]: [f64; 2], axis: Axis) -> LineStretch {
        LineStretch {
            from: self.first_not_before(from, axis).saturating_sub(1),
            to: (self.first_not_before(to, axis) + 2).min(self.len()),
        }
    }

    /// Calls `found` with places that represent a stretch in about this many blocks, and returns how many values and
    /// blocks were visited; see [`LineStretch`]. The last place is always included: users look at the newest point.
    pub fn thinned(
        &self,
        stretch: LineStretch,
        smooth: bool,
        blocks: usize,
        mut found: impl FnMut(usize),
    ) -> usize {
        let track = if smooth { &self.smooth } else { &self.raw };
        let mut last = None;
        let visited = track.thinned(stretch, blocks, |place| {
            last = Some(place);
            found(place);
        });
        if let Some(end) = stretch.to.min(self.len()).checked_sub(1)
            && last.is_some_and(|last| last < end)
        {
            found(end);
        }
        visited
    }

    /// The place nearest to `x`; `None` before the beginning and after the end of the line.
    #[must_use]
    pub fn at(&self, x: f64, axis: Axis) -> Option<usize> {
        let after = self.first_not_before(x, axis);
        let before = after.checked_sub(1);
        let of = |place: usize| self.x(place, axis);
        // Slightly beyond the ends still counts: the pointer is never exact.
        let reach = || Some((self.end(axis)? - of(0)?) * 0.02);
        match (before.and_then(of), of(after)) {
            (Some(left), Some(right)) if x - left <= right - x => before,
            (Some(_), Some(_)) => Some(after),
            (None, Some(first)) => (first - x <= reach()?).then_some(0),
            (Some(last), None) => before.filter(|_| reach().is_some_and(|reach| x - last <= reach)),
            (None, None) => None,
        }
    }
}

/// An exponential moving average without bias towards zero at its start, as `TensorBoard` smooths (`resmoothDataset`
/// in its line chart): `m ← w·m + (1−w)·y`, shown as `m / (1 − wⁿ)`. For points without a value in between, `w` is
/// applied once for each of them, so that a line with few values is smoothed over as many steps as one with many.
#[derive(Debug, Clone)]
pub(super) struct Mean {
    weight: f64,
    sum: f64,
    left: f64,
    before: Option<u32>,
}

impl Default for Mean {
    fn default() -> Self {
        Self::new(0.0)
    }
}

impl Mean {
    pub(super) fn new(weight: f64) -> Self {
        Self {
            weight,
            sum: 0.0,
            left: 1.0,
            before: None,
        }
    }

    /// Adds the value of the point at `place`, and returns the average.
    pub(super) fn push(&mut self, place: u32, value: f64) -> f64 {
        let apart = self.before.map_or(1, |before| place.saturating_sub(before));
        self.before = Some(place);
        let weight = match apart {
            1 => self.weight,
            apart => self.weight.powi(i32::try_from(apart).unwrap_or(i32::MAX)),
        };
        self.sum = weight * self.sum + (1.0 - weight) * value;
        self.left *= weight;
        self.sum / (1.0 - self.left)
    }
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

    fn line(points: &[CurvePoint], metric: &Metric, side: MetricSide, smoothing: f64) -> Line {
        let mut line = Line::default();
        let points = Points::Evaluations(points, metric, side);
        line.follow(points, smoothing, &mut Budget::new(usize::MAX));
        line
    }

    fn smoothed(places: &[u32], values: &[f64], weight: f64) -> Vec<f64> {
        let mut mean = Mean::new(weight);
        let both = places.iter().zip(values);
        both.map(|(place, value)| mean.push(*place, *value))
            .collect()
    }

    #[test]
    fn smoothing_is_not_drawn_towards_zero() {
        let line = smoothed(&[0, 1, 2], &[5.0, 5.0, 8.0], 0.6);
        assert!((line[0] - 5.0).abs() < 1e-12);
        assert!((line[1] - 5.0).abs() < 1e-12);
        // 0.4·(0.36·5 + 0.6·5 + 8) / (1 − 0.6³)
        let expected = 0.4 * (0.36 * 5.0 + 0.6 * 5.0 + 8.0) / (1.0 - 0.216);
        assert!((line[2] - expected).abs() < 1e-12);
        let plain = smoothed(&[0, 1], &[5.0, 7.0], 0.0);
        assert!((plain[1] - 7.0).abs() < 1e-12);
    }

    #[test]
    fn few_values_are_smoothed_over_as_many_steps_as_many() {
        let weight = 0.6;
        let means = smoothed(&[9, 19], &[2.0, 4.0], weight);
        assert!((means[0] - 2.0).abs() < 1e-12);
        // After ten more places the weight of the previous values has decreased ten times.
        let old = 0.4 * weight.powi(10);
        let new = 1.0 - weight.powi(10);
        let expected = (old * 2.0 + new * 4.0) / (old + new);
        assert!((means[1] - expected).abs() < 1e-9, "{means:?}");
        assert!(means[1] > 3.98);

        let points: Vec<CurvePoint> = (1..=30)
            .map(|at| point(at * 10, 0.5, at.is_multiple_of(10).then_some(0.75)))
            .collect();
        let of = |side| line(&points, &Metric::ACCURACY, side, 0.6);
        assert!(of(MetricSide::Validation).is_sparse() && !of(MetricSide::Train).is_sparse());
        assert_eq!(of(MetricSide::Validation).len(), 3);
    }

    #[test]
    fn a_line_is_in_percent_and_leaves_gaps_out() {
        let points = [
            point(0, 0.5, None),
            point(10, 0.75, Some(0.25)),
            point(20, f32::NAN, Some(0.5)),
        ];
        let train = line(&points, &Metric::ACCURACY, MetricSide::Train, 0.0);
        assert_eq!(train.len(), 2);
        let found = train.value_at(1).unwrap();
        assert_eq!((found.step, found.secs), (10, 0.1));
        assert!((found.value - 75.0).abs() < 1e-6 && (found.smooth - 75.0).abs() < 1e-6);
        assert_eq!(train.at(9.0, Axis::Step), Some(1));
        assert_eq!(train.at(0.02, Axis::Time), Some(0));
        assert_eq!(train.at(50.0, Axis::Step), None);
        assert_eq!(train.range(true), Some([50.0, 75.0]));
        let validation = line(&points, &Metric::ACCURACY, MetricSide::Validation, 0.0);
        assert_eq!(validation.value_at(0).map(|found| found.step), Some(10));
        assert_eq!(validation.end(Axis::Step), Some(20.0));
        let other = Metric::new("learning_rate");
        assert!(line(&points, &other, MetricSide::Train, 0.0).is_empty());
    }

    #[test]
    fn points_are_taken_in_by_and_by_to_the_same_line() {
        let points: Vec<CurvePoint> = (0..1000)
            .map(|at| {
                point(
                    at,
                    (at % 7) as f32 / 7.0,
                    at.is_multiple_of(3).then_some(0.5),
                )
            })
            .collect();
        let whole = line(&points, &Metric::ACCURACY, MetricSide::Train, 0.9);
        let mut grown = Line::default();
        let mut frames = 0;
        // New points arrive while others are being added, and the smoothing changes twice.
        for known in [100, 100, 400, 1000] {
            let of = Points::Evaluations(&points[..known], &Metric::ACCURACY, MetricSide::Train);
            for smoothing in [0.6, 0.3, 0.9] {
                let mut budget = Budget::new(150);
                grown.follow(of, smoothing, &mut budget);
                assert!(budget.spent() <= 150);
                frames += 1;
            }
        }
        let of = Points::Evaluations(&points, &Metric::ACCURACY, MetricSide::Train);
        while !grown.is_settled(of, 0.9) {
            grown.follow(of, 0.9, &mut Budget::new(150));
            frames += 1;
            assert!(frames < 40);
        }
        assert_eq!(grown.len(), whole.len());
        for place in 0..whole.len() {
            let [a, b] = [&grown, &whole].map(|line| line.value_at(place).unwrap());
            // Values are stored in single precision, and the line is smoothed again from these.
            assert!((a.smooth - b.smooth).abs() < 1e-4 && (a.value - b.value).abs() < 1e-9);
        }
        // Without changes nothing is visited; one new point costs one point.
        let mut budget = Budget::new(150);
        grown.follow(of, 0.9, &mut budget);
        assert_eq!(budget.spent(), 0);
        let mut more = points.clone();
        more.push(point(1000, 0.5, None));
        let of = Points::Evaluations(&more, &Metric::ACCURACY, MetricSide::Train);
        grown.follow(of, 0.9, &mut budget);
        assert_eq!((budget.spent(), grown.len()), (1, 1001));
        // A new training starts from the beginning.
        let other = [point(0, 0.1, None), point(1, 0.2, None)];
        let of = Points::Evaluations(&other, &Metric::ACCURACY, MetricSide::Train);
        grown.follow(of, 0.9, &mut budget);
        assert_eq!(grown.len(), 2);
    }

    #[test]
    fn a_section_is_found_without_looking_at_the_others() {
        let points: Vec<CurvePoint> = (0..10_000).map(|at| point(at * 10, 0.5, None)).collect();
        let line = line(&points, &Metric::ACCURACY, MetricSide::Train, 0.0);
        let stretch = line.stretch([50_000.0, 50_100.0], Axis::Step);
        assert_eq!(
            stretch,
            LineStretch {
                from: 4999,
                to: 5012
            }
        );
        let mut places = Vec::new();
        let visited = line.thinned(stretch, true, 300, |place| places.push(place));
        assert_eq!((visited, places.len()), (13, 13));
        let all = line.stretch([-10.0, 1e9], Axis::Step);
        assert_eq!(
            all,
            LineStretch {
                from: 0,
                to: 10_000
            }
        );
        places.clear();
        assert!(line.thinned(all, true, 300, |place| places.push(place)) < 1300);
        assert_eq!(places.last(), Some(&9999));
        assert!(line.sampled().count() <= 128);
    }
}
