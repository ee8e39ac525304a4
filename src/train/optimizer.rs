//! Optimisers: the update of weights by their gradients, as nodes of the step's graph.

use serde::{Deserialize, Serialize};

use crate::graph::ops::{Elementwise, ReduceKind};
use crate::graph::{Graph, GraphError, ValueId};

use super::metrics::GRADIENT_NORM;

#[cfg(test)]
mod tests;

/// Exponential decay of Adam's first moment.
pub(super) const BETA_1: f64 = 0.9;
/// Exponential decay of Adam's second moment.
pub(super) const BETA_2: f64 = 0.999;
/// Avoids a division by zero in Adam.
const EPSILON: f64 = 1e-8;
/// Momentum of stochastic gradient descent.
const MOMENTUM: f64 = 0.9;

/// A trained weight.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weight {
    /// Its name in the graph.
    pub name: String,
    /// Its shape in the step; see [`matrix`].
    pub shape: Vec<usize>,
    /// Factor of the learning rate.
    pub rate: f32,
    /// Whether weight decay applies: to kernels and dense layers, not to biases.
    pub decays: bool,
}

/// The shape of a kernel as a matrix, `[C', rest]`: if the last dimensions have length 1, ONNX Runtime's arithmetic
/// with scalars processes single elements, which is ten times slower.
pub(super) fn matrix(shape: &[usize]) -> Vec<usize> {
    match shape {
        [first, rest @ ..] if rest.len() > 1 => vec![*first, rest.iter().product()],
        _ => shape.to_vec(),
    }
}

/// The update rule of the weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Optimizer {
    /// Stochastic gradient descent, as in `retrain.py`: `w ← w - η g`.
    Sgd,
    /// With momentum: `m ← 0.9 m + g`, `w ← w - η m`.
    Momentum,
    /// Kingma and Ba 2015, algorithm 1; beta 0.9 and 0.999, epsilon 1e-8. Its learning rate includes the bias
    /// correction of the first moment.
    Adam,
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2).
    AdamW,
}

impl Optimizer {
    /// Its default learning rate.
    #[must_use]
    pub fn default_rate(self) -> f32 {
        match self {
            Self::Sgd | Self::Momentum => 0.01,
            Self::Adam | Self::AdamW => 1e-3,
        }
    }
}

/// The schedule of the learning rate.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Rate {
    /// A constant rate.
    Constant(f32),
    /// A linear rise to the peak in the first tenth of the steps, then half a cosine down to zero.
    WarmUpAndCosine {
        /// The highest rate.
        peak: f32,
        /// Steps after which the schedule restarts, ascending.
        restarts: Vec<u32>,
    },
}

impl Rate {
    /// The rate of a step, counted from 1, of `steps` in total.
    pub(super) fn at(&self, step: u32, steps: u32) -> f64 {
        let (peak, restarts) = match self {
            Self::Constant(rate) => return f64::from(*rate),
            Self::WarmUpAndCosine { peak, restarts } => (*peak, restarts),
        };
        let began = restarts.iter().rfind(|begin| **begin < step);
        let ends = restarts.iter().find(|end| **end >= step);
        let began = began.copied().unwrap_or_default();
        let steps = ends.copied().unwrap_or(steps).saturating_sub(began);
        let step = step - began;
        let warm_up = f64::from(steps) / 10.0;
        let (step, steps) = (f64::from(step), f64::from(steps));
        let share = if step <= warm_up {
            step / warm_up
        } else {
            let progress = ((step - warm_up) / (steps - warm_up).max(1.0)).min(1.0);
            0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
        };
        f64::from(peak) * share
    }
}

/// An optimiser with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Optimization {
    pub rule: Optimizer,
    pub rate: Rate,
    /// The weight decay.
    pub weight_decay: f32,
    /// Largest norm of the gradient over all weights; 0 for no limit.
    pub clip_norm: f32,
    /// Decay of the moving average of the weights, 0..1; the average is evaluated and kept. 0 for no average.
    pub average_decay: f32,
}

