//! A power law for how an error decreases with the amount of training data, `error = a · n^-b` (J. Hestness et al.,
//! "Deep Learning Scaling is Predictable, Empirically", 2017).

/// A power law.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PowerLaw {
    a: f64,
    b: f64,
}

impl PowerLaw {
    /// The law fitted to points (n, error), by least squares of the logarithms, with b at least 0. An error below
    /// `floor` counts as `floor`: no errors in a sample do not mean an error rate of zero. `None` with fewer than two
    /// values of n.
    pub(super) fn fit(points: &[(f64, f64)], floor: f64) -> Option<Self> {
        let logs: Vec<(f64, f64)> = points
            .iter()
            .filter(|(n, _)| *n > 0.0)
            .map(|(n, error)| (n.ln(), error.max(floor).ln()))
            .collect();
        let count = logs.len() as f64;
        let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
        let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
        let spread: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
        if logs.len() < 2 || spread < 1e-9 {
            return None;
        }
        let slope: f64 = logs
            .iter()
            .map(|(x, y)| (x - mean_x) * (y - mean_y))
            .sum::<f64>()
            / spread;
        let b = (-slope).max(0.0);
        Some(Self {
            a: (mean_y + b * mean_x).exp(),
            b,
        })
    }

    /// The error for `n`.
    pub(super) fn error(self, n: f64) -> f64 {
        (self.a * n.powf(-self.b)).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn a_law_is_found_again() {
        let points: Vec<(f64, f64)> = [2.0, 4.0, 8.0, 16.0_f64]
            .iter()
            .map(|n| (*n, 0.6 * n.powf(-0.4)))
            .collect();
        let law = PowerLaw::fit(&points, 1e-3).unwrap();
        assert!((law.error(32.0) - 0.6 * 32.0_f64.powf(-0.4)).abs() < 1e-9);
        let rising = PowerLaw::fit(&[(2.0, 0.1), (8.0, 0.2)], 1e-3).unwrap();
        assert!((rising.error(100.0) - rising.error(2.0)).abs() < 1e-9);
        assert_eq!(PowerLaw::fit(&[(2.0, 0.1), (2.0, 0.2)], 1e-3), None);
        assert_eq!(PowerLaw::fit(&[], 1e-3), None);
    }
}
