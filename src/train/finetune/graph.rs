//! The graphs of a training deeper than the head: one step, and the evaluation of a batch.

use std::collections::HashSet;

use crate::onnx::{Attribute, Dim, ElementType, Graph, OnnxError, Tensor, block_size, cast_target};

use super::layout::append_in_rows;
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
    pub(super) fn inputs(&self, graph: &mut Graph, batch: usize) {
        graph.input(
            "x",
            ElementType::F16,
            &[batch.into(), self.row_len().into()],
        );
        graph.input("y", ElementType::I64, &[batch.into()]);
        for weight in &self.weights {
            graph.input(&weight.name, ElementType::F32, &fixed(&weight.shape));
        }
    }

    /// Appends the forward pass of the rows `x` `f16[B, C·H·W]`: the logits, `[B, K]`.
    pub(super) fn forward(
        &self,
        graph: &mut Graph,
        x: &str,
        batch: usize,
    ) -> Result<String, OnnxError> {
        let to = Attribute::Int(cast_target(ElementType::F32));
        let x = graph.op_with("Cast", &[x], &[("to", to)]);
        let [c, h, w] = self.cut.map(|len| len as i64);
        let shape = graph.ints(&[batch as i64, c, h, w]);
        let x = graph.op("Reshape", &[&x, &shape]);
        let trained: HashSet<String> = self
            .weights
            .iter()
            .map(|weight| weight.name.clone())
            .collect();
        let pooled = append_in_rows(
            graph,
            &self.back,
            &x,
            self.cut,
            batch,
            &trained,
            block_size(),
        )?;
        // pooled · Wᵀ + b
        Ok(graph.op_with(
            "Gemm",
            &[&pooled, LOGITS_WEIGHT, LOGITS_BIAS],
            &[("transB", Attribute::Int(1))],
        ))
    }

    /// Appends `cross_entropy` (nats) and `correct` (1 or 0) of each picture, `f32[B]`.
    fn figures(&self, graph: &mut Graph, logits: &str, batch: usize) {
        let log_p = graph.op("LogSoftmax", &[logits]);
        let depth = graph.ints(&[self.classes as i64]);
        let off_on = graph.constant(&Tensor::new([2], vec![0.0_f32, 1.0]));
        let one_hot = graph.op("OneHot", &["y", &depth, &off_on]);
        let product = graph.op("Mul", &[&log_p, &one_hot]);
        let axes = graph.ints(&[1]);
        let keep = || ("keepdims", Attribute::Int(0));
        let per_picture = graph.op_with("ReduceSum", &[&product, &axes], &[keep()]);
        graph.node("Neg", &[&per_picture], &["cross_entropy"], &[]);
        graph.output("cross_entropy", ElementType::F32, &[batch.into()]);
        let best = graph.op_with("ArgMax", &[&log_p], &[("axis", Attribute::Int(1)), keep()]);
        let equal = graph.op("Equal", &[&best, "y"]);
        let to = Attribute::Int(cast_target(ElementType::F32));
        graph.node("Cast", &[&equal], &["correct"], &[("to", to)]);
        graph.output("correct", ElementType::F32, &[batch.into()]);
    }

    /// One training step. Inputs: `x` `f16[B, C·H·W]` (rows of the activation cache), `y` `i64[B]`, the weights,
    /// their slots, and the scalars of [`append_updates`]; outputs: the next weights and slots, and the figures
    /// of the batch before the update.
    pub(super) fn step_graph(
        &self,
        settings: &FineTuneSettings,
        batch: usize,
    ) -> Result<Graph, OnnxError> {
        let mut graph = Graph::new("fine-tuning step");
        self.inputs(&mut graph, batch);
        let pictures = self.pictures_at_once(batch);
        let (logits, found) = self.by_parts(&mut graph, settings, batch, pictures)?;
        for scalar in scalars(settings) {
            graph.input(scalar, ElementType::F32, &[]);
        }
        for weight in &self.weights {
            for slot in Slot::all(settings) {
                graph.input(
                    &slot.name(&weight.name),
                    ElementType::F32,
                    &fixed(&weight.shape),
                );
            }
        }
        append_updates(&mut graph, settings, &self.weights, &found);
        for weight in &self.weights {
            let shape = fixed(&weight.shape);
            graph.output(&next(&weight.name), ElementType::F32, &shape);
            for slot in Slot::all(settings) {
                let name = slot.name(&weight.name);
                graph.output(&next(&name), ElementType::F32, &shape);
            }
        }
        self.figures(&mut graph, &logits, batch);
        graph.prune();
        Ok(graph)
    }

    /// The evaluation of a batch. Inputs: `x`, `y`, the weights; outputs: `cross_entropy` and `correct`.
    pub(super) fn evaluation_graph(&self, batch: usize) -> Result<Graph, OnnxError> {
        let mut graph = Graph::new("evaluation");
        self.inputs(&mut graph, batch);
        let logits = self.forward(&mut graph, "x", batch)?;
        self.figures(&mut graph, &logits, batch);
        graph.prune();
        Ok(graph)
    }
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

fn fixed(shape: &[usize]) -> Vec<Dim> {
    shape.iter().map(|len| Dim::Fixed(*len)).collect()
}
