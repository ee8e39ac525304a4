//! Mixup (Zhang et al. 2018): each image of a training batch is mixed with another, and so are their targets.
//!
//! Image `i` becomes `λ · xᵢ + (1 − λ) · xⱼ` with `j = i + 1` (the last is mixed with the first), and its target the
//! same mixture of the two classes, each with its own share `λ` drawn from Beta(α, α). The mixed values are the inputs
//! of the trained part of the network: bottlenecks or activations (pixels if everything is trained). Batches are drawn
//! at random, so the next image is as random as any other.

use crate::graph::{CrossEntropy, Graph, ValueId};
use crate::onnx::{ElementType, Tensor};

use super::batches::Draw;
use super::problem::Inputs;

/// The input of a step with the share that each image keeps, `f32[B]`, 0..=1.
pub(super) const SHARES: &str = "mixup_shares";

impl Draw {
    /// The shares of a batch of this many images; empty if `alpha` is 0.
    pub(super) fn shares(&mut self, alpha: f32, images: usize) -> Vec<f32> {
        if alpha <= 0.0 {
            return Vec::new();
        }
        (0..images)
            .map(|_| self.beta(f64::from(alpha)) as f32)
            .collect()
    }

    /// A number from Beta(α, α): `X / (X + Y)` of two from Gamma(α), computed from their logarithms, because for a
    /// small α the numbers themselves underflow.
    fn beta(&mut self, alpha: f64) -> f64 {
        let [x, y] = [self.ln_gamma(alpha), self.ln_gamma(alpha)];
        1.0 / (1.0 + (y - x).exp())
    }

    /// The logarithm of a number from Gamma(α), by the method of Marsaglia and Tsang (2000).
    fn ln_gamma(&mut self, alpha: f64) -> f64 {
        if alpha < 1.0 {
            // Gamma(α) is Gamma(α + 1) · U^(1 / α).
            let further = (1.0 - self.unit()).ln() / alpha;
            return self.ln_gamma(alpha + 1.0) + further;
        }
        let d = alpha - 1.0 / 3.0;
        let c = 1.0 / (9.0 * d).sqrt();
        loop {
            let normal = self.normal();
            let cube = (1.0 + c * normal).powi(3);
            let uniform = 1.0 - self.unit();
            if cube > 0.0 && uniform.ln() < normal * normal / 2.0 + d * (1.0 - cube + cube.ln()) {
                return (d * cube).ln();
            }
        }
    }
}

/// Mixes the images of a step and gives it the mixed targets. Declares the input [`SHARES`].
pub(super) fn mix(graph: &mut Graph, inputs: &mut Inputs, classes: usize, batch: usize) {
    let shares = graph.input(SHARES, ElementType::F32, &[batch.into()]);
    let kept = graph.reshape(shares, &[batch as i64, 1]);
    let one = graph.constant(Tensor::scalar(1.0_f32));
    let rest = graph.sub(one, kept);
    let others: Vec<i64> = (1..=batch).map(|next| (next % batch) as i64).collect();
    let others = graph.ints(&others);
    let mixed = |graph: &mut Graph, of: ValueId| {
        let other = graph.gather(of, others, 0);
        let of = graph.mul(of, kept);
        let other = graph.mul(other, rest);
        graph.add(of, other)
    };
    let images = graph.cast(inputs.x, ElementType::F32);
    inputs.x = mixed(graph, images);
    let one_hot = CrossEntropy::one_hot(graph, inputs.y, classes, ElementType::F32);
    inputs.targets = Some(mixed(graph, one_hot));
}

#[cfg(test)]
mod tests {
    use crate::train::batches::Purpose;

    use super::*;

    #[test]
    fn shares_are_of_a_symmetric_beta_distribution() {
        let mut draw = Draw::new(3, Purpose::Batch, 1);
        for alpha in [0.1_f32, 0.2, 0.5, 1.0, 2.0, 8.0] {
            let shares = draw.shares(alpha, 40_000);
            assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
            let count = shares.len() as f64;
            let moment = |power: i32| {
                let values = shares
                    .iter()
                    .map(|share| (f64::from(*share) - 0.5).powi(power));
                values.sum::<f64>() / count
            };
            // Mean 1/2, variance 1 / (4 (2α + 1)), fourth central moment 3 / (16 (2α + 1) (2α + 3)).
            let twice = 2.0 * f64::from(alpha);
            assert!(moment(1).abs() < 0.01, "{alpha}: {}", moment(1));
            let variance = 1.0 / (4.0 * (twice + 1.0));
            assert!(
                (moment(2) / variance - 1.0).abs() < 0.03,
                "{alpha}: {}",
                moment(2)
            );
            let fourth = 3.0 / (16.0 * (twice + 1.0) * (twice + 3.0));
            assert!(
                (moment(4) / fourth - 1.0).abs() < 0.05,
                "{alpha}: {}",
                moment(4)
            );
        }
    }

    #[test]
    fn the_least_share_is_a_number_and_without_alpha_nothing_is_drawn() {
        let mut draw = Draw::new(3, Purpose::Batch, 1);
        let shares = draw.shares(1e-30, 1000);
        assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)));
        let whole = shares.iter().filter(|share| **share > 0.5).count();
        assert!((400..600).contains(&whole), "{whole}");
        let mut other = Draw::new(4, Purpose::Batch, 1);
        assert!(other.shares(0.0, 1000).is_empty());
        assert_eq!(
            other.below(1 << 40),
            Draw::new(4, Purpose::Batch, 1).below(1 << 40)
        );
    }

    /// Expected numbers, so that any change is noticed. On other machines logarithms may differ in the last bit.
    #[test]
    fn the_sequence_is_for_ever() {
        let mut draw = Draw::new(42, Purpose::Batch, 1);
        let shares = draw.shares(0.2, 3);
        for (share, expected) in shares.iter().zip(SEQUENCE) {
            assert!((share / expected - 1.0).abs() < 1e-5, "{shares:?}");
        }
    }

    const SEQUENCE: [f32; 3] = [0.566_151_56, 1.004_639_4e-5, 0.040_094_43];
}
