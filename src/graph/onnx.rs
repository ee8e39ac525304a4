//! Graphs as model files: the only place that knows how ONNX stores nodes and values.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use prost::Message;

use crate::onnx::proto::{
    AttributeProto, GraphProto, ModelProto, NodeProto, OperatorSetIdProto, StringStringEntryProto,
    TensorProto, TensorShapeProto, TypeProto, ValueInfoProto, tensor_shape_proto, type_proto,
};
use crate::onnx::{ElementType, Tensor};
use crate::onnx::{cast_target, element_of, tensor_from_proto, tensor_to_proto};

use super::attributes::Spelling;
use super::op::Other;
use super::structure::Node;
use super::value::{Dim, Fact, Foreign, ValueId};
use super::{Graph, GraphError, Op};

/// The version of the file format that belongs to a version of the operators. Runtimes refuse versions newer than they
/// know.
fn ir_version(opset: i64) -> i64 {
    match opset {
        ..15 => 7,
        15..19 => 8,
        19..21 => 9,
        _ => 10,
    }
}

impl Graph {
    /// Reads a graph from the bytes of a model file. `Constant` nodes become constants.
    pub fn from_onnx(model: &[u8]) -> Result<Self, GraphError> {
        let model = ModelProto::decode(model)
            .map_err(|error| GraphError::Model(format!("it is not an ONNX file ({error})")))?;
        let file = model
            .graph
            .ok_or_else(|| GraphError::Model("the file holds no graph".into()))?;
        let mut graph = Self::new(file.name());
        graph.opset = 0;
        for import in model.opset_import {
            match import.domain() {
                "" | "ai.onnx" => graph.opset = import.version(),
                domain => graph
                    .other_opsets
                    .push((domain.to_owned(), import.version())),
            }
        }
        graph.metadata = model
            .metadata_props
            .into_iter()
            .map(|entry| {
                (
                    entry.key.unwrap_or_default(),
                    entry.value.unwrap_or_default(),
                )
            })
            .collect();
        graph.read(file)?;
        Ok(graph)
    }

    fn read(&mut self, file: GraphProto) -> Result<(), GraphError> {
        for info in &file.input {
            let input = self.known_or_new(info.name());
            self.describe(input, info);
            self.inputs.push(input);
        }
        for mut tensor in file.initializer {
            let value = self.known_or_new(tensor.name());
            if element_of(i64::from(tensor.data_type())).is_some() {
                let contents = tensor_from_proto(&tensor)?;
                self.value_mut(value).fact = Fact::of_constant(Arc::new(contents));
            } else {
                tensor.name = None;
                self.value_mut(value).foreign = Some(Arc::new(Foreign::Constant(Box::new(tensor))));
            }
        }
        let described: HashMap<&str, &ValueInfoProto> = file
            .value_info
            .iter()
            .chain(&file.output)
            .map(|info| (info.name(), info))
            .collect();
        for node in &file.node {
            self.read_node(node, &described)?;
        }
        for info in &file.output {
            let output = self.named(info.name())?;
            self.outputs.push(output);
        }
        Ok(())
    }

    fn read_node(
        &mut self,
        node: &NodeProto,
        described: &HashMap<&str, &ValueInfoProto>,
    ) -> Result<(), GraphError> {
        if let (Some(contents), [name]) = (constant(node), node.output.as_slice()) {
            let value = self.known_or_new(name);
            self.value_mut(value).fact = Fact::of_constant(Arc::new(contents));
            return Ok(());
        }
        let mut op = Op::of_file(node.domain(), node.op_type(), &node.attribute, self.opset);
        if let Op::Other(other) = &mut op {
            other.captures = self.captures(&other.attributes);
        }
        let mut inputs = Vec::with_capacity(node.input.len());
        for name in &node.input {
            inputs.push(if name.is_empty() {
                None
            } else {
                Some(self.named(name)?)
            });
        }
        let mut outputs = Vec::with_capacity(node.output.len());
        for name in &node.output {
            outputs.push((!name.is_empty()).then(|| {
                let output = self.known_or_new(name);
                if let Some(info) = described.get(name.as_str()) {
                    self.describe(output, info);
                }
                output
            }));
        }
        self.push_node(Node {
            name: node.name().to_owned(),
            op,
            inputs,
            outputs,
        });
        Ok(())
    }

    fn known_or_new(&mut self, name: &str) -> ValueId {
        self.find(name)
            .unwrap_or_else(|| self.add_value(name, Fact::default()))
    }

