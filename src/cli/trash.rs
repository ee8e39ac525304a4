//! `salamander trash`: shows the content of a project's trash, restores frames, empties it.

use std::path::PathBuf;

use serde::Serialize;

use crate::jobs::Work;
use crate::text::{bytes, count};

use super::ProjectArg;
use super::console::Console;
use super::label::chosen;

/// Show how much is in a project's trash, restore frames, or empty it
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    /// Delete everything in the trash; this cannot be undone
    #[arg(long)]
    empty: bool,
    /// Restore frames with their labels: these, or those in these folders of the trash; without a path, all
    #[arg(long, value_name = "PATH", num_args = 0.., conflicts_with = "empty")]
    restore: Option<Vec<PathBuf>>,
}

#[derive(Serialize)]
struct Result {
    frames: u64,
    runs: u64,
    files: u64,
    bytes: u64,
    deleted: u64,
    restored: u64,
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let empty = args.empty;
    let project = if empty || args.restore.is_some() {
        args.project.open(console)?
    } else {
        args.project.open_or_read(console)?
    };
    let restored = match args.restore.as_deref() {
        None => Vec::new(),
        Some(paths) => {
            let trash = project.scan_trash(&Work::new())?;
            match paths {
                [] => trash.list.into_iter().map(|frame| frame.path).collect(),
                paths => chosen(&project, &trash, paths)?,
            }
        }
    };
    let result = console.run("trash", move |work| {
        let found = project.trash_contents(work)?;
        let deleted = if empty { project.empty_trash(work)? } else { 0 };
        let restored = if restored.is_empty() {
            0
        } else {
            project.restore(&restored, work)?.len() as u64
        };
        Ok::<_, crate::project::ProjectError>(Result {
            frames: found.frames,
            runs: found.runs,
            files: found.files,
            bytes: found.bytes,
            deleted,
            restored,
        })
    })?;
    console.result(&result, || {
        let contents = format!(
            "{} and {}, {}",
            count(result.frames, "frame"),
            count(result.runs, "run"),
            bytes(result.bytes)
        );
        if args.restore.is_some() {
            format!("restored {}", count(result.restored, "frame"))
        } else if empty {
            format!("deleted {contents}")
        } else {
            format!("in the trash: {contents}")
        }
    })
}
