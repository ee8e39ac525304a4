//! Conversion between floats and 8-bit integers: `real = scale · (integer - zero)`.

use super::{Fact, Family, Inputs, Named, Spelling};
use crate::onnx::ElementType;

/// A conversion. Inputs: the value, the scale, and optionally the zero point (0 without it). Scale and zero point are
/// scalars, or vectors with one element for each index along `axis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantization {
    /// `saturate(round(x / scale) + zero)`, rounding halves to even, in the type of the zero point.
    Quantize {
        /// The dimension that vectors of scales belong to.
        axis: i64,
    },
    /// `(x - zero) · scale`.
    Dequantize {
        /// The dimension that vectors of scales belong to.
        axis: i64,
    },
}

impl Quantization {
    /// To integers, with a scalar scale.
    pub const QUANTIZE: Self = Self::Quantize { axis: 1 };
    /// From integers, with a scalar scale.
    pub const DEQUANTIZE: Self = Self::Dequantize { axis: 1 };

    /// The dimension that vectors of scales belong to.
    #[must_use]
    pub fn axis(self) -> i64 {
        let (Self::Quantize { axis } | Self::Dequantize { axis }) = self;
        axis
    }
}

impl Named for Quantization {
    fn of_name(op_type: &str) -> Option<Self> {
        match op_type {
            "QuantizeLinear" => Some(Self::QUANTIZE),
            "DequantizeLinear" => Some(Self::DEQUANTIZE),
            _ => None,
        }
    }
}

impl Family for Quantization {
    fn op_type(&self) -> &str {
        match self {
            Self::Quantize { .. } => "QuantizeLinear",
            Self::Dequantize { .. } => "DequantizeLinear",
        }
    }

    fn spell(&mut self, spelling: &mut Spelling<'_>) {
        let (Self::Quantize { axis } | Self::Dequantize { axis }) = self;
        spelling.int("axis", axis, 1);
        // Attributes of versions 19 and 21 for 8-bit floats, blocks of scales and types without a zero point.
        spelling.ignore("saturate", 1);
        spelling.ignore("block_size", 0);
        spelling.ignore("output_dtype", 0);
    }

    fn facts(&self, inputs: &Inputs<'_>, _: usize) -> Vec<Fact> {
        let element = match self {
            Self::Quantize { .. } if !inputs.has(2) => Some(ElementType::U8),
            Self::Quantize { .. } => inputs.element(2),
            Self::Dequantize { .. } => inputs.element(1),
        };
        vec![Fact::of(element, inputs.same(0).shape)]
    }

    fn passes_on(&self, input: usize) -> bool {
        input == 0
    }
}
