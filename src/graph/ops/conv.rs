//! Convolutions of any number of spatial dimensions: dense, grouped, depthwise, pointwise; with strides, dilations and
//! asymmetric padding.
//!
//! The kernel's gradient has several forms that differ only in speed. The choice between them was measured on layers
//! of mobile networks, on one thread: the gradient of a depthwise kernel takes 1 to 3 times its forward pass, that of
//! a pointwise or dense one about as long as its forward pass.

use super::{
    Arriving, Backward, Dim, Fact, Family, GraphError, Inputs, Linear, Named, Parts, Sliding,
    Spelling, ValueId, WeightKind, WindowGeometry, as_ints, fixed_lens,
};

/// Up to this many taps, the gradient of a dense kernel is computed as one matrix product for each tap.
const MOST_PRODUCTS: usize = 25;
/// With fewer input channels, those products have too few rows to be fast.
const FEWEST_CHANNELS: usize = 16;

/// A convolution of `[N, C, …]` with kernels `[M, C / group, …]` and an optional bias `[M]`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Conv {
    /// The geometry of its window.
    pub sliding: Sliding,
    /// The number of groups of channels.
    pub group: i64,
}

impl Conv {
    /// With strides of 1, no padding and one group.
    #[must_use]
    pub fn plain() -> Self {
        Self::new(Sliding::default(), 1)
    }

    /// With that window and number of groups.
    #[must_use]
    pub fn new(sliding: Sliding, group: usize) -> Self {
        Self {
            sliding,
            group: group as i64,
        }
    }

    /// Whether it is a 1×1 convolution, with kernels of shape `kernel`, strides of 1 and one group.
    #[must_use]
    pub fn is_pointwise(&self, kernel: &[usize]) -> bool {
        let Sliding { strides, pads, .. } = &self.sliding;
        matches!(kernel, [_, _, 1, 1])
            && self.group == 1
            && strides.iter().all(|stride| *stride == 1)
            && pads.iter().all(|pad| *pad == 0)
    }
}

impl Named for Conv {
    fn of_name(op_type: &str) -> Option<Self> {
        (op_type == "Conv").then(Self::plain)
    }
}

impl Family for Conv {
    fn op_type(&self) -> &str {
        "Conv"
    }

    fn spell(&mut self, spelling: &mut Spelling<'_>) {
        self.sliding.spell(spelling);
        spelling.always("group", &mut self.group, 1);
    }

    fn facts(&self, inputs: &Inputs<'_>, _: usize) -> Vec<Fact> {
        vec![inputs.like(0, shape(&self.sliding, inputs))]
    }

    fn has_gradient(&self) -> bool {
        true
    }

    fn macs_per_output(&self, inputs: &Inputs<'_>) -> Option<usize> {
        Some(fixed_lens(inputs.shape(1)?.get(1..)?)?.iter().product())
    }

    fn weights(&self, inputs: &Inputs<'_>) -> Vec<(usize, WeightKind)> {
        let kind = match inputs.lens(1).as_deref() {
            Some([_, 1, ..]) if self.group > 1 => WeightKind::DepthwiseKernel,
            Some([_, _, area @ ..]) if area.iter().all(|length| *length == 1) => {
                WeightKind::PointwiseKernel
            }
            _ => WeightKind::DenseKernel,
        };
        vec![(1, kind), (2, WeightKind::Bias)]
    }

    /// For `y = x ∗ w + bias`: `dx` is the transposed convolution of `dy` with `w`, `dw` correlates `x` with `dy`, and
    /// `dbias` sums `dy` over all dimensions but the channels.
    fn gradient(&self, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
        let (dy, x, w) = (at.dy()?, at.input(0)?, at.input(1)?);
        let kernel = b.lens_from(w, 2)?;
        let window = b.window(at, &self.sliding, x, &kernel, false)?;
        let [kernels, per_group, ..] = *b.lens_from(w, 0)?.as_slice() else {
            return Err(GraphError::Model("a “Conv” has no kernels".into()));
        };
        let groups = usize::try_from(self.group).unwrap_or(1).max(1);
        let conv = Numbers {
            dy,
            x,
            w,
            window,
            groups,
            channels: per_group * groups,
            kernels,
        };
        let first = b.wants(at, 0).then(|| conv.by_input(b));
        let second = b.wants(at, 1).then(|| conv.by_kernel(b));
        let third = b.wants(at, 2).then(|| {
            let rank = conv.window.kernel.len() as i64 + 2;
            let axes: Vec<i64> = (0..rank).filter(|axis| *axis != 1).collect();
            b.reduce_sum(dy, &axes, false)
        });
        Ok(vec![first, second, third])
    }
}

