//! Folding the batch normalisation of inference into the layer before it.

use std::collections::HashSet;

use crate::graph::ops::{Elementwise, Linear, Norm};
use crate::graph::structure::Node;
use crate::graph::value::ValueId;
use crate::graph::{Graph, GraphError, Op};
use crate::onnx::Tensor;

/// A batch normalisation as `x · scale + shift` for each channel.
struct Affine {
    scale: Vec<f32>,
    shift: Vec<f32>,
}

impl Graph {
    /// Folds each batch normalisation with constant statistics into the convolution or `Gemm` whose only reader it is;
    /// without such a layer it is rewritten as a product and a sum. Computed in double precision. Normalisations with
    /// statistics of the batch stay.
    pub fn fold_batch_norm(&mut self) -> Result<(), GraphError> {
        let mut gone = HashSet::new();
        for index in 0..self.nodes.len() {
            let Some(affine) = self.nodes.get(index).and_then(|node| self.affine(node)) else {
                continue;
            };
            if let Some(layer) = self.layer_before(index)
                && self.fold_into(layer, index, &affine)?
            {
                gone.insert(index);
            }
        }
        self.retain_nodes(|at, _| !gone.contains(&at));
        self.write_out_batch_norm();
        self.prune();
        Ok(())
    }

    fn affine(&self, node: &Node) -> Option<Affine> {
        let Op::Norm(Norm::Batch {
            epsilon,
            training: false,
            ..
        }) = node.op
        else {
            return None;
        };
        let numbers = |at: usize| self.constant_of(node.input(at)?)?.f32().ok();
        let (scale, bias, mean, variance) = (numbers(1)?, numbers(2)?, numbers(3)?, numbers(4)?);
        if [bias.len(), mean.len(), variance.len()] != [scale.len(); 3] {
            return None;
        }
        let mut affine = Affine {
            scale: Vec::with_capacity(scale.len()),
            shift: Vec::with_capacity(scale.len()),
        };
        for (((scale, bias), mean), variance) in scale.iter().zip(bias).zip(mean).zip(variance) {
            let factor = f64::from(*scale) / (f64::from(*variance) + f64::from(epsilon)).sqrt();
            affine.scale.push(factor as f32);
            affine
                .shift
                .push((f64::from(*bias) - f64::from(*mean) * factor) as f32);
        }
        Some(affine)
    }

    /// The convolution or `Gemm` whose result only the node at `index` reads.
    fn layer_before(&self, index: usize) -> Option<usize> {
        let value = self.nodes.get(index)?.input(0)?;
        let layer = self.value(value).producer()?;
        let is_layer = matches!(
            self.nodes.get(layer)?.op,
            Op::Conv(_) | Op::Linear(Linear::Gemm(_))
        );
        let is_alone = self.consumers(value).count() == 1 && !self.outputs.contains(&value);
        (is_layer && is_alone).then_some(layer)
    }

    /// Folds the normalisation at `norm` into the layer; returns whether that was possible. Its weights must be
    /// constant.
    fn fold_into(
        &mut self,
        layer: usize,
        norm: usize,
        affine: &Affine,
    ) -> Result<bool, GraphError> {
        let (Some(node), Some(output)) = (
            self.nodes.get(layer).cloned(),
            self.nodes.get(norm).and_then(Node::output),
        ) else {
            return Ok(false);
        };
        let channels = affine.scale.len();
        let Some(weight) = node
            .input(1)
            .and_then(|value| self.constant_of(value))
            .cloned()
        else {
            return Ok(false);
        };
        // Output channels are the second dimension of a `Gemm`'s matrix that is not transposed, otherwise the first.
        let (by_columns, beta) = match &node.op {
            Op::Linear(Linear::Gemm(gemm)) => (!gemm.trans_b, gemm.beta),
            _ => (false, 1.0),
        };
        let axis = usize::from(by_columns);
        if weight.f32().is_err() || weight.shape.get(axis) != Some(&channels) || channels == 0 {
            return Ok(false);
        }
        let bias = match node.input(2) {
            None => vec![0.0; channels],
            Some(value) => match self.constant_of(value).map(|bias| bias.f32()) {
                Some(Ok(bias)) if bias.len() == channels => bias.to_vec(),
                Some(Ok([one])) => vec![*one; channels],
                _ => return Ok(false),
            },
        };
        let mut values = weight.f32()?.to_vec();
        if by_columns {
            for row in values.chunks_exact_mut(channels) {
                for (value, scale) in row.iter_mut().zip(&affine.scale) {
                    *value *= scale;
                }
            }
        } else {
            let each = values.len() / channels;
            for (kernel, scale) in values.chunks_exact_mut(each.max(1)).zip(&affine.scale) {
                for value in kernel {
                    *value *= scale;
                }
            }
        }
        // `Gemm` scales its added matrix by `beta`.
        let bias: Vec<f32> = bias
            .iter()
            .zip(affine.scale.iter().zip(&affine.shift))
            .map(|(bias, (scale, shift))| bias * scale + shift / beta)
            .collect();
        if bias.iter().any(|value| !value.is_finite()) {
            return Ok(false);
        }
        let name = self.name_of(output).to_owned();
        let weight = self.constant_named(
            &format!("{name}.weight"),
            Tensor::new(weight.shape.clone(), values),
        );
        let bias = self.constant_named(&format!("{name}.bias"), Tensor::new([channels], bias));
        if let Some(node) = self.nodes.get_mut(layer) {
            node.inputs.resize(3, None);
            node.inputs.splice(1..3, [Some(weight), Some(bias)]);
            node.outputs = vec![Some(output)];
        }
        self.value_mut(output).producer = Some(layer);
        Ok(true)
    }

