//! ONNX: one graph from pixels to probabilities, with metadata that describes its input.

mod runner;

use std::path::Path;

use crate::evaluate::{EvaluateError, InputKind, Recipe, Runner};
use crate::graph::ops::{Elementwise, Quantization, Reshaping};
use crate::graph::{Dim, Graph, GraphError};
use crate::onnx::{ElementType, OnnxError, Tensor};

use super::format::{Acceptance, Example, Exporter, Family, FormatInfo, ModelFile, Options};
use super::quantize::read_value;
use super::readme::input_in_python;
use super::{ExportError, Language, Model};

pub use runner::OnnxRunner;

/// The metadata key of a model's [`Recipe`], as JSON.
pub const RECIPE_KEY: &str = "preprocessing";

/// The name of the optional second output.
const BOTTLENECK: &str = "bottleneck";

/// A kind of ONNX model.
pub(super) struct Onnx {
    info: FormatInfo,
    /// Its input unless an option sets another.
    input: InputKind,
    precision: Precision,
}

/// The type of stored weights and of computations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Precision {
    Single,
    Half,
    /// 8-bit integers, from [`Model::quantized`].
    Int8,
}

impl Onnx {
    pub const UINT8: Self = Self {
        info: FormatInfo {
            name: "onnx",
            family: &Family::ONNX,
            variant: "fp32",
            title: "ONNX, uint8",
            sentence: "Takes pixels; normalisation is part of the model. Recommended.",
            file: "model.onnx",
        },
        input: InputKind::Uint8Nhwc,
        precision: Precision::Single,
    };
    pub const FLOAT: Self = Self {
        info: FormatInfo {
            name: "onnx-float",
            family: &Family::ONNX,
            variant: "float",
            title: "ONNX, float",
            sentence: "Takes normalised float pixels, [N, 3, H, W]. For runtimes and converters that do not support uint8.",
            file: "model-float.onnx",
        },
        input: InputKind::Float32Nchw,
        precision: Precision::Single,
    };
    pub const HALF: Self = Self {
        info: FormatInfo {
            name: "onnx-fp16",
            family: &Family::ONNX,
            variant: "fp16",
            title: "ONNX, fp16",
            sentence: "Computes in half precision, for runtimes on phone GPUs and NPUs that need it. On most CPUs no faster than ONNX.",
            file: "model-fp16.onnx",
        },
        input: InputKind::Uint8Nhwc,
        precision: Precision::Half,
    };
    pub const INT8: Self = Self {
        info: FormatInfo {
            name: "onnx-int8",
            family: &Family::ONNX,
            variant: "int8",
            title: "ONNX, int8",
            sentence: "A quarter of the size and faster on every CPU; computes in 8-bit integers, calibrated on your training images. A few percent of the answers may change.",
            file: "model-int8.onnx",
        },
        input: InputKind::Uint8Nhwc,
        precision: Precision::Int8,
    };
}

impl Exporter for Onnx {
    fn info(&self) -> &FormatInfo {
        &self.info
    }

    fn input(&self, options: &Options) -> InputKind {
        options.input.unwrap_or(self.input)
    }

    fn follows_options(&self) -> bool {
        true
    }

    fn acceptance(&self) -> Acceptance {
        match self.precision {
            Precision::Single => Acceptance::FP32,
            Precision::Half => Acceptance::FP16,
            Precision::Int8 => Acceptance::INT8,
        }
    }

    fn is_calibrated(&self) -> bool {
        self.precision == Precision::Int8
    }

