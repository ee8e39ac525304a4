//! Train, validation and test: decided per group, never per frame.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use super::split_assign::assign;
use super::split_given::Given;
use super::{ClassName, Frames, Project, ProjectError};

/// Percent that may be kept from training in all.
const MAX_HELD_OUT: u32 = 90;

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
    /// Another number makes another split by the same rules: for measuring how much depends on the draw.
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
    /// the gap between two time blocks. `groups` holds the group of each frame.
    ///
    /// Decided per group by hash, remembered in `project.json`, so that adding, renaming and moving never
    /// changes the side of a frame. Frames of a source that was given with a side ([`super::Source::given_split`])
    /// are on that side. Other percentages or another seed decide everything again.
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

    /// The split that [`Project::assign_splits`] would come to; nothing is remembered.
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

    /// The groups whose side is remembered.
    #[must_use]
    pub fn known_groups(&self) -> HashSet<String> {
        self.document().splits.groups.keys().cloned().collect()
    }
}

impl SplitSettings {
    /// Whether there is something left to learn from.
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
