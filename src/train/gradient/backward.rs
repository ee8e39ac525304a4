//! The walk backwards, and what rules ask about the graph.

use std::collections::{HashMap, HashSet};

use crate::onnx::proto::NodeProto;
use crate::onnx::{Dim, ElementType, Graph, OnnxError, Shapes, Window};

use super::rules;

/// Appends to `graph` the derivatives of the scalar `loss` by each of the values `by` and returns their names,
/// in that order. The values may be inputs, constants or computed ones. A value that the loss does not depend
/// on gets zeros.
///
/// # Errors
/// An operator between `by` and `loss` that has no rule is named.
pub fn gradients(graph: &mut Graph, loss: &str, by: &[&str]) -> Result<Vec<String>, OnnxError> {
    let nodes = graph.nodes.clone();
    let mut backward = Backward::new(graph, by);
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
    pub(super) graph: &'a mut Graph,
    pub(super) shapes: Shapes,
    pub(super) element: ElementType,
    active: HashSet<String>,
}

impl<'a> Backward<'a> {
    /// At the end of `graph`, of which derivatives by the values `by` are wanted.
    pub(super) fn new(graph: &'a mut Graph, by: &[&str]) -> Self {
        let element = by
            .iter()
            .find_map(|name| graph.element_type(name))
            .unwrap_or(ElementType::F32);
        Self {
            shapes: graph.shapes(),
            element,
            active: active_values(&graph.nodes, by),
            graph,
        }
    }
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

    /// The node of that operator which a value comes from, whatever shape it was given since.
    #[must_use]
    pub fn maker(&self, value: &str, operator: &str) -> Option<&NodeProto> {
        let mut name = value;
        loop {
            let makes = |node: &&NodeProto| node.output.first().is_some_and(|made| made == name);
            let node = self.graph.nodes.iter().rev().find(makes)?;
            match node.op_type() {
                found if found == operator => return Some(node),
                "Reshape" => name = node.input.first()?,
                _ => return None,
            }
        }
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
}
