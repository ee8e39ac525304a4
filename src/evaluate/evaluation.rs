//! The evaluation of a run: its predictions on the frames of one side of its split.

use std::collections::BTreeMap;

use crate::jobs::Work;
use crate::project::{FrameName, Noun, Project, Split};
use crate::train::{Run, RunFrame};

use super::calibration::calibrate;
use super::classifier::{Classifier, arg_max};
use super::rows::{Backbone, Rows};
use super::{Confusion, EvaluateError};

/// The model's prediction for one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct FramePrediction {
    /// Current path relative to the project's root.
    pub path: String,
    /// Group of the frame.
    pub group: String,
    /// True class: that of the frame's current folder.
    pub truth: usize,
    /// Predicted class.
    pub predicted: usize,
    /// Softmax output, one value for each class.
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

    /// The source, from the frame's name; otherwise the group.
    #[must_use]
    pub fn source(&self) -> &str {
        source(&self.path).map_or(self.group.as_str(), |(source, _)| source)
    }

    /// The unit for sampling errors, because frames of one unit are correlated: the video; for a photo, its group of
    /// similar photos.
    #[must_use]
    pub fn sampled_as(&self) -> &str {
        sampled_as(&self.path, &self.group)
    }
}

/// The sampling unit of a run's frame, see [`FramePrediction::sampled_as`].
pub(super) fn frame_sampled_as(frame: &RunFrame) -> &str {
    sampled_as(&frame.path, &frame.group)
}

fn sampled_as<'a>(path: &'a str, group: &'a str) -> &'a str {
    match source(path) {
        Some((source, Some(_))) => source,
        _ => group,
    }
}

/// The source in a frame's name, as a part of the path, and the time in seconds, which photos do not have.
pub(super) fn source(path: &str) -> Option<(&str, Option<f64>)> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let frame = FrameName::parse(name)?;
    let start = name.rfind(&format!("-{}_", frame.source))? + 1;
    let source = name.get(start..start + frame.source.as_str().len())?;
    Some((source, frame.time_secs))
}

/// Predictions on one side of the split, and their confusion matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Current class names in the order of the indices; classes of the run that were merged since are one.
    pub classes: Vec<String>,
    /// The side of the frames.
    pub split: Split,
    /// One for each frame, without missing frames, which are counted in `missing`.
    pub predictions: Vec<FramePrediction>,
    /// The confusion matrix.
    pub confusion: Confusion,
    /// The number of frames that were moved to another class of the run since; they are judged by that class.
    pub relabelled: u64,
    /// The number of frames whose image was changed since; the current image is used.
    pub changed: u64,
    /// The number of frames that are missing, unreadable, or in no class of the run any more.
    pub missing: u64,
    /// A sentence for each class that was merged or deleted since.
    pub notes: Vec<String>,
}

/// The accuracy on one group.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupAccuracy {
    /// The group or source.
    pub group: String,
    /// Frames classified correctly.
    pub correct: u64,
    /// All frames.
    pub total: u64,
}

impl GroupAccuracy {
    /// The accuracy, 0..=1.
    #[must_use]
    pub fn accuracy(&self) -> f32 {
        self.correct as f32 / self.total.max(1) as f32
    }
}

impl Evaluation {
    /// The misclassified frames, the most confident first.
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

    /// The noun for its images.
    #[must_use]
    pub fn noun(&self) -> Noun {
        let mut of_videos = self
            .predictions
            .iter()
            .map(|frame| matches!(source(&frame.path), Some((_, Some(_)))));
        match (of_videos.clone().all(|is| is), of_videos.any(|is| is)) {
            (true, _) => Noun::Frame,
            (false, true) => Noun::Image,
            (false, false) => Noun::Photo,
        }
    }

    /// Accuracy by source, the lowest first: blocks of time of one video count as one, and so do photos imported
    /// together.
    #[must_use]
    pub fn by_source(&self) -> Vec<GroupAccuracy> {
        let mut groups = BTreeMap::<&str, (u64, u64)>::new();
        for prediction in &self.predictions {
            let (correct, total) = groups.entry(prediction.source()).or_default();
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

/// Runs the model on the frames of one side of the run's split, with bottlenecks from the cache: the project's, or the
/// run's own if its backbone was fine-tuned. A run without a calibration is calibrated first, if the project can be
/// written, so that its probabilities are the same from then on wherever they are shown, predicted or exported.
pub fn evaluate(
    project: &Project,
    run: &Run,
    split: Split,
    work: &Work,
) -> Result<Evaluation, EvaluateError> {
    if project.check_runs_writable().is_ok() {
        calibrate(project, run, work)?;
    }
    let rows = Rows::of(project, run, Some(split), Backbone::OfRun, work)?;
    let classifier = Classifier::of_run(run, rows.dim)?;
    let classes = &rows.classes;
    let mut confusion = Confusion::new(classes.labels.len());
    let mut predictions = Vec::with_capacity(rows.frames.len());
    for ((frame, row), truth) in rows.frames.iter().zip(rows.bottlenecks()).zip(&rows.truth) {
        let probabilities = classes.fold(classifier.probabilities(row));
        let predicted = arg_max(&probabilities);
        confusion.add(*truth, predicted);
        predictions.push(FramePrediction {
            path: frame.path.clone(),
            group: frame.group.clone(),
            truth: *truth,
            predicted,
            probabilities,
        });
    }
    Ok(Evaluation {
        classes: rows.classes.labels,
        split,
        predictions,
        confusion,
        relabelled: rows.relabelled,
        changed: rows.changed,
        missing: rows.missing,
        notes: rows.classes.notes,
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
        let groups = evaluation.by_source();
        assert_eq!((groups[0].group.as_str(), groups[0].correct), ("walk", 0));
        assert_eq!((groups[1].correct, groups[1].total), (1, 2));
    }
}
