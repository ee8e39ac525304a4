//! Depthwise convolutions of values in rows.

use crate::onnx::proto::NodeProto;
use crate::onnx::{Attribute, OnnxError, Tensor, Window, attribute_int};

use super::layout::{Layout, Value, lacks_kernel};
use super::toeplitz;

impl Layout<'_> {
    /// The window of a depthwise convolution that can be done in rows.
    pub(super) fn depthwise(&self, node: &NodeProto) -> Option<Window> {
        if node.op_type() != "Conv" {
            return None;
        }
        let input = self.shape(node.input.first()?).ok()?;
        let kernel = self.kernel_shape(node);
        let ([_, channels, pixels @ ..], [kernels, 1, taps @ ..]) =
            (input.as_slice(), kernel.as_slice())
        else {
            return None;
        };
        let group = attribute_int(node, "group").unwrap_or(1);
        if pixels.len() != 2 || channels != kernels || group != *channels as i64 {
            return None;
        }
        Window::of(node, pixels, taps).filter(|window| window.pads_backwards().is_some())
    }

    /// Each channel of each picture is a channel of a blocked value, with the kernel of its channel.
    pub(super) fn blocked(
        &mut self,
        node: &NodeProto,
        input: &Value,
        window: &Window,
    ) -> Result<(), OnnxError> {
        let [x, kernel, bias @ ..] = node.input.as_slice() else {
            return Err(lacks_kernel(node));
        };
        let block = self.block.unwrap_or(self.batch);
        let (channels, groups) = (input.channels, self.batch / block);
        let maps = channels * self.batch;
        let [taps_down, taps_right] = window.kernel[..] else {
            return Err(lacks_kernel(node));
        };
        let x = self.rows(x)?;
        let x = self.reshape(&x, &[1, maps, input.height, input.width]);
        let taps = taps_down * taps_right;
        let kernel = self.shaped(kernel, &[channels, taps])?;
        let spread = self.graph.constant(&spread(groups, taps, block));
        let kernel = self.graph.op("MatMul", &[&kernel, &spread]);
        let kernel = self.reshape(&kernel, &[maps, 1, taps_down, taps_right]);
        let mut inputs = vec![x, kernel];
        if let [bias, ..] = bias
            && !bias.is_empty()
        {
            let bias = self.shaped(bias, &[channels, 1])?;
            let bias = self.repeated(&bias, &[channels, self.batch]);
            inputs.push(self.reshape(&bias, &[maps]));
        }
        let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
        let y = self.blocked_conv(&inputs, maps, window);
        self.insert_rows(node, channels, window, &y);
        Ok(())
    }

    /// A convolution of `maps` blocked channels, each with its own kernel.
    pub(super) fn blocked_conv(&mut self, inputs: &[&str], maps: usize, window: &Window) -> String {
        let ints =
            |values: &[usize]| Attribute::Ints(values.iter().map(|value| *value as i64).collect());
        self.graph.blocked_op(
            "Conv",
            inputs,
            &[
                ("group", Attribute::Int(maps as i64)),
                ("strides", ints(&window.strides)),
                ("dilations", ints(&window.dilations)),
                (
                    "pads",
                    ints(&[&window.before[..], &window.after[..]].concat()),
                ),
            ],
        )
    }

    /// A value repeated along dimensions of length 1.
    pub(super) fn repeated(&mut self, value: &str, shape: &[usize]) -> String {
        let shape: Vec<i64> = shape.iter().map(|len| *len as i64).collect();
        let shape = self.graph.ints(&shape);
        self.graph.op("Expand", &[value, &shape])
    }

    /// `Y[c] = T[c] · X[c] + b[c]` for each channel.
    pub(super) fn toeplitz(
        &mut self,
        node: &NodeProto,
        input: &Value,
        window: &Window,
    ) -> Result<(), OnnxError> {
        let [x, kernel, bias @ ..] = node.input.as_slice() else {
            return Err(lacks_kernel(node));
        };
        let channels = input.channels;
        let [taps, to, from] = toeplitz::sizes(window);
        let matrix = if self.trained.contains(kernel) {
            let spread = self.graph.constant(&toeplitz::spread(window));
            let kernel = self.reshape(kernel, &[channels, taps]);
            let flat = self.graph.op("MatMul", &[&kernel, &spread]);
            self.reshape(&flat, &[channels, to, from])
        } else {
            let kernel = self.constant_value(kernel)?;
            self.graph
                .constant(&toeplitz::matrices(window, kernel.f32()?))
        };
        let x = self.rows(x)?;
        let x = self.reshape(&x, &[channels, from, self.batch]);
        let mut y = self.graph.op("MatMul", &[&matrix, &x]);
        if let [bias, ..] = bias
            && !bias.is_empty()
        {
            let bias = self.shaped(bias, &[channels, 1, 1])?;
            y = self.graph.op("Add", &[&y, &bias]);
        }
        self.insert_rows(node, channels, window, &y);
        Ok(())
    }

    /// Notes a convolution's output in rows.
    pub(super) fn insert_rows(
        &mut self,
        node: &NodeProto,
        channels: usize,
        window: &Window,
        y: &str,
    ) {
        let [height, width] = window.output[..] else {
            return;
        };
        let rows = self.reshape(y, &[channels, height * width * self.batch]);
        self.insert(
            node,
            Value {
                channels,
                height,
                width,
                rows: Some(rows),
                planes: None,
            },
        );
    }
}

/// The matrix that repeats each of `taps` numbers for all pictures of a batch, `[taps, groups·taps·block]`: a product
/// with it is exact, and ONNX Runtime repeats and sums numbers one at a time, which takes several times as long.
fn spread(groups: usize, taps: usize, block: usize) -> Tensor {
    let columns = groups * taps * block;
    let mut values = vec![0.0_f32; taps * columns];
    for (tap, row) in values.chunks_exact_mut(columns).enumerate() {
        for group in row.chunks_exact_mut(taps * block) {
            if let Some(repeated) = group.get_mut(tap * block..(tap + 1) * block) {
                repeated.fill(1.0);
            }
        }
    }
    Tensor::new([taps, columns], values)
}
