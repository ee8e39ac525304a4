//! Softmax and its logarithm, of which the cross-entropy is made.

use super::{
    Arriving, Attribute, Attributes, Backward, Elementwise, Fact, Family, Inputs, Named, Parse,
    Parts,
};

/// `exp(x) / Σ exp(x)` along an axis, or its logarithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Softmax {
    /// Along which dimension; negative ones count from the end.
    pub axis: i64,
    /// Whether the logarithm is meant.
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

/// What holds without the attribute; before version 13 it was the second dimension and all after it.
fn default_axis(opset: i64) -> i64 {
    if opset < 13 { 1 } else { -1 }
}

impl Parse for Softmax {
    fn parse(op_type: &str, attributes: &mut Attributes<'_>) -> Option<Self> {
        let log = match op_type {
            "Softmax" => false,
            "LogSoftmax" => true,
            _ => return None,
        };
        let axis = attributes.int("axis");
        let axis = axis.unwrap_or_else(|| default_axis(attributes.opset));
        Some(Self { axis, log })
    }
}

impl Family for Softmax {
    fn op_type(&self) -> &str {
        if self.log { "LogSoftmax" } else { "Softmax" }
    }

    fn attributes(&self) -> Named {
        vec![("axis", Attribute::Int(self.axis))]
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
