//! The recorded side of each group, stored in `project.json` so that it only changes on request.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::time_cut::TimeCut;
use super::{ClassName, Cut, Split, SplitSettings};

/// Recorded decisions. They apply to one pair of percentages and one seed; with others, decisions start again.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SplitMemory {
    /// The settings that the decisions were made for.
    pub(super) settings: SplitSettings,
    /// How each class was split first; a class that is split by source stays so.
    pub(super) modes: BTreeMap<ClassName, Cut>,
    /// The side of each undivided group.
    pub(super) groups: BTreeMap<String, Split>,
    /// For each class and group, the blocks of time.
    pub(super) cuts: BTreeMap<ClassName, BTreeMap<String, TimeCut>>,
}

impl SplitMemory {
    /// Renames a class.
    pub(super) fn rename_class(&mut self, from: &ClassName, to: &ClassName) {
        if let Some(mode) = self.modes.remove(from) {
            self.modes.insert(to.clone(), mode);
        }
        if let Some(cuts) = self.cuts.remove(from) {
            self.cuts.insert(to.clone(), cuts);
        }
    }

    /// Merges a class into another. Frames keep their sides: groups divided into blocks of time stay divided, and the
    /// class is split by source if either of the two was. If a group was decided in two ways, one applies to both:
    /// undivided rather than in blocks, and the blocks of `into` rather than those of `from`.
    pub(super) fn merge_class(&mut self, from: &ClassName, into: &ClassName) -> MergedSplits {
        let mut before = MergedSplits {
            modes: [self.modes.remove(from), self.modes.get(into).copied()],
            cuts: self.cuts.remove(from).unwrap_or_default(),
            added: Vec::new(),
        };
        let mode = match before.modes {
            [Some(Cut::BySource), _] | [_, Some(Cut::BySource)] => Some(Cut::BySource),
            [one, other] => other.or(one),
        };
        if let Some(mode) = mode {
            self.modes.insert(into.clone(), mode);
        }
        for (group, cut) in &before.cuts {
            if self.groups.contains_key(group) {
                continue;
            }
            let cuts = self.cuts.entry(into.clone()).or_default();
            if !cuts.contains_key(group) {
                cuts.insert(group.clone(), cut.clone());
                before.added.push(group.clone());
            }
        }
        before
    }

    /// Undoes [`SplitMemory::merge_class`].
    pub(super) fn part_classes(
        &mut self,
        from: &ClassName,
        into: &ClassName,
        before: &MergedSplits,
    ) {
        let [of_from, of_into] = before.modes;
        for (class, mode) in [(from, of_from), (into, of_into)] {
            match mode {
                Some(mode) => self.modes.insert(class.clone(), mode),
                None => self.modes.remove(class),
            };
        }
        if let Some(cuts) = self.cuts.get_mut(into) {
            cuts.retain(|group, _| !before.added.contains(group));
            if cuts.is_empty() {
                self.cuts.remove(into);
            }
        }
        if !before.cuts.is_empty() {
            self.cuts.insert(from.clone(), before.cuts.clone());
        }
    }
}

/// The decisions on two classes before a merger.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct MergedSplits {
    /// How the merged class and the other were split.
    modes: [Option<Cut>; 2],
    /// The blocks of time of the merged class.
    cuts: BTreeMap<String, TimeCut>,
    /// Groups whose blocks were added to the other class.
    added: Vec<String>,
}
