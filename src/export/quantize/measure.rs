//! What a network does on frames, measured in ONNX Runtime: sums are taken in its graph, so that no value as large as a
//! feature map leaves it, and each batch adds to what is kept.

use std::collections::HashMap;

use crate::graph::ops::{Conv, Linear, Reduce, ReduceKind};
use crate::graph::passes::quantize::{Layer, Prepared, Range};
use crate::graph::{Dim, Graph, Op, ValueId};
use crate::jobs::Work;
use crate::onnx::Tensor;

use super::super::ExportError;
use super::IMAGE;
use super::batches::run;
use super::frames::Frame;
use super::ranges::Histogram;

/// Layers that read more numbers at a time are rounded to the nearest: the covariance would take too long.
const MOST_INPUTS: usize = 1536;
/// Every so many values are counted in histograms, and as many frames: over a million values of a large map.
const STEP: usize = 5;
const COUNTED_ON: usize = 16;
/// Of feature maps with longer sides only every second row and column counts in a covariance: neighbours say much the
/// same, and all of them would take longer than the network itself.
const LONGEST_WHOLE: usize = 8;

/// What was measured.
#[derive(Clone)]
pub(super) struct Measured {
    /// For each value of [`Prepared::measured`] between which numbers it lies.
    pub ranges: HashMap<ValueId, Range>,
    /// The same for each channel of those that have channels.
    pub channels: HashMap<ValueId, Extremes>,
    /// For the weights of layers what they read.
    pub inputs: HashMap<ValueId, Moments>,
    /// The bottlenecks `[N, D]` of the frames.
    pub bottlenecks: Vec<f32>,
}

/// Between which numbers each channel of a value lies.
#[derive(Clone)]
pub(super) struct Extremes {
    min: Vec<f32>,
    max: Vec<f32>,
}

impl Extremes {
    /// The range of all channels.
    pub fn range(&self) -> Range {
        Range {
            min: self.min.iter().copied().fold(0.0, f32::min),
            max: self.max.iter().copied().fold(0.0, f32::max),
        }
    }

    /// How far each channel goes from zero.
    pub fn sizes(&self) -> Vec<f32> {
        let pairs = self.min.iter().zip(&self.max);
        pairs.map(|(min, max)| min.abs().max(max.abs())).collect()
    }

    /// Multiplies each channel.
    pub fn scale(&mut self, factors: &[f32]) {
        for extremes in [&mut self.min, &mut self.max] {
            for (extreme, factor) in extremes.iter_mut().zip(factors) {
                *extreme *= factor;
            }
        }
    }
}

/// Mean and covariance of what a layer reads.
#[derive(Clone)]
pub(super) struct Moments {
    /// For each number under a kernel; of grouped convolutions for each channel.
    pub mean: Vec<f32>,
    /// Of all pairs of numbers under a kernel, where it was measured.
    pub covariance: Option<Vec<f32>>,
}

impl Moments {
    /// Multiplies what is read by a factor for each place of the mean.
    pub fn scale(&mut self, factor: impl Fn(usize) -> f32) {
        let factors: Vec<f32> = (0..self.mean.len()).map(factor).collect();
        for (mean, factor) in self.mean.iter_mut().zip(&factors) {
            *mean *= factor;
        }
        let rows = self.covariance.iter_mut().flat_map(|all| {
            let len = factors.len().max(1);
            all.chunks_exact_mut(len)
        });
        for (row, a) in rows.zip(&factors) {
            for (value, b) in row.iter_mut().zip(&factors) {
                *value *= a * b;
            }
        }
    }
}

/// Sums over the frames so far.
struct Sums {
    weight: ValueId,
    first: Vec<f64>,
    second: Vec<f32>,
    /// Numbers that one frame adds to each sum.
    each: f64,
}

