//! What can go wrong with an export, in sentences for people.

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
    /// Nothing was asked for.
    #[error("no format is chosen; choose at least one")]
    NoFormat,
    /// Something cannot be written.
    #[error("cannot {} “{}”: {}", .0.action, .0.path.display(), why(&.0.error))]
    File(FileError),
    /// The folder holds files of the user's that the export would replace.
    #[error(
        "“{}” holds {} that no export wrote, or that {} changed since; nothing was replaced: choose another folder for the export, or move {} away (--force replaces files of an earlier export that were changed since, and never others)",
        folder.display(), listed(names), if names.len() == 1 { "was" } else { "were" }, if names.len() == 1 { "it" } else { "them" }
    )]
    NotOurs {
        /// The folder.
        folder: PathBuf,
        /// The files.
        names: Vec<String>,
    },
    /// The folder is among the project's own files.
    #[error(
        "“{}” is a folder of the project's own, where an export would be taken for images, runs or rubbish; choose one below “{}” or outside of the project",
        folder.display(), exports.display()
    )]
    InProject {
        /// The folder.
        folder: PathBuf,
        /// Where exports may be in the project.
        exports: PathBuf,
    },
    /// What was named is there and no folder.
    #[error("“{}” is a file, not a folder; choose a folder for the export", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// The project.
    #[error(transparent)]
    Project(#[from] ProjectError),
    /// None of the run's images is left to prove the export on.
    #[error(
        "the export cannot be verified, because none of the images of run “{run}” is in the project any more; bring them back, or train again"
    )]
    NothingToVerifyOn {
        /// The run.
        run: String,
    },
    /// The exported model is not the trained one.
    #[error(
        "the exported model does not agree with run “{run}” and was not kept: on image “{frame}” {difference}. Please report this"
    )]
    Disagrees {
        /// The run.
        run: String,
        /// The first image that shows it.
        frame: String,
        /// How.
        difference: String,
    },
    /// What the exported model calls its outputs is not what the run does.
    #[error(
        "the labels in “{file}” are not the classes of run “{run}” in their order, and it was not kept. Please report this"
    )]
    OtherLabels {
        /// The model's file.
        file: &'static str,
        /// The run.
        run: String,
    },
    /// The weights are not those that were trained.
    #[error(
        "run “{run}” was not exported, because its weights classify {right} of {frames} test images correctly where {recorded} were recorded after its training; put back an earlier copy of its folder, or train again"
    )]
    OtherAccuracy {
        /// The run.
        run: String,
        /// Images that are classified correctly now.
        right: usize,
        /// Images that were then.
        recorded: usize,
        /// All test images.
        frames: usize,
    },
    /// No training frames to measure the network on.
    #[error(
        "run “{run}” cannot be exported in int8, because none of its training frames is in the project any more; bring them back, train again, or leave int8 out"
    )]
    Uncalibrated {
        /// The run.
        run: String,
    },
    /// No format is called so.
    #[error("there is no format “{name}”; there are {}", listed(&known.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()))]
    NoSuchFormat {
        /// What was asked for.
        name: String,
        /// Those there are.
        known: Vec<&'static str>,
    },
    /// A format cannot hold this model.
    #[error("the model cannot be written as {format}: {reason}; choose another format")]
    Unwritable {
        /// The format.
        format: &'static str,
        /// The node and what is the matter with it.
        reason: String,
    },
    /// The exported model is clearly worse than the run.
    #[error(
        "“{model}” was not exported: {reason}. Leave this format out, or take it with --accept-loss (in the window: Accept the loss), which the certificate records"
    )]
    Loses {
        /// The model's file.
        model: String,
        /// The figures.
        reason: String,
    },
    /// A folder that should be an export and cannot be checked.
    #[error("“{}” cannot be verified: {reason}", folder.display())]
    NoBundle {
        /// The folder.
        folder: PathBuf,
        /// What is missing or wrong.
        reason: String,
    },
    /// ONNX Runtime Web is not installed.
    #[error(
        "ONNX Runtime Web is missing, which a web page carries (looked in {}); install Salamander again, or set SALAMANDER_ORT_WEB to the folder “dist” of the npm package onnxruntime-web",
        listed(&looked_in.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>())
    )]
    NoWebRuntime {
        /// The folders.
        looked_in: Vec<PathBuf>,
    },
    /// What was packed is not what was written.
    #[error("“{}” is not what was packed into it and was not kept: {problem}. Please report this", path.display())]
    BadArchive {
        /// The archive.
        path: PathBuf,
        /// The first thing that is wrong with it.
        problem: String,
    },
    /// A class name that a labels file cannot hold.
    #[error(
        "class “{class}” has a line break in its name, which a labels file cannot hold; rename the class"
    )]
    Label {
        /// The class.
        class: String,
    },
    /// The run or something below it.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// The backbone.
    #[error(transparent)]
    Backbone(#[from] BackboneError),
    /// ONNX Runtime.
    #[error(transparent)]
    Onnx(#[from] OnnxError),
    /// A network's graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A frame.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// Predicting for the proof.
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
    /// Whether another run's export into the same place would fail of the same.
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

    /// For `map_err`: an input or output error with the file it happened to.
    pub(super) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Self {
        let of = FileError::new(action, path);
        move |error| of(error).into()
    }
}

/// “a”, “a” and “b”, “a”, “b” and “c”: names may hold commas themselves.
fn listed(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("“{name}”")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// What the system said, with the remedies that an export has.
fn why(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::StorageFull => {
            "the disk is full; make room and export again".to_owned()
        }
        std::io::ErrorKind::PermissionDenied => {
            "there is no permission; choose another folder".to_owned()
        }
        std::io::ErrorKind::ReadOnlyFilesystem => {
            "the disk is read-only; choose another folder".to_owned()
        }
        _ => error.to_string(),
    }
}
