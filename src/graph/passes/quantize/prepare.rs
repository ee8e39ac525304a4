//! The first stage of quantization: simplifies a network, still in fp32.

use crate::graph::ops::{Conv, Elementwise, Gemm, GlobalPool, Linear, ReduceKind, Reshaping};
use crate::graph::passes::Joined;
use crate::graph::structure::Node;
use crate::graph::value::{Dim, Fact, ValueId};
use crate::graph::{Graph, GraphError, Op};
use crate::onnx::{ElementType, Tensor};

/// A network ready to be measured and quantized. It computes the same function as the original, in fp32.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The network: constants, padding and batch normalisation folded, a bias in every layer.
    pub graph: Graph,
    /// Its input, f32 `[N, 3, H, W]`: pixels as in [`Pixels`], or normalised by mean and std if `pixels` is `None`.
    pub input: ValueId,
    /// The scale and zero point of its input, if normalisation is that simple.
    pub pixels: Option<Pixels>,
    /// The mean of each channel: normalisation is `(pixel - mean) / std`.
    pub mean: [f32; 3],
    /// The standard deviation of each channel.
    pub std: [f32; 3],
}

/// The input of a prepared network: `scale · (pixel - zero)`, the same for all channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pixels {
    /// The width of a step of one pixel value.
    pub scale: f32,
    /// The pixel value for zero, also used as padding.
    pub zero: u8,
}

/// Prepares a network whose input is normalised by `(pixel - mean) / std`.
///
/// If all channels have the same integral mean and the same `std`, these become scale and zero point. Otherwise
/// normalisation is folded into the first convolution, which then reads `pixel - zero`. Only its padding differs: it
/// has the pixel value `zero`, the rounded mean of the channels' means, instead of each channel's own mean.
///
/// # Errors
/// [`GraphError`] if a pass fails, or if the network does not have exactly one input.
pub fn prepare(graph: &Graph, mean: [f32; 3], std: [f32; 3]) -> Result<Prepared, GraphError> {
    let &[input] = graph.inputs() else {
        return Err(GraphError::Model(
            "it does not have exactly one input".into(),
        ));
    };
    let mut graph = graph.clone();
    graph.fold_constants()?;
    graph.infer_again();
    graph.fold_integers()?;
    graph.merge_pads();
    graph.fold_batch_norm()?;
    graph.infer_again();
    rewrite(&mut graph);
    let pixels = if let Some(zero) = uniform(mean, std) {
        Some(Pixels {
            scale: 1.0 / std[0],
            zero,
        })
    } else {
        fold_normalisation(&mut graph, input, mean, std)
    };
    graph.prune();
    Ok(Prepared {
        graph,
        input,
        pixels,
        mean,
        std,
    })
}

/// The pixel value that normalisation maps to zero, if it is the same in all channels and all have the same scale.
fn uniform(mean: [f32; 3], std: [f32; 3]) -> Option<u8> {
    let same = |values: [f32; 3]| values.iter().all(|value| (value - values[0]).abs() < 1e-6);
    let rounded = mean[0].round();
    let integral = (mean[0] - rounded).abs() < 1e-6 && (0.0..=255.0).contains(&rounded);
    (same(mean) && same(std) && integral).then_some(rounded as u8)
}

/// Gives every layer a bias, and rewrites matrix products and means over all pixels as operators that quantization
/// supports.
fn rewrite(graph: &mut Graph) {
    let nodes = std::mem::take(&mut graph.nodes);
    for mut node in nodes {
        if matches!(node.op, Op::Linear(Linear::MatMul))
            && let [Some(a), Some(b)] = node.inputs[..]
            && graph.shape(a).is_some_and(|shape| shape.len() == 2)
            && graph.constant_of(b).is_some_and(|b| b.shape.len() == 2)
        {
            node.op = Linear::GEMM.into();
        }
        if let Some(channels) = lacks_bias(graph, &node) {
            let zeros = graph.constant(Tensor::new([channels], vec![0.0_f32; channels]));
            node.inputs.resize(3, None);
            if let Some(bias) = node.inputs.get_mut(2) {
                *bias = Some(zeros);
            }
        }
        if let Some(keep) = mean_of_pixels(graph, &node)
            && let (Some(x), Some(output)) = (node.input(0), node.output())
        {
            let pool = Op::from(GlobalPool::Average);
            let made = |op: Op, input, output| Node {
                name: String::new(),
                op,
                inputs: vec![Some(input)],
                outputs: vec![Some(output)],
            };
            if keep {
                graph.nodes.push(made(pool, x, output));
            } else {
                let name = graph.unique("pool");
                let pooled = graph.add_value(&name, Fact::default());
                graph.nodes.push(made(pool, x, pooled));
                let flatten = Op::from(Reshaping::FLATTEN);
                graph.nodes.push(made(flatten, pooled, output));
            }
            continue;
        }
        graph.nodes.push(node);
    }
    // The indices of the nodes have changed.
    graph.retain_nodes(|_, _| true);
    graph.infer_again();
}

/// The number of channels of a layer with constant weights and no bias; `None` for others.
fn lacks_bias(graph: &Graph, node: &Node) -> Option<usize> {
    if node.input(2).is_some() {
        return None;
    }
    let weight = graph.constant_of(node.input(1)?)?;
    let axis = channel_axis(&node.op)?;
    weight.f32().ok()?;
    weight.shape.get(axis).copied()
}

/// The dimension of the output channels in a layer's weight.
pub(super) fn channel_axis(op: &Op) -> Option<usize> {
    match op {
        Op::Conv(_)
        | Op::Linear(Linear::Gemm(Gemm {
            trans_b: true,
            trans_a: false,
            ..
        })) => Some(0),
        Op::Linear(Linear::Gemm(Gemm { trans_a: false, .. })) => Some(1),
        _ => None,
    }
}

