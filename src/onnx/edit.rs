//! Editing graphs: renaming values, joining graphs, dropping what nothing needs.

use std::collections::{HashMap, HashSet};

use super::proto::NodeProto;
use super::{Graph, OnnxError};

impl Graph {
    /// Renames one value everywhere it is used.
    pub fn rename(&mut self, from: &str, to: &str) {
        self.rename_all(&|name| (name == from).then(|| to.to_owned()));
    }

    /// Puts `prefix` before the name of every value and node, so that two graphs can be joined.
    pub fn prefix(&mut self, prefix: &str) {
        self.rename_all(&|name| Some(format!("{prefix}{name}")));
        for node in &mut self.nodes {
            if let Some(name) = &mut node.name {
                *name = format!("{prefix}{name}");
            }
        }
    }

    fn rename_all(&mut self, rename: &dyn Fn(&str) -> Option<String>) {
        let apply = |name: &mut String| {
            // An empty name stands for an input or output that is left out.
            if !name.is_empty()
                && let Some(new) = rename(name)
            {
                *name = new;
            }
        };
        for node in &mut self.nodes {
            node.input.iter_mut().for_each(apply);
            node.output.iter_mut().for_each(apply);
        }
        for info in self
            .inputs
            .iter_mut()
            .chain(&mut self.outputs)
            .chain(&mut self.value_infos)
        {
            info.name.iter_mut().for_each(apply);
        }
        for tensor in &mut self.initializers {
            tensor.name.iter_mut().for_each(apply);
        }
        self.names = self
            .names
            .drain()
            .map(|name| rename(&name).unwrap_or(name))
            .collect();
    }

    /// Appends another graph. `connect` says which of its inputs read which values of this graph; its other
    /// inputs become inputs, and its outputs become outputs, of the whole. No two values may have one name
    /// (see [`Graph::prefix`]); outputs of this graph stay outputs.
    pub fn append(&mut self, mut other: Self, connect: &[(&str, &str)]) -> Result<(), OnnxError> {
        if self.opset != other.opset {
            return Err(OnnxError::Model(format!(
                "graphs of operator versions {} and {} cannot be joined",
                self.opset, other.opset
            )));
        }
        for (input, value) in connect {
            let Some(at) = other.inputs.iter().position(|info| info.name() == *input) else {
                return Err(OnnxError::Model(format!("it has no input “{input}”")));
            };
            if !self.names.contains(*value) {
                return Err(OnnxError::Model(format!("it has no value “{value}”")));
            }
            other.inputs.remove(at);
            other.names.remove(*input);
            for node in &mut other.nodes {
                for name in &mut node.input {
                    if name == input {
                        (*value).clone_into(name);
                    }
                }
            }
        }
        if let Some(twice) = self.names.intersection(&other.names).next() {
            return Err(OnnxError::Model(format!(
                "both graphs have a value “{twice}”"
            )));
        }
        for opset in other.other_opsets {
            if !self.other_opsets.contains(&opset) {
                self.other_opsets.push(opset);
            }
        }
        self.nodes.append(&mut other.nodes);
        self.inputs.append(&mut other.inputs);
        self.outputs.append(&mut other.outputs);
        self.initializers.append(&mut other.initializers);
        self.value_infos.append(&mut other.value_infos);
        self.names.extend(other.names);
        for (key, value) in other.metadata {
            self.set_metadata(&key, &value);
        }
        Ok(())
    }

    /// Drops the output `name` from the list of outputs (its value stays until [`Graph::prune`]).
    pub fn remove_output(&mut self, name: &str) {
        self.outputs.retain(|info| info.name() != name);
    }

    /// Drops nodes and constants that no output needs. Inputs stay, used or not.
    pub fn prune(&mut self) {
        let mut needed: HashSet<String> = self
            .outputs
            .iter()
            .map(|info| info.name().to_owned())
            .collect();
        let mut kept = Vec::new();
        for node in self.nodes.drain(..).rev() {
            if node.output.iter().any(|name| needed.contains(name)) {
                needed.extend(node.input.iter().cloned());
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
        self.initializers
            .retain(|tensor| needed.contains(tensor.name()));
        let computed: HashSet<&str> = self
            .nodes
            .iter()
            .flat_map(|node| node.output.iter().map(String::as_str))
            .collect();
        self.value_infos
            .retain(|info| computed.contains(info.name()));
    }

    /// For each value the index of the node that computes it.
    #[must_use]
    pub fn producers(&self) -> HashMap<&str, usize> {
        self.nodes
            .iter()
            .enumerate()
            .flat_map(|(index, node)| node.output.iter().map(move |name| (name.as_str(), index)))
            .filter(|(name, _)| !name.is_empty())
            .collect()
    }

    /// The nodes that read the value `name`.
    pub fn consumers<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a NodeProto> {
        self.nodes
            .iter()
            .filter(move |node| node.input.iter().any(|input| input == name))
    }
}
