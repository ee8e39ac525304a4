//! The operators of mobile networks on values in rows in ONNX Runtime's blocked layout.
//!
//! A value in rows is `[1, C', B·H, W]` there, in memory `[C'/b, B, H, W, b]`: blocks of b channels, C' being C filled up with
//! channels that no weight but zero meets. All pictures together are one picture for a pointwise convolution; for a depthwise one each
//! block of each picture is a block of channels of its own, `[1, C'·B, H, W]`, and the kernels are repeated. So
//! nothing has to be moved from one operator to the next.

use crate::onnx::proto::NodeProto;
use crate::onnx::{Attribute, OnnxError, Tensor, Window, attribute_float, attribute_int};

use super::layout::{Layout, Value, lacks_kernel};

/// With more numbers under its window an unfolded value is too large to be worth it.
const MOST_UNDER_WINDOW: usize = 80;

/// An activation function that a blocked convolution applies itself: `max(x, 0)`, or `min(max(x, 0), highest)`.
#[derive(Clone, Copy)]
struct Activation {
    highest: Option<f32>,
}

impl Activation {
    fn attributes(self) -> Vec<(&'static str, Attribute)> {
        let (name, bounds) = match self.highest {
            None => ("Relu", None),
            Some(highest) => ("Clip", Some(vec![0.0, highest])),
        };
        let bounds = bounds.map(|bounds| ("activation_params", Attribute::Floats(bounds)));
        let name = ("activation", Attribute::Text(name.into()));
        [name].into_iter().chain(bounds).collect()
    }
}

