//! `salamander trash`: tells what lies in a project's trash, and empties it.

use serde::Serialize;

use super::ProjectArg;
use super::console::Console;
use super::table::count;

/// Tell how much lies in a project's trash, or delete it for good
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    /// Delete it; this cannot be undone
    #[arg(long)]
    empty: bool,
}

#[derive(Serialize)]
struct Result {
    frames: u64,
    runs: u64,
    files: u64,
    bytes: u64,
    deleted: u64,
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let project = args.project.open()?;
    let empty = args.empty;
    let result = console.run("trash", move |work| {
        let found = project.trash_contents(work)?;
        let deleted = if empty { project.empty_trash(work)? } else { 0 };
        Ok::<_, crate::project::ProjectError>(Result {
            frames: found.frames,
            runs: found.runs,
            files: found.files,
            bytes: found.bytes,
            deleted,
        })
    })?;
    console.result(&result, || {
        let contents = format!(
            "{} and {}, {:.1} MB",
            count(result.frames, "frame"),
            count(result.runs, "run"),
            result.bytes as f64 / 1e6
        );
        if empty {
            format!("deleted {contents}")
        } else {
            format!("in the trash: {contents}")
        }
    })
}
