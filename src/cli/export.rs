//! `salamander export`: a run as files that other programs use.

use std::path::PathBuf;

use anyhow::bail;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use serde::Serialize;

use crate::evaluate::InputKind;
use crate::export::{
    Bundle, Certificate, ExportOutcome, ExportedFile, Format, ModelCertificate, Options, Order,
    RunExport, export, export_runs,
};
use crate::files::is_writable;
use crate::graph::passes::OPSETS;
use crate::project::Project;
use crate::text::{bytes, percent, visible};
use crate::train::Run;

use super::console::Console;
use super::table::{Align, table};
use super::which::RunArg;
use super::{ProjectArg, Usage, shown};

/// Export a run as a model with labels, verified to predict as the run does
///
/// If `--run` is given several times, each run is exported into its own folder (or ZIP file) below DIR; if one fails,
/// the others are still exported.
///
/// In an existing folder only the files of an earlier export are replaced. If other files have the names that are
/// needed, the error lists them and nothing is written.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    /// The run: `latest`, its name (or the end of it), or its folder; can be given several times [default: latest]
    #[arg(long = "run", value_name = "RUN")]
    runs: Vec<String>,
    /// The format, or several separated by commas
    #[arg(long, value_name = "FORMAT", value_delimiter = ',', default_value = "onnx", value_parser = formats())]
    format: Vec<Format>,
    /// The folder to write into [default: exports/RUN in the project]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Whether to write a folder, or one ZIP file in DIR that is named after project and run
    #[arg(long, value_name = "BUNDLE", default_value = "folder", value_parser = bundles())]
    bundle: Bundle,
    /// Also replace files of an earlier export that were modified since; other files are never replaced
    #[arg(long)]
    force: bool,
    /// Export a model even if it loses more accuracy than its format allows; the certificate records this
    #[arg(long)]
    accept_loss: bool,
    /// The input of ONNX models [default: as the format says]
    #[arg(long, value_name = "INPUT", value_parser = inputs())]
    input: Option<InputKind>,
    /// Batch size of ONNX models
    #[arg(long, value_name = "BATCH", value_parser = ["any", "1"], default_value = "any", hide_possible_values = true)]
    batch: String,
    /// ONNX opset version, for runtimes that need an older or newer one [default: the backbone's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(OPSETS))]
    opset: Option<i64>,
    /// Give ONNX models a second output: the bottleneck
    #[arg(long)]
    with_bottleneck: bool,
}

/// A folder or one file.
pub(super) fn bundles() -> impl TypedValueParser<Value = Bundle> {
    PossibleValuesParser::new(Bundle::ALL.map(Bundle::name)).map(|name| {
        let named = |bundle: &Bundle| bundle.name() == name;
        Bundle::ALL.into_iter().find(named).unwrap_or_default()
    })
}

/// What an ONNX model may have as input.
fn inputs() -> impl TypedValueParser<Value = InputKind> {
    let uint8 = PossibleValue::new("uint8").help("uint8 [N, H, W, 3] RGB; the model normalises");
    let float = PossibleValue::new("float")
        .help("float [N, 3, H, W]; the caller normalises as preprocess.json says");
    PossibleValuesParser::new([uint8, float]).map(|name| match name.as_str() {
        "float" => InputKind::Float32Nchw,
        _ => InputKind::Uint8Nhwc,
    })
}

/// The names of formats, each with its purpose.
pub(super) fn formats() -> impl TypedValueParser<Value = Format> {
    let names = Format::all().iter();
    let names = names.map(|format| PossibleValue::new(format.name()).help(format.sentence()));
    PossibleValuesParser::new(names).try_map(|name| Format::named(&name))
}

/// One run and its export.
#[derive(Serialize)]
struct Result {
    run: String,
    place: String,
    files: Vec<File>,
    certificate: Certificate,
}

impl Result {
    fn of(run: &str, outcome: ExportOutcome) -> Self {
        Self {
            run: run.to_owned(),
            place: shown(&outcome.place),
            files: outcome.files.into_iter().map(File::from).collect(),
            certificate: outcome.certificate,
        }
    }
}

/// A run that could not be exported.
#[derive(Serialize)]
struct Failed {
    run: String,
    place: String,
    error: String,
}

