//! Rounds a layer's weights jointly, for the inputs that they meet, instead of each to the nearest integer.

use crate::graph::passes::quantize::{Integers, nearest};

/// Added to the diagonal of the covariance, as a part of the mean variance: keeps a weight near its value where its
/// input never varies.
const DAMPING: f32 = 0.01;

/// The rounding errors of weights `[M, K]` with one scale for each of the `M` channels.
pub(super) fn differences(weights: &[f32], integers: &Integers) -> Vec<f32> {
    let Integers { values, scales } = integers;
    let each = weights.len() / scales.len().max(1);
    let channels = weights.chunks_exact(each.max(1));
    let channels = channels.zip(values.chunks_exact(each.max(1))).zip(scales);
    let differences = channels.flat_map(|((weights, values), scale)| {
        let pairs = weights.iter().zip(values);
        pairs.map(move |(weight, value)| weight - f32::from(*value) * *scale)
    });
    differences.collect()
}

/// Changes the rounded weights `[M, K]` so that the layer's output has the least variance of error: it minimises
/// `dᵀ·V·d` for each channel, where `d` are the rounding errors of its weights and `V` `[K, K]` is the covariance of
/// its inputs. Each integer in turn is set to the best value given the others (coordinate descent: Behdin et al. 2023,
/// arXiv:2309.01885). A constant error is left to the bias correction. `slopes` is the product of [`differences`] and
/// `V`.
pub(super) fn descend(
    weights: &[f32],
    integers: &mut Integers,
    covariance: &[f32],
    mut slopes: Vec<f32>,
) {
    let count = (covariance.len() as f64).sqrt() as usize;
    let diagonal: Vec<f32> = covariance.iter().step_by(count + 1).copied().collect();
    let mean = diagonal.iter().sum::<f32>() / count.max(1) as f32;
    let damping = (mean * DAMPING).max(f32::MIN_POSITIVE);
    let Integers { values, scales } = integers;
    let rows = weights
        .chunks_exact(count.max(1))
        .zip(values.chunks_exact_mut(count.max(1)))
        .zip(slopes.chunks_exact_mut(count.max(1)));
    for (((row, integers), gradient), scale) in rows.zip(scales) {
        if *scale <= 0.0 {
            continue;
        }
        // V·d, updated as d changes.
        for ((weight, integer), gradient) in row.iter().zip(&*integers).zip(&mut *gradient) {
            *gradient += damping * (weight - f32::from(*integer) * *scale);
        }
        for ((integer, line), at) in integers
            .iter_mut()
            .zip(covariance.chunks_exact(count))
            .zip(0..)
        {
            let (Some(slope), Some(variance)) = (gradient.get(at), diagonal.get(at)) else {
                continue;
            };
            let steps = nearest(slope / ((variance + damping) * *scale));
            let moved = (f32::from(*integer) + steps).clamp(-127.0, 127.0);
            let change = moved - f32::from(*integer);
            if change == 0.0 {
                continue;
            }
            *integer = moved as i8;
            add(gradient, line, -change * *scale);
            if let Some(gradient) = gradient.get_mut(at) {
                *gradient -= damping * change * *scale;
            }
        }
    }
}

/// `a += factor · b`.
fn add(a: &mut [f32], b: &[f32], factor: f32) {
    for (a, b) in a.iter_mut().zip(b) {
        *a += factor * b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn descend(weights: &[f32], integers: &mut Integers, covariance: &[f32; 4]) {
        let slopes = differences(weights, integers);
        let slopes = slopes
            .chunks(2)
            .flat_map(|d| [0, 1].map(|at| d[0] * covariance[at] + d[1] * covariance[2 + at]));
        super::descend(weights, integers, covariance, slopes.collect());
    }

    #[test]
    fn errors_that_inputs_share_cancel() {
        // Two inputs that vary together: two weights of 0.4 steps both round to 0, but one of them must become 1.
        let covariance = [1.0, 0.99, 0.99, 1.0];
        let mut integers = Integers {
            values: vec![0, 0],
            scales: vec![1.0],
        };
        descend(&[0.4, 0.4], &mut integers, &covariance);
        assert_eq!(integers.values, [1, 0]);
        // Uncorrelated inputs: rounding to the nearest is best.
        let mut apart = Integers {
            values: vec![0, 0],
            scales: vec![1.0],
        };
        descend(&[0.4, 0.4], &mut apart, &[1.0, 0.0, 0.0, 1.0]);
        assert_eq!(apart.values, [0, 0]);
        // Channels are independent.
        let mut channels = Integers {
            values: vec![0; 4],
            scales: vec![1.0, 0.5],
        };
        descend(&[0.4, 0.4, 0.2, 0.2], &mut channels, &covariance);
        assert_eq!(channels.values, [1, 0, 1, 0]);
        // Integers stay within the range of int8.
        let mut edge = Integers {
            values: vec![127, 0],
            scales: vec![1.0],
        };
        descend(&[127.4, 0.4], &mut edge, &covariance);
        assert_eq!(edge.values, [127, 1]);
    }
}
