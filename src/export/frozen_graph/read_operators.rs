//! The meaning of each TensorFlow operation in ONNX operators.

use crate::graph::ops::{
    Activation, Conv, Elementwise, Gemm, Linear, Moves, Pool, PoolKind, Reduce, ReduceKind, Softmax,
};
use crate::graph::{AutoPad, Op, Sliding, ValueId};
use crate::onnx::Element;

use super::FrozenGraphError;
use super::read::{Reader, attribute, element, text, unreadable};
use super::schema::NodeDef;
use super::schema::attr_value::Value;

/// The permutation from TensorFlow's layout to channels first.
const TO_FIRST: [i64; 4] = [0, 3, 1, 2];
/// The permutation back.
const TO_LAST: [i64; 4] = [0, 2, 3, 1];

impl Reader {
    /// Converts one operation.
    pub fn operation(
        &mut self,
        node: &NodeDef,
        inputs: &[ValueId],
    ) -> Result<ValueId, FrozenGraphError> {
        let at = |place: usize| match inputs.get(place) {
            Some(value) => Ok(*value),
            None => unreadable(format!("“{}” has too few inputs", node.name)),
        };
        let x = at(0)?;
        let pair: Option<Op> = match node.op.as_str() {
            "Add" | "AddV2" | "BiasAdd" => Some(Elementwise::Add.into()),
            "Sub" => Some(Elementwise::Sub.into()),
            "Mul" => Some(Elementwise::Mul.into()),
            "RealDiv" | "Div" => Some(Elementwise::Div.into()),
            "Maximum" => Some(Elementwise::Max.into()),
            "Minimum" => Some(Elementwise::Min.into()),
            _ => None,
        };
        if let Some(op) = pair {
            let other = at(1)?;
            return Ok(self.to().op(op, &[x, other]));
        }
        let single: Option<Op> = match node.op.as_str() {
            "Relu" => Some(Activation::Relu.into()),
            "Sigmoid" => Some(Activation::Sigmoid.into()),
            "Tanh" => Some(Activation::Tanh.into()),
            "Exp" => Some(Elementwise::Exp.into()),
            "Log" => Some(Elementwise::Log.into()),
            "Sqrt" => Some(Elementwise::Sqrt.into()),
            "Neg" => Some(Elementwise::Neg.into()),
            "Abs" => Some(Elementwise::Abs.into()),
            "Softmax" => Some(Softmax::LAST.into()),
            "Cast" => Some(Elementwise::Cast(element(node, "DstT")?).into()),
            _ => None,
        };
        if let Some(op) = single {
            return Ok(self.to().op(op, &[x]));
        }
        Ok(match node.op.as_str() {
            "Identity" => x,
            "Relu6" => {
                let bounds = [0.0, 6.0].map(|bound| self.to().number(bound));
                let [min, max] = bounds;
                self.to().op(Activation::CLIP, &[x, min, max])
            }
            "Conv2D" | "DepthwiseConv2dNative" => self.convolution(node, x, at(1)?)?,
            "AvgPool" | "MaxPool" => self.pool(node, x)?,
            "MatMul" => {
                let flag = |name| matches!(attribute(node, name), Some(Value::B(true)));
                let gemm = Gemm {
                    trans_a: flag("transpose_a"),
                    trans_b: flag("transpose_b"),
                    alpha: 1.0,
                    beta: 1.0,
                };
                self.to().op(Linear::Gemm(gemm), &[x, at(1)?])
            }
            "ConcatV2" => {
                let Some((axis, parts)) = inputs.split_last() else {
                    return unreadable(format!("“{}” has no inputs", node.name));
                };
                let [axis] = *self.ints(node, *axis)?.as_slice() else {
                    return unreadable(format!("“{}” uses several axes", node.name));
                };
                self.to().concat(parts, axis)
            }
            "Mean" | "Sum" | "Max" | "Min" => {
                let axes = self.ints(node, at(1)?)?;
                let keep = matches!(attribute(node, "keep_dims"), Some(Value::B(true)));
                let kind = match node.op.as_str() {
                    "Sum" => return Ok(self.to().reduce_sum(x, &axes, keep)),
                    "Mean" => ReduceKind::Mean,
                    "Max" => ReduceKind::Max,
                    _ => ReduceKind::Min,
                };
                self.to().op(Reduce::along(kind, &axes, keep), &[x])
            }
            "Pad" | "PadV2" => {
                let widths = self.ints(node, at(1)?)?;
                let pads = before_and_after(&widths);
                if node.op == "Pad" {
                    return Ok(self.to().pad(x, &pads));
                }
                let value = at(2)?;
                let pads = self.to().ints(&pads);
                self.to().op(Moves::PAD, &[x, pads, value])
            }
            "Slice" => {
                let (begin, size) = (self.ints(node, at(1)?)?, self.ints(node, at(2)?)?);
                let axes: Vec<i64> = (0..begin.len() as i64).collect();
                let ends: Vec<i64> = begin.iter().zip(&size).map(|(at, len)| at + len).collect();
                let steps = vec![1; begin.len()];
                self.to().slice(x, &axes, &begin, &ends, &steps)
            }
            "StridedSlice" => {
                let masks = node.attr.iter().filter(|(name, _)| name.ends_with("_mask"));
                if !masks
                    .map(|(_, mask)| &mask.value)
                    .all(|mask| *mask == Some(Value::I(0)))
                {
                    return unreadable(format!("“{}” does not say where it slices", node.name));
                }
                let (begin, end) = (self.ints(node, at(1)?)?, self.ints(node, at(2)?)?);
                let steps = self.ints(node, at(3)?)?;
                let axes: Vec<i64> = (0..begin.len() as i64).collect();
                self.to().slice(x, &axes, &begin, &end, &steps)
            }
            "Reshape" => {
                let shape = self.ints(node, at(1)?)?;
                self.to().reshape(x, &shape)
            }
            "Transpose" => {
                let perm = self.ints(node, at(1)?)?;
                self.to().transpose(x, &perm)
            }
            "SpaceToBatchND" => {
                let (block, paddings) = (self.ints(node, at(1)?)?, self.ints(node, at(2)?)?);
                self.space_to_batch(node, x, &block, &paddings)?
            }
            "BatchToSpaceND" => {
                let (block, crops) = (self.ints(node, at(1)?)?, self.ints(node, at(2)?)?);
                self.batch_to_space(node, x, &block, &crops)?
            }
            other => {
                return unreadable(format!(
                    "“{}” is the unsupported operation {other}",
                    node.name
                ));
            }
        })
    }

