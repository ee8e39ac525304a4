//! Reductions, and operators that only move values.

use crate::graph::ops::{Moves, PadMode, Reduce, ReduceKind, Reshaping};
use crate::graph::{Node, wrap};
use crate::onnx::ElementType;

use super::place::{Lowering, TO_FIRST, TO_LAST, keeps_order};
use super::{Kind, Reduction, Unwritable};

impl Lowering<'_> {
    pub fn reduce(&mut self, node: &Node, reduce: &Reduce) -> Result<(), Unwritable> {
        let reduction = match reduce.kind {
            ReduceKind::Mean => Reduction::Mean,
            ReduceKind::Sum => Reduction::Sum,
            ReduceKind::Max => Reduction::Max,
            ReduceKind::Min => Reduction::Min,
            ReduceKind::SumSquare | ReduceKind::ArgMax | ReduceKind::ArgMin => {
                return self.refuse(node, "is an unsupported reduction");
            }
        };
        let (x, value) = (self.input(node, 0)?, self.output(node)?);
        let Some(mut axes) = self.graph.reduced_axes(node) else {
            return self.refuse(node, "uses unknown dimensions");
        };
        axes.sort_unstable();
        let rank = self.lens(node, x)?.len();
        let is_last = self.place(x).last.is_some();
        // When dimensions are removed, the others must keep the graph's order.
        let left: Vec<usize> = TO_LAST
            .into_iter()
            .filter(|dim| !axes.contains(dim))
            .collect();
        if is_last && rank == 4 && (reduce.keep || left.is_sorted()) {
            let input = self.last(node, x)?;
            let axes = (0..4).filter(|at| axes.contains(&TO_LAST[*at])).collect();
            let output = if reduce.keep {
                self.new_last(node, value)?
            } else {
                self.new_plain(node, value)?
            };
            let kind = Kind::Reduce {
                reduction,
                axes,
                keep: reduce.keep,
            };
            self.program.push(kind, &[input], output);
            return Ok(());
        }
        let input = self.plain(node, x)?;
        let output = self.new_plain(node, value)?;
        let kind = Kind::Reduce {
            reduction,
            axes,
            keep: reduce.keep,
        };
        self.program.push(kind, &[input], output);
        Ok(())
    }

    pub fn reshaping(&mut self, node: &Node, op: &Reshaping) -> Result<(), Unwritable> {
        let (x, value) = (self.input(node, 0)?, self.output(node)?);
        match op {
            // Dropout does nothing after training.
            Reshaping::Identity | Reshaping::Dropout { .. } => self.alias(node, x, value),
            Reshaping::Reshape { .. }
            | Reshaping::Flatten { .. }
            | Reshaping::Squeeze { .. }
            | Reshaping::Unsqueeze { .. } => {
                let (from, to) = (self.lens(node, x)?, self.lens(node, value)?);
                if from == to {
                    return self.alias(node, x, value);
                }
                let input = self.shaped_from(node, x)?;
                let output = self.new_plain(node, value)?;
                self.program.push(Kind::Reshape, &[input], output);
                Ok(())
            }
            Reshaping::Transpose { perm } => self.transpose(node, perm.as_deref()),
            Reshaping::Expand
            | Reshaping::Shape { .. }
            | Reshaping::Size
            | Reshaping::ConstantOfShape { .. } => {
                self.refuse(node, "works on shapes that are unknown before it runs")
            }
        }
    }

    /// A value to be reshaped: channels last if that has the same order of values as the graph's order.
    fn shaped_from(
        &mut self,
        node: &Node,
        x: crate::graph::ValueId,
    ) -> Result<super::TensorId, Unwritable> {
        if let Some(last) = self.place(x).last
            && keeps_order(self.program.shape(last), &TO_FIRST)
        {
            return Ok(last);
        }
        self.plain(node, x)
    }

    /// A transposition, omitted if its result already exists in that order.
    fn transpose(&mut self, node: &Node, perm: Option<&[i64]>) -> Result<(), Unwritable> {
        let (x, value) = (self.input(node, 0)?, self.output(node)?);
        let rank = self.lens(node, x)?.len();
        let perm: Option<Vec<usize>> = match perm {
            Some(perm) => perm.iter().map(|axis| wrap(*axis, rank)).collect(),
            None => Some((0..rank).rev().collect()),
        };
        let Some(perm) = perm.filter(|perm| perm.len() == rank) else {
            return self.refuse(node, "has an order that does not fit its input");
        };
        if rank == 4 {
            let placed = self.place(x);
            let plain: Vec<usize> = (0..4).collect();
            let wanted_last: Vec<usize> = TO_LAST.iter().map(|dim| perm[*dim]).collect();
            let mut to = self.place(value);
            for (lies, order) in [(placed.plain, &plain), (placed.last, &TO_LAST.to_vec())] {
                if lies.is_none() {
                    continue;
                }
                if *order == perm {
                    to.plain = lies;
                }
                if *order == wanted_last {
                    to.last = lies;
                }
            }
            if to.plain.is_some() || to.last.is_some() {
                self.placed.insert(value, to);
                return Ok(());
            }
        }
        if rank > 4 {
            return self.refuse(node, "moves more than 4 dimensions");
        }
        let input = self.plain(node, x)?;
        let output = self.new_plain(node, value)?;
        let kind = if keeps_order(self.program.shape(input), &perm) {
            Kind::Reshape
        } else {
            Kind::Transpose { perm }
        };
        self.program.push(kind, &[input], output);
        Ok(())
    }

    pub fn moves(&mut self, node: &Node, op: &Moves) -> Result<(), Unwritable> {
        match op {
            Moves::Concat { axis } => self.concat(node, *axis),
            Moves::Pad { mode, pads, value } => {
                if *mode != PadMode::Constant {
                    return self.refuse(node, "has a margin that is not constant");
                }
                self.pad(node, pads.as_deref(), *value)
            }
            Moves::Slice(_) => self.slice(node),
            Moves::Split { axis, .. } => self.split(node, *axis),
            Moves::Gather { axis } => self.gather(node, *axis),
            _ => self.refuse(node, "is an unsupported operator"),
        }
    }

    fn concat(&mut self, node: &Node, axis: i64) -> Result<(), Unwritable> {
        let value = self.output(node)?;
        let rank = self.lens(node, value)?.len();
        let Some(axis) = wrap(axis, rank) else {
            return self.refuse(node, "uses a dimension that does not exist");
        };
        let parts: Vec<_> = node.inputs.iter().flatten().copied().collect();
        let is_last = rank == 4 && parts.iter().any(|part| self.place(*part).last.is_some());
        let mut inputs = Vec::with_capacity(parts.len());
        for part in parts {
            inputs.push(if is_last {
                self.last(node, part)?
            } else {
                self.plain(node, part)?
            });
        }
        let (output, axis) = if is_last {
            (self.new_last(node, value)?, TO_FIRST[axis])
        } else {
            (self.new_plain(node, value)?, axis)
        };
        self.program.push(Kind::Concat { axis }, &inputs, output);
        Ok(())
    }

    fn pad(
        &mut self,
        node: &Node,
        pads: Option<&[i64]>,
        filled: Option<f32>,
    ) -> Result<(), Unwritable> {
        let (x, value) = (self.input(node, 0)?, self.output(node)?);
        let rank = self.lens(node, x)?.len();
        let given = match (pads, node.input(1)) {
            (Some(pads), _) => Some(pads),
            (None, Some(pads)) => self.graph.ints_of(pads),
            (None, None) => None,
        };
        let given: Option<Vec<usize>> =
            given.and_then(|pads| pads.iter().map(|pad| usize::try_from(*pad).ok()).collect());
        let Some(given) = given.filter(|pads| pads.len() == 2 * rank) else {
            return self.refuse(node, "has a margin that is not known, or cuts");
        };
        if node.input(3).is_some() {
            return self.refuse(node, "names the dimensions that it pads");
        }
        let filled = match node.input(2) {
            Some(_) => self.floats(node, 2)?.1.first().copied(),
            None => filled,
        };
        if self.graph.element(x) != Some(ElementType::F32) {
            return self.refuse(node, "pads values that are not 32-bit floats");
        }
        let each = |dim: usize| [given[dim], given[rank + dim]];
        let (input, output, pads) = if rank == 4 && self.place(x).last.is_some() {
            let input = self.last(node, x)?;
            (
                input,
                self.new_last(node, value)?,
                TO_LAST.map(each).to_vec(),
            )
        } else {
            let input = self.plain(node, x)?;
            (
                input,
                self.new_plain(node, value)?,
                (0..rank).map(each).collect(),
            )
        };
        let kind = Kind::Pad {
            pads,
            value: filled.filter(|value| *value != 0.0),
        };
        self.program.push(kind, &[input], output);
        Ok(())
    }
}
