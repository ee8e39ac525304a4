//! The gradients of operators on blocked values, which consist of the same operators.

use super::super::{
    Activation, Arriving, Backward, GraphError, Op, Parts, Reshaping, Sliding, ValueId,
    WindowGeometry, as_ints,
};
use super::{Blocked, Fused, block_size};

pub(super) fn of(op: &Blocked, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let dx = match op {
        Blocked::Conv { sliding, fused, .. } => return of_conv(sliding, *fused, b, at),
        Blocked::ReorderInput {
            channels_last: true,
        } => return Err(unfit("is not trained from channels that come last")),
        Blocked::ReorderOutput {
            channels_last: true,
            ..
        } => return Err(unfit("is not trained to channels that come last")),
        // To the blocked layout: the gradient is converted back.
        Blocked::ReorderInput { .. } => {
            let (dy, x) = (at.dy()?, at.input(0)?);
            match came_from(b, dy) {
                Some(plain) if b.lens_from(x, 0)?[..2] == b.lens_from(plain, 0)?[..2] => {
                    b.reshape_like(plain, x)
                }
                _ => {
                    let channels = b.lens_from(x, 1)?.first().copied().unwrap_or_default();
                    plain(b, dy, channels, false)
                }
            }
        }
        // From the blocked layout: the gradient is converted to it.
        Blocked::ReorderOutput { .. } => {
            let dy = at.dy()?;
            b.op(Blocked::INPUT, &[dy])
        }
    };
    Ok(vec![Some(dx)])
}

fn unfit(text: &str) -> GraphError {
    GraphError::Model(format!("a blocked convolution {text}"))
}

/// Converts a blocked value to `[N, C, H, W]`, or to `[N, H, W, C]` if `last` is set.
fn plain(b: &mut Backward<'_>, value: ValueId, channels: usize, last: bool) -> ValueId {
    b.op(Blocked::output(channels, last), &[value])
}

/// The plain value `[N, C, H, W]` that a blocked one was converted from, if it was.
fn came_from(b: &Backward<'_>, value: ValueId) -> Option<ValueId> {
    let is_reorder = |op: &Op| matches!(op, Op::Blocked(Blocked::ReorderInput { .. }));
    let node = b.maker(value, is_reorder)?;
    node.input(0)
        .filter(|_| node.op == Op::Blocked(Blocked::INPUT))
}

/// A convolution whose input and output are blocked. It is depthwise, with kernels `w` `[C, 1, h, w]`, or pointwise on
/// a single image, with kernels `[C', C, 1, 1]`.
struct Numbers {
    /// The gradient before the fused activation.
    dy: ValueId,
    x: ValueId,
    w: ValueId,
    window: WindowGeometry,
    images: usize,
    channels: usize,
    kernels: usize,
    block: usize,
}

/// As for the plain operator. Depthwise: `dx` is a convolution of `dy` with the kernel reversed, and `dw` correlates
/// `x` with `dy`, for each of the N·C maps separately. Pointwise: `dx = wᵀ dy` and `dw = dy xᵀ`, each computed as a
/// pointwise convolution. `dbias` sums `dy` over the pixels. The gradient of a fused activation is applied to `dy`
/// first.
fn of_conv(sliding: &Sliding, fused: Fused, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let (dy, x, w) = (at.dy()?, at.input(0)?, at.input(1)?);
    let kernel = b.lens_from(w, 2)?;
    let window = b.window(at, sliding, x, &kernel, false)?;
    let (values, weights) = (b.lens_from(x, 0)?, b.lens_from(w, 0)?);
    let ([images, channels, _, _], [kernels, each, _, _]) = (values.as_slice(), weights.as_slice())
    else {
        return Err(unfit("has no images"));
    };
    let (images, channels, kernels) = (*images, *channels, *kernels);
    if b.wants(at, 3) {
        return Err(unfit("is not trained through what it is added to"));
    }
    let block = block_size().ok_or_else(|| unfit("is not known on this machine"))?;
    if !channels.is_multiple_of(block) || !kernels.is_multiple_of(block) {
        return Err(unfit("has channels that do not fill its blocks"));
    }
    let depthwise = *each == 1 && kernels == channels;
    let conv = Numbers {
        dy: before_activation(fused, b, at.output()?, dy)?,
        x,
        w,
        window,
        images,
        channels,
        kernels,
        block,
    };
    if !depthwise && !conv.is_pointwise(*each) {
        return Err(unfit(
            "is trained only where it is pointwise or each channel has a kernel",
        ));
    }
    let first = b.wants(at, 0).then(|| {
        if depthwise {
            conv.by_input(b)
        } else {
            Ok(conv.by_input_of_product(b))
        }
    });
    let second = b.wants(at, 1).then(|| {
        if depthwise {
            conv.by_kernel(b)
        } else {
            conv.by_kernel_of_product(b)
        }
    });
    let third = b.wants(at, 2).then(|| conv.by_bias(b));
    Ok(vec![first.transpose()?, second, third])
}

/// Large enough to make 1 of any number that is not tiny, by multiplying and clipping.
const STEEP: f32 = 1e30;

