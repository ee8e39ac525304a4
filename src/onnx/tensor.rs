//! Plain tensors: inputs and outputs of graphs.

use half::f16;

use super::OnnxError;

macro_rules! elements {
    ($($(#[$doc:meta])* $variant:ident($type:ty), $zero:expr;)+) => {
        /// Contents of a tensor.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Element {
            $($(#[$doc])* $variant(Vec<$type>),)+
        }

        /// The type of a tensor's elements.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ElementType {
            $($(#[$doc])* $variant,)+
        }

        impl Element {
            /// Its type.
            #[must_use]
            pub fn element_type(&self) -> ElementType {
                match self {
                    $(Self::$variant(_) => ElementType::$variant,)+
                }
            }

            /// Number of elements.
            #[must_use]
            pub fn len(&self) -> usize {
                match self {
                    $(Self::$variant(values) => values.len(),)+
                }
            }

            /// `len` zeros (`false` for Booleans).
            #[must_use]
            pub fn zeros(element: ElementType, len: usize) -> Self {
                match element {
                    $(ElementType::$variant => Self::$variant(vec![$zero; len]),)+
                }
            }
        }

        $(
            impl From<Vec<$type>> for Element {
                fn from(values: Vec<$type>) -> Self {
                    Self::$variant(values)
                }
            }
        )+
    };
}

elements! {
    /// 32-bit float.
    F32(f32), 0.0;
    /// 64-bit float.
    F64(f64), 0.0;
    /// 16-bit float.
    F16(f16), f16::ZERO;
    /// 64-bit integer.
    I64(i64), 0;
    /// 32-bit integer.
    I32(i32), 0;
    /// 8-bit unsigned integer.
    U8(u8), 0;
    /// 8-bit signed integer.
    I8(i8), 0;
    /// Boolean.
    Bool(bool), false;
}

impl Element {
    /// Whether there are no elements.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A tensor in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// Its shape, empty for a scalar.
    pub shape: Vec<usize>,
    /// Its contents, in row-major order.
    pub data: Element,
}

impl Tensor {
    /// A tensor with the given shape (empty for a scalar) and contents, whose number is checked when it is used.
    #[must_use]
    pub fn new(shape: impl Into<Vec<usize>>, data: impl Into<Element>) -> Self {
        Self {
            shape: shape.into(),
            data: data.into(),
        }
    }

    /// A scalar.
    #[must_use]
    pub fn scalar<T>(value: T) -> Self
    where
        Vec<T>: Into<Element>,
    {
        Self::new([], vec![value])
    }

    /// A tensor in double precision if `element` is, otherwise in single precision.
    #[must_use]
    pub fn floats(element: ElementType, shape: impl Into<Vec<usize>>, values: Vec<f64>) -> Self {
        if element == ElementType::F64 {
            Self::new(shape, values)
        } else {
            let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
            Self::new(shape, values)
        }
    }

    /// A tensor of zeros.
    #[must_use]
    pub fn zeros(element: ElementType, shape: impl Into<Vec<usize>>) -> Self {
        let shape = shape.into();
        let len = shape.iter().product();
        Self {
            shape,
            data: Element::zeros(element, len),
        }
    }

    /// The contents as 32-bit floats; an error for other types.
    pub fn f32(&self) -> Result<&[f32], OnnxError> {
        match &self.data {
            Element::F32(values) => Ok(values),
            other => Err(OnnxError::Model(format!(
                "a tensor holds {:?} where 32-bit floats were expected",
                other.element_type()
            ))),
        }
    }

    /// The contents as 64-bit floats; an error for other types.
    #[cfg(test)]
    pub(crate) fn f64(&self) -> Result<&[f64], OnnxError> {
        match &self.data {
            Element::F64(values) => Ok(values),
            other => Err(OnnxError::Model(format!(
                "a tensor holds {:?} where 64-bit floats were expected",
                other.element_type()
            ))),
        }
    }

    /// The contents as 64-bit integers; an error for other types.
    pub fn i64(&self) -> Result<&[i64], OnnxError> {
        match &self.data {
            Element::I64(values) => Ok(values),
            other => Err(OnnxError::Model(format!(
                "a tensor holds {:?} where 64-bit integers were expected",
                other.element_type()
            ))),
        }
    }

    /// Checks that the number of elements matches the shape.
    pub fn checked(&self) -> Result<&Self, OnnxError> {
        let lens = self.shape.iter().copied();
        // An overflow is more than any memory holds.
        let expected = lens.reduce(usize::saturating_mul).unwrap_or(1);
        let expected = if self.shape.contains(&0) { 0 } else { expected };
        if self.data.len() == expected {
            Ok(self)
        } else {
            Err(OnnxError::Model(format!(
                "a tensor of shape {:?} came with {} values instead of {expected}",
                self.shape,
                self.data.len()
            )))
        }
    }
}
