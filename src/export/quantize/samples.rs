//! Statistics of the inputs of layers: their mean, and the covariance of the values under a kernel.
//!
//! The mean is taken over feature maps by pooling them in the graph; large maps are subsampled. It corrects the bias
//! of layers whose weights are rounded together. For the covariances a few places of each frame are enough, because
//! neighbouring places are similar. They are spread over the whole map, so that its border, where inputs are padding,
//! has its natural share. The values at these places leave the graph and are multiplied once all frames have been run.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::graph::ops::{GlobalPool, Linear, Pool, PoolKind};
use crate::graph::passes::quantize::{Layer, Prepared};
use crate::graph::{Dim, Graph, Op, Sliding, ValueId};
use crate::jobs::{Work, cores, in_parallel};
use crate::onnx::{ElementType, Session, Tensor};

use super::super::ExportError;
use super::batches::AT_ONCE;
use super::measure::missing;

/// Layers with more inputs per output are rounded to the nearest: their covariance would take too long.
const MOST_INPUTS: usize = 1536;
/// Places sampled from each frame for a covariance, and the most values kept for all layers and frames.
const PLACES: usize = 9;
const MOST_NUMBERS: usize = 100_000_000;
/// Rows and columns of larger maps are subsampled, to at least this many.
const LATTICE: usize = 18;

/// Mean and covariance of a layer's inputs.
#[derive(Clone)]
pub(super) struct Moments {
    /// The mean of each value under the kernel; for grouped convolutions and kernels that are too large, of each
    /// channel.
    pub mean: Vec<f32>,
    /// The covariance of all pairs of values under the kernel, row by row, if it was measured.
    pub covariance: Option<Vec<f32>>,
}

impl Moments {
    /// Scales the statistics as if each input, by its index in the mean, were multiplied by `factor`.
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

/// Statistics collected from the inputs of a network's layers, batch by batch.
pub(super) struct Reads {
    layers: Vec<Read>,
    frames: usize,
}

/// Statistics collected from one layer's inputs.
struct Read {
    weight: ValueId,
    /// For each channel, the sum over frames of its mean.
    sums: Option<Vec<f64>>,
    /// Inputs at the sampled places, `[rows, inputs]`.
    rows: Option<Vec<f32>>,
    inputs: usize,
}

impl Reads {
    /// Adds outputs that collect the statistics to a graph that contains the network; `joined` maps a value of the
    /// network to that graph. The outputs are in the order in which [`Reads::add`] takes them.
    pub fn of(
        prepared: &Prepared,
        graph: &mut Graph,
        frames: usize,
        joined: impl Fn(ValueId) -> ValueId,
    ) -> (Self, Vec<ValueId>) {
        let layers = prepared.layers();
        let each: usize = layers
            .iter()
            .filter_map(|layer| inputs(prepared, layer))
            .sum();
        let places = PLACES.min((MOST_NUMBERS / (each * frames).max(1)).max(1));
        let mut outputs = Vec::new();
        let mut reads = Vec::new();
        for layer in &layers {
            let x = joined(layer.input);
            let inputs = inputs(prepared, layer);
            let kernel = kernel(prepared, layer).unwrap_or(1);
            let thinned = thinned(graph, x);
            let rows = inputs.and_then(|_| {
                let x = if kernel == 1 { thinned } else { x };
                rows(graph, prepared, layer, x, places)
            });
            // Under a larger kernel the taps have different means, because some read padding at the border.
            let mean = (kernel == 1 || rows.is_none()).then(|| mean(graph, thinned));
            outputs.extend(mean);
            outputs.extend(rows);
            reads.push(Read {
                weight: layer.weight,
                sums: mean.map(|_| Vec::new()),
                rows: rows.map(|_| Vec::new()),
                inputs: inputs.unwrap_or_default(),
            });
        }
        let all = Self {
            layers: reads,
            frames,
        };
        (all, outputs)
    }

