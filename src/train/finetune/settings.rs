//! Settings of a training deeper than the head.

use serde::{Deserialize, Serialize};

use crate::backbone::{Augmentation, Depth, Views};
use crate::train::batches::Purpose;
use crate::train::early_stopping::EarlyStopping;
use crate::train::optimizer::{Optimization, Optimizer, Rate};
use crate::train::recipe::{Measures, Recipe, TrainFigures};
use crate::train::{HeadSettings, KeepBy, TrainSettings};

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
    /// Evaluations without a lower validation cross-entropy after which it ends early; 0 is never.
    pub early_stopping: u32,
    /// The step at which it stopped early and was trained further, from which evaluations are counted anew. 0 in a new run.
    #[serde(skip_serializing_if = "HeadSettings::is_new")]
    pub early_stopping_from: u32,
    /// Which evaluation gives the weights that are kept; runs that do not say kept the most accurate.
    #[serde(default)]
    pub keep_by: KeepBy,
    /// Pictures per batch.
    pub batch_size: usize,
    /// The optimiser.
    pub optimizer: Optimizer,
    /// The highest learning rate; it rises to this for the first tenth of the steps and falls to zero along half
    /// a cosine (Loshchilov and Hutter 2017).
    pub learning_rate: f32,
    /// Factor of the learning rate from one block to the one before it, over 0 and at most 1: the head learns at
    /// the full rate, the last block at this part of it, the one before at its square (Howard and Ruder 2018; as
    /// in Bao et al. 2022). 1 is the same rate for all, as in runs that do not say.
    #[serde(default = "same_rate")]
    pub layer_decay: f32,
    /// How much kernels and dense layers (not biases) are drawn towards zero.
    pub weight_decay: f32,
    /// Largest norm of the gradient over all weights; 0 has no limit.
    pub clip_norm: f32,
    /// Part of what each layer of the head reads that a step leaves out, 0..1.
    pub dropout: f32,
    /// Share of the probability that the target spreads over all classes, 0..1 (Szegedy et al. 2016).
    pub label_smoothing: f32,
    /// The α of mixup among the activations of a batch (Zhang et al. 2018), 0..=10; 0 mixes none.
    pub mixup: f32,
    /// Decay of the moving average of the weights, 0..1; the average is what is evaluated and kept.
    pub average_decay: f32,
    /// Whether depthwise kernels are trained as well; they are few and cost most.
    pub train_depthwise: bool,
    /// Augmented views of each training frame beside the plain one; `None` chooses by the number of frames (see
    /// [`FineTuneSettings::views_for`]). Runs that do not say had none.
    #[serde(default = "no_views")]
    pub views: Option<u32>,
    /// What an augmented view may change.
    pub augmentation: Augmentation,
    /// Largest size of the cached activations, bytes; beyond that they are computed again each time.
    pub cache_budget_bytes: u64,
}

fn same_rate() -> f32 {
    1.0
}

#[allow(clippy::unnecessary_wraps, reason = "the type is that of the field")]
fn no_views() -> Option<u32> {
    Some(0)
}

/// Most views of each frame that are chosen without a number.
const MOST_VIEWS: u32 = 6;
/// No more views are chosen than make as many pictures with the plain ones: each has to go through the network once.
const MOST_PICTURES: usize = 30_000;

impl Default for FineTuneSettings {
    fn default() -> Self {
        Self {
            depth: Depth::Head,
            steps: None,
            restarts: Vec::new(),
            early_stopping: 0,
            early_stopping_from: 0,
            keep_by: KeepBy::Last,
            batch_size: 32,
            optimizer: Optimizer::AdamW,
            learning_rate: Optimizer::AdamW.default_rate(),
            layer_decay: 0.8,
            weight_decay: 0.01,
            clip_norm: 1.0,
            dropout: 0.0,
            label_smoothing: 0.1,
            mixup: 0.0,
            average_decay: 0.99,
            train_depthwise: false,
            views: None,
            augmentation: Augmentation::default(),
            cache_budget_bytes: 8_000_000_000,
        }
    }
}

impl FineTuneSettings {
    /// The views that are trained on, in a run that says how many.
    pub(in crate::train) fn all_views(&self, seed: u64) -> Views {
        Views {
            count: self.views.unwrap_or(0).saturating_add(1),
            augmentation: self.augmentation,
            seed,
        }
    }

    /// Whether anything but the head is trained.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.depth != Depth::Head
    }

    /// Augmented views of each of `frames` training frames: those asked for, or up to six where anything but the head is
    /// trained, fewer of many frames.
    #[must_use]
    pub fn views_for(&self, frames: usize) -> u32 {
        self.views.unwrap_or_else(|| {
            if !self.is_on() {
                return 0;
            }
            let pictures = u32::try_from(MOST_PICTURES / frames.max(1)).unwrap_or(u32::MAX);
            pictures.saturating_sub(1).min(MOST_VIEWS)
        })
    }

    /// Whether there are augmented views, as far as the settings alone tell.
    #[must_use]
    pub fn has_views(&self) -> bool {
        self.views_for(1) > 0
    }

    /// Steps for `frames` training frames: those asked for, or as many as see each frame two and a half times,
    /// at least 200 and at most 2,000.
    #[must_use]
    pub fn steps_for(&self, frames: usize) -> u32 {
        self.steps.unwrap_or_else(|| {
            let steps = (5 * frames).div_ceil(2 * self.batch_size.max(1));
            u32::try_from(steps.clamp(200, 2_000)).unwrap_or(2_000)
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
                rule: fine_tune.optimizer,
                rate: Rate::WarmUpAndCosine {
                    peak: fine_tune.learning_rate,
                    restarts: fine_tune.restarts.clone(),
                },
                weight_decay: fine_tune.weight_decay,
                clip_norm: fine_tune.clip_norm,
                average_decay: fine_tune.average_decay,
            },
            label_smoothing: fine_tune.label_smoothing,
            mixup: fine_tune.mixup,
            dropout: fine_tune.dropout,
            class_weights: self.class_weights,
            sampling: self.sampling,
            seed: self.seed,
            purpose: Purpose::FineTuneBatch,
            views: fine_tune.views.unwrap_or(0) as usize + 1,
            point_every: interval,
            validate_every: apart.max(1).div_ceil(interval).saturating_mul(interval),
            shown: None,
            keep_by: fine_tune.keep_by,
            early_stopping: EarlyStopping::of(
                fine_tune.early_stopping,
                fine_tune.early_stopping_from,
            ),
            train_figures: TrainFigures::AllBatches,
            measures: Measures {
                gradient_norm: true,
                histograms: self.histograms,
            },
            begins_trained: true,
            saves_when_cancelled: false,
        }
    }
}
