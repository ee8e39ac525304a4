//! The trainable weights of a graph, and its costs.

use std::collections::HashSet;

use crate::graph::{Dim, Graph, Node, ValueId, WeightKind};

use super::points::DataPath;

/// A trainable constant of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Weight {
    /// Its name in the graph.
    pub name: String,
    /// Its role.
    pub kind: WeightKind,
    /// Its number of elements.
    pub elements: usize,
    /// The number of its block, counted from the network's end: 1 for the last.
    pub from_end: usize,
}

/// The weights of the nodes from index `begin` of the path on, each once, except scales and means of a batch
/// normalisation that was not folded, which are not trained. `starts` has the index at which each block begins.
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
    // Values computed from the data; a weight may be a constant or a cast of one from fp16.
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

/// Multiply-accumulates for one image, for each node of the path.
pub(super) fn multiply_accumulates(graph: &Graph, path: &DataPath) -> Vec<u64> {
    let nodes = path.nodes.iter().map(|index| graph.nodes().get(*index));
    nodes
        .map(|node| node.map_or(0, |node| graph.macs(node)))
        .collect()
}
