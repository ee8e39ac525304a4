//! `salamander sweeps`: the sweeps of a project, the table of one, and the trash.

use std::path::PathBuf;

use serde::Serialize;

use crate::sweep::{SweepId, Table, find_sweeps, remove, restore};
use crate::text::visible;

use super::ProjectArg;
use super::console::Console;
use super::sweep::{found, write_csv};
use super::sweep_table::{SweepFigures, text};
use super::table::{Align, table};

/// List the sweeps of a project, newest first, show the table of one, or move one to the trash
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    /// Show the table of this sweep (`latest` or its name)
    #[arg(long, value_name = "SWEEP")]
    show: Option<String>,
    /// Also write that table to this file, as CSV; an existing file is replaced
    #[arg(long, value_name = "FILE", requires = "show")]
    csv: Option<PathBuf>,
    /// Move this sweep to the project's trash; its runs stay
    #[arg(long, value_name = "SWEEP", conflicts_with = "show")]
    remove: Option<String>,
    /// Restore a sweep from the trash, by the name of its folder in `trash/sweeps`
    #[arg(long, value_name = "SWEEP", conflicts_with_all = ["show", "remove"])]
    restore: Option<String>,
}

#[derive(Serialize)]
struct Result {
    sweeps: Vec<Line>,
    /// The name in the trash of the removed sweep.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<String>,
}

#[derive(Serialize)]
struct Line {
    sweep: String,
    created: String,
    trainings: usize,
    done: usize,
    over: Vec<String>,
    /// The best configuration so far, in words.
    first: Option<String>,
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let project = if args.remove.is_some() || args.restore.is_some() {
        args.project.open(console)?
    } else {
        args.project.open_or_read(console)?
    };
    if let Some(name) = &args.show {
        let sweep = found(&project, name)?;
        let table = Table::of(&sweep);
        if let Some(path) = &args.csv {
            write_csv(path, &table)?;
        }
        let figures = SweepFigures::of(&sweep, &table);
        return console.result(&figures, || text(&sweep, &table));
    }
    let removed = match args.remove.as_deref() {
        Some("latest") => Some(remove(&project, &found(&project, "latest")?.id)?),
        // Works even for a sweep that cannot be read.
        Some(name) => Some(remove(&project, &SweepId(name.to_owned()))?),
        None => None,
    };
    let restored = match &args.restore {
        Some(name) => Some(restore(&project, &SweepId(name.clone()))?),
        None => None,
    };
    let mut all = find_sweeps(&project)?;
    let changed = removed.is_some() || restored.is_some();
    let only_error = if all.sweeps.is_empty() && !changed {
        all.unreadable.pop()
    } else {
        None
    };
    for error in &all.unreadable {
        console.warning(&error.to_string())?;
    }
    if let Some(error) = only_error {
        return Err(error.into());
    }
    let lines = all.sweeps.into_iter().map(|sweep| {
        let table = Table::of(&sweep);
        let first = table.ranked().into_iter().find(|row| row.rank == Some(1));
        Line {
            trainings: sweep.trainings.len(),
            done: sweep.done(),
            over: sweep.axes.iter().map(|axis| axis.key.clone()).collect(),
            first: first.map(|row| table.words(row)),
            sweep: sweep.id.0,
            created: sweep.created,
        }
    });
    let result = Result {
        sweeps: lines.collect(),
        removed: removed.map(|id| id.0),
        restored: restored.map(|id| id.0),
    };
    console.result(&result, || list(&result))
}

fn list(result: &Result) -> String {
    let mut text = match (&result.removed, &result.restored) {
        (Some(sweep), _) => format!("moved to the trash: {}\n", visible(sweep)),
        (None, Some(sweep)) => format!("restored from the trash: {}\n", visible(sweep)),
        (None, None) => String::new(),
    };
    if result.sweeps.is_empty() {
        text.push_str("no sweeps yet; start one with `salamander sweep`");
        return text;
    }
    let heading = ["sweep", "done", "over", "best on validation"];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(result.sweeps.iter().map(|line| {
        vec![
            line.sweep.clone(),
            format!("{} of {}", line.done, line.trainings),
            line.over.join(", "),
            line.first.clone().unwrap_or_else(|| "–".to_owned()),
        ]
    }));
    let aligns = [Align::Left, Align::Right, Align::Left, Align::Left];
    text.push_str(&table(&aligns, &rows));
    text
}
