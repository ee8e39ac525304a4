//! Exports: files made from a run, each model verified to behave as the run did.

mod archive;
mod bench;
mod bundle;
mod card;
mod certificate;
pub mod coreml;
mod error;
mod files;
mod format;
mod formats;
mod found;
pub mod frozen_graph;
mod golden;
mod latency;
mod manifest;
mod model;
mod nhwc;
mod onnx;
mod open;
mod quantize;
mod readme;
mod runs;
mod snippets;
pub mod tflite;
mod verify;
mod web;

pub use archive::{Bundle, zip_name};
pub use bundle::{Verification, VerifiedModel, verify_bundle};
pub use card::{Card, CardClass, CardData, Confused, Counted, Measured as CardAccuracy};
pub use certificate::{Certificate, Flip, ModelCertificate, TopClass};
pub use error::ExportError;
pub use format::{Acceptance, Example, Exporter, Family, FormatInfo, ModelFile, Options};
pub use formats::Format;
pub use found::{ExampleImage, FoundExport, example_image, exports_in, found_in};
pub use latency::{Latency, computer};
pub use model::Model;
pub use onnx::{OnnxRunner, RECIPE_KEY};
pub use open::open;
pub use quantize::{Int8Candidate, Quantized, Search};
pub use runs::{RunExport, export_runs};
pub use snippets::{Language, examples};
pub use web::{web_files, web_runtime_dir};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;

use crate::evaluate::{Figures, InputKind, Recipe, RecipeInput, RecipeOutput, Runner, leak_meter};
use crate::jobs::Work;
use crate::project::Project;
use crate::train::{Run, RunClasses, RunState};

use bench::Bench;
use files::{Names, Pending};
use golden::Chosen;

/// The settings of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The formats; `README.txt` shows how to use the first one.
    pub formats: Vec<Format>,
    /// Choices that some formats offer.
    pub options: Options,
    /// Whether it is a folder or an archive.
    pub bundle: Bundle,
    /// Whether files of an earlier export are replaced even if they were changed.
    pub force: bool,
    /// Whether a model is exported although its accuracy loss exceeds the limit of its format; the certificate records
    /// it.
    pub accept_loss: bool,
}

impl From<Format> for Order {
    fn from(format: Format) -> Self {
        Self {
            formats: vec![format],
            options: Options::default(),
            bundle: Bundle::Folder,
            force: false,
            accept_loss: false,
        }
    }
}

impl Order {
    /// Each format once, with the name of its model's file or folder.
    fn models(&self) -> Vec<(Format, &'static str)> {
        let mut models: Vec<(Format, &'static str)> = Vec::new();
        // Exported alone, it has its historical name.
        let only_float = !self.formats.contains(&Format::ONNX);
        for format in &self.formats {
            if models.iter().any(|(known, _)| known == format) {
                continue;
            }
            let file = if *format == Format::ONNX_FLOAT && only_float {
                Format::ONNX.file()
            } else {
                format.file()
            };
            models.push((*format, file));
        }
        models
    }
}

/// An exported file and the results of its verification.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportedFile {
    /// Its path; for a file in an archive, the archive's path followed by its own.
    pub path: PathBuf,
    /// The format of a model, or `zip` (the archive, first in the list), `labels`, `preprocess`, `readme`, `licence`,
    /// `certificate`, `card`, `golden` (the list of the files in that folder), `snippet`, `verify`, `manifest`.
    pub format: String,
    /// Its size in bytes; for a model that is a folder, that of all its files.
    pub bytes: u64,
    /// For a model: fraction of the test frames with the same top-1 class as the run, 0..=1.
    pub top1_agreement: Option<f64>,
    /// For a model: largest difference of any probability from the run's, 0..=1.
    pub max_probability_difference: Option<f64>,
}

/// A written model: its format, its place, and how it is run.
struct WrittenModel {
    format: Format,
    file: &'static str,
    recipe: Recipe,
}

