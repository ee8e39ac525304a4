//! Settings of a training deeper than the head.

use serde::{Deserialize, Serialize};

use crate::backbone::{Augmentation, Depth, Views};
use crate::train::batches::Purpose;
use crate::train::optimizer::{Optimization, Rate, Rule};
use crate::train::recipe::{Recipe, TrainFigures};
use crate::train::{TrainError, TrainSettings};

/// How weights follow the gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FineTuneOptimizer {
    /// Stochastic gradient descent with momentum 0.9.
    Momentum,
    /// `AdamW` (Loshchilov and Hutter 2019), beta 0.9 and 0.999, epsilon 1e-8.
    AdamW,
}

impl FineTuneOptimizer {
    /// The learning rate that suits it.
    #[must_use]
    pub fn default_rate(self) -> f32 {
        match self {
            Self::Momentum => 0.01,
            Self::AdamW => 1e-3,
        }
    }
}

/// Settings of the part of a training that goes deeper than the head. It begins where the head's training ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FineTuneSettings {
    /// How much of the network is trained; [`Depth::Head`] trains the head only.
    pub depth: Depth,
    /// Steps; `None` chooses by the number of frames (see [`FineTuneSettings::steps_for`]).
    pub steps: Option<u32>,
    /// Steps after which the run was extended, ascending: from each of them on the learning rate rises and falls
    /// anew (warm restarts, Loshchilov and Hutter 2017). Empty in a new run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub restarts: Vec<u32>,
    /// Pictures per batch.
    pub batch_size: usize,
    /// The optimiser.
    pub optimizer: FineTuneOptimizer,
    /// The highest learning rate; it rises to this for the first tenth of the steps and falls to zero along half
    /// a cosine (Loshchilov and Hutter 2017).
    pub learning_rate: f32,
    /// Factor of the learning rate from one block to the one before it, over 0 and at most 1: the head learns at
    /// the full rate, the last block at this part of it, the one before at its square (Howard and Ruder 2018; as
    /// in Bao et al. 2022). 1 is the same rate for all.
    pub layer_decay: f32,
    /// How much kernels and dense layers (not biases) are drawn towards zero.
    pub weight_decay: f32,
    /// Largest norm of the gradient over all weights; 0 has no limit.
    pub clip_norm: f32,
    /// Share of the probability that the target spreads over all classes, 0..1 (Szegedy et al. 2016).
    pub label_smoothing: f32,
    /// Decay of the moving average of the weights, 0..1; the average is what is evaluated and kept.
    pub average_decay: f32,
    /// Whether depthwise kernels are trained as well; they are few and cost most.
    pub train_depthwise: bool,
    /// Augmented views of each training frame beside the plain one.
    pub views: u32,
    /// What an augmented view may change.
    pub augmentation: Augmentation,
    /// Largest size of the cached activations, bytes; beyond that they are computed again each time.
    pub cache_budget_bytes: u64,
}

impl Default for FineTuneSettings {
    fn default() -> Self {
        Self {
            depth: Depth::Head,
            steps: None,
            restarts: Vec::new(),
            batch_size: 32,
            optimizer: FineTuneOptimizer::AdamW,
            learning_rate: FineTuneOptimizer::AdamW.default_rate(),
            layer_decay: 1.0,
            weight_decay: 0.01,
            clip_norm: 1.0,
            label_smoothing: 0.1,
            average_decay: 0.99,
            train_depthwise: false,
            views: 0,
            augmentation: Augmentation::default(),
            cache_budget_bytes: 8 << 30,
        }
    }
}

impl FineTuneSettings {
    /// The views that are trained on.
    pub(super) fn all_views(&self, seed: u64) -> Views {
        Views {
            count: self.views.saturating_add(1),
            augmentation: self.augmentation,
            seed,
        }
    }

    /// Whether anything but the head is trained.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.depth != Depth::Head
    }

    /// Steps for `frames` training frames: those asked for, or as many as see each frame two and a half times,
    /// at least 100 and at most 2,000. (2,062 photos of hand signs came out no better with three times.)
    #[must_use]
    pub fn steps_for(&self, frames: usize) -> u32 {
        self.steps.unwrap_or_else(|| {
            let steps = (5 * frames).div_ceil(2 * self.batch_size.max(1));
            u32::try_from(steps.clamp(100, 2_000)).unwrap_or(2_000)
        })
    }

    /// Factor of the learning rate in a block, counted from the network's end: 1 is the last, 0 the head.
    pub(super) fn rate_factor(&self, from_end: usize) -> f32 {
        let blocks = i32::try_from(from_end).unwrap_or(i32::MAX);
        self.layer_decay.powi(blocks)
    }
}

impl TrainSettings {
    /// How the part that goes deeper is learned, with so many validation frames.
    pub(in crate::train) fn deeper_recipe(&self, validation_frames: usize) -> Recipe {
        let fine_tune = &self.fine_tune;
        let interval = self.eval_step_interval.max(1);
        // The validation frames are looked at when about twice as many training frames have been: looking at one
        // costs a third of learning from one.
        let apart = (2 * validation_frames).div_ceil(fine_tune.batch_size.max(1));
        let apart = u32::try_from(apart).unwrap_or(u32::MAX);
        Recipe {
            optimization: Optimization {
                rule: match fine_tune.optimizer {
                    FineTuneOptimizer::Momentum => Rule::Momentum,
                    FineTuneOptimizer::AdamW => Rule::AdamW,
                },
                rate: Rate::WarmUpAndCosine {
                    peak: fine_tune.learning_rate,
                    restarts: fine_tune.restarts.clone(),
                },
                weight_decay: fine_tune.weight_decay,
                clip_norm: fine_tune.clip_norm,
                average_decay: fine_tune.average_decay,
            },
            label_smoothing: fine_tune.label_smoothing,
            seed: self.seed,
            purpose: Purpose::FineTuneBatch,
            views: fine_tune.views as usize + 1,
            point_every: interval,
            validate_every: apart.max(1).div_ceil(interval).saturating_mul(interval),
            shown: None,
            train_figures: TrainFigures::AllBatches,
            begins_trained: true,
            saves_when_cancelled: false,
        }
    }
}

/// Refuses what makes no sense.
pub(in crate::train) fn check_settings(settings: &FineTuneSettings) -> Result<(), TrainError> {
    let wrong = |text: &str| Err(TrainError::Setting(text.to_owned()));
    if !settings.is_on() {
        return Ok(());
    }
    if settings.steps == Some(0) {
        return wrong("the number of fine-tuning steps must be at least 1");
    }
    if settings.batch_size == 0 {
        return wrong("the fine-tuning batch must have at least 1 image");
    }
    if !(settings.learning_rate.is_finite() && settings.learning_rate > 0.0) {
        return wrong("the fine-tuning learning rate must be over 0");
    }
    if !(settings.layer_decay > 0.0 && settings.layer_decay <= 1.0) {
        return wrong("the layer decay must be over 0 and at most 1");
    }
    if !(0.0..1.0).contains(&settings.label_smoothing) {
        return wrong("label smoothing must be at least 0 and below 1");
    }
    if !(0.0..1.0).contains(&settings.average_decay) {
        return wrong("the decay of the weights' average must be at least 0 and below 1");
    }
    if !(settings.weight_decay >= 0.0 && settings.clip_norm >= 0.0) {
        return wrong("weight decay and the gradient's largest norm must not be negative");
    }
    Ok(())
}
