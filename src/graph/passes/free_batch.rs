//! Makes the batch of a network free if its graph has a fixed number of images, or computes with that number.
//!
//! Exporters write the batch into the shapes of reshapes, as a number or as a chain of nodes from the shape of the
//! input. The chains are evaluated for two sizes of the batch: an equal result becomes a constant, and a shape with
//! one length proportional to the batch gets a -1 there.

use std::collections::HashSet;
use std::sync::Arc;

use crate::graph::ops::{Elementwise, Moves, Reshaping};
use crate::graph::structure::Node;
use crate::graph::value::{Dim, ValueId, wrap};
use crate::graph::{Graph, GraphError, Op};
use crate::onnx::Tensor;

/// The name of the free dimension.
const BATCH: &str = "N";

impl Graph {
    /// Frees the first dimension of `input`, whose other dimensions are `inner`, and makes constants of all shapes
    /// that do not depend on it. Callers must run the result to find out whether it is the same network for every
    /// batch.
    ///
    /// # Errors
    /// When ONNX Runtime cannot compute the shapes.
    pub fn free_batch(&mut self, input: ValueId, inner: &[usize]) -> Result<(), GraphError> {
        self.free_targets(input, inner);
        let two = self.of_batch(input, 2, inner)?;
        self.spread_by_sums(&two);
        let (two, three) = (
            self.of_batch(input, 2, inner)?,
            self.of_batch(input, 3, inner)?,
        );
        for index in 0..self.nodes.len() {
            let Some(node) = self.nodes.get(index).cloned() else {
                continue;
            };
            let is_reshape = matches!(node.op, Op::Reshaping(Reshaping::Reshape { .. }));
            for (at, value) in node.inputs.iter().enumerate() {
                let Some(value) = *value else { continue };
                let (None, Some(second), Some(third)) = (
                    self.constant_of(value),
                    two.constant_of(value).cloned(),
                    three.constant_of(value),
                ) else {
                    continue;
                };
                let constant = if second == *third {
                    self.constant(second)
                } else if is_reshape
                    && let Some(target) = free_target(&second, third, [&two, &three], &node)
                {
                    self.ints(&target)
                } else {
                    continue;
                };
                let node = self.nodes.get_mut(index);
                if let Some(slot) = node.and_then(|node| node.inputs.get_mut(at)) {
                    *slot = Some(constant);
                }
            }
        }
        self.prune();
        let mut shape = vec![Dim::from(BATCH)];
        shape.extend(inner.iter().copied().map(Dim::Fixed));
        self.set_input_shape(input, &shape);
        Ok(())
    }

    /// The graph for a fixed batch, with all shapes inferred.
    fn of_batch(&self, input: ValueId, batch: usize, inner: &[usize]) -> Result<Self, GraphError> {
        let mut graph = self.clone();
        let lens: Vec<usize> = std::iter::once(batch)
            .chain(inner.iter().copied())
            .collect();
        graph.set_input_shape(input, &Dim::all_fixed(&lens));
        graph.fold_integers()?;
        Ok(graph)
    }

    /// The values that depend on the input.
    fn depending_on(&self, input: ValueId) -> HashSet<ValueId> {
        let mut found = HashSet::from([input]);
        for node in &self.nodes {
            if node.reads().any(|value| found.contains(&value)) {
                found.extend(node.makes());
            }
        }
        found
    }

    /// In a graph for one image, frees the length 1 at the start of constant shapes of reshapes.
    fn free_targets(&mut self, input: ValueId, inner: &[usize]) {
        let mut one = self.clone();
        let lens: Vec<usize> = std::iter::once(1).chain(inner.iter().copied()).collect();
        one.set_input_shape(input, &Dim::all_fixed(&lens));
        let data = self.depending_on(input);
        let mut targets = Vec::new();
        for (index, node) in self.nodes.iter().enumerate() {
            let (Op::Reshaping(Reshaping::Reshape { allow_zero: false }), Some(from), Some(target)) =
                (&node.op, node.input(0), node.input(1))
            else {
                continue;
            };
            let begins_with_one = one.lens(from).is_some_and(|lens| lens.first() == Some(&1));
            if let Some([1, rest @ ..]) = self.ints_of(target)
                && data.contains(&from)
                && begins_with_one
            {
                targets.push((index, [&[0], rest].concat()));
            }
        }
        for (index, target) in targets {
            let target = self.ints(&target);
            let node = self.nodes.get_mut(index);
            if let Some(slot) = node.and_then(|node| node.inputs.get_mut(1)) {
                *slot = Some(target);
            }
        }
    }

