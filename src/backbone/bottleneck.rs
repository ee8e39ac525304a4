//! Bottlenecks: the pooled output of the backbone for each frame, computed in parallel and cached by content.

use std::path::{Path, PathBuf};

use crate::jobs::Work;

use super::{Architecture, BackboneError, Preprocessing};

/// Bottlenecks of a list of frames.
#[derive(Debug, Clone, Default)]
pub struct BottleneckTable {
    /// Length of one row, D.
    pub dim: usize,
    /// Row-major `f32[N, D]`; the rows of failed frames are zero.
    pub values: Vec<f32>,
    /// Frames without a bottleneck: index and why.
    pub failed: Vec<(usize, String)>,
    /// How many came from the cache.
    pub from_cache: usize,
}

impl BottleneckTable {
    /// The row of frame `index`.
    #[must_use]
    pub fn row(&self, index: usize) -> Option<&[f32]> {
        self.values.get(index * self.dim..(index + 1) * self.dim)
    }
}

/// Computes or reads the bottlenecks of the image files `frames`. Each worker decodes, preprocesses and
/// runs its own single-threaded session. `cache_dir` holds the cache (keyed by the hash of the file's
/// bytes, backbone, preprocessing and view) and may be deleted at any time; `None` caches nothing.
/// A bad image is reported and skipped. Cancelling keeps what is computed.
pub fn bottlenecks(
    frames: &[PathBuf],
    architecture: &Architecture,
    preprocessing: &Preprocessing,
    cache_dir: Option<&Path>,
    work: &Work,
) -> Result<BottleneckTable, BackboneError> {
    let _ = (frames, preprocessing, cache_dir, work);
    todo!("{architecture}")
}
