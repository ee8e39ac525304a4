//! Compares two runs on the same frames.

use std::collections::HashMap;

use serde::Serialize;

use crate::project::Noun;
use crate::text::percent;

use super::Evaluation;
use super::paired::Paired;

/// The comparison of two evaluations on their common frames.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// How often each was right.
    pub counts: Paired,
    /// Accuracy of the first and the second, 0..=1.
    pub accuracies: [f64; 2],
    /// The two-sided p-value of `McNemar`'s exact test: the probability of such an unequal number of frames on which
    /// only one run is right, if neither were better and frames were independent.
    pub p_value: f64,
    /// The same test on sources: on how many each run was right more often. Sources are independent, frames of one
    /// source are not.
    pub sources: SignTest,
    /// Frames on which only one run is right, as indices in the first and the second evaluation.
    #[serde(skip)]
    pub differing: Vec<[usize; 2]>,
    /// The number of frames that only one evaluation has.
    pub left_out: u64,
}

/// A sign test on sources.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SignTest {
    /// On how many the first run is better.
    pub first: u64,
    /// On how many the second run is better.
    pub second: u64,
    /// On how many both are equal.
    pub equal: u64,
    /// Two-sided p-value of the sign test.
    pub p_value: f64,
}

impl Comparison {
    /// Compares two evaluations, whose classes are matched by name. `None` if they have no common frames.
    #[must_use]
    pub fn of(first: &Evaluation, second: &Evaluation) -> Option<Self> {
        let places: HashMap<&str, usize> = second
            .predictions
            .iter()
            .enumerate()
            .map(|(at, frame)| (frame.path.as_str(), at))
            .collect();
        let mut counts = Paired::default();
        let mut differing = Vec::new();
        let mut sources: HashMap<&str, i64> = HashMap::new();
        for (at, frame) in first.predictions.iter().enumerate() {
            let Some(other_at) = places.get(frame.path.as_str()).copied() else {
                continue;
            };
            let Some(other) = second.predictions.get(other_at) else {
                continue;
            };
            let right = [
                frame.truth == frame.predicted,
                other.truth == other.predicted,
            ];
            counts.count(right[0], right[1]);
            let better = i64::from(right[1]) - i64::from(right[0]);
            *sources.entry(frame.sampled_as()).or_default() += better;
            if better != 0 {
                differing.push([at, other_at]);
            }
        }
        let accuracies = counts.accuracies()?;
        let with = |sign: i64| sources.values().filter(|sum| sum.signum() == sign).count() as u64;
        let (first_better, second_better) = (with(-1), with(1));
        let all = first.predictions.len() + second.predictions.len();
        Some(Self {
            p_value: exact_p(counts.first_only, counts.second_only),
            sources: SignTest {
                first: first_better,
                second: second_better,
                equal: with(0),
                p_value: exact_p(first_better, second_better),
            },
            left_out: all as u64 - 2 * counts.total(),
            counts,
            accuracies,
            differing,
        })
    }

    /// The conclusion, in one sentence.
    #[must_use]
    pub fn sentence(&self, noun: Noun) -> String {
        let images = noun.many();
        let [first, second] = self.accuracies.map(percent);
        let Paired {
            first_only,
            second_only,
            ..
        } = self.counts;
        let both = format!(
            "{first} and {second} of the same {} {images}: only the first is right on {first_only}, only the second on {second_only}",
            self.counts.total()
        );
        let p = p_words(self.p_value);
        // Frames of one source have correlated errors, so both tests must agree.
        let shown = self.p_value < 0.05 && self.sources.p_value < 0.05;
        let better = if second_only > first_only {
            "second"
        } else {
            "first"
        };
        if shown {
            format!(
                "{both}. The {better} is better (McNemar's test {p}; over sources {}).",
                p_words(self.sources.p_value)
            )
        } else {
            format!(
                "{both}. This does not show that either is better (McNemar's test {p}; over sources {}).",
                p_words(self.sources.p_value)
            )
        }
    }
}

