//! Settings of a training, with the names of `retrain.py`.

use serde::{Deserialize, Serialize};

use crate::backbone::{Architecture, Augmentation, Depth, Fit};
use crate::project::SplitSettings;

use super::batches::Purpose;
use super::early_stopping::EarlyStopping;
use super::learn_settings::{HeadSettings, LearnSettings};
use super::optimizer::{Optimization, Rate};
use super::recipe::{Measures, Recipe, TrainFigures};
use super::{FineTuneSettings, Part};

/// The interval between evaluations of the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvalSpacing {
    /// Exactly `eval_step_interval`, as in `retrain.py`. Runs of earlier versions have this.
    Exact,
    /// A multiple of `eval_step_interval`, such that no more frames are evaluated than trained on. Evaluating a frame
    /// takes a third of the time of training on it, so evaluations take at most a quarter of the time.
    ByFrames,
    /// The result of [`EvalSpacing::ByFrames`] for a run: steps between its evaluations.
    Steps(u32),
}

/// The schedule of the learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Schedule {
    /// Constant, as in `retrain.py`.
    Constant,
    /// A linear rise to the peak in the first tenth of the steps, then half a cosine down to zero.
    Cosine,
}

/// How the images of a batch are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassSampling {
    /// First a class, then one of its images, as in `retrain.py`: small classes have the same weight as large ones.
    Balanced,
    /// All images equally often: classes have weights proportional to their numbers of images.
    Natural,
}

/// The weights of classes in the loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// Equal weights, as in `retrain.py`.
    None,
    /// Inversely proportional to the class's number of images, 1 on average.
    Balanced,
}

impl ClassWeights {
    /// The weights of `classes` classes, where `y` are the classes of the training images; `None` for equal weights.
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

/// The validation figure for comparing evaluations or configurations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RankBy {
    /// Accuracy; of equal ones, cross-entropy.
    #[default]
    Accuracy,
    /// Cross-entropy; of equal ones, accuracy.
    CrossEntropy,
}

/// Which evaluation's weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepBy {
    /// The one with the highest accuracy; of equal ones, the lowest cross-entropy.
    #[default]
    Accuracy,
    /// The one with the lowest cross-entropy; of equal ones, the highest accuracy.
    CrossEntropy,
    /// The last one: nothing is selected by the validation images.
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
    /// Validation frames per evaluation; -1 for all.
    pub validation_batch_size: i64,
    /// Steps between evaluations, unless `eval_spacing` changes it.
    pub eval_step_interval: u32,
    /// Whether the head is evaluated that often regardless of the number of validation frames.
    pub eval_spacing: EvalSpacing,
    /// Percentages of validation and test frames.
    #[serde(flatten)]
    pub split: SplitSettings,
    /// How the images of a batch are drawn.
    pub sampling: ClassSampling,
    /// The weights of classes in the loss.
    pub class_weights: ClassWeights,
    /// The training of the head.
    #[serde(flatten)]
    pub head: HeadSettings,
    /// Seed of everything random.
    pub seed: u64,
    /// Whether histograms of weights and activations are stored.
    pub histograms: bool,
    /// The fine-tuning after the head.
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
            sampling: ClassSampling::Balanced,
            class_weights: ClassWeights::None,
            head: HeadSettings::default(),
            seed: 0,
            histograms: true,
            fine_tune: FineTuneSettings::default(),
        }
    }
}

impl TrainSettings {
    /// The defaults of `retrain.py`: 4,000 steps of plain descent on the head at a rate of 0.01, batches of 100 for
    /// training and for the validation curve, an evaluation every 10 steps, no distortions. The architecture is this
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

    /// The optimisation of a part.
    #[must_use]
    pub fn learn(&self, part: Part) -> &LearnSettings {
        match part {
            Part::Head => &self.head.learn,
            Part::FineTuning => &self.fine_tune.learn,
        }
    }

    /// The optimisation of a part, to be changed.
    pub fn learn_mut(&mut self, part: Part) -> &mut LearnSettings {
        match part {
            Part::Head => &mut self.head.learn,
            Part::FineTuning => &mut self.fine_tune.learn,
        }
    }

    /// The part that is trained last, and to which extending a run adds steps.
    #[must_use]
    pub fn last_part(&self) -> Part {
        if self.fine_tune.is_on() {
            Part::FineTuning
        } else {
            Part::Head
        }
    }

    /// Removes traces of extensions, for a new run.
    pub fn forget_extensions(&mut self) {
        for part in [Part::Head, Part::FineTuning] {
            let learn = self.learn_mut(part);
            learn.restarts.clear();
            learn.early_stopping_from = 0;
        }
    }

    /// Steps of the last part: of the fine-tuning if there is one, otherwise of the head.
    #[must_use]
    pub fn steps(&self) -> u32 {
        match self.fine_tune.steps {
            Some(steps) if self.fine_tune.is_on() => steps,
            _ => self.how_many_training_steps,
        }
    }

    /// Steps between evaluations of the head with this many validation frames, at least 1.
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

    /// The recipe of a part, with this many validation frames.
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
        // All validation frames are evaluated after training on about twice as many frames, because evaluating one
        // takes a third of the time.
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

    /// Changes the total of the steps counted by [`TrainSettings::steps`] to `steps`, after `done` of them. If the
    /// learning rate has a schedule, and the total changes, the schedule restarts with the added steps: on the old
    /// half cosine the rate would jump up, or be zero.
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

    /// A remark on settings that need validation images when there are none.
    pub(super) fn without_validation(&self) -> Option<String> {
        let parts = [Part::Head, self.last_part()];
        let stops = parts.map(|part| self.learn(part).early_stopping > 0);
        stops.contains(&true).then(|| {
            "Early stopping has no effect, because there are no validation images; raise the validation percentage.".to_owned()
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
        // 10 steps of 100 frames: small sets are evaluated as often as before.
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
