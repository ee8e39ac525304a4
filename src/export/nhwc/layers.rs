//! Convolutions, pooling and fully connected layers.

use crate::graph::ops::{Conv, GlobalPool, Linear, Pool, PoolKind};
use crate::graph::{Node, ValueId, WindowGeometry};
use crate::onnx::{Element, Tensor};

use super::place::{Lowering, TO_LAST};
use super::quantized::Constant;
use super::{Activation, Binary, Kind, Padding, Reduction, Slide, TensorId, Unary, Unwritable};

/// The value of padding.
#[derive(Clone, Copy, PartialEq)]
enum Margin {
    Zeros,
    /// Lower than any pixel.
    Lowest,
}

impl Lowering<'_> {
    pub fn conv(&mut self, node: &Node, conv: &Conv) -> Result<(), Unwritable> {
        let (x, weight) = (self.input(node, 0)?, self.input(node, 1)?);
        let kernels = self.weight(node, 1)?;
        let shape = kernels.tensor.shape.clone();
        let [count, per_group, height, width] = *shape.as_slice() else {
            return self.refuse(
                node,
                format!(
                    "slides over {} dimensions instead of 2",
                    shape.len().saturating_sub(2)
                ),
            );
        };
        let lens = self.lens(node, x)?;
        let channels = lens.get(1).copied().unwrap_or_default();
        let groups = usize::try_from(conv.group).unwrap_or(0);
        let depthwise = groups == channels && per_group == 1 && groups > 1;
        if groups != 1 && !depthwise {
            return self.refuse(
                node,
                format!("has {groups} groups for {channels} channels; only 1 group or one per channel is supported"),
            );
        }
        let spatial = lens.get(2..).unwrap_or_default();
        let Some(window) = conv.sliding.window(spatial, &[height, width], false) else {
            return self.refuse(node, "has a window that does not fit its input");
        };
        let (input, slide) = self.padded(node, x, &window, Margin::Zeros)?;
        let kernel = if depthwise {
            self.made_once("1hwc", weight, || {
                let flat = kernels.shaped(&[1, count, height, width], 1);
                flat.reordered(&TO_LAST)
            })
        } else {
            self.made_once("ohwi", weight, || kernels.reordered(&TO_LAST))
        };
        let bias = self.bias(node, 2, count)?;
        let kind = if depthwise {
            Kind::DepthwiseConv {
                slide,
                multiplier: count / channels,
                activation: Activation::None,
            }
        } else {
            Kind::Conv {
                slide,
                activation: Activation::None,
            }
        };
        let output = self.output(node)?;
        let output = self.new_last(node, output)?;
        self.program.push(kind, &[input, kernel, bias], output);
        Ok(())
    }

    /// The bias of a layer; zeros if it has none.
    fn bias(&mut self, node: &Node, at: usize, count: usize) -> Result<TensorId, Unwritable> {
        let values = if node.input(at).is_some() {
            self.weight(node, at)?.shaped(&[count], 0)
        } else {
            Constant::real(Tensor::new([count], vec![0.0_f32; count]))
        };
        if values.tensor.data.len() != count {
            let len = values.tensor.data.len();
            return self.refuse(node, format!("adds {len} numbers to {count} channels"));
        }
        let name = match node.input(at) {
            Some(bias) => self.name(bias).to_owned(),
            None => format!("{}/bias", self.graph.name_of_node(node)),
        };
        Ok(self.constant(&name, values))
    }

    /// The input of a window and its geometry: SAME if TensorFlow's padding for this size gives the same windows;
    /// otherwise the input is padded explicitly and the window is VALID.
    fn padded(
        &mut self,
        node: &Node,
        x: ValueId,
        window: &WindowGeometry,
        margin: Margin,
    ) -> Result<(TensorId, Slide), Unwritable> {
        let pixels = self.last(node, x)?;
        let slide = |padding| Slide {
            padding,
            strides: [window.strides[0], window.strides[1]],
            dilations: [window.dilations[0], window.dilations[1]],
        };
        if !is_padded(window) {
            return Ok((pixels, slide(Padding::Valid)));
        }
        if is_same(window) {
            return Ok((pixels, slide(Padding::Same)));
        }
        let padded = self.with_margin(node, pixels, window, margin);
        Ok((padded, slide(Padding::Valid)))
    }

    /// The input with all the padding that windows reach.
    fn with_margin(
        &mut self,
        node: &Node,
        pixels: TensorId,
        window: &WindowGeometry,
        margin: Margin,
    ) -> TensorId {
        let pads = vec![
            [0, 0],
            [window.before[0], reached_behind(window, 0)],
            [window.before[1], reached_behind(window, 1)],
            [0, 0],
        ];
        let shape: Vec<usize> = self
            .program
            .shape(pixels)
            .iter()
            .zip(&pads)
            .map(|(len, [before, after])| len + before + after)
            .collect();
        let element = self.program.info(pixels).element;
        let name = format!("{}/pad", self.graph.name_of_node(node));
        let padded = self.program.add(&name, &shape, element);
        let value = match margin {
            Margin::Lowest if !self.is_above_zero(pixels) => Some(f32::MIN),
            _ => None,
        };
        self.program
            .push(Kind::Pad { pads, value }, &[pixels], padded)
    }

    /// Whether a tensor has no negative values.
    fn is_above_zero(&self, tensor: TensorId) -> bool {
        let operators = &self.program.operators;
        let Some(made) = operators.iter().find(|operator| operator.output == tensor) else {
            return false;
        };
        match &made.kind {
            Kind::Unary(Unary::Clamp(Activation::Relu | Activation::Relu6) | Unary::Logistic) => {
                true
            }
            Kind::Reshape | Kind::Transpose { .. } => made
                .inputs
                .first()
                .is_some_and(|from| self.is_above_zero(*from)),
            _ => false,
        }
    }

    pub fn pool(&mut self, node: &Node, pool: &Pool) -> Result<(), Unwritable> {
        let x = self.input(node, 0)?;
        let lens = self.lens(node, x)?;
        let (Some(taps), [_, _, height, width]) = (pool.sliding.taps(), lens.as_slice()) else {
            return self.refuse(node, "does not slide over 2 dimensions");
        };
        let Some(window) = pool.sliding.window(&[*height, *width], &taps, pool.ceil) else {
            return self.refuse(node, "has a window that does not fit its input");
        };
        if window.dilations != [1, 1] {
            return self.refuse(node, "has holes in its window");
        }
        let taps = [window.kernel[0], window.kernel[1]];
        let value = self.output(node)?;
        let PoolKind::Average { padding_counts } = pool.kind else {
            let (pixels, slide) = self.padded(node, x, &window, Margin::Lowest)?;
            let output = self.new_last(node, value)?;
            let kind = Kind::MaxPool {
                slide,
                window: taps,
                activation: Activation::None,
            };
            self.program.push(kind, &[pixels], output);
            return Ok(());
        };
        let average = |slide| Kind::AveragePool {
            slide,
            window: taps,
            activation: Activation::None,
        };
        if is_padded(&window) && !padding_counts && is_same(&window) {
            // The mean excludes padding, as in TensorFlow's SAME.
            let (pixels, slide) = self.padded(node, x, &window, Margin::Zeros)?;
            let output = self.new_last(node, value)?;
            self.program.push(average(slide), &[pixels], output);
            return Ok(());
        }
        // Pad with zeros explicitly, then rescale each mean to the number of pixels that count.
        let mut pixels = self.last(node, x)?;
        if is_padded(&window) {
            pixels = self.with_margin(node, pixels, &window, Margin::Zeros);
        }
        let slide = Slide {
            padding: Padding::Valid,
            strides: [window.strides[0], window.strides[1]],
            dilations: [1, 1],
        };
        let counts: [Vec<usize>; 2] = [0, 1].map(|at| counted(&window, at, padding_counts));
        let all = (taps[0] * taps[1]) as f32;
        let [rows, columns] = &counts;
        let factors: Vec<f32> = rows
            .iter()
            .flat_map(|row| {
                columns
                    .iter()
                    .map(move |column| all / (row * column) as f32)
            })
            .collect();
        if factors.iter().all(|factor| (factor - 1.0).abs() < 1e-9) {
            let output = self.new_last(node, value)?;
            self.program.push(average(slide), &[pixels], output);
            return Ok(());
        }
        let shape = {
            let lens = self.lens(node, value)?;
            [
                1,
                window.output[0],
                window.output[1],
                lens.get(1).copied().unwrap_or(1),
            ]
        };
        let element = self.program.info(pixels).element;
        let name = format!("{}/mean", self.graph.name_of_node(node));
        let mean = self.program.add(&name, &shape, element);
        self.program.push(average(slide), &[pixels], mean);
        let factors = self.program.constant(
            &format!("{name}/factors"),
            Tensor::new([1, window.output[0], window.output[1], 1], factors),
        );
        let output = self.new_last(node, value)?;
        let kind = Kind::Binary {
            binary: Binary::Mul,
            activation: Activation::None,
        };
        self.program.push(kind, &[mean, factors], output);
        Ok(())
    }

    pub fn global_pool(&mut self, node: &Node, pool: GlobalPool) -> Result<(), Unwritable> {
        let x = self.input(node, 0)?;
        let pixels = self.last(node, x)?;
        let output = self.output(node)?;
        let output = self.new_last(node, output)?;
        let kind = Kind::Reduce {
            reduction: match pool {
                GlobalPool::Average => Reduction::Mean,
                GlobalPool::Max => Reduction::Max,
            },
            axes: vec![1, 2],
            keep: true,
        };
        self.program.push(kind, &[pixels], output);
        Ok(())
    }

    pub fn linear(&mut self, node: &Node, linear: Linear) -> Result<(), Unwritable> {
        let gemm = linear.as_gemm();
        if gemm.trans_a {
            return self.refuse(node, "transposes what it multiplies");
        }
        let (x, weight) = (self.input(node, 0)?, self.input(node, 1)?);
        let values = self.weight(node, 1)?;
        let shape = values.tensor.shape.clone();
        let [first, second] = *shape.as_slice() else {
            return self.refuse(node, "multiplies by more than one matrix");
        };
        let (inputs, units) = if gemm.trans_b {
            (second, first)
        } else {
            (first, second)
        };
        let rows = self.plain(node, x)?;
        let mut lens = self.lens(node, x)?;
        if lens.last() != Some(&inputs) || lens.len() < 2 {
            return self.refuse(
                node,
                format!("multiplies {lens:?} by a matrix of {inputs} rows"),
            );
        }
        lens.pop();
        let count: usize = lens.iter().product();
        let is_one = |factor: f32| factor.to_bits() == 1.0_f32.to_bits();
        let is_plain = is_one(gemm.alpha) && (is_one(gemm.beta) || node.input(2).is_none());
        if values.quantization.is_some() && !is_plain {
            return self.refuse(node, "multiplies integers by a factor");
        }
        let alpha = gemm.alpha;
        let weight = self.made_once("units", weight, || {
            let mut matrix = if gemm.trans_b {
                values.shaped(&[units, inputs], 0)
            } else {
                values.reordered(&[1, 0])
            };
            if let Element::F32(values) = &mut matrix.tensor.data {
                for value in values {
                    *value *= alpha;
                }
            }
            matrix
        });
        let value = self.output(node)?;
        let name = format!("{}/bias", self.graph.name_of_node(node));
        let bias = self.addend(node, units, gemm.beta)?;
        let bias = self.constant(&name, bias);
        let kind = Kind::FullyConnected {
            activation: Activation::None,
        };
        if lens.len() == 1 {
            let output = self.new_plain(node, value)?;
            self.program.push(kind, &[rows, weight, bias], output);
            return Ok(());
        }
        // Combine all other dimensions to rows, and split them again.
        let element = self.program.info(rows).element;
        let flat = self
            .program
            .add(&format!("{name}/rows"), &[count, inputs], element);
        self.program.push(Kind::Reshape, &[rows], flat);
        let product = self
            .program
            .add(&format!("{name}/product"), &[count, units], element);
        self.program.push(kind, &[flat, weight, bias], product);
        let output = self.new_plain(node, value)?;
        self.program.push(Kind::Reshape, &[product], output);
        Ok(())
    }
}

