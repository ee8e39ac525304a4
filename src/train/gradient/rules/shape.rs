//! Operators that only move values.

use crate::onnx::proto::NodeProto;
use crate::onnx::{Attribute, OnnxError, attribute_int, attribute_ints};

use super::super::Backward;
use super::arriving;

type Parts = Result<Vec<Option<String>>, OnnxError>;

/// `y = x`.
pub fn identity(_: &mut Backward<'_>, _: &NodeProto, upstream: &[Option<String>]) -> Parts {
    Ok(vec![Some(arriving(upstream)?.to_owned())])
}

/// The same values in another shape: the gradient goes back to the old one.
pub fn reshape(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    Ok(vec![Some(b.reshape_like(dy, x))])
}

/// Dimensions in another order: the gradient goes through the inverse order.
pub fn transpose(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let attributes = match attribute_ints(node, "perm") {
        Some(perm) => {
            let mut inverse = vec![0; perm.len()];
            for (to, from) in perm.iter().enumerate() {
                let slot = usize::try_from(*from)
                    .ok()
                    .and_then(|from| inverse.get_mut(from))
                    .ok_or_else(|| OnnxError::Model("a “Transpose” has no valid order".into()))?;
                *slot = to as i64;
            }
            vec![("perm", Attribute::Ints(inverse))]
        }
        // Without an order the dimensions are reversed, which is its own inverse.
        None => Vec::new(),
    };
    Ok(vec![Some(b.op_with("Transpose", &[dy], &attributes))])
}

/// Rows picked along the first axis: each gradient row is added to the row it came from. As a product with a
/// one-hot matrix, because adding scattered rows is not offered for all types by all runtimes.
pub fn gather(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let (data, indices) = (b.input(node, 0)?, b.input(node, 1)?);
    let known = (
        attribute_int(node, "axis").unwrap_or(0),
        b.shape(data).map(<[_]>::len),
        b.shape(indices).map(<[_]>::len),
    );
    let (0, Some(2), Some(1)) = known else {
        return Err(OnnxError::Model(
            "it can be trained only through a “Gather” of rows of a matrix".into(),
        ));
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
