//! Images of unknown classes can be recognised by a low highest probability. How well that works is measured with
//! classes that are held out one at a time.

use serde::{Deserialize, Serialize};

use crate::evaluate::EvaluateError;
use crate::evaluate::calibration::Logits;
use crate::evaluate::classifier::Classifier;
use crate::evaluate::interval::effective_sources;
use crate::jobs::Work;
use crate::project::{Project, Split};
use crate::train::{Run, UnknownThreshold};

use super::{Backbone, Bench, cache};

/// The most classes that are held out: each requires a training.
const MOST_CLASSES: usize = 24;
/// The number of points of the curves: thresholds from 0 to 1.
const STEPS: usize = 200;

/// The result for a held-out class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct HeldOut {
    /// The class.
    pub class: String,
    /// Its frames.
    pub frames: u64,
    /// For each of the [thresholds](UnknownCurve::threshold), the fraction of its frames whose highest probability is
    /// not below it: they are accepted as one of the other classes.
    pub false_accept: Vec<f64>,
}

/// False accepts and false rejects as functions of the threshold.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct UnknownCurve {
    /// The held-out classes.
    pub held_out: Vec<HeldOut>,
    /// Their mean at each threshold.
    pub false_accept: Vec<f64>,
    /// The fraction of the frames of the run's classes whose highest calibrated probability is below the threshold.
    pub false_reject: Vec<f64>,
    /// The number of frames for the false rejects.
    pub known_frames: u64,
    /// The side of these frames.
    pub known: Split,
}

impl UnknownCurve {
    /// The threshold at an index of the curves.
    #[must_use]
    pub fn threshold(at: usize) -> f64 {
        at as f64 / STEPS as f64
    }

    /// The highest threshold that rejects at most this fraction of images of the classes.
    #[must_use]
    pub fn at_reject_rate(&self, rate: f64) -> UnknownThreshold {
        let within = |part: &f64| *part <= rate + 1e-12;
        let at = self.false_reject.iter().rposition(within).unwrap_or(0);
        let of = |curve: &[f64]| curve.get(at).copied().unwrap_or(0.0);
        UnknownThreshold {
            threshold: Self::threshold(at),
            false_reject: of(&self.false_reject),
            false_accept: of(&self.false_accept),
        }
    }
}

/// Holds out each class in turn (of many, [24](MOST_CLASSES) evenly selected): a head and its temperature are trained
/// without it, and all its frames are unknown to that head. False rejects are those of the run itself on its test
/// frames, or, without any, on its validation frames. `None` with fewer than three classes or without such frames. The
/// result is stored in the project's cache.
///
/// The bottlenecks are those of the run's own backbone, which is the one that will be used. A fine-tuned one was
/// trained on the held-out class: then there are too few false accepts, which should be stated where they are shown.
///
/// # Errors
/// The run or its frames cannot be read, a training fails, or the work is cancelled.
pub fn hold_out_classes(
    project: &Project,
    run: &Run,
    work: &Work,
) -> Result<Option<UnknownCurve>, EvaluateError> {
    let bench = Bench::of(project, run, Backbone::OfRun, work)?;
    let known = [Split::Test, Split::Validation].into_iter().find(|side| {
        let frames = bench.frames.iter();
        frames.filter(|frame| frame.split == *side).count() > 0
    });
    let Some(known) = known.filter(|_| bench.labels.len() > 2) else {
        return Ok(None);
    };
    // The run's own predictions of known frames depend on its weights and temperature.
    let (places, dim) = (
        bench.side(known),
        bench.table.row(0).map_or(0, <[f32]>::len),
    );
    let classifier = Classifier::of_run(run, dim)?;
    let classes = crate::train::RunClasses::of(project, run);
    let highest: Vec<f64> = places
        .iter()
        .filter_map(|at| bench.table.row(*at))
        .map(|row| highest(&classes.fold(classifier.probabilities(row))))
        .collect();
    let of_labels: Vec<usize> = spread(bench.labels.len());
    work.stage("Holding out classes", Some(of_labels.len() as u64));
    let held_out = cache::cached(project, "held-out", &bench.content, || {
        let each = of_labels.iter().map(|class| hold_out(&bench, *class, work));
        each.filter_map(Result::transpose).collect()
    })?;
    Ok(curve(held_out, &highest, known))
}

/// Up to [24](MOST_CLASSES) of this many classes.
fn spread(classes: usize) -> Vec<usize> {
    let count = classes.min(MOST_CLASSES);
    (0..count).map(|at| at * classes / count.max(1)).collect()
}

