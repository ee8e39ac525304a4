//! Elementwise arithmetic, with broadcasting.

use crate::onnx::proto::NodeProto;
use crate::onnx::{Attribute, ElementType, OnnxError, attribute_int, cast_target};

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

/// `y = |x|`: `dx = dy · sign(x)`.
pub fn abs(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let sign = b.op("Sign", &[b.input(node, 0)?]);
    Ok(vec![Some(b.op("Mul", &[dy, &sign]))])
}

/// `y = 1 / x`: `dx = -dy · y²`.
pub fn reciprocal(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let y = output(node)?;
    let square = b.op("Mul", &[y, y]);
    let product = b.op("Mul", &[dy, &square]);
    Ok(vec![Some(b.op("Neg", &[&product]))])
}

/// `y = xᵖ`: `dx = dy · p · xᵖ⁻¹`, `dp = dy · y · ln x`.
pub fn pow(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let (x, power) = (b.input(node, 0)?, b.input(node, 1)?);
    let first = b.wants(node, 0).then(|| {
        // The power may be a whole number of another type.
        let power = b.cast(power);
        let one = b.number(1.0);
        let less = b.op("Sub", &[&power, &one]);
        let slope = b.op("Pow", &[x, &less]);
        let slope = b.op("Mul", &[&slope, &power]);
        let product = b.op("Mul", &[dy, &slope]);
        b.unbroadcast(&product, x)
    });
    let second = if b.wants(node, 1) {
        let logarithm = b.op("Log", &[x]);
        let slope = b.op("Mul", &[output(node)?, &logarithm]);
        let product = b.op("Mul", &[dy, &slope]);
        Some(b.unbroadcast(&product, power))
    } else {
        None
    };
    Ok(vec![first, second])
}

/// `y = a + b + …`: `da = db = … = dy`.
pub fn sum(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    (0..node.input.len())
        .map(|at| {
            let operand = b.input(node, at)?;
            Ok(b.wants(node, at).then(|| b.unbroadcast(dy, operand)))
        })
        .collect()
}

/// The largest or smallest of several values: `dy` goes to that one, in equal shares where several are equal.
pub fn extreme(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let y = output(node)?;
    let operands: Vec<&str> = (0..node.input.len())
        .map(|at| b.input(node, at))
        .collect::<Result<_, _>>()?;
    let chosen: Vec<String> = operands
        .iter()
        .map(|operand| {
            let equal = b.op("Equal", &[*operand, y]);
            b.cast(&equal)
        })
        .collect();
    let counted: Vec<&str> = chosen.iter().map(String::as_str).collect();
    let count = b.op("Sum", &counted);
    let share = b.op("Div", &[dy, &count]);
    Ok(operands
        .iter()
        .zip(&chosen)
        .enumerate()
        .map(|(at, (operand, chosen))| {
            b.wants(node, at).then(|| {
                let part = b.op("Mul", &[&share, chosen]);
                b.unbroadcast(&part, operand)
            })
        })
        .collect())
}

/// `y = a` where a condition holds, `b` elsewhere.
pub fn choose(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let condition = b.input(node, 0)?;
    let (left, right) = (b.input(node, 1)?, b.input(node, 2)?);
    let zero = b.number(0.0);
    let first = b.wants(node, 1).then(|| {
        let part = b.op("Where", &[condition, dy, &zero]);
        b.unbroadcast(&part, left)
    });
    let second = b.wants(node, 2).then(|| {
        let part = b.op("Where", &[condition, &zero, dy]);
        b.unbroadcast(&part, right)
    });
    Ok(vec![None, first, second])
}

/// Truth values, indices and shapes do not change with what they are made of, wherever they change at all.
#[allow(clippy::unnecessary_wraps, reason = "all rules have one type")]
pub fn constant(_: &mut Backward<'_>, _: &NodeProto, _: &[Option<String>]) -> Parts {
    Ok(Vec::new())
}

/// `y = erf(x)`: `dx = dy · 2/√π · exp(-x²)`.
pub fn erf(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    let bell = bell(b, x, 1.0);
    let factor = b.number(std::f64::consts::FRAC_2_SQRT_PI);
    let slope = b.op("Mul", &[&bell, &factor]);
    Ok(vec![Some(b.op("Mul", &[dy, &slope]))])
}

/// `exp(-x² · scale)`.
pub(super) fn bell(b: &mut Backward<'_>, x: &str, scale: f64) -> String {
    let square = b.op("Mul", &[x, x]);
    let minus = b.number(-scale);
    let exponent = b.op("Mul", &[&square, &minus]);
    b.op("Exp", &[&exponent])
}

/// A value in another type: the gradient goes back to the old one. What is made to whole numbers has none.
pub fn cast(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    if !makes_floats(b, node) {
        return Ok(Vec::new());
    }
    Ok(vec![match b.graph().element_type(x) {
        Some(element) if !is_float(element) => None,
        Some(element) => {
            let to = Attribute::Int(cast_target(element));
            Some(b.op_with("Cast", &[dy], &[("to", to)]))
        }
        None => Some(b.op("CastLike", &[dy, x])),
    }])
}

fn is_float(element: ElementType) -> bool {
    matches!(
        element,
        ElementType::F16 | ElementType::F32 | ElementType::F64
    )
}

fn makes_floats(b: &Backward<'_>, node: &NodeProto) -> bool {
    match attribute_int(node, "to") {
        Some(to) => [ElementType::F16, ElementType::F32, ElementType::F64]
            .into_iter()
            .any(|element| cast_target(element) == to),
        // `CastLike`: in the type of its second input.
        None => node
            .input
            .get(1)
            .and_then(|like| b.graph().element_type(like))
            .is_none_or(is_float),
    }
}
