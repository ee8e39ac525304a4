//! Makes the part of one training: trains it on the project, which is not changed.
//!
//! An incomplete part is `part-000003.partial`, with the run in `runs/`. The next worker on the same part resumes that
//! run, with the same bits as an uninterrupted one.

use std::path::{Path, PathBuf};

use crate::backbone::open_own;
use crate::files::{self, Durability};
use crate::jobs::Work;
use crate::project::Project;
use crate::shards::ShardError;
use crate::shards::divide::path_here;
use crate::shards::list::{ListId, ModelPin, Versions};
use crate::shards::part::{MANIFEST, PartManifest as _, part_dir};
use crate::shards::partial::begin_partial;
use crate::shards::work::{MadePart, WorkOrder};
use crate::sweep::{TrainingOutcome, runs_of, train_one};
use crate::train::LiveCurves;

use super::list::{Header, ListedTraining, read_one};
use super::part::{FORMAT, Manifest, RUN, hashes};

/// The folder of incomplete runs in an incomplete part.
const RUNS: &str = "runs";
/// The finished part, within the incomplete one, until it is moved to its place.
const WHOLE: &str = "whole";

/// Makes the part of a training, unless it exists.
///
/// # Errors
/// Errors that a retry may avoid, as for [`crate::shards::make_part`]. A failed training is not an error: its reason is
/// recorded in the part.
pub(in crate::shards) fn make_part(order: &WorkOrder, work: &Work) -> Result<MadePart, ShardError> {
    let (header, training, id) = read_one(&order.list, order.shard)?;
    let dir = part_dir(&order.out, order.shard);
    if let Some(manifest) = Manifest::existing(&dir, &id, order.shard)? {
        return Ok(made(&dir, manifest, true));
    }
    let here = Versions::here(true)?;
    header.versions.check(&here, &order.list)?;
    let begun = begin_partial(order, &id, &[RUNS, WHOLE])?;
    // Another process may have finished it before the lock was released.
    if let Some(manifest) = Manifest::existing(&dir, &id, order.shard)? {
        return Ok(made(&dir, manifest, true));
    }
    let whole = begun.partial.join(WHOLE);
    let manifest = match whole_before(&whole, &id, order.shard) {
        Some(manifest) => manifest,
        None => train(&header, &training, order, &id, here, &begun.partial, work)?,
    };
    match files::rename(&whole, &dir) {
        Ok(()) => files::sync_dir(&order.out),
        // Another machine was faster.
        Err(_) if Manifest::existing(&dir, &id, order.shard)?.is_some() => {}
        Err(error) => return Err(ShardError::io("write", &dir)(error)),
    }
    begun.remove()?;
    Ok(made(&dir, manifest, false))
}

fn made(dir: &Path, manifest: Manifest, already: bool) -> MadePart {
    MadePart {
        part: dir.to_owned(),
        already,
        frames: 0,
        computed: 0,
        failed: Vec::new(),
        training: Some(manifest.outcome),
    }
}

/// A part that was finished when its process was killed.
fn whole_before(whole: &Path, id: &ListId, shard: usize) -> Option<Manifest> {
    let manifest = Manifest::existing(whole, id, shard).ok()??;
    let run_is_there = files::exists(whole.join(RUN).join("run.json"));
    let is_whole = matches!(manifest.outcome, TrainingOutcome::Failed(_)) || run_is_there;
    is_whole.then_some(manifest)
}

fn train(
    header: &Header,
    training: &ListedTraining,
    order: &WorkOrder,
    id: &ListId,
    versions: Versions,
    partial: &Path,
    work: &Work,
) -> Result<Manifest, ShardError> {
    let runs = make_folder(partial.join(RUNS))?;
    let root = path_here(&header.project, &order.moved);
    let project = Project::open_to_train(&root, &runs)?;
    for problem in open_own(project.root()) {
        work.warn(problem);
    }
    let wanted = training.settings.architecture.to_string();
    let pins = header.architectures.iter();
    for pin in pins.filter(|pin| pin.architecture == wanted) {
        ModelPin::architecture(pin, &order.list)?;
    }
    let parent = header.parent(training.training);
    let begun = runs_of(&project, &header.begun, work)?.remove(&training.training);
    let curves = LiveCurves::default();
    let outcome = train_one(&project, &training.settings, parent, begun, &curves, work)?;
    let run = match &outcome {
        TrainingOutcome::Finished { run, .. } => Some(runs.join(&run.0)),
        TrainingOutcome::Failed(_) => None,
    };
    let manifest = Manifest {
        salamander_training: FORMAT,
        list: id.clone(),
        shard: training.shard,
        versions,
        blake3: run.as_deref().map(hashes).transpose()?.unwrap_or_default(),
        outcome,
    };
    let whole = make_folder(partial.join(WHOLE))?;
    let path = whole.join(MANIFEST);
    let text = files::json_with_checksum(&manifest)
        .map_err(|error| ShardError::io("write", &path)(error.into()))?;
    files::write(&path, &text, Durability::Synced)?;
    if let Some(run) = run {
        let to = whole.join(RUN);
        files::rename(&run, &to).map_err(ShardError::io("move", &run))?;
        let names = manifest.blake3.keys().map(|name| to.join(name));
        let paths: Vec<PathBuf> = names.collect();
        files::sync_files(&to, paths.iter().map(PathBuf::as_path));
    }
    Ok(manifest)
}

fn make_folder(path: PathBuf) -> Result<PathBuf, ShardError> {
    files::create_dir_all(&path).map_err(ShardError::io("make the folder", &path))?;
    Ok(path)
}
