//! `salamander export`: a run as files that other programs use.

use std::path::PathBuf;

use anyhow::bail;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use crate::evaluate::InputKind;
use crate::export::{Certificate, ExportedFile, Format, Options, Order, export};
use crate::files::is_writable;
use crate::graph::passes::OPSETS;
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
    /// The format, or several with commas between them
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', default_value = "onnx", value_parser = formats())]
    format: Vec<Format>,
    /// The folder to write into [default: exports/RUN in the project]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Replace files of an earlier export that were changed since; never others
    #[arg(long)]
    force: bool,
    /// Export a model although it loses more than its format allows; the certificate records it
    #[arg(long)]
    accept_loss: bool,
    /// What ONNX models take, instead of what the format says
    #[arg(long, value_name = "INPUT", value_parser = inputs())]
    input: Option<InputKind>,
    /// How many images ONNX models take at once
    #[arg(long, value_name = "BATCH", value_parser = ["any", "1"], default_value = "any", hide_possible_values = true)]
    batch: String,
    /// Version of ONNX's operators, for runtimes that want an older or newer one [default: the backbone's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(OPSETS))]
    opset: Option<i64>,
    /// Give ONNX models a second output: the bottleneck, which the head classifies
    #[arg(long)]
    with_bottleneck: bool,
}

/// What an ONNX model may take.
fn inputs() -> impl TypedValueParser<Value = InputKind> {
    let uint8 = PossibleValue::new("uint8").help("uint8 [N, H, W, 3] RGB; normalisation is inside");
    let float = PossibleValue::new("float")
        .help("float [N, 3, H, W], normalised by the caller as preprocess.json says");
    PossibleValuesParser::new([uint8, float]).map(|name| match name.as_str() {
        "float" => InputKind::Float32Nchw,
        _ => InputKind::Uint8Nhwc,
    })
}

/// The names of formats, with what each is for.
fn formats() -> impl TypedValueParser<Value = Format> {
    let names = Format::all().iter();
    let names = names.map(|format| PossibleValue::new(format.name()).help(format.sentence()));
    PossibleValuesParser::new(names).try_map(|name| Format::named(&name))
}

#[derive(Serialize)]
struct Result {
    run: String,
    files: Vec<File>,
    certificate: Certificate,
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
    let order = Order {
        formats: args.format,
        options: Options {
            input: args.input,
            batch_of_one: args.batch == "1",
            opset: args.opset,
            bottleneck: args.with_bottleneck,
        },
        force: args.force,
        accept_loss: args.accept_loss,
    };
    let out = match args.out {
        Some(out) => out,
        None => place_in(&project)?.join(&id),
    };
    let outcome = console.run("export", move |work| {
        export(&project, &run, &order, &out, work)
    })?;
    let result = Result {
        run: id,
        files: outcome.files.into_iter().map(File::from).collect(),
        certificate: outcome.certificate,
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
    let mut files = vec![["file", "size"].map(str::to_owned).to_vec()];
    let rows = result.files.iter();
    files.extend(rows.map(|file| vec![file.path.clone(), size(file.bytes)]));
    let certificate = &result.certificate;
    let headings = [
        "model",
        "of fp32",
        "top-1",
        "difference",
        "95 %",
        "flips",
        "largest difference",
        "ms",
        "of fp32",
    ];
    let mut models = vec![headings.map(str::to_owned).to_vec()];
    models.extend(certificate.models.iter().map(|model| {
        let [low, high] = model.top1_difference_95.map(|part| part * 100.0);
        let latency = model.latency.as_ref();
        vec![
            model.file.clone(),
            format!("{:.0} %", model.size_ratio * 100.0),
            format!("{:.1} %", model.top1 * 100.0),
            format!("{:+.1}", model.top1_difference * 100.0),
            format!("{low:+.1} to {high:+.1}"),
            model.flips.len().to_string(),
            format!("{:.1e}", model.max_probability_difference),
            latency
                .map(|latency| format!("{:.1}", latency.median_ms))
                .unwrap_or_default(),
            latency
                .map(|latency| format!("{:.2}", latency.ratio_to_fp32))
                .unwrap_or_default(),
        ]
    }));
    let accepted = certificate.models.iter().filter_map(|model| {
        let loss = model.accepted_loss.as_ref()?;
        Some(format!("\naccepted for {}: {loss}", model.file))
    });
    let accepted: String = accepted.collect();
    let mut aligned = vec![Align::Left];
    aligned.extend(headings.iter().skip(1).map(|_| Align::Right));
    format!(
        "exported {}\n{}\non the {} {} frames, beside the run\n{}{accepted}",
        result.run,
        table(&[Align::Left, Align::Right], &files),
        certificate.frames,
        certificate.split,
        table(&aligned, &models),
    )
}
