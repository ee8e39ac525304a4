//! The questions the window asks, with the text being typed into them.

use std::path::PathBuf;

use super::SweepDraft;
use super::import::{Again, FateFilter, PlanAnswer};
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
        /// What is added to it then.
        files: Vec<PathBuf>,
    },
    /// What a model is made of in one go, and where.
    Make {
        /// What it is made of.
        paths: Vec<PathBuf>,
        /// The folder for it and its project.
        out: String,
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
    /// Whether sources are removed.
    RemoveSource {
        /// The sources.
        ids: Vec<SourceId>,
        /// The name of one, or how many they are.
        name: String,
        /// How many frames they gave.
        frames: usize,
        /// Whether they go to the trash too.
        trash: bool,
    },
    /// Whether the trash is emptied; what lies in it.
    EmptyTrash(Trash),
    /// Whether frames (paths) in the trash are deleted for good.
    DeleteForGood(Vec<String>),
    /// Which class frames are given, chosen by typing a part of its name.
    LabelAs {
        /// What has been typed.
        text: String,
        /// Which of the classes that have it in their names is chosen.
        chosen: usize,
        /// How many frames it is for.
        frames: usize,
    },
    /// What an import would do, and what it must ask.
    ImportPlan {
        /// The plan.
        plan: Box<ImportPlan>,
        /// The class of files given by themselves.
        answer: PlanAnswer,
        /// Whether a split that the files are given with is kept.
        keep_split: bool,
    },
    /// Whether an import is undone although frames have been extracted since, which go with it.
    UndoImport {
        /// How many frames go.
        frames: usize,
    },
    /// What the last import made of each file.
    ImportReport {
        /// Only those; `None` is all.
        filter: Option<FateFilter>,
        /// What has been typed to search for.
        text: String,
    },
    /// Whether videos are extracted again, and what becomes of the frames that are there.
    ExtractAgain {
        /// The videos.
        ids: Vec<SourceId>,
        /// How.
        how: Again,
    },
    /// Whether very many frames are written.
    ExtractMuch {
        /// The videos.
        ids: Vec<SourceId>,
        /// What becomes of frames that are there.
        again: Option<Again>,
        /// What they give.
        amount: Amount,
    },
    /// How many more steps a run is trained for.
    Extend {
        /// The run.
        run: RunId,
        /// Steps that are added.
        more: u32,
    },
    /// What a run is called, and what is noted of it.
    RunNote {
        /// The run.
        run: RunId,
        /// The name being typed.
        name: String,
        /// The note being typed.
        note: String,
    },
    /// What is to be swept over.
    Sweep(Box<SweepDraft>),
    /// What was found in a network that is to be added.
    AddArchitecture,
    /// The page of a model for a phone, which is open as long as this is.
    Phone,
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
    /// Makes a model of a folder in one go.
    MakeModel,
    /// Brings files and folders in; one path a line.
    AddFiles,
    /// Merges folders of parts; one path a line.
    MergeParts,
    /// Finds a source's file again.
    Locate(SourceId),
    /// Predicts on files; one path a line.
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
    /// Nothing more.
    Nothing,
    /// The selected frames go there.
    AssignSelected,
    /// Sources get it.
    Sources(Vec<SourceId>),
    /// New videos get it.
    NewVideos,
}
