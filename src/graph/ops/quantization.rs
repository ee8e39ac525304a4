//! Between real numbers and 8-bit integers: `real = scale · (integer - zero)`.

use super::{Fact, Family, Inputs, Named, Spelling};
use crate::onnx::ElementType;

/// A change between real numbers and integers; inputs: the value, the scale, the zero point (0 without). Scale and
/// zero point are one number each, or one for each index along `axis`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantization {
    /// `saturate(round(x / scale) + zero)`, halves to even, in the type of the zero point.
    Quantize {
        /// The dimension that scales belong to, where there are several.
        axis: i64,
    },
    /// `(x - zero) · scale`.
    Dequantize {
        /// The dimension that scales belong to, where there are several.
        axis: i64,
    },
}

impl Quantization {
    /// To integers, with one scale for the tensor.
    pub const QUANTIZE: Self = Self::Quantize { axis: 1 };
    /// From integers, with one scale for the tensor.
    pub const DEQUANTIZE: Self = Self::Dequantize { axis: 1 };

    /// The dimension that scales belong to, where there are several.
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
        // Versions 19 and 21: 8-bit floats, several scales along one axis, types without a zero point.
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
