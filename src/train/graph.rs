//! The graphs of a training: one step (forward pass, loss, gradients, update), and the evaluation of a set.
//!
//! `logits = x·Wᵀ + b`. The weights lie as `[C, D]` here: in that order the product that makes their gradient
//! has long rows, which the matrix product of ONNX Runtime is fastest at. [`Head`](super::Head) turns them
//! round for everybody else.

use crate::graph::ops::{Elementwise, Linear, Moves, Reduce, ReduceKind, Softmax};
use crate::graph::{Dim, Graph, GraphError, ValueId, gradients};
use crate::onnx::{ElementType, Tensor};

use super::Optimizer;

/// Exponential decay of Adam's first moment.
pub(super) const BETA_1: f64 = 0.9;
/// Exponential decay of Adam's second moment.
pub(super) const BETA_2: f64 = 0.999;
/// What keeps Adam's divisor from being zero.
pub(super) const EPSILON: f64 = 1e-8;

/// Sizes of a training.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Length of a bottleneck.
    pub dim: usize,
    /// Number of classes.
    pub classes: usize,
}

/// The tensors that a step updates, as pairs of input and output.
pub(super) fn state_names(optimizer: Optimizer) -> &'static [(&'static str, &'static str)] {
    const ALL: [(&str, &str); 6] = [
        ("w", "next_w"),
        ("b", "next_b"),
        ("m_w", "next_m_w"),
        ("v_w", "next_v_w"),
        ("m_b", "next_m_b"),
        ("v_b", "next_v_b"),
    ];
    match optimizer {
        Optimizer::Sgd => ALL.split_at(2).0,
        Optimizer::Adam => &ALL,
    }
}

/// The shape of a tensor that a step updates.
pub(super) fn state_shape(name: &str, sizes: Sizes) -> Vec<usize> {
    if name.ends_with('w') {
        vec![sizes.classes, sizes.dim]
    } else {
        vec![sizes.classes]
    }
}

/// One training step. Inputs: `x` `f32[N, D]`, `y` `i64[N]`, `rows` `i64[B]` (the batch), `rate` `f32` (for
/// Adam divided by 1 - β₁ᵗ), for Adam `v_scale` `f32` (1 / (1 - β₂ᵗ)), and the state; outputs: the next state.
pub(super) fn step_graph(
    optimizer: Optimizer,
    sizes: Sizes,
    examples: usize,
    batch: usize,
) -> Result<Graph, GraphError> {
    let mut graph = Graph::new("training step");
    let x = graph.input("x", ElementType::F32, &[examples.into(), sizes.dim.into()]);
    let y = graph.input("y", ElementType::I64, &[examples.into()]);
    let rows = graph.input("rows", ElementType::I64, &[batch.into()]);
    for (input, _) in state_names(optimizer) {
        let shape = Dim::all_fixed(&state_shape(input, sizes));
        graph.input(input, ElementType::F32, &shape);
    }
    let (w, b) = (graph.named("w")?, graph.named("b")?);
    let x = graph.gather(x, rows, 0);
    let y = graph.gather(y, rows, 0);
    let log_p = log_probabilities(&mut graph, x, w, b);
    let per_row = picked(&mut graph, log_p, y, sizes.classes);
    let mean = graph.reduce_all(ReduceKind::Mean, per_row);
    let loss = graph.neg(mean);
    let found = gradients(&mut graph, loss, &[w, b])?;
    let rate = graph.input("rate", ElementType::F32, &[]);
    if optimizer == Optimizer::Adam {
        graph.input("v_scale", ElementType::F32, &[]);
    }
    for (name, gradient) in ["w", "b"].into_iter().zip(found) {
        let change = match optimizer {
            Optimizer::Sgd => graph.mul(gradient, rate),
            Optimizer::Adam => adam(&mut graph, name, gradient, rate)?,
        };
        let weight = graph.named(name)?;
        graph.op_named(Elementwise::Sub, &[weight, change], &format!("next_{name}"));
    }
    for (_, output) in state_names(optimizer) {
        let output = graph.named(output)?;
        graph.output(output);
    }
    graph.prune();
    Ok(graph)
}

