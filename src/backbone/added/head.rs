//! Finds where a classifier's own head begins: the pooled layer, which becomes the bottleneck.

use crate::graph::ops::{Elementwise, Linear, Moves, Reduce, ReduceKind, Reshaping};
use crate::graph::{Graph, Node, Op, ValueId};

/// The pooled layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pooled {
    /// The name of the value in the file.
    pub name: String,
    /// Its number of elements for each image, if that is known without running it.
    pub dim: Option<usize>,
    /// The number of classes of the head after it; `None` if there is no head.
    pub classes: Option<usize>,
    /// A description of the layers between it and the output.
    pub head: String,
}

/// A value that could become the bottleneck: one vector for each image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PooledChoice {
    /// Its name.
    pub name: String,
    /// Its length.
    pub dim: usize,
    /// The operator that computes it.
    pub operator: String,
}

/// Finds the layer before the head of the graph's output; of several outputs, the first for which that succeeds.
pub(super) fn find(graph: &Graph) -> Result<Pooled, String> {
    let mut reason = "it has no output".to_owned();
    for output in graph.outputs() {
        match before(graph, *output) {
            Ok(found) => return Ok(found),
            Err(why) if reason.starts_with("it has no output") => reason = why,
            Err(_) => {}
        }
    }
    Err(reason)
}

/// Goes back from an output to the head's input.
fn before(graph: &Graph, output: ValueId) -> Result<Pooled, String> {
    let mut value = output;
    let mut behind = Vec::new();
    let mut biased = false;
    loop {
        let Some(node) = graph.producer(value) else {
            return Err(format!(
                "nothing computes its output “{}”",
                graph.name_of(output)
            ));
        };
        let lost = || {
            format!(
                "the layer before its classes cannot be found: the layer before its output, “{}” ({}), is not a classification layer",
                graph.name_of_node(node),
                node.op.op_type()
            )
        };
        match &node.op {
            Op::Softmax(_) => behind.push("softmax"),
            Op::Activation(crate::graph::ops::Activation::Sigmoid) => behind.push("sigmoid"),
            _ if is_shape(&node.op) => {}
            Op::Elementwise(Elementwise::Add) if !biased => {
                biased = true;
                let data = node.inputs.iter().flatten();
                let mut data = data.filter(|id| graph.constant_of(**id).is_none());
                let (Some(next), None) = (data.next(), data.next()) else {
                    return Err(lost());
                };
                value = *next;
                continue;
            }
            Op::Linear(linear) => {
                let weight = node.input(1).and_then(|id| graph.lens(id));
                let ([.., rows, columns], true) = (
                    weight.as_deref().unwrap_or_default(),
                    node.input(1)
                        .is_some_and(|id| graph.constant_of(id).is_some()),
                ) else {
                    return Err(lost());
                };
                let transposed = matches!(linear, Linear::Gemm(gemm) if gemm.trans_b);
                let (dim, classes) = if transposed {
                    (*columns, *rows)
                } else {
                    (*rows, *columns)
                };
                behind.push(match linear {
                    Linear::Gemm(_) => "a fully connected layer (Gemm)",
                    Linear::MatMul => "a fully connected layer (MatMul)",
                });
                return pooled(graph, node, dim, classes, &behind);
            }
            Op::Conv(_) => {
                let kernel = node.input(1).and_then(|id| graph.lens(id));
                let [classes, dim, 1, 1] = kernel.as_deref().unwrap_or_default() else {
                    return Err(lost());
                };
                behind.push("a 1×1 convolution");
                return pooled(graph, node, *dim, *classes, &behind);
            }
            _ if !biased && behind.is_empty() && ends_pooled(graph, node) => {
                // The network ends with its pooled layer.
                return Ok(Pooled {
                    name: graph.name_of(output).to_owned(),
                    dim: vector(graph, output),
                    classes: None,
                    head: "none: it ends with its pooled layer".into(),
                });
            }
            _ => return Err(lost()),
        }
        value = node.input(0).ok_or_else(lost)?;
    }
}

