//! Classes: the labels, each a folder on disk.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The name of a class exactly as typed; always fit to be a folder name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ClassName(pub(super) String);

impl ClassName {
    /// Checks that the name can be a folder on every system.
    pub fn new(name: &str) -> Result<Self, super::ProjectError> {
        todo!("{name}")
    }

    /// The name as typed.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A class as the project knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Class {
    /// Its name and folder.
    pub name: ClassName,
    /// Index into the palette of class colours; stays with the class.
    pub color: usize,
}
