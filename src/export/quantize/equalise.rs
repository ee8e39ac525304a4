//! Cross-layer equalisation (Nagel et al. 2019, arXiv:1906.04721). All channels of a tensor share its 256 quantization
//! steps, so a channel with a small range uses few of them. Such a channel is scaled up in the layer that produces it
//! and down in the weights of the layers that read it; the network's result stays the same. Weights that become harder
//! to round by this are rounded together.
//!
//! A `ReLU6` then clips a scaled channel at a lower value of the original, but still above everything measured.

use std::collections::{HashMap, HashSet};

use crate::graph::ops::{Elementwise, Reshaping};
use crate::graph::passes::quantize::{Layer, Prepared, by_channel, cuts_off};
use crate::graph::{Graph, Node, Op, ValueId, WeightKind};

use super::super::ExportError;
use super::measure::Measured;

/// Sets of values whose channels must share their scale factors (union-find: each value points to another of its set).
struct Groups {
    same: HashMap<ValueId, ValueId>,
    fixed: HashSet<ValueId>,
}

impl Groups {
    fn root(&self, mut value: ValueId) -> ValueId {
        while let Some(next) = self.same.get(&value) {
            value = *next;
        }
        value
    }

    fn unite(&mut self, a: ValueId, b: ValueId) {
        let (a, b) = (self.root(a), self.root(b));
        if a != b {
            self.same.insert(a.max(b), a.min(b));
            if self.fixed.remove(&a) | self.fixed.remove(&b) {
                self.fixed.insert(a.min(b));
            }
        }
    }

    fn fix(&mut self, value: ValueId) {
        let root = self.root(value);
        self.fixed.insert(root);
    }

    /// Finds which values of a network must be scaled alike, and which must not be scaled.
    fn of(prepared: &Prepared, bottleneck: ValueId) -> Self {
        let graph = &prepared.graph;
        let mut groups = Self {
            same: HashMap::new(),
            fixed: HashSet::new(),
        };
        let layers: HashMap<ValueId, Layer> = prepared
            .layers()
            .into_iter()
            .map(|layer| (layer.output, layer))
            .collect();
        for node in graph.nodes() {
            let output = node.output().unwrap_or(prepared.input);
            if let Some(layer) = layers.get(&output)
                && is_scalable(graph, node, layer)
            {
                // A scalable layer: its input and output get scale factors of their own.
            } else if keeps_channels(graph, node) {
                let reads = node.inputs.iter().flatten();
                for read in reads.filter(|read| graph.constant_of(**read).is_none()) {
                    groups.unite(output, *read);
                }
            } else {
                groups.fix_all(graph, node);
            }
        }
        groups.fix(prepared.input);
        groups.fix(bottleneck);
        graph
            .outputs()
            .iter()
            .for_each(|output| groups.fix(*output));
        groups
    }

    fn fix_all(&mut self, graph: &Graph, node: &Node) {
        let reads = node
            .reads()
            .filter(|read| graph.constant_of(*read).is_none());
        reads.chain(node.makes()).for_each(|value| self.fix(value));
    }
}

/// Whether a layer's output channels can be scaled independently of its input channels, or are the same channels
/// (depthwise).
fn is_scalable(graph: &Graph, node: &Node, layer: &Layer) -> bool {
    match &node.op {
        Op::Conv(conv) => {
            let depthwise = layer.kind == WeightKind::DepthwiseKernel
                && graph
                    .lens(layer.weight)
                    .and_then(|lens| lens.first().copied())
                    == usize::try_from(conv.group).ok();
            conv.group == 1 || depthwise
        }
        _ => false,
    }
}

/// Whether a node computes each channel independently and keeps their order, so that scale factors pass through it.
fn keeps_channels(graph: &Graph, node: &Node) -> bool {
    let constant = |at: usize| {
        node.input(at)
            .is_some_and(|id| graph.constant_of(id).is_some())
    };
    match &node.op {
        Op::Elementwise(Elementwise::Add) => !constant(0) && !constant(1),
        Op::Activation(_) => cuts_off(graph, node),
        Op::GlobalPool(_) | Op::Pool(_) | Op::Reshaping(Reshaping::Identity) => {
            node.outputs.len() == 1
        }
        _ => false,
    }
}