impl Lowering<'_> {
    /// The vector that a product adds to its outputs: its third input times `beta`.
    fn addend(&self, node: &Node, units: usize, beta: f32) -> Result<Constant, Unwritable> {
        if node.input(2).is_none() {
            return Ok(Constant::real(Tensor::new([units], vec![0.0_f32; units])));
        }
        let given = self.weight(node, 2)?;
        let values = match &given.tensor.data {
            Element::F32(values) => match values.as_slice() {
                [one] => vec![one * beta; units],
                each => each.iter().map(|one| one * beta).collect(),
            },
            integers if integers.len() == units => return Ok(given.shaped(&[units], 0)),
            _ => Vec::new(),
        };
        if values.len() != units {
            return self.refuse(node, "does not add one number per output");
        }
        Ok(Constant::real(Tensor::new([units], values)))
    }
}

/// Whether TensorFlow's SAME gives the same windows: as many, with the first one at the same place.
///
/// Not if the windows are so far apart that they end before the map does: `TFLite` 2.14 then computes a huge padding
/// instead of none.
fn is_same(window: &WindowGeometry) -> bool {
    (0..2).all(|at| {
        let count = window.input[at].div_ceil(window.strides[at]);
        let covered = count.saturating_sub(1) * window.strides[at] + window.extent(at);
        let total = covered.saturating_sub(window.input[at]);
        let reaches_end = covered >= window.input[at];
        reaches_end && window.output[at] == count && window.before[at] == total / 2
    })
}

/// Whether any window covers padding.
fn is_padded(window: &WindowGeometry) -> bool {
    (0..2).any(|at| window.before[at] > 0 || reached_behind(window, at) > 0)
}

/// How far windows extend beyond the last pixel, regardless of the padding there.
fn reached_behind(window: &WindowGeometry, at: usize) -> usize {
    window
        .covered(at)
        .saturating_sub(window.before[at] + window.input[at])
}

/// How many pixels each window of a pool averages along a dimension: with or without padding, but never beyond it.
pub(crate) fn counted(window: &WindowGeometry, at: usize, padding_counts: bool) -> Vec<usize> {
    let (from, to) = if padding_counts {
        (0, window.before[at] + window.input[at] + window.after[at])
    } else {
        (window.before[at], window.before[at] + window.input[at])
    };
    (0..window.output[at])
        .map(|index| {
            let start = index * window.strides[at];
            let end = (start + window.kernel[at]).min(to);
            end.saturating_sub(start.max(from)).max(1)
        })
        .collect()
}
