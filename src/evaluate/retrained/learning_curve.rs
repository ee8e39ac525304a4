//! The learning curve: how the accuracy increases with the number of training sources, and a forecast for more.

use std::collections::BTreeSet;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::evaluate::{EvaluateError, FramePrediction};
use crate::jobs::Work;
use crate::project::{Noun, Project, Split};
use crate::train::{Run, shuffle};

use super::power_law::PowerLaw;
use super::{Backbone, Bench, accuracy, cache};

/// Fractions of the training sources that are used.
const PARTS: [f64; 4] = [0.125, 0.25, 0.5, 1.0];
/// Trainings for each fraction less than 1, each on other sources.
const REPEATS: usize = 3;
/// The number of resamplings of test sources and trainings for the range of a forecast.
const RESAMPLINGS: usize = 300;
/// The number of additional sources per class of the forecast, which requires at least as many: otherwise the law is
/// fitted to too short a range.
const MORE: f64 = 10.0;
const FEWEST: usize = 4;

/// A point of the curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningPoint {
    /// Mean number of training sources per class.
    pub sources_per_class: f64,
    /// Mean number of training frames.
    pub frames: f64,
    /// Test accuracy of each training, 0..=1.
    pub accuracies: Vec<f64>,
}

impl LearningPoint {
    /// Mean of the trainings.
    #[must_use]
    pub fn accuracy(&self) -> f64 {
        self.accuracies.iter().sum::<f64>() / self.accuracies.len().max(1) as f64
    }
}

/// The forecast for more sources.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Additional sources of each class.
    pub more_sources_per_class: f64,
    /// Gain in test accuracy by the best-fitting law, 0..=1.
    pub gain: f64,
    /// Its range in nine of ten resamplings of the test sources and of the trainings.
    pub range_90: [f64; 2],
}

/// A learning curve of the head alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningCurve {
    /// The points, fewest sources first.
    pub points: Vec<LearningPoint>,
    /// Points of the fitted law, also beyond the measured ones: sources per class, accuracy.
    pub law: Vec<[f64; 2]>,
    /// `None` with too few sources for a law.
    pub forecast: Option<Forecast>,
    /// The number of sources of the test frames.
    pub test_sources: u64,
}

impl LearningCurve {
    /// The forecast in a sentence.
    #[must_use]
    pub fn sentence(&self, noun: Noun) -> String {
        let source = match noun {
            Noun::Frame => "film",
            Noun::Photo | Noun::Image => "source",
        };
        let Some(forecast) = &self.forecast else {
            return format!(
                "Too few {source}s for a forecast: each class needs at least {FEWEST}."
            );
        };
        let [low, high] = forecast.range_90.map(|gain| 100.0 * gain);
        let more = forecast.more_sources_per_class;
        if high < 0.5 {
            return format!(
                "{more:.0} more {source}s per class would hardly change the accuracy (at most {high:+.1} points)."
            );
        }
        format!(
            "{more:.0} more {source}s per class: about {:+.1} points ({low:+.1} to {high:+.1} in nine of ten resamplings).",
            100.0 * forecast.gain
        )
    }
}

/// Trains heads on fractions of the training sources, tests each on the test frames, and fits a power law to their
/// errors. `None` without test frames, or if every class has a single training source. The result is stored in the
/// project's cache.
///
/// # Errors
/// The run or its frames cannot be read, a training fails, or the work is cancelled.
pub fn learning_curve(
    project: &Project,
    run: &Run,
    work: &Work,
) -> Result<Option<LearningCurve>, EvaluateError> {
    let bench = Bench::of(project, run, Backbone::Shipped, work)?;
    let trainings = trainings(&bench);
    let sizes: BTreeSet<usize> = trainings.iter().map(|(part, _)| *part).collect();
    if sizes.len() < 2 || bench.side(Split::Test).is_empty() {
        return Ok(None);
    }
    work.stage("Learning curve", Some(trainings.len() as u64));
    cache::cached(project, "learning", &bench.content, || {
        measure(&bench, &trainings, work)
    })
    .map(Some)
}

