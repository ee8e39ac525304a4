//! Softmax and its logarithm, the parts of a cross-entropy.

use super::{Arriving, Backward, Elementwise, Fact, Family, Inputs, Named, Parts, Spelling};

/// `exp(x) / Σ exp(x)` along an axis, or its logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Softmax {
    /// The dimension; negative numbers count from the end.
    pub axis: i64,
    /// Whether it is the logarithm.
    pub log: bool,
}

impl Softmax {
    /// Along the last dimension.
    pub const LAST: Self = Self {
        axis: -1,
        log: false,
    };
    /// Its logarithm along the last dimension.
    pub const LOG: Self = Self {
        axis: -1,
        log: true,
    };
}

impl Named for Softmax {
    fn of_name(op_type: &str) -> Option<Self> {
        match op_type {
            "Softmax" => Some(Self::LAST),
            "LogSoftmax" => Some(Self::LOG),
            _ => None,
        }
    }
}

impl Family for Softmax {
    fn op_type(&self) -> &str {
        if self.log { "LogSoftmax" } else { "Softmax" }
    }

    fn spell(&mut self, spelling: &mut Spelling<'_>) {
        // Before version 13 the default was the second dimension combined with all after it.
        let default = if spelling.opset < 13 { 1 } else { -1 };
        spelling.always("axis", &mut self.axis, default);
    }

    fn facts(&self, inputs: &Inputs<'_>, _: usize) -> Vec<Fact> {
        vec![inputs.same(0)]
    }

    fn has_gradient(&self) -> bool {
        true
    }

    fn gradient(&self, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
        let (dy, y) = (at.dy()?, at.output()?);
        let axes = [self.axis];
        let dx = if self.log {
            // `dx = dy - exp(y) · Σ dy`.
            let sum = b.reduce_sum(dy, &axes, true);
            let probabilities = b.op(Elementwise::Exp, &[y]);
            let share = b.mul(probabilities, sum);
            b.sub(dy, share)
        } else {
            // `dx = y · (dy - Σ dy·y)`.
            let weighted = b.mul(dy, y);
            let sum = b.reduce_sum(weighted, &axes, true);
            let centred = b.sub(dy, sum);
            b.mul(y, centred)
        };
        Ok(vec![Some(dx)])
    }
}
