//! Measures activations of the fp32 network on frames. Ranges and sums are computed inside its graph, so that no
//! feature map leaves ONNX Runtime; each batch is added to the statistics.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::graph::ops::{GlobalPool, Reduce, ReduceKind};
use crate::graph::passes::quantize::{Layer, Prepared, Range, least_kept};
use crate::graph::{Graph, ValueId};
use crate::jobs::Work;
use crate::onnx::Tensor;

use super::super::ExportError;
use super::IMAGE;
use super::batches::{AT_ONCE, run};
use super::frames::Frame;
use super::ranges::Histogram;
use super::samples::{Moments, Read, moments, places};

/// Histograms count only every `STEP`-th value of large maps, on `COUNTED_ON` frames: still over a million values of a
/// map.
const STEP: usize = 5;
const COUNTED_ON: usize = 16;

/// Measurements of a network.
#[derive(Clone)]
pub(super) struct Measured {
    /// The range of each value of [`Prepared::measured`], over all pixels: without the rare extremes of large maps the
    /// model would deviate from the run several times as much.
    pub ranges: HashMap<ValueId, Range>,
    /// The ranges of each channel, for feature maps.
    pub channels: HashMap<ValueId, Extremes>,
    /// Statistics of the inputs of each layer, by the layer's weight.
    pub inputs: HashMap<ValueId, Moments>,
    /// Inputs of the head's last layer on the frames, `[N, D]`.
    pub features: Vec<f32>,
}

/// The smallest and largest value of each channel.
#[derive(Clone)]
pub(super) struct Extremes {
    min: Vec<f32>,
    max: Vec<f32>,
}

impl Extremes {
    /// The range over all channels, always including zero.
    pub fn range(&self) -> Range {
        Range {
            min: self.min.iter().copied().fold(0.0, f32::min),
            max: self.max.iter().copied().fold(0.0, f32::max),
        }
    }

    /// The largest absolute value of each channel.
    pub fn sizes(&self) -> Vec<f32> {
        let pairs = self.min.iter().zip(&self.max);
        pairs.map(|(min, max)| min.abs().max(max.abs())).collect()
    }

    /// Multiplies the extremes of each channel by its factor, which must be positive.
    pub fn scale(&mut self, factors: &[f32]) {
        for extremes in [&mut self.min, &mut self.max] {
            for (extreme, factor) in extremes.iter_mut().zip(factors) {
                *extreme *= factor;
            }
        }
    }
}

/// What is measured of one value.
enum Tap {
    Extremes {
        value: ValueId,
        found: Extremes,
        /// Whether the minimum is measured too.
        signed: bool,
        of_map: bool,
    },
    /// Of the input of a layer.
    Read(Read),
}

impl Tap {
    /// Adds a batch's outputs, one of `batches`.
    fn add(
        &mut self,
        outputs: &mut impl Iterator<Item = Tensor>,
        batches: usize,
    ) -> Result<(), ExportError> {
        let mut next = || outputs.next().ok_or_else(missing);
        match self {
            Self::Extremes { found, signed, .. } => {
                let max = next()?;
                for (most, max) in found.max.iter_mut().zip(max.f32()?) {
                    *most = most.max(*max);
                }
                if *signed {
                    let min = next()?;
                    for (least, min) in found.min.iter_mut().zip(min.f32()?) {
                        *least = least.min(*min);
                    }
                }
            }
            Self::Read(read) => read.add(next()?.f32()?, batches),
        }
        Ok(())
    }
}

/// Measures the network in fp32.
pub(super) fn measure(
    prepared: &Prepared,
    features: ValueId,
    frames: &[Frame],
    side: usize,
    work: &Work,
) -> Result<Measured, ExportError> {
    let (mut graph, joined) = prepared.from_pixels(IMAGE)?;
    let mut outputs = vec![joined.get(features)];
    let mut taps = taps(prepared, &mut graph, frames.len(), |value| {
        joined.get(value)
    });
    outputs.extend(taps.iter().flat_map(|(_, outputs)| outputs));
    let mut of_frames = Vec::new();
    let keep = |_: usize, found: Vec<Tensor>| {
        let mut found = found.into_iter();
        let features = found.next().ok_or_else(missing)?;
        of_frames.extend_from_slice(features.f32()?);
        for (tap, _) in &mut taps {
            tap.add(&mut found, frames.len().div_ceil(AT_ONCE))?;
        }
        work.advance(1);
        Ok(())
    };
    work.stage("Measuring the network for int8", None);
    run(&graph, &outputs, frames, side, work, Ok, keep)?;
    let mut measured = Measured {
        ranges: HashMap::new(),
        channels: HashMap::new(),
        inputs: HashMap::new(),
        features: of_frames,
    };
    let mut reads = Vec::new();
    for (tap, _) in taps {
        match tap {
            Tap::Read(read) => reads.push(read),
            Tap::Extremes {
                value,
                found,
                of_map,
                ..
            } => {
                measured.ranges.insert(value, found.range());
                if of_map {
                    measured.channels.insert(value, found);
                }
            }
        }
    }
    measured.inputs = moments(reads, frames.len(), work)?;
    Ok(measured)
}

/// What a tap is made for.
enum Of<'a> {
    Value(ValueId),
    Layer(&'a Layer),
}

