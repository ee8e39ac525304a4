//! Resolving the run of a command: `latest`, a run's name (or enough of it), or its folder. An unreadable run is never
//! ignored silently: it may be the one that is meant.

use anyhow::{Context, bail};

use crate::project::Project;
use crate::train::{FoundRuns, Run, RunId, RunState, find_runs};

/// The choice of a finished run.
#[derive(Debug, Clone, clap::Args)]
pub struct RunArg {
    /// The run: `latest`, its name (or the end of it), or its folder
    #[arg(long, value_name = "RUN", default_value = "latest")]
    pub run: String,
}

impl RunArg {
    /// The finished run of this argument.
    pub fn find(&self, project: &Project) -> anyhow::Result<Run> {
        let run = find(project, &self.run, true)?;
        if run.state != RunState::Finished {
            bail!(
                "the run “{}” is unfinished; continue it with `salamander train … --resume {}`",
                run.id.0,
                run.id.0
            );
        }
        Ok(run)
    }
}

/// The name of the run to remove: as [`find`], but a run that cannot be read is found by its full name.
pub fn find_id(project: &Project, name: &str) -> anyhow::Result<RunId> {
    let unreadable = find_runs(project)?.unreadable.into_iter();
    match unreadable.map(|run| run.id).find(|id| id.0 == name) {
        Some(id) => Ok(id),
        None => Ok(find(project, name, false)?.id),
    }
}

/// The run called `name`; for `latest` the newest, of the finished ones if `finished`.
pub fn find(project: &Project, name: &str, finished: bool) -> anyhow::Result<Run> {
    if name == "latest" {
        return latest(project, |run| !finished || run.state == RunState::Finished)?.with_context(
            || {
                format!(
                    "“{}” has no finished run; continue the unfinished one with `salamander train … --resume latest`",
                    project.name()
                )
            },
        );
    }
    let FoundRuns {
        runs: all,
        unreadable,
    } = find_runs(project)?;
    if all.is_empty() && unreadable.is_empty() {
        bail!("{}", no_runs(project));
    }
    let folder = std::path::Path::new(name);
    let wanted = folder
        .file_name()
        .map_or_else(|| name.to_owned(), |file| file.to_string_lossy().into());
    if let Some(run) = all.iter().find(|run| run.id.0 == wanted) {
        return Ok(run.clone());
    }
    if let Some(run) = unreadable
        .into_iter()
        .find(|run| run.id.0.ends_with(&wanted))
    {
        return Err(run.error.into());
    }
    let matching: Vec<&Run> = all
        .iter()
        .filter(|run| run.id.0.ends_with(&wanted))
        .collect();
    match matching.as_slice() {
        [run] => Ok((*run).clone()),
        [] => bail!(
            "“{}” has no run “{name}”; its runs are {}",
            project.name(),
            names(all.iter())
        ),
        several => bail!(
            "“{name}” is ambiguous: it could be {}",
            names(several.iter().copied())
        ),
    }
}

/// The run that was begun last, of those with `is_meant`; `None` if there is none, but an error for a project without
/// runs.
///
/// # Errors
/// A run cannot be read, because it may be the latest.
pub fn latest(project: &Project, is_meant: impl Fn(&Run) -> bool) -> anyhow::Result<Option<Run>> {
    let FoundRuns { runs, unreadable } = find_runs(project)?;
    if let Some(run) = unreadable.into_iter().next() {
        bail!(
            "cannot tell which run is the latest ({}); give its name",
            run.error
        );
    }
    if runs.is_empty() {
        bail!("{}", no_runs(project));
    }
    Ok(runs.into_iter().find(is_meant))
}

fn no_runs(project: &Project) -> String {
    format!(
        "“{}” has no runs yet; start one with `salamander train`",
        project.name()
    )
}

fn names<'a>(runs: impl Iterator<Item = &'a Run>) -> String {
    runs.map(|run| run.id.0.as_str())
        .collect::<Vec<_>>()
        .join(", ")
}
