//! The same values in another shape or order, and shapes as values.

use super::{
    Arriving, Backward, Dim, Fact, Family, GraphError, Inputs, Named, Parts, Spelling, broadcast,
    product, wrap, wrap_all,
};
use crate::onnx::{Element, ElementType, Tensor};

/// An operator that moves or reinterprets values without changing them.
#[derive(Debug, Clone, PartialEq)]
pub enum Reshaping {
    /// The same value.
    Identity,
    /// To the shape in the second input, in which 0 stands for the length of the input's dimension and -1 for the
    /// rest.
    Reshape {
        /// Whether 0 stands for a length of 0 instead.
        allow_zero: bool,
    },
    /// To a matrix: the dimensions before `axis` are combined, and those from there on.
    Flatten {
        /// The axis.
        axis: i64,
    },
    /// Removes dimensions of length 1: those in the attribute (older versions) or the second input, otherwise all.
    Squeeze {
        /// The axes.
        axes: Option<Vec<i64>>,
    },
    /// Inserts dimensions of length 1 at the axes in the attribute (older versions) or the second input.
    Unsqueeze {
        /// The axes.
        axes: Option<Vec<i64>>,
    },
    /// Permutes the dimensions; reverses them without `perm`.
    Transpose {
        /// The input dimension at each place.
        perm: Option<Vec<i64>>,
    },
    /// Broadcasts to the shape in the second input.
    Expand,
    /// Drops values in training; does nothing otherwise.
    Dropout {
        /// In older versions: the fraction that is dropped. Otherwise the second input.
        ratio: Option<f32>,
        /// The seed of its random numbers.
        seed: Option<i64>,
    },
    /// The shape as a value, or its dimensions from `start` to `end`, exclusive.
    Shape {
        /// The first dimension.
        start: Option<i64>,
        /// The dimension after the last.
        end: Option<i64>,
    },
    /// The number of elements.
    Size,
    /// A tensor of the shape in the input, filled with one number: 0 without `value`.
    ConstantOfShape {
        /// The number.
        value: Option<Tensor>,
    },
}

impl Reshaping {
    /// All of the shape.
    pub const SHAPE: Self = Self::Shape {
        start: None,
        end: None,
    };
    /// To `[N, rest]`.
    pub const FLATTEN: Self = Self::Flatten { axis: 1 };
}

impl Named for Reshaping {
    fn of_name(op_type: &str) -> Option<Self> {
        Some(match op_type {
            "Identity" => Self::Identity,
            "Reshape" => Self::Reshape { allow_zero: false },
            "Flatten" => Self::FLATTEN,
            "Squeeze" => Self::Squeeze { axes: None },
            "Unsqueeze" => Self::Unsqueeze { axes: None },
            "Transpose" => Self::Transpose { perm: None },
            "Expand" => Self::Expand,
            "Dropout" => Self::Dropout {
                ratio: None,
                seed: None,
            },
            "Shape" => Self::SHAPE,
            "Size" => Self::Size,
            "ConstantOfShape" => Self::ConstantOfShape { value: None },
            _ => return None,
        })
    }
}

impl Family for Reshaping {
    fn op_type(&self) -> &str {
        match self {
            Self::Identity => "Identity",
            Self::Reshape { .. } => "Reshape",
            Self::Flatten { .. } => "Flatten",
            Self::Squeeze { .. } => "Squeeze",
            Self::Unsqueeze { .. } => "Unsqueeze",
            Self::Transpose { .. } => "Transpose",
            Self::Expand => "Expand",
            Self::Dropout { .. } => "Dropout",
            Self::Shape { .. } => "Shape",
            Self::Size => "Size",
            Self::ConstantOfShape { .. } => "ConstantOfShape",
        }
    }