/// Files in every export beside the models.
const LABELS: &str = "labels.txt";
const PREPROCESS: &str = "preprocess.json";
const README: &str = "README.txt";
const LICENCE_FILE: &str = "LICENSE.txt";
const VERIFY: &str = "verify.py";

/// An example program in Python that runs an export of `run` in this format on one image, with labels from a file.
#[must_use]
pub fn example(run: &Run, format: Format) -> Option<Example> {
    let recipe = Recipe::new(
        format.input(&Options::default()),
        &run.preprocessing,
        &run.settings.architecture,
        &run.classes,
    );
    let file = Order::from(format).models();
    let file = file.first().map_or(format.file(), |(_, file)| *file);
    format.example(&recipe, file)
}

/// The result of an export.
#[derive(Debug, Clone, PartialEq)]
pub struct ExportOutcome {
    /// The folder or archive.
    pub place: PathBuf,
    /// The files, models first.
    pub files: Vec<ExportedFile>,
    /// The model card.
    pub card: Card,
    /// The results of the models on the test set.
    pub certificate: Certificate,
}

/// Exports a run: writes models, labels, preprocessing and a short description to the folder `out`, or to an archive
/// in it ([`Bundle::Zip`], called [`zip_name`]). Each model is run on the images of the whole test set, and all files
/// are moved into place only if all models meet the requirements of their formats. Files of an earlier export stay
/// until then, and nothing is left behind if it fails or is cancelled. A folder with files of these names that are not
/// from an export is refused. An archive is read back and verified before it gets its name.
pub fn export(
    project: &Project,
    run: &Run,
    order: &Order,
    out: &Path,
    work: &Work,
) -> Result<ExportOutcome, ExportError> {
    project.blame(write_and_verify(project, run, order, out, work))
}

