//! The meaning of each operator of the format in ONNX operators.

use crate::graph::ops::{
    Activation, Conv, Elementwise, Linear, Moves, Pool, PoolKind, Reduce, ReduceKind, Softmax,
};
use crate::graph::{AutoPad, Op, Sliding, ValueId};
use crate::onnx::ElementType;

use super::TfliteError;
use super::read::{Reader, element, lens, unreadable};
use super::read_integers::Steps;
use super::schema::tflite as fb;

use fb::BuiltinOperator as Code;

/// The permutation from the format's layout to channels first.
const TO_FIRST: [i64; 4] = [0, 3, 1, 2];
/// The permutation back.
const TO_LAST: [i64; 4] = [0, 2, 3, 1];

impl Reader<'_> {
    /// Converts one operator.
    pub fn operator(
        &mut self,
        code: Code,
        operator: fb::Operator<'_>,
        inputs: &[i32],
        output: i32,
    ) -> Result<ValueId, TfliteError> {
        let steps = self.steps(code, inputs, output)?;
        let x = self.operand(inputs, 0, steps.as_ref())?;
        Ok(match code {
            Code::CONV_2D => {
                let Some(options) = operator.builtin_options_as_conv_2_doptions() else {
                    return without_options(code);
                };
                let sliding = sliding(
                    options.padding(),
                    [options.stride_h(), options.stride_w()],
                    [options.dilation_h_factor(), options.dilation_w_factor()],
                )?;
                let kernels = self.operand(inputs, 1, steps.as_ref())?;
                // From [output, height, width, input].
                let kernels = self.graph.transpose(kernels, &[0, 3, 1, 2]);
                let taps = [self.len(inputs, 1, 1)?, self.len(inputs, 1, 2)?];
                let sliding = self.without_same(sliding, inputs, taps, output)?;
                let conv = Conv { sliding, group: 1 };
                let made = self.convolved([x, kernels], inputs, conv, steps.as_ref())?;
                self.made(made, steps, options.fused_activation_function())?
            }
            Code::DEPTHWISE_CONV_2D => {
                let Some(options) = operator.builtin_options_as_depthwise_conv_2_doptions() else {
                    return without_options(code);
                };
                let sliding = sliding(
                    options.padding(),
                    [options.stride_h(), options.stride_w()],
                    [options.dilation_h_factor(), options.dilation_w_factor()],
                )?;
                let channels = self.len(inputs, 0, 3)?;
                let kernels = self.operand(inputs, 1, steps.as_ref())?;
                // From [1, height, width, output].
                let kernels = self.graph.transpose(kernels, &[3, 0, 1, 2]);
                let taps = [self.len(inputs, 1, 1)?, self.len(inputs, 1, 2)?];
                let sliding = self.without_same(sliding, inputs, taps, output)?;
                let conv = Conv {
                    sliding,
                    group: channels,
                };
                let made = self.convolved([x, kernels], inputs, conv, steps.as_ref())?;
                self.made(made, steps, options.fused_activation_function())?
            }
            Code::AVERAGE_POOL_2D | Code::MAX_POOL_2D => {
                let Some(options) = operator.builtin_options_as_pool_2_doptions() else {
                    return without_options(code);
                };
                let mut sliding = sliding(
                    options.padding(),
                    [options.stride_h(), options.stride_w()],
                    [1, 1],
                )?;
                let taps = [options.filter_height(), options.filter_width()].map(i64::from);
                sliding.kernel = taps.to_vec();
                sliding.dilations.clear();
                let sliding = self.without_same(sliding, inputs, taps, output)?;
                let kind = if code == Code::MAX_POOL_2D {
                    PoolKind::Max { in_columns: false }
                } else {
                    PoolKind::Average {
                        padding_counts: false,
                    }
                };
                let pool = Pool {
                    kind,
                    sliding,
                    ceil: false,
                };
                let planes = self.graph.transpose(x, &TO_FIRST);
                let pooled = self.graph.op(pool, &[planes]);
                let made = self.graph.transpose(pooled, &TO_LAST);
                self.then(made, options.fused_activation_function())?
            }
            Code::FULLY_CONNECTED => {
                let Some(options) = operator.builtin_options_as_fully_connected_options() else {
                    return without_options(code);
                };
                let weights = self.operand(inputs, 1, steps.as_ref())?;
                let width = self.len(inputs, 1, 1)?;
                let rows = self.graph.reshape(x, &[-1, width]);
                let mut operands = vec![rows, weights];
                if inputs.get(2).is_some_and(|place| *place >= 0) {
                    operands.push(self.operand(inputs, 2, steps.as_ref())?);
                }
                let made = self.graph.op(Linear::BY_TRANSPOSE, &operands);
                self.made(made, steps, options.fused_activation_function())?
            }
            Code::ADD | Code::SUB | Code::MUL | Code::DIV => {
                let other = self.operand(inputs, 1, steps.as_ref())?;
                let (op, activation) = match code {
                    Code::ADD => {
                        let options = operator.builtin_options_as_add_options();
                        (
                            Elementwise::Add,
                            options.map(|o| o.fused_activation_function()),
                        )
                    }
                    Code::SUB => {
                        let options = operator.builtin_options_as_sub_options();
                        (
                            Elementwise::Sub,
                            options.map(|o| o.fused_activation_function()),
                        )
                    }
                    Code::MUL => {
                        let options = operator.builtin_options_as_mul_options();
                        (
                            Elementwise::Mul,
                            options.map(|o| o.fused_activation_function()),
                        )
                    }
                    _ => {
                        let options = operator.builtin_options_as_div_options();
                        (
                            Elementwise::Div,
                            options.map(|o| o.fused_activation_function()),
                        )
                    }
                };
                let activation = activation.unwrap_or_default();
                match steps {
                    Some(steps) if op != Elementwise::Mul => {
                        self.of_addition([x, other], steps, activation)?
                    }
                    steps => {
                        let made = self.graph.op(op, &[x, other]);
                        self.made(made, steps, activation)?
                    }
                }
            }
            Code::MAXIMUM => self.pair(Elementwise::Max, x, inputs)?,
            Code::MINIMUM => self.pair(Elementwise::Min, x, inputs)?,
            Code::PRELU => self.pair(Activation::PRelu, x, inputs)?,
            Code::RELU => self.then(x, fb::ActivationFunctionType::RELU)?,
            Code::RELU6 => self.then(x, fb::ActivationFunctionType::RELU6)?,
            Code::RELU_N1_TO_1 => self.then(x, fb::ActivationFunctionType::RELU_N1_TO_1)?,
            Code::LEAKY_RELU => {
                let Some(options) = operator.builtin_options_as_leaky_relu_options() else {
                    return without_options(code);
                };
                let alpha = options.alpha();
                self.graph.op(Activation::LeakyRelu { alpha }, &[x])
            }
            Code::LOGISTIC => self.graph.op(Activation::Sigmoid, &[x]),
            Code::TANH => self.graph.op(Activation::Tanh, &[x]),
            Code::HARD_SWISH => self.graph.op(Activation::HardSwish, &[x]),
            Code::EXP => self.graph.op(Elementwise::Exp, &[x]),
            Code::LOG => self.graph.op(Elementwise::Log, &[x]),
            Code::SQRT => self.graph.op(Elementwise::Sqrt, &[x]),
            Code::NEG => self.graph.op(Elementwise::Neg, &[x]),
            Code::ABS => self.graph.op(Elementwise::Abs, &[x]),
            Code::CAST => {
                let to = self.tensor(output)?;
                self.graph.cast(x, element(to)?)
            }
            // Integers are dequantized wherever they are read, and quantized when they are stored.
            Code::QUANTIZE => x,
            Code::DEQUANTIZE => match element(self.tensor(inputs[0])?)? {
                ElementType::F16 => self.graph.cast(x, element(self.tensor(output)?)?),
                ElementType::I8 | ElementType::U8 => x,
                _ => return unreadable("it converts numbers that are not 16-bit floats"),
            },
            Code::SOFTMAX => {
                let beta = operator
                    .builtin_options_as_softmax_options()
                    .map(|o| o.beta());
                if beta.map(f32::to_bits) != Some(1.0_f32.to_bits()) {
                    return unreadable("its softmax has a temperature");
                }
                self.graph.op(Softmax::LAST, &[x])
            }
            Code::CONCATENATION => {
                let Some(options) = operator.builtin_options_as_concatenation_options() else {
                    return without_options(code);
                };
                let mut parts = Vec::with_capacity(inputs.len());
                for place in inputs {
                    parts.push(self.value(*place)?);
                }
                let made = self.graph.concat(&parts, i64::from(options.axis()));
                self.then(made, options.fused_activation_function())?
            }
            Code::MEAN | Code::SUM | Code::REDUCE_MAX | Code::REDUCE_MIN => {
                let options = operator.builtin_options_as_reducer_options();
                let keep = options.is_some_and(|options| options.keep_dims());
                match steps {
                    Some(steps) => {
                        let sum = self.reduced(Code::SUM, x, inputs, keep)?;
                        self.of_sum(sum, steps, fb::ActivationFunctionType::NONE)?
                    }
                    None => self.reduced(code, x, inputs, keep)?,
                }
            }
            Code::PAD | Code::PADV2 => self.padded(code, x, inputs)?,
            Code::SLICE => {
                let (Some(begin), Some(size)) = (inputs.get(1), inputs.get(2)) else {
                    return without_options(code);
                };
                let (begin, size) = (self.ints(*begin)?, self.ints(*size)?);
                let axes: Vec<i64> = (0..begin.len() as i64).collect();
                let ends: Vec<i64> = begin.iter().zip(&size).map(|(at, len)| at + len).collect();
                let steps = vec![1; begin.len()];
                self.graph.slice(x, &axes, &begin, &ends, &steps)
            }
            Code::RESHAPE => {
                let wanted = lens(self.tensor(output)?)?;
                // If both are given, the second input takes precedence.
                if let Some(place) = inputs.get(1) {
                    let declared = self.ints(*place)?;
                    let is_same = declared.len() == wanted.len()
                        && declared
                            .iter()
                            .zip(&wanted)
                            .all(|(a, b)| *a == -1 || *a == *b as i64);
                    if !is_same {
                        return unreadable("a reshape gives another shape than the file says");
                    }
                }
                let wanted: Vec<i64> = wanted.into_iter().map(|len| len as i64).collect();
                self.graph.reshape(x, &wanted)
            }
            Code::TRANSPOSE => {
                let Some(place) = inputs.get(1) else {
                    return without_options(code);
                };
                let perm = self.ints(*place)?;
                self.graph.transpose(x, &perm)
            }
            Code(number) => {
                return unreadable(format!("it has the unsupported operator {number}"));
            }
        })
    }

    /// The length of a dimension of an input, as the file declares it.
    fn len(&self, inputs: &[i32], at: usize, dim: usize) -> Result<i64, TfliteError> {
        let tensor = self.tensor(inputs.get(at).copied().unwrap_or(-1))?;
        let lens = lens(tensor)?;
        match lens.get(dim) {
            Some(len) => Ok(*len as i64),
            None => unreadable("a tensor has too few dimensions"),
        }
    }

    fn pair(
        &mut self,
        op: impl Into<Op>,
        x: ValueId,
        inputs: &[i32],
    ) -> Result<ValueId, TfliteError> {
        let other = self.operand(inputs, 1, None)?;
        Ok(self.graph.op(op, &[x, other]))
    }

    fn convolved(
        &mut self,
        [x, kernels]: [ValueId; 2],
        inputs: &[i32],
        conv: Conv,
        steps: Option<&Steps>,
    ) -> Result<ValueId, TfliteError> {
        let planes = self.graph.transpose(x, &TO_FIRST);
        let mut operands = vec![planes, kernels];
        if inputs.get(2).is_some_and(|place| *place >= 0) {
            operands.push(self.operand(inputs, 2, steps)?);
        }
        let made = self.graph.op(conv, &operands);
        Ok(self.graph.transpose(made, &TO_LAST))
    }

    /// The result of a layer or product; for integers, computed as by its kernel.
    fn made(
        &mut self,
        sum: ValueId,
        steps: Option<Steps>,
        activation: fb::ActivationFunctionType,
    ) -> Result<ValueId, TfliteError> {
        match steps {
            Some(steps) => self.of_sum(sum, steps, activation),
            None => self.then(sum, activation),
        }
    }

    /// ONNX Runtime has no SAME padding for dilated windows, nor for pools with strides. Then explicit padding is
    /// computed that gives the declared size, with an odd pixel at the end.
    fn without_same(
        &self,
        mut sliding: Sliding,
        inputs: &[i32],
        taps: [i64; 2],
        output: i32,
    ) -> Result<Sliding, TfliteError> {
        let holes = sliding.dilations.iter().any(|dilation| *dilation > 1);
        let apart = (0..2).any(|at| sliding.strides[at] > taps[at]);
        if sliding.auto_pad != AutoPad::SameUpper || !(holes || apart) {
            return Ok(sliding);
        }
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (at, taps) in taps.into_iter().enumerate() {
            let dilation = sliding.dilations.get(at).copied().unwrap_or(1);
            let windows = self.len(&[output], 0, at + 1)?;
            let covered = (windows - 1) * sliding.strides[at] + (taps - 1) * dilation + 1;
            let total = (covered - self.len(inputs, 0, at + 1)?).max(0);
            before.push(total / 2);
            after.push(total - total / 2);
        }
        sliding.auto_pad = AutoPad::Explicit;
        sliding.pads = [before, after].concat();
        Ok(sliding)
    }

    /// A result with the operator's fused activation applied.
    fn then(
        &mut self,
        value: ValueId,
        activation: fb::ActivationFunctionType,
    ) -> Result<ValueId, TfliteError> {
        self.then_by(value, activation, 1.0)
    }

    /// The same for a result in steps of `scale`.
    pub fn then_by(
        &mut self,
        value: ValueId,
        activation: fb::ActivationFunctionType,
        scale: f32,
    ) -> Result<ValueId, TfliteError> {
        let (min, max) = match activation {
            fb::ActivationFunctionType::NONE => return Ok(value),
            fb::ActivationFunctionType::RELU => {
                return Ok(self.graph.op(Activation::Relu, &[value]));
            }
            fb::ActivationFunctionType::RELU6 => (0.0, 6.0),
            fb::ActivationFunctionType::RELU_N1_TO_1 => (-1.0, 1.0),
            other => {
                return unreadable(format!("it has the unsupported activation {}", other.0));
            }
        };
        let [min, max] = [min, max].map(|bound: f64| self.graph.number(bound / f64::from(scale)));
        Ok(self.graph.op(Activation::CLIP, &[value, min, max]))
    }

    fn reduced(
        &mut self,
        code: Code,
        x: ValueId,
        inputs: &[i32],
        keep: bool,
    ) -> Result<ValueId, TfliteError> {
        let Some(place) = inputs.get(1) else {
            return without_options(code);
        };
        let axes = self.ints(*place)?;
        let kind = match code {
            Code::SUM => return Ok(self.graph.reduce_sum(x, &axes, keep)),
            Code::MEAN => ReduceKind::Mean,
            Code::REDUCE_MAX => ReduceKind::Max,
            _ => ReduceKind::Min,
        };
        Ok(self.graph.op(Reduce::along(kind, &axes, keep), &[x]))
    }

    fn padded(&mut self, code: Code, x: ValueId, inputs: &[i32]) -> Result<ValueId, TfliteError> {
        let Some(place) = inputs.get(1) else {
            return without_options(code);
        };
        let widths = self.ints(*place)?;
        let before = widths.iter().step_by(2);
        let after = widths.iter().skip(1).step_by(2);
        let pads: Vec<i64> = before.chain(after).copied().collect();
        if code == Code::PAD {
            return Ok(self.graph.pad(x, &pads));
        }
        let Some(place) = inputs.get(2) else {
            return without_options(code);
        };
        let value = f64::from(self.number(*place)?);
        let (pads, value) = (self.graph.ints(&pads), self.graph.number(value));
        Ok(self.graph.op(Moves::PAD, &[x, pads, value]))
    }
}

fn without_options<T>(code: Code) -> Result<T, TfliteError> {
    unreadable(format!("operator {} has no options", code.0))
}

fn sliding(
    padding: fb::Padding,
    strides: [i32; 2],
    dilations: [i32; 2],
) -> Result<Sliding, TfliteError> {
    let auto_pad = match padding {
        fb::Padding::SAME => AutoPad::SameUpper,
        fb::Padding::VALID => AutoPad::Valid,
        other => return unreadable(format!("it has the unknown padding {}", other.0)),
    };
    Ok(Sliding {
        auto_pad,
        strides: strides.map(i64::from).to_vec(),
        dilations: dilations.map(i64::from).to_vec(),
        ..Sliding::default()
    })
}
