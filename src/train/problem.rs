//! A learning problem: weights, and the graphs of a training step (forward pass, loss, gradients, update) and of an
//! evaluation.

use std::panic::resume_unwind;
use std::sync::Arc;

use crate::graph::ops::{Elementwise, Moves, Reduce, ReduceKind, Softmax};
use crate::graph::{Dim, Graph, GraphError, Mask, ValueId};
use crate::jobs::{Work, abandonable};
use crate::onnx::{ElementType, Session, Tensor};

use super::TrainError;
use super::batches::Part;
use super::metrics::GRADIENT_NORM;
use super::mixup;
use super::optimizer::{Weight, append_updates, next};
use super::parts::{Objective, by_parts};
use super::recipe::{Recipe, TrainFigures};

/// A learning problem.
pub(super) trait Problem: Send + Sync {
    /// The trained weights.
    fn weights(&self) -> &[Weight];
    /// Number of classes, K.
    fn classes(&self) -> usize;
    /// Declares the [inputs](super::batches::Feed) of a part with this many images at once: returns the images, in the
    /// form that [`Problem::forward`] takes, and their classes, `i64[B]`.
    fn declare(&self, graph: &mut Graph, part: Part, images: usize) -> [ValueId; 2];
    /// Appends the forward pass of this many images. The head drops a fraction `dropout` of the inputs of each of its
    /// layers, 0..1: 0 in an evaluation.
    fn forward(
        &self,
        graph: &mut Graph,
        x: ValueId,
        weights: &[ValueId],
        images: usize,
        dropout: f32,
    ) -> Result<Forward, GraphError>;
    /// How many images of a batch pass through a step together; the batch is a multiple of it.
    fn images_at_once(&self, batch: usize) -> usize {
        batch
    }
    /// The number of threads of its sessions.
    fn threads(&self) -> usize;
}

/// The values that a forward pass computes from images.
pub(super) struct Forward {
    /// The head's input, `[B, D]`; `None` if the [batches](super::batches::Batches) contain it.
    pub features: Option<ValueId>,
    /// The head's output, `[B, K]`.
    pub logits: ValueId,
}

/// The outputs of an evaluation for histograms.
pub(super) const FEATURES: &str = "features";
/// See [`FEATURES`].
pub(super) const LOGITS: &str = "logits";

/// The common inputs of steps and evaluations.
pub(super) struct Inputs {
    /// Images.
    pub x: ValueId,
    /// Classes, `i64[B]`.
    pub y: ValueId,
    /// The targets of each image, `f32[B, K]`, if images are [mixed](super::mixup); `None` if each has only its own
    /// class.
    pub targets: Option<ValueId>,
    /// The weights, in the order of [`Problem::weights`].
    pub weights: Vec<ValueId>,
}

impl Inputs {
    /// Declares the inputs.
    pub(super) fn of(problem: &dyn Problem, graph: &mut Graph, part: Part, images: usize) -> Self {
        let [x, y] = problem.declare(graph, part, images);
        let weights = problem.weights().iter().map(|weight| {
            let shape = Dim::all_fixed(&weight.shape);
            graph.input(&weight.name, ElementType::F32, &shape)
        });
        Self {
            x,
            y,
            targets: None,
            weights: weights.collect(),
        }
    }
}

/// One training step. Inputs: those of the training part, the weights, their slots,
/// [`Optimization::scalars`](super::optimizer::Optimization::scalars), and the masks of dropout, which are returned.
/// Outputs: the updated weights and slots and, if the recipe requests them, the figures of the batch before the update
/// and the norm of its gradient.
pub(super) fn step_graph(
    problem: &dyn Problem,
    recipe: &Recipe,
    objective: &Objective,
    batch: usize,
) -> Result<(Graph, Vec<Mask>), GraphError> {
    let mut graph = Graph::new("training step");
    let mut inputs = Inputs::of(problem, &mut graph, Part::Training, batch);
    if recipe.mixup > 0.0 {
        mixup::mix(&mut graph, &mut inputs, problem.classes(), batch);
    }
    let images = problem.images_at_once(batch);
    let learned = by_parts(problem, &mut graph, &inputs, objective, [batch, images])?;
    let optimization = &recipe.optimization;
    for (scalar, _) in optimization.scalars(1, 1) {
        graph.input(scalar, ElementType::F32, &[]);
    }
    let weights = problem.weights();
    for weight in weights {
        for slot in optimization.slots() {
            let name = slot.name(&weight.name);
            graph.input(&name, ElementType::F32, &Dim::all_fixed(&weight.shape));
        }
    }
    append_updates(&mut graph, optimization, weights, &learned.gradients)?;
    for name in optimization.state_names(weights) {
        let next = graph.named(&next(&name))?;
        graph.output(next);
    }
    if recipe.train_figures == TrainFigures::AllBatches {
        let (y, classes) = (inputs.y, problem.classes());
        figures(&mut graph, learned.logits, y, classes, inputs.targets);
    }
    if recipe.outputs_gradient_norm() {
        let norm = graph.named(GRADIENT_NORM)?;
        graph.output(norm);
    }
    graph.prune();
    Ok((graph, learned.masks))
}

