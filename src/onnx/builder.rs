//! Building a graph in memory: inputs, constants, nodes, outputs.
//!
//! Values are named by strings, as in the file format. [`Graph::op`] adds a node with one output and returns
//! the output's name, so that graphs read like formulas.

use std::collections::HashSet;

use super::proto::attribute_proto::AttributeType;
use super::proto::{
    AttributeProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
    tensor_shape_proto, type_proto,
};
use super::wire::{data_type, element_of_data_type, tensor_from_proto, tensor_to_proto};
use super::{ElementType, OnnxError, Tensor};

/// The version of the standard operators that new graphs use. Old enough for every runtime of the last years.
pub const OPSET: i64 = 17;

/// One dimension of a shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dim {
    /// A known length.
    Fixed(usize),
    /// A length that is known when the graph runs; the same name means the same length.
    Free(String),
}

impl From<usize> for Dim {
    fn from(len: usize) -> Self {
        Self::Fixed(len)
    }
}

impl From<&str> for Dim {
    fn from(name: &str) -> Self {
        Self::Free(name.to_owned())
    }
}

impl Dim {
    /// The length, when it is known.
    #[must_use]
    pub fn fixed(&self) -> Option<usize> {
        match self {
            Self::Fixed(len) => Some(*len),
            Self::Free(_) => None,
        }
    }
}

/// The value of an operator's attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// A number without fraction.
    Int(i64),
    /// A number.
    Float(f32),
    /// A text.
    Text(String),
    /// Numbers without fraction.
    Ints(Vec<i64>),
    /// Numbers.
    Floats(Vec<f32>),
    /// A tensor.
    Tensor(Tensor),
}

/// A graph and what belongs to it in a model file.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    /// Its name.
    pub name: String,
    /// Version of the standard operators.
    pub opset: i64,
    /// Other operator domains in use, with their versions.
    pub other_opsets: Vec<(String, i64)>,
    /// Nodes in an order in which each comes after those it reads from.
    pub nodes: Vec<NodeProto>,
    /// Inputs.
    pub inputs: Vec<ValueInfoProto>,
    /// Outputs.
    pub outputs: Vec<ValueInfoProto>,
    /// Constants.
    pub initializers: Vec<TensorProto>,
    /// Types and shapes of values in between, as far as somebody wrote them down.
    pub value_infos: Vec<ValueInfoProto>,
    /// Custom metadata of the model, in the order of their addition.
    pub metadata: Vec<(String, String)>,
    pub(super) names: HashSet<String>,
    pub(super) next_name: usize,
}

