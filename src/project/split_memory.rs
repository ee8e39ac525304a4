//! Which side each group was decided to be on, kept in `project.json` so that it never changes unasked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::time_cut::TimeCut;
use super::{ClassName, Cut, Split, SplitSettings};

/// Remembered decisions. They hold for one pair of percentages and one seed; others start afresh.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SplitMemory {
    /// The settings that the decisions were made for.
    pub(super) settings: SplitSettings,
    /// How each class was cut first; a class that begins by source stays by source.
    pub(super) modes: BTreeMap<ClassName, Cut>,
    /// The side of each whole group.
    pub(super) groups: BTreeMap<String, Split>,
    /// Per class and group, the blocks of time.
    pub(super) cuts: BTreeMap<ClassName, BTreeMap<String, TimeCut>>,
}

impl SplitMemory {
    /// A class has another name now.
    pub(super) fn rename_class(&mut self, from: &ClassName, to: &ClassName) {
        if let Some(mode) = self.modes.remove(from) {
            self.modes.insert(to.clone(), mode);
        }
        if let Some(cuts) = self.cuts.remove(from) {
            self.cuts.insert(to.clone(), cuts);
        }
    }

    /// A class goes into another one. Frames keep their sides: groups that were cut into blocks of time stay cut, and
    /// the class is still split by source if either of the two did. Only where one group was decided on in two ways, one
    /// way holds for both: as a whole before in blocks, and the blocks of `into` before those of `from`.
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

    /// Takes [`SplitMemory::merge_class`] back.
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

/// What was decided for two classes before one went into the other.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct MergedSplits {
    /// How the class that ended and the other were cut.
    modes: [Option<Cut>; 2],
    /// The blocks of time of the class that ended.
    cuts: BTreeMap<String, TimeCut>,
    /// Groups whose blocks the other class took over.
    added: Vec<String>,
}
