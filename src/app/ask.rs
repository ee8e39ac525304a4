//! The system's own file dialogs, with a typed path if there are none.

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rfd::{AsyncFileDialog, FileHandle};

use super::dialog::{Dialog, PathPurpose};
use super::{
    App, ArchitectureAction, EvaluateAction, ExportAction, FigureFormat, ImportAction, Lane,
    MakeAction, Metric, TrainAction,
};
use crate::jobs::Cancelled;
use crate::kind::Kind;
use crate::project::SourceId;

/// If a dialog is cancelled faster than a user can, it could not be shown.
const TOO_FAST: Duration = Duration::from_millis(400);

/// The purpose of a file dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ask {
    /// Videos and photos to import.
    Files,
    /// A folder to import.
    Folder,
    /// Folders of parts to merge.
    Parts,
    /// The folder of a project to open.
    Project,
    /// The folder for a new project's folder.
    ProjectsFolder,
    /// The current place of a source's file.
    Locate(SourceId),
    /// Videos and photos to predict on.
    Predict,
    /// The file for the probabilities of files.
    SaveTimelines,
    /// The folder to export into.
    ExportFolder,
    /// The folder to make a model of.
    MakeModel,
    /// A network to add.
    Architecture,
    /// The file for a plot.
    Figure(Metric, FigureFormat),
}

enum DialogAnswer {
    Paths(Vec<PathBuf>),
    Nothing,
    NoDialog,
}

impl App {
    /// Shows one of the system's file dialogs and continues once it is answered.
    pub(super) fn ask(&mut self, what: Ask) {
        if !self.options.system_dialogs {
            self.ask_for_path(&what, None);
            return;
        }
        let dialog = AsyncFileDialog::new();
        // On macOS a dialog must be created on the UI thread; another thread can wait for it.
        match what {
            Ask::Files => {
                let dialog = media_only(dialog).set_title("Add videos and photos");
                self.wait_for(what, dialog.pick_files(), many);
            }
            Ask::Folder => {
                let dialog = dialog.set_title("Add a folder of videos and photos");
                self.wait_for(what, dialog.pick_folders(), many);
            }
            Ask::Parts => {
                let dialog = dialog.set_title("Merge parts from other computers");
                self.wait_for(what, dialog.pick_folders(), many);
            }
            Ask::Project => {
                let dialog = dialog.set_title("Open a project");
                self.wait_for(what, dialog.pick_folder(), one);
            }
            Ask::ProjectsFolder => {
                let dialog = dialog.set_title("Choose where to create the project");
                self.wait_for(what, dialog.pick_folder(), one);
            }
            Ask::Predict => {
                let dialog = media_only(dialog).set_title("Predict on videos and photos");
                self.wait_for(what, dialog.pick_files(), many);
            }
            Ask::SaveTimelines => {
                let dialog = dialog
                    .set_title("Write the probabilities of all images")
                    .set_file_name("probabilities.csv");
                self.wait_for(what, dialog.save_file(), one);
            }
            Ask::ExportFolder => {
                let dialog = dialog.set_title("Choose where to write the export");
                self.wait_for(what, dialog.pick_folder(), one);
            }
            Ask::MakeModel => {
                let dialog = dialog.set_title("Choose a folder with one subfolder per class");
                self.wait_for(what, dialog.pick_folder(), one);
            }
            Ask::Architecture => {
                let dialog = dialog
                    .set_title("Add an architecture")
                    .add_filter("Networks (ONNX)", &["onnx", "ONNX"])
                    .add_filter("All files", &["*"]);
                self.wait_for(what, dialog.pick_file(), one);
            }
            Ask::Figure(ref metric, format) => {
                let dialog = dialog
                    .set_title("Save the plot")
                    .set_file_name(format!("{}.{}", metric.file_stem(), format.extension()))
                    .add_filter(format.title(), &[format.extension()]);
                self.wait_for(what, dialog.save_file(), one);
            }
            Ask::Locate(_) => {
                let dialog = dialog.set_title("Where is the video now?");
                self.wait_for(what, dialog.pick_file(), one);
            }
        }
    }

