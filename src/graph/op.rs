//! Operators: what a node computes.
//!
//! An operator belongs to a *family*, one file each in `ops/`, which knows everything about it: its attributes in a
//! file, the types and shapes of its results, its gradient, its cost, its weights. [`Op::family`] is the only place
//! that lists all families.

use crate::onnx::proto::AttributeProto;

use super::attributes::Spelling;
use super::gradient::{Arriving, Backward, Parts, no_rule};
use super::ops::{
    Activation, Blocked, Conv, ConvTranspose, Elementwise, GlobalPool, Linear, Moves, Norm, Pool,
    Quantization, Reduce, Reshaping, Softmax,
};
use super::value::{Dim, Fact, ValueId};
use crate::onnx::ElementType;

macro_rules! operators {
    ($($(#[$doc:meta])* $family:ident,)+) => {
        /// The operator of a node.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Op {
            $($(#[$doc])* $family($family),)+
            /// An operator of no family, read and written unchanged.
            Other(Other),
        }

        impl Op {
            fn family(&self) -> &dyn Family {
                match self {
                    $(Self::$family(op) => op,)+
                    Self::Other(op) => op,
                }
            }

            /// The operator with that domain, name and attributes; `None` if no family has it with all its attributes.
            fn known(domain: &str, op_type: &str, spelling: &mut Spelling<'_>) -> Option<Self> {
                let domain = if domain == "ai.onnx" { "" } else { domain };
                $(
                    if domain == <$family as Named>::DOMAIN
                        && let Some(mut op) = <$family as Named>::of_name(op_type)
                    {
                        op.spell(spelling);
                        return Some(op.into()).filter(|_| spelling.fits());
                    }
                )+
                None
            }

            /// Its attributes in the form of the file.
            pub(super) fn attributes(&self, opset: i64) -> Vec<AttributeProto> {
                let mut spelling = Spelling::for_node(opset);
                match self {
                    $(Self::$family(op) => op.clone().spell(&mut spelling),)+
                    Self::Other(other) => return other.attributes.clone(),
                }
                spelling.into_written()
            }
        }

        $(
            impl From<$family> for Op {
                fn from(op: $family) -> Self {
                    Self::$family(op)
                }
            }
        )+
    };
}

operators! {
    /// Arithmetic, comparison and logic on elements.
    Elementwise,
    /// Activation functions.
    Activation,
    /// Softmax and its logarithm.
    Softmax,
    /// A convolution.
    Conv,
    /// The transpose of a convolution.
    ConvTranspose,
    /// A pool with a window.
    Pool,
    /// A pool over all pixels.
    GlobalPool,
    /// Products of matrices.
    Linear,
    /// Sums, means and extremes along axes.
    Reduce,
    /// Normalisation.
    Norm,
    /// Reshaping and transposing, and shapes as values.
    Reshaping,
    /// Slicing, joining and indexing.
    Moves,
    /// Conversion between floats and 8-bit integers.
    Quantization,
    /// Operators of ONNX Runtime's blocked layout.
    Blocked,
}

/// An operator without a type of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Other {
    /// Its domain; empty for the standard operators.
    pub domain: String,
    /// Its name.
    pub op_type: String,
    /// Its attributes in the form of the file, including subgraphs.
    pub(super) attributes: Vec<AttributeProto>,
    /// Values of the graph that its subgraphs read, with the names by which they do.
    pub(super) captures: Vec<(String, ValueId)>,
}

/// Finds the operators of a family by name.
pub(super) trait Named: Sized {
    /// The domain of the family.
    const DOMAIN: &'static str = "";

    /// The operator called `op_type` with default attributes, if it is of this family.
    fn of_name(op_type: &str) -> Option<Self>;
}

/// Everything that a family knows about its operators.
pub(super) trait Family {
    /// Its name in the file.
    fn op_type(&self) -> &str;

    /// Its domain in the file.
    fn domain(&self) -> &str {
        ""
    }

    /// Reads or writes its attributes.
    fn spell(&mut self, _: &mut Spelling<'_>) {}

    /// The types and shapes of its first `outputs` results, as far as they follow from its inputs.
    fn facts(&self, inputs: &Inputs<'_>, outputs: usize) -> Vec<Fact>;

    /// Whether it has a gradient rule.
    fn has_gradient(&self) -> bool {
        false
    }

    /// Computes the gradients of its inputs from those of its outputs. `None` for inputs that have no gradient or
    /// whose gradient is not needed.
    fn gradient(&self, _: &mut Backward<'_>, _: &Arriving<'_>) -> Parts {
        Err(no_rule(self.op_type()))
    }

    /// Whether the result is differentiable by that input; `false` for inputs that only give shapes or indices.
    fn passes_on(&self, _input: usize) -> bool {
        true
    }

    /// Multiply-accumulates for each element of its first output.
    fn macs_per_output(&self, _: &Inputs<'_>) -> Option<usize> {
        None
    }

    /// Indices of the inputs that are weights if they are constants.
    fn weights(&self, _: &Inputs<'_>) -> Vec<(usize, WeightKind)> {
        Vec::new()
    }

    /// Whether it works on each element independently; scalar inputs are allowed.
    fn per_element(&self) -> bool {
        false
    }

    /// Whether its result and its derivatives are finite where the input is zero.
    fn finite_at_zero(&self) -> bool {
        true
    }

    /// Whether equal inputs always give equal results.
    fn is_pure(&self) -> bool {
        true
    }
}

/// The role of a weight in its layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightKind {
    /// Kernel of a 1×1 convolution.
    PointwiseKernel,
    /// Kernel of a depthwise convolution.
    DepthwiseKernel,
    /// Kernel of any other convolution.
    DenseKernel,
    /// Added to each channel.
    Bias,
    /// Matrix of a fully connected layer.
    DenseLayer,
    /// Factor of each channel in a normalisation.
    Scale,
}

/// The facts about a node's inputs.
pub struct Inputs<'a>(pub(super) Vec<Option<&'a Fact>>);

impl Inputs<'_> {
    /// The number of inputs, including omitted ones.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    fn fact(&self, at: usize) -> Option<&Fact> {
        self.0.get(at).copied().flatten()
    }

    /// Whether the input is present.
    pub fn has(&self, at: usize) -> bool {
        self.fact(at).is_some()
    }

    /// Whether the input is a constant.
    pub fn is_constant(&self, at: usize) -> bool {
        self.fact(at).is_some_and(|fact| fact.constant.is_some())
    }

    /// The input's shape, if it is known.
    pub fn shape(&self, at: usize) -> Option<&[Dim]> {
        self.fact(at)?.known_shape()
    }

    /// The type of its elements, if it is known.
    pub fn element(&self, at: usize) -> Option<ElementType> {
        self.fact(at)?.element
    }

    /// The lengths of its dimensions, if all are known.
    pub fn lens(&self, at: usize) -> Option<Vec<usize>> {
        self.fact(at)?.lens()
    }

    /// Its contents, if it is a constant of integers.
    pub fn ints(&self, at: usize) -> Option<&[i64]> {
        self.fact(at)?.ints()
    }

    /// A fact with the input's element type and the given shape.
    pub fn like(&self, at: usize, shape: Option<Vec<Dim>>) -> Fact {
        Fact::of(self.element(at), shape)
    }

    /// A fact with the input's element type and shape.
    pub fn same(&self, at: usize) -> Fact {
        self.like(at, self.shape(at).map(<[Dim]>::to_vec))
    }
}

