//! The figures of an evaluation with their intervals: accuracy, precision, recall and F1, by class and as macro
//! averages, and the ranking curves of each class.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::jobs::{Cancelled, Work};
use crate::text::{percent_or_dash, percent_range};

use super::Evaluation;
use super::interval::{effective_sources, interval_95, standard_errors};
use super::ranking::Ranking;

/// A figure with its interval.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Measure {
    /// The figure, 0..=1; `None` if it is undefined.
    pub value: Option<f64>,
    /// Its 95 % interval from a bootstrap over sources; `None` with fewer than two sources.
    pub interval_95: Option<[f64; 2]>,
}

impl fmt::Display for Measure {
    /// `84.1 % (70 to 93)`, the interval rounded outwards; a dash for no value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&percent_or_dash(self.value))?;
        match self.interval_95.map(percent_range) {
            Some([low, high]) => write!(f, " ({low:.0} to {high:.0})"),
            None => Ok(()),
        }
    }
}

/// The figures of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassFigures {
    /// Frames of the class.
    pub frames: u64,
    /// The number of their sources.
    pub sources: u64,
    /// The fraction of its frames that are classified as it.
    pub recall: Measure,
    /// The fraction of the frames classified as it that belong to it.
    pub precision: Measure,
    /// Harmonic mean of both.
    pub f1: Measure,
    /// The curves of its probability; `None` without frames of it or of others.
    pub ranking: Option<Ranking>,
}

/// The figures of an evaluation.
///
/// Macro averages are means over the classes that have frames or were predicted. The precision of a class that was
/// never predicted, and the recall of one without frames, count as 0: scikit-learn's `average="macro",
/// zero_division=0`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// The number of frames.
    pub frames: u64,
    /// The number of their sources: videos, and groups of similar photos.
    pub sources: u64,
    /// The effective number of sources: that of equally large ones with the same information.
    pub effective_sources: f64,
    /// The accuracy.
    pub accuracy: Measure,
    /// Mean recall of the classes (balanced accuracy).
    pub macro_recall: Measure,
    /// Mean precision of the classes.
    pub macro_precision: Measure,
    /// Mean F1 of the classes.
    pub macro_f1: Measure,
    /// Mean average precision of the classes with curves; `None` without any.
    pub macro_average_precision: Option<f64>,
    /// Mean area under the ROC curve of the classes with curves; `None` without any.
    pub macro_auc: Option<f64>,
    /// One for each class.
    pub per_class: Vec<ClassFigures>,
}

/// The number of figures before those of the classes, in the resampled vector.
const OVERALL: usize = 4;

impl Figures {
    /// The figures of an evaluation.
    ///
    /// # Errors
    /// [`Cancelled`] if `work` is cancelled.
    pub fn of(evaluation: &Evaluation, work: &Work) -> Result<Self, Cancelled> {
        work.stage("Computing intervals", None);
        let classes = evaluation.classes.len();
        let sources = Sources::of(evaluation);
        let all = vec![1; sources.0.len()];
        let values = sources.tally(&all, classes).figures();
        let errors = standard_errors(
            sources.0.len(),
            |weights| sources.tally(weights, classes).figures(),
            work,
        )?;
        let measure = |at: usize, frames: &dyn Fn(&Source) -> u64| {
            let value = values.get(at).copied().flatten();
            let error = errors.get(at).copied().flatten();
            let sizes = sources.0.iter().map(|source| frames(source) as f64);
            Measure {
                value,
                interval_95: value.and_then(|value| interval_95(value, error, sizes)),
            }
        };
        let overall = |at: usize| measure(at, &|source| source.frames);
        let mut per_class = Vec::with_capacity(classes);
        for class in 0..classes {
            work.check()?;
            let own = |source: &Source| source.of(class)[SUPPORT];
            let called = |source: &Source| source.of(class)[CALLED];
            let either = |source: &Source| own(source) + called(source);
            let first = OVERALL + 3 * class;
            let frames = evaluation.predictions.iter().map(|frame| {
                let probability = frame.probabilities.get(class).copied();
                (probability.unwrap_or(0.0), frame.truth == class)
            });
            per_class.push(ClassFigures {
                frames: sources.0.iter().map(own).sum(),
                sources: sources.0.iter().filter(|source| own(source) > 0).count() as u64,
                recall: measure(first, &own),
                precision: measure(first + 1, &called),
                f1: measure(first + 2, &either),
                ranking: Ranking::of(frames.collect()),
            });
        }
        let rankings = || per_class.iter().filter_map(|class| class.ranking.as_ref());
        let mean = |of: fn(&Ranking) -> f64| {
            let count = rankings().count();
            (count > 0).then(|| rankings().map(of).sum::<f64>() / count as f64)
        };
        Ok(Self {
            frames: evaluation.predictions.len() as u64,
            sources: sources.0.len() as u64,
            effective_sources: effective_sources(sources.0.iter().map(|of| of.frames as f64)),
            accuracy: overall(0),
            macro_recall: overall(1),
            macro_precision: overall(2),
            macro_f1: overall(3),
            macro_average_precision: mean(|ranking| ranking.average_precision),
            macro_auc: mean(|ranking| ranking.auc),
            per_class,
        })
    }
}

