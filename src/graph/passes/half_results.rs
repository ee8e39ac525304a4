//! Reproduces the results of hardware that computes in fp16 on a computer without fp16.

use std::sync::Arc;

use half::f16;

use crate::graph::ops::{Activation, Elementwise};
use crate::graph::structure::Node;
use crate::graph::value::{Fact, ValueId};
use crate::graph::{Graph, Op};
use crate::onnx::{Element, ElementType, Tensor};

impl Graph {
    /// Converts a graph with fp16 values to one that computes in fp32 and rounds each of these values to fp16; values
    /// over 65504 become infinite. ONNX Runtime does neither itself: on a processor without fp16 it keeps results in
    /// fp32 from operator to operator (as of version 1.32), so that a network that overflows in fp16 gives finite
    /// results.
    #[must_use]
    pub fn rounding_to_half(&self) -> Self {
        let mut graph = self.clone();
        for constant in self.constants() {
            if let Some(tensor) = self.constant_of(constant)
                && let Element::F16(halves) = &tensor.data
            {
                let values: Vec<f32> = halves.iter().copied().map(f16::to_f32).collect();
                let tensor = Tensor::new(tensor.shape.clone(), values);
                graph.make_constant(constant, Arc::new(tensor));
            }
        }
        for input in self.inputs() {
            graph.widen(*input);
        }
        for mut node in std::mem::take(&mut graph.nodes) {
            let mut rounded = Vec::new();
            let is_narrowing = matches!(
                node.op,
                Op::Elementwise(Elementwise::Cast(ElementType::F16))
            );
            let is_exact = is_exact(&node.op);
            for slot in &mut node.outputs {
                let Some(value) = *slot else { continue };
                if !graph.widen(value) || is_exact {
                    continue;
                }
                let half = graph.like(value, "half", ElementType::F16);
                if is_narrowing {
                    *slot = Some(half);
                } else {
                    let wide = graph.like(value, "wide", ElementType::F32);
                    *slot = Some(wide);
                    rounded.push(cast(wide, half, ElementType::F16));
                }
                rounded.push(cast(half, value, ElementType::F32));
            }
            graph.nodes.push(node);
            graph.nodes.extend(rounded);
        }
        // The indices of the nodes have changed.
        graph.retain_nodes(|_, _| true);
        graph
    }

    /// Changes the type of an fp16 value to fp32; returns whether it was fp16.
    fn widen(&mut self, value: ValueId) -> bool {
        let fact = &mut self.value_mut(value).fact;
        let is_half = fact.element == Some(ElementType::F16);
        if is_half {
            fact.element = Some(ElementType::F32);
        }
        is_half
    }

    /// A new value with the shape of another.
    fn like(&mut self, value: ValueId, what: &str, element: ElementType) -> ValueId {
        let fact = Fact::of(Some(element), self.fact(value).shape.clone());
        let name = format!("{}.{what}", self.name_of(value));
        self.add_value(&name, fact)
    }
}

fn cast(from: ValueId, to: ValueId, element: ElementType) -> Node {
    Node {
        name: String::new(),
        op: Elementwise::Cast(element).into(),
        inputs: vec![Some(from)],
        outputs: vec![Some(to)],
    }
}

/// Whether its results are copies of its inputs, which need no rounding.
fn is_exact(op: &Op) -> bool {
    matches!(
        op,
        Op::Reshaping(_)
            | Op::Moves(_)
            | Op::Activation(Activation::Relu | Activation::Clip { .. })
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use crate::graph::Dim;
    use crate::graph::ops::Linear;
    use crate::onnx::Session;

    use super::*;

    /// `x · w · v`.
    fn product(w: f32, v: f32) -> Graph {
        let mut graph = Graph::new("test");
        let x = graph.input("x", ElementType::F32, &[Dim::from("N"), 1.into()]);
        let mut product = x;
        for (name, weight) in [("w", w), ("v", v)] {
            let weight = graph.constant_named(name, Tensor::new([1, 1], vec![weight]));
            product = graph.op(Linear::MatMul, &[product, weight]);
        }
        graph.output_as(product, "y");
        graph
    }

    fn run(graph: &Graph, x: f32) -> f32 {
        let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
        let x = Tensor::new([1, 1], vec![x]);
        session.run(&[("x", &x)], &["y"]).unwrap()[0].f32().unwrap()[0]
    }

    #[test]
    fn results_are_rounded_and_overflow() {
        let half = product(1.001, 1.0).to_half().unwrap();
        // Written and read again, as through a file.
        let half = Graph::from_onnx(&half.to_onnx()).unwrap();
        // 1025 · (1 + 2^-10) = 1026.00098; fp16 has steps of 1 there.
        assert_eq!(
            run(&half.rounding_to_half(), 1025.0).to_bits(),
            1026.0_f32.to_bits()
        );
        // The first product overflows; the second would make it small again.
        let large = product(300.0, 0.001).to_half().unwrap();
        assert!(run(&large.rounding_to_half(), 300.0).is_infinite());
        assert!(run(&large.rounding_to_half(), 200.0).is_finite());
        // A graph without fp16 stays the same.
        let whole = product(1.001, 1.0);
        assert_eq!(whole.rounding_to_half(), whole);
    }
}
