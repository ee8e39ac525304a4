//! Builds the back of the network with a head from a plan, with its initial weights.

use std::sync::Arc;

use crate::backbone::{Blocks, CutAt, Plan, WeightKind};
use crate::jobs::{Work, abandonable};
use crate::onnx::Tensor;
use crate::train::optimizer::{Weight, matrix};
use crate::train::{Head, TrainError};

use super::graph::{HEAD_WEIGHTS, Network};
use super::settings::FineTuneSettings;

/// The back of the network with a head, and the initial values of the trained weights.
pub(super) fn network(
    blocks: &Arc<Blocks>,
    plan: &Plan,
    settings: &FineTuneSettings,
    head: &Head,
    work: &Work,
) -> Result<(Arc<Network>, Vec<Tensor>), TrainError> {
    let cut = cut_of(plan)?;
    let back = {
        let (blocks, cut) = (Arc::clone(blocks), cut.clone());
        abandonable(work, move || blocks.back(&cut))??
    };
    let mut weights = Vec::new();
    let mut initial = Vec::new();
    for weight in &plan.weights {
        if weight.kind == WeightKind::DepthwiseKernel && !settings.train_depthwise {
            continue;
        }
        let tensor = back.find(&weight.name).and_then(|id| back.constant_of(id));
        let Some(tensor) = tensor else {
            continue;
        };
        let tensor = Tensor::new(matrix(&tensor.shape), tensor.data.clone());
        weights.push(Weight {
            name: weight.name.clone(),
            shape: tensor.shape.clone(),
            rate: settings.rate_factor(weight.from_end),
            decays: !matches!(weight.kind, WeightKind::Bias | WeightKind::Scale),
        });
        initial.push(tensor);
    }
    let layers = head.tensors();
    let without_hidden = HEAD_WEIGHTS.len() - layers.len();
    for (name, tensor) in HEAD_WEIGHTS.iter().skip(without_hidden).zip(layers) {
        weights.push(Weight {
            name: (*name).to_owned(),
            shape: tensor.shape.clone(),
            rate: 1.0,
            decays: tensor.shape.len() > 1,
        });
        initial.push(tensor);
    }
    let network = Network {
        back,
        cut: cut.shape.clone(),
        classes: head.classes(),
        weights,
    };
    Ok((Arc::new(network), initial))
}

/// The cut of a plan with fine-tuning.
pub(in crate::train) fn cut_of(plan: &Plan) -> Result<&CutAt, TrainError> {
    plan.cut.as_ref().ok_or_else(|| {
        TrainError::Setting("training the head alone leaves no blocks to train".into())
    })
}
