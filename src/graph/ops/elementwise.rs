//! Arithmetic, comparison and logic on elements, with broadcasting; casts.

use crate::onnx::ElementType;

use super::{
    Arriving, Backward, Dim, Fact, Family, Inputs, Named, Parts, Spelling, ValueId, WeightKind,
    broadcast, no_rule,
};

/// An operator on elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are the operators' own")]
pub enum Elementwise {
    Neg,
    Abs,
    Sign,
    Exp,
    Log,
    Sqrt,
    Reciprocal,
    Erf,
    Floor,
    Ceil,
    Round,
    Not,
    IsNaN,
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    /// The remainder, with the sign of the divisor.
    Mod,
    Sum,
    Mean,
    Max,
    Min,
    Equal,
    Less,
    Greater,
    LessOrEqual,
    GreaterOrEqual,
    And,
    Or,
    Xor,
    Where,
    /// To another type.
    Cast(ElementType),
    /// To the type of the second input.
    CastLike,
}

/// The names of the operators without attributes.
const NAMES: [(Elementwise, &str); 33] = {
    use Elementwise as E;
    [
        (E::Neg, "Neg"),
        (E::Abs, "Abs"),
        (E::Sign, "Sign"),
        (E::Exp, "Exp"),
        (E::Log, "Log"),
        (E::Sqrt, "Sqrt"),
        (E::Reciprocal, "Reciprocal"),
        (E::Erf, "Erf"),
        (E::Floor, "Floor"),
        (E::Ceil, "Ceil"),
        (E::Round, "Round"),
        (E::Not, "Not"),
        (E::IsNaN, "IsNaN"),
        (E::Add, "Add"),
        (E::Sub, "Sub"),
        (E::Mul, "Mul"),
        (E::Div, "Div"),
        (E::Pow, "Pow"),
        (E::Mod, "Mod"),
        (E::Sum, "Sum"),
        (E::Mean, "Mean"),
        (E::Max, "Max"),
        (E::Min, "Min"),
        (E::Equal, "Equal"),
        (E::Less, "Less"),
        (E::Greater, "Greater"),
        (E::LessOrEqual, "LessOrEqual"),
        (E::GreaterOrEqual, "GreaterOrEqual"),
        (E::And, "And"),
        (E::Or, "Or"),
        (E::Xor, "Xor"),
        (E::Where, "Where"),
        (E::CastLike, "CastLike"),
    ]
};

impl Named for Elementwise {
    fn of_name(op_type: &str) -> Option<Self> {
        let named = NAMES.iter().find(|(_, name)| *name == op_type);
        let cast = (op_type == "Cast").then_some(Self::Cast(ElementType::F32));
        named.map(|(op, _)| *op).or(cast)
    }
}

impl Elementwise {
    /// Whether the results are Booleans.
    fn is_truth(self) -> bool {
        use Elementwise as E;
        matches!(
            self,
            E::Not
                | E::IsNaN
                | E::Equal
                | E::Less
                | E::Greater
                | E::LessOrEqual
                | E::GreaterOrEqual
                | E::And
                | E::Or
                | E::Xor
        )
    }
}

impl Family for Elementwise {
    fn op_type(&self) -> &str {
        let named = NAMES.iter().find(|(op, _)| op == self);
        named.map_or("Cast", |(_, name)| name)
    }

    fn spell(&mut self, spelling: &mut Spelling<'_>) {
        match self {
            Self::Cast(to) => {
                spelling.element("to", to);
                spelling.ignore("saturate", 1);
            }
            Self::Mod => spelling.ignore("fmod", 0),
            _ => {}
        }
    }

    fn facts(&self, inputs: &Inputs<'_>, _: usize) -> Vec<Fact> {
        let element = match self {
            Self::Cast(to) => Some(*to),
            Self::CastLike | Self::Where => inputs.element(1),
            _ if self.is_truth() => Some(ElementType::Bool),
            _ => inputs.element(0),
        };
        let all = |count| -> Option<Vec<Dim>> {
            (1..count).try_fold(inputs.shape(0)?.to_vec(), |shape, at| {
                broadcast(&shape, inputs.shape(at)?)
            })
        };
        let shape = match self {
            Self::Cast(_) | Self::CastLike => all(1),
            _ => all(inputs.count()),
        };
        vec![Fact::of(element, shape)]
    }