/// The shape of a convolution's output.
pub(super) fn shape(sliding: &Sliding, inputs: &Inputs<'_>) -> Option<Vec<Dim>> {
    let (x, w) = (inputs.shape(0)?, inputs.shape(1)?);
    sliding.slid(x, w.first()?, &fixed_lens(w.get(2..)?)?, false)
}

/// A transposed convolution: adds each pixel times a kernel `[C, M / group, …]` to the pixels that a convolution with
/// that window would have computed it from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ConvTranspose {
    /// The geometry of the window.
    pub sliding: Sliding,
    /// The number of groups of channels.
    pub group: i64,
    /// Rows and columns appended to the output, beyond those that a window reaches.
    pub output_padding: Vec<i64>,
}

impl Named for ConvTranspose {
    fn of_name(op_type: &str) -> Option<Self> {
        (op_type == "ConvTranspose").then(|| Self {
            sliding: Sliding::default(),
            group: 1,
            output_padding: Vec::new(),
        })
    }
}

impl Family for ConvTranspose {
    fn op_type(&self) -> &str {
        "ConvTranspose"
    }

    fn spell(&mut self, spelling: &mut Spelling<'_>) {
        self.sliding.spell(spelling);
        spelling.always("group", &mut self.group, 1);
        spelling.ints("output_padding", &mut self.output_padding);
    }

    fn facts(&self, inputs: &Inputs<'_>, _: usize) -> Vec<Fact> {
        vec![inputs.like(0, None)]
    }
}

/// Transposed convolution of `dy` with `w` (`[C, M/groups, …]`) and the geometry of `window`.
pub(super) fn transposed(
    b: &mut Backward<'_>,
    dy: ValueId,
    w: ValueId,
    window: &WindowGeometry,
    groups: usize,
) -> ValueId {
    let rank = window.kernel.len();
    let mut pads = window.before.clone();
    let mut beyond = Vec::with_capacity(rank);
    for at in 0..rank {
        // The end of the last window relative to that of the input: padding, or pixels that no window reached.
        let end = window.covered(at) - window.before[at].min(window.covered(at));
        pads.push(end.saturating_sub(window.input[at]));
        beyond.push(window.input[at].saturating_sub(end));
    }
    let op = ConvTranspose {
        sliding: Sliding::new(&window.strides, &window.dilations, &pads),
        group: groups as i64,
        output_padding: as_ints(&beyond),
    };
    b.op(op, &[dy, w])
}

/// The values and sizes of a convolution.
struct Numbers {
    dy: ValueId,
    x: ValueId,
    w: ValueId,
    window: WindowGeometry,
    groups: usize,
    channels: usize,
    kernels: usize,
}

impl Numbers {
    /// Whether each output pixel depends on one input pixel, at the same place.
    fn is_pointwise(&self) -> bool {
        let window = &self.window;
        let ones = |values: &[usize]| values.iter().all(|value| *value == 1);
        self.groups == 1
            && ones(&window.kernel)
            && ones(&window.strides)
            && window.input == window.output
    }

    /// A permutation that swaps the first two dimensions.
    fn by_channel(&self) -> Vec<i64> {
        let mut perm: Vec<i64> = (0..self.window.kernel.len() as i64 + 2).collect();
        perm.swap(0, 1);
        perm
    }

    fn by_input(&self, b: &mut Backward<'_>) -> ValueId {
        let dx = if self.is_pointwise() {
            let transposed = b.transpose(self.w, &self.by_channel());
            b.op(Conv::plain(), &[self.dy, transposed])
        } else {
            transposed(b, self.dy, self.w, &self.window, self.groups)
        };
        b.copy_shape(self.x, dx);
        dx
    }

    fn by_kernel(&self, b: &mut Backward<'_>) -> ValueId {
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
        b.copy_shape(self.w, dw);
        dw
    }

