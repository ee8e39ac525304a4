//! Renaming values, and joining graphs.

use crate::graph::value::ValueId;
use crate::graph::{Graph, GraphError};

/// The values of a graph after it was appended to another one.
#[derive(Debug)]
pub struct Joined(Vec<ValueId>);

impl Joined {
    /// The value that a value of the appended graph became.
    ///
    /// # Panics
    /// If `value` belongs to another graph.
    #[must_use]
    pub fn get(&self, value: ValueId) -> ValueId {
        self.0[value.index()]
    }
}

impl Graph {
    /// Prepends `prefix` to the name of every value and node, so that two graphs can be joined.
    pub fn prefix(&mut self, prefix: &str) {
        self.names.clear();
        for (index, value) in self.values.iter_mut().enumerate() {
            value.name = format!("{prefix}{}", value.name).into();
            self.names.insert(value.name.clone(), ValueId::at(index));
        }
        for node in &mut self.nodes {
            if !node.name.is_empty() {
                node.name = format!("{prefix}{}", node.name);
            }
        }
    }

    /// Appends another graph. `connect` pairs inputs of it with values of this graph; its other inputs become inputs
    /// of the whole, its outputs become outputs. Names must be unique (see [`Graph::prefix`]). Outputs of this graph
    /// stay outputs.
    pub fn append(
        &mut self,
        other: Self,
        connect: &[(ValueId, ValueId)],
    ) -> Result<Joined, GraphError> {
        if self.opset != other.opset {
            return Err(GraphError::Model(format!(
                "graphs of operator versions {} and {} cannot be joined",
                self.opset, other.opset
            )));
        }
        let mut joined = Vec::with_capacity(other.values.len());
        for (index, mut value) in other.values.into_iter().enumerate() {
            let id = ValueId::at(index);
            if let Some((_, known)) = connect.iter().find(|(input, _)| *input == id) {
                joined.push(*known);
                continue;
            }
            // A removed value has given up its name.
            if other.names.get(&value.name) == Some(&id) {
                if self.names.contains_key(&value.name) {
                    return Err(GraphError::Model(format!(
                        "both graphs have a value “{}”",
                        value.name
                    )));
                }
                let new = ValueId::at(self.values.len());
                self.names.insert(value.name.clone(), new);
            }
            joined.push(ValueId::at(self.values.len()));
            value.producer = None;
            self.values.push(value);
        }
        let joined = Joined(joined);
        for opset in other.other_opsets {
            if !self.other_opsets.contains(&opset) {
                self.other_opsets.push(opset);
            }
        }
        for mut node in other.nodes {
            node.map_reads(|value| joined.get(value));
            for output in node.outputs.iter_mut().flatten() {
                *output = joined.get(*output);
            }
            self.push_node(node);
        }
        let is_connected = |input: &ValueId| connect.iter().any(|(known, _)| known == input);
        let free = other.inputs.iter().filter(|input| !is_connected(input));
        self.inputs.extend(free.map(|input| joined.get(*input)));
        self.outputs
            .extend(other.outputs.iter().map(|output| joined.get(*output)));
        for (key, value) in other.metadata {
            self.set_metadata(&key, &value);
        }
        Ok(joined)
    }
}