/// Indices of the counts of a class: correct frames, frames of it, frames classified as it.
const HITS: usize = 0;
const SUPPORT: usize = 1;
const CALLED: usize = 2;

/// The counts of one source.
#[derive(Default)]
struct Source {
    frames: u64,
    /// The counts by class.
    counts: BTreeMap<usize, [u64; 3]>,
}

impl Source {
    fn of(&self, class: usize) -> [u64; 3] {
        self.counts.get(&class).copied().unwrap_or_default()
    }
}

/// The sources of an evaluation.
struct Sources(Vec<Source>);

impl Sources {
    fn of(evaluation: &Evaluation) -> Self {
        let mut sources: BTreeMap<&str, Source> = BTreeMap::new();
        for frame in &evaluation.predictions {
            let source = sources.entry(frame.sampled_as()).or_default();
            source.frames += 1;
            let mut count = |class: usize, what: usize| {
                if let Some(count) = source.counts.entry(class).or_default().get_mut(what) {
                    *count += 1;
                }
            };
            count(frame.truth, SUPPORT);
            count(frame.predicted, CALLED);
            if frame.truth == frame.predicted {
                count(frame.truth, HITS);
            }
        }
        Self(sources.into_values().collect())
    }

    /// The counts if each source occurs as often as its weight.
    fn tally(&self, weights: &[u32], classes: usize) -> Tally {
        let mut tally = Tally {
            frames: 0,
            counts: vec![[0; 3]; classes],
        };
        for (source, weight) in self.0.iter().zip(weights) {
            let weight = u64::from(*weight);
            if weight == 0 {
                continue;
            }
            tally.frames += weight * source.frames;
            for (class, counts) in &source.counts {
                if let Some(sums) = tally.counts.get_mut(*class) {
                    for (sum, count) in sums.iter_mut().zip(counts) {
                        *sum += weight * count;
                    }
                }
            }
        }
        tally
    }
}

/// Counts of frames, and by class of correct frames, frames of it, and frames classified as it.
struct Tally {
    frames: u64,
    counts: Vec<[u64; 3]>,
}

