//! The trainable numbers of a graph, and what it costs to run.

use std::collections::HashSet;

use crate::graph::{Dim, Graph, Node, ValueId, WeightKind};

use super::points::DataPath;

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
    let on_path = || {
        path.nodes
            .iter()
            .filter_map(|index| graph.nodes().get(*index))
    };
    // Computed from the data; a weight may be a constant, or a reading of one (a cast of fp16).
    let computed: HashSet<ValueId> = on_path().flat_map(Node::makes).collect();
    let mut seen = HashSet::new();
    let mut found = Vec::new();
    for (at, node) in on_path().enumerate().skip(begin) {
        let from_end = 1 + starts.iter().filter(|start| **start > at).count();
        for (value, kind) in graph.weights_of(node) {
            let shape = graph.shape(value);
            let elements = shape.and_then(|shape| shape.iter().map(Dim::fixed).product());
            if let Some(elements) = elements
                && !computed.contains(&value)
                && seen.insert(value)
            {
                found.push(Weight {
                    name: graph.name_of(value).to_owned(),
                    kind,
                    elements,
                    from_end,
                });
            }
        }
    }
    found
}

/// Multiply-accumulates of one image, for each node of the path.
pub(super) fn multiply_accumulates(graph: &Graph, path: &DataPath) -> Vec<u64> {
    let nodes = path.nodes.iter().map(|index| graph.nodes().get(*index));
    nodes
        .map(|node| node.map_or(0, |node| graph.macs(node)))
        .collect()
}
