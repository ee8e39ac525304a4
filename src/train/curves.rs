//! Curves: accuracy and cross-entropy over the steps of a run.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use serde::{Deserialize, Serialize};

use super::KeepBy;
use super::metrics::{Measured, MetricSide};
use crate::backbone::Depth;

/// A point of the curves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Steps done.
    pub step: u32,
    /// Seconds of training since the start of the run, without pauses.
    pub secs: f64,
    /// Accuracy on the batch, 0..=1.
    pub train_accuracy: f32,
    /// Mean cross-entropy of the batch, nats.
    pub train_cross_entropy: f32,
    /// Accuracy on the validation frames, 0..=1; `None` without validation frames.
    pub validation_accuracy: Option<f32>,
    /// Mean cross-entropy on the validation frames, nats.
    pub validation_cross_entropy: Option<f32>,
}

impl CurvePoint {
    /// Accuracy and cross-entropy on a side's images; `None` if they were not measured, and for [`MetricSide::Run`].
    #[must_use]
    pub fn figures(&self, side: MetricSide) -> Option<(f32, f32)> {
        match side {
            MetricSide::Train => Some((self.train_accuracy, self.train_cross_entropy)),
            MetricSide::Validation => {
                Some((self.validation_accuracy?, self.validation_cross_entropy?))
            }
            MetricSide::Run => None,
        }
    }
}

/// All points of a run, in order.
pub type Curves = Vec<CurvePoint>;

/// The evaluation of the best weights so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BestPoint {
    /// The step of the weights.
    pub step: u32,
    /// Accuracy on *all* validation frames, 0..=1.
    pub validation_accuracy: f32,
    /// Mean cross-entropy on all validation frames, nats.
    pub validation_cross_entropy: f32,
}

impl BestPoint {
    /// Whether its weights are kept in preference to those of another evaluation.
    pub(super) fn beats(&self, other: &Self, keep_by: KeepBy) -> bool {
        let by_accuracy = self
            .validation_accuracy
            .total_cmp(&other.validation_accuracy);
        let by_cross_entropy = other
            .validation_cross_entropy
            .total_cmp(&self.validation_cross_entropy);
        match keep_by {
            KeepBy::Accuracy => by_accuracy.then(by_cross_entropy),
            KeepBy::CrossEntropy => by_cross_entropy.then(by_accuracy),
            KeepBy::Last => self.step.cmp(&other.step),
        }
        .is_gt()
    }
}

/// A part of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// The head alone.
    #[default]
    Head,
    /// The fine-tuning.
    #[serde(rename = "fine-tuning")]
    FineTuning,
}

#[derive(Debug, Default)]
struct Live {
    part: Part,
    /// The depth of the part.
    depth: Depth,
    steps: u32,
    points: Curves,
    /// The other measurements of the part.
    measured: Vec<Arc<Measured>>,
    /// The points of the head's part during the fine-tuning, and its other measurements.
    head: Curves,
    head_measured: Vec<Arc<Measured>>,
    best: Option<BestPoint>,
    baseline: Option<BestPoint>,
}

/// The curves of a run in progress: written by the trainer, read by the window; neither blocks the other.
#[derive(Debug, Clone, Default)]
pub struct LiveCurves(Arc<Mutex<Live>>);