    /// Records the type and shape that a file declares for a value.
    fn describe(&mut self, id: ValueId, info: &ValueInfoProto) {
        let Some(found) = &info.r#type else { return };
        match &found.value {
            Some(type_proto::Value::TensorType(tensor))
                if tensor.elem_type() == 0
                    || element_of(i64::from(tensor.elem_type())).is_some() =>
            {
                let fact = &mut self.value_mut(id).fact;
                fact.element = element_of(i64::from(tensor.elem_type()));
                fact.shape = tensor.shape.as_ref().map(dims);
            }
            _ => self.value_mut(id).foreign = Some(Arc::new(Foreign::Type(found.clone()))),
        }
    }

    /// The values of this graph that subgraphs in attributes read, by name.
    fn captures(&self, attributes: &[AttributeProto]) -> Vec<(String, ValueId)> {
        let mut names = Vec::new();
        for attribute in attributes {
            for graph in attribute.g.iter().chain(&attribute.graphs) {
                outer_names(graph, &mut names);
            }
        }
        let known = |name: String| self.find(&name).map(|value| (name, value));
        names.into_iter().filter_map(known).collect()
    }

    /// The graph as the bytes of a model file.
    #[must_use]
    pub fn to_onnx(&self) -> Vec<u8> {
        let opset_import = std::iter::once((String::new(), self.opset))
            .chain(self.other_opsets.iter().cloned())
            .map(|(domain, version)| OperatorSetIdProto {
                domain: Some(domain),
                version: Some(version),
            })
            .collect();
        let metadata_props = self
            .metadata
            .iter()
            .map(|(key, value)| StringStringEntryProto {
                key: Some(key.clone()),
                value: Some(value.clone()),
            })
            .collect();
        ModelProto {
            ir_version: Some(ir_version(self.opset)),
            opset_import,
            producer_name: Some("salamander".into()),
            producer_version: Some(env!("CARGO_PKG_VERSION").into()),
            graph: Some(self.write()),
            metadata_props,
        }
        .encode_to_vec()
    }

    fn write(&self) -> GraphProto {
        let infos = |values: &[ValueId]| values.iter().map(|value| self.info(*value)).collect();
        let mut file = GraphProto {
            name: Some(self.name.clone()),
            input: infos(&self.inputs),
            output: infos(&self.outputs),
            ..GraphProto::default()
        };
        let mut used: HashSet<ValueId> = self.outputs.iter().copied().collect();
        for node in &self.nodes {
            used.extend(node.reads());
            file.node.push(self.node_to_file(node));
            file.value_info.extend(self.declared(node));
        }
        for index in 0..self.values.len() {
            let id = ValueId::at(index);
            if !used.contains(&id) {
                continue;
            }
            if let Some(tensor) = self.constant_of(id) {
                file.initializer
                    .push(tensor_to_proto(self.name_of(id), tensor));
            } else if let Some(Foreign::Constant(tensor)) = self.foreign(id) {
                let mut tensor = TensorProto::clone(tensor);
                tensor.name = Some(self.name_of(id).to_owned());
                file.initializer.push(tensor);
            }
        }
        file
    }

    fn node_to_file(&self, node: &Node) -> NodeProto {
        let names = |values: &[Option<ValueId>]| {
            let name = |value: &Option<ValueId>| {
                value.map_or_else(String::new, |value| self.name_of(value).to_owned())
            };
            values.iter().map(name).collect()
        };
        let mut attribute = node.op.attributes(self.opset);
        if let Op::Other(Other { captures, .. }) = &node.op {
            let renamed: HashMap<&str, &str> = captures
                .iter()
                .map(|(name, value)| (name.as_str(), self.name_of(*value)))
                .collect();
            for attribute in &mut attribute {
                for graph in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                    rename_outer(graph, &renamed);
                }
            }
        }
        NodeProto {
            name: Some(node.name.clone()).filter(|name| !name.is_empty()),
            op_type: Some(node.op.op_type().to_owned()),
            domain: Some(node.op.domain().to_owned()).filter(|domain| !domain.is_empty()),
            input: names(&node.inputs),
            output: names(&node.outputs),
            attribute,
        }
    }

    /// Declarations of the results of a node whose operator is unknown: they could not be inferred again.
    fn declared(&self, node: &Node) -> Vec<ValueInfoProto> {
        let is_declared = |value: &ValueId| {
            let fact = self.fact(*value);
            let known = fact.element.is_some() || self.foreign(*value).is_some();
            known && matches!(node.op, Op::Other(_)) && !self.outputs.contains(value)
        };
        let declared = node.makes().filter(is_declared);
        declared.map(|value| self.info(value)).collect()
    }

    /// A value in the form in which a file declares it.
    fn info(&self, id: ValueId) -> ValueInfoProto {
        let fact = self.fact(id);
        let r#type = match self.foreign(id) {
            Some(Foreign::Type(found)) => Some(found.clone()),
            _ => fact
                .element
                .map(|element| tensor_type(element, fact.shape.as_deref())),
        };
        ValueInfoProto {
            name: Some(self.name_of(id).to_owned()),
            r#type,
        }
    }
}

