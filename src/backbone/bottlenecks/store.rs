//! The cache of bottlenecks on disk, with the content hashes of files.

use std::path::Path;

use crate::files;
use crate::jobs::Work;

use super::workers::Model;
use crate::backbone::BackboneError;
use crate::backbone::cache::content::{Contents, Stamp};
use crate::backbone::cache::{Cache, Key};

/// Name of the cache's files: the backbone, and a hash of everything else that affects the bottlenecks.
pub(in crate::backbone) fn cache_name(model: &Model, model_hash: &str) -> String {
    let mut all = format!("{model_hash} {}", model.preprocessing.fingerprint());
    if let Some(fine_tuned) = model.fine_tuned {
        all = format!("{all} {}", fine_tuned.hash());
    }
    let hash = blake3::hash(all.as_bytes()).to_hex();
    let hash = hash.get(..16).unwrap_or_default();
    format!("{}-{hash}", model.architecture)
}

/// The rows for one backbone and preprocessing, and the content hashes of files.
pub(in crate::backbone) struct Store {
    cache: Cache,
    pub contents: Contents,
    pub dim: usize,
    /// Whether writing has failed and was reported; it is not tried again.
    broken: bool,
}

impl Store {
    /// Whether the cache exists.
    pub fn is_at(dir: &Path, name: &str) -> bool {
        dir.join("bottlenecks")
            .join(format!("{name}.keys"))
            .is_file()
    }

    /// Opens the cache; `None`, with a warning, if it is unusable: then everything is computed.
    pub fn open(
        dir: &Path,
        name: &str,
        dim: usize,
        work: &Work,
    ) -> Result<Option<Self>, BackboneError> {
        work.check()?;
        let base = dir.parent().unwrap_or(dir);
        let dir = dir.join("bottlenecks");
        let opened = Cache::open(&dir, name, dim, size_of::<f32>()).and_then(|cache| {
            Ok(Self {
                cache,
                contents: Contents::open(&dir, base)?,
                dim,
                broken: false,
            })
        });
        match opened {
            Ok(store) => Ok(Some(store)),
            Err(error) => {
                work.warn(format!("Bottlenecks cannot be cached: {error}"));
                Ok(None)
            }
        }
    }

    /// The content hash and the row of a file that has not changed since it was last read.
    pub fn known_row(&mut self, frame: &Path, row: &mut [f32]) -> Option<[u8; 32]> {
        let content = files::metadata(frame)
            .ok()
            .and_then(|metadata| self.contents.stamp(frame, &metadata))
            .and_then(|stamp| self.contents.get(&stamp))?;
        self.get(&Key { content, view: 0 }, row).then_some(content)
    }

    fn get(&mut self, key: &Key, row: &mut [f32]) -> bool {
        let Some(bytes) = self.cache.get(key) else {
            return false;
        };
        let (values, _) = bytes.as_chunks::<4>();
        for (out, value) in row.iter_mut().zip(values) {
            *out = f32::from_le_bytes(*value);
        }
        true
    }

    pub fn cached_row(&mut self, key: &Key, stamp: Option<Stamp>, row: &mut [f32]) -> bool {
        let found = self.get(key, row);
        if found
            && let Some(stamp) = stamp
            && let Err(error) = self.contents.put(stamp, key.content)
        {
            log::warn!("the hash of a file cannot be cached: {error}");
        }
        found
    }

    pub fn keep(&mut self, key: &Key, stamp: Option<Stamp>, row: &[f32], work: &Work) {
        if self.broken {
            return;
        }
        let bytes: Vec<u8> = row.iter().flat_map(|value| value.to_le_bytes()).collect();
        let kept = self.cache.put(key, &bytes).and_then(|()| match stamp {
            Some(stamp) => self.contents.put(stamp, key.content),
            None => Ok(()),
        });
        if let Err(error) = kept {
            self.broken = true;
            work.warn(format!("Bottlenecks can no longer be cached: {error}"));
        }
    }
}
