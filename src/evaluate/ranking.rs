//! How well a class's probability ranks frames: precision-recall and ROC curves, by the definitions of scikit-learn.

use serde::Serialize;

/// The smallest distance of points of a curve: less than a screen shows.
const LEAST_APART: f64 = 1.0 / 256.0;

/// The curves of one class against all others. A frame is classified as the class if its probability is at least a
/// threshold; frames with equal probabilities always together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Ranking {
    /// Average precision, 0..=1: Σ (Rₙ − Rₙ₋₁)·Pₙ over the thresholds, highest first
    /// (`sklearn.metrics.average_precision_score`).
    pub average_precision: f64,
    /// Area under the ROC curve by the trapezoidal rule, 0..=1 (`sklearn.metrics.roc_auc_score`).
    pub auc: f64,
    /// Recall and precision at the thresholds, highest first, from recall 0 with precision 1 to the first threshold
    /// with recall 1: lower ones only add false positives. Points too close for a screen are left out.
    pub precision_recall: Vec<[f64; 2]>,
    /// False and true positive rate at the thresholds, highest first, from (0, 0) to (1, 1). Points too close for a
    /// screen are left out.
    pub roc: Vec<[f64; 2]>,
}

impl Ranking {
    /// From each frame's probability of the class, and whether it belongs to the class. `None` if all frames do or
    /// none does: then there is nothing to rank.
    #[must_use]
    pub fn of(mut frames: Vec<(f32, bool)>) -> Option<Self> {
        let positives = frames.iter().filter(|(_, positive)| *positive).count() as f64;
        let negatives = frames.len() as f64 - positives;
        if positives < 1.0 || negatives < 1.0 {
            return None;
        }
        frames.sort_by(|a, b| b.0.total_cmp(&a.0));
        let (mut hits, mut alarms) = (0.0, 0.0);
        let (mut average_precision, mut auc) = (0.0, 0.0);
        let (mut precision_recall, mut roc) = (vec![[0.0, 1.0]], vec![[0.0, 0.0]]);
        for tied in frames.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            let of_class = tied.iter().filter(|(_, positive)| *positive).count() as f64;
            let others = tied.len() as f64 - of_class;
            auc += others * (hits + 0.5 * of_class);
            hits += of_class;
            alarms += others;
            let precision = hits / (hits + alarms);
            average_precision += of_class / positives * precision;
            if precision_recall
                .last()
                .is_none_or(|[recall, _]| *recall < 1.0)
            {
                precision_recall.push([hits / positives, precision]);
            }
            roc.push([alarms / negatives, hits / positives]);
        }
        Some(Self {
            average_precision,
            auc: auc / (positives * negatives),
            precision_recall: spaced(precision_recall),
            roc: spaced(corners(roc)),
        })
    }

    /// The precision-recall curve as steps, to be drawn with straight lines: each gain in recall has the precision at
    /// its end, so that the area below the steps is the average precision, unless there are so many points that only some
    /// are kept (`sklearn.metrics.PrecisionRecallDisplay`).
    #[must_use]
    pub fn precision_steps(&self) -> Vec<[f64; 2]> {
        let mut steps = Vec::with_capacity(2 * self.precision_recall.len());
        let mut reached = 0.0;
        for &[recall, precision] in &self.precision_recall {
            if recall > reached {
                steps.extend([[reached, precision], [recall, precision]]);
                reached = recall;
            }
        }
        steps
    }
}

/// The points without those on a straight line between their neighbours; the first and the last stay.
fn corners(points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    let mut corners: Vec<[f64; 2]> = Vec::new();
    for point in points {
        if let [.., before, last] = corners.as_slice() {
            let turn = (last[0] - before[0]) * (point[1] - last[1])
                - (last[1] - before[1]) * (point[0] - last[0]);
            if turn.abs() < 1e-12 {
                corners.pop();
            }
        }
        corners.push(point);
    }
    corners
}

