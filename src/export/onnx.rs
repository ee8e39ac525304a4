//! The ONNX format: from pixels to probabilities in one graph.
//!
//! The backbone's graph as the run uses it: as it is shipped (fp16 weights with a cast that the runtime folds away, so
//! the export computes what the app computes), weights that the run has trained further as they are, in fp32
//! (rounded to fp16 they moved probabilities by 5e-4, more than a proof allows).
//! Normalisation in front, head and softmax behind.

use crate::backbone::TunedWeights;
use crate::evaluate::{InputKind, RECIPE_KEY, Recipe};
use crate::graph::ops::{Linear, Softmax};
use crate::graph::{Dim, Graph};
use crate::onnx::{ElementType, OnnxError, Tensor};
use crate::train::{Head, Run, RunClasses};

use super::ExportError;

/// The bytes of the exported model.
pub(super) fn model(
    run: &Run,
    head: &Head,
    tuned: Option<&TunedWeights>,
    classes: &RunClasses,
    recipe: &Recipe,
) -> Result<Vec<u8>, ExportError> {
    let architecture = &run.settings.architecture;
    let entry = architecture.entry()?;
    let backbone = Graph::from_onnx(&architecture.model_with(tuned)?)?;
    let mut graph = join(
        backbone,
        &entry.input,
        &entry.bottleneck,
        head,
        recipe,
        classes.is_folded().then_some(&classes.label_of),
    )?;
    let mut licence = format!("backbone {}: {}", architecture.backbone, entry.licence);
    // The licence asks that changes be told.
    if tuned.is_some() {
        licence += ", changed by further training";
    }
    graph.metadata = metadata(run, recipe, licence)?;
    Ok(graph.to_onnx())
}

/// What the model says of itself.
fn metadata(
    run: &Run,
    recipe: &Recipe,
    licence: String,
) -> Result<Vec<(String, String)>, ExportError> {
    let json = |value: serde_json::Result<String>| {
        value.map_err(|error| OnnxError::Model(format!("its metadata cannot be written: {error}")))
    };
    Ok(vec![
        (
            "labels".into(),
            json(serde_json::to_string(&recipe.labels))?,
        ),
        (RECIPE_KEY.into(), json(serde_json::to_string(recipe))?),
        ("architecture".into(), run.settings.architecture.to_string()),
        ("run".into(), run.id.0.clone()),
        (
            "producer".into(),
            format!("Salamander {}", env!("CARGO_PKG_VERSION")),
        ),
        ("licence".into(), licence),
    ])
}

