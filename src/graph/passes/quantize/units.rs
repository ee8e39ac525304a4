//! Decides which nodes compute in integers, and which values share a scale.

use std::collections::{HashMap, HashSet};

use crate::graph::ops::{
    Activation, Elementwise, GlobalPool, Linear, Moves, PadMode, Pool, PoolKind, Reshaping,
};
use crate::graph::structure::Node;
use crate::graph::value::ValueId;
use crate::graph::{Graph, Op, WeightKind};
use crate::onnx::ElementType;

use super::prepare::{channel_axis, is_sum};
use super::{Prepared, Quantizing, Range};

/// How a node computes in the quantized network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    /// A layer with weights.
    Layer,
    /// Reads integers and gives integers of another scale.
    Rescaled,
    /// Reads and gives integers of the same scale: it only moves values, or takes the maximum.
    Same,
    /// Computes in floats.
    Real,
}

/// A layer of a prepared network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Its input.
    pub input: ValueId,
    /// Its weight, a constant.
    pub weight: ValueId,
    /// Its bias, a constant `[channels]`.
    pub bias: ValueId,
    /// Its result, before the activation.
    pub output: ValueId,
    /// The dimension of the weight's output channels.
    pub axis: usize,
    /// The kind of its weight.
    pub kind: WeightKind,
}

/// The decisions for a network, made before it is written.
pub(super) struct Plan {
    /// One for each node.
    pub units: Vec<Unit>,
    /// Activations replaced by a range: maps their inputs, which have no other reader, to their results.
    pub absorbed: HashMap<ValueId, ValueId>,
    /// Values that share the scale of another (union-find).
    same: HashMap<ValueId, ValueId>,
}

impl Plan {
    pub fn new(graph: &Graph, float: &HashSet<ValueId>) -> Self {
        let mut plan = Self {
            units: Vec::new(),
            absorbed: HashMap::new(),
            same: HashMap::new(),
        };
        // From the softmax on, values stay floats.
        let mut after = HashSet::new();
        let mut float = float.clone();
        for node in graph.nodes() {
            let is_after = node.reads().any(|read| after.contains(&read));
            if is_after || matches!(node.op, Op::Softmax(_)) {
                after.extend(node.makes());
            }
            // An `Identity` that renames an output.
            let is_output = |output: ValueId| {
                matches!(node.op, Op::Reshaping(Reshaping::Identity))
                    && graph.outputs().contains(&output)
            };
            let is_real = is_after
                || node
                    .output()
                    .is_none_or(|output| float.contains(&output) || is_output(output));
            let unit = if is_real {
                Unit::Real
            } else {
                unit(graph, node)
            };
            plan.units.push(unit);
            let Some(output) = node.output() else {
                continue;
            };
            // The activation after a layer in floats computes in floats, too.
            if float.contains(&output)
                && let Some(act) = sole_reader(graph, output)
                && matches!(act.op, Op::Activation(_))
            {
                float.extend(act.makes());
            }
            // Of two successive activations only the first is absorbed.
            if matches!(unit, Unit::Layer | Unit::Rescaled)
                && !plan.is_absorbed(node)
                && let Some(act) = sole_reader(graph, output)
                && let Some(kept) = act.output()
                && !float.contains(&kept)
                && clip(graph, act).is_some()
            {
                plan.absorbed.insert(output, kept);
            }
            if unit == Unit::Same {
                let makes = node.makes();
                for value in reals(graph, node).chain(makes) {
                    plan.unite(output, value);
                }
            }
        }
        plan.release(graph);
        plan
    }

