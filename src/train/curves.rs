//! Accuracy and cross-entropy over the steps of a run.

use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

/// One evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct CurvePoint {
    /// Steps done.
    pub step: u32,
    /// Seconds of training since the start of the run, pauses left out.
    pub secs: f64,
    /// Part of the batch that was right, 0..=1.
    pub train_accuracy: f32,
    /// Mean cross-entropy of the batch, nats.
    pub train_cross_entropy: f32,
    /// Part of the validation frames that was right, 0..=1; `None` without validation frames.
    pub validation_accuracy: Option<f32>,
    /// Mean cross-entropy of the validation frames, nats.
    pub validation_cross_entropy: Option<f32>,
}

/// All evaluations of a run, in order.
pub type Curves = Vec<CurvePoint>;

/// The curves of a run in progress: written by the trainer, read by whoever draws, never waited for.
#[derive(Debug, Clone, Default)]
pub struct LiveCurves(pub(super) Arc<Mutex<Curves>>);

impl LiveCurves {
    /// The points after the first `known` ones.
    #[must_use]
    pub fn since(&self, known: usize) -> Curves {
        todo!("{known}")
    }
}
