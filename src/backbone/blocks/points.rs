//! The way of the data through a graph: which nodes it passes, and where it is one tensor alone.

use std::collections::{HashMap, HashSet};

use crate::graph::ops::{Elementwise, Linear};
use crate::graph::{Dim, Graph, Node, Op, ValueId};
use crate::onnx::ElementType;

use super::{Block, CutAt};

/// The way of the data from the input to the output. Constants, and what is computed from constants alone,
/// are not on it.
pub(super) struct DataPath {
    /// Indices of the nodes on the way.
    pub nodes: Vec<usize>,
    /// Where the data is one tensor alone, from the input on.
    points: Vec<Point>,
    /// Which of `nodes` are spatial convolutions, by their place there.
    spatial: Vec<usize>,
}

struct Point {
    cut: CutAt,
    /// How many of [`DataPath::nodes`] lie in front of it.
    begin: usize,
}

impl DataPath {
    /// Follows the data from the input of `graph`, `input`, to its outputs. Each node leads to an output.
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

        // Reads to come of each value: the nodes stand in an order in which each follows what it reads, so a
        // value that alone has reads left is one that everything after it depends on.
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

    /// How many of the nodes lie in front of a point; all, when it is none.
    pub fn begin(&self, tensor: &str) -> usize {
        self.points
            .iter()
            .find(|point| point.cut.tensor == tensor)
            .map_or(self.nodes.len(), |point| point.begin)
    }

    /// The blocks, as the head of the parent module says.
    pub fn blocks(&self) -> Vec<Block> {
        // The last point in front of each spatial convolution; several between the same points are one.
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
                // Behind the first of the two up to right in front of the second.
                let between = self.points.get(first + 1..=*second)?.iter().rev();
                let smallest = between.min_by_key(|point| point.cut.elements())?;
                Some(&smallest.cut)
            })
            .collect();
        // The stem goes with the block after it.
        if !cuts.is_empty() {
            cuts.remove(0);
        }
        let (Some(input), Some(last)) = (self.points.first(), before.last()) else {
            return Vec::new();
        };
        // The last feature map: behind the last spatial convolution, before pooling makes it smaller.
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

/// `[C, H, W]` of a batch of feature maps, `[T, C]` of one of tokens.
fn map_shape(shape: &[Dim]) -> Option<Vec<usize>> {
    let [_, inner @ ..] = shape else {
        return None;
    };
    let inner: Vec<usize> = inner.iter().map(Dim::fixed).collect::<Option<_>>()?;
    // One token is a pooled vector.
    let is_map = inner.len() == 3 || (inner.len() == 2 && inner.iter().all(|len| *len > 1));
    is_map.then_some(inner)
}

/// Whether a node mixes what is seen in different places: a convolution whose kernel covers more than one pixel, or a
/// product of two computed matrices as in an attention.
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
