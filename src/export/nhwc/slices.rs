//! Slices.

use crate::graph::{Node, ValueId, wrap};

use super::place::{Lowering, TO_LAST};
use super::{Kind, TensorId, Unwritable};

impl Lowering<'_> {
    pub fn slice(&mut self, node: &Node) -> Result<(), Unwritable> {
        let (x, value) = (self.input(node, 0)?, self.output(node)?);
        let Some(cuts) = self.graph.cuts(node) else {
            return self.refuse(node, "slices at places that are unknown before it runs");
        };
        let mut begin = vec![0; self.lens(node, x)?.len()];
        for (axis, start, _, step) in cuts {
            if step != 1 {
                return self.refuse(node, "leaves out values between those it takes");
            }
            if let (Some(begin), Ok(start)) = (begin.get_mut(axis), usize::try_from(start)) {
                *begin = start;
            }
        }
        self.part(node, x, &begin, value)
    }

    pub fn split(&mut self, node: &Node, axis: i64) -> Result<(), Unwritable> {
        let x = self.input(node, 0)?;
        let rank = self.lens(node, x)?.len();
        let Some(axis) = wrap(axis, rank) else {
            return self.refuse(node, "uses a dimension that does not exist");
        };
        let mut begin = vec![0; rank];
        for part in &node.outputs {
            let Some(part) = *part else {
                return self.refuse(node, "leaves out one of its parts");
            };
            self.part(node, x, &begin, part)?;
            let len = self.lens(node, part)?.get(axis).copied();
            if let Some(begin) = begin.get_mut(axis) {
                *begin += len.unwrap_or(0);
            }
        }
        Ok(())
    }

    /// A single index along a dimension, which is removed.
    pub fn gather(&mut self, node: &Node, axis: i64) -> Result<(), Unwritable> {
        let (x, value) = (self.input(node, 0)?, self.output(node)?);
        let lens = self.lens(node, x)?;
        let axis = wrap(axis, lens.len());
        let index = self.input(node, 1)?;
        let one = match (self.graph.constant_of(index), self.graph.ints_of(index)) {
            (Some(tensor), Some([one])) if tensor.shape.is_empty() => Some(*one),
            _ => None,
        };
        let (Some(axis), Some(one)) = (axis, one) else {
            return self.refuse(node, "does not select one value by a constant");
        };
        let len = lens.get(axis).copied().unwrap_or(0);
        let Some(one) = wrap(one, len) else {
            return self.refuse(node, "selects a value that does not exist");
        };
        let mut begin = vec![0; lens.len()];
        let mut size = lens;
        (begin[axis], size[axis]) = (one, 1);
        // An image without its channels has the graph's order.
        let is_last = size.len() == 4 && axis == 1 && self.place(x).last.is_some();
        let (input, begin, size) = if is_last {
            let to_last = |all: &[usize]| TO_LAST.map(|dim| all[dim]).to_vec();
            (self.last(node, x)?, to_last(&begin), to_last(&size))
        } else {
            (self.plain(node, x)?, begin, size)
        };
        let element = self.program.info(input).element;
        let name = format!("{}/one", self.graph.name_of_node(node));
        let cut = self.program.add(&name, &size, element);
        self.program.push(Kind::Slice { begin }, &[input], cut);
        let output = self.new_plain(node, value)?;
        self.program.push(Kind::Reshape, &[cut], output);
        Ok(())
    }

    /// The slice of `x` that begins at these indices, in the graph's order, with the shape of `part`.
    fn part(
        &mut self,
        node: &Node,
        x: ValueId,
        begin: &[usize],
        part: ValueId,
    ) -> Result<(), Unwritable> {
        let (input, output, begin): (TensorId, TensorId, Vec<usize>) =
            if begin.len() == 4 && self.place(x).last.is_some() {
                let begin = TO_LAST.map(|dim| begin[dim]).to_vec();
                (self.last(node, x)?, self.new_last(node, part)?, begin)
            } else {
                (
                    self.plain(node, x)?,
                    self.new_plain(node, part)?,
                    begin.to_vec(),
                )
            };
        self.program.push(Kind::Slice { begin }, &[input], output);
        Ok(())
    }
}
