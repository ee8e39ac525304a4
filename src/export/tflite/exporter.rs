//! TensorFlow Lite as a format of exports.

use std::path::{Path, PathBuf};

use crate::evaluate::{EvaluateError, InputKind, Recipe, Runner};
use crate::export::format::{
    Acceptance, Example, Exporter, Family, FormatInfo, ModelFile, Options,
};
use crate::export::onnx::from_pixels;
use crate::export::readme::input_in_python;
use crate::export::{ExportError, Language, Model, OnnxRunner};

use super::{About, TfliteError, Weights, integers, read, write};

/// The identifier of the format, and its offset in a file.
const MAGIC: (usize, &[u8]) = (4, b"TFL3");

/// A kind of TensorFlow Lite model.
pub(in crate::export) struct Tflite {
    info: FormatInfo,
    weights: Weights,
}

impl Tflite {
    pub const FLOAT: Self = Self {
        info: FormatInfo {
            name: "tflite",
            family: &Family::TFLITE,
            variant: "fp32",
            title: "TensorFlow Lite",
            sentence: "For Android and iOS: MediaPipe, LiteRT. Takes pixels; labels are included.",
            file: "model.tflite",
        },
        weights: Weights::Float32,
    };
    pub const HALF: Self = Self {
        info: FormatInfo {
            name: "tflite-fp16",
            family: &Family::TFLITE,
            variant: "fp16",
            title: "TensorFlow Lite, fp16",
            sentence: "The same at half the size. Recommended for phones.",
            file: "model-fp16.tflite",
        },
        weights: Weights::Float16,
    };
    pub const INT8: Self = Self {
        info: FormatInfo {
            name: "tflite-int8",
            family: &Family::TFLITE,
            variant: "int8",
            title: "TensorFlow Lite, int8",
            sentence: "Everything in 8-bit integers: a quarter of the size, faster, for chips that support nothing else.",
            file: "model-int8.tflite",
        },
        weights: Weights::Int8,
    };
}

impl Exporter for Tflite {
    fn info(&self) -> &FormatInfo {
        &self.info
    }

    fn input(&self, _: &Options) -> InputKind {
        // The model normalises itself, so that callers cannot get the parameters wrong.
        InputKind::Uint8Nhwc
    }

    fn acceptance(&self) -> Acceptance {
        match self.weights {
            Weights::Float32 => Acceptance::FP32,
            Weights::Float16 => Acceptance::FP16,
            Weights::Int8 => Acceptance::INT8,
        }
    }

    fn is_calibrated(&self) -> bool {
        self.weights == Weights::Int8
    }

    fn proof(&self) -> &'static str {
        "read back from its own bytes and run in ONNX Runtime"
    }

    fn write(&self, model: &Model, options: &Options) -> Result<Vec<ModelFile>, ExportError> {
        let recipe = model.recipe(self.input(options));
        let graph = match self.weights {
            Weights::Int8 => model.quantized()?.tflite.clone(),
            _ => from_pixels(model.graph.clone(), &recipe)?,
        };
        let about = About {
            name: format!("{}, {} classes", model.architecture, model.labels.len()),
            description: format!(
                "Image classifier made by Salamander {}, run {}.",
                env!("CARGO_PKG_VERSION"),
                model.run
            ),
            licence: model.licence.clone(),
            recipe,
        };
        let bytes = write(&graph, self.weights, &about).map_err(|error| match error {
            TfliteError::Unwritable(what) => ExportError::Unwritable {
                format: self.info.title,
                reason: what.to_string(),
            },
            other => ExportError::Unwritable {
                format: self.info.title,
                reason: other.to_string(),
            },
        })?;
        Ok(vec![ModelFile {
            name: self.info.file.to_owned(),
            bytes,
        }])
    }

    fn open(&self, files: &[ModelFile], threads: usize) -> Result<Box<dyn Runner>, EvaluateError> {
        let no_export = |path: &str, reason: String| EvaluateError::NoExport {
            path: PathBuf::from(path),
            reason,
        };
        let Some(file) = files.first() else {
            return Err(no_export(self.info.file, "its file is missing".into()));
        };
        if self.weights == Weights::Int8 {
            // The file on disk is what is verified: with a single float layer it is no integer model.
            integers(&file.bytes).map_err(|error| no_export(&file.name, error.to_string()))?;
        }
        let read = read(&file.bytes).map_err(|error| no_export(&file.name, error.to_string()))?;
        let onnx = read.to_onnx();
        let runner = OnnxRunner::of_read_back(&onnx, Path::new(&file.name), threads)?;
        Ok(Box::new(runner))
    }

    fn example(&self, recipe: &Recipe, file: &str) -> Option<Example> {
        Some(Example {
            language: Language::Python,
            runtime: "LiteRT for Python",
            packages: "ai-edge-litert numpy \"pillow>=10.1\"",
            program: format!(
                "import numpy as np\n\
                 from ai_edge_litert.interpreter import Interpreter\n\
                 from PIL import Image, ImageOps\n\
                 {input}\n\
                 p = Interpreter(\"{file}\").get_signature_runner()({image}=x)[\"{output}\"][0]\n\
                 labels = open(\"labels.txt\", encoding=\"utf-8\").read().split(\"\\n\")\n\
                 print(labels[p.argmax()], p.max())",
                input = input_in_python(recipe),
                output = recipe.output.name,
                image = recipe.input.name,
            ),
        })
    }

    fn runs_as_delivered(&self) -> bool {
        // Here ONNX Runtime runs it, with transpositions around its operators.
        false
    }

    fn recognises(&self, file_name: &str, head: &[u8]) -> bool {
        let (at, magic) = MAGIC;
        // By its name, even if the contents are wrong: reading it reports that.
        let is_called_so = Path::new(file_name)
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("tflite"));
        head.get(at..at + magic.len()) == Some(magic) || is_called_so
    }
}
