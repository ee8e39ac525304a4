//! The dialogs of the window, with the text being typed into them.

use std::path::PathBuf;

use super::SweepDraft;
use super::import::{AgainOptions, FateFilter, PlanAnswer};
use super::train::{FigureFormat, Metric};
use crate::media::{Amount, ImportPlan};
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
        /// The files to add to it.
        files: Vec<PathBuf>,
    },
    /// The files of a model that is made in one go, and its folder.
    Make {
        /// The files.
        paths: Vec<PathBuf>,
        /// The folder for the model and its project.
        out: String,
    },
    /// A path, typed because the system shows no dialog.
    Path {
        /// Its purpose.
        purpose: PathPurpose,
        /// The typed text.
        text: String,
        /// Why the system's dialog is not used, unless the user chose to type.
        why: Option<&'static str>,
    },
    /// The name of a new class.
    NewClass {
        /// The typed text.
        name: String,
        /// What happens with the class.
        then: NewClassThen,
    },
    /// A new name for a class.
    RenameClass {
        /// The current name.
        from: ClassName,
        /// The typed text.
        name: String,
    },
    /// Whether to delete a class.
    RemoveClass {
        /// Its name.
        name: ClassName,
        /// The number of frames that become unsorted.
        frames: usize,
    },
    /// Whether to remove sources.
    RemoveSource {
        /// The sources.
        ids: Vec<SourceId>,
        /// The name of one source, or their number.
        name: String,
        /// The number of their frames.
        frames: usize,
        /// Whether the frames are moved to the trash.
        trash: bool,
    },
    /// Whether to empty the trash, with its content.
    EmptyTrash(Trash),
    /// Whether to delete frames (paths) in the trash permanently.
    DeleteForGood(Vec<String>),
    /// The class for frames, chosen by typing a part of its name.
    LabelAs {
        /// The typed text.
        text: String,
        /// The index of the chosen class among those whose names contain the text.
        chosen: usize,
        /// The number of frames.
        frames: usize,
    },
    /// A planned import, and its questions.
    ImportPlan {
        /// The plan.
        plan: Box<ImportPlan>,
        /// The class of individual files.
        answer: PlanAnswer,
        /// Whether a split in the files' folders is kept.
        keep_split: bool,
    },
    /// Whether to undo an import whose videos have been extracted since; the frames are moved to the trash.
    UndoImport {
        /// The number of these frames.
        frames: usize,
    },
    /// The result of the last import for each file.
    ImportReport {
        /// Only files with these results; `None` is all.
        filter: Option<FateFilter>,
        /// The text to search for.
        text: String,
    },
    /// Whether to extract videos again, and what happens to the existing frames.
    ExtractAgain {
        /// The videos.
        ids: Vec<SourceId>,
        /// What happens to the existing frames.
        how: AgainOptions,
    },
    /// Whether to extract very many frames.
    ExtractMuch {
        /// The videos.
        ids: Vec<SourceId>,
        /// What happens to existing frames.
        again: Option<AgainOptions>,
        /// The number and size of the frames.
        amount: Amount,
    },
    /// The number of steps by which a run is extended.
    Extend {
        /// The run.
        run: RunId,
        /// The number of additional steps.
        more: u32,
    },
    /// The name and the note of a run.
    RunNote {
        /// The run.
        run: RunId,
        /// The name being typed.
        name: String,
        /// The note being typed.
        note: String,
    },
    /// The plan of a sweep.
    Sweep(Box<SweepDraft>),
    /// The findings about a network that is to be added.
    AddArchitecture,
    /// A model's page for a phone, which is served while this dialog is open.
    Phone,
    /// Whether to quit while a job runs.
    Quit,
    /// All keyboard shortcuts.
    Shortcuts,
}

/// The purpose of a typed path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PathPurpose {
    /// Opens a project.
    OpenProject,
    /// Makes a model of a folder in one go.
    MakeModel,
    /// Imports files and folders; one path per line.
    AddFiles,
    /// Merges folders of parts; one path per line.
    MergeParts,
    /// Sets the new place of a source's file.
    Locate(SourceId),
    /// Predicts on files; one path per line.
    Predict,
    /// Writes the probabilities of files.
    SaveTimelines,
    /// Exports into a folder.
    ExportFolder,
    /// Adds a network to the project.
    AddArchitecture,
    /// Writes a plot to a file.
    SaveFigure(Metric, FigureFormat),
}

/// What happens with a new class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NewClassThen {
    /// Nothing else.
    Nothing,
    /// The selected frames are labelled with it.
    AssignSelected,
    /// Sources get it.
    Sources(Vec<SourceId>),
    /// New videos get it.
    NewVideos,
}
