//! Quantization: networks that compute in 8-bit integers.
//!
//! The quantized graph is in ONNX's QDQ form: every layer reads from a `DequantizeLinear` and feeds a
//! `QuantizeLinear`, and runtimes fuse the three into one integer operator. Weights are int8, symmetric, with a scale
//! for each output channel; values between layers are uint8 with a scale and a zero point; biases are int32 with the
//! scale of the products. An activation that clips (`Relu`, `Clip`) needs no operator: quantizing to its range has the
//! same effect.
//!
//! [`prepare()`] simplifies a network in fp32. The caller measures the ranges of the prepared graph's values
//! ([`Prepared::measured`]), and [`quantize`] writes the quantized graph.

mod prepare;
mod units;
mod weights;
mod write;

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::graph::value::ValueId;

pub use prepare::{Pixels, Prepared, prepare};
pub use units::{Layer, cuts_off, least_kept};
pub use weights::{Integers, by_channel, nearest, rounded};
pub use write::quantize;

/// The range of a value. Values outside are clipped.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The smallest value.
    pub min: f32,
    /// The largest value.
    pub max: f32,
}

impl Range {
    /// The smallest range that contains both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    /// Scale and zero point of the range, which is extended to include zero: padding needs an exact zero.
    #[must_use]
    pub fn affine(self) -> Affine {
        let (min, mut max) = (self.min.min(0.0), self.max.max(0.0));
        if max <= min {
            // A value that was 0 for all measured images may differ for others, and kernels do not accept a scale of
            // almost zero.
            max = 1.0;
        }
        // The smallest scale whose product with a weight's scale is still a normal f32.
        let scale = ((max - min) / 255.0).max(1e-12);
        let zero = (-min / scale).round().clamp(0.0, 255.0) as u8;
        Affine { scale, zero }
    }
}

/// The meaning of an 8-bit integer: `scale · (integer - zero)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// The width of a step.
    pub scale: f32,
    /// The integer for zero.
    pub zero: u8,
}

/// How a prepared network is quantized.
#[derive(Debug, Clone, Default)]
pub struct Quantizing {
    /// The ranges of [`Prepared::measured`].
    pub ranges: HashMap<ValueId, Range>,
    /// Weights that are not rounded to the nearest integers, by the constants of the prepared graph.
    pub weights: HashMap<ValueId, Arc<Integers>>,
    /// Nodes that compute in floats, by their first output.
    pub float: HashSet<ValueId>,
    /// Whether everything before the softmax computes in integers and matrices have one scale, as TensorFlow Lite
    /// requires. Otherwise the last layer has float outputs.
    pub every_layer: bool,
}
