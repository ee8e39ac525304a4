//! Quantization: networks that compute in 8-bit integers.
//!
//! The quantized graph is in ONNX's QDQ form: every layer reads from a `DequantizeLinear` and feeds a `QuantizeLinear`, and
//! runtimes make one integer operator of the three. Weights are int8, symmetric, with a scale for each output channel;
//! values between layers are uint8 with a scale and a zero point; biases are int32 at the scale of the products. An
//! activation that cuts values off (`Relu`, `Clip`) is not computed at all: the range of what is kept does the same.
//!
//! [`prepare()`] makes a network simple, in real numbers. Whoever measures the values of the prepared graph
//! ([`Prepared::measured`]) knows their ranges, and [`quantize`] writes the graph.

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
pub use weights::{Integers, by_channel, rounded};
pub use write::quantize;

/// Between which numbers a value lies. What lies outside is cut off.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The smallest.
    pub min: f32,
    /// The largest.
    pub max: f32,
}

impl Range {
    /// The range that holds both.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self {
            min: self.min.min(other.min),
            max: self.max.max(other.max),
        }
    }

    /// Scale and zero point of the range, widened to hold zero, which padding must express exactly.
    #[must_use]
    pub fn affine(self) -> Affine {
        let (min, mut max) = (self.min.min(0.0), self.max.max(0.0));
        if max <= min {
            // What was 0 for all images may be something else for others, and kernels take no scale next to nothing.
            max = 1.0;
        }
        // As small as an f32 may be when it is multiplied with a weight's scale.
        let scale = ((max - min) / 255.0).max(1e-12);
        let zero = (-min / scale).round().clamp(0.0, 255.0) as u8;
        Affine { scale, zero }
    }
}

/// What an 8-bit integer stands for: `scale · (integer - zero)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Affine {
    /// A step.
    pub scale: f32,
    /// The integer that stands for zero.
    pub zero: u8,
}

/// How a prepared network is quantized.
#[derive(Debug, Clone, Default)]
pub struct Quantizing {
    /// The ranges of [`Prepared::measured`].
    pub ranges: HashMap<ValueId, Range>,
    /// Weights that are not to be rounded to the nearest, by the constants of the prepared graph.
    pub weights: HashMap<ValueId, Arc<Integers>>,
    /// Nodes that compute in real numbers, by their first output.
    pub float: HashSet<ValueId>,
    /// Whether nothing before the softmax computes in real numbers and matrices have one scale, as TensorFlow Lite
    /// wants them. Else the last layer gives real numbers.
    pub every_layer: bool,
}
