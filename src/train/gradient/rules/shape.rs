//! Operators that only move values.

use crate::onnx::proto::NodeProto;
use crate::onnx::{Attribute, Element, OnnxError, attribute_ints};

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

/// The same values repeated: their gradients are summed.
pub fn expand(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    Ok(vec![Some(b.unbroadcast(dy, x))])
}

/// Nothing happens outside training; inside it the mask must be a value of the graph
/// ([`explicit_masks`](super::super::explicit_masks)), or forward and backward pass would drop different values.
pub fn dropout(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    if let Some(training) = b.optional_input(node, 2) {
        let off = b
            .graph()
            .known_value(training)
            .is_some_and(|value| value.data == Element::Bool(vec![false]));
        if !off {
            return Err(OnnxError::Model(
                "it cannot be trained through a “Dropout” that draws its own mask".into(),
            ));
        }
    }
    Ok(vec![Some(dy.to_owned())])
}
