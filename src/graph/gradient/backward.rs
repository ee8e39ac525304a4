//! The backward pass over a graph, and the functions that gradient rules use to inspect and extend the graph.

use std::collections::HashMap;
use std::ops::{Deref, DerefMut};

use crate::graph::ops::{Elementwise, Moves, Reduce, ReduceKind, Reshaping};
use crate::graph::structure::Node;
use crate::graph::value::{Dim, Fact, ValueId, lens};
use crate::graph::{Graph, GraphError, Op, Sliding, WindowGeometry};
use crate::onnx::{ElementType, Tensor};

/// The gradients of a node's inputs: `None` for inputs that have none, or whose gradient is not needed.
pub type Parts = Result<Vec<Option<ValueId>>, GraphError>;

/// Appends the derivatives of the scalar `loss` with respect to each of `by` to `graph` and returns them in that
/// order. The values may be inputs, constants or computed ones. The derivative is zero for a value that the loss does
/// not depend on.
///
/// # Errors
/// [`GraphError::Model`] names an operator between `by` and `loss` that has no gradient rule.
pub fn gradients(
    graph: &mut Graph,
    loss: ValueId,
    by: &[ValueId],
) -> Result<Vec<ValueId>, GraphError> {
    let forward = graph.nodes.len();
    let mut b = Backward::new(graph, by);
    let mut upstream: HashMap<ValueId, Vec<ValueId>> = HashMap::new();
    let one = b.number(1.0);
    upstream.insert(loss, vec![one]);
    for index in (0..forward).rev() {
        let Some(node) = b.nodes.get(index) else {
            continue;
        };
        if !node
            .inputs
            .iter()
            .flatten()
            .any(|input| b.is_active(*input))
        {
            continue;
        }
        let node = node.clone();
        let mut arriving = Vec::with_capacity(node.outputs.len());
        for output in &node.outputs {
            let parts = output.and_then(|output| upstream.get_mut(&output));
            arriving.push(parts.map(|parts| {
                let total = b.sum(parts);
                *parts = vec![total];
                total
            }));
        }
        if arriving.iter().all(Option::is_none) {
            continue;
        }
        let name = b.name_of_node(&node).to_owned();
        if !node.op.has_gradient() {
            return Err(GraphError::Model(format!(
                "it cannot be trained through the operator “{}” (node “{name}”), which has no gradient rule",
                node.op.op_type(),
            )));
        }
        let at = Arriving {
            node: &node,
            upstream: &arriving,
        };
        let parts = node.op.gradient(&mut b, &at).map_err(|error| match error {
            GraphError::Model(message) => GraphError::Model(format!("{message} (node “{name}”)")),
            other @ GraphError::Onnx(_) => other,
        })?;
        for (input, part) in node.inputs.iter().zip(parts) {
            if let (Some(input), Some(part)) = (input, part)
                && b.is_active(*input)
            {
                upstream.entry(*input).or_default().push(part);
            }
        }
    }
    let found = by.iter().map(|value| match upstream.get(value) {
        Some(parts) => b.sum(parts),
        None => b.zeros_like(*value),
    });
    Ok(found.collect())
}

/// The error for a node without a rule.
pub(in crate::graph) fn no_rule(op_type: &str) -> GraphError {
    GraphError::Model(format!(
        "it cannot be trained through the operator “{op_type}”, which has no gradient rule"
    ))
}

/// A node that the backward pass has reached, with the gradients of its outputs.
pub struct Arriving<'a> {
    /// The node.
    pub node: &'a Node,
    /// The gradient of each output, `None` for outputs that do not contribute to the loss.
    pub upstream: &'a [Option<ValueId>],
}

