//! `salamander report`: writes the report of a run.

use std::path::PathBuf;

use serde::Serialize;

use crate::evaluate::write_report;
use crate::files;
use crate::text::visible;

use super::ProjectArg;
use super::console::Console;
use super::shown;
use super::which::RunArg;

/// Write a report of a run: one HTML page with its figures, curves and mistakes, for sharing or printing
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    #[command(flatten)]
    run: RunArg,
    /// The HTML file; an earlier report is replaced, any other file is not
    #[arg(long, value_name = "FILE", default_value = "report.html")]
    out: PathBuf,
    /// Leave out what requires training: leak meter, cross-validation, learning curve, held-out classes
    #[arg(long)]
    quick: bool,
}

#[derive(Serialize)]
struct Result {
    run: String,
    path: String,
    bytes: u64,
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let project = args.project.open_or_read(console)?;
    let run = args.run.find(&project)?;
    let id = run.id.0.clone();
    let (out, quick) = (args.out.clone(), args.quick);
    console.run("report", move |work| {
        write_report(&project, &run, !quick, &out, work)
    })?;
    let result = Result {
        run: id,
        bytes: files::metadata(&args.out)?.len(),
        path: shown(&args.out),
    };
    console.result(&result, || format!("wrote {}", visible(&result.path)))
}