/// Normalisation, backbone, head and softmax as one graph. `label_of`, where the run tells more classes apart than there
/// are labels, has the label of each class: then the probabilities of a label's classes are added up.
fn join(
    mut backbone: Graph,
    backbone_input: &str,
    bottleneck: &str,
    head: &Head,
    recipe: &Recipe,
    label_of: Option<&Vec<usize>>,
) -> Result<Graph, ExportError> {
    let preprocessing = &recipe.preprocessing;
    let side = preprocessing.resolution_px as usize;
    let classes = head.b.len();
    let dim = head.w.len() / classes.max(1);
    let batch = || Dim::from("N");

    // Outputs of the backbone become values in between.
    backbone.clear_outputs();
    backbone.metadata.clear();
    let (backbone_input, bottleneck) =
        (backbone.named(backbone_input)?, backbone.named(bottleneck)?);
    // Names that stand for themselves outside must not meet those inside.
    backbone.prefix("backbone.");

    let mut graph = Graph::new("salamander");
    graph.opset = backbone.opset;
    let image = &recipe.input.name;
    let planes = match recipe.input.kind {
        InputKind::Float32Nchw => graph.input(
            image,
            ElementType::F32,
            &[batch(), 3.into(), side.into(), side.into()],
        ),
        InputKind::Uint8Nhwc => {
            let image = graph.input(
                image,
                ElementType::U8,
                &[batch(), side.into(), side.into(), 3.into()],
            );
            // Bytes are transposed before they become four times as large.
            let planar = graph.transpose(image, &[0, 3, 1, 2]);
            let values = graph.cast(planar, ElementType::F32);
            let per_channel = |values: [f32; 3]| Tensor::new([1, 3, 1, 1], values.to_vec());
            let mean = graph.constant_named("mean", per_channel(preprocessing.mean));
            let std = graph.constant_named("std", per_channel(preprocessing.std));
            let centred = graph.sub(values, mean);
            graph.div(centred, std)
        }
    };
    let joined = graph.append(backbone, &[(backbone_input, planes)])?;
    let bottleneck = joined.get(bottleneck);
    let w = graph.constant_named("head.weight", Tensor::new([dim, classes], head.w.clone()));
    let b = graph.constant_named("head.bias", Tensor::new([classes], head.b.clone()));
    let logits = graph.op(Linear::GEMM, &[bottleneck, w, b]);
    let softmax = Softmax {
        axis: 1,
        log: false,
    };
    let output = &recipe.output.name;
    let labels = recipe.labels.len();
    let probabilities = if let Some(label_of) = label_of {
        let probabilities = graph.op(softmax, &[logits]);
        let mut sums = vec![0.0_f32; classes * labels];
        for (row, label) in sums.chunks_exact_mut(labels.max(1)).zip(label_of) {
            if let Some(cell) = row.get_mut(*label) {
                *cell = 1.0;
            }
        }
        let sums = graph.constant_named("labels.sums", Tensor::new([classes, labels], sums));
        graph.op_named(Linear::MatMul, &[probabilities, sums], output)
    } else {
        graph.op_named(softmax, &[logits], output)
    };
    graph.output(probabilities);
    graph.declare(probabilities, ElementType::F32, &[batch(), labels.into()]);
    graph.prune();
    Ok(graph)
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::path::Path;

    use image::RgbImage;

    use crate::backbone::{Architecture, Extractor, Fit};
    use crate::evaluate::ExportedModel;

    use super::*;

    fn parts(kind: InputKind) -> (Architecture, Head, Recipe) {
        let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
        let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
        let dim = architecture.entry().unwrap().bottleneck_dim;
        let head = Head {
            w: (0..dim * 3)
                .map(|at| ((at * 7919 % 101) as f32 - 50.0) / 500.0)
                .collect(),
            b: vec![0.1, -0.2, 0.3],
        };
        let labels = ["Ä\"1", "日本", "c"].map(str::to_owned);
        let recipe = Recipe::new(kind, &preprocessing, &architecture, &labels);
        (architecture, head, recipe)
    }

    /// A model as it is exported, with a made-up head.
    pub(in crate::export) fn small_model(kind: InputKind) -> Vec<u8> {
        let (_, head, recipe) = parts(kind);
        model_of(&head, &recipe, None)
    }

    fn model_of(head: &Head, recipe: &Recipe, label_of: Option<&Vec<usize>>) -> Vec<u8> {
        let architecture = &recipe.architecture;
        let entry = architecture.entry().unwrap();
        let backbone = Graph::from_onnx(&entry.model().unwrap()).unwrap();
        let mut graph = join(
            backbone,
            &entry.input,
            &entry.bottleneck,
            head,
            recipe,
            label_of,
        )
        .unwrap();
        graph.set_metadata(RECIPE_KEY, &serde_json::to_string(recipe).unwrap());
        graph.to_onnx()
    }

    #[test]
    fn classes_that_were_merged_are_one_output() {
        let (_, head, plain) = parts(InputKind::Uint8Nhwc);
        let mut folded = plain.clone();
        folded.labels = ["a", "b"].map(str::to_owned).to_vec();
        let picture = RgbImage::from_fn(110, 100, |x, y| {
            image::Rgb([
                (x * 2 % 256) as u8,
                (y * 3 % 256) as u8,
                (x * y % 256) as u8,
            ])
        });
        let run = |bytes: &[u8]| {
            let mut model = ExportedModel::from_bytes(bytes, Path::new("model.onnx"), 1).unwrap();
            model.probabilities(&picture).unwrap()
        };
        let three = run(&model_of(&head, &plain, None));
        let two = run(&model_of(&head, &folded, Some(&vec![0, 1, 0])));
        assert_eq!(two.len(), 2);
        assert!((two[0] - three[0] - three[2]).abs() < 1e-6 && (two[1] - three[1]).abs() < 1e-6);
    }

    /// Backbone, head and softmax apart, against the exported graph, for both inputs.
    #[test]
    fn the_joined_graph_computes_what_its_parts_compute() {
        let (architecture, head, recipe) = parts(InputKind::Uint8Nhwc);
        let picture = RgbImage::from_fn(140, 120, |x, y| {
            image::Rgb([
                (x * 3 % 256) as u8,
                (y * 5 % 256) as u8,
                ((x + y) % 256) as u8,
            ])
        });
        let bottleneck = Extractor::new(&architecture, &recipe.preprocessing, None)
            .unwrap()
            .extract(&picture)
            .unwrap();
        let logits: Vec<f64> = (0..3)
            .map(|class| {
                f64::from(head.b[class])
                    + bottleneck
                        .iter()
                        .enumerate()
                        .map(|(d, x)| f64::from(*x) * f64::from(head.w[d * 3 + class]))
                        .sum::<f64>()
            })
            .collect();
        let sum: f64 = logits.iter().map(|z| z.exp()).sum();

        for kind in [InputKind::Uint8Nhwc, InputKind::Float32Nchw] {
            let bytes = small_model(kind);
            let mut exported =
                ExportedModel::from_bytes(&bytes, Path::new("model.onnx"), 1).unwrap();
            assert_eq!(exported.recipe(), &parts(kind).2);
            let found = exported.probabilities(&picture).unwrap();
            for (found, logit) in found.iter().zip(&logits) {
                let expected = logit.exp() / sum;
                assert!(
                    (f64::from(*found) - expected).abs() < 1e-5,
                    "{found} {expected}"
                );
            }
        }
    }
}