fn tensor_type(element: ElementType, shape: Option<&[Dim]>) -> TypeProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dimension = |dim: &Dim| Dimension {
        value: match dim {
            Dim::Fixed(len) => Some(Value::DimValue(*len as i64)),
            Dim::Free(name) if name.is_empty() => None,
            Dim::Free(name) => Some(Value::DimParam(name.clone())),
        },
    };
    let shape = shape.map(|shape| TensorShapeProto {
        dim: shape.iter().map(dimension).collect(),
    });
    TypeProto {
        value: Some(type_proto::Value::TensorType(type_proto::Tensor {
            elem_type: Some(cast_target(element) as i32),
            shape,
        })),
    }
}

/// A shape read from a file; a dimension without a length or name is free and has an empty name.
fn dims(shape: &TensorShapeProto) -> Vec<Dim> {
    use tensor_shape_proto::dimension::Value;
    let dims = shape.dim.iter().map(|dim| match &dim.value {
        Some(Value::DimValue(len)) => {
            usize::try_from(*len).map_or_else(|_| Dim::Free(String::new()), Dim::Fixed)
        }
        Some(Value::DimParam(name)) => Dim::Free(name.clone()),
        None => Dim::Free(String::new()),
    });
    dims.collect()
}

/// The tensor of a `Constant` node; `None` for other nodes and for constants that are no tensors of numbers.
fn constant(node: &NodeProto) -> Option<Tensor> {
    if node.op_type() != "Constant" || !matches!(node.domain(), "" | "ai.onnx") {
        return None;
    }
    let mut spelling = Spelling::of_node(&node.attribute, 0);
    let (mut tensor, mut float, mut int) = (None, None, None);
    let (mut ints, mut floats) = (None, Vec::new());
    spelling.tensor("value", &mut tensor);
    spelling.given_float("value_float", &mut float);
    spelling.given_int("value_int", &mut int);
    spelling.given_ints("value_ints", &mut ints);
    spelling.floats("value_floats", &mut floats);
    let list = |values: Vec<i64>| Tensor::new([values.len()], values);
    tensor
        .or(float.map(Tensor::scalar))
        .or(int.map(Tensor::scalar))
        .or(ints.map(list))
        .or((!floats.is_empty()).then(|| Tensor::new([floats.len()], floats)))
}

/// Adds the names that a subgraph reads from the graph around it.
fn outer_names(graph: &GraphProto, names: &mut Vec<String>) {
    let defined = defined_names(graph);
    let mut read = Vec::new();
    for node in &graph.node {
        read.extend(node.input.iter().filter(|name| !name.is_empty()).cloned());
        for attribute in &node.attribute {
            for inner in attribute.g.iter().chain(&attribute.graphs) {
                outer_names(inner, &mut read);
            }
        }
    }
    read.extend(graph.output.iter().map(|info| info.name().to_owned()));
    for name in read {
        if !defined.contains(name.as_str()) && !names.contains(&name) {
            names.push(name);
        }
    }
}

fn defined_names(graph: &GraphProto) -> HashSet<&str> {
    let inputs = graph.input.iter().map(ValueInfoProto::name);
    let constants = graph.initializer.iter().map(TensorProto::name);
    let outputs = graph.node.iter().flat_map(|node| &node.output);
    inputs
        .chain(constants)
        .chain(outputs.map(String::as_str))
        .collect()
}

/// Renames the values that a subgraph reads from the graph around it.
fn rename_outer(graph: &mut GraphProto, renamed: &HashMap<&str, &str>) {
    let defined: HashSet<String> = defined_names(graph)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let rename = |name: &mut String| {
        if let Some(new) = renamed.get(name.as_str())
            && !defined.contains(name)
        {
            (*new).clone_into(name);
        }
    };
    for node in &mut graph.node {
        node.input.iter_mut().for_each(rename);
        for attribute in &mut node.attribute {
            for inner in attribute.g.iter_mut().chain(&mut attribute.graphs) {
                rename_outer(inner, renamed);
            }
        }
    }
    for output in &mut graph.output {
        output.name.iter_mut().for_each(rename);
    }
}
