//! Activation functions.

use crate::onnx::proto::NodeProto;
use crate::onnx::{OnnxError, attribute_float};

use super::super::Backward;
use super::{arriving, output};

type Parts = Result<Vec<Option<String>>, OnnxError>;

/// `dy` where `mask` is true, 0 elsewhere.
fn masked(b: &mut Backward<'_>, mask: &str, dy: &str) -> String {
    let mask = b.cast(mask);
    b.op("Mul", &[dy, &mask])
}

/// `y = max(x, 0)`: `dx = dy` where `y > 0`.
pub fn relu(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let zero = b.number(0.0);
    let mask = b.op("Greater", &[output(node)?, &zero]);
    Ok(vec![Some(masked(b, &mask, dy))])
}

/// `y = min(max(x, low), high)`: `dx = dy` where `low < x < high`. The bounds get no gradient. Both forms of the
/// operator: bounds as inputs (version 11) and as attributes (version 6).
pub fn clip(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    let mut bound = |index, attribute| match b.optional_input(node, index) {
        Some(name) => Some(name.to_owned()),
        None => attribute_float(node, attribute).map(|value| b.number(f64::from(value))),
    };
    let low = bound(1, "min");
    let high = bound(2, "max");
    let above = low.map(|low| b.op("Greater", &[x, &low]));
    let below = high.map(|high| b.op("Less", &[x, &high]));
    let mask = match (above, below) {
        (Some(above), Some(below)) => b.op("And", &[&above, &below]),
        (Some(mask), None) | (None, Some(mask)) => mask,
        (None, None) => return Ok(vec![Some(dy.to_owned())]),
    };
    Ok(vec![Some(masked(b, &mask, dy))])
}

/// `y = 1 / (1 + exp(-x))`: `dx = dy · y · (1 - y)`.
pub fn sigmoid(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let y = output(node)?;
    let one = b.number(1.0);
    let rest = b.op("Sub", &[&one, y]);
    let slope = b.op("Mul", &[y, &rest]);
    Ok(vec![Some(b.op("Mul", &[dy, &slope]))])
}

/// `y = tanh(x)`: `dx = dy · (1 - y²)`.
pub fn tanh(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let y = output(node)?;
    let one = b.number(1.0);
    let square = b.op("Mul", &[y, y]);
    let slope = b.op("Sub", &[&one, &square]);
    Ok(vec![Some(b.op("Mul", &[dy, &slope]))])
}
