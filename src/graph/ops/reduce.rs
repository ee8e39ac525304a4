//! Sums, means, minima and maxima along axes.

use super::{
    Arriving, Backward, Dim, Fact, Family, GraphError, Inputs, Named, Parts, Spelling, ValueId,
    no_rule, wrap, wrap_all,
};
use crate::onnx::ElementType;

/// The kind of a reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the names say it")]
pub enum ReduceKind {
    Sum,
    Mean,
    Max,
    Min,
    SumSquare,
    /// The index of the maximum, along one axis.
    ArgMax,
    /// The index of the minimum, along one axis.
    ArgMin,
}

/// A reduction. Its axes are the second input, or an attribute in older versions of the operators and for indices.
/// Without either it reduces all axes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reduce {
    /// Its kind.
    pub kind: ReduceKind,
    /// The axes, if they are an attribute.
    pub axes: Option<Vec<i64>>,
    /// Whether reduced dimensions are kept, with length 1.
    pub keep: bool,
    /// Whether it reduces nothing, instead of all axes, if no axes are given.
    pub none_without_axes: bool,
    /// Whether the index of the last of equal values is taken.
    pub last: bool,
}

const NAMES: [(ReduceKind, &str); 7] = [
    (ReduceKind::Sum, "ReduceSum"),
    (ReduceKind::Mean, "ReduceMean"),
    (ReduceKind::Max, "ReduceMax"),
    (ReduceKind::Min, "ReduceMin"),
    (ReduceKind::SumSquare, "ReduceSumSquare"),
    (ReduceKind::ArgMax, "ArgMax"),
    (ReduceKind::ArgMin, "ArgMin"),
];

impl ReduceKind {
    fn is_index(self) -> bool {
        matches!(self, Self::ArgMax | Self::ArgMin)
    }
}

impl Reduce {
    /// Along the axes in the second input, or along all if it is missing.
    #[must_use]
    pub fn new(kind: ReduceKind, keep: bool) -> Self {
        Self {
            kind,
            axes: None,
            keep,
            none_without_axes: false,
            last: false,
        }
    }

    /// Along axes in an attribute.
    #[must_use]
    pub fn along(kind: ReduceKind, axes: &[i64], keep: bool) -> Self {
        Self {
            axes: Some(axes.to_vec()),
            ..Self::new(kind, keep)
        }
    }

    /// The axes for a value of `rank` dimensions; `given` are those in the second input, if there is one.
    fn reduced(&self, given: Option<&[i64]>, rank: usize) -> Option<Vec<usize>> {
        let axes = self.axes.as_deref().or(given).unwrap_or_default();
        if !axes.is_empty() {
            wrap_all(axes, rank)
        } else if self.kind.is_index() {
            wrap(0, rank).map(|axis| vec![axis])
        } else if self.none_without_axes {
            Some(Vec::new())
        } else {
            Some((0..rank).collect())
        }
    }

    /// The axes as nonnegative indices, if they are known.
    pub(in crate::graph) fn axes(&self, inputs: &Inputs<'_>) -> Option<Vec<usize>> {
        let given = match (&self.axes, inputs.has(1)) {
            (None, true) => Some(inputs.ints(1)?),
            _ => None,
        };
        self.reduced(given, inputs.shape(0)?.len())
    }
}

impl Named for Reduce {
    fn of_name(op_type: &str) -> Option<Self> {
        let named = NAMES.iter().find(|(_, name)| *name == op_type);
        named.map(|(kind, _)| Self::new(*kind, true))
    }
}

impl Family for Reduce {
    fn op_type(&self) -> &str {
        let named = NAMES.iter().find(|(kind, _)| *kind == self.kind);
        named.map_or("", |(_, name)| name)
    }

    fn spell(&mut self, spelling: &mut Spelling<'_>) {
        if self.kind.is_index() {
            let mut axis = self.axes.as_ref().and_then(|axes| axes.first().copied());
            spelling.given_int("axis", &mut axis);
            self.axes = axis.map(|axis| vec![axis]);
        } else {
            spelling.given_ints("axes", &mut self.axes);
        }
        spelling.flag("keepdims", &mut self.keep, true);
        spelling.flag("noop_with_empty_axes", &mut self.none_without_axes, false);
        spelling.flag("select_last_index", &mut self.last, false);
    }