/// Runs the network in real numbers.
pub(super) fn measure(
    prepared: &Prepared,
    bottleneck: ValueId,
    frames: &[Frame],
    side: usize,
    work: &Work,
) -> Result<Measured, ExportError> {
    let (mut graph, joined) = prepared.from_pixels(IMAGE)?;
    let values = prepared.measured();
    // Of feature maps the number of channels.
    let channels: Vec<Option<usize>> = values
        .iter()
        .map(|value| match prepared.graph.shape(*value) {
            Some([_, channels, _, _]) => channels.fixed(),
            _ => None,
        })
        .collect();
    let mut outputs = vec![joined.get(bottleneck)];
    for kind in [ReduceKind::Min, ReduceKind::Max] {
        let each: Vec<ValueId> = values
            .iter()
            .zip(&channels)
            .map(|(value, channels)| {
                let value = joined.get(*value);
                let extreme = match channels {
                    Some(_) => by_channel(&mut graph, kind, value),
                    None => graph.reduce_all(kind, value),
                };
                graph.reshape(extreme, &[-1])
            })
            .collect();
        outputs.push(graph.concat(&each, 0));
    }
    let mut sums = Vec::new();
    for layer in prepared.layers() {
        let x = joined.get(layer.input);
        let Some((rows, each)) = patches(&mut graph, prepared, &layer, x) else {
            continue;
        };
        // [K, pixels of all frames], or as a grouped convolution has it only the mean is of use.
        let first = graph.reduce_sum(rows.value, &[1], false);
        outputs.push(first);
        if rows.whole {
            let second = graph.op(Linear::BY_TRANSPOSE, &[rows.value; 2]);
            outputs.push(second);
        }
        sums.push((
            Sums {
                weight: layer.weight,
                first: Vec::new(),
                second: Vec::new(),
                each,
            },
            rows.whole,
        ));
    }
    let mut extremes: Vec<Extremes> = channels
        .iter()
        .map(|channels| Extremes {
            min: vec![0.0; channels.unwrap_or(1)],
            max: vec![0.0; channels.unwrap_or(1)],
        })
        .collect();
    let mut bottlenecks = Vec::new();
    let keep = |_: usize, found: Vec<Tensor>| {
        let mut found = found.into_iter();
        let mut next = || found.next().ok_or_else(missing);
        bottlenecks.extend_from_slice(next()?.f32()?);
        let (min, max) = (next()?, next()?);
        let mut seen = min.f32()?.iter().zip(max.f32()?);
        for Extremes { min, max } in &mut extremes {
            for ((least, most), (min, max)) in min.iter_mut().zip(max).zip(&mut seen) {
                *least = least.min(*min);
                *most = most.max(*max);
            }
        }
        for (sums, whole) in &mut sums {
            let first = next()?;
            let first = first.f32()?;
            sums.first.resize(first.len(), 0.0);
            for (sum, more) in sums.first.iter_mut().zip(first) {
                *sum += f64::from(*more);
            }
            if *whole {
                let second = next()?;
                let second = second.f32()?;
                sums.second.resize(second.len(), 0.0);
                for (sum, more) in sums.second.iter_mut().zip(second) {
                    *sum += more;
                }
            }
        }
        work.advance(1);
        Ok(())
    };
    work.stage("Measuring the network for int8", None);
    run(&graph, &outputs, frames, side, work, Ok, keep)?;
    let count = frames.len() as f64;
    let inputs = sums.into_iter().map(|(sums, _)| sums.moments(count));
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
        inputs: inputs.collect(),
        bottlenecks,
    })
}

impl Sums {
    fn moments(self, frames: f64) -> (ValueId, Moments) {
        let count = (self.each * frames).max(1.0);
        let mean: Vec<f32> = self.first.iter().map(|sum| (sum / count) as f32).collect();
        let inputs = mean.len();
        let covariance = (!self.second.is_empty()).then(|| {
            let mut covariance = self.second;
            for (row, a) in covariance.chunks_exact_mut(inputs.max(1)).zip(&mean) {
                for (value, b) in row.iter_mut().zip(&mean) {
                    *value = (f64::from(*value) / count - f64::from(*a) * f64::from(*b)) as f32;
                }
            }
            covariance
        });
        (self.weight, Moments { mean, covariance })
    }
}

/// An extreme of each channel of feature maps.
fn by_channel(graph: &mut Graph, kind: ReduceKind, value: ValueId) -> ValueId {
    let axes = [0, 2, 3];
    // An input since version 18.
    if graph.opset < 18 {
        return graph.op(Reduce::along(kind, &axes, false), &[value]);
    }
    let axes = graph.ints(&axes);
    graph.op(Reduce::new(kind, false), &[value, axes])
}

/// What a layer reads, as `[K, P]`.
struct Rows {
    value: ValueId,
    /// Whether these are the numbers under a whole kernel.
    whole: bool,
}

