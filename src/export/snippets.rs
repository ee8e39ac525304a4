//! The folder `snippets/` of an export: programs for developers of phone and web apps. Each computes the input of a
//! model from an image and runs the model; without arguments it checks both with the golden images.
//!
//! They are the same in every export and read what differs (`preprocess.json`, `labels.txt`, `golden/golden.json`)
//! when they run. The one in Python is `verify.py`, in every export.

use crate::train::Run;

use super::format::{Example, Family};
use super::{Format, example};

/// A programming language of example programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// For computers and servers.
    Python,
    /// For browsers and Node.
    JavaScript,
    /// For Android.
    Kotlin,
    /// For iOS and macOS.
    Swift,
}

impl Language {
    /// Its name on the screen.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Python => "Python",
            Self::JavaScript => "JavaScript",
            Self::Kotlin => "Kotlin",
            Self::Swift => "Swift",
        }
    }
}

/// A program, and the models that it runs.
pub(super) struct Program {
    /// Its path in the export's folder.
    pub file: &'static str,
    /// Its source code.
    pub text: &'static str,
    language: Language,
    /// For each family of formats: the runtime, and the packages to install.
    runs: &'static [(&'static Family, &'static str, &'static str)],
}

/// All programs, in the order in which they are offered.
static PROGRAMS: &[Program] = &[
    Program {
        file: "snippets/classify.mjs",
        text: include_str!("snippets/classify.mjs"),
        language: Language::JavaScript,
        runs: &[
            (
                &Family::ONNX,
                "ONNX Runtime in Node",
                "onnxruntime-web sharp",
            ),
            (
                &Family::WEB,
                "ONNX Runtime in Node",
                "onnxruntime-web sharp",
            ),
        ],
    },
    Program {
        file: "snippets/Classify.kt",
        text: include_str!("snippets/Classify.kt"),
        language: Language::Kotlin,
        runs: &[
            (
                &Family::ONNX,
                "ONNX Runtime for Android",
                "com.microsoft.onnxruntime:onnxruntime-android",
            ),
            (
                &Family::TFLITE,
                "LiteRT for Android",
                "com.google.ai.edge.litert:litert",
            ),
        ],
    },
    Program {
        file: "snippets/classify.swift",
        text: include_str!("snippets/classify.swift"),
        language: Language::Swift,
        runs: &[
            (
                &Family::CORE_ML,
                "Core ML",
                "nothing: Core ML is part of the system",
            ),
            (
                &Family::ONNX,
                "ONNX Runtime for Swift",
                "https://github.com/microsoft/onnxruntime-swift-package-manager",
            ),
            (
                &Family::TFLITE,
                "TensorFlow Lite for Swift",
                "TensorFlowLiteSwift",
            ),
        ],
    },
];

impl Program {
    fn for_format(&self, format: Format) -> Option<(&'static str, &'static str)> {
        let runs = self.runs.iter();
        let mut of_family = runs.filter(|(family, ..)| *family == format.family());
        of_family
            .next()
            .map(|(_, runtime, packages)| (*runtime, *packages))
    }
}

/// The programs that run a model of one of these formats.
pub(super) fn of(formats: impl Iterator<Item = Format>) -> impl Iterator<Item = &'static Program> {
    let formats: Vec<Format> = formats.collect();
    PROGRAMS.iter().filter(move |program| {
        let mut formats = formats.iter();
        formats.any(|format| program.for_format(*format).is_some())
    })
}

/// The names of all their files.
pub(super) fn names() -> impl Iterator<Item = String> {
    PROGRAMS.iter().map(|program| program.file.to_owned())
}

/// Programs that run an export of `run` in this format, one for each language. The one in Python classifies
/// `image.jpg` and reads the labels from a file; the others are those in the export's folder `snippets/`.
#[must_use]
pub fn examples(run: &Run, format: Format) -> Vec<Example> {
    let mut all: Vec<Example> = example(run, format).into_iter().collect();
    all.extend(PROGRAMS.iter().filter_map(|program| {
        let (runtime, packages) = program.for_format(format)?;
        Some(Example {
            language: program.language,
            runtime,
            packages,
            program: program.text.to_owned(),
        })
    }));
    all
}