impl Tally {
    /// Accuracy, macro recall, precision and F1, then recall, precision and F1 of each class.
    fn figures(&self) -> Vec<Option<f64>> {
        let ratio = |part: u64, whole: u64| (whole > 0).then(|| part as f64 / whole as f64);
        let right = self.counts.iter().map(|counts| counts[HITS]).sum();
        let mut figures = vec![ratio(right, self.frames)];
        let of_class = |[hits, support, called]: &[u64; 3]| {
            [
                ratio(*hits, *support),
                ratio(*hits, *called),
                ratio(2 * hits, support + called),
            ]
        };
        let per_class: Vec<[Option<f64>; 3]> = self.counts.iter().map(of_class).collect();
        let mut sums = [0.0; 3];
        let mut there = 0.0;
        for class in per_class.iter().filter(|class| class[2].is_some()) {
            there += 1.0;
            for (sum, value) in sums.iter_mut().zip(class) {
                *sum += value.unwrap_or(0.0);
            }
        }
        figures.extend(sums.map(|sum| (there > 0.0).then(|| sum / there)));
        figures.extend(per_class.into_iter().flatten());
        figures
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::evaluate::{Confusion, FramePrediction};
    use crate::project::Split;

    fn evaluation(classes: usize, frames: &[(usize, usize, &str)]) -> Evaluation {
        let mut confusion = Confusion::new(classes);
        let predictions = frames
            .iter()
            .enumerate()
            .map(|(at, (truth, called, group))| {
                confusion.add(*truth, *called);
                let mut probabilities = vec![0.1 / classes as f32; classes];
                probabilities[*called] += 0.9;
                FramePrediction {
                    path: format!("classes/x/{at}.jpg"),
                    group: (*group).to_owned(),
                    truth: *truth,
                    predicted: *called,
                    probabilities,
                }
            });
        let predictions = predictions.collect();
        Evaluation {
            classes: (0..classes).map(|class| class.to_string()).collect(),
            split: Split::Test,
            predictions,
            confusion,
            relabelled: 0,
            changed: 0,
            missing: 0,
            notes: Vec::new(),
        }
    }

    fn close(found: Option<f64>, expected: f64) {
        assert!((found.unwrap() - expected).abs() < 1e-12, "{found:?}");
    }

    /// Expected values from scikit-learn: `precision_recall_fscore_support(…, zero_division=0)`, also with
    /// `average="macro"`.
    #[test]
    fn averages_are_those_of_scikit_learn() {
        let truth = [0, 0, 0, 0, 1, 1, 1, 2, 2, 2, 3];
        let called = [0, 0, 1, 2, 1, 1, 0, 2, 2, 0, 0];
        let groups = ["a", "b", "c"].repeat(4);
        let frames: Vec<(usize, usize, &str)> = (0..11)
            .map(|at| (truth[at], called[at], groups[at]))
            .collect();
        // A fifth class that neither occurs nor is predicted is ignored.
        let figures = Figures::of(&evaluation(5, &frames), &Work::new()).unwrap();
        close(figures.macro_precision.value, 0.433_333_333_333_333_35);
        close(figures.macro_recall.value, 0.458_333_333_333_333_26);
        close(figures.macro_f1.value, 0.444_444_444_444_444_4);
        close(figures.accuracy.value, 6.0 / 11.0);
        let class = &figures.per_class[0];
        close(class.precision.value, 0.4);
        close(class.recall.value, 0.5);
        close(class.f1.value, 0.444_444_444_444_444_4);
        let never_called = &figures.per_class[3];
        assert_eq!(never_called.precision.value, None);
        close(never_called.recall.value, 0.0);
        assert_eq!(figures.per_class[4].f1, Measure::default());
        assert!(figures.per_class[4].ranking.is_none());
        assert_eq!((figures.sources, figures.frames), (3, 11));
    }

    /// The same frames from fewer sources have wider intervals; equal evaluations have equal ones.
    #[test]
    fn intervals_are_of_sources_and_always_the_same() {
        let names: Vec<String> = (0..200).map(|at| format!("film {}", at % 4)).collect();
        let singles: Vec<String> = (0..200).map(|at| format!("photo {at}")).collect();
        let of = |names: &[String]| {
            let frames: Vec<(usize, usize, &str)> = (0..200)
                .map(|at| {
                    (
                        at % 2,
                        usize::from(at % 2 == 1 || at % 16 == 0),
                        &*names[at],
                    )
                })
                .collect();
            Figures::of(&evaluation(2, &frames), &Work::new()).unwrap()
        };
        let width = |measure: Measure| {
            let [low, high] = measure.interval_95.unwrap();
            assert!(low <= measure.value.unwrap() && measure.value.unwrap() <= high);
            high - low
        };
        let (few, many) = (of(&names), of(&singles));
        assert_eq!(few.accuracy.value, many.accuracy.value);
        assert!(width(few.accuracy) > 2.0 * width(many.accuracy));
        assert!(width(few.macro_f1) > 2.0 * width(many.macro_f1));
        assert!(width(many.per_class[0].recall) > width(many.accuracy));
        assert_eq!(many, of(&singles));
        let one = vec!["film".to_owned(); 200];
        assert_eq!(of(&one).accuracy.interval_95, None);
    }
}
