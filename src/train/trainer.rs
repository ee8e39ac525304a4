//! The trainer: from a project and settings to a run.

use crate::jobs::Work;
use crate::project::Project;

use super::{LiveCurves, Run, RunId, TrainError, TrainSettings};

/// Trains a head on the project's labelled frames and keeps it as a new run.
///
/// Bottlenecks first (cached), then the steps. `curves` receives each evaluation. Cancelling leaves an
/// unfinished run that [`resume`] continues; [`Work::stop`] ends it early with the best weights.
pub fn train(
    project: &Project,
    settings: &TrainSettings,
    curves: &LiveCurves,
    work: &Work,
) -> Result<Run, TrainError> {
    let _ = (project, curves, work);
    todo!("{settings:?}")
}

/// Continues an unfinished run, or extends a finished one to `steps` in all.
pub fn resume(
    project: &Project,
    run: &RunId,
    steps: Option<u32>,
    curves: &LiveCurves,
    work: &Work,
) -> Result<Run, TrainError> {
    let _ = (project, curves, work);
    todo!("{run:?} {steps:?}")
}