impl Op {
    /// The operator for a name and attributes of a file.
    pub(super) fn of_file(
        domain: &str,
        op_type: &str,
        attributes: &[AttributeProto],
        opset: i64,
    ) -> Self {
        let mut spelling = Spelling::of_node(attributes, opset);
        Self::known(domain, op_type, &mut spelling).unwrap_or_else(|| {
            Self::Other(Other {
                domain: domain.to_owned(),
                op_type: op_type.to_owned(),
                attributes: attributes.to_vec(),
                captures: Vec::new(),
            })
        })
    }

    /// Its name in the file.
    #[must_use]
    pub fn op_type(&self) -> &str {
        self.family().op_type()
    }

    /// Its domain in the file; empty for the standard operators.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.family().domain()
    }

    pub(super) fn facts(&self, inputs: &Inputs<'_>, outputs: usize) -> Vec<Fact> {
        self.family().facts(inputs, outputs)
    }

    /// Whether it has a gradient rule.
    #[must_use]
    pub fn has_gradient(&self) -> bool {
        self.family().has_gradient()
    }

    pub(super) fn gradient(&self, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
        self.family().gradient(b, at)
    }

    pub(super) fn passes_on(&self, input: usize) -> bool {
        self.family().passes_on(input)
    }

    pub(super) fn macs_per_output(&self, inputs: &Inputs<'_>) -> Option<usize> {
        self.family().macs_per_output(inputs)
    }

    pub(super) fn weights(&self, inputs: &Inputs<'_>) -> Vec<(usize, WeightKind)> {
        self.family().weights(inputs)
    }

    /// Whether it works on each element independently; scalar inputs are allowed.
    #[must_use]
    pub fn per_element(&self) -> bool {
        self.family().per_element()
    }

    /// Whether its result and its derivatives are finite where the input is zero.
    #[must_use]
    pub fn finite_at_zero(&self) -> bool {
        self.family().finite_at_zero()
    }

    /// Whether equal inputs always give equal results, independent of anything else.
    #[must_use]
    pub fn is_pure(&self) -> bool {
        self.family().is_pure()
    }
}

impl Family for Other {
    fn op_type(&self) -> &str {
        &self.op_type
    }

    fn domain(&self) -> &str {
        &self.domain
    }

    fn facts(&self, _: &Inputs<'_>, _: usize) -> Vec<Fact> {
        Vec::new()
    }

    fn is_pure(&self) -> bool {
        let random = ["Bernoulli", "Multinomial"].contains(&self.op_type.as_str());
        let graph =
            |attribute: &AttributeProto| attribute.g.is_some() || !attribute.graphs.is_empty();
        matches!(self.domain.as_str(), "" | "ai.onnx")
            && !random
            && !self.op_type.starts_with("Random")
            && !self.attributes.iter().any(graph)
    }
}
