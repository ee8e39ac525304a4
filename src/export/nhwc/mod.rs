//! Networks in TensorFlow's terms: channels last, one image at a time, every shape known.
//!
//! A [`Graph`](crate::graph::Graph) has the semantics of ONNX: channels first, explicit padding, activations as
//! separate operators. [`lower()`] converts it once for all of TensorFlow's formats. Programs have types of their own,
//! because an operator of a graph must also provide its gradient, cost and ONNX attributes, none of which exist for a
//! convolution with a fused activation.

mod arithmetic;
mod fuse;
mod integers;
mod layers;
mod lower;
mod moves;
mod operands;
mod place;
mod quantized;
mod scales;
mod slices;

use std::sync::Arc;

use crate::onnx::{Element, ElementType, Tensor};

pub(crate) use arithmetic::broadcast;
pub(crate) use layers::counted;
pub(crate) use lower::{lower, prepared};
pub(crate) use place::transposed;

/// The reason why a network cannot be expressed in TensorFlow's terms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{node}” ({operator}) {reason}")]
pub struct Unwritable {
    /// The name of the node.
    pub node: String,
    /// The operator of the node.
    pub operator: String,
    /// The reason, as the end of a sentence.
    pub reason: String,
}

/// Identifies a tensor of a [`Program`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TensorId(usize);

/// A tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TensorInfo {
    /// Its name, unique in the program.
    pub name: String,
    /// The lengths of its dimensions.
    pub shape: Vec<usize>,
    /// The type of its elements.
    pub element: ElementType,
    /// Its contents, if it is a constant.
    pub contents: Option<Arc<Tensor>>,
    /// Its quantization; `None` for floats and for plain integers.
    pub quantization: Option<Arc<Quantization>>,
}

/// The meaning of a tensor's integers: `scale · (integer - zero)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quantization {
    /// One for the whole tensor, or one for each index of `axis`.
    pub scales: Vec<f32>,
    /// The integer for 0; always 0 if there are several scales.
    pub zero: i32,
    /// The dimension that several scales belong to.
    pub axis: usize,
}

impl Quantization {
    /// One scale for the whole tensor.
    pub fn of_tensor(scale: f32, zero: i32) -> Self {
        Self {
            scales: vec![scale],
            zero,
            axis: 0,
        }
    }

    /// The scale of the tensor, if it has a single one.
    pub fn scale(&self) -> Option<f32> {
        match *self.scales.as_slice() {
            [scale] => Some(scale),
            _ => None,
        }
    }
}

/// An activation fused into an operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Activation {
    /// No activation.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, -1), 1)`.
    ReluN1To1,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

/// The padding of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    /// As many windows as pixels divided by the stride, rounded up; an odd pixel of padding goes to the end.
    Same,
    /// No padding.
    Valid,
}

/// The geometry of a window: vertical, then horizontal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slide {
    pub padding: Padding,
    pub strides: [usize; 2],
    pub dilations: [usize; 2],
}

/// Arithmetic on two tensors, with broadcasting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Maximum,
    Minimum,
}

/// Functions of each element.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Unary {
    Clamp(Activation),
    LeakyRelu { alpha: f32 },
    HardSwish,
    Logistic,
    Tanh,
    Exp,
    Log,
    Sqrt,
    Neg,
    Abs,
    Cast,
}

/// The kind of a reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reduction {
    Mean,
    Sum,
    Max,
    Min,
}

