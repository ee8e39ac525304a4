//! The walk backwards, and what rules use to emit nodes.

use std::collections::{HashMap, HashSet};

use crate::onnx::proto::NodeProto;
use crate::onnx::{
    Attribute, Dim, ElementType, Graph, OnnxError, Shapes, Tensor, Window, cast_target,
};

use super::rules;

/// Appends to `graph` the derivatives of the scalar `loss` by each of the values `by` and returns their names,
/// in that order. The values may be inputs, constants or computed ones. A value that the loss does not depend
/// on gets zeros.
///
/// # Errors
/// An operator between `by` and `loss` that has no rule is named.
pub fn gradients(graph: &mut Graph, loss: &str, by: &[&str]) -> Result<Vec<String>, OnnxError> {
    let element = by
        .iter()
        .find_map(|name| graph.element_type(name))
        .unwrap_or(ElementType::F32);
    let shapes = graph.shapes();
    let nodes = graph.nodes.clone();
    let active = active_values(&nodes, by);
    let mut backward = Backward {
        graph,
        shapes,
        element,
        active,
    };
    let mut upstream: HashMap<String, Vec<String>> = HashMap::new();
    let one = backward.number(1.0);
    upstream.insert(loss.to_owned(), vec![one]);
    for node in nodes.iter().rev() {
        if !node.input.iter().any(|name| backward.active.contains(name)) {
            continue;
        }
        let mut arriving = Vec::with_capacity(node.output.len());
        for output in &node.output {
            let total = upstream.get(output).map(|parts| backward.sum(parts));
            if let Some(total) = &total {
                upstream.insert(output.clone(), vec![total.clone()]);
            }
            arriving.push(total);
        }
        if arriving.iter().all(Option::is_none) {
            continue;
        }
        let rule = rules::rule_of(node).ok_or_else(|| {
            OnnxError::Model(format!(
                "it cannot be trained through the operator “{}” (node “{}”), which has no gradient rule",
                node.op_type(),
                node_name(node)
            ))
        })?;
        let parts = rule(&mut backward, node, &arriving).map_err(|error| match error {
            OnnxError::Model(message) => {
                OnnxError::Model(format!("{message} (node “{}”)", node_name(node)))
            }
            runtime @ OnnxError::Runtime(_) => runtime,
        })?;
        for (input, part) in node.input.iter().zip(parts) {
            if let Some(part) = part
                && backward.active.contains(input)
            {
                upstream.entry(input.clone()).or_default().push(part);
            }
        }
    }
    let mut found = Vec::with_capacity(by.len());
    for name in by {
        found.push(match upstream.get(*name) {
            Some(parts) => backward.sum(parts),
            None => backward.zeros_like(name),
        });
    }
    Ok(found)
}

/// What a node is called, by its first output where it has no name.
pub(super) fn node_name(node: &NodeProto) -> &str {
    node.name
        .as_deref()
        .filter(|name| !name.is_empty())
        .or_else(|| node.output.first().map(String::as_str))
        .unwrap_or_default()
}

/// The values that depend on one of `by`, themselves included.
fn active_values(nodes: &[NodeProto], by: &[&str]) -> HashSet<String> {
    let mut active: HashSet<String> = by.iter().map(|name| (*name).to_owned()).collect();
    for node in nodes {
        if node.input.iter().any(|name| active.contains(name)) {
            active.extend(node.output.iter().filter(|name| !name.is_empty()).cloned());
        }
    }
    active
}

/// What a rule works with: the graph it appends to, and what is known about its values.
pub struct Backward<'a> {
    graph: &'a mut Graph,
    shapes: Shapes,
    element: ElementType,
    active: HashSet<String>,
}

