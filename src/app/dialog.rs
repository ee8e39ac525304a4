//! The questions the window asks, with the text being typed into them.

use std::path::PathBuf;

use crate::project::{ClassName, SourceId, Trash};
use crate::train::RunId;

/// A dialog over the window.
#[derive(Debug, Clone, PartialEq)]
pub enum Dialog {
    /// Name and folder of a new project.
    NewProject {
        /// The name.
        name: String,
        /// The folder in which the project's folder is made.
        folder: String,
        /// What is added to it then.
        files: Vec<PathBuf>,
    },
    /// A path, typed because the system shows no dialog.
    Path {
        /// What it is for.
        purpose: PathPurpose,
        /// What has been typed.
        text: String,
        /// Why it is asked like this, if the user did not choose to type.
        why: Option<&'static str>,
    },
    /// The name of a new class.
    NewClass {
        /// What has been typed.
        name: String,
        /// What happens with it.
        then: NewClassThen,
    },
    /// Another name for a class.
    RenameClass {
        /// Its name now.
        from: ClassName,
        /// What has been typed.
        name: String,
    },
    /// Whether a class is deleted.
    RemoveClass {
        /// Its name.
        name: ClassName,
        /// How many frames become unsorted.
        frames: usize,
    },
    /// Whether a source is removed.
    RemoveSource {
        /// The source.
        id: SourceId,
        /// Its name.
        name: String,
        /// How many frames it gave.
        frames: usize,
        /// Whether they go to the trash too.
        trash: bool,
    },
    /// Whether the trash is emptied; what lies in it.
    EmptyTrash(Trash),
    /// How many more steps a run is trained for.
    Extend {
        /// The run.
        run: RunId,
        /// Steps that are added.
        more: u32,
    },
    /// Whether to quit although a job runs.
    Quit,
    /// All keyboard shortcuts.
    Shortcuts,
}

/// What a typed path is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPurpose {
    /// Opens a project.
    OpenProject,
    /// Brings files and folders in; one path a line.
    AddFiles,
    /// Finds a source's file again.
    Locate(SourceId),
    /// Predicts on files; one path a line.
    Predict,
    /// Exports into a folder.
    ExportFolder,
}

/// What happens with a new class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewClassThen {
    /// Nothing more.
    Nothing,
    /// The selected frames go there.
    AssignSelected,
    /// A source gets it.
    Source(SourceId),
    /// New videos get it.
    NewVideos,
}