    fn proof(&self) -> &'static str {
        match self.precision {
            Precision::Half => "run in ONNX Runtime with each result rounded to fp16",
            Precision::Single | Precision::Int8 => "run in ONNX Runtime",
        }
    }

    fn write(&self, model: &Model, options: &Options) -> Result<Vec<ModelFile>, ExportError> {
        let recipe = model.recipe(self.input(options));
        let unwritable = |error: GraphError| ExportError::Unwritable {
            format: self.info.title,
            reason: error.to_string(),
        };
        let mut classifier = match self.precision {
            Precision::Int8 => model.quantized()?.onnx.clone(),
            _ => model.graph_for(&recipe)?,
        };
        if options.bottleneck {
            let name = model.graph.name_of(model.bottleneck);
            let bottleneck = match self.precision {
                Precision::Int8 => read_value(&classifier, name)?,
                _ => classifier.named(name)?,
            };
            let bottleneck = classifier.output_as(bottleneck, BOTTLENECK);
            let dim = model.dim();
            classifier.declare(bottleneck, ElementType::F32, &[Dim::from("N"), dim.into()]);
        }
        let mut graph = match self.precision {
            Precision::Single => from_pixels(classifier, &recipe)?,
            Precision::Half => from_pixels(classifier.to_half().map_err(unwritable)?, &recipe)?,
            Precision::Int8 => from_bytes(classifier, &recipe)?,
        };
        if options.batch_of_one {
            batch_of_one(&mut graph);
        }
        if let Some(opset) = options.opset {
            graph = graph.to_opset(opset).map_err(unwritable)?;
        }
        graph.metadata = metadata(model, &recipe)?;
        Ok(vec![ModelFile {
            name: self.info.file.to_owned(),
            bytes: graph.to_onnx(),
        }])
    }

    fn open(&self, files: &[ModelFile], threads: usize) -> Result<Box<dyn Runner>, EvaluateError> {
        let Some(file) = files.first() else {
            return Err(OnnxError::Model("its file is missing".into()).into());
        };
        let runner = OnnxRunner::from_bytes(&file.bytes, Path::new(&file.name), threads)?;
        Ok(Box::new(runner))
    }

    fn open_for_proof(
        &self,
        files: &[ModelFile],
        threads: usize,
    ) -> Result<Box<dyn Runner>, EvaluateError> {
        let (Precision::Half, Some(file)) = (self.precision, files.first()) else {
            return self.open(files, threads);
        };
        let path = Path::new(&file.name);
        let graph = Graph::from_onnx(&file.bytes).map_err(|error| EvaluateError::NoExport {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let bytes = graph.rounding_to_half().to_onnx();
        Ok(Box::new(OnnxRunner::from_bytes(&bytes, path, threads)?))
    }

    fn example(&self, recipe: &Recipe, file: &str) -> Option<Example> {
        Some(Example {
            language: Language::Python,
            runtime: "ONNX Runtime for Python",
            packages: "onnxruntime numpy \"pillow>=10.1\"",
            program: format!(
                "import numpy as np, onnxruntime\n\
                 from PIL import Image, ImageOps\n\
                 {input}\n\
                 p = onnxruntime.InferenceSession(\"{file}\").run([\"{output}\"], {{\"{image}\": x}})[0][0]\n\
                 labels = open(\"labels.txt\", encoding=\"utf-8\").read().split(\"\\n\")\n\
                 print(labels[p.argmax()], p.max())",
                input = input_in_python(recipe),
                output = recipe.output.name,
                image = recipe.input.name,
            ),
        })
    }

    fn recognises(&self, file_name: &str, _head: &[u8]) -> bool {
        // Protobuf files have no magic number.
        Path::new(file_name)
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
    }
}

/// Prepends the conversion from pixels to planes to the graph of a classifier.
pub(super) fn from_pixels(classifier: Graph, recipe: &Recipe) -> Result<Graph, ExportError> {
    let side = recipe.preprocessing.resolution_px as usize;
    let batch = || Dim::from("N");
    let mut graph = Graph::new("salamander");
    graph.opset = classifier.opset;
    let image = &recipe.input.name;
    let planar = [batch(), 3.into(), side.into(), side.into()];
    let interleaved = [batch(), side.into(), side.into(), 3.into()];
    let planes = match recipe.input.kind {
        InputKind::Float32Nchw => graph.input(image, ElementType::F32, &planar),
        InputKind::Float32Nhwc => {
            let image = graph.input(image, ElementType::F32, &interleaved);
            graph.transpose(image, &[0, 3, 1, 2])
        }
        InputKind::Uint8Nhwc => {
            let image = graph.input(image, ElementType::U8, &interleaved);
            // Transposed as bytes, before they become floats of four times the size.
            let planar = graph.transpose(image, &[0, 3, 1, 2]);
            let values = graph.cast(planar, ElementType::F32);
            let per_channel = |values: [f32; 3]| Tensor::new([1, 3, 1, 1], values.to_vec());
            let mean = graph.constant_named("mean", per_channel(recipe.preprocessing.mean));
            let std = graph.constant_named("std", per_channel(recipe.preprocessing.std));
            let centred = graph.sub(values, mean);
            graph.div(centred, std)
        }
    };
    let input = classifier.inputs().first().copied();
    let connect: Vec<_> = input.map(|input| (input, planes)).into_iter().collect();
    graph.append(classifier, &connect)?;
    let outputs = graph.outputs().to_vec();
    if let Some((first, others)) = outputs.split_first()
        && graph.name_of(*first) != recipe.output.name
    {
        graph.clear_outputs();
        graph.output_as(*first, &recipe.output.name);
        for other in others {
            graph.output(*other);
        }
    }
    Ok(graph)
}

/// Prepends the conversion from normalised floats to bytes to the graph of a classifier that reads bytes.
fn from_bytes(classifier: Graph, recipe: &Recipe) -> Result<Graph, ExportError> {
    let side = recipe.preprocessing.resolution_px as usize;
    let [batch, side, three] = [Dim::from("N"), side.into(), 3.into()];
    let mut graph = Graph::new("salamander");
    graph.opset = classifier.opset;
    let image = &recipe.input.name;
    let interleaved = [batch.clone(), side.clone(), side.clone(), three.clone()];
    // Named, because the classifier's unnamed values are numbered.
    let pixels = match recipe.input.kind {
        InputKind::Uint8Nhwc => return Ok(classifier),
        InputKind::Float32Nhwc => graph.input(image, ElementType::F32, &interleaved),
        InputKind::Float32Nchw => {
            let planar = [batch, three, side.clone(), side];
            let planes = graph.input(image, ElementType::F32, &planar);
            let perm = Some(vec![0, 2, 3, 1]);
            graph.op_named(
                Reshaping::Transpose { perm },
                &[planes],
                "floats.interleaved",
            )
        }
    };
    let per_channel = |values: [f32; 3]| Tensor::new([3], values.to_vec());
    let std = graph.constant_named("floats.std", per_channel(recipe.preprocessing.std));
    let mean = graph.constant_named("floats.mean", per_channel(recipe.preprocessing.mean));
    let scaled = graph.op_named(Elementwise::Mul, &[pixels, std], "floats.scaled");
    let pixels = graph.op_named(Elementwise::Add, &[scaled, mean], "floats.pixels");
    let scale = graph.constant_named("floats.scale", Tensor::scalar(1.0_f32));
    let zero = graph.constant_named("floats.zero", Tensor::scalar(0_u8));
    let bytes = graph.op_named(
        Quantization::QUANTIZE,
        &[pixels, scale, zero],
        "floats.bytes",
    );
    let input = classifier.inputs().first().copied();
    let connect: Vec<_> = input.map(|input| (input, bytes)).into_iter().collect();
    graph.append(classifier, &connect)?;
    Ok(graph)
}

/// Fixes the batch at one image, and infers all shapes.
fn batch_of_one(graph: &mut Graph) {
    for input in graph.inputs().to_vec() {
        let Some([_, rest @ ..]) = graph.shape(input) else {
            continue;
        };
        let shape: Vec<Dim> = std::iter::once(1.into())
            .chain(rest.iter().cloned())
            .collect();
        graph.set_input_shape(input, &shape);
    }
}

/// The size in bytes of the ONNX model with all weights in fp32.
///
/// # Errors
/// [`ExportError`] if the model cannot be built.
pub(super) fn fp32_bytes(model: &Model) -> Result<u64, ExportError> {
    let recipe = model.recipe(InputKind::Uint8Nhwc);
    let mut classifier = model.graph.clone();
    classifier.fold_constants()?;
    let mut graph = from_pixels(classifier, &recipe)?;
    graph.metadata = metadata(model, &recipe)?;
    Ok(graph.to_onnx().len() as u64)
}

/// The metadata of the model.
pub(super) fn metadata(
    model: &Model,
    recipe: &Recipe,
) -> Result<Vec<(String, String)>, ExportError> {
    let json = |value: serde_json::Result<String>| {
        value.map_err(|error| OnnxError::Model(format!("its metadata cannot be written: {error}")))
    };
    Ok(vec![
        (
            "labels".into(),
            json(serde_json::to_string(&recipe.labels))?,
        ),
        (
            "class_ids".into(),
            json(serde_json::to_string(&model.class_ids))?,
        ),
        (RECIPE_KEY.into(), json(serde_json::to_string(recipe))?),
        ("architecture".into(), model.architecture.to_string()),
        ("run".into(), model.run.clone()),
        (
            "producer".into(),
            format!("Salamander {}", env!("CARGO_PKG_VERSION")),
        ),
        ("licence".into(), model.licence.clone()),
    ])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use image::RgbImage;

    use crate::backbone::Extractor;
    use crate::export::model::tests::{head, model_of, small_model};
    use crate::export::model::{HEAD_BIAS, HEAD_WEIGHT};
    use crate::graph::passes::OPSETS;
    use crate::onnx::{Element, Session};

    use super::*;

    fn open(exporter: &Onnx, model: &Model, options: &Options) -> Box<dyn Runner> {
        exporter
            .open(&exporter.write(model, options).unwrap(), 1)
            .unwrap()
    }

    #[test]
    fn classes_that_were_merged_are_one_output() {
        let image = RgbImage::from_fn(110, 100, |x, y| {
            image::Rgb([
                (x * 2 % 256) as u8,
                (y * 3 % 256) as u8,
                (x * y % 256) as u8,
            ])
        });
        let run = |model: &Model| {
            let mut model = open(&Onnx::UINT8, model, &Options::default());
            model.probabilities(&image).unwrap()
        };
        let three = run(&small_model());
        let two = run(&model_of(&["a", "b"], Some(&vec![0, 1, 0])));
        assert_eq!(two.len(), 2);
        assert!((two[0] - three[0] - three[2]).abs() < 1e-6 && (two[1] - three[1]).abs() < 1e-6);
    }

    /// Backbone, head and softmax computed separately, compared with the exported graph, for each input.
    #[test]
    fn the_joined_graph_computes_what_its_parts_compute() {
        let model = small_model();
        let head = head(&model.architecture);
        let image = RgbImage::from_fn(140, 120, |x, y| {
            image::Rgb([
                (x * 3 % 256) as u8,
                (y * 5 % 256) as u8,
                ((x + y) % 256) as u8,
            ])
        });
        let bottleneck = Extractor::new(&model.architecture, &model.preprocessing, None)
            .unwrap()
            .extract(&image)
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

        for kind in [
            InputKind::Uint8Nhwc,
            InputKind::Float32Nchw,
            InputKind::Float32Nhwc,
        ] {
            let options = Options {
                input: Some(kind),
                ..Options::default()
            };
            let mut exported = open(&Onnx::UINT8, &model, &options);
            assert_eq!(exported.recipe(), &model.recipe(kind));
            let found = exported.probabilities(&image).unwrap();
            for (found, logit) in found.iter().zip(&logits) {
                let expected = logit.exp() / sum;
                assert!(
                    (f64::from(*found) - expected).abs() < 1e-5,
                    "{found} {expected}"
                );
            }
        }
    }

    fn image() -> RgbImage {
        RgbImage::from_fn(140, 120, |x, y| {
            image::Rgb([
                (x * 3 % 256) as u8,
                (y * 5 % 256) as u8,
                (x * y % 256) as u8,
            ])
        })
    }

    fn bytes(exporter: &Onnx, model: &Model, options: &Options) -> Vec<u8> {
        exporter.write(model, options).unwrap().remove(0).bytes
    }

    #[test]
    fn half_precision_is_half_in_all_weights_and_agrees() {
        for model in [small_model(), model_of(&["a", "b"], Some(&vec![0, 1, 0]))] {
            let options = Options {
                bottleneck: true,
                ..Options::default()
            };
            let written = bytes(&Onnx::HALF, &model, &options);
            let graph = Graph::from_onnx(&written).unwrap();
            let mut weights = 0;
            for constant in graph.constants() {
                let tensor = graph.constant_of(constant).unwrap();
                match tensor.data {
                    Element::F16(_) => weights += tensor.data.len(),
                    // With normalisation before, and the sum of merged classes after.
                    Element::F32(_) => {
                        assert!(tensor.data.len() <= 6, "{}", graph.name_of(constant));
                    }
                    _ => {}
                }
            }
            assert!(weights > 3_000_000, "{weights}");
            // Only the casts at both ends, and what they cast, are in fp32.
            let single = graph.nodes().iter().filter(|node| {
                node.output().and_then(|output| graph.element(output)) == Some(ElementType::F32)
            });
            assert!(single.count() < 8);

            let mut half = open(&Onnx::HALF, &model, &options);
            let mut full = open(&Onnx::UINT8, &model, &options);
            let (a, b) = (
                half.probabilities(&image()).unwrap(),
                full.probabilities(&image()).unwrap(),
            );
            assert!((a.iter().sum::<f32>() - 1.0).abs() < 1e-5, "{a:?}");
            for (a, b) in a.iter().zip(&b) {
                assert!((a - b).abs() < 5e-3, "{a} {b}");
            }
        }
    }

    /// fp16 overflows above 65504, but ONNX Runtime computes in fp32 here.
    #[test]
    fn the_proof_of_half_precision_overflows_as_phones_do() {
        let mut model = small_model();
        let weights = Tensor::new([1280, 3], vec![10.0_f32; 1280 * 3]);
        let bias = Tensor::new([3], vec![65_000.0_f32, 0.0, 0.0]);
        model.graph.replace_constant(HEAD_WEIGHT, &weights).unwrap();
        model.graph.replace_constant(HEAD_BIAS, &bias).unwrap();
        let files = Onnx::HALF.write(&model, &Options::default()).unwrap();
        let proved = Onnx::HALF.open_for_proof(&files, 1);
        let found = proved.unwrap().probabilities(&image()).unwrap();
        assert!(found[0].is_nan(), "{found:?}");

        let files = Onnx::HALF
            .write(&small_model(), &Options::default())
            .unwrap();
        let run = |runner: Result<Box<dyn Runner>, EvaluateError>| {
            runner.unwrap().probabilities(&image()).unwrap()
        };
        let proved = run(Onnx::HALF.open_for_proof(&files, 1));
        let opened = run(Onnx::HALF.open(&files, 1));
        for (a, b) in proved.iter().zip(&opened) {
            assert!((a - b).abs() < 5e-3, "{a} {b}");
        }
        assert_ne!(proved, opened);
    }

    #[test]
    fn every_version_of_the_operators_computes_the_same() {
        let model = small_model();
        for exporter in [&Onnx::UINT8, &Onnx::HALF] {
            let reference = open(exporter, &model, &Options::default())
                .probabilities(&image())
                .unwrap();
            for opset in OPSETS {
                let options = Options {
                    opset: Some(opset),
                    ..Options::default()
                };
                let graph = Graph::from_onnx(&bytes(exporter, &model, &options)).unwrap();
                assert_eq!(graph.opset, opset);
                let found = open(exporter, &model, &options).probabilities(&image());
                for (a, b) in found.unwrap().iter().zip(&reference) {
                    assert!((a - b).abs() < 1e-6, "{opset}: {a} {b}");
                }
            }
            for opset in [12, 22] {
                let options = Options {
                    opset: Some(opset),
                    ..Options::default()
                };
                let error = exporter.write(&model, &options).unwrap_err().to_string();
                assert!(error.contains("13 to 21"), "{error}");
            }
        }
    }

    #[test]
    fn batch_and_bottleneck_are_as_asked_for() {
        let model = small_model();
        let session = |options: &Options| {
            Session::from_bytes(&bytes(&Onnx::UINT8, &model, options), 1).unwrap()
        };
        let any = session(&Options::default());
        assert_eq!(any.inputs()[0].shape, [None, Some(96), Some(96), Some(3)]);
        assert_eq!(any.outputs().len(), 1);

        let mut one = session(&Options {
            batch_of_one: true,
            bottleneck: true,
            ..Options::default()
        });
        assert_eq!(one.inputs()[0].shape, [1, 96, 96, 3].map(Some));
        let shapes: Vec<_> = one
            .outputs()
            .into_iter()
            .map(|output| output.shape)
            .collect();
        assert_eq!(shapes, [vec![Some(1), Some(3)], vec![Some(1), Some(1280)]]);
        let input = model.recipe(InputKind::Uint8Nhwc).tensor(&image());
        let found = one.run(&[("image", &input)], &["bottleneck"]).unwrap();
        let expected = Extractor::new(&model.architecture, &model.preprocessing, None)
            .unwrap()
            .extract(&image())
            .unwrap();
        for (a, b) in found[0].f32().unwrap().iter().zip(&expected) {
            assert!((a - b).abs() < 1e-4 * b.abs().max(1.0), "{a} {b}");
        }
    }
}
