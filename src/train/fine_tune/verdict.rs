//! Whether fine-tuning was worth it: the difference in test accuracy, with its interval.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::text::percent;
use crate::train::BestPoint;

/// Two-sided 95 % quantile of the normal distribution.
const Z_95: f64 = 1.959_964;

/// The result of the comparison on the test frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FineTuningOutcome {
    /// The whole interval is above zero.
    Better,
    /// The interval contains zero.
    Undecided,
    /// The whole interval is below zero.
    Worse,
    /// Too few groups of test frames for an interval.
    Unknown,
}

/// Accuracy on the test frames with the head alone and with fine-tuning, on the same frames.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FineTuningVerdict {
    /// Test accuracy of the head alone, 0..=1.
    pub head_only: f64,
    /// Test accuracy after fine-tuning, 0..=1.
    #[serde(rename = "deeper")]
    pub fine_tuned: f64,
    /// 95 % interval of the difference, -1..=1; `None` with fewer than [`MIN_GROUPS`] groups of test frames.
    pub interval: Option<[f64; 2]>,
    /// The number of test frames.
    pub frames: usize,
    /// The number of their groups.
    pub groups: usize,
    /// The result.
    pub outcome: FineTuningOutcome,
}

/// With fewer groups of test frames there is no interval.
pub const MIN_GROUPS: usize = 5;

/// Whether fine-tuned weights are worse on this many validation frames than the head alone, beyond chance: by more than
/// two standard errors of the difference of two counts of wrong answers. As the frames are the same, the true error is
/// smaller; but the head is the best of hundreds of evaluations on them, so its accuracy there is biased upwards.
pub(super) fn is_worse(head_only: BestPoint, fine_tuned: BestPoint, frames: usize) -> bool {
    let [before, after] =
        [head_only, fine_tuned].map(|of| (1.0 - f64::from(of.validation_accuracy)) * frames as f64);
    after - before > 2.0 * (after + before).sqrt()
}

/// Compares two classifiers on the same frames; each has the correctness of its answers.
///
/// Frames of one group (a video) are similar, so the variance is computed between groups (the cluster-robust variance
/// of a mean, Liang and Zeger 1986): with dᵢ = 1, 0 or -1 and its mean d̄, over G groups `Var = G/(G-1) · Σ_g (Σ_{i∈g}
/// (dᵢ - d̄))² / n²`. If every frame is a group of its own, this is the usual paired comparison. Before that, two
/// frames are added to each side (Agresti and Min 2005), so that a handful of frames that agree do not look certain.
#[must_use]
pub fn verdict(
    head_only: &[bool],
    fine_tuned: &[bool],
    groups: &[&str],
) -> Option<FineTuningVerdict> {
    let frames = head_only.len();
    if frames == 0 || fine_tuned.len() != frames || groups.len() != frames {
        return None;
    }
    let share = |right: &[bool]| right.iter().filter(|r| **r).count() as f64 / frames as f64;
    let mut by_group: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for ((before, after), group) in head_only.iter().zip(fine_tuned).zip(groups) {
        let (sum, count) = by_group.entry(group).or_default();
        *sum += f64::from(i8::from(*after) - i8::from(*before));
        *count += 1.0;
    }
    let g = by_group.len();
    let difference = share(fine_tuned) - share(head_only);
    let interval = (g >= MIN_GROUPS).then(|| {
        // One additional gain and one additional loss, each a group of its own.
        let clusters = by_group.values().copied().chain([(1.0, 1.0), (-1.0, 1.0)]);
        let n = frames as f64 + 2.0;
        let mean = difference * frames as f64 / n;
        let squares: f64 = clusters
            .map(|(sum, count)| (sum - count * mean).powi(2))
            .sum();
        let count = (g + 2) as f64;
        let deviation = (count / (count - 1.0) * squares).sqrt() / n;
        [
            (mean - Z_95 * deviation).max(-1.0),
            (mean + Z_95 * deviation).min(1.0),
        ]
    });
    let outcome = match interval {
        None => FineTuningOutcome::Unknown,
        Some([low, _]) if low > 0.0 => FineTuningOutcome::Better,
        Some([_, high]) if high < 0.0 => FineTuningOutcome::Worse,
        Some(_) => FineTuningOutcome::Undecided,
    };
    Some(FineTuningVerdict {
        head_only: share(head_only),
        fine_tuned: share(fine_tuned),
        interval,
        frames,
        groups: g,
        outcome,
    })
}

