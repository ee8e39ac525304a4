//! Statistics of the inputs of layers: their mean, and the covariance of the values under a kernel.
//!
//! A few places of each frame are enough, because neighbouring places are similar. They are spread over the whole map,
//! so that its border, where inputs are padding, has its natural share. The values at these places leave the graph and
//! are multiplied once all frames have been run. Of layers whose weights are not rounded together, only the mean of
//! each channel is needed, to correct the bias: it is computed in the graph by pooling the map, large ones subsampled.

use std::collections::HashMap;

use parking_lot::Mutex;

use crate::graph::ops::{GlobalPool, Linear, Pool, PoolKind};
use crate::graph::passes::quantize::{Layer, Prepared};
use crate::graph::{Dim, Graph, Op, Sliding, ValueId};
use crate::jobs::{Work, cores, in_parallel};
use crate::onnx::{ElementType, Session, Tensor};

use super::super::ExportError;
use super::measure::missing;

/// Layers with more inputs per output are rounded to the nearest: their covariance would take too long.
const MOST_INPUTS: usize = 1536;
/// Places sampled from each frame for a covariance, and the most values kept for all layers and frames.
const PLACES: usize = 9;
const MOST_NUMBERS: usize = 100_000_000;
/// Places sampled at least, even if that makes more values.
const FEWEST_PLACES: usize = 4;
/// Rows and columns of larger maps are subsampled, to at least this many.
const LATTICE: usize = 18;
/// Columns that are multiplied at once for a covariance.
const BLOCK: usize = 256;

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

/// Statistics collected from a layer's inputs, batch by batch.
pub(super) struct Read {
    weight: ValueId,
    inputs: usize,
    seen: Seen,
}

/// What was collected.
enum Seen {
    /// For each channel, the sum over frames of its mean.
    Sums(Vec<f64>),
    /// Inputs at the sampled places, `[rows, inputs]`.
    Rows(Vec<f32>),
}

/// How many places of each frame are sampled for covariances.
pub(super) fn places(prepared: &Prepared, layers: &[Layer], frames: usize) -> usize {
    let inputs = layers.iter().filter_map(|layer| inputs(prepared, layer));
    let each: usize = inputs.sum();
    (MOST_NUMBERS / (each * frames).max(1)).clamp(FEWEST_PLACES, PLACES)
}

impl Read {
    /// Adds an output that collects the statistics to a graph that contains the network, where the layer's input is
    /// called `x`. Rows are sampled at `places` places of each frame.
    pub fn of(
        prepared: &Prepared,
        graph: &mut Graph,
        layer: &Layer,
        x: ValueId,
        places: usize,
    ) -> (Self, ValueId) {
        let inputs = inputs(prepared, layer);
        let kernel = kernel(prepared, layer).unwrap_or(1);
        let thinned = thinned(graph, x);
        let rows = inputs.and_then(|_| {
            let x = if kernel == 1 { thinned } else { x };
            rows(graph, prepared, layer, x, places)
        });
        let read = Self {
            weight: layer.weight,
            inputs: inputs.unwrap_or_default(),
            seen: match rows {
                Some(_) => Seen::Rows(Vec::new()),
                None => Seen::Sums(Vec::new()),
            },
        };
        (read, rows.unwrap_or_else(|| mean(graph, thinned)))
    }

    /// Adds the output of one of `batches` batches.
    pub fn add(&mut self, more: &[f32], batches: usize) {
        match &mut self.seen {
            Seen::Sums(sums) => {
                sums.resize(more.len(), 0.0);
                for (sum, more) in sums.iter_mut().zip(more) {
                    *sum += f64::from(*more);
                }
            }
            Seen::Rows(rows) => {
                if rows.is_empty() {
                    // No later batch is larger than the first.
                    rows.reserve_exact(more.len() * batches);
                }
                rows.extend_from_slice(more);
            }
        }
    }

    fn moments(
        self,
        frames: usize,
        session: &mut Session,
    ) -> Result<(ValueId, Moments), ExportError> {
        let mut rows = match self.seen {
            Seen::Rows(rows) => rows,
            Seen::Sums(sums) => {
                let means = sums.iter().map(|sum| (sum / frames.max(1) as f64) as f32);
                let moments = Moments {
                    mean: means.collect(),
                    covariance: None,
                };
                return Ok((self.weight, moments));
            }
        };
        let inputs = self.inputs.max(1);
        let count = rows.len() / inputs;
        let mut sums = vec![0.0_f64; inputs];
        for row in rows.chunks_exact(inputs) {
            for (sum, value) in sums.iter_mut().zip(row) {
                *sum += f64::from(*value);
            }
        }
        let mean: Vec<f32> = sums
            .iter()
            .map(|sum| (sum / count.max(1) as f64) as f32)
            .collect();
        // Dividing both factors by √count makes the product the covariance.
        let part = (count as f32).sqrt();
        for row in rows.chunks_exact_mut(inputs) {
            for (value, mean) in row.iter_mut().zip(&mean) {
                *value = (*value - mean) / part;
            }
        }
        Ok((
            self.weight,
            Moments {
                mean,
                covariance: Some(square(&rows, inputs, session)?),
            },
        ))
    }
}

