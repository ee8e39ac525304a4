//! The leak meter: how much the accuracy is overestimated if frames of one film are on both sides of the split.

use serde::{Deserialize, Serialize};

use crate::evaluate::{EvaluateError, Figures, Measure};
use crate::jobs::Work;
use crate::project::{Noun, Project, Split};
use crate::text::percent;
use crate::train::{Run, shuffle};

use super::{Backbone, Bench, accuracy, cache};

/// Accuracy of the head with the run's split by source, and with a random split of as many frames.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeakMeter {
    /// Test accuracy with undivided sources.
    pub by_source: Measure,
    /// Test accuracy with a random split of frames, 0..=1.
    pub by_frame: f64,
    /// The number of test frames in either split.
    pub frames: u64,
    /// The number of sources of the test frames in the split by source.
    pub sources: u64,
}

impl LeakMeter {
    /// The difference of the random split's accuracy, -1..=1.
    #[must_use]
    pub fn leak(&self) -> f64 {
        self.by_frame - self.by_source.value.unwrap_or(self.by_frame)
    }

    /// Both figures and their meaning, in one sentence with the noun of the images.
    #[must_use]
    pub fn sentence(&self, noun: Noun) -> String {
        let images = noun.many();
        let both = format!(
            "On sources it has never seen, the head is right for {}; with a split {} by {} it would seem to be right for {}",
            percent(self.by_source.value.unwrap_or(0.0)),
            noun.one(),
            noun.one(),
            percent(self.by_frame)
        );
        let points = 100.0 * self.leak();
        let within = self
            .by_source
            .interval_95
            .is_some_and(|[low, high]| low <= self.by_frame && self.by_frame <= high);
        if points <= 1.0 {
            format!("{both}. Here, {images} of one source leak nothing.")
        } else if within {
            format!("{both}. The gain of {points:.1} points may be chance with so few sources.")
        } else {
            format!(
                "{both}. The gain of {points:.1} points comes from near-identical {images} on both sides and would vanish on new ones."
            )
        }
    }
}

/// Trains a head on the run's split and another on a random split of the same frames, with the same numbers for each
/// class and side. `None` without test frames. The result is stored in the project's cache if the project is open for
/// writing.
///
/// # Errors
/// The run or its frames cannot be read, a training fails, or the work is cancelled.
pub fn leak_meter(
    project: &Project,
    run: &Run,
    work: &Work,
) -> Result<Option<LeakMeter>, EvaluateError> {
    let bench = Bench::of(project, run, Backbone::Shipped, work)?;
    if bench.side(Split::Test).is_empty() {
        return Ok(None);
    }
    work.stage("Leak meter", Some(2));
    cache::cached(project, "leak", &bench.content, || measure(&bench, work)).map(Some)
}

fn measure(bench: &Bench, work: &Work) -> Result<LeakMeter, EvaluateError> {
    let sides = [Split::Train, Split::Validation, Split::Test].map(|side| bench.side(side));
    let [train, validation, test] = &sides;
    let head = bench.learn(train, validation, work)?;
    let figures = Figures::of(&bench.evaluation(bench.predictions(&head, test)), work)?;
    let [train, validation, test] = frame_by_frame(bench);
    let head = bench.learn(&train, &validation, work)?;
    Ok(LeakMeter {
        by_source: figures.accuracy,
        by_frame: accuracy(&bench.predictions(&head, &test)),
        frames: figures.frames,
        sources: figures.sources,
    })
}

/// Randomly drawn training, validation and test frames, as many of each class as in the run.
fn frame_by_frame(bench: &Bench) -> [Vec<usize>; 3] {
    let mut sides: [Vec<usize>; 3] = Default::default();
    for class in 0..bench.labels.len() {
        let mut places = bench.places(|frame| frame.truth == class);
        shuffle(&mut places, bench.settings.seed, &format!("leak {class}"));
        let count = |split: Split| {
            let of_side = |frame: &super::BenchFrame| frame.truth == class && frame.split == split;
            bench.frames.iter().filter(|frame| of_side(frame)).count()
        };
        let test = places.split_off(places.len() - count(Split::Test));
        let validation = places.split_off(places.len() - count(Split::Validation));
        for (side, of_class) in sides.iter_mut().zip([places, validation, test]) {
            side.extend(of_class);
        }
    }
    sides
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::super::made_up::{Made, bench};
    use super::*;

    /// Films of nearly identical frames that differ from other films: with the random split the accuracy is perfect,
    /// with the split by source it is not.
    #[test]
    fn nearly_identical_frames_of_films_show_up() {
        let made = Made {
            classes: 4,
            films: 10,
            frames: 20,
            of_films: 0.8,
            of_frames: 0.01,
        };
        let found = measure(&bench(&made), &Work::new()).unwrap();
        assert_eq!((found.frames, found.sources), (160, 8));
        assert!(found.by_frame > 0.97, "{found:?}");
        assert!(found.leak() > 0.2, "{found:?}");
        let message = found.sentence(Noun::Frame);
        assert!(message.contains("near-identical frames"), "{message}");
    }

    /// Frames that differ as much from those of their own film as from others of the class.
    #[test]
    fn independent_frames_leak_nothing() {
        let made = Made {
            classes: 4,
            films: 10,
            frames: 20,
            of_films: 0.0,
            of_frames: 0.25,
        };
        let found = measure(&bench(&made), &Work::new()).unwrap();
        assert!(found.leak().abs() < 0.06, "{found:?}");
        let message = found.sentence(Noun::Frame);
        assert!(!message.contains("near-identical"), "{message}");
    }

    #[test]
    fn the_random_split_is_as_large_as_the_other() {
        let made = Made {
            classes: 3,
            films: 5,
            frames: 7,
            of_films: 0.1,
            of_frames: 0.1,
        };
        let bench = bench(&made);
        let sides = frame_by_frame(&bench);
        assert_eq!([0, 1, 2].map(|side: usize| sides[side].len()), [63, 21, 21]);
        let mut all = sides.concat();
        all.sort_unstable();
        assert_eq!(all, (0..105).collect::<Vec<_>>());
        let films: std::collections::BTreeSet<&str> = sides[2]
            .iter()
            .map(|at| bench.frames[*at].group.as_str())
            .collect();
        assert!(films.len() > 3, "{films:?}");
    }
}
