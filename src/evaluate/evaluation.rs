//! A run's predictions on the frames of one side of its split.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::backbone::bottlenecks;
use crate::jobs::Work;
use crate::project::{FrameName, Project, Split};
use crate::train::{Present, Run, present};

use super::classifier::{Classifier, arg_max};
use super::{Confusion, EvaluateError};

/// What the model said of one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct FramePrediction {
    /// Present path relative to the project's root.
    pub path: String,
    /// Group (source) of the frame.
    pub group: String,
    /// True class: that of the folder the frame lies in now.
    pub truth: usize,
    /// Predicted class.
    pub predicted: usize,
    /// Softmax output, one value per class.
    pub probabilities: Vec<f32>,
}

impl FramePrediction {
    /// The probability of the predicted class.
    #[must_use]
    pub fn confidence(&self) -> f32 {
        self.probabilities
            .get(self.predicted)
            .copied()
            .unwrap_or(0.0)
    }

    /// The source, from the frame's name; the group where the name tells none.
    #[must_use]
    pub fn source(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or(&self.path);
        FrameName::parse(name)
            .and_then(|frame| {
                // As a part of the path, so that nothing is copied.
                let start = name.rfind(&format!("-{}_", frame.source))? + 1;
                name.get(start..start + frame.source.as_str().len())
            })
            .unwrap_or(&self.group)
    }
}

/// Predictions on one side of the split, and their confusion matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Class names in the order of the indices, as they are now; classes of the run that were merged since are one.
    pub classes: Vec<String>,
    /// Which frames.
    pub split: Split,
    /// One per frame; frames that are gone from disk are left out and counted in `missing`.
    pub predictions: Vec<FramePrediction>,
    /// The matrix.
    pub confusion: Confusion,
    /// Frames that have been given another class of the run since; they are judged by that.
    pub relabelled: u64,
    /// Frames whose image was changed since; the image of now is judged.
    pub changed: u64,
    /// Frames that are gone, can no longer be read, or are in no class of the run any more.
    pub missing: u64,
    /// A sentence for each class that was merged or deleted since.
    pub notes: Vec<String>,
}

/// How one group did.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupAccuracy {
    /// The group (source).
    pub group: String,
    /// Frames that were right.
    pub correct: u64,
    /// Frames.
    pub total: u64,
}

impl GroupAccuracy {
    /// Part that was right, 0..=1.
    #[must_use]
    pub fn accuracy(&self) -> f32 {
        self.correct as f32 / self.total.max(1) as f32
    }
}

impl Evaluation {
    /// The misclassified frames, the most confident mistake first.
    #[must_use]
    pub fn mistakes(&self) -> Vec<&FramePrediction> {
        let mut mistakes: Vec<_> = self
            .predictions
            .iter()
            .filter(|prediction| prediction.predicted != prediction.truth)
            .collect();
        mistakes.sort_by(|a, b| {
            b.confidence()
                .total_cmp(&a.confidence())
                .then_with(|| a.path.cmp(&b.path))
        });
        mistakes
    }

    /// Accuracy by group (source), the worst first.
    #[must_use]
    pub fn by_group(&self) -> Vec<GroupAccuracy> {
        self.by(|prediction| &prediction.group)
    }

    /// Accuracy by source, the worst first: blocks of time of one video and photos imported together
    /// count as one.
    #[must_use]
    pub fn by_source(&self) -> Vec<GroupAccuracy> {
        self.by(FramePrediction::source)
    }

    fn by(&self, key: impl Fn(&FramePrediction) -> &str) -> Vec<GroupAccuracy> {
        let mut groups = BTreeMap::<&str, (u64, u64)>::new();
        for prediction in &self.predictions {
            let (correct, total) = groups.entry(key(prediction)).or_default();
            *correct += u64::from(prediction.predicted == prediction.truth);
            *total += 1;
        }
        let mut groups: Vec<_> = groups
            .into_iter()
            .map(|(group, (correct, total))| GroupAccuracy {
                group: group.to_owned(),
                correct,
                total,
            })
            .collect();
        groups.sort_by(|a, b| a.accuracy().total_cmp(&b.accuracy()));
        groups
    }
}

/// Runs the model on the frames of one side of the run's split (bottlenecks from the cache: the project's, or the
/// run's own when its backbone was trained too).
pub fn evaluate(
    project: &Project,
    run: &Run,
    split: Split,
    work: &Work,
) -> Result<Evaluation, EvaluateError> {
    let Present {
        classes,
        frames,
        relabelled,
        changed,
        mut missing,
    } = present(project, run, Some(split), work)?;
    let paths: Vec<PathBuf> = frames
        .iter()
        .map(|frame| project.abs(&frame.path))
        .collect();
    let tuned = run.tuned()?;
    let cache_dir = match tuned {
        Some(_) => run.cache_dir(),
        None => project.cache_dir(),
    };
    let table = bottlenecks(
        &paths,
        &run.settings.architecture,
        &run.preprocessing,
        tuned.as_ref(),
        Some(&cache_dir),
        work,
    );
    let table = project.blame(table.map_err(EvaluateError::from))?;
    let classifier = Classifier::of_run(run, table.dim)?;
    missing += table.failed.len() as u64;
    if missing > 0 {
        project.check_there()?;
    }
    let mut failed = table.failed.iter().map(|(index, _)| *index).peekable();
    let mut confusion = Confusion::new(classes.labels.len());
    let mut predictions = Vec::with_capacity(frames.len());
    for (index, frame) in frames.into_iter().enumerate() {
        if failed.next_if_eq(&index).is_some() {
            continue;
        }
        let Some(row) = table.row(index) else { break };
        let Some(truth) = classes.label_of.get(frame.class).copied() else {
            continue;
        };
        let probabilities = classes.fold(classifier.probabilities(row));
        let predicted = arg_max(&probabilities);
        confusion.add(truth, predicted);
        predictions.push(FramePrediction {
            path: frame.path,
            group: frame.group,
            truth,
            predicted,
            probabilities,
        });
    }
    Ok(Evaluation {
        classes: classes.labels,
        split,
        predictions,
        confusion,
        relabelled,
        changed,
        missing,
        notes: classes.notes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(path: &str, group: &str, truth: usize, probabilities: &[f32]) -> FramePrediction {
        FramePrediction {
            path: path.into(),
            group: group.into(),
            truth,
            predicted: arg_max(probabilities),
            probabilities: probabilities.into(),
        }
    }

    #[test]
    fn worst_first() {
        let evaluation = Evaluation {
            classes: vec!["a".into(), "b".into()],
            split: Split::Test,
            predictions: vec![
                frame("1", "film", 0, &[0.9, 0.1]),
                frame("2", "film", 0, &[0.4, 0.6]),
                frame("3", "walk", 1, &[0.7, 0.3]),
                frame("4", "walk", 1, &[0.8, 0.2]),
            ],
            confusion: Confusion::default(),
            relabelled: 0,
            changed: 0,
            missing: 0,
            notes: Vec::new(),
        };
        let mistakes: Vec<_> = evaluation
            .mistakes()
            .iter()
            .map(|frame| frame.path.as_str())
            .collect();
        assert_eq!(mistakes, ["4", "3", "2"]);
        let groups = evaluation.by_group();
        assert_eq!((groups[0].group.as_str(), groups[0].correct), ("walk", 0));
        assert_eq!((groups[1].correct, groups[1].total), (1, 2));
    }
}
