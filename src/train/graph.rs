//! The graphs of a training: one step (forward pass, loss, gradients, update), and the evaluation of a set.
//!
//! `logits = x·Wᵀ + b`. The weights lie as `[C, D]` here: in that order the product that makes their gradient
//! has long rows, which the matrix product of ONNX Runtime is fastest at. [`Head`](super::Head) turns them
//! round for everybody else.

use crate::onnx::{Attribute, Dim, ElementType, Graph, OnnxError, Tensor};

use super::Optimizer;
use super::gradient::gradients;

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
) -> Result<Graph, OnnxError> {
    let mut graph = Graph::new("training step");
    let (c, d) = (Dim::Fixed(sizes.classes), Dim::Fixed(sizes.dim));
    let x = graph.input("x", ElementType::F32, &[examples.into(), d]);
    let y = graph.input("y", ElementType::I64, &[examples.into()]);
    let rows = graph.input("rows", ElementType::I64, &[batch.into()]);
    for (input, _) in state_names(optimizer) {
        let shape: Vec<Dim> = state_shape(input, sizes)
            .into_iter()
            .map(Dim::Fixed)
            .collect();
        graph.input(input, ElementType::F32, &shape);
    }
    let x = graph.op("Gather", &[&x, &rows]);
    let y = graph.op("Gather", &[&y, &rows]);
    let log_p = log_probabilities(&mut graph, &x);
    let per_row = picked(&mut graph, &log_p, &y, sizes.classes);
    let mean = graph.op_with(
        "ReduceMean",
        &[&per_row],
        &[("keepdims", Attribute::Int(0))],
    );
    let loss = graph.op("Neg", &[&mean]);
    let found = gradients(&mut graph, &loss, &["w", "b"])?;
    let rate = graph.input("rate", ElementType::F32, &[]);
    if optimizer == Optimizer::Adam {
        graph.input("v_scale", ElementType::F32, &[]);
    }
    for (weight, gradient) in ["w", "b"].into_iter().zip(&found) {
        let change = match optimizer {
            Optimizer::Sgd => graph.op("Mul", &[gradient, &rate]),
            Optimizer::Adam => adam(&mut graph, weight, gradient, &rate),
        };
        graph.node("Sub", &[weight, &change], &[&format!("next_{weight}")], &[]);
    }
    for (input, output) in state_names(optimizer) {
        let shape = state_shape(input, sizes);
        let shape: Vec<Dim> = shape
            .into_iter()
            .map(|len| {
                if len == sizes.classes {
                    c.clone()
                } else {
                    Dim::Fixed(len)
                }
            })
            .collect();
        graph.output(output, ElementType::F32, &shape);
    }
    graph.prune();
    Ok(graph)
}

/// Adam's change of one weight (Kingma and Ba 2015, algorithm 1); adds the outputs of its moments.
fn adam(graph: &mut Graph, weight: &str, gradient: &str, rate: &str) -> String {
    let number = |graph: &mut Graph, value: f64| graph.constant(&Tensor::scalar(value as f32));
    let (m, v) = (format!("m_{weight}"), format!("v_{weight}"));
    let (next_m, next_v) = (format!("next_{m}"), format!("next_{v}"));
    let keep = number(graph, BETA_1);
    let take = number(graph, 1.0 - BETA_1);
    let old = graph.op("Mul", &[&m, &keep]);
    let new = graph.op("Mul", &[gradient, &take]);
    graph.node("Add", &[&old, &new], &[&next_m], &[]);
    let keep = number(graph, BETA_2);
    let take = number(graph, 1.0 - BETA_2);
    let square = graph.op("Mul", &[gradient, gradient]);
    let old = graph.op("Mul", &[&v, &keep]);
    let new = graph.op("Mul", &[&square, &take]);
    graph.node("Add", &[&old, &new], &[&next_v], &[]);
    let corrected = graph.op("Mul", &[&next_v, "v_scale"]);
    let root = graph.op("Sqrt", &[&corrected]);
    let epsilon = number(graph, EPSILON);
    let divisor = graph.op("Add", &[&root, &epsilon]);
    let scaled = graph.op("Mul", &[&next_m, rate]);
    graph.op("Div", &[&scaled, &divisor])
}

/// The evaluation of a set. Inputs: `x` `f32[N, D]`, `y` `i64[N]`, `w`, `b`, and with `batch` the `rows`
/// `i64[B]` to look at. Outputs for each row: `cross_entropy` (nats) and `correct` (1 or 0), `f32[N]` or `f32[B]`.
pub(super) fn evaluation_graph(sizes: Sizes, examples: usize, batch: Option<usize>) -> Graph {
    let mut graph = Graph::new("evaluation");
    let (c, d) = (Dim::Fixed(sizes.classes), Dim::Fixed(sizes.dim));
    let mut x = graph.input("x", ElementType::F32, &[examples.into(), d.clone()]);
    let mut y = graph.input("y", ElementType::I64, &[examples.into()]);
    graph.input("w", ElementType::F32, &[c.clone(), d]);
    graph.input("b", ElementType::F32, &[c]);
    if let Some(batch) = batch {
        let rows = graph.input("rows", ElementType::I64, &[batch.into()]);
        x = graph.op("Gather", &[&x, &rows]);
        y = graph.op("Gather", &[&y, &rows]);
    }
    let rows: Dim = batch.unwrap_or(examples).into();
    let log_p = log_probabilities(&mut graph, &x);
    let per_row = picked(&mut graph, &log_p, &y, sizes.classes);
    graph.node("Neg", &[&per_row], &["cross_entropy"], &[]);
    graph.output(
        "cross_entropy",
        ElementType::F32,
        std::slice::from_ref(&rows),
    );
    let best = graph.op_with(
        "ArgMax",
        &[&log_p],
        &[("axis", Attribute::Int(1)), ("keepdims", Attribute::Int(0))],
    );
    let equal = graph.op("Equal", &[&best, &y]);
    let to = Attribute::Int(crate::onnx::cast_target(ElementType::F32));
    graph.node("Cast", &[&equal], &["correct"], &[("to", to)]);
    graph.output("correct", ElementType::F32, &[rows]);
    graph
}

/// `log softmax(x·Wᵀ + b)`.
fn log_probabilities(graph: &mut Graph, x: &str) -> String {
    let logits = graph.op_with("Gemm", &[x, "w", "b"], &[("transB", Attribute::Int(1))]);
    graph.op("LogSoftmax", &[&logits])
}

/// The log probability of each row's own class.
fn picked(graph: &mut Graph, log_p: &str, y: &str, classes: usize) -> String {
    let depth = graph.ints(&[classes as i64]);
    let off_on = graph.constant(&Tensor::new([2], vec![0.0_f32, 1.0]));
    let one_hot = graph.op("OneHot", &[y, &depth, &off_on]);
    let chosen = graph.op("Mul", &[log_p, &one_hot]);
    let axes = graph.ints(&[1]);
    graph.op_with(
        "ReduceSum",
        &[&chosen, &axes],
        &[("keepdims", Attribute::Int(0))],
    )
}