    /// Adds the outputs of a batch.
    pub fn add(&mut self, seen: &mut impl Iterator<Item = Tensor>) -> Result<(), ExportError> {
        for read in &mut self.layers {
            if let Some(sums) = &mut read.sums {
                let more = seen.next().ok_or_else(missing)?;
                let more = more.f32()?;
                sums.resize(more.len(), 0.0);
                for (sum, more) in sums.iter_mut().zip(more) {
                    *sum += f64::from(*more);
                }
            }
            if let Some(rows) = &mut read.rows {
                let more = seen.next().ok_or_else(missing)?;
                let more = more.f32()?;
                if rows.is_empty() {
                    // No later batch is larger than the first.
                    rows.reserve_exact(more.len() * self.frames.div_ceil(AT_ONCE));
                }
                rows.extend_from_slice(more);
            }
        }
        Ok(())
    }

    /// Means and covariances, by the weight of the layer.
    pub fn moments(self, work: &Work) -> Result<HashMap<ValueId, Moments>, ExportError> {
        let product = product();
        let mut all = HashMap::new();
        let layers: Vec<Mutex<Option<Read>>> = self
            .layers
            .into_iter()
            .map(|read| Mutex::new(Some(read)))
            .collect();
        in_parallel(
            cores(),
            &layers,
            work,
            || Ok(Session::from_bytes(&product, 1)?),
            |session, read| {
                let read = read.lock().take();
                read.map(|read| read.moments(self.frames, session))
                    .transpose()
            },
            |_, found| {
                all.extend(found);
                Ok::<_, ExportError>(())
            },
        )?;
        Ok(all)
    }
}

impl Read {
    fn moments(
        self,
        frames: usize,
        session: &mut Session,
    ) -> Result<(ValueId, Moments), ExportError> {
        let of_maps: Option<Vec<f32>> = self.sums.as_ref().map(|sums| {
            let means = sums.iter().map(|sum| (sum / frames.max(1) as f64) as f32);
            means.collect()
        });
        let Some(mut rows) = self.rows.filter(|rows| !rows.is_empty()) else {
            let mean = of_maps.unwrap_or_default();
            return Ok((
                self.weight,
                Moments {
                    mean,
                    covariance: None,
                },
            ));
        };
        let inputs = self.inputs.max(1);
        let count = rows.len() / inputs;
        let mut sums = vec![0.0_f64; inputs];
        for row in rows.chunks_exact(inputs) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
        let mean: Vec<f32> = sums.iter().map(|sum| (sum / count as f64) as f32).collect();
        // Dividing both factors by √count makes the product the covariance.
        let part = (count as f32).sqrt();
        for row in rows.chunks_exact_mut(inputs) {
            for (value, mean) in row.iter_mut().zip(&mean) {
                *value = (*value - mean) / part;
            }
        }
        let x = Tensor::new([count, inputs], rows);
        let found = session.run(&[("x", &x)], &["covariance"])?;
        let found = found.into_iter().next().ok_or_else(missing)?;
        Ok((
            self.weight,
            Moments {
                mean: of_maps.unwrap_or(mean),
                covariance: Some(found.f32()?.to_vec()),
            },
        ))
    }
}

/// A graph that computes `covariance` = xᵀ·x `[K, K]` from rows `x` `[N, K]`.
fn product() -> Vec<u8> {
    let mut graph = Graph::new("covariance");
    let shape = ["N", "K"].map(Dim::from);
    let x = graph.input("x", ElementType::F32, &shape);
    let product = graph.op_named(Linear::TRANSPOSE_BY, &[x, x], "covariance");
    graph.output(product);
    graph.to_onnx()
}

/// How many values are summed for one output of a layer whose weights can be rounded together.
fn inputs(prepared: &Prepared, layer: &Layer) -> Option<usize> {
    let weight = prepared.graph.lens(layer.weight)?;
    let node = prepared.graph.producer(layer.output)?;
    let grouped = matches!(&node.op, Op::Conv(conv) if conv.group != 1);
    let inputs: usize = weight.get(1..)?.iter().product();
    (layer.axis == 0 && !grouped && inputs <= MOST_INPUTS).then_some(inputs)
}

/// The number of taps of a layer's kernel.
fn kernel(prepared: &Prepared, layer: &Layer) -> Option<usize> {
    let weight = prepared.graph.lens(layer.weight)?;
    Some(weight.get(2..)?.iter().product())
}

/// Channels, height and width of a feature map.
fn lens(graph: &Graph, x: ValueId) -> Option<[usize; 3]> {
    let [_, lens @ ..] = graph.shape(x)? else {
        return None;
    };
    let lens: Vec<usize> = lens.iter().map(Dim::fixed).collect::<Option<_>>()?;
    lens.try_into().ok()
}

/// Subsamples a large map: every n-th row and column, with n odd, because the rows of maps made with stride 2
/// alternate systematically. It is done with a 1×1 pool, which ONNX Runtime computes in the layout that it keeps maps
/// in; a slice would convert the whole map.
fn thinned(graph: &mut Graph, x: ValueId) -> ValueId {
    let Some([_, height, width]) = lens(graph, x) else {
        return x;
    };
    let step = height.min(width) / LATTICE;
    let step = step.saturating_sub(1) | 1;
    if step < 3 {
        return x;
    }
    let mut sliding = Sliding::new(&[step, step], &[1, 1], &[0; 4]);
    sliding.kernel = vec![1, 1];
    let pool = Pool {
        kind: PoolKind::Max { in_columns: false },
        sliding,
        ceil: false,
    };
    graph.op(pool, &[x])
}

/// The sum over frames of the mean of each channel.
fn mean(graph: &mut Graph, x: ValueId) -> ValueId {
    let maps = graph.shape(x).is_some_and(|shape| shape.len() == 4);
    if !maps {
        return graph.reduce_sum(x, &[0], false);
    }
    let pooled = graph.op(GlobalPool::Average, &[x]);
    graph.reduce_sum(pooled, &[0, 2, 3], false)
}

/// The values under a layer's kernel at `places` places of each frame, `[N · places, inputs]`.
fn rows(
    graph: &mut Graph,
    prepared: &Prepared,
    layer: &Layer,
    x: ValueId,
    places: usize,
) -> Option<ValueId> {
    let node = prepared.graph.producer(layer.output)?;
    let Op::Conv(conv) = &node.op else {
        return (prepared.graph.shape(layer.input)?.len() == 2).then_some(x);
    };
    let weight = prepared.graph.lens(layer.weight)?;
    let [maps, height, width] = lens(graph, x)?;
    let &[_, _, rows, columns] = &weight[..] else {
        return None;
    };
    let window = conv
        .sliding
        .window(&[height, width], &[rows, columns], false)?;
    let (&[top, left], &[bottom, right]) = (&window.before[..], &window.after[..]) else {
        return None;
    };
    let (&[out_rows, out_columns], &[down, along], &[apart, aside]) = (
        &window.output[..],
        &window.strides[..],
        &window.dilations[..],
    ) else {
        return None;
    };
    let int = |value: usize| value as i64;
    let padded = if top + left + bottom + right > 0 {
        let [top, left, bottom, right] = [top, left, bottom, right].map(int);
        graph.pad(x, &[0, 0, top, left, 0, 0, bottom, right])
    } else {
        x
    };
    let (height, width) = (height + top + bottom, width + left + right);
    let flat = graph.reshape(padded, &[-1, int(maps), int(height * width)]);
    let mut indices = Vec::new();
    let spread = spread(places, out_rows, out_columns);
    for [row, column] in &spread {
        for tap in 0..rows * columns {
            let row = row * down + tap / columns * apart;
            let column = column * along + tap % columns * aside;
            indices.push(int(row * width + column));
        }
    }
    let indices = graph.constant(Tensor::new([spread.len(), rows * columns], indices));
    let read = graph.gather(flat, indices, 2);
    let by_place = graph.transpose(read, &[0, 2, 1, 3]);
    Some(graph.reshape(by_place, &[-1, int(maps * rows * columns)]))
}

/// `count` places spread evenly over an area, by Roberts's additive recurrence; all places of a smaller area.
fn spread(count: usize, rows: usize, columns: usize) -> Vec<[usize; 2]> {
    let count = count.min(rows * columns);
    let mut places = Vec::new();
    let [mut y, mut x] = [0.5_f64; 2];
    while places.len() < count {
        let place = [(y * rows as f64) as usize, (x * columns as f64) as usize];
        if !places.contains(&place) {
            places.push(place);
        }
        y = (y + 0.754_877_666_246_692_7).fract();
        x = (x + 0.569_840_290_998_053_2).fract();
    }
    places
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::export::model::tests::small_model;
    use crate::export::quantize::IMAGE;
    use crate::graph::passes::quantize::prepare;

    #[test]
    fn places_are_spread_evenly() {
        let places = spread(16, 8, 8);
        for corner in [[0, 0], [0, 4], [4, 0], [4, 4]] {
            let quarter = places.iter().filter(|[row, column]| {
                (corner[0]..corner[0] + 4).contains(row)
                    && (corner[1]..corner[1] + 4).contains(column)
            });
            let count = quarter.count();
            assert!((3..=5).contains(&count), "{count}");
        }
        // A small area: each place once.
        let mut all = spread(9, 2, 3);
        all.sort_unstable();
        assert_eq!(all, [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2]]);
    }

