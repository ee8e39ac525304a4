//! A split that is given with the files, by folders `train`, `val` and `test`. It is kept.

use std::collections::{BTreeMap, HashMap};

use super::{Frame, SourceId, Split, SplitSettings};

/// Frames and groups that were given with a side.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// The side of each frame that was given with one.
    frames: Vec<Option<Split>>,
    /// The side of each group with such frames: that of most of them. Other frames of the group follow it.
    groups: HashMap<String, Split>,
    /// Groups with frames on two sides, each with the index of such a frame.
    across: BTreeMap<String, usize>,
    /// Whether validation frames are requested, but none were given: then some of the training groups are used.
    validation_from_training: bool,
}

impl Given {
    /// The sides of `frames` by those of their sources.
    pub(super) fn of(
        frames: &[Frame],
        groups: &[String],
        sides: &HashMap<SourceId, Split>,
        settings: SplitSettings,
    ) -> Self {
        if sides.is_empty() {
            return Self::default();
        }
        let mut given = Self::default();
        let mut votes: HashMap<&str, BTreeMap<u8, (usize, Split, usize)>> = HashMap::new();
        for (index, frame) in frames.iter().enumerate() {
            let source = frame
                .source
                .as_ref()
                .filter(|_| frame.label.class().is_some());
            let side = source.and_then(|source| sides.get(source)).copied();
            given.frames.push(side);
            if let Some(side) = side {
                let group = groups.get(index).unwrap_or(&frame.path);
                let votes = votes.entry(group).or_default();
                votes.entry(side as u8).or_insert((0, side, index)).0 += 1;
            }
        }
        for (group, votes) in votes {
            // With equal numbers, the first: training, then validation.
            let most = votes.values().rev().max_by_key(|(count, ..)| *count);
            if let Some((_, side, _)) = most {
                given.groups.insert(group.to_owned(), *side);
            }
            if votes.len() > 1
                && let Some((_, _, index)) = votes.values().last()
            {
                given.across.insert(group.to_owned(), *index);
            }
        }
        given.validation_from_training =
            settings.validation_percentage > 0 && !given.frames.contains(&Some(Split::Validation));
        given
    }

    /// The side of a frame if it, or its group, was given with one.
    pub(super) fn side(&self, index: usize, group: &str) -> Option<Split> {
        let own = self.frames.get(index).copied().flatten();
        own.or_else(|| self.groups.get(group).copied())
    }

    /// Whether frames of the group were given with a side.
    pub(super) fn is_given(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// Whether the group was given for training, and validation frames must be taken from such groups: then it is used
    /// for training or validation, never for the test.
    pub(super) fn is_for_training(&self, group: &str) -> bool {
        self.validation_from_training
            && self.groups.get(group) == Some(&Split::Train)
            && !self.across.contains_key(group)
    }

    /// Remarks, a sentence each.
    pub(super) fn notes(&self, frames: &[Frame]) -> Vec<String> {
        let count = self.frames.iter().flatten().count();
        if count == 0 {
            return Vec::new();
        }
        let mut notes = vec![format!(
            "{count} images stay on the side (train, validation or test) that their folders define."
        )];
        if self.validation_from_training {
            notes.push(
                "The folders define no validation images: some of those for training are used instead."
                    .to_owned(),
            );
        }
        if let Some(index) = self.across.values().next() {
            let path = frames.get(*index).map_or("", |frame| frame.path.as_str());
            let groups = match self.across.len() {
                1 => "One image or video is".to_owned(),
                count => format!("{count} images or videos are"),
            };
            notes.push(format!(
                "{groups} on two sides of the given split, as identical or similar copies (“{path}”), so the measured accuracy is too high. Remove the copies from one side."
            ));
        }
        notes
    }
}
