//! Editing graphs: renaming values, joining graphs, dropping what nothing needs.

use std::collections::{HashMap, HashSet};

use super::proto::{NodeProto, ValueInfoProto};
use super::{
    Element, ElementType, Graph, OnnxError, Tensor, attribute_int, cast_target, constant_value,
    tensor_to_proto,
};

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

    /// Gives the `f32` constant `name` other contents of the same shape. It may be an initializer or what
    /// [`Graph::fold_constants`] makes one of, such as the `Cast` of a weight that is stored as fp16: that node is then
    /// dropped and an f32 initializer takes its place, so that nothing is rounded.
    pub fn replace_constant(&mut self, name: &str, tensor: &Tensor) -> Result<(), OnnxError> {
        tensor.checked()?;
        tensor.f32()?;
        let reading = self.producers().get(name).copied();
        let present = match reading.and_then(|index| self.nodes.get(index)) {
            Some(node) => self.reading(node)?,
            None => self.initializer_value(name)?,
        };
        let present =
            present.ok_or_else(|| OnnxError::Model(format!("there is no weight “{name}”")))?;
        if present.f32().is_err() {
            return Err(OnnxError::Model(format!("“{name}” holds no 32-bit floats")));
        }
        if present.shape != tensor.shape {
            return Err(OnnxError::Model(format!(
                "“{name}” should have the shape {:?}, not {:?}",
                present.shape, tensor.shape
            )));
        }
        let new = tensor_to_proto(name, tensor);
        let Some(index) = reading else {
            let mut all = self.initializers.iter_mut();
            if let Some(present) = all.find(|constant| constant.name() == name) {
                *present = new;
            }
            return Ok(());
        };
        let node = self.nodes.remove(index);
        for stored in &node.input {
            if self.consumers(stored).next().is_none() {
                self.initializers
                    .retain(|constant| constant.name() != stored);
                self.names.remove(stored);
            }
        }
        self.value_infos.retain(|info| info.name() != name);
        self.initializers.push(new);
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

    /// The part of the graph that computes `outputs` from `inputs`, which are values of this graph; what
    /// computes the inputs is left out. Fails when an output depends on another input of the graph, or is no
    /// computed value.
    pub fn part(
        &self,
        inputs: Vec<ValueInfoProto>,
        outputs: Vec<ValueInfoProto>,
    ) -> Result<Self, OnnxError> {
        let mut part = self.clone();
        let given: HashSet<String> = inputs.iter().map(|info| info.name().to_owned()).collect();
        part.nodes
            .retain(|node| !node.output.iter().any(|name| given.contains(name)));
        part.initializers
            .retain(|tensor| !given.contains(tensor.name()));
        part.inputs = inputs;
        part.outputs = outputs;
        part.prune();
        let constants: HashSet<&str> = part
            .initializers
            .iter()
            .map(super::proto::TensorProto::name)
            .collect();
        let producers = part.producers();
        let known = |name: &str| {
            name.is_empty()
                || given.contains(name)
                || constants.contains(name)
                || producers.contains_key(name)
        };
        let read = part.nodes.iter().flat_map(|node| &node.input);
        if let Some(name) = read.into_iter().find(|name| !known(name)) {
            return Err(OnnxError::Model(format!(
                "the part of it that was asked for also needs “{name}”"
            )));
        }
        for info in &part.outputs {
            if !producers.contains_key(info.name()) {
                return Err(OnnxError::Model(format!(
                    "nothing in it computes “{}”",
                    info.name()
                )));
            }
        }
        drop((constants, producers));
        let named = part.nodes.iter().flat_map(|node| node.output.iter());
        part.names = named
            .cloned()
            .chain(given)
            .chain(
                part.initializers
                    .iter()
                    .map(|tensor| tensor.name().to_owned()),
            )
            .collect();
        Ok(part)
    }

    /// Makes plain constants of what is only a reading of constants: `Cast` between fp16 and fp32,
    /// `Identity`, and `Constant` nodes. Names stay, so that a weight that is stored as
    /// fp16 becomes an f32 constant under the name by which its users know it. Also chains of whole numbers
    /// ([`Graph::fold_integers`]).
    pub fn fold_constants(&mut self) -> Result<(), OnnxError> {
        let mut kept = Vec::with_capacity(self.nodes.len());
        for node in std::mem::take(&mut self.nodes) {
            let value = self.reading(&node)?;
            let is_output = |name: &str| self.outputs.iter().any(|info| info.name() == name);
            match (value, node.output.as_slice()) {
                (Some(value), [output]) if !is_output(output) => {
                    self.initializers.push(tensor_to_proto(output, &value));
                }
                _ => kept.push(node),
            }
        }
        self.nodes = kept;
        self.fold_integers()?;
        // What only the folded nodes read.
        self.prune();
        Ok(())
    }

    /// What a node yields that only reads a constant; `None` when it computes something.
    fn reading(&self, node: &NodeProto) -> Result<Option<Tensor>, OnnxError> {
        let constant = || match node.input.first() {
            Some(name) => self.initializer_value(name),
            None => Ok(None),
        };
        Ok(match node.op_type() {
            "Constant" => constant_value(node),
            "Identity" => constant()?,
            "Cast" => constant()?.and_then(|tensor| cast(tensor, attribute_int(node, "to"))),
            _ => None,
        })
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

/// A constant as floats of the type `to` (the number that a `Cast` has); `None` for other casts.
fn cast(tensor: Tensor, to: Option<i64>) -> Option<Tensor> {
    let Tensor { shape, data } = tensor;
    let is = |element| to == Some(cast_target(element));
    let data: Element = match data {
        Element::F16(values) if is(ElementType::F32) => values
            .iter()
            .map(|value| value.to_f32())
            .collect::<Vec<_>>()
            .into(),
        Element::F16(values) if is(ElementType::F16) => values.into(),
        Element::F32(values) if is(ElementType::F32) => values.into(),
        _ => return None,
    };
    Some(Tensor { shape, data })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use crate::onnx::{Attribute, Session};

    use super::*;

    /// `2 + 3` with constants of every kind, each replaced and the graph run.
    #[test]
    fn constants_of_every_kind_are_replaced() {
        let of = |value: f32| Tensor::new([1], vec![value]);
        let to = ("to", Attribute::Int(cast_target(ElementType::F32)));
        let half = Tensor::new([1], vec![half::f16::from_f32(2.0)]);
        let mut graph = Graph::new("sum");
        graph.initializer("plain", &of(1.0));
        graph.initializer("stored", &half);
        graph.node("Cast", &["stored"], &["cast"], std::slice::from_ref(&to));
        graph.node("Cast", &["stored"], &["other"], &[to]);
        graph.node("Identity", &["plain"], &["same"], &[]);
        graph.node(
            "Constant",
            &[],
            &["made"],
            &[("value", Attribute::Tensor(of(3.0)))],
        );
        let all = ["plain", "cast", "other", "same", "made"];
        graph.node("Sum", &all, &["sum"], &[]);
        graph.output("sum", ElementType::F32, &[1.into()]);
        let sum = |graph: &Graph| {
            let mut session = Session::from_bytes(&graph.to_bytes(), 1).unwrap();
            let sum = session.run(&[], &["sum"]).unwrap().remove(0);
            sum.f32().unwrap()[0]
        };
        assert!((sum(&graph) - 9.0).abs() < 1e-6);
        for (name, value, expected) in [
            // What else reads the same constant keeps it.
            ("cast", 20.0, 27.0),
            ("other", 40.0, 65.0),
            ("same", 5.0, 69.0),
            ("made", 0.0, 66.0),
            ("plain", 0.25, 65.25),
            ("cast", 0.0, 45.25),
        ] {
            graph.replace_constant(name, &of(value)).unwrap();
            assert!((sum(&graph) - expected).abs() < 1e-6, "{name}");
        }
        assert_eq!(graph.nodes.len(), 1);
        assert_eq!(graph.initializers.len(), 5, "nothing unread is left");
        assert!(graph.replace_constant("sum", &of(1.0)).is_err());
        let wide = Tensor::new([1, 1], vec![1.0_f32]);
        assert!(graph.replace_constant("cast", &wide).is_err());
    }
}
