//! Exports several runs one after the other, each as a whole or not at all.

use std::path::{Path, PathBuf};

use crate::jobs::Work;
use crate::project::Project;
use crate::train::{Run, RunId};

use super::{Bundle, ExportError, ExportOutcome, Order, export, zip_name};

/// The result for one run.
#[derive(Debug)]
pub struct RunExport {
    /// The run.
    pub run: RunId,
    /// The path of its export: a folder, or an archive.
    pub place: PathBuf,
    /// Its result. A run that fails leaves whatever was at its place unchanged.
    pub outcome: Result<ExportOutcome, ExportError>,
}

/// Exports each of `runs` to a folder of the run's name in `out`, or to an archive in `out`. If a run fails (its model
/// loses too much, or files of the user are at its place), the others are still exported; the error is in its
/// [`RunExport`].
///
/// # Errors
/// Errors that would affect every run: a cancellation, a missing project, a full disk. Runs exported before stay
/// exported.
pub fn export_runs(
    project: &Project,
    runs: &[Run],
    order: &Order,
    out: &Path,
    work: &Work,
) -> Result<Vec<RunExport>, ExportError> {
    let mut done: Vec<RunExport> = Vec::new();
    for run in runs {
        if done.iter().any(|known| known.run == run.id) {
            continue;
        }
        work.check()?;
        let (folder, place) = match order.bundle {
            Bundle::Folder => (out.join(&run.id.0), out.join(&run.id.0)),
            Bundle::Zip => (out.to_owned(), out.join(zip_name(project, run))),
        };
        let outcome = match export(project, run, order, &folder, work) {
            Err(error) if error.is_of_the_place() => return Err(error),
            outcome => outcome,
        };
        if outcome.is_err() {
            project.check_there()?;
        }
        done.push(RunExport {
            run: run.id.clone(),
            place,
            outcome,
        });
    }
    Ok(done)
}
