//! How far back through a graph a gradient can go.

use std::collections::HashSet;

use crate::onnx::Graph;
use crate::onnx::proto::{NodeProto, ValueInfoProto};

use super::backward::node_name;
use super::rules::{passes_on, rule_of};

/// From where on a graph can be trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The nodes that the output depends on and that have no rule, first to last.
    pub without_rule: Vec<WithoutRule>,
    /// The earliest values from which on all operators up to the output have rules: the last results of nodes
    /// without one, and the graph's inputs where nothing is in the way. In the order in which they come about.
    pub from: Vec<String>,
}

/// A node that no gradient can pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithoutRule {
    /// Its operator.
    pub operator: String,
    /// Its name, or that of its first output where it has none.
    pub node: String,
}

/// Finds from where on the way to `output` all operators have gradient rules. Constants are on no way.
#[must_use]
pub fn reach(graph: &Graph, output: &str) -> Reach {
    // Values that the output depends on, and those of them that a gradient of the output gets to.
    let mut needed: HashSet<&str> = HashSet::from([output]);
    let mut reached: HashSet<&str> = HashSet::from([output]);
    let mut found = Reach {
        without_rule: Vec::new(),
        from: Vec::new(),
    };
    for node in graph.nodes.iter().rev() {
        let makes = |values: &HashSet<&str>| {
            node.output
                .iter()
                .any(|name| values.contains(name.as_str()))
        };
        if !makes(&needed) {
            continue;
        }
        let ruled = rule_of(node).is_some();
        if !ruled {
            found.without_rule.push(WithoutRule {
                operator: node.op_type().to_owned(),
                node: node_name(node).to_owned(),
            });
            let last = node
                .output
                .iter()
                .filter(|name| reached.contains(name.as_str()));
            found.from.extend(last.rev().cloned());
        }
        let goes_on = ruled && makes(&reached);
        for (_, name) in on_the_way(node) {
            needed.insert(name);
            if goes_on {
                reached.insert(name);
            }
        }
    }
    let constant = |name: &str| graph.initializers.iter().any(|known| known.name() == name);
    let inputs = graph.inputs.iter().rev().map(ValueInfoProto::name);
    let free = inputs.filter(|name| reached.contains(name) && !constant(name));
    found.from.extend(free.map(str::to_owned));
    found.from.reverse();
    found.without_rule.reverse();
    found
}

/// The inputs of a node whose values its result is made of, not just shaped or placed by.
fn on_the_way(node: &NodeProto) -> impl Iterator<Item = (usize, &str)> {
    node.input
        .iter()
        .map(String::as_str)
        .enumerate()
        .filter(|(at, name)| !name.is_empty() && passes_on(node, *at))
}