impl Backward<'_> {
    /// Whether the gradient of an input is wanted; rules skip the work for those that are not.
    #[must_use]
    pub fn wants(&self, node: &NodeProto, input: usize) -> bool {
        node.input
            .get(input)
            .is_some_and(|name| self.active.contains(name))
    }

    /// The name of a node's input.
    pub fn input<'n>(&self, node: &'n NodeProto, index: usize) -> Result<&'n str, OnnxError> {
        node.input
            .get(index)
            .filter(|name| !name.is_empty())
            .map(String::as_str)
            .ok_or_else(|| {
                OnnxError::Model(format!("a node “{}” lacks input {index}", node.op_type()))
            })
    }

    /// The name of a node's input that may be left out.
    #[must_use]
    pub fn optional_input<'n>(&self, node: &'n NodeProto, index: usize) -> Option<&'n str> {
        node.input
            .get(index)
            .filter(|name| !name.is_empty())
            .map(String::as_str)
    }

    /// Adds a node and returns its output.
    pub fn op(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.op_with(operator, inputs, &[])
    }

    /// Adds a node with attributes and returns its output.
    pub fn op_with(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> String {
        let output = self.graph.op_with(operator, inputs, attributes);
        if let Some(node) = self.graph.nodes.last().cloned() {
            self.graph.infer(&node, &mut self.shapes);
        }
        output
    }

    /// A scalar constant of the type that is differentiated in.
    pub fn number(&mut self, value: f64) -> String {
        let tensor = match self.element {
            ElementType::F64 => Tensor::scalar(value),
            _ => Tensor::scalar(value as f32),
        };
        let name = self.graph.constant(&tensor);
        self.shapes.insert(name.clone(), Vec::new());
        name
    }

    /// A constant integer without dimensions.
    pub fn scalar_int(&mut self, value: i64) -> String {
        let name = self.graph.constant(&Tensor::scalar(value));
        self.shapes.insert(name.clone(), Vec::new());
        name
    }

    /// A value in the type that is differentiated in.
    pub fn cast(&mut self, value: &str) -> String {
        let to = Attribute::Int(cast_target(self.element));
        self.op_with("Cast", &[value], &[("to", to)])
    }

    /// A one-dimensional constant of integers.
    pub fn ints(&mut self, values: &[i64]) -> String {
        let name = self.graph.ints(values);
        self.shapes
            .insert(name.clone(), vec![Dim::Fixed(values.len())]);
        name
    }

    /// The shape of a value, when it is known before the graph runs.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<&[Dim]> {
        self.shapes.get(name).map(Vec::as_slice)
    }

    /// The number of dimensions of a value that a rule cannot do without.
    pub fn rank(&self, name: &str) -> Result<usize, OnnxError> {
        self.shape(name).map(<[Dim]>::len).ok_or_else(|| {
            OnnxError::Model(format!(
                "the number of dimensions of “{name}” must be known to train through it"
            ))
        })
    }

    /// The lengths of a value's dimensions from `skip` on, which a rule cannot do without.
    pub fn lens(&self, name: &str, skip: usize) -> Result<Vec<usize>, OnnxError> {
        self.shape(name)
            .and_then(|shape| shape.get(skip..)?.iter().map(Dim::fixed).collect())
            .ok_or_else(|| {
                OnnxError::Model(format!(
                    "the lengths of the dimensions of “{name}” must be known to train through it"
                ))
            })
    }

    /// How the window of a convolution or pool with `kernel` taps slides over `x`.
    pub fn window(&self, node: &NodeProto, x: &str, kernel: &[usize]) -> Result<Window, OnnxError> {
        Window::of(node, &self.lens(x, 2)?, kernel).ok_or_else(|| {
            OnnxError::Model(format!(
                "the window of a “{}” does not fit what it slides over",
                node.op_type()
            ))
        })
    }

    /// The graph that is differentiated.
    #[must_use]
    pub fn graph(&self) -> &Graph {
        self.graph
    }

    /// Gives `value` the shape `target`, in which one length may be -1.
    pub fn reshape(&mut self, value: &str, target: &[i64]) -> String {
        let shape = self.ints(target);
        self.op("Reshape", &[value, &shape])
    }

    /// Puts the dimensions of `value` into another order.
    pub fn transpose(&mut self, value: &str, perm: &[i64]) -> String {
        let perm = Attribute::Ints(perm.to_vec());
        self.op_with("Transpose", &[value], &[("perm", perm)])
    }

    /// Cuts `starts..ends` with `steps` out of the dimensions `axes`.
    pub fn slice(
        &mut self,
        value: &str,
        axes: &[i64],
        starts: &[i64],
        ends: &[i64],
        steps: &[i64],
    ) -> String {
        let [starts, ends, axes, steps] = [starts, ends, axes, steps].map(|ints| self.ints(ints));
        self.op("Slice", &[value, &starts, &ends, &axes, &steps])
    }

    /// The axes a `Reduce…` node goes over, when they are known.
    #[must_use]
    pub fn reduced_axes(&self, node: &NodeProto) -> Option<Vec<usize>> {
        let rank = self.shape(node.input.first()?)?.len();
        self.graph.reduced_axes(node, rank)
    }

    /// The contents of a constant of integers.
    #[must_use]
    pub fn known_ints(&self, name: &str) -> Option<Vec<i64>> {
        self.graph.known_ints(name)
    }

    /// Sums over `axes` (indices from the front).
    pub fn reduce_sum(&mut self, value: &str, axes: &[i64], keep: bool) -> String {
        let axes = self.ints(axes);
        self.op_with(
            "ReduceSum",
            &[value, &axes],
            &[("keepdims", Attribute::Int(i64::from(keep)))],
        )
    }

    /// Gives `value` the shape of `like`, which has as many elements.
    pub fn reshape_like(&mut self, value: &str, like: &str) -> String {
        self.shaped_like("Reshape", value, like)
    }

    /// Applies `operator`, which takes a value and the shape it is to have; nothing to do where the
    /// shapes are known to agree, and a constant where they are known.
    fn shaped_like(&mut self, operator: &str, value: &str, like: &str) -> String {
        if let (Some(have), Some(want)) = (self.shape(value), self.shape(like))
            && have == want
        {
            return value.to_owned();
        }
        let fixed: Option<Vec<i64>> = self.shape(like).and_then(|shape| {
            shape
                .iter()
                .map(|dim| dim.fixed().map(|len| len as i64))
                .collect()
        });
        let shape = match fixed {
            Some(shape) => self.ints(&shape),
            None => self.op("Shape", &[like]),
        };
        let output = self.op(operator, &[value, &shape]);
        self.copy_shape(like, &output);
        output
    }

    /// Notes that two values have the same shape.
    pub fn copy_shape(&mut self, from: &str, to: &str) {
        if let Some(shape) = self.shapes.get(from).cloned() {
            self.shapes.insert(to.to_owned(), shape);
        }
    }

    /// Sums a gradient in the shape of an operation's result over the dimensions that were broadcast, so that
    /// it gets the shape of the operand `like`. With shapes that are known only when the graph runs, the axes
    /// are found there.
    pub fn unbroadcast(&mut self, gradient: &str, like: &str) -> String {
        let (Some(have), Some(want)) = (self.shape(gradient), self.shape(like)) else {
            return self.unbroadcast_at_run_time(gradient, like);
        };
        if have == want {
            return gradient.to_owned();
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
            self.reshape_like(&summed, like)
        }
    }

    fn unbroadcast_at_run_time(&mut self, gradient: &str, like: &str) -> String {
        let have = self.op("Shape", &[gradient]);
        let want = self.op("Shape", &[like]);
        let have_rank = self.op("Shape", &[&have]);
        let want_rank = self.op("Shape", &[&want]);
        let missing = self.op("Sub", &[&have_rank, &want_rank]);
        let ones = self.op_with(
            "ConstantOfShape",
            &[&missing],
            &[("value", Attribute::Tensor(Tensor::new([1], vec![1_i64])))],
        );
        let padded = self.op_with("Concat", &[&ones, &want], &[("axis", Attribute::Int(0))]);
        let same = self.op("Equal", &[&have, &padded]);
        let differs = self.op("Not", &[&same]);
        let at = self.op("NonZero", &[&differs]);
        let flat = self.ints(&[-1]);
        let axes = self.op("Reshape", &[&at, &flat]);
        let summed = self.op_with(
            "ReduceSum",
            &[gradient, &axes],
            &[
                ("keepdims", Attribute::Int(1)),
                ("noop_with_empty_axes", Attribute::Int(1)),
            ],
        );
        let output = self.op("Reshape", &[&summed, &want]);
        self.copy_shape(like, &output);
        output
    }

    /// The sum of the gradients that arrive at one value.
    fn sum(&mut self, parts: &[String]) -> String {
        match parts {
            [one] => one.clone(),
            [first, rest @ ..] => rest
                .iter()
                .fold(first.clone(), |sum, part| self.op("Add", &[&sum, part])),
            [] => self.number(0.0),
        }
    }

    /// Repeats `value` along dimensions of length 1 until it has the shape of `like`.
    pub fn expand_like(&mut self, value: &str, like: &str) -> String {
        self.shaped_like("Expand", value, like)
    }

    /// Zeros in the shape of a value.
    fn zeros_like(&mut self, name: &str) -> String {
        let zero = self.number(0.0);
        let shape = self.op("Shape", &[name]);
        self.op("Expand", &[&zero, &shape])
    }
}
