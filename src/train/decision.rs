//! Decides the depth of a run with a recommended depth, once its head is trained.
//!
//! The head takes seconds, a fine-tuning minutes. If the head is already accurate, a fine-tuning can improve nothing;
//! then neither the fine-tuning nor the estimate of its duration is begun.

use std::collections::BTreeSet;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::backbone::Depth;
use crate::jobs::Work;
use crate::project::{Project, Split};

use super::data::Prepared;
use super::fine_tune::{MIN_GROUPS, estimate};
use super::folds::{folds, other_folds};
use super::head::Sizes;
use super::{Head, HeadTable, Run, TrainError, TrainSettings};

/// The number of folds of the cross-validation, if every class has as many groups.
const FOLDS: usize = 5;

/// With fewer images nothing is proved: the head may be wrong on 3 % of this many (see [`Decision::HeadSuffices`]).
const MIN_IMAGES: usize = 100;

/// The same for each class, where 3 of this many may be wrong.
const MIN_IMAGES_OF_CLASS: usize = 10;

/// With more images this is skipped: it copies their bottlenecks, 5 kB each.
const MOST_IMAGES: usize = 20_000;

/// How the depth of a run with a [recommended depth](super::FineTuneSettings::automatic) was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// The head is already accurate, so nothing more was trained.
    ///
    /// With the kept weights it classifies each validation image correctly. As these weights were selected by the
    /// validation images, and those may be few, the head is also cross-validated on all images except the test images:
    /// the training and validation images are divided into up to five folds that divide no group (a recording, a
    /// cluster of similar photos), and each fold is classified by a head trained on the others, with its last weights.
    /// Every image must be classified correctly. Test images are not used.
    ///
    /// If none of n images is wrong, the error rate is below 3/n with 95 % confidence (the rule of three: Hanley and
    /// Lippman-Hand, "If nothing goes wrong, is everything all right?", JAMA 249:1743, 1983), and a fine-tuning can
    /// improve it by no more than that. There must be at least 100 images (3 %), 10 of each class and 5 groups, the
    /// number that an interval of the [`FineTuningVerdict`](super::FineTuningVerdict) needs. The bound applies to
    /// similar images. For images of new recordings the number of groups counts, and 3/groups is large for the handful
    /// of recordings in most projects; but a fine-tuning is trained on the same recordings, and if the head is right on
    /// all of them, its steps follow their peculiarities (Kumar et al., "Fine-Tuning can Distort Pretrained Features
    /// and Underperform Out-of-Distribution", 2022). Probabilities are not considered: a head trained by plain gradient
    /// descent is much less confident than accurate.
    HeadSuffices {
        /// The number of images, all classified correctly.
        images: usize,
        /// The number of their groups.
        groups: usize,
    },
    /// The depth recommended on the machine that trained it.
    Recommended,
    /// The training was stopped before the decision; its weights are kept.
    Stopped,
}

impl Decision {
    /// A sentence for users; `None` if nothing was left out.
    #[must_use]
    pub fn sentence(self) -> Option<String> {
        let Self::HeadSuffices { images, groups } = self else {
            return None;
        };
        let most = (300.0 / images.max(1) as f64).min(100.0);
        let whose = if groups < images {
            format!(
                "images outside the test set, each classified by a head that was not trained on its recording ({groups} recordings)"
            )
        } else {
            "images outside the test set, each classified by a head that was not trained on it"
                .to_owned()
        };
        Some(format!(
            "Fine-tuning was not needed: the head alone is right on all {images} {whose}. With 95 % confidence it is wrong on at most {most:.1} % of such images. To fine-tune anyway, choose a depth."
        ))
    }
}

/// Decides the depth of a run whose head was just trained, if the depth is recommended by the program and not decided
/// yet. `validation_accuracy` is that of the head, 0..=1; `None` without validation images.
pub(super) fn decide(
    project: &Project,
    run: &mut Run,
    prepared: &Prepared,
    validation_accuracy: Option<f32>,
    work: &Work,
) -> Result<(), TrainError> {
    if !run.is_undecided() {
        return Ok(());
    }
    let began = Instant::now();
    let mut decision = Decision::Recommended;
    if work.is_stopping() {
        decision = Decision::Stopped;
    } else if validation_accuracy.is_none_or(|part| part >= 1.0)
        && let Some(found) = suffices(run, prepared, work)?
    {
        decision = found;
    }
    let depth = match decision {
        Decision::HeadSuffices { .. } | Decision::Stopped => Depth::Head,
        Decision::Recommended if run.settings.fine_tune.is_on() => run.settings.fine_tune.depth,
        Decision::Recommended => estimate(project, &run.settings, work)?.recommended,
    };
    run.settings.fine_tune.depth = depth;
    run.settings.fine_tune.settle(prepared.data.train.len());
    run.decision = Some(decision);
    run.preparation_secs += began.elapsed().as_secs_f64();
    Ok(())
}

