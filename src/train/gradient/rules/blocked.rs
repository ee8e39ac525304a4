//! Operators on ONNX Runtime's blocked values ([`BLOCKED`](crate::onnx::BLOCKED)). The one place where gradients are made of
//! operators outside the standard: a graph has these only where they are known to work.

use crate::onnx::proto::NodeProto;
use crate::onnx::{Attribute, OnnxError, Window, block_size};

use super::super::Backward;
use super::conv::{as_ints, ints};
use super::{Rule, arriving};

type Parts = Result<Vec<Option<String>>, OnnxError>;

/// The rule of an operator on blocked values.
pub(super) fn rule(operator: &str) -> Option<Rule> {
    Some(match operator {
        "Conv" => conv,
        "ReorderInput" => reorder_input,
        "ReorderOutput" => reorder_output,
        _ => return None,
    })
}

/// Into the blocked layout: the gradient goes out of it.
fn reorder_input(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let channels = b.lens(b.input(node, 0)?, 1)?.first().copied();
    let channels = Attribute::Int(channels.unwrap_or_default() as i64);
    let dx = b.blocked_op("ReorderOutput", &[dy], &[("channels", channels)]);
    Ok(vec![Some(dx)])
}

/// Out of the blocked layout: the gradient goes into it.
fn reorder_output(b: &mut Backward<'_>, _: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    Ok(vec![Some(b.blocked_op("ReorderInput", &[dy], &[]))])
}

/// A depthwise convolution of blocked values, `x` and `y` `[N, C, H, W]`, `w` `[C, 1, h, w]`, both by `[…, b]` in
/// memory.
struct Conv<'n> {
    dy: &'n str,
    x: &'n str,
    w: &'n str,
    window: Window,
    images: usize,
    channels: usize,
    block: usize,
}

/// As the rule of the plain operator: `dx` is a convolution of `dy` with the kernel turned round, `dw` correlates `x`
/// with `dy`, each of the N·C maps for itself, and `dbias` sums `dy` over the pixels.
fn conv(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let unfit = |text: &str| OnnxError::Model(format!("a blocked convolution {text}"));
    let dy = arriving(upstream)?;
    let (x, w) = (b.input(node, 0)?, b.input(node, 1)?);
    let kernel = b.lens(w, 2)?;
    let window = b.window(node, x, &kernel)?;
    let (values, kernels) = (b.lens(x, 0)?, b.lens(w, 0)?);
    let ([images, channels, _, _], [kernels, 1, _, _]) = (values.as_slice(), kernels.as_slice())
    else {
        return Err(unfit("is trained only where each channel has a kernel"));
    };
    let (images, channels) = (*images, *channels);
    let block = block_size().ok_or_else(|| unfit("is not known on this machine"))?;
    if *kernels != channels || !channels.is_multiple_of(block) {
        return Err(unfit("has channels that do not fill its blocks"));
    }
    let conv = Conv {
        dy,
        x,
        w,
        window,
        images,
        channels,
        block,
    };
    let first = b.wants(node, 0).then(|| conv.by_input(b)).transpose()?;
    let second = b.wants(node, 1).then(|| conv.by_kernel(b));
    let third = b.wants(node, 2).then(|| conv.by_bias(b));
    Ok(vec![first, second, third])
}