fn write_and_verify(
    project: &Project,
    run: &Run,
    order: &Order,
    out: &Path,
    work: &Work,
) -> Result<ExportOutcome, ExportError> {
    if run.state != RunState::Finished {
        return Err(ExportError::Unfinished {
            run: run.id.0.clone(),
        });
    }
    let models = order.models();
    if models.is_empty() {
        return Err(ExportError::NoFormat);
    }
    // Checked before minutes of work: the weights can be read, and the files may be written.
    run.head()?;
    run.fine_tuned()?;
    for (format, _) in &models {
        format.check_installed()?;
    }
    let place = match order.bundle {
        Bundle::Folder => out.to_owned(),
        Bundle::Zip => out.join(zip_name(project, run)),
    };
    let out = &place;
    let mut pending = Pending::new(project, out, order.bundle, names(&models), order.force)?;
    let reference = verify::reference(project, run, work)?;
    work.check()?;
    verify::as_recorded(run, &reference)?;
    // After the evaluation, which detects class folders that were renamed by hand.
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
    for note in &classes.notes {
        work.warn(note);
    }
    let mut model = Model::of_run(run, &classes)?;
    if models.iter().any(|(format, _)| format.is_calibrated()) {
        model.quantized = Some(Arc::new(quantize::quantized(project, run, &model, work)?));
    }
    let models: Vec<WrittenModel> = models
        .into_iter()
        .map(|(format, file)| WrittenModel {
            format,
            file,
            recipe: model.recipe(format.input(&order.options)),
        })
        .collect();
    let golden = Chosen::load(project.root(), &reference)?;
    let mut bench = Bench::new(project, &model, &golden)?;
    let fp32_bytes = onnx::fp32_bytes(&model)?;
    let runtime = bench.computer().to_owned();
    let mut certificate = Certificate::new(&run.id.0, &reference, runtime, fp32_bytes);

    if order.options != Options::default() {
        for written in models
            .iter()
            .filter(|written| !written.format.follows_options())
        {
            work.warn(format!(
                "the options for input, batch, opset and bottleneck only affect ONNX models; {} is written as usual",
                written.format.title()
            ));
        }
    }
    let mut files = Vec::new();
    let mut written_files = Vec::new();
    for written in &models {
        let on_disk = write_model(&model, written, &order.options, &mut pending)?;
        let open = || Ok(written.format.open_for_proof(&on_disk, 1)?);
        let found = verify::verify(project.root(), &run.id.0, written, &open, &reference, work)?;
        let bytes = on_disk.iter().map(|file| file.bytes.len() as u64).sum();
        let mut proof = ModelCertificate::new(written, bytes, fp32_bytes, &reference, &found);
        if written.format.is_calibrated() {
            let quantized = model.quantized.as_ref();
            proof.search = quantized.map(|quantized| quantized.search.clone());
            let in_floats = quantized.and_then(|found| quantize::largest_in_floats(&found.onnx));
            if let (true, Some(node)) = (2 * bytes > fp32_bytes, in_floats) {
                work.warn(format!(
                    "{} has {} % of the size in fp32, because most weights stay in 32-bit floats, above all those of {node}; in half precision it has half the size",
                    written.format.title(),
                    (100 * bytes + fp32_bytes / 2) / fp32_bytes.max(1)
                ));
            }
        }
        proof.judge(
            written.format.acceptance(),
            certificate.frames,
            order.accept_loss,
        )?;
        proof.latency = bench.latency(written.format, written.file, &on_disk, work)?;
        files.push(ExportedFile {
            path: out.join(written.file),
            format: written.format.name().into(),
            bytes,
            top1_agreement: Some(proof.top1_agreement),
            max_probability_difference: Some(proof.max_probability_difference),
        });
        certificate.models.push(proof);
        written_files.push(on_disk);
    }
    bench.candidates(&model, &mut certificate, work)?;
    work.check()?;
    let mut runners = Vec::new();
    for (written, on_disk) in models.iter().zip(&written_files) {
        runners.push((written.file, written.format.open(on_disk, 1)?));
    }
    let in_golden = golden.files(&model.labels, &models, |written, input| {
        let runner = runners.iter_mut().find(|(file, _)| *file == written.file);
        let found = runner.map(|(_, runner)| runner.run(input));
        Ok(found.unwrap_or_else(|| Ok(Vec::new()))?)
    })?;
    drop((runners, written_files));
    for (name, bytes) in &in_golden {
        pending.write(name, bytes)?;
    }
    for written in &models {
        for file in written.format.beside(&in_golden) {
            pending.write(&file.name, &file.bytes)?;
        }
    }
    let mut list = |name: &str, format: &str, bytes: u64| {
        files.push(ExportedFile {
            path: out.join(name),
            format: format.into(),
            bytes,
            top1_agreement: None,
            max_probability_difference: None,
        });
    };
    let figures = Figures::of(&reference, work)?;
    let leak = match leak_meter(project, run, work) {
        Ok(leak) => leak,
        Err(error) => {
            work.check()?;
            work.warn(format!(
                "The leak meter is missing from the model card: {error}"
            ));
            None
        }
    };
    let measured = (&reference, &figures, leak);
    let card = Card::new(project, run, &classes, &model, measured, &certificate)?;
    for (name, format, text) in describing(&model, &models, &certificate, &card, out)? {
        pending.write(name, text.as_bytes())?;
        list(name, format, text.len() as u64);
    }
    if let Some((name, bytes)) = in_golden.last() {
        list(name, "golden", bytes.len() as u64);
    }
    work.check()?;
    let committed = pending.commit(|packed| {
        let found = verify_bundle(packed, work)?;
        match found.problems.into_iter().next() {
            Some(problem) => Err(ExportError::BadArchive {
                path: out.clone(),
                problem,
            }),
            None => Ok(()),
        }
    })?;
    for name in &committed.removed {
        work.warn(format!(
            "“{name}” of an earlier export was removed from the folder, because it is not part of this one"
        ));
    }
    list(manifest::FILE, "manifest", committed.manifest_bytes);
    if let Some(bytes) = committed.zip_bytes {
        let zip = ExportedFile {
            path: out.clone(),
            format: Bundle::Zip.name().into(),
            bytes,
            top1_agreement: None,
            max_probability_difference: None,
        };
        files.insert(0, zip);
    }
    Ok(ExportOutcome {
        place,
        files,
        card,
        certificate,
    })
}

