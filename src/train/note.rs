//! The user's name and note for a run, in a separate file in its folder, so that files of the training never change.

use serde::{Deserialize, Serialize};

use super::files;
use super::{Run, TrainError};

/// The name of the file.
pub(super) const FILE: &str = "note.json";

/// The name and the note of a run, empty unless the user writes them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunNote {
    /// The name of the run, shown instead of its architecture and time.
    pub name: String,
    /// The note, any number of lines.
    pub note: String,
}

impl Run {
    /// The name and the note of the run.
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

    /// Stores a name and a note, trimmed.
    ///
    /// # Errors
    /// [`TrainError::File`] if the file cannot be written.
    pub fn set_note(&self, note: &RunNote) -> Result<(), TrainError> {
        let note = RunNote {
            name: note.name.trim().to_owned(),
            note: note.note.trim().to_owned(),
        };
        files::write_json(&self.dir.join(FILE), &note)
    }
}
