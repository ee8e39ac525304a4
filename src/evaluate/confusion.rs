//! The confusion matrix and figures derived from it.

use serde::{Deserialize, Serialize};

/// A confusion matrix: `counts[truth][predicted]`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Confusion {
    /// The rows are true classes, the columns predicted ones.
    pub counts: Vec<Vec<u64>>,
}

impl Confusion {
    /// An empty matrix for `classes` classes.
    #[must_use]
    pub fn new(classes: usize) -> Self {
        Self {
            counts: vec![vec![0; classes]; classes],
        }
    }

    /// Counts one frame. Invalid indices are ignored.
    pub fn add(&mut self, truth: usize, predicted: usize) {
        if let Some(count) = self
            .counts
            .get_mut(truth)
            .and_then(|row| row.get_mut(predicted))
        {
            *count += 1;
        }
    }

    /// Frames counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.iter().flatten().sum()
    }

    /// Frames classified correctly.
    #[must_use]
    pub fn correct(&self) -> u64 {
        (0..self.counts.len()).map(|class| self.hits(class)).sum()
    }

    /// The accuracy, 0..=1; `None` without frames.
    #[must_use]
    pub fn accuracy(&self) -> Option<f32> {
        ratio(self.correct(), self.total())
    }

    /// The recall of class `index`: the fraction of its frames classified as it, 0..=1; `None` without such frames.
    #[must_use]
    pub fn recall(&self, index: usize) -> Option<f32> {
        ratio(self.hits(index), self.support(index))
    }

    /// The precision of class `index`: the fraction of the frames classified as it that belong to it, 0..=1; `None` if
    /// there are none.
    #[must_use]
    pub fn precision(&self, index: usize) -> Option<f32> {
        let called = self.counts.iter().filter_map(|row| row.get(index)).sum();
        ratio(self.hits(index), called)
    }

    /// Frames of class `index`.
    #[must_use]
    pub fn support(&self, index: usize) -> u64 {
        self.counts
            .get(index)
            .map_or(0, |row| row.iter().copied().sum())
    }

    fn hits(&self, index: usize) -> u64 {
        self.counts
            .get(index)
            .and_then(|row| row.get(index))
            .copied()
            .unwrap_or(0)
    }
}

fn ratio(part: u64, whole: u64) -> Option<f32> {
    (whole > 0).then(|| (part as f64 / whole as f64) as f32)
}

/// The score interval of a proportion `part` in a sample of `size` independent ones, at `z` standard deviations
/// (Wilson 1927); `None` if `size` is 0.
pub(super) fn wilson(part: f64, size: f64, z: f64) -> Option<[f64; 2]> {
    if size <= 0.0 {
        return None;
    }
    let spread = z * (part * (1.0 - part) / size + z * z / (4.0 * size * size)).sqrt();
    let middle = part + z * z / (2.0 * size);
    let scale = 1.0 + z * z / size;
    Some([
        ((middle - spread) / scale).max(0.0),
        ((middle + spread) / scale).min(1.0),
    ])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::evaluate::student::Z_975;

    fn close(found: Option<f32>, expected: f32) {
        assert!((found.unwrap() - expected).abs() < 1e-6, "{found:?}");
    }

    #[test]
    fn figures_of_a_small_matrix() {
        let mut confusion = Confusion::new(3);
        for (truth, predicted) in [(0, 0), (0, 0), (0, 1), (1, 1), (1, 1), (1, 0), (1, 1)] {
            confusion.add(truth, predicted);
        }
        confusion.add(9, 0);
        assert_eq!(confusion.total(), 7);
        close(confusion.accuracy(), 5.0 / 7.0);
        close(confusion.recall(0), 2.0 / 3.0);
        close(confusion.recall(1), 3.0 / 4.0);
        close(confusion.precision(0), 2.0 / 3.0);
        close(confusion.precision(1), 3.0 / 4.0);
        assert_eq!(confusion.recall(2), None);
        assert_eq!(confusion.precision(2), None);
        assert_eq!(Confusion::new(2).accuracy(), None);
    }

    #[test]
    fn wilson_as_published() {
        // Newcombe (1998), table I: 81 of 263, 15 of 148, 0 of 20, 1 of 29.
        for (correct, total, low, high) in [
            (81.0, 263.0, 0.2553, 0.3662),
            (15.0, 148.0, 0.0624, 0.1605),
            (0.0, 20.0, 0.0, 0.1611),
            (1.0, 29.0, 0.0061, 0.1718),
        ] {
            let [found_low, found_high] = wilson(correct / total, total, Z_975).unwrap();
            assert!((found_low - low).abs() < 6e-5, "{correct}/{total}");
            assert!((found_high - high).abs() < 6e-5, "{correct}/{total}");
        }
        assert_eq!(wilson(0.0, 0.0, Z_975), None);
    }
}