/// Adam's change of one weight (Kingma and Ba 2015, algorithm 1); adds the outputs of its moments.
fn adam(
    graph: &mut Graph,
    weight: &str,
    gradient: ValueId,
    rate: ValueId,
) -> Result<ValueId, GraphError> {
    let m = graph.named(&format!("m_{weight}"))?;
    let v = graph.named(&format!("v_{weight}"))?;
    let v_scale = graph.named("v_scale")?;
    let keep = graph.number(BETA_1);
    let take = graph.number(1.0 - BETA_1);
    let old = graph.mul(m, keep);
    let new = graph.mul(gradient, take);
    let next_m = graph.op_named(Elementwise::Add, &[old, new], &format!("next_m_{weight}"));
    let keep = graph.number(BETA_2);
    let take = graph.number(1.0 - BETA_2);
    let square = graph.mul(gradient, gradient);
    let old = graph.mul(v, keep);
    let new = graph.mul(square, take);
    let next_v = graph.op_named(Elementwise::Add, &[old, new], &format!("next_v_{weight}"));
    let corrected = graph.mul(next_v, v_scale);
    let root = graph.op(Elementwise::Sqrt, &[corrected]);
    let epsilon = graph.number(EPSILON);
    let divisor = graph.add(root, epsilon);
    let scaled = graph.mul(next_m, rate);
    Ok(graph.div(scaled, divisor))
}

/// The evaluation of a set. Inputs: `x` `f32[N, D]`, `y` `i64[N]`, `w`, `b`, and with `batch` the `rows`
/// `i64[B]` to look at. Outputs for each row: `cross_entropy` (nats) and `correct` (1 or 0), `f32[N]` or `f32[B]`.
pub(super) fn evaluation_graph(sizes: Sizes, examples: usize, batch: Option<usize>) -> Graph {
    let mut graph = Graph::new("evaluation");
    let (c, d) = (Dim::Fixed(sizes.classes), Dim::Fixed(sizes.dim));
    let mut x = graph.input("x", ElementType::F32, &[examples.into(), d.clone()]);
    let mut y = graph.input("y", ElementType::I64, &[examples.into()]);
    let w = graph.input("w", ElementType::F32, &[c.clone(), d]);
    let b = graph.input("b", ElementType::F32, &[c]);
    if let Some(batch) = batch {
        let rows = graph.input("rows", ElementType::I64, &[batch.into()]);
        x = graph.gather(x, rows, 0);
        y = graph.gather(y, rows, 0);
    }
    let log_p = log_probabilities(&mut graph, x, w, b);
    figures(&mut graph, log_p, y, sizes.classes);
    graph
}

/// `log softmax(x·Wᵀ + b)`.
fn log_probabilities(graph: &mut Graph, x: ValueId, w: ValueId, b: ValueId) -> ValueId {
    let logits = graph.op(Linear::BY_TRANSPOSE, &[x, w, b]);
    graph.op(Softmax::LOG, &[logits])
}

/// The log probability of each row's own class.
fn picked(graph: &mut Graph, log_p: ValueId, y: ValueId, classes: usize) -> ValueId {
    let depth = graph.ints(&[classes as i64]);
    let off_on = graph.constant(Tensor::new([2], vec![0.0_f32, 1.0]));
    let one_hot = graph.op(Moves::OneHot { axis: -1 }, &[y, depth, off_on]);
    let chosen = graph.mul(log_p, one_hot);
    graph.reduce_sum(chosen, &[1], false)
}

/// Adds the outputs `cross_entropy` (nats) and `correct` (1 or 0) of each row with the class `y`.
pub(super) fn figures(graph: &mut Graph, log_p: ValueId, y: ValueId, classes: usize) {
    let per_row = picked(graph, log_p, y, classes);
    let cross_entropy = graph.op_named(Elementwise::Neg, &[per_row], "cross_entropy");
    graph.output(cross_entropy);
    let best = graph.op(Reduce::along(ReduceKind::ArgMax, &[1], false), &[log_p]);
    let equal = graph.equal(best, y);
    let correct = graph.op_named(Elementwise::Cast(ElementType::F32), &[equal], "correct");
    graph.output(correct);
}
