//! Settings of the fine-tuning.

use serde::{Deserialize, Serialize};

use crate::backbone::{Augmentation, Depth, Views};
use crate::train::LearnSettings;

/// Settings of the fine-tuning, which begins with the trained head.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FineTuneSettings {
    /// How much of the network is trained; [`Depth::Head`] trains the head only.
    pub depth: Depth,
    /// Whether the depth is recommended by the program, which decides it once the head is trained (see
    /// [`Decision`](crate::train::Decision)). In the settings of a new run `depth` is then [`Depth::Head`], or the
    /// recommended depth if that is already known; in those of a decided run it is the decided depth.
    #[serde(skip_serializing_if = "is_not")]
    pub automatic: bool,
    /// Steps; `None` for a number that depends on the number of frames (see [`FineTuneSettings::steps_for`]).
    pub steps: Option<u32>,
    /// The settings of its optimisation.
    #[serde(flatten)]
    pub learn: LearnSettings,
    /// Factor of the learning rate from one block to the one before it, over 0 and at most 1: the head has the full
    /// rate, the last block this fraction of it, the one before its square (Howard and Ruder 2018; as in Bao et al.
    /// 2022). 1 is the same rate for all, as in runs without this setting.
    #[serde(default = "same_rate")]
    pub layer_decay: f32,
    /// Whether depthwise kernels are trained, too; they are few and the most expensive.
    pub train_depthwise: bool,
    /// Augmented views of each training frame, beside the plain one; `None` for a number that depends on the number of
    /// frames (see [`FineTuneSettings::views_for`]). Runs without this setting had none.
    #[serde(default = "no_views")]
    pub views: Option<u32>,
    /// The augmentation of views.
    pub augmentation: Augmentation,
    /// Largest total size of the cached activations in bytes; rows beyond it are computed again each time.
    pub cache_budget_bytes: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_not(automatic: &bool) -> bool {
    !automatic
}

fn same_rate() -> f32 {
    1.0
}

#[allow(clippy::unnecessary_wraps, reason = "the type is that of the field")]
fn no_views() -> Option<u32> {
    Some(0)
}

/// The most views of each frame that are chosen automatically.
const MOST_VIEWS: u32 = 6;
/// The most images, including plain ones, for which views are chosen automatically: each has to be passed through the
/// network once.
const MOST_IMAGES: usize = 30_000;

impl Default for FineTuneSettings {
    fn default() -> Self {
        Self {
            depth: Depth::Head,
            automatic: false,
            steps: None,
            learn: LearnSettings::of_fine_tuning(),
            layer_decay: 0.8,
            train_depthwise: false,
            views: None,
            augmentation: Augmentation::default(),
            cache_budget_bytes: 8_000_000_000,
        }
    }
}

impl FineTuneSettings {
    /// The views that are trained on, in a run with a number of views.
    pub(in crate::train) fn all_views(&self, seed: u64) -> Views {
        Views {
            count: self.views.unwrap_or(0).saturating_add(1),
            augmentation: self.augmentation,
            seed,
        }
    }

    /// Whether there is any fine-tuning.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.depth != Depth::Head
    }

    /// Augmented views of each of `frames` training frames: the given number; otherwise up to six if there is
    /// fine-tuning, fewer for many frames.
    #[must_use]
    pub fn views_for(&self, frames: usize) -> u32 {
        self.views.unwrap_or_else(|| {
            if !self.is_on() {
                return 0;
            }
            let images = u32::try_from(MOST_IMAGES / frames.max(1)).unwrap_or(u32::MAX);
            images.saturating_sub(1).min(MOST_VIEWS)
        })
    }

    /// Sets the numbers that are not given for this many training frames, if there is fine-tuning: they are stored, so
    /// that a resumed run follows the same schedule.
    pub(in crate::train) fn settle(&mut self, frames: usize) {
        if self.is_on() {
            self.steps = Some(self.steps_for(frames));
            self.views = Some(self.views_for(frames));
        }
    }

    /// Whether there are augmented views, as far as the settings alone determine it.
    #[must_use]
    pub fn has_views(&self) -> bool {
        self.views_for(1) > 0
    }

    /// Steps for `frames` training frames: the given number; otherwise as many as see each frame two and a half times,
    /// at least 200 and at most 2,000.
    #[must_use]
    pub fn steps_for(&self, frames: usize) -> u32 {
        self.steps.unwrap_or_else(|| {
            let steps = (5 * frames).div_ceil(2 * self.learn.batch_size.max(1));
            u32::try_from(steps.clamp(200, 2_000)).unwrap_or(2_000)
        })
    }

    /// Factor of the learning rate in a block, counted from the network's end: 1 is the last, 0 the head.
    pub(super) fn rate_factor(&self, from_end: usize) -> f32 {
        let blocks = i32::try_from(from_end).unwrap_or(i32::MAX);
        self.layer_decay.powi(blocks)
    }
}
