//! Operators that slice, join and index.

mod gradient;

use super::{
    Arriving, Backward, Dim, Fact, Family, Inputs, Named, Parts, Spelling, no_rule, wrap, wrap_all,
};
use crate::onnx::ElementType;
pub(super) use gradient::scatter;

/// An operator that moves values.
#[derive(Debug, Clone, PartialEq)]
pub enum Moves {
    /// A slice.
    Slice(Cut),
    /// Padding, on all sides.
    Pad {
        /// How the padding is filled.
        mode: PadMode,
        /// In older versions: its width before each dimension, then after each. Otherwise the second input.
        pads: Option<Vec<i64>>,
        /// In older versions: the value of a constant padding. Otherwise the third input.
        value: Option<f32>,
    },
    /// Concatenation along an axis.
    Concat {
        /// The axis.
        axis: i64,
    },
    /// A split along an axis.
    Split {
        /// The axis.
        axis: i64,
        /// In older versions: the lengths of the parts. Otherwise the second input, or equal parts.
        lens: Option<Vec<i64>>,
        /// In newer versions: the number of equal parts. Otherwise the number of outputs.
        count: Option<i64>,
    },
    /// Slices at the indices in the second input.
    Gather {
        /// The axis.
        axis: i64,
    },
    /// The first input, with the values of the third one at the indices in the second one.
    ScatterElements {
        /// The axis.
        axis: i64,
        /// Whether these values are added instead of replacing.
        add: bool,
    },
    /// One-hot encoding of indices in a new dimension.
    OneHot {
        /// The axis.
        axis: i64,
    },
    /// The indices of all elements that are not zero.
    NonZero,
    /// Numbers from the first input to the second, exclusive, in steps of the third.
    Range,
}

/// The bounds of a `Slice` in older versions; otherwise they are inputs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Cut {
    starts: Option<Vec<i64>>,
    ends: Option<Vec<i64>>,
    axes: Option<Vec<i64>>,
}

/// How padding is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names are ONNX's own")]
pub enum PadMode {
    Constant,
    Reflect,
    Edge,
    Wrap,
}

const MODES: [(PadMode, &str); 4] = [
    (PadMode::Constant, "constant"),
    (PadMode::Reflect, "reflect"),
    (PadMode::Edge, "edge"),
    (PadMode::Wrap, "wrap"),
];

impl Moves {
    /// A slice whose bounds are inputs.
    pub const SLICE: Self = Self::Slice(Cut {
        starts: None,
        ends: None,
        axes: None,
    });
    /// Constant padding, with the widths in the second input.
    pub const PAD: Self = Self::Pad {
        mode: PadMode::Constant,
        pads: None,
        value: None,
    };
}

impl Named for Moves {
    fn of_name(op_type: &str) -> Option<Self> {
        Some(match op_type {
            "Slice" => Self::SLICE,
            "Pad" => Self::PAD,
            "Concat" => Self::Concat { axis: 0 },
            "Split" => Self::Split {
                axis: 0,
                lens: None,
                count: None,
            },
            "Gather" => Self::Gather { axis: 0 },
            "ScatterElements" => Self::ScatterElements {
                axis: 0,
                add: false,
            },
            "OneHot" => Self::OneHot { axis: 0 },
            "NonZero" => Self::NonZero,
            "Range" => Self::Range,
            _ => return None,
        })
    }
}

impl Family for Moves {
    fn op_type(&self) -> &str {
        match self {
            Self::Slice(_) => "Slice",
            Self::Pad { .. } => "Pad",
            Self::Concat { .. } => "Concat",
            Self::Split { .. } => "Split",
            Self::Gather { .. } => "Gather",
            Self::ScatterElements { .. } => "ScatterElements",
            Self::OneHot { .. } => "OneHot",
            Self::NonZero => "NonZero",
            Self::Range => "Range",
        }
    }

