//! Operators that reshape, slice, join and pad, in MIL.

use crate::graph::ops::{Moves, PadMode, Reshaping};
use crate::graph::{Node, ValueId, wrap};

use super::CoreMlError;
use super::values::{flag, int, ints, text};
use super::write::{Arg, Output, Writer, number};
use super::write_operators::counts;

/// The permutation from the image to planes.
const TO_PLANES: [i64; 4] = [0, 3, 1, 2];

impl Writer<'_> {
    pub fn reshaping(&mut self, node: &Node, op: &Reshaping) -> Result<(), CoreMlError> {
        let x = self.input(node, 0)?;
        let Some(value) = node.output() else {
            return self.refuse(node, "has no output");
        };
        match op {
            // Dropout does nothing after training.
            Reshaping::Identity | Reshaping::Dropout { .. } => self.alias(node, x, value),
            Reshaping::Transpose { perm } => self.transpose(node, x, value, perm.as_deref()),
            Reshaping::Reshape { .. }
            | Reshaping::Flatten { .. }
            | Reshaping::Squeeze { .. }
            | Reshaping::Unsqueeze { .. }
            | Reshaping::Expand => {
                let (from, lens) = (self.lens(node, x)?, self.lens(node, value)?);
                if from == lens {
                    return self.alias(node, x, value);
                }
                if *op == Reshaping::Expand {
                    return self.refuse(node, "repeats values");
                }
                let x = self.arg(node, 0)?;
                let to = self.output(node)?;
                self.emit("reshape", vec![("x", x), ("shape", counts(&lens))], &to);
                Ok(())
            }
            Reshaping::Shape { .. } | Reshaping::Size | Reshaping::ConstantOfShape { .. } => {
                self.refuse(node, "works on shapes that are unknown before it runs")
            }
        }
    }

    fn transpose(
        &mut self,
        node: &Node,
        x: ValueId,
        value: ValueId,
        perm: Option<&[i64]>,
    ) -> Result<(), CoreMlError> {
        let rank = self.lens(node, x)?.len();
        let perm: Option<Vec<i64>> = match perm {
            Some(perm) => {
                let wrapped = perm.iter().map(|axis| wrap(*axis, rank));
                wrapped.map(|axis| axis.map(|axis| axis as i64)).collect()
            }
            None => Some((0..rank as i64).rev().collect()),
        };
        let Some(perm) = perm.filter(|perm| perm.len() == rank) else {
            return self.refuse(node, "has an order that does not fit its input");
        };
        if self.is_image(x) {
            if perm != TO_PLANES {
                return self.refuse(node, "puts the pixels of the image in another order");
            }
            self.set_planes(value);
            return Ok(());
        }
        let x = self.arg(node, 0)?;
        let to = self.output(node)?;
        self.emit(
            "transpose",
            vec![("x", x), ("perm", Arg::Const(ints(&perm)))],
            &to,
        );
        Ok(())
    }

    pub fn moves(&mut self, node: &Node, op: &Moves) -> Result<(), CoreMlError> {
        match op {
            Moves::Concat { axis } => {
                let mut names = Vec::with_capacity(node.inputs.len());
                for part in node.inputs.iter().flatten() {
                    names.push(self.name(node, *part)?);
                }
                let Some(axis) = wrap(*axis, self.lens(node, self.input(node, 0)?)?.len()) else {
                    return self.refuse(node, "uses a dimension that does not exist");
                };
                let to = self.output(node)?;
                let args = vec![
                    ("values", Arg::Names(names)),
                    ("axis", Arg::Const(int(axis as i64))),
                    ("interleave", Arg::Const(flag(false))),
                ];
                self.emit("concat", args, &to);
                Ok(())
            }
            Moves::Pad { mode, pads, value } => {
                if *mode != PadMode::Constant {
                    return self.refuse(node, "has a margin that is not constant");
                }
                self.pad(node, pads.as_deref(), *value)
            }
            Moves::Slice(_) => {
                let x = self.input(node, 0)?;
                let lens = self.lens(node, x)?;
                let Some(cuts) = self.graph.cuts(node) else {
                    return self.refuse(node, "slices at places that are unknown before it runs");
                };
                let mut cut = Cut::whole(&lens);
                for (axis, start, count, step) in cuts {
                    if step < 1 {
                        return self.refuse(node, "takes values from behind");
                    }
                    cut.take(axis, start, count as i64, step);
                }
                let to = self.output(node)?;
                self.cut(node, x, &cut, &to)
            }
            Moves::Split { axis, .. } => self.split(node, *axis),
            Moves::Gather { axis } => self.gather(node, *axis),
            _ => self.refuse(node, "is an unsupported operator"),
        }
    }

    fn cut(&mut self, node: &Node, x: ValueId, cut: &Cut, to: &Output) -> Result<(), CoreMlError> {
        let x = self.name(node, x)?;
        let args = vec![
            ("x", Arg::Name(x)),
            ("begin", Arg::Const(ints(&cut.begin))),
            ("end", Arg::Const(ints(&cut.end))),
            ("stride", Arg::Const(ints(&cut.stride))),
        ];
        self.emit("slice_by_index", args, to);
        Ok(())
    }

    fn split(&mut self, node: &Node, axis: i64) -> Result<(), CoreMlError> {
        let x = self.input(node, 0)?;
        let lens = self.lens(node, x)?;
        let Some(axis) = wrap(axis, lens.len()) else {
            return self.refuse(node, "uses a dimension that does not exist");
        };
        let mut start = 0;
        for part in &node.outputs {
            let Some(part) = *part else {
                return self.refuse(node, "leaves out one of its parts");
            };
            let count = self.lens(node, part)?.get(axis).copied().unwrap_or(0) as i64;
            let mut cut = Cut::whole(&lens);
            cut.take(axis, start, count, 1);
            start += count;
            let to = self.output_of(node, part)?;
            self.cut(node, x, &cut, &to)?;
        }
        Ok(())
    }

    /// A single index along a dimension, which is removed.
    fn gather(&mut self, node: &Node, axis: i64) -> Result<(), CoreMlError> {
        let (x, index) = (self.input(node, 0)?, self.input(node, 1)?);
        let lens = self.lens(node, x)?;
        let one = match (self.graph.constant_of(index), self.graph.ints_of(index)) {
            (Some(tensor), Some([one])) if tensor.shape.is_empty() => Some(*one),
            _ => None,
        };
        let (Some(axis), Some(one)) = (wrap(axis, lens.len()), one) else {
            return self.refuse(node, "does not select one value by a constant");
        };
        let len = lens.get(axis).copied().unwrap_or(0);
        let Some(one) = wrap(one, len).filter(|one| *one < len) else {
            return self.refuse(node, "selects a value that does not exist");
        };
        let mut cut = Cut::whole(&lens);
        cut.take(axis, one as i64, 1, 1);
        let to = self.output(node)?;
        let mut whole = self.between(&to, "one");
        whole.lens.clone_from(&lens);
        if let Some(len) = whole.lens.get_mut(axis) {
            *len = 1;
        }
        self.cut(node, x, &cut, &whole)?;
        let args = vec![("x", Arg::Name(whole.name)), ("shape", counts(&to.lens))];
        self.emit("reshape", args, &to);
        Ok(())
    }

    fn pad(
        &mut self,
        node: &Node,
        pads: Option<&[i64]>,
        filled: Option<f32>,
    ) -> Result<(), CoreMlError> {
        let rank = self.lens(node, self.input(node, 0)?)?.len();
        let given = match (pads, node.input(1)) {
            (Some(pads), _) => Some(pads),
            (None, Some(pads)) => self.graph.ints_of(pads),
            (None, None) => None,
        };
        let is_usable = |pads: &&[i64]| pads.len() == 2 * rank && pads.iter().all(|pad| *pad >= 0);
        let Some(given) = given.filter(is_usable) else {
            return self.refuse(node, "has a margin that is not known, or cuts");
        };
        if node.input(3).is_some() {
            return self.refuse(node, "names the dimensions that it pads");
        }
        let filled = match node.input(2) {
            Some(_) => self.floats(node, 2)?.1.first().copied(),
            None => filled,
        };
        // The widths before and after each dimension alternate, from the first padded dimension on.
        let (before, after) = given.split_at(rank);
        let pairs = before
            .iter()
            .zip(after)
            .map(|(before, after)| [*before, *after]);
        let pairs: Vec<i64> = pairs.skip_while(|pair| *pair == [0, 0]).flatten().collect();
        let x = self.arg(node, 0)?;
        let to = self.output(node)?;
        let args = vec![
            ("x", x),
            (
                "pad",
                Arg::Const(ints(if pairs.is_empty() { &[0, 0] } else { &pairs })),
            ),
            ("mode", Arg::Const(text("constant"))),
            ("constant_val", number(&to, filled.unwrap_or(0.0))),
        ];
        self.emit("pad", args, &to);
        Ok(())
    }
}

/// The bounds of a `slice_by_index` in each dimension.
struct Cut {
    begin: Vec<i64>,
    end: Vec<i64>,
    stride: Vec<i64>,
}

impl Cut {
    fn whole(lens: &[usize]) -> Self {
        Self {
            begin: vec![0; lens.len()],
            end: lens.iter().map(|len| *len as i64).collect(),
            stride: vec![1; lens.len()],
        }
    }

    fn take(&mut self, axis: usize, start: i64, count: i64, step: i64) {
        let places = (
            self.begin.get_mut(axis),
            self.end.get_mut(axis),
            self.stride.get_mut(axis),
        );
        if let (Some(begin), Some(end), Some(stride)) = places {
            *begin = start;
            *end = start + (count - 1) * step + 1;
            *stride = step;
        }
    }
}