/// Several runs.
#[derive(Serialize)]
struct Results {
    runs: Vec<Result>,
    failed: Vec<Failed>,
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
    let mut runs: Vec<Run> = Vec::new();
    let named = if args.runs.is_empty() {
        vec!["latest".to_owned()]
    } else {
        args.runs
    };
    for run in named {
        let run = RunArg { run }.find(&project)?;
        if runs.iter().any(|known| known.id == run.id) {
            return Err(Usage(format!("the run “{}” is given twice", run.id)).into());
        }
        runs.push(run);
    }
    let order = Order {
        formats: args.format,
        options: Options {
            input: args.input,
            batch_of_one: args.batch == "1",
            opset: args.opset,
            bottleneck: args.with_bottleneck,
        },
        bundle: args.bundle,
        force: args.force,
        accept_loss: args.accept_loss,
    };
    let has_out = args.out.is_some();
    let out = match args.out {
        Some(out) => out,
        None => place_in(&project)?,
    };
    if let [run] = &runs[..] {
        let own_folder = !has_out && order.bundle == Bundle::Folder;
        let out = if own_folder { out.join(&run.id.0) } else { out };
        let (run, id) = (run.clone(), run.id.0.clone());
        let outcome = console.run("export", move |work| {
            export(&project, &run, &order, &out, work)
        })?;
        let result = Result::of(&id, outcome);
        return console.result(&result, || text(&result));
    }
    let done = console.run("export", move |work| {
        export_runs(&project, &runs, &order, &out, work)
    })?;
    several(console, done)
}

/// The results of several runs; fails if one of them failed.
fn several(console: &Console, done: Vec<RunExport>) -> anyhow::Result<()> {
    let mut results = Results {
        runs: Vec::new(),
        failed: Vec::new(),
    };
    let all = done.len();
    for RunExport {
        run,
        place,
        outcome,
    } in done
    {
        match outcome {
            Ok(outcome) => results.runs.push(Result::of(&run.0, outcome)),
            Err(error) => {
                let error = crate::jobs::sentence(&error);
                console.warning(&format!("run “{run}” was not exported: {error}"))?;
                results.failed.push(Failed {
                    run: run.0,
                    place: shown(&place),
                    error,
                });
            }
        }
    }
    if results.failed.is_empty() {
        return console.result(&results, || runs_text(&results));
    }
    if console.json() {
        console.event("exported", &results)?;
    } else if !results.runs.is_empty() {
        console.lines(runs_text(&results).trim_end())?;
    }
    bail!(
        "{} of {all} runs could not be exported; the others were",
        results.failed.len()
    )
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
    files.extend(rows.map(|file| vec![file.path.clone(), bytes(file.bytes)]));
    let certificate = &result.certificate;
    let models = certificate.models.iter();
    let rows = models.map(|model| (None, model)).collect::<Vec<_>>();
    format!(
        "exported {}\n{}\non the {} {} images, compared with the run\n{}{}",
        visible(&result.run),
        table(&[Align::Left, Align::Right], &files),
        certificate.frames,
        certificate.split,
        models_table(&rows),
        accepted(certificate),
    )
}

/// One table of all models of several runs.
fn runs_text(results: &Results) -> String {
    let mut rows = Vec::new();
    let mut places = vec![["run", "exported to"].map(str::to_owned).to_vec()];
    let mut losses = String::new();
    for result in &results.runs {
        places.push(vec![result.run.clone(), result.place.clone()]);
        let models = result.certificate.models.iter();
        rows.extend(models.map(|model| (Some(result.run.as_str()), model)));
        losses += &accepted(&result.certificate);
    }
    format!(
        "{}\n{}{losses}",
        table(&[Align::Left, Align::Left], &places),
        models_table(&rows),
    )
}

fn accepted(certificate: &Certificate) -> String {
    let accepted = certificate.models.iter().filter_map(|model| {
        let loss = model.accepted_loss.as_ref()?;
        Some(format!(
            "\naccepted for {}: {}",
            visible(&model.file),
            visible(loss)
        ))
    });
    accepted.collect()
}

/// The results of the models, with the run of each if there are several.
fn models_table(models: &[(Option<&str>, &ModelCertificate)]) -> String {
    let with_run = models.iter().any(|(run, _)| run.is_some());
    let mut headings = vec!["run"];
    headings.extend(HEADINGS);
    let mut rows = vec![headings.iter().map(|text| (*text).to_owned()).collect()];
    rows.extend(models.iter().map(|(run, model)| {
        let [low, high] = model.top1_difference_95.map(|part| part * 100.0);
        let latency = model.latency.as_ref();
        vec![
            run.unwrap_or_default().to_owned(),
            model.file.clone(),
            format!("{:.0} %", model.size_ratio * 100.0),
            percent(model.top1),
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
    let mut aligned = vec![Align::Left, Align::Left];
    aligned.extend(HEADINGS.iter().skip(1).map(|_| Align::Right));
    if !with_run {
        aligned.remove(0);
        for row in &mut rows {
            row.remove(0);
        }
    }
    table(&aligned, &rows)
}

/// The headings of the results of a model.
const HEADINGS: [&str; 9] = [
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
