//! The meaning of each MIL operation in ONNX operators (those of iOS 15, as documented by coremltools).

use crate::graph::ops::{
    Activation, Conv, Elementwise, Linear, Moves, Norm, Pool, PoolKind, Reduce, ReduceKind, Softmax,
};
use crate::graph::{AutoPad, Op, Sliding, ValueId, wrap};
use crate::onnx::{Element, ElementType, Tensor};

use super::CoreMlError;
use super::read::{Constant, Reader, keys, unreadable};
use super::schema::Operation;

impl Reader<'_> {
    /// Converts one operation.
    pub fn operation(&mut self, operation: &Operation) -> Result<ValueId, CoreMlError> {
        let name = operation.r#type.as_str();
        if let Some(op) = pair(name) {
            let (x, y) = (self.value(operation, "x")?, self.value(operation, "y")?);
            return Ok(self.graph.op(op, &[x, y]));
        }
        if let Some(op) = single(name) {
            let x = self.value(operation, "x")?;
            return Ok(self.graph.op(op, &[x]));
        }
        match name {
            "conv" => self.conv(operation),
            "max_pool" | "avg_pool" => self.pool(operation),
            "linear" => {
                let x = self.value(operation, "x")?;
                let (weight, rank) = (self.value(operation, "weight")?, self.rank(x)?);
                let weight = self.graph.transpose(weight, &[1, 0]);
                let product = self.graph.op(Linear::MatMul, &[x, weight]);
                if rank < 2 || !keys(operation).any(|key| key == "bias") {
                    return Ok(product);
                }
                let bias = self.value(operation, "bias")?;
                Ok(self.graph.add(product, bias))
            }
            "matmul" => {
                let (mut x, mut y) = (self.value(operation, "x")?, self.value(operation, "y")?);
                for (key, value) in [("transpose_x", &mut x), ("transpose_y", &mut y)] {
                    if self.flag(operation, key)?.unwrap_or(false) {
                        let rank = self.rank(*value)?;
                        let mut perm: Vec<i64> = (0..rank as i64).collect();
                        if let [.., a, b] = perm.as_mut_slice() {
                            std::mem::swap(a, b);
                        }
                        *value = self.graph.transpose(*value, &perm);
                    }
                }
                Ok(self.graph.op(Linear::MatMul, &[x, y]))
            }
            "relu6" => {
                let x = self.value(operation, "x")?;
                Ok(self.clipped(x, 0.0, 6.0))
            }
            "clip" => {
                let x = self.value(operation, "x")?;
                let (min, max) = (
                    self.number(operation, "alpha")?,
                    self.number(operation, "beta")?,
                );
                Ok(self.clipped(x, min, max))
            }
            "leaky_relu" => {
                let (x, alpha) = (
                    self.value(operation, "x")?,
                    self.number(operation, "alpha")?,
                );
                Ok(self.graph.op(Activation::LeakyRelu { alpha }, &[x]))
            }
            "sigmoid_hard" => {
                let x = self.value(operation, "x")?;
                let (alpha, beta) = (
                    self.number(operation, "alpha")?,
                    self.number(operation, "beta")?,
                );
                // In single steps: ONNX Runtime has no HardSigmoid in fp16.
                let (scale, shift) = (self.number_like(x, alpha), self.number_like(x, beta));
                let scaled = self.graph.mul(x, scale);
                let shifted = self.graph.add(scaled, shift);
                Ok(self.clipped(shifted, 0.0, 1.0))
            }
            "prelu" => {
                let (x, alpha) = (self.value(operation, "x")?, self.value(operation, "alpha")?);
                let mut shape = vec![-1];
                shape.resize(self.rank(x)?.saturating_sub(1), 1);
                let slope = self.graph.reshape(alpha, &shape);
                Ok(self.graph.op(Activation::PRelu, &[x, slope]))
            }
            "gelu" => {
                let tanh = match self.text(operation, "mode")?.as_deref() {
                    Some("EXACT") | None => false,
                    Some("TANH_APPROXIMATION") => true,
                    Some(other) => return unreadable(format!("its gelu is {other}")),
                };
                let x = self.value(operation, "x")?;
                Ok(self.gelu(x, tanh))
            }
            "log" => {
                let x = self.value(operation, "x")?;
                let epsilon = self.number(operation, "epsilon")?;
                let epsilon = self.number_like(x, epsilon);
                let shifted = self.graph.add(x, epsilon);
                Ok(self.graph.op(Elementwise::Log, &[shifted]))
            }
            "cast" => {
                let to = match self.text(operation, "dtype")?.as_deref() {
                    Some("fp16") => ElementType::F16,
                    Some("fp32") => ElementType::F32,
                    Some("int32") => ElementType::I32,
                    other => return unreadable(format!("it casts to {other:?}")),
                };
                let x = self.value(operation, "x")?;
                Ok(self.graph.cast(x, to))
            }
            "layer_norm" => self.layer_norm(operation),
            "softmax" => {
                let x = self.value(operation, "x")?;
                let axis = self.int(operation, "axis")?.unwrap_or(-1);
                Ok(self.graph.op(Softmax { axis, log: false }, &[x]))
            }
            "reduce_mean" | "reduce_sum" | "reduce_max" | "reduce_min" | "reduce_sum_square" => {
                let x = self.value(operation, "x")?;
                let axes = match self.ints(operation, "axes")? {
                    Some(axes) => axes,
                    None => (0..self.rank(x)? as i64).collect(),
                };
                let keep = self.flag(operation, "keep_dims")?.unwrap_or(false);
                let kind = match name {
                    "reduce_sum" => return Ok(self.graph.reduce_sum(x, &axes, keep)),
                    "reduce_mean" => ReduceKind::Mean,
                    "reduce_max" => ReduceKind::Max,
                    "reduce_min" => ReduceKind::Min,
                    _ => ReduceKind::SumSquare,
                };
                Ok(self.graph.op(Reduce::along(kind, &axes, keep), &[x]))
            }
            "reshape" => {
                let (x, shape) = (
                    self.value(operation, "x")?,
                    self.wanted(operation, "shape")?,
                );
                Ok(self.graph.reshape(x, &shape))
            }
            "transpose" => {
                let (x, perm) = (self.value(operation, "x")?, self.wanted(operation, "perm")?);
                Ok(self.graph.transpose(x, &perm))
            }
            "concat" => {
                if self.flag(operation, "interleave")?.unwrap_or(false) {
                    return unreadable("it interleaves what it joins");
                }
                let parts = self.values(operation, "values")?;
                let axis = self.int(operation, "axis")?.unwrap_or(0);
                Ok(self.graph.concat(&parts, axis))
            }
            "slice_by_index" => self.slice(operation),
            "pad" => self.pad(operation),
            other => unreadable(format!("it has the unsupported operation {other}")),
        }
    }

    fn rank(&self, value: ValueId) -> Result<usize, CoreMlError> {
        match self.graph.shape(value) {
            Some(shape) => Ok(shape.len()),
            None => unreadable("the size of a value is unknown"),
        }
    }

    fn lens(&self, value: ValueId) -> Result<Vec<usize>, CoreMlError> {
        match self.graph.lens(value) {
            Some(lens) => Ok(lens),
            None => unreadable("the size of a value is unknown"),
        }
    }

    fn ints(&self, operation: &Operation, key: &str) -> Result<Option<Vec<i64>>, CoreMlError> {
        match self.given(operation, key)? {
            None => Ok(None),
            Some(Constant::Ints(values)) => Ok(Some(values)),
            Some(_) => unreadable(format!(
                "{key} of “{}” is not a list of integers",
                operation.r#type
            )),
        }
    }

    fn wanted(&self, operation: &Operation, key: &str) -> Result<Vec<i64>, CoreMlError> {
        match self.ints(operation, key)? {
            Some(values) => Ok(values),
            None => unreadable(format!("“{}” has no {key}", operation.r#type)),
        }
    }

    fn int(&self, operation: &Operation, key: &str) -> Result<Option<i64>, CoreMlError> {
        match self.ints(operation, key)?.as_deref() {
            None => Ok(None),
            Some([value]) => Ok(Some(*value)),
            Some(_) => unreadable(format!("{key} of “{}” is not one number", operation.r#type)),
        }
    }

    fn flag(&self, operation: &Operation, key: &str) -> Result<Option<bool>, CoreMlError> {
        match self.given(operation, key)? {
            None => Ok(None),
            Some(Constant::Flags(flags)) if flags.len() == 1 => Ok(flags.first().copied()),
            Some(_) => unreadable(format!("{key} of “{}” is not a flag", operation.r#type)),
        }
    }

    fn text(&self, operation: &Operation, key: &str) -> Result<Option<String>, CoreMlError> {
        match self.given(operation, key)? {
            None => Ok(None),
            Some(Constant::Text(text)) => Ok(Some(text)),
            Some(_) => unreadable(format!("{key} of “{}” is not text", operation.r#type)),
        }
    }

    /// A number that must be given, because its default differs between versions.
    fn number(&self, operation: &Operation, key: &str) -> Result<f32, CoreMlError> {
        if let Some(Constant::Tensor(tensor)) = self.given(operation, key)? {
            match &tensor.data {
                Element::F32(values) if values.len() == 1 => return Ok(values[0]),
                Element::F16(values) if values.len() == 1 => return Ok(values[0].to_f32()),
                _ => {}
            }
        }
        unreadable(format!("{key} of “{}” is not a number", operation.r#type))
    }

    /// A scalar of the element type of a value.
    fn number_like(&mut self, like: ValueId, value: f32) -> ValueId {
        if self.graph.element(like) == Some(ElementType::F16) {
            return self
                .graph
                .constant(Tensor::scalar(half::f16::from_f32(value)));
        }
        self.graph.constant(Tensor::scalar(value))
    }

    fn clipped(&mut self, x: ValueId, min: f32, max: f32) -> ValueId {
        let (min, max) = (self.number_like(x, min), self.number_like(x, max));
        self.graph.op(Activation::CLIP, &[x, min, max])
    }

    /// `x · Φ(x)` in simpler operators: ONNX's `Gelu` is newer than the operator version of the graph.
    fn gelu(&mut self, x: ValueId, tanh: bool) -> ValueId {
        let half = self.number_like(x, 0.5);
        let one = self.number_like(x, 1.0);
        let inner = if tanh {
            let (cube, scale) = (
                self.number_like(x, 0.044_715),
                self.number_like(x, (2.0 / std::f32::consts::PI).sqrt()),
            );
            let square = self.graph.mul(x, x);
            let third = self.graph.mul(square, x);
            let third = self.graph.mul(third, cube);
            let sum = self.graph.add(x, third);
            let scaled = self.graph.mul(sum, scale);
            self.graph.op(Activation::Tanh, &[scaled])
        } else {
            let scale = self.number_like(x, std::f32::consts::FRAC_1_SQRT_2);
            let scaled = self.graph.mul(x, scale);
            self.graph.op(Elementwise::Erf, &[scaled])
        };
        let shifted = self.graph.add(inner, one);
        let gate = self.graph.mul(shifted, half);
        self.graph.mul(x, gate)
    }

    /// Computed in fp32 and rounded once, as ONNX Runtime does for fp16 values.
    fn layer_norm(&mut self, operation: &Operation) -> Result<ValueId, CoreMlError> {
        let operands = ["x", "gamma", "beta"].map(|key| self.value(operation, key));
        let [x, gamma, beta] = operands;
        let operands = [x?, gamma?, beta?];
        let rank = self.rank(operands[0])?;
        let axes = self.wanted(operation, "axes")?;
        let axes: Option<Vec<usize>> = axes.into_iter().map(|axis| wrap(axis, rank)).collect();
        let first = axes.as_ref().and_then(|axes| axes.first().copied());
        let Some(first) = first.filter(|first| axes == Some((*first..rank).collect())) else {
            return unreadable("it normalises along other dimensions than the last ones");
        };
        let norm = Norm::Layer {
            axis: first as i64,
            epsilon: self.number(operation, "epsilon")?,
            stash: 1,
        };
        Ok(self.graph.op(norm, &operands))
    }

    fn conv(&mut self, operation: &Operation) -> Result<ValueId, CoreMlError> {
        let (x, weight) = (
            self.value(operation, "x")?,
            self.value(operation, "weight")?,
        );
        let mut sliding = self.sliding(operation)?;
        sliding.dilations = self.ints(operation, "dilations")?.unwrap_or_default();
        let group = self.int(operation, "groups")?.unwrap_or(1);
        let mut operands = vec![x, weight];
        if keys(operation).any(|key| key == "bias") {
            operands.push(self.value(operation, "bias")?);
        }
        Ok(self.graph.op(Conv { sliding, group }, &operands))
    }

    fn pool(&mut self, operation: &Operation) -> Result<ValueId, CoreMlError> {
        let x = self.value(operation, "x")?;
        let mut sliding = self.sliding(operation)?;
        sliding.kernel = self.wanted(operation, "kernel_sizes")?;
        let ceil = self.flag(operation, "ceil_mode")?.unwrap_or(false);
        let kind = if operation.r#type == "max_pool" {
            PoolKind::Max { in_columns: false }
        } else {
            let excluded = self.flag(operation, "exclude_padding_from_average")?;
            PoolKind::Average {
                padding_counts: !excluded.unwrap_or(false),
            }
        };
        Ok(self.graph.op(
            Pool {
                kind,
                sliding,
                ceil,
            },
            &[x],
        ))
    }

    fn sliding(&self, operation: &Operation) -> Result<Sliding, CoreMlError> {
        let mut sliding = Sliding {
            strides: self.ints(operation, "strides")?.unwrap_or_default(),
            ..Sliding::default()
        };
        match self.text(operation, "pad_type")?.as_deref() {
            Some("valid") | None => sliding.auto_pad = AutoPad::Valid,
            Some("same") => sliding.auto_pad = AutoPad::SameUpper,
            Some("custom") => {
                // The widths before and after each dimension alternate.
                let pads = self.wanted(operation, "pad")?;
                let before = pads.iter().step_by(2);
                let behind = pads.iter().skip(1).step_by(2);
                sliding.pads = before.chain(behind).copied().collect();
            }
            Some(other) => return unreadable(format!("it has the padding {other}")),
        }
        Ok(sliding)
    }

    fn slice(&mut self, operation: &Operation) -> Result<ValueId, CoreMlError> {
        let unread = ["begin_mask", "end_mask", "squeeze_mask"];
        if keys(operation).any(|key| unread.contains(&key)) {
            return unreadable("it cuts without saying where");
        }
        let x = self.value(operation, "x")?;
        let (begin, end) = (
            self.wanted(operation, "begin")?,
            self.wanted(operation, "end")?,
        );
        let steps = match self.ints(operation, "stride")? {
            Some(steps) => steps,
            None => vec![1; begin.len()],
        };
        let axes: Vec<i64> = (0..begin.len() as i64).collect();
        Ok(self.graph.slice(x, &axes, &begin, &end, &steps))
    }

    fn pad(&mut self, operation: &Operation) -> Result<ValueId, CoreMlError> {
        if self.text(operation, "mode")?.as_deref() != Some("constant") {
            return unreadable("it has a margin that is not constant");
        }
        let x = self.value(operation, "x")?;
        let value = self.number(operation, "constant_val")?;
        let given = self.wanted(operation, "pad")?;
        let rank = self.lens(x)?.len();
        // Only the last dimensions are given.
        let Some(first) = rank.checked_sub(given.len() / 2) else {
            return unreadable("it pads more dimensions than there are");
        };
        let mut pads = vec![0; 2 * rank];
        for (at, pair) in given.chunks_exact(2).enumerate() {
            if let (Some(axis), [before, behind]) = (wrap((first + at) as i64, rank), pair) {
                pads[axis] = *before;
                pads[rank + axis] = *behind;
            }
        }
        let value = self.number_like(x, value);
        let pads = self.graph.ints(&pads);
        Ok(self.graph.op(Moves::PAD, &[x, pads, value]))
    }
}

fn pair(name: &str) -> Option<Op> {
    Some(match name {
        "add" => Elementwise::Add.into(),
        "sub" => Elementwise::Sub.into(),
        "mul" => Elementwise::Mul.into(),
        "real_div" => Elementwise::Div.into(),
        "maximum" => Elementwise::Max.into(),
        "minimum" => Elementwise::Min.into(),
        "pow" => Elementwise::Pow.into(),
        _ => return None,
    })
}

fn single(name: &str) -> Option<Op> {
    Some(match name {
        "relu" => Activation::Relu.into(),
        "sigmoid" => Activation::Sigmoid.into(),
        "tanh" => Activation::Tanh.into(),
        "abs" => Elementwise::Abs.into(),
        "exp" => Elementwise::Exp.into(),
        "sqrt" => Elementwise::Sqrt.into(),
        "erf" => Elementwise::Erf.into(),
        "floor" => Elementwise::Floor.into(),
        "ceil" => Elementwise::Ceil.into(),
        "round" => Elementwise::Round.into(),
        "sign" => Elementwise::Sign.into(),
        _ => return None,
    })
}
