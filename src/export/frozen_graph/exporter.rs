//! The frozen graph as a format of exports.

use std::path::{Path, PathBuf};

use crate::evaluate::{EvaluateError, InputKind, Recipe, Runner};
use crate::export::format::{
    Acceptance, Example, Exporter, Family, FormatInfo, ModelFile, Options,
};
use crate::export::onnx::from_pixels;
use crate::export::readme::input_in_python;
use crate::export::{ExportError, Language, Model, OnnxRunner};

use super::{FrozenGraphError, read, write};

/// The file names of `retrain.py`.
const GRAPH: &str = "output_graph.pb";
const LABELS: &str = "output_labels.txt";

/// TensorFlow's frozen graph and its labels.
pub(in crate::export) struct FrozenGraph {
    info: FormatInfo,
}

impl FrozenGraph {
    pub const FLOAT: Self = Self {
        info: FormatInfo {
            family: &Family::FROZEN_GRAPH,
            variant: "fp32",
            name: "frozen-graph",
            title: "TensorFlow frozen graph",
            sentence: "output_graph.pb and output_labels.txt, as retrain.py writes them for a MobileNet: for the old Android and iOS samples.",
            file: "frozen-graph",
        },
    };
}

impl FrozenGraph {
    /// The bytes of the graph, whose input and output have the names in the recipe, and of the labels, one per line.
    pub(super) fn graph_and_labels(
        &self,
        model: &Model,
        recipe: &Recipe,
    ) -> Result<[Vec<u8>; 2], ExportError> {
        let graph = from_pixels(model.graph_for(recipe)?, recipe)?;
        let graph = write(&graph, recipe).map_err(|error| ExportError::Unwritable {
            format: self.info.title,
            reason: match error {
                FrozenGraphError::Unwritable(what) => what.to_string(),
                other => other.to_string(),
            },
        })?;
        let mut labels = recipe.labels.join("\n");
        labels.push('\n');
        Ok([graph, labels.into_bytes()])
    }
}

impl Exporter for FrozenGraph {
    fn info(&self) -> &FormatInfo {
        &self.info
    }

    fn input(&self, _: &Options) -> InputKind {
        // The input that TensorFlow's sample apps provide.
        InputKind::Float32Nhwc
    }

    fn acceptance(&self) -> Acceptance {
        Acceptance::FP32
    }

    fn proof(&self) -> &'static str {
        "read back from its own bytes and run in ONNX Runtime"
    }

    fn write(&self, model: &Model, options: &Options) -> Result<Vec<ModelFile>, ExportError> {
        let recipe = model.recipe(self.input(options));
        let [graph, labels] = self.graph_and_labels(model, &recipe)?;
        let file = |name: &str, bytes| ModelFile {
            name: format!("{}/{name}", self.info.file),
            bytes,
        };
        Ok(vec![file(LABELS, labels), file(GRAPH, graph)])
    }

    fn open(&self, files: &[ModelFile], threads: usize) -> Result<Box<dyn Runner>, EvaluateError> {
        let no_export = |path: &str, reason: String| EvaluateError::NoExport {
            path: PathBuf::from(path),
            reason,
        };
        let is_text = |file: &&ModelFile| {
            Path::new(&file.name)
                .extension()
                .is_some_and(|end| end == "txt")
        };
        let labels = files.iter().find(is_text);
        let Some(graph) = files.iter().find(|file| !is_text(file)) else {
            return Err(no_export(self.info.file, "there is no graph in it".into()));
        };
        let labels = labels.map(|labels| labels.bytes.as_slice());
        let (read, _) = read(&graph.bytes, labels)
            .map_err(|error| no_export(&graph.name, error.to_string()))?;
        let runner = OnnxRunner::from_bytes(&read.to_onnx(), Path::new(&graph.name), threads)?;
        Ok(Box::new(runner))
    }

    fn example(&self, recipe: &Recipe, file: &str) -> Option<Example> {
        Some(Example {
            language: Language::Python,
            runtime: "TensorFlow for Python",
            packages: "tensorflow numpy \"pillow>=10.1\"",
            program: format!(
                "import numpy as np, tensorflow as tf\n\
                 from PIL import Image, ImageOps\n\
                 {input}\n\
                 graph = tf.compat.v1.GraphDef.FromString(open(\"{file}/{GRAPH}\", \"rb\").read())\n\
                 with tf.Graph().as_default():\n    \
                     tf.import_graph_def(graph, name=\"\")\n    \
                     p = tf.compat.v1.Session().run(\"{output}:0\", {{\"{image}:0\": x}})[0]\n\
                 labels = open(\"{file}/{LABELS}\", encoding=\"utf-8\").read().split(\"\\n\")\n\
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

    fn recognises(&self, file_name: &str, _head: &[u8]) -> bool {
        // Protobuf files have no magic number.
        Path::new(file_name)
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("pb"))
    }

    fn folder_files(&self) -> &'static [&'static str] {
        &[GRAPH, LABELS]
    }

    fn recognises_folder(&self, folder: &Path) -> bool {
        crate::files::is_file(folder.join(GRAPH))
    }
}
