//! ONNX Runtime's blocked layout, in which its depthwise convolutions are many times as fast.
//!
//! A value `[N, C, H, W]` is *blocked* when its memory holds `[N, C/b, H, W, b]`: b channels side by side, so that one
//! vector instruction works on all of them (b is 8 on a processor with AVX2, 16 with AVX-512). When ONNX Runtime loads
//! a model, it converts convolutions with constant kernels to this layout itself; a graph that trains its kernels must
//! do so explicitly. Blocked convolutions can apply an activation function in the same pass. The operators belong to
//! ONNX Runtime and are not part of ONNX: they appear only in temporary graphs, never in an exported file, and only if
//! [`block_size`] has found that the layout works. Their gradients consist of the same operators.

mod gradient;
mod size;

use super::{Arriving, Backward, Dim, Fact, Family, Inputs, Named, Parts, Sliding, Spelling};
#[cfg(test)]
pub(in crate::graph) use gradient::mask;
pub use size::block_size;

/// The domain of the operators on blocked values. In memory, a kernel of a depthwise `Conv`, `[C, 1, h, w]`, is `[C/b,
/// h, w, b]`; that of a dense one, `[C', C, h, w]`, is `[C'/b, C/b, h, w, b, b']`.
pub const BLOCKED: &str = "com.microsoft.nchwc";

/// An operator on blocked values.
#[derive(Debug, Clone, PartialEq)]
pub enum Blocked {
    /// A convolution. Inputs: x, kernels, bias, and a value added to the result.
    Conv {
        /// The geometry of its window.
        sliding: Sliding,
        /// The number of groups of channels.
        group: i64,
        /// The activation applied to the result.
        fused: Fused,
    },
    /// Converts to the blocked layout.
    ReorderInput {
        /// Whether the channels of the input are its last dimension.
        channels_last: bool,
    },
    /// Converts from the blocked layout.
    ReorderOutput {
        /// The number of channels.
        channels: i64,
        /// Whether the channels of the output are its last dimension.
        channels_last: bool,
    },
}

/// An activation function fused into a blocked convolution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Fused {
    /// No activation.
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
    /// A convolution with that window, number of groups and activation.
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

    /// From a value with channels first.
    pub const INPUT: Self = Self::ReorderInput {
        channels_last: false,
    };
    /// From a value with channels last.
    pub const INPUT_LAST: Self = Self::ReorderInput {
        channels_last: true,
    };

    /// To a value with channels first or last.
    #[must_use]
    pub fn output(channels: usize, channels_last: bool) -> Self {
        Self::ReorderOutput {
            channels: channels as i64,
            channels_last,
        }
    }
}

impl Fused {
    /// The name and parameters of the activation in a file.
    fn spelled(self) -> (Option<String>, Vec<f32>) {
        let (name, numbers) = match self {
            Self::Nothing => return (None, Vec::new()),
            Self::Relu => ("Relu", Vec::new()),
            Self::Clip { low, high } => ("Clip", vec![low, high]),
            Self::HardSigmoid { alpha, beta } => ("HardSigmoid", vec![alpha, beta]),
        };
        (Some(name.to_owned()), numbers)
    }

    fn of(name: Option<&str>, numbers: &[f32]) -> Option<Self> {
        match (name, numbers) {
            (None, []) => Some(Self::Nothing),
            (Some("Relu"), []) => Some(Self::Relu),
            (Some("Clip"), &[low, high]) => Some(Self::Clip { low, high }),
            (Some("HardSigmoid"), &[alpha, beta]) => Some(Self::HardSigmoid { alpha, beta }),
            _ => None,
        }
    }
}

impl Named for Blocked {
    const DOMAIN: &'static str = BLOCKED;

    fn of_name(op_type: &str) -> Option<Self> {
        match op_type {
            "Conv" => Some(Self::pointwise(Fused::Nothing)),
            "ReorderInput" => Some(Self::INPUT),
            "ReorderOutput" => Some(Self::output(0, false)),
            _ => None,
        }
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

    fn spell(&mut self, spelling: &mut Spelling<'_>) {
        match self {
            Self::Conv {
                sliding,
                group,
                fused,
            } => {
                sliding.spell(spelling);
                spelling.int("group", group, 1);
                let (mut name, mut numbers) = fused.spelled();
                spelling.text("activation", &mut name);
                spelling.floats("activation_params", &mut numbers);
                match Fused::of(name.as_deref(), &numbers) {
                    Some(found) => *fused = found,
                    None => spelling.refuse(),
                }
            }
            Self::ReorderInput { channels_last } => {
                spelling.flag("channels_last", channels_last, false);
            }
            Self::ReorderOutput {
                channels,
                channels_last,
            } => {
                spelling.always("channels", channels, 0);
                spelling.flag("channels_last", channels_last, false);
            }
        }
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
