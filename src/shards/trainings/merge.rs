//! Adds the runs in parts to the project and its sweep.

use std::collections::BTreeMap;
use std::path::Path;

use crate::jobs::Work;
use crate::project::Project;
use crate::shards::ShardError;
use crate::shards::list::ListId;
use crate::shards::merge::{Found, Merged};
use crate::shards::part::PartManifest as _;
use crate::sweep::{Sweep, TrainingOutcome, find_sweeps, runs_of, settle};
use crate::train::{Run, RunState, TrainError, take_run};

use super::list::{Header, ListedTraining, read};
use super::part::{Manifest, RUN};

/// Adds the runs of all complete parts to the project and records their results in its sweep. A training that had
/// already ended in the sweep keeps its result. Of several copies of a part, the first complete one is used.
///
/// # Errors
/// The project does not have the sweep, or cannot be written; cancelled.
pub(in crate::shards) fn merge_into(
    project: &Project,
    found: &Found,
    work: &Work,
    merged: &mut Merged,
) -> Result<(), ShardError> {
    let (header, trainings, id) = read(&found.list)?;
    merged.of = trainings.len();
    let sweep = sweep_of(project, &header, &found.list)?;
    merged.sweep = Some(sweep.id.clone());
    work.stage("Merging runs", Some(trainings.len() as u64));
    let mut parts: BTreeMap<usize, Vec<(&Path, Manifest)>> = BTreeMap::new();
    for dir in &found.parts {
        match checked(dir, &header, &id) {
            Ok(manifest) => {
                let copies = parts.entry(manifest.shard).or_default();
                copies.push((dir.as_path(), manifest));
            }
            Err(error) => merged.damaged.push(error.to_string()),
        }
    }
    let mut taking = Taking {
        project,
        runs: runs_of(project, &sweep.created, work)?,
        sweep,
        outcomes: Vec::new(),
        work,
    };
    let end = taking.take_all(&trainings, parts, merged);
    // Results of runs that were taken before an error or a cancellation are recorded too, and all of them at once.
    if !taking.outcomes.is_empty() {
        settle(project, &taking.sweep.id, taking.outcomes)?;
    }
    end?;
    for sentence in &merged.damaged {
        work.warn(sentence.clone());
    }
    Ok(())
}

/// The sweep of a list in the project, identified by when it was begun, because its folder may have been renamed.
fn sweep_of(project: &Project, header: &Header, list: &Path) -> Result<Sweep, ShardError> {
    let sweeps = find_sweeps(project)?.sweeps.into_iter();
    let mut same = sweeps.filter(|sweep| sweep.created == header.begun);
    same.next().ok_or_else(|| {
        ShardError::bad(
            list,
            format!(
                "belongs to the sweep “{}”, which “{}” does not have; give the project from which it was listed",
                header.sweep,
                project.root().display()
            ),
        )
    })
}

fn checked(dir: &Path, header: &Header, id: &ListId) -> Result<Manifest, ShardError> {
    let manifest = Manifest::read(dir)?;
    manifest.check_list(dir, id, &header.versions)?;
    Ok(manifest)
}

/// The destination of runs.
struct Taking<'a> {
    project: &'a Project,
    sweep: Sweep,
    /// Runs of the sweep that the project already has, by training.
    runs: BTreeMap<u32, Run>,
    /// Results to be recorded in the sweep.
    outcomes: Vec<(u32, TrainingOutcome)>,
    work: &'a Work,
}

impl Taking<'_> {
    /// Takes the first complete copy of each part.
    fn take_all(
        &mut self,
        trainings: &[ListedTraining],
        mut parts: BTreeMap<usize, Vec<(&Path, Manifest)>>,
        merged: &mut Merged,
    ) -> Result<(), ShardError> {
        for training in trainings {
            self.work.check()?;
            let mut copies = parts.remove(&training.shard).unwrap_or_default();
            copies.sort_by_key(|(_, manifest)| {
                matches!(manifest.outcome, TrainingOutcome::Failed(_))
            });
            if self.first_whole(training.training, &copies, merged)? {
                merged.parts += 1;
            } else {
                merged.missing.push(training.shard);
            }
            self.work.advance(1);
        }
        Ok(())
    }

    /// Takes the first complete copy of a part; returns whether there was one.
    fn first_whole(
        &mut self,
        training: u32,
        copies: &[(&Path, Manifest)],
        merged: &mut Merged,
    ) -> Result<bool, ShardError> {
        for (dir, manifest) in copies {
            match self.take(training, dir, manifest, merged) {
                Ok(()) => return Ok(true),
                Err(
                    error @ (ShardError::Bad { .. }
                    | ShardError::Train(
                        TrainError::Damaged { .. } | TrainError::NewerRun { .. },
                    )),
                ) => merged.damaged.push(error.to_string()),
                Err(error) => return Err(error),
            }
        }
        Ok(false)
    }

    fn take(
        &mut self,
        number: u32,
        dir: &Path,
        manifest: &Manifest,
        merged: &mut Merged,
    ) -> Result<(), ShardError> {
        let index = (number as usize).saturating_sub(1);
        let Some(known) = self.sweep.trainings.get(index) else {
            let sweep = &self.sweep.id;
            return Err(ShardError::bad(
                dir,
                format!(
                    "belongs to training {number}, which the sweep “{sweep}” does not have; make it again"
                ),
            ));
        };
        if matches!(known.outcome, Some(TrainingOutcome::Finished { .. })) {
            return Ok(());
        }
        let outcome = match &manifest.outcome {
            TrainingOutcome::Failed(reason) => {
                let sentence = format!("Training {number}: {reason}");
                self.work.warn(sentence.clone());
                merged.failed.push(sentence);
                manifest.outcome.clone()
            }
            TrainingOutcome::Finished { figures, .. } => {
                let before = self.runs.get(&number);
                let run = match before.filter(|run| run.state == RunState::Finished) {
                    // The program was killed after adding the run and before recording the result.
                    Some(run) => run.id.clone(),
                    None => take_run(self.project, &dir.join(RUN), &manifest.blake3, self.work)?,
                };
                merged.runs.push(run.clone());
                TrainingOutcome::Finished {
                    run,
                    figures: figures.clone(),
                }
            }
        };
        self.outcomes.push((number, outcome));
        Ok(())
    }
}