/// The gradient before the fused activation of a convolution with output `y`: `dy` where `y` is neither at the lower
/// bound, 0, nor at the upper one, else 0.
fn before_activation(
    fused: Fused,
    b: &mut Backward<'_>,
    y: ValueId,
    dy: ValueId,
) -> Result<ValueId, GraphError> {
    let highest = match fused {
        Fused::Nothing => return Ok(dy),
        Fused::Relu => None,
        Fused::Clip { low: 0.0, high } => Some(high),
        Fused::Clip { .. } => {
            return Err(unfit("is trained only where it is bounded by 0 from below"));
        }
        Fused::HardSigmoid { .. } => {
            return Err(unfit("cannot be trained through “HardSigmoid”"));
        }
    };
    let mask = mask(b, y, highest)?;
    // A gradient that is the same for many pixels is multiplied before it is repeated for them.
    let repeated = b.maker(dy, |op| matches!(op, Op::Reshaping(Reshaping::Expand)));
    let repeated = repeated.and_then(|node| Some((node.input(0)?, node.output()?)));
    if let Some((few, many)) = repeated {
        let mask = b.reshape_like(mask, many);
        let dx = b.mul(mask, few);
        return Ok(b.reshape_like(dx, y));
    }
    Ok(b.mul(dy, mask))
}

/// 1 where `0 < y < highest`, else 0, for a blocked value between those bounds. It is computed as floats by operators
/// that run on all cores: ONNX Runtime converts Booleans to floats on one core.
pub(in crate::graph) fn mask(
    b: &mut Backward<'_>,
    y: ValueId,
    highest: Option<f32>,
) -> Result<ValueId, GraphError> {
    let block = block_size().ok_or_else(|| unfit("is not known on this machine"))?;
    let steep = Activation::HardSigmoid {
        alpha: STEEP,
        beta: 0.0,
    };
    let above = b.op(steep, &[y]);
    let Some(highest) = highest else {
        return Ok(above);
    };
    // (1 where y > 0) - y / s + (highest / s - 1) is greater than 0 between the bounds. s is the next power of two, so
    // that no rounding occurs near them.
    let s = f64::from(highest).log2().ceil().exp2();
    let all: usize = b.lens_from(y, 0)?.iter().product();
    let pixels = all / block;
    let rows = (1..=64).rev().find(|rows| pixels.is_multiple_of(*rows));
    let rows = rows.unwrap_or(1);
    let flat = as_ints(&[1, block, rows, pixels / rows]);
    let [flat_y, flat_above] = [y, above].map(|value| b.reshape(value, &flat));
    let slope = b.tensor(&[block, 1, 1, 1], vec![-1.0 / s; block]);
    let bias = b.tensor(&[block], vec![f64::from(highest) / s - 1.0; block]);
    let fused = Fused::HardSigmoid {
        alpha: STEEP,
        beta: 0.0,
    };
    let between = b.op(
        Blocked::conv(Sliding::default(), block, fused),
        &[flat_y, slope, bias, flat_above],
    );
    Ok(b.reshape_like(between, y))
}

impl Numbers {
    /// Number of blocks of channels in all images of the input.
    fn blocks(&self) -> usize {
        self.images * self.channels / self.block
    }

    /// Whether it is a product of `w` `[C', each]` with a single image.
    fn is_pointwise(&self, each: usize) -> bool {
        let window = &self.window;
        let taps: usize = window.kernel.iter().product();
        each == self.channels && self.images == 1 && taps == 1 && window.input == window.output
    }

    /// The gradient `wᵀ dy` of the input of a pointwise convolution.
    fn by_input_of_product(&self, b: &mut Backward<'_>) -> ValueId {
        let w = came_from(b, self.w).unwrap_or_else(|| {
            let w = b.reshape(self.w, &as_ints(&[1, self.kernels, self.channels, 1]));
            plain(b, w, self.kernels, false)
        });
        let w = b.reshape(w, &as_ints(&[1, self.kernels, 1, self.channels]));
        let transposed = b.op(Blocked::INPUT_LAST, &[w]);
        let transposed = b.reshape(transposed, &as_ints(&[self.channels, self.kernels, 1, 1]));
        let dx = b.op(Blocked::pointwise(Fused::Nothing), &[self.dy, transposed]);
        b.copy_shape(self.x, dx);
        dx
    }

    /// The gradient `dy xᵀ` of the kernel of a pointwise convolution. The smaller factor becomes the image, with
    /// pixels as channels; the larger one becomes the kernel, without being moved in memory. Both are padded with zero
    /// pixels to whole blocks.
    fn by_kernel_of_product(&self, b: &mut Backward<'_>) -> ValueId {
        let (x, dy) = ((self.x, self.channels), (self.dy, self.kernels));
        let found = if self.channels <= self.kernels {
            self.product(b, x, dy)
        } else {
            let found = self.product(b, dy, x);
            let found = plain(b, found, self.channels, true);
            let found = b.reshape(found, &as_ints(&[1, self.kernels, self.channels, 1]));
            b.op(Blocked::INPUT, &[found])
        };
        b.reshape_like(found, self.w)
    }

