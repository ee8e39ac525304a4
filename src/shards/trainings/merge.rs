//! Runs of parts, put into the project and its sweep.

use std::collections::BTreeMap;
use std::path::Path;

use crate::jobs::Work;
use crate::project::Project;
use crate::shards::ShardError;
use crate::shards::list::ListId;
use crate::shards::merge::{Found, Merged};
use crate::sweep::{Came, Sweep, find_sweeps, run_of, settle};
use crate::train::{RunState, TrainError, take_run};

use super::list::{Header, read};
use super::part::{Manifest, RUN};

/// Takes the runs of all parts that are whole into the project and writes down in its sweep what came of them. A training that had ended in the sweep stays as
/// it is.
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
    work.stage("Merging runs", Some(found.parts.len() as u64));
    let mut parts: BTreeMap<usize, (&Path, Manifest)> = BTreeMap::new();
    let mut damaged = Vec::new();
    for dir in &found.parts {
        match checked(dir, &header, &id) {
            Ok(manifest) => {
                parts
                    .entry(manifest.shard)
                    .or_insert((dir.as_path(), manifest));
            }
            Err(error) => damaged.push(error.to_string()),
        }
    }
    for training in &trainings {
        let Some((dir, manifest)) = parts.get(&training.shard) else {
            merged.missing.push(training.shard);
            continue;
        };
        work.check()?;
        match take(
            project,
            &sweep,
            training.training,
            dir,
            manifest,
            merged,
            work,
        ) {
            Ok(()) => merged.parts += 1,
            Err(
                error @ (ShardError::Bad { .. }
                | ShardError::Train(
                    TrainError::Damaged { .. } | TrainError::NewerRun { .. },
                )),
            ) => {
                damaged.push(error.to_string());
                merged.missing.push(training.shard);
            }
            Err(error) => return Err(error),
        }
        work.advance(1);
    }
    for sentence in &damaged {
        work.warn(sentence.clone());
    }
    merged.damaged = damaged;
    Ok(())
}

/// The sweep of the project that the list is of, by when it was begun: its folder may have got another name.
fn sweep_of(project: &Project, header: &Header, list: &Path) -> Result<Sweep, ShardError> {
    let sweeps = find_sweeps(project)?.sweeps.into_iter();
    let mut same = sweeps.filter(|sweep| sweep.created == header.begun);
    same.next().ok_or_else(|| {
        ShardError::bad(
            list,
            format!(
                "is of the sweep “{}”, which “{}” does not have; give the project that it was listed from",
                header.sweep,
                project.root().display()
            ),
        )
    })
}

fn checked(dir: &Path, header: &Header, id: &ListId) -> Result<Manifest, ShardError> {
    let manifest = Manifest::read(dir)?;
    if manifest.list != *id {
        return Err(ShardError::bad(
            dir,
            "is the part of another list; make it anew",
        ));
    }
    header.versions.check(&manifest.versions, dir)?;
    Ok(manifest)
}

fn take(
    project: &Project,
    sweep: &Sweep,
    number: u32,
    dir: &Path,
    manifest: &Manifest,
    merged: &mut Merged,
    work: &Work,
) -> Result<(), ShardError> {
    let index = (number as usize).saturating_sub(1);
    let known = sweep.trainings.get(index).map(|training| &training.came);
    let came = match (known, &manifest.came) {
        (None, _) => {
            return Err(ShardError::bad(
                dir,
                format!(
                    "is of training {number}, which the sweep “{}” does not have; make it anew",
                    sweep.id
                ),
            ));
        }
        (Some(Some(Came::Finished { .. })), _) => return Ok(()),
        (_, failed @ Came::Failed(_)) => failed.clone(),
        (_, Came::Finished { figures, .. }) => {
            let before = run_of(project, &sweep.parent(number), work)?;
            let run = match before.filter(|run| run.state == RunState::Finished) {
                // Killed between taking it and writing that down.
                Some(run) => run.id,
                None => take_run(project, &dir.join(RUN), &manifest.blake3, work)?,
            };
            merged.runs.push(run.clone());
            Came::Finished {
                run,
                figures: figures.clone(),
            }
        }
    };
    settle(project, &sweep.id, [(number, came)])?;
    Ok(())
}
