//! Cross-validation by source: every source is tested once, by a head that was not trained on it.

use serde::{Deserialize, Serialize};

use crate::evaluate::{EvaluateError, Figures, Measure};
use crate::jobs::Work;
use crate::project::Project;
use crate::train::{self, Run, other_folds};

use super::{Backbone, Bench, accuracy, cache};

/// The number of folds, if every class has as many groups.
const FOLDS: usize = 5;

/// The results of cross-validation by source, for the head alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossValidation {
    /// The accuracy on all frames, each classified by a head that was not trained on its source.
    pub accuracy: Measure,
    /// Mean F1 of the classes.
    pub macro_f1: Measure,
    /// Accuracy of each fold, 0..=1.
    pub folds: Vec<f64>,
    /// The number of frames.
    pub frames: u64,
    /// The number of their sources.
    pub sources: u64,
}

/// Divides the groups of a run (sources, and blocks of time of a class with too few) into up to [5](FOLDS) folds with
/// about the same number of frames of each class, and tests each fold with a head trained on the others. No step is
/// selected by validation: the last weights are used. `None` if a class has only one group. The result is stored in
/// the project's cache.
///
/// # Errors
/// The run or its frames cannot be read, a training fails, or the work is cancelled.
pub fn cross_validate(
    project: &Project,
    run: &Run,
    work: &Work,
) -> Result<Option<CrossValidation>, EvaluateError> {
    let bench = Bench::of(project, run, Backbone::Shipped, work)?;
    let Some(folds) = folds(&bench) else {
        return Ok(None);
    };
    work.stage("Cross-validation", Some(folds.len() as u64));
    cache::cached(project, "folds", &bench.content, || {
        measure(&bench, &folds, work)
    })
    .map(Some)
}

fn measure(
    bench: &Bench,
    folds: &[Vec<usize>],
    work: &Work,
) -> Result<CrossValidation, EvaluateError> {
    let mut predictions = Vec::new();
    let mut accuracies = Vec::new();
    for (at, fold) in folds.iter().enumerate() {
        let head = bench.learn(&other_folds(folds, at), &[], work)?;
        let of_fold = bench.predictions(&head, fold);
        accuracies.push(accuracy(&of_fold));
        predictions.extend(of_fold);
    }
    let figures = Figures::of(&bench.evaluation(predictions), work)?;
    Ok(CrossValidation {
        accuracy: figures.accuracy,
        macro_f1: figures.macro_f1,
        folds: accuracies,
        frames: figures.frames,
        sources: figures.sources,
    })
}

/// The frames of each fold; `None` if a class has only one group.
fn folds(bench: &Bench) -> Option<Vec<Vec<usize>>> {
    let frames = bench.frames.iter();
    let frames: Vec<(usize, &str)> = frames
        .map(|frame| (frame.truth, frame.group.as_str()))
        .collect();
    train::folds(&frames, bench.labels.len(), FOLDS, bench.settings.seed)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::super::made_up::{Made, bench};
    use super::*;

    fn made(films: usize) -> Made {
        Made {
            classes: 3,
            films,
            frames: 8,
            of_films: 0.3,
            of_frames: 0.05,
        }
    }

    #[test]
    fn every_source_is_tested_once_and_whole() {
        let bench = bench(&made(7));
        let folds = folds(&bench).unwrap();
        assert_eq!(folds.len(), 5);
        let mut all = folds.concat();
        all.sort_unstable();
        assert_eq!(all, (0..168).collect::<Vec<_>>());
        for film in bench.frames.iter().map(|frame| &frame.group) {
            let holds = |fold: &&Vec<usize>| fold.iter().any(|at| bench.frames[*at].group == *film);
            assert_eq!(folds.iter().filter(holds).count(), 1);
        }
        for fold in &folds {
            for class in 0..3 {
                let of_class = fold.iter().filter(|at| bench.frames[**at].truth == class);
                assert!((8..=16).contains(&of_class.count()));
            }
        }
    }

    #[test]
    fn all_sources_count_and_one_source_is_too_few() {
        let bench = bench(&made(5));
        let folds_of = folds(&bench).unwrap();
        let found = measure(&bench, &folds_of, &Work::new()).unwrap();
        assert_eq!((found.frames, found.sources), (120, 15));
        let mean = found.folds.iter().sum::<f64>() / found.folds.len() as f64;
        assert!((mean - found.accuracy.value.unwrap()).abs() < 0.02);
        let [low, high] = found.accuracy.interval_95.unwrap();
        assert!(low < high);
        assert_eq!(folds(&super::super::made_up::bench(&made(1))), None);
    }
}