/// Adds outputs that measure values to a graph that contains the network; `joined` maps a value of the network to that
/// graph. Values that are computed late come first: ONNX Runtime begins with the node that was added last, if nothing
/// reads its output, and computes only what that node needs. So each value is measured as soon as it is known, while
/// it is in the caches, and its memory is used again. In any other order all feature maps would be kept to the end.
fn taps(
    prepared: &Prepared,
    graph: &mut Graph,
    frames: usize,
    joined: impl Fn(ValueId) -> ValueId,
) -> Vec<(Tap, Vec<ValueId>)> {
    let network = &prepared.graph;
    let layers = prepared.layers();
    let places = places(prepared, &layers, frames);
    let mut all: Vec<Of> = prepared.measured().into_iter().map(Of::Value).collect();
    all.extend(layers.iter().map(Of::Layer));
    all.sort_by_key(|of| {
        let (Of::Value(value) | Of::Layer(Layer { input: value, .. })) = of;
        Reverse(network.value(*value).producer())
    });
    let taps = all.into_iter().map(|of| match of {
        Of::Layer(layer) => {
            let x = joined(layer.input);
            let (read, output) = Read::of(prepared, graph, layer, x, places);
            (Tap::Read(read), vec![output])
        }
        Of::Value(value) => {
            // Feature maps have a range for each channel.
            let channels = match network.shape(value) {
                Some([_, channels, _, _]) => channels.fixed(),
                _ => None,
            };
            let signed = !is_nonnegative(network, value);
            let kinds = [ReduceKind::Max, ReduceKind::Min];
            let outputs = kinds.into_iter().take(1 + usize::from(signed));
            let outputs = outputs
                .map(|kind| extreme(graph, kind, joined(value), channels.is_some()))
                .collect();
            let len = channels.unwrap_or(1);
            let found = Extremes {
                min: vec![0.0; len],
                max: vec![0.0; len],
            };
            (
                Tap::Extremes {
                    value,
                    found,
                    signed,
                    of_map: channels.is_some(),
                },
                outputs,
            )
        }
    });
    taps.collect()
}

/// Whether a value is the result of an activation that is never negative.
fn is_nonnegative(graph: &Graph, value: ValueId) -> bool {
    let made = graph.producer(value);
    made.is_some_and(|node| least_kept(graph, node).is_some_and(|least| least >= 0.0))
}

/// The minimum or maximum of a value, of a feature map that of each channel.
fn extreme(graph: &mut Graph, kind: ReduceKind, value: ValueId, of_map: bool) -> ValueId {
    if !of_map {
        let extreme = graph.reduce_all(kind, value);
        return graph.reshape(extreme, &[-1]);
    }
    let pooled = match kind {
        // ONNX Runtime pools feature maps in their own memory layout, without a conversion.
        ReduceKind::Max => graph.op(GlobalPool::Max, &[value]),
        _ => value,
    };
    reduced(graph, kind, pooled, &[0, 2, 3])
}

fn reduced(graph: &mut Graph, kind: ReduceKind, value: ValueId, axes: &[i64]) -> ValueId {
    // The axes are an attribute before operator set 18, an input since.
    if graph.opset < 18 {
        return graph.op(Reduce::along(kind, axes, false), &[value]);
    }
    let axes = graph.ints(axes);
    graph.op(Reduce::new(kind, false), &[value, axes])
}

/// Histograms of the network's values, each over its known range.
pub(super) fn histograms(
    prepared: &Prepared,
    ranges: &HashMap<ValueId, Range>,
    frames: &[Frame],
    side: usize,
    work: &Work,
) -> Result<HashMap<ValueId, Histogram>, ExportError> {
    let (graph, joined) = prepared.from_pixels(IMAGE)?;
    let values: Vec<ValueId> = prepared
        .measured()
        .into_iter()
        .filter(|value| ranges.contains_key(value))
        .collect();
    let outputs: Vec<ValueId> = values.iter().map(|value| joined.get(*value)).collect();
    let empty: Vec<Histogram> = values
        .iter()
        .filter_map(|value| ranges.get(value))
        .map(|range| Histogram::new(*range))
        .collect();
    let mut all = empty.clone();
    let count = |found: Vec<Tensor>| {
        let mut counted = empty.clone();
        for (histogram, tensor) in counted.iter_mut().zip(&found) {
            let values = tensor.f32()?;
            // Count every value of small ones.
            let step = if values.len() > 1 << 16 { STEP } else { 1 };
            histogram.count(values, step);
        }
        Ok(counted)
    };
    let add = |_: usize, counted: Vec<Histogram>| {
        for (histogram, more) in all.iter_mut().zip(&counted) {
            histogram.add(more);
        }
        Ok(())
    };
    let frames = frames
        .get(..COUNTED_ON.min(frames.len()))
        .unwrap_or_default();
    run(&graph, &outputs, frames, side, work, count, add)?;
    Ok(values.into_iter().zip(all).collect())
}

pub(super) fn missing() -> ExportError {
    crate::onnx::OnnxError::Model("it returned fewer outputs than requested".into()).into()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::export::model::tests::small_model;
    use crate::graph::passes::quantize::prepare;

    /// In this order ONNX Runtime can free each map before it computes the next one, which saves over 1 ms a frame.
    #[test]
    fn what_is_computed_last_is_measured_by_the_first_nodes() {
        let prepared = prepare(&small_model().graph, [127.0; 3], [128.0; 3]).unwrap();
        let (mut graph, joined) = prepared.from_pixels(IMAGE).unwrap();
        let taps = taps(&prepared, &mut graph, 4, |value| joined.get(value));
        let outputs = || taps.iter().flat_map(|(_, outputs)| outputs);
        assert!(outputs().all(|output| graph.consumers(*output).next().is_none()));
        let added = outputs().map(|output| graph.value(*output).producer());
        assert!(added.is_sorted());
        let computed = taps.iter().filter_map(|(tap, _)| match tap {
            Tap::Extremes { value, .. } => Some(prepared.graph.value(*value).producer()),
            Tap::Read(_) => None,
        });
        let computed: Vec<_> = computed.collect();
        assert!(computed.len() > 30 && computed.iter().rev().is_sorted());
    }
}
