//! Merging padding into convolutions.

use std::collections::HashSet;

use crate::graph::ops::{Moves, PadMode};
use crate::graph::value::ValueId;
use crate::graph::{AutoPad, Graph, Op};

impl Graph {
    /// Merges zero padding into the convolutions that are its only reader, so that all padding of a convolution is in
    /// one place.
    pub fn merge_pads(&mut self) {
        let mut gone = HashSet::new();
        for index in 0..self.nodes.len() {
            if let Some((conv, x, pads)) = self.pad_of_conv(index)
                && let Some(node) = self.nodes.get_mut(conv)
                && let Op::Conv(op) = &mut node.op
            {
                op.sliding.pads = pads;
                op.sliding.auto_pad = AutoPad::Explicit;
                if let Some(slot) = node.inputs.first_mut() {
                    *slot = Some(x);
                }
                gone.insert(index);
            }
        }
        self.retain_nodes(|at, _| !gone.contains(&at));
        self.prune();
    }

    /// If the node at `index` is zero padding of pixels: the convolution that is its only reader, the value that is
    /// padded, and the total padding.
    fn pad_of_conv(&self, index: usize) -> Option<(usize, ValueId, Vec<i64>)> {
        let node = self.nodes.get(index)?;
        let Op::Moves(Moves::Pad {
            mode: PadMode::Constant,
            pads,
            value,
        }) = &node.op
        else {
            return None;
        };
        let given = pads.as_deref().or_else(|| self.ints_of(node.input(1)?))?;
        let filled = match node.input(2) {
            Some(filled) => *self.constant_of(filled)?.f32().ok()?.first()?,
            None => value.unwrap_or(0.0),
        };
        let (before, after) = given.split_at(given.len() / 2);
        let is_spatial = before.get(..2)? == [0, 0] && after.get(..2)? == [0, 0];
        if !is_spatial
            || filled != 0.0
            || node.input(3).is_some()
            || given.iter().any(|pad| *pad < 0)
        {
            return None;
        }
        let padded = node.output()?;
        let mut readers = self.nodes.iter().enumerate();
        let (conv, reader) = readers.find(|(_, node)| node.reads().any(|read| read == padded))?;
        let Op::Conv(op) = &reader.op else {
            return None;
        };
        let is_alone = self.consumers(padded).count() == 1 && !self.outputs.contains(&padded);
        if !is_alone || reader.input(0) != Some(padded) {
            return None;
        }
        let spatial: Vec<i64> = [before.get(2..)?, after.get(2..)?].concat();
        let own = match op.sliding.auto_pad {
            AutoPad::Explicit if !op.sliding.pads.is_empty() => op.sliding.pads.clone(),
            AutoPad::Explicit | AutoPad::Valid => vec![0; spatial.len()],
            AutoPad::SameUpper | AutoPad::SameLower => return None,
        };
        if own.len() != spatial.len() {
            return None;
        }
        let pads = own
            .iter()
            .zip(&spatial)
            .map(|(own, more)| own + more)
            .collect();
        Some((conv, node.input(0)?, pads))
    }
}