/// The input of a head's layer, before operators that only reshape it.
fn pooled(
    graph: &Graph,
    layer: &Node,
    dim: usize,
    classes: usize,
    behind: &[&str],
) -> Result<Pooled, String> {
    let mut value = layer
        .input(0)
        .ok_or_else(|| format!("its layer “{}” has no input", graph.name_of_node(layer)))?;
    // For a layer on a feature map the bottleneck would be the map's mean, which is not a value of the graph.
    if graph
        .lens(value)
        .is_some_and(|lens| lens.iter().skip(1).copied().fold(1, usize::saturating_mul) != dim)
    {
        return Err(format!(
            "its classification layer “{}” works on a feature map, not on one vector per image",
            graph.name_of_node(layer)
        ));
    }
    while let Some(node) = graph.producer(value)
        && matches!(
            &node.op,
            Op::Reshaping(Reshaping::Identity | Reshaping::Dropout { .. })
        )
        && let Some(before) = node.input(0)
    {
        value = before;
    }
    let mut words: Vec<&str> = behind.to_vec();
    words.reverse();
    Ok(Pooled {
        name: graph.name_of(value).to_owned(),
        dim: Some(dim),
        classes: Some(classes),
        head: words.join(", "),
    })
}

/// Whether an operator only reshapes values.
fn is_shape(op: &Op) -> bool {
    let Op::Reshaping(reshaping) = op else {
        return matches!(op, Op::Elementwise(Elementwise::Cast(_)));
    };
    matches!(
        reshaping,
        Reshaping::Identity
            | Reshaping::Reshape { .. }
            | Reshaping::Flatten { .. }
            | Reshaping::Squeeze { .. }
            | Reshaping::Unsqueeze { .. }
            | Reshaping::Transpose { .. }
            | Reshaping::Dropout { .. }
    )
}

/// Whether a node averages over all pixels or tokens, selects one token, or operates on such a vector.
fn ends_pooled(graph: &Graph, node: &Node) -> bool {
    match &node.op {
        Op::GlobalPool(_)
        | Op::Reduce(Reduce {
            kind: ReduceKind::Mean,
            ..
        })
        | Op::Moves(Moves::Gather { .. }) => true,
        Op::Norm(_) | Op::Activation(_) | Op::Pool(_) => node
            .output()
            .is_some_and(|output| vector(graph, output).is_some()),
        _ => false,
    }
}

/// The length of a value that is one vector for each image, if its shape is known.
pub(super) fn vector(graph: &Graph, value: ValueId) -> Option<usize> {
    let shape = graph.fact(value).shape.as_deref()?;
    let inner: Vec<usize> = shape
        .get(1..)?
        .iter()
        .map(crate::graph::Dim::fixed)
        .collect::<Option<_>>()?;
    let dim = inner
        .iter()
        .copied()
        .try_fold(1_usize, usize::checked_mul)?;
    let long = inner.iter().filter(|len| **len > 1).count();
    (shape.len() >= 2 && long == 1).then_some(dim)
}

/// The values before the output that are one vector for each image, the last first.
pub(super) fn choices(graph: &Graph, input: ValueId) -> Vec<PooledChoice> {
    let mut data = std::collections::HashSet::from([input]);
    let mut found = Vec::new();
    for node in graph.nodes() {
        if !node.reads().any(|value| data.contains(&value)) {
            continue;
        }
        data.extend(node.makes());
        let Some(output) = node.output() else {
            continue;
        };
        if is_shape(&node.op) || graph.outputs().contains(&output) {
            continue;
        }
        if let Some(dim) = vector(graph, output).filter(|dim| *dim >= 8) {
            found.push(PooledChoice {
                name: graph.name_of(output).to_owned(),
                dim,
                operator: node.op.op_type().to_owned(),
            });
        }
    }
    found.reverse();
    // Those before the pooled layer are vectors of squeeze-and-excitation.
    found.truncate(8);
    found
}