impl Conv<'_> {
    /// Number of blocks of all images.
    fn blocks(&self) -> usize {
        self.images * self.channels / self.block
    }

    fn by_input(&self, b: &mut Backward<'_>) -> Result<String, OnnxError> {
        let window = &self.window;
        let [before, after] = window.pads_backwards().ok_or_else(|| {
            OnnxError::Model("a blocked convolution leaves out pixels at the edge".into())
        })?;
        // The kernel's taps in the opposite order.
        let taps: usize = window.kernel.iter().product();
        let blocks = self.channels / self.block;
        let kernel = b.reshape(self.w, &as_ints(&[blocks, taps, self.block]));
        let backwards: Vec<i64> = (0..taps as i64).rev().collect();
        let backwards = b.ints(&backwards);
        let turned = b.op_with(
            "Gather",
            &[&kernel, &backwards],
            &[("axis", Attribute::Int(1))],
        );
        let shape = [&[self.channels, 1], &window.kernel[..]].concat();
        let turned = b.reshape(&turned, &as_ints(&shape));
        let spread = self.spread(b);
        let dx = b.blocked_op(
            "Conv",
            &[&spread, &turned],
            &[
                ("group", Attribute::Int(self.channels as i64)),
                ("dilations", ints(&window.dilations)),
                ("pads", ints(&[before, after].concat())),
            ],
        );
        b.copy_shape(self.x, &dx);
        Ok(dx)
    }

    /// `dy` with zeros between its pixels, as many as the windows' steps leave out.
    fn spread(&self, b: &mut Backward<'_>) -> String {
        let window = &self.window;
        let [down, right] = window.strides[..] else {
            return self.dy.to_owned();
        };
        if (down, right) == (1, 1) {
            return self.dy.to_owned();
        }
        // Each pixel repeated, then all but the first of them made zero.
        let repeated = b.blocked_op(
            "Upsample",
            &[self.dy],
            &[("scales", ints(&[1, 1, down, right]))],
        );
        let (height, width) = (window.output[0] * down, window.output[1] * right);
        let mut firsts = vec![0.0; height * width * self.block];
        for (at, pixel) in firsts.chunks_exact_mut(self.block).enumerate() {
            if (at / width).is_multiple_of(down) && (at % width).is_multiple_of(right) {
                pixel.fill(1.0);
            }
        }
        let firsts = b.tensor(&[1, height * width * self.block], firsts);
        let flat = b.reshape(
            &repeated,
            &as_ints(&[self.blocks(), height * width * self.block]),
        );
        let spread = b.op("Mul", &[&flat, &firsts]);
        b.reshape(
            &spread,
            &as_ints(&[self.images, self.channels, height, width]),
        )
    }

    fn by_kernel(&self, b: &mut Backward<'_>) -> String {
        let window = &self.window;
        let maps = self.images * self.channels;
        let x = b.reshape(self.x, &as_ints(&[&[1, maps], &window.input[..]].concat()));
        let dy = b.reshape(
            self.dy,
            &as_ints(&[&[maps, 1], &window.output[..]].concat()),
        );
        let mut found = b.blocked_op(
            "Conv",
            &[&x, &dy],
            &[
                ("strides", ints(&window.dilations)),
                ("dilations", ints(&window.strides)),
                (
                    "pads",
                    ints(&[&window.before[..], &window.after[..]].concat()),
                ),
                ("group", Attribute::Int(maps as i64)),
            ],
        );
        // Pixels that the last window did not reach make taps that the kernel does not have.
        let taps: Vec<usize> = (0..2).map(|at| window.taps_reached(at)).collect();
        if taps != window.kernel {
            let blocks = self.blocks();
            found = b.reshape(&found, &as_ints(&[blocks, taps[0], taps[1], self.block]));
            let ends = as_ints(&window.kernel);
            found = b.slice(&found, &[1, 2], &[0, 0], &ends, &[1, 1]);
        }
        if self.images > 1 {
            found = b.reshape(&found, &[self.images as i64, -1]);
            found = b.reduce_sum(&found, &[0], false);
        }
        let shape = [&[self.channels, 1], &window.kernel[..]].concat();
        b.reshape(&found, &as_ints(&shape))
    }

    fn by_bias(&self, b: &mut Backward<'_>) -> String {
        let pixels: usize = self.window.output.iter().product();
        let dy = b.reshape(self.dy, &as_ints(&[self.blocks(), pixels, self.block]));
        let mut sum = b.reduce_sum(&dy, &[1], false);
        if self.images > 1 {
            sum = b.reshape(&sum, &as_ints(&[self.images, self.channels]));
            sum = b.reduce_sum(&sum, &[0], false);
        }
        b.reshape(&sum, &[self.channels as i64])
    }
}
