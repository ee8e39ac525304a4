//! `salamander merge`: merges parts from other computers into a project.

use std::path::PathBuf;

use anyhow::bail;
use serde::Serialize;

use crate::shards::merge;
use crate::text::count;

use super::console::Console;
use super::import::{self, report_files};
use super::{ProjectArg, shown};

/// Merge parts made by `salamander work` into a project
///
/// The result is as if the videos and photos had been imported here: the same frames, classes and splits, and the
/// bottlenecks as well. Parts of a sweep add their runs, as if they had been trained here. Parts can be merged in any
/// order and repeatedly: whatever is new is added. Missing parts are listed and the exit code is then 1, but those that
/// exist are merged.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    /// Folders of parts, as written by `salamander work --out`
    #[arg(value_name = "DIR", required = true)]
    parts: Vec<PathBuf>,
    /// Merge even if the disk seems too full
    #[arg(long)]
    force: bool,
}

#[derive(Serialize)]
struct Result {
    parts: usize,
    of: usize,
    missing: Vec<usize>,
    damaged: Vec<String>,
    rows: u64,
    #[serde(flatten)]
    import: import::Result,
    #[serde(skip_serializing_if = "Option::is_none")]
    sweep: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    runs: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_trained: Vec<String>,
}

pub fn run(console: &Console, args: Args) -> anyhow::Result<()> {
    let folder = shown(&args.project.project);
    let project = args.project.open(console)?;
    let (parts, force) = (args.parts, args.force);
    let merged = console.run("merge", move |work| merge(&project, &parts, force, work))?;
    report_files(console, &merged.outcome)?;
    let sentence = merged.sentence();
    let totals = merged.outcome.totals();
    let result = Result {
        parts: merged.parts,
        of: merged.of,
        import: import::Result::of(&merged.outcome, &totals),
        missing: merged.missing,
        damaged: merged.damaged,
        rows: merged.rows,
        sweep: merged.sweep.map(|sweep| sweep.0),
        runs: merged.runs.into_iter().map(|run| run.0).collect(),
        not_trained: merged.failed,
    };
    console.result(&result, || {
        if let Some(sweep) = &result.sweep {
            let failed = match result.not_trained.len() {
                0 => String::new(),
                failed => format!(", {} failed", count(failed as u64, "training")),
            };
            return format!(
                "merged {} of {} into the sweep {sweep}: {}{failed}",
                result.parts,
                count(result.of as u64, "training"),
                count(result.runs.len() as u64, "new run")
            );
        }
        let mut text = format!(
            "merged {} of {}, {} for the caches\n",
            count(result.parts as u64, "part"),
            result.of,
            count(result.rows, "row")
        );
        text.push_str(&import::text(&merged.outcome, &totals, &folder));
        text
    })?;
    match sentence {
        Some(sentence) => bail!(sentence),
        None => Ok(()),
    }
}
