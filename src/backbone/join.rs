//! Rows that other machines computed, put into a cache.

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::jobs::Work;

use super::cache::Cache;
use super::store::cache_name;
use super::tools::Model;
use super::{Architecture, BackboneError, Preprocessing};

/// The result of joining caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Joined {
    /// Rows that were new.
    pub added: u64,
    /// Rows that were there.
    pub known: u64,
    /// Rows whose checksum was wrong; they will be computed again.
    pub damaged: u64,
}

/// Puts the bottlenecks in the caches `from` into the one in the folder `into`. Rows are filed under the content of images, so
/// that it does not matter which come first or come again; into an empty cache the same rows are written as the same bytes. The caches
/// `from` may be read-only.
///
/// # Errors
/// A cache cannot be read, `into` cannot be written or another process writes it; cancelled.
pub fn join_bottlenecks(
    from: &[PathBuf],
    architecture: &Architecture,
    preprocessing: &Preprocessing,
    into: &Path,
    work: &Work,
) -> Result<Joined, BackboneError> {
    let entry = architecture.entry()?;
    let model = Model {
        architecture,
        preprocessing,
        tuned: None,
        bytes: Mutex::new(None),
    };
    let name = cache_name(&model, &entry.blake3);
    let dir = into.join("bottlenecks");
    let (elements, bytes) = (entry.bottleneck_dim, size_of::<f32>());
    let mut cache = Cache::open(&dir, &name, elements, bytes)?;
    let path = dir.join(format!("{name}.rows"));
    if !cache.is_writable() {
        let busy =
            std::io::Error::other("another process is writing it; try again when that has ended");
        return Err(BackboneError::io("write", path)(busy));
    }
    let mut joined = Joined::default();
    for from in from {
        work.check()?;
        let dir = from.join("bottlenecks");
        let mut other = Cache::open_elsewhere(&dir, &name, elements, bytes)?;
        for key in other.keys() {
            if cache.contains(&key) {
                joined.known += 1;
                continue;
            }
            match other.get(&key) {
                Some(row) => {
                    cache
                        .put(&key, row)
                        .map_err(BackboneError::io("write", &path))?;
                    joined.added += 1;
                }
                None => joined.damaged += 1,
            }
        }
        work.advance(1);
    }
    Ok(joined)
}
