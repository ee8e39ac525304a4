//! `salamander export`: a run as files that other programs use.

use std::path::PathBuf;

use anyhow::bail;
use serde::Serialize;

use crate::export::{ExportedFile, Format, export};
use crate::files::is_writable;
use crate::project::Project;

use super::console::Console;
use super::table::{Align, size, table};
use super::which::RunArg;
use super::{ProjectArg, shown};

/// Export a run as a model file with labels, proved to predict as the run does
///
/// In a folder that is there only the files of an earlier export are replaced; others of the same names are named, and
/// nothing is written.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    #[command(flatten)]
    run: RunArg,
    /// The format
    #[arg(long, value_name = "FORMAT", default_value = "onnx")]
    format: FormatArg,
    /// The folder to write into [default: exports/RUN in the project]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum FormatArg {
    /// ONNX: `image` uint8 [N, H, W, 3] RGB in, probabilities out; normalisation is inside
    Onnx,
    /// ONNX: `image` float [N, 3, H, W], normalised by the caller as preprocess.json says
    OnnxFloat,
}

#[derive(Serialize)]
struct Result {
    run: String,
    files: Vec<File>,
}

#[derive(Serialize)]
struct File {
    path: String,
    format: String,
    bytes: u64,
    top1_agreement: Option<f64>,
    max_probability_difference: Option<f64>,
}

impl From<ExportedFile> for File {
    fn from(file: ExportedFile) -> Self {
        Self {
            path: shown(&file.path),
            format: file.format,
            bytes: file.bytes,
            top1_agreement: file.top1_agreement,
            max_probability_difference: file.max_probability_difference,
        }
    }
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    let project = args.project.open_for_reading(console)?;
    let run = args.run.find(&project)?;
    let id = run.id.0.clone();
    let format = match args.format {
        FormatArg::Onnx => Format::Onnx,
        FormatArg::OnnxFloat => Format::OnnxFloat,
    };
    let out = match args.out {
        Some(out) => out,
        None => place_in(&project)?.join(&id),
    };
    let files = console.run("export", move |work| {
        export(&project, &run, format, &out, work)
    })?;
    let result = Result {
        run: id,
        files: files.into_iter().map(File::from).collect(),
    };
    console.result(&result, || text(&result))
}

/// `exports/` of the project, if it can be written.
fn place_in(project: &Project) -> anyhow::Result<PathBuf> {
    let exports = project.exports_dir();
    let there = if exports.is_dir() {
        &exports
    } else {
        project.root()
    };
    if let Err(error) = is_writable(there) {
        bail!(
            "cannot export into “{}”: {error}; choose another folder with --out",
            shown(&exports)
        );
    }
    Ok(exports)
}

fn text(result: &Result) -> String {
    let mut rows = vec![
        ["file", "size", "same top-1", "largest difference"]
            .map(str::to_owned)
            .to_vec(),
    ];
    rows.extend(result.files.iter().map(|file| {
        vec![
            file.path.clone(),
            size(file.bytes),
            file.top1_agreement
                .map(|part| format!("{:.1} %", part * 100.0))
                .unwrap_or_default(),
            file.max_probability_difference
                .map(|difference| format!("{difference:.1e}"))
                .unwrap_or_default(),
        ]
    }));
    format!(
        "exported {}\n{}",
        result.run,
        table(
            &[Align::Left, Align::Right, Align::Right, Align::Right],
            &rows
        )
    )
}
