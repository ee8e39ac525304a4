//! The gradients of operators that slice, join and index.

use super::super::{
    Arriving, Backward, Elementwise, GraphError, Linear, Op, Parts, Reshaping, ValueId, wrap,
};
use super::{Moves, PadMode};

/// Zeros in the shape of `x`, to which each value of `dy` is added at its index in `places` (indices into the
/// flattened `x`, as many as `dy` has values).
pub(in super::super) fn scatter(
    b: &mut Backward<'_>,
    x: ValueId,
    places: ValueId,
    dy: ValueId,
) -> ValueId {
    let total = if let Some(lens) = b.lens(x) {
        b.ints(&[lens.iter().product::<usize>() as i64])
    } else {
        let size = b.size_of(x);
        b.reshape(size, &[1])
    };
    let zero = b.number(0.0);
    let zeros = b.op(Reshaping::Expand, &[zero, total]);
    let places = b.reshape(places, &[-1]);
    let values = b.reshape(dy, &[-1]);
    let add = Moves::ScatterElements { axis: 0, add: true };
    let sums = b.op(add, &[zeros, places, values]);
    b.reshape_like(sums, x)
}

/// The gradient of a node that only moves values of its first input. The node is also applied to the indices of the
/// input's elements; the result says where to add each gradient.
fn back_to_places(b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let (dy, x) = (at.dy()?, at.input(0)?);
    let size = b.size_of(x);
    let (first, step) = (b.int(0), b.int(1));
    let places = b.range(first, size, step);
    let places = b.reshape_like(places, x);
    let mut inputs = at.node.inputs.clone();
    if let Some(first) = inputs.first_mut() {
        *first = Some(places);
    }
    if let (Op::Moves(Moves::Pad { .. }), Some(value)) = (&at.node.op, inputs.get_mut(2)) {
        // The fill value does not have the type of indices.
        *value = None;
    }
    let places = b.op(at.node.op.clone(), &inputs);
    Ok(vec![Some(scatter(b, x, places, dy))])
}

/// Indexing along an axis: each gradient is added at its index. For rows of a matrix it is a product with a one-hot
/// matrix, which is faster.
pub(super) fn ungather(axis: i64, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let (dy, data, indices) = (at.dy()?, at.input(0)?, at.input(1)?);
    let rank = |value| b.shape(value).map(<[_]>::len);
    let (0, Some(2), Some(1)) = (axis, rank(data), rank(indices)) else {
        return back_to_places(b, at);
    };
    let shape = b.shape_of(data);
    let first = b.int(0);
    let rows = b.gather(shape, first, 0);
    let step = b.int(1);
    let all = b.range(first, rows, step);
    // Indices may be negative.
    let indices = b.op(Elementwise::Mod, &[indices, rows]);
    let column = b.unsqueeze(indices, &[1]);
    let equal = b.equal(column, all);
    let picked = b.as_float(equal);
    let gradient = b.op(Linear::TRANSPOSE_BY, &[picked, dy]);
    Ok(vec![Some(gradient), None])
}

/// Concatenation: each value gets its part of `dy`.
pub(super) fn apart(axis: i64, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let dy = at.dy()?;
    let axes = b.ints(&[axis]);
    let mut known = Some(0);
    let mut start = b.ints(&[0]);
    let mut parts = Vec::with_capacity(at.node.inputs.len());
    for input in 0..at.node.inputs.len() {
        let part = at.input(input)?;
        let len = b
            .shape(part)
            .and_then(|shape| shape.get(wrap(axis, shape.len())?)?.fixed());
        known = known.zip(len).map(|(start, len)| start + len as i64);
        let end = match (known, len) {
            (Some(end), _) => b.ints(&[end]),
            (None, Some(len)) => {
                let len = b.ints(&[len as i64]);
                b.add(start, len)
            }
            (None, None) => {
                // A length that is known only when the graph runs.
                let shape = b.shape_of(part);
                let len = b.gather(shape, axes, 0);
                b.add(start, len)
            }
        };
        parts.push(
            b.wants(at, input)
                .then(|| b.op(Moves::SLICE, &[dy, start, end, axes])),
        );
        start = end;
    }
    Ok(parts)
}

/// A split: the gradients of the parts are concatenated, with zeros for parts that do not contribute to the loss.
pub(super) fn together(axis: i64, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let mut parts = Vec::with_capacity(at.node.outputs.len());
    for (part, output) in at.upstream.iter().zip(&at.node.outputs) {
        parts.push(match (part, output) {
            (Some(part), _) => *part,
            (None, Some(output)) => b.zeros_like(*output),
            (None, None) => {
                return Err(GraphError::Model(
                    "it cannot be trained through a “Split” with a part left out".into(),
                ));
            }
        });
    }
    Ok(vec![Some(b.concat(&parts, axis))])
}

/// A slice: its gradient is padded with zeros.
pub(super) fn uncut(b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let Some(pads) = pads_around(b, at) else {
        return back_to_places(b, at);
    };
    let dy = at.dy()?;
    Ok(vec![Some(b.pad(dy, &pads))])
}

/// How many elements lie before and after a slice with steps of 1, in each dimension.
fn pads_around(b: &Backward<'_>, at: &Arriving<'_>) -> Option<Vec<i64>> {
    let Op::Moves(Moves::Slice(cut)) = &at.node.op else {
        return None;
    };
    let inputs = b.inputs_of(at.node);
    let shape = inputs.shape(0)?;
    let mut pads = vec![0; 2 * shape.len()];
    for (axis, start, count, step) in cut.cuts(&inputs)? {
        if step != 1 {
            return None;
        }
        *pads.get_mut(axis)? = start;
        *pads.get_mut(axis + shape.len())? =
            shape.get(axis)?.fixed()? as i64 - start - count as i64;
    }
    Some(pads)
}

/// Padding: the gradient is cropped. If the padding repeats or mirrors the value, its gradients are added to the
/// elements that it repeats.
pub(super) fn unpad(mode: PadMode, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    if mode != PadMode::Constant {
        return back_to_places(b, at);
    }
    let dy = at.dy()?;
    let negative = |pads: &[i64]| -> Vec<i64> { pads.iter().map(|pad| -pad).collect() };
    let pads = at.input(1)?;
    let removed = match b.ints_of(pads).map(negative) {
        Some(removed) => b.ints(&removed),
        None => b.neg(pads),
    };
    let cut = match at.node.input(3) {
        Some(axes) => b.op(Moves::PAD, &[Some(dy), Some(removed), None, Some(axes)]),
        None => b.op(Moves::PAD, &[dy, removed]),
    };
    Ok(vec![Some(cut)])
}
