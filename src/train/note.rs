//! What a person wrote of a run. It lies in a file of its own in the run's folder: what the training wrote is never
//! changed for it.

use serde::{Deserialize, Serialize};

use super::files;
use super::{Run, TrainError};

/// The file's name.
pub(super) const FILE: &str = "note.json";

/// A name and a note of a run; both are empty until somebody writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunNote {
    /// What the run is called instead of by its architecture and time.
    pub name: String,
    /// Anything else, any number of lines.
    pub note: String,
}

impl RunNote {
    /// Whether nothing is written.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.name.is_empty() && self.note.is_empty()
    }
}

impl Run {
    /// What was written of the run; empty where nothing was.
    ///
    /// # Errors
    /// [`TrainError::File`] and [`TrainError::Damaged`] for a file that cannot be read.
    pub fn note(&self) -> Result<RunNote, TrainError> {
        let path = self.dir.join(FILE);
        if !crate::files::exists(&path) {
            return Ok(RunNote::default());
        }
        files::read_json(&path)
    }

    /// Writes a name and a note down, without the spaces around them.
    ///
    /// # Errors
    /// [`TrainError::File`] when the file cannot be written.
    pub fn set_note(&self, note: &RunNote) -> Result<(), TrainError> {
        let note = RunNote {
            name: note.name.trim().to_owned(),
            note: note.note.trim().to_owned(),
        };
        files::write_json(&self.dir.join(FILE), &note)
    }
}
