//! Values: the data between nodes, and the facts known about them before the graph runs.

use std::sync::Arc;

use crate::onnx::proto::{TensorProto, TypeProto};
use crate::onnx::{ElementType, Tensor};

/// A value of one graph. It stays valid in clones and parts of that graph, and after passes that keep the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub(super) u32);

impl ValueId {
    pub(super) fn at(index: usize) -> Self {
        // Four billion values would not fit into memory.
        Self(u32::try_from(index).unwrap_or(u32::MAX))
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// One dimension of a shape.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Dim {
    /// A known length.
    Fixed(usize),
    /// A length that is known only when the graph runs. Equal names mean equal lengths; a dimension with an empty name
    /// can have any length.
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
    /// The length, if it is known.
    #[must_use]
    pub fn fixed(&self) -> Option<usize> {
        match self {
            Self::Fixed(len) => Some(*len),
            Self::Free(_) => None,
        }
    }

    /// A shape of known lengths.
    #[must_use]
    pub fn all_fixed(lens: &[usize]) -> Vec<Self> {
        lens.iter().map(|len| Self::Fixed(*len)).collect()
    }
}

/// What is known about a value before the graph runs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fact {
    /// The type of its elements, if known.
    pub element: Option<ElementType>,
    /// Its shape, if known. A [`Dim::Free`] with an empty name says only that the dimension exists.
    pub shape: Option<Vec<Dim>>,
    /// Its contents, if it is a constant.
    pub constant: Option<Arc<Tensor>>,
}

impl Fact {
    /// A fact with that type and shape.
    #[must_use]
    pub fn new(element: ElementType, shape: &[Dim]) -> Self {
        Self::of(Some(element), Some(shape.to_vec()))
    }

    /// A fact with that type and shape, as far as they are known.
    #[must_use]
    pub fn of(element: Option<ElementType>, shape: Option<Vec<Dim>>) -> Self {
        Self {
            element,
            shape,
            constant: None,
        }
    }

    /// The fact about a constant.
    #[must_use]
    pub fn of_constant(tensor: Arc<Tensor>) -> Self {
        Self {
            element: Some(tensor.data.element_type()),
            shape: Some(Dim::all_fixed(&tensor.shape)),
            constant: Some(tensor),
        }
    }

    /// Its shape, if each dimension has a length or a name.
    #[must_use]
    pub fn known_shape(&self) -> Option<&[Dim]> {
        let shape = self.shape.as_deref()?;
        let known = |dim: &Dim| !matches!(dim, Dim::Free(name) if name.is_empty());
        shape.iter().all(known).then_some(shape)
    }

    /// The lengths of its dimensions, if all are known.
    #[must_use]
    pub fn lens(&self) -> Option<Vec<usize>> {
        lens(self.shape.as_deref()?)
    }

    /// The contents of a constant of 64-bit integers; `None` for other values.
    #[must_use]
    pub fn ints(&self) -> Option<&[i64]> {
        self.constant.as_ref()?.i64().ok()
    }
}

/// A value: an input, a constant, or the result of a node.
#[derive(Debug, Clone, PartialEq)]
pub struct Value {
    /// Its name, unique in the graph.
    pub name: Arc<str>,
    /// What is known about it.
    pub fact: Fact,
    /// The index of the node that computes it.
    pub(super) producer: Option<usize>,
    /// Details of the file that a [`Fact`] cannot express.
    pub(super) foreign: Option<Arc<Foreign>>,
}

impl Value {
    /// The index of the node that computes it; `None` for inputs and constants.
    #[must_use]
    pub fn producer(&self) -> Option<usize> {
        self.producer
    }
}

/// Details that are only copied from file to file.
#[derive(Debug, PartialEq)]
pub(super) enum Foreign {
    /// A constant of an element type that tensors do not have here, such as strings or bfloat16.
    Constant(Box<TensorProto>),
    /// A type that is not a tensor, or a tensor of such elements.
    Type(TypeProto),
}

/// The lengths of a shape, if all are known.
#[must_use]
pub fn lens(shape: &[Dim]) -> Option<Vec<usize>> {
    shape.iter().map(Dim::fixed).collect()
}

/// An axis, which may be negative to count from the end, as an index.
#[must_use]
pub fn wrap(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 { axis + rank as i64 } else { axis };
    usize::try_from(axis)
        .ok()
        .filter(|axis| *axis < rank.max(1))
}

/// Axes, which may be negative to count from the end, as indices.
#[must_use]
pub fn wrap_all(axes: &[i64], rank: usize) -> Option<Vec<usize>> {
    axes.iter().map(|axis| wrap(*axis, rank)).collect()
}

/// Lengths as 64-bit integers, the type of ONNX.
#[must_use]
pub fn as_ints(lens: &[usize]) -> Vec<i64> {
    lens.iter().map(|len| *len as i64).collect()
}

/// The shape of an operation on elements of two shapes (ONNX's multidirectional broadcasting); `None` if they do not
/// fit.
#[must_use]
pub fn broadcast(a: &[Dim], b: &[Dim]) -> Option<Vec<Dim>> {
    let rank = a.len().max(b.len());
    let at = |shape: &[Dim], index: usize| -> Option<Dim> {
        match index.checked_sub(rank - shape.len()) {
            None => Some(Dim::Fixed(1)),
            Some(index) => shape.get(index).cloned(),
        }
    };
    (0..rank)
        .map(|index| match (at(a, index)?, at(b, index)?) {
            (x, y) if x == y => Some(x),
            (Dim::Fixed(1), y) => Some(y),
            (x, Dim::Fixed(1)) => Some(x),
            // With a known length over 1, the free length must be equal or 1.
            (Dim::Fixed(len), Dim::Free(_)) | (Dim::Free(_), Dim::Fixed(len)) => {
                Some(Dim::Fixed(len))
            }
            // Either is 1, or both are equal: the result is a free length named after both.
            (Dim::Free(x), Dim::Free(y)) => {
                let (first, second) = if x < y { (x, y) } else { (y, x) };
                Some(Dim::Free(format!("{first}|{second}")))
            }
            (Dim::Fixed(_), Dim::Fixed(_)) => None,
        })
        .collect()
}

/// The product of lengths, if all are known, or if all but one free length are 1.
#[must_use]
pub fn product(dims: &[Dim]) -> Option<Dim> {
    let free: Vec<&Dim> = dims.iter().filter(|dim| dim.fixed().is_none()).collect();
    let mut lens = dims.iter().filter_map(Dim::fixed);
    let fixed = lens.try_fold(1_usize, usize::checked_mul)?;
    match (free.as_slice(), fixed) {
        ([], fixed) => Some(Dim::Fixed(fixed)),
        ([one], 1) => Some((*one).clone()),
        _ => None,
    }
}