/// Only as many of the points as a screen shows; the first and the last stay.
fn spaced(points: Vec<[f64; 2]>) -> Vec<[f64; 2]> {
    let last = points.len().saturating_sub(1);
    let mut kept: Vec<[f64; 2]> = Vec::new();
    for (at, point) in points.into_iter().enumerate() {
        let apart = |of: &[f64; 2]| (point[0] - of[0]).abs().max((point[1] - of[1]).abs());
        if at == last || kept.last().is_none_or(|of| apart(of) >= LEAST_APART) {
            kept.push(point);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn close(found: &[[f64; 2]], x: &[f64], y: &[f64]) {
        assert_eq!(found.len(), x.len());
        for ([a, b], (x, y)) in found.iter().zip(x.iter().zip(y)) {
            assert!((a - x).abs() < 1e-12 && (b - y).abs() < 1e-12);
        }
    }

    /// Three classes and ties; the expected values are those of scikit-learn 1.x: `average_precision_score`,
    /// `roc_auc_score`, `precision_recall_curve` and `roc_curve` with `drop_intermediate=False`.
    #[test]
    fn figures_are_those_of_scikit_learn() {
        let truth = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 2, 2];
        let scores = [
            0.9, 0.8, 0.8, 0.35, 0.7, 0.35, 0.1, 0.8, 0.35, 0.2, 0.2, 0.05,
        ];
        let of = |class: i32| {
            let frames = truth.iter().zip(scores);
            Ranking::of(frames.map(|(t, s)| (s, *t == class)).collect()).unwrap()
        };
        for (class, average_precision, auc) in [
            (0, 0.75, 0.875),
            (1, 0.240_909_090_909_090_9, 0.370_370_370_370_370_4),
            (2, 0.343_333_333_333_333_3, 0.257_142_857_142_857_23),
        ] {
            let found = of(class);
            assert!((found.average_precision - average_precision).abs() < 1e-12);
            assert!((found.auc - auc).abs() < 1e-12, "{}", found.auc);
        }
        let found = of(0);
        // Without the points within straight lines.
        close(
            &found.roc,
            &[0.0, 0.0, 0.125, 0.25, 0.5, 1.0],
            &[0.0, 0.25, 0.75, 0.75, 1.0, 1.0],
        );
        // scikit-learn returns them in ascending order of thresholds, and several with recall 1.
        close(
            &found.precision_recall,
            &[0.0, 0.25, 0.75, 0.75, 1.0],
            &[1.0, 1.0, 0.75, 0.6, 0.5],
        );
        close(
            &found.precision_steps(),
            &[0.0, 0.25, 0.25, 0.75, 0.75, 1.0],
            &[1.0, 1.0, 0.75, 0.75, 0.5, 0.5],
        );
        for class in 0..3 {
            let found = of(class);
            let steps = found.precision_steps();
            let widths = steps
                .windows(2)
                .map(|ends| (ends[1][0] - ends[0][0]) * ends[1][1]);
            assert!((widths.sum::<f64>() - found.average_precision).abs() < 1e-12);
        }
    }

    #[test]
    fn a_class_ranked_first_has_precision_1_up_to_recall_1() {
        let frames = (0..1_000).map(|at| (1_000.0 - at as f32, at < 300));
        let found = Ranking::of(frames.collect()).unwrap();
        let steps = found.precision_steps();
        assert!(
            steps
                .iter()
                .all(|[_, precision]| (precision - 1.0).abs() < 1e-12)
        );
        assert!((steps[steps.len() - 1][0] - 1.0).abs() < 1e-12);
    }

    #[test]
    fn many_points_are_thinned_and_keep_their_ends() {
        let frames = (0..10_000).map(|at| (at as f32, at % 3 == 0)).collect();
        let found = Ranking::of(frames).unwrap();
        assert!(found.roc.len() <= 514);
        close(&found.roc[..1], &[0.0], &[0.0]);
        close(&found.roc[found.roc.len() - 1..], &[1.0], &[1.0]);
        assert!((found.auc - 0.5).abs() < 1e-3);
        assert_eq!(Ranking::of(vec![(0.5, true)]), None);
        assert_eq!(Ranking::of(vec![(0.5, false)]), None);
    }
}
