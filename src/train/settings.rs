//! Settings of a training; the names are those of `retrain.py`.

use serde::{Deserialize, Serialize};

use crate::backbone::{Architecture, Augmentation, Depth, Fit};
use crate::project::SplitSettings;

use super::batches::Purpose;
use super::early_stopping::EarlyStopping;
use super::learn_settings::{HeadSettings, LearnSettings};
use super::optimizer::{Optimization, Rate};
use super::recipe::{Measures, Recipe, TrainFigures};
use super::{FineTuneSettings, Part};

/// How far evaluations of the head are apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvalSpacing {
    /// Exactly `eval_step_interval`, as in `retrain.py`. Runs of earlier versions have this.
    Exact,
    /// A multiple of `eval_step_interval`, such that no more frames are evaluated than learned from. Evaluating a frame
    /// costs a third of learning from it, so evaluations take at most a quarter of the time.
    ByFrames,
    /// The result of [`EvalSpacing::ByFrames`] for a run: steps between its evaluations.
    Steps(u32),
}

/// How the learning rate changes over the steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// It stays, as in `retrain.py`.
    Constant,
    /// It rises to its peak for the first tenth of the steps and falls to zero along half a cosine.
    Cosine,
}

/// How the images of a batch are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sampling {
    /// First a class, then one of its images, as in `retrain.py`: small classes count as much as large ones.
    Balanced,
    /// Any image as often as any other: classes count as much as they have images.
    Natural,
}

/// How much an image of each class counts in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// As much as any other, as in `retrain.py`.
    None,
    /// By the inverse of how many images its class has, 1 on average.
    Balanced,
}

impl ClassWeights {
    /// The weights of so many classes, of which `y` are the training images; `None` where all count alike.
    pub(super) fn of(self, y: &[i64], classes: usize) -> Option<Vec<f64>> {
        if self == Self::None {
            return None;
        }
        let mut counts = vec![0_usize; classes];
        for class in y {
            let class = usize::try_from(*class).ok();
            if let Some(count) = class.and_then(|class| counts.get_mut(class)) {
                *count += 1;
            }
        }
        let there = counts.iter().filter(|count| **count > 0).count();
        let weight = |count: usize| match count {
            0 => 0.0,
            _ => y.len() as f64 / (there * count) as f64,
        };
        Some(counts.into_iter().map(weight).collect())
    }
}

/// By which figure on the validation images one evaluation or configuration is better than another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RankBy {
    /// Accuracy; where that is equal, cross-entropy.
    #[default]
    Accuracy,
    /// Cross-entropy; where that is equal, accuracy.
    CrossEntropy,
}

/// Which evaluation on the validation images gives the weights that are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepBy {
    /// The one with the highest accuracy; where that is equal, the lowest cross-entropy.
    #[default]
    Accuracy,
    /// The one with the lowest cross-entropy; where that is equal, the highest accuracy.
    CrossEntropy,
    /// The last one: nothing is chosen by the validation images.
    Last,
}

/// Settings of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrainSettings {
    /// The backbone and its resolution.
    pub architecture: Architecture,
    /// How frames are made square.
    pub fit: Fit,
    /// Steps of the head.
    pub how_many_training_steps: u32,
    /// Validation frames per evaluation; -1 is all of them.
    pub validation_batch_size: i64,
    /// Steps between evaluations, as far as `eval_spacing` does not say otherwise.
    pub eval_step_interval: u32,
    /// Whether the head is evaluated as often as that, however many validation frames there are.
    pub eval_spacing: EvalSpacing,
    /// Percentages of validation and test.
    #[serde(flatten)]
    pub split: SplitSettings,
    /// How the images of a batch are drawn.
    pub sampling: Sampling,
    /// How much an image of each class counts in the loss.
    pub class_weights: ClassWeights,
    /// The training of the head.
    #[serde(flatten)]
    pub head: HeadSettings,
    /// Seed of everything random.
    pub seed: u64,
    /// Whether histograms of weights and activations are kept.
    pub histograms: bool,
    /// Training deeper than the head, afterwards.
    pub fine_tune: FineTuneSettings,
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            architecture: Architecture::default(),
            fit: Fit::CenterCrop,
            how_many_training_steps: 4000,
            validation_batch_size: 100,
            eval_step_interval: 10,
            eval_spacing: EvalSpacing::ByFrames,
            split: SplitSettings::default(),
            sampling: Sampling::Balanced,
            class_weights: ClassWeights::None,
            head: HeadSettings::default(),
            seed: 0,
            histograms: true,
            fine_tune: FineTuneSettings::default(),
        }
    }
}

