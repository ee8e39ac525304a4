//! Opens an exported model; the format is detected from the file.

use std::path::{Path, PathBuf};

use crate::evaluate::{EvaluateError, Predictor, Runner};
use crate::files;
use crate::jobs::{bound_memory, cores};
use crate::project::Project;
use crate::train::{Run, RunClasses, RunState};

use super::format::ModelFile;
use super::{Format, manifest};

/// A file in every run's folder.
const RUN_FILE: &str = "run.json";

/// Opens an export's folder, or a model in one, to run on `threads` threads. In a folder it takes the first model in
/// the order of [`Format::all`].
///
/// # Errors
/// [`EvaluateError::NoExport`] states what is missing.
pub fn open(path: &Path, threads: usize) -> Result<Box<dyn Runner>, EvaluateError> {
    let no_export = |reason: String| EvaluateError::NoExport {
        path: path.to_owned(),
        reason,
    };
    // The file may come from anywhere.
    bound_memory();
    let all = Format::all();
    if files::is_dir(path) {
        if let Some(format) = all.iter().find(|format| format.recognises_folder(path)) {
            return format.open(&read(*format, path)?, threads);
        }
        let Some((format, model)) = model_in(path) else {
            let names: Vec<&str> = all.iter().map(|format| format.file()).collect();
            return Err(no_export(format!(
                "there is no model in it ({})",
                names.join(", ")
            )));
        };
        return format.open(&read(format, &model)?, threads);
    }
    let file = read_file(path, path)?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let known = all
        .iter()
        .find(|format| format.recognises(&name, &file.bytes));
    // An unknown file is opened as ONNX, whose error says what is wrong.
    known.unwrap_or(&Format::ONNX).open(&[file], threads)
}

/// The file, or those files of a folder that the format needs and that exist.
fn read(format: Format, path: &Path) -> Result<Vec<ModelFile>, EvaluateError> {
    if !files::is_dir(path) {
        return Ok(vec![read_file(path, path)?]);
    }
    let inside = format.folder_files().iter().map(|file| path.join(file));
    inside
        .filter(|file| files::is_file(file))
        .map(|file| read_file(path, &file))
        .collect()
}

/// A file of the model at `path`.
fn read_file(path: &Path, file: &Path) -> Result<ModelFile, EvaluateError> {
    let bytes = files::read(file).map_err(|error| EvaluateError::NoExport {
        path: path.to_owned(),
        reason: format!("cannot read “{}”: {error}", file.display()),
    })?;
    manifest::check_file(file, &bytes).map_err(|name| EvaluateError::NoExport {
        path: path.to_owned(),
        reason: format!(
            "“{name}” is not the file that was exported ({} has a different hash); export again, or move a file that was changed on purpose to another folder",
            manifest::FILE
        ),
    })?;
    Ok(ModelFile {
        name: file.display().to_string(),
        bytes,
    })
}

impl Predictor {
    /// Opens the folder of a run, an export's folder or a model in one.
    ///
    /// # Errors
    /// [`EvaluateError`] if it is none of these; for a project it names the newest export or finished run in it.
    pub fn open(path: &Path) -> Result<Self, EvaluateError> {
        if files::is_file(path.join(RUN_FILE)) {
            let run = Run::open(path)?;
            let classes = RunClasses::beside(&run);
            return Self::from_run(&run, classes);
        }
        if model_in(path).is_none() && Project::is_at(path) {
            return Err(EvaluateError::IsProject {
                path: path.to_owned(),
                newest: newest_model(path),
            });
        }
        Self::from_export(path)
    }

    /// Opens an export's folder, or a model in one. A single image uses all cores.
    ///
    /// # Errors
    /// As for [`open()`].
    pub fn from_export(path: &Path) -> Result<Self, EvaluateError> {
        Ok(Self::from_runner(open(path, cores())?, path))
    }
}

/// The first model in an export's folder, in the order of [`Format::all`].
fn model_in(folder: &Path) -> Option<(Format, PathBuf)> {
    let mut all = Format::all().iter();
    all.find_map(|format| {
        let path = folder.join(format.file());
        let is_there = match format.folder_files().first() {
            Some(file) => files::is_file(path.join(file)),
            None => files::exists(&path),
        };
        is_there.then_some((*format, path))
    })
}

/// The newest export or finished run in a project's folder.
fn newest_model(project: &Path) -> Option<PathBuf> {
    let written = |folder: &Path, file: &str| {
        let facts = files::metadata(folder.join(file)).ok()?;
        Some((facts.modified().ok()?, folder.to_owned()))
    };
    let below = |name: &str| files::read_dir(project.join(name)).into_iter().flatten();
    let exports = below("exports").filter_map(|entry| {
        let folder = entry.ok()?.path();
        let (format, _) = model_in(&folder)?;
        written(&folder, format.file())
    });
    let runs = below("runs").filter_map(|entry| {
        let folder = entry.ok()?.path();
        let run = Run::open(&folder).ok()?;
        (run.state == RunState::Finished).then(|| written(&folder, RUN_FILE))?
    });
    let (_, newest) = exports.chain(runs).max()?;
    Some(newest)
}

/// The most elements of a tensor in an undamaged file, and many more than any has.
const MOST_ELEMENTS: usize = 1 << 31;

/// The lengths of a tensor's dimensions, as a file states them; otherwise the reason why it cannot be read.
pub(super) fn tensor_lens(stated: Option<Vec<usize>>) -> Result<Vec<usize>, String> {
    let lens = stated.ok_or("a tensor's size is unknown")?;
    let mut all = lens.iter().filter(|len| **len > 0);
    let count = all.try_fold(1_usize, |count, len| count.checked_mul(*len));
    if count.is_none_or(|count| count > MOST_ELEMENTS) {
        return Err(format!("a tensor is too large ({lens:?})"));
    }
    Ok(lens)
}
