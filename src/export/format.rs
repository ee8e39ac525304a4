//! The interface of a format: its names, how it writes a model, how a written model is run, and what it must satisfy.
//! Each format has a folder or file; [`Format`](super::Format) lists them all.

use std::path::Path;

use crate::evaluate::{EvaluateError, InputKind, Recipe, Runner};

use super::{ExportError, Language, Model};

/// A format in which a trained model can be written.
pub trait Exporter: Sync {
    /// Its names and where its model is written.
    fn info(&self) -> &FormatInfo;

    /// Its name on the command line and in results: `onnx-fp16`.
    fn name(&self) -> &'static str {
        self.info().name
    }

    /// Its family of formats.
    fn family(&self) -> &'static Family {
        self.info().family
    }

    /// What distinguishes it within its family, in a word or two: "fp16".
    fn variant(&self) -> &'static str {
        self.info().variant
    }

    /// Its name on the screen: "ONNX, fp16".
    fn title(&self) -> &'static str {
        self.info().title
    }

    /// Its purpose, in one or two sentences for users.
    fn sentence(&self) -> &'static str {
        self.info().sentence
    }

    /// The name of its model file or folder in the export's folder: `model.onnx`.
    fn file(&self) -> &'static str {
        self.info().file
    }

    /// The kind of input of its model, with these options.
    fn input(&self, options: &Options) -> InputKind;

    /// Whether it follows the [`Options`], which apply to the ONNX formats.
    fn follows_options(&self) -> bool {
        false
    }

    /// Whether it is written from [`Model::quantized`], which requires calibration on training frames.
    fn is_calibrated(&self) -> bool {
        false
    }

    /// The requirements that a written model must meet.
    fn acceptance(&self) -> Acceptance;

    /// What a written model is verified with: "run in ONNX Runtime".
    fn proof(&self) -> &'static str;

    /// Checks that everything its exports contain beside the model is installed, before minutes of work.
    ///
    /// # Errors
    /// [`ExportError`] names what is missing.
    fn check_installed(&self) -> Result<(), ExportError> {
        Ok(())
    }

    /// Writes the model: [`Exporter::file`], or the files in it if that is a folder. Equal models give equal bytes. A
    /// folder's essential file comes last, because files are moved into place in this order.
    ///
    /// # Errors
    /// [`ExportError::Unwritable`] names the operator that the format cannot represent.
    fn write(&self, model: &Model, options: &Options) -> Result<Vec<ModelFile>, ExportError>;

    /// Opens a model from the bytes of its files, to run on `threads` threads.
    ///
    /// # Errors
    /// [`EvaluateError::NoExport`] if it is no such model.
    fn open(&self, files: &[ModelFile], threads: usize) -> Result<Box<dyn Runner>, EvaluateError>;

    /// Opens a model for its verification. It computes as on the device that the format is meant for, even where the
    /// local runtime would be more precise; by default it is [`Exporter::open`].
    ///
    /// # Errors
    /// As for [`Exporter::open`].
    fn open_for_proof(
        &self,
        files: &[ModelFile],
        threads: usize,
    ) -> Result<Box<dyn Runner>, EvaluateError> {
        self.open(files, threads)
    }

    /// A Python program that runs the model in `file` on one image, for `README.txt` and the window; `None` if there
    /// is no runtime for Python.
    fn example(&self, _recipe: &Recipe, _file: &str) -> Option<Example> {
        None
    }

    /// Files added to the model's folder after it is verified, made from the golden images and their expected results.
    fn beside(&self, _golden: &[(String, Vec<u8>)]) -> Vec<ModelFile> {
        Vec::new()
    }

    /// Whether the local runner is the one that users run the model with, so that its latency is meaningful.
    fn runs_as_delivered(&self) -> bool {
        true
    }

    /// Whether a file that begins with `head` is a model of this format.
    fn recognises(&self, file_name: &str, head: &[u8]) -> bool;

    /// If the model is a folder, the files in it that [`Exporter::open`] needs, separated by `/`, the essential one
    /// first.
    fn folder_files(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether a folder is a model of this format, by its contents.
    fn recognises_folder(&self, _folder: &Path) -> bool {
        false
    }
}

/// A family of formats that the same software runs.
#[derive(Debug, PartialEq, Eq)]
pub struct Family {
    /// Its name on the screen.
    pub title: &'static str,
    /// Its purpose, in one sentence for users.
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
        sentence: "For Android and iOS: MediaPipe, LiteRT. Takes pixels; labels are included.",
    };
    /// Run by Apple's systems.
    pub const CORE_ML: Self = Self {
        title: "Core ML",
        sentence: "For apps on iPhone, iPad and Mac. Takes an image, returns the class.",
    };
    /// Run by TensorFlow 1 and its samples.
    pub const FROZEN_GRAPH: Self = Self {
        title: "TensorFlow frozen graph",
        sentence: "What retrain.py wrote, for apps that were built for it.",
    };
    /// Run by a browser.
    pub const WEB: Self = Self {
        title: "Web page",
        sentence: "A folder with a page that classifies in the browser, offline.",
    };
}

/// The names of a format; see the methods of [`Exporter`] of these names.
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
    /// Its path relative to the export's folder, separated by `/`; in messages, the path that it was read from.
    pub name: String,
    /// Its contents.
    pub bytes: Vec<u8>,
}

/// An example program that runs a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Its programming language.
    pub language: Language,
    /// The runtime: "ONNX Runtime for Python".
    pub runtime: &'static str,
    /// The packages to install, in the form for the language's installer (`pip install`, `npm install`, Gradle, Swift
    /// packages).
    pub packages: &'static str,
    /// The program, to be run in the export's folder.
    pub program: String,
}

/// Choices that some formats offer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// The input of ONNX models; `None` for each format's default.
    pub input: Option<InputKind>,
    /// Whether the batch is always one image, instead of any number.
    pub batch_of_one: bool,
    /// Version of ONNX's operators; `None` for that of the backbone.
    pub opset: Option<i64>,
    /// Whether ONNX models have a second output, `bottleneck` `f32[N, D]`.
    pub bottleneck: bool,
}

/// The requirements that a written model must meet.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Acceptance {
    /// The same top-1 class as the run on every frame, and probabilities within the tolerance.
    SameTop1 {
        /// The largest difference of any probability, 0..=1.
        tolerance: f64,
    },
    /// The same top-1 class as the run on most frames, and almost the same accuracy.
    Agreement {
        /// The smallest fraction of frames with the same top-1 class, 0..=1.
        same_top1: f64,
        /// The largest loss of top-1 accuracy, 0..=1, which must also not be significant.
        loss: f64,
    },
}

impl Acceptance {
    /// For fp32: differences of rounding.
    pub const FP32: Self = Self::SameTop1 { tolerance: 1e-4 };
    /// For fp16.
    pub const FP16: Self = Self::Agreement {
        same_top1: 0.995,
        loss: 0.01,
    };
    /// For int8. Other quantizers change 4 to 5 of 100 answers where classes are similar; the search here changes 1 to 4.
    pub const INT8: Self = Self::Agreement {
        same_top1: 0.95,
        loss: 0.01,
    };
}
