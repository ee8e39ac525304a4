//! What a format is: what it is called, how a model is written in it, how what was written is run again, and what
//! counts as its proof. One folder or file for each format; [`Format`](super::Format) lists them all.

use std::path::Path;

use crate::evaluate::{EvaluateError, InputKind, Recipe, Runner};

use super::{ExportError, Language, Model};

/// A format in which a trained model can be written.
pub trait Exporter: Sync {
    /// What it is called and where it is written.
    fn info(&self) -> &FormatInfo;

    /// Its name on the command line and in results: `onnx-fp16`.
    fn name(&self) -> &'static str {
        self.info().name
    }

    /// The formats that it belongs to.
    fn family(&self) -> &'static Family {
        self.info().family
    }

    /// What tells it from the others of its family, in a word or two: "fp16".
    fn variant(&self) -> &'static str {
        self.info().variant
    }

    /// Its name on the screen: "ONNX, fp16".
    fn title(&self) -> &'static str {
        self.info().title
    }

    /// What it is for, one or two sentences for people.
    fn sentence(&self) -> &'static str {
        self.info().sentence
    }

    /// The file or folder that a model is written to, inside the export's folder: `model.onnx`.
    fn file(&self) -> &'static str {
        self.info().file
    }

    /// What the model takes, with these options.
    fn input(&self, options: &Options) -> InputKind;

    /// Whether it follows the [`Options`], which are choices of the ONNX formats.
    fn follows_options(&self) -> bool {
        true
    }

    /// Whether it is written from [`Model::quantized`], which is measured on training frames first.
    fn is_calibrated(&self) -> bool {
        false
    }

    /// When a written model counts as exported.
    fn acceptance(&self) -> Acceptance;

    /// Where the proof of a written model comes from, in words: "run in ONNX Runtime".
    fn proof(&self) -> &'static str;

    /// Whether what its exports carry beside the model is installed; asked before minutes of work.
    ///
    /// # Errors
    /// Names what is missing.
    fn check_installed(&self) -> Result<(), ExportError> {
        Ok(())
    }

    /// Writes the model: [`Exporter::file`], or files below it where that is a folder, the same bytes each time. The file without
    /// which a folder is no model comes last: files are put in place one after the other.
    ///
    /// # Errors
    /// [`ExportError::Unwritable`] names the operator that the format cannot hold.
    fn write(&self, model: &Model, options: &Options) -> Result<Vec<ModelFile>, ExportError>;

    /// Opens what [`Exporter::write`] gave, as it was read back from disk, to run on `threads` threads.
    ///
    /// # Errors
    /// [`EvaluateError::NoExport`] when it is no such model.
    fn open(&self, files: &[ModelFile], threads: usize) -> Result<Box<dyn Runner>, EvaluateError>;

    /// Opens it for its proof: as [`Exporter::open`], or computing as that will compute which the model is for, where what runs
    /// it here computes better.
    ///
    /// # Errors
    /// As [`Exporter::open`].
    fn open_for_proof(
        &self,
        files: &[ModelFile],
        threads: usize,
    ) -> Result<Box<dyn Runner>, EvaluateError> {
        self.open(files, threads)
    }

    /// A Python program that runs the model in `file` on one image, for `README.txt` and the window; `None` where
    /// there is no runtime for Python.
    fn example(&self, _recipe: &Recipe, _file: &str) -> Option<Example> {
        None
    }

    /// Files to be added to the model's folder once it is proved, of the golden images and what is expected of them.
    fn beside(&self, _golden: &[(String, Vec<u8>)]) -> Vec<ModelFile> {
        Vec::new()
    }

    /// Whether its runner is what people run it with, so that the time that it takes here says something.
    fn runs_as_delivered(&self) -> bool {
        true
    }

    /// Whether a file that begins with `head` is of this format.
    fn recognises(&self, file_name: &str, head: &[u8]) -> bool;

    /// Where the model is a folder, the files below it that [`Exporter::open`] needs, parts separated by `/`; there is no model
    /// without the first.
    fn folder_files(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether a folder is a model of this format, whatever it is called.
    fn recognises_folder(&self, _folder: &Path) -> bool {
        false
    }
}

/// Formats that the same software runs.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// What it is called.
    pub title: &'static str,
    /// What it is for, one sentence for people.
    pub sentence: &'static str,
}

impl Family {
    /// Run by ONNX Runtime and whatever reads ONNX.
    pub const ONNX: Self = Self {
        title: "ONNX",
        sentence: "For ONNX Runtime on phones, computers and servers.",
    };
    /// Run by `LiteRT`, `MediaPipe` and the Task Library.
    pub const TFLITE: Self = Self {
        title: "TensorFlow Lite",
        sentence: "For Android and iOS: MediaPipe, LiteRT. Takes plain pixels; labels are inside.",
    };
    /// Run by Apple's systems.
    pub const CORE_ML: Self = Self {
        title: "Core ML",
        sentence: "For apps on iPhone, iPad and Mac. Takes an image, names the class.",
    };
    /// Run by TensorFlow 1 and its samples.
    pub const FROZEN_GRAPH: Self = Self {
        title: "TensorFlow frozen graph",
        sentence: "What retrain.py left, for apps that were built on it.",
    };
    /// Run by a browser.
    pub const WEB: Self = Self {
        title: "Web page",
        sentence: "A folder with a page that classifies in the browser, offline.",
    };
}

/// What a format is called, and where a model is written to; see the methods of [`Exporter`] of these names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormatInfo {
    /// [`Exporter::family`].
    pub family: &'static Family,
    /// [`Exporter::variant`].
    pub variant: &'static str,
    /// [`Exporter::name`].
    pub name: &'static str,
    /// [`Exporter::title`].
    pub title: &'static str,
    /// [`Exporter::sentence`].
    pub sentence: &'static str,
    /// [`Exporter::file`].
    pub file: &'static str,
}

/// A file of a written model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFile {
    /// Where it is below the export's folder, parts separated by `/`; in messages, where it was read from.
    pub name: String,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// A program that runs a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// The language.
    pub language: Language,
    /// What runs it: "ONNX Runtime for Python".
    pub runtime: &'static str,
    /// What has to be installed for it, as the language's installer takes it (`pip install`, `npm install`, Gradle, Swift packages).
    pub packages: &'static str,
    /// The program, to be run in the export's folder.
    pub program: String,
}

/// How models are written, where a format leaves a choice.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// What ONNX models take; `None` is what each format takes by itself.
    pub input: Option<InputKind>,
    /// Whether the batch is always one image, instead of any number.
    pub batch_of_one: bool,
    /// Version of ONNX's operators; `None` is that of the backbone.
    pub opset: Option<i64>,
    /// Whether ONNX models have a second output, `bottleneck` `f32[N, D]`.
    pub bottleneck: bool,
}

/// When a written model counts as exported.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Acceptance {
    /// The same top-1 as the run on every frame, probabilities within the tolerance.
    SameTop1 {
        /// Largest difference of any probability.
        tolerance: f64,
    },
    /// The same top-1 as the run on most frames, and hardly fewer right answers.
    Agreement {
        /// At least this part of the frames has the same top-1, 0..=1.
        same_top1: f64,
        /// Top-1 accuracy may be lower by this much at most, 0..=1, and not significantly lower.
        loss: f64,
    },
}