impl Graph {
    /// An empty graph.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            opset: OPSET,
            other_opsets: Vec::new(),
            nodes: Vec::new(),
            inputs: Vec::new(),
            outputs: Vec::new(),
            initializers: Vec::new(),
            value_infos: Vec::new(),
            metadata: Vec::new(),
            names: HashSet::new(),
            next_name: 0,
        }
    }

    /// A name that no value of the graph has yet, beginning with `hint`.
    pub fn unique(&mut self, hint: &str) -> String {
        loop {
            let name = format!("{hint}_{}", self.next_name);
            self.next_name += 1;
            if self.names.insert(name.clone()) {
                return name;
            }
        }
    }

    /// Keeps the names of another graph's values from being given to new ones.
    pub fn reserve(&mut self, other: &Self) {
        self.names.extend(other.names.iter().cloned());
    }

    /// Adds an input and returns its name.
    pub fn input(&mut self, name: &str, element: ElementType, shape: &[Dim]) -> String {
        self.names.insert(name.to_owned());
        self.inputs.push(value_info(name, element, shape));
        name.to_owned()
    }

    /// Declares the value `name` to be an output.
    pub fn output(&mut self, name: &str, element: ElementType, shape: &[Dim]) {
        self.outputs.push(value_info(name, element, shape));
    }

    /// Gives a value a second, chosen name and declares that to be an output.
    pub fn output_as(&mut self, value: &str, name: &str, element: ElementType, shape: &[Dim]) {
        self.node("Identity", &[value], &[name], &[]);
        self.output(name, element, shape);
    }

    /// Adds a constant under a chosen name and returns the name.
    pub fn initializer(&mut self, name: &str, tensor: &Tensor) -> String {
        self.names.insert(name.to_owned());
        self.initializers.push(tensor_to_proto(name, tensor));
        name.to_owned()
    }

    /// Adds a constant under a new name and returns the name.
    pub fn constant(&mut self, tensor: &Tensor) -> String {
        let name = self.unique("constant");
        self.initializers.push(tensor_to_proto(&name, tensor));
        name
    }

    /// Adds a one-dimensional constant of integers: axes, shapes.
    pub fn ints(&mut self, values: &[i64]) -> String {
        self.constant(&Tensor::new([values.len()], values.to_vec()))
    }

    /// Adds a node with one output and returns the output's new name.
    pub fn op(&mut self, operator: &str, inputs: &[&str]) -> String {
        self.op_with(operator, inputs, &[])
    }

    /// Adds a node with attributes and one output, and returns the output's new name.
    pub fn op_with(
        &mut self,
        operator: &str,
        inputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) -> String {
        let output = self.unique(operator);
        self.node(operator, inputs, &[&output], attributes);
        output
    }

    /// Adds a node with chosen names of its outputs. An empty name is an input or output left out.
    pub fn node(
        &mut self,
        operator: &str,
        inputs: &[&str],
        outputs: &[&str],
        attributes: &[(&str, Attribute)],
    ) {
        for output in outputs {
            self.names.insert((*output).to_owned());
        }
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        self.nodes.push(NodeProto {
            op_type: Some(operator.to_owned()),
            input: owned(inputs),
            output: owned(outputs),
            attribute: attributes
                .iter()
                .map(|(name, value)| attribute_to_proto(name, value))
                .collect(),
            ..NodeProto::default()
        });
    }

    /// Sets a custom metadata entry.
    pub fn set_metadata(&mut self, key: &str, value: &str) {
        match self.metadata.iter_mut().find(|(known, _)| known == key) {
            Some((_, known)) => value.clone_into(known),
            None => self.metadata.push((key.to_owned(), value.to_owned())),
        }
    }

    /// A constant's contents, `None` when there is no such constant.
    pub fn initializer_value(&self, name: &str) -> Result<Option<Tensor>, OnnxError> {
        self.initializers
            .iter()
            .find(|tensor| tensor.name() == name)
            .map(tensor_from_proto)
            .transpose()
    }

    /// The declared element type of an input, output, constant or described value.
    #[must_use]
    pub fn element_type(&self, name: &str) -> Option<ElementType> {
        self.described(name)
            .and_then(|info| match info.r#type.as_ref()?.value.as_ref()? {
                type_proto::Value::TensorType(tensor) => element_of_data_type(tensor.elem_type()),
                _ => None,
            })
            .or_else(|| {
                self.initializers
                    .iter()
                    .find(|tensor| tensor.name() == name)
                    .and_then(|tensor| element_of_data_type(tensor.data_type()))
            })
    }

    /// The declared shape of an input, output, constant or described value.
    #[must_use]
    pub fn shape(&self, name: &str) -> Option<Vec<Dim>> {
        self.described(name).and_then(shape_of).or_else(|| {
            self.initializers
                .iter()
                .find(|tensor| tensor.name() == name)
                .map(|tensor| {
                    tensor
                        .dims
                        .iter()
                        .map(|dim| Dim::Fixed(usize::try_from(*dim).unwrap_or(0)))
                        .collect()
                })
        })
    }

    fn described(&self, name: &str) -> Option<&ValueInfoProto> {
        self.inputs
            .iter()
            .chain(&self.value_infos)
            .chain(&self.outputs)
            .find(|info| info.name() == name)
    }
}

/// The attribute `name` of a node as an integer.
#[must_use]
pub fn attribute_int(node: &NodeProto, name: &str) -> Option<i64> {
    attribute(node, name).and_then(|attribute| attribute.i)
}

/// The attribute `name` of a node as a number.
#[must_use]
pub fn attribute_float(node: &NodeProto, name: &str) -> Option<f32> {
    attribute(node, name).and_then(|attribute| attribute.f)
}

/// The attribute `name` of a node as integers.
#[must_use]
pub fn attribute_ints<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    attribute(node, name).map(|attribute| attribute.ints.as_slice())
}

