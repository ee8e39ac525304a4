//! Convolutions of any number of spatial dimensions: dense, grouped, depthwise, pointwise; with strides,
//! dilations and padding that differs from side to side.
//!
//! The forms of the kernel's gradient differ in speed only. Which one is taken where was measured on the layers
//! of mobile networks, one thread: a depthwise kernel takes 1 to 3 times its forward pass, a pointwise or dense
//! one about as long as its forward pass.

use crate::onnx::proto::NodeProto;
use crate::onnx::{Attribute, Dim, OnnxError, Window, attribute_int};

use super::super::Backward;
use super::arriving;

type Parts = Result<Vec<Option<String>>, OnnxError>;

/// Up to this many taps a dense kernel's gradient is one product of matrices for each tap.
const MOST_PRODUCTS: usize = 25;
/// With fewer input channels those products are too thin to be fast.
const FEWEST_CHANNELS: usize = 16;

/// A convolution's names and numbers.
struct Conv<'n> {
    dy: &'n str,
    x: &'n str,
    w: &'n str,
    window: Window,
    groups: usize,
    channels: usize,
    kernels: usize,
}

/// `y = x ∗ w + bias`: `dx` is the transposed convolution of `dy` with `w`, `dw` correlates `x` with `dy`, and
/// `dbias` sums `dy` over everything but the channels.
pub fn conv(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let (x, w) = (b.input(node, 0)?, b.input(node, 1)?);
    let kernel = b.lens(w, 2)?;
    let window = b.window(node, x, &kernel)?;
    let [kernels, per_group, ..] = *b.lens(w, 0)?.as_slice() else {
        return Err(OnnxError::Model("a “Conv” has no kernels".into()));
    };
    let groups = usize::try_from(attribute_int(node, "group").unwrap_or(1))
        .unwrap_or(1)
        .max(1);
    let conv = Conv {
        dy,
        x,
        w,
        window,
        groups,
        channels: per_group * groups,
        kernels,
    };
    let first = b.wants(node, 0).then(|| conv.by_input(b));
    let second = b.wants(node, 1).then(|| conv.by_kernel(b));
    let third = b.wants(node, 2).then(|| {
        let rank = conv.window.kernel.len() as i64 + 2;
        let axes: Vec<i64> = (0..rank).filter(|axis| *axis != 1).collect();
        b.reduce_sum(dy, &axes, false)
    });
    Ok(vec![first, second, third])
}

/// Lengths as the values of an attribute.
pub(super) fn ints(values: &[usize]) -> Attribute {
    Attribute::Ints(as_ints(values))
}

pub(super) fn as_ints(values: &[usize]) -> Vec<i64> {
    values.iter().map(|value| *value as i64).collect()
}

/// Adds each pixel of `dy` times `w` (`[C, M/groups, …]`) to where a window of that geometry took it from.
pub(super) fn transposed(
    b: &mut Backward<'_>,
    dy: &str,
    w: &str,
    window: &Window,
    groups: usize,
) -> String {
    let rank = window.kernel.len();
    let mut pads = window.before.clone();
    let mut beyond = Vec::with_capacity(rank);
    for at in 0..rank {
        // Where the last window ends, as against the end of the input: padding, or pixels no window reached.
        let end = window.covered(at) - window.before[at].min(window.covered(at));
        pads.push(end.saturating_sub(window.input[at]));
        beyond.push(window.input[at].saturating_sub(end));
    }
    b.op_with(
        "ConvTranspose",
        &[dy, w],
        &[
            ("strides", ints(&window.strides)),
            ("dilations", ints(&window.dilations)),
            ("pads", ints(&pads)),
            ("output_padding", ints(&beyond)),
            ("group", Attribute::Int(groups as i64)),
        ],
    )
}

