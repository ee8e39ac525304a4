//! Measures activations of the fp32 network on frames. Ranges and sums are computed inside its graph, so that no
//! feature map leaves ONNX Runtime; each batch is added to the statistics.

use std::collections::HashMap;

use crate::graph::ops::{GlobalPool, Reduce, ReduceKind};
use crate::graph::passes::quantize::{Prepared, Range, least_kept};
use crate::graph::{Graph, ValueId};
use crate::jobs::Work;
use crate::onnx::Tensor;

use super::super::ExportError;
use super::IMAGE;
use super::batches::run;
use super::frames::Frame;
use super::ranges::Histogram;
use super::samples::{Moments, Reads};

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

/// Measures the network in fp32.
pub(super) fn measure(
    prepared: &Prepared,
    features: ValueId,
    frames: &[Frame],
    side: usize,
    work: &Work,
) -> Result<Measured, ExportError> {
    let (mut graph, joined) = prepared.from_pixels(IMAGE)?;
    // The number of channels of a feature map, `None` for other values.
    let channels_of = |value: &ValueId| match prepared.graph.shape(*value) {
        Some([_, channels, _, _]) => channels.fixed(),
        _ => None,
    };
    let mut values = prepared.measured();
    // Feature maps first, the order in which `extremes_of` returns them.
    values.sort_by_key(|value| channels_of(value).is_none());
    let channels: Vec<Option<usize>> = values.iter().map(channels_of).collect();
    let nonnegative: Vec<bool> = values
        .iter()
        .map(|value| is_nonnegative(&prepared.graph, *value))
        .collect();
    let seen: Vec<ValueId> = values.iter().map(|value| joined.get(*value)).collect();
    let of_maps = channels.iter().flatten().count();
    let signed = |at: std::ops::Range<usize>| -> Vec<ValueId> {
        let at = at.filter(|at| nonnegative.get(*at) == Some(&false));
        at.filter_map(|at| seen.get(at).copied()).collect()
    };
    let least_of = [signed(0..of_maps), signed(of_maps..seen.len())];
    let (maps, others) = seen.split_at(of_maps);
    let most = extremes_of(&mut graph, ReduceKind::Max, maps, others);
    let least = extremes_of(&mut graph, ReduceKind::Min, &least_of[0], &least_of[1]);
    let mut outputs = vec![joined.get(features)];
    outputs.extend(most);
    outputs.extend(least);
    let (mut reads, seen) = Reads::of(prepared, &mut graph, frames.len(), |value| {
        joined.get(value)
    });
    outputs.extend(seen);
    let mut extremes: Vec<Extremes> = channels
        .iter()
        .map(|channels| Extremes {
            min: vec![0.0; channels.unwrap_or(1)],
            max: vec![0.0; channels.unwrap_or(1)],
        })
        .collect();
    let mut of_frames = Vec::new();
    let keep = |_: usize, found: Vec<Tensor>| {
        let mut found = found.into_iter();
        let mut next = || found.next().ok_or_else(missing);
        of_frames.extend_from_slice(next()?.f32()?);
        let max = next()?;
        let mut max = max.f32()?.iter();
        for extremes in &mut extremes {
            for (most, max) in extremes.max.iter_mut().zip(&mut max) {
                *most = most.max(*max);
            }
        }
        if nonnegative.contains(&false) {
            let min = next()?;
            let mut min = min.f32()?.iter();
            for (extremes, nonnegative) in extremes.iter_mut().zip(&nonnegative) {
                let own = extremes.min.iter_mut().filter(|_| !nonnegative);
                for (least, min) in own.zip(&mut min) {
                    *least = least.min(*min);
                }
            }
        }
        reads.add(&mut found)?;
        work.advance(1);
        Ok(())
    };
    work.stage("Measuring the network for int8", None);
    run(&graph, &outputs, frames, side, work, Ok, keep)?;
    Ok(Measured {
        ranges: values
            .iter()
            .zip(&extremes)
            .map(|(value, extremes)| (*value, extremes.range()))
            .collect(),
        channels: values
            .into_iter()
            .zip(extremes)
            .zip(channels)
            .filter(|(_, channels)| channels.is_some())
            .map(|(measured, _)| measured)
            .collect(),
        inputs: reads.moments(work)?,
        features: of_frames,
    })
}

/// Whether a value is the result of an activation that is never negative.
fn is_nonnegative(graph: &Graph, value: ValueId) -> bool {
    let made = graph.producer(value);
    made.is_some_and(|node| least_kept(graph, node).is_some_and(|least| least >= 0.0))
}

/// The minimum or maximum of each channel of `maps` and of each of `others`, concatenated; `None` if there are no
/// values.
fn extremes_of(
    graph: &mut Graph,
    kind: ReduceKind,
    maps: &[ValueId],
    others: &[ValueId],
) -> Option<ValueId> {
    let mut all = Vec::new();
    let mut of_maps = Vec::new();
    for map in maps {
        of_maps.push(if kind == ReduceKind::Max {
            // ONNX Runtime pools feature maps in their own memory layout, without a conversion.
            graph.op(GlobalPool::Max, &[*map])
        } else {
            reduced(graph, kind, *map, &[2, 3], true)
        });
    }
    if !of_maps.is_empty() {
        let of_maps = graph.concat(&of_maps, 1);
        all.push(reduced(graph, kind, of_maps, &[0, 2, 3], false));
    }
    for other in others {
        let extreme = graph.reduce_all(kind, *other);
        all.push(graph.reshape(extreme, &[-1]));
    }
    (!all.is_empty()).then(|| graph.concat(&all, 0))
}

fn reduced(
    graph: &mut Graph,
    kind: ReduceKind,
    value: ValueId,
    axes: &[i64],
    keep: bool,
) -> ValueId {
    // The axes are an attribute before operator set 18, an input since.
    if graph.opset < 18 {
        return graph.op(Reduce::along(kind, axes, keep), &[value]);
    }
    let axes = graph.ints(axes);
    graph.op(Reduce::new(kind, keep), &[value, axes])
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