/// The evaluation of this many images of a part at once. Inputs: those of the part, and the weights. Outputs:
/// `cross_entropy` and `correct` and, if they are requested, [`LOGITS`] and, if the problem has them, [`FEATURES`].
pub(super) fn evaluation_graph(
    problem: &dyn Problem,
    part: Part,
    images: usize,
    with_activations: bool,
) -> Result<Graph, GraphError> {
    let mut graph = Graph::new("evaluation");
    let inputs = Inputs::of(problem, &mut graph, part, images);
    let Forward { features, logits } =
        problem.forward(&mut graph, inputs.x, &inputs.weights, images, 0.0)?;
    if with_activations {
        graph.output_as(logits, LOGITS);
        if let Some(features) = features {
            graph.output_as(features, FEATURES);
        }
    }
    figures(&mut graph, logits, inputs.y, problem.classes(), None);
    graph.prune();
    Ok(graph)
}

/// The sessions of a training.
pub(super) struct Sessions {
    pub step: Session,
    /// The masks that are inputs of a step.
    pub masks: Vec<Mask>,
    /// One for each requested part.
    pub evaluations: Vec<Session>,
}

/// The step and the evaluations of these parts, ready to run. Takes seconds for a whole network, but does not delay a
/// cancellation.
pub(super) fn sessions(
    problem: &Arc<dyn Problem>,
    recipe: &Recipe,
    objective: Objective,
    batch: usize,
    parts: Vec<(Part, usize)>,
    work: &Work,
) -> Result<Sessions, TrainError> {
    let (problem, recipe) = (Arc::clone(problem), recipe.clone());
    let made = abandonable(work, move || {
        let problem = problem.as_ref();
        let session = |graph: &Graph| {
            Ok::<_, GraphError>(Session::from_bytes(&graph.to_onnx(), problem.threads())?)
        };
        std::thread::scope(|scope| {
            let step = scope.spawn(|| {
                let (graph, masks) = step_graph(problem, &recipe, &objective, batch)?;
                Ok::<_, GraphError>((session(&graph)?, masks))
            });
            let evaluations: Result<_, _> = parts
                .iter()
                .map(|(part, images)| {
                    let with_activations = recipe.measures.histograms && *part == Part::Validation;
                    session(&evaluation_graph(
                        problem,
                        *part,
                        *images,
                        with_activations,
                    )?)
                })
                .collect();
            let step = step.join().unwrap_or_else(|panic| resume_unwind(panic));
            let (step, masks) = step?;
            Ok::<_, GraphError>(Sessions {
                step,
                masks,
                evaluations: evaluations?,
            })
        })
    })?;
    Ok(made?)
}

/// Adds the outputs `cross_entropy` (nats) and `correct` (1 or 0) of each image with the class `y`, `f32[B]`. For
/// mixed images, `targets` are the shares of the classes, and `correct` is the share of the predicted class.
fn figures(
    graph: &mut Graph,
    logits: ValueId,
    y: ValueId,
    classes: usize,
    targets: Option<ValueId>,
) {
    let log_p = graph.op(Softmax::LOG, &[logits]);
    // The log probability of each image's own class.
    let depth = graph.ints(&[classes as i64]);
    let off_on = graph.constant(Tensor::new([2], vec![0.0_f32, 1.0]));
    let one_hot =
        |graph: &mut Graph, of: ValueId| graph.op(Moves::OneHot { axis: -1 }, &[of, depth, off_on]);
    let target = targets.unwrap_or_else(|| one_hot(graph, y));
    let chosen = graph.mul(log_p, target);
    let per_row = graph.reduce_sum(chosen, &[1], false);
    let cross_entropy = graph.op_named(Elementwise::Neg, &[per_row], "cross_entropy");
    graph.output(cross_entropy);
    let best = graph.op(Reduce::along(ReduceKind::ArgMax, &[1], false), &[log_p]);
    if let Some(targets) = targets {
        let best = one_hot(graph, best);
        let share = graph.mul(best, targets);
        let share = graph.reduce_sum(share, &[1], false);
        graph.output_as(share, "correct");
    } else {
        let equal = graph.equal(best, y);
        let correct = graph.op_named(Elementwise::Cast(ElementType::F32), &[equal], "correct");
        graph.output(correct);
    }
}
