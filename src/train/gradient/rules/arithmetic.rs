//! Elementwise arithmetic, with broadcasting.

use crate::onnx::OnnxError;
use crate::onnx::proto::NodeProto;

use super::super::Backward;
use super::{arriving, output};

type Parts = Result<Vec<Option<String>>, OnnxError>;

/// `y = a + b`: `da = db = dy`.
pub fn add(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    (0..2)
        .map(|at| {
            let operand = b.input(node, at)?;
            Ok(b.wants(node, at).then(|| b.unbroadcast(dy, operand)))
        })
        .collect()
}

/// `y = a - b`: `da = dy`, `db = -dy`.
pub fn sub(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let (left, right) = (b.input(node, 0)?, b.input(node, 1)?);
    let first = b.wants(node, 0).then(|| b.unbroadcast(dy, left));
    let second = b.wants(node, 1).then(|| {
        let summed = b.unbroadcast(dy, right);
        b.op("Neg", &[&summed])
    });
    Ok(vec![first, second])
}

/// `y = a · b`: `da = dy · b`, `db = dy · a`.
pub fn mul(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let operands = [b.input(node, 0)?, b.input(node, 1)?];
    (0..2)
        .map(|at| {
            let [this, other] = if at == 0 {
                operands
            } else {
                [operands[1], operands[0]]
            };
            Ok(b.wants(node, at).then(|| {
                let product = b.op("Mul", &[dy, other]);
                b.unbroadcast(&product, this)
            }))
        })
        .collect()
}

/// `y = a / b`: `da = dy / b`, `db = -dy · y / b`.
pub fn div(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let y = output(node)?;
    let (left, right) = (b.input(node, 0)?, b.input(node, 1)?);
    let quotient = b.op("Div", &[dy, right]);
    let first = b.wants(node, 0).then(|| b.unbroadcast(&quotient, left));
    let second = b.wants(node, 1).then(|| {
        let product = b.op("Mul", &[&quotient, y]);
        let negative = b.op("Neg", &[&product]);
        b.unbroadcast(&negative, right)
    });
    Ok(vec![first, second])
}

/// `y = -x`: `dx = -dy`.
pub fn neg(b: &mut Backward<'_>, _: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    Ok(vec![Some(b.op("Neg", &[dy]))])
}

/// `y = exp(x)`: `dx = dy · y`.
pub fn exp(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    Ok(vec![Some(b.op("Mul", &[dy, output(node)?]))])
}

/// `y = ln(x)`: `dx = dy / x`.
pub fn log(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    Ok(vec![Some(b.op("Div", &[dy, x]))])
}

/// `y = √x`: `dx = dy / 2y`.
pub fn sqrt(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let two = b.number(2.0);
    let twice = b.op("Mul", &[&two, output(node)?]);
    Ok(vec![Some(b.op("Div", &[dy, &twice]))])
}
