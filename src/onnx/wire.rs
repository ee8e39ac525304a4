//! Converts tensors to and from their form in model files.

use half::f16;

use super::proto::TensorProto;
use super::proto::tensor_proto::DataType;
use super::{Element, ElementType, OnnxError, Tensor};

fn data_type(element: ElementType) -> DataType {
    match element {
        ElementType::F32 => DataType::Float,
        ElementType::F64 => DataType::Double,
        ElementType::F16 => DataType::Float16,
        ElementType::I64 => DataType::Int64,
        ElementType::I32 => DataType::Int32,
        ElementType::U8 => DataType::Uint8,
        ElementType::I8 => DataType::Int8,
        ElementType::Bool => DataType::Bool,
    }
}

/// The number of an element type in model files.
#[must_use]
pub fn cast_target(element: ElementType) -> i64 {
    i64::from(data_type(element) as i32)
}

/// The element type with that number in model files, if tensors here support it.
#[must_use]
pub fn element_of(data_type: i64) -> Option<ElementType> {
    let data_type = i32::try_from(data_type).ok()?;
    Some(match DataType::try_from(data_type).ok()? {
        DataType::Float => ElementType::F32,
        DataType::Double => ElementType::F64,
        DataType::Float16 => ElementType::F16,
        DataType::Int64 => ElementType::I64,
        DataType::Int32 => ElementType::I32,
        DataType::Uint8 => ElementType::U8,
        DataType::Int8 => ElementType::I8,
        DataType::Bool => ElementType::Bool,
        _ => return None,
    })
}

/// A tensor in the form of model files, with little-endian raw data.
#[must_use]
pub fn tensor_to_proto(name: &str, tensor: &Tensor) -> TensorProto {
    TensorProto {
        name: Some(name.to_owned()),
        dims: tensor.shape.iter().map(|dim| *dim as i64).collect(),
        data_type: Some(data_type(tensor.data.element_type()) as i32),
        raw_data: Some(tensor.data.to_le_bytes()),
        ..TensorProto::default()
    }
}

impl Element {
    /// The elements in little-endian order; Booleans as 0 and 1.
    #[must_use]
    pub fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(values) => bytes(values, f32::to_le_bytes),
            Self::F64(values) => bytes(values, f64::to_le_bytes),
            Self::F16(values) => bytes(values, f16::to_le_bytes),
            Self::I64(values) => bytes(values, i64::to_le_bytes),
            Self::I32(values) => bytes(values, i32::to_le_bytes),
            Self::U8(values) => values.clone(),
            Self::I8(values) => bytes(values, i8::to_le_bytes),
            Self::Bool(values) => values.iter().map(|value| u8::from(*value)).collect(),
        }
    }
}

/// Numbers as bytes, in one block that is allocated once: weights are megabytes.
fn bytes<T: Copy, const N: usize>(values: &[T], of: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    let mut bytes = vec![0; N * values.len()];
    for (bytes, value) in bytes.as_chunks_mut().0.iter_mut().zip(values) {
        *bytes = of(*value);
    }
    bytes
}

/// Converts a tensor of a model file, from raw data or from typed fields.
pub fn tensor_from_proto(proto: &TensorProto) -> Result<Tensor, OnnxError> {
    let wrong = |what: &str| OnnxError::Model(format!("its constant “{}” {what}", proto.name()));
    let element = element_of(i64::from(proto.data_type()))
        .ok_or_else(|| wrong("has a type that is not supported"))?;
    if proto.data_location() == super::proto::tensor_proto::DataLocation::External {
        return Err(wrong("lies in another file, which is not supported"));
    }
    let shape = proto
        .dims
        .iter()
        .map(|dim| usize::try_from(*dim).map_err(|_| wrong("has a negative dimension")))
        .collect::<Result<Vec<_>, _>>()?;
    macro_rules! raw {
        ($bytes:expr, $type:ty) => {{
            let (chunks, rest) = $bytes.as_chunks();
            if !rest.is_empty() {
                return Err(wrong("is cut off"));
            }
            chunks
                .iter()
                .map(|bytes| <$type>::from_le_bytes(*bytes))
                .collect::<Vec<$type>>()
        }};
    }
    let data = if let Some(bytes) = &proto.raw_data {
        match element {
            ElementType::F32 => raw!(bytes, f32).into(),
            ElementType::F64 => raw!(bytes, f64).into(),
            ElementType::F16 => raw!(bytes, f16).into(),
            ElementType::I64 => raw!(bytes, i64).into(),
            ElementType::I32 => raw!(bytes, i32).into(),
            ElementType::U8 => bytes.clone().into(),
            ElementType::I8 => raw!(bytes, i8).into(),
            ElementType::Bool => Element::Bool(bytes.iter().map(|byte| *byte != 0).collect()),
        }
    } else {
        let small = proto.int32_data.iter();
        match element {
            ElementType::F32 => proto.float_data.clone().into(),
            ElementType::F64 => proto.double_data.clone().into(),
            ElementType::F16 => {
                Element::F16(small.map(|bits| f16::from_bits(*bits as u16)).collect())
            }
            ElementType::I64 => proto.int64_data.clone().into(),
            ElementType::I32 => proto.int32_data.clone().into(),
            ElementType::U8 => Element::U8(small.map(|value| *value as u8).collect()),
            ElementType::I8 => Element::I8(small.map(|value| *value as i8).collect()),
            ElementType::Bool => Element::Bool(small.map(|value| *value != 0).collect()),
        }
    };
    let tensor = Tensor { shape, data };
    tensor
        .checked()
        .map_err(|_| wrong("has a different size than its shape"))?;
    Ok(tensor)
}
