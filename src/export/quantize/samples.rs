//! What layers read: its mean, and how the numbers that meet in a sum vary together.
//!
//! The mean is that of feature maps, pooled in the graph, of large ones on a lattice of their pixels: weights that are rounded
//! together leave to the bias what is lost of it. For the covariances a few places of each frame are enough, for neighbours say much the same; they are spread over
//! the whole map, so that its border, where padding counts, has the share that it has. What is read there leaves the graph, and is
//! multiplied when all frames are there.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::graph::ops::{GlobalPool, Linear, Pool, PoolKind};
use crate::graph::passes::quantize::{Layer, Prepared};
use crate::graph::{Dim, Graph, Op, Sliding, ValueId};
use crate::jobs::{Work, cores, in_parallel};
use crate::onnx::{ElementType, Session, Tensor};

use super::super::ExportError;
use super::batches::AT_ONCE;
use super::measure::missing;

/// Layers that read more numbers at a time are rounded to the nearest: the covariance would take too long.
const MOST_INPUTS: usize = 1536;
/// Places of each frame that count in a covariance, and how many numbers are kept of all of them.
const PLACES: usize = 9;
const MOST_NUMBERS: usize = 100_000_000;
/// Of longer maps the rows and columns are thinned, to at least this many.
const LATTICE: usize = 18;

/// Mean and covariance of what a layer reads.
#[derive(Clone)]
pub(super) struct Moments {
    /// For each number under a kernel; of grouped convolutions, and of kernels that are too large, for each channel.
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

/// What is seen of the layers of a network, frame by frame.
pub(super) struct Reads {
    layers: Vec<Read>,
    frames: usize,
}

/// What is seen of a layer.
struct Read {
    weight: ValueId,
    /// Sums over frames of the mean of each channel.
    sums: Option<Vec<f64>>,
    /// What was read at the places, `[rows, inputs]`.
    rows: Option<Vec<f32>>,
    inputs: usize,
}

impl Reads {
    /// Makes values of a graph that holds the network at `joined` for what is to be seen, in the order in which
    /// [`Reads::add`] takes them.
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
            // Under a larger kernel not all numbers are alike: at the border of the image some are padding.
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

    /// Adds what was seen of some frames.
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
                    // The first batch is no smaller than the others.
                    rows.reserve_exact(more.len() * self.frames.div_ceil(AT_ONCE));
                }
                rows.extend_from_slice(more);
            }
        }
        Ok(())
    }

    /// Means and covariances, by the weights of the layers.
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
                let read = read.lock().ok().and_then(|mut read| read.take());
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
        // The product becomes the covariance.
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

/// A graph that multiplies rows `x` `[N, K]` to `covariance` `[K, K]`.
fn product() -> Vec<u8> {
    let mut graph = Graph::new("covariance");
    let shape = ["N", "K"].map(Dim::from);
    let x = graph.input("x", ElementType::F32, &shape);
    let product = graph.op_named(Linear::TRANSPOSE_BY, &[x, x], "covariance");
    graph.output(product);
    graph.to_onnx()
}

/// How many numbers meet in a sum of a layer whose weights can be rounded together.
fn inputs(prepared: &Prepared, layer: &Layer) -> Option<usize> {
    let weight = prepared.graph.lens(layer.weight)?;
    let node = prepared.graph.producer(layer.output)?;
    let grouped = matches!(&node.op, Op::Conv(conv) if conv.group != 1);
    let inputs: usize = weight.get(1..)?.iter().product();
    (layer.axis == 0 && !grouped && inputs <= MOST_INPUTS).then_some(inputs)
}

/// The taps of a layer's kernel.
fn kernel(prepared: &Prepared, layer: &Layer) -> Option<usize> {
    let weight = prepared.graph.lens(layer.weight)?;
    Some(weight.get(2..)?.iter().product())
}

/// Channels, height and width of feature maps.
fn lens(graph: &Graph, x: ValueId) -> Option<[usize; 3]> {
    let [_, lens @ ..] = graph.shape(x)? else {
        return None;
    };
    let lens: Vec<usize> = lens.iter().map(Dim::fixed).collect::<Option<_>>()?;
    lens.try_into().ok()
}

/// A lattice of the pixels of a large map: every so many rows and columns, an odd number, because what networks make of
/// steps of two looks different in every second row. A pool of single pixels is what ONNX Runtime does in the layout that it
/// keeps maps in; taken from another layout, all of a map would be moved for it.
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

/// What a layer reads at so many places of each frame, `[N · places, inputs]`.
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

/// Places spread evenly over an area, in the order of Roberts's additive sequence; all of a small one.
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
        // All of a small area, each once.
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

    /// What is read at a place, times a channel's weights, is what the layer gives there.
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