    fn has_gradient(&self) -> bool {
        !matches!(
            self,
            Self::Sign | Self::Floor | Self::Ceil | Self::Round | Self::Mod | Self::Mean
        )
    }

    fn passes_on(&self, input: usize) -> bool {
        match self {
            Self::Where => input > 0,
            Self::CastLike => input == 0,
            _ => !self.is_truth(),
        }
    }

    fn weights(&self, inputs: &Inputs<'_>) -> Vec<(usize, WeightKind)> {
        // The addition of a bias vector to the product of a fully connected layer on several tokens.
        let is_bias = |at: &usize| {
            let rank = |at: usize| inputs.shape(at).map(<[Dim]>::len);
            inputs.is_constant(*at) && rank(*at) == Some(1) && rank(1 - at) > Some(1)
        };
        let biases = (0..2).filter(is_bias);
        match self {
            Self::Add => biases.map(|at| (at, WeightKind::Bias)).collect(),
            _ => Vec::new(),
        }
    }

    fn per_element(&self) -> bool {
        matches!(
            self,
            Self::Neg
                | Self::Abs
                | Self::Exp
                | Self::Log
                | Self::Sqrt
                | Self::Erf
                | Self::Add
                | Self::Sub
                | Self::Mul
                | Self::Div
        )
    }

    fn finite_at_zero(&self) -> bool {
        !matches!(self, Self::Log | Self::Sqrt | Self::Div)
    }

    fn gradient(&self, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
        // Booleans have no gradient.
        if self.is_truth() {
            return Ok(Vec::new());
        }
        let dy = at.dy()?;
        let (x, y) = (at.input(0)?, at.output()?);
        let dx = match self {
            // `y = a + b + …`: `da = db = … = dy`.
            Self::Add | Self::Sum => {
                return at.each_input(|input, operand| {
                    b.wants(at, input).then(|| b.unbroadcast(dy, operand))
                });
            }
            Self::Sub => return sub(b, at),
            Self::Mul => return mul(b, at),
            Self::Div => return div(b, at),
            Self::Pow => return pow(b, at),
            Self::Max | Self::Min => return extreme(b, at),
            Self::Where => return choose(b, at),
            Self::Cast(_) | Self::CastLike => return Ok(vec![uncast(*self, b, at)?]),
            // `dx = -dy`.
            Self::Neg => b.neg(dy),
            // `dx = dy · y`.
            Self::Exp => b.mul(dy, y),
            // `dx = dy / x`.
            Self::Log => b.div(dy, x),
            // `dx = dy / 2y`.
            Self::Sqrt => {
                let two = b.number(2.0);
                let twice = b.mul(two, y);
                b.div(dy, twice)
            }
            // `dx = dy · sign(x)`.
            Self::Abs => {
                let sign = b.op(Self::Sign, &[x]);
                b.mul(dy, sign)
            }
            // `y = 1 / x`: `dx = -dy · y²`.
            Self::Reciprocal => {
                let square = b.mul(y, y);
                let product = b.mul(dy, square);
                b.neg(product)
            }
            // `dx = dy · 2/√π · exp(-x²)`.
            Self::Erf => {
                let bell = bell(b, x, 1.0);
                let factor = b.number(std::f64::consts::FRAC_2_SQRT_PI);
                let slope = b.mul(bell, factor);
                b.mul(dy, slope)
            }
            _ => return Err(no_rule(self.op_type())),
        };
        Ok(vec![Some(dx)])
    }
}

/// `y = a - b`: `da = dy`, `db = -dy`.
fn sub(b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let dy = at.dy()?;
    let (left, right) = (at.input(0)?, at.input(1)?);
    let first = b.wants(at, 0).then(|| b.unbroadcast(dy, left));
    let second = b.wants(at, 1).then(|| {
        let summed = b.unbroadcast(dy, right);
        b.neg(summed)
    });
    Ok(vec![first, second])
}

/// `y = a · b`: `da = dy · b`, `db = dy · a`.
fn mul(b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let dy = at.dy()?;
    let (left, right) = (at.input(0)?, at.input(1)?);
    let parts = [(0, left, right), (1, right, left)].map(|(input, this, other)| {
        b.wants(at, input).then(|| {
            let product = b.mul(dy, other);
            b.unbroadcast(product, this)
        })
    });
    Ok(parts.to_vec())
}

