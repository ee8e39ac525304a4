//! Operators that cut, join and pick.

use crate::onnx::proto::NodeProto;
use crate::onnx::{Attribute, OnnxError, attribute_int, attribute_text, wrap};

use super::super::Backward;
use super::arriving;

type Parts = Result<Vec<Option<String>>, OnnxError>;

/// Adds each value of `dy` to the place in the shape of `x` that `places` (indices into the flat `x`, as many
/// as `dy` has values) says.
pub(super) fn scatter(b: &mut Backward<'_>, x: &str, places: &str, dy: &str) -> String {
    let total = if let Ok(lens) = b.lens(x, 0) {
        b.ints(&[lens.iter().product::<usize>() as i64])
    } else {
        let size = b.op("Size", &[x]);
        b.reshape(&size, &[1])
    };
    let zero = b.number(0.0);
    let zeros = b.op("Expand", &[&zero, &total]);
    let places = b.reshape(places, &[-1]);
    let values = b.reshape(dy, &[-1]);
    let sums = b.op_with(
        "ScatterElements",
        &[&zeros, &places, &values],
        &[("reduction", Attribute::Text("add".into()))],
    );
    b.reshape_like(&sums, x)
}

/// The gradient of an operator that only moves values of `x`: it is done (`moved`) to their places, too, which
/// says where each gradient belongs.
fn back_to(
    b: &mut Backward<'_>,
    x: &str,
    dy: &str,
    moved: &dyn Fn(&mut Backward<'_>, &str) -> String,
) -> String {
    let size = b.op("Size", &[x]);
    let (first, step) = (b.scalar_int(0), b.scalar_int(1));
    let places = b.op("Range", &[&first, &size, &step]);
    let places = b.reshape_like(&places, x);
    let places = moved(b, &places);
    scatter(b, x, &places, dy)
}

/// Values picked along an axis: each gradient is added to where its value came from. For rows of a matrix as a
/// product with a one-hot matrix, which is faster.
pub fn gather(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let (data, indices) = (b.input(node, 0)?, b.input(node, 1)?);
    let known = (
        attribute_int(node, "axis").unwrap_or(0),
        b.shape(data).map(<[_]>::len),
        b.shape(indices).map(<[_]>::len),
    );
    let (0, Some(2), Some(1)) = known else {
        let moved = |b: &mut Backward<'_>, places: &str| b.repeated(node, places);
        return Ok(vec![Some(back_to(b, data, dy, &moved))]);
    };
    let shape = b.op("Shape", &[data]);
    let first = b.scalar_int(0);
    let rows = b.op("Gather", &[&shape, &first]);
    let step = b.scalar_int(1);
    let all = b.op("Range", &[&first, &rows, &step]);
    // Indices may count from the end.
    let indices = b.op("Mod", &[indices, &rows]);
    let axes = b.ints(&[1]);
    let column = b.op("Unsqueeze", &[&indices, &axes]);
    let equal = b.op("Equal", &[&column, &all]);
    let picked = b.cast(&equal);
    let gradient = b.op_with("Gemm", &[&picked, dy], &[("transA", Attribute::Int(1))]);
    Ok(vec![Some(gradient), None])
}

/// Values in a row: each gets its part of `dy`.
pub fn concat(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let axis = attribute_int(node, "axis").unwrap_or(0);
    let axes = b.ints(&[axis]);
    let mut known = Some(0);
    let mut start = b.ints(&[0]);
    let mut parts = Vec::with_capacity(node.input.len());
    for at in 0..node.input.len() {
        let part = b.input(node, at)?;
        let len = b
            .shape(part)
            .and_then(|shape| shape.get(wrap(axis, shape.len())?)?.fixed());
        known = known.zip(len).map(|(start, len)| start + len as i64);
        let end = match (known, len) {
            (Some(end), _) => b.ints(&[end]),
            (None, Some(len)) => {
                let len = b.ints(&[len as i64]);
                b.op("Add", &[&start, &len])
            }
            (None, None) => {
                // The length is known only when the graph runs.
                let shape = b.op("Shape", &[part]);
                let len = b.op("Gather", &[&shape, &axes]);
                b.op("Add", &[&start, &len])
            }
        };
        parts.push(
            b.wants(node, at)
                .then(|| b.op("Slice", &[dy, &start, &end, &axes])),
        );
        start = end;
    }
    Ok(parts)
}

/// Parts of a value: their gradients in a row. A part that the loss does not depend on has zeros.
pub fn split(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let axis = attribute_int(node, "axis").unwrap_or(0);
    let mut parts = Vec::with_capacity(node.output.len());
    for (part, output) in upstream.iter().zip(&node.output) {
        parts.push(match part {
            Some(part) => part.clone(),
            None if output.is_empty() => {
                return Err(OnnxError::Model(
                    "it cannot be trained through a “Split” with a part left out".into(),
                ));
            }
            None => b.zeros_like(output),
        });
    }
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    let joined = b.op_with("Concat", &parts, &[("axis", Attribute::Int(axis))]);
    Ok(vec![Some(joined)])
}

/// A part of a value: zeros around its gradient.
pub fn slice(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    if let Some(pads) = pads_around(b, node, x) {
        let pads = b.ints(&pads);
        return Ok(vec![Some(b.op("Pad", &[dy, &pads]))]);
    }
    let moved = |b: &mut Backward<'_>, places: &str| b.repeated(node, places);
    Ok(vec![Some(back_to(b, x, dy, &moved))])
}

/// How many values lie before and after a part that was cut out with steps of 1.
fn pads_around(b: &Backward<'_>, node: &NodeProto, x: &str) -> Option<Vec<i64>> {
    let shape = b.shape(x)?;
    let mut pads = vec![0; 2 * shape.len()];
    for (axis, start, count, step) in b.graph().sliced(node, shape)? {
        if step != 1 {
            return None;
        }
        *pads.get_mut(axis)? = start;
        *pads.get_mut(axis + shape.len())? =
            shape.get(axis)?.fixed()? as i64 - start - count as i64;
    }
    Some(pads)
}

/// A value with a margin: the gradient without it. Where the margin repeats or mirrors the value, its gradients
/// are added to what it was made of.
pub fn pad(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    if attribute_text(node, "mode").unwrap_or("constant") != "constant" {
        let mut node = node.clone();
        // What would fill the margin has another type than places.
        if let Some(value) = node.input.get_mut(2) {
            value.clear();
        }
        let moved = |b: &mut Backward<'_>, places: &str| b.repeated(&node, places);
        return Ok(vec![Some(back_to(b, x, dy, &moved))]);
    }
    let pads = b.input(node, 1)?;
    let removed = match b.known_ints(pads) {
        Some(pads) => {
            let removed: Vec<i64> = pads.iter().map(|pad| -pad).collect();
            b.ints(&removed)
        }
        None => b.op("Neg", &[pads]),
    };
    let cut = match b.optional_input(node, 3) {
        Some(axes) => b.op("Pad", &[dy, &removed, "", axes]),
        None => b.op("Pad", &[dy, &removed]),
    };
    Ok(vec![Some(cut)])
}
