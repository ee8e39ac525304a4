//! The first convolution of a network, in blocked rows.

use crate::onnx::proto::NodeProto;
use crate::onnx::{Attribute, OnnxError, Tensor, Window, attribute_int};

use super::layout::{Layout, Value, lacks_kernel};

/// With more channels the unfolded value is too large to be worth it.
const MOST_CHANNELS: usize = 4;

impl Layout<'_> {
    /// The window of a dense convolution of so few channels that they are better unfolded.
    pub(super) fn few_channels(&self, node: &NodeProto) -> Option<Window> {
        self.block?;
        let input = self.shape(node.input.first()?).ok()?;
        let kernel = self.kernel_shape(node);
        let ([_, channels, pixels @ ..], [_, _, taps @ ..]) = (input.as_slice(), kernel.as_slice())
        else {
            return None;
        };
        let dense = attribute_int(node, "group").unwrap_or(1) == 1;
        if !dense || pixels.len() != 2 || *channels > MOST_CHANNELS {
            return None;
        }
        Window::of(node, pixels, taps).filter(|window| window.pads_backwards().is_some())
    }

    /// `Y = W · U + b`, where U (im2col) has a row for each channel under each tap, `[h·w·C, P'·B]`.
    pub(super) fn unfolded(
        &mut self,
        node: &NodeProto,
        input: &Value,
        window: &Window,
    ) -> Result<(), OnnxError> {
        let [x, kernel, ..] = node.input.as_slice() else {
            return Err(lacks_kernel(node));
        };
        let kernel_shape = self.shape(kernel)?;
        let channels = kernel_shape.first().copied().unwrap_or_default();
        let [height, width] = window.output[..] else {
            return Err(lacks_kernel(node));
        };
        let taps: usize = window.kernel.iter().product();
        let columns = height * width * self.batch;
        let maps = input.channels * self.batch;
        let x = self.rows(x)?;
        let x = self.reshape(&x, &[1, maps, input.height, input.width]);
        let mut under = Vec::with_capacity(taps);
        for tap in 0..taps {
            // A depthwise convolution with a kernel that is 1 at this tap and 0 elsewhere.
            let mut kernel = vec![0.0_f32; taps];
            if let Some(place) = kernel.get_mut(tap) {
                *place = 1.0;
            }
            let block = self.block.unwrap_or(self.batch);
            let kernel = Tensor::new([1, taps, 1], kernel);
            let kernel = self.graph.constant(&kernel);
            let kernel = self.repeated(&kernel, &[maps / block, taps, block]);
            let kernel = self.reshape(&kernel, &[&[maps, 1], &window.kernel[..]].concat());
            let y = self.blocked_conv(&[&x, &kernel], maps, window);
            under.push(self.reshape(&y, &[input.channels, columns]));
        }
        let under: Vec<&str> = under.iter().map(String::as_str).collect();
        let axis = [("axis", Attribute::Int(0))];
        let unfolded = self.graph.op_with("Concat", &under, &axis);
        let w = self.shaped(kernel, &[channels, input.channels, taps])?;
        let w = self.transpose(&w, vec![0, 2, 1]);
        let w = self.reshape(&w, &[channels, taps * input.channels]);
        let sizes = [channels, taps * input.channels, columns];
        let y = self.product(node, [&w, &unfolded], sizes)?;
        self.insert_rows(node, channels, window, &y);
        Ok(())
    }
}
