//! Convolutions, pooling and fully connected layers in MIL.

use crate::export::nhwc::counted;
use crate::graph::ops::{Conv, Linear, Pool, PoolKind};
use crate::graph::{Node, WindowGeometry, wrap};
use crate::onnx::{Element, ElementType};

use super::CoreMlError;
use super::values::{flag, int, ints, text};
use super::write::{Arg, Output, Writer, number};
use super::write_operators::counts;

impl Writer<'_> {
    pub fn conv(&mut self, node: &Node, conv: &Conv) -> Result<(), CoreMlError> {
        let (shape, _) = self.floats(node, 1)?;
        let lens = self.lens(node, self.input(node, 0)?)?;
        let (&[_, _, height, width], &[_, channels, rows, columns]) =
            (shape.as_slice(), lens.as_slice())
        else {
            return self.refuse(node, "does not slide over 2 dimensions");
        };
        let Some(window) = conv
            .sliding
            .window(&[rows, columns], &[height, width], false)
        else {
            return self.refuse(node, "has a window that does not fit its input");
        };
        let group = usize::try_from(conv.group).unwrap_or(0);
        if group == 0 || channels % group != 0 {
            return self.refuse(node, format!("has {group} groups for {channels} channels"));
        }
        let mut args = vec![
            ("x", self.arg(node, 0)?),
            ("weight", self.arg(node, 1)?),
            ("groups", Arg::Const(int(conv.group))),
            ("dilations", counts(&window.dilations)),
        ];
        if node.input(2).is_some() {
            self.floats(node, 2)?;
            args.push(("bias", self.arg(node, 2)?));
        }
        args.extend(slid(&window, &window.after));
        let to = self.output(node)?;
        self.emit("conv", args, &to);
        Ok(())
    }

    pub fn pool(&mut self, node: &Node, pool: &Pool) -> Result<(), CoreMlError> {
        let lens = self.lens(node, self.input(node, 0)?)?;
        let (Some(taps), &[_, _, rows, columns]) = (pool.sliding.taps(), lens.as_slice()) else {
            return self.refuse(node, "does not slide over 2 dimensions");
        };
        let Some(window) = pool.sliding.window(&[rows, columns], &taps, pool.ceil) else {
            return self.refuse(node, "has a window that does not fit its input");
        };
        if window.dilations != [1, 1] {
            return self.refuse(node, "has holes in its window");
        }
        // Only the padding that windows reach: then no rounding up is needed.
        let reached: Vec<usize> = (0..2)
            .map(|at| {
                let covered = window.covered(at);
                covered.saturating_sub(window.before[at] + window.input[at])
            })
            .collect();
        let mut args = vec![
            ("x", self.arg(node, 0)?),
            ("kernel_sizes", counts(&window.kernel)),
            ("ceil_mode", Arg::Const(flag(false))),
        ];
        args.extend(slid(&window, &reached));
        let to = self.output(node)?;
        let PoolKind::Average { padding_counts } = pool.kind else {
            self.emit("max_pool", args, &to);
            return Ok(());
        };
        let exclude = (
            "exclude_padding_from_average",
            Arg::Const(flag(!padding_counts)),
        );
        args.push(exclude);
        // ONNX excludes the part of a window beyond all padding from the mean; MIL includes it.
        let all = (window.kernel[0] * window.kernel[1]) as f32;
        let counts: [Vec<usize>; 2] = [0, 1].map(|at| counted(&window, at, true));
        let [down, across] = &counts;
        let factors = down.iter().flat_map(|row| {
            let of_row = across.iter();
            of_row.map(move |column| all / (row * column) as f32)
        });
        let factors: Vec<f32> = factors.collect();
        let is_plain = factors.iter().all(|factor| (factor - 1.0).abs() < 1e-9);
        if !padding_counts || is_plain {
            self.emit("avg_pool", args, &to);
            return Ok(());
        }
        let mean = self.between(&to, "mean");
        let mean = self.emit("avg_pool", args, &mean);
        let lens = [1, 1, down.len(), across.len()];
        let factors = self.floats_like(&to, "factors", &lens, &factors);
        self.emit("mul", vec![("x", mean), ("y", factors)], &to);
        Ok(())
    }

    /// A constant of the type that an operation computes in.
    pub fn floats_like(
        &mut self,
        like: &Output,
        what: &str,
        lens: &[usize],
        values: &[f32],
    ) -> Arg {
        let data: Element = match like.element {
            ElementType::F16 => {
                let halves = values.iter().map(|value| half::f16::from_f32(*value));
                halves.collect::<Vec<_>>().into()
            }
            _ => values.to_vec().into(),
        };
        let name = format!("{}_{what}", like.name);
        // Floats are always accepted.
        Arg::Name(self.constant(&name, lens, &data).unwrap_or_default())
    }

    pub fn linear(&mut self, node: &Node, linear: Linear) -> Result<(), CoreMlError> {
        let gemm = linear.as_gemm();
        let weights = self.graph.constant_of(self.input(node, 1)?);
        let is_layer = weights.is_some_and(|tensor| tensor.shape.len() == 2) && !gemm.trans_a;
        if !is_layer {
            if gemm.alpha.to_bits() != 1.0_f32.to_bits() || node.input(2).is_some() {
                return self.refuse(node, "scales or adds to a product of what is computed");
            }
            let args = vec![
                ("x", self.arg(node, 0)?),
                ("y", self.arg(node, 1)?),
                ("transpose_x", Arg::Const(flag(gemm.trans_a))),
                ("transpose_y", Arg::Const(flag(gemm.trans_b))),
            ];
            let to = self.output(node)?;
            self.emit("matmul", args, &to);
            return Ok(());
        }
        let (shape, values) = self.floats(node, 1)?;
        let &[first, second] = shape.as_slice() else {
            return self.refuse(node, "multiplies by more than one matrix");
        };
        let (inputs, units) = if gemm.trans_b {
            (second, first)
        } else {
            (first, second)
        };
        let lens = self.lens(node, self.input(node, 0)?)?;
        if lens.last() != Some(&inputs) || lens.len() < 2 {
            return self.refuse(
                node,
                format!("multiplies {lens:?} by a matrix of {inputs} rows"),
            );
        }
        // `linear` has its matrix as [outputs, inputs].
        let at = |unit: usize, input: usize| {
            if gemm.trans_b {
                unit * inputs + input
            } else {
                input * units + unit
            }
        };
        let places = (0..units).flat_map(|unit| (0..inputs).map(move |input| at(unit, input)));
        let rows = places.map(|place| values.get(place).copied().unwrap_or_default() * gemm.alpha);
        let rows: Vec<f32> = rows.collect();
        let bias = if node.input(2).is_none() {
            None
        } else {
            let (_, bias) = self.floats(node, 2)?;
            let scaled = |one: &f32| one * gemm.beta;
            match bias.as_slice() {
                [one] => Some(vec![scaled(one); units]),
                each if each.len() == units => Some(each.iter().map(scaled).collect()),
                _ => {
                    return self.refuse(node, "does not add one number per output");
                }
            }
        };
        let x = self.arg(node, 0)?;
        let to = self.output(node)?;
        if lens.len() > 3 {
            // `linear` takes at most three dimensions.
            let columns = (0..inputs).flat_map(|input| (0..units).map(move |unit| (unit, input)));
            let columns = columns.map(|(unit, input)| rows.get(unit * inputs + input));
            let columns: Vec<f32> = columns
                .map(|one| one.copied().unwrap_or_default())
                .collect();
            let y = self.floats_like(&to, "weight", &[inputs, units], &columns);
            let [x_as_is, y_as_is] = ["transpose_x", "transpose_y"];
            let as_is = || Arg::Const(flag(false));
            let args = vec![("x", x), ("y", y), (x_as_is, as_is()), (y_as_is, as_is())];
            let Some(bias) = bias else {
                self.emit("matmul", args, &to);
                return Ok(());
            };
            let product = self.between(&to, "product");
            let product = self.emit("matmul", args, &product);
            let bias = self.floats_like(&to, "bias", &[units], &bias);
            self.emit("add", vec![("x", product), ("y", bias)], &to);
            return Ok(());
        }
        let mut args = vec![
            ("x", x),
            (
                "weight",
                self.floats_like(&to, "weight", &[units, inputs], &rows),
            ),
        ];
        if let Some(bias) = bias {
            args.push(("bias", self.floats_like(&to, "bias", &[units], &bias)));
        }
        self.emit("linear", args, &to);
        Ok(())
    }
}