    fn spell(&mut self, spelling: &mut Spelling<'_>) {
        match self {
            Self::Slice(Cut { starts, ends, axes }) => {
                spelling.given_ints("starts", starts);
                spelling.given_ints("ends", ends);
                spelling.given_ints("axes", axes);
            }
            Self::Pad { mode, pads, value } => {
                spelling.choice("mode", mode, &MODES);
                spelling.given_ints("pads", pads);
                spelling.given_float("value", value);
            }
            Self::Concat { axis } => spelling.always("axis", axis, 1),
            Self::Split { axis, lens, count } => {
                spelling.int("axis", axis, 0);
                spelling.given_ints("split", lens);
                spelling.given_int("num_outputs", count);
            }
            Self::Gather { axis } => spelling.int("axis", axis, 0),
            Self::ScatterElements { axis, add } => {
                spelling.int("axis", axis, 0);
                spelling.choice("reduction", add, &[(false, "none"), (true, "add")]);
            }
            Self::OneHot { axis } => spelling.int("axis", axis, -1),
            Self::NonZero | Self::Range => {}
        }
    }

    fn facts(&self, inputs: &Inputs<'_>, outputs: usize) -> Vec<Fact> {
        if let Self::Split { axis, lens, .. } = self {
            let parts = split(*axis, lens.as_deref(), inputs, outputs).unwrap_or_default();
            let parts = parts.into_iter().map(Some).chain(std::iter::repeat(None));
            return parts
                .take(outputs)
                .map(|shape| inputs.like(0, shape))
                .collect();
        }
        let element = match self {
            Self::NonZero => Some(ElementType::I64),
            Self::OneHot { .. } => inputs.element(2),
            _ => inputs.element(0),
        };
        vec![Fact::of(element, self.shape(inputs))]
    }

    fn has_gradient(&self) -> bool {
        !matches!(
            self,
            Self::ScatterElements { .. } | Self::OneHot { .. } | Self::NonZero | Self::Range
        )
    }

    fn passes_on(&self, input: usize) -> bool {
        input == 0 || matches!(self, Self::Concat { .. })
    }

    fn gradient(&self, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
        match self {
            Self::Slice(_) => gradient::uncut(b, at),
            Self::Pad { mode, .. } => gradient::unpad(*mode, b, at),
            Self::Concat { axis } => gradient::apart(*axis, b, at),
            Self::Split { axis, .. } => gradient::together(*axis, b, at),
            Self::Gather { axis } => gradient::ungather(*axis, b, at),
            _ => Err(no_rule(self.op_type())),
        }
    }
}

impl Moves {
    fn shape(&self, inputs: &Inputs<'_>) -> Option<Vec<Dim>> {
        match self {
            Self::Slice(cut) => {
                let mut shape = inputs.shape(0)?.to_vec();
                for (axis, _, count, _) in cut.cuts(inputs)? {
                    *shape.get_mut(axis)? = Dim::Fixed(count);
                }
                Some(shape)
            }
            Self::Pad { pads, .. } => {
                let pads = match pads {
                    Some(pads) => pads,
                    None => inputs.ints(1)?,
                };
                let mut shape = inputs.shape(0)?.to_vec();
                let axes = if inputs.has(3) {
                    wrap_all(inputs.ints(3)?, shape.len())?
                } else {
                    (0..shape.len()).collect()
                };
                for (at, axis) in axes.iter().enumerate() {
                    let total = pads.get(at)?.checked_add(*pads.get(at + axes.len())?)?;
                    if total != 0 {
                        let dim = shape.get_mut(*axis)?;
                        let padded = (dim.fixed()? as i64).checked_add(total)?;
                        *dim = Dim::Fixed(usize::try_from(padded).ok()?);
                    }
                }
                Some(shape)
            }
            Self::Concat { axis } => {
                let parts: Vec<&[Dim]> = (0..inputs.count())
                    .map(|at| inputs.shape(at))
                    .collect::<Option<_>>()?;
                let mut shape = parts.first()?.to_vec();
                let axis = wrap(*axis, shape.len())?;
                let mut lens = parts.iter().map(|part| part.get(axis)?.fixed());
                let total = lens.try_fold(0_usize, |sum, len| sum.checked_add(len?))?;
                *shape.get_mut(axis)? = Dim::Fixed(total);
                Some(shape)
            }
            Self::Gather { axis } => {
                let data = inputs.shape(0)?;
                let axis = wrap(*axis, data.len())?;
                let (before, after) = (data.get(..axis)?, data.get(axis + 1..)?);
                Some([before, inputs.shape(1)?, after].concat())
            }
            Self::ScatterElements { .. } => inputs.shape(0).map(<[Dim]>::to_vec),
            Self::OneHot { axis } => {
                let mut shape = inputs.shape(0)?.to_vec();
                let at = wrap(*axis, shape.len() + 1)?;
                let depth = inputs.ints(1)?.first()?;
                shape.insert(at, Dim::Fixed(usize::try_from(*depth).ok()?));
                Some(shape)
            }
            Self::Split { .. } | Self::NonZero | Self::Range => None,
        }
    }
}

