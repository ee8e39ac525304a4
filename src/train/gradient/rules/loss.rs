//! Softmax and its logarithm, of which the cross-entropy is made.

use crate::onnx::proto::NodeProto;
use crate::onnx::{OnnxError, attribute_int};

use super::super::Backward;
use super::{arriving, output};

type Parts = Result<Vec<Option<String>>, OnnxError>;

/// `y = softmax(x)`: `dx = y · (dy - Σ dy·y)`.
pub fn softmax(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let y = output(node)?;
    let axis = attribute_int(node, "axis").unwrap_or(-1);
    let weighted = b.op("Mul", &[dy, y]);
    let sum = b.reduce_sum(&weighted, &[axis], true);
    let centred = b.op("Sub", &[dy, &sum]);
    Ok(vec![Some(b.op("Mul", &[y, &centred]))])
}

/// `y = ln softmax(x)`: `dx = dy - exp(y) · Σ dy`.
pub fn log_softmax(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let axis = attribute_int(node, "axis").unwrap_or(-1);
    let sum = b.reduce_sum(dy, &[axis], true);
    let probabilities = b.op("Exp", &[output(node)?]);
    let share = b.op("Mul", &[&probabilities, &sum]);
    Ok(vec![Some(b.op("Sub", &[dy, &share]))])
}
