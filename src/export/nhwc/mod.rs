//! Networks in TensorFlow's terms: channels last, one image at a time, every shape known.
//!
//! A [`Graph`](crate::graph::Graph) has the semantics of ONNX: channels first, explicit padding, activations as operators of
//! their own. [`lower()`] translates it into TensorFlow's terms, once for all formats that come from there. These terms are
//! types of their own rather than operators of the graph: an operator of the graph answers for its gradient, its cost
//! and its ONNX spelling, and none of that exists for a convolution with a fused activation.

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

/// Why a network cannot be expressed in TensorFlow's terms.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("“{node}” ({operator}) {reason}")]
pub struct Unwritable {
    /// The node's name.
    pub node: String,
    /// The node's operator.
    pub operator: String,
    /// The reason, as the rest of a sentence.
    pub reason: String,
}

/// A tensor of one [`Program`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct TensorId(usize);

/// What is known of a tensor.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TensorInfo {
    /// Its name, which no other tensor has.
    pub name: String,
    /// The lengths of its dimensions.
    pub shape: Vec<usize>,
    /// The type of its elements.
    pub element: ElementType,
    /// Its contents, of a constant.
    pub contents: Option<Arc<Tensor>>,
    /// Its quantization; `None` for real numbers and for plain integers.
    pub quantization: Option<Arc<Quantization>>,
}

/// The quantization of a tensor: the real value is `scale · (integer - zero)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Quantization {
    /// One for the tensor, or one for each index of `axis`.
    pub scales: Vec<f32>,
    /// The integer that stands for 0; 0 where there are several scales.
    pub zero: i32,
    /// The dimension that scales belong to.
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

    /// The scale of a tensor that has one.
    pub fn scale(&self) -> Option<f32> {
        match *self.scales.as_slice() {
            [scale] => Some(scale),
            _ => None,
        }
    }
}

/// An activation that an operator applies to its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Activation {
    /// None.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, -1), 1)`.
    ReluN1To1,
    /// `min(max(x, 0), 6)`.
    Relu6,
}

/// Where a window's padding goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    /// As many windows as pixels divided by the stride; an odd pixel of padding goes to the end.
    Same,
    /// None.
    Valid,
}

/// How a window slides; vertical, then horizontal.
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

/// What is taken of the values along axes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reduction {
    Mean,
    Sum,
    Max,
    Min,
}

/// What an operator does.
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
    /// The mean of the pixels under a window, padding left out.
    AveragePool {
        slide: Slide,
        window: [usize; 2],
        activation: Activation,
    },
    /// The largest of the pixels under a window, padding left out.
    MaxPool {
        slide: Slide,
        window: [usize; 2],
        activation: Activation,
    },
    /// Of two tensors; maximum and minimum have no activation.
    Binary {
        binary: Binary,
        activation: Activation,
    },
    /// Of each element.
    Unary(Unary),
    /// `x` where `x ≥ 0`, `slope · x` elsewhere; inputs: x, slope.
    Prelu,
    /// Along the last dimension.
    Softmax,
    /// Concatenates tensors.
    Concat { axis: usize },
    /// Along axes.
    Reduce {
        reduction: Reduction,
        axes: Vec<usize>,
        keep: bool,
    },
    /// A margin, before and after each dimension; of zeros where there is no other value.
    Pad {
        pads: Vec<[usize; 2]>,
        value: Option<f32>,
    },
    /// From these indices as much as the output holds.
    Slice { begin: Vec<usize> },
    /// The same values in the shape of the output.
    Reshape,
    /// Dimensions in another order.
    Transpose { perm: Vec<usize> },
    /// Quantizes real numbers, or requantizes integers, to the output's scale and zero point.
    Quantize,
    /// Dequantizes integers to real numbers.
    Dequantize,
}

/// An operator at work. All have one output.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Operator {
    pub kind: Kind,
    pub inputs: Vec<TensorId>,
    pub output: TensorId,
}

/// A network in TensorFlow's terms.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Program {
    /// Including those that nothing reads any more.
    pub tensors: Vec<TensorInfo>,
    /// In topological order.
    pub operators: Vec<Operator>,
    pub inputs: Vec<TensorId>,
    pub outputs: Vec<TensorId>,
}

impl Program {
    /// What is known of a tensor.
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

    /// A new tensor; another name where that one is taken.
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

    /// How many operators read a tensor, an output counting as one more.
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
