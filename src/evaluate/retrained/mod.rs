//! Measurements that train again on other frames: the head alone, on cached bottlenecks of the original backbone. (A
//! fine-tuned one was trained on the training frames, so a split of its bottlenecks would prove nothing.)

mod cache;
mod folds;
mod held_out;
mod leak;
mod learning_curve;
mod power_law;
mod test_uses;

pub use folds::{CrossValidation, cross_validate};
pub use held_out::{HeldOut, UnknownCurve, hold_out_classes};
pub use leak::{LeakMeter, leak_meter};
pub use learning_curve::{Forecast, LearningCurve, LearningPoint, learning_curve};
pub use test_uses::{TestUses, test_uses};

use std::collections::BTreeMap;

use crate::jobs::Work;
use crate::project::{Project, Split};
use crate::train::{Head, HeadTable, Run, TrainSettings};

use super::classifier::{arg_max, softmax};
use super::evaluation::frame_sampled_as;
use super::rows::{Backbone, Rows};
use super::{Confusion, EvaluateError, Evaluation, FramePrediction};

/// The frames of a run with their bottlenecks, ready for training.
struct Bench {
    table: HeadTable,
    settings: TrainSettings,
    /// The names of the labels.
    labels: Vec<String>,
    /// One for each frame.
    frames: Vec<BenchFrame>,
    /// A hash of the inputs of all results.
    content: blake3::Hash,
}

/// A frame.
struct BenchFrame {
    path: String,
    truth: usize,
    /// The group, which the split did not divide.
    group: String,
    /// The sampling unit, see [`FramePrediction::sampled_as`].
    source: String,
    split: Split,
}

impl Bench {
    /// The frames of a run with their current labels.
    fn of(
        project: &Project,
        run: &Run,
        whose: Backbone,
        work: &Work,
    ) -> Result<Self, EvaluateError> {
        let mut rows = Rows::of(project, run, None, whose, work)?;
        let labels = rows.classes.labels.clone();
        let values = std::mem::take(&mut rows.values);
        let frames: Vec<BenchFrame> = rows
            .frames
            .iter()
            .zip(&rows.truth)
            .map(|(frame, truth)| BenchFrame {
                path: frame.path.clone(),
                truth: *truth,
                group: frame.group.clone(),
                source: frame_sampled_as(frame).to_owned(),
                split: frame.split,
            })
            .collect();
        let settings = run.settings.clone();
        let content = cache::content(&values, &frames, &labels, &settings);
        let truth = &rows.truth;
        Ok(Self {
            table: HeadTable::new(rows.dim, labels.len(), values, truth)?,
            settings,
            labels,
            frames,
            content,
        })
    }

    /// The indices of the frames for which `holds` is true.
    fn places(&self, holds: impl Fn(&BenchFrame) -> bool) -> Vec<usize> {
        let frames = self.frames.iter().enumerate();
        frames
            .filter(|(_, frame)| holds(frame))
            .map(|(at, _)| at)
            .collect()
    }

    fn side(&self, split: Split) -> Vec<usize> {
        self.places(|frame| frame.split == split)
    }

    /// Trains a head.
    fn learn(
        &self,
        train: &[usize],
        validation: &[usize],
        work: &Work,
    ) -> Result<Head, EvaluateError> {
        let head = self.table.learn(&self.settings, train, validation, work)?;
        work.advance(1);
        Ok(head)
    }

    /// The predictions of a head on frames.
    fn predictions(&self, head: &Head, places: &[usize]) -> Vec<FramePrediction> {
        let of = |at: &usize| {
            let frame = self.frames.get(*at)?;
            let probabilities = softmax(&head.logits(self.table.row(*at)?));
            Some(FramePrediction {
                path: frame.path.clone(),
                group: frame.group.clone(),
                truth: frame.truth,
                predicted: arg_max(&probabilities),
                probabilities,
            })
        };
        places.iter().filter_map(of).collect()
    }

    /// An evaluation with these predictions, to compute figures from.
    fn evaluation(&self, predictions: Vec<FramePrediction>) -> Evaluation {
        let mut confusion = Confusion::new(self.labels.len());
        for frame in &predictions {
            confusion.add(frame.truth, frame.predicted);
        }
        Evaluation {
            classes: self.labels.clone(),
            split: Split::Test,
            predictions,
            confusion,
            relabelled: 0,
            changed: 0,
            missing: 0,
            notes: Vec::new(),
        }
    }

    /// For each class, its groups among some frames, with their frames.
    fn groups_by_class(&self, places: &[usize]) -> Vec<BTreeMap<&str, Vec<usize>>> {
        let mut classes = vec![BTreeMap::new(); self.labels.len()];
        for at in places {
            if let Some(frame) = self.frames.get(*at)
                && let Some(groups) = classes.get_mut(frame.truth)
            {
                let of_group: &mut Vec<usize> = groups.entry(frame.group.as_str()).or_default();
                of_group.push(*at);
            }
        }
        classes
    }
}

/// The accuracy of predictions, 0..=1.
fn accuracy(predictions: &[FramePrediction]) -> f64 {
    let right = predictions
        .iter()
        .filter(|f| f.truth == f.predicted)
        .count();
    right as f64 / predictions.len().max(1) as f64
}

/// Generated clusters of frames, for the tests of this folder.
#[cfg(test)]
mod made_up {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    /// The parameters of generated frames.
    pub(super) struct Made {
        pub classes: usize,
        pub films: usize,
        pub frames: usize,
        /// The distances between the films of a class, and between the frames of a film. Classes have a distance of 1.
        pub of_films: f64,
        pub of_frames: f64,
    }

    /// Bottlenecks around the centre of a film, which is around the centre of a class. Of each class one film in five
    /// is for the test and one for validation.
    pub(super) fn bench(made: &Made) -> Bench {
        const DIM: usize = 24;
        let mut state = 7_u64;
        let mut normal = || {
            let mut sum = 0.0;
            for _ in 0..12 {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                sum += (state >> 11) as f64 / (1_u64 << 53) as f64;
            }
            sum - 6.0
        };
        let (mut x, mut y, mut frames) = (Vec::new(), Vec::new(), Vec::new());
        for class in 0..made.classes {
            for film in 0..made.films {
                let around: Vec<f64> = (0..DIM).map(|_| made.of_films * normal()).collect();
                for frame in 0..made.frames {
                    x.extend(around.iter().enumerate().map(|(at, middle)| {
                        let own = f64::from(u8::from(at == class));
                        (own + middle + made.of_frames * normal()) as f32
                    }));
                    y.push(class);
                    let name = format!("film {class} {film}");
                    frames.push(BenchFrame {
                        path: format!("classes/{class}/{film}-{frame}.jpg"),
                        truth: class,
                        group: name.clone(),
                        source: name,
                        split: match film % 5 {
                            0 => Split::Test,
                            1 => Split::Validation,
                            _ => Split::Train,
                        },
                    });
                }
            }
        }
        let labels: Vec<String> = (0..made.classes).map(|class| class.to_string()).collect();
        let mut settings = TrainSettings {
            how_many_training_steps: 400,
            ..TrainSettings::default()
        };
        settings.head.learn.learning_rate = 0.1;
        Bench {
            content: cache::content(&x, &frames, &labels, &settings),
            table: HeadTable::new(DIM, made.classes, x, &y).unwrap(),
            settings,
            labels,
            frames,
        }
    }
}