/// Training frames: the index of the fraction, and the frames of that many sources of each class.
fn trainings(bench: &Bench) -> Vec<(usize, Vec<usize>)> {
    let by_class = bench.groups_by_class(&bench.side(Split::Train));
    let mut trainings: Vec<(usize, Vec<usize>)> = Vec::new();
    for (number, part) in PARTS.iter().enumerate() {
        let repeats = if *part < 1.0 { REPEATS } else { 1 };
        for repeat in 0..repeats {
            let mut frames = Vec::new();
            for (class, groups) in by_class.iter().enumerate() {
                let mut groups: Vec<&Vec<usize>> = groups.values().collect();
                let what = format!("learning {class} {repeat}");
                shuffle(&mut groups, bench.settings.seed, &what);
                // At least one, otherwise the class could not be trained at all.
                let count = ((groups.len() as f64 * part).round() as usize).max(1);
                frames.extend(groups.into_iter().take(count).flatten());
            }
            frames.sort_unstable();
            if trainings.iter().all(|(_, known)| *known != frames) {
                trainings.push((number, frames));
            }
        }
    }
    trainings
}

/// The result of a training on the test frames.
struct Tested {
    part: usize,
    sources_per_class: f64,
    frames: f64,
    /// Correct frames and all frames of each test source.
    by_source: Vec<[f64; 2]>,
}

fn measure(
    bench: &Bench,
    trainings: &[(usize, Vec<usize>)],
    work: &Work,
) -> Result<LearningCurve, EvaluateError> {
    let test = bench.side(Split::Test);
    let validation = bench.side(Split::Validation);
    let mut tested = Vec::new();
    let mut points: Vec<(usize, LearningPoint)> = Vec::new();
    for (part, train) in trainings {
        let head = bench.learn(train, &validation, work)?;
        let predictions = bench.predictions(&head, &test);
        let by_class = bench.groups_by_class(train);
        let classes = by_class.iter().filter(|groups| !groups.is_empty()).count();
        let groups: usize = by_class.iter().map(std::collections::BTreeMap::len).sum();
        let of_this = Tested {
            part: *part,
            sources_per_class: groups as f64 / classes.max(1) as f64,
            frames: train.len() as f64,
            by_source: by_source(&predictions),
        };
        match points.iter_mut().find(|(known, _)| known == part) {
            Some((_, point)) => {
                let before = point.accuracies.len() as f64;
                point.frames = (point.frames * before + of_this.frames) / (before + 1.0);
                point.accuracies.push(accuracy(&predictions));
            }
            None => points.push((
                *part,
                LearningPoint {
                    sources_per_class: of_this.sources_per_class,
                    frames: of_this.frames,
                    accuracies: vec![accuracy(&predictions)],
                },
            )),
        }
        tested.push(of_this);
    }
    let points: Vec<LearningPoint> = points.into_iter().map(|(_, point)| point).collect();
    let most = points.last().map_or(0.0, |point| point.sources_per_class);
    let test_sources = tested.first().map_or(0, |tested| tested.by_source.len());
    // No errors in this many frames does not mean an error rate of zero.
    let floor = 0.5 / test.len().max(1) as f64;
    let fitted = fit(&tested, &vec![1.0; test_sources], None, floor);
    let enough = bench
        .groups_by_class(&bench.side(Split::Train))
        .iter()
        .all(|groups| groups.is_empty() || groups.len() >= FEWEST);
    let gain = |law: PowerLaw| law.error(most) - law.error(most + MORE);
    let forecast = match fitted.filter(|_| enough && test_sources > 1) {
        Some(law) => {
            let gains = resampled(&tested, test_sources, floor, gain, work)?;
            let at = |part: f64| {
                let place = (part * (gains.len() as f64 - 1.0)).round() as usize;
                gains.get(place).copied().unwrap_or_else(|| gain(law))
            };
            Some(Forecast {
                more_sources_per_class: MORE,
                gain: gain(law),
                range_90: [at(0.05), at(0.95)],
            })
        }
        None => None,
    };
    let law = fitted.map_or_else(Vec::new, |law| {
        let first = points.first().map_or(1.0, |point| point.sources_per_class);
        let ratio = (most + MORE) / first;
        let steps = 24;
        (0..=steps)
            .map(|step| first * ratio.powf(f64::from(step) / f64::from(steps)))
            .map(|n| [n, 1.0 - law.error(n)])
            .collect()
    });
    Ok(LearningCurve {
        points,
        law,
        forecast,
        test_sources: test_sources as u64,
    })
}

