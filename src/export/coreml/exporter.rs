//! Core ML as a format of exports.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::evaluate::{EvaluateError, InputKind, Recipe, Runner};
use crate::export::format::{Acceptance, Exporter, Family, FormatInfo, ModelFile, Options};
use crate::export::onnx::metadata;
use crate::export::{ExportError, Model, OnnxRunner};
use crate::files;
use crate::graph::{Dim, Graph};
use crate::onnx::{ElementType, Tensor};

use super::{About, CoreMlError, halved, package, read, write};

/// A kind of Core ML model.
pub(in crate::export) struct CoreMl {
    info: FormatInfo,
    /// Whether weights and operators are fp16.
    half: bool,
}

impl CoreMl {
    pub const HALF: Self = Self {
        info: FormatInfo {
            family: &Family::CORE_ML,
            variant: "fp16",
            name: "coreml",
            title: "Core ML",
            sentence: "For iPhone, iPad and Mac, iOS 15 and later: takes an image, computes in half precision like the Neural Engine. Recommended.",
            file: "Model.mlpackage",
        },
        half: true,
    };
    pub const FLOAT: Self = Self {
        info: FormatInfo {
            family: &Family::CORE_ML,
            variant: "fp32",
            name: "coreml-fp32",
            title: "Core ML, fp32",
            sentence: "The same in 32-bit floats: twice as large, and not for the Neural Engine.",
            file: "Model-fp32.mlpackage",
        },
        half: false,
    };
}

impl Exporter for CoreMl {
    fn info(&self) -> &FormatInfo {
        &self.info
    }

    fn input(&self, _: &Options) -> InputKind {
        // An image of 8-bit pixels.
        InputKind::Uint8Nhwc
    }

    fn acceptance(&self) -> Acceptance {
        if self.half {
            Acceptance::FP16
        } else {
            Acceptance::FP32
        }
    }

    fn proof(&self) -> &'static str {
        if self.half {
            "read back from its own bytes and run in ONNX Runtime with each result rounded to fp16"
        } else {
            "read back from its own bytes and run in ONNX Runtime"
        }
    }

    fn write(&self, model: &Model, options: &Options) -> Result<Vec<ModelFile>, ExportError> {
        let recipe = model.recipe(self.input(options));
        let unwritable = |reason: String| ExportError::Unwritable {
            format: self.info.title,
            reason,
        };
        let mut classifier = model.graph.clone();
        if self.half {
            classifier = halved(&classifier).map_err(|error| unwritable(error.to_string()))?;
        }
        let graph = with_image(classifier, &recipe)?;
        let mut more: BTreeMap<String, String> = metadata(model, &recipe)?.into_iter().collect();
        let licence = more.remove("licence").unwrap_or_default();
        // With this entry Xcode offers to try the model on images.
        more.insert(
            "com.apple.coreml.model.preview.type".into(),
            "imageClassifier".into(),
        );
        let about = About {
            description: format!(
                "Image classifier, {} classes ({}), made by Salamander from run {}.",
                model.labels.len(),
                model.architecture,
                model.run
            ),
            version: env!("CARGO_PKG_VERSION").into(),
            author: "Salamander".into(),
            licence,
            more,
            recipe,
        };
        write(self.info.file, &graph, &about).map_err(|error| match error {
            CoreMlError::Unwritable(what) => unwritable(what.to_string()),
            other => unwritable(other.to_string()),
        })
    }

    fn open(&self, files: &[ModelFile], threads: usize) -> Result<Box<dyn Runner>, EvaluateError> {
        let path = package_of(files).unwrap_or_else(|| PathBuf::from(self.info.file));
        let (graph, _) = read(files).map_err(|error| EvaluateError::NoExport {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        let bytes = graph.rounding_to_half().to_onnx();
        let runner = OnnxRunner::from_bytes(&bytes, &path, threads)?;
        Ok(Box::new(runner))
    }

    fn runs_as_delivered(&self) -> bool {
        // Here ONNX Runtime runs it, on the CPU.
        false
    }

    fn recognises(&self, file_name: &str, _head: &[u8]) -> bool {
        // A file of a package: the model is the folder.
        Path::new(file_name)
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("mlmodel"))
    }

    fn folder_files(&self) -> &'static [&'static str] {
        &package::FILES
    }

    fn recognises_folder(&self, folder: &Path) -> bool {
        files::is_file(folder.join("Manifest.json")) && files::is_dir(folder.join("Data"))
    }
}

/// The folder of a package, for messages.
fn package_of(files: &[ModelFile]) -> Option<PathBuf> {
    let parts = files.iter().map(|file| Path::new(&file.name));
    let mut manifests = parts.filter(|path| path.file_name() == Some(OsStr::new("Manifest.json")));
    manifests.next()?.parent().map(Path::to_owned)
}

/// Prepends the normalisation of an image to the graph of a classifier: `value · scale + shift` for each channel, in
/// fp32, as Apple's converter does.
fn with_image(classifier: Graph, recipe: &Recipe) -> Result<Graph, ExportError> {
    let side = recipe.preprocessing.resolution_px as usize;
    let mut graph = Graph::new("salamander");
    graph.opset = classifier.opset;
    let lens = Dim::all_fixed(&[1, side, side, 3]);
    let image = graph.input(&recipe.input.name, ElementType::U8, &lens);
    let planes = graph.transpose(image, &[0, 3, 1, 2]);
    let planes = graph.cast(planes, ElementType::F32);
    let numbers = |of: fn(f64, f64) -> f64| {
        let (mean, std) = (recipe.preprocessing.mean, recipe.preprocessing.std);
        let pairs = mean.into_iter().zip(std);
        let values: Vec<f32> = pairs
            .map(|(mean, std)| of(f64::from(mean), f64::from(std)) as f32)
            .collect();
        Tensor::new([1, 3, 1, 1], values)
    };
    let scale = graph.constant_named("scale", numbers(|_, std| 1.0 / std));
    let shift = graph.constant_named("shift", numbers(|mean, std| -mean / std));
    let scaled = graph.op_named(
        crate::graph::ops::Elementwise::Mul,
        &[planes, scale],
        "scaled",
    );
    let normal = graph.op_named(
        crate::graph::ops::Elementwise::Add,
        &[scaled, shift],
        "normalised",
    );
    let input = classifier.inputs().first().copied();
    let connect: Vec<_> = input.map(|input| (input, normal)).into_iter().collect();
    graph.append(classifier, &connect)?;
    Ok(graph)
}
