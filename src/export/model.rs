//! The model that every format is written from: one graph and its metadata.

use std::sync::Arc;

use crate::backbone::{Architecture, Backbone, Preprocessing};
use crate::evaluate::{InputKind, Recipe};
use crate::graph::ops::{Activation, Linear, Softmax};
use crate::graph::{Dim, Graph, ValueId};
use crate::onnx::{ElementType, Tensor};
use crate::project::ClassId;
use crate::train::{Head, Run, RunClasses};

use super::{ExportError, Quantized};

/// The name of the graph's input.
const PLANES: &str = "planes";
/// The name of the graph's output.
const PROBABILITIES: &str = "probabilities";
/// The name of the matrix of the head's hidden layer, f32 `[D, H]`, if it has one.
const HIDDEN_WEIGHT: &str = "head.hidden.weight";
/// The name of the bias of that layer, f32 `[H]`.
const HIDDEN_BIAS: &str = "head.hidden.bias";
/// The name of the matrix of the head's last layer, f32 `[D, C]`, or `[H, C]` after a hidden layer.
pub(super) const HEAD_WEIGHT: &str = "head.weight";
/// The name of the bias of the last layer, f32 `[C]`.
pub(super) const HEAD_BIAS: &str = "head.bias";

/// A trained classifier in the form that all formats are written from.
///
/// The graph goes from normalised planes to probabilities. An untrained backbone is as shipped, with fp16 weights and
/// a `Cast` that runtimes fold, so that an export computes the same as the app. Fine-tuned weights are fp32: rounded
/// to fp16 they would change probabilities by 5e-4, more than the verification allows. [`Graph::fold_constants`]
/// converts all to fp32 constants.
#[derive(Debug, Clone)]
pub struct Model {
    /// From `planes` f32 `[N, 3, H, W]`, RGB, normalised, to `probabilities` f32 `[N, labels]`.
    pub graph: Graph,
    /// The graph's only input.
    pub planes: ValueId,
    /// The backbone's output f32 `[N, D]`.
    pub bottleneck: ValueId,
    /// The input of the head's last layer: the bottleneck, or the activations of the hidden layer, f32 `[N, H]`.
    pub features: ValueId,
    /// How images are converted to planes.
    pub preprocessing: Preprocessing,
    /// `efficientnet-lite0@224`.
    pub architecture: Architecture,
    /// The labels in the order of the output.
    pub labels: Vec<String>,
    /// The identities of the classes that each label stands for.
    pub class_ids: Vec<Vec<ClassId>>,
    /// The run's name.
    pub run: String,
    /// Its backbone.
    pub backbone: &'static Backbone,
    /// The licence of the backbone's weights and whether they were changed, in one line.
    pub licence: String,
    /// Whether the backbone was fine-tuned.
    pub is_fine_tuned: bool,
    /// If the run has a threshold: images whose highest probability is below it belong to none of the classes, 0..=1.
    pub unknown_below: Option<f32>,
    /// Top-1 accuracy on the run's test frames as the run measured it, 0..=1.
    pub test_accuracy: Option<f32>,
    /// Remarks on classes that were merged or deleted since.
    pub notes: Vec<String>,
    /// The int8 model, if a format needs it.
    pub quantized: Option<Arc<Quantized>>,
}

