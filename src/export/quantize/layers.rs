//! The parts of a quantized network that are chosen layer by layer: integer weights and corrected biases.

use std::sync::Arc;

use crate::graph::ops::Linear;
use crate::graph::passes::quantize::{Integers, Layer, Prepared, Quantizing, by_channel, rounded};
use crate::graph::{Graph, WeightKind};
use crate::jobs::{Work, cores, in_parallel};
use crate::onnx::{ElementType, Session, Tensor};

use super::super::ExportError;
use super::measure::{Measured, missing};
use super::rounding::{descend, differences};

/// A network with the choices made for it so far.
#[derive(Clone)]
pub(super) struct State {
    pub prepared: Prepared,
    pub how: Quantizing,
}

/// A layer's integer weights: those chosen, or else rounded to the nearest.
fn integers(state: &State, layer: &Layer, weight: &Tensor) -> Result<Arc<Integers>, ExportError> {
    match state.how.weights.get(&layer.weight) {
        Some(known) => Ok(Arc::clone(known)),
        None => Ok(Arc::new(rounded(weight, layer.axis, false)?)),
    }
}

/// Corrects a layer's bias by the mean error of its rounded weights: `b += (W - Wq) · E[x]`.
pub(super) fn correct_bias(
    state: &mut State,
    layer: &Layer,
    measured: &Measured,
) -> Result<(), ExportError> {
    let graph = &state.prepared.graph;
    let (Some(weight), Some(bias), Some(inputs)) = (
        graph.constant_of(layer.weight).cloned(),
        graph.constant_of(layer.bias).cloned(),
        measured.inputs.get(&layer.weight),
    ) else {
        return Ok(());
    };
    let reals = integers(state, layer, &weight)?.reals(&weight.shape, layer.axis);
    let mut lost = vec![0.0_f64; bias.data.len()];
    let means = MeanOf::new(layer, &weight.shape, inputs.mean.len());
    let values = weight.f32()?;
    by_channel(&weight.shape, layer.axis, |channel, index| {
        if let (Some(lost), Some(value), Some(real), Some(mean)) = (
            lost.get_mut(channel),
            values.get(index),
            reals.get(index),
            inputs.mean.get(means.at(channel, index)),
        ) {
            *lost += (f64::from(*value) - f64::from(*real)) * f64::from(*mean);
        }
    });
    let corrected = bias
        .f32()?
        .iter()
        .zip(lost)
        .map(|(bias, lost)| (f64::from(*bias) + lost) as f32)
        .collect();
    Ok(state.prepared.set_constant(layer.bias, corrected)?)
}

/// Finds the mean input that a weight is multiplied by.
struct MeanOf {
    axis: usize,
    channels: usize,
    /// Weights for each output channel, then taps of the kernel, and input channels of each group.
    each: usize,
    kernel: usize,
    per_group: usize,
    groups: usize,
    means: usize,
}

impl MeanOf {
    fn new(layer: &Layer, shape: &[usize], means: usize) -> Self {
        let channels = shape.get(layer.axis).copied().unwrap_or(1).max(1);
        let count: usize = shape.iter().product();
        let kernel: usize = shape.get(2..).unwrap_or_default().iter().product();
        let per_group = shape.get(1).copied().unwrap_or(1).max(1);
        Self {
            axis: layer.axis,
            channels,
            each: (count / channels).max(1),
            kernel: kernel.max(1),
            per_group,
            groups: (means / per_group).max(1),
            means,
        }
    }

    fn at(&self, channel: usize, index: usize) -> usize {
        if self.axis == 1 {
            // A matrix `[inputs, channels]`.
            return index / self.channels;
        }
        let within = index % self.each;
        if self.means == self.each {
            return within;
        }
        // There is one mean for each input channel, shared by all taps.
        let group = channel * self.groups / self.channels;
        group * self.per_group + within / self.kernel
    }
}

/// Rounds the weights of ordinary convolutions jointly, by the measured covariance of their inputs; `None` for other
/// layers.
pub(super) fn descended(
    prepared: &Prepared,
    layers: &[Layer],
    measured: &Measured,
    work: &Work,
) -> Result<Vec<Option<Integers>>, ExportError> {
    let mut all: Vec<Option<Integers>> = layers.iter().map(|_| None).collect();
    let product = product();
    in_parallel(
        cores(),
        layers,
        work,
        || Ok(Session::from_bytes(&product, 1)?),
        |session, layer| {
            let covariance = measured
                .inputs
                .get(&layer.weight)
                .and_then(|inputs| inputs.covariance.as_ref());
            let (Some(covariance), Some(weight)) =
                (covariance, prepared.graph.constant_of(layer.weight))
            else {
                return Ok(None);
            };
            if layer.axis != 0 || layer.kind == WeightKind::DepthwiseKernel {
                return Ok(None);
            }
            let mut integers = rounded(weight, layer.axis, false)?;
            let differences = differences(weight.f32()?, &integers);
            let (channels, inputs) = (integers.scales.len(), covariance.len().isqrt());
            let a = Tensor::new([channels, inputs], differences);
            let b = Tensor::new([inputs, inputs], covariance.clone());
            let found = session.run(&[("a", &a), ("b", &b)], &["slopes"])?;
            let slopes = found.into_iter().next().ok_or_else(missing)?;
            let slopes = slopes.f32()?.to_vec();
            descend(weight.f32()?, &mut integers, covariance, slopes);
            Ok::<_, ExportError>(Some(integers))
        },
        |at, found| {
            if let Some(place) = all.get_mut(at) {
                *place = found;
            }
            Ok(())
        },
    )?;
    Ok(all)
}

/// A graph that multiplies `a` `[M, K]` and `b` `[K, K]` to `slopes` `[M, K]`.
fn product() -> Vec<u8> {
    let mut graph = Graph::new("slopes");
    let [a, b] = [("a", "M"), ("b", "K")]
        .map(|(name, rows)| graph.input(name, ElementType::F32, &[rows.into(), "K".into()]));
    let product = graph.op_named(Linear::MatMul, &[a, b], "slopes");
    graph.output(product);
    graph.to_onnx()
}
