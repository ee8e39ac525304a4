//! Operators: what a node does.
//!
//! An operator belongs to a *family*, one file each in `ops/`, which answers everything about it: how the file
//! spells it, what follows for the values it computes, its gradient, its cost, its weights. [`Op::family`] is the one
//! place where they come together.

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
        /// What a node does.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Op {
            $($(#[$doc])* $family($family),)+
            /// Any other operator, passed on as it is.
            Other(Other),
        }

        impl Op {
            fn family(&self) -> &dyn Family {
                match self {
                    $(Self::$family(op) => op,)+
                    Self::Other(op) => op,
                }
            }

            /// The operator of that name and domain; `None` where no family knows it with all its attributes.
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

            /// Its attributes in the file.
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
    /// Arithmetic, comparison and logic on each element.
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
    /// The same values in another shape, or the shape itself.
    Reshaping,
    /// Cutting, joining and picking.
    Moves,
    /// Between real numbers and 8-bit integers.
    Quantization,
    /// Operators of ONNX Runtime's blocked layout.
    Blocked,
}

/// An operator without a type of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Other {
    /// Its domain, empty for the standard operators.
    pub domain: String,
    /// Its name.
    pub op_type: String,
    /// Its attributes as the file has them, graphs among them.
    pub(super) attributes: Vec<AttributeProto>,
    /// Values of the graph that graphs in its attributes read, by the names by which they do.
    pub(super) captures: Vec<(String, ValueId)>,
}

/// How the operators of a family are found by name.
pub(super) trait Named: Sized {
    /// The domain of the family.
    const DOMAIN: &'static str = "";

    /// The operator called `op_type`, if it is of this family, with any attributes.
    fn of_name(op_type: &str) -> Option<Self>;
}

/// What a family knows about its operators.
pub(super) trait Family {
    /// Its name in the file.
    fn op_type(&self) -> &str;

    /// Its domain in the file.
    fn domain(&self) -> &str {
        ""
    }

    /// Names its attributes in the file.
    fn spell(&mut self, _: &mut Spelling<'_>) {}

    /// What is known of the first `outputs` values that it computes, as far as it follows from its inputs.
    fn facts(&self, inputs: &Inputs<'_>, outputs: usize) -> Vec<Fact>;

    /// Whether a gradient can go through it.
    fn has_gradient(&self) -> bool {
        false
    }

    /// From the gradients that arrive at its outputs to those of its inputs (`None` for inputs that have none, or
    /// whose gradient is not needed).
    fn gradient(&self, _: &mut Backward<'_>, _: &Arriving<'_>) -> Parts {
        Err(no_rule(self.op_type()))
    }

    /// Whether the values of that input flow into the result; `false` for inputs that only give shapes or places.
    fn passes_on(&self, _input: usize) -> bool {
        true
    }

    /// Multiply-accumulates for each number of its first output.
    fn macs_per_output(&self, _: &Inputs<'_>) -> Option<usize> {
        None
    }

    /// Inputs that are weights when they are constants.
    fn weights(&self, _: &Inputs<'_>) -> Vec<(usize, WeightKind)> {
        Vec::new()
    }

    /// Whether it works on each element by itself, numbers that are the same for all elements apart.
    fn per_element(&self) -> bool {
        false
    }

    /// Whether it is finite at zero, with its derivatives.
    fn finite_at_zero(&self) -> bool {
        true
    }

    /// Whether the same inputs give the same result each time.
    fn is_pure(&self) -> bool {
        true
    }
}

/// What a weight is to the layer that it belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WeightKind {
    /// Kernel of a 1×1 convolution.
    PointwiseKernel,
    /// Kernel of a convolution within each channel.
    DepthwiseKernel,
    /// Kernel of any other convolution.
    DenseKernel,
    /// Added to each channel.
    Bias,
    /// Matrix of a fully connected layer.
    DenseLayer,
    /// Multiplies each channel of what was normalised.
    Scale,
}

/// What is known of a node's inputs.
pub struct Inputs<'a>(pub(super) Vec<Option<&'a Fact>>);

impl Inputs<'_> {
    /// How many there are, left out ones among them.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    fn fact(&self, at: usize) -> Option<&Fact> {
        self.0.get(at).copied().flatten()
    }

    /// Whether the input is given.
    pub fn has(&self, at: usize) -> bool {
        self.fact(at).is_some()
    }

    /// Whether the input is a constant.
    pub fn is_constant(&self, at: usize) -> bool {
        self.fact(at).is_some_and(|fact| fact.constant.is_some())
    }

    /// The input's shape.
    pub fn shape(&self, at: usize) -> Option<&[Dim]> {
        self.fact(at)?.known_shape()
    }

    /// The type of its elements.
    pub fn element(&self, at: usize) -> Option<ElementType> {
        self.fact(at)?.element
    }

    /// The lengths of its dimensions.
    pub fn lens(&self, at: usize) -> Option<Vec<usize>> {
        self.fact(at)?.lens()
    }

    /// Its contents, where it is a constant of integers.
    pub fn ints(&self, at: usize) -> Option<&[i64]> {
        self.fact(at)?.ints()
    }

    /// Of the input's type, in the given shape.
    pub fn like(&self, at: usize, shape: Option<Vec<Dim>>) -> Fact {
        Fact::of(self.element(at), shape)
    }

    /// Of the input's type and shape.
    pub fn same(&self, at: usize) -> Fact {
        self.like(at, self.shape(at).map(<[Dim]>::to_vec))
    }
}

impl Op {
    /// The operator that a file spells so.
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

    /// Its domain in the file, empty for the standard operators.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.family().domain()
    }

    pub(super) fn facts(&self, inputs: &Inputs<'_>, outputs: usize) -> Vec<Fact> {
        self.family().facts(inputs, outputs)
    }

    /// Whether a graph can be trained through it.
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

    /// Whether it works on each element by itself, numbers that are the same for all elements apart.
    #[must_use]
    pub fn per_element(&self) -> bool {
        self.family().per_element()
    }

    /// Whether it is finite at zero, with its derivatives.
    #[must_use]
    pub fn finite_at_zero(&self) -> bool {
        self.family().finite_at_zero()
    }

    /// Whether the same inputs give the same result each time, and nothing but its inputs plays a part.
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
