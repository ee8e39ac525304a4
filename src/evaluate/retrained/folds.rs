//! Cross-validation by source: every source is tested once, by a head that has not seen it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::evaluate::{EvaluateError, Figures, Measure};
use crate::jobs::Work;
use crate::project::Project;
use crate::train::Run;

use super::{Backbone, Bench, accuracy, cache, shuffle};

/// Folds, where every class has as many groups.
const FOLDS: usize = 5;

/// What cross-validation by source measured, of the head alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CrossValidation {
    /// Part of all frames that is right, each judged by a head that did not learn from its source.
    pub accuracy: Measure,
    /// Mean F1 of the classes.
    pub macro_f1: Measure,
    /// Accuracy of each fold, 0..=1.
    pub folds: Vec<f64>,
    /// Frames.
    pub frames: u64,
    /// Sources that they come from.
    pub sources: u64,
}

/// Puts the groups of a run (sources, and blocks of time of a class that has too few) into up to [5](FOLDS) folds, of each
/// class about as many frames, and tests each fold with a head that learned from the others. No frames choose among the
/// steps: the last weights count. `None` where a class has only one group. The result is kept in the project's cache.
///
/// # Errors
/// When the run or its frames cannot be read, a training fails, or the work is cancelled.
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
        let others = folds.iter().enumerate().filter(|(other, _)| *other != at);
        let train: Vec<usize> = others.flat_map(|(_, fold)| fold).copied().collect();
        let head = bench.learn(&train, &[], work)?;
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

/// The frames of each fold; `None` where a class has only one group.
fn folds(bench: &Bench) -> Option<Vec<Vec<usize>>> {
    let all: Vec<usize> = (0..bench.frames.len()).collect();
    let by_class = bench.groups_by_class(&all);
    let fewest = by_class
        .iter()
        .map(BTreeMap::len)
        .filter(|groups| *groups > 0)
        .min()?;
    let count = fewest.min(FOLDS);
    if count < 2 {
        return None;
    }
    // A group with frames of several classes goes where the first of them puts it.
    let mut fold_of: BTreeMap<&str, usize> = BTreeMap::new();
    for (class, groups) in by_class.iter().enumerate() {
        let mut filled = vec![0_usize; count];
        let mut groups: Vec<(&str, usize)> =
            groups.iter().map(|(name, of)| (*name, of.len())).collect();
        shuffle(&mut groups, bench.settings.seed, &format!("folds {class}"));
        groups.sort_by_key(|(_, frames)| std::cmp::Reverse(*frames));
        for (name, frames) in groups {
            let emptiest = (0..count).min_by_key(|fold| filled.get(*fold).copied());
            let fold = *fold_of.entry(name).or_insert(emptiest.unwrap_or(0));
            if let Some(filled) = filled.get_mut(fold) {
                *filled += frames;
            }
        }
    }
    let mut folds = vec![Vec::new(); count];
    for (at, frame) in bench.frames.iter().enumerate() {
        if let Some(fold) = fold_of.get(frame.group.as_str())
            && let Some(fold) = folds.get_mut(*fold)
        {
            fold.push(at);
        }
    }
    folds.retain(|fold| !fold.is_empty());
    (folds.len() > 1).then_some(folds)
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
