//! The frames of a run in their current state, with their bottlenecks.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::backbone::bottlenecks;
use crate::jobs::Work;
use crate::project::{Project, Split};
use crate::train::{Present, Run, RunClasses, RunFrame, present};

use super::EvaluateError;
use super::evaluation::frame_sampled_as;

/// Which backbone's bottlenecks to use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Backbone {
    /// The run's own, with fine-tuned weights.
    OfRun,
    /// The original one, which was not trained on any of the frames.
    Shipped,
}

/// Frames of a run that exist and can be read, each with its bottleneck.
pub(super) struct Rows {
    /// The current state of the run's classes.
    pub classes: RunClasses,
    /// The frames with their current paths and classes, in the order of the run.
    pub frames: Vec<RunFrame>,
    /// Current label of each.
    pub truth: Vec<usize>,
    /// Length of a bottleneck.
    pub dim: usize,
    /// Row-major `f32[N, dim]`.
    pub values: Vec<f32>,
    /// How many were moved to another class since the run.
    pub relabelled: u64,
    /// How many have another image.
    pub changed: u64,
    /// How many are missing or unreadable.
    pub missing: u64,
}

impl Rows {
    /// The frames of one side of the split, or of all, with bottlenecks from the cache: the project's, or the run's
    /// own if its backbone was fine-tuned.
    pub(super) fn of(
        project: &Project,
        run: &Run,
        split: Option<Split>,
        whose: Backbone,
        work: &Work,
    ) -> Result<Self, EvaluateError> {
        let Present {
            classes,
            mut frames,
            relabelled,
            changed,
            mut missing,
        } = present(project, run, split, work)?;
        let paths: Vec<PathBuf> = frames
            .iter()
            .map(|frame| project.abs(&frame.path))
            .collect();
        let fine_tuned = match whose {
            Backbone::OfRun => run.fine_tuned()?,
            Backbone::Shipped => None,
        };
        let cache_dir = match fine_tuned {
            Some(_) => run.cache_dir(),
            None => project.cache_dir(),
        };
        let table = bottlenecks(
            &paths,
            &run.settings.architecture,
            &run.preprocessing,
            fine_tuned.as_ref(),
            Some(&cache_dir),
            work,
        );
        let mut table = project.blame(table.map_err(EvaluateError::from))?;
        missing += table.failed.len() as u64;
        if missing > 0 {
            project.check_there()?;
        }
        let dim = table.dim;
        let mut usable = vec![true; frames.len()];
        for (index, _) in &table.failed {
            if let Some(usable) = usable.get_mut(*index) {
                *usable = false;
            }
        }
        for (frame, usable) in frames.iter().zip(&mut usable) {
            *usable &= classes.label_of.get(frame.class).is_some();
        }
        let mut values = std::mem::take(&mut table.values);
        if usable.contains(&false) {
            let kept = values.chunks_exact(dim).zip(&usable);
            values = kept
                .filter(|(_, usable)| **usable)
                .flat_map(|(row, _)| row)
                .copied()
                .collect();
            let mut kept = usable.iter();
            frames.retain(|_| kept.next() == Some(&true));
        }
        let mut rows = frames.iter().zip(values.chunks_exact(dim.max(1)));
        if let Some((frame, _)) = rows.find(|(_, row)| !row.iter().all(|value| value.is_finite())) {
            return Err(EvaluateError::NotFinite {
                image: frame.path.clone(),
            });
        }
        let truth = frames
            .iter()
            .filter_map(|frame| classes.label_of.get(frame.class).copied())
            .collect();
        Ok(Self {
            classes,
            frames,
            truth,
            dim,
            values,
            relabelled,
            changed,
            missing,
        })
    }

    /// The number of frames of each source, see [`FramePrediction::sampled_as`](super::FramePrediction::sampled_as).
    pub(super) fn source_sizes(&self) -> Vec<f64> {
        let mut sizes: BTreeMap<&str, f64> = BTreeMap::new();
        for frame in &self.frames {
            *sizes.entry(frame_sampled_as(frame)).or_default() += 1.0;
        }
        sizes.into_values().collect()
    }

    /// The bottleneck of each frame.
    pub(super) fn bottlenecks(&self) -> impl Iterator<Item = &[f32]> {
        self.values.chunks_exact(self.dim.max(1))
    }
}
