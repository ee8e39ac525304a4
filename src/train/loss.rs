//! The loss that classifiers are trained with.

use crate::onnx::{Attribute, ElementType, Graph, Tensor, cast_target};

/// Softmax cross-entropy, with smoothed labels and weighted classes.
///
/// With `q = (1 - s) · onehot(y) + s / C` and the weights `w` of the classes, the loss of a batch is
/// `Σ over rows and classes of -w · q · log softmax(logits)`, divided by the sum over rows of `w[y]` (which is
/// the number of rows when all weigh 1): the same as `PyTorch`'s `CrossEntropyLoss`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CrossEntropy {
    /// The share `s` of each label that is spread over all classes, in 0..1.
    pub smoothing: f64,
    /// How much an example of each class counts, at least 0; `None` for equal weights.
    /// Trainings leave it at that: their batches are drawn a class first, so that a small class counts as much as a
    /// large one already. Weights are for a graph whose batches come as they are.
    pub class_weights: Option<Vec<f64>>,
}

impl CrossEntropy {
    /// Appends the loss of `logits` (`[B, C]`, of the type `element`) with the classes `labels` (`i64[B]`,
    /// each below C) and returns the name of the scalar.
    pub fn append(
        &self,
        graph: &mut Graph,
        logits: &str,
        labels: &str,
        classes: usize,
        element: ElementType,
    ) -> String {
        let log_p = graph.op("LogSoftmax", &[logits]);
        let numbers: Vec<i64> = (0..classes as i64).collect();
        let numbers = graph.ints(&numbers);
        let axes = graph.ints(&[1]);
        let column = graph.op("Unsqueeze", &[labels, &axes]);
        let equal = graph.op("Equal", &[&column, &numbers]);
        let to = Attribute::Int(cast_target(element));
        let one_hot = graph.op_with("Cast", &[&equal], &[("to", to)]);
        let mut target = one_hot.clone();
        if self.smoothing > 0.0 {
            let kept = constant(graph, element, &[], vec![1.0 - self.smoothing]);
            let spread = constant(graph, element, &[], vec![self.smoothing / classes as f64]);
            target = graph.op("Mul", &[&target, &kept]);
            target = graph.op("Add", &[&target, &spread]);
        }
        let weights = self
            .class_weights
            .as_ref()
            .map(|weights| constant(graph, element, &[weights.len()], weights.clone()));
        if let Some(weights) = &weights {
            target = graph.op("Mul", &[&target, weights]);
        }
        let product = graph.op("Mul", &[&target, &log_p]);
        let total = if let Some(weights) = &weights {
            let each = graph.op("Mul", &[&one_hot, weights]);
            let weight = sum(graph, &each);
            let sum = sum(graph, &product);
            graph.op("Div", &[&sum, &weight])
        } else {
            let keep = [("keepdims", Attribute::Int(0))];
            let rows = graph.op_with("ReduceSum", &[&product, &axes], &keep);
            graph.op_with("ReduceMean", &[&rows], &keep)
        };
        graph.op("Neg", &[&total])
    }
}

fn sum(graph: &mut Graph, value: &str) -> String {
    graph.op_with("ReduceSum", &[value], &[("keepdims", Attribute::Int(0))])
}

fn constant(graph: &mut Graph, element: ElementType, shape: &[usize], values: Vec<f64>) -> String {
    let tensor = Tensor::floats(element, shape, values);
    graph.constant(&tensor)
}