    /// The integers of a constant.
    fn ints(&mut self, node: &NodeDef, value: ValueId) -> Result<Vec<i64>, FrozenGraphError> {
        match self.to().constant_of(value).map(|tensor| &tensor.data) {
            Some(Element::I32(values)) => Ok(values.iter().map(|one| i64::from(*one)).collect()),
            _ => unreadable(format!(
                "axes, margins or shapes of “{}” are not constants",
                node.name
            )),
        }
    }

    fn lens<const N: usize>(
        &mut self,
        node: &NodeDef,
        value: ValueId,
    ) -> Result<[usize; N], FrozenGraphError> {
        let lens = self.to().lens(value).unwrap_or_default();
        match <[usize; N]>::try_from(lens) {
            Ok(lens) => Ok(lens),
            Err(lens) => unreadable(format!("“{}” works on the shape {lens:?}", node.name)),
        }
    }

    fn convolution(
        &mut self,
        node: &NodeDef,
        x: ValueId,
        kernels: ValueId,
    ) -> Result<ValueId, FrozenGraphError> {
        let [height, width, channels, last] = self.lens(node, kernels)?;
        // TensorFlow's kernels are [height, width, input, output].
        let (kernels, group) = if node.op == "Conv2D" {
            (self.to().transpose(kernels, &[3, 2, 0, 1]), 1)
        } else {
            let flat = [height, width, 1, channels * last].map(|len| len as i64);
            let kernels = self.to().reshape(kernels, &flat);
            (self.to().transpose(kernels, &[3, 2, 0, 1]), channels as i64)
        };
        let taps = [height, width].map(|taps| taps as i64);
        let sliding = self.sliding(node, x, taps)?;
        let planes = self.to().transpose(x, &TO_FIRST);
        let made = self.to().op(Conv { sliding, group }, &[planes, kernels]);
        Ok(self.to().transpose(made, &TO_LAST))
    }

    fn pool(&mut self, node: &NodeDef, x: ValueId) -> Result<ValueId, FrozenGraphError> {
        let taps = pair(node, "ksize")?;
        let mut sliding = self.sliding(node, x, taps)?;
        sliding.kernel = taps.to_vec();
        sliding.dilations.clear();
        let kind = if node.op == "MaxPool" {
            PoolKind::Max { in_columns: false }
        } else {
            // Padding is excluded from the mean.
            PoolKind::Average {
                padding_counts: false,
            }
        };
        let pool = Pool {
            kind,
            sliding,
            ceil: false,
        };
        let planes = self.to().transpose(x, &TO_FIRST);
        let pooled = self.to().op(pool, &[planes]);
        Ok(self.to().transpose(pooled, &TO_LAST))
    }

