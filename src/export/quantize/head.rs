//! Fits the head to the bottlenecks of the quantized network.

/// The head's weight `[D, C]` and bias `[C]`, in double precision.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights {
    pub w: Vec<f32>,
    pub b: Vec<f32>,
}

impl Weights {
    /// Softmax probabilities `[N, C]` of bottlenecks `[N, D]`.
    pub fn probabilities(&self, bottlenecks: &[f32]) -> Vec<f64> {
        let classes = self.b.len();
        let dim = (self.w.len() / classes.max(1)).max(1);
        let mut all = Vec::with_capacity(bottlenecks.len() / dim * classes);
        for bottleneck in bottlenecks.chunks_exact(dim) {
            let mut logits: Vec<f64> = self.b.iter().map(|b| f64::from(*b)).collect();
            for (x, row) in bottleneck.iter().zip(self.w.chunks_exact(classes.max(1))) {
                for (logit, w) in logits.iter_mut().zip(row) {
                    *logit += f64::from(*x) * f64::from(*w);
                }
            }
            softmax(&mut logits);
            all.extend(logits);
        }
        all
    }

    /// The smallest and the largest logit for bottlenecks `[N, D]`.
    pub fn logit_range(&self, bottlenecks: &[f32]) -> [f32; 2] {
        let classes = self.b.len().max(1);
        let dim = (self.w.len() / classes).max(1);
        let mut range = [0.0_f32; 2];
        for bottleneck in bottlenecks.chunks_exact(dim) {
            let mut logits = self.b.clone();
            for (x, row) in bottleneck.iter().zip(self.w.chunks_exact(classes)) {
                for (logit, w) in logits.iter_mut().zip(row) {
                    *logit += x * w;
                }
            }
            for logit in logits {
                range = [range[0].min(logit), range[1].max(logit)];
            }
        }
        range
    }
}

fn softmax(logits: &mut [f64]) {
    let largest = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    for logit in &mut *logits {
        *logit = (*logit - largest).exp();
    }
    let sum: f64 = logits.iter().sum();
    for logit in logits {
        *logit /= sum;
    }
}

/// Number of steps. They converge linearly; further steps would change no probability by 1e-4.
const STEPS: usize = 30;

/// The head near `old` whose probabilities for `bottlenecks` `[N, D]` are nearest to `wanted` `[N, C]`: it minimises
/// the mean cross-entropy plus `pull / 2 · |change|²`.
///
/// The change is a linear combination of the bottlenecks (each with a one appended for the bias), so N·C coefficients
/// are sought. Each step minimises Böhning's quadratic bound of the loss (Böhning 1992, Annals of the Institute of
/// Statistical Mathematics 44, 197-200), which takes one solution with a matrix that is factored only once.
pub(super) fn fitted(old: &Weights, bottlenecks: &[f32], wanted: &[f64], pull: f64) -> Weights {
    let classes = old.b.len();
    let dim = (old.w.len() / classes.max(1)).max(1);
    let rows: Vec<&[f32]> = bottlenecks.chunks_exact(dim).collect();
    let count = rows.len();
    if count == 0 || classes == 0 || wanted.len() != count * classes {
        return old.clone();
    }
    let mut kernel = vec![0.0_f64; count * count];
    for (i, a) in rows.iter().enumerate() {
        for (j, b) in rows.iter().enumerate().take(i + 1) {
            let products = a.iter().zip(*b).map(|(x, y)| f64::from(*x) * f64::from(*y));
            let product = 1.0 + products.sum::<f64>();
            kernel[i * count + j] = product;
            kernel[j * count + i] = product;
        }
    }
    let pull = pull * count as f64;
    let mut bound = kernel.clone();
    for (at, value) in bound.iter_mut().enumerate() {
        *value /= 2.0;
        if at % (count + 1) == 0 {
            *value += pull;
        }
    }
    factor(&mut bound, count);
    let start = logits(old, &rows);
    let mut factors = vec![0.0_f64; count * classes];
    for _ in 0..STEPS {
        let mut step = start.clone();
        for (i, row) in step.chunks_exact_mut(classes).enumerate() {
            for (j, factor) in factors.chunks_exact(classes).enumerate() {
                let k = kernel[i * count + j];
                for (logit, factor) in row.iter_mut().zip(factor) {
                    *logit += k * factor;
                }
            }
            softmax(row);
        }
        for ((step, wanted), factor) in step.iter_mut().zip(wanted).zip(&factors) {
            *step += pull * factor - wanted;
        }
        solve(&bound, count, &mut step, classes);
        for (factor, step) in factors.iter_mut().zip(step) {
            *factor -= step;
        }
    }
    let mut w: Vec<f64> = old.w.iter().map(|w| f64::from(*w)).collect();
    let mut b: Vec<f64> = old.b.iter().map(|b| f64::from(*b)).collect();
    for (row, factors) in rows.iter().zip(factors.chunks_exact(classes)) {
        for (x, w) in row.iter().zip(w.chunks_exact_mut(classes)) {
            for (w, factor) in w.iter_mut().zip(factors) {
                *w += f64::from(*x) * factor;
            }
        }
        for (b, factor) in b.iter_mut().zip(factors) {
            *b += factor;
        }
    }
    Weights {
        w: w.into_iter().map(|w| w as f32).collect(),
        b: b.into_iter().map(|b| b as f32).collect(),
    }
}

