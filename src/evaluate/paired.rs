//! Compares two classifiers on the same images: the difference of their accuracies.

use serde::Serialize;

use super::confusion::wilson;
use super::student::Z_975;

/// How often two classifiers were right on the same images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Paired {
    /// Both right.
    pub both: u64,
    /// Only the first.
    pub first_only: u64,
    /// Only the second.
    pub second_only: u64,
    /// Neither.
    pub neither: u64,
}

impl Paired {
    /// Counts one image.
    pub fn count(&mut self, first: bool, second: bool) {
        let place = match (first, second) {
            (true, true) => &mut self.both,
            (true, false) => &mut self.first_only,
            (false, true) => &mut self.second_only,
            (false, false) => &mut self.neither,
        };
        *place += 1;
    }

    /// How many images there are.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.both + self.first_only + self.second_only + self.neither
    }

    /// Accuracy of the first and of the second, 0..=1; `None` without images.
    #[must_use]
    pub fn accuracies(&self) -> Option<[f64; 2]> {
        let total = self.total();
        let of = |only: u64| (self.both + only) as f64 / total as f64;
        (total > 0).then(|| [of(self.first_only), of(self.second_only)])
    }

    /// The 95 % interval of the second accuracy minus the first, from the images on which only one is right:
    /// Newcombe's method 10 (R. G. Newcombe, "Improved confidence intervals for the difference between binomial
    /// proportions based on paired data", Statistics in Medicine 17, 1998, 2635–2650), which combines the two score
    /// intervals by their correlation. `None` without images. It assumes independent images, which frames of one video
    /// are not: the true uncertainty is at least this large.
    #[must_use]
    pub fn difference_95(&self) -> Option<[f64; 2]> {
        let [first, second] = self.accuracies()?;
        let total = self.total();
        let [first_low, first_high] = wilson(first, total as f64, Z_975)?;
        let [second_low, second_high] = wilson(second, total as f64, Z_975)?;
        let [a, b, c, d] =
            [self.both, self.first_only, self.second_only, self.neither].map(|count| count as f64);
        // φ of the table, with a continuity correction if it is positive.
        let product = (a + b) * (c + d) * (a + c) * (b + d);
        let mut numerator = a * d - b * c;
        if numerator > 0.0 {
            numerator = (numerator - total as f64 / 2.0).max(0.0);
        }
        let phi = if product > 0.0 {
            numerator / product.sqrt()
        } else {
            0.0
        };
        let joined = |x: f64, y: f64| (x * x - 2.0 * phi * x * y + y * y).max(0.0).sqrt();
        let difference = second - first;
        Some([
            difference - joined(second - second_low, first_high - first),
            difference + joined(second_high - second, first - first_low),
        ])
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    /// Published values: Newcombe's example, 36, 12, 2, 0 (0.0569 to 0.3404 for first minus second), and that of
    /// Fagerland, Lydersen and Laake, "Recommended tests and confidence intervals for paired binomial proportions",
    /// Statistics in Medicine 33, 2014: 1, 1, 7, 12 (-0.507 to -0.026).
    #[test]
    fn intervals_are_those_of_the_literature() {
        for ([both, first_only, second_only, neither], low, high) in [
            ([36, 2, 12, 0], 0.0569, 0.3404),
            ([1, 7, 1, 12], -0.507, -0.026),
        ] {
            let paired = Paired {
                both,
                first_only,
                second_only,
                neither,
            };
            let [found_low, found_high] = paired.difference_95().unwrap();
            assert!((found_low - low).abs() < 5e-4, "{found_low}");
            assert!((found_high - high).abs() < 5e-4, "{found_high}");
        }
    }

    #[test]
    fn the_interval_is_symmetric_and_holds_the_difference() {
        let mut paired = Paired::default();
        assert_eq!(paired.difference_95(), None);
        for index in 0..600 {
            paired.count(index % 7 != 0, index % 7 != 0 || index % 60 == 0);
        }
        let swapped = Paired {
            first_only: paired.second_only,
            second_only: paired.first_only,
            ..paired
        };
        let [low, high] = paired.difference_95().unwrap();
        let [first, second] = paired.accuracies().unwrap();
        assert!(low < second - first && second - first < high);
        let [swapped_low, swapped_high] = swapped.difference_95().unwrap();
        assert!((low + swapped_high).abs() < 1e-12 && (high + swapped_low).abs() < 1e-12);
    }
}