/// The network with its channels scaled so that each uses as many quantization steps as possible, by a factor of at
/// most `most`, and the measurements scaled with them.
pub(super) fn equalised(
    prepared: &Prepared,
    measured: &Measured,
    bottleneck: ValueId,
    most: f32,
) -> Result<(Prepared, Measured), ExportError> {
    let groups = Groups::of(prepared, bottleneck);
    let factors = factors(&groups, measured, most);
    let of = |value: ValueId| factors.get(&groups.root(value));
    let (mut prepared, mut measured) = (prepared.clone(), measured.clone());
    for layer in prepared.layers() {
        let (Some(weight), Some(bias)) = (
            prepared.graph.constant_of(layer.weight).cloned(),
            prepared.graph.constant_of(layer.bias).cloned(),
        ) else {
            continue;
        };
        let (read, made) = (of(layer.input), of(layer.output));
        let depthwise = layer.kind == WeightKind::DepthwiseKernel;
        let kernel: usize = weight.shape.get(2..).unwrap_or_default().iter().product();
        let kernel = kernel.max(1);
        let each = weight.data.len() / bias.data.len().max(1);
        let mut values = weight.f32()?.to_vec();
        by_channel(&weight.shape, layer.axis, |channel, index| {
            let Some(value) = values.get_mut(index) else {
                return;
            };
            if let Some(factor) = made.and_then(|factors| factors.get(channel)) {
                *value *= factor;
            }
            let input = if depthwise {
                channel
            } else {
                index % each.max(1) / kernel
            };
            if let Some(factor) = read.and_then(|factors| factors.get(input)) {
                *value /= factor;
            }
        });
        prepared.set_constant(layer.weight, values)?;
        if let Some(factors) = made {
            let biases = bias.f32()?.iter().zip(factors);
            let biases = biases.map(|(bias, factor)| bias * factor).collect();
            prepared.set_constant(layer.bias, biases)?;
        }
        if let (Some(factors), Some(inputs)) = (read, measured.inputs.get_mut(&layer.weight)) {
            let kernel = if depthwise { 1 } else { kernel };
            inputs.scale(|at| factors.get(at / kernel).copied().unwrap_or(1.0));
        }
    }
    for (value, extremes) in &mut measured.channels {
        let Some(factors) = of(*value) else { continue };
        extremes.scale(factors);
        measured.ranges.insert(*value, extremes.range());
    }
    Ok((prepared, measured))
}

/// For each group, the factor of each channel.
fn factors(groups: &Groups, measured: &Measured, most: f32) -> HashMap<ValueId, Vec<f32>> {
    let mut sizes: HashMap<ValueId, Vec<f32>> = HashMap::new();
    for (value, extremes) in &measured.channels {
        let root = groups.root(*value);
        if groups.fixed.contains(&root) {
            continue;
        }
        let own = extremes.sizes();
        let known = sizes.entry(root).or_insert_with(|| vec![0.0; own.len()]);
        for (known, own) in known.iter_mut().zip(own) {
            *known = known.max(own);
        }
    }
    for sizes in sizes.values_mut() {
        let largest = sizes.iter().copied().fold(0.0, f32::max);
        for size in sizes {
            *size = if *size > 0.0 {
                (largest / *size).clamp(1.0, most)
            } else {
                1.0
            };
        }
    }
    sizes
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::export::model::tests::small_model;
    use crate::export::quantize::IMAGE;
    use crate::export::quantize::frames::Frame;
    use crate::export::quantize::measure::measure;
    use crate::graph::passes::quantize::prepare;
    use crate::jobs::Work;
    use crate::onnx::{Session, Tensor};

    fn run(prepared: &Prepared, pixels: &[u8]) -> Vec<f32> {
        let (graph, _) = prepared.from_pixels(IMAGE).unwrap();
        let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
        let image = Tensor::new([1, 96, 96, 3], pixels.to_vec());
        let found = session.run(&[(IMAGE, &image)], &["probabilities"]).unwrap();
        found[0].f32().unwrap().to_vec()
    }

    /// Scaling changes neither the network's result on the measured frames nor makes the scaled measurements differ
    /// from new ones.
    #[test]
    fn scaling_channels_changes_no_answer() {
        let model = small_model();
        let prepared = prepare(&model.graph, [127.0; 3], [128.0; 3]).unwrap();
        let pixels: Vec<u8> = (0..96 * 96 * 3).map(|at| (at * 7919 % 251) as u8).collect();
        let frames = [Frame {
            path: "a.png".into(),
            pixels: pixels.clone(),
            truth: 0,
            probabilities: vec![1.0],
        }];
        let measured = measure(&prepared, model.bottleneck, &frames, 96, &Work::new()).unwrap();
        let (scaled, expected) = equalised(&prepared, &measured, model.bottleneck, 4.0).unwrap();
        let before = run(&prepared, &pixels);
        for (before, after) in before.iter().zip(run(&scaled, &pixels)) {
            assert!((before - after).abs() < 1e-4, "{before} {after}");
        }
        let found = measure(&scaled, model.bottleneck, &frames, 96, &Work::new()).unwrap();
        let mut changed = 0;
        for (value, expected) in &expected.ranges {
            let found = found.ranges[value];
            let near = (found.max - expected.max).abs() < 1e-3 * expected.max.abs().max(1.0);
            assert!(near, "{}", prepared.graph.name_of(*value));
            changed += usize::from(measured.channels.contains_key(value));
        }
        assert!(changed > 20);
        for (weight, expected) in &expected.inputs {
            for (found, expected) in found.inputs[weight].mean.iter().zip(&expected.mean) {
                assert!((found - expected).abs() < 1e-3 * expected.abs().max(1.0));
            }
        }
        // The ranges of the channels are more alike.
        let spread = |measured: &Measured| -> f32 {
            let all = measured.channels.values().map(|extremes| {
                let sizes = extremes.sizes();
                sizes.iter().sum::<f32>() / sizes.iter().copied().fold(0.1, f32::max)
            });
            all.sum()
        };
        assert!(spread(&expected) > spread(&measured) * 1.2);
    }
}
