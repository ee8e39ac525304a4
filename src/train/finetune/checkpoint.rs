//! Where a training deeper than the head stands: what a checkpoint holds, and in which order.

use serde::{Deserialize, Serialize};

use crate::onnx::{ElementType, Tensor};
use crate::train::curves::BestPoint;
use crate::train::files::Values;

use super::graph::Network;
use super::optimizer::Slot;
use super::settings::FineTuneSettings;

/// The place within a training.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Place {
    /// Steps done.
    pub step: u32,
    /// The step of the last point of the curve.
    pub pointed: u32,
    /// The step of the last evaluation.
    pub validated: u32,
    /// Figures of the batches since the last point of the curve: right ones, cross-entropy, pictures.
    pub since_point: [f64; 3],
    /// Seconds trained, pauses left out.
    pub secs: f64,
    /// The best evaluation so far.
    pub best: Option<BestPoint>,
}

/// Where a training stands: enough to go on as if it had never stopped.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Checkpoint {
    /// The place within the training.
    pub place: Place,
    /// Weights and slots, in the order of [`state_names`].
    pub state: Vec<Tensor>,
    /// The weights of the best evaluation, in the order of the network's.
    pub best: Option<Vec<Tensor>>,
}

/// What a [`Checkpoint`] is made of, where it is.
pub(super) struct Snapshot<'a> {
    pub place: Place,
    /// In the order of [`state_names`].
    pub state: Vec<Values<'a>>,
    pub best: Option<&'a [Tensor]>,
}

/// The names of the tensors that a step updates: for each weight itself, then its slots.
pub(super) fn state_names(network: &Network, settings: &FineTuneSettings) -> Vec<String> {
    let slots = Slot::all(settings);
    network
        .weights
        .iter()
        .flat_map(|weight| {
            let slots = slots.iter().map(|slot| slot.name(&weight.name));
            [weight.name.clone()].into_iter().chain(slots)
        })
        .collect()
}

/// The checkpoint before the first step.
pub(super) fn beginning(settings: &FineTuneSettings, weights: &[Tensor]) -> Checkpoint {
    let slots = Slot::all(settings);
    let state = weights
        .iter()
        .flat_map(|weight| {
            let slots = slots.iter().map(|slot| match slot {
                Slot::Average => weight.clone(),
                Slot::First | Slot::Second => Tensor::zeros(ElementType::F32, weight.shape.clone()),
            });
            [weight.clone()].into_iter().chain(slots)
        })
        .collect();
    Checkpoint {
        place: Place::default(),
        state,
        best: None,
    }
}
