//! Computes a batch in parts, one after the other, so that a step of a large network fits into memory.

use crate::graph::ops::{Elementwise, Moves};
use crate::graph::{
    CrossEntropy, Graph, GraphError, Mask, Node, ValueId, explicit_masks, gradients,
};
use crate::onnx::ElementType;

use super::optimizer::Weight;
use super::problem::{Inputs, Problem};

/// Memory limit of a part in bytes: activations kept for the backward pass, and about as much for their gradients.
const MAX_BYTES: usize = 1 << 30;

/// With fewer images at once the graph would have too many parts.
const FEWEST: usize = 4;

/// How many images of this batch pass through a network together: all of them, or as many as fit into memory. `one` is
/// the network for one image. It does not depend on the available memory; otherwise a training would give other bits
/// when less is free.
pub(super) fn images_at_once(one: &Graph, batch: usize) -> usize {
    let elements: usize = one
        .nodes()
        .iter()
        .flat_map(Node::makes)
        .filter_map(|value| Some(one.lens(value)?.iter().product::<usize>()))
        .map(|len| 2 * len)
        .sum();
    let bytes = elements.max(1) * size_of::<f32>();
    let sizes: Vec<usize> = (FEWEST..=batch)
        .rev()
        .filter(|images| batch.is_multiple_of(*images))
        .collect();
    let fits = sizes.iter().find(|images| *images * bytes <= MAX_BYTES);
    fits.or(sizes.last()).copied().unwrap_or(batch)
}

/// What is minimised.
#[derive(Debug, Clone, Default)]
pub(super) struct Objective {
    pub loss: CrossEntropy,
    /// The fraction of the inputs of each layer of the head that is dropped in a step, 0..1.
    pub dropout: f32,
}

/// The results of a batch.
pub(super) struct Learned {
    /// The logits, `[B, K]`.
    pub logits: ValueId,
    /// The derivatives of its mean loss with respect to each weight.
    pub gradients: Vec<ValueId>,
    /// The masks of dropout, which are inputs of the graph.
    pub masks: Vec<Mask>,
}

/// The logits of the whole batch and the derivatives of its mean loss with respect to each weight, computed for
/// `images` at a time; the batch is a multiple of that.
pub(super) fn by_parts(
    problem: &dyn Problem,
    graph: &mut Graph,
    inputs: &Inputs,
    objective: &Objective,
    [batch, images]: [usize; 2],
) -> Result<Learned, GraphError> {
    let Inputs { x, y, weights, .. } = inputs;
    // Mixed targets replace the classes.
    let y = inputs.targets.as_ref().unwrap_or(y);
    let mut masks = Vec::new();
    let mut of_part = |graph: &mut Graph, [x, y]: [ValueId; 2]| {
        let forward = problem.forward(graph, x, weights, images, objective.dropout)?;
        masks.extend(explicit_masks(graph)?);
        let (logits, loss) = (forward.logits, &objective.loss);
        let (classes, element) = (problem.classes(), ElementType::F32);
        let loss = if inputs.targets.is_some() {
            loss.append_to(graph, logits, y, classes, element)
        } else {
            loss.append(graph, logits, y, classes, element)
        };
        Ok::<_, GraphError>((logits, gradients(graph, loss, weights)?))
    };
    let parts = batch / images;
    if parts == 1 {
        let (logits, gradients) = of_part(graph, [*x, *y])?;
        return Ok(Learned {
            logits,
            gradients,
            masks,
        });
    }
    let mut all_logits = Vec::with_capacity(parts);
    let mut all_found: Vec<Vec<ValueId>> = Vec::with_capacity(parts);
    for part in 0..parts {
        let bounds = [part, part + 1].map(|at| graph.ints(&[(at * images) as i64]));
        // The same numbers, but available only when the previous part is done.
        let late = all_found.last().map(|before| {
            let zero = zero_after(problem.weights(), graph, before);
            bounds.map(|number| graph.add(number, zero))
        });
        let [begin, end] = bounds;
        let axis = graph.ints(&[0]);
        let of_batch = [*x, *y].map(|all| graph.op(Moves::SLICE, &[all, begin, end, axis]));
        let (logits, found) = of_part(graph, of_batch)?;
        all_found.push(found);
        all_logits.push(logits);
        // Done last, or the backward pass would pass through them.
        for (at, late) in late.into_iter().flatten().enumerate() {
            for value in of_batch {
                graph.set_input_of(value, at + 1, late);
            }
        }
    }
    let logits = graph.concat(&all_logits, 0);
    let gradients = (0..weights.len())
        .map(|at| {
            let of_parts: Vec<ValueId> = all_found
                .iter()
                .filter_map(|found| found.get(at).copied())
                .collect();
            graph.op(Elementwise::Mean, &of_parts)
        })
        .collect();
    Ok(Learned {
        logits,
        gradients,
        masks,
    })
}

/// The number 0, `i64[1]`, available once all these gradients are.
fn zero_after(weights: &[Weight], graph: &mut Graph, found: &[ValueId]) -> ValueId {
    let mut firsts = Vec::with_capacity(found.len());
    for (weight, gradient) in weights.iter().zip(found) {
        let rank = weight.shape.len();
        let (zeros, ones) = (graph.ints(&vec![0; rank]), graph.ints(&vec![1; rank]));
        let first = graph.op(Moves::SLICE, &[*gradient, zeros, ones]);
        firsts.push(graph.reshape(first, &[1]));
    }
    let firsts = graph.concat(&firsts, 0);
    // Multiplying by 0 would not work for infinite or NaN gradients.
    let numbers = graph.op(Elementwise::IsNaN, &[firsts]);
    let numbers = graph.cast(numbers, ElementType::I64);
    let count = graph.reduce_sum(numbers, &[0], true);
    let zero = graph.ints(&[0]);
    graph.mul(count, zero)
}
