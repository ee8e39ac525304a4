//! The part of a training.
//!
//! ```text
//! part-000003/manifest.json   the training, its result, hashes of the run's files; with its own checksum
//!             run/            the run; missing if the training was impossible
//! ```

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::files;
use crate::shards::ShardError;
use crate::shards::list::{ListId, Versions};
use crate::shards::part::{MANIFEST, PartManifest, altered, read_manifest};
use crate::sweep::{TrainedFigures, TrainingOutcome};

/// The only version of the format so far.
pub(super) const FORMAT: u32 = 1;
/// The folder of the run in a part.
pub(super) const RUN: &str = "run";

/// The manifest of a part.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Manifest {
    /// The version of the format.
    pub salamander_training: u32,
    /// The list of trainings.
    pub list: ListId,
    /// The number of the training in the list.
    pub shard: usize,
    /// Versions used for it.
    #[serde(flatten)]
    pub versions: Versions,
    /// The result of the training.
    #[serde(rename = "came")]
    pub outcome: TrainingOutcome,
    /// BLAKE3 hashes of the run's files, hexadecimal digits, by path relative to the run's folder.
    pub blake3: BTreeMap<String, String>,
}

impl PartManifest for Manifest {
    fn origin(&self) -> (&ListId, usize) {
        (&self.list, self.shard)
    }

    fn versions(&self) -> &Versions {
        &self.versions
    }

    /// The run's files are checked when they are copied.
    fn read(dir: &Path) -> Result<Self, ShardError> {
        let path = dir.join(MANIFEST);
        let manifest: Self = read_manifest(&path)?;
        if manifest.salamander_training != FORMAT {
            return Err(ShardError::bad(
                &path,
                "is from another version of Salamander; make the part again with this one",
            ));
        }
        let sound = match &manifest.outcome {
            TrainingOutcome::Finished { figures, .. } => is_sound(figures),
            TrainingOutcome::Failed(_) => true,
        };
        if sound {
            Ok(manifest)
        } else {
            Err(altered(&path))
        }
    }
}

/// Whether figures are in their valid ranges.
fn is_sound(figures: &TrainedFigures) -> bool {
    let accuracies = [figures.validation_accuracy, figures.test_accuracy];
    let interval = figures.test_95.unwrap_or_default();
    accuracies
        .iter()
        .flatten()
        .chain(&interval)
        .all(|accuracy| (0.0..=1.0).contains(accuracy))
        && figures.seconds >= 0.0
}

/// The hashes of all files in a folder, by path separated by `/`.
pub(super) fn hashes(dir: &Path) -> Result<BTreeMap<String, String>, ShardError> {
    let mut found = BTreeMap::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let at = dir.join(&folder);
        for entry in files::read_dir(&at).map_err(ShardError::io("read", &at))? {
            let entry = entry.map_err(ShardError::io("read", &at))?;
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let kind = entry.file_type().map_err(ShardError::io("read", &path))?;
            if kind.is_dir() {
                folders.push(format!("{folder}{name}/"));
            } else if !files::is_temporary(&name) {
                let bytes = files::read(&path).map_err(ShardError::io("read", &path))?;
                let hash = blake3::hash(&bytes).to_hex().to_string();
                found.insert(format!("{folder}{name}"), hash);
            }
        }
    }
    Ok(found)
}
