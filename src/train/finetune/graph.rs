//! The graphs of a training deeper than the head: one step, and the evaluation of a batch.

use std::collections::BTreeMap;

use crate::graph::ops::{Linear, Softmax, block_size};
use crate::graph::passes::layout::append_in_rows;
use crate::graph::{Dim, Graph, GraphError, ValueId};
use crate::onnx::ElementType;
use crate::train::graph::figures;

use super::optimizer::{Slot, Weight, append_updates, next};
use super::settings::{FineTuneOptimizer, FineTuneSettings};

/// The head's weights, `[K, D]`.
pub(super) const LOGITS_WEIGHT: &str = "logits.weight";
/// The head's bias, `[K]`.
pub(super) const LOGITS_BIAS: &str = "logits.bias";

/// What is trained: the back of the network from the cut to the pooled bottleneck, and the head on it.
#[derive(Debug, Clone)]
pub(super) struct Network {
    /// One input, the cut `f32[N, C, H, W]`; one output, `f32[N, D]`.
    pub back: Graph,
    /// Shape of the cut without the batch, `[C, H, W]`.
    pub cut: [usize; 3],
    /// Number of classes, K.
    pub classes: usize,
    /// The weights that are trained, the head's two among them.
    pub weights: Vec<Weight>,
}

impl Network {
    /// Elements of one cached row.
    pub(super) fn row_len(&self) -> usize {
        self.cut.iter().product()
    }

    /// Declares the inputs that both graphs have.
    pub(super) fn inputs(&self, graph: &mut Graph, batch: usize) -> Inputs {
        Inputs {
            x: graph.input(
                "x",
                ElementType::F16,
                &[batch.into(), self.row_len().into()],
            ),
            y: graph.input("y", ElementType::I64, &[batch.into()]),
            weights: self
                .weights
                .iter()
                .map(|weight| {
                    let shape = Dim::all_fixed(&weight.shape);
                    graph.input(&weight.name, ElementType::F32, &shape)
                })
                .collect(),
        }
    }

    /// Appends the forward pass of the rows `x` `f16[B, C·H·W]`: the logits, `[B, K]`.
    pub(super) fn forward(
        &self,
        graph: &mut Graph,
        x: ValueId,
        weights: &[ValueId],
        batch: usize,
    ) -> Result<ValueId, GraphError> {
        let x = graph.cast(x, ElementType::F32);
        let [c, h, w] = self.cut.map(|len| len as i64);
        let x = graph.reshape(x, &[batch as i64, c, h, w]);
        // The head's weights are none of the back's.
        let trained: BTreeMap<ValueId, ValueId> = self
            .weights
            .iter()
            .zip(weights)
            .filter_map(|(weight, value)| Some((self.back.find(&weight.name)?, *value)))
            .collect();
        let block = block_size();
        let pooled = append_in_rows(graph, &self.back, x, self.cut, batch, &trained, block)?;
        let (w, b) = (graph.named(LOGITS_WEIGHT)?, graph.named(LOGITS_BIAS)?);
        // pooled · Wᵀ + b
        Ok(graph.op(Linear::BY_TRANSPOSE, &[pooled, w, b]))
    }

    /// Adds the outputs `cross_entropy` (nats) and `correct` (1 or 0) of each image, `f32[B]`.
    fn figures(&self, graph: &mut Graph, logits: ValueId, y: ValueId) {
        let log_p = graph.op(Softmax::LOG, &[logits]);
        figures(graph, log_p, y, self.classes);
    }

    /// One training step. Inputs: `x` `f16[B, C·H·W]` (rows of the activation cache), `y` `i64[B]`, the weights,
    /// their slots, and the scalars of [`append_updates`]; outputs: the next weights and slots, and the figures
    /// of the batch before the update.
    pub(super) fn step_graph(
        &self,
        settings: &FineTuneSettings,
        batch: usize,
    ) -> Result<Graph, GraphError> {
        let mut graph = Graph::new("fine-tuning step");
        let inputs = self.inputs(&mut graph, batch);
        let images = self.images_at_once(batch);
        let (logits, found) = self.by_parts(&mut graph, &inputs, settings, batch, images)?;
        for scalar in scalars(settings) {
            graph.input(scalar, ElementType::F32, &[]);
        }
        for weight in &self.weights {
            for slot in Slot::all(settings) {
                let name = slot.name(&weight.name);
                graph.input(&name, ElementType::F32, &Dim::all_fixed(&weight.shape));
            }
        }
        append_updates(&mut graph, settings, &self.weights, &found)?;
        for weight in &self.weights {
            let slots = Slot::all(settings).into_iter();
            let slots = slots.map(|slot| slot.name(&weight.name));
            for name in [weight.name.clone()].into_iter().chain(slots) {
                let next = graph.named(&next(&name))?;
                graph.output(next);
            }
        }
        self.figures(&mut graph, logits, inputs.y);
        graph.prune();
        Ok(graph)
    }

    /// The evaluation of a batch. Inputs: `x`, `y`, the weights; outputs: `cross_entropy` and `correct`.
    pub(super) fn evaluation_graph(&self, batch: usize) -> Result<Graph, GraphError> {
        let mut graph = Graph::new("evaluation");
        let inputs = self.inputs(&mut graph, batch);
        let logits = self.forward(&mut graph, inputs.x, &inputs.weights, batch)?;
        self.figures(&mut graph, logits, inputs.y);
        graph.prune();
        Ok(graph)
    }
}

/// The inputs that a step and an evaluation have.
pub(super) struct Inputs {
    /// Rows of the activation cache, `f16[B, C·H·W]`.
    pub x: ValueId,
    /// Classes, `i64[B]`.
    pub y: ValueId,
    /// The weights, in the order of [`Network::weights`].
    pub weights: Vec<ValueId>,
}

/// The scalar inputs that change with each step.
pub(super) fn scalars(settings: &FineTuneSettings) -> Vec<&'static str> {
    let mut names = vec!["rate"];
    if settings.average_decay > 0.0 {
        names.push("average_rate");
    }
    if settings.optimizer == FineTuneOptimizer::AdamW {
        names.extend(["first_scale", "second_scale"]);
    }
    names
}