/// The shapes of the parts of a `Split`.
fn split(
    axis: i64,
    lens: Option<&[i64]>,
    inputs: &Inputs<'_>,
    outputs: usize,
) -> Option<Vec<Vec<Dim>>> {
    let whole = inputs.shape(0)?;
    let axis = wrap(axis, whole.len())?;
    let given = match lens {
        None if inputs.has(1) => Some(inputs.ints(1)?),
        lens => lens,
    };
    let lens: Vec<usize> = if let Some(lens) = given {
        let lens = lens.iter().map(|len| usize::try_from(*len).ok());
        lens.collect::<Option<_>>()?
    } else {
        // Equal parts; the last one may be smaller.
        let total = whole.get(axis)?.fixed()?;
        let part = total.div_ceil(outputs.max(1));
        (0..outputs)
            .map(|at| part.min(total.saturating_sub(at * part)))
            .collect()
    };
    let part = |len| {
        let mut shape = whole.to_vec();
        *shape.get_mut(axis)? = Dim::Fixed(len);
        Some(shape)
    };
    lens.into_iter().map(part).collect()
}

impl Cut {
    /// Removes the bounds from the operator, to become its second, third and fourth input in newer versions.
    pub(in crate::graph) fn take_inputs(&mut self) -> Vec<Vec<i64>> {
        let inputs = [self.starts.take(), self.ends.take(), self.axes.take()];
        inputs.into_iter().map_while(|input| input).collect()
    }

    /// For each sliced dimension: its index, the first index in it, the number of indices, and the step between them.
    /// `None` unless all are known.
    pub(in crate::graph) fn cuts(
        &self,
        inputs: &Inputs<'_>,
    ) -> Option<Vec<(usize, i64, usize, i64)>> {
        let shape = inputs.shape(0)?;
        // An input that is present must be a constant.
        let input = |at| {
            if inputs.has(at) {
                inputs.ints(at).map(Some)
            } else {
                Some(None)
            }
        };
        let (starts, ends, axes) = match (&self.starts, &self.ends) {
            (Some(starts), Some(ends)) => (&starts[..], &ends[..], self.axes.as_deref()),
            _ => (inputs.ints(1)?, inputs.ints(2)?, input(3)?),
        };
        let axes = match axes {
            Some(axes) => wrap_all(axes, shape.len())?,
            None => (0..starts.len()).collect(),
        };
        let steps = input(4)?;
        let mut cuts = Vec::with_capacity(axes.len());
        for (at, axis) in axes.into_iter().enumerate() {
            let len = shape.get(axis)?.fixed()? as i64;
            let step = match steps {
                Some(steps) => *steps.get(at)?,
                None => 1,
            };
            let from_end = |index: i64| {
                if index < 0 {
                    index.saturating_add(len)
                } else {
                    index
                }
            };
            let (start, end) = (from_end(*starts.get(at)?), from_end(*ends.get(at)?));
            let (start, count) = if len == 0 {
                (0, 0)
            } else if step > 0 {
                let start = start.clamp(0, len);
                (start, end.clamp(0, len) - start)
            } else {
                let start = start.clamp(0, len - 1);
                (start, start - end.clamp(-1, len - 1))
            };
            let count = (count.max(0) as u64).div_ceil(step.unsigned_abs().max(1));
            cuts.push((axis, start, usize::try_from(count).ok()?, step));
        }
        Some(cuts)
    }
}