impl Optimization {
    /// The slots of each weight.
    pub(super) fn slots(&self) -> Vec<Slot> {
        let mut slots = match self.rule {
            Optimizer::Sgd => vec![],
            Optimizer::Momentum => vec![Slot::First],
            Optimizer::Adam | Optimizer::AdamW => vec![Slot::First, Slot::Second],
        };
        // An average without decay would be the weight itself.
        if self.average_decay > 0.0 {
            slots.push(Slot::Average);
        }
        slots
    }

    /// The names of the tensors that a step updates: each weight, followed by its slots.
    pub(super) fn state_names(&self, weights: &[Weight]) -> Vec<String> {
        let slots = self.slots();
        let of_each = weights.iter().flat_map(|weight| {
            let slots = slots.iter().map(|slot| slot.name(&weight.name));
            [weight.name.clone()].into_iter().chain(slots)
        });
        of_each.collect()
    }

    /// The slot whose change [reveals the gradient](Self::gradient); `None` if the weight itself does.
    pub(super) fn slot_of_gradient(&self) -> Option<Slot> {
        match self.rule {
            Optimizer::Sgd => None,
            Optimizer::Momentum | Optimizer::Adam | Optimizer::AdamW => Some(Slot::First),
        }
    }

    /// The gradient of a step without clipping, reconstructed from the changes of that step: `w` is the weight before
    /// it, `before` and `after` are the values of [`Self::slot_of_gradient`]. Exact except for rounding: for plain
    /// descent, where a step changes a weight by little, to some thousandths.
    pub(super) fn gradient<'a>(
        &self,
        weight: &Weight,
        rate: f64,
        w: &'a [f32],
        [before, after]: [&'a [f32]; 2],
    ) -> impl Iterator<Item = f64> + use<'a> {
        let decay = if weight.decays {
            f64::from(self.weight_decay)
        } else {
            0.0
        };
        // g = scale · (after − kept · before) − pull · w
        let (scale, kept, pull) = match self.rule {
            Optimizer::Sgd => (-1.0 / (rate * f64::from(weight.rate)), 1.0, decay),
            Optimizer::Momentum => (1.0, MOMENTUM, decay),
            Optimizer::Adam | Optimizer::AdamW => (1.0 / (1.0 - BETA_1), BETA_1, 0.0),
        };
        let changes = before.iter().zip(after).zip(w);
        changes.map(move |((before, after), w)| {
            scale * (f64::from(*after) - kept * f64::from(*before)) - pull * f64::from(*w)
        })
    }

    /// The scalar inputs of a step, counted from 1, of `steps` in total, with their values.
    pub(super) fn scalars(&self, step: u32, steps: u32) -> Vec<(&'static str, f64)> {
        let t = f64::from(step);
        let rate = self.rate.at(step, steps);
        let [first, second] = [BETA_1, BETA_2].map(|beta| 1.0 - beta.powf(t));
        let mut scalars = match self.rule {
            Optimizer::Sgd | Optimizer::Momentum => vec![("rate", rate)],
            Optimizer::Adam => vec![("rate", rate / first), ("second_scale", 1.0 / second)],
            Optimizer::AdamW => vec![
                ("rate", rate),
                ("first_scale", 1.0 / first),
                ("second_scale", 1.0 / second),
            ],
        };
        if self.average_decay > 0.0 {
            // Fast at first, while the average is short.
            let kept = f64::from(self.average_decay).min(t / (t + 9.0));
            scalars.push(("average_rate", 1.0 - kept));
        }
        scalars
    }
}

/// A tensor that the optimiser keeps for each weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Momentum, or Adam's first moment.
    First,
    /// Adam's second moment.
    Second,
    /// The moving average of the weight, which is evaluated and kept.
    Average,
}

