//! The attributes of an operator, between the file and the fields of its type.

use crate::onnx::proto::AttributeProto;
use crate::onnx::proto::attribute_proto::AttributeType;
use crate::onnx::{Tensor, tensor_from_proto, tensor_to_proto};

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

/// Attributes by name, in the order in which they are written.
pub type Named = Vec<(&'static str, Attribute)>;

/// Attributes that are added to a list where they differ from what the operator takes without them.
pub(super) trait Push {
    /// An integer other than `default`.
    fn int(&mut self, name: &'static str, value: i64, default: i64);
    /// A number other than `default`.
    fn float(&mut self, name: &'static str, value: f32, default: f32);
    /// Integers, if there are any.
    fn ints(&mut self, name: &'static str, values: &[i64]);
    /// Integers, if they are given.
    fn given(&mut self, name: &'static str, values: Option<&[i64]>);
    /// A flag that is set.
    fn flag(&mut self, name: &'static str, value: bool);
}

impl Push for Named {
    fn int(&mut self, name: &'static str, value: i64, default: i64) {
        if value != default {
            self.push((name, Attribute::Int(value)));
        }
    }

    fn float(&mut self, name: &'static str, value: f32, default: f32) {
        if value.to_bits() != default.to_bits() {
            self.push((name, Attribute::Float(value)));
        }
    }

    fn ints(&mut self, name: &'static str, values: &[i64]) {
        self.given(name, Some(values).filter(|values| !values.is_empty()));
    }

    fn given(&mut self, name: &'static str, values: Option<&[i64]>) {
        if let Some(values) = values {
            self.push((name, Attribute::Ints(values.to_vec())));
        }
    }

    fn flag(&mut self, name: &'static str, value: bool) {
        self.int(name, i64::from(value), 0);
    }
}

/// The attributes of a node that is read. Each that is asked for and found counts as read; what is left at the end
/// is something that its operator's type has no place for.
pub(super) struct Attributes<'a> {
    all: &'a [AttributeProto],
    read: Vec<bool>,
    /// Version of the standard operators.
    pub opset: i64,
}

impl<'a> Attributes<'a> {
    pub fn new(all: &'a [AttributeProto], opset: i64) -> Self {
        Self {
            all,
            read: vec![false; all.len()],
            opset,
        }
    }

    /// Whether each attribute was read.
    pub fn is_read(&self) -> bool {
        self.read.iter().all(|read| *read)
    }

    fn take<T>(&mut self, name: &str, of: impl Fn(&'a AttributeProto) -> Option<T>) -> Option<T> {
        let at = self.all.iter().position(|known| known.name() == name)?;
        let value = of(self.all.get(at)?)?;
        if let Some(read) = self.read.get_mut(at) {
            *read = true;
        }
        Some(value)
    }

    /// An integer.
    pub fn int(&mut self, name: &str) -> Option<i64> {
        self.take(name, |attribute| attribute.i)
    }

    /// An integer that says yes or no.
    pub fn flag(&mut self, name: &str) -> bool {
        self.int(name).unwrap_or(0) != 0
    }

    /// A number.
    pub fn float(&mut self, name: &str) -> Option<f32> {
        self.take(name, |attribute| attribute.f)
    }

    /// A text.
    pub fn text(&mut self, name: &str) -> Option<String> {
        let text =
            |attribute: &'a AttributeProto| String::from_utf8(attribute.s.as_ref()?.clone()).ok();
        self.take(name, text)
    }

    /// Integers.
    pub fn ints(&mut self, name: &str) -> Option<Vec<i64>> {
        let is = |attribute: &AttributeProto| attribute.r#type() == AttributeType::Ints;
        self.take(name, |attribute| {
            (is(attribute) || !attribute.ints.is_empty()).then(|| attribute.ints.clone())
        })
    }

    /// Numbers.
    pub fn floats(&mut self, name: &str) -> Option<Vec<f32>> {
        let is = |attribute: &AttributeProto| attribute.r#type() == AttributeType::Floats;
        self.take(name, |attribute| {
            (is(attribute) || !attribute.floats.is_empty()).then(|| attribute.floats.clone())
        })
    }

    /// A tensor.
    pub fn tensor(&mut self, name: &str) -> Option<Tensor> {
        self.take(name, |attribute| {
            tensor_from_proto(attribute.t.as_ref()?).ok()
        })
    }

    /// Passes over an attribute of older versions that has the value it always had.
    pub fn ignore(&mut self, name: &str, usual: i64) {
        self.take(name, |attribute| {
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
