//! The data path through a graph: its nodes, and the points at which it is a single tensor.

use std::collections::{HashMap, HashSet};

use crate::graph::ops::{Elementwise, Linear};
use crate::graph::{Dim, Graph, Node, Op, ValueId};
use crate::onnx::ElementType;

use super::{Block, CutAt};

/// The path of the data from the input to the output, without constants and values computed from constants alone.
pub(super) struct DataPath {
    /// Indices of the nodes on the path.
    pub nodes: Vec<usize>,
    /// Where the data is a single tensor, from the input on.
    points: Vec<Point>,
    /// The spatial convolutions, as indices into `nodes`.
    spatial: Vec<usize>,
}

struct Point {
    cut: CutAt,
    /// How many of [`DataPath::nodes`] precede it.
    begin: usize,
}

impl DataPath {
    /// Follows the data from the input of `graph`, `input`, to its outputs. Each node must lead to an output.
    pub fn find(graph: &Graph, input: &CutAt) -> Self {
        let mut data: HashSet<ValueId> = graph.inputs().iter().copied().collect();
        let mut nodes = Vec::new();
        for (index, node) in graph.nodes().iter().enumerate() {
            if node.reads().any(|value| data.contains(&value)) {
                data.extend(node.makes());
                nodes.push(index);
            }
        }
        let on_path = || nodes.iter().filter_map(|index| graph.nodes().get(*index));
        let spatial = on_path()
            .enumerate()
            .filter(|(_, node)| is_spatial(graph, node, &data))
            .map(|(at, _)| at)
            .collect();

        // Remaining reads of each value: the nodes are in topological order, so everything after a value depends on it
        // if it is the only one with remaining reads.
        let mut reads: HashMap<ValueId, usize> = HashMap::new();
        for value in on_path().flat_map(Node::reads) {
            *reads.entry(value).or_default() += 1;
        }
        let mut points = vec![Point {
            cut: input.clone(),
            begin: 0,
        }];
        let mut live: HashSet<ValueId> = graph.inputs().iter().copied().collect();
        let mut other_types: HashSet<ValueId> = HashSet::new();
        for (at, node) in on_path().enumerate() {
            for value in node.reads() {
                if let Some(left) = reads.get_mut(&value) {
                    *left -= 1;
                    if *left == 0 {
                        live.remove(&value);
                    }
                }
            }
            let other_type = match node.op {
                Op::Elementwise(Elementwise::Cast(to)) => to != ElementType::F32,
                _ => node.reads().any(|value| other_types.contains(&value)),
            };
            for value in node.makes() {
                if reads.contains_key(&value) {
                    live.insert(value);
                }
                if other_type {
                    other_types.insert(value);
                }
            }
            if let Some(value) = node.output()
                && live.len() == 1
                && live.contains(&value)
                && !other_type
                && let Some(shape) = graph.shape(value).and_then(map_shape)
            {
                points.push(Point {
                    cut: CutAt {
                        tensor: graph.name_of(value).to_owned(),
                        shape,
                    },
                    begin: at + 1,
                });
            }
        }
        Self {
            nodes,
            points,
            spatial,
        }
    }

    /// How many of the nodes precede a point; all if it is no point.
    pub fn begin(&self, tensor: &str) -> usize {
        self.points
            .iter()
            .find(|point| point.cut.tensor == tensor)
            .map_or(self.nodes.len(), |point| point.begin)
    }

    /// The blocks, as defined in the parent module.
    pub fn blocks(&self) -> Vec<Block> {
        // The last point before each spatial convolution; convolutions between the same points form one block.
        let mut before: Vec<usize> = self
            .spatial
            .iter()
            .map(|node| self.points.partition_point(|point| point.begin <= *node))
            .map(|count| count.saturating_sub(1))
            .collect();
        before.dedup();
        let mut cuts: Vec<&CutAt> = before
            .windows(2)
            .filter_map(|pair| {
                let [first, second] = pair else { return None };
                // From after the first of the two up to just before the second.
                let between = self.points.get(first + 1..=*second)?.iter().rev();
                let smallest = between.min_by_key(|point| point.cut.elements())?;
                Some(&smallest.cut)
            })
            .collect();
        // The stem belongs to the block after it.
        if !cuts.is_empty() {
            cuts.remove(0);
        }
        let (Some(input), Some(last)) = (self.points.first(), before.last()) else {
            return Vec::new();
        };
        // The last feature map: after the last spatial convolution, before pooling reduces it.
        let area = |point: &Point| point.cut.area().to_vec();
        let behind = self.points.get(last + 1).or(self.points.last());
        let end = self
            .points
            .iter()
            .rfind(|point| Some(area(point)) == behind.map(area));
        let starts = std::iter::once(&input.cut).chain(cuts.iter().copied());
        let ends = cuts.iter().copied().chain(end.map(|point| &point.cut));
        starts
            .zip(ends)
            .map(|(cut, output)| Block {
                cut: cut.clone(),
                output: output.clone(),
            })
            .collect()
    }
}

/// The shape of feature maps or tokens without the batch: `[C, H, W]` or `[T, C]`.
fn map_shape(shape: &[Dim]) -> Option<Vec<usize>> {
    let [_, inner @ ..] = shape else {
        return None;
    };
    let inner: Vec<usize> = inner.iter().map(Dim::fixed).collect::<Option<_>>()?;
    // A single token is a pooled vector.
    let is_map = inner.len() == 3 || (inner.len() == 2 && inner.iter().all(|len| *len > 1));
    is_map.then_some(inner)
}

/// Whether a node mixes places: a convolution whose kernel covers more than one pixel, or a product of two computed
/// matrices, as in attention.
fn is_spatial(graph: &Graph, node: &Node, data: &HashSet<ValueId>) -> bool {
    if matches!(node.op, Op::Linear(Linear::MatMul)) {
        return node
            .inputs
            .iter()
            .flatten()
            .all(|value| data.contains(value));
    }
    let kernel = node.input(1).and_then(|kernel| graph.lens(kernel));
    matches!(node.op, Op::Conv(_))
        && kernel.is_some_and(|kernel| kernel.iter().skip(2).any(|length| *length > 1))
}