impl LiveCurves {
    fn live(&self) -> MutexGuard<'_, Live> {
        self.0.lock()
    }

    /// The current part, and its points after the first `of_head` of the head or the first
    /// `of_fine_tuning` of the fine-tuning.
    #[must_use]
    pub fn since(&self, [of_head, of_fine_tuning]: [usize; 2]) -> (Part, Curves) {
        let live = self.live();
        let known = match live.part {
            Part::Head => of_head,
            Part::FineTuning => of_fine_tuning,
        };
        let new = live.points.get(known..).map(<[_]>::to_vec);
        (live.part, new.unwrap_or_default())
    }

    /// The same for the other measurements, which are not copied.
    #[must_use]
    pub fn measured_since(
        &self,
        [of_head, of_fine_tuning]: [usize; 2],
    ) -> (Part, Vec<Arc<Measured>>) {
        let live = self.live();
        let known = match live.part {
            Part::Head => of_head,
            Part::FineTuning => of_fine_tuning,
        };
        let new = live.measured.get(known..).map(<[_]>::to_vec);
        (live.part, new.unwrap_or_default())
    }

    /// The other measurements of the head's part during the fine-tuning, like [`LiveCurves::head`].
    #[must_use]
    pub fn head_measured(&self) -> Vec<Arc<Measured>> {
        self.live().head_measured.clone()
    }

    /// The best evaluation so far; `None` before the first and without validation frames.
    #[must_use]
    pub fn best(&self) -> Option<BestPoint> {
        self.live().best
    }

    /// The total number of steps of the current part; 0 while that is unknown.
    #[must_use]
    pub fn steps(&self) -> u32 {
        self.live().steps
    }

    /// The depth of the current part; [`Depth::Head`] for the head.
    #[must_use]
    pub fn depth(&self) -> Depth {
        self.live().depth
    }

    /// The head's best evaluation, during the fine-tuning.
    #[must_use]
    pub fn baseline(&self) -> Option<BestPoint> {
        self.live().baseline
    }

    /// The points of the head's part during the fine-tuning; empty if the run was resumed from a checkpoint of the
    /// fine-tuning.
    #[must_use]
    pub fn head(&self) -> Curves {
        self.live().head.clone()
    }

    /// Begins the fine-tuning's part with earlier points; `baseline` is the head's best evaluation.
    pub(super) fn begin_fine_tuning(
        &self,
        depth: Depth,
        steps: u32,
        points: &[CurvePoint],
        best: Option<BestPoint>,
        baseline: Option<BestPoint>,
    ) {
        let mut live = self.live();
        let live_now = std::mem::take(&mut *live);
        let (head, head_measured) = match live_now.part {
            Part::Head => (live_now.points, live_now.measured),
            Part::FineTuning => (live_now.head, live_now.head_measured),
        };
        *live = Live {
            part: Part::FineTuning,
            depth,
            steps,
            points: points.to_vec(),
            measured: Vec::new(),
            head,
            head_measured,
            best,
            baseline,
        };
    }

    /// The steps per second over the last points; `None` with fewer than two.
    #[must_use]
    pub fn steps_per_second(&self) -> Option<f64> {
        let live = self.live();
        let last = live.points.last()?;
        let back = live.points.len().saturating_sub(50);
        let first = live.points.get(back)?;
        let secs = last.secs - first.secs;
        (secs > 0.0).then(|| f64::from(last.step - first.step) / secs)
    }

    pub(super) fn push(
        &self,
        point: CurvePoint,
        measured: Option<Arc<Measured>>,
        best: Option<BestPoint>,
    ) {
        let mut live = self.live();
        live.points.push(point);
        live.measured.extend(measured);
        live.best = best;
    }

    /// Sets the other measurements at the initial points.
    pub(super) fn begin_measured(&self, measured: Vec<Arc<Measured>>) {
        self.live().measured = measured;
    }

    /// Replaces the best evaluation after it was repeated on frames whose labels have changed.
    pub(super) fn set_best(&self, best: Option<BestPoint>) {
        self.live().best = best;
    }

    /// Replaces all points by those of an earlier part of the run.
    pub(super) fn replace(&self, steps: u32, points: &[CurvePoint], best: Option<BestPoint>) {
        *self.live() = Live {
            steps,
            points: points.to_vec(),
            best,
            ..Live::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_curves_of_the_head_stay_while_the_training_goes_deeper() {
        let point = |step| CurvePoint {
            step,
            secs: 0.0,
            train_accuracy: 0.5,
            train_cross_entropy: 1.0,
            validation_accuracy: None,
            validation_cross_entropy: None,
        };
        let curves = LiveCurves::default();
        curves.replace(20, &[point(10)], None);
        curves.push(point(20), None, None);
        assert!(curves.head().is_empty());
        // Called before its data are prepared and again when its steps begin.
        curves.begin_fine_tuning(Depth::Last1, 0, &[], None, None);
        curves.begin_fine_tuning(Depth::Last1, 70, &[point(10)], None, None);
        curves.push(point(20), None, None);
        let steps = |points: Curves| points.iter().map(|p| p.step).collect::<Vec<_>>();
        assert_eq!(curves.depth(), Depth::Last1);
        assert_eq!(steps(curves.head()), [10, 20]);
        assert_eq!(steps(curves.since([0, 0]).1), [10, 20]);
        curves.replace(20, &[], None);
        assert!(curves.head().is_empty() && curves.depth() == Depth::Head);
    }
}
