//! Rewrites operators that some formats lack as arithmetic.

use std::collections::HashSet;

use crate::graph::ops::{Elementwise, Norm, Reduce, ReduceKind};
use crate::graph::structure::Node;
use crate::graph::value::{ValueId, wrap};
use crate::graph::{Graph, Op};

/// Coefficients of the error function for x ≥ 0: `1 - (a₁t + a₂t² + … + a₅t⁵) · exp(-x²)` with `t = 1 / (1 + px)`,
/// with an error of at most 1.5·10⁻⁷ (Abramowitz and Stegun 1964, 7.1.26). First p, then a₁ to a₅.
const ERF: [f64; 6] = [
    0.327_591_1,
    0.254_829_592,
    -0.284_496_736,
    1.421_413_741,
    -1.453_152_027,
    1.061_405_429,
];

impl Graph {
    /// Rewrites each `LayerNormalization` and each `Erf` as sums, products, means, roots and exponentials.
    pub fn write_out_norms_and_erf(&mut self) {
        let reads = self.nodes.iter().flat_map(Node::reads);
        let read: HashSet<ValueId> = reads.chain(self.outputs.iter().copied()).collect();
        for node in std::mem::take(&mut self.nodes) {
            let mut further = node.outputs.iter().skip(1).flatten();
            let is_alone = !further.any(|value| read.contains(value));
            let written = match &node.op {
                Op::Norm(Norm::Layer { axis, epsilon, .. }) if is_alone => {
                    self.written_out_norm(&node, *axis, *epsilon)
                }
                Op::Elementwise(Elementwise::Erf) => self.written_out_erf(&node),
                _ => None,
            };
            // The last node takes over the original node's name and result.
            if written.is_none() {
                self.push_node(node);
            }
        }
        self.prune();
    }

    /// `(x - mean) / √(mean((x - mean)²) + ε) · scale + bias`
    fn written_out_norm(&mut self, node: &Node, axis: i64, epsilon: f32) -> Option<()> {
        let (x, scale) = (node.input(0)?, node.input(1)?);
        let rank = self.shape(x)?.len();
        let axes: Vec<i64> = (wrap(axis, rank)? as i64..rank as i64).collect();
        let name = self.name_of_node(node).to_owned();
        let mean = self.mean_along(x, &axes);
        let centred = self.op_named(Elementwise::Sub, &[x, mean], &format!("{name}/centred"));
        let square = self.mul(centred, centred);
        let variance = self.mean_along(square, &axes);
        let epsilon = self.number(f64::from(epsilon));
        let shifted = self.add(variance, epsilon);
        let deviation = [shifted];
        let deviation = self.op_named(Elementwise::Sqrt, &deviation, &format!("{name}/deviation"));
        let normal = self.div(centred, deviation);
        let (last, operands) = match node.input(2) {
            Some(bias) => (Elementwise::Add, [self.mul(normal, scale), bias]),
            None => (Elementwise::Mul, [normal, scale]),
        };
        self.substitute(node, last, &operands)
    }

    /// [`ERF`] of `|x|`, times `x / |x|`.
    fn written_out_erf(&mut self, node: &Node) -> Option<()> {
        let x = node.input(0)?;
        let [p, coefficients @ ..] = ERF;
        let one = self.number(1.0);
        let size = self.op(Elementwise::Abs, &[x]);
        let p = self.number(p);
        let t = self.mul(size, p);
        let t = self.add(t, one);
        let t = self.div(one, t);
        let mut sum = None;
        for coefficient in coefficients.into_iter().rev() {
            let coefficient = self.number(coefficient);
            let next = match sum {
                Some(sum) => self.add(sum, coefficient),
                None => coefficient,
            };
            sum = Some(self.mul(next, t));
        }
        let square = self.mul(x, x);
        let falling = self.neg(square);
        let falling = self.op(Elementwise::Exp, &[falling]);
        let rest = self.mul(sum?, falling);
        let positive = self.sub(one, rest);
        // Avoids a division by zero; smaller than any other term.
        let least = self.number(1e-30);
        let divisor = self.add(size, least);
        let sign = self.div(x, divisor);
        self.substitute(node, Elementwise::Mul, &[positive, sign])
    }

