//! Early stopping: a training ends once the cross-entropy on the validation images has not improved for a number of
//! evaluations (Prechelt 1998).

use serde::{Deserialize, Serialize};

/// When a training ends early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EarlyStopping {
    /// The number of successive evaluations without a lower cross-entropy after which it ends, at least 1.
    pub evaluations: u32,
    /// If an earlier part of the run stopped early and was extended: evaluations are counted from this step.
    pub from: u32,
}

impl EarlyStopping {
    /// From a setting, in which 0 means never.
    pub(super) fn of(evaluations: u32, from: u32) -> Option<Self> {
        (evaluations > 0).then_some(Self { evaluations, from })
    }

    /// Whether the training ends now.
    pub(super) fn ends(self, so_far: Unimproved) -> bool {
        so_far.evaluations >= self.evaluations
    }
}

/// How long the cross-entropy has not improved. A part of checkpoints, so that a resumed training ends at the same
/// step.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Unimproved {
    /// The lowest cross-entropy so far, nats.
    pub lowest: Option<f32>,
    /// Evaluations since then.
    pub evaluations: u32,
}

impl Unimproved {
    /// Whether nothing was counted yet.
    pub(super) fn is_new(&self) -> bool {
        *self == Self::default()
    }

    /// Counts an evaluation.
    pub(super) fn count(&mut self, cross_entropy: f32) {
        if self.lowest.is_none_or(|lowest| cross_entropy < lowest) {
            self.lowest = Some(cross_entropy);
            self.evaluations = 0;
        } else {
            self.evaluations = self.evaluations.saturating_add(1);
        }
    }
}
