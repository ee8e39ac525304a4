//! The attributes of an operator, between the file and the fields of its type.

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
    /// A number.
    Float(f32),
    /// A text.
    Text(String),
    /// Integers.
    Ints(Vec<i64>),
    /// Numbers.
    Floats(Vec<f32>),
    /// A tensor.
    Tensor(Tensor),
}

/// The attributes of one operator as its family spells them: each field is named once, and is read from a node or
/// written to one.
pub(super) struct Spelling<'a> {
    /// Version of the standard operators.
    pub opset: i64,
    /// The attributes of the node that is read, and whether each was asked for; `None` when one is written.
    node: Option<(&'a [AttributeProto], Vec<bool>)>,
    written: Vec<AttributeProto>,
    refused: bool,
}

impl<'a> Spelling<'a> {
    /// Reads a node.
    pub fn of_node(attributes: &'a [AttributeProto], opset: i64) -> Self {
        Self {
            opset,
            node: Some((attributes, vec![false; attributes.len()])),
            written: Vec::new(),
            refused: false,
        }
    }

    /// Writes a node.
    pub fn for_node(opset: i64) -> Self {
        Self {
            opset,
            node: None,
            written: Vec::new(),
            refused: false,
        }
    }

    /// Whether all attributes of the node that was read had a place.
    pub fn fits(&self) -> bool {
        let read = |(_, read): &(_, Vec<bool>)| read.iter().all(|read| *read);
        !self.refused && self.node.as_ref().is_none_or(read)
    }

    /// What was written, sorted by name.
    pub fn into_written(mut self) -> Vec<AttributeProto> {
        self.written.sort_by(|a, b| a.name().cmp(b.name()));
        self.written
    }

    /// Reports that the node does not belong to the family, in spite of its name.
    pub fn refuse(&mut self) {
        self.refused = true;
    }

    /// What the node that is read has under a name.
    fn found<T>(&mut self, name: &str, of: impl Fn(&'a AttributeProto) -> Option<T>) -> Option<T> {
        let (all, read) = self.node.as_mut()?;
        let at = all.iter().position(|known| known.name() == name)?;
        let value = of(all.get(at)?)?;
        if let Some(read) = read.get_mut(at) {
            *read = true;
        }
        Some(value)
    }

    /// Reads a value, or writes what is `said` of it.
    fn value<T: Clone>(
        &mut self,
        name: &str,
        value: &mut T,
        default: T,
        of: impl Fn(&'a AttributeProto) -> Option<T>,
        said: Option<Attribute>,
    ) {
        if self.node.is_some() {
            *value = self.found(name, of).unwrap_or(default);
        } else if let Some(said) = said {
            self.written.push(to_proto(name, &said));
        }
    }

    /// An integer that is written always.
    pub fn always(&mut self, name: &str, value: &mut i64, default: i64) {
        let said = Some(Attribute::Int(*value));
        self.value(name, value, default, |attribute| attribute.i, said);
    }

    /// An integer.
    pub fn int(&mut self, name: &str, value: &mut i64, default: i64) {
        let said = (*value != default).then_some(Attribute::Int(*value));
        self.value(name, value, default, |attribute| attribute.i, said);
    }

    /// An integer, if there is one.
    pub fn given_int(&mut self, name: &str, value: &mut Option<i64>) {
        let said = value.map(Attribute::Int);
        self.value(name, value, None, |attribute| attribute.i.map(Some), said);
    }

    /// An integer that says yes or no.
    pub fn flag(&mut self, name: &str, value: &mut bool, default: bool) {
        let mut number = i64::from(*value);
        self.int(name, &mut number, i64::from(default));
        *value = number != 0;
    }

    /// A number.
    pub fn float(&mut self, name: &str, value: &mut f32, default: f32) {
        let same = value.to_bits() == default.to_bits();
        let said = (!same).then_some(Attribute::Float(*value));
        self.value(name, value, default, |attribute| attribute.f, said);
    }

    /// A number, if there is one.
    pub fn given_float(&mut self, name: &str, value: &mut Option<f32>) {
        let said = value.map(Attribute::Float);
        self.value(name, value, None, |attribute| attribute.f.map(Some), said);
    }

    /// Integers; none where the list is empty.
    pub fn ints(&mut self, name: &str, values: &mut Vec<i64>) {
        let mut given = Some(std::mem::take(values)).filter(|values| !values.is_empty());
        self.given_ints(name, &mut given);
        *values = given.unwrap_or_default();
    }

    /// Integers, if they are given.
    pub fn given_ints(&mut self, name: &str, values: &mut Option<Vec<i64>>) {
        let of = |attribute: &AttributeProto| {
            let is = attribute.r#type() == AttributeType::Ints || !attribute.ints.is_empty();
            is.then(|| Some(attribute.ints.clone()))
        };
        let said = values.clone().map(Attribute::Ints);
        self.value(name, values, None, of, said);
    }

    /// Numbers; none where the list is empty.
    pub fn floats(&mut self, name: &str, values: &mut Vec<f32>) {
        let of = |attribute: &AttributeProto| {
            let is = attribute.r#type() == AttributeType::Floats || !attribute.floats.is_empty();
            is.then(|| attribute.floats.clone())
        };
        let said = (!values.is_empty()).then(|| Attribute::Floats(values.clone()));
        self.value(name, values, Vec::new(), of, said);
    }

    /// A tensor, if there is one.
    pub fn tensor(&mut self, name: &str, value: &mut Option<Tensor>) {
        let of = |attribute: &AttributeProto| {
            let tensor = tensor_from_proto(attribute.t.as_ref()?).ok()?;
            Some(Some(tensor))
        };
        let said = value.clone().map(Attribute::Tensor);
        self.value(name, value, None, of, said);
    }

    /// One of several things that have names; the first one holds without the attribute.
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

    /// A text, if there is one.
    pub fn text(&mut self, name: &str, value: &mut Option<String>) {
        let of =
            |attribute: &AttributeProto| Some(Some(String::from_utf8(attribute.s.clone()?).ok()?));
        let said = value.clone().map(Attribute::Text);
        self.value(name, value, None, of, said);
    }

    /// The type of elements, which must be one that tensors can have.
    pub fn element(&mut self, name: &str, value: &mut ElementType) {
        let mut number = cast_target(*value);
        self.always(name, &mut number, 0);
        match element_of(number) {
            Some(element) => *value = element,
            None => self.refuse(),
        }
    }

    /// Passes over an attribute of other versions that has the value it always had.
    pub fn ignore(&mut self, name: &str, usual: i64) {
        self.found(name, |attribute| {
            attribute.i.filter(|value| *value == usual)
        });
    }
}

/// An attribute as it stands in a file.
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