    fn mean_along(&mut self, value: ValueId, axes: &[i64]) -> ValueId {
        // The axes are an attribute before version 18, an input since.
        if self.opset < 18 {
            return self.op(Reduce::along(ReduceKind::Mean, axes, true), &[value]);
        }
        let axes = self.ints(axes);
        self.op(Reduce::new(ReduceKind::Mean, true), &[value, axes])
    }

    /// Adds a node that computes the first result of `of`.
    fn substitute(&mut self, of: &Node, op: Elementwise, operands: &[ValueId]) -> Option<()> {
        let output = of.output()?;
        self.push_node(Node {
            name: of.name.clone(),
            op: op.into(),
            inputs: operands.iter().copied().map(Some).collect(),
            outputs: vec![Some(output)],
        });
        Some(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use crate::onnx::{ElementType, Session, Tensor};

    use super::*;

    fn run(graph: &Graph, x: &Tensor) -> Vec<f32> {
        let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
        let found = session.run(&[("x", x)], &["y"]).unwrap();
        found[0].f32().unwrap().to_vec()
    }

    fn numbers(count: usize, spread: f32) -> Vec<f32> {
        let at = |at: usize| ((at * 7919 + at / 3) % 512) as f32 / 256.0 - 1.0;
        (0..count).map(|index| spread * at(index)).collect()
    }

    #[test]
    fn the_error_function_is_that_of_the_runtime() {
        let mut graph = Graph::new("g");
        let x = graph.input("x", ElementType::F32, &[1007.into()]);
        let y = graph.op_named(Elementwise::Erf, &[x], "y");
        graph.output(y);
        let mut values = numbers(1000, 5.0);
        values.extend([0.0, -0.0, 1e-20, -1e-20, 1e-6, 90.0, -90.0]);
        let x = Tensor::new([1007], values);
        let expected = run(&graph, &x);
        graph.write_out_norms_and_erf();
        assert!(
            graph
                .nodes
                .iter()
                .all(|node| node.op != Op::from(Elementwise::Erf))
        );
        for (found, expected) in run(&graph, &x).iter().zip(expected) {
            assert!((found - expected).abs() < 5e-7, "{found} {expected}");
        }
    }

    #[test]
    fn a_layer_norm_is_that_of_the_runtime() {
        for (axis, with_bias) in [(-1, true), (2, false), (1, true)] {
            let mut graph = Graph::new("g");
            let x = graph.input("x", ElementType::F32, &["N".into(), 6.into(), 8.into()]);
            let shape = if axis == 1 { vec![6, 8] } else { vec![8] };
            let count = shape.iter().product();
            let scale = graph.constant(Tensor::new(shape.clone(), numbers(count, 2.0)));
            let bias = graph.constant(Tensor::new(shape, numbers(count, 0.5)));
            let norm = Norm::Layer {
                axis,
                epsilon: 1e-3,
                stash: 1,
            };
            let operands = [x, scale, bias];
            let operands = if with_bias {
                &operands[..]
            } else {
                &operands[..2]
            };
            let y = graph.op_named(norm, operands, "y");
            graph.output(y);
            let mut values = numbers(2 * 48, 3.0);
            // Far from zero, and all equal.
            values.iter_mut().take(48).for_each(|value| *value += 100.0);
            values
                .iter_mut()
                .skip(48)
                .take(8)
                .for_each(|value| *value = 7.0);
            let x = Tensor::new([2, 6, 8], values);
            let expected = run(&graph, &x);
            graph.write_out_norms_and_erf();
            assert!(
                !graph
                    .nodes
                    .iter()
                    .any(|node| matches!(node.op, Op::Norm(_)))
            );
            for (found, expected) in run(&graph, &x).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-4, "{found} {expected}");
            }
        }
    }
}
