//! Matrix products.

use crate::onnx::proto::NodeProto;
use crate::onnx::{Attribute, OnnxError, attribute_float, attribute_int};

use super::super::Backward;
use super::arriving;

type Parts = Result<Vec<Option<String>>, OnnxError>;

/// ONNX Runtime's product goes over so many columns at a time.
const COLUMNS_AT_ONCE: usize = 128;

/// `op(a) · op(b)` of matrices, each transposed or not, as one `Gemm`.
fn product(b: &mut Backward<'_>, left: (&str, bool), right: (&str, bool), alpha: f32) -> String {
    let turned = if left.1 {
        turned_once(b, left.0, right)
    } else {
        None
    };
    let left = match &turned {
        Some(turned) => (turned.as_str(), false),
        None => left,
    };
    let flag = |on: bool| Attribute::Int(i64::from(on));
    b.op_with(
        "Gemm",
        &[left.0, right.0],
        &[
            ("transA", flag(left.1)),
            ("transB", flag(right.1)),
            ("alpha", Attribute::Float(alpha)),
        ],
    )
}

/// The transpose of a matrix that is to be multiplied by a wide one: the product would turn it over again for each
/// [`COLUMNS_AT_ONCE`].
fn turned_once(b: &mut Backward<'_>, left: &str, right: (&str, bool)) -> Option<String> {
    let columns = *b.lens(right.0, 0).ok()?.get(usize::from(!right.1))?;
    let [height, width] = *b.lens(left, 0).ok()? else {
        return None;
    };
    if columns < 2 * COLUMNS_AT_ONCE {
        return None;
    }
    // In three dimensions: of two, ONNX Runtime would make one operator with the product again.
    let (height, width) = (height as i64, width as i64);
    let flat = b.reshape(left, &[1, height, width]);
    let turned = b.transpose(&flat, &[0, 2, 1]);
    Some(b.reshape(&turned, &[width, height]))
}

/// Swaps the last two dimensions.
fn transposed(b: &mut Backward<'_>, value: &str) -> Result<String, OnnxError> {
    let rank = b.rank(value)? as i64;
    let perm = (0..rank - 2).chain([rank - 1, rank - 2]).collect();
    Ok(b.op_with("Transpose", &[value], &[("perm", Attribute::Ints(perm))]))
}

/// `y = a · b`: `da = dy · bᵀ`, `db = aᵀ · dy`, summed over batch dimensions that were broadcast. Operands of
/// one dimension have no rule.
pub fn matmul(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let (left, right) = (b.input(node, 0)?, b.input(node, 1)?);
    let ranks = (b.rank(left)?, b.rank(right)?);
    if ranks.0 < 2 || ranks.1 < 2 {
        return Err(OnnxError::Model(
            "it cannot be trained through a “MatMul” with a vector".into(),
        ));
    }
    if ranks == (2, 2) {
        let first = b
            .wants(node, 0)
            .then(|| product(b, (dy, false), (right, true), 1.0));
        let second = b
            .wants(node, 1)
            .then(|| product(b, (left, true), (dy, false), 1.0));
        return Ok(vec![first, second]);
    }
    let first = if b.wants(node, 0) {
        let right_t = transposed(b, right)?;
        let full = b.op("MatMul", &[dy, &right_t]);
        Some(b.unbroadcast(&full, left))
    } else {
        None
    };
    let second = if b.wants(node, 1) {
        let left_t = transposed(b, left)?;
        let full = b.op("MatMul", &[&left_t, dy]);
        Some(b.unbroadcast(&full, right))
    } else {
        None
    };
    Ok(vec![first, second])
}

/// `y = alpha · op(a) · op(b) + beta · c`: the four cases of transposition each give one product per operand,
/// and `dc = beta · dy`, summed over what was broadcast.
pub fn gemm(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let (left, right) = (b.input(node, 0)?, b.input(node, 1)?);
    let flag = |name| attribute_int(node, name).unwrap_or(0) != 0;
    let (trans_a, trans_b) = (flag("transA"), flag("transB"));
    let alpha = attribute_float(node, "alpha").unwrap_or(1.0);
    let beta = attribute_float(node, "beta").unwrap_or(1.0);
    let first = b.wants(node, 0).then(|| {
        if trans_a {
            product(b, (right, trans_b), (dy, true), alpha)
        } else {
            product(b, (dy, false), (right, !trans_b), alpha)
        }
    });
    let second = b.wants(node, 1).then(|| {
        if trans_b {
            product(b, (dy, true), (left, trans_a), alpha)
        } else {
            product(b, (left, !trans_a), (dy, false), alpha)
        }
    });
    let third = if b.wants(node, 2) {
        let c = b.input(node, 2)?;
        let summed = b.unbroadcast(dy, c);
        // 1 is written exactly in the file.
        #[allow(clippy::float_cmp, reason = "an exact default, not a computed value")]
        let plain = beta == 1.0;
        Some(if plain {
            summed
        } else {
            let beta = b.number(f64::from(beta));
            b.op("Mul", &[&summed, &beta])
        })
    } else {
        None
    };
    Ok(vec![first, second, third])
}
