//! `salamander doctor`: the installed components, and one sentence for each problem.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::bail;
use serde::Serialize;

use crate::backbone::{ModelStatus, model_status};
use crate::export::web_runtime_dir;
use crate::jobs::sentence;
use crate::media::{self, Confinement};
use crate::onnx::{RuntimeInfo, runtime_info};
use crate::text::{bytes, count, visible};

use super::console::Console;
use super::shown;

/// Less free space than this is reported: more is needed for the frames of a few videos.
const LITTLE_ROOM_BYTES: u64 = 1_000_000_000;

/// Show the versions and paths of everything Salamander depends on, and report problems
#[derive(Debug, clap::Args)]
pub struct Args {}

#[derive(Serialize)]
struct Result {
    ok: bool,
    version: &'static str,
    ffmpeg: Vec<Library>,
    decoders: Option<Confinement>,
    onnxruntime: Option<Runtime>,
    models: Vec<Model>,
    onnxruntime_web: Option<String>,
    config_dir: Option<String>,
    free_bytes: Option<u64>,
    problems: Vec<String>,
}

#[derive(Serialize)]
struct Library {
    name: String,
    version: String,
}

#[derive(Serialize)]
struct Runtime {
    path: String,
    version: String,
    providers: Vec<String>,
}

#[derive(Serialize)]
struct Model {
    name: String,
    path: Option<String>,
    ok: bool,
}

/// Collects the findings; `essential` problems make the command fail.
#[derive(Default)]
struct Findings {
    problems: Vec<String>,
    essential: u64,
}

impl Findings {
    fn essential(&mut self, problem: String) {
        self.essential += 1;
        self.problems.push(problem);
    }
}

pub fn run(console: &Console) -> anyhow::Result<()> {
    let mut findings = Findings::default();
    let ffmpeg = media::versions()
        .into_iter()
        .map(|(name, version)| Library { name, version })
        .collect();
    let decoders = match media::confinement() {
        Ok(found) => found,
        Err(error) => {
            findings.essential(sentence(&error));
            None
        }
    };
    let onnxruntime = match runtime_info() {
        Ok(info) => Some(Runtime::from(info)),
        Err(error) => {
            findings.essential(sentence(&error));
            None
        }
    };
    let models = models(&mut findings);
    // Only web exports need it.
    let onnxruntime_web = match web_runtime_dir() {
        Ok(dir) => Some(shown(&dir)),
        Err(error) => {
            findings.problems.push(sentence(&error));
            None
        }
    };
    let config_dir = config_dir();
    if let Some(problem) = config_dir.as_deref().and_then(unwritable) {
        findings.problems.push(problem);
    }
    let free_bytes = free_bytes();
    if let Some(free) = free_bytes.filter(|free| *free < LITTLE_ROOM_BYTES) {
        findings.problems.push(format!(
            "only {} free on this folder's disk; extracting frames may fill it",
            bytes(free)
        ));
    }
    let result = Result {
        ok: findings.essential == 0,
        version: env!("CARGO_PKG_VERSION"),
        ffmpeg,
        decoders,
        onnxruntime,
        models,
        onnxruntime_web,
        config_dir: config_dir.as_deref().map(shown),
        free_bytes,
        problems: findings.problems,
    };
    console.result(&result, || text(&result))?;
    if findings.essential > 0 {
        bail!(
            "{} must be fixed before Salamander can train",
            count(findings.essential, "problem")
        );
    }
    Ok(())
}

impl From<&RuntimeInfo> for Runtime {
    fn from(info: &RuntimeInfo) -> Self {
        Self {
            path: shown(&info.path),
            version: info.version.clone(),
            providers: info.providers.clone(),
        }
    }
}

fn models(findings: &mut Findings) -> Vec<Model> {
    let status = match model_status() {
        Ok(status) => status,
        Err(error) => {
            findings.essential(sentence(&error));
            return Vec::new();
        }
    };
    status
        .into_iter()
        .map(|ModelStatus { backbone, file }| {
            let path = match file {
                Ok(path) => Some(shown(&path)),
                Err(error) => {
                    findings.essential(sentence(&error));
                    None
                }
            };
            Model {
                name: backbone.name.clone(),
                ok: path.is_some(),
                path,
            }
        })
        .collect()
}

/// The folder for the settings of the window.
fn config_dir() -> Option<PathBuf> {
    directories::ProjectDirs::from("", "", "Salamander").map(|dirs| dirs.config_dir().to_owned())
}

/// A sentence if nothing can be written to `dir`; it need not exist yet.
fn unwritable(dir: &Path) -> Option<String> {
    let existing = dir.ancestors().find(|ancestor| ancestor.is_dir())?;
    let error = tempfile::tempfile_in(existing).err()?;
    Some(format!(
        "the window's settings cannot be saved in “{}”: {error}",
        shown(dir)
    ))
}

fn free_bytes() -> Option<u64> {
    let here = std::env::current_dir()
        .inspect_err(|error| log::warn!("there is no current folder: {error}"))
        .ok()?;
    fs4::available_space(here)
        .inspect_err(|error| log::warn!("cannot determine the free disk space: {error}"))
        .ok()
}

/// The restrictions of the process that decodes.
fn decoders(found: Option<&Confinement>) -> String {
    let Some(confinement) = found else {
        return "in the main process".into();
    };
    let mut text = String::from("in a separate process");
    for (holds, what) in [
        (confinement.no_files, "cannot open files"),
        (
            confinement.no_calls,
            "no network, no writing, no starting programs",
        ),
    ] {
        if holds {
            text.push_str(", ");
            text.push_str(what);
        }
    }
    if let Some(most) = confinement.memory_bytes {
        text.push_str(", at most ");
        text.push_str(&bytes(most));
        text.push_str(" of memory");
    }
    text
}

fn text(result: &Result) -> String {
    let mut text = format!("Salamander    {}\n", result.version);
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let written = writeln!(text, "{name:<13} {}", visible(value));
        debug_assert!(written.is_ok());
    };
    for (index, library) in result.ffmpeg.iter().enumerate() {
        let name = if index == 0 { "FFmpeg" } else { "" };
        line(name, &format!("{} {}", library.name, library.version));
    }
    line("Decoders", &decoders(result.decoders.as_ref()));
    match &result.onnxruntime {
        Some(runtime) => {
            line(
                "ONNX Runtime",
                &format!("{}, {}", runtime.version, runtime.path),
            );
            line("", &format!("runs on {}", runtime.providers.join(", ")));
        }
        None => line("ONNX Runtime", "missing"),
    }
    for (index, model) in result.models.iter().enumerate() {
        let name = if index == 0 { "Models" } else { "" };
        let place = model.path.as_deref().unwrap_or("not usable");
        line(name, &format!("{}, {place}", model.name));
    }
    line(
        "Web exports",
        result.onnxruntime_web.as_deref().unwrap_or("not possible"),
    );
    line(
        "Settings",
        result.config_dir.as_deref().unwrap_or("no folder for them"),
    );
    if let Some(free) = result.free_bytes {
        line("Free space", &bytes(free));
    }
    if result.problems.is_empty() {
        text.push_str("\nEverything is in order.");
    } else {
        text.push_str("\nProblems:\n");
        for problem in &result.problems {
            text.push_str("  - ");
            text.push_str(&visible(problem));
            text.push('\n');
        }
    }
    text
}
