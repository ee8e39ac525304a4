//! Moves runs to the project's trash, and back.

use std::path::{Component, Path, PathBuf};

use crate::backbone::{Backbone, remove_own};
use crate::files;
use crate::jobs::Work;
use crate::project::Project;

use super::{RunId, TrainError, find_runs};

/// Moves a run to `trash/runs/` and returns its name there, because a run of the same name may already be there. A run
/// that is being trained must not be moved.
pub fn remove_run(project: &Project, run: &RunId) -> Result<RunId, TrainError> {
    let from = folder(&project.runs_dir(), run)?;
    let trash = trash_of_runs(project);
    let name = to_trash(project, &from, &trash, &run.0)?;
    name.map(RunId)
        .ok_or_else(|| TrainError::NoSuchRun(run.0.clone()))
}

/// Moves the folder `from`, called `name`, to a folder of the trash, and returns its name there.
pub(crate) fn to_trash(
    project: &Project,
    from: &Path,
    trash: &Path,
    name: &str,
) -> Result<Option<String>, TrainError> {
    project.make_dir(trash)?;
    let names =
        std::iter::once(name.to_owned()).chain((2..=u32::MAX).map(|n| format!("{name}~{n}")));
    for name in names {
        let to = trash.join(&name);
        if files::metadata(&to).is_err() {
            files::rename(from, &to).map_err(TrainError::io("move", from))?;
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Moves a run that [`remove_run`] moved back, under its original name. `trashed` is its name in the trash.
pub fn restore_run(project: &Project, trashed: &RunId) -> Result<RunId, TrainError> {
    let from = folder(&trash_of_runs(project), trashed)?;
    let name = trashed
        .0
        .rsplit_once('~')
        .map_or(trashed.0.as_str(), |(name, _)| name);
    let to = project.runs_dir().join(name);
    if files::metadata(&to).is_ok() {
        return Err(TrainError::RunInTheWay(name.to_owned()));
    }
    project.make_dir(&project.runs_dir())?;
    files::rename(&from, &to).map_err(TrainError::io("move", &from))?;
    Ok(RunId(name.to_owned()))
}

/// Moves an architecture that was added to the project to its trash, and returns its path there. Warns of unreadable
/// runs, which may use it.
///
/// # Errors
/// If runs use it: they could no longer be evaluated or exported.
pub fn remove_architecture(
    project: &Project,
    backbone: &Backbone,
    work: &Work,
) -> Result<PathBuf, TrainError> {
    let runs = find_runs(project)?.or_warn(work);
    let users: Vec<String> = runs
        .into_iter()
        .filter(|run| run.settings.architecture.backbone == backbone.name)
        .map(|run| run.id.0)
        .collect();
    if !users.is_empty() {
        return Err(TrainError::ArchitectureInUse {
            architecture: backbone.name.clone(),
            runs: users.join("”, “"),
        });
    }
    Ok(remove_own(project, backbone)?)
}

fn trash_of_runs(project: &Project) -> PathBuf {
    project.root().join("trash").join("runs")
}

/// The folder of a run. The name comes from users or files and must not lead elsewhere.
fn folder(dir: &Path, run: &RunId) -> Result<PathBuf, TrainError> {
    let mut parts = Path::new(&run.0).components();
    let plain = matches!(
        (parts.next(), parts.next()),
        (Some(Component::Normal(_)), None)
    );
    let folder = dir.join(&run.0);
    if plain && files::is_file(folder.join("run.json")) {
        Ok(folder)
    } else {
        Err(TrainError::NoSuchRun(run.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use std::fs;

    use super::*;

    #[test]
    fn a_run_goes_and_comes_back_beside_one_of_the_same_name() {
        let dir = tempfile::tempdir().unwrap();
        let project = Project::create(&dir.path().join("p"), "p").unwrap();
        let run = RunId("2026-01-01_net_1".into());
        let make = |text: &str| {
            let folder = project.runs_dir().join(&run.0);
            fs::create_dir_all(&folder).unwrap();
            fs::write(folder.join("run.json"), text).unwrap();
        };
        let read = || fs::read_to_string(project.runs_dir().join(&run.0).join("run.json"));
        make("first");
        let first = remove_run(&project, &run).unwrap();
        assert_eq!(first, run);
        make("second");
        let second = remove_run(&project, &run).unwrap();
        assert_ne!(second, first);
        assert!(remove_run(&project, &run).is_err(), "it is gone");
        assert_eq!(restore_run(&project, &second).unwrap(), run);
        assert_eq!(read().unwrap(), "second");
        let told = restore_run(&project, &first).unwrap_err().to_string();
        assert!(told.contains("already"), "{told}");
        remove_run(&project, &run).unwrap();
        restore_run(&project, &first).unwrap();
        assert_eq!(read().unwrap(), "first");
        for outside in ["..", "../p", "", "/", "a/b"] {
            assert!(remove_run(&project, &RunId(outside.into())).is_err());
        }
    }
}
