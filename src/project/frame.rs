//! Frames: images in class folders, and a snapshot of all of them.

use std::collections::HashMap;
use std::path::PathBuf;

use super::{ClassName, Project, SourceId};

/// The label of a frame: its class folder, or `unsorted/`, which is not a class.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Label {
    /// In `classes/<name>/`.
    Class(ClassName),
    /// In `unsorted/`.
    Unsorted,
}

impl Label {
    /// The class, unless unsorted.
    #[must_use]
    pub fn class(&self) -> Option<&ClassName> {
        match self {
            Self::Class(name) => Some(name),
            Self::Unsorted => None,
        }
    }
}

/// One image in the project.
#[derive(Debug, Clone, PartialEq)]
pub struct Frame {
    /// Path relative to the project's root, with `/`: `classes/cat/hall-3fa9c1d2_12.500000_09ab34cd.jpg`.
    pub path: String,
    /// Its label.
    pub label: Label,
    /// Its source, from the name; `None` for a file that was added by hand.
    pub source: Option<SourceId>,
    /// Its timestamp in seconds, from the name.
    pub time_secs: Option<f64>,
}

impl Frame {
    /// The full path of the file.
    #[must_use]
    pub fn abs(&self, project: &Project) -> PathBuf {
        project.abs(&self.path)
    }

    /// The file's name without folders.
    #[must_use]
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

/// A snapshot of all frames: by class in the user's order, then unsorted; within a label by source and time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Frames {
    /// The frames.
    pub list: Vec<Frame>,
}

impl Frames {
    /// How many frames each label has; labels without frames are absent.
    #[must_use]
    pub fn counts(&self) -> HashMap<Label, usize> {
        let mut counts = HashMap::new();
        let mut rest = self.list.as_slice();
        // Frames of one label are consecutive, so a label is copied once instead of for each frame.
        while let Some(first) = rest.first() {
            let same = rest.iter().take_while(|f| f.label == first.label).count();
            *counts.entry(first.label.clone()).or_insert(0) += same;
            rest = rest.get(same..).unwrap_or_default();
        }
        counts
    }
}
