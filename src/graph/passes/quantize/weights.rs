//! Weights as integers.

use crate::onnx::Tensor;

/// A weight as integers from -127 to 127, each meaning `scale · integer`, with one scale for each channel or for all.
#[derive(Debug, Clone, PartialEq)]
pub struct Integers {
    /// One for each element of the weight, in its order.
    pub values: Vec<i8>,
    /// One for each channel, or a single one.
    pub scales: Vec<f32>,
}

/// The largest bias in steps of its scale: with larger ones the sum of products and bias could overflow 32 bits.
const LARGEST_BIAS: f32 = (1 << 30) as f32;

/// Calls `f` with the channel and the index of each element of a weight; `axis` is the dimension of its channels.
pub fn by_channel(shape: &[usize], axis: usize, mut f: impl FnMut(usize, usize)) {
    let channels = shape.get(axis).copied().unwrap_or(1).max(1);
    let inner: usize = shape.get(axis + 1..).unwrap_or_default().iter().product();
    let count: usize = shape.iter().product();
    let inner = inner.max(1);
    for (line, start) in (0..count).step_by(inner).enumerate() {
        for index in start..start + inner {
            f(line % channels, index);
        }
    }
}

/// Rounds a weight to the nearest integers. The largest of each channel, or of all if `per_tensor` is set, becomes
/// 127.
///
/// # Errors
/// If it is not of 32-bit floats.
pub fn rounded(
    weight: &Tensor,
    axis: usize,
    per_tensor: bool,
) -> Result<Integers, crate::onnx::OnnxError> {
    let values = weight.f32()?;
    let channels = if per_tensor {
        1
    } else {
        weight.shape.get(axis).copied().unwrap_or(1)
    };
    let mut largest = vec![0.0_f32; channels];
    by_channel(&weight.shape, axis, |channel, index| {
        let channel = if per_tensor { 0 } else { channel };
        if let (Some(largest), Some(value)) = (largest.get_mut(channel), values.get(index)) {
            *largest = largest.max(value.abs());
        }
    });
    let scales: Vec<f32> = largest.iter().map(|largest| largest / 127.0).collect();
    let mut integers = Integers {
        values: vec![0; values.len()],
        scales,
    };
    integers.fill(weight, axis)?;
    Ok(integers)
}

/// The nearest integer, and of two the even one, as [`f32::round_ties_even`], which calls the C library for each value
/// unless it is compiled for recent processors only.
#[must_use]
pub fn nearest(value: f32) -> f32 {
    /// Adding 1.5 · 2²³ leaves no bits for a fraction.
    const NO_FRACTION: f32 = 12_582_912.0;
    if value.abs() < 4_194_304.0 {
        (value + NO_FRACTION) - NO_FRACTION
    } else {
        value.round_ties_even()
    }
}

impl Integers {
    /// Rounds a weight to the nearest multiples of the scales.
    pub(super) fn fill(
        &mut self,
        weight: &Tensor,
        axis: usize,
    ) -> Result<(), crate::onnx::OnnxError> {
        let values = weight.f32()?;
        let Self {
            values: integers,
            scales,
        } = self;
        by_channel(&weight.shape, axis, |channel, index| {
            let channel = if scales.len() == 1 { 0 } else { channel };
            if let (Some(scale), Some(value), Some(place)) = (
                scales.get(channel),
                values.get(index),
                integers.get_mut(index),
            ) {
                // A channel of zeros has the scale 0 until it is raised.
                let steps = if *scale > 0.0 { value / scale } else { 0.0 };
                *place = nearest(steps).clamp(-127.0, 127.0) as i8;
            }
        });
        Ok(())
    }

    /// The weight that the integers stand for.
    #[must_use]
    pub fn reals(&self, shape: &[usize], axis: usize) -> Vec<f32> {
        let mut values = vec![0.0; self.values.len()];
        by_channel(shape, axis, |channel, index| {
            let channel = if self.scales.len() == 1 { 0 } else { channel };
            if let (Some(scale), Some(integer), Some(place)) = (
                self.scales.get(channel),
                self.values.get(index),
                values.get_mut(index),
            ) {
                *place = scale * f32::from(*integer);
            }
        });
        values
    }

    /// Raises scales for which a bias would overflow 32 bits, and rounds those channels again.
    pub(super) fn floored(
        mut self,
        weight: &Tensor,
        axis: usize,
        bias: &[f32],
        of_input: f32,
    ) -> Result<Self, crate::onnx::OnnxError> {
        let one = self.scales.len() == 1;
        let mut raised = vec![false; self.scales.len()];
        for (channel, bias) in bias.iter().enumerate() {
            let least = (bias.abs() / of_input / LARGEST_BIAS).max(1e-12);
            let at = if one { 0 } else { channel };
            if let (Some(scale), Some(raised)) = (self.scales.get_mut(at), raised.get_mut(at))
                && *scale < least
            {
                *scale = least;
                *raised = true;
            }
        }
        if raised.contains(&true) {
            // Other channels keep their integers, which may differ from the nearest ones.
            let mut nearest = self.clone();
            nearest.fill(weight, axis)?;
            by_channel(&weight.shape, axis, |channel, index| {
                let at = if one { 0 } else { channel };
                if raised.get(at) == Some(&true)
                    && let (Some(place), Some(value)) =
                        (self.values.get_mut(index), nearest.values.get(index))
                {
                    *place = *value;
                }
            });
        }
        Ok(self)
    }
}