impl TrainSettings {
    /// What `retrain.py` does without any flag: 4,000 steps of plain descent on the head at 0.01, batches of 100 for
    /// learning and for the validation curve, an evaluation every 10 steps, no distortions. The architecture is this
    /// program's default.
    #[must_use]
    pub fn classic() -> Self {
        Self {
            fit: Fit::Stretch,
            eval_spacing: EvalSpacing::Exact,
            split: SplitSettings {
                validation_percentage: 10,
                testing_percentage: 10,
                split_seed: 0,
            },
            fine_tune: FineTuneSettings {
                depth: Depth::Head,
                views: Some(0),
                augmentation: Augmentation::OFF,
                ..FineTuneSettings::default()
            },
            ..Self::default()
        }
    }

    /// How a part is learned.
    #[must_use]
    pub fn learn(&self, part: Part) -> &LearnSettings {
        match part {
            Part::Head => &self.head.learn,
            Part::FineTuning => &self.fine_tune.learn,
        }
    }

    /// The same, to be changed.
    pub fn learn_mut(&mut self, part: Part) -> &mut LearnSettings {
        match part {
            Part::Head => &mut self.head.learn,
            Part::FineTuning => &mut self.fine_tune.learn,
        }
    }

    /// The part that is trained last, which a run is extended by.
    #[must_use]
    pub fn last_part(&self) -> Part {
        if self.fine_tune.is_on() {
            Part::FineTuning
        } else {
            Part::Head
        }
    }

    /// Forgets that the run they are from was extended: for a new run.
    pub fn begin_anew(&mut self) {
        for part in [Part::Head, Part::FineTuning] {
            let learn = self.learn_mut(part);
            learn.restarts.clear();
            learn.early_stopping_from = 0;
        }
    }

    /// Steps of the part of the training that takes longest: of the fine-tuning where there is one, else of
    /// the head's.
    #[must_use]
    pub fn steps(&self) -> u32 {
        match self.fine_tune.steps {
            Some(steps) if self.fine_tune.is_on() => steps,
            _ => self.how_many_training_steps,
        }
    }

    /// Steps between evaluations of the head with so many validation frames, at least 1.
    pub(super) fn steps_between_evaluations(&self, validation_frames: usize) -> u32 {
        let interval = self.eval_step_interval.max(1);
        match self.eval_spacing {
            EvalSpacing::Exact => interval,
            EvalSpacing::Steps(steps) => steps.max(1),
            EvalSpacing::ByFrames => {
                let apart = validation_frames.div_ceil(self.head.learn.batch_size.max(1));
                let apart = u32::try_from(apart).unwrap_or(u32::MAX).max(1);
                apart.div_ceil(interval).saturating_mul(interval)
            }
        }
    }

