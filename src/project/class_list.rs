//! Current and former classes of a project, to find out what happened to a class that a run was trained on.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::document::{self, Document, WithUnknownFields};
use super::{Class, ClassId, ClassName, Project};

/// A former class. Runs that were trained on it still refer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Retired {
    /// Its identity.
    pub(super) id: ClassId,
    /// Its last name.
    pub(super) name: ClassName,
    /// The class that it was merged into; `None` if it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) merged_into: Option<ClassId>,
    /// Whether its folder disappeared, or its creation was undone: it was not deleted by the user, so a new class of
    /// this name is the same class again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) returns: bool,
}

/// What happened to a class that a run was trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClassNow {
    /// It exists, under this name.
    Present(ClassName),
    /// It was merged into the class that now has this name.
    MergedInto(ClassName),
    /// It was deleted, possibly after merging it into another.
    Deleted,
}

impl ClassNow {
    /// The class that its frames belong to now; `None` if it was deleted.
    #[must_use]
    pub fn name(&self) -> Option<&ClassName> {
        match self {
            Self::Present(name) | Self::MergedInto(name) => Some(name),
            Self::Deleted => None,
        }
    }
}

/// The current classes of a project, with the former ones.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClassList {
    present: Vec<Class>,
    retired: Vec<Retired>,
}

impl ClassList {
    pub(super) fn of(document: &Document) -> Self {
        fn items<T: Clone>(kept: &[WithUnknownFields<T>]) -> Vec<T> {
            kept.iter().map(|kept| kept.item.clone()).collect()
        }
        Self {
            present: items(&document.classes),
            retired: items(&document.retired),
        }
    }

    /// The classes of the project in the folder `root`, which is neither locked nor changed; `None` if there is no
    /// readable project.
    #[must_use]
    pub fn read(root: &Path) -> Option<Self> {
        Some(Self::of(&document::load(root).ok()?.document))
    }

    /// The current classes, in the user's order.
    #[must_use]
    pub fn present(&self) -> &[Class] {
        &self.present
    }

    /// What happened to a class; `None` if the project never had it.
    #[must_use]
    pub fn now(&self, id: ClassId) -> Option<ClassNow> {
        let present = |id: ClassId| self.present.iter().find(|class| class.id == id);
        if let Some(class) = present(id) {
            return Some(ClassNow::Present(class.name.clone()));
        }
        let retired = |id: ClassId| self.retired.iter().find(|old| old.id == id);
        let mut last = retired(id)?;
        // At most as many mergers as there are former classes, even if the file has a cycle.
        for _ in 0..self.retired.len() {
            let Some(into) = last.merged_into else { break };
            if let Some(class) = present(into) {
                return Some(ClassNow::MergedInto(class.name.clone()));
            }
            match retired(into) {
                Some(next) => last = next,
                None => break,
            }
        }
        Some(ClassNow::Deleted)
    }
}

impl Project {
    /// The current classes, with the former ones.
    #[must_use]
    pub fn class_list(&self) -> ClassList {
        ClassList::of(&self.document())
    }
}
