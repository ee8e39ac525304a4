//! Activation functions.
//!
//! Gradients multiply by masks of zeros and ones, because ONNX Runtime takes several times as long for `Where`.

use super::elementwise::bell;
use super::{
    Arriving, Backward, Elementwise, Fact, Family, Inputs, Named, Parts, Spelling, ValueId,
};

/// An activation function.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// `max(x, 0)`.
    Relu,
    /// `x` where `x ≥ 0`, `alpha · x` elsewhere.
    LeakyRelu {
        /// The slope below zero.
        alpha: f32,
    },
    /// `x` where `x ≥ 0`, `slope · x` elsewhere; `slope` is the second input.
    PRelu,
    /// `min(max(x, min), max)`. The bounds are the second and third input; in older versions of the operators they are
    /// these attributes.
    Clip {
        /// The lower bound.
        min: Option<f32>,
        /// The upper bound.
        max: Option<f32>,
    },
    /// `min(max(alpha · x + beta, 0), 1)`.
    HardSigmoid {
        /// The slope.
        alpha: f32,
        /// The value at zero.
        beta: f32,
    },
    /// `x · min(max(x / 6 + 1/2, 0), 1)`.
    HardSwish,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// The hyperbolic tangent.
    Tanh,
    /// `x · Φ(x)`, where `Φ` is the standard normal distribution function.
    Gelu {
        /// Uses the approximation `Φ(x) ≈ (1 + tanh(u)) / 2`, `u = √(2/π) · (x + 0.044715 · x³)` (Hendrycks and Gimpel
        /// 2016).
        tanh: bool,
    },
}

impl Activation {
    /// A `Clip` with its bounds as inputs.
    pub const CLIP: Self = Self::Clip {
        min: None,
        max: None,
    };
}

impl Named for Activation {
    fn of_name(op_type: &str) -> Option<Self> {
        Some(match op_type {
            "Relu" => Self::Relu,
            "LeakyRelu" => Self::LeakyRelu { alpha: 0.0 },
            "PRelu" => Self::PRelu,
            "Clip" => Self::CLIP,
            "HardSigmoid" => Self::HardSigmoid {
                alpha: 0.0,
                beta: 0.0,
            },
            "HardSwish" => Self::HardSwish,
            "Sigmoid" => Self::Sigmoid,
            "Tanh" => Self::Tanh,
            "Gelu" => Self::Gelu { tanh: false },
            _ => return None,
        })
    }
}

impl Family for Activation {
    fn op_type(&self) -> &str {
        match self {
            Self::Relu => "Relu",
            Self::LeakyRelu { .. } => "LeakyRelu",
            Self::PRelu => "PRelu",
            Self::Clip { .. } => "Clip",
            Self::HardSigmoid { .. } => "HardSigmoid",
            Self::HardSwish => "HardSwish",
            Self::Sigmoid => "Sigmoid",
            Self::Tanh => "Tanh",
            Self::Gelu { .. } => "Gelu",
        }
    }

    fn spell(&mut self, spelling: &mut Spelling<'_>) {
        match self {
            Self::LeakyRelu { alpha } => spelling.float("alpha", alpha, 0.01),
            Self::Clip { min, max } => {
                spelling.given_float("min", min);
                spelling.given_float("max", max);
            }
            Self::HardSigmoid { alpha, beta } => {
                spelling.float("alpha", alpha, 0.2);
                spelling.float("beta", beta, 0.5);
            }
            Self::Gelu { tanh } => {
                spelling.choice("approximate", tanh, &[(false, "none"), (true, "tanh")]);
            }
            _ => {}
        }
    }

    fn facts(&self, inputs: &Inputs<'_>, _: usize) -> Vec<Fact> {
        vec![inputs.same(0)]
    }

    fn has_gradient(&self) -> bool {
        true
    }

    fn passes_on(&self, input: usize) -> bool {
        input == 0 || *self == Self::PRelu
    }

    fn per_element(&self) -> bool {
        !matches!(self, Self::PRelu | Self::Gelu { .. })
    }

