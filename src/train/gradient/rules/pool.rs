//! Pools.

use crate::onnx::OnnxError;
use crate::onnx::proto::NodeProto;

use super::super::Backward;
use super::{arriving, output};

type Parts = Result<Vec<Option<String>>, OnnxError>;

/// `y = mean(x)` over all pixels: `dx = dy / n`, spread over them again.
pub fn global_average(
    b: &mut Backward<'_>,
    node: &NodeProto,
    upstream: &[Option<String>],
) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    let count = if let Ok(lens) = b.lens(x, 2) {
        b.number(lens.iter().product::<usize>() as f64)
    } else {
        // The number of pixels is known only when the graph runs.
        let all = b.op("Size", &[x]);
        let left = b.op("Size", &[output(node)?]);
        let count = b.op("Div", &[&all, &left]);
        b.cast(&count)
    };
    let share = b.op("Div", &[dy, &count]);
    Ok(vec![Some(b.expand_like(&share, x))])
}
