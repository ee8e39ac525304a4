//! The operators of mobile networks on rows with the batch last, `[C, H·W·B]`, used if ONNX Runtime has no blocked
//! layout.
//!
//! A depthwise convolution of a small image is a matrix product for each channel, `Y[c] = T[c] · X[c]`, where the
//! Toeplitz matrix `T[c]` has the kernel's values at the places where the window covers the image.

use crate::graph::ops::Linear;
use crate::graph::{GraphError, Node, ValueId, WindowGeometry};
use crate::onnx::Tensor;

use super::{Layout, Placed, lacks, toeplitz};

impl Layout<'_> {
    /// `Y = W · X + b` over all pixels of all images.
    pub(super) fn pointwise(&mut self, node: &Node, input: &Placed) -> Result<(), GraphError> {
        let (Some(x), Some(kernel)) = (node.input(0), node.input(1)) else {
            return Err(lacks(node, "kernel"));
        };
        let channels = self.shape(kernel)?.first().copied().unwrap_or_default();
        let x = self.rows(x)?;
        let w = self.shaped(kernel, &[channels, input.channels])?;
        let columns = input.pixels() * self.batch;
        let rows = self.product(node, [w, x], [channels, input.channels, columns])?;
        self.insert(
            node,
            Placed::in_rows([channels, input.height, input.width], rows),
        );
        Ok(())
    }

    /// `W · X`, `[C', C]` times `[C, columns]`, plus the convolution's bias, if it has one.
    fn product(
        &mut self,
        node: &Node,
        [w, x]: [ValueId; 2],
        [to, from, columns]: [usize; 3],
    ) -> Result<ValueId, GraphError> {
        let Some(bias) = node.input(2) else {
            return Ok(self.graph.op(Linear::GEMM, &[w, x]));
        };
        let bias = self.shaped(bias, &[to, 1])?;
        if to <= from {
            return Ok(self.graph.op(Linear::GEMM, &[w, x, bias]));
        }
        // A bias is the weight of an additional channel of ones. Appending it to the smaller factor costs less than
        // adding the bias to the larger result, and its gradient is computed with that of the weights.
        let ones = Tensor::new([1, columns], vec![1.0_f32; columns]);
        let ones = self.graph.constant(ones);
        let x = self.graph.concat(&[x, ones], 0);
        let w = self.graph.concat(&[w, bias], 1);
        Ok(self.graph.op(Linear::GEMM, &[w, x]))
    }

    /// `Y[c] = T[c] · X[c] + b[c]` for each channel.
    pub(super) fn toeplitz(
        &mut self,
        node: &Node,
        input: &Placed,
        window: &WindowGeometry,
    ) -> Result<(), GraphError> {
        let (Some(x), Some(kernel)) = (node.input(0), node.input(1)) else {
            return Err(lacks(node, "kernel"));
        };
        let channels = input.channels;
        let [taps, to, from] = toeplitz::sizes(window);
        let matrix = if let Some(kernel) = self.trained.get(&kernel) {
            let spread = self.graph.constant(toeplitz::spread(window));
            let kernel = self.reshape(*kernel, &[channels, taps]);
            let flat = self.graph.op(Linear::MatMul, &[kernel, spread]);
            self.reshape(flat, &[channels, to, from])
        } else {
            let kernel = self.constant_value(kernel)?;
            self.graph
                .constant(toeplitz::matrices(window, kernel.f32()?))
        };
        let x = self.rows(x)?;
        let x = self.reshape(x, &[channels, from, self.batch]);
        let mut y = self.graph.op(Linear::MatMul, &[matrix, x]);
        if let Some(bias) = node.input(2) {
            let bias = self.shaped(bias, &[channels, 1, 1])?;
            y = self.graph.add(y, bias);
        }
        if let [height, width] = window.output[..] {
            let rows = self.reshape(y, &[channels, height * width * self.batch]);
            self.insert(node, Placed::in_rows([channels, height, width], rows));
        }
        Ok(())
    }
}
