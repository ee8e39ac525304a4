//! How weights follow their gradients, as nodes of the step's graph.

use crate::graph::ops::{Elementwise, ReduceKind};
use crate::graph::{Graph, GraphError, ValueId};

use super::settings::{FineTuneOptimizer, FineTuneSettings};

/// Exponential decay of `AdamW`'s first moment.
pub(super) const BETA_1: f64 = 0.9;
/// Exponential decay of `AdamW`'s second moment.
pub(super) const BETA_2: f64 = 0.999;
/// What keeps `AdamW`'s divisor from being zero.
const EPSILON: f64 = 1e-8;
/// Momentum of stochastic gradient descent.
const MOMENTUM: f64 = 0.9;

/// A weight that is trained.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weight {
    /// Its name in the graph.
    pub name: String,
    /// Its shape in the step: see [`matrix`].
    pub shape: Vec<usize>,
    /// Factor of the learning rate.
    pub rate: f32,
    /// Whether it is drawn towards zero: kernels and dense layers are, biases are not.
    pub decays: bool,
}

/// The shape of a kernel as a matrix, `[C', rest]`: ONNX Runtime's arithmetic with a number goes element by element
/// where the last dimensions have length 1, which is ten times slower.
pub(super) fn matrix(shape: &[usize]) -> Vec<usize> {
    match shape {
        [first, rest @ ..] if rest.len() > 1 => vec![*first, rest.iter().product()],
        _ => shape.to_vec(),
    }
}

/// What the optimiser keeps for each weight, apart from the weight itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Momentum, or `AdamW`'s first moment.
    First,
    /// `AdamW`'s second moment.
    Second,
    /// The moving average of the weight, which is what is evaluated and kept.
    Average,
}

impl Slot {
    /// Those in use: an average that follows at once is the weight itself, and is left out.
    pub(super) fn all(settings: &FineTuneSettings) -> Vec<Self> {
        let mut slots = vec![Self::First];
        if settings.optimizer == FineTuneOptimizer::AdamW {
            slots.push(Self::Second);
        }
        if settings.average_decay > 0.0 {
            slots.push(Self::Average);
        }
        slots
    }

    /// The name of its tensor for a weight: its input; the output is `next.` and the same.
    pub(super) fn name(self, weight: &str) -> String {
        let slot = match self {
            Self::First => "first",
            Self::Second => "second",
            Self::Average => "average",
        };
        format!("{slot}.{weight}")
    }
}

/// The output that becomes the input `name` of the next step.
pub(super) fn next(name: &str) -> String {
    format!("next.{name}")
}

/// Appends the updates of all weights. Inputs that must exist: the weights, their slots, `rate` (the learning
/// rate of this step), `average_rate` (how far the moving average follows), and for `AdamW` `first_scale`
/// (1 / (1 - β₁ᵗ)) and `second_scale` (1 / (1 - β₂ᵗ)). The updates become the values [`next`].
///
/// Gradients are first scaled so that their norm over all weights is at most `clip_norm` (Pascanu et al. 2013).
/// Momentum: `m ← 0.9 m + g + λ w`, `w ← w - η m`. `AdamW` (Loshchilov and Hutter 2019, algorithm 2):
/// `w ← w - η (m̂ / (√v̂ + ε) + λ w)`. Average: `a ← a + r (w - a)`.
pub(super) fn append_updates(
    graph: &mut Graph,
    settings: &FineTuneSettings,
    weights: &[Weight],
    gradients: &[ValueId],
) -> Result<(), GraphError> {
    let scale = clip_scale(graph, f64::from(settings.clip_norm), gradients);
    for (weight, gradient) in weights.iter().zip(gradients) {
        let gradient = scale.map_or(*gradient, |scale| graph.mul(*gradient, scale));
        let mut update = Update {
            value: graph.named(&weight.name)?,
            graph,
            weight,
            decay: if weight.decays {
                f64::from(settings.weight_decay)
            } else {
                0.0
            },
        };
        let next = match settings.optimizer {
            FineTuneOptimizer::Momentum => update.momentum(gradient)?,
            FineTuneOptimizer::AdamW => update.adam_w(gradient)?,
        };
        if settings.average_decay > 0.0 {
            update.average(next)?;
        }
    }
    Ok(())
}

