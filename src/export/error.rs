//! Errors of exports, as sentences for users.

use std::path::PathBuf;

use crate::backbone::BackboneError;
use crate::evaluate::EvaluateError;
use crate::files::FileError;
use crate::graph::GraphError;
use crate::jobs::Cancelled;
use crate::media::MediaError;
use crate::onnx::OnnxError;
use crate::project::ProjectError;
use crate::train::TrainError;

/// An error of the export layer.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The run has no weights to export yet.
    #[error("run “{run}” has not finished; resume it, then export it")]
    Unfinished {
        /// The run.
        run: String,
    },
    /// No format was requested.
    #[error("no format is chosen; choose at least one")]
    NoFormat,
    /// A file cannot be written.
    #[error("cannot {} “{}”: {}", .0.action, .0.path.display(), why(&.0.error))]
    File(FileError),
    /// The folder contains files of the user that the export would replace.
    #[error(
        "“{}” holds {} that no export wrote, or that {} changed since, so nothing was replaced; choose another folder, or move {} away (--force only replaces files of an earlier export that were changed since)",
        folder.display(), listed(names), if names.len() == 1 { "was" } else { "were" }, if names.len() == 1 { "it" } else { "them" }
    )]
    NotOurs {
        /// The folder.
        folder: PathBuf,
        /// The files.
        names: Vec<String>,
    },
    /// The folder is one of the project's own.
    #[error(
        "“{}” is a folder that the project uses itself; choose one below “{}” or outside the project",
        folder.display(), exports.display()
    )]
    InProject {
        /// The folder.
        folder: PathBuf,
        /// Where in the project exports may be.
        exports: PathBuf,
    },
    /// The path exists and is not a folder.
    #[error("“{}” is a file, not a folder; choose a folder for the export", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// The project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// None of the run's images is left to verify the export with.
    #[error(
        "the export cannot be verified, because none of the images of run “{run}” are in the project; restore them, or train again"
    )]
    NothingToVerifyOn {
        /// The run.
        run: String,
    },
    /// The exported model differs from the trained one.
    #[error(
        "the exported model does not agree with run “{run}” and was not kept: on image “{frame}” {difference}. Please report this"
    )]
    Disagrees {
        /// The run.
        run: String,
        /// The first image for which it differs.
        frame: String,
        /// The difference.
        difference: String,
    },
    /// The labels in the exported model are not those of the run.
    #[error(
        "the labels in “{file}” do not match the classes of run “{run}”, so it was not kept. Please report this"
    )]
    OtherLabels {
        /// The model's file.
        file: &'static str,
        /// The run.
        run: String,
    },
    /// The weights are not those of the run.
    #[error(
        "run “{run}” was not exported, because its weights classify {right} of {frames} test images correctly, but {recorded} were recorded after its training; restore an earlier copy of its folder, or train again"
    )]
    OtherAccuracy {
        /// The run.
        run: String,
        /// Images that are classified correctly now.
        right: usize,
        /// Images that were classified correctly when the run was tested.
        recorded: usize,
        /// All test images.
        frames: usize,
    },
    /// There are no training frames to calibrate the network on.
    #[error(
        "run “{run}” cannot be exported in int8, because none of its training frames are in the project; restore them, train again, or leave int8 out"
    )]
    Uncalibrated {
        /// The run.
        run: String,
    },
    /// There is no format of that name.
    #[error("there is no format “{name}”; the formats are {}", listed(&known.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()))]
    NoSuchFormat {
        /// The name given.
        name: String,
        /// The names of all formats.
        known: Vec<&'static str>,
    },
    /// The format cannot represent this model.
    #[error("the model cannot be written as {format}: {reason}; choose another format")]
    Unwritable {
        /// The format.
        format: &'static str,
        /// The node, and the reason.
        reason: String,
    },
    /// The exported model is significantly worse than the run.
    #[error(
        "“{model}” was not exported: {reason}. Leave this format out, or accept it with --accept-loss (in the window: Accept the loss), which the certificate records"
    )]
    Loses {
        /// The model's file.
        model: String,
        /// The figures.
        reason: String,
    },
    /// The folder or file is no export, or cannot be checked.
    #[error("“{}” cannot be verified: {reason}", folder.display())]
    NoBundle {
        /// The folder.
        folder: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// ONNX Runtime Web is not installed.
    #[error(
        "ONNX Runtime Web, which web pages need, is missing (looked in {}); install Salamander again, or set SALAMANDER_ORT_WEB to the folder “dist” of the npm package onnxruntime-web",
        listed(&looked_in.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>())
    )]
    NoWebRuntime {
        /// The folders that were searched.
        looked_in: Vec<PathBuf>,
    },
    /// The archive differs from the files that were packed.
    #[error("“{}” does not contain what was packed into it and was not kept: {problem}. Please report this", path.display())]
    BadArchive {
        /// The archive.
        path: PathBuf,
        /// The first difference.
        problem: String,
    },
    /// A class name that a labels file cannot hold.
    #[error(
        "the name of class “{class}” has a line break, which a labels file cannot hold; rename the class"
    )]
    Label {
        /// The class.
        class: String,
    },
    /// An error of the run.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// An error of the backbone.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// An error of ONNX Runtime.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// An error of a network's graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// An error of an image file.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// An error of the predictions for the verification.
    #[error(transparent)]
    Evaluate(#[from] EvaluateError),
    /// Cancelled by the user.
    #[error(transparent)]
    Cancelled(#[from] Cancelled),
}

impl From<FileError> for ExportError {
    fn from(error: FileError) -> Self {
        Self::File(error)
    }
}

impl ExportError {
    /// Whether the export of another run to the same place would fail in the same way.
    #[must_use]
    pub fn is_of_the_place(&self) -> bool {
        match self {
            Self::Cancelled(_)
            | Self::InProject { .. }
            | Self::NotAFolder { .. }
            | Self::NoFormat => true,
            Self::File(FileError { error, .. }) => matches!(
                error.kind(),
                std::io::ErrorKind::StorageFull
                    | std::io::ErrorKind::PermissionDenied
                    | std::io::ErrorKind::ReadOnlyFilesystem
                    | std::io::ErrorKind::QuotaExceeded
                    | std::io::ErrorKind::FileTooLarge
            ),
            _ => false,
        }
    }

    /// For `map_err`: an I/O error with its file.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }
}

/// Joins names: “a”, “a” and “b”, “a”, “b” and “c”. Names may contain commas.
fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("“{name}”")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// The system's message, with the remedies that exports offer.
fn why(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::StorageFull => {
            "the disk is full; free some space and export again".to_owned()
        }
        std::io::ErrorKind::PermissionDenied => {
            "permission denied; choose another folder".to_owned()
        }
        std::io::ErrorKind::ReadOnlyFilesystem => {
            "the disk is read-only; choose another folder".to_owned()
        }
        _ => error.to_string(),
    }
}