impl Arriving<'_> {
    /// The gradient of the node's first output.
    pub fn dy(&self) -> Result<ValueId, GraphError> {
        self.upstream.first().copied().flatten().ok_or_else(|| {
            GraphError::Model("no gradient arrives at a node that is visited".into())
        })
    }

    /// The input at index `at`, which must be present.
    pub fn input(&self, at: usize) -> Result<ValueId, GraphError> {
        self.node.input(at).ok_or_else(|| {
            GraphError::Model(format!(
                "a node “{}” lacks input {at}",
                self.node.op.op_type()
            ))
        })
    }

    /// The first output.
    pub fn output(&self) -> Result<ValueId, GraphError> {
        self.node.output().ok_or_else(|| {
            GraphError::Model(format!("a node “{}” has no output", self.node.op.op_type()))
        })
    }

    /// Calls `of` for each input, all of which must be present, for its gradient.
    pub fn each_input(&self, mut of: impl FnMut(usize, ValueId) -> Option<ValueId>) -> Parts {
        (0..self.node.inputs.len())
            .map(|at| Ok(of(at, self.input(at)?)))
            .collect()
    }
}

/// The context of a gradient rule: the graph, to which it appends, and the values that are differentiated by.
pub struct Backward<'a> {
    graph: &'a mut Graph,
    element: ElementType,
    /// For each value, whether it depends on a value that is differentiated by.
    active: Vec<bool>,
}

impl Deref for Backward<'_> {
    type Target = Graph;

    fn deref(&self) -> &Graph {
        self.graph
    }
}

impl DerefMut for Backward<'_> {
    fn deref_mut(&mut self) -> &mut Graph {
        self.graph
    }
}

impl<'a> Backward<'a> {
    /// Prepares the backward pass over `graph` for derivatives with respect to `by`.
    pub fn new(graph: &'a mut Graph, by: &[ValueId]) -> Self {
        let mut active = vec![false; graph.values.len()];
        for value in by {
            active[value.index()] = true;
        }
        for node in &graph.nodes {
            if node
                .inputs
                .iter()
                .flatten()
                .any(|input| active[input.index()])
            {
                for output in node.makes() {
                    active[output.index()] = true;
                }
            }
        }
        Self {
            element: by
                .iter()
                .find_map(|value| graph.element(*value))
                .unwrap_or(ElementType::F32),
            active,
            graph,
        }
    }
}

