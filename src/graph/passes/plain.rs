//! Converts a network from any exporter to the form that the rest of the program expects: operators of one version, in
//! single precision, without nodes that only training needs.

use std::sync::Arc;

use crate::graph::ops::{Activation, Elementwise, Linear, Moves, Reduce, ReduceKind, Reshaping};
use crate::graph::structure::Node;
use crate::graph::value::{ValueId, wrap};
use crate::graph::{Graph, GraphError, OPSET, Op};
use crate::onnx::{Element, ElementType, Tensor};

use super::OPSETS;

/// The versions of operators that files may have.
pub const READABLE: std::ops::RangeInclusive<i64> = 9..=24;

impl Graph {
    /// The graph in single precision, with the operators of version [`OPSET`]. A graph with operators of no family
    /// keeps its version.
    ///
    /// # Errors
    /// [`GraphError::Model`] names a version that is too old or too new, or a node that cannot be converted.
    pub fn plain(mut self) -> Result<Self, GraphError> {
        if !READABLE.contains(&self.opset) {
            return Err(GraphError::Model(format!(
                "it uses opset {}, but only {} to {} are supported; export it again with opset_version={OPSET}",
                self.opset,
                READABLE.start(),
                READABLE.end()
            )));
        }
        self.widen_half()?;
        self.raise()?;
        self.write_out_gelu();
        self.prune();
        let is_other = |node: &Node| matches!(node.op, Op::Other(_));
        if self.nodes.iter().any(is_other) {
            return Ok(self);
        }
        // No operator of a family has changed its form since the last of these versions.
        self.opset = self.opset.min(*OPSETS.end());
        self.to_opset(OPSET)
    }

    /// Converts fp16 to fp32.
    fn widen_half(&mut self) -> Result<(), GraphError> {
        let constants: Vec<ValueId> = self.constants().collect();
        for value in constants {
            let halves = self.constant_of(value).and_then(|tensor| widened(tensor));
            if let Some(tensor) = halves {
                self.make_constant(value, Arc::new(tensor));
            }
        }
        for node in &mut self.nodes {
            match &mut node.op {
                Op::Elementwise(Elementwise::Cast(to)) if *to == ElementType::F16 => {
                    *to = ElementType::F32;
                }
                Op::Reshaping(Reshaping::ConstantOfShape { value: Some(value) }) => {
                    if let Some(tensor) = widened(value) {
                        *value = tensor;
                    }
                }
                _ => {}
            }
        }
        for index in 0..self.values.len() {
            let id = ValueId::at(index);
            if self.element(id) == Some(ElementType::F16) {
                self.value_mut(id).fact.element = Some(ElementType::F32);
            }
            if self.foreign(id).is_some() && self.consumers(id).next().is_some() {
                return Err(GraphError::Model(format!(
                    "its value “{}” has an unsupported type (bfloat16, text or a sequence)",
                    self.name_of(id)
                )));
            }
        }
        Ok(())
    }

    /// Converts what were attributes before version 13 to inputs.
    fn raise(&mut self) -> Result<(), GraphError> {
        for index in 0..self.nodes.len() {
            let Some(mut node) = self.nodes.get(index).cloned() else {
                continue;
            };
            if let Op::Reshaping(Reshaping::Dropout { .. }) = node.op {
                node.op = Reshaping::Identity.into();
                node.inputs.truncate(1);
                node.outputs.truncate(1);
            } else if self.opset < *OPSETS.start() {
                self.raise_node(&mut node)?;
            }
            if let Some(place) = self.nodes.get_mut(index) {
                *place = node;
            }
        }
        self.opset = self.opset.max(*OPSETS.start());
        Ok(())
    }

