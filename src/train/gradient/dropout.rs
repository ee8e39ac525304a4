//! Dropout whose masks are values of the graph, so that forward and backward pass drop the same values, and a
//! training that was interrupted draws the same masks again.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::onnx::proto::NodeProto;
use crate::onnx::{Dim, ElementType, Graph, OnnxError, attribute_float};

/// The mask of one `Dropout`.
#[derive(Debug, Clone, PartialEq)]
pub struct Mask {
    /// The input of the graph that it is to be passed to, `f32`.
    pub input: String,
    /// Its shape.
    pub shape: Vec<Dim>,
    /// The share of values that are dropped, in 0..1.
    pub ratio: f32,
}

impl Mask {
    /// Fills `values` with the mask of one step: 0 for what is dropped, `1 / (1 - ratio)` for the rest, so that
    /// the mean stays. Depends on nothing but `seed`, `step` and the mask's name.
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
            // 24 bits: as many as a single-precision number in 0..1 holds.
            let unit = (random.next_u32() >> 8) as f32 / (1_u32 << 24) as f32;
            *value = if unit < self.ratio { 0.0 } else { kept };
        }
    }
}

/// Turns each `Dropout` node into a product with a mask, a new input of the graph, and returns the masks in the
/// order of the nodes. A ratio of 0 needs no mask.
///
/// # Errors
/// The ratio must be a constant in 0..1, the shape of the value must be known as far as it is fixed, and nothing
/// may read the mask that the node itself would draw.
pub fn explicit_masks(graph: &mut Graph) -> Result<Vec<Mask>, OnnxError> {
    let shapes = graph.shapes();
    let mut masks = Vec::new();
    for at in 0..graph.nodes.len() {
        let Some(node) = graph
            .nodes
            .get(at)
            .filter(|node| node.op_type() == "Dropout")
        else {
            continue;
        };
        let node = node.clone();
        let refuse = |what: &str| {
            let name = super::backward::node_name(&node);
            Err(OnnxError::Model(format!(
                "a “Dropout” (node “{name}”) {what}"
            )))
        };
        let (Some(x), Some(y)) = (node.input.first(), node.output.first()) else {
            return refuse("has no input or no output");
        };
        if let Some(drawn) = node.output.get(1).filter(|name| !name.is_empty())
            && graph.consumers(drawn).next().is_some()
        {
            return refuse("draws a mask that is used elsewhere");
        }
        let Some(ratio) = ratio(graph, &node).filter(|ratio| (0.0..1.0).contains(ratio)) else {
            return refuse("has no constant ratio between 0 and 1");
        };
        let Some(shape) = shapes.get(x) else {
            return refuse("drops values of a tensor whose shape is not known");
        };
        let mut replacement = NodeProto {
            name: node.name.clone(),
            op_type: Some("Identity".into()),
            input: vec![x.clone()],
            output: vec![y.clone()],
            ..NodeProto::default()
        };
        if ratio > 0.0 {
            let name = graph.unique("mask");
            graph.input(&name, ElementType::F32, shape);
            replacement.op_type = Some("Mul".into());
            replacement.input.push(name.clone());
            masks.push(Mask {
                input: name,
                shape: shape.clone(),
                ratio,
            });
        }
        if let Some(slot) = graph.nodes.get_mut(at) {
            *slot = replacement;
        }
    }
    Ok(masks)
}

/// The share that a `Dropout` drops: its second input (version 12) or its attribute (version 7).
fn ratio(graph: &Graph, node: &NodeProto) -> Option<f32> {
    match node.input.get(1).filter(|name| !name.is_empty()) {
        Some(name) => {
            let value = graph.known_value(name)?;
            match &value.data {
                crate::onnx::Element::F32(values) => values.first().copied(),
                crate::onnx::Element::F64(values) => values.first().map(|ratio| *ratio as f32),
                _ => None,
            }
        }
        None => Some(attribute_float(node, "ratio").unwrap_or(0.5)),
    }
}