impl Slot {
    /// The name of its input tensor for a weight; the output has the prefix `next.`.
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

/// Appends the updates of all weights. Inputs that must exist: the weights, their slots, and
/// [`Optimization::scalars`]. The updated values are named by [`next`].
///
/// Gradients are first scaled so that their norm over all weights is at most `clip_norm` (Pascanu et al. 2013).
/// Momentum: `m ← 0.9 m + g + λ w`, `w ← w - η m`. Adam and `AdamW`: `w ← w - η (m̂ / (√v̂ + ε) + λ w)`. Average: `a ←
/// a + r (w - a)`.
pub(super) fn append_updates(
    graph: &mut Graph,
    optimization: &Optimization,
    weights: &[Weight],
    gradients: &[ValueId],
) -> Result<(), GraphError> {
    let scale = clip_scale(graph, f64::from(optimization.clip_norm), gradients);
    for (weight, gradient) in weights.iter().zip(gradients) {
        let gradient = scale.map_or(*gradient, |scale| graph.mul(*gradient, scale));
        let mut update = Update {
            value: graph.named(&weight.name)?,
            graph,
            weight,
            decay: if weight.decays {
                f64::from(optimization.weight_decay)
            } else {
                0.0
            },
        };
        let next = match optimization.rule {
            Optimizer::Sgd => update.sgd(gradient)?,
            Optimizer::Momentum => update.momentum(gradient)?,
            Optimizer::Adam | Optimizer::AdamW => update.adam(gradient, optimization.rule)?,
        };
        if optimization.average_decay > 0.0 {
            update.average(next)?;
        }
    }
    Ok(())
}

/// `min(1, limit / ‖g‖)` over all gradients; `None` if the limit is 0. The norm is named [`GRADIENT_NORM`].
fn clip_scale(graph: &mut Graph, limit: f64, gradients: &[ValueId]) -> Option<ValueId> {
    if limit <= 0.0 {
        return None;
    }
    let squares: Vec<ValueId> = gradients
        .iter()
        .map(|gradient| graph.reduce_all(ReduceKind::SumSquare, *gradient))
        .collect();
    let sum = graph.op(Elementwise::Sum, &squares);
    let norm = graph.op_named(Elementwise::Sqrt, &[sum], GRADIENT_NORM);
    let limit = graph.number(limit);
    // The maximum is at least the limit, so this never divides by zero.
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

    /// The gradient plus weight decay, if there is any.
    fn pull(&mut self, gradient: ValueId) -> ValueId {
        if self.decay <= 0.0 {
            return gradient;
        }
        let decay = self.graph.number(self.decay);
        let towards_zero = self.graph.mul(self.value, decay);
        self.graph.add(gradient, towards_zero)
    }

    fn sgd(&mut self, gradient: ValueId) -> Result<ValueId, GraphError> {
        let pull = self.pull(gradient);
        let rate = self.rate()?;
        let change = self.graph.mul(pull, rate);
        Ok(self.next(self.value, change))
    }

    fn slot(&self, slot: Slot) -> Result<ValueId, GraphError> {
        self.graph.named(&slot.name(&self.weight.name))
    }

    /// The value of a slot after the step.
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
        let pull = self.pull(gradient);
        let keep = self.graph.number(MOMENTUM);
        let kept = self.graph.mul(first, keep);
        let next_first = self.next_of(Slot::First, kept, pull);
        let rate = self.rate()?;
        let change = self.graph.mul(next_first, rate);
        Ok(self.next(self.value, change))
    }

    fn adam(&mut self, gradient: ValueId, rule: Optimizer) -> Result<ValueId, GraphError> {
        let (first, second) = (self.slot(Slot::First)?, self.slot(Slot::Second)?);
        let second_scale = self.graph.named("second_scale")?;
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
        let mut scaled_rate = rate;
        if rule == Optimizer::AdamW {
            let first_scale = self.graph.named("first_scale")?;
            scaled_rate = self.graph.mul(rate, first_scale);
        }
        let scaled = self.graph.mul(next_first, scaled_rate);
        let change = self.graph.div(scaled, divisor);
        let mut kept = self.value;
        if self.decay > 0.0 {
            // w - η λ w as a single product.
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
