//! How far back from the output a network can be trained.

use std::collections::HashSet;

use crate::graph::{Graph, ValueId};

/// The part of a graph that can be trained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// The nodes that the output depends on and that have no gradient rule, first to last.
    pub without_rule: Vec<WithoutRule>,
    /// The earliest values from which gradients reach the output: the results of the last nodes without a rule, or the
    /// graph's inputs if all operators have rules. In the order in which they are computed.
    pub from: Vec<ValueId>,
}

/// A node without a gradient rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WithoutRule {
    /// Its operator.
    pub operator: String,
    /// Its name, or that of its first output where it has none.
    pub node: String,
}

/// Finds the earliest values from which all operators up to `output` have gradient rules. Constants are left out.
#[must_use]
pub fn reach(graph: &Graph, output: ValueId) -> Reach {
    // Values that the output depends on, and those of them that a gradient of the output reaches.
    let mut needed: HashSet<ValueId> = HashSet::from([output]);
    let mut reached: HashSet<ValueId> = HashSet::from([output]);
    let mut found = Reach {
        without_rule: Vec::new(),
        from: Vec::new(),
    };
    for node in graph.nodes.iter().rev() {
        if !node.makes().any(|value| needed.contains(&value)) {
            continue;
        }
        let reaches = node.makes().any(|value| reached.contains(&value));
        let has_rule = node.op.has_gradient();
        if !has_rule {
            found.without_rule.push(WithoutRule {
                operator: node.op.op_type().to_owned(),
                node: graph.name_of_node(node).to_owned(),
            });
            let mut last: Vec<_> = node
                .makes()
                .filter(|value| reached.contains(value))
                .collect();
            last.reverse();
            found.from.extend(last);
        }
        // Inputs that only give shapes or indices do not count.
        for (at, input) in node.inputs.iter().enumerate() {
            if let Some(input) = input
                && node.op.passes_on(at)
            {
                needed.insert(*input);
                if has_rule && reaches {
                    reached.insert(*input);
                }
            }
        }
    }
    let inputs = graph.inputs.iter().rev().copied();
    let free = |input: &ValueId| reached.contains(input) && graph.constant_of(*input).is_none();
    found.from.extend(inputs.filter(free));
    found.from.reverse();
    found.without_rule.reverse();
    found
}
