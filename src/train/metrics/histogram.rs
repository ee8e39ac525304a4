//! Histograms of weights and activations.

use serde::{Deserialize, Serialize};

/// The number of buckets of a histogram, the same as in TensorBoard.
const BUCKETS: usize = 30;

/// A histogram of numbers between their minimum and maximum.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// The minimum.
    pub min: f32,
    /// The maximum.
    pub max: f32,
    /// The sum of all numbers.
    pub sum: f64,
    /// The sum of their squares.
    pub sum_squares: f64,
    /// Counts of the buckets, which divide `min..=max` into equal widths; a single one if these are equal.
    pub counts: Vec<u32>,
}

/// A bucket of a histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bucket {
    /// Its lower end.
    pub left: f64,
    /// Its upper end.
    pub right: f64,
    /// The number of values in it.
    pub count: u32,
}

impl Histogram {
    /// The histogram of the finite ones of these numbers; `None` if there are none.
    #[must_use]
    pub fn of(values: &[f32]) -> Option<Self> {
        let (mut min, mut max) = (f32::INFINITY, f32::NEG_INFINITY);
        let (mut sum, mut sum_squares) = (0.0, 0.0);
        for value in values.iter().copied().filter(|value| value.is_finite()) {
            (min, max) = (min.min(value), max.max(value));
            sum += f64::from(value);
            sum_squares += f64::from(value) * f64::from(value);
        }
        if min > max {
            return None;
        }
        let width = f64::from(max) - f64::from(min);
        let buckets = if width > 0.0 { BUCKETS } else { 1 };
        let mut counts = vec![0; buckets];
        let per_unit = if width > 0.0 {
            buckets as f64 / width
        } else {
            0.0
        };
        for value in values.iter().copied().filter(|value| value.is_finite()) {
            let at = ((f64::from(value) - f64::from(min)) * per_unit) as usize;
            if let Some(count) = counts.get_mut(at.min(buckets - 1)) {
                *count += 1;
            }
        }
        Some(Self {
            min,
            max,
            sum,
            sum_squares,
            counts,
        })
    }

    /// The number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// Their mean.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.sum / self.count().max(1) as f64
    }

    /// Their standard deviation, of the whole population.
    #[must_use]
    pub fn deviation(&self) -> f64 {
        let mean = self.mean();
        let squares = self.sum_squares / self.count().max(1) as f64;
        (squares - mean * mean).max(0.0).sqrt()
    }

    /// Its buckets in ascending order.
    pub fn buckets(&self) -> impl Iterator<Item = Bucket> {
        let (min, max) = (f64::from(self.min), f64::from(self.max));
        let buckets = self.counts.len().max(1);
        let edge = move |at: usize| {
            if at == buckets {
                max
            } else {
                min + (max - min) * at as f64 / buckets as f64
            }
        };
        let counts = self.counts.iter().enumerate();
        counts.map(move |(at, count)| Bucket {
            left: edge(at),
            right: edge(at + 1),
            count: *count,
        })
    }

    /// The value below which the fraction `share` of all numbers, 0..=1, is, interpolated linearly within a bucket.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let wanted = share.clamp(0.0, 1.0) * self.count() as f64;
        let mut before = 0.0;
        for bucket in self.buckets() {
            let count = f64::from(bucket.count);
            if count > 0.0 && before + count >= wanted {
                let within = (wanted - before).max(0.0) / count;
                return bucket.left + (bucket.right - bucket.left) * within;
            }
            before += count;
        }
        f64::from(self.max)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn every_finite_number_is_counted_where_it_lies() {
        let values: Vec<f32> = (0..=300).map(|at| at as f32 / 100.0).collect();
        let mut with_others = values.clone();
        with_others.extend([f32::NAN, f32::INFINITY, f32::NEG_INFINITY]);
        let found = Histogram::of(&with_others).unwrap();
        assert_eq!((found.min, found.max, found.count()), (0.0, 3.0, 301));
        assert!((found.mean() - 1.5).abs() < 1e-6);
        let variance = values.iter().map(|v| (f64::from(*v) - 1.5).powi(2));
        let deviation = (variance.sum::<f64>() / 301.0).sqrt();
        assert!((found.deviation() - deviation).abs() < 1e-6);
        for bucket in found.buckets() {
            // The maximum belongs to the last bucket; rounding shifts a number by at most one bucket.
            assert!((9..=12).contains(&bucket.count), "{bucket:?}");
        }
        assert!((found.quantile(0.5) - 1.5).abs() < 0.02);
        assert!((found.quantile(0.0), found.quantile(1.0)) == (0.0, 3.0));
    }

    #[test]
    fn equal_numbers_are_one_bucket_and_no_numbers_are_none() {
        let equal = Histogram::of(&[0.25; 7]).unwrap();
        let buckets: Vec<Bucket> = equal.buckets().collect();
        let only = Bucket {
            left: 0.25,
            right: 0.25,
            count: 7,
        };
        assert_eq!(buckets, [only]);
        assert!((equal.quantile(0.3) - 0.25).abs() < 1e-12 && equal.deviation() < 1e-9);
        assert_eq!(Histogram::of(&[]), None);
        assert_eq!(Histogram::of(&[f32::NAN]), None);
    }
}
