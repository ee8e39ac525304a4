//! Building a graph: inputs, constants, operators, outputs.
//!
//! Each function adds one item and returns its new value, so that code that builds a graph reads like a formula.

use std::sync::Arc;

use crate::onnx::{ElementType, Tensor};

use super::ops::{Elementwise, Moves, Reduce, ReduceKind, Reshaping};
use super::structure::Node;
use super::value::{Dim, Fact, ValueId, as_ints};
use super::{Graph, Op};

impl Graph {
    /// Adds an input.
    pub fn input(&mut self, name: &str, element: ElementType, shape: &[Dim]) -> ValueId {
        let input = self.add_value(name, Fact::new(element, shape));
        self.inputs.push(input);
        input
    }

    /// Makes a value an output under its own name.
    pub fn output(&mut self, value: ValueId) {
        self.outputs.push(value);
    }

    /// Makes a copy of a value, called `name`, an output.
    pub fn output_as(&mut self, value: ValueId, name: &str) -> ValueId {
        let output = self.op_named(Reshaping::Identity, &[value], name);
        self.output(output);
        output
    }

    /// Sets the type and shape of an output or any other value, as a file declares them.
    pub fn declare(&mut self, value: ValueId, element: ElementType, shape: &[Dim]) {
        self.value_mut(value).fact.element = Some(element);
        self.set_shape(value, shape);
    }

    /// Adds a constant called `name`.
    pub fn constant_named(&mut self, name: &str, tensor: impl Into<Arc<Tensor>>) -> ValueId {
        self.add_value(name, Fact::of_constant(tensor.into()))
    }

    /// Adds a constant.
    pub fn constant(&mut self, tensor: impl Into<Arc<Tensor>>) -> ValueId {
        let name = self.unique("constant");
        self.constant_named(&name, tensor)
    }

    /// A single-precision scalar.
    pub fn number(&mut self, value: f64) -> ValueId {
        self.constant(Tensor::scalar(value as f32))
    }

    /// A one-dimensional constant of 64-bit integers, such as axes or a shape.
    pub fn ints(&mut self, values: &[i64]) -> ValueId {
        self.constant(Tensor::new([values.len()], values.to_vec()))
    }

    /// A 64-bit integer scalar.
    pub fn int(&mut self, value: i64) -> ValueId {
        self.constant(Tensor::scalar(value))
    }

    /// Adds a node with one output.
    pub fn op<I>(&mut self, op: impl Into<Op>, inputs: &[I]) -> ValueId
    where
        I: Copy + Into<Option<ValueId>>,
    {
        let op = op.into();
        let name = self.unique(op.op_type());
        self.op_named(op, inputs, &name)
    }

    /// Adds a node with one output, called `name`.
    pub fn op_named<I>(&mut self, op: impl Into<Op>, inputs: &[I], name: &str) -> ValueId
    where
        I: Copy + Into<Option<ValueId>>,
    {
        let output = self.add_value(name, Fact::default());
        self.push_node(Node {
            name: String::new(),
            op: op.into(),
            inputs: inputs.iter().map(|input| (*input).into()).collect(),
            outputs: vec![Some(output)],
        });
        output
    }

    /// Adds a node with `outputs` outputs.
    pub fn op_many<I>(&mut self, op: impl Into<Op>, inputs: &[I], outputs: usize) -> Vec<ValueId>
    where
        I: Copy + Into<Option<ValueId>>,
    {
        let op = op.into();
        let made: Vec<ValueId> = (0..outputs)
            .map(|_| {
                let name = self.unique(op.op_type());
                self.add_value(&name, Fact::default())
            })
            .collect();
        self.push_node(Node {
            name: String::new(),
            op,
            inputs: inputs.iter().map(|input| (*input).into()).collect(),
            outputs: made.iter().copied().map(Some).collect(),
        });
        made
    }

