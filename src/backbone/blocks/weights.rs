//! The trainable numbers of a graph, and what it costs to run.

use std::collections::HashSet;

use crate::onnx::proto::NodeProto;
use crate::onnx::{Dim, Graph, Shapes, attribute_int};

use super::points::{DataPath, kernel};

/// What a weight is to the layer that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightKind {
    /// Kernel of a 1×1 convolution.
    PointwiseKernel,
    /// Kernel of a convolution within each channel.
    DepthwiseKernel,
    /// Kernel of any other convolution.
    DenseKernel,
    /// Added to each channel.
    Bias,
    /// Matrix of a fully connected layer.
    DenseLayer,
}

/// A trainable constant of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Its name in the graph.
    pub name: String,
    /// What it is.
    pub kind: WeightKind,
    /// How many numbers.
    pub elements: usize,
    /// Which block it belongs to, counted from the network's end: 1 in the last one.
    pub from_end: usize,
}

/// The weights of the nodes from place `begin` of the path on, each once. Scales and means of a batch norm
/// that was not folded are not among them: they stay as they are. `starts` has the place where each block begins.
pub(super) fn weights(
    graph: &Graph,
    path: &DataPath,
    begin: usize,
    starts: &[usize],
) -> Vec<Weight> {
    // Computed from the data; a weight may be a constant, or a reading of one (a cast of fp16).
    let computed: HashSet<&str> = path
        .nodes
        .iter()
        .filter_map(|index| graph.nodes.get(*index))
        .flat_map(|node| node.output.iter().map(String::as_str))
        .collect();
    let mut found: Vec<Weight> = Vec::new();
    for (at, index) in path.nodes.iter().enumerate().skip(begin) {
        let Some(node) = graph.nodes.get(*index) else {
            continue;
        };
        let from_end = 1 + starts.iter().filter(|start| **start > at).count();
        for (name, kind) in weights_of(node, &path.shapes) {
            let shape = path.shapes.get(name);
            let elements = shape.and_then(|shape| shape.iter().map(Dim::fixed).product());
            if let Some(elements) = elements
                && !computed.contains(name)
                && found.iter().all(|weight| weight.name != name)
            {
                found.push(Weight {
                    name: name.to_owned(),
                    kind,
                    elements,
                    from_end,
                });
            }
        }
    }
    found
}

/// Inputs of a node that are weights when they are constants.
fn weights_of<'a>(node: &'a NodeProto, shapes: &Shapes) -> Vec<(&'a str, WeightKind)> {
    let input = |at: usize, kind| node.input.get(at).map(|name| (name.as_str(), kind));
    let all = match node.op_type() {
        "Conv" => {
            let groups = attribute_int(node, "group").unwrap_or(1);
            let kind = match kernel(node, shapes).as_deref() {
                Some([_, 1, ..]) if groups > 1 => WeightKind::DepthwiseKernel,
                Some([_, _, area @ ..]) if area.iter().all(|length| *length == 1) => {
                    WeightKind::PointwiseKernel
                }
                _ => WeightKind::DenseKernel,
            };
            [input(1, kind), input(2, WeightKind::Bias)]
        }
        "Gemm" => [input(1, WeightKind::DenseLayer), input(2, WeightKind::Bias)],
        "MatMul" => [input(1, WeightKind::DenseLayer), None],
        _ => [None, None],
    };
    all.into_iter().flatten().collect()
}

/// Multiply-accumulates of one image, for each node of the path.
pub(super) fn multiply_accumulates(graph: &Graph, path: &DataPath) -> Vec<u64> {
    path.nodes
        .iter()
        .map(|index| {
            let node = graph.nodes.get(*index);
            node.and_then(|node| node_macs(node, &path.shapes))
                .unwrap_or(0)
        })
        .collect()
}

fn node_macs(node: &NodeProto, shapes: &Shapes) -> Option<u64> {
    let per_output: usize = match node.op_type() {
        "Conv" => kernel(node, shapes)?.get(1..)?.iter().product(),
        "Gemm" | "MatMul" => {
            let matrix = shapes.get(node.input.get(1)?)?;
            let transposed = attribute_int(node, "transB").unwrap_or(0) != 0;
            let [.., rows, columns] = matrix.as_slice() else {
                return None;
            };
            if transposed { columns } else { rows }.fixed()?
        }
        _ => return None,
    };
    let output = shapes.get(node.output.first()?)?;
    // The batch is one image.
    let outputs: usize = output
        .get(1..)?
        .iter()
        .map(Dim::fixed)
        .product::<Option<_>>()?;
    Some((outputs * per_output) as u64)
}