fn logits(head: &Weights, rows: &[&[f32]]) -> Vec<f64> {
    let classes = head.b.len();
    let mut all = Vec::with_capacity(rows.len() * classes);
    for row in rows {
        let mut logits: Vec<f64> = head.b.iter().map(|b| f64::from(*b)).collect();
        for (x, w) in row.iter().zip(head.w.chunks_exact(classes)) {
            for (logit, w) in logits.iter_mut().zip(w) {
                *logit += f64::from(*x) * f64::from(*w);
            }
        }
        all.extend(logits);
    }
    all
}

/// The Cholesky factor of a positive definite matrix, in its lower triangle.
fn factor(matrix: &mut [f64], size: usize) {
    for i in 0..size {
        for j in 0..=i {
            let (row, other) = (i * size, j * size);
            let sum: f64 = (0..j).map(|k| matrix[row + k] * matrix[other + k]).sum();
            let rest = matrix[row + j] - sum;
            matrix[row + j] = if i == j {
                rest.max(f64::MIN_POSITIVE).sqrt()
            } else {
                rest / matrix[other + j]
            };
        }
    }
}

/// Solves `L·Lᵀ·x = b` for `columns` right sides at once, in place.
fn solve(lower: &[f64], size: usize, sides: &mut [f64], columns: usize) {
    for i in 0..size {
        for k in 0..i {
            let l = lower[i * size + k];
            for c in 0..columns {
                sides[i * columns + c] -= l * sides[k * columns + c];
            }
        }
        for c in 0..columns {
            sides[i * columns + c] /= lower[i * size + i];
        }
    }
    for i in (0..size).rev() {
        for k in i + 1..size {
            let l = lower[k * size + i];
            for c in 0..columns {
                sides[i * columns + c] -= l * sides[k * columns + c];
            }
        }
        for c in 0..columns {
            sides[i * columns + c] /= lower[i * size + i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bottlenecks shifted and scaled, as quantization does: the fitted head undoes most of it.
    #[test]
    fn a_fitted_head_undoes_what_was_done_to_the_bottlenecks() {
        let (count, dim, classes) = (40, 6, 3);
        let drawn = |seed: usize, len: usize| -> Vec<f32> {
            let mixed = |at: usize| (at * 7919 + seed * 104_729) % 1013;
            (0..len).map(|at| mixed(at) as f32 / 506.0 - 1.0).collect()
        };
        let old = Weights {
            w: drawn(1, dim * classes).iter().map(|w| w * 3.0).collect(),
            b: drawn(2, classes),
        };
        let real = drawn(3, count * dim);
        let wanted = old.probabilities(&real);
        let shifted: Vec<f32> = real.iter().map(|x| x * 0.9 + 0.2).collect();
        let far = |head: &Weights| {
            let found = head.probabilities(&shifted);
            found
                .iter()
                .zip(&wanted)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max)
        };
        let near = fitted(&old, &shifted, &wanted, 1e-5);
        assert!(far(&old) > 0.1, "{}", far(&old));
        assert!(far(&near) < far(&old) / 8.0, "{}", far(&near));
        // With a strong pull it stays near the old head.
        let held = fitted(&old, &shifted, &wanted, 1e6);
        for (a, b) in held.w.iter().zip(&old.w) {
            assert!((a - b).abs() < 1e-4, "{a} {b}");
        }
    }

    #[test]
    fn a_factor_solves_its_matrix() {
        // [[4, 2], [2, 3]] · [1, 2] = [8, 8].
        let mut matrix = vec![4.0, 2.0, 2.0, 3.0];
        factor(&mut matrix, 2);
        let mut sides = vec![8.0, 8.0];
        solve(&matrix, 2, &mut sides, 1);
        assert!((sides[0] - 1.0).abs() < 1e-12 && (sides[1] - 2.0).abs() < 1e-12);
    }
}
