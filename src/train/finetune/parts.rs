//! A batch in parts, one after the other, so that a step of a large network fits into memory.

use crate::onnx::{Attribute, Dim, ElementType, Graph, OnnxError, cast_target};
use crate::train::CrossEntropy;
use crate::train::gradient::gradients;

use super::graph::Network;
use super::settings::FineTuneSettings;

/// What the values of a part may take, bytes: what is kept for the way back, and about as much on that way.
const MAX_BYTES: usize = 1 << 30;

/// Fewer pictures at a time would make a graph of too many parts.
const FEWEST: usize = 4;

impl Network {
    /// Pictures that go through the network together: the whole batch, or as many as fit into memory.
    /// Does not depend on how much memory there is, or a training would give other bits when less is free.
    pub(super) fn pictures_at_once(&self, batch: usize) -> usize {
        let mut one = self.back.clone();
        let input = one.inputs.first().map(|input| input.name().to_owned());
        one.inputs.clear();
        let [channels, height, width] = self.cut;
        let shape = [1, channels, height, width].map(Dim::Fixed);
        one.input(&input.unwrap_or_default(), ElementType::F32, &shape);
        let shapes = one.shapes();
        let elements: usize = self
            .back
            .nodes
            .iter()
            .flat_map(|node| &node.output)
            .filter_map(|name| shapes.get(name)?.iter().map(Dim::fixed).product())
            .map(|len: usize| 2 * len)
            .sum();
        let bytes = elements.max(1) * size_of::<f32>();
        let sizes: Vec<usize> = (FEWEST..=batch)
            .rev()
            .filter(|pictures| batch.is_multiple_of(*pictures))
            .collect();
        let fits = sizes.iter().find(|pictures| *pictures * bytes <= MAX_BYTES);
        fits.or(sizes.last()).copied().unwrap_or(batch)
    }

    /// The logits of the whole batch `[B, K]` and the derivatives of its mean loss by each weight, with `pictures` at a
    /// time, of which the batch is a multiple.
    pub(super) fn by_parts(
        &self,
        graph: &mut Graph,
        settings: &FineTuneSettings,
        batch: usize,
        pictures: usize,
    ) -> Result<(String, Vec<String>), OnnxError> {
        let loss = CrossEntropy {
            smoothing: f64::from(settings.label_smoothing),
            class_weights: None,
        };
        let names: Vec<&str> = self.weights.iter().map(|w| w.name.as_str()).collect();
        let parts = batch / pictures;
        if parts == 1 {
            let logits = self.forward(graph, "x", batch)?;
            let loss = loss.append(graph, &logits, "y", self.classes, ElementType::F32);
            let found = gradients(graph, &loss, &names)?;
            return Ok((logits, found));
        }
        let mut all_logits = Vec::with_capacity(parts);
        let mut all_found: Vec<Vec<String>> = Vec::with_capacity(parts);
        for part in 0..parts {
            let [begin, end] = [part, part + 1].map(|at| graph.ints(&[(at * pictures) as i64]));
            // The same numbers, known only when the part before is done.
            let late = all_found.last().map(|before| {
                let zero = self.zero_after(graph, before);
                [&begin, &end].map(|number| graph.op("Add", &[number, &zero]))
            });
            let axis = graph.ints(&[0]);
            let [x, y] = ["x", "y"].map(|all| graph.op("Slice", &[all, &begin, &end, &axis]));
            let logits = self.forward(graph, &x, pictures)?;
            let loss = loss.append(graph, &logits, &y, self.classes, ElementType::F32);
            all_found.push(gradients(graph, &loss, &names)?);
            all_logits.push(logits);
            // Only now, or the walk backwards would go through them.
            if let Some([begin, end]) = late {
                for node in &mut graph.nodes {
                    if node.output == [x.clone()] || node.output == [y.clone()] {
                        node.input[1].clone_from(&begin);
                        node.input[2].clone_from(&end);
                    }
                }
            }
        }
        let all_logits: Vec<&str> = all_logits.iter().map(String::as_str).collect();
        let axis = [("axis", Attribute::Int(0))];
        let logits = graph.op_with("Concat", &all_logits, &axis);
        let found = (0..names.len())
            .map(|at| {
                let of_parts: Vec<&str> = all_found
                    .iter()
                    .filter_map(|found| found.get(at).map(String::as_str))
                    .collect();
                graph.op("Mean", &of_parts)
            })
            .collect();
        Ok((logits, found))
    }

    /// The number 0, `i64[1]`, known when all these gradients are.
    fn zero_after(&self, graph: &mut Graph, found: &[String]) -> String {
        let mut firsts = Vec::with_capacity(found.len());
        for (weight, gradient) in self.weights.iter().zip(found) {
            let rank = weight.shape.len();
            let (zeros, ones) = (graph.ints(&vec![0; rank]), graph.ints(&vec![1; rank]));
            let first = graph.op("Slice", &[gradient, &zeros, &ones]);
            let flat = graph.ints(&[1]);
            firsts.push(graph.op("Reshape", &[&first, &flat]));
        }
        let firsts: Vec<&str> = firsts.iter().map(String::as_str).collect();
        let axis = [("axis", Attribute::Int(0))];
        let firsts = graph.op_with("Concat", &firsts, &axis);
        // Times 0 alone would not do where a gradient is not finite.
        let numbers = graph.op("IsNaN", &[&firsts]);
        let to = [("to", Attribute::Int(cast_target(ElementType::I64)))];
        let numbers = graph.op_with("Cast", &[&numbers], &to);
        let axes = graph.ints(&[0]);
        let count = graph.op("ReduceSum", &[&numbers, &axes]);
        let zero = graph.ints(&[0]);
        graph.op("Mul", &[&count, &zero])
    }
}