    /// The geometry of a window. ONNX Runtime has no SAME padding for windows that lie apart; then TensorFlow's
    /// padding is computed here, with an odd pixel at the end.
    fn sliding(
        &mut self,
        node: &NodeDef,
        x: ValueId,
        taps: [i64; 2],
    ) -> Result<Sliding, FrozenGraphError> {
        if text(&node.attr, "data_format").is_some_and(|format| format != b"NHWC") {
            return unreadable(format!("“{}” has its channels first", node.name));
        }
        if attribute(node, "dilations").is_some() && pair(node, "dilations")? != [1, 1] {
            return unreadable(format!("“{}” has holes in its window", node.name));
        }
        let strides = pair(node, "strides")?;
        let mut sliding = Sliding {
            strides: strides.to_vec(),
            ..Sliding::default()
        };
        match text(&node.attr, "padding") {
            Some(b"VALID") => sliding.auto_pad = AutoPad::Valid,
            Some(b"SAME") if (0..2).all(|at| strides[at] <= taps[at]) => {
                sliding.auto_pad = AutoPad::SameUpper;
            }
            Some(b"SAME") => {
                let [_, rows, columns, _] = self.lens(node, x)?;
                let (mut before, mut after) = (Vec::new(), Vec::new());
                for (at, len) in [rows, columns]
                    .map(|len| len as i64)
                    .into_iter()
                    .enumerate()
                {
                    let windows = (len + strides[at] - 1) / strides[at];
                    let total = ((windows - 1) * strides[at] + taps[at] - len).max(0);
                    before.push(total / 2);
                    after.push(total - total / 2);
                }
                sliding.pads = [before, after].concat();
            }
            _ => return unreadable(format!("“{}” has an unknown padding", node.name)),
        }
        Ok(sliding)
    }

    /// Splits an image into images of every `block`-th pixel (TensorFlow's `SpaceToBatchND`).
    fn space_to_batch(
        &mut self,
        node: &NodeDef,
        x: ValueId,
        block: &[i64],
        paddings: &[i64],
    ) -> Result<ValueId, FrozenGraphError> {
        let (&[down, across], &[top, bottom, left, right]) = (block, paddings) else {
            return unreadable(format!("“{}” does not work on images", node.name));
        };
        let padded = self.to().pad(x, &[0, top, left, 0, 0, bottom, right, 0]);
        let [images, rows, columns, channels] = self.lens(node, padded)?.map(|len| len as i64);
        if down < 1 || across < 1 || rows % down != 0 || columns % across != 0 {
            return unreadable(format!("“{}” has blocks that do not fit", node.name));
        }
        let apart = [
            images,
            rows / down,
            down,
            columns / across,
            across,
            channels,
        ];
        let apart = self.to().reshape(padded, &apart);
        let moved = self.to().transpose(apart, &[2, 4, 0, 1, 3, 5]);
        let shape = [
            images * down * across,
            rows / down,
            columns / across,
            channels,
        ];
        Ok(self.to().reshape(moved, &shape))
    }

    /// `BatchToSpaceND`, the inverse.
    fn batch_to_space(
        &mut self,
        node: &NodeDef,
        x: ValueId,
        block: &[i64],
        crops: &[i64],
    ) -> Result<ValueId, FrozenGraphError> {
        let (&[down, across], &[top, bottom, left, right]) = (block, crops) else {
            return unreadable(format!("“{}” does not work on images", node.name));
        };
        let [images, rows, columns, channels] = self.lens(node, x)?.map(|len| len as i64);
        if down < 1 || across < 1 || images % (down * across) != 0 {
            return unreadable(format!("“{}” has blocks that do not fit", node.name));
        }
        let images = images / (down * across);
        let apart = [down, across, images, rows, columns, channels];
        let apart = self.to().reshape(x, &apart);
        let moved = self.to().transpose(apart, &[2, 3, 0, 4, 1, 5]);
        let (rows, columns) = (rows * down, columns * across);
        let whole = self.to().reshape(moved, &[images, rows, columns, channels]);
        let ends = [rows - bottom, columns - right];
        Ok(self
            .to()
            .slice(whole, &[1, 2], &[top, left], &ends, &[1, 1]))
    }
}

/// Converts pairs of widths to all widths before the dimensions, followed by all after them.
fn before_and_after(widths: &[i64]) -> Vec<i64> {
    let before = widths.iter().step_by(2);
    let after = widths.iter().skip(1).step_by(2);
    before.chain(after).copied().collect()
}

/// The two middle numbers of an attribute of four.
fn pair(node: &NodeDef, name: &str) -> Result<[i64; 2], FrozenGraphError> {
    match attribute(node, name) {
        Some(Value::List(list)) => match list.i.as_slice() {
            [1, down, across, 1] if *down > 0 && *across > 0 => Ok([*down, *across]),
            _ => unreadable(format!("“{}” has unknown {name}", node.name)),
        },
        _ => unreadable(format!("“{}” has no {name}", node.name)),
    }
}