fn curve(held_out: Vec<HeldOut>, highest: &[f64], known: Split) -> Option<UnknownCurve> {
    if held_out.is_empty() || highest.is_empty() {
        return None;
    }
    let mean = |at: usize| {
        let of_class = held_out.iter().filter_map(|of| of.false_accept.get(at));
        of_class.sum::<f64>() / held_out.len() as f64
    };
    Some(UnknownCurve {
        false_accept: (0..=STEPS).map(mean).collect(),
        false_reject: below(highest),
        known_frames: highest.len() as u64,
        known,
        held_out,
    })
}

/// For each threshold, the fraction of values below it.
fn below(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let of = |at| {
        let threshold = UnknownCurve::threshold(at);
        sorted.partition_point(|value| *value < threshold) as f64 / sorted.len().max(1) as f64
    };
    (0..=STEPS).map(of).collect()
}

fn highest(probabilities: &[f32]) -> f64 {
    f64::from(probabilities.iter().copied().fold(0.0, f32::max))
}

/// The result for one held-out class; `None` if it has no frames or there are too few others.
fn hold_out(bench: &Bench, class: usize, work: &Work) -> Result<Option<HeldOut>, EvaluateError> {
    let of_side = |side: Split| bench.places(|frame| frame.split == side && frame.truth != class);
    let (train, validation) = (of_side(Split::Train), of_side(Split::Validation));
    let unknown = bench.places(|frame| frame.truth == class);
    if train.is_empty() || unknown.is_empty() {
        work.advance(1);
        return Ok(None);
    }
    let head = bench.learn(&train, &validation, work)?;
    // Its output for the unknown class is meaningless.
    let others: Vec<usize> = (0..bench.labels.len()).filter(|of| *of != class).collect();
    let logits_of = |at: &usize| -> Option<(usize, Vec<f64>)> {
        let all = head.logits(bench.table.row(*at)?);
        let kept = others.iter().filter_map(|of| all.get(*of).copied());
        Some((bench.frames.get(*at)?.truth, kept.collect()))
    };
    let logits = Logits {
        frames: validation.iter().filter_map(logits_of).collect(),
        label_of: others.clone(),
        labels: bench.labels.len(),
    };
    let mut sizes = std::collections::BTreeMap::<&str, f64>::new();
    for frame in validation.iter().filter_map(|at| bench.frames.get(*at)) {
        *sizes.entry(&frame.source).or_default() += 1.0;
    }
    let temperature = if logits.frames.is_empty() {
        1.0
    } else {
        logits.temperature(effective_sources(sizes.into_values()), work)?
    };
    let of_unknown: Vec<f64> = unknown
        .iter()
        .filter_map(logits_of)
        .map(|(_, of)| highest(&logits.at(&of, temperature)))
        .collect();
    Ok(Some(HeldOut {
        class: bench.labels.get(class).cloned().unwrap_or_default(),
        frames: of_unknown.len() as u64,
        false_accept: below(&of_unknown)
            .into_iter()
            .map(|part| 1.0 - part)
            .collect(),
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::super::made_up::{Made, bench};
    use super::*;

    #[test]
    fn a_class_that_was_never_learned_is_less_certain() {
        let bench = bench(&Made {
            classes: 5,
            films: 10,
            frames: 6,
            of_films: 0.1,
            of_frames: 0.1,
        });
        let held = hold_out(&bench, 2, &Work::new()).unwrap().unwrap();
        assert_eq!((held.class.as_str(), held.frames), ("2", 60));
        assert_eq!(held.false_accept.len(), STEPS + 1);
        assert!((held.false_accept[0] - 1.0).abs() < 1e-12, "all at 0");
        assert!(held.false_accept[STEPS] < 1e-12, "none at 1");
        // This head gives almost all known frames more than 0.8, but few of the held-out class.
        assert!(held.false_accept[160] < 0.3, "{}", held.false_accept[160]);
    }

    #[test]
    fn the_threshold_by_a_rate_of_rejects() {
        let held_out = vec![HeldOut {
            class: "x".into(),
            frames: 2,
            false_accept: below(&[0.3, 0.6]).iter().map(|part| 1.0 - part).collect(),
        }];
        let known = [0.5, 0.9, 0.9, 0.95];
        let found = curve(held_out, &known, Split::Test).unwrap();
        let none = found.at_reject_rate(0.0);
        assert!((none.threshold - 0.5).abs() < 1e-9, "{none:?}");
        assert!((none.false_accept - 0.5).abs() < 1e-9);
        let quarter = found.at_reject_rate(0.25);
        assert!((quarter.threshold - 0.9).abs() < 1e-9, "{quarter:?}");
        assert_eq!((quarter.false_accept, quarter.false_reject), (0.0, 0.25));
        assert_eq!(curve(Vec::new(), &known, Split::Test), None);
        assert_eq!(spread(4), [0, 1, 2, 3]);
        assert_eq!((spread(100).len(), spread(100)[23]), (24, 95));
    }
}
