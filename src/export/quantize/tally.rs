//! What candidates are compared by: divergence from the run, and agreement of answers.

use crate::evaluate::arg_max;

use super::frames::Frame;
use super::search::{GOOD_AGREEMENT, GOOD_DIVERGENCE};

/// The results of a candidate on frames, beside those of the run.
#[derive(Default)]
pub(super) struct Tally {
    pub frames: u64,
    /// Sum of the divergences of all frames, and of their squares.
    sum: f64,
    squares: f64,
    pub same: u64,
    pub right: u64,
    pub run_right: u64,
}

impl Tally {
    pub fn add(&mut self, frame: &Frame, found: &[f32]) {
        let divergence = divergence(&frame.probabilities, found);
        let [answer, wanted] = [found, &frame.probabilities].map(arg_max);
        self.frames += 1;
        self.sum += divergence;
        self.squares += divergence * divergence;
        self.same += u64::from(answer == wanted);
        self.right += u64::from(answer == frame.truth);
        self.run_right += u64::from(wanted == frame.truth);
    }

    pub fn mean(&self) -> f64 {
        self.sum / self.frames.max(1) as f64
    }

    /// Whether more frames would hardly change that [it is good enough](super::Int8Candidate::is_good_enough): its
    /// divergence is below the limit by two standard errors of the mean.
    pub fn is_surely_good(&self) -> bool {
        let count = self.frames as f64;
        let variance = (self.squares - count * self.mean().powi(2)) / (count - 1.0);
        // With equal divergences, rounding errors can make the variance negative.
        let at_most = self.mean() + 2.0 * (variance.max(0.0) / count).sqrt();
        self.frames > 1 && at_most <= GOOD_DIVERGENCE && self.same as f64 >= GOOD_AGREEMENT * count
    }
}

/// Kullback-Leibler divergence of `found` from `wanted`, in nats.
fn divergence(wanted: &[f32], found: &[f32]) -> f64 {
    let pairs = wanted.iter().zip(found).map(|(p, q)| {
        let (p, q) = (f64::from(*p), f64::from(*q));
        if p > 0.0 {
            p * (p.ln() - q.max(1e-12).ln())
        } else {
            0.0
        }
    });
    pairs.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_frames_are_enough_where_there_is_no_doubt() {
        let tally = |divergences: &[f64], same: u64| Tally {
            frames: divergences.len() as u64,
            sum: divergences.iter().sum(),
            squares: divergences.iter().map(|one| one * one).sum(),
            same,
            ..Tally::default()
        };
        assert!(tally(&[0.001; 64], 64).is_surely_good());
        assert!(!tally(&[0.001; 64], 60).is_surely_good());
        // Four in 64 are far off: the mean is 0.0041, give or take 0.0015.
        let mut uneven = [0.001; 64];
        uneven[..4].fill(0.05);
        let uneven = tally(&uneven, 64);
        assert!(uneven.mean() < GOOD_DIVERGENCE && !uneven.is_surely_good());
        assert!(!tally(&[], 0).is_surely_good() && !tally(&[0.0], 1).is_surely_good());
    }
}