fn p_words(p: f64) -> String {
    if p < 0.001 {
        "p < 0.001".to_owned()
    } else {
        format!("p = {p:.3}")
    }
}

/// Two-sided exact test of two counts that are equally likely without a difference (Q. `McNemar` 1947, with the exact
/// binomial distribution): twice the smaller tail, at most 1.
#[must_use]
pub fn exact_p(first: u64, second: u64) -> f64 {
    let (few, all) = (first.min(second), first + second);
    // Binomial coefficients over 2^n, by their logarithms, because n may be large.
    let mut log_term = -(all as f64) * std::f64::consts::LN_2;
    let mut tail = 0.0;
    for k in 0..=few {
        tail += log_term.exp();
        log_term += ((all - k) as f64 / (k + 1) as f64).ln();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::evaluate::{Confusion, FramePrediction};
    use crate::project::Split;

    /// Expected values from `scipy.stats.binomtest(few, n, 0.5).pvalue`.
    #[test]
    fn p_values_are_those_of_scipy() {
        for (first, second, p) in [
            (0, 0, 1.0),
            (5, 5, 1.0),
            (1, 9, 0.021_484_375),
            (0, 6, 0.03125),
            (12, 30, 0.007_915_897_335),
            (400, 500, 0.000_956_444_137),
        ] {
            let found = exact_p(first, second);
            assert!((found - p).abs() < 1e-9, "{first} {second}: {found}");
            assert!((exact_p(second, first) - found).abs() < 1e-12);
        }
    }

    fn evaluation(frames: &[(&str, &str, bool)]) -> Evaluation {
        let frame = |(path, group, right): &(&str, &str, bool)| FramePrediction {
            path: (*path).to_owned(),
            group: (*group).to_owned(),
            truth: 0,
            predicted: usize::from(!*right),
            probabilities: vec![0.5, 0.5],
        };
        Evaluation {
            classes: vec!["a".into(), "b".into()],
            split: Split::Test,
            predictions: frames.iter().map(frame).collect(),
            confusion: Confusion::default(),
            relabelled: 0,
            changed: 0,
            missing: 0,
            notes: Vec::new(),
        }
    }

    #[test]
    fn frames_are_matched_and_sources_counted() {
        let first = evaluation(&[
            ("1", "x", true),
            ("2", "x", false),
            ("3", "y", true),
            ("4", "y", false),
            ("gone", "z", true),
        ]);
        let second = evaluation(&[
            ("4", "y", true),
            ("3", "y", true),
            ("2", "x", false),
            ("1", "x", false),
        ]);
        let found = Comparison::of(&first, &second).unwrap();
        assert_eq!(found.counts.first_only, 1);
        assert_eq!(found.counts.second_only, 1);
        assert_eq!((found.counts.both, found.counts.neither), (1, 1));
        assert_eq!((found.sources.first, found.sources.second), (1, 1));
        assert_eq!(found.differing, [[0, 3], [3, 0]]);
        assert_eq!(found.left_out, 1);
        assert!(found.sentence(Noun::Frame).contains("does not show"));
        assert_eq!(Comparison::of(&first, &evaluation(&[])), None);
    }

    /// Twenty frames of one film are one source: the test on frames alone would find significance.
    #[test]
    fn one_film_does_not_decide() {
        let names: Vec<String> = (0..20).map(|at| at.to_string()).collect();
        let of = |right: bool, films: usize| {
            let frames: Vec<(&str, &str, bool)> = names
                .iter()
                .enumerate()
                .map(|(at, name)| (name.as_str(), names[at % films].as_str(), right))
                .collect();
            evaluation(&frames)
        };
        let found = Comparison::of(&of(false, 1), &of(true, 1)).unwrap();
        assert!(found.p_value < 1e-4 && found.sources.p_value > 0.5);
        assert!(found.sentence(Noun::Frame).contains("does not show"));
        let found = Comparison::of(&of(false, 20), &of(true, 20)).unwrap();
        assert!(found.sentence(Noun::Frame).contains("The second is better"));
    }
}