    /// `a + b`, with broadcasting as for the other operators on elements.
    pub fn add(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Elementwise::Add, &[a, b])
    }

    /// `a - b`.
    pub fn sub(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Elementwise::Sub, &[a, b])
    }

    /// `a · b`.
    pub fn mul(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Elementwise::Mul, &[a, b])
    }

    /// `a / b`.
    pub fn div(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Elementwise::Div, &[a, b])
    }

    /// `-x`.
    pub fn neg(&mut self, x: ValueId) -> ValueId {
        self.op(Elementwise::Neg, &[x])
    }

    /// `a = b`, element by element.
    pub fn equal(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Elementwise::Equal, &[a, b])
    }

    /// `a > b`, element by element.
    pub fn greater(&mut self, a: ValueId, b: ValueId) -> ValueId {
        self.op(Elementwise::Greater, &[a, b])
    }

    /// The same values converted to another type.
    pub fn cast(&mut self, value: ValueId, to: ElementType) -> ValueId {
        self.op(Elementwise::Cast(to), &[value])
    }

    /// `value` in the shape `target`, in which one length may be -1: inferred from the others.
    pub fn reshape(&mut self, value: ValueId, target: &[i64]) -> ValueId {
        let shape = self.ints(target);
        self.reshape_to(value, shape)
    }

    /// `value` in the shape that the value `shape` holds.
    pub fn reshape_to(&mut self, value: ValueId, shape: ValueId) -> ValueId {
        self.op(Reshaping::Reshape { allow_zero: false }, &[value, shape])
    }

    /// `value` with its dimensions in the order `perm`.
    pub fn transpose(&mut self, value: ValueId, perm: &[i64]) -> ValueId {
        let perm = Some(perm.to_vec());
        self.op(Reshaping::Transpose { perm }, &[value])
    }

    /// `value` with dimensions of length 1 inserted at `axes`.
    pub fn unsqueeze(&mut self, value: ValueId, axes: &[i64]) -> ValueId {
        let axes = self.ints(axes);
        self.op(Reshaping::Unsqueeze { axes: None }, &[value, axes])
    }

    /// The shape of a value as a value, computed when the graph runs.
    pub fn shape_of(&mut self, value: ValueId) -> ValueId {
        self.op(Reshaping::SHAPE, &[value])
    }

    /// The number of a value's elements, computed when the graph runs.
    pub fn size_of(&mut self, value: ValueId) -> ValueId {
        self.op(Reshaping::Size, &[value])
    }

    /// `start, start + step, …`, without `end`.
    pub fn range(&mut self, start: ValueId, end: ValueId, step: ValueId) -> ValueId {
        self.op(Moves::Range, &[start, end, step])
    }

    /// `starts..ends` with `steps` of the dimensions `axes`.
    pub fn slice(
        &mut self,
        value: ValueId,
        axes: &[i64],
        starts: &[i64],
        ends: &[i64],
        steps: &[i64],
    ) -> ValueId {
        let [starts, ends, axes, steps] = [starts, ends, axes, steps].map(|ints| self.ints(ints));
        self.op(Moves::SLICE, &[value, starts, ends, axes, steps])
    }

    /// `values` concatenated along `axis`.
    pub fn concat(&mut self, values: &[ValueId], axis: i64) -> ValueId {
        self.op(Moves::Concat { axis }, values)
    }

    /// The slices of `value` at `indices` along `axis`.
    pub fn gather(&mut self, value: ValueId, indices: ValueId, axis: i64) -> ValueId {
        self.op(Moves::Gather { axis }, &[value, indices])
    }

    /// `value` padded with zeros. `pads` has the widths before each dimension, then those after each.
    pub fn pad(&mut self, value: ValueId, pads: &[i64]) -> ValueId {
        let pads = self.ints(pads);
        self.op(Moves::PAD, &[value, pads])
    }

    /// The sum over `axes`, which must not be negative.
    pub fn reduce_sum(&mut self, value: ValueId, axes: &[i64], keep: bool) -> ValueId {
        let axes = self.ints(axes);
        self.op(Reduce::new(ReduceKind::Sum, keep), &[value, axes])
    }

    /// The sum, mean or other reduction of all elements, as a scalar.
    pub fn reduce_all(&mut self, kind: ReduceKind, value: ValueId) -> ValueId {
        self.op(Reduce::new(kind, false), &[value])
    }

    /// `value` in the shape of `like`, which has as many elements.
    pub fn reshape_like(&mut self, value: ValueId, like: ValueId) -> ValueId {
        self.shaped_like(Reshaping::Reshape { allow_zero: false }, value, like)
    }

    /// `value` broadcast to the shape of `like`.
    pub fn expand_like(&mut self, value: ValueId, like: ValueId) -> ValueId {
        self.shaped_like(Reshaping::Expand, value, like)
    }

    /// Applies an operator whose second input is the shape of `like`. Returns `value` itself if the shapes are known
    /// to be equal; the shape is a constant if it is known.
    fn shaped_like(&mut self, op: Reshaping, value: ValueId, like: ValueId) -> ValueId {
        if let (Some(have), Some(want)) = (self.shape(value), self.shape(like))
            && have == want
        {
            return value;
        }
        let shape = match self.lens(like) {
            Some(lens) => self.ints(&as_ints(&lens)),
            None => self.shape_of(like),
        };
        let output = self.op(op, &[value, shape]);
        self.copy_shape(like, output);
        output
    }

    /// Records that `to` has the same shape as `from`.
    pub fn copy_shape(&mut self, from: ValueId, to: ValueId) {
        if let Some(shape) = self.shape(from).map(<[Dim]>::to_vec) {
            self.set_shape(to, &shape);
        }
    }
}