impl Model {
    /// The model of a finished run, with the current names of its classes.
    ///
    /// # Errors
    /// [`ExportError`] if the run's weights or its backbone cannot be read or do not match.
    pub fn of_run(run: &Run, classes: &RunClasses) -> Result<Self, ExportError> {
        let head = run.calibrated_head()?;
        let fine_tuned = run.fine_tuned()?;
        let architecture = &run.settings.architecture;
        let entry = architecture.entry()?;
        let backbone = Graph::from_onnx(&architecture.model_with(fine_tuned.as_ref())?)?;
        let mut licence = format!("backbone {}: {}", architecture.backbone, entry.licence);
        // The licence requires that changes are stated.
        if fine_tuned.is_some() {
            licence += ", changed by fine-tuning";
        }
        let label_of = classes.is_folded().then_some(&classes.label_of);
        let ids_of = |label: usize| {
            let of_label = classes.label_of.iter().zip(&run.class_ids);
            let of_label = of_label.filter(|(known, _)| **known == label);
            of_label.map(|(_, id)| *id).collect()
        };
        let joined = join(
            backbone,
            [&entry.input, &entry.bottleneck],
            run.preprocessing.resolution_px as usize,
            &head,
            classes.labels.len(),
            label_of,
        )?;
        Ok(Self {
            graph: joined.graph,
            planes: joined.planes,
            bottleneck: joined.bottleneck,
            features: joined.features,
            preprocessing: run.preprocessing.clone(),
            architecture: architecture.clone(),
            class_ids: (0..classes.labels.len()).map(ids_of).collect(),
            labels: classes.labels.clone(),
            run: run.id.0.clone(),
            backbone: entry,
            licence,
            is_fine_tuned: fine_tuned.is_some(),
            unknown_below: run.unknown_below()?,
            test_accuracy: run.result().and_then(|result| result.test_accuracy),
            notes: classes.notes.clone(),
            quantized: None,
        })
    }

    /// The length of a bottleneck.
    #[must_use]
    pub fn dim(&self) -> usize {
        let hidden = self.graph.find(HIDDEN_WEIGHT);
        let weight = hidden.or_else(|| self.graph.find(HEAD_WEIGHT));
        let lens = weight.and_then(|weight| self.graph.lens(weight));
        lens.and_then(|lens| lens.first().copied()).unwrap_or(0)
    }

    /// The graph with the input of this recipe: the part of the run's normalisation that the caller of the model does
    /// not do is prepended.
    ///
    /// # Errors
    /// [`ExportError::Graph`] if the graph cannot be joined.
    pub fn graph_for(&self, recipe: &Recipe) -> Result<Graph, ExportError> {
        let (mean, std) = recipe.normalisation();
        let own = &self.preprocessing;
        if (mean, std) == (own.mean, own.std) {
            return Ok(self.graph.clone());
        }
        // Composes (v - m) / s with x = (v - mean) / std.
        let per_channel = |of: &dyn Fn(usize) -> f64| {
            let values: Vec<f32> = (0..3).map(|at| of(at) as f32).collect();
            Tensor::new([1, 3, 1, 1], values)
        };
        let f = |values: [f32; 3], at: usize| values.get(at).copied().map_or(0.0, f64::from);
        let scale = per_channel(&|at| f(std, at) / f(own.std, at));
        let shift = per_channel(&|at| (f(mean, at) - f(own.mean, at)) / f(own.std, at));
        let mut graph = Graph::new(&self.graph.name);
        graph.opset = self.graph.opset;
        let shape = self.graph.shape(self.planes).unwrap_or_default().to_vec();
        let mut planes = graph.input(PLANES, ElementType::F32, &shape);
        let is_all = |tensor: &Tensor, value: f32| {
            let values = tensor.f32().unwrap_or_default();
            values.iter().all(|one| one.to_bits() == value.to_bits())
        };
        if !is_all(&scale, 1.0) {
            let scale = graph.constant_named("normalise.scale", scale);
            planes = graph.mul(planes, scale);
        }
        if !is_all(&shift, 0.0) {
            let shift = graph.constant_named("normalise.shift", shift);
            planes = graph.add(planes, shift);
        }
        graph.append(self.graph.clone(), &[(self.planes, planes)])?;
        Ok(graph)
    }

    /// The int8 model.
    ///
    /// # Errors
    /// [`ExportError`] if no format of the export needed it.
    pub fn quantized(&self) -> Result<&Quantized, ExportError> {
        self.quantized
            .as_deref()
            .ok_or_else(|| ExportError::Uncalibrated {
                run: self.run.clone(),
            })
    }

    /// The head's last layer: weights `[D, C]`, or `[H, C]` after a hidden layer, and biases `[C]`, for the run's C
    /// classes.
    #[must_use]
    pub fn last_layer(&self) -> Option<(Vec<f32>, Vec<f32>)> {
        let of = |name| {
            let value = self.graph.find(name)?;
            Some(self.graph.constant_of(value)?.f32().ok()?.to_vec())
        };
        Some((of(HEAD_WEIGHT)?, of(HEAD_BIAS)?))
    }

