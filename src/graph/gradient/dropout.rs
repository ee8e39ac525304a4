//! Dropout with masks that are values of the graph, so that the forward and the backward pass drop the same values,
//! and a resumed training draws the same masks as an uninterrupted one.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::graph::ops::{Elementwise, Reshaping};
use crate::graph::structure::Node;
use crate::graph::{Dim, Graph, GraphError, Op, ValueId};
use crate::onnx::{Element, ElementType};

/// The mask of one `Dropout`.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    /// The name of the graph's `f32` input for the mask.
    pub input: String,
    /// Its shape.
    pub shape: Vec<Dim>,
    /// The fraction of values that are dropped, in 0..1.
    pub ratio: f32,
}

impl Mask {
    /// Fills `values` with the mask of one step: 0 for dropped values, `1 / (1 - ratio)` for the others, so that the
    /// expected value stays the same. Depends only on `seed`, `step` and the mask's name.
    pub fn fill(&self, seed: u64, step: u64, values: &mut [f32]) {
        let mut key = [0; 32];
        let name = blake3::hash(self.input.as_bytes());
        let parts = seed.to_le_bytes().into_iter().chain(step.to_le_bytes());
        let bytes = parts.chain(name.as_bytes().iter().copied());
        for (slot, byte) in key.iter_mut().zip(bytes) {
            *slot = byte;
        }
        let mut random = ChaCha8Rng::from_seed(key);
        let kept = 1.0 / (1.0 - self.ratio);
        for value in values {
            // 24 bits are the precision of a float in 0..1.
            let unit = (random.next_u32() >> 8) as f32 / (1_u32 << 24) as f32;
            *value = if unit < self.ratio { 0.0 } else { kept };
        }
    }
}

/// Replaces each `Dropout` node by a product with a mask, a new input of the graph, and returns the masks in the order
/// of the nodes. A ratio of 0 needs no mask.
///
/// # Errors
/// [`GraphError::Model`] if a ratio is not a constant in 0..1, if a shape is unknown apart from free dimensions, or if
/// a node's own mask is read.
pub fn explicit_masks(graph: &mut Graph) -> Result<Vec<Mask>, GraphError> {
    let mut masks = Vec::new();
    for index in 0..graph.nodes.len() {
        let Some(node) = graph.nodes.get(index) else {
            continue;
        };
        let Op::Reshaping(Reshaping::Dropout { ratio, .. }) = node.op else {
            continue;
        };
        let (x, ratio, shape) = masked(graph, node, ratio)?;
        let (op, inputs) = if ratio > 0.0 {
            let name = graph.unique("mask");
            let mask = graph.input(&name, ElementType::F32, &shape);
            masks.push(Mask {
                input: name.to_string(),
                shape,
                ratio,
            });
            (Op::from(Elementwise::Mul), vec![Some(x), Some(mask)])
        } else {
            (Op::from(Reshaping::Identity), vec![Some(x)])
        };
        if let Some(node) = graph.nodes.get_mut(index) {
            node.op = op;
            node.inputs = inputs;
            node.outputs.truncate(1);
        }
    }
    Ok(masks)
}

/// The input of a `Dropout`, its ratio, and the shape of its mask.
fn masked(
    graph: &Graph,
    node: &Node,
    ratio: Option<f32>,
) -> Result<(ValueId, f32, Vec<Dim>), GraphError> {
    let refuse = |what: &str| {
        GraphError::Model(format!(
            "a “Dropout” (node “{}”) {what}",
            graph.name_of_node(node)
        ))
    };
    let (Some(x), Some(_)) = (node.input(0), node.output()) else {
        return Err(refuse("has no input or no output"));
    };
    if let Some(drawn) = node.outputs.get(1).copied().flatten()
        && graph.consumers(drawn).next().is_some()
    {
        return Err(refuse("draws a mask that is used elsewhere"));
    }
    // The ratio is the second input since version 12 of the operators, before that an attribute.
    let ratio = match node.input(1) {
        Some(ratio) => graph
            .constant_of(ratio)
            .and_then(|value| match &value.data {
                Element::F32(values) => values.first().copied(),
                Element::F64(values) => values.first().map(|ratio| *ratio as f32),
                _ => None,
            }),
        None => Some(ratio.unwrap_or(0.5)),
    };
    let ratio = ratio
        .filter(|ratio| (0.0..1.0).contains(ratio))
        .ok_or_else(|| refuse("has no constant ratio between 0 and 1"))?;
    let shape = graph
        .shape(x)
        .ok_or_else(|| refuse("drops values of a tensor whose shape is unknown"))?;
    Ok((x, ratio, shape.to_vec()))
}
