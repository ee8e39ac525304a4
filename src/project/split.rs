//! Train, validation and test: decided per group, never per frame.

use serde::{Deserialize, Serialize};

use super::{ClassName, Frames, Project, ProjectError};

/// The three sides of the split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Learned from.
    Train,
    /// Watched while training; chooses the best weights.
    Validation,
    /// Looked at once, at the end.
    Test,
}

/// How much goes where, in percent of each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SplitSettings {
    /// Percentage of validation frames, 0..=80.
    pub validation_percentage: u8,
    /// Percentage of test frames, 0..=80.
    pub testing_percentage: u8,
}

impl Default for SplitSettings {
    fn default() -> Self {
        Self {
            validation_percentage: 10,
            testing_percentage: 10,
        }
    }
}

/// How a class was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// By whole sources: the test accuracy speaks of new videos.
    BySource,
    /// By blocks of time within too few sources: generalisation to new videos was not measured.
    ByTimeBlock,
}

/// The split of a set of frames.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// For each frame its side, or `None` when it takes no part (unsorted, or in a gap).
    pub splits: Vec<Option<Split>>,
    /// For each class with frames how it was cut.
    pub cuts: Vec<(ClassName, Cut)>,
    /// What the user should know, a sentence each.
    pub notes: Vec<String>,
}

impl Project {
    /// The split of each frame of `frames` (same order); `None` for unsorted frames and for frames in
    /// the gap between two time blocks. Decided per group by hash, remembered in `project.json`, so that
    /// adding, renaming and moving never changes the side of a frame.
    pub fn assign_splits(
        &self,
        frames: &Frames,
        groups: &[String],
        settings: &SplitSettings,
    ) -> Result<Assignment, ProjectError> {
        todo!("{} {} {settings:?}", frames.list.len(), groups.len())
    }
}
