//! Quantization ranges of values, computed from their histograms.

use crate::graph::passes::quantize::Range;

/// Bins of a histogram.
pub(super) const BINS: usize = 2048;

/// How a range is computed from a histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Rule {
    /// Without the outermost values: each end is cut off so that this part of all values is kept, 0..=1.
    Part(f64),
    /// The range with the least squared error of rounding and clipping.
    SquaredError,
}

/// A histogram of values between their minimum and maximum.
#[derive(Debug, Clone)]
pub(super) struct Histogram {
    pub range: Range,
    /// [`BINS`] counts for bins of equal width.
    pub counts: Vec<u64>,
}

impl Histogram {
    pub fn new(range: Range) -> Self {
        Self {
            range,
            counts: vec![0; BINS],
        }
    }

    fn width(&self) -> f64 {
        f64::from(self.range.max - self.range.min) / BINS as f64
    }

    /// Counts every `step`-th value.
    pub fn count(&mut self, values: &[f32], step: usize) {
        let scale = BINS as f32 / (self.range.max - self.range.min).max(f32::MIN_POSITIVE);
        for value in values.iter().step_by(step) {
            // A conversion from float to `usize` saturates: below the range is bin 0.
            let bin = ((value - self.range.min) * scale) as usize;
            if let Some(count) = self.counts.get_mut(bin.min(BINS - 1)) {
                *count += 1;
            }
        }
    }

    pub fn add(&mut self, other: &Self) {
        for (count, other) in self.counts.iter_mut().zip(&other.counts) {
            *count += other;
        }
    }

    pub fn by(&self, rule: Rule) -> Range {
        match rule {
            Rule::Part(part) => self.without_outermost(part),
            Rule::SquaredError => self.least_error(),
        }
    }

    fn without_outermost(&self, part: f64) -> Range {
        let total: u64 = self.counts.iter().sum();
        let cut = (1.0 - part) * total as f64;
        let bins_before = |counts: &mut dyn Iterator<Item = &u64>| {
            let mut sum = 0.0;
            let mut bins = 0_usize;
            for count in counts {
                sum += *count as f64;
                if sum > cut {
                    break;
                }
                bins += 1;
            }
            bins.min(BINS - 1) as f64
        };
        let below = bins_before(&mut self.counts.iter());
        let above = bins_before(&mut self.counts.iter().rev());
        let range = Range {
            min: self.range.min + (below * self.width()) as f32,
            max: self.range.max - (above * self.width()) as f32,
        };
        if range.min < range.max {
            range
        } else {
            self.range
        }
    }

    fn least_error(&self) -> Range {
        let mut best = (f64::INFINITY, self.range);
        for step in 0..=20 {
            let factor = 1.0 - 0.035 * f64::from(step);
            let range = Range {
                min: (f64::from(self.range.min) * factor) as f32,
                max: (f64::from(self.range.max) * factor) as f32,
            };
            let error = self.error(range);
            if error < best.0 {
                best = (error, range);
            }
        }
        best.1
    }

    /// The sum of squared errors when values are quantized to that range.
    fn error(&self, range: Range) -> f64 {
        let affine = range.affine();
        let scale = f64::from(affine.scale);
        let min = -f64::from(affine.zero) * scale;
        let max = min + 255.0 * scale;
        let mut error = 0.0;
        for (bin, count) in self.counts.iter().enumerate() {
            let value = f64::from(self.range.min) + (bin as f64 + 0.5) * self.width();
            let each = if value < min || value > max {
                (value - value.clamp(min, max)).powi(2)
            } else if value.abs() < self.width() {
                // Zero has no rounding error, and activations give many zeros.
                0.0
            } else {
                scale * scale / 12.0
            };
            error += *count as f64 * each;
        }
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Most values below 1, one in a thousand at 10.
    fn histogram() -> Histogram {
        let mut histogram = Histogram::new(Range {
            min: 0.0,
            max: 10.0,
        });
        let values: Vec<f32> = (0..100_000)
            .map(|at| {
                if at % 1000 == 0 {
                    10.0
                } else {
                    at as f32 / 1e5
                }
            })
            .collect();
        histogram.count(&values, 1);
        histogram
    }

    #[test]
    fn the_outermost_are_left_out() {
        let histogram = histogram();
        let max = |rule| histogram.by(rule).max;
        assert!((max(Rule::Part(1.0)) - 10.0).abs() < 0.01);
        // One value in ten thousand may be cut off, fewer than there are at 10.
        assert!((max(Rule::Part(0.9999)) - 10.0).abs() < 0.01);
        assert!((max(Rule::Part(0.998)) - 1.0).abs() < 0.02);
        let min = histogram.by(Rule::Part(0.99)).min;
        assert!((min - 0.01).abs() < 0.01, "{min}");
    }

    #[test]
    fn the_least_squared_error_weighs_rounding_against_cutting_off() {
        let max = histogram().by(Rule::SquaredError).max;
        // By hand: clipping c off costs 1e-3 · c², rounding (10 - c)² / 255² / 12; their sum is smallest near c =
        // 0.013.
        assert!(max > 9.6, "{max}");
        let mut rare = Histogram::new(Range {
            min: 0.0,
            max: 10.0,
        });
        let mut values = vec![0.5_f32; 4_000_000];
        values[0] = 10.0;
        rare.count(&values, 1);
        assert!(rare.by(Rule::SquaredError).max < 5.0);
    }
}
