//! `salamander runs`: lists the runs of a project, names them, moves them to the trash and back, writes their curves.

use serde::Serialize;

use crate::backbone::Depth;
use crate::project::Project;
use crate::text::{percent_or_dash, visible};
use crate::train::{
    Run, RunClasses, RunId, RunState, TrainError, find_runs, remove_run, restore_run,
};

use super::ProjectArg;
use super::console::Console;
use super::run_curves::{CurvesArgs, Written};
use super::table::{Align, names, table};
use super::which;

/// List the runs of a project, newest first; name or annotate a run, move it to the trash, or write its curves to a
/// file
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    project: ProjectArg,
    /// Move this run to the project's trash (`latest`, its name or its folder)
    #[arg(long, value_name = "RUN")]
    remove: Option<String>,
    /// Restore a run from the trash, by the name of its folder in `trash/runs`
    #[arg(long, value_name = "RUN", conflicts_with = "remove")]
    restore: Option<String>,
    /// Give --name and --note to this run (`latest`, its name or its folder)
    #[arg(long, value_name = "RUN", conflicts_with_all = ["remove", "restore"])]
    describe: Option<String>,
    /// The run's name, in addition to its folder's; empty removes it
    #[arg(long, value_name = "NAME", requires = "describe")]
    name: Option<String>,
    /// A note about the run; empty removes it
    #[arg(long, value_name = "TEXT", requires = "describe")]
    note: Option<String>,
    #[command(flatten)]
    curves: CurvesArgs,
}

#[derive(Serialize)]
struct Result {
    runs: Vec<Line>,
    /// The name in the trash of the removed run.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    restored: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    curves: Option<Written>,
}

#[derive(Serialize)]
struct Line {
    run: String,
    name: String,
    note: String,
    created: String,
    state: RunState,
    depth: Depth,
    classes: Vec<String>,
    steps: Option<u32>,
    stopped_early: Option<bool>,
    validation_accuracy: Option<f32>,
    test_accuracy: Option<f32>,
}

impl Line {
    fn of(project: &Project, run: Run) -> Self {
        let classes = RunClasses::of(project, &run).labels;
        // An unreadable note does not hide the run.
        let note = run.note().unwrap_or_default();
        let result = run.result().cloned();
        Self {
            run: run.id.0,
            name: note.name,
            note: note.note,
            created: run.created,
            state: run.state,
            depth: run.settings.fine_tune.depth,
            classes,
            steps: result.as_ref().map(|result| result.steps),
            stopped_early: result.as_ref().map(|result| result.stopped_early),
            validation_accuracy: result
                .as_ref()
                .and_then(|result| result.validation_accuracy),
            test_accuracy: result.and_then(|result| result.test_accuracy),
        }
    }
}

pub fn run(console: &Console, args: &Args) -> anyhow::Result<()> {
    let project = if args.remove.is_some() || args.restore.is_some() {
        args.project.open(console)?
    } else {
        args.project.open_or_read(console)?
    };
    let remove = match &args.remove {
        Some(name) => Some(which::find_id(&project, name)?),
        None => None,
    };
    let restore = args.restore.clone().map(RunId);
    if let Some(name) = &args.describe {
        let run = which::find(&project, name, false)?;
        let mut note = run.note()?;
        if let Some(name) = &args.name {
            note.name.clone_from(name);
        }
        if let Some(text) = &args.note {
            note.note.clone_from(text);
        }
        run.set_note(&note)?;
    }
    let curves = args.curves.write(console, &project)?;
    let result = console.run("runs", move |work| {
        let removed = remove.map(|run| remove_run(&project, &run)).transpose()?;
        let restored = restore.map(|run| restore_run(&project, &run)).transpose()?;
        let mut found = find_runs(&project)?;
        let changed = removed.is_some() || restored.is_some();
        if found.runs.is_empty()
            && !changed
            && let Some(run) = found.unreadable.pop()
        {
            for run in found.unreadable {
                work.warn(run.error.to_string());
            }
            return Err(run.error);
        }
        for unreadable in &found.unreadable {
            work.warn(unreadable.error.to_string());
        }
        let lines = found.runs.into_iter();
        Ok::<_, TrainError>(Result {
            runs: lines.map(|run| Line::of(&project, run)).collect(),
            removed: removed.map(|run| run.0),
            restored: restored.map(|run| run.0),
            curves,
        })
    })?;
    console.result(&result, || text(&result))
}

fn text(result: &Result) -> String {
    if let Some(written) = &result.curves {
        return format!("wrote {}", visible(&written.path));
    }
    let mut text = match (&result.removed, &result.restored) {
        (Some(run), _) => format!("moved to the trash: {}\n", visible(run)),
        (None, Some(run)) => format!("restored from the trash: {}\n", visible(run)),
        (None, None) => String::new(),
    };
    if result.runs.is_empty() {
        text.push_str("no runs yet; start one with `salamander train`");
        return text;
    }
    // Columns without any content are left out.
    let named = result.runs.iter().any(|run| !run.name.is_empty());
    let noted = result.runs.iter().any(|run| !run.note.is_empty());
    let heading = [
        "run",
        "name",
        "depth",
        "steps",
        "validation",
        "test",
        "classes",
        "note",
    ];
    let mut rows = vec![heading.map(str::to_owned).to_vec()];
    rows.extend(result.runs.iter().map(|run| {
        let steps = match (run.state, run.steps) {
            (RunState::Finished, Some(steps)) if run.stopped_early == Some(true) => {
                format!("{steps}, stopped early")
            }
            (RunState::Finished, Some(steps)) => steps.to_string(),
            _ => "unfinished".to_owned(),
        };
        vec![
            run.run.clone(),
            run.name.clone(),
            run.depth.to_string(),
            steps,
            percent_or_dash(run.validation_accuracy),
            percent_or_dash(run.test_accuracy),
            names(run.classes.iter().map(String::as_str)),
            run.note.replace('\n', " "),
        ]
    }));
    for row in &mut rows {
        if !noted {
            row.pop();
        }
        if !named {
            row.remove(1);
        }
    }
    let mut aligns = vec![
        Align::Left,
        Align::Left,
        Align::Left,
        Align::Right,
        Align::Right,
        Align::Right,
        Align::Left,
        Align::Left,
    ];
    if !named {
        aligns.remove(1);
    }
    text.push_str(&table(&aligns, &rows));
    text
}