    /// Rewrites the concatenation of a value with a constant that is repeated for each image, such as the class token
    /// of a transformer, as a sum: the value padded with zeros, plus the constant padded with zeros.
    fn spread_by_sums(&mut self, two: &Self) {
        for node in std::mem::take(&mut self.nodes) {
            if let Some((data, pads, constant)) = self.spread(&node, two) {
                let padded = self.pad(data, &pads);
                let constant = self.constant(constant);
                self.push_node(Node {
                    op: Elementwise::Add.into(),
                    inputs: vec![Some(padded), Some(constant)],
                    outputs: node.outputs.clone(),
                    name: node.name.clone(),
                });
            } else {
                self.push_node(node);
            }
        }
    }

    /// For a `Concat` of one value with constants: that value, its padding, and the constant to add.
    fn spread(&self, node: &Node, two: &Self) -> Option<(ValueId, Vec<i64>, Tensor)> {
        let Op::Moves(Moves::Concat { axis }) = node.op else {
            return None;
        };
        let values = || node.inputs.iter().flatten();
        let of_data = values().find(|value| self.repeated(**value).is_none())?;
        let mut shape = two.lens(*of_data)?;
        let axis = wrap(axis, shape.len())?;
        if axis == 0 || shape.first() != Some(&2) {
            return None;
        }
        let lens = values().map(|value| two.lens(*value)?.get(axis).copied());
        *shape.get_mut(axis)? = lens.sum::<Option<usize>>()?;
        *shape.first_mut()? = 1;
        let outer: usize = shape.get(1..axis)?.iter().product();
        let inner: usize = shape.get(axis + 1..)?.iter().product();
        let total = *shape.get(axis)?;
        if shape.contains(&0) {
            return None;
        }
        let mut numbers = vec![0.0_f32; outer.checked_mul(total)?.checked_mul(inner)?];
        let mut data = None;
        let mut begin = 0;
        for value in node.inputs.iter().flatten() {
            let count = *two.lens(*value)?.get(axis).filter(|count| **count > 0)?;
            if let Some(constant) = self.repeated(*value) {
                let repeated = constant.f32().ok()?;
                if constant.shape.len() != shape.len() || constant.shape.first() != Some(&1) {
                    return None;
                }
                for (row, from) in numbers
                    .chunks_exact_mut(total * inner)
                    .zip(repeated.chunks_exact(count * inner))
                {
                    row.get_mut(begin * inner..(begin + count) * inner)?
                        .copy_from_slice(from);
                }
            } else if data.replace((*value, begin, count)).is_some() {
                return None;
            }
            begin += count;
        }
        let (data, before, count) = data?;
        if count == total {
            return None;
        }
        let mut pads = vec![0; 2 * shape.len()];
        *pads.get_mut(axis)? = before as i64;
        *pads.get_mut(shape.len() + axis)? = (total - before - count) as i64;
        Some((data, pads, Tensor::new(shape, numbers)))
    }

    /// The constant that a value is, or from which it is expanded.
    fn repeated(&self, value: ValueId) -> Option<&Arc<Tensor>> {
        let known = self.constant_of(value);
        known.or_else(|| {
            let node = self.producer(value)?;
            let expands = matches!(node.op, Op::Reshaping(Reshaping::Expand));
            self.constant_of(node.input(0)?).filter(|_| expands)
        })
    }
}

/// Merges the shapes for two and for three images: the length that is proportional to the batch becomes -1, or 0 if
/// there is a -1 already and the input's dimension is the batch, too. `None` if they differ otherwise.
fn free_target(two: &Tensor, three: &Tensor, graphs: [&Graph; 2], node: &Node) -> Option<Vec<i64>> {
    let (two, three) = (two.i64().ok()?, three.i64().ok()?);
    let mut target = two.to_vec();
    let differing = |at: &usize| two.get(*at) != three.get(*at);
    let differing: Vec<usize> = (0..two.len()).filter(differing).collect();
    let ([at], true) = (differing.as_slice(), two.len() == three.len()) else {
        return None;
    };
    let (second, third) = (*two.get(*at)?, *three.get(*at)?);
    if second.checked_mul(3)? != third.checked_mul(2)? {
        return None;
    }
    let rest = if two.contains(&-1) {
        let stays = graphs.into_iter().zip([second, third]).all(|(graph, len)| {
            let lens = node.input(0).and_then(|from| graph.lens(from));
            lens.is_some_and(|lens| lens.get(*at).map(|len| *len as i64) == Some(len))
        });
        stays.then_some(0)?
    } else {
        -1
    };
    *target.get_mut(*at)? = rest;
    Some(target)
}
