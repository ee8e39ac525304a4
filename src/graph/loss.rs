//! The loss that classifiers are trained with.

use crate::onnx::{ElementType, Tensor};

use super::ops::{ReduceKind, Reshaping, Softmax};
use super::{Graph, ValueId};

/// Softmax cross-entropy, with smoothed labels and weighted classes.
///
/// With `q = (1 - s) · onehot(y) + s / C` and class weights `w`, the loss of a batch is the sum over rows and classes
/// of `-w · q · log softmax(logits)`, divided by the sum over rows of `w[y]` (the number of rows, if all weights are
/// 1): the same as `PyTorch`'s `CrossEntropyLoss`. With [`by_row`](Self::by_row) it is divided by the number of rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CrossEntropy {
    /// The label smoothing `s`: the part of each label that is spread over all classes, in 0..1.
    pub smoothing: f64,
    /// The weight of each class, at least 0; `None` for equal weights.
    pub class_weights: Option<Vec<f64>>,
    /// Whether the loss is divided by the number of examples instead of the sum of their weights, as in Keras. The
    /// weight of an example then does not depend on the rest of its batch, and a batch computed in parts gives the
    /// same sum as a whole.
    pub by_row: bool,
}

impl CrossEntropy {
    /// One-hot targets `[B, C]` of `labels` (`i64[B]`, each below C).
    pub fn one_hot(
        graph: &mut Graph,
        labels: ValueId,
        classes: usize,
        element: ElementType,
    ) -> ValueId {
        let numbers: Vec<i64> = (0..classes as i64).collect();
        let numbers = graph.ints(&numbers);
        let axes = graph.ints(&[1]);
        let column = graph.op(Reshaping::Unsqueeze { axes: None }, &[labels, axes]);
        let equal = graph.equal(column, numbers);
        graph.cast(equal, element)
    }

    /// Appends the loss of `logits` (`[B, C]`, of the type `element`) for `labels` (`i64[B]`, each below C) and
    /// returns the scalar.
    pub fn append(
        &self,
        graph: &mut Graph,
        logits: ValueId,
        labels: ValueId,
        classes: usize,
        element: ElementType,
    ) -> ValueId {
        let one_hot = Self::one_hot(graph, labels, classes, element);
        self.append_to(graph, logits, one_hot, classes, element)
    }

    /// Like [`CrossEntropy::append`] but with soft targets `[B, C]`, whose rows sum to 1, in place of `onehot(y)`. The
    /// weight of a row is the mean of the class weights by its targets.
    pub fn append_to(
        &self,
        graph: &mut Graph,
        logits: ValueId,
        targets: ValueId,
        classes: usize,
        element: ElementType,
    ) -> ValueId {
        let log_p = graph.op(Softmax::LOG, &[logits]);
        let mut target = targets;
        let constant = |graph: &mut Graph, shape: &[usize], values: Vec<f64>| {
            graph.constant(Tensor::floats(element, shape, values))
        };
        if self.smoothing > 0.0 {
            let kept = constant(graph, &[], vec![1.0 - self.smoothing]);
            let spread = constant(graph, &[], vec![self.smoothing / classes as f64]);
            target = graph.mul(target, kept);
            target = graph.add(target, spread);
        }
        let weights = self
            .class_weights
            .as_ref()
            .map(|weights| constant(graph, &[weights.len()], weights.clone()));
        if let Some(weights) = weights {
            target = graph.mul(target, weights);
        }
        let product = graph.mul(target, log_p);
        let total = if let Some(weights) = weights.filter(|_| !self.by_row) {
            let each = graph.mul(targets, weights);
            let weight = graph.reduce_all(ReduceKind::Sum, each);
            let sum = graph.reduce_all(ReduceKind::Sum, product);
            graph.div(sum, weight)
        } else {
            let rows = graph.reduce_sum(product, &[1], false);
            graph.reduce_all(ReduceKind::Mean, rows)
        };
        graph.neg(total)
    }
}