    fn spell(&mut self, spelling: &mut Spelling<'_>) {
        match self {
            Self::Reshape { allow_zero } => spelling.flag("allowzero", allow_zero, false),
            Self::Flatten { axis } => spelling.always("axis", axis, 1),
            Self::Squeeze { axes } | Self::Unsqueeze { axes } => spelling.given_ints("axes", axes),
            Self::Transpose { perm } => spelling.given_ints("perm", perm),
            Self::Dropout { ratio, seed } => {
                spelling.given_float("ratio", ratio);
                spelling.given_int("seed", seed);
            }
            Self::Shape { start, end } => {
                spelling.given_int("start", start);
                spelling.given_int("end", end);
            }
            Self::ConstantOfShape { value } => spelling.tensor("value", value),
            Self::Identity | Self::Expand | Self::Size => {}
        }
    }

    fn facts(&self, inputs: &Inputs<'_>, _: usize) -> Vec<Fact> {
        let element = match self {
            Self::Shape { .. } | Self::Size => Some(ElementType::I64),
            Self::ConstantOfShape { value } => Some(
                value
                    .as_ref()
                    .map_or(ElementType::F32, |value| value.data.element_type()),
            ),
            _ => inputs.element(0),
        };
        let shape = self.shape(inputs);
        if let Self::Dropout { .. } = self {
            // The second output is the mask.
            let mask = Fact::of(Some(ElementType::Bool), shape.clone());
            return vec![Fact::of(element, shape), mask];
        }
        vec![Fact::of(element, shape)]
    }

    fn has_gradient(&self) -> bool {
        true
    }

    fn passes_on(&self, input: usize) -> bool {
        let shape = matches!(
            self,
            Self::Shape { .. } | Self::Size | Self::ConstantOfShape { .. }
        );
        input == 0 && !shape
    }

    fn is_pure(&self) -> bool {
        !matches!(self, Self::Dropout { .. })
    }

    fn gradient(&self, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
        let dx = match self {
            // Shapes do not depend on the values.
            Self::Shape { .. } | Self::Size | Self::ConstantOfShape { .. } => return Ok(Vec::new()),
            Self::Identity => at.dy()?,
            // The gradient is reshaped back.
            Self::Reshape { .. }
            | Self::Flatten { .. }
            | Self::Squeeze { .. }
            | Self::Unsqueeze { .. } => {
                let (dy, x) = (at.dy()?, at.input(0)?);
                b.reshape_like(dy, x)
            }
            // The gradient is permuted back.
            Self::Transpose { perm } => {
                let perm = perm.as_deref().map(inverse).transpose()?;
                let dy = at.dy()?;
                b.op(Self::Transpose { perm }, &[dy])
            }
            // The gradients of repeated elements are summed.
            Self::Expand => {
                let (dy, x) = (at.dy()?, at.input(0)?);
                b.unbroadcast(dy, x)
            }
            // Dropout does nothing outside training. In training its mask must be a value of the graph
            // ([`explicit_masks`](crate::graph::explicit_masks)): otherwise the forward and the backward pass would
            // drop different values.
            Self::Dropout { .. } => {
                let off = |training| {
                    let value = b.constant_of(training);
                    value.is_some_and(|value| value.data == Element::Bool(vec![false]))
                };
                if at.node.input(2).is_some_and(|training| !off(training)) {
                    return Err(GraphError::Model(
                        "it cannot be trained through a “Dropout” that draws its own mask".into(),
                    ));
                }
                at.dy()?
            }
        };
        Ok(vec![Some(dx)])
    }
}

