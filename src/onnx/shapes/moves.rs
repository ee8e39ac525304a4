//! Shapes of what operators make that cut and pad.

use super::{Dim, Graph, NodeProto, Shapes, attribute_int, attribute_ints, wrap, wrap_all};

impl Graph {
    /// The shapes of the parts of a `Split`.
    pub(super) fn split_shapes(&self, node: &NodeProto, shapes: &Shapes) -> Option<Vec<Vec<Dim>>> {
        let whole = shapes.get(node.input.first()?)?;
        let axis = wrap(attribute_int(node, "axis").unwrap_or(0), whole.len())?;
        let given = match node.input.get(1).filter(|name| !name.is_empty()) {
            Some(name) => Some(self.known_ints(name)?),
            None => attribute_ints(node, "split").map(<[i64]>::to_vec),
        };
        let lens: Vec<usize> = if let Some(lens) = given {
            lens.into_iter()
                .map(|len| usize::try_from(len).ok())
                .collect::<Option<_>>()?
        } else {
            // Equal parts, of which the last one may be shorter.
            let total = whole.get(axis)?.fixed()?;
            let part = total.div_ceil(node.output.len().max(1));
            (0..node.output.len())
                .map(|at| part.min(total.saturating_sub(at * part)))
                .collect()
        };
        lens.into_iter()
            .map(|len| {
                let mut shape = whole.clone();
                *shape.get_mut(axis)? = Dim::Fixed(len);
                Some(shape)
            })
            .collect()
    }

    /// For each dimension that a `Slice` cuts: which one, its first index, the number of indices, and the step
    /// between them. `None` unless all of it is known.
    #[must_use]
    pub fn sliced(&self, node: &NodeProto, shape: &[Dim]) -> Option<Vec<(usize, i64, usize, i64)>> {
        let ints = |index: usize| match node.input.get(index).filter(|name| !name.is_empty()) {
            Some(name) => self.known_ints(name).map(Some),
            None => Some(None),
        };
        let (starts, ends) = (ints(1)??, ints(2)??);
        let axes = match ints(3)? {
            Some(axes) => wrap_all(&axes, shape.len())?,
            None => (0..starts.len()).collect(),
        };
        let steps = ints(4)?.unwrap_or_else(|| vec![1; starts.len()]);
        let mut cuts = Vec::with_capacity(axes.len());
        for (at, axis) in axes.into_iter().enumerate() {
            let len = shape.get(axis)?.fixed()? as i64;
            let (start, end, step) = (*starts.get(at)?, *ends.get(at)?, *steps.get(at)?);
            let from_end = |index: i64| {
                if index < 0 {
                    index.saturating_add(len)
                } else {
                    index
                }
            };
            let (start, end) = (from_end(start), from_end(end));
            let (start, count) = if len == 0 {
                (0, 0)
            } else if step > 0 {
                let start = start.clamp(0, len);
                let span = end.clamp(0, len) - start;
                (start, span.max(0) as u64)
            } else {
                let start = start.clamp(0, len - 1);
                let span = start - end.clamp(-1, len - 1);
                (start, span.max(0) as u64)
            };
            let count = count.div_ceil(step.unsigned_abs().max(1));
            cuts.push((axis, start, usize::try_from(count).ok()?, step));
        }
        Some(cuts)
    }

    pub(super) fn slice_shape(&self, node: &NodeProto, whole: &[Dim]) -> Option<Vec<Dim>> {
        let mut shape = whole.to_vec();
        if let Some(cuts) = self.sliced(node, whole) {
            for (axis, _, count, _) in cuts {
                *shape.get_mut(axis)? = Dim::Fixed(count);
            }
            return Some(shape);
        }
        None
    }

    pub(super) fn pad_shape(&self, node: &NodeProto, whole: &[Dim]) -> Option<Vec<Dim>> {
        let pads = match node.input.get(1) {
            Some(name) => self.known_ints(name)?,
            None => attribute_ints(node, "pads")?.to_vec(),
        };
        let axes = match node.input.get(3).filter(|name| !name.is_empty()) {
            Some(name) => wrap_all(&self.known_ints(name)?, whole.len())?,
            None => (0..whole.len()).collect(),
        };
        let mut shape = whole.to_vec();
        for (at, axis) in axes.iter().enumerate() {
            let total = pads.get(at)? + pads.get(at + axes.len())?;
            if total != 0 {
                let dim = shape.get_mut(*axis)?;
                *dim = Dim::Fixed(usize::try_from(dim.fixed()? as i64 + total).ok()?);
            }
        }
        Some(shape)
    }
}
