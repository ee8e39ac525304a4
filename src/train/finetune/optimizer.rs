//! How weights follow their gradients, as nodes of the step's graph.

use crate::onnx::{Attribute, Graph, Tensor};

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
    gradients: &[String],
) {
    let scale = clip_scale(graph, f64::from(settings.clip_norm), gradients);
    for (weight, gradient) in weights.iter().zip(gradients) {
        let gradient = match &scale {
            Some(scale) => graph.op("Mul", &[gradient, scale]),
            None => gradient.clone(),
        };
        let mut update = Update {
            graph,
            weight,
            decay: if weight.decays {
                f64::from(settings.weight_decay)
            } else {
                0.0
            },
        };
        match settings.optimizer {
            FineTuneOptimizer::Momentum => update.momentum(&gradient),
            FineTuneOptimizer::AdamW => update.adam_w(&gradient),
        }
        if settings.average_decay > 0.0 {
            update.average();
        }
    }
}

/// `min(1, limit / ‖g‖)` over all gradients; nothing when the limit is 0.
fn clip_scale(graph: &mut Graph, limit: f64, gradients: &[String]) -> Option<String> {
    if limit <= 0.0 {
        return None;
    }
    let squares: Vec<String> = gradients
        .iter()
        .map(|gradient| {
            graph.op_with(
                "ReduceSumSquare",
                &[gradient],
                &[("keepdims", Attribute::Int(0))],
            )
        })
        .collect();
    let squares: Vec<&str> = squares.iter().map(String::as_str).collect();
    let sum = graph.op("Sum", &squares);
    let norm = graph.op("Sqrt", &[&sum]);
    let limit = graph.constant(&Tensor::scalar(limit as f32));
    // The larger of both is at least the limit, so that this is never a division by zero.
    let divisor = graph.op("Max", &[&norm, &limit]);
    Some(graph.op("Div", &[&limit, &divisor]))
}

struct Update<'a> {
    graph: &'a mut Graph,
    weight: &'a Weight,
    decay: f64,
}

impl Update<'_> {
    fn number(&mut self, value: f64) -> String {
        self.graph.constant(&Tensor::scalar(value as f32))
    }

    /// The learning rate of this weight.
    fn rate(&mut self) -> String {
        let factor = self.number(f64::from(self.weight.rate));
        self.graph.op("Mul", &["rate", &factor])
    }

    fn momentum(&mut self, gradient: &str) {
        let name = self.weight.name.as_str();
        let first = Slot::First.name(name);
        let mut pull = gradient.to_owned();
        if self.decay > 0.0 {
            let decay = self.number(self.decay);
            let towards_zero = self.graph.op("Mul", &[name, &decay]);
            pull = self.graph.op("Add", &[&pull, &towards_zero]);
        }
        let keep = self.number(MOMENTUM);
        let kept = self.graph.op("Mul", &[&first, &keep]);
        self.graph
            .node("Add", &[&kept, &pull], &[&next(&first)], &[]);
        let rate = self.rate();
        let change = self.graph.op("Mul", &[&next(&first), &rate]);
        self.graph
            .node("Sub", &[name, &change], &[&next(name)], &[]);
    }

    fn adam_w(&mut self, gradient: &str) {
        let name = self.weight.name.as_str();
        let (first, second) = (Slot::First.name(name), Slot::Second.name(name));
        let (keep, take) = (self.number(BETA_1), self.number(1.0 - BETA_1));
        let kept = self.graph.op("Mul", &[&first, &keep]);
        let taken = self.graph.op("Mul", &[gradient, &take]);
        self.graph
            .node("Add", &[&kept, &taken], &[&next(&first)], &[]);
        let (keep, take) = (self.number(BETA_2), self.number(1.0 - BETA_2));
        let square = self.graph.op("Mul", &[gradient, gradient]);
        let kept = self.graph.op("Mul", &[&second, &keep]);
        let taken = self.graph.op("Mul", &[&square, &take]);
        self.graph
            .node("Add", &[&kept, &taken], &[&next(&second)], &[]);
        let corrected = self.graph.op("Mul", &[&next(&second), "second_scale"]);
        let root = self.graph.op("Sqrt", &[&corrected]);
        let epsilon = self.number(EPSILON);
        let divisor = self.graph.op("Add", &[&root, &epsilon]);
        let rate = self.rate();
        let scaled_rate = self.graph.op("Mul", &[&rate, "first_scale"]);
        let scaled = self.graph.op("Mul", &[&next(&first), &scaled_rate]);
        let change = self.graph.op("Div", &[&scaled, &divisor]);
        if self.decay > 0.0 {
            // w - η λ w as one product.
            let decay = self.number(self.decay);
            let shrink = self.graph.op("Mul", &[&rate, &decay]);
            let one = self.number(1.0);
            let keep = self.graph.op("Sub", &[&one, &shrink]);
            let kept = self.graph.op("Mul", &[name, &keep]);
            self.graph
                .node("Sub", &[&kept, &change], &[&next(name)], &[]);
        } else {
            self.graph
                .node("Sub", &[name, &change], &[&next(name)], &[]);
        }
    }

    fn average(&mut self) {
        let name = self.weight.name.as_str();
        let average = Slot::Average.name(name);
        let ahead = self.graph.op("Sub", &[&next(name), &average]);
        let follow = self.graph.op("Mul", &[&ahead, "average_rate"]);
        self.graph
            .node("Add", &[&average, &follow], &[&next(&average)], &[]);
    }
}
