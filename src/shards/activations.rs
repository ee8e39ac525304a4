//! Activations that are computed with the bottlenecks: what a training deeper than the head, or one on augmented views, reads.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::backbone::{
    ActivationSource, Architecture, Augmentation, Blocks, CutAt, Depth, Preprocessing, Views,
};
use crate::jobs::Work;
use crate::train::TrainSettings;

use super::ShardError;

/// Which activations are wanted, by the settings of the training that will read them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WantedActivations {
    /// How deep is trained; of the head alone only augmented views are wanted.
    pub depth: Depth,
    /// Augmented views of each frame beside the plain one.
    pub views: u32,
    /// How they differ from it.
    pub augmentation: Augmentation,
    /// Decides, with a frame's content, on its views.
    pub seed: u64,
}

impl WantedActivations {
    /// What a training with these settings reads beside bottlenecks; views that are left to the program are none, since their number depends on all frames.
    /// `None` where that is nothing.
    #[must_use]
    pub fn of(settings: &TrainSettings) -> Option<Self> {
        let fine_tune = &settings.fine_tune;
        let wanted = Self {
            depth: fine_tune.depth,
            views: fine_tune.views.unwrap_or(0),
            augmentation: fine_tune.augmentation,
            seed: settings.seed,
        };
        (fine_tune.is_on() || wanted.views().distinct() > 1).then_some(wanted)
    }

    /// Where the network is cut for them.
    ///
    /// # Errors
    /// The network cannot be trained so deep.
    pub(super) fn cut(
        &self,
        architecture: &Architecture,
        work: &Work,
    ) -> Result<CutAt, ShardError> {
        let blocks = Blocks::of_for(architecture, work)?;
        let cut = blocks.plan_to_train(self.depth)?.cut;
        let dim = architecture.entry()?.bottleneck_dim;
        Ok(cut.unwrap_or_else(|| blocks.at_pooled(dim)))
    }

    /// What they are of.
    pub(super) fn source<'a>(
        &self,
        frames: &'a [PathBuf],
        architecture: &'a Architecture,
        preprocessing: &'a Preprocessing,
        cut: &'a CutAt,
    ) -> ActivationSource<'a> {
        ActivationSource {
            frames,
            architecture,
            preprocessing,
            cut,
            views: self.views(),
        }
    }

    fn views(&self) -> Views {
        Views {
            count: self.views.saturating_add(1),
            augmentation: self.augmentation,
            seed: self.seed,
        }
    }
}
