//! The attributes of an operator: converted between `AttributeProto`s of a file and the fields of its type.

use crate::onnx::proto::AttributeProto;
use crate::onnx::proto::attribute_proto::AttributeType;
use crate::onnx::{
    ElementType, Tensor, cast_target, element_of, tensor_from_proto, tensor_to_proto,
};

/// The value of an operator's attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute {
    /// An integer.
    Int(i64),
    /// A float.
    Float(f32),
    /// A string.
    Text(String),
    /// Integers.
    Ints(Vec<i64>),
    /// Floats.
    Floats(Vec<f32>),
    /// A tensor.
    Tensor(Tensor),
}

/// Reads or writes the attributes of one operator. A family names each field once, in its `spell`, for both
/// directions.
pub(super) struct Spelling<'a> {
    /// Version of the standard operators (opset).
    pub opset: i64,
    /// When reading: the node's attributes, and whether each was asked for. `None` when writing.
    node: Option<(&'a [AttributeProto], Vec<bool>)>,
    written: Vec<AttributeProto>,
    refused: bool,
}

impl<'a> Spelling<'a> {
    /// A spelling that reads a node's attributes.
    pub fn of_node(attributes: &'a [AttributeProto], opset: i64) -> Self {
        Self {
            opset,
            node: Some((attributes, vec![false; attributes.len()])),
            written: Vec::new(),
            refused: false,
        }
    }

    /// A spelling that collects attributes to be written.
    pub fn for_node(opset: i64) -> Self {
        Self {
            opset,
            node: None,
            written: Vec::new(),
            refused: false,
        }
    }

    /// Whether every attribute of the node was asked for and had a valid value.
    pub fn fits(&self) -> bool {
        let read = |(_, read): &(_, Vec<bool>)| read.iter().all(|read| *read);
        !self.refused && self.node.as_ref().is_none_or(read)
    }

    /// The attributes written, sorted by name.
    pub fn into_written(mut self) -> Vec<AttributeProto> {
        self.written.sort_by(|a, b| a.name().cmp(b.name()));
        self.written
    }

    /// Reports that this node is not an operator of the family after all.
    pub fn refuse(&mut self) {
        self.refused = true;
    }

