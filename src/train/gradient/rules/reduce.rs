//! Sums and means.

use crate::onnx::proto::NodeProto;
use crate::onnx::{OnnxError, attribute_int, attribute_ints};

use super::super::Backward;
use super::{arriving, output};

type Parts = Result<Vec<Option<String>>, OnnxError>;

/// `y = Σ x` over some axes: `dx = dy`, spread over them again.
pub fn sum(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    Ok(vec![Some(spread(b, node, dy)?)])
}

/// `y = mean(x)` over some axes: `dx = dy / n`, spread over them again.
pub fn mean(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    let count = if let Some(count) = reduced_count(b, node) {
        b.number(count as f64)
    } else {
        // The number of averaged values is known only when the graph runs.
        let all = b.op("Size", &[x]);
        let left = b.op("Size", &[output(node)?]);
        let count = b.op("Div", &[&all, &left]);
        b.cast(&count)
    };
    let share = b.op("Div", &[dy, &count]);
    Ok(vec![Some(spread(b, node, &share)?)])
}

fn reduced_count(b: &Backward<'_>, node: &NodeProto) -> Option<usize> {
    let shape = b.shape(node.input.first()?)?;
    b.reduced_axes(node)?
        .into_iter()
        .map(|axis| shape.get(axis)?.fixed())
        .product()
}

/// Expands a reduced gradient to the shape of the node's input.
fn spread(b: &mut Backward<'_>, node: &NodeProto, dy: &str) -> Result<String, OnnxError> {
    let x = b.input(node, 0)?;
    let keep = attribute_int(node, "keepdims").unwrap_or(1) != 0;
    // Without axes the sum goes over everything: one value, which spreads by itself.
    let everything = b.optional_input(node, 1).is_none()
        && attribute_ints(node, "axes").is_none_or(<[_]>::is_empty);
    let kept = if keep || everything {
        dy.to_owned()
    } else {
        let axes = b.reduced_axes(node).ok_or_else(|| {
            OnnxError::Model(format!(
                "the axes of a “{}” must be known to train through it",
                node.op_type()
            ))
        })?;
        let axes: Vec<i64> = axes.into_iter().map(|axis| axis as i64).collect();
        if axes.is_empty() {
            dy.to_owned()
        } else {
            let axes = b.ints(&axes);
            b.op("Unsqueeze", &[dy, &axes])
        }
    };
    Ok(b.expand_like(&kept, x))
}

/// The largest or smallest along some axes: `dy` goes to that one, in equal shares where several are equal.
pub fn extreme(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    let axes = b.reduced_axes(node).ok_or_else(|| {
        OnnxError::Model(format!(
            "the axes of a “{}” must be known to train through it",
            node.op_type()
        ))
    })?;
    let axes: Vec<i64> = axes.into_iter().map(|axis| axis as i64).collect();
    let y = spread(b, node, output(node)?)?;
    let dy = spread(b, node, dy)?;
    Ok(vec![Some(shared(b, x, &y, &dy, &axes))])
}

/// `dy` where `x = y`, divided by how often that is along `axes`.
pub(super) fn shared(b: &mut Backward<'_>, x: &str, y: &str, dy: &str, axes: &[i64]) -> String {
    let equal = b.op("Equal", &[x, y]);
    let chosen = b.cast(&equal);
    let count = if axes.is_empty() {
        chosen.clone()
    } else {
        b.reduce_sum(&chosen, axes, true)
    };
    let share = b.op("Div", &[dy, &count]);
    b.op("Mul", &[&share, &chosen])
}
