//! The trained layers after the bottleneck: computed in plain Rust, stored in files and built into graphs.

use std::collections::HashMap;

use crate::graph::ops::{Activation, Linear, Reshaping};
use crate::graph::{Graph, ValueId};
use crate::onnx::{OnnxError, Tensor};

/// The head: `logits = h·W + b`, where `h` is the bottleneck `x` or, with a hidden layer, `max(0, x·V + c)`.
#[derive(Debug, Clone, PartialEq)]
pub struct Head {
    /// The layer between bottleneck and last layer; `None` for a linear head.
    pub hidden: Option<Hidden>,
    /// Row-major `f32[H, C]`; `f32[D, C]` without a hidden layer.
    pub w: Vec<f32>,
    /// `f32[C]`.
    pub b: Vec<f32>,
}

/// A hidden layer of a [`Head`].
#[derive(Debug, Clone, PartialEq)]
pub struct Hidden {
    /// `V`, row-major `f32[D, H]`.
    pub w: Vec<f32>,
    /// `c`, `f32[H]`.
    pub b: Vec<f32>,
}

/// The names of a head's tensors in files: those of a hidden layer, then those of the last layer.
const NAMES: [&str; 4] = ["hidden.w", "hidden.b", "w", "b"];

impl Head {
    /// A head without a hidden layer.
    #[must_use]
    pub fn linear(w: Vec<f32>, b: Vec<f32>) -> Self {
        Self { hidden: None, w, b }
    }