impl Layout<'_> {
    /// Channels filled up to whole blocks, C'.
    pub(super) fn filled(&self, channels: usize) -> usize {
        channels.next_multiple_of(self.block.unwrap_or(1))
    }

    /// Appends zeros to the lengths of a value until they are `to`.
    fn fill_up(&mut self, value: &str, from: &[usize], to: &[usize]) -> String {
        if from == to {
            return value.to_owned();
        }
        let added = to.iter().zip(from).map(|(to, from)| (to - from) as i64);
        let pads: Vec<i64> = from.iter().map(|_| 0).chain(added).collect();
        let pads = self.graph.ints(&pads);
        self.graph.op("Pad", &[value, &pads])
    }

    /// `[B, C, H, W]` as rows.
    pub(super) fn rows_of_planes(&mut self, planes: &str, value: &Value) -> String {
        let turned = self.transpose(planes, vec![1, 0, 2, 3]);
        let (rows, width) = (self.batch * value.height, value.width);
        let filled = self.filled(value.channels);
        let turned = self.reshape(&turned, &[1, value.channels, rows, width]);
        let turned = self.fill_up(
            &turned,
            &[1, value.channels, rows, width],
            &[1, filled, rows, width],
        );
        self.graph.blocked_op("ReorderInput", &[&turned], &[])
    }

    /// Rows as `[B, C, H, W]`.
    pub(super) fn planes_of_rows(&mut self, rows: &str, value: &Value) -> String {
        let filled = self.filled(value.channels);
        let all = Attribute::Int(filled as i64);
        let plain = self
            .graph
            .blocked_op("ReorderOutput", &[rows], &[("channels", all)]);
        let plain = self.reshape(&plain, &[filled, self.batch, value.height, value.width]);
        let planes = self.transpose(&plain, vec![1, 0, 2, 3]);
        self.first_channels(&planes, value.channels)
    }

    /// The first `channels` along the second dimension.
    pub(super) fn first_channels(&mut self, value: &str, channels: usize) -> String {
        if channels == self.filled(channels) {
            return value.to_owned();
        }
        let [begin, end, axis] = [0, channels as i64, 1].map(|number| self.graph.ints(&[number]));
        self.graph.op("Slice", &[value, &begin, &end, &axis])
    }

    /// A weight, seen as `from`, filled up with zeros to the matrix `to` and blocked along its first dimension:
    /// `[1, to[0], to[1], 1]`. Done once for a constant, in each step for a weight that is trained.
    fn blocked_weight(
        &mut self,
        name: &str,
        from: [usize; 2],
        to: [usize; 2],
    ) -> Result<String, OnnxError> {
        if self.trained.contains(name) {
            let weight = self.reshape(name, &from);
            let weight = self.fill_up(&weight, &from, &to);
            let weight = self.reshape(&weight, &[1, to[0], to[1], 1]);
            return Ok(self.graph.blocked_op("ReorderInput", &[&weight], &[]));
        }
        let weight = self.constant_value(name)?;
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
        Ok(self.graph.constant(&weight))
    }

    /// The bias of a convolution, `[C']`, if it has one.
    fn filled_bias(
        &mut self,
        node: &NodeProto,
        channels: usize,
    ) -> Result<Option<String>, OnnxError> {
        let Some(bias) = node.input.get(2).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let bias = self.shaped(bias, &[channels])?;
        Ok(Some(self.fill_up(
            &bias,
            &[channels],
            &[self.filled(channels)],
        )))
    }

    /// The activation that follows a convolution and nothing else does, with its node.
    fn activation_after(&self, node: &NodeProto) -> Option<(Activation, NodeProto)> {
        let output = node.output.first()?;
        let mut users = self
            .back
            .nodes
            .iter()
            .filter(|user| user.input.contains(output));
        let (user, None) = (users.next()?, users.next()) else {
            return None;
        };
        if self.back.outputs.iter().any(|out| out.name() == output) {
            return None;
        }
        let bound = |at: usize, attribute: &str| match user.input.get(at) {
            Some(name) if !name.is_empty() => {
                let value = self.back.known_value(name)?;
                value.f32().ok()?.first().copied()
            }
            _ => attribute_float(user, attribute),
        };
        let highest = match user.op_type() {
            "Relu" => None,
            "Clip" if bound(1, "min") == Some(0.0) => {
                Some(bound(2, "max").filter(|highest| highest.is_finite() && *highest > 0.0)?)
            }
            _ => return None,
        };
        Some((Activation { highest }, user.clone()))
    }

    /// A convolution of blocked values, with what follows it; its output of `channels` is noted in rows.
    fn blocked_conv(
        &mut self,
        node: &NodeProto,
        inputs: &[&str],
        mut attributes: Vec<(&str, Attribute)>,
        [channels, height, width]: [usize; 3],
    ) {
        let after = self.activation_after(node);
        if let Some((activation, _)) = &after {
            attributes.extend(activation.attributes());
        }
        let y = self.graph.blocked_op("Conv", inputs, &attributes);
        let rows = self.reshape(&y, &[1, self.filled(channels), self.batch * height, width]);
        let last = after.as_ref().map_or(node, |(_, activation)| activation);
        self.insert(last, Value::in_rows([channels, height, width], rows));
    }

    /// `Y = W · X + b` over all pixels of all pictures.
    pub(super) fn blocked_pointwise(
        &mut self,
        node: &NodeProto,
        input: &Value,
    ) -> Result<(), OnnxError> {
        let [x, kernel, ..] = node.input.as_slice() else {
            return Err(lacks_kernel(node));
        };
        let channels = self.shape(kernel)?.first().copied().unwrap_or_default();
        let x = self.rows(x)?;
        self.product_in_blocks(node, &x, kernel, input, channels)
    }

    fn product_in_blocks(
        &mut self,
        node: &NodeProto,
        x: &str,
        kernel: &str,
        input: &Value,
        channels: usize,
    ) -> Result<(), OnnxError> {
        let (from, to) = (self.filled(input.channels), self.filled(channels));
        let w = self.blocked_weight(kernel, [channels, input.channels], [to, from])?;
        let w = self.reshape(&w, &[to, from, 1, 1]);
        let bias = self.filled_bias(node, channels)?;
        let inputs: Vec<&str> = [x, &w].into_iter().chain(bias.as_deref()).collect();
        let lens = [channels, input.height, input.width];
        self.blocked_conv(node, &inputs, Vec::new(), lens);
        Ok(())
    }

    /// Each channel of each picture is a channel of a blocked value, with the kernel of its channel.
    pub(super) fn blocked_depthwise(
        &mut self,
        node: &NodeProto,
        input: &Value,
        window: &Window,
    ) -> Result<(), OnnxError> {
        let ([x, kernel, ..], [down, right], [height, width]) = (
            node.input.as_slice(),
            &window.kernel[..],
            &window.output[..],
        ) else {
            return Err(lacks_kernel(node));
        };
        let (block, filled) = (self.block.unwrap_or(1), self.filled(input.channels));
        let (blocks, maps) = (filled / block, filled * self.batch);
        let x = self.rows(x)?;
        let x = self.reshape(&x, &[1, maps, input.height, input.width]);
        let taps = down * right;
        let kernel = self.blocked_weight(kernel, [input.channels, taps], [filled, taps])?;
        let kernel = self.repeated(&kernel, [blocks, taps * block]);
        let kernel = self.reshape(&kernel, &[maps, 1, *down, *right]);
        let bias = self.filled_bias(node, input.channels)?.map(|bias| {
            let bias = self.repeated(&bias, [blocks, block]);
            self.reshape(&bias, &[maps])
        });
        let inputs: Vec<&str> = [&x, &kernel]
            .into_iter()
            .chain(bias.as_ref())
            .map(String::as_str)
            .collect();
        let ints =
            |values: &[usize]| Attribute::Ints(values.iter().map(|value| *value as i64).collect());
        let attributes = vec![
            ("group", Attribute::Int(maps as i64)),
            ("strides", ints(&window.strides)),
            ("dilations", ints(&window.dilations)),
            (
                "pads",
                ints(&[&window.before[..], &window.after[..]].concat()),
            ),
        ];
        self.blocked_conv(node, &inputs, attributes, [input.channels, *height, *width]);
        Ok(())
    }

    /// What belongs to each block, `[blocks, len]`, for each picture: `[blocks, B, len]`.
    fn repeated(&mut self, value: &str, [blocks, len]: [usize; 2]) -> String {
        let value = self.reshape(value, &[blocks, 1, len]);
        let shape = [blocks, self.batch, len].map(|len| len as i64);
        let shape = self.graph.ints(&shape);
        self.graph.op("Expand", &[&value, &shape])
    }

    /// Whether this is a dense convolution of so few channels and taps that they are better unfolded, as the first one of a
    /// network usually is.
    pub(super) fn is_thin(&self, node: &NodeProto) -> bool {
        let dense = attribute_int(node, "group").unwrap_or(1) == 1;
        let kernel = self.kernel_shape(node);
        matches!(kernel.as_slice(), [_, channels, down, right]
            if dense && channels * down * right <= MOST_UNDER_WINDOW)
    }

    /// Such a convolution as two: the first makes a channel of each channel under each tap (im2col), the second is a
    /// pointwise one.
    pub(super) fn unfolded(&mut self, node: &NodeProto, input: &Value) -> Result<(), OnnxError> {
        let [x, kernel, ..] = node.input.as_slice() else {
            return Err(lacks_kernel(node));
        };
        let output = node.output.first().map(String::as_str).unwrap_or_default();
        let (kernel_shape, output) = (self.shape(kernel)?, self.shape(output)?);
        let ([channels, _, taps @ ..], [_, _, height, width]) = (&kernel_shape[..], &output[..])
        else {
            return Err(lacks_kernel(node));
        };
        let each: usize = taps.iter().product();
        let under = input.channels * each;
        let filled = self.filled(under);
        let mut ones = vec![0.0_f32; filled * under];
        for at in 0..under {
            // The kernel that has a 1 at this channel and tap alone.
            if let Some(place) = ones.get_mut(at * under + at) {
                *place = 1.0;
            }
        }
        let shape = [&[filled, input.channels], taps].concat();
        let ones = self.graph.constant(&Tensor::new(shape, ones));
        let x = self.planes(x)?;
        let unfolded = self.graph.unique("Conv");
        let mut first = node.clone();
        first.name = None;
        first.input = vec![x, ones];
        first.output = vec![unfolded.clone()];
        self.graph.nodes.push(first);
        let in_planes = |channels| Value::in_planes([channels, *height, *width], unfolded.clone());
        let rows = self.rows_of_planes(&unfolded, &in_planes(filled));
        self.product_in_blocks(node, &rows, kernel, &in_planes(under), *channels)
    }
}
