//! Bottlenecks of augmented views, for training the head.

use std::path::{Path, PathBuf};

use half::f16;
use half::slice::HalfFloatSliceExt;

use crate::backbone::{ActivationSource, Activations, Blocks, Preprocessing};
use crate::jobs::Work;

use super::{TrainError, TrainSettings};

/// The largest table of bottlenecks with augmented views, in bytes.
const TABLE_BYTES: usize = 2 << 30;

/// The number of frames whose views are requested together.
const FRAMES_AT_ONCE: usize = 64;

/// The training frames whose views are needed.
pub(super) struct ViewSource<'a> {
    /// Image files.
    pub frames: &'a [PathBuf],
    pub settings: &'a TrainSettings,
    pub preprocessing: &'a Preprocessing,
    /// The folder of the cache of activations, in which these are stored.
    pub cache_dir: &'a Path,
}

impl ViewSource<'_> {
    /// How many of `views` of each frame (including the plain one) fit into a table in memory, at least the plain one.
    pub(super) fn affordable(&self, views: usize, dim: usize) -> usize {
        let plain = self.frames.len().max(1) * dim.max(1) * size_of::<f32>();
        views.min(TABLE_BYTES / plain).max(1)
    }

    /// `f32[N·V, D]`: the plain bottlenecks `f32[N, D]`, each followed by those of its frame's `views - 1` augmented
    /// views, which are rounded to fp16 like all stored views. Read from the cache or computed on all cores.
    pub(super) fn with_views(
        &self,
        plain: &[f32],
        dim: usize,
        views: usize,
        work: &Work,
    ) -> Result<Vec<f32>, TrainError> {
        let settings = self.settings;
        let cut = Blocks::of_for(&settings.architecture, work)?.at_pooled(dim);
        let augmented = views.saturating_sub(1);
        let source = ActivationSource {
            frames: self.frames,
            architecture: &settings.architecture,
            preprocessing: self.preprocessing,
            cut: &cut,
            views: settings.fine_tune.all_views(settings.seed),
        };
        let budget = settings.fine_tune.cache_budget_bytes;
        let mut activations = Activations::open(&source, Some(self.cache_dir), budget, work)?;
        let rows = (self.frames.len() * augmented) as u64;
        work.stage("Computing bottlenecks of augmented views", Some(rows));
        let mut table = Vec::with_capacity(self.frames.len() * views * dim);
        let mut found = vec![f16::ZERO; FRAMES_AT_ONCE * augmented * dim];
        let numbers: Vec<usize> = (0..self.frames.len()).collect();
        let chunks = numbers.chunks(FRAMES_AT_ONCE);
        for (frames, plain) in chunks.zip(plain.chunks(FRAMES_AT_ONCE * dim)) {
            let wanted: Vec<(usize, u32)> = frames
                .iter()
                .flat_map(|frame| (1..=augmented as u32).map(|view| (*frame, view)))
                .collect();
            found.resize(wanted.len() * dim, f16::ZERO);
            activations.fill(&wanted, &mut found, work)?;
            let of_each = found.chunks(augmented.max(1) * dim);
            for (plain, augmented) in plain.chunks(dim).zip(of_each) {
                table.extend_from_slice(plain);
                table.extend(augmented.to_f32_vec());
            }
            work.advance(wanted.len() as u64);
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;
    use crate::backbone::Fit;

    #[test]
    fn a_table_in_memory_has_as_many_views_as_fit() {
        let settings = TrainSettings::default();
        let preprocessing = settings.architecture.preprocessing(Fit::CenterCrop);
        let frames = vec![PathBuf::new(); 100_000];
        let source = ViewSource {
            frames: &frames,
            settings: &settings,
            preprocessing: &preprocessing.unwrap(),
            cache_dir: Path::new(""),
        };
        // 100,000 · 1280 · 4 bytes are 512 MB.
        assert_eq!(source.affordable(9, 1280), 4);
        assert_eq!(source.affordable(3, 1280), 3);
        assert_eq!(source.affordable(9, 1280 * 5), 1);
    }
}