impl FineTuningVerdict {
    /// A sentence for users.
    #[must_use]
    pub fn sentence(&self) -> String {
        let change = if percent(self.head_only) == percent(self.fine_tuned) {
            format!(
                "The head alone and fine-tuning reach the same test accuracy, {}",
                percent(self.fine_tuned)
            )
        } else {
            format!(
                "Fine-tuning changed the test accuracy from {} to {}",
                percent(self.head_only),
                percent(self.fine_tuned)
            )
        };
        let interval = self.interval.map(|[low, high]| {
            format!(
                "the difference lies between {:+.1} and {:+.1} points with 95 % confidence",
                100.0 * low,
                100.0 * high
            )
        });
        match (self.outcome, interval) {
            (FineTuningOutcome::Better, Some(interval)) => {
                format!("{change}: it was worth it ({interval}).")
            }
            (FineTuningOutcome::Worse, Some(interval)) => {
                format!("{change}: the head alone is better here ({interval}).")
            }
            (_, Some(interval)) => {
                format!(
                    "{change}: {} test images are too few to show that it was worth it ({interval}).",
                    self.frames
                )
            }
            (_, None) => format!(
                "{change}; the test images come from only {} recordings, too few to tell whether it was worth it.",
                self.groups
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn names(count: usize, groups: usize) -> Vec<String> {
        (0..count).map(|at| format!("g{}", at % groups)).collect()
    }

    fn judged(head_only: &[bool], fine_tuned: &[bool], groups: usize) -> FineTuningVerdict {
        let names = names(head_only.len(), groups);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        verdict(head_only, fine_tuned, &names).unwrap()
    }

    /// 20 gains and 4 losses in 200 frames, each its own group: the paired interval computed by hand.
    #[test]
    fn single_frames_give_the_paired_interval() {
        let before: Vec<bool> = (0..200).map(|at| at >= 20).collect();
        let after: Vec<bool> = (0..200).map(|at| at < 196).collect();
        let verdict = judged(&before, &after, 200);
        // With one more on each side: b = 21, c = 5, n = 202.
        let (b, c, n) = (21.0_f64, 5.0_f64, 202.0_f64);
        let mean = (b - c) / n;
        let deviation = ((b + c - (b - c).powi(2) / n) / (n * (n - 1.0))).sqrt();
        let [low, high] = verdict.interval.unwrap();
        assert!((low - (mean - Z_95 * deviation)).abs() < 1e-9);
        assert!((high - (mean + Z_95 * deviation)).abs() < 1e-9);
        assert_eq!(verdict.outcome, FineTuningOutcome::Better);
        assert!(verdict.sentence().contains("from 90.0 % to 98.0 %"));
    }

    #[test]
    fn frames_of_few_recordings_count_for_less() {
        let before: Vec<bool> = (0..200).map(|at| at % 10 != 0).collect();
        let after = vec![true; 200];
        // All gains in one of ten recordings.
        assert_eq!(
            judged(&before, &after, 10).outcome,
            FineTuningOutcome::Undecided
        );
        // The same gains spread over many.
        assert_eq!(
            judged(&before, &after, 200).outcome,
            FineTuningOutcome::Better
        );
        assert_eq!(
            judged(&after, &before, 200).outcome,
            FineTuningOutcome::Worse
        );
        let few = judged(&before, &after, 4);
        assert_eq!(
            (few.outcome, few.interval),
            (FineTuningOutcome::Unknown, None)
        );
        assert!(few.sentence().contains("only 4 recordings"));
    }

    #[test]
    fn a_few_frames_less_on_validation_are_chance() {
        let of = |validation_accuracy| BestPoint {
            step: 0,
            validation_accuracy,
            validation_cross_entropy: 0.5,
        };
        // 7 and 12 wrong of 100; 7 and 24; and of ten frames, two and nine.
        assert!(!is_worse(of(0.93), of(0.88), 100));
        assert!(is_worse(of(0.93), of(0.76), 100));
        assert!(!is_worse(of(1.0), of(0.8), 10) && is_worse(of(1.0), of(0.1), 10));
        assert!(!is_worse(of(0.8), of(0.9), 100));
    }

    #[test]
    fn no_difference_is_not_certainty() {
        let same = vec![true; 8];
        let verdict = judged(&same, &same, 8);
        let [low, high] = verdict.interval.unwrap();
        assert!(low < -0.2 && high > 0.2, "{low} {high}");
        assert_eq!(verdict.outcome, FineTuningOutcome::Undecided);
        assert!(super::verdict(&[], &[], &[]).is_none());
    }
}
