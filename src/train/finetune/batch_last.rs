//! The operators of mobile networks on values in rows with the batch last, where ONNX Runtime has no blocked layout: `[C, H·W·B]`.
//!
//! Each channel of a depthwise convolution on a small picture is a product, `Y[c] = T[c] · X[c]`, where the Toeplitz
//! matrix `T[c]` holds the kernel's values at the places where the window meets the picture.

use crate::onnx::proto::NodeProto;
use crate::onnx::{Attribute, OnnxError, Tensor, Window};

use super::layout::{Layout, Value, lacks_kernel};
use super::toeplitz;

impl Layout<'_> {
    /// `Y = W · X + b` over all pixels of all pictures.
    pub(super) fn pointwise(&mut self, node: &NodeProto, input: &Value) -> Result<(), OnnxError> {
        let [x, kernel, ..] = node.input.as_slice() else {
            return Err(lacks_kernel(node));
        };
        let kernel_shape = self.shape(kernel)?;
        let channels = kernel_shape.first().copied().unwrap_or_default();
        let x = self.rows(x)?;
        let w = self.shaped(kernel, &[channels, input.channels])?;
        let columns = input.pixels() * self.batch;
        let rows = self.product(node, [&w, &x], [channels, input.channels, columns])?;
        self.insert(
            node,
            Value::in_rows([channels, input.height, input.width], rows),
        );
        Ok(())
    }

    /// `W · X`, `[C', C]` times `[C, columns]`, and the convolution's bias, if it has one.
    fn product(
        &mut self,
        node: &NodeProto,
        [w, x]: [&str; 2],
        [to, from, columns]: [usize; 3],
    ) -> Result<String, OnnxError> {
        let Some(bias) = node.input.get(2).filter(|name| !name.is_empty()) else {
            return Ok(self.graph.op("Gemm", &[w, x]));
        };
        let bias = self.shaped(bias, &[to, 1])?;
        if to <= from {
            return Ok(self.graph.op("Gemm", &[w, x, &bias]));
        }
        // A bias is the weight of a channel of ones. Adding such a channel to the smaller side of the product costs
        // less than adding the bias to the larger one, and its gradient comes with that of the weights.
        let ones = Tensor::new([1, columns], vec![1.0_f32; columns]);
        let ones = self.graph.constant(&ones);
        let join = |axis| [("axis", Attribute::Int(axis))];
        let x = self.graph.op_with("Concat", &[x, &ones], &join(0));
        let w = self.graph.op_with("Concat", &[w, &bias], &join(1));
        Ok(self.graph.op("Gemm", &[&w, &x]))
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
    fn insert_rows(&mut self, node: &NodeProto, channels: usize, window: &Window, y: &str) {
        let [height, width] = window.output[..] else {
            return;
        };
        let rows = self.reshape(y, &[channels, height * width * self.batch]);
        self.insert(node, Value::in_rows([channels, height, width], rows));
    }
}
