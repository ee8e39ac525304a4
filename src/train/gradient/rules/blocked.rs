//! Operators on ONNX Runtime's blocked values ([`BLOCKED`](crate::onnx::BLOCKED)). The one place where gradients are made of
//! operators outside the standard: a graph has these only where they are known to work.

use crate::onnx::proto::NodeProto;
use crate::onnx::{
    Attribute, OnnxError, Window, attribute_floats, attribute_int, attribute_text, block_size,
};

use super::super::Backward;
use super::conv::{as_ints, ints};
use super::{Rule, arriving, output};

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
    let x = b.input(node, 0)?;
    if attribute_int(node, "channels_last").unwrap_or(0) != 0 {
        return Err(unfit("is not trained from channels that come last"));
    }
    if let Some(plain) = came_from(b, dy)
        && b.lens(x, 0)?[..2] == b.lens(&plain, 0)?[..2]
    {
        return Ok(vec![Some(b.reshape_like(&plain, x))]);
    }
    let channels = b.lens(x, 1)?.first().copied().unwrap_or_default();
    Ok(vec![Some(plain(b, dy, channels, false))])
}

/// Out of the blocked layout: the gradient goes into it.
fn reorder_output(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    if attribute_int(node, "channels_last").unwrap_or(0) != 0 {
        return Err(unfit("is not trained to channels that come last"));
    }
    Ok(vec![Some(b.blocked_op("ReorderInput", &[dy], &[]))])
}

fn unfit(text: &str) -> OnnxError {
    OnnxError::Model(format!("a blocked convolution {text}"))
}

/// A blocked value `[N, C, H, W]` as a plain one, or as `[N, H, W, C]`.
fn plain(b: &mut Backward<'_>, value: &str, channels: usize, last: bool) -> String {
    let mut attributes = vec![("channels", Attribute::Int(channels as i64))];
    if last {
        attributes.push(("channels_last", Attribute::Int(1)));
    }
    b.blocked_op("ReorderOutput", &[value], &attributes)
}

/// A plain value `[N, H, W, C]` as a blocked one, `[N, C, H, W]`.
fn from_channels_last(b: &mut Backward<'_>, value: &str) -> String {
    let last = [("channels_last", Attribute::Int(1))];
    b.blocked_op("ReorderInput", &[value], &last)
}

/// The plain value `[N, C, H, W]` of which a blocked one was made, if it was.
fn came_from(b: &Backward<'_>, value: &str) -> Option<String> {
    let node = b.maker(value, "ReorderInput")?;
    let first = attribute_int(node, "channels_last").unwrap_or(0) == 0;
    node.input.first().filter(|_| first).cloned()
}

/// A convolution of blocked values, `x` and `y` `[N, C, H, W]`, both by `[…, b]` in memory. It is depthwise, with kernels `w`
/// `[C, 1, h, w]`, or pointwise on one image, with `[C', C, 1, 1]`.
struct Conv<'n> {
    /// Of what comes before the activation.
    dy: String,
    x: &'n str,
    w: &'n str,
    window: Window,
    images: usize,
    channels: usize,
    kernels: usize,
    block: usize,
}