    /// Reads the node's attribute of that name with `of`; a value that `of` rejects makes the node unfit.
    fn found<T>(&mut self, name: &str, of: impl Fn(&'a AttributeProto) -> Option<T>) -> Option<T> {
        let (all, read) = self.node.as_mut()?;
        let at = all.iter().position(|known| known.name() == name)?;
        let value = of(all.get(at)?)?;
        if let Some(read) = read.get_mut(at) {
            *read = true;
        }
        Some(value)
    }

    /// Reads a value, or writes the attribute in `to_write` if there is one.
    fn value<T: Clone>(
        &mut self,
        name: &str,
        value: &mut T,
        default: T,
        of: impl Fn(&'a AttributeProto) -> Option<T>,
        to_write: Option<Attribute>,
    ) {
        if self.node.is_some() {
            *value = self.found(name, of).unwrap_or(default);
        } else if let Some(to_write) = to_write {
            self.written.push(to_proto(name, &to_write));
        }
    }

    /// An integer that is always written, even if it has its default value.
    pub fn always(&mut self, name: &str, value: &mut i64, default: i64) {
        let to_write = Some(Attribute::Int(*value));
        self.value(name, value, default, |attribute| attribute.i, to_write);
    }

    /// An integer with a default.
    pub fn int(&mut self, name: &str, value: &mut i64, default: i64) {
        let to_write = (*value != default).then_some(Attribute::Int(*value));
        self.value(name, value, default, |attribute| attribute.i, to_write);
    }

    /// An optional integer.
    pub fn given_int(&mut self, name: &str, value: &mut Option<i64>) {
        let to_write = value.map(Attribute::Int);
        self.value(
            name,
            value,
            None,
            |attribute| attribute.i.map(Some),
            to_write,
        );
    }

    /// A Boolean, stored as the integer 0 or 1.
    pub fn flag(&mut self, name: &str, value: &mut bool, default: bool) {
        let mut number = i64::from(*value);
        self.int(name, &mut number, i64::from(default));
        *value = number != 0;
    }

    /// A float with a default.
    pub fn float(&mut self, name: &str, value: &mut f32, default: f32) {
        let same = value.to_bits() == default.to_bits();
        let to_write = (!same).then_some(Attribute::Float(*value));
        self.value(name, value, default, |attribute| attribute.f, to_write);
    }

    /// An optional float.
    pub fn given_float(&mut self, name: &str, value: &mut Option<f32>) {
        let to_write = value.map(Attribute::Float);
        self.value(
            name,
            value,
            None,
            |attribute| attribute.f.map(Some),
            to_write,
        );
    }

    /// Integers; an empty list is not written.
    pub fn ints(&mut self, name: &str, values: &mut Vec<i64>) {
        let mut given = Some(std::mem::take(values)).filter(|values| !values.is_empty());
        self.given_ints(name, &mut given);
        *values = given.unwrap_or_default();
    }

    /// Optional integers.
    pub fn given_ints(&mut self, name: &str, values: &mut Option<Vec<i64>>) {
        let of = |attribute: &AttributeProto| {
            let is = attribute.r#type() == AttributeType::Ints || !attribute.ints.is_empty();
            is.then(|| Some(attribute.ints.clone()))
        };
        let to_write = values.clone().map(Attribute::Ints);
        self.value(name, values, None, of, to_write);
    }

    /// Floats; an empty list is not written.
    pub fn floats(&mut self, name: &str, values: &mut Vec<f32>) {
        let of = |attribute: &AttributeProto| {
            let is = attribute.r#type() == AttributeType::Floats || !attribute.floats.is_empty();
            is.then(|| attribute.floats.clone())
        };
        let to_write = (!values.is_empty()).then(|| Attribute::Floats(values.clone()));
        self.value(name, values, Vec::new(), of, to_write);
    }

    /// An optional tensor.
    pub fn tensor(&mut self, name: &str, value: &mut Option<Tensor>) {
        let of = |attribute: &AttributeProto| {
            let tensor = tensor_from_proto(attribute.t.as_ref()?).ok()?;
            Some(Some(tensor))
        };
        let to_write = value.clone().map(Attribute::Tensor);
        self.value(name, value, None, of, to_write);
    }

    /// A choice by name. The first one is the default, for which no attribute is written.
    pub fn choice<T: Copy + PartialEq>(&mut self, name: &str, value: &mut T, names: &[(T, &str)]) {
        let mut text = names
            .iter()
            .skip(1)
            .find(|(known, _)| known == value)
            .map(|(_, name)| (*name).to_owned());
        self.text(name, &mut text);
        let named = text.is_none_or(|text| {
            let known = names.iter().find(|(_, name)| *name == text);
            known.map(|(known, _)| *value = *known).is_some()
        });
        if !named {
            self.refuse();
        }
    }

    /// An optional string.
    pub fn text(&mut self, name: &str, value: &mut Option<String>) {
        let of =
            |attribute: &AttributeProto| Some(Some(String::from_utf8(attribute.s.clone()?).ok()?));
        let to_write = value.clone().map(Attribute::Text);
        self.value(name, value, None, of, to_write);
    }

    /// The type of a tensor's elements; types that tensors cannot have make the node unfit.
    pub fn element(&mut self, name: &str, value: &mut ElementType) {
        let mut number = cast_target(*value);
        self.always(name, &mut number, 0);
        match element_of(number) {
            Some(element) => *value = element,
            None => self.refuse(),
        }
    }

    /// Accepts an attribute without a field of its own if its value is `usual`, its only meaningful value here.
    pub fn ignore(&mut self, name: &str, usual: i64) {
        self.found(name, |attribute| {
            attribute.i.filter(|value| *value == usual)
        });
    }
}

/// An attribute in the form of the file.
pub(super) fn to_proto(name: &str, value: &Attribute) -> AttributeProto {
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