    /// Keeps an activation as an operator where its result shares a scale with values that it does not clip (such as
    /// the other inputs of a `Concat`): the common range would reach beyond its bounds and the clipping be lost.
    fn release(&mut self, graph: &Graph) {
        let bounds_of = |kept: ValueId| graph.producer(kept).and_then(|node| clip(graph, node));
        let kept: HashMap<ValueId, Option<Range>> = self
            .absorbed
            .values()
            .map(|kept| (*kept, bounds_of(*kept)))
            .collect();
        // For each group of values with one scale, the bounds of the values that are computed outside the group.
        let mut sources: HashMap<ValueId, Vec<Option<Range>>> = HashMap::new();
        let nodes = graph.nodes().iter().zip(&self.units);
        let same = nodes.filter(|(_, unit)| **unit == Unit::Same);
        let made: HashSet<ValueId> = same.clone().flat_map(|(node, _)| node.makes()).collect();
        for value in same.flat_map(|(node, _)| reals(graph, node)) {
            if !made.contains(&value) {
                let bounds = kept.get(&value).copied().flatten();
                sources.entry(self.root(value)).or_default().push(bounds);
            }
        }
        let mixed: HashSet<ValueId> = sources
            .into_iter()
            .filter(|(_, sources)| sources.windows(2).any(|pair| pair[0] != pair[1]))
            .map(|(root, _)| root)
            .collect();
        let absorbed = std::mem::take(&mut self.absorbed);
        self.absorbed = absorbed
            .into_iter()
            .filter(|(_, kept)| !mixed.contains(&self.root(*kept)))
            .collect();
    }

    /// The value that represents the scale of `value`.
    pub fn root(&self, mut value: ValueId) -> ValueId {
        while let Some(next) = self.same.get(&value) {
            value = *next;
        }
        value
    }

    fn unite(&mut self, a: ValueId, b: ValueId) {
        let (a, b) = (self.root(a), self.root(b));
        if a != b {
            // The earlier value represents both.
            self.same.insert(a.max(b), a.min(b));
        }
    }

    /// Whether an activation is replaced by the range of the node before it.
    pub fn is_absorbed(&self, node: &Node) -> bool {
        let read = node.input(0).and_then(|read| self.absorbed.get(&read));
        read.is_some() && read.copied() == node.output()
    }
}

/// The inputs of a node that have a scale: not its constants or parameters.
fn reals(graph: &Graph, node: &Node) -> impl Iterator<Item = ValueId> {
    let many = matches!(node.op, Op::Moves(Moves::Concat { .. }));
    let reads = node.inputs.iter().take(if many { usize::MAX } else { 1 });
    reads
        .copied()
        .flatten()
        .filter(|read| graph.element(*read) == Some(ElementType::F32))
}

fn unit(graph: &Graph, node: &Node) -> Unit {
    let is_real = |at: usize| {
        let element = node.input(at).map(|input| graph.element(input));
        element == Some(Some(ElementType::F32))
    };
    if !is_real(0) {
        return Unit::Real;
    }
    match &node.op {
        Op::Conv(_) | Op::Linear(Linear::Gemm(_)) => match layer(graph, node) {
            Some(_) => Unit::Layer,
            None => Unit::Real,
        },
        Op::Elementwise(Elementwise::Add | Elementwise::Mul) if is_real(1) => Unit::Rescaled,
        Op::GlobalPool(GlobalPool::Average) | Op::Activation(_) => Unit::Rescaled,
        Op::Pool(Pool {
            kind: PoolKind::Max { .. },
            ..
        }) if node.outputs.len() > 1 => Unit::Real,
        Op::Pool(_)
        | Op::GlobalPool(GlobalPool::Max)
        | Op::Reshaping(
            Reshaping::Identity
            | Reshaping::Reshape { .. }
            | Reshaping::Flatten { .. }
            | Reshaping::Squeeze { .. }
            | Reshaping::Unsqueeze { .. }
            | Reshaping::Transpose { .. },
        )
        | Op::Moves(Moves::Slice(_) | Moves::Concat { .. } | Moves::Split { .. }) => Unit::Same,
        Op::Moves(Moves::Pad {
            mode: PadMode::Constant,
            value,
            ..
        }) if value.unwrap_or(0.0) == 0.0 && is_zero(graph, node.input(2)) => Unit::Same,
        _ => Unit::Real,
    }
}

/// Whether an optional constant is zero.
fn is_zero(graph: &Graph, value: Option<ValueId>) -> bool {
    value.is_none_or(|value| {
        let known = graph.constant_of(value).and_then(|known| known.f32().ok());
        known.is_some_and(|known| known.iter().all(|number| *number == 0.0))
    })
}

