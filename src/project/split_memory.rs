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
}
