//! What can go wrong with a project, in sentences for its owner.

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
    /// A value that no project can have, which would make it unreadable.
    #[error("this cannot be kept in the project: {0}")]
    Impossible(String),
    /// No folder on every system could have this name.
    #[error("“{name}” cannot be the name of a class: {reason}")]
    BadClassName {
        /// What was typed.
        name: String,
        /// Why not.
        reason: String,
    },
    /// Two names that a file system would confuse.
    #[error(
        "there is a class “{other}” already, and some systems would take “{name}” for the same folder; choose another name"
    )]
    ClassClash {
        /// The name asked for.
        name: ClassName,
        /// The name that is there.
        other: String,
    },
    /// Two classes that were to be added at once have names that some file system would take for the same.
    #[error(
        "“{other}” and “{name}” cannot both be added: some systems would take them for the same folder; choose other names, none was added"
    )]
    NamesClash {
        /// The later of the two.
        name: ClassName,
        /// The earlier of the two.
        other: ClassName,
    },
    /// A class was to get the name of another one.
    #[error(
        "there is a class “{other}” already; choose another name, or merge “{from}” into “{other}”"
    )]
    NameTaken {
        /// The class that was to be renamed.
        from: ClassName,
        /// The class that has the name, or one that some systems take for it.
        other: ClassName,
    },
    /// A class was to be merged into itself.
    #[error("“{name}” cannot be merged into itself; name two classes")]
    MergeIntoItself {
        /// Its name.
        name: ClassName,
    },
    /// A class that the project does not have.
    #[error("there is no class “{name}” in this project (any more)")]
    NoSuchClass {
        /// Its name.
        name: ClassName,
    },
    /// A source that the project does not have.
    #[error("there is no source “{id}” in this project (any more)")]
    NoSuchSource {
        /// What was asked for.
        id: String,
    },
    /// Somebody else has the project.
    #[error("the project “{path}” is open in another Salamander; close it there first")]
    Locked {
        /// The project's folder.
        path: PathBuf,
    },
    /// The project may only be looked at.
    #[error("the project “{path}” is open for looking only: {}", refusal(*access))]
    ReadOnly {
        /// The project's folder.
        path: PathBuf,
        /// What may be done with it.
        access: Access,
    },
    /// The folder is not where it was when it was opened.
    #[error(
        "the project “{path}” is not there any more; if its drive was unplugged or its folder moved, bring it back"
    )]
    Gone {
        /// The project's folder.
        path: PathBuf,
    },
    /// Something of the project's own is a link.
    #[error(
        "“{link}” is a link to “{target}”, and a project's own files and folders may not be links; replace it by what it leads to"
    )]
    Linked {
        /// The link.
        link: PathBuf,
        /// What it leads to.
        target: PathBuf,
    },
    /// A class folder is a link, and nobody said that it may be followed.
    #[error(
        "in the project “{root}” links in the place of class folders are not followed unasked: {}; replace them by folders, or have them followed for reading",
        named(links)
    )]
    LinkedClass {
        /// The project's folder.
        root: PathBuf,
        /// Those that nobody agreed to.
        links: Vec<FollowedLink>,
    },
    /// Written by a later version of the program.
    #[error(
        "the project “{path}” was made by a newer Salamander (format {found}, this one knows up to {known}); update Salamander to open it"
    )]
    NewerSchema {
        /// The project's folder.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The latest format known here.
        known: u64,
    },
    /// `project.json` cannot be understood and there is no earlier version of it.
    #[error(
        "“{path}” is damaged ({reason}) and there is no earlier version beside it; move it away and create a project in this folder to keep its classes and frames"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// There is no folder.
    #[error("there is no such folder: “{path}”")]
    NoFolder {
        /// What was named.
        path: PathBuf,
    },
    /// The folder is no project.
    #[error("“{path}” is no Salamander project: there is no project.json in it")]
    NotAProject {
        /// The folder.
        path: PathBuf,
    },
    /// The folder holds classes but no `project.json`.
    #[error(
        "“{path}” has class folders but no project.json; create a project in this folder to take them over"
    )]
    ClassesOnly {
        /// The folder.
        path: PathBuf,
    },
    /// A new project was asked for where one is.
    #[error("“{path}” is a Salamander project already; open it instead")]
    AlreadyAProject {
        /// The folder.
        path: PathBuf,
    },
    /// A new project was asked for in a folder with other things in it.
    #[error(
        "“{path}” is not empty (there is “{found}”); choose an empty folder for the new project"
    )]
    NotEmpty {
        /// The folder.
        path: PathBuf,
        /// One of the things in it.
        found: String,
    },
    /// A path that does not lead to a frame of the project.
    #[error("“{path}” is no frame of this project")]
    NotAFrame {
        /// The path as given.
        path: String,
    },
    /// Percentages that leave nothing to train on.
    #[error(
        "{validation} % for validation and {testing} % for testing leave too little to train on; together they may be at most 90 %"
    )]
    Percentages {
        /// Percentage of validation frames.
        validation: u8,
        /// Percentage of test frames.
        testing: u8,
    },
}

impl ProjectError {
    /// Whether the disk is full, or the user's part of it.
    pub(super) fn is_full(&self) -> bool {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        matches!(self, Self::File(FileError { error, .. }) if matches!(error.kind(), StorageFull | QuotaExceeded))
    }

    /// For `map_err`: a [`ProjectError::File`] about `path`.
    pub(super) fn io(
        action: &'static str,
        path: &std::path::Path,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }
}
