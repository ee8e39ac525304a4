//! Activation functions.
//!
//! Masks are numbers that are multiplied: `Where` takes ONNX Runtime several times as long.

use crate::onnx::proto::NodeProto;
use crate::onnx::{OnnxError, attribute_float, attribute_text};

use super::super::Backward;
use super::arithmetic::bell;
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

/// `y = min(max(x, low), high)`: `dx = dy` where `low ≤ x ≤ high`, found as `x = y`, which is half the work of two
/// comparisons. (At the bounds themselves there is no derivative, and either side will do.) The bounds get no gradient. Both forms of the operator: bounds as inputs (version 11) and as
/// attributes (version 6).
pub fn clip(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    let mask = b.op("Equal", &[x, output(node)?]);
    Ok(vec![Some(masked(b, &mask, dy))])
}

/// `dy` where `x ≥ 0`, `dy · slope` elsewhere.
fn two_slopes(b: &mut Backward<'_>, x: &str, slope: &str, dy: &str) -> String {
    let zero = b.number(0.0);
    let negative = b.op("Less", &[x, &zero]);
    let negative = b.cast(&negative);
    let others = b.op("GreaterOrEqual", &[x, &zero]);
    let others = b.cast(&others);
    let slope = b.op("Mul", &[&negative, slope]);
    let slope = b.op("Add", &[&slope, &others]);
    b.op("Mul", &[dy, &slope])
}

/// `y = x` where `x ≥ 0`, `alpha · x` elsewhere.
pub fn leaky_relu(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    let alpha = b.number(f64::from(attribute_float(node, "alpha").unwrap_or(0.01)));
    Ok(vec![Some(two_slopes(b, x, &alpha, dy))])
}

/// `y = x` where `x ≥ 0`, `slope · x` elsewhere: `dslope = Σ dy · min(x, 0)`.
pub fn prelu(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let (x, slope) = (b.input(node, 0)?, b.input(node, 1)?);
    let first = b.wants(node, 0).then(|| two_slopes(b, x, slope, dy));
    let second = b.wants(node, 1).then(|| {
        let zero = b.number(0.0);
        let negative = b.op("Min", &[x, &zero]);
        let product = b.op("Mul", &[dy, &negative]);
        b.unbroadcast(&product, slope)
    });
    Ok(vec![first, second])
}

/// `y = min(max(alpha · x + beta, 0), 1)`: `dx = alpha · dy` where `0 < y < 1`.
pub fn hard_sigmoid(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let y = output(node)?;
    let (zero, one) = (b.number(0.0), b.number(1.0));
    let above = b.op("Greater", &[y, &zero]);
    let below = b.op("Less", &[y, &one]);
    let mask = b.op("And", &[&above, &below]);
    let alpha = b.number(f64::from(attribute_float(node, "alpha").unwrap_or(0.2)));
    let slope = b.op("Mul", &[dy, &alpha]);
    Ok(vec![Some(masked(b, &mask, &slope))])
}

/// `y = x · min(max(x / 6 + 1/2, 0), 1)`: the slope is 0 below -3, 1 above 3 and `x / 3 + 1/2` between.
pub fn hard_swish(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    let [third, half, low, high] = [1.0 / 3.0, 0.5, -3.0, 3.0].map(|value| b.number(value));
    let scaled = b.op("Mul", &[x, &third]);
    let middle = b.op("Add", &[&scaled, &half]);
    let not_below = b.op("Greater", &[x, &low]);
    let not_below = b.cast(&not_below);
    let above = b.op("Greater", &[x, &high]);
    let above = b.cast(&above);
    let between = b.op("Sub", &[&not_below, &above]);
    let slope = b.op("Mul", &[&middle, &between]);
    let slope = b.op("Add", &[&slope, &above]);
    Ok(vec![Some(b.op("Mul", &[dy, &slope]))])
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

/// `y = x · Φ(x)` with the normal distribution `Φ`: the slope is `Φ(x) + x · φ(x)`. Also the form that says
/// `Φ(x) ≈ (1 + tanh(u)) / 2`, `u = √(2/π) · (x + 0.044715 · x³)` (Hendrycks and Gimpel 2016).
pub fn gelu(b: &mut Backward<'_>, node: &NodeProto, upstream: &[Option<String>]) -> Parts {
    use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI, FRAC_2_SQRT_PI};
    const CUBE: f64 = 0.044_715;
    let dy = arriving(upstream)?;
    let x = b.input(node, 0)?;
    let (half, one) = (b.number(0.5), b.number(1.0));
    let approximate = attribute_text(node, "approximate") == Some("tanh");
    // `slope = Φ + x · dΦ/dx`; `bent` is erf or tanh, of which Φ is made.
    let (bent, density) = if approximate {
        let square = b.op("Mul", &[x, x]);
        let cube = b.number(CUBE);
        let scaled = b.op("Mul", &[&square, &cube]);
        let scaled = b.op("Add", &[&scaled, &one]);
        let scale = b.number(FRAC_2_PI.sqrt());
        let inner = b.op("Mul", &[&scaled, x]);
        let inner = b.op("Mul", &[&inner, &scale]);
        let bent = b.op("Tanh", &[&inner]);
        let squared = b.op("Mul", &[&bent, &bent]);
        let bend = b.op("Sub", &[&one, &squared]);
        let (thrice, scale) = (
            b.number(3.0 * CUBE * 0.5 * FRAC_2_PI.sqrt()),
            b.number(0.5 * FRAC_2_PI.sqrt()),
        );
        let rise = b.op("Mul", &[&square, &thrice]);
        let rise = b.op("Add", &[&rise, &scale]);
        (bent, b.op("Mul", &[&bend, &rise]))
    } else {
        let scale = b.number(FRAC_1_SQRT_2);
        let scaled = b.op("Mul", &[x, &scale]);
        let bent = b.op("Erf", &[&scaled]);
        let bell = bell(b, x, 0.5);
        let factor = b.number(0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2);
        (bent, b.op("Mul", &[&bell, &factor]))
    };
    let share = b.op("Add", &[&bent, &one]);
    let share = b.op("Mul", &[&share, &half]);
    let rise = b.op("Mul", &[x, &density]);
    let slope = b.op("Add", &[&share, &rise]);
    Ok(vec![Some(b.op("Mul", &[dy, &slope]))])
}