/// `min(1, limit / ‖g‖)` over all gradients; nothing when the limit is 0.
fn clip_scale(graph: &mut Graph, limit: f64, gradients: &[ValueId]) -> Option<ValueId> {
    if limit <= 0.0 {
        return None;
    }
    let squares: Vec<ValueId> = gradients
        .iter()
        .map(|gradient| graph.reduce_all(ReduceKind::SumSquare, *gradient))
        .collect();
    let sum = graph.op(Elementwise::Sum, &squares);
    let norm = graph.op(Elementwise::Sqrt, &[sum]);
    let limit = graph.number(limit);
    // The larger of both is at least the limit, so that this is never a division by zero.
    let divisor = graph.op(Elementwise::Max, &[norm, limit]);
    Some(graph.div(limit, divisor))
}

struct Update<'a> {
    graph: &'a mut Graph,
    weight: &'a Weight,
    /// The weight's value.
    value: ValueId,
    decay: f64,
}

impl Update<'_> {
    /// The learning rate of this weight.
    fn rate(&mut self) -> Result<ValueId, GraphError> {
        let factor = self.graph.number(f64::from(self.weight.rate));
        let rate = self.graph.named("rate")?;
        Ok(self.graph.mul(rate, factor))
    }

    fn slot(&self, slot: Slot) -> Result<ValueId, GraphError> {
        self.graph.named(&slot.name(&self.weight.name))
    }

    /// What a slot holds after the step.
    fn next_of(&mut self, slot: Slot, a: ValueId, b: ValueId) -> ValueId {
        let name = next(&slot.name(&self.weight.name));
        self.graph.op_named(Elementwise::Add, &[a, b], &name)
    }

    /// The weight after the step.
    fn next(&mut self, kept: ValueId, change: ValueId) -> ValueId {
        let name = next(&self.weight.name);
        self.graph
            .op_named(Elementwise::Sub, &[kept, change], &name)
    }

    fn momentum(&mut self, gradient: ValueId) -> Result<ValueId, GraphError> {
        let first = self.slot(Slot::First)?;
        let mut pull = gradient;
        if self.decay > 0.0 {
            let decay = self.graph.number(self.decay);
            let towards_zero = self.graph.mul(self.value, decay);
            pull = self.graph.add(pull, towards_zero);
        }
        let keep = self.graph.number(MOMENTUM);
        let kept = self.graph.mul(first, keep);
        let next_first = self.next_of(Slot::First, kept, pull);
        let rate = self.rate()?;
        let change = self.graph.mul(next_first, rate);
        Ok(self.next(self.value, change))
    }

    fn adam_w(&mut self, gradient: ValueId) -> Result<ValueId, GraphError> {
        let (first, second) = (self.slot(Slot::First)?, self.slot(Slot::Second)?);
        let (first_scale, second_scale) = (
            self.graph.named("first_scale")?,
            self.graph.named("second_scale")?,
        );
        let (keep, take) = (self.graph.number(BETA_1), self.graph.number(1.0 - BETA_1));
        let kept = self.graph.mul(first, keep);
        let taken = self.graph.mul(gradient, take);
        let next_first = self.next_of(Slot::First, kept, taken);
        let (keep, take) = (self.graph.number(BETA_2), self.graph.number(1.0 - BETA_2));
        let square = self.graph.mul(gradient, gradient);
        let kept = self.graph.mul(second, keep);
        let taken = self.graph.mul(square, take);
        let next_second = self.next_of(Slot::Second, kept, taken);
        let corrected = self.graph.mul(next_second, second_scale);
        let root = self.graph.op(Elementwise::Sqrt, &[corrected]);
        let epsilon = self.graph.number(EPSILON);
        let divisor = self.graph.add(root, epsilon);
        let rate = self.rate()?;
        let scaled_rate = self.graph.mul(rate, first_scale);
        let scaled = self.graph.mul(next_first, scaled_rate);
        let change = self.graph.div(scaled, divisor);
        let mut kept = self.value;
        if self.decay > 0.0 {
            // w - η λ w as one product.
            let decay = self.graph.number(self.decay);
            let shrink = self.graph.mul(rate, decay);
            let one = self.graph.number(1.0);
            let keep = self.graph.sub(one, shrink);
            kept = self.graph.mul(self.value, keep);
        }
        Ok(self.next(kept, change))
    }

    fn average(&mut self, next: ValueId) -> Result<(), GraphError> {
        let average = self.slot(Slot::Average)?;
        let average_rate = self.graph.named("average_rate")?;
        let ahead = self.graph.sub(next, average);
        let follow = self.graph.mul(ahead, average_rate);
        self.next_of(Slot::Average, average, follow);
        Ok(())
    }
}
