//! The operators of mobile networks on rows in ONNX Runtime's blocked layout.
//!
//! A value in rows has the shape `[1, C', B·H, W]`, in memory `[C'/b, B, H, W, b]`: blocks of b channels, where C' is
//! C padded with zero channels to a multiple of b. A pointwise convolution treats all images as one; a depthwise one
//! treats each block of each image as a block of channels, `[1, C'·B, H, W]`, with repeated kernels. So no value has
//! to be moved between operators.

use crate::graph::ops::{Activation, Blocked, Conv, Fused, Moves, Reshaping};
use crate::graph::value::as_ints;
use crate::graph::{GraphError, Node, Op, Sliding, ValueId, WindowGeometry};
use crate::onnx::Tensor;

use super::{Layout, Placed, lacks};

/// With more values under its window, an unfolded value is too large to be faster.
const MOST_UNDER_WINDOW: usize = 80;

impl Layout<'_> {
    /// The number of channels padded to whole blocks, C'.
    pub(super) fn padded(&self, channels: usize) -> usize {
        channels.next_multiple_of(self.block.unwrap_or(1))
    }

    /// Pads a value with zeros at the end of each dimension, from the lengths `from` to `to`.
    fn pad(&mut self, value: ValueId, from: &[usize], to: &[usize]) -> ValueId {
        if from == to {
            return value;
        }
        let added = to.iter().zip(from).map(|(to, from)| (to - from) as i64);
        let pads: Vec<i64> = from.iter().map(|_| 0).chain(added).collect();
        self.graph.pad(value, &pads)
    }

    /// Converts `[B, C, H, W]` to rows.
    pub(super) fn rows_of_planes(&mut self, planes: ValueId, value: &Placed) -> ValueId {
        let transposed = self.graph.transpose(planes, &[1, 0, 2, 3]);
        let from = [1, value.channels, self.batch * value.height, value.width];
        let mut to = from;
        to[1] = self.padded(value.channels);
        let transposed = self.reshape(transposed, &from);
        let transposed = self.pad(transposed, &from, &to);
        self.graph.op(Blocked::INPUT, &[transposed])
    }

    /// Converts rows to `[B, C, H, W]`.
    pub(super) fn planes_of_rows(&mut self, rows: ValueId, value: &Placed) -> ValueId {
        let padded = self.padded(value.channels);
        let plain = self.graph.op(Blocked::output(padded, false), &[rows]);
        let plain = self.reshape(plain, &[padded, self.batch, value.height, value.width]);
        let planes = self.graph.transpose(plain, &[1, 0, 2, 3]);
        self.first_channels(planes, value.channels)
    }

    /// The first `channels` of the second dimension.
    pub(super) fn first_channels(&mut self, value: ValueId, channels: usize) -> ValueId {
        if channels == self.padded(channels) {
            return value;
        }
        let [begin, end, axis] = [0, channels as i64, 1].map(|number| self.graph.ints(&[number]));
        self.graph.op(Moves::SLICE, &[value, begin, end, axis])
    }

    /// A weight, reshaped to `from`, padded with zeros to the matrix `to` and blocked along its first dimension: `[1,
    /// to[0], to[1], 1]`. Computed once for a constant, in each step for a trained weight.
    fn blocked_weight(
        &mut self,
        id: ValueId,
        from: [usize; 2],
        to: [usize; 2],
    ) -> Result<ValueId, GraphError> {
        if let Some(weight) = self.trained.get(&id) {
            let weight = self.reshape(*weight, &from);
            let weight = self.pad(weight, &from, &to);
            let weight = self.reshape(weight, &[1, to[0], to[1], 1]);
            return Ok(self.graph.op(Blocked::INPUT, &[weight]));
        }
        let weight = self.constant_value(id)?;
        let block = self.block.unwrap_or(1);
        let mut values = vec![0.0; to[0] * to[1]];
        for (row, numbers) in weight.f32()?.chunks_exact(from[1].max(1)).enumerate() {
            for (column, number) in numbers.iter().enumerate() {
                let at = (row / block * to[1] + column) * block + row % block;
                if let Some(place) = values.get_mut(at) {
                    *place = *number;
                }
            }
        }
        let weight = Tensor::new([1, to[0], to[1], 1], values);
        Ok(self.graph.constant(weight))
    }

    /// The bias of a convolution, `[C']`, if it has one.
    fn padded_bias(&mut self, node: &Node, channels: usize) -> Result<Option<ValueId>, GraphError> {
        let Some(bias) = node.input(2) else {
            return Ok(None);
        };
        let bias = self.shaped(bias, &[channels])?;
        Ok(Some(self.pad(bias, &[channels], &[self.padded(channels)])))
    }

    /// The activation that is the only reader of a convolution, if it can be fused, and its node.
    fn activation_after(&self, node: &Node) -> Option<(Fused, &Node)> {
        let output = node.output()?;
        let mut users = self.back.consumers(output);
        let (user, None) = (users.next()?, users.next()) else {
            return None;
        };
        if self.back.outputs().contains(&output) {
            return None;
        }
        let bound = |at: usize, attribute: Option<f32>| match user.input(at) {
            Some(bound) => self.back.constant_of(bound)?.f32().ok()?.first().copied(),
            None => attribute,
        };
        let fused = match user.op {
            Op::Activation(Activation::Relu) => Fused::Relu,
            Op::Activation(Activation::Clip { min, max }) if bound(1, min) == Some(0.0) => {
                let high = bound(2, max).filter(|high| high.is_finite() && *high > 0.0)?;
                Fused::Clip { low: 0.0, high }
            }
            _ => return None,
        };
        Some((fused, user))
    }

    /// A convolution of blocked values with the fused activation; its result, with `channels` channels, is stored in
    /// rows.
    fn blocked_conv(
        &mut self,
        node: &Node,
        inputs: &[ValueId],
        (sliding, group): (Sliding, usize),
        [channels, height, width]: [usize; 3],
    ) {
        let (fused, last) = match self.activation_after(node) {
            Some((fused, activation)) => (fused, activation.output()),
            None => (Fused::Nothing, node.output()),
        };
        let y = self.graph.op(Blocked::conv(sliding, group, fused), inputs);
        let rows = self.reshape(y, &[1, self.padded(channels), self.batch * height, width]);
        if let Some(last) = last {
            let value = Placed::in_rows([channels, height, width], rows);
            self.values.insert(last, value);
        }
    }

    /// `Y = W · X + b` over all pixels of all images.
    pub(super) fn blocked_pointwise(
        &mut self,
        node: &Node,
        input: &Placed,
    ) -> Result<(), GraphError> {
        let (Some(x), Some(kernel)) = (node.input(0), node.input(1)) else {
            return Err(lacks(node, "kernel"));
        };
        let channels = self.shape(kernel)?.first().copied().unwrap_or_default();
        let x = self.rows(x)?;
        self.product_in_blocks(node, x, kernel, input, channels)
    }

    fn product_in_blocks(
        &mut self,
        node: &Node,
        x: ValueId,
        kernel: ValueId,
        input: &Placed,
        channels: usize,
    ) -> Result<(), GraphError> {
        let (from, to) = (self.padded(input.channels), self.padded(channels));
        let w = self.blocked_weight(kernel, [channels, input.channels], [to, from])?;
        let w = self.reshape(w, &[to, from, 1, 1]);
        let bias = self.padded_bias(node, channels)?;
        let inputs: Vec<ValueId> = [x, w].into_iter().chain(bias).collect();
        let size = [channels, input.height, input.width];
        self.blocked_conv(node, &inputs, (Sliding::default(), 1), size);
        Ok(())
    }

    /// Each channel of each image becomes a channel of a blocked value, with the kernel of that channel.
    pub(super) fn blocked_depthwise(
        &mut self,
        node: &Node,
        input: &Placed,
        window: &WindowGeometry,
    ) -> Result<(), GraphError> {
        let (Some(x), Some(kernel), [down, right], [height, width]) = (
            node.input(0),
            node.input(1),
            &window.kernel[..],
            &window.output[..],
        ) else {
            return Err(lacks(node, "kernel"));
        };
        let (block, padded) = (self.block.unwrap_or(1), self.padded(input.channels));
        let (blocks, maps) = (padded / block, padded * self.batch);
        let x = self.rows(x)?;
        let x = self.reshape(x, &[1, maps, input.height, input.width]);
        let taps = down * right;
        let kernel = self.blocked_weight(kernel, [input.channels, taps], [padded, taps])?;
        let kernel = self.repeated(kernel, [blocks, taps * block]);
        let kernel = self.reshape(kernel, &[maps, 1, *down, *right]);
        let bias = self.padded_bias(node, input.channels)?.map(|bias| {
            let bias = self.repeated(bias, [blocks, block]);
            self.reshape(bias, &[maps])
        });
        let inputs: Vec<ValueId> = [x, kernel].into_iter().chain(bias).collect();
        let pads = [&window.before[..], &window.after[..]].concat();
        let sliding = Sliding::new(&window.strides, &window.dilations, &pads);
        let size = [input.channels, *height, *width];
        self.blocked_conv(node, &inputs, (sliding, maps), size);
        Ok(())
    }

    /// Repeats the parameters of each block, `[blocks, len]`, for each image: `[blocks, B, len]`.
    fn repeated(&mut self, value: ValueId, [blocks, len]: [usize; 2]) -> ValueId {
        let value = self.reshape(value, &[blocks, 1, len]);
        let shape = self.graph.ints(&as_ints(&[blocks, self.batch, len]));
        self.graph.op(Reshaping::Expand, &[value, shape])
    }

    /// Whether this is a dense convolution of so few channels and taps that it is faster unfolded, usually the first
    /// one of a network.
    pub(super) fn is_thin(&self, node: &Node) -> bool {
        let dense = matches!(node.op, Op::Conv(Conv { group: 1, .. }));
        let kernel = self.kernel_shape(node);
        matches!(kernel.as_slice(), [_, channels, down, right]
            if dense && channels * down * right <= MOST_UNDER_WINDOW)
    }

    /// Rewrites such a convolution as two: the first makes a channel of each channel at each tap (im2col), the second
    /// is pointwise.
    pub(super) fn unfolded(&mut self, node: &Node, input: &Placed) -> Result<(), GraphError> {
        let (Some(x), Some(kernel)) = (node.input(0), node.input(1)) else {
            return Err(lacks(node, "kernel"));
        };
        let (kernel_shape, output) = (self.shape(kernel)?, self.output_shape(node)?);
        let ([channels, _, taps @ ..], [_, _, height, width]) = (&kernel_shape[..], &output[..])
        else {
            return Err(lacks(node, "kernel"));
        };
        let each: usize = taps.iter().product();
        let under = input.channels * each;
        let padded = self.padded(under);
        let mut ones = vec![0.0_f32; padded * under];
        for at in 0..under {
            // A kernel that is 1 at this channel and tap only.
            if let Some(place) = ones.get_mut(at * under + at) {
                *place = 1.0;
            }
        }
        let shape = [&[padded, input.channels], taps].concat();
        let ones = self.graph.constant(Tensor::new(shape, ones));
        let x = self.planes(x)?;
        let unfolded = self.graph.op(node.op.clone(), &[x, ones]);
        let in_planes = |channels| Placed::in_planes([channels, *height, *width], unfolded);
        let rows = self.rows_of_planes(unfolded, &in_planes(padded));
        self.product_in_blocks(node, rows, kernel, &in_planes(under), *channels)
    }
}