/// The only node that reads a value, if that is not an output.
fn sole_reader(graph: &Graph, value: ValueId) -> Option<&Node> {
    let mut readers = graph.consumers(value);
    let first = readers.next()?;
    (readers.next().is_none() && !graph.outputs().contains(&value)).then_some(first)
}

/// The range that an activation clips to; `None` for other activations, or if zero is outside the range.
pub(super) fn clip(graph: &Graph, node: &Node) -> Option<Range> {
    let Op::Activation(activation) = node.op else {
        return None;
    };
    let range = match activation {
        Activation::Relu => Range {
            min: 0.0,
            max: f32::INFINITY,
        },
        Activation::Clip { min, max } => {
            let bound = |at: usize, own: Option<f32>, none: f32| match node.input(at) {
                Some(input) => graph.constant_of(input)?.f32().ok()?.first().copied(),
                None => Some(own.unwrap_or(none)),
            };
            Range {
                min: bound(1, min, f32::NEG_INFINITY)?,
                max: bound(2, max, f32::INFINITY)?,
            }
        }
        _ => return None,
    };
    (range.min <= 0.0 && range.max >= 0.0).then_some(range)
}

/// The layer that a node is, if it is one.
pub(super) fn layer(graph: &Graph, node: &Node) -> Option<Layer> {
    let axis = channel_axis(&node.op)?;
    let (weight, bias) = (node.input(1)?, node.input(2)?);
    let (weights, biases) = (graph.constant_of(weight)?, graph.constant_of(bias)?);
    if let Op::Linear(Linear::Gemm(gemm)) = node.op
        && (gemm.alpha.to_bits() != 1.0_f32.to_bits() || gemm.beta.to_bits() != 1.0_f32.to_bits())
    {
        return None;
    }
    weights.f32().ok()?;
    if biases.f32().ok()?.len() != *weights.shape.get(axis)? {
        return None;
    }
    let kinds = graph.weights_of(node);
    let kind = kinds.iter().find(|(value, _)| *value == weight)?.1;
    Some(Layer {
        input: node.input(0)?,
        weight,
        bias,
        output: node.output()?,
        axis,
        kind,
    })
}

/// Whether a node only clips, to a range that includes zero.
#[must_use]
pub fn cuts_off(graph: &Graph, node: &Node) -> bool {
    clip(graph, node).is_some()
}

/// The lower bound of an activation that clips.
#[must_use]
pub fn least_kept(graph: &Graph, node: &Node) -> Option<f32> {
    clip(graph, node).map(|range| range.min)
}

impl Prepared {
    /// The layers in topological order.
    #[must_use]
    pub fn layers(&self) -> Vec<Layer> {
        let nodes = self.graph.nodes().iter();
        nodes.filter_map(|node| layer(&self.graph, node)).collect()
    }

    /// The values whose ranges [`super::quantize`] needs with everything in integers, in order; without the input if
    /// [`Prepared::pixels`] is known.
    #[must_use]
    pub fn measured(&self) -> Vec<ValueId> {
        let how = Quantizing {
            every_layer: true,
            ..Quantizing::default()
        };
        let plan = Plan::new(&self.graph, &how.float);
        let mut all = Vec::new();
        let mut seen = HashSet::new();
        let mut add = |value: ValueId| {
            let value = plan.absorbed.get(&value).copied().unwrap_or(value);
            let known = value == self.input && self.pixels.is_some();
            if !known && self.graph.constant_of(value).is_none() && seen.insert(value) {
                all.push(value);
            }
        };
        for (node, unit) in self.graph.nodes().iter().zip(&plan.units) {
            if *unit == Unit::Real || plan.is_absorbed(node) {
                continue;
            }
            let operands = if is_sum(&node.op) || matches!(node.op, Op::Elementwise(_)) {
                2
            } else {
                1
            };
            for read in node.inputs.iter().take(operands).flatten() {
                add(*read);
            }
            if let Op::Moves(Moves::Concat { .. }) = node.op {
                node.inputs.iter().flatten().for_each(|read| add(*read));
            }
            node.makes().for_each(&mut add);
        }
        all
    }
}