/// The attribute `name` of a node as numbers.
#[must_use]
pub fn attribute_floats<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [f32]> {
    attribute(node, name).map(|attribute| attribute.floats.as_slice())
}

/// The attribute `name` of a node as a text.
#[must_use]
pub fn attribute_text<'a>(node: &'a NodeProto, name: &str) -> Option<&'a str> {
    attribute(node, name)
        .and_then(|attribute| attribute.s.as_deref())
        .and_then(|bytes| std::str::from_utf8(bytes).ok())
}

/// The contents of a `Constant` node, `None` for other nodes and for kinds of constants that are no numbers.
#[must_use]
pub fn constant_value(node: &NodeProto) -> Option<Tensor> {
    if node.op_type() != "Constant" {
        return None;
    }
    if let Some(tensor) = attribute(node, "value").and_then(|attribute| attribute.t.as_ref()) {
        return tensor_from_proto(tensor).ok();
    }
    if let Some(value) = attribute_float(node, "value_float") {
        return Some(Tensor::scalar(value));
    }
    if let Some(value) = attribute_int(node, "value_int") {
        return Some(Tensor::scalar(value));
    }
    if let Some(values) = attribute_ints(node, "value_ints") {
        return Some(Tensor::new([values.len()], values.to_vec()));
    }
    let values = &attribute(node, "value_floats")?.floats;
    Some(Tensor::new([values.len()], values.clone()))
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a AttributeProto> {
    node.attribute
        .iter()
        .find(|attribute| attribute.name() == name)
}

fn attribute_to_proto(name: &str, value: &Attribute) -> AttributeProto {
    let mut proto = AttributeProto {
        name: Some(name.to_owned()),
        ..AttributeProto::default()
    };
    let kind = match value {
        Attribute::Int(value) => {
            proto.i = Some(*value);
            AttributeType::Int
        }
        Attribute::Float(value) => {
            proto.f = Some(*value);
            AttributeType::Float
        }
        Attribute::Text(value) => {
            proto.s = Some(value.as_bytes().to_vec());
            AttributeType::String
        }
        Attribute::Ints(values) => {
            proto.ints.clone_from(values);
            AttributeType::Ints
        }
        Attribute::Floats(values) => {
            proto.floats.clone_from(values);
            AttributeType::Floats
        }
        Attribute::Tensor(tensor) => {
            proto.t = Some(tensor_to_proto("", tensor));
            AttributeType::Tensor
        }
    };
    proto.set_type(kind);
    proto
}

/// Name, element type and shape of a value in the file format.
#[must_use]
pub fn value_info(name: &str, element: ElementType, shape: &[Dim]) -> ValueInfoProto {
    use tensor_shape_proto::{Dimension, dimension::Value};
    let dim = shape
        .iter()
        .map(|dim| Dimension {
            denotation: None,
            value: Some(match dim {
                Dim::Fixed(len) => Value::DimValue(*len as i64),
                Dim::Free(name) => Value::DimParam(name.clone()),
            }),
        })
        .collect();
    ValueInfoProto {
        name: Some(name.to_owned()),
        r#type: Some(TypeProto {
            denotation: None,
            value: Some(type_proto::Value::TensorType(type_proto::Tensor {
                elem_type: Some(data_type(element) as i32),
                shape: Some(TensorShapeProto { dim }),
            })),
        }),
        ..ValueInfoProto::default()
    }
}

/// The shape in a description; a dimension that is not told is free under an empty name.
fn shape_of(info: &ValueInfoProto) -> Option<Vec<Dim>> {
    use tensor_shape_proto::dimension::Value;
    let type_proto::Value::TensorType(tensor) = info.r#type.as_ref()?.value.as_ref()? else {
        return None;
    };
    Some(
        tensor
            .shape
            .as_ref()?
            .dim
            .iter()
            .map(|dim| match &dim.value {
                Some(Value::DimValue(len)) => {
                    usize::try_from(*len).map_or_else(|_| Dim::Free(String::new()), Dim::Fixed)
                }
                Some(Value::DimParam(name)) => Dim::Free(name.clone()),
                None => Dim::Free(String::new()),
            })
            .collect(),
    )
}