    /// Number of classes, C.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.b.len()
    }

    /// Length of the last layer's input: H, or D without a hidden layer.
    #[must_use]
    pub fn width(&self) -> usize {
        self.w.len() / self.b.len().max(1)
    }

    /// Length of a bottleneck, D.
    #[must_use]
    pub fn dim(&self) -> usize {
        match &self.hidden {
            Some(hidden) => hidden.w.len() / hidden.b.len().max(1),
            None => self.width(),
        }
    }

    /// Whether its layers match each other, bottlenecks of length `dim` and the number of classes.
    #[must_use]
    pub fn fits(&self, dim: usize, classes: usize) -> bool {
        let width = self.hidden.as_ref().map_or(dim, |hidden| hidden.b.len());
        let last = self.b.len() == classes && self.w.len() == width * classes;
        let hidden = self.hidden.as_ref();
        classes > 0 && last && hidden.is_none_or(|hidden| hidden.w.len() == dim * width)
    }

    /// Its weights, layer by layer.
    pub fn values(&self) -> impl Iterator<Item = &[f32]> {
        let hidden = self.hidden.iter();
        let hidden = hidden.flat_map(|hidden| [hidden.w.as_slice(), &hidden.b]);
        hidden.chain([self.w.as_slice(), &self.b])
    }

    /// The number of weights of a head with a hidden layer of this many units, or 0 for none.
    #[must_use]
    pub fn count(dim: usize, hidden: usize, classes: usize) -> u64 {
        let layer = |from: usize, to: usize| (from as u64 + 1) * to as u64;
        match hidden {
            0 => layer(dim, classes),
            _ => layer(dim, hidden) + layer(hidden, classes),
        }
    }

    /// The logits of a bottleneck, one for each class, with sums in 64 bits.
    #[must_use]
    pub fn logits(&self, bottleneck: &[f32]) -> Vec<f64> {
        let x = bottleneck.iter().map(|x| f64::from(*x));
        match &self.hidden {
            None => affine(x, &self.w, &self.b),
            Some(hidden) => {
                let hidden = affine(x, &hidden.w, &hidden.b).into_iter();
                affine(hidden.map(|value| value.max(0.0)), &self.w, &self.b)
            }
        }
    }

    /// The derivative of `Σ shares · logits` with respect to the bottleneck, at this bottleneck: `f32[D]`. Without a
    /// hidden layer it is the same for all bottlenecks. `shares` are classes with their factors.
    #[must_use]
    pub fn slope(&self, bottleneck: &[f32], shares: &[(usize, f32)]) -> Vec<f32> {
        let classes = self.classes().max(1);
        let mut last = vec![0.0_f32; self.width()];
        for (class, share) in shares {
            let weights = self.w.iter().skip(*class).step_by(classes);
            for (sum, weight) in last.iter_mut().zip(weights) {
                *sum += share * weight;
            }
        }
        let Some(hidden) = &self.hidden else {
            return last;
        };
        let x = bottleneck.iter().map(|x| f64::from(*x));
        for (slope, value) in last.iter_mut().zip(affine(x, &hidden.w, &hidden.b)) {
            if value <= 0.0 {
                *slope = 0.0;
            }
        }
        let rows = hidden.w.chunks_exact(hidden.b.len().max(1));
        let product = |row: &[f32]| {
            let terms = row.iter().zip(&last);
            terms
                .map(|(w, slope)| f64::from(*w) * f64::from(*slope))
                .sum::<f64>() as f32
        };
        rows.map(product).collect()
    }

    /// Divides its logits by a temperature, which affects only the last layer.
    pub fn divide(&mut self, temperature: f64) {
        for value in self.w.iter_mut().chain(&mut self.b) {
            *value = (f64::from(*value) / temperature) as f32;
        }
    }

    /// Its tensors with their names in files, with matrices in the same layout as here.
    pub(super) fn named(&self) -> Vec<(&'static str, Vec<usize>, &[f32])> {
        let [hidden_w, hidden_b, w, b] = NAMES;
        let mut named = Vec::new();
        if let Some(hidden) = &self.hidden {
            let shape = vec![self.dim(), hidden.b.len()];
            named.push((hidden_w, shape, hidden.w.as_slice()));
            named.push((hidden_b, vec![hidden.b.len()], &hidden.b));
        }
        named.push((w, vec![self.width(), self.classes()], &self.w));
        named.push((b, vec![self.classes()], &self.b));
        named
    }

    /// The head with these tensors, named as in [`Head::named`].
    ///
    /// # Errors
    /// A sentence, if they are not a head for this many classes.
    pub(super) fn of_named(
        mut tensors: HashMap<String, Tensor>,
        classes: usize,
    ) -> Result<Self, String> {
        let [hidden_w, hidden_b, w, b] = NAMES;
        let mut take = |name: &str| {
            let tensor = tensors.remove(name);
            let tensor = tensor.ok_or_else(|| format!("it has no “{name}”"))?;
            let values = tensor.f32().map_err(|error| error.to_string())?.to_vec();
            Ok::<_, String>((tensor.shape, values))
        };
        let hidden = match take(hidden_w) {
            Ok((shape, w)) => Some((shape, w, take(hidden_b)?)),
            Err(_) => None,
        };
        let ((w_shape, w), (b_shape, b)) = (take(w)?, take(b)?);
        let mut right = b_shape == [classes] && w_shape.len() == 2;
        right &= w_shape.last() == Some(&classes);
        let hidden = hidden.map(|(shape, values, (b_shape, b))| {
            right &= shape.len() == 2 && shape.last() == w_shape.first();
            right &= w_shape.first() == b_shape.first() && b_shape.len() == 1;
            Hidden { w: values, b }
        });
        if !right {
            return Err("its tensors have the wrong shape".into());
        }
        Ok(Self { hidden, w, b })
    }

    /// Its tensors in the layout of a training, with matrices transposed: `[H, D]`, `[H]`, `[C, H]`, `[C]`, or only
    /// the last two.
    ///
    /// In this layout the product for the gradient of a matrix has long rows, for which ONNX Runtime's matrix product
    /// is fastest.
    pub(super) fn tensors(&self) -> Vec<Tensor> {
        let layer = |w: &[f32], b: &[f32]| {
            let (out, rows) = (b.len(), w.len() / b.len().max(1));
            [
                Tensor::new([out, rows], transpose(w, rows)),
                Tensor::new([out], b.to_vec()),
            ]
        };
        let hidden = self.hidden.iter();
        let hidden = hidden.flat_map(|hidden| layer(&hidden.w, &hidden.b));
        hidden.chain(layer(&self.w, &self.b)).collect()
    }

    /// The head with the tensors returned by [`Head::tensors`].
    pub(super) fn of_tensors(tensors: &[Tensor]) -> Result<Self, OnnxError> {
        let layer = |w: &Tensor, b: &Tensor| {
            let rows = w.shape.first().copied().unwrap_or_default();
            Ok::<_, OnnxError>((transpose(w.f32()?, rows), b.f32()?.to_vec()))
        };
        match tensors {
            [w, b] => {
                let (w, b) = layer(w, b)?;
                Ok(Self::linear(w, b))
            }
            [hidden_w, hidden_b, w, b] => {
                let hidden = layer(hidden_w, hidden_b)?;
                let (w, b) = layer(w, b)?;
                let hidden = Some(Hidden {
                    w: hidden.0,
                    b: hidden.1,
                });
                Ok(Self { hidden, w, b })
            }
            _ => Err(OnnxError::Model("a head has two weights or four".into())),
        }
    }
}