    /// How a part is learned, with so many validation frames.
    pub(super) fn recipe(&self, part: Part, validation_frames: usize) -> Recipe {
        let learn = self.learn(part);
        let interval = self.eval_step_interval.max(1);
        let spacing = self.steps_between_evaluations(validation_frames);
        let shown = usize::try_from(self.validation_batch_size).ok();
        let of_head = Recipe {
            optimization: Optimization {
                rule: learn.optimizer,
                rate: match learn.schedule {
                    Schedule::Constant => Rate::Constant(learn.learning_rate),
                    Schedule::Cosine => Rate::WarmUpAndCosine {
                        peak: learn.learning_rate,
                        restarts: learn.restarts.clone(),
                    },
                },
                weight_decay: learn.weight_decay,
                clip_norm: learn.clip_norm,
                average_decay: learn.average_decay,
            },
            label_smoothing: learn.label_smoothing,
            mixup: learn.mixup,
            dropout: learn.dropout,
            class_weights: self.class_weights,
            sampling: self.sampling,
            seed: self.seed,
            purpose: Purpose::Batch,
            views: 1,
            point_every: spacing,
            validate_every: spacing,
            shown: shown.filter(|size| *size > 0),
            keep_by: learn.keep_by,
            early_stopping: EarlyStopping::of(learn.early_stopping, learn.early_stopping_from),
            train_figures: TrainFigures::LastBatch,
            measures: Measures {
                gradient_norm: true,
                histograms: self.histograms,
            },
            begins_trained: false,
            saves_when_cancelled: true,
        };
        if part == Part::Head {
            return of_head;
        }
        // All validation frames are evaluated after about twice as many training frames: evaluating one costs a third of
        // learning from it.
        let apart = (2 * validation_frames).div_ceil(learn.batch_size.max(1));
        let apart = u32::try_from(apart).unwrap_or(u32::MAX);
        Recipe {
            purpose: Purpose::FineTuneBatch,
            views: self.fine_tune.views.unwrap_or(0) as usize + 1,
            point_every: interval,
            validate_every: apart.max(1).div_ceil(interval).saturating_mul(interval),
            shown: None,
            train_figures: TrainFigures::AllBatches,
            begins_trained: true,
            saves_when_cancelled: false,
            ..of_head
        }
    }

    /// Makes it `steps` in all, of those that [`TrainSettings::steps`] counts, after `done` of them. Where the learning rate
    /// changes over the steps, a training that gets another number than it was to have begins it again with the steps that
    /// are added: along the old half cosine it would jump up, or stand at zero.
    pub(super) fn extend(&mut self, done: u32, steps: u32) {
        let part = self.last_part();
        let before = match part {
            Part::Head => self.how_many_training_steps.into(),
            Part::FineTuning => self.fine_tune.steps,
        };
        let learn = self.learn_mut(part);
        if learn.schedule == Schedule::Cosine
            && done > 0
            && before != Some(steps)
            && learn.restarts.last() != Some(&done)
        {
            learn.restarts.push(done);
        }
        match part {
            Part::Head => self.how_many_training_steps = steps,
            Part::FineTuning => self.fine_tune.steps = Some(steps),
        }
    }

    /// What is to be said of settings that need validation images where there are none.
    pub(super) fn without_validation(&self) -> Option<String> {
        let parts = [Part::Head, self.last_part()];
        let stops = parts.map(|part| self.learn(part).early_stopping > 0);
        stops.contains(&true).then(|| {
            "Early stopping has no effect: there are no validation images; raise the validation percentage.".to_owned()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_frames_are_evaluated_than_learned_from() {
        let settings = TrainSettings::default();
        let apart = |frames| settings.steps_between_evaluations(frames);
        // 10 steps of 100 frames: small sets are evaluated as they always were.
        assert_eq!([0, 1, 999, 1000].map(apart), [10; 4]);
        assert_eq!([1001, 2000, 10_000, 10_001].map(apart), [20, 20, 100, 110]);
        for frames in [0, 77, 1234, 56_789, 1_000_000] {
            let steps = apart(frames);
            assert!(steps.is_multiple_of(10) && steps as usize * 100 >= frames);
        }
        let exact = TrainSettings {
            eval_spacing: EvalSpacing::Exact,
            ..settings.clone()
        };
        assert_eq!(exact.steps_between_evaluations(10_000), 10);
        let decided = TrainSettings {
            eval_spacing: EvalSpacing::Steps(70),
            ..settings
        };
        assert_eq!(decided.steps_between_evaluations(10_000), 70);
    }
}
