//! Errors of projects, as sentences for users.

use std::path::PathBuf;

use crate::files::{FileError, FollowedLink};
use crate::jobs::Cancelled;

use super::access::refusal;
use super::links::named;
use super::{Access, ClassName};

/// An error of the project layer.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// A file or folder could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
    /// A value that would make the project unreadable.
    #[error("this cannot be stored in the project: {0}")]
    Impossible(String),
    /// A name that is not valid for a folder on every system.
    #[error("“{name}” cannot be a class name: {reason}")]
    BadClassName {
        /// What was typed.
        name: String,
        /// The reason.
        reason: String,
    },
    /// A name that a file system would confuse with an existing one.
    #[error(
        "a class “{other}” already exists, and some systems do not distinguish its folder from “{name}”; choose another name"
    )]
    ClassClash {
        /// The requested name.
        name: ClassName,
        /// The existing name.
        other: String,
    },
    /// Two names of new classes that a file system would confuse.
    #[error(
        "no class was added: some systems do not distinguish the folders “{other}” and “{name}”; choose other names"
    )]
    NamesClash {
        /// The later of the two.
        name: ClassName,
        /// The earlier of the two.
        other: ClassName,
    },
    /// A class cannot be renamed to the name of another one.
    #[error(
        "a class “{other}” already exists; choose another name, or merge “{from}” into “{other}”"
    )]
    NameTaken {
        /// The class that was to be renamed.
        from: ClassName,
        /// The class with that name, or with one that some systems treat as equal.
        other: ClassName,
    },
    /// A class cannot be merged into itself.
    #[error("“{name}” cannot be merged into itself; give two classes")]
    MergeIntoItself {
        /// Its name.
        name: ClassName,
    },
    /// The project does not have this class.
    #[error("there is no class “{name}” in this project")]
    NoSuchClass {
        /// Its name.
        name: ClassName,
    },
    /// The project does not have this source.
    #[error("there is no source “{id}” in this project")]
    NoSuchSource {
        /// The identity.
        id: String,
    },
    /// Another process has the project.
    #[error("the project “{path}” is open in another Salamander process; close it there first")]
    Locked {
        /// The project's folder.
        path: PathBuf,
    },
    /// The project is open for reading only.
    #[error("the project “{path}” is open read-only: {}", refusal(*access))]
    ReadOnly {
        /// The project's folder.
        path: PathBuf,
        /// How it may be used.
        access: Access,
    },
    /// The folder is not where it was when it was opened.
    #[error("the project “{path}” is no longer there; reconnect its drive or move its folder back")]
    Gone {
        /// The project's folder.
        path: PathBuf,
    },
    /// A file or folder of the project is a link.
    #[error(
        "“{link}” is a link to “{target}”, but a project's own files and folders must not be links; replace it with what it points to"
    )]
    Linked {
        /// The link.
        link: PathBuf,
        /// Its target.
        target: PathBuf,
    },
    /// A class folder is a link that the user has not agreed to follow.
    #[error(
        "the project “{root}” has links instead of class folders: {}; replace them with folders, or allow them to be followed for reading",
        named(links)
    )]
    LinkedClass {
        /// The project's folder.
        root: PathBuf,
        /// The links without the user's agreement.
        links: Vec<FollowedLink>,
    },
    /// The project was written by a later version of the program.
    #[error(
        "the project “{path}” was written by a newer Salamander (format {found}, this one reads up to {known}); update Salamander to open it"
    )]
    NewerSchema {
        /// The project's folder.
        path: PathBuf,
        /// Its format version.
        found: u64,
        /// The latest format version known here.
        known: u64,
    },
    /// `project.json` is damaged and has no backup.
    #[error(
        "“{path}” is damaged ({reason}) and has no backup; move it elsewhere and create a project in this folder to keep its classes and frames"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The reason.
        reason: String,
    },
    /// The folder does not exist.
    #[error("there is no such folder: “{path}”")]
    NoFolder {
        /// The path.
        path: PathBuf,
    },
    /// The folder is not a project.
    #[error("“{path}” is not a Salamander project: there is no project.json in it")]
    NotAProject {
        /// The folder.
        path: PathBuf,
    },
    /// The folder contains classes but no `project.json`.
    #[error(
        "“{path}” has class folders but no project.json; create a project in this folder to use them"
    )]
    ClassesOnly {
        /// The folder.
        path: PathBuf,
    },
    /// The folder already contains a project.
    #[error("“{path}” is already a Salamander project; open it instead")]
    AlreadyAProject {
        /// The folder.
        path: PathBuf,
    },
    /// The folder for a new project is not empty.
    #[error(
        "“{path}” is not empty (it contains “{found}”); choose an empty folder for the new project"
    )]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// Something in it.
        found: String,
    },
    /// A path that is not that of a frame of the project.
    #[error("“{path}” is not a frame of this project")]
    NotAFrame {
        /// The path as given.
        path: String,
    },
    /// Percentages that leave too few frames for training.
    #[error(
        "{validation} % for validation and {testing} % for testing leave too little to train on; together they must be at most 90 %"
    )]
    Percentages {
        /// Percentage of validation frames.
        validation: u8,
        /// Percentage of test frames.
        testing: u8,
    },
}

impl ProjectError {
    /// Whether the disk or the user's quota is full.
    pub(super) fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::File(FileError { error, .. }) if matches!(error.kind(), StorageFull | QuotaExceeded))
    }

    /// For `map_err`: a [`ProjectError::File`] for `path`.
    pub(super) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }
}
