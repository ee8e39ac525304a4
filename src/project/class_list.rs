//! The classes that a project has and had: what has become of one that a run was trained on.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::document::{self, Document, Kept};
use super::{Class, ClassId, ClassName, Project};

/// A class that the project has no more. Runs that knew it still name it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Retired {
    /// Its identity.
    pub(super) id: ClassId,
    /// Its last name.
    pub(super) name: ClassName,
    /// The class that took its frames; `None` when it was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) merged_into: Option<ClassId>,
    /// Its folder vanished, or its creation was taken back: nobody said that the class is to end, so a class of
    /// this name is the same class again.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) returns: bool,
}

/// What has become of a class that a run was trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClassNow {
    /// It is there, under this name.
    Present(ClassName),
    /// Its frames went into the class that has this name now.
    MergedInto(ClassName),
    /// It was deleted, with the class it was merged into if there was one.
    Deleted,
}

impl ClassNow {
    /// The class that its frames belong to now; `None` of a deleted one.
    #[must_use]
    pub fn name(&self) -> Option<&ClassName> {
        match self {
            Self::Present(name) | Self::MergedInto(name) => Some(name),
            Self::Deleted => None,
        }
    }
}

/// The classes of a project at one moment, with those that are no more.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ClassList {
    present: Vec<Class>,
    retired: Vec<Retired>,
}

impl ClassList {
    pub(super) fn of(document: &Document) -> Self {
        fn items<T: Clone>(kept: &[Kept<T>]) -> Vec<T> {
            kept.iter().map(|kept| kept.item.clone()).collect()
        }
        Self {
            present: items(&document.classes),
            retired: items(&document.retired),
        }
    }

    /// Those of the project in the folder `root`, which stays unlocked and untouched; `None` where there is none
    /// that can be read.
    #[must_use]
    pub fn read(root: &Path) -> Option<Self> {
        Some(Self::of(&document::load(root).ok()?.document))
    }

    /// Those that are there, in the user's order.
    #[must_use]
    pub fn present(&self) -> &[Class] {
        &self.present
    }

    /// What has become of a class; `None` of one that the project never had.
    #[must_use]
    pub fn now(&self, id: ClassId) -> Option<ClassNow> {
        let present = |id: ClassId| self.present.iter().find(|class| class.id == id);
        if let Some(class) = present(id) {
            return Some(ClassNow::Present(class.name.clone()));
        }
        let retired = |id: ClassId| self.retired.iter().find(|old| old.id == id);
        let mut last = retired(id)?;
        // As many mergers as there are retired classes at most, whatever the file says.
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
    /// The classes of now, with those that are no more.
    #[must_use]
    pub fn class_list(&self) -> ClassList {
        ClassList::of(&self.document())
    }
}
