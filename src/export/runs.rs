//! Several runs exported one after the other, each whole or not at all.

use std::path::{Path, PathBuf};

use crate::jobs::Work;
use crate::project::Project;
use crate::train::{Run, RunId};

use super::{Bundle, ExportError, ExportOutcome, Order, export, zip_name};

/// What became of one run.
#[derive(Debug)]
pub struct RunExport {
    /// The run.
    pub run: RunId,
    /// Where its export is, or would be: a folder, or an archive.
    pub place: PathBuf,
    /// Its result. A run that fails leaves what was at its place as it was.
    pub outcome: Result<ExportOutcome, ExportError>,
}

/// Exports each of `runs` once, into a folder of the run's name below `out`, or as an archive in `out`. A run that fails (a
/// model that loses too much, files of somebody else's at its place) does not stop the others; its error stands in
/// its [`RunExport`].
///
/// # Errors
/// What would stop every run: a cancellation, a project that is gone, a disk that is full. Runs that were exported before
/// stay exported.
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
