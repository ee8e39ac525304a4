//! The split into training, validation and test: decided per group, never per frame.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::split_assign::assign;
use super::split_given::Given;
use super::{ClassName, Frames, Project, ProjectError};

/// The largest total percentage of validation and test frames.
const MAX_HELD_OUT: u32 = 90;

/// The side of the split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// For training.
    Train,
    /// For evaluations during the training, which select the best weights.
    Validation,
    /// For a single evaluation after the training.
    Test,
}

/// The sizes of the sides, in percent of each class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SplitSettings {
    /// Percentage of validation frames, 0..=80.
    pub validation_percentage: u8,
    /// Percentage of test frames, 0..=80.
    pub testing_percentage: u8,
    /// The seed: another one gives another split by the same rules, to measure how much depends on chance.
    #[serde(skip_serializing_if = "is_zero")]
    pub split_seed: u64,
}

#[allow(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde asks for a reference"
)]
fn is_zero(seed: &u64) -> bool {
    *seed == 0
}

impl Default for SplitSettings {
    fn default() -> Self {
        Self {
            validation_percentage: 10,
            testing_percentage: 10,
            split_seed: 0,
        }
    }
}

/// How a class was split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cut {
    /// By whole sources: the test accuracy applies to new videos.
    BySource,
    /// By blocks of time within too few sources: generalisation to new videos was not measured.
    ByTimeBlock,
}

/// The split of a set of frames.
#[derive(Debug, Clone, PartialEq)]
pub struct Assignment {
    /// The side of each frame; `None` for frames that are not used (unsorted, or in a gap).
    pub splits: Vec<Option<Split>>,
    /// How each class with frames was split.
    pub cuts: Vec<(ClassName, Cut)>,
    /// Remarks, a sentence each.
    pub notes: Vec<String>,
}

impl Project {
    /// The side of each frame of `frames`, in the same order; `None` for unsorted frames and for those in the gap
    /// between two blocks of time. `groups` has the group of each frame.
    ///
    /// It is decided per group by a hash and recorded in `project.json`, so that adding, renaming and moving never
    /// changes the side of a frame. Frames of a source that was given with a side ([`super::Source::given_split`]) are
    /// on that side. With other percentages or another seed everything is decided again.
    pub fn assign_splits(
        &self,
        frames: &Frames,
        groups: &[String],
        settings: &SplitSettings,
    ) -> Result<Assignment, ProjectError> {
        check_percentages(settings)?;
        let given = self.given_sides(frames, groups, settings);
        self.update(|document| {
            Ok(assign(
                &mut document.splits,
                &frames.list,
                groups,
                &given,
                *settings,
            ))
        })
    }

    /// The split that [`Project::assign_splits`] would return; nothing is recorded.
    pub fn preview_splits(
        &self,
        frames: &Frames,
        groups: &[String],
        settings: &SplitSettings,
    ) -> Result<Assignment, ProjectError> {
        check_percentages(settings)?;
        let given = self.given_sides(frames, groups, settings);
        let mut memory = self.document().splits.clone();
        Ok(assign(&mut memory, &frames.list, groups, &given, *settings))
    }

    /// The sides that frames were given with.
    fn given_sides(&self, frames: &Frames, groups: &[String], settings: &SplitSettings) -> Given {
        let sources = self.sources().into_iter();
        let sides = sources
            .filter_map(|source| Some((source.id, source.given_split?)))
            .collect();
        Given::of(&frames.list, groups, &sides, *settings)
    }

    /// The groups whose side is recorded.
    #[must_use]
    pub fn known_groups(&self) -> HashSet<String> {
        self.document().splits.groups.keys().cloned().collect()
    }
}

impl SplitSettings {
    /// Whether enough frames are left for training.
    pub(super) fn is_possible(self) -> bool {
        u32::from(self.validation_percentage) + u32::from(self.testing_percentage) <= MAX_HELD_OUT
    }
}

fn check_percentages(settings: &SplitSettings) -> Result<(), ProjectError> {
    let (validation, testing) = (settings.validation_percentage, settings.testing_percentage);
    if !settings.is_possible() {
        return Err(ProjectError::Percentages {
            validation,
            testing,
        });
    }
    Ok(())
}