    /// Computes the gradient as one product for each tap, of `dy` with the pixels under that tap.
    fn by_products(&self, b: &mut Backward<'_>, taps: usize) -> ValueId {
        let window = &self.window;
        let rank = window.kernel.len();
        let by_channel = self.by_channel();
        let dy = b.transpose(self.dy, &by_channel);
        let dy = b.reshape(dy, &[self.kernels as i64, -1]);
        let mut x = b.transpose(self.x, &by_channel);
        let mut margins = window.before.iter().chain(&window.after);
        if margins.any(|pad| *pad > 0) {
            let pads = [&[0, 0], &window.before[..], &[0, 0], &window.after[..]].concat();
            x = b.pad(x, &as_ints(&pads));
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
                x
            } else {
                b.slice(x, &axes, &as_ints(&starts), &as_ints(&ends), &steps)
            };
            let under = b.reshape(under, &[self.channels as i64, -1]);
            let product = b.op(Linear::BY_TRANSPOSE, &[dy, under]);
            products.push(b.reshape(product, &[self.kernels as i64, self.channels as i64, 1]));
        }
        let all = match products.as_slice() {
            [one] => *one,
            many => b.concat(many, 2),
        };
        self.in_the_shape_of_the_kernel(b, all)
    }

    /// For depthwise kernels: each channel of each image becomes a group, and the result is summed over the images.
    fn of_depthwise(&self, b: &mut Backward<'_>, images: usize) -> ValueId {
        let window = &self.window;
        let maps = images * self.channels;
        let x = b.reshape(self.x, &map_shape(1, maps, &window.input));
        let dy = b.reshape(
            self.dy,
            &map_shape(images * self.kernels, 1, &window.output),
        );
        let found = self.correlated(b, x, dy, maps);
        let each = b.reshape(found, &map_shape(images, self.kernels, &window.kernel));
        let sum = b.reduce_sum(each, &[0], false);
        self.in_the_shape_of_the_kernel(b, sum)
    }

    /// The general form: a convolution with the dimensions of images and channels swapped.
    fn by_convolution(&self, b: &mut Backward<'_>) -> ValueId {
        let window = &self.window;
        let rank = window.kernel.len();
        let (groups, per_group) = (self.groups as i64, (self.channels / self.groups) as i64);
        // [N, G·C, …] as [C, G·N, …].
        let mut apart = vec![-1, groups, per_group];
        apart.extend(as_ints(&window.input));
        let x = b.reshape(self.x, &apart);
        let mut perm: Vec<i64> = (0..rank as i64 + 3).collect();
        perm.swap(0, 2);
        let x = b.transpose(x, &perm);
        let mut together = vec![per_group, -1];
        together.extend(as_ints(&window.input));
        let x = b.reshape(x, &together);
        let by_channel = self.by_channel();
        let dy = b.transpose(self.dy, &by_channel);
        let found = self.correlated(b, x, dy, self.groups);
        let by_kernel = b.transpose(found, &by_channel);
        self.in_the_shape_of_the_kernel(b, by_kernel)
    }

    /// `x` convolved with `dy` as the kernel, with strides and dilations swapped.
    fn correlated(&self, b: &mut Backward<'_>, x: ValueId, dy: ValueId, groups: usize) -> ValueId {
        let window = &self.window;
        let rank = window.kernel.len();
        let pads = [&window.before[..], &window.after[..]].concat();
        let sliding = Sliding::new(&window.dilations, &window.strides, &pads);
        let found = b.op(Conv::new(sliding, groups), &[x, dy]);
        // Pixels that the last window did not reach give extra taps, which are cut off.
        let exact = (0..rank).all(|at| window.taps_reached(at) == window.kernel[at]);
        if exact {
            return found;
        }
        let axes: Vec<i64> = (2..rank as i64 + 2).collect();
        let ends = as_ints(&window.kernel);
        b.slice(found, &axes, &vec![0; rank], &ends, &vec![1; rank])
    }

    fn in_the_shape_of_the_kernel(&self, b: &mut Backward<'_>, value: ValueId) -> ValueId {
        let per_group = self.channels / self.groups;
        let want = map_shape(self.kernels, per_group, &self.window.kernel);
        if b.lens(value).is_some_and(|lens| as_ints(&lens) == want) {
            return value;
        }
        b.reshape(value, &want)
    }
}

fn map_shape(first: usize, second: usize, spatial: &[usize]) -> Vec<i64> {
    let mut shape = vec![first as i64, second as i64];
    shape.extend(as_ints(spatial));
    shape
}