    #[test]
    fn large_maps_are_thinned_by_odd_steps() {
        let thinned = |side: usize| {
            let mut graph = Graph::new("maps");
            let shape = [Dim::from("N"), 3.into(), side.into(), side.into()];
            let x = graph.input("x", ElementType::F32, &shape);
            let thinned = super::thinned(&mut graph, x);
            lens(&graph, thinned).unwrap()
        };
        // Every fifth of 112 rows and columns, every third of 56.
        assert_eq!(thinned(112), [3, 23, 23]);
        assert_eq!(thinned(56), [3, 19, 19]);
        for side in [28, 14, 7] {
            assert_eq!(thinned(side), [3, side, side]);
        }
    }

    /// The sampled inputs, multiplied by a channel's weights, give the layer's output at that place.
    #[test]
    fn rows_are_what_layers_multiply() {
        let prepared = prepare(&small_model().graph, [127.0; 3], [128.0; 3]).unwrap();
        let pixels: Vec<u8> = (0..2 * 96 * 96 * 3)
            .map(|at| (at * 7919 % 251) as u8)
            .collect();
        let image = Tensor::new([2, 96, 96, 3], pixels);
        let mut compared = 0;
        for layer in prepared.layers() {
            let (mut graph, joined) = prepared.from_pixels(IMAGE).unwrap();
            let maps = prepared.graph.shape(layer.input).unwrap().len() == 4;
            if !maps || inputs(&prepared, &layer).is_none() {
                continue;
            }
            let x = joined.get(layer.input);
            let read = rows(&mut graph, &prepared, &layer, x, 5).unwrap();
            let result = joined.get(layer.output);
            graph.clear_outputs();
            graph.output(read);
            graph.output(result);
            let names = [read, result].map(|value| graph.name_of(value).to_owned());
            let names = names.each_ref().map(String::as_str);
            let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
            let found = session.run(&[(IMAGE, &image)], &names).unwrap();
            let [_, channels, height, width] = found[1].shape[..] else {
                panic!("no map");
            };
            let weight = prepared.graph.constant_of(layer.weight).unwrap();
            let bias = prepared.graph.constant_of(layer.bias).unwrap();
            let inputs = found[0].shape[1];
            let places = spread(5, height, width);
            for (at, row) in found[0].f32().unwrap().chunks_exact(inputs).enumerate() {
                let (frame, [y, x]) = (at / places.len(), places[at % places.len()]);
                let kernel = &weight.f32().unwrap()[..inputs];
                let sum: f32 = row.iter().zip(kernel).map(|(a, b)| a * b).sum();
                let expected = found[1].f32().unwrap()[(frame * channels * height + y) * width + x];
                let sum = sum + bias.f32().unwrap()[0];
                assert!((sum - expected).abs() < 1e-3 * expected.abs().max(1.0));
                compared += 1;
            }
        }
        assert!(compared > 50, "{compared}");
    }
}