/// Means and covariances of the inputs of layers on `frames` frames, by the weight of the layer.
pub(super) fn moments(
    reads: Vec<Read>,
    frames: usize,
    work: &Work,
) -> Result<HashMap<ValueId, Moments>, ExportError> {
    let product = product();
    let mut all = HashMap::new();
    let reads: Vec<Mutex<Option<Read>>> = reads
        .into_iter()
        .map(|read| Mutex::new(Some(read)))
        .collect();
    in_parallel(
        cores(),
        &reads,
        work,
        || Ok(Session::from_bytes(&product, 1)?),
        |session, read| {
            let read = read.lock().take();
            read.map(|read| read.moments(frames, session)).transpose()
        },
        |_, found| {
            all.extend(found);
            Ok::<_, ExportError>(())
        },
    )?;
    Ok(all)
}

/// xᵀ·x `[K, K]` of `x` `[N, K]`, which is symmetric: blocks of columns are multiplied, each pair once.
fn square(x: &[f32], inputs: usize, session: &mut Session) -> Result<Vec<f32>, ExportError> {
    let count = x.len() / inputs.max(1);
    let starts = (0..inputs).step_by(BLOCK);
    let blocks: Vec<Tensor> = starts
        .map(|start| {
            let columns = start..(start + BLOCK).min(inputs);
            let lines = x.chunks_exact(inputs);
            let lines: Vec<&[f32]> = lines.filter_map(|line| line.get(columns.clone())).collect();
            Tensor::new([count, columns.len()], lines.concat())
        })
        .collect();
    let mut square = vec![0.0; inputs * inputs];
    for (at, a) in blocks.iter().enumerate() {
        for (beside, b) in blocks.iter().enumerate().skip(at) {
            let found = session.run(&[("a", a), ("b", b)], &["product"])?;
            let found = found.into_iter().next().ok_or_else(missing)?;
            let lines = found
                .f32()?
                .chunks_exact(b.shape.last().copied().unwrap_or(1));
            for (row, line) in (at * BLOCK..).zip(lines) {
                for (column, value) in (beside * BLOCK..).zip(line) {
                    for place in [row * inputs + column, column * inputs + row] {
                        if let Some(place) = square.get_mut(place) {
                            *place = *value;
                        }
                    }
                }
            }
        }
    }
    Ok(square)
}

/// A graph that computes `product` = aᵀ·b `[A, B]` from `a` `[N, A]` and `b` `[N, B]`.
fn product() -> Vec<u8> {
    let mut graph = Graph::new("covariance");
    let [a, b] = [("a", "A"), ("b", "B")]
        .map(|(name, columns)| graph.input(name, ElementType::F32, &["N".into(), columns.into()]));
    let product = graph.op_named(Linear::TRANSPOSE_BY, &[a, b], "product");
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
    let spread = spread(places, out_rows, out_columns);
    if rows * columns == 1 {
        // Multiplied by zeros and ones: faster than a gather, which copies the values one by one.
        let mut chosen = vec![0.0_f32; height * width * spread.len()];
        for (at, [row, column]) in spread.iter().enumerate() {
            let pixel = row * down * width + column * along;
            if let Some(one) = chosen.get_mut(pixel * spread.len() + at) {
                *one = 1.0;
            }
        }
        let chosen = graph.constant(Tensor::new([height * width, spread.len()], chosen));
        let read = graph.op(Linear::MatMul, &[flat, chosen]);
        let by_place = graph.transpose(read, &[0, 2, 1]);
        return Some(graph.reshape(by_place, &[-1, int(maps)]));
    }
    let mut indices = Vec::new();
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

    /// Two blocks of columns, the second one narrower.
    #[test]
    fn a_product_by_blocks_is_the_product() {
        let (count, inputs) = (3, BLOCK + 44);
        let x: Vec<f32> = (0..count * inputs)
            .map(|at| (at * 7919 % 251) as f32 - 125.0)
            .collect();
        let mut session = Session::from_bytes(&product(), 1).unwrap();
        let found = square(&x, inputs, &mut session).unwrap();
        assert_eq!(found.len(), inputs * inputs);
        for (at, found) in found.iter().enumerate() {
            let [a, b] = [at / inputs, at % inputs];
            let expected: f32 = x.chunks(inputs).map(|row| row[a] * row[b]).sum();
            // Sums of such integers are exact in floats.
            assert!(
                (found - expected).abs() < 0.5,
                "{a} {b}: {found} {expected}"
            );
        }
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
