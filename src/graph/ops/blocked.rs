//! ONNX Runtime's blocked layout, in which its convolutions of single channels are many times as fast.
//!
//! A value `[N, C, H, W]` is *blocked* when its memory holds `[N, C/b, H, W, b]`: b channels side by side, so that one
//! instruction works on all of them (b is 8 on a processor with AVX2, 16 with AVX-512). ONNX Runtime brings
//! convolutions with constant kernels into this layout by itself when it loads a model; a graph that trains its
//! kernels has to say so. Its convolutions apply an activation function in the same pass. The operators belong to ONNX
//! Runtime and are not part of ONNX: they appear in graphs that are run and thrown away, never in a file that anybody
//! gets, and only where [`block_size`] has seen this layout work. Their gradients are made of them again.

mod gradient;
mod size;

use super::{
    Arriving, Attribute, Attributes, Backward, Dim, Fact, Family, Inputs, Named, Parse, Parts,
    Push, Sliding,
};
#[cfg(test)]
pub(in crate::graph) use gradient::mask;
pub use size::block_size;

/// The domain of the operators on blocked values. A kernel of a depthwise `Conv`, `[C, 1, h, w]`, holds
/// `[C/b, h, w, b]`, that of a dense one, `[C', C, h, w]`, `[C'/b, C/b, h, w, b, b']`.
pub const BLOCKED: &str = "com.microsoft.nchwc";

/// An operator on blocked values.
#[derive(Debug, Clone, PartialEq)]
pub enum Blocked {
    /// A convolution: x, kernels, bias, and a value that is added.
    Conv {
        /// How its window slides.
        sliding: Sliding,
        /// Into how many groups the channels fall.
        group: i64,
        /// What is applied to the result.
        fused: Fused,
    },
    /// Into the blocked layout.
    ReorderInput {
        /// Whether channels come last in what is read.
        channels_last: bool,
    },
    /// Out of the blocked layout.
    ReorderOutput {
        /// How many channels there are.
        channels: i64,
        /// Whether channels come last in what is made.
        channels_last: bool,
    },
}

/// An activation function that a blocked convolution applies itself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fused {
    /// None.
    Nothing,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, low), high)`.
    Clip {
        /// The lower bound.
        low: f32,
        /// The upper bound.
        high: f32,
    },
    /// `min(max(alpha · x + beta, 0), 1)`.
    HardSigmoid {
        /// The slope.
        alpha: f32,
        /// The value at zero.
        beta: f32,
    },
}

impl Blocked {
    /// A convolution with a window, so many groups and an activation.
    #[must_use]
    pub fn conv(sliding: Sliding, group: usize, fused: Fused) -> Self {
        Self::Conv {
            sliding,
            group: group as i64,
            fused,
        }
    }

    /// A pointwise convolution.
    #[must_use]
    pub fn pointwise(fused: Fused) -> Self {
        Self::conv(Sliding::default(), 1, fused)
    }

    /// From channels first.
    pub const INPUT: Self = Self::ReorderInput {
        channels_last: false,
    };
    /// From channels last.
    pub const INPUT_LAST: Self = Self::ReorderInput {
        channels_last: true,
    };

    /// To channels first or last.
    #[must_use]
    pub fn output(channels: usize, channels_last: bool) -> Self {
        Self::ReorderOutput {
            channels: channels as i64,
            channels_last,
        }
    }
}

impl Parse for Blocked {
    const DOMAIN: &'static str = BLOCKED;

    fn parse(op_type: &str, attributes: &mut Attributes<'_>) -> Option<Self> {
        Some(match op_type {
            "Conv" => {
                let bounds = attributes.floats("activation_params");
                Self::Conv {
                    sliding: Sliding::parse(attributes)?,
                    group: attributes.int("group").unwrap_or(1),
                    fused: match (attributes.text("activation").as_deref(), bounds.as_deref()) {
                        (None, None) => Fused::Nothing,
                        (Some("Relu"), None) => Fused::Relu,
                        (Some("Clip"), Some([low, high])) => Fused::Clip {
                            low: *low,
                            high: *high,
                        },
                        (Some("HardSigmoid"), Some([alpha, beta])) => Fused::HardSigmoid {
                            alpha: *alpha,
                            beta: *beta,
                        },
                        _ => return None,
                    },
                }
            }
            "ReorderInput" => Self::ReorderInput {
                channels_last: attributes.flag("channels_last"),
            },
            "ReorderOutput" => Self::ReorderOutput {
                channels: attributes.int("channels")?,
                channels_last: attributes.flag("channels_last"),
            },
            _ => return None,
        })
    }
}

impl Family for Blocked {
    fn op_type(&self) -> &str {
        match self {
            Self::Conv { .. } => "Conv",
            Self::ReorderInput { .. } => "ReorderInput",
            Self::ReorderOutput { .. } => "ReorderOutput",
        }
    }

    fn domain(&self) -> &str {
        BLOCKED
    }

    fn attributes(&self) -> Named {
        let mut named = Named::new();
        match self {
            Self::Conv {
                sliding,
                group,
                fused,
            } => {
                let (name, numbers) = match fused {
                    Fused::Nothing => (None, None),
                    Fused::Relu => (Some("Relu"), None),
                    Fused::Clip { low, high } => (Some("Clip"), Some(vec![*low, *high])),
                    Fused::HardSigmoid { alpha, beta } => {
                        (Some("HardSigmoid"), Some(vec![*alpha, *beta]))
                    }
                };
                named.extend(name.map(|name| ("activation", Attribute::Text(name.into()))));
                named.extend(numbers.map(|all| ("activation_params", Attribute::Floats(all))));
                named.int("group", *group, 1);
                return sliding.attributes(named);
            }
            Self::ReorderInput { channels_last } => named.flag("channels_last", *channels_last),
            Self::ReorderOutput {
                channels,
                channels_last,
            } => {
                named.push(("channels", Attribute::Int(*channels)));
                named.flag("channels_last", *channels_last);
            }
        }
        named
    }

    fn facts(&self, inputs: &Inputs<'_>, _: usize) -> Vec<Fact> {
        let ordered = |order: [usize; 4]| {
            let shape = inputs.shape(0)?;
            order.iter().map(|at| shape.get(*at).cloned()).collect()
        };
        let shape: Option<Vec<Dim>> = match self {
            Self::Conv { sliding, .. } => super::conv::shape(sliding, inputs),
            Self::ReorderInput {
                channels_last: true,
            } => ordered([0, 3, 1, 2]),
            Self::ReorderOutput {
                channels_last: true,
                ..
            } => ordered([0, 2, 3, 1]),
            Self::ReorderInput { .. } | Self::ReorderOutput { .. } => ordered([0, 1, 2, 3]),
        };
        vec![inputs.like(0, shape)]
    }

    fn has_gradient(&self) -> bool {
        true
    }

    fn gradient(&self, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
        gradient::of(self, b, at)
    }
}
