//! Writes each operator of a graph in MIL, with the operators of iOS 15. Layers and operators that move values are in
//! the two files beside this one.

use crate::export::nhwc::broadcast;
use crate::graph::ops::{Activation, Elementwise, GlobalPool, Norm, Reduce, ReduceKind, Softmax};
use crate::graph::{Node, Op, ValueId, wrap};
use crate::onnx::ElementType;

use super::CoreMlError;
use super::values::{flag, int, ints, text};
use super::write::{Arg, Writer, number};

impl Writer<'_> {
    /// Adds the operations of a node.
    pub fn node(&mut self, node: &Node) -> Result<(), CoreMlError> {
        match &node.op {
            Op::Conv(conv) => self.conv(node, conv),
            Op::Linear(linear) => self.linear(node, *linear),
            Op::Pool(pool) => self.pool(node, pool),
            Op::GlobalPool(pool) => {
                let op = match pool {
                    GlobalPool::Average => "reduce_mean",
                    GlobalPool::Max => "reduce_max",
                };
                let rank = self.lens(node, self.input(node, 0)?)?.len() as i64;
                self.reduced(node, op, &(2..rank).collect::<Vec<_>>(), true)
            }
            Op::Elementwise(Elementwise::Cast(to)) => self.cast(node, *to),
            Op::Elementwise(op) => self.elementwise(node, *op),
            Op::Activation(activation) => self.activation(node, *activation),
            Op::Softmax(softmax) => self.softmax(node, *softmax),
            Op::Reduce(reduce) => self.reduce(node, reduce),
            Op::Reshaping(op) => self.reshaping(node, op),
            Op::Moves(op) => self.moves(node, op),
            Op::Norm(Norm::Layer { axis, epsilon, .. }) => self.layer_norm(node, *axis, *epsilon),
            Op::ConvTranspose(_)
            | Op::Norm(_)
            | Op::Quantization(_)
            | Op::Blocked(_)
            | Op::Other(_) => self.refuse(node, "is an unsupported operator"),
        }
    }

    fn elementwise(&mut self, node: &Node, op: Elementwise) -> Result<(), CoreMlError> {
        use Elementwise as E;
        let pair = match op {
            E::Add | E::Sum => "add",
            E::Sub => "sub",
            E::Mul => "mul",
            E::Div => "real_div",
            E::Max => "maximum",
            E::Min => "minimum",
            E::Pow => "pow",
            _ => return self.single(node, op),
        };
        let operands: Vec<ValueId> = node.inputs.iter().flatten().copied().collect();
        let mut names = Vec::with_capacity(operands.len());
        for operand in &operands {
            names.push(self.name(node, *operand)?);
        }
        let mut names = names.into_iter();
        let (Some(first), Some(last)) = (names.next(), names.next_back()) else {
            // Operators with a single input.
            let (x, value) = (self.input(node, 0)?, node.output());
            return value.map_or(Ok(()), |value| self.alias(node, x, value));
        };
        let to = self.output(node)?;
        let mut so_far = Arg::Name(first);
        let mut lens = self.lens(node, self.input(node, 0)?)?;
        for (name, operand) in names.zip(operands.iter().skip(1)) {
            let mut next = self.between(&to, "part");
            lens = broadcast(&lens, &self.lens(node, *operand)?);
            next.lens.clone_from(&lens);
            so_far = self.emit(pair, vec![("x", so_far), ("y", Arg::Name(name))], &next);
        }
        self.emit(pair, vec![("x", so_far), ("y", Arg::Name(last))], &to);
        Ok(())
    }

    fn single(&mut self, node: &Node, op: Elementwise) -> Result<(), CoreMlError> {
        use Elementwise as E;
        let name = match op {
            E::Abs => "abs",
            E::Exp => "exp",
            E::Sqrt => "sqrt",
            E::Erf => "erf",
            E::Floor => "floor",
            E::Ceil => "ceil",
            E::Round => "round",
            E::Sign => "sign",
            E::Log | E::Neg | E::Reciprocal => "",
            _ => return self.refuse(node, "is unsupported arithmetic"),
        };
        let x = self.arg(node, 0)?;
        let to = self.output(node)?;
        match op {
            E::Neg => {
                let y = number(&to, -1.0);
                self.emit("mul", vec![("x", x), ("y", y)], &to)
            }
            // Not `inverse`, which adds a small number first.
            E::Reciprocal => {
                let one = number(&to, 1.0);
                self.emit("real_div", vec![("x", one), ("y", x)], &to)
            }
            E::Log => {
                let epsilon = number(&to, 0.0);
                self.emit("log", vec![("x", x), ("epsilon", epsilon)], &to)
            }
            _ => self.emit(name, vec![("x", x)], &to),
        };
        Ok(())
    }

    fn cast(&mut self, node: &Node, to: ElementType) -> Result<(), CoreMlError> {
        let (x, value) = (self.input(node, 0)?, node.output());
        // The image is of floats here, but of bytes in the graph.
        let from = match self.graph.element(x) {
            Some(ElementType::U8) => Some(ElementType::F32),
            other => other,
        };
        if let (true, Some(value)) = (from == Some(to), value) {
            return self.alias(node, x, value);
        }
        let dtype = match to {
            ElementType::F16 => "fp16",
            ElementType::F32 => "fp32",
            ElementType::I32 => "int32",
            _ => return self.refuse(node, format!("makes values of the type {to:?}")),
        };
        let x = self.arg(node, 0)?;
        let to = self.output(node)?;
        self.emit(
            "cast",
            vec![("x", x), ("dtype", Arg::Const(text(dtype)))],
            &to,
        );
        Ok(())
    }

    fn activation(&mut self, node: &Node, activation: Activation) -> Result<(), CoreMlError> {
        let bounds = match activation {
            Activation::Clip { min, max } => self.bounds(node, [min, max])?,
            _ => [None, None],
        };
        let slope = match activation {
            Activation::PRelu => Some(self.slope(node)?),
            _ => None,
        };
        if let (Activation::Clip { .. }, [None, None], Some(value)) =
            (activation, bounds, node.output())
        {
            let x = self.input(node, 0)?;
            return self.alias(node, x, value);
        }
        let x = self.arg(node, 0)?;
        let to = self.output(node)?;
        let mut args = vec![];
        let op = match activation {
            Activation::Relu => "relu",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
            Activation::LeakyRelu { alpha } => {
                args.push(("alpha", number(&to, alpha)));
                "leaky_relu"
            }
            Activation::PRelu => {
                let slope = slope.unwrap_or_default();
                args.push((
                    "alpha",
                    self.floats_like(&to, "alpha", &[slope.len()], &slope),
                ));
                "prelu"
            }
            Activation::HardSigmoid { alpha, beta } => {
                args.push(("alpha", number(&to, alpha)));
                args.push(("beta", number(&to, beta)));
                "sigmoid_hard"
            }
            Activation::HardSwish => {
                let Arg::Name(x) = x else { return Ok(()) };
                let gate = self.between(&to, "gate");
                let numbers = vec![
                    ("x", Arg::Name(x.clone())),
                    ("alpha", number(&to, 1.0 / 6.0)),
                    ("beta", number(&to, 0.5)),
                ];
                let gate = self.emit("sigmoid_hard", numbers, &gate);
                self.emit("mul", vec![("x", Arg::Name(x)), ("y", gate)], &to);
                return Ok(());
            }
            Activation::Gelu { tanh } => {
                let mode = if tanh { "TANH_APPROXIMATION" } else { "EXACT" };
                args.push(("mode", Arg::Const(text(mode))));
                "gelu"
            }
            Activation::Clip { .. } => match bounds {
                [Some(min), None] if min.to_bits() == 0 => "relu",
                [Some(min), Some(max)]
                    if min.to_bits() == 0 && max.to_bits() == 6_f32.to_bits() =>
                {
                    "relu6"
                }
                [Some(min), Some(max)] => {
                    args.push(("alpha", number(&to, min)));
                    args.push(("beta", number(&to, max)));
                    "clip"
                }
                [Some(min), None] => {
                    args.push(("y", number(&to, min)));
                    "maximum"
                }
                [None, max] => {
                    args.push(("y", number(&to, max.unwrap_or(f32::MAX))));
                    "minimum"
                }
            },
        };
        args.push(("x", x));
        self.emit(op, args, &to);
        Ok(())
    }

    /// The bounds of a `Clip`; `None` for a bound that no float exceeds.
    fn bounds(
        &self,
        node: &Node,
        fixed: [Option<f32>; 2],
    ) -> Result<[Option<f32>; 2], CoreMlError> {
        let mut bounds = fixed;
        for (at, bound) in bounds.iter_mut().enumerate() {
            if bound.is_none() && node.input(at + 1).is_some() {
                let (_, values) = self.floats(node, at + 1)?;
                let [value] = values.as_slice() else {
                    return self.refuse(node, "has a bound that is not one number");
                };
                *bound = Some(*value);
            }
        }
        let [min, max] = bounds;
        Ok([
            min.filter(|min| *min > f32::MIN),
            max.filter(|max| *max < f32::MAX),
        ])
    }

    /// The slope of a `PRelu`: one number for each channel.
    fn slope(&self, node: &Node) -> Result<Vec<f32>, CoreMlError> {
        let (shape, values) = self.floats(node, 1)?;
        let lens = self.lens(node, self.input(node, 0)?)?;
        let channels = lens.get(1).copied().unwrap_or(0);
        if values.len() == 1 && lens.len() > 2 {
            return Ok(vec![values.first().copied().unwrap_or(0.0); channels]);
        }
        // Broadcasting aligns the last dimensions: [C, 1, …].
        let behind = shape.len().checked_sub(lens.len().saturating_sub(1));
        let is_per_channel = behind.and_then(|at| shape.get(at)) == Some(&channels);
        if lens.len() < 3 || values.len() != channels || !is_per_channel {
            return self.refuse(node, "does not have one slope per channel");
        }
        Ok(values)
    }

    fn softmax(&mut self, node: &Node, softmax: Softmax) -> Result<(), CoreMlError> {
        if softmax.log {
            return self.refuse(node, "gives logarithms instead of probabilities");
        }
        let lens = self.lens(node, self.input(node, 0)?)?;
        let Some(axis) = wrap(softmax.axis, lens.len()) else {
            return self.refuse(node, "uses a dimension that does not exist");
        };
        // Before version 13, all dimensions from the axis on were combined.
        let behind: usize = lens.iter().skip(axis + 1).product();
        if self.graph.opset < 13 && behind > 1 {
            return self.refuse(node, "uses several dimensions at once");
        }
        let args = vec![
            ("x", self.arg(node, 0)?),
            ("axis", Arg::Const(int(axis as i64))),
        ];
        let to = self.output(node)?;
        self.emit("softmax", args, &to);
        Ok(())
    }

    fn reduce(&mut self, node: &Node, reduce: &Reduce) -> Result<(), CoreMlError> {
        let op = match reduce.kind {
            ReduceKind::Mean => "reduce_mean",
            ReduceKind::Sum => "reduce_sum",
            ReduceKind::Max => "reduce_max",
            ReduceKind::Min => "reduce_min",
            ReduceKind::SumSquare => "reduce_sum_square",
            ReduceKind::ArgMax | ReduceKind::ArgMin => {
                return self.refuse(node, "is an unsupported reduction");
            }
        };
        let Some(axes) = self.graph.reduced_axes(node) else {
            return self.refuse(node, "uses dimensions that are not known");
        };
        if axes.is_empty() {
            return self.refuse(node, "uses no dimension");
        }
        let axes: Vec<i64> = axes.into_iter().map(|axis| axis as i64).collect();
        self.reduced(node, op, &axes, reduce.keep)
    }

    fn reduced(
        &mut self,
        node: &Node,
        op: &str,
        axes: &[i64],
        keep: bool,
    ) -> Result<(), CoreMlError> {
        let args = vec![
            ("x", self.arg(node, 0)?),
            ("axes", Arg::Const(ints(axes))),
            ("keep_dims", Arg::Const(flag(keep))),
        ];
        let to = self.output(node)?;
        self.emit(op, args, &to);
        Ok(())
    }
}

pub(super) fn counts(values: &[usize]) -> Arg {
    let values: Vec<i64> = values.iter().map(|value| *value as i64).collect();
    Arg::Const(ints(&values))
}
