//! Arithmetic, activations and softmax.

use crate::graph::ops::{Activation as Act, Elementwise, Softmax};
use crate::graph::{Node, ValueId};
use crate::onnx::{Element, Tensor};

use super::place::{Lowering, TO_LAST};
use super::quantized::Constant;
use super::{Activation, Binary, Kind, TensorId, Unary, Unwritable};

/// The order of the dimensions of operands.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Order {
    Plain,
    Last,
}

impl Lowering<'_> {
    pub fn elementwise(&mut self, node: &Node, op: Elementwise) -> Result<(), Unwritable> {
        use Elementwise as E;
        let binary = match op {
            E::Add | E::Sum => Binary::Add,
            E::Sub => Binary::Sub,
            E::Mul => Binary::Mul,
            E::Div => Binary::Div,
            E::Max => Binary::Maximum,
            E::Min => Binary::Minimum,
            E::Neg => return self.unary(node, Unary::Neg),
            E::Abs => return self.unary(node, Unary::Abs),
            E::Exp => return self.unary(node, Unary::Exp),
            E::Log => return self.unary(node, Unary::Log),
            E::Sqrt => return self.unary(node, Unary::Sqrt),
            E::Reciprocal => return self.reciprocal(node),
            _ => return self.refuse(node, "is unsupported arithmetic"),
        };
        self.chain(node, binary)
    }

    /// Applies a binary operator to all inputs of a node, one after the other.
    fn chain(&mut self, node: &Node, binary: Binary) -> Result<(), Unwritable> {
        let value = self.output(node)?;
        let operands: Vec<ValueId> = node.inputs.iter().flatten().copied().collect();
        let order = self.order(node, value, &operands)?;
        let Some((first, rest)) = operands.split_first() else {
            return self.refuse(node, "has no input");
        };
        let mut sum = self.operand(node, *first, order)?;
        if rest.is_empty() {
            return self.alias(node, *first, value);
        }
        let kind = Kind::Binary {
            binary,
            activation: Activation::None,
        };
        for (index, operand) in rest.iter().enumerate() {
            let operand = self.operand(node, *operand, order)?;
            let result = if index + 1 == rest.len() {
                self.new_in(node, value, order)?
            } else {
                let shape = broadcast(self.program.shape(sum), self.program.shape(operand));
                let name = format!("{}/{index}", self.graph.name_of_node(node));
                let element = self.program.info(sum).element;
                self.program.add(&name, &shape, element)
            };
            sum = self.program.push(kind.clone(), &[sum, operand], result);
        }
        Ok(())
    }

    /// Channels last, if an operand has that order and the result has four dimensions.
    fn order(
        &self,
        node: &Node,
        result: ValueId,
        operands: &[ValueId],
    ) -> Result<Order, Unwritable> {
        let is_last = operands.iter().any(|operand| {
            let placed = self.place(*operand);
            placed.last.is_some()
        });
        let rank = self.lens(node, result)?.len();
        Ok(if is_last && rank == 4 {
            Order::Last
        } else {
            Order::Plain
        })
    }

    pub fn new_in(
        &mut self,
        node: &Node,
        value: ValueId,
        order: Order,
    ) -> Result<TensorId, Unwritable> {
        match order {
            Order::Plain => self.new_plain(node, value),
            Order::Last => self.new_last(node, value),
        }
    }

    /// An operand in that order; constants have as few dimensions as broadcasting allows.
    fn operand(
        &mut self,
        node: &Node,
        value: ValueId,
        order: Order,
    ) -> Result<TensorId, Unwritable> {
        if order == Order::Plain {
            return self.plain(node, value);
        }
        let lens = self.lens(node, value)?;
        let padded: Vec<usize> = std::iter::repeat_n(1, 4_usize.saturating_sub(lens.len()))
            .chain(lens.iter().copied())
            .collect();
        let constant = match self.graph.constant_of(value) {
            Some(constant) if matches!(constant.data, Element::F32(_)) => {
                Some(Constant::real(constant.as_ref().clone()))
            }
            Some(_) => {
                return self.refuse(node, "computes with constants that are not 32-bit floats");
            }
            None => self.quantized_constant(node, value)?,
        };
        if let Some(constant) = constant {
            return Ok(self.made_once("operand", value, || {
                let mut operand = constant.shaped(&padded, 0).reordered(&TO_LAST);
                let shape = &mut operand.tensor.shape;
                let ones = shape.iter().take_while(|len| **len == 1).count();
                shape.drain(..ones);
                operand
            }));
        }
        if lens.len() == 4 {
            return self.last(node, value);
        }
        // With fewer dimensions: in the order that they would have with four.
        let plain = self.plain(node, value)?;
        let element = self.program.info(plain).element;
        let name = format!("{}/operand", self.name(value));
        let [n, c, h, w] = *padded.as_slice() else {
            return self.refuse(node, "computes with more than 4 dimensions");
        };
        if [h, w] == [1, 1] || c == 1 {
            let shaped = self.program.add(&name, &[n, h, w, c], element);
            return Ok(self.program.push(Kind::Reshape, &[plain], shaped));
        }
        let shaped = self.program.add(&name, &padded, element);
        self.program.push(Kind::Reshape, &[plain], shaped);
        let transposed = self
            .program
            .add(&format!("{name}/last"), &[n, h, w, c], element);
        let perm = TO_LAST.to_vec();
        Ok(self
            .program
            .push(Kind::Transpose { perm }, &[shaped], transposed))
    }

    /// A function of each element, in the order of its input.
    fn unary(&mut self, node: &Node, unary: Unary) -> Result<(), Unwritable> {
        let (x, value) = (self.input(node, 0)?, self.output(node)?);
        let (input, order) = self.as_it_lies(node, x)?;
        let output = self.new_in(node, value, order)?;
        self.program.push(Kind::Unary(unary), &[input], output);
        Ok(())
    }

    pub fn as_it_lies(
        &mut self,
        node: &Node,
        value: ValueId,
    ) -> Result<(TensorId, Order), Unwritable> {
        match self.place(value).last {
            Some(last) => Ok((last, Order::Last)),
            None => Ok((self.plain(node, value)?, Order::Plain)),
        }
    }

    fn reciprocal(&mut self, node: &Node) -> Result<(), Unwritable> {
        let (x, value) = (self.input(node, 0)?, self.output(node)?);
        let (input, order) = self.as_it_lies(node, x)?;
        let one = self.scalar(node, "one", 1.0);
        let output = self.new_in(node, value, order)?;
        let kind = Kind::Binary {
            binary: Binary::Div,
            activation: Activation::None,
        };
        self.program.push(kind, &[one, input], output);
        Ok(())
    }

    pub fn cast(&mut self, node: &Node) -> Result<(), Unwritable> {
        let (x, value) = (self.input(node, 0)?, self.output(node)?);
        if self.graph.element(x) == self.graph.element(value) {
            return self.alias(node, x, value);
        }
        self.unary(node, Unary::Cast)
    }

    fn scalar(&mut self, node: &Node, what: &str, value: f32) -> TensorId {
        let name = format!("{}/{what}", self.graph.name_of_node(node));
        self.program.constant(&name, Tensor::scalar(value))
    }

    pub fn activation(&mut self, node: &Node, activation: Act) -> Result<(), Unwritable> {
        let unary = match activation {
            Act::Relu => Unary::Clamp(Activation::Relu),
            Act::LeakyRelu { alpha } => Unary::LeakyRelu { alpha },
            Act::HardSwish => Unary::HardSwish,
            Act::Sigmoid => Unary::Logistic,
            Act::Tanh => Unary::Tanh,
            Act::Clip { min, max } => return self.clip(node, [min, max]),
            Act::HardSigmoid { alpha, beta } => return self.hard_sigmoid(node, alpha, beta),
            Act::PRelu => return self.prelu(node),
            Act::Gelu { .. } => {
                return self.refuse(node, "is an activation that old phones do not support");
            }
        };
        self.unary(node, unary)
    }

    fn clip(&mut self, node: &Node, fixed: [Option<f32>; 2]) -> Result<(), Unwritable> {
        let mut bounds = [f32::NEG_INFINITY, f32::INFINITY];
        for (at, bound) in bounds.iter_mut().enumerate() {
            if let Some(value) = fixed[at] {
                *bound = value;
            } else if node.input(at + 1).is_some() {
                let (_, values) = self.floats(node, at + 1)?;
                let [value] = values else {
                    return self.refuse(node, "has a bound that is not one number");
                };
                *bound = *value;
            }
        }
        // A bound that no float exceeds is no bound.
        let [min, max] = [
            Some(bounds[0]).filter(|min| *min > f32::MIN),
            Some(bounds[1]).filter(|max| *max < f32::MAX),
        ];
        let is = |bound: Option<f32>, value: f32| {
            bound.is_some_and(|bound| bound.to_bits() == value.to_bits())
        };
        let clamp = if is(min, 0.0) && max.is_none() {
            Some(Activation::Relu)
        } else if is(min, 0.0) && is(max, 6.0) {
            Some(Activation::Relu6)
        } else if is(min, -1.0) && is(max, 1.0) {
            Some(Activation::ReluN1To1)
        } else {
            None
        };
        if let Some(clamp) = clamp {
            return self.unary(node, Unary::Clamp(clamp));
        }
        let (x, value) = (self.input(node, 0)?, self.output(node)?);
        let (mut from, order) = self.as_it_lies(node, x)?;
        let bounds = [(Binary::Maximum, min), (Binary::Minimum, max)];
        let bounds: Vec<(Binary, f32)> = bounds
            .into_iter()
            .filter_map(|(binary, bound)| Some((binary, bound?)))
            .collect();
        if bounds.is_empty() {
            return self.alias(node, x, value);
        }
        let output = self.new_in(node, value, order)?;
        for (at, (binary, bound)) in bounds.iter().enumerate() {
            let bound = self.scalar(node, "bound", *bound);
            let kind = Kind::Binary {
                binary: *binary,
                activation: Activation::None,
            };
            let to = if at + 1 == bounds.len() {
                output
            } else {
                self.between(node, "above", output)
            };
            from = self.program.push(kind, &[from, bound], to);
        }
        Ok(())
    }

    /// An intermediate tensor with the type and shape of another.
    fn between(&mut self, node: &Node, what: &str, like: TensorId) -> TensorId {
        let name = format!("{}/{what}", self.graph.name_of_node(node));
        let info = self.program.info(like).clone();
        self.program.add(&name, &info.shape, info.element)
    }

    /// `min(max(alpha · x + beta, 0), 1)`; with the usual parameters as `min(max(x + 3, 0), 6) / 6`.
    fn hard_sigmoid(&mut self, node: &Node, alpha: f32, beta: f32) -> Result<(), Unwritable> {
        let (x, value) = (self.input(node, 0)?, self.output(node)?);
        let (input, order) = self.as_it_lies(node, x)?;
        let output = self.new_in(node, value, order)?;
        let is_usual = (alpha - 1.0 / 6.0).abs() < 1e-7 && (beta - 0.5).abs() < 1e-7;
        let steps: Vec<(Binary, f32, Activation)> = if is_usual {
            vec![
                (Binary::Add, 3.0, Activation::Relu6),
                (Binary::Mul, 1.0 / 6.0, Activation::None),
            ]
        } else {
            vec![
                (Binary::Mul, alpha, Activation::None),
                (Binary::Add, beta, Activation::Relu),
                (Binary::Minimum, 1.0, Activation::None),
            ]
        };
        let mut from = input;
        for (at, (binary, number, activation)) in steps.iter().enumerate() {
            let number = self.scalar(node, "number", *number);
            let to = if at + 1 == steps.len() {
                output
            } else {
                self.between(node, "step", output)
            };
            let kind = Kind::Binary {
                binary: *binary,
                activation: *activation,
            };
            from = self.program.push(kind, &[from, number], to);
        }
        Ok(())
    }

    fn prelu(&mut self, node: &Node) -> Result<(), Unwritable> {
        let (x, slope, value) = (
            self.input(node, 0)?,
            self.input(node, 1)?,
            self.output(node)?,
        );
        self.floats(node, 1)?;
        let order = self.order(node, value, &[x])?;
        let (x, slope) = (
            self.operand(node, x, order)?,
            self.operand(node, slope, order)?,
        );
        let output = self.new_in(node, value, order)?;
        let slope = self.slope(slope, x);
        self.program.push(Kind::Prelu, &[x, slope], output);
        Ok(())
    }

    /// A slope with as many dimensions as `x` without its batch, and at least one element for each channel: `TFLite`
    /// 2.14 reads that many regardless of the shape.
    fn slope(&mut self, slope: TensorId, x: TensorId) -> TensorId {
        let info = self.program.info(slope).clone();
        let (lens, mut values) = match self.program.floats(slope) {
            Some(values) => (self.program.shape(x), values.to_vec()),
            None => return slope,
        };
        let rank = lens.len().saturating_sub(1);
        let channels = lens.last().copied().unwrap_or(1);
        let mut shape = vec![1; rank.saturating_sub(info.shape.len())];
        shape.extend(&info.shape);
        if let Some(last) = shape.last_mut()
            && *last == 1
        {
            *last = channels;
            values = values
                .into_iter()
                .flat_map(|value| std::iter::repeat_n(value, channels))
                .collect();
        }
        let name = format!("{}/slope", info.name);
        self.program.constant(&name, Tensor::new(shape, values))
    }

    pub fn softmax(&mut self, node: &Node, softmax: Softmax) -> Result<(), Unwritable> {
        if softmax.log {
            return self.refuse(node, "gives logarithms instead of probabilities");
        }
        let (x, value) = (self.input(node, 0)?, self.output(node)?);
        let lens = self.lens(node, x)?;
        let rank = lens.len();
        let Some(axis) = crate::graph::wrap(softmax.axis, rank) else {
            return self.refuse(node, "uses a dimension that does not exist");
        };
        // Before version 13, all dimensions from the axis on were combined.
        let behind: usize = lens.iter().skip(axis + 1).product();
        if self.graph.opset < 13 && behind > 1 {
            return self.refuse(node, "uses several dimensions at once");
        }
        let place = self.place(x);
        let (input, order) = if axis == 1 && rank == 4 && (place.last.is_some() || behind > 1) {
            (self.last(node, x)?, Order::Last)
        } else if behind == 1 {
            (self.plain(node, x)?, Order::Plain)
        } else {
            return self.refuse(node, "uses a dimension before the last one");
        };
        if order == Order::Plain && axis + 1 < rank {
            return self.refuse(node, "uses a dimension before the last one");
        }
        let output = self.new_in(node, value, order)?;
        self.program.push(Kind::Softmax, &[input], output);
        Ok(())
    }

    /// Makes one value an alias of another.
    pub fn alias(&mut self, node: &Node, from: ValueId, to: ValueId) -> Result<(), Unwritable> {
        if self.place(from).last.is_none() {
            self.plain(node, from)?;
        }
        let placed = self.place(from);
        self.placed.insert(to, placed);
        Ok(())
    }
}

/// The broadcast shape of two shapes that fit.
pub(crate) fn broadcast(a: &[usize], b: &[usize]) -> Vec<usize> {
    let rank = a.len().max(b.len());
    let at = |shape: &[usize], index: usize| {
        let missing = rank - shape.len();
        index
            .checked_sub(missing)
            .and_then(|index| shape.get(index).copied())
            .unwrap_or(1)
    };
    (0..rank)
        .map(|index| at(a, index).max(at(b, index)))
        .collect()
}