impl Backward<'_> {
    fn is_active(&self, value: ValueId) -> bool {
        self.active.get(value.index()).is_some_and(|active| *active)
    }

    /// Whether the gradient of an input is needed; rules do no work for the others.
    #[must_use]
    pub fn wants(&self, at: &Arriving<'_>, input: usize) -> bool {
        at.node
            .input(input)
            .is_some_and(|value| self.is_active(value))
    }

    /// The node that computed `value`, seen through reshapes, if its operator satisfies `is_it`.
    #[must_use]
    pub fn maker(&self, mut value: ValueId, is_it: impl Fn(&Op) -> bool) -> Option<&Node> {
        loop {
            let node = self.producer(value)?;
            match &node.op {
                op if is_it(op) => return Some(node),
                Op::Reshaping(Reshaping::Reshape { .. }) => value = node.input(0)?,
                _ => return None,
            }
        }
    }

    /// The number of dimensions of a value; an error if it is unknown.
    pub fn rank(&self, value: ValueId) -> Result<usize, GraphError> {
        self.shape(value).map(<[Dim]>::len).ok_or_else(|| {
            GraphError::Model(format!(
                "the number of dimensions of “{}” must be known to train through it",
                self.name_of(value)
            ))
        })
    }

    /// The lengths of a value's dimensions from `skip` on; an error if they are unknown.
    pub fn lens_from(&self, value: ValueId, skip: usize) -> Result<Vec<usize>, GraphError> {
        let known = self.shape(value).and_then(|shape| lens(shape.get(skip..)?));
        known.ok_or_else(|| {
            GraphError::Model(format!(
                "the lengths of the dimensions of “{}” must be known to train through it",
                self.name_of(value)
            ))
        })
    }

    /// The geometry of a convolution or pool with `kernel` taps over `x`.
    pub fn window(
        &self,
        at: &Arriving<'_>,
        sliding: &Sliding,
        x: ValueId,
        kernel: &[usize],
        ceil: bool,
    ) -> Result<WindowGeometry, GraphError> {
        let window = sliding.window(&self.lens_from(x, 2)?, kernel, ceil);
        window.ok_or_else(|| {
            GraphError::Model(format!(
                "the window of a “{}” does not fit what it slides over",
                at.node.op.op_type()
            ))
        })
    }

    /// A scalar of the element type of the differentiation.
    pub fn number(&mut self, value: f64) -> ValueId {
        self.tensor(&[], vec![value])
    }

    /// A constant of the element type of the differentiation.
    pub fn tensor(&mut self, shape: &[usize], values: Vec<f64>) -> ValueId {
        let tensor = Tensor::floats(self.element, shape, values);
        self.constant(tensor)
    }

    /// A value cast to the element type of the differentiation.
    pub fn as_float(&mut self, value: ValueId) -> ValueId {
        let element = self.element;
        self.cast(value, element)
    }

    /// The second output of the node, which is added if it is missing.
    pub fn second_output(&mut self, at: &Arriving<'_>) -> Result<ValueId, GraphError> {
        if let Some(second) = at.node.outputs.get(1).copied().flatten() {
            return Ok(second);
        }
        let first = at.output()?;
        let name = self.unique(at.node.op.op_type());
        let second = self.add_value(&name, Fact::default());
        let index = self.value(first).producer();
        self.value_mut(second).producer = index;
        if let Some((index, node)) = index.and_then(|at| Some((at, self.nodes.get_mut(at)?))) {
            node.outputs = vec![Some(first), Some(second)];
            self.infer(index);
        }
        Ok(second)
    }

    /// The number of elements of `all` divided by that of `left`, computed when the graph runs.
    pub fn ratio_of_sizes(&mut self, all: ValueId, left: ValueId) -> ValueId {
        let [all, left] = [all, left].map(|value| self.size_of(value));
        let count = self.div(all, left);
        self.as_float(count)
    }

    /// Sums a gradient over the dimensions along which the operand `like` was broadcast, so that it gets the shape of
    /// `like`. If the shapes are unknown, the axes are determined when the graph runs.
    pub fn unbroadcast(&mut self, gradient: ValueId, like: ValueId) -> ValueId {
        let (Some(have), Some(want)) = (self.shape(gradient), self.shape(like)) else {
            return self.unbroadcast_at_run_time(gradient, like);
        };
        if have == want {
            return gradient;
        }
        let missing = have.len().saturating_sub(want.len());
        let mut axes: Vec<i64> = (0..missing as i64).collect();
        for (at, (have, want)) in have.iter().skip(missing).zip(want).enumerate() {
            match (have, want) {
                (have, want) if have == want => {}
                (_, Dim::Fixed(1)) => axes.push((at + missing) as i64),
                // Lengths that are equal or 1, which is known only when the graph runs.
                _ => return self.unbroadcast_at_run_time(gradient, like),
            }
        }
        let summed = self.reduce_sum(gradient, &axes, true);
        if missing == 0 {
            summed
        } else {
            self.reshape_like(summed, like)
        }
    }

    fn unbroadcast_at_run_time(&mut self, gradient: ValueId, like: ValueId) -> ValueId {
        let [have, want] = [gradient, like].map(|value| self.shape_of(value));
        let [have_rank, want_rank] = [have, want].map(|value| self.shape_of(value));
        let missing = self.sub(have_rank, want_rank);
        let one = Some(Tensor::new([1], vec![1_i64]));
        let ones = self.op(Reshaping::ConstantOfShape { value: one }, &[missing]);
        let padded = self.concat(&[ones, want], 0);
        let same = self.equal(have, padded);
        let differs = self.op(Elementwise::Not, &[same]);
        let at = self.op(Moves::NonZero, &[differs]);
        let axes = self.reshape(at, &[-1]);
        let sum = Reduce {
            none_without_axes: true,
            ..Reduce::new(ReduceKind::Sum, true)
        };
        let summed = self.op(sum, &[gradient, axes]);
        let output = self.reshape_to(summed, want);
        self.copy_shape(like, output);
        output
    }

    /// The sum of several gradients of one value.
    fn sum(&mut self, parts: &[ValueId]) -> ValueId {
        match parts {
            [first, rest @ ..] => rest.iter().fold(*first, |sum, part| self.add(sum, *part)),
            [] => self.number(0.0),
        }
    }

    /// Zeros in the shape of a value.
    pub fn zeros_like(&mut self, value: ValueId) -> ValueId {
        let zero = self.number(0.0);
        self.expand_like(zero, value)
    }
}