/// `x·W + b`, with `W` row-major `[from, to]`.
fn affine(x: impl Iterator<Item = f64>, w: &[f32], b: &[f32]) -> Vec<f64> {
    let mut sums: Vec<f64> = b.iter().map(|b| f64::from(*b)).collect();
    for (x, weights) in x.zip(w.chunks_exact(b.len().max(1))) {
        // ReLU and ReLU6 leave many exact zeros.
        if x != 0.0 {
            for (sum, w) in sums.iter_mut().zip(weights) {
                *sum += x * f64::from(*w);
            }
        }
    }
    sums
}

/// Appends the layers of a head to bottlenecks `x`, `[B, D]`, and returns the logits `[B, C]`. `weights` are in the
/// order of [`Head::tensors`]; `dropout` is the fraction of the inputs of each layer that is dropped, 0..1.
pub(super) fn append_layers(
    graph: &mut Graph,
    x: ValueId,
    weights: &[ValueId],
    dropout: f32,
) -> ValueId {
    let layers = weights.len() / 2;
    let mut x = x;
    for (at, layer) in weights.chunks_exact(2).enumerate() {
        if dropout > 0.0 {
            let ratio = Some(dropout);
            x = graph.op(Reshaping::Dropout { ratio, seed: None }, &[x]);
        }
        // x · Wᵀ + b
        x = graph.op(Linear::BY_TRANSPOSE, &[&[x], layer].concat());
        if at + 1 < layers {
            x = graph.op(Activation::Relu, &[x]);
        }
    }
    x
}

/// The transpose of a row-major matrix with `rows` rows.
pub(super) fn transpose(values: &[f32], rows: usize) -> Vec<f32> {
    let columns = values.len() / rows.max(1);
    (0..columns)
        .flat_map(|column| values.iter().skip(column).step_by(columns.max(1)).copied())
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

    use super::*;

    /// Two inputs, three hidden units of which the last is inactive at (1, 2), two classes.
    fn small() -> Head {
        Head {
            hidden: Some(Hidden {
                w: vec![1.0, 0.0, -1.0, 0.5, 1.0, -1.0],
                b: vec![0.0, -1.0, 0.5],
            }),
            w: vec![1.0, 0.0, 2.0, -1.0, 5.0, 5.0],
            b: vec![0.25, 0.5],
        }
    }

    #[test]
    #[allow(clippy::float_cmp, reason = "all numbers are exact")]
    fn a_head_with_a_hidden_layer_by_hand() {
        let head = small();
        // Hidden: 1 + 1, 2 - 1, max(0, -1 - 2 + 0.5).
        assert_eq!(head.logits(&[1.0, 2.0]), [2.0 + 2.0 + 0.25, -1.0 + 0.5]);
        // d/dx of the first logit: [1, 0.5] · 1 + [0, 1] · 2.
        assert_eq!(head.slope(&[1.0, 2.0], &[(0, 1.0)]), [1.0, 2.5]);
        assert_eq!((head.dim(), head.width(), head.classes()), (2, 3, 2));
        assert!(head.fits(2, 2) && !head.fits(3, 2) && !head.fits(2, 3));
        let count: usize = head.values().map(<[f32]>::len).sum();
        assert_eq!(Head::count(2, 3, 2), count as u64);
        let mut halved = head.clone();
        halved.divide(2.0);
        let logits = head.logits(&[0.5, -4.0]).into_iter();
        let logits: Vec<f64> = logits.map(|logit| logit / 2.0).collect();
        assert_eq!(halved.logits(&[0.5, -4.0]), logits);
    }

    #[test]
    fn a_head_survives_its_forms() {
        let linear = Head::linear(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![0.5, 1.5]);
        for head in [small(), linear] {
            assert_eq!(Head::of_tensors(&head.tensors()).unwrap(), head);
            let named = head.named().into_iter();
            let tensors: HashMap<String, Tensor> = named
                .map(|(name, shape, values)| (name.to_owned(), Tensor::new(shape, values.to_vec())))
                .collect();
            assert_eq!(Head::of_named(tensors.clone(), 2).unwrap(), head);
            assert!(Head::of_named(tensors, 3).unwrap_err().contains("shape"));
        }
    }
}