    fn raise_node(&mut self, node: &mut Node) -> Result<(), GraphError> {
        let mut ints = |values: Option<Vec<i64>>| values.map(|values| self.ints(&values));
        let added = match &mut node.op {
            Op::Reshaping(Reshaping::Squeeze { axes } | Reshaping::Unsqueeze { axes }) => {
                vec![ints(axes.take())]
            }
            Op::Reduce(Reduce {
                kind: ReduceKind::Sum,
                axes,
                ..
            }) => vec![ints(axes.take())],
            Op::Moves(Moves::Split { lens, .. }) => vec![ints(lens.take())],
            Op::Moves(Moves::Slice(cut)) => {
                let cut = cut.take_inputs();
                cut.into_iter().map(|values| ints(Some(values))).collect()
            }
            Op::Moves(Moves::Pad { pads, value, .. }) if pads.is_some() => {
                let pads = ints(pads.take());
                let value = value.take();
                vec![pads, value.map(|value| self.number(f64::from(value)))]
            }
            Op::Activation(Activation::Clip { min, max }) => {
                let bounds = [min.take(), max.take()];
                bounds
                    .map(|bound| bound.map(|bound| self.number(f64::from(bound))))
                    .to_vec()
            }
            Op::Softmax(softmax) => {
                // Before version 13, all dimensions from the axis on were combined.
                let rank = node.inputs.first().copied().flatten();
                let rank = rank.and_then(|x| self.shape(x)).map(<[_]>::len);
                let is_last = rank.is_some_and(|rank| wrap(softmax.axis, rank) == Some(rank - 1));
                if !is_last && softmax.axis != -1 {
                    return Err(older(self.name_of_node(node), self.opset, node));
                }
                softmax.axis = -1;
                return Ok(());
            }
            Op::Other(_) => return Err(older(self.name_of_node(node), self.opset, node)),
            _ => return Ok(()),
        };
        if added.iter().any(Option::is_some) {
            node.inputs.truncate(1);
            node.inputs.extend(added);
        }
        Ok(())
    }

    /// Rewrites each `Gelu`, which version [`OPSET`] does not have, with simpler operators.
    fn write_out_gelu(&mut self) {
        use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI};
        for node in std::mem::take(&mut self.nodes) {
            let (Op::Activation(Activation::Gelu { tanh }), Some(x), Some(output)) =
                (&node.op, node.input(0), node.output())
            else {
                self.push_node(node);
                continue;
            };
            let (one, half) = (self.number(1.0), self.number(0.5));
            let bent = if *tanh {
                let (cube, scale) = (self.number(0.044_715), self.number(FRAC_2_PI.sqrt()));
                let square = self.mul(x, x);
                let scaled = self.mul(square, cube);
                let scaled = self.add(scaled, one);
                let inner = self.mul(scaled, x);
                let inner = self.mul(inner, scale);
                self.op(Activation::Tanh, &[inner])
            } else {
                let scale = self.number(FRAC_1_SQRT_2);
                let scaled = self.mul(x, scale);
                self.op(Elementwise::Erf, &[scaled])
            };
            let share = self.add(bent, one);
            let share = self.mul(share, half);
            self.push_node(Node {
                op: Elementwise::Mul.into(),
                inputs: vec![Some(x), Some(share)],
                outputs: vec![Some(output)],
                name: node.name,
            });
        }
    }

    /// Rewrites each product with a constant matrix, and the addition of a constant vector that follows, as one
    /// `Gemm`, if the other factor is a matrix: layouts, gradient rules and formats support that form best.
    pub fn join_linear(&mut self) {
        for index in 0..self.nodes.len() {
            let Some((left, right, bias)) = self.linear_at(index) else {
                continue;
            };
            if let Some(node) = self.nodes.get_mut(index) {
                node.op = Linear::GEMM.into();
                node.inputs = vec![Some(left), Some(right), Some(bias)];
            }
        }
        self.prune();
    }

    /// The factors and the vector of the addition at `index`.
    fn linear_at(&self, index: usize) -> Option<(ValueId, ValueId, ValueId)> {
        let node = self.nodes.get(index)?;
        if node.op != Op::from(Elementwise::Add) {
            return None;
        }
        let (a, b) = (node.input(0)?, node.input(1)?);
        let (product, bias) = if self.constant_of(b).is_some() {
            (a, b)
        } else {
            (b, a)
        };
        let before = self.producer(product)?;
        let (left, right) = (before.input(0)?, before.input(1)?);
        let alone = self.consumers(product).count() == 1 && !self.outputs.contains(&product);
        let matrix = self.constant_of(right)?;
        let fits = self.constant_of(bias)?.shape.last() == matrix.shape.last()
            && self.constant_of(bias)?.shape.len() == 1;
        let is_product = before.op == Op::from(Linear::MatMul)
            && matrix.shape.len() == 2
            && self.shape(left)?.len() == 2;
        (alone && fits && is_product).then_some((left, right, bias))
    }
}

fn older(name: &str, opset: i64, node: &Node) -> GraphError {
    GraphError::Model(format!(
        "“{name}” is a {} of opset {opset}, whose meaning changed in version 13; export it again with opset_version={OPSET}",
        node.op.op_type()
    ))
}

/// An fp16 tensor in fp32.
fn widened(tensor: &Tensor) -> Option<Tensor> {
    let Element::F16(values) = &tensor.data else {
        return None;
    };
    let values: Vec<f32> = values.iter().map(|value| value.to_f32()).collect();
    Some(Tensor::new(tensor.shape.clone(), values))
}