/// What a layer reads at each of its places, and how many there are in a frame; `None` where that is not known.
fn patches(
    graph: &mut Graph,
    prepared: &Prepared,
    layer: &Layer,
    x: ValueId,
) -> Option<(Rows, f64)> {
    let weight = graph_lens(prepared, layer.weight)?;
    let node = prepared.graph.producer(layer.output)?;
    let Op::Conv(conv) = &node.op else {
        let value = graph.transpose(x, &[1, 0]);
        let whole = weight.iter().product::<usize>() / channels(&weight, layer)? <= MOST_INPUTS;
        return Some((Rows { value, whole }, 1.0));
    };
    let shape = prepared.graph.shape(layer.input)?;
    let lens: Vec<usize> = shape
        .get(1..)?
        .iter()
        .map(Dim::fixed)
        .collect::<Option<_>>()?;
    let [maps, height, width] = lens[..] else {
        return None;
    };
    let [_, per_group, taps @ ..] = &weight[..] else {
        return None;
    };
    let kernel: usize = taps.iter().product();
    let whole = conv.group == 1 && per_group * kernel <= MOST_INPUTS;
    if !whole || kernel == 1 && conv.is_pointwise(&weight) {
        let sparse = whole && height.min(width) > LONGEST_WHOLE;
        let (read, pixels) = if sparse {
            let ends = [height as i64, width as i64];
            let every_second = graph.slice(x, &[2, 3], &[0, 0], &ends, &[2, 2]);
            (every_second, height.div_ceil(2) * width.div_ceil(2))
        } else {
            (x, height * width)
        };
        let first = graph.transpose(read, &[1, 0, 2, 3]);
        let value = graph.reshape(first, &[maps as i64, -1]);
        return Some((Rows { value, whole }, pixels as f64));
    }
    windows(graph, conv, x, [maps, height, width], taps)
}

fn graph_lens(prepared: &Prepared, value: ValueId) -> Option<Vec<usize>> {
    prepared.graph.lens(value)
}

fn channels(weight: &[usize], layer: &Layer) -> Option<usize> {
    weight
        .get(layer.axis)
        .copied()
        .filter(|channels| *channels > 0)
}

/// The numbers under each window of a convolution over all channels, in the order of its kernel.
fn windows(
    graph: &mut Graph,
    conv: &Conv,
    x: ValueId,
    [maps, height, width]: [usize; 3],
    taps: &[usize],
) -> Option<(Rows, f64)> {
    let window = conv.sliding.window(&[height, width], taps, false)?;
    let int = |value: usize| value as i64;
    let mut padded = x;
    if window
        .before
        .iter()
        .chain(&window.after)
        .any(|pad| *pad > 0)
    {
        let [top, left] = [window.before.first()?, window.before.get(1)?].map(|pad| int(*pad));
        let [bottom, right] = [window.after.first()?, window.after.get(1)?].map(|pad| int(*pad));
        padded = graph.pad(x, &[0, 0, top, left, 0, 0, bottom, right]);
    }
    let mut slices = Vec::new();
    for tap in 0..taps.iter().product() {
        let at = [tap / taps.get(1)?, tap % taps.get(1)?];
        let mut starts = Vec::new();
        let mut ends = Vec::new();
        for (axis, at) in at.into_iter().enumerate() {
            let start = at * window.dilations.get(axis)?;
            starts.push(int(start));
            let last = window.output.get(axis)?.checked_sub(1)?;
            ends.push(int(start + last * window.strides.get(axis)? + 1));
        }
        let steps: Vec<i64> = window.strides.iter().map(|step| int(*step)).collect();
        let slice = graph.slice(padded, &[2, 3], &starts, &ends, &steps);
        slices.push(graph.unsqueeze(slice, &[2]));
    }
    // [N, C, taps, h, w], then [C·taps, N·h·w].
    let all = graph.concat(&slices, 2);
    let first = graph.transpose(all, &[1, 2, 0, 3, 4]);
    let value = graph.reshape(first, &[int(maps * slices.len()), -1]);
    let each = window.output.iter().product::<usize>() as f64;
    Some((Rows { value, whole: true }, each))
}

/// How often the values of a network fall where, between the numbers that are known.
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
            // Small ones whole.
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

fn missing() -> ExportError {
    crate::onnx::OnnxError::Model("it gave fewer outputs than it was asked for".into()).into()
}