/// Whether cross-validated heads classify all images except the test images correctly.
fn suffices(run: &Run, prepared: &Prepared, work: &Work) -> Result<Option<Decision>, TrainError> {
    let data = &prepared.data;
    let frames = prepared.frames.iter();
    let frames: Vec<(usize, &str)> = frames
        .filter(|frame| frame.split != Split::Test)
        .map(|frame| (frame.class, frame.group.as_str()))
        .collect();
    let x = || Ok([data.train.x()?, data.validation.x()?].concat());
    judged(&frames, x, data.sizes, &run.settings, work)
}

/// The same for frames with the given classes, groups and bottlenecks.
fn judged(
    frames: &[(usize, &str)],
    x: impl FnOnce() -> Result<Vec<f32>, TrainError>,
    Sizes { dim, classes }: Sizes,
    settings: &TrainSettings,
    work: &Work,
) -> Result<Option<Decision>, TrainError> {
    let images = frames.len();
    let groups: BTreeSet<&str> = frames.iter().map(|(_, group)| *group).collect();
    let groups = groups.len();
    let of_class = |class| frames.iter().filter(|(of, _)| *of == class).count();
    let enough = (MIN_IMAGES..=MOST_IMAGES).contains(&images)
        && groups >= MIN_GROUPS
        && (0..classes).all(|class| of_class(class) >= MIN_IMAGES_OF_CLASS);
    if !enough {
        return Ok(None);
    }
    let Some(folds) = folds(frames, classes, FOLDS, settings.seed) else {
        return Ok(None);
    };
    work.stage("Cross-validating the head", Some(folds.len() as u64));
    let y: Vec<usize> = frames.iter().map(|(class, _)| *class).collect();
    let table = HeadTable::new(dim, classes, x()?, &y)?;
    for (at, fold) in folds.iter().enumerate() {
        let head = match table.learn(settings, &other_folds(&folds, at), &[], work) {
            Err(TrainError::Diverged(_)) => return Ok(None),
            other => other?,
        };
        let is_right = |row: &usize| {
            let bottleneck = table.row(*row).unwrap_or_default();
            y.get(*row) == called(&head, bottleneck).as_ref()
        };
        if !fold.iter().all(is_right) {
            return Ok(None);
        }
        work.advance(1);
    }
    Ok(Some(Decision::HeadSuffices { images, groups }))
}

/// The class that a head predicts for a bottleneck.
fn called(head: &Head, bottleneck: &[f32]) -> Option<usize> {
    let logits = head.logits(bottleneck);
    (0..logits.len()).max_by(|a, b| {
        let of = |at: &usize| logits.get(*at).copied().unwrap_or(f64::NAN);
        of(a).total_cmp(&of(b))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    /// The given number of images of each class, from films of five, in separate corners; one, `wrong`, is in the
    /// corner of another class.
    fn decided(images: &[usize], films: usize, wrong: usize) -> Option<Decision> {
        let sizes = Sizes {
            dim: images.len(),
            classes: images.len(),
        };
        let (mut x, mut classes) = (Vec::new(), Vec::new());
        for (class, count) in images.iter().enumerate() {
            for at in 0..*count {
                let off = usize::from(wrong > 0 && at % wrong == wrong - 1);
                let corner = (class + off) % images.len();
                x.extend((0..images.len()).map(|of| f32::from(u8::from(of == corner))));
                classes.push((class, format!("{class} {}", at % films)));
            }
        }
        let frames: Vec<(usize, &str)> = classes.iter().map(|(c, f)| (*c, f.as_str())).collect();
        let mut settings = TrainSettings {
            how_many_training_steps: 100,
            ..TrainSettings::default()
        };
        settings.head.learn.learning_rate = 0.5;
        let work = Work::new();
        judged(&frames, || Ok(x), sizes, &settings, &work).unwrap()
    }

    #[test]
    fn a_head_suffices_that_is_right_on_enough_images() {
        let right = |images, groups| Some(Decision::HeadSuffices { images, groups });
        assert_eq!(decided(&[60, 40], 4, 0), right(100, 8));
        // Each photo is a group of its own.
        assert_eq!(decided(&[60, 10, 50], 100, 0), right(120, 120));
        // A single wrong one.
        assert_eq!(decided(&[60, 40], 4, 60), None);
        // Too few images in total, of a class, or of recordings; and a class with a single recording.
        assert_eq!(decided(&[60, 39], 4, 0), None);
        assert_eq!(decided(&[100, 9], 4, 0), None);
        assert_eq!(decided(&[60, 40], 2, 0), None);
        assert_eq!(decided(&[60, 40, 40], 1, 0), None);
    }

    #[test]
    fn what_is_left_out_is_said_with_its_bound() {
        let of = |images, groups| {
            Decision::HeadSuffices { images, groups }
                .sentence()
                .unwrap()
        };
        let films = of(150, 12);
        assert!(films.contains("all 150 images") && films.contains("(12 recordings)"));
        assert!(films.contains("at most 2.0 %"), "{films}");
        assert!(!of(300, 300).contains("recordings"));
        assert_eq!(Decision::Recommended.sentence(), None);
        // Whatever a file contains.
        assert!(of(0, 0).contains("at most 100.0 %"));
    }
}