    fn facts(&self, inputs: &Inputs<'_>, _: usize) -> Vec<Fact> {
        let shape = || {
            let axes = self.axes(inputs)?;
            let kept = |(at, dim): (usize, &Dim)| {
                if axes.contains(&at) {
                    self.keep.then_some(Dim::Fixed(1))
                } else {
                    Some(dim.clone())
                }
            };
            Some(
                inputs
                    .shape(0)?
                    .iter()
                    .enumerate()
                    .filter_map(kept)
                    .collect(),
            )
        };
        let element = if self.kind.is_index() {
            Some(ElementType::I64)
        } else {
            inputs.element(0)
        };
        vec![Fact::of(element, shape())]
    }

    fn has_gradient(&self) -> bool {
        self.kind != ReduceKind::SumSquare
    }

    fn passes_on(&self, input: usize) -> bool {
        input == 0 && !self.kind.is_index()
    }

    fn gradient(&self, b: &mut Backward<'_>, at: &Arriving<'_>) -> Parts {
        if self.kind.is_index() {
            // Indices have no gradient.
            return Ok(Vec::new());
        }
        let (dy, x, y) = (at.dy()?, at.input(0)?, at.output()?);
        let dx = match self.kind {
            // `y = Σ x`: `dx = dy`, expanded along the axes.
            ReduceKind::Sum => self.spread(b, at, dy)?,
            // `y = mean(x)`: `dx = dy / n`, expanded along the axes.
            ReduceKind::Mean => {
                let count = match self.count(b, at) {
                    Some(count) => b.number(count as f64),
                    None => b.ratio_of_sizes(x, y),
                };
                let share = b.div(dy, count);
                self.spread(b, at, share)?
            }
            // The maximum or minimum gets `dy`, in equal parts if several are equal.
            ReduceKind::Max | ReduceKind::Min => {
                let axes = self.known_axes(b, at)?;
                let y = self.spread(b, at, y)?;
                let dy = self.spread(b, at, dy)?;
                shared(b, x, y, dy, &axes)
            }
            _ => return Err(no_rule(self.op_type())),
        };
        Ok(vec![Some(dx)])
    }
}

impl Reduce {
    /// How many elements are reduced to one.
    fn count(&self, b: &Backward<'_>, at: &Arriving<'_>) -> Option<usize> {
        let inputs = b.inputs_of(at.node);
        let shape = inputs.shape(0)?;
        let axes = self.axes(&inputs)?.into_iter();
        axes.map(|axis| shape.get(axis)?.fixed()).product()
    }

    fn known_axes(&self, b: &Backward<'_>, at: &Arriving<'_>) -> Result<Vec<i64>, GraphError> {
        let axes = self.axes(&b.inputs_of(at.node)).ok_or_else(|| {
            GraphError::Model(format!(
                "the axes of a “{}” must be known to train through it",
                self.op_type()
            ))
        })?;
        Ok(axes.into_iter().map(|axis| axis as i64).collect())
    }

    /// Expands a reduced value to the shape of the node's input.
    fn spread(
        &self,
        b: &mut Backward<'_>,
        at: &Arriving<'_>,
        value: ValueId,
    ) -> Result<ValueId, GraphError> {
        // A reduction over everything gives one value, which broadcasts.
        let everything = at.node.input(1).is_none() && self.axes.as_ref().is_none_or(Vec::is_empty);
        let mut kept = value;
        if !self.keep && !everything {
            let axes = self.known_axes(b, at)?;
            if !axes.is_empty() {
                kept = b.unsqueeze(value, &axes);
            }
        }
        let x = at.input(0)?;
        Ok(b.expand_like(kept, x))
    }
}

/// `dy` where `x = y`, divided by the number of such elements along `axes`.
pub(super) fn shared(
    b: &mut Backward<'_>,
    x: ValueId,
    y: ValueId,
    dy: ValueId,
    axes: &[i64],
) -> ValueId {
    let equal = b.equal(x, y);
    let chosen = b.as_float(equal);
    let count = if axes.is_empty() {
        chosen
    } else {
        b.reduce_sum(chosen, axes, true)
    };
    let share = b.div(dy, count);
    b.mul(share, chosen)
}
