//! How a problem is learned: optimiser, loss, what is drawn, and how often it is evaluated.

use super::batches::Purpose;
use super::early_stopping::EarlyStopping;
use super::optimizer::Optimization;
use super::parts::Objective;
use super::{ClassWeights, KeepBy, Sampling};
use crate::graph::CrossEntropy;

/// What the training side of a curve shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TrainFigures {
    /// The last batch, evaluated again with the weights after its step, as `retrain.py` does.
    LastBatch,
    /// All batches since the point before, each with the weights that its step began with. Costs nothing.
    AllBatches,
}

/// What is measured beside accuracy and cross-entropy. Changes nothing about the weights.
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
    /// Share of the probability that the target spreads over all classes, 0..1.
    pub label_smoothing: f32,
    /// The α of the Beta distribution by which the images of a batch are [mixed](super::mixup); 0 mixes none.
    pub mixup: f32,
    /// Part of what each layer of the head reads that a step leaves out, 0..1.
    pub dropout: f32,
    /// How much an image of each class counts.
    pub class_weights: ClassWeights,
    /// How the images of a batch are drawn.
    pub sampling: Sampling,
    /// Seed of what is drawn.
    pub seed: u64,
    /// What the training batches are drawn as.
    pub purpose: Purpose,
    /// Views of a frame that are drawn from, the plain one among them; at least 1.
    pub views: usize,
    /// Steps between points of the curves, at least 1.
    pub point_every: u32,
    /// Steps between evaluations on the validation frames, a multiple of `point_every`.
    pub validate_every: u32,
    /// Validation frames, drawn again each time, that the curves show; `None` shows all. All of them choose the weights.
    pub shown: Option<usize>,
    /// Which evaluation is the best, whose weights are kept.
    pub keep_by: KeepBy,
    /// When it ends before its last step; `None` for never.
    pub early_stopping: Option<EarlyStopping>,
    pub train_figures: TrainFigures,
    pub measures: Measures,
    /// Whether the weights before the first step are a result, which later ones have to beat.
    pub begins_trained: bool,
    /// Whether a cancellation waits for a checkpoint. A small one is written in no time; where it is large, what was
    /// done since the last one is computed again.
    pub saves_when_cancelled: bool,
}

impl Recipe {
    /// What is minimised over training images of these classes.
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

    /// Whether a step has the norm of its gradient as an output. Clipping computes it anyway; elsewhere it would make a
    /// step of the head a tenth slower, and is found from [what the step changed](Optimization::gradient).
    pub(super) fn outputs_gradient_norm(&self) -> bool {
        self.measures.gradient_norm && self.optimization.clip_norm > 0.0
    }
}