/// The kind of an operator.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    /// Inputs: pixels `[1, H, W, C]`, kernels `[M, h, w, C]`, bias `[M]`.
    Conv {
        slide: Slide,
        activation: Activation,
    },
    /// Inputs: pixels `[1, H, W, C]`, kernels `[1, h, w, C · multiplier]`, bias `[C · multiplier]`.
    DepthwiseConv {
        slide: Slide,
        multiplier: usize,
        activation: Activation,
    },
    /// Inputs: rows `[N, K]`, weights `[M, K]`, bias `[M]`.
    FullyConnected { activation: Activation },
    /// The mean of the pixels under a window, without padding.
    AveragePool {
        slide: Slide,
        window: [usize; 2],
        activation: Activation,
    },
    /// The maximum of the pixels under a window, without padding.
    MaxPool {
        slide: Slide,
        window: [usize; 2],
        activation: Activation,
    },
    /// An operation on two tensors; maximum and minimum have no activation.
    Binary {
        binary: Binary,
        activation: Activation,
    },
    /// A function of each element.
    Unary(Unary),
    /// `x` where `x ≥ 0`, `slope · x` elsewhere; inputs: x, slope.
    Prelu,
    /// Softmax along the last dimension.
    Softmax,
    /// Concatenates tensors.
    Concat { axis: usize },
    /// A reduction along axes.
    Reduce {
        reduction: Reduction,
        axes: Vec<usize>,
        keep: bool,
    },
    /// Padding before and after each dimension, with zeros unless there is another value.
    Pad {
        pads: Vec<[usize; 2]>,
        value: Option<f32>,
    },
    /// A slice from these indices, with the shape of the output.
    Slice { begin: Vec<usize> },
    /// The same values in the output's shape.
    Reshape,
    /// A permutation of the dimensions.
    Transpose { perm: Vec<usize> },
    /// Quantizes floats, or requantizes integers, to the output's scale and zero point.
    Quantize,
    /// Dequantizes integers to floats.
    Dequantize,
}

/// An operator with its inputs and its single output.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operator {
    pub kind: Kind,
    pub inputs: Vec<TensorId>,
    pub output: TensorId,
}

/// A network in TensorFlow's terms.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Program {
    /// All tensors, including those without a reader.
    pub tensors: Vec<TensorInfo>,
    /// In topological order.
    pub operators: Vec<Operator>,
    pub inputs: Vec<TensorId>,
    pub outputs: Vec<TensorId>,
}

impl Program {
    /// The properties of a tensor.
    pub fn info(&self, tensor: TensorId) -> &TensorInfo {
        &self.tensors[tensor.0]
    }

    /// The lengths of a tensor's dimensions.
    pub fn shape(&self, tensor: TensorId) -> &[usize] {
        &self.info(tensor).shape
    }

    /// The contents of a constant of 32-bit floats.
    pub fn floats(&self, tensor: TensorId) -> Option<&[f32]> {
        match &self.info(tensor).contents.as_ref()?.data {
            Element::F32(values) => Some(values),
            _ => None,
        }
    }

    /// Adds a tensor; its name is changed if it is taken.
    fn add(&mut self, name: &str, shape: &[usize], element: ElementType) -> TensorId {
        let mut free = name.to_owned();
        let mut count = 1;
        while self.tensors.iter().any(|tensor| tensor.name == free) {
            count += 1;
            free = format!("{name}/{count}");
        }
        self.tensors.push(TensorInfo {
            name: free,
            shape: shape.to_vec(),
            element,
            contents: None,
            quantization: None,
        });
        TensorId(self.tensors.len() - 1)
    }

    fn constant(&mut self, name: &str, tensor: Tensor) -> TensorId {
        let id = self.add(name, &tensor.shape, tensor.data.element_type());
        if let Some(info) = self.tensors.last_mut() {
            info.contents = Some(Arc::new(tensor));
        }
        id
    }

    fn push(&mut self, kind: Kind, inputs: &[TensorId], output: TensorId) -> TensorId {
        self.operators.push(Operator {
            kind,
            inputs: inputs.to_vec(),
            output,
        });
        output
    }

    /// How many operators read a tensor; being an output counts as one reader.
    fn readers(&self, tensor: TensorId) -> usize {
        let reads = self.operators.iter().flat_map(|operator| &operator.inputs);
        reads
            .chain(&self.outputs)
            .filter(|read| **read == tensor)
            .count()
    }
}

#[cfg(test)]
mod tests;