/// `y = a / b`: `da = dy / b`, `db = -dy · y / b`.
fn div(b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let (dy, y) = (at.dy()?, at.output()?);
    let (left, right) = (at.input(0)?, at.input(1)?);
    let quotient = b.div(dy, right);
    let first = b.wants(at, 0).then(|| b.unbroadcast(quotient, left));
    let second = b.wants(at, 1).then(|| {
        let product = b.mul(quotient, y);
        let negative = b.neg(product);
        b.unbroadcast(negative, right)
    });
    Ok(vec![first, second])
}

/// `y = xᵖ`: `dx = dy · p · xᵖ⁻¹`, `dp = dy · y · ln x`.
fn pow(b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let (dy, y) = (at.dy()?, at.output()?);
    let (x, power) = (at.input(0)?, at.input(1)?);
    let first = b.wants(at, 0).then(|| {
        // The power may be an integer, while the base is a float.
        let power = b.as_float(power);
        let one = b.number(1.0);
        let less = b.sub(power, one);
        let slope = b.op(Elementwise::Pow, &[x, less]);
        let slope = b.mul(slope, power);
        let product = b.mul(dy, slope);
        b.unbroadcast(product, x)
    });
    let second = b.wants(at, 1).then(|| {
        let logarithm = b.op(Elementwise::Log, &[x]);
        let slope = b.mul(y, logarithm);
        let product = b.mul(dy, slope);
        b.unbroadcast(product, power)
    });
    Ok(vec![first, second])
}

/// The largest or smallest of several values: it gets `dy`, in equal parts if several are equal.
fn extreme(b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let (dy, y) = (at.dy()?, at.output()?);
    let mut chosen = Vec::with_capacity(at.node.inputs.len());
    for input in 0..at.node.inputs.len() {
        let equal = b.equal(at.input(input)?, y);
        chosen.push(b.as_float(equal));
    }
    let count = b.op(Elementwise::Sum, &chosen);
    let share = b.div(dy, count);
    at.each_input(|input, operand| {
        let chosen = *chosen.get(input)?;
        b.wants(at, input).then(|| {
            let part = b.mul(share, chosen);
            b.unbroadcast(part, operand)
        })
    })
}

/// `y = a` where a condition holds, `b` elsewhere.
fn choose(b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
    let dy = at.dy()?;
    let (condition, left, right) = (at.input(0)?, at.input(1)?, at.input(2)?);
    let zero = b.number(0.0);
    let first = b.wants(at, 1).then(|| {
        let part = b.op(Elementwise::Where, &[condition, dy, zero]);
        b.unbroadcast(part, left)
    });
    let second = b.wants(at, 2).then(|| {
        let part = b.op(Elementwise::Where, &[condition, zero, dy]);
        b.unbroadcast(part, right)
    });
    Ok(vec![None, first, second])
}

/// `exp(-x² · scale)`.
pub(super) fn bell(b: &mut Backward<'_>, x: ValueId, scale: f64) -> ValueId {
    let square = b.mul(x, x);
    let minus = b.number(-scale);
    let exponent = b.mul(square, minus);
    b.op(Elementwise::Exp, &[exponent])
}

/// A cast: the gradient is cast back. Integers have none.
fn uncast(
    op: Elementwise,
    b: &mut Backward<'_>,
    at: &Arriving<'_>,
) -> Result<Option<ValueId>, super::GraphError> {
    let (dy, x) = (at.dy()?, at.input(0)?);
    let to = match op {
        Elementwise::Cast(to) => Some(to),
        // `CastLike`: the type of its second input.
        _ => b.element(at.input(1)?),
    };
    Ok(match b.element(x) {
        _ if !to.is_none_or(is_float) => None,
        Some(element) if !is_float(element) => None,
        Some(element) => Some(b.cast(dy, element)),
        None => Some(b.op(Elementwise::CastLike, &[dy, x])),
    })
}

fn is_float(element: ElementType) -> bool {
    matches!(
        element,
        ElementType::F16 | ElementType::F32 | ElementType::F64
    )
}