fn by_source(predictions: &[FramePrediction]) -> Vec<[f64; 2]> {
    let mut sources: std::collections::BTreeMap<&str, [f64; 2]> = std::collections::BTreeMap::new();
    for frame in predictions {
        let [right, all] = sources.entry(frame.sampled_as()).or_default();
        *right += f64::from(u8::from(frame.truth == frame.predicted));
        *all += 1.0;
    }
    sources.into_values().collect()
}

/// The law fitted to the trainings (with multiplicities `times`), on test sources with these weights.
fn fit(
    tested: &[Tested],
    weights: &[f64],
    times: Option<&[usize]>,
    floor: f64,
) -> Option<PowerLaw> {
    let mut points = Vec::new();
    for (at, of) in tested.iter().enumerate() {
        let (mut right, mut all) = (0.0, 0.0);
        for ([hits, frames], weight) in of.by_source.iter().zip(weights) {
            right += weight * hits;
            all += weight * frames;
        }
        let count = times.map_or(1, |times| times.get(at).copied().unwrap_or(0));
        let point = (of.sources_per_class, 1.0 - right / f64::max(all, 1.0));
        points.extend(std::iter::repeat_n(point, count));
    }
    PowerLaw::fit(&points, floor)
}

/// The sorted gains in resamplings of the test sources and of the trainings at each size.
fn resampled(
    tested: &[Tested],
    test_sources: usize,
    floor: f64,
    gain: impl Fn(PowerLaw) -> f64,
    work: &Work,
) -> Result<Vec<f64>, EvaluateError> {
    let mut generator = ChaCha8Rng::seed_from_u64(1);
    let mut below = |end: usize| ((u128::from(generator.next_u64()) * end as u128) >> 64) as usize;
    let mut gains = Vec::new();
    for _ in 0..RESAMPLINGS {
        work.check()?;
        let mut weights = vec![0.0; test_sources];
        for _ in 0..test_sources {
            if let Some(weight) = weights.get_mut(below(test_sources)) {
                *weight += 1.0;
            }
        }
        let mut times = vec![0_usize; tested.len()];
        for part in 0..PARTS.len() {
            let of_part: Vec<usize> = (0..tested.len())
                .filter(|at| tested.get(*at).is_some_and(|of| of.part == part))
                .collect();
            for _ in 0..of_part.len() {
                let drawn = of_part.get(below(of_part.len())).copied();
                if let Some(count) = drawn.and_then(|at| times.get_mut(at)) {
                    *count += 1;
                }
            }
        }
        gains.extend(fit(tested, &weights, Some(&times), floor).map(&gain));
    }
    gains.sort_by(f64::total_cmp);
    Ok(gains)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::super::made_up::{Made, bench};
    use super::*;

    fn curve(films: usize) -> (Bench, LearningCurve) {
        let bench = bench(&Made {
            classes: 4,
            films,
            frames: 6,
            of_films: 0.5,
            of_frames: 0.05,
        });
        let trainings = trainings(&bench);
        let found = measure(&bench, &trainings, &Work::new()).unwrap();
        (bench, found)
    }

    #[test]
    fn more_films_make_it_better_and_the_forecast_says_so() {
        let (_, found) = curve(60);
        assert_eq!(found.points.len(), 4);
        let accuracies: Vec<f64> = found.points.iter().map(LearningPoint::accuracy).collect();
        assert!(accuracies[0] < accuracies[3], "{accuracies:?}");
        let sizes: Vec<f64> = found.points.iter().map(|of| of.sources_per_class).collect();
        assert!((sizes[3] - 36.0).abs() < 1e-9);
        assert!(sizes.is_sorted() && found.points[0].accuracies.len() == 3);
        let forecast = found.forecast.clone().unwrap();
        let [low, high] = forecast.range_90;
        assert!(0.0 <= low && low <= forecast.gain && forecast.gain <= high && high < 0.2);
        assert!(
            found
                .sentence(Noun::Frame)
                .starts_with("10 more films per class")
        );
        // The law is close to the measurements.
        let [n, accuracy] = found.law[found.law.len() - 1];
        assert!((n - 46.0).abs() < 1e-9 && accuracy > accuracies[2]);
    }

    #[test]
    fn few_films_give_no_forecast() {
        let (bench, found) = curve(5);
        assert_eq!(found.forecast, None);
        assert!(found.sentence(Noun::Frame).contains("at least 4"));
        // At least one film of each class, whatever the fraction.
        let (_, frames) = &trainings(&bench)[0];
        assert_eq!(frames.len(), 4 * 6);
    }
}