impl Reshaping {
    fn shape(&self, inputs: &Inputs<'_>) -> Option<Vec<Dim>> {
        match self {
            Self::Identity | Self::Dropout { .. } => inputs.shape(0).map(<[Dim]>::to_vec),
            Self::Reshape { allow_zero } => {
                let target = inputs.ints(1)?;
                if *allow_zero && target.contains(&0) {
                    return None;
                }
                reshaped(inputs.shape(0), target)
            }
            Self::Flatten { axis } => {
                let shape = inputs.shape(0)?;
                let axis = if *axis == shape.len() as i64 {
                    shape.len()
                } else {
                    wrap(*axis, shape.len())?
                };
                let (before, after) = shape.split_at(axis);
                Some(vec![product(before)?, product(after)?])
            }
            Self::Squeeze { axes } => {
                let old = inputs.shape(0)?;
                let axes = if axes.is_none() && !inputs.has(1) {
                    let lens = super::fixed_lens(old)?.into_iter().enumerate();
                    let ones = lens.filter(|(_, len)| *len == 1);
                    ones.map(|(at, _)| at).collect()
                } else {
                    wrap_all(axes.as_deref().or(inputs.ints(1))?, old.len())?
                };
                let kept = old.iter().enumerate().filter(|(at, _)| !axes.contains(at));
                Some(kept.map(|(_, dim)| dim.clone()).collect())
            }
            Self::Unsqueeze { axes } => {
                let old = inputs.shape(0)?;
                let axes = axes.as_deref().or(inputs.ints(1))?;
                let rank = old.len() + axes.len();
                let axes = wrap_all(axes, rank)?;
                let mut rest = old.iter();
                let dim = |at| {
                    if axes.contains(&at) {
                        Some(Dim::Fixed(1))
                    } else {
                        rest.next().cloned()
                    }
                };
                (0..rank).map(dim).collect()
            }
            Self::Transpose { perm } => {
                let shape = inputs.shape(0)?;
                let reversed: Vec<i64> = (0..shape.len() as i64).rev().collect();
                let perm = perm.as_ref().unwrap_or(&reversed).iter();
                perm.map(|axis| shape.get(wrap(*axis, shape.len())?).cloned())
                    .collect()
            }
            Self::Expand => broadcast(inputs.shape(0)?, &reshaped(None, inputs.ints(1)?)?),
            Self::Shape {
                start: None,
                end: None,
            } => Some(vec![Dim::Fixed(inputs.shape(0)?.len())]),
            Self::Size => Some(Vec::new()),
            Self::ConstantOfShape { .. } => reshaped(None, inputs.ints(0)?),
            Self::Shape { .. } => None,
        }
    }
}

/// The shape for `target`, in which 0 stands for the length of the input's dimension and -1 for the rest. A free
/// dimension, such as the batch, is kept where it is not combined with others.
fn reshaped(input: Option<&[Dim]>, target: &[i64]) -> Option<Vec<Dim>> {
    let dim = |(at, len): (usize, &i64)| match *len {
        0 => Some(input?.get(at)?.clone()),
        -1 => Some(Dim::Fixed(1)),
        len => usize::try_from(len).ok().map(Dim::Fixed),
    };
    let mut shape: Vec<Dim> = target.iter().enumerate().map(dim).collect::<Option<_>>()?;
    if let Some(rest) = target.iter().position(|len| *len == -1) {
        *shape.get_mut(rest)? = quotient(input?, &shape)?;
    }
    Some(shape)
}

/// The number of elements of `whole` divided by that of `part`.
fn quotient(whole: &[Dim], part: &[Dim]) -> Option<Dim> {
    let fixed = |dims: &[Dim]| {
        let mut lens = dims.iter().filter_map(Dim::fixed);
        lens.try_fold(1_usize, usize::checked_mul)
    };
    let free = |dims: &[Dim]| -> Vec<Dim> {
        let free = dims.iter().filter(|dim| dim.fixed().is_none());
        free.cloned().collect()
    };
    let (lens, mut left) = ((fixed(whole)?, fixed(part)?), free(whole));
    for dim in free(part) {
        let at = left.iter().position(|known| *known == dim)?;
        left.remove(at);
    }
    let len = lens.0.checked_div(lens.1)?;
    match (left.as_slice(), len) {
        ([], len) => Some(Dim::Fixed(len)),
        ([one], 1) if lens.0 == lens.1 => Some(one.clone()),
        _ => None,
    }
}

fn inverse(perm: &[i64]) -> Result<Vec<i64>, GraphError> {
    let mut inverse = vec![0; perm.len()];
    for (to, from) in perm.iter().enumerate() {
        let slot = usize::try_from(*from)
            .ok()
            .and_then(|from| inverse.get_mut(from))
            .ok_or_else(|| GraphError::Model("a “Transpose” has no valid order".into()))?;
        *slot = to as i64;
    }
    Ok(inverse)
}