    /// How a model with this kind of input is run.
    #[must_use]
    pub fn recipe(&self, input: InputKind) -> Recipe {
        let recipe = Recipe::new(input, &self.preprocessing, &self.architecture, &self.labels);
        Recipe {
            unknown_below: self.unknown_below,
            ..recipe
        }
    }
}

/// A graph with its input, bottleneck and output.
struct Joined {
    graph: Graph,
    planes: ValueId,
    bottleneck: ValueId,
    features: ValueId,
}

/// Joins backbone, head and softmax into one graph for images of `side` × `side` pixels. If the run has more classes
/// than there are labels, `label_of` is the label of each class.
fn join(
    mut backbone: Graph,
    [input, bottleneck]: [&str; 2],
    side: usize,
    head: &Head,
    labels: usize,
    label_of: Option<&Vec<usize>>,
) -> Result<Joined, ExportError> {
    let (classes, width) = (head.classes(), head.width());
    let batch = || Dim::from("N");

    // The backbone's outputs become intermediate values.
    backbone.clear_outputs();
    backbone.metadata.clear();
    let (input, bottleneck) = (backbone.named(input)?, backbone.named(bottleneck)?);
    // Public names must not clash with internal ones.
    backbone.prefix("backbone.");

    let mut graph = Graph::new("salamander");
    graph.opset = backbone.opset;
    let shape = [batch(), 3.into(), side.into(), side.into()];
    let planes = graph.input(PLANES, ElementType::F32, &shape);
    let joined = graph.append(backbone, &[(input, planes)])?;
    let bottleneck = joined.get(bottleneck);
    let mut features = bottleneck;
    if let Some(hidden) = &head.hidden {
        let w = Tensor::new([head.dim(), width], hidden.w.clone());
        let w = graph.constant_named(HIDDEN_WEIGHT, w);
        let b = graph.constant_named(HIDDEN_BIAS, Tensor::new([width], hidden.b.clone()));
        let sums = graph.op(Linear::GEMM, &[bottleneck, w, b]);
        features = graph.op_named(Activation::Relu, &[sums], "head.hidden");
    }
    let w = graph.constant_named(HEAD_WEIGHT, Tensor::new([width, classes], head.w.clone()));
    let b = graph.constant_named(HEAD_BIAS, Tensor::new([classes], head.b.clone()));
    let logits = graph.op(Linear::GEMM, &[features, w, b]);
    let softmax = Softmax {
        axis: 1,
        log: false,
    };
    let probabilities = if let Some(label_of) = label_of {
        let probabilities = graph.op(softmax, &[logits]);
        let mut sums = vec![0.0_f32; classes * labels];
        for (row, label) in sums.chunks_exact_mut(labels.max(1)).zip(label_of) {
            if let Some(cell) = row.get_mut(*label) {
                *cell = 1.0;
            }
        }
        let sums = graph.constant_named("labels.sums", Tensor::new([classes, labels], sums));
        graph.op_named(Linear::MatMul, &[probabilities, sums], PROBABILITIES)
    } else {
        graph.op_named(softmax, &[logits], PROBABILITIES)
    };
    graph.output(probabilities);
    graph.declare(probabilities, ElementType::F32, &[batch(), labels.into()]);
    graph.prune();
    Ok(Joined {
        graph,
        planes,
        bottleneck,
        features,
    })
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use crate::backbone::Fit;
    use crate::graph::ops::{Elementwise, Norm};
    use crate::train::Hidden;

    use super::*;

    /// A head of three classes with invented weights, on a real backbone at 96 pixels.
    pub(in crate::export) fn head(architecture: &Architecture) -> Head {
        let dim = architecture.entry().unwrap().bottleneck_dim;
        let w = (0..dim * 3).map(|at| ((at * 7919 % 101) as f32 - 50.0) / 500.0);
        Head::linear(w.collect(), vec![0.1, -0.2, 0.3])
    }

    /// A model with that head and these labels; `label_of` as for [`join`].
    pub(in crate::export) fn model_of(labels: &[&str], label_of: Option<&Vec<usize>>) -> Model {
        let architecture = "efficientnet-lite0@96".parse().unwrap();
        model_with(&head(&architecture), labels, label_of)
    }

    fn model_with(head: &Head, labels: &[&str], label_of: Option<&Vec<usize>>) -> Model {
        let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
        let entry = architecture.entry().unwrap();
        let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
        let joined = join(
            Graph::from_onnx(&entry.model().unwrap()).unwrap(),
            [&entry.input, &entry.bottleneck],
            96,
            head,
            labels.len(),
            label_of,
        )
        .unwrap();
        Model {
            graph: joined.graph,
            planes: joined.planes,
            bottleneck: joined.bottleneck,
            features: joined.features,
            preprocessing,
            architecture,
            labels: labels.iter().map(|label| (*label).to_owned()).collect(),
            class_ids: labels
                .iter()
                .map(|label| vec![ClassId::of_name(label)])
                .collect(),
            run: "the run".into(),
            backbone: entry,
            licence: "Apache-2.0".into(),
            is_fine_tuned: false,
            unknown_below: None,
            test_accuracy: None,
            notes: Vec::new(),
            quantized: None,
        }
    }

    /// A small model whose head has a hidden layer of five units.
    pub(in crate::export) fn hidden_model() -> Model {
        let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
        let dim = architecture.entry().unwrap().bottleneck_dim;
        let made = |seed: usize, len: usize| -> Vec<f32> {
            let value = |at: usize| ((at * 7919 + seed) % 101) as f32 - 50.0;
            (0..len).map(|at| value(at) / 500.0).collect()
        };
        let head = Head {
            hidden: Some(Hidden {
                w: made(1, dim * 5),
                b: made(2, 5),
            }),
            w: made(3, 5 * 3).iter().map(|w| 8.0 * w).collect(),
            b: made(4, 3),
        };
        model_with(&head, &["a", "b", "c"], None)
    }

    /// The operators of `ConvNeXt` between two convolutions, on planes `[N, C, H, W]`: layer normalisation with
    /// channels last, matrix products with a GELU between, and a shortcut.
    pub(in crate::export) fn rows_and_norms(
        graph: &mut Graph,
        planes: ValueId,
        channels: usize,
    ) -> ValueId {
        let numbers = |graph: &mut Graph, shape: &[usize], spread: f32| {
            let count: usize = shape.iter().product();
            let at = |at: usize| ((at * 7919 + at / 3) % 512) as f32 / 256.0 - 1.0;
            let values: Vec<f32> = (0..count).map(|index| spread * at(index)).collect();
            graph.constant(Tensor::new(shape, values))
        };
        let rows = graph.transpose(planes, &[0, 2, 3, 1]);
        let scale = numbers(graph, &[channels], 2.0);
        let bias = numbers(graph, &[channels], 0.5);
        let norm = Norm::Layer {
            axis: -1,
            epsilon: 1e-6,
            stash: 1,
        };
        let normal = graph.op_named(norm, &[rows, scale, bias], "norm");
        let linear = |graph: &mut Graph, x: ValueId, [from, to]: [usize; 2]| {
            let weight = numbers(graph, &[from, to], 0.3);
            let bias = numbers(graph, &[to], 0.2);
            let product = graph.op(Linear::MatMul, &[x, weight]);
            graph.add(product, bias)
        };
        let wide = linear(graph, normal, [channels, 2 * channels]);
        let root = graph.number(std::f64::consts::SQRT_2);
        let (one, half) = (graph.number(1.0), graph.number(0.5));
        let bent = graph.div(wide, root);
        let bent = graph.op(Elementwise::Erf, &[bent]);
        let gate = graph.add(bent, one);
        let gated = graph.mul(wide, gate);
        let gated = graph.mul(gated, half);
        let narrow = linear(graph, gated, [2 * channels, channels]);
        let back = graph.transpose(narrow, &[0, 3, 1, 2]);
        graph.add(planes, back)
    }

    /// A small model with unusual labels.
    pub(in crate::export) fn small_model() -> Model {
        model_of(&["Ä\"1", "日本", "c"], None)
    }
}