/// Whether a node is the mean over all pixels of each map; if so, whether it keeps the dimensions.
fn mean_of_pixels(graph: &Graph, node: &Node) -> Option<bool> {
    let Op::Reduce(reduce) = &node.op else {
        return None;
    };
    let axes = graph.reduced_axes(node)?;
    let rank = graph.shape(node.input(0)?)?.len();
    (reduce.kind == ReduceKind::Mean && rank == 4 && axes == [2, 3]).then_some(reduce.keep)
}

/// Makes the first convolution read `pixel - zero`; `None` if other nodes read the input, too.
fn fold_normalisation(
    graph: &mut Graph,
    input: ValueId,
    mean: [f32; 3],
    std: [f32; 3],
) -> Option<Pixels> {
    let mut readers = graph.nodes.iter().enumerate();
    let (at, node) = readers.find(|(_, node)| node.reads().any(|read| read == input))?;
    let alone = graph.consumers(input).count() == 1 && !graph.outputs.contains(&input);
    let Op::Conv(Conv { group: 1, .. }) = node.op else {
        return None;
    };
    let (weight, bias) = (node.input(1)?, node.input(2)?);
    let (weights, biases) = (graph.constant_of(weight)?, graph.constant_of(bias)?);
    let [channels, 3, area @ ..] = weights.shape[..].as_ref() else {
        return None;
    };
    let area: usize = area.iter().product();
    if !alone || biases.data.len() != *channels {
        return None;
    }
    let zero = (mean.iter().sum::<f32>() / 3.0).round().clamp(0.0, 255.0);
    let mut values = weights.f32().ok()?.to_vec();
    let mut shifted = biases.f32().ok()?.to_vec();
    for (kernel, bias) in values.chunks_exact_mut(3 * area).zip(&mut shifted) {
        let mut shift = 0.0_f64;
        for ((taps, mean), std) in kernel.chunks_exact_mut(area).zip(mean).zip(std) {
            for tap in taps {
                shift += f64::from(*tap) * f64::from(zero - mean) / f64::from(std);
                *tap /= std;
            }
        }
        *bias += shift as f32;
    }
    let (shape, channels) = (weights.shape.clone(), *channels);
    let weight = graph.constant(Tensor::new(shape, values));
    let bias = graph.constant(Tensor::new([channels], shifted));
    if let Some(node) = graph.nodes.get_mut(at) {
        node.inputs.splice(1..3, [Some(weight), Some(bias)]);
    }
    Some(Pixels {
        scale: 1.0,
        zero: zero as u8,
    })
}

impl Prepared {
    /// The fp32 network with an input called `image` for pixels, uint8 `[N, H, W, 3]`, and the map of its values to
    /// that graph.
    ///
    /// # Errors
    /// [`GraphError`] if its input is not an image.
    pub fn from_pixels(&self, image: &str) -> Result<(Graph, Joined), GraphError> {
        let mut made = Graph::new(&self.graph.name);
        made.opset = self.graph.opset;
        let planes = self.planes_of(&mut made, image)?;
        let planes = self.normalised(&mut made, planes);
        let joined = made.append(self.graph.clone(), &[(self.input, planes)])?;
        Ok((made, joined))
    }

    /// Adds an input for pixels, uint8 `[N, H, W, 3]`, and returns them as `[N, 3, H, W]`.
    pub(super) fn planes_of(&self, made: &mut Graph, image: &str) -> Result<ValueId, GraphError> {
        let Some([batch, channels, height, width]) = self.graph.shape(self.input) else {
            return Err(GraphError::Model("its input is not an image".into()));
        };
        let interleaved = [batch, height, width, channels].map(Dim::clone);
        let pixels = made.input(image, ElementType::U8, &interleaved);
        // Transposed as bytes, before they become floats of four times the size. Named, because the network's unnamed
        // values are numbered.
        let perm = Some(vec![0, 3, 1, 2]);
        Ok(made.op_named(Reshaping::Transpose { perm }, &[pixels], "pixels.planar"))
    }

    /// The network's input, computed from pixels uint8 `[N, 3, H, W]`.
    pub(super) fn normalised(&self, made: &mut Graph, planes: ValueId) -> ValueId {
        let cast = Elementwise::Cast(ElementType::F32);
        let values = made.op_named(cast, &[planes], "pixels.values");
        let (mean, std) = match self.pixels {
            Some(Pixels { scale, zero }) => ([f32::from(zero); 3], [1.0 / scale; 3]),
            None => (self.mean, self.std),
        };
        let [mean, std] = [("pixels.mean", mean), ("pixels.std", std)].map(|(name, numbers)| {
            let numbers = Tensor::new([1, 3, 1, 1], numbers.to_vec());
            made.constant_named(name, numbers)
        });
        let centred = made.op_named(Elementwise::Sub, &[values, mean], "pixels.centred");
        made.op_named(Elementwise::Div, &[centred, std], "pixels.normalised")
    }

    /// Replaces the contents of a constant, such as a bias; the shape stays.
    ///
    /// # Errors
    /// [`GraphError`] if it is not a constant of that shape.
    pub fn set_constant(&mut self, value: ValueId, contents: Vec<f32>) -> Result<(), GraphError> {
        let known = self.graph.constant_of(value);
        let shape = known.map(|known| known.shape.clone()).unwrap_or_default();
        let name = self.graph.name_of(value).to_owned();
        self.graph
            .replace_constant(&name, &Tensor::new(shape, contents))
    }
}

/// A node that adds two computed values.
pub(super) fn is_sum(op: &Op) -> bool {
    matches!(op, Op::Elementwise(Elementwise::Add))
}
