//! Activations computed together with bottlenecks, for trainings with fine-tuning or on augmented views.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::backbone::{
    ActivationSource, Architecture, Augmentation, Blocks, CutAt, Depth, Preprocessing, Views,
};
use crate::jobs::Work;
use crate::train::TrainSettings;

use super::ShardError;

/// The activations to compute, by the settings of the training that will read them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct WantedActivations {
    /// The depth of the training; for the head alone only augmented views are computed.
    pub depth: Depth,
    /// The number of augmented views of each frame, beside the plain one.
    pub views: u32,
    /// How views are augmented.
    pub augmentation: Augmentation,
    /// The seed which, together with a frame's content, determines its views.
    pub seed: u64,
}

impl WantedActivations {
    /// The activations that a training with these settings reads; `None` if it reads only bottlenecks. If the number
    /// of views is recommended by the program, none are computed, because it depends on all frames.
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

    /// The cut of the network for these activations.
    ///
    /// # Errors
    /// The network cannot be trained to this depth.
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

    /// The network and the views that they are computed from.
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