impl Conv<'_> {
    /// Whether each output pixel is made of the input pixel at its place alone.
    fn is_pointwise(&self) -> bool {
        let window = &self.window;
        let ones = |values: &[usize]| values.iter().all(|value| *value == 1);
        self.groups == 1
            && ones(&window.kernel)
            && ones(&window.strides)
            && window.input == window.output
    }

    fn by_input(&self, b: &mut Backward<'_>) -> String {
        let dx = if self.is_pointwise() {
            let mut perm: Vec<i64> = (0..self.window.kernel.len() as i64 + 2).collect();
            perm.swap(0, 1);
            let turned = b.transpose(self.w, &perm);
            b.op("Conv", &[self.dy, &turned])
        } else {
            transposed(b, self.dy, self.w, &self.window, self.groups)
        };
        b.copy_shape(self.x, &dx);
        dx
    }

    fn by_kernel(&self, b: &mut Backward<'_>) -> String {
        let taps: usize = self.window.kernel.iter().product();
        let dense = self.groups == 1
            && (taps == 1 || (taps <= MOST_PRODUCTS && self.channels >= FEWEST_CHANNELS));
        let images = b.shape(self.x).and_then(|shape| shape.first()?.fixed());
        let dw = match images {
            _ if dense => self.by_products(b, taps),
            Some(images) if self.groups == self.channels && self.groups > 1 => {
                self.of_depthwise(b, images)
            }
            _ => self.by_convolution(b),
        };
        b.copy_shape(self.w, &dw);
        dw
    }

    /// For each tap the product of `dy` with the pixels that lay under that tap.
    fn by_products(&self, b: &mut Backward<'_>, taps: usize) -> String {
        let window = &self.window;
        let rank = window.kernel.len();
        let mut by_channel: Vec<i64> = (0..rank as i64 + 2).collect();
        by_channel.swap(0, 1);
        let dy = b.transpose(self.dy, &by_channel);
        let dy = b.reshape(&dy, &[self.kernels as i64, -1]);
        let mut x = b.transpose(self.x, &by_channel);
        if window
            .before
            .iter()
            .chain(&window.after)
            .any(|pad| *pad > 0)
        {
            let pads: Vec<usize> =
                [&[0, 0], &window.before[..], &[0, 0], &window.after[..]].concat();
            let pads = b.ints(&as_ints(&pads));
            x = b.op("Pad", &[&x, &pads]);
        }
        let axes: Vec<i64> = (2..rank as i64 + 2).collect();
        let steps = as_ints(&window.strides);
        let whole = (0..rank).all(|at| {
            window.kernel[at] == 1
                && window.strides[at] == 1
                && window.before[at] + window.after[at] == 0
        });
        let mut products = Vec::with_capacity(taps);
        for tap in 0..taps {
            let mut rest = tap;
            let mut starts = vec![0; rank];
            for at in (0..rank).rev() {
                starts[at] = (rest % window.kernel[at]) * window.dilations[at];
                rest /= window.kernel[at];
            }
            let ends: Vec<usize> = (0..rank)
                .map(|at| starts[at] + (window.output[at] - 1) * window.strides[at] + 1)
                .collect();
            let under = if whole {
                x.clone()
            } else {
                b.slice(&x, &axes, &as_ints(&starts), &as_ints(&ends), &steps)
            };
            let under = b.reshape(&under, &[self.channels as i64, -1]);
            let product = b.op_with("Gemm", &[&dy, &under], &[("transB", Attribute::Int(1))]);
            products.push(b.reshape(&product, &[self.kernels as i64, self.channels as i64, 1]));
        }
        let products: Vec<&str> = products.iter().map(String::as_str).collect();
        let all = match products.as_slice() {
            [one] => (*one).to_owned(),
            many => b.op_with("Concat", many, &[("axis", Attribute::Int(2))]),
        };
        self.in_the_shape_of_the_kernel(b, &all)
    }

    /// One kernel for each channel: each channel of each image is a group of its own, and the sum over the
    /// images comes last.
    fn of_depthwise(&self, b: &mut Backward<'_>, images: usize) -> String {
        let window = &self.window;
        let maps = images * self.channels;
        let x = b.reshape(self.x, &map_shape(1, maps, &window.input));
        let dy = b.reshape(
            self.dy,
            &map_shape(images * self.kernels, 1, &window.output),
        );
        let found = self.correlated(b, &x, &dy, maps);
        let each = b.reshape(&found, &map_shape(images, self.kernels, &window.kernel));
        let sum = b.reduce_sum(&each, &[0], false);
        self.in_the_shape_of_the_kernel(b, &sum)
    }

    /// The general form: a convolution in which images and channels change places.
    fn by_convolution(&self, b: &mut Backward<'_>) -> String {
        let window = &self.window;
        let rank = window.kernel.len();
        let (groups, per_group) = (self.groups as i64, (self.channels / self.groups) as i64);
        // [N, G·C, …] as [C, G·N, …].
        let mut apart = vec![-1, groups, per_group];
        apart.extend(as_ints(&window.input));
        let x = b.reshape(self.x, &apart);
        let mut perm: Vec<i64> = (0..rank as i64 + 3).collect();
        perm.swap(0, 2);
        let x = b.transpose(&x, &perm);
        let mut together = vec![per_group, -1];
        together.extend(as_ints(&window.input));
        let x = b.reshape(&x, &together);
        let mut by_channel: Vec<i64> = (0..rank as i64 + 2).collect();
        by_channel.swap(0, 1);
        let dy = b.transpose(self.dy, &by_channel);
        let found = self.correlated(b, &x, &dy, self.groups);
        let turned = b.transpose(&found, &by_channel);
        self.in_the_shape_of_the_kernel(b, &turned)
    }

    /// `x` convolved with `dy` as the kernel: strides and dilations change places.
    fn correlated(&self, b: &mut Backward<'_>, x: &str, dy: &str, groups: usize) -> String {
        let window = &self.window;
        let rank = window.kernel.len();
        let pads = [&window.before[..], &window.after[..]].concat();
        let found = b.op_with(
            "Conv",
            &[x, dy],
            &[
                ("strides", ints(&window.dilations)),
                ("dilations", ints(&window.strides)),
                ("pads", ints(&pads)),
                ("group", Attribute::Int(groups as i64)),
            ],
        );
        // Pixels that the last window did not reach make taps that the kernel does not have.
        let exact = (0..rank).all(|at| window.taps_reached(at) == window.kernel[at]);
        if exact {
            return found;
        }
        let axes: Vec<i64> = (2..rank as i64 + 2).collect();
        let ends = as_ints(&window.kernel);
        b.slice(&found, &axes, &vec![0; rank], &ends, &vec![1; rank])
    }

    fn in_the_shape_of_the_kernel(&self, b: &mut Backward<'_>, value: &str) -> String {
        let per_group = self.channels / self.groups;
        let want = map_shape(self.kernels, per_group, &self.window.kernel);
        let fixed: Vec<Dim> = want.iter().map(|len| Dim::Fixed(*len as usize)).collect();
        if b.shape(value) == Some(fixed.as_slice()) {
            return value.to_owned();
        }
        b.reshape(value, &want)
    }
}

fn map_shape(first: usize, second: usize, spatial: &[usize]) -> Vec<i64> {
    let mut shape = vec![first as i64, second as i64];
    shape.extend(as_ints(spatial));
    shape
}