    fn gradient(&self, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
        let (dy, x, y) = (at.dy()?, at.input(0)?, at.output()?);
        let dx = match self {
            // `dy` where `y > 0`.
            Self::Relu => {
                let zero = b.number(0.0);
                let mask = b.greater(y, zero);
                masked(b, mask, dy)
            }
            // `dy` where `min ≤ x ≤ max`, tested as `x = y`, which is half the work of two comparisons. (At the bounds
            // themselves the derivative does not exist; either value is correct.) The bounds get no gradient.
            Self::Clip { .. } => {
                let mask = b.equal(x, y);
                masked(b, mask, dy)
            }
            Self::LeakyRelu { alpha } => {
                let alpha = b.number(f64::from(*alpha));
                two_slopes(b, x, alpha, dy)
            }
            Self::PRelu => return prelu(b, at),
            // `alpha · dy` where `0 < y < 1`.
            Self::HardSigmoid { alpha, .. } => {
                let (zero, one) = (b.number(0.0), b.number(1.0));
                let above = b.greater(y, zero);
                let below = b.op(Elementwise::Less, &[y, one]);
                let mask = b.op(Elementwise::And, &[above, below]);
                let alpha = b.number(f64::from(*alpha));
                let slope = b.mul(dy, alpha);
                masked(b, mask, slope)
            }
            Self::HardSwish => hard_swish(b, x, dy),
            // `dy · y · (1 - y)`.
            Self::Sigmoid => {
                let one = b.number(1.0);
                let rest = b.sub(one, y);
                let slope = b.mul(y, rest);
                b.mul(dy, slope)
            }
            // `dy · (1 - y²)`.
            Self::Tanh => {
                let one = b.number(1.0);
                let square = b.mul(y, y);
                let slope = b.sub(one, square);
                b.mul(dy, slope)
            }
            Self::Gelu { tanh } => gelu(b, x, dy, *tanh),
        };
        Ok(vec![Some(dx)])
    }
}

/// `dy` where `mask` is true, 0 elsewhere.
fn masked(b: &mut Backward<'_>, mask: ValueId, dy: ValueId) -> ValueId {
    let mask = b.as_float(mask);
    b.mul(dy, mask)
}

/// `dy` where `x ≥ 0`, `dy · slope` elsewhere.
fn two_slopes(b: &mut Backward<'_>, x: ValueId, slope: ValueId, dy: ValueId) -> ValueId {
    let zero = b.number(0.0);
    let negative = b.op(Elementwise::Less, &[x, zero]);
    let negative = b.as_float(negative);
    let others = b.op(Elementwise::GreaterOrEqual, &[x, zero]);
    let others = b.as_float(others);
    let slope = b.mul(negative, slope);
    let slope = b.add(slope, others);
    b.mul(dy, slope)
}

/// `dslope = Σ dy · min(x, 0)`.
fn prelu(b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let dy = at.dy()?;
    let (x, slope) = (at.input(0)?, at.input(1)?);
    let first = b.wants(at, 0).then(|| two_slopes(b, x, slope, dy));
    let second = b.wants(at, 1).then(|| {
        let zero = b.number(0.0);
        let negative = b.op(Elementwise::Min, &[x, zero]);
        let product = b.mul(dy, negative);
        b.unbroadcast(product, slope)
    });
    Ok(vec![first, second])
}

/// The derivative is 0 below -3, 1 above 3 and `x / 3 + 1/2` between.
fn hard_swish(b: &mut Backward<'_>, x: ValueId, dy: ValueId) -> ValueId {
    let [third, half, low, high] = [1.0 / 3.0, 0.5, -3.0, 3.0].map(|value| b.number(value));
    let scaled = b.mul(x, third);
    let middle = b.add(scaled, half);
    let not_below = b.greater(x, low);
    let not_below = b.as_float(not_below);
    let above = b.greater(x, high);
    let above = b.as_float(above);
    let between = b.sub(not_below, above);
    let slope = b.mul(middle, between);
    let slope = b.add(slope, above);
    b.mul(dy, slope)
}

/// The derivative is `Φ(x) + x · φ(x)`, where `φ` is the normal density.
fn gelu(b: &mut Backward<'_>, x: ValueId, dy: ValueId, tanh: bool) -> ValueId {
    use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_PI, FRAC_2_SQRT_PI};
    const CUBE: f64 = 0.044_715;
    let (half, one) = (b.number(0.5), b.number(1.0));
    // `slope = Φ + x · dΦ/dx`; `bent` is the erf or tanh in `Φ`.
    let (bent, density) = if tanh {
        let square = b.mul(x, x);
        let cube = b.number(CUBE);
        let scaled = b.mul(square, cube);
        let scaled = b.add(scaled, one);
        let scale = b.number(FRAC_2_PI.sqrt());
        let inner = b.mul(scaled, x);
        let inner = b.mul(inner, scale);
        let bent = b.op(Activation::Tanh, &[inner]);
        let squared = b.mul(bent, bent);
        let bend = b.sub(one, squared);
        let thrice = b.number(3.0 * CUBE * 0.5 * FRAC_2_PI.sqrt());
        let scale = b.number(0.5 * FRAC_2_PI.sqrt());
        let rise = b.mul(square, thrice);
        let rise = b.add(rise, scale);
        (bent, b.mul(bend, rise))
    } else {
        let scale = b.number(FRAC_1_SQRT_2);
        let scaled = b.mul(x, scale);
        let bent = b.op(Elementwise::Erf, &[scaled]);
        let bell = bell(b, x, 0.5);
        let factor = b.number(0.5 * FRAC_2_SQRT_PI * FRAC_1_SQRT_2);
        (bent, b.mul(bell, factor))
    };
    let share = b.add(bent, one);
    let share = b.mul(share, half);
    let rise = b.mul(x, density);
    let slope = b.add(share, rise);
    b.mul(dy, slope)
}