/// As the rule of the plain operator. Depthwise: `dx` is a convolution of `dy` with the kernel turned round, `dw` correlates
/// `x` with `dy`, each of the N·C maps for itself. Pointwise: `dx = wᵀ dy` and `dw = dy xᵀ`, each as a pointwise
/// convolution again. `dbias` sums `dy` over the pixels. An activation that the node applies comes first.
fn conv(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let (x, w) = (b.input(node, 0)?, b.input(node, 1)?);
    let kernel = b.lens(w, 2)?;
    let window = b.window(node, x, &kernel)?;
    let (values, weights) = (b.lens(x, 0)?, b.lens(w, 0)?);
    let ([images, channels, _, _], [kernels, each, _, _]) = (values.as_slice(), weights.as_slice())
    else {
        return Err(unfit("has no images"));
    };
    let (images, channels, kernels) = (*images, *channels, *kernels);
    if b.wants(node, 3) {
        return Err(unfit("is not trained through what it is added to"));
    }
    let block = block_size().ok_or_else(|| unfit("is not known on this machine"))?;
    if !channels.is_multiple_of(block) || !kernels.is_multiple_of(block) {
        return Err(unfit("has channels that do not fill its blocks"));
    }
    let depthwise = *each == 1 && kernels == channels;
    let conv = Conv {
        dy: before_activation(b, node, dy)?,
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
    let first = b.wants(node, 0).then(|| {
        if depthwise {
            conv.by_input(b)
        } else {
            Ok(conv.by_input_of_product(b))
        }
    });
    let second = b.wants(node, 1).then(|| {
        if depthwise {
            conv.by_kernel(b)
        } else {
            conv.by_kernel_of_product(b)
        }
    });
    let third = b.wants(node, 2).then(|| conv.by_bias(b));
    Ok(vec![first.transpose()?, second, third])
}

/// Steep enough to make 1 of any number that is not tiny.
const STEEP: f32 = 1e30;

/// The gradient before the activation that a convolution applies itself: `dy` where its output is neither at the lower bound, 0,
/// nor at the upper one.
fn before_activation(
    b: &mut Backward<'_>,
    node: &NodeProto,
    dy: &str,
) -> Result<String, OnnxError> {
    let y = output(node)?;
    let highest = match attribute_text(node, "activation") {
        None => return Ok(dy.to_owned()),
        Some("Relu") => None,
        Some("Clip") => match attribute_floats(node, "activation_params") {
            Some([0.0, highest]) => Some(*highest),
            _ => return Err(unfit("is trained only where it is bounded by 0 from below")),
        },
        Some(other) => {
            return Err(OnnxError::Model(format!(
                "a blocked convolution cannot be trained through “{other}”"
            )));
        }
    };
    let mask = mask(b, y, highest)?;
    // What is the same for many pixels need not be repeated for them before it is multiplied.
    let repeated = b.maker(dy, "Expand").cloned();
    if let Some(repeated) = repeated
        && let (Some(few), Some(many)) = (repeated.input.first(), repeated.output.first())
    {
        let mask = b.reshape_like(&mask, many);
        let dx = b.op("Mul", &[&mask, few]);
        return Ok(b.reshape_like(&dx, y));
    }
    Ok(b.op("Mul", &[dy, &mask]))
}

/// 1 where `0 < y < highest`, 0 elsewhere; of a blocked value that is between those bounds. As numbers, and by operators that
/// run on all cores: ONNX Runtime makes numbers of truth values on one.
pub(in super::super) fn mask(
    b: &mut Backward<'_>,
    y: &str,
    highest: Option<f32>,
) -> Result<String, OnnxError> {
    let block = block_size().ok_or_else(|| unfit("is not known on this machine"))?;
    let steep = ("alpha", Attribute::Float(STEEP));
    let above = b.op_with(
        "HardSigmoid",
        &[y],
        &[steep, ("beta", Attribute::Float(0.0))],
    );
    let Some(highest) = highest else {
        return Ok(above);
    };
    // (1 where y > 0) - y / s + (highest / s - 1), over 0 between the bounds; s is the next power of two, so that nothing is
    // rounded near them.
    let s = f64::from(highest).log2().ceil().exp2();
    let all: usize = b.lens(y, 0)?.iter().product();
    let pixels = all / block;
    let rows = (1..=64).rev().find(|rows| pixels.is_multiple_of(*rows));
    let rows = rows.unwrap_or(1);
    let flat = as_ints(&[1, block, rows, pixels / rows]);
    let [flat_y, flat_above] = [y, &above].map(|value| b.reshape(value, &flat));
    let slope = b.tensor(&[block, 1, 1, 1], vec![-1.0 / s; block]);
    let bias = b.tensor(&[block], vec![f64::from(highest) / s - 1.0; block]);
    let between = b.blocked_op(
        "Conv",
        &[&flat_y, &slope, &bias, &flat_above],
        &[
            ("group", Attribute::Int(block as i64)),
            ("activation", Attribute::Text("HardSigmoid".into())),
            ("activation_params", Attribute::Floats(vec![STEEP, 0.0])),
        ],
    );
    Ok(b.reshape_like(&between, y))
}

impl Conv<'_> {
    /// Number of blocks of all images of the input.
    fn blocks(&self) -> usize {
        self.images * self.channels / self.block
    }

    /// Whether it is a product of `w` `[C', each]` with the one image.
    fn is_pointwise(&self, each: usize) -> bool {
        let window = &self.window;
        let taps: usize = window.kernel.iter().product();
        each == self.channels && self.images == 1 && taps == 1 && window.input == window.output
    }

    /// `wᵀ dy`.
    fn by_input_of_product(&self, b: &mut Backward<'_>) -> String {
        let w = came_from(b, self.w).unwrap_or_else(|| {
            let w = b.reshape(self.w, &as_ints(&[1, self.kernels, self.channels, 1]));
            plain(b, &w, self.kernels, false)
        });
        let w = b.reshape(&w, &as_ints(&[1, self.kernels, 1, self.channels]));
        let turned = from_channels_last(b, &w);
        let turned = b.reshape(&turned, &as_ints(&[self.channels, self.kernels, 1, 1]));
        let dx = b.blocked_op("Conv", &[&self.dy, &turned], &[]);
        b.copy_shape(self.x, &dx);
        dx
    }

    /// `dy xᵀ`: the smaller of both becomes the image, whose channels are the pixels; the larger one is a kernel as it lies. Both
    /// are filled up with pixels of zeros where they do not make whole blocks.
    fn by_kernel_of_product(&self, b: &mut Backward<'_>) -> String {
        let pixels: usize = self.window.input.iter().product();
        let filled = pixels.next_multiple_of(self.block);
        let fill_up = |b: &mut Backward<'_>, value: String, each: usize| {
            if filled == pixels {
                return value;
            }
            let zeros = b.ints(&as_ints(&[0, 0, 0, (filled - pixels) * each]));
            b.op("Pad", &[&value, &zeros])
        };
        let product = |b: &mut Backward<'_>, small: (&str, usize), large: (&str, usize)| {
            let image = plain(b, small.0, small.1, false);
            let image = b.reshape(&image, &as_ints(&[small.1, pixels]));
            let image = fill_up(b, image, 1);
            let image = b.reshape(&image, &as_ints(&[1, small.1, 1, filled]));
            let image = from_channels_last(b, &image);
            let lines = [large.1 / self.block, pixels * self.block];
            let kernel = b.reshape(large.0, &as_ints(&lines));
            let kernel = fill_up(b, kernel, self.block);
            let kernel = b.reshape(&kernel, &as_ints(&[large.1, filled, 1, 1]));
            b.blocked_op("Conv", &[&image, &kernel], &[])
        };
        let (x, dy) = ((self.x, self.channels), (self.dy.as_str(), self.kernels));
        let found = if self.channels <= self.kernels {
            product(b, x, dy)
        } else {
            let found = product(b, dy, x);
            let found = plain(b, &found, self.channels, true);
            let found = b.reshape(&found, &as_ints(&[1, self.kernels, self.channels, 1]));
            b.blocked_op("ReorderInput", &[&found], &[])
        };
        b.reshape_like(&found, self.w)
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
        let ([down, right], [height, width]) = (&window.strides[..], &window.output[..]) else {
            return self.dy.clone();
        };
        if (*down, *right) == (1, 1) {
            return self.dy.clone();
        }
        // Zeros to the right of each pixel, and below each line.
        let lines = b.reshape(
            &self.dy,
            &as_ints(&[self.blocks() * height, 1, *width, self.block]),
        );
        let zeros = [0, 0, 0, 0, 0, down - 1, 0, (right - 1) * self.block];
        let zeros = b.ints(&as_ints(&zeros));
        let spread = b.op("Pad", &[&lines, &zeros]);
        b.reshape(
            &spread,
            &as_ints(&[self.images, self.channels, height * down, width * right]),
        )
    }

    fn by_kernel(&self, b: &mut Backward<'_>) -> String {
        let window = &self.window;
        let maps = self.images * self.channels;
        let x = b.reshape(self.x, &as_ints(&[&[1, maps], &window.input[..]].concat()));
        let dy = b.reshape(
            &self.dy,
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
        let blocks = self.images * self.kernels / self.block;
        let dy = b.reshape(&self.dy, &as_ints(&[blocks, pixels, self.block]));
        let mut sum = b.reduce_sum(&dy, &[1], false);
        if self.images > 1 {
            sum = b.reshape(&sum, &as_ints(&[self.images, self.kernels]));
            sum = b.reduce_sum(&sum, &[0], false);
        }
        b.reshape(&sum, &[self.kernels as i64])
    }
}
