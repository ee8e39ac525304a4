//! The head in plain Rust: from a bottleneck to probabilities.

use crate::train::{Head, Run};

use super::EvaluateError;

/// A head that computes probabilities: the softmax of its logits.
#[derive(Debug, Clone)]
pub struct Classifier {
    head: Head,
    dim: usize,
}

impl Classifier {
    /// The kept head of a run with its calibration; `dim` is the length of its backbone's bottlenecks.
    pub fn of_run(run: &Run, dim: usize) -> Result<Self, EvaluateError> {
        Self::of_head(run.calibrated_head()?, run, dim)
    }

    /// The kept head without calibration.
    pub(super) fn uncalibrated(run: &Run, dim: usize) -> Result<Self, EvaluateError> {
        Self::of_head(run.head()?, run, dim)
    }

    #[cfg(test)]
    pub(super) fn new(head: Head, dim: usize) -> Self {
        Self { head, dim }
    }

    fn of_head(head: Head, run: &Run, dim: usize) -> Result<Self, EvaluateError> {
        let classes = run.classes.len();
        if !head.fits(dim, classes) {
            return Err(EvaluateError::Weights {
                run: run.id.0.clone(),
            });
        }
        Ok(Self { head, dim })
    }

    /// Logits of a bottleneck of length D, one per class.
    pub(super) fn logits(&self, bottleneck: &[f32]) -> Vec<f64> {
        debug_assert_eq!(bottleneck.len(), self.dim);
        self.head.logits(bottleneck)
    }

    /// Probabilities of a bottleneck of length D, one per class, summing to 1. Sums are taken in 64 bits, so that
    /// the result is the exact one to within the last bits of `f32`.
    #[must_use]
    pub fn probabilities(&self, bottleneck: &[f32]) -> Vec<f32> {
        softmax(&self.logits(bottleneck))
    }
}

/// `exp(z - max) / Σ exp(z - max)`.
pub(super) fn softmax(logits: &[f64]) -> Vec<f32> {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let exponentials: Vec<f64> = logits.iter().map(|z| (z - largest).exp()).collect();
    let sum: f64 = exponentials.iter().sum();
    exponentials.iter().map(|e| (e / sum) as f32).collect()
}

/// The index of the largest value, the first of equal ones; 0 for an empty list. The same as `ArgMax` of ONNX and
/// numpy.
#[must_use]
pub fn arg_max(values: &[f32]) -> usize {
    let mut best = (0, f32::NEG_INFINITY);
    for (index, value) in values.iter().enumerate() {
        if *value > best.1 {
            best = (index, *value);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn softmax_by_hand() {
        let classifier = Classifier {
            head: Head::linear(vec![1.0, 0.0, -1.0, 0.5, 0.5, 0.5], vec![0.0, 1.0, 2.0]),
            dim: 2,
        };
        // Logits 2+1, 1+1, -2+2+1.
        let found = classifier.probabilities(&[2.0, 2.0]);
        let sum = 3f32.exp() + 2f32.exp() + 1f32.exp();
        for (found, logit) in found.iter().zip([3f32, 2.0, 1.0]) {
            assert!((found - logit.exp() / sum).abs() < 1e-6);
        }
    }

    #[test]
    fn large_logits_do_not_overflow() {
        assert_eq!(softmax(&[1e6, 1e6, -1e6]), [0.5, 0.5, 0.0]);
    }

    #[test]
    fn the_first_of_equals_wins() {
        assert_eq!(arg_max(&[0.2, 0.4, 0.4]), 1);
        assert_eq!(arg_max(&[]), 0);
    }
}
