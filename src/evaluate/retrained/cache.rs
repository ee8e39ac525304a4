//! Results that require trainings, stored in the project's cache by their inputs.

use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::evaluate::EvaluateError;
use crate::project::{Project, Split};
use crate::train::TrainSettings;

use super::BenchFrame;

/// Increased when a measurement changes.
const VERSION: u32 = 2;

/// A hash of the inputs of results: bottlenecks, labels, groups and sides of all frames, and the settings of the head.
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

/// The result `what` for frames with this hash: from the cache, otherwise computed and stored.
///
/// # Errors
/// Errors of computing it. If the cache cannot be written, the result is computed again next time.
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

/// The path of a result, relative to the project's cache.
fn path(what: &str, content: &blake3::Hash) -> PathBuf {
    let key = blake3::hash(format!("{VERSION} {what} {content}").as_bytes());
    let name: String = key.to_hex().chars().take(32).collect();
    Path::new("evaluate").join(format!("{what}-{name}.json"))
}
