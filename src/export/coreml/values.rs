//! Types and constants of a program as protobuf messages.

use crate::onnx::{Element, ElementType};

use super::schema::dimension::{ConstantDimension, Dimension as Length};
use super::schema::tensor_value::{
    RepeatedBools, RepeatedBytes, RepeatedFloats, RepeatedInts, RepeatedStrings, Value as Numbers,
};
use super::schema::value::immediate_value::Value as Immediate;
use super::schema::value::{BlobFileValue, ImmediateValue, Value as Where};
use super::schema::value_type::Type;
use super::schema::{
    DataType, Dimension, ListType, ListValue, TensorType, TensorValue, Value, ValueType,
};

/// The type of a tensor, or of a scalar if there are no dimensions.
pub(super) fn tensor_type(data_type: DataType, lens: &[usize]) -> ValueType {
    ValueType {
        r#type: Some(Type::TensorType(TensorType {
            data_type: data_type as i32,
            rank: lens.len() as i64,
            dimensions: lens.iter().copied().map(dimension).collect(),
        })),
    }
}

fn dimension(len: usize) -> Dimension {
    let size = len as u64;
    Dimension {
        dimension: Some(Length::Constant(ConstantDimension { size })),
    }
}

/// The type of elements in the file; `None` for types that programs do not have.
pub(super) fn data_type(element: ElementType) -> Option<DataType> {
    match element {
        ElementType::F32 => Some(DataType::Float32),
        ElementType::F16 => Some(DataType::Float16),
        ElementType::I32 => Some(DataType::Int32),
        ElementType::Bool => Some(DataType::Bool),
        _ => None,
    }
}

/// A constant stored in the program itself.
pub(super) fn immediate(data_type: DataType, lens: &[usize], numbers: Numbers) -> Value {
    let tensor = TensorValue {
        value: Some(numbers),
    };
    Value {
        r#type: Some(tensor_type(data_type, lens)),
        value: Some(Where::ImmediateValue(ImmediateValue {
            value: Some(Immediate::Tensor(tensor)),
        })),
    }
}

/// A string.
pub(super) fn text(text: &str) -> Value {
    let values = vec![text.to_owned()];
    immediate(
        DataType::String,
        &[],
        Numbers::Strings(RepeatedStrings { values }),
    )
}

/// A Boolean.
pub(super) fn flag(flag: bool) -> Value {
    let values = vec![flag];
    immediate(
        DataType::Bool,
        &[],
        Numbers::Bools(RepeatedBools { values }),
    )
}

/// An integer.
pub(super) fn int(value: i64) -> Value {
    immediate(DataType::Int32, &[], whole(&[value]))
}

/// A list of integers.
pub(super) fn ints(values: &[i64]) -> Value {
    immediate(DataType::Int32, &[values.len()], whole(values))
}

fn whole(values: &[i64]) -> Numbers {
    let values = values.iter().map(|value| {
        let limit = if *value < 0 { i32::MIN } else { i32::MAX };
        i32::try_from(*value).unwrap_or(limit)
    });
    Numbers::Ints(RepeatedInts {
        values: values.collect(),
    })
}

/// A tensor of floats; `None` for other element types.
pub(super) fn floats(data: &Element, lens: &[usize]) -> Option<Value> {
    match data {
        Element::F32(values) => {
            let numbers = Numbers::Floats(RepeatedFloats {
                values: values.clone(),
            });
            Some(immediate(DataType::Float32, lens, numbers))
        }
        Element::F16(_) => {
            let values = data.to_le_bytes();
            let numbers = Numbers::Bytes(RepeatedBytes { values });
            Some(immediate(DataType::Float16, lens, numbers))
        }
        _ => None,
    }
}

/// A constant in the file of weights.
pub(super) fn in_file(data_type: DataType, lens: &[usize], file_name: &str, offset: u64) -> Value {
    Value {
        r#type: Some(tensor_type(data_type, lens)),
        value: Some(Where::BlobFileValue(BlobFileValue {
            file_name: file_name.to_owned(),
            offset,
        })),
    }
}

/// A list of strings.
pub(super) fn texts(texts: &[String]) -> Value {
    let element = Box::new(tensor_type(DataType::String, &[]));
    let list = ListType {
        r#type: Some(element),
        length: Some(dimension(texts.len())),
    };
    let values = texts.iter().map(|one| text(one)).collect();
    Value {
        r#type: Some(ValueType {
            r#type: Some(Type::ListType(Box::new(list))),
        }),
        value: Some(Where::ImmediateValue(ImmediateValue {
            value: Some(Immediate::List(ListValue { values })),
        })),
    }
}