    /// Rewrites the remaining normalisations as a product and a sum.
    fn write_out_batch_norm(&mut self) {
        let nodes = std::mem::take(&mut self.nodes);
        for node in nodes {
            let (Some(affine), Some(x), Some(output)) =
                (self.affine(&node), node.input(0), node.output())
            else {
                self.nodes.push(node);
                continue;
            };
            let rank = self.shape(x).map_or(4, <[_]>::len);
            let mut shape = vec![affine.scale.len()];
            shape.resize(rank.saturating_sub(1).max(1), 1);
            let scale = self.constant(Tensor::new(shape.clone(), affine.scale));
            let shift = self.constant(Tensor::new(shape, affine.shift));
            let fact = self.fact(output).clone();
            let name = self.unique("scaled");
            let scaled = self.add_value(&name, fact);
            let made = |op: Elementwise, inputs: [ValueId; 2], output| Node {
                name: String::new(),
                op: op.into(),
                inputs: inputs.map(Some).to_vec(),
                outputs: vec![Some(output)],
            };
            self.nodes.push(made(Elementwise::Mul, [x, scale], scaled));
            self.nodes
                .push(made(Elementwise::Add, [scaled, shift], output));
        }
        // The indices of the nodes have changed.
        self.retain_nodes(|_, _| true);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use crate::graph::Dim;
    use crate::graph::ops::{Conv, Reshaping};
    use crate::onnx::{Element, ElementType, Session};

    use super::*;

    fn numbers(count: usize, from: f32) -> Vec<f32> {
        (0..count)
            .map(|at| from + (at * 7 % 11) as f32 / 8.0)
            .collect()
    }

    fn norm(graph: &mut Graph, x: ValueId, channels: usize) -> ValueId {
        let [scale, bias, mean, variance] = [0.5, -0.5, 0.25, 0.75]
            .map(|from| graph.constant(Tensor::new([channels], numbers(channels, from))));
        let norm = Norm::Batch {
            epsilon: 0.01,
            momentum: 0.9,
            training: false,
        };
        graph.op(norm, &[x, scale, bias, mean, variance])
    }

    fn run(graph: &Graph) -> Vec<f32> {
        let input = graph.inputs()[0];
        let lens = graph.lens(input).unwrap();
        let values = numbers(lens.iter().product(), -0.5);
        let input = (graph.name_of(input), &Tensor::new(lens, values));
        let names: Vec<&str> = graph
            .outputs()
            .iter()
            .map(|id| graph.name_of(*id))
            .collect();
        let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
        let all = session.run(&[input], &names).unwrap().into_iter();
        all.flat_map(|tensor| match tensor.data {
            Element::F32(values) => values,
            other => panic!("{other:?}"),
        })
        .collect()
    }

    #[test]
    fn what_is_computed_stays_and_the_normalisation_goes() {
        for case in 0..5 {
            let mut graph = Graph::new("g");
            let lens: &[usize] = if case < 3 { &[1, 2, 4, 4] } else { &[2, 4] };
            let x = graph.input("x", ElementType::F32, &Dim::all_fixed(lens));
            let y = match case {
                // After a convolution; after one with another reader; without one.
                0 | 1 => {
                    let w = graph.constant(Tensor::new([3, 2, 2, 2], numbers(24, -0.6)));
                    let conv = graph.op(Conv::plain(), &[x, w]);
                    if case == 1 {
                        let copy = graph.op(Reshaping::Identity, &[conv]);
                        graph.output(copy);
                    }
                    norm(&mut graph, conv, 3)
                }
                2 => norm(&mut graph, x, 2),
                _ => {
                    let (op, shape) = if case == 3 {
                        (Linear::GEMM, [4, 3])
                    } else {
                        (Linear::BY_TRANSPOSE, [3, 4])
                    };
                    let w = graph.constant(Tensor::new(shape, numbers(12, -0.6)));
                    let b = graph.constant(Tensor::new([3], numbers(3, 0.1)));
                    let product = graph.op(op, &[x, w, b]);
                    norm(&mut graph, product, 3)
                }
            };
            graph.output(y);
            let before = run(&graph);
            graph.fold_batch_norm().unwrap();
            let is_norm = |node: &Node| matches!(node.op, Op::Norm(_));
            assert!(!graph.nodes().iter().any(is_norm), "{case}");
            let count = [1, 4, 2, 1, 1][case];
            assert_eq!(graph.nodes().len(), count, "{case}: {:#?}", graph.nodes());
            for (before, after) in before.iter().zip(run(&graph)) {
                assert!((before - after).abs() < 1e-5, "{case}: {before} {after}");
            }
        }
    }
}
