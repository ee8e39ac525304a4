//! Extracting a part of a graph, and removing what is not needed.

use std::collections::HashSet;

use crate::graph::value::{Fact, ValueId};
use crate::graph::{Graph, GraphError};

impl Graph {
    /// Removes all outputs; their values stay.
    pub fn clear_outputs(&mut self) {
        self.outputs.clear();
    }

    /// Turns a constant or computed value into an input.
    pub fn make_input(&mut self, value: ValueId) {
        if let Some(index) = self.value(value).producer {
            self.retain_nodes(|at, _| at != index);
        }
        self.value_mut(value).fact.constant = None;
        self.value_mut(value).foreign = None;
        if !self.inputs.contains(&value) {
            self.inputs.push(value);
        }
    }

    /// Removes nodes and constants that no output needs. Inputs stay, used or not. Identities of other values stay
    /// valid.
    pub fn prune(&mut self) {
        let mut needed = vec![false; self.values.len()];
        for output in &self.outputs {
            needed[output.index()] = true;
        }
        let mut kept = vec![false; self.nodes.len()];
        for (kept, node) in kept.iter_mut().zip(&self.nodes).rev() {
            if node.makes().any(|value| needed[value.index()]) {
                *kept = true;
                for read in node.reads() {
                    needed[read.index()] = true;
                }
            }
        }
        self.retain_nodes(|at, _| kept[at]);
        for node in &self.nodes {
            for made in node.makes() {
                needed[made.index()] = true;
            }
        }
        for input in &self.inputs {
            needed[input.index()] = true;
        }
        for (index, needed) in needed.into_iter().enumerate() {
            if !needed {
                self.drop_value(ValueId::at(index));
            }
        }
    }

    /// Removes a value that is not needed: frees its name and its contents.
    fn drop_value(&mut self, id: ValueId) {
        let value = self.value_mut(id);
        value.fact = Fact::default();
        value.foreign = None;
        let name = value.name.clone();
        if self.names.get(&name) == Some(&id) {
            self.names.remove(&name);
        }
    }

    /// The part of the graph that computes `outputs` from `inputs`, without the nodes that compute `inputs`.
    /// Identities of values stay valid. Fails if an output depends on another input of the graph, or is not a computed
    /// value.
    pub fn part(&self, inputs: &[ValueId], outputs: &[ValueId]) -> Result<Self, GraphError> {
        let mut part = self.clone();
        let given: HashSet<ValueId> = inputs.iter().copied().collect();
        part.retain_nodes(|_, node| !node.makes().any(|value| given.contains(&value)));
        for input in inputs {
            let value = part.value_mut(*input);
            value.fact.constant = None;
            value.foreign = None;
        }
        part.inputs = inputs.to_vec();
        part.outputs = outputs.to_vec();
        part.prune();
        let is_unknown = |value: &ValueId| {
            let known = part.value(*value);
            !given.contains(value)
                && known.producer.is_none()
                && known.fact.constant.is_none()
                && known.foreign.is_none()
        };
        let missing = part
            .nodes
            .iter()
            .find_map(|node| node.reads().find(is_unknown));
        if let Some(value) = missing {
            return Err(GraphError::Model(format!(
                "the requested part also needs “{}”",
                self.name_of(value)
            )));
        }
        for output in outputs {
            if part.value(*output).producer.is_none() {
                return Err(GraphError::Model(format!(
                    "nothing in it computes “{}”",
                    self.name_of(*output)
                )));
            }
        }
        Ok(part)
    }
}
