//! Results that took trainings, kept in the project's cache by what they depend on.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::evaluate::EvaluateError;
use crate::project::{Project, Split};
use crate::train::TrainSettings;

use super::BenchFrame;

/// To be raised when a measurement changes.
const VERSION: u32 = 2;

/// What results depend on: bottlenecks, labels, groups and sides of all frames, and how a head is trained.
pub(super) fn content(
    bottlenecks: &[f32],
    frames: &[BenchFrame],
    labels: &[String],
    settings: &TrainSettings,
) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update_rayon(bytemuck::cast_slice(bottlenecks));
    for frame in frames {
        let split: u8 = match frame.split {
            Split::Train => 0,
            Split::Validation => 1,
            Split::Test => 2,
        };
        hasher.update(&(frame.truth as u64).to_le_bytes());
        for text in [&frame.group, &frame.source] {
            hasher.update(text.as_bytes());
            hasher.update(&[0, split]);
        }
    }
    hasher.update(format!("{labels:?} {settings:?}").as_bytes());
    hasher.finalize()
}

/// The result `what` of frames with this content: from the cache, else made and kept there.
///
/// # Errors
/// Those of making it. A cache that cannot be written is no error: the result is made again next time.
pub(super) fn cached<T: Serialize + DeserializeOwned>(
    project: &Project,
    what: &str,
    content: &blake3::Hash,
    make: impl FnOnce() -> Result<T, EvaluateError>,
) -> Result<T, EvaluateError> {
    let path = path(what, content);
    if let Some(text) = project.kept_in_cache(&path)
        && let Ok(known) = serde_json::from_slice(&text)
    {
        return Ok(known);
    }
    let made = make()?;
    if let Ok(text) = serde_json::to_vec(&made) {
        project.keep_in_cache(&[(path, &text)]);
    }
    Ok(made)
}

/// Where a result is kept, below the project's cache.
fn path(what: &str, content: &blake3::Hash) -> PathBuf {
    let key = blake3::hash(format!("{VERSION} {what} {content}").as_bytes());
    let name: String = key.to_hex().chars().take(32).collect();
    Path::new("evaluate").join(format!("{what}-{name}.json"))
}