impl Writer<'_> {
    /// Normalisation over the last dimensions, with a scale and a bias of their shape.
    pub fn layer_norm(&mut self, node: &Node, axis: i64, epsilon: f32) -> Result<(), CoreMlError> {
        let lens = self.lens(node, self.input(node, 0)?)?;
        let Some(first) = wrap(axis, lens.len()) else {
            return self.refuse(node, "uses a dimension that does not exist");
        };
        let (shape, scale) = self.floats(node, 1)?;
        if Some(shape.as_slice()) != lens.get(first..) {
            return self.refuse(node, "has a scale of another shape than what it goes along");
        }
        let bias = match node.input(2) {
            Some(_) => self.floats(node, 2)?.1,
            None => vec![0.0; scale.len()],
        };
        if bias.len() != scale.len() {
            return self.refuse(node, "has a bias of another shape than what it goes along");
        }
        let axes: Vec<i64> = (first as i64..lens.len() as i64).collect();
        let x = self.arg(node, 0)?;
        let to = self.output(node)?;
        let args = vec![
            ("x", x),
            ("axes", Arg::Const(ints(&axes))),
            ("gamma", self.floats_like(&to, "gamma", &shape, &scale)),
            ("beta", self.floats_like(&to, "beta", &shape, &bias)),
            ("epsilon", number(&to, epsilon)),
        ];
        self.emit("layer_norm", args, &to);
        Ok(())
    }
}

/// The arguments of a window, with that padding at the end.
fn slid(window: &WindowGeometry, after: &[usize]) -> [(&'static str, Arg); 3] {
    let pads: Vec<i64> = (window.before.iter().zip(after))
        .flat_map(|(before, after)| [*before as i64, *after as i64])
        .collect();
    let kind = if pads.iter().all(|pad| *pad == 0) {
        "valid"
    } else {
        "custom"
    };
    [
        ("strides", counts(&window.strides)),
        ("pad_type", Arg::Const(text(kind))),
        ("pad", Arg::Const(ints(&pads))),
    ]
}