/// The names of all files that an export of these models may write.
fn names(models: &[(Format, &'static str)]) -> Names {
    let describing = [
        LABELS,
        PREPROCESS,
        README,
        LICENCE_FILE,
        certificate::FILE,
        card::FILE,
        card::JSON_FILE,
        VERIFY,
    ];
    let mut others: Vec<String> = describing.map(str::to_owned).to_vec();
    others.extend(snippets::names());
    others.extend(golden::names());
    Names {
        models: models.iter().map(|(_, file)| *file).collect(),
        others,
    }
}

/// Opens a written model for one worker.
type Open<'a> = dyn Fn() -> Result<Box<dyn Runner>, ExportError> + Sync + 'a;

/// Writes a model and reads it back, because the files on disk are what is verified.
fn write_model(
    model: &Model,
    written: &WrittenModel,
    options: &Options,
    pending: &mut Pending,
) -> Result<Vec<ModelFile>, ExportError> {
    let format = written.format;
    let mut on_disk = Vec::new();
    for ModelFile { name, bytes } in format.write(model, options)? {
        let below = name.strip_prefix(format.file()).unwrap_or_default();
        let name = format!("{}{below}", written.file);
        let path = pending.write(&name, &bytes)?;
        on_disk.push((name, path));
    }
    let mut files = Vec::new();
    for (name, path) in on_disk {
        let bytes = crate::files::read(&path).map_err(ExportError::io("read", path))?;
        files.push(ModelFile { name, bytes });
    }
    Ok(files)
}

/// `preprocess.json`: the recipe of the first model, and the inputs and outputs of each.
#[derive(Serialize)]
struct PreprocessFile<'a> {
    #[serde(flatten)]
    recipe: &'a Recipe,
    models: Vec<ModelEntry<'a>>,
}

#[derive(Serialize)]
struct ModelEntry<'a> {
    file: &'a str,
    format: &'a str,
    input: &'a RecipeInput,
    output: &'a RecipeOutput,
}

/// Names, kinds and contents of the files that describe the models.
fn describing(
    model: &Model,
    models: &[WrittenModel],
    certificate: &Certificate,
    card: &Card,
    out: &Path,
) -> Result<Vec<(&'static str, &'static str, String)>, ExportError> {
    let mut labels = model.labels.join("\n");
    labels.push('\n');
    let first = model.recipe(InputKind::Uint8Nhwc);
    let preprocess = PreprocessFile {
        recipe: models.first().map_or(&first, |written| &written.recipe),
        models: models
            .iter()
            .map(|written| ModelEntry {
                file: written.file,
                format: written.format.name(),
                input: &written.recipe.input,
                output: &written.recipe.output,
            })
            .collect(),
    };
    let json = serde_json::to_string_pretty(&preprocess)
        .map_err(|error| ExportError::io("write", out.join(PREPROCESS))(error.into()))?;
    let proof = certificate
        .to_text()
        .map_err(|error| ExportError::io("write", out.join(certificate::FILE))(error.into()))?;
    let card_json = card
        .to_json()
        .map_err(|error| ExportError::io("write", out.join(card::JSON_FILE))(error.into()))?;
    let mut files = vec![
        (LABELS, "labels", labels),
        (PREPROCESS, "preprocess", json + "\n"),
        (README, "readme", readme::text(model, models, certificate)),
        (
            LICENCE_FILE,
            "licence",
            model.backbone.licence_text().to_owned(),
        ),
        (certificate::FILE, "certificate", proof),
        (card::FILE, "card", card.to_markdown()),
        (card::JSON_FILE, "card", card_json),
        (VERIFY, "verify", include_str!("verify.py").to_owned()),
    ];
    let of_models = snippets::of(models.iter().map(|model| model.format));
    files.extend(of_models.map(|program| (program.file, "snippet", program.text.to_owned())));
    Ok(files)
}
