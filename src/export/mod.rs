//! Files made from a run, each proved to behave as the run did before it counts as exported.

mod error;
mod files;
mod manifest;
mod onnx;
mod readme;
mod verify;

pub use error::ExportError;

use std::path::{Path, PathBuf};

use crate::evaluate::{InputKind, Recipe};
use crate::jobs::Work;
use crate::project::Project;
use crate::train::{Run, RunClasses, RunState};

use files::Pending;

/// What is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// `model.onnx`: `image` uint8 `[N, H, W, 3]` RGB to probabilities.
    Onnx,
    /// The same with `image` f32 `[N, 3, H, W]`, normalised by the caller.
    OnnxFloat,
}

impl Format {
    /// Its name on the command line and in results.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Onnx => "onnx",
            Self::OnnxFloat => "onnx-float",
        }
    }

    fn input(self) -> InputKind {
        match self {
            Self::Onnx => InputKind::Uint8Nhwc,
            Self::OnnxFloat => InputKind::Float32Nchw,
        }
    }
}

/// One exported file and its proof.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportedFile {
    /// Where it is.
    pub path: PathBuf,
    /// `onnx`, `onnx-float`, `labels`, `preprocess`, `readme`, `licence`, `manifest`.
    pub format: String,
    /// Its size.
    pub bytes: u64,
    /// For a model: part of the test frames with the same top-1 as the run, 1.0 when verified.
    pub top1_agreement: Option<f64>,
    /// For a model: largest difference of any probability from the run's.
    pub max_probability_difference: Option<f64>,
}

/// The file without which the others are no export.
const MODEL: &str = "model.onnx";

/// The files that an export writes, besides the list of their hashes.
const FILES: [&str; 5] = [
    MODEL,
    "labels.txt",
    "preprocess.json",
    "README.txt",
    "LICENSE.txt",
];

/// A Python program that runs an export of `run` in this format on one picture. It reads the labels from a file.
#[must_use]
pub fn example(run: &Run, format: Format) -> String {
    readme::program(&Recipe::new(
        format.input(),
        &run.preprocessing,
        &run.settings.architecture,
        &run.classes,
    ))
}

/// Writes the model, labels, preprocessing and a short description of a run into the folder `out`, re-runs the
/// model on the image files of the whole test set, and renames everything into place only if it agrees: the
/// same top-1 on every frame, probabilities within 1e-4. Files of an earlier export stay until then, and
/// nothing is left behind when it fails or is cancelled. A folder with files of these names that are not from
/// an export is refused.
pub fn export(
    project: &Project,
    run: &Run,
    format: Format,
    out: &Path,
    work: &Work,
) -> Result<Vec<ExportedFile>, ExportError> {
    project.blame(write_and_verify(project, run, format, out, work))
}

fn write_and_verify(
    project: &Project,
    run: &Run,
    format: Format,
    out: &Path,
    work: &Work,
) -> Result<Vec<ExportedFile>, ExportError> {
    if run.state != RunState::Finished {
        return Err(ExportError::Unfinished {
            run: run.id.0.clone(),
        });
    }
    let backbone = run.settings.architecture.entry()?;
    let head = run.head()?;
    let tuned = run.tuned()?;
    // Before minutes of work: may the files be put there at all?
    let mut pending = Pending::new(project, out)?;
    let reference = verify::reference(project, run, work)?;
    work.check()?;
    // After the evaluation, which follows class folders that were renamed by hand.
    let classes = RunClasses::of(project, run);
    if let Some(class) = classes
        .labels
        .iter()
        .find(|class| class.contains(['\n', '\r']))
    {
        return Err(ExportError::Label {
            class: class.clone(),
        });
    }

    let recipe = Recipe::new(
        format.input(),
        &run.preprocessing,
        &run.settings.architecture,
        &classes.labels,
    );
    for note in &classes.notes {
        work.warn(note);
    }
    let model = onnx::model(run, &head, tuned.as_ref(), &classes, &recipe)?;
    let mut labels = classes.labels.join("\n");
    labels.push('\n');
    let json = serde_json::to_string_pretty(&recipe)
        .map_err(|error| ExportError::io("write", out.join("preprocess.json"))(error.into()))?;
    let readme = readme::text(run, &backbone, tuned.is_some(), &classes.notes, &recipe);

    let written = pending.write(MODEL, &model)?;
    let model_bytes = model.len() as u64;
    drop(model);
    let proof = verify::verify(project.root(), &run.id.0, &written, &reference, work)?;
    let mut files = vec![ExportedFile {
        path: out.join(MODEL),
        format: format.name().into(),
        bytes: model_bytes,
        top1_agreement: Some(proof.top1_agreement),
        max_probability_difference: Some(proof.max_probability_difference),
    }];
    for (name, format, text) in [
        ("labels.txt", "labels", labels),
        ("preprocess.json", "preprocess", json + "\n"),
        ("README.txt", "readme", readme),
        ("LICENSE.txt", "licence", backbone.licence_text().to_owned()),
    ] {
        pending.write(name, text.as_bytes())?;
        files.push(ExportedFile {
            path: out.join(name),
            format: format.into(),
            bytes: text.len() as u64,
            top1_agreement: None,
            max_probability_difference: None,
        });
    }
    work.check()?;
    let bytes = pending.commit()?;
    files.push(ExportedFile {
        path: out.join(manifest::FILE),
        format: "manifest".into(),
        bytes,
        top1_agreement: None,
        max_probability_difference: None,
    });
    Ok(files)
}