    /// The product of two values, each with its number of channels, summed over all pixels.
    fn product(
        &self,
        b: &mut Backward<'_>,
        small: (ValueId, usize),
        large: (ValueId, usize),
    ) -> ValueId {
        let pixels: usize = self.window.input.iter().product();
        let padded = pixels.next_multiple_of(self.block);
        let pad = |b: &mut Backward<'_>, value: ValueId, each: usize| {
            if padded == pixels {
                value
            } else {
                b.pad(value, &as_ints(&[0, 0, 0, (padded - pixels) * each]))
            }
        };
        let image = plain(b, small.0, small.1, false);
        let image = b.reshape(image, &as_ints(&[small.1, pixels]));
        let image = pad(b, image, 1);
        let image = b.reshape(image, &as_ints(&[1, small.1, 1, padded]));
        let image = b.op(Blocked::INPUT_LAST, &[image]);
        let lines = [large.1 / self.block, pixels * self.block];
        let kernel = b.reshape(large.0, &as_ints(&lines));
        let kernel = pad(b, kernel, self.block);
        let kernel = b.reshape(kernel, &as_ints(&[large.1, padded, 1, 1]));
        b.op(Blocked::pointwise(Fused::Nothing), &[image, kernel])
    }

    fn by_input(&self, b: &mut Backward<'_>) -> Result<ValueId, GraphError> {
        let window = &self.window;
        let [before, after] = window
            .backward_padding()
            .ok_or_else(|| unfit("leaves out pixels at the edge"))?;
        // The kernel reversed.
        let taps: usize = window.kernel.iter().product();
        let blocks = self.channels / self.block;
        let kernel = b.reshape(self.w, &as_ints(&[blocks, taps, self.block]));
        let backwards: Vec<i64> = (0..taps as i64).rev().collect();
        let backwards = b.ints(&backwards);
        let opposite = b.gather(kernel, backwards, 1);
        let shape = [&[self.channels, 1], &window.kernel[..]].concat();
        let opposite = b.reshape(opposite, &as_ints(&shape));
        let spread = self.spread(b);
        let sliding = Sliding::new(&[], &window.dilations, &[before, after].concat());
        let dx = b.op(
            Blocked::conv(sliding, self.channels, Fused::Nothing),
            &[spread, opposite],
        );
        b.copy_shape(self.x, dx);
        Ok(dx)
    }

    /// `dy` with `stride - 1` zeros after each pixel.
    fn spread(&self, b: &mut Backward<'_>) -> ValueId {
        let window = &self.window;
        let ([down, right], [height, width]) = (&window.strides[..], &window.output[..]) else {
            return self.dy;
        };
        if (*down, *right) == (1, 1) {
            return self.dy;
        }
        // Pad with zeros to the right of each pixel, and below each row.
        let lines = b.reshape(
            self.dy,
            &as_ints(&[self.blocks() * height, 1, *width, self.block]),
        );
        let zeros = [0, 0, 0, 0, 0, down - 1, 0, (right - 1) * self.block];
        let spread = b.pad(lines, &as_ints(&zeros));
        b.reshape(
            spread,
            &as_ints(&[self.images, self.channels, height * down, width * right]),
        )
    }

    fn by_kernel(&self, b: &mut Backward<'_>) -> ValueId {
        let window = &self.window;
        let maps = self.images * self.channels;
        let x = b.reshape(self.x, &as_ints(&[&[1, maps], &window.input[..]].concat()));
        let dy = b.reshape(
            self.dy,
            &as_ints(&[&[maps, 1], &window.output[..]].concat()),
        );
        let pads = [&window.before[..], &window.after[..]].concat();
        let sliding = Sliding::new(&window.dilations, &window.strides, &pads);
        let mut found = b.op(Blocked::conv(sliding, maps, Fused::Nothing), &[x, dy]);
        // Pixels that the last window did not reach give extra taps, which are cut off.
        let taps: Vec<usize> = (0..2).map(|at| window.taps_reached(at)).collect();
        if taps != window.kernel {
            let blocks = self.blocks();
            found = b.reshape(found, &as_ints(&[blocks, taps[0], taps[1], self.block]));
            let ends = as_ints(&window.kernel);
            found = b.slice(found, &[1, 2], &[0, 0], &ends, &[1, 1]);
        }
        if self.images > 1 {
            found = b.reshape(found, &[self.images as i64, -1]);
            found = b.reduce_sum(found, &[0], false);
        }
        let shape = [&[self.channels, 1], &window.kernel[..]].concat();
        b.reshape(found, &as_ints(&shape))
    }

    fn by_bias(&self, b: &mut Backward<'_>) -> ValueId {
        let pixels: usize = self.window.output.iter().product();
        let blocks = self.images * self.kernels / self.block;
        let dy = b.reshape(self.dy, &as_ints(&[blocks, pixels, self.block]));
        let mut sum = b.reduce_sum(dy, &[1], false);
        if self.images > 1 {
            sum = b.reshape(sum, &as_ints(&[self.images, self.kernels]));
            sum = b.reduce_sum(sum, &[0], false);
        }
        b.reshape(sum, &[self.kernels as i64])
    }
}