    fn wait_for<T: 'static>(
        &mut self,
        what: Ask,
        answer: impl Future<Output = Option<T>> + Send + 'static,
        paths: fn(T) -> Vec<PathBuf>,
    ) {
        self.tasks.start_for_window(
            Lane::Free,
            "Asking for files",
            true,
            move |_| {
                let asked = Instant::now();
                Ok::<_, Cancelled>(match pollster::block_on(answer) {
                    Some(answer) => DialogAnswer::Paths(paths(answer)),
                    None if asked.elapsed() < TOO_FAST => DialogAnswer::NoDialog,
                    None => DialogAnswer::Nothing,
                })
            },
            move |app, result| match result {
                Ok(DialogAnswer::Paths(paths)) => app.answered(what, paths),
                Ok(DialogAnswer::Nothing) => {}
                Ok(DialogAnswer::NoDialog) | Err(_) => {
                    app.ask_for_path(
                        &what,
                        Some("Your system did not show a file dialog; type the path instead."),
                    );
                }
            },
        );
    }

    pub(super) fn answered(&mut self, what: Ask, paths: Vec<PathBuf>) {
        let Some(first) = paths.first().cloned() else {
            return;
        };
        match what {
            Ask::Files | Ask::Folder => self.add_paths(paths),
            Ask::Parts => self.apply_import(ImportAction::Merge(paths, false)),
            Ask::Project => self.open_project(first, Vec::new()),
            Ask::ProjectsFolder => {
                if let Some(Dialog::NewProject { folder, .. }) = &mut self.dialog {
                    *folder = first.to_string_lossy().into_owned();
                }
            }
            Ask::Locate(id) => self.apply_import(ImportAction::Locate(id, first)),
            Ask::MakeModel => self.apply_make(MakeAction::Offer(paths)),
            Ask::Architecture => {
                self.apply_architecture(ArchitectureAction::Offer(first));
            }
            Ask::Predict => self.apply_evaluate(EvaluateAction::Predict(paths)),
            Ask::SaveTimelines => self.apply_evaluate(EvaluateAction::SaveTimelines(first)),
            Ask::ExportFolder => self.apply_export(ExportAction::Dir(Some(first))),
            // The system has already asked whether to replace an existing file.
            Ask::Figure(metric, format) => {
                self.apply_train(TrainAction::SaveFigure(metric, format, first, true));
            }
        }
    }

    /// Asks for a path to be typed.
    pub(super) fn ask_for_path(&mut self, what: &Ask, why: Option<&'static str>) {
        let purpose = match what {
            Ask::Files | Ask::Folder => PathPurpose::AddFiles,
            Ask::Parts => PathPurpose::MergeParts,
            Ask::Project => PathPurpose::OpenProject,
            Ask::Locate(id) => PathPurpose::Locate(id.clone()),
            Ask::Predict => PathPurpose::Predict,
            Ask::SaveTimelines => PathPurpose::SaveTimelines,
            Ask::ExportFolder => PathPurpose::ExportFolder,
            Ask::MakeModel => PathPurpose::MakeModel,
            Ask::Architecture => PathPurpose::AddArchitecture,
            Ask::Figure(metric, format) => PathPurpose::SaveFigure(metric.clone(), *format),
            // Its dialog already has a text field.
            Ask::ProjectsFolder => return,
        };
        self.dialog = Some(Dialog::Path {
            purpose,
            text: String::new(),
            why,
        });
    }
}

/// Offers image and video files first. The extensions are only a hint: all files can be chosen too.
fn media_only(dialog: AsyncFileDialog) -> AsyncFileDialog {
    let mut extensions: Vec<String> = Vec::new();
    for extension in Kind::media_extensions() {
        // If file names are case-sensitive, patterns are too, and cameras use upper case.
        extensions.push(extension.to_owned());
        extensions.push(extension.to_ascii_uppercase());
    }
    dialog
        .add_filter("Videos and photos", &extensions)
        .add_filter("All files", &["*"])
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "has the shape of `many`, so that both fit one parameter"
)]
fn one(file: FileHandle) -> Vec<PathBuf> {
    vec![file.path().to_owned()]
}

fn many(files: Vec<FileHandle>) -> Vec<PathBuf> {
    files
        .into_iter()
        .map(|file| file.path().to_owned())
        .collect()
}
