//! The recipe of a problem: optimiser, loss, random draws, and the intervals of evaluations.

use super::batches::Purpose;
use super::early_stopping::EarlyStopping;
use super::optimizer::Optimization;
use super::parts::Objective;
use super::{ClassSampling, ClassWeights, KeepBy};
use crate::graph::CrossEntropy;

/// The meaning of the training figures in the curves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrainFigures {
    /// The last batch, evaluated again with the weights after its step, as `retrain.py` does.
    LastBatch,
    /// All batches since the previous point, each with the weights before its step. Costs nothing.
    AllBatches,
}

/// Measurements beside accuracy and cross-entropy. They do not affect the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Measures {
    /// The norm of the gradient.
    pub gradient_norm: bool,
    /// Histograms of weights and activations.
    pub histograms: bool,
}

/// How a problem is learned.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Recipe {
    pub optimization: Optimization,
    /// The part of the target that label smoothing spreads over all classes, 0..1.
    pub label_smoothing: f32,
    /// The α of the Beta distribution for [mixing](super::mixup) the images of a batch; 0 for no mixing.
    pub mixup: f32,
    /// The fraction of the inputs of each layer of the head that is dropped in a step, 0..1.
    pub dropout: f32,
    /// The weights of classes in the loss.
    pub class_weights: ClassWeights,
    /// How the images of a batch are drawn.
    pub sampling: ClassSampling,
    /// Seed of all draws.
    pub seed: u64,
    /// The purpose with which training batches are drawn.
    pub purpose: Purpose,
    /// The number of views of a frame to draw from, including the plain one; at least 1.
    pub views: usize,
    /// Steps between points of the curves, at least 1.
    pub point_every: u32,
    /// Steps between evaluations on the validation frames, a multiple of `point_every`.
    pub validate_every: u32,
    /// Validation frames, drawn again each time, for the curves; `None` for all. The best weights are always selected
    /// by all of them.
    pub shown: Option<usize>,
    /// Which evaluation is the best, so that its weights are kept.
    pub keep_by: KeepBy,
    /// When it ends early; `None` for never.
    pub early_stopping: Option<EarlyStopping>,
    pub train_figures: TrainFigures,
    pub measures: Measures,
    /// Whether the initial weights are a result that later ones have to beat.
    pub begins_trained: bool,
    /// Whether a cancellation waits for a checkpoint: only if it is small. Otherwise the steps since the last one are
    /// computed again.
    pub saves_when_cancelled: bool,
}

impl Recipe {
    /// The objective for training images of these classes.
    pub(super) fn objective(&self, y: &[i64], classes: usize) -> Objective {
        Objective {
            loss: CrossEntropy {
                smoothing: f64::from(self.label_smoothing),
                class_weights: self.class_weights.of(y, classes),
                by_row: true,
            },
            dropout: self.dropout,
        }
    }

    /// Whether a step has the norm of its gradient as an output. Clipping computes it anyway. Otherwise it would slow
    /// down a step of the head by a tenth, so it is reconstructed from [the changes of the
    /// step](Optimization::gradient).
    pub(super) fn outputs_gradient_norm(&self) -> bool {
        self.measures.gradient_norm && self.optimization.clip_norm > 0.0
    }
}
