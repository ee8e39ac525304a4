//! Scales for integer operators: common to all inputs, or wide enough for every result.

use super::integers::{Making, spelled};
use super::{
    Activation, Binary, Kind, Operator, Quantization, Reduction, TensorId, Unary, Unwritable,
};

/// The smallest and the largest int8.
pub(super) const LEAST: f32 = -128.0;
pub(super) const GREATEST: f32 = 127.0;

impl Making {
    /// The common quantization of all inputs, if there is one and the constants and padding are in its range.
    pub fn shared(&self, operator: &Operator, inputs: &[TensorId]) -> Option<Quantization> {
        let mut all = inputs
            .iter()
            .filter_map(|input| self.quantization(*input))
            .filter(|known| known.scales.len() == 1);
        let first = all.next()?;
        let (least, greatest) = range(first.scale()?, first.zero);
        let fits = |value: &f32| (least..=greatest).contains(value);
        let constants = inputs
            .iter()
            .filter_map(|input| self.program.floats(*input));
        let margin = match operator.kind {
            // Padding lower than any value becomes the smallest integer.
            Kind::Pad { value, .. } => value.filter(|value| *value > f32::MIN),
            _ => None,
        };
        let is_shared = all.all(|other| other == first)
            && constants.flatten().all(fits)
            && margin.iter().all(fits);
        is_shared.then(|| (*first).clone())
    }

    /// A quantization whose range includes every result that an operator can have.
    pub fn implied(
        &self,
        operator: &Operator,
        inputs: &[TensorId],
    ) -> Result<Quantization, Unwritable> {
        let name = spelled(&operator.kind);
        let mut ranges = Vec::with_capacity(inputs.len());
        for input in inputs {
            ranges.push(if let Some(values) = self.program.floats(*input) {
                let values = values.iter().copied();
                let least = values.clone().fold(f32::INFINITY, f32::min);
                (least, values.fold(f32::NEG_INFINITY, f32::max))
            } else {
                let (scale, zero) = self.scale(*input, name)?;
                range(scale, zero)
            });
        }
        let pair = match *ranges.as_slice() {
            [a, b] => Some((a, b)),
            _ => None,
        };
        let found = match (&operator.kind, pair) {
            (Kind::Binary { binary, activation }, Some((a, b))) => {
                let found = match binary {
                    Binary::Add => (a.0 + b.0, a.1 + b.1),
                    Binary::Sub => (a.0 - b.1, a.1 - b.0),
                    Binary::Maximum => (a.0.max(b.0), a.1.max(b.1)),
                    Binary::Minimum => (a.0.min(b.0), a.1.min(b.1)),
                    Binary::Mul | Binary::Div => {
                        let all = [a.0 * b.0, a.0 * b.1, a.1 * b.0, a.1 * b.1];
                        (
                            all.into_iter().fold(f32::INFINITY, f32::min),
                            all.into_iter().fold(f32::NEG_INFINITY, f32::max),
                        )
                    }
                };
                let (least, greatest) = bounds(*activation);
                (
                    found.0.clamp(least, greatest),
                    found.1.clamp(least, greatest),
                )
            }
            (Kind::Concat { .. }, _) => ranges.iter().copied().fold((0.0, 0.0), |all, one| {
                (f32::min(all.0, one.0), f32::max(all.1, one.1))
            }),
            (Kind::Unary(Unary::Clamp(activation)), _) if ranges.len() == 1 => {
                let (least, greatest) = bounds(*activation);
                let (from, to) = ranges[0];
                (from.clamp(least, greatest), to.clamp(least, greatest))
            }
            (
                Kind::Unary(Unary::LeakyRelu { .. } | Unary::HardSwish)
                | Kind::Reduce {
                    reduction: Reduction::Mean,
                    ..
                },
                _,
            ) if ranges.len() == 1 => {
                let (from, to) = ranges[0];
                (from.min(-0.375), to)
            }
            _ => {
                return self.refuse(
                    operator.output,
                    name,
                    "has a result whose range was not measured",
                );
            }
        };
        Ok(over(found.0, found.1))
    }
}

/// The range of values that an int8 can have with this scale and zero point.
fn range(scale: f32, zero: i32) -> (f32, f32) {
    let zero = zero as f32;
    (scale * (LEAST - zero), scale * (GREATEST - zero))
}

/// The range of an activation's results.
fn bounds(activation: Activation) -> (f32, f32) {
    match activation {
        Activation::None => (f32::NEG_INFINITY, f32::INFINITY),
        Activation::Relu => (0.0, f32::INFINITY),
        Activation::ReluN1To1 => (-1.0, 1.0),
        Activation::Relu6 => (0.0, 6.0),
    }
}

/// A quantization whose range is from `least` to `greatest`, extended to 0.
fn over(least: f32, greatest: f32) -> Quantization {
    let (least, greatest) = (least.min(0.0), greatest.max(0.0));
    let scale = ((greatest - least) / (GREATEST - LEAST)).max(f32::MIN_POSITIVE);
    let zero = (LEAST - least / scale).round().clamp(LEAST, GREATEST);
    Quantization::of_tensor(scale, zero as i32)
}

/// A quantization of constants with the zero point 0; the largest absolute value is exact.
pub(super) fn symmetric(values: &[f32]) -> Quantization {
    let largest = values.iter().map(|value| value.abs()).fold(0.0, f32::max);
    let scale = if largest > 0.0 {
        largest / GREATEST
    } else {
        1.0
    };
    Quantization::of_tensor(scale, 0)
}
