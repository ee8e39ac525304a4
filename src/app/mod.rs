//! The state of the window and the actions on it; paints nothing.
//!
//! `ui/` reads [`App`] and emits [`Action`]s; here they are applied, background work is started, and its results are
//! received. Whatever can take more than 4 ms is a task ([`Tasks`]) or a request to a pool.

mod ask;
mod command;
mod commands;
mod dialog;
mod edit;
mod edit_effect;
mod evaluate;
mod export;
mod images;
mod import;
mod label;
mod make;
mod notes;
mod place;
mod pool;
mod prefs;
mod presence;
mod sample;
mod session;
mod snapshot;
mod tasks;
mod train;
mod trash;
mod watch;
pub mod words;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Instant;

use egui::Context;

use crate::project::{Label, Noun, Trash};

pub use ask::Ask;
pub use command::Command;
pub use dialog::{Dialog, NewClassThen, PathPurpose};
pub use evaluate::{
    Compared, EvaluateAction, EvaluateState, FilePrediction, FilePredictions, Found, FrameNow,
    Heat, HeatClass, HeatLayer, HeatMaps, Measurement, Measurements, NEAREST, Near, Nearest,
    NearestImages, Player, Playing,
};
pub use export::{
    ExportAction, ExportFailure, ExportState, PhoneAction, PhoneState, PhoneTrial, Served,
};
pub use images::{ImageKey, ImageState, Images, THUMB_PX};
pub use import::{
    AgainOptions, Batch, Bulk, ClassRule, FateFilter, Hours, ImportAction, ImportState, PlanAnswer,
    Previews, STRIP_FRAMES, Strip, expected_frames,
};
pub use label::{
    CursorMove, GridSection, LabelAction, LabelState, Pick, Show, class_key, contains_word,
};
pub use make::{MakeAction, MakeEnd, Making};
pub use notes::{Note, Notes, Tone};
pub use place::{Place, ProjectSite};
pub use prefs::{Prefs, ThemeChoice, WindowPlace, config_dir, default_projects_dir};
pub use session::Session;
pub use snapshot::{Counts, Snapshot, file_name, image_name};
pub use tasks::{Lane, Task, TaskId, Tasks};
pub use train::{
    Adding, ArchitectureAction, Axis, Basis, Budget, CellTable, CurveView, DepthState, Extension,
    Figure, FigureCurve, FigureError, FigureFormat, FoundNetwork, Line, LineStretch, LineValue,
    Live, Metric, MetricSide, Points, Readiness, RunCell, RunColumn, RunEntry, RunFilter, RunRow,
    RunTable, SweepAction, SweepCells, SweepDraft, SweepEntry, SweepEstimate, SweepLive,
    SweepState, TrainAction, TrainState, axes,
};

/// The five steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Workspace {
    /// Import videos and photos.
    #[default]
    Import,
    /// Sort frames into classes.
    Label,
    /// Train.
    Train,
    /// Evaluate.
    Evaluate,
    /// Export for other programs.
    Export,
}

/// How the window is opened.
#[derive(Debug, Clone, Default)]
pub struct WindowOptions {
    /// The folder for the settings of the app itself; `None` stores none.
    pub config_dir: Option<PathBuf>,
    /// What to open at the start: a project's folder, or files to import.
    pub open: Vec<PathBuf>,
    /// Whether the system's file dialogs may be used; otherwise paths are typed.
    pub system_dialogs: bool,
}

/// An action of the user; applied at the end of the frame.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Runs a command.
    Command(Command),
    /// Empties the trash if it still has the content that the user confirmed.
    EmptyTrash(Trash),
    /// Opens a step.
    Go(Workspace),
    /// Opens the project in a folder.
    OpenProject(PathBuf),
    /// Opens the project in a folder read-only, because another process has it open.
    OpenReadOnly(PathBuf),
    /// Allows the videos of the project to be opened, now and in future.
    OpenVideos,
    /// Opens a project and follows its class folders that are links, now and in future.
    FollowLinks(PathBuf),
    /// Opens the project in a folder and adds files to it.
    OpenAndAdd(PathBuf, Vec<PathBuf>),
    /// Checks a folder in which a project is to be created.
    CheckPlace(PathBuf),
    /// Creates a project in a folder, and adds files.
    CreateProject {
        /// The project's folder.
        root: PathBuf,
        /// Its name.
        name: String,
        /// What is added to it.
        files: Vec<PathBuf>,
    },
    /// Removes a folder from the list of recent projects.
    ForgetRecent(PathBuf),
    /// Files were dropped on the window.
    Dropped(Vec<PathBuf>),
    /// Files were dropped on the row of a label; they get this label.
    DroppedOn(Vec<PathBuf>, Label),
    /// Shows one of the system's file dialogs.
    Ask(Ask),
    /// Shows a dialog.
    Open(Dialog),
    /// Sets the theme.
    SetTheme(ThemeChoice),
    /// Sets the width of thumbnails in the grid, points.
    SetThumbWidth(f32),
    /// Cancels a task.
    CancelTask(TaskId),
    /// Pauses or resumes a task.
    PauseTask(TaskId, bool),
    /// Dismisses a notification.
    Dismiss(u64),
    /// Quits without asking: cancels, waits, saves.
    QuitNow,
    /// Undoes the last change without asking.
    UndoNow,
    /// Labels what is selected in the current workspace.
    Assign(Label),
    /// An action of making a model in one go.
    Make(MakeAction),
    /// An action of adding an architecture.
    Architecture(ArchitectureAction),
    /// An action of the import workspace.
    Import(ImportAction),
    /// An action of the label workspace.
    Label(LabelAction),
    /// An action of the train workspace.
    Train(TrainAction),
    /// An action on sweeps.
    Sweep(SweepAction),
    /// An action of the evaluate workspace.
    Evaluate(EvaluateAction),
    /// An action of the export workspace.
    Export(ExportAction),
    /// An action of trying a model on a phone.
    Phone(PhoneAction),
}

/// Whether the window is about to close.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Quitting {
    No,
    /// Everything is cancelled; waits for it to end.
    Waiting,
    /// The window may close now.
    Now,
}

/// The state of the window.
#[allow(
    clippy::struct_excessive_bools,
    reason = "they are independent of each other"
)]
pub struct App {
    /// egui's context, to ask for repaints and to load textures.
    pub ctx: Context,
    /// How the window was opened.
    pub options: WindowOptions,
    /// The settings of the app itself.
    pub prefs: Prefs,
    /// The recent projects that still exist.
    pub recent_present: HashSet<PathBuf>,
    recent_check: Option<TaskId>,
    /// The current step.
    pub workspace: Workspace,
    /// The open project.
    pub session: Option<Session>,
    /// Whether a project is being opened.
    pub opening: bool,
    /// The model that is being made in one go, or was just made.
    pub making: Option<Making>,
    /// The architecture that is being added.
    pub adding: Option<Adding>,
    /// The check of the folder for a new project.
    pub place: Place,
    /// Background work.
    pub tasks: Tasks,
    /// Notifications.
    pub notes: Notes,
    /// The dialog that is shown.
    pub dialog: Option<Dialog>,
    /// Whether the command palette is shown.
    pub palette: bool,
    unsaved_prefs: Option<Instant>,
    refreshing: bool,
    refresh_again: bool,
    scans: u64,
    /// Changes from outside cause no scan before this time.
    rest_until: Instant,
    /// The step to show when a project that came back is open.
    return_to: Option<Workspace>,
    quitting: Quitting,
}

impl App {
    /// The state of a window that opens now.
    #[must_use]
    pub fn new(ctx: &Context, options: WindowOptions) -> Self {
        let prefs = options
            .config_dir
            .as_deref()
            .map(Prefs::load)
            .unwrap_or_default();
        let present = prefs.recent.iter().cloned().collect();
        let mut app = Self {
            ctx: ctx.clone(),
            prefs,
            // Until they are checked, they are shown as present, so that the list does not flicker.
            recent_present: present,
            recent_check: None,
            workspace: Workspace::Import,
            session: None,
            opening: false,
            making: None,
            adding: None,
            place: Place::default(),
            tasks: Tasks::new(ctx.clone()),
            notes: Notes::default(),
            dialog: None,
            palette: false,
            unsaved_prefs: None,
            refreshing: false,
            refresh_again: false,
            scans: 0,
            rest_until: Instant::now(),
            return_to: None,
            quitting: Quitting::No,
            options,
        };
        app.show_theme();
        app.check_recent();
        let open = std::mem::take(&mut app.options.open);
        if !open.is_empty() {
            app.add_paths(open);
        }
        app
    }

    /// Receives the results of background work. To be called once per frame, before painting.
    pub fn logic(&mut self) {
        self.drain_tasks();
        if let Some(next) = self.notes.tidy() {
            self.ctx.request_repaint_after(next);
        }
        self.save_import_settings(false);
        self.save_settled_prefs(false);
        self.save_train_settings(false);
        self.take_curves();
        self.follow_sweep();
        self.measure_depths();
        self.follow_watch();
        self.close_phone();
        self.follow_player();
        self.close_adding();
        if let Some(session) = &self.session {
            session.images.begin_frame();
            session.previews.begin_frame();
            session.heat.begin_frame();
            session.nearest.begin_frame();
        }
        if self.quitting == Quitting::Waiting && self.tasks.is_idle() {
            self.quitting = Quitting::Now;
        }
    }

    /// The window got the focus: files may have been moved by hand in the meantime.
    pub fn focused(&mut self) {
        if let Some(session) = &mut self.session {
            session.images.retry_failed();
            session.export.forget();
        }
        self.refresh();
        self.load_runs();
    }

    /// Applies an action of the user.
    pub fn apply(&mut self, action: Action) {
        let Some(action) = self.or_later(action) else {
            return;
        };
        match action {
            Action::Command(command) => self.command(command),
            Action::Go(workspace) => self.workspace = workspace,
            Action::OpenProject(root) => self.open_project(root, Vec::new()),
            Action::OpenReadOnly(root) => self.open_read_only(root),
            Action::OpenVideos => self.open_videos(),
            Action::FollowLinks(root) => self.follow_links(root),
            Action::OpenAndAdd(root, files) => self.open_project(root, files),
            Action::CheckPlace(root) => self.check_place(root),
            Action::CreateProject { root, name, files } => {
                if let Some(parent) = root.parent()
                    && parent != default_projects_dir()
                {
                    self.prefs.projects_dir = Some(parent.to_owned());
                }
                self.create_project(root, name, files);
            }
            Action::ForgetRecent(root) => {
                self.prefs.recent.retain(|known| *known != root);
                self.save_prefs();
            }
            Action::Dropped(paths) => {
                let paths = self.take_networks(paths);
                let paths = self.take_parts(paths);
                if paths.is_empty() {
                    return;
                }
                if self.predicts_drops() {
                    self.apply_evaluate(EvaluateAction::Predict(paths));
                } else {
                    self.add_paths(paths);
                }
            }
            Action::DroppedOn(paths, label) => {
                let paths = self.take_networks(paths);
                if !paths.is_empty() {
                    self.add_paths_to(paths, label);
                }
            }
            Action::Ask(what) => self.ask(what),
            Action::Open(dialog) => self.dialog = Some(dialog),
            Action::SetTheme(theme) => {
                self.prefs.theme = theme;
                self.show_theme();
                self.save_prefs();
            }
            Action::SetThumbWidth(width) => {
                self.prefs.thumb_width = width.clamp(72.0, 288.0);
                self.save_prefs_soon();
            }
            Action::CancelTask(id) => self.cancel_task(id),
            Action::PauseTask(id, paused) => self.tasks.set_paused(id, paused),
            Action::Dismiss(id) => self.notes.dismiss(id),
            Action::UndoNow => self.undo_now(),
            Action::QuitNow => {
                self.save_import_settings(true);
                self.save_settled_prefs(true);
                self.save_train_settings(true);
                self.tasks.cancel_all();
                self.quitting = Quitting::Waiting;
            }
            Action::EmptyTrash(found) => self.empty_trash(found),
            Action::Assign(label) => match self.workspace {
                // Predictions on files are added to the project with the class; they have no label to remove.
                Workspace::Evaluate if self.shows_files() => {
                    if let Label::Class(class) = label {
                        self.apply_evaluate(EvaluateAction::Adopt(Some(class)));
                    }
                }
                Workspace::Evaluate => self.apply_evaluate(EvaluateAction::Assign(label)),
                _ => self.apply_label(LabelAction::Assign(label)),
            },
            Action::Make(action) => self.apply_make(action),
            Action::Architecture(action) => self.apply_architecture(action),
            Action::Import(action) => self.apply_import(action),
            Action::Label(action) => self.apply_label(action),
            Action::Train(action) => self.apply_train(action),
            Action::Sweep(action) => self.apply_sweep(action),
            Action::Evaluate(action) => self.apply_evaluate(action),
            Action::Export(action) => self.apply_export(action),
            Action::Phone(action) => self.apply_phone(action),
        }
    }

    /// The noun for the images of the open project.
    #[must_use]
    pub fn noun(&self) -> Noun {
        self.session.as_ref().map_or(Noun::Image, Session::noun)
    }

    /// Whether Evaluate shows predictions on files.
    fn shows_files(&self) -> bool {
        let session = self.session.as_ref();
        session.is_some_and(|session| session.evaluate.shows_files)
    }

    /// The number of frames of the project, or predictions on files, that are selected in the current workspace: a
    /// class key labels these.
    #[must_use]
    pub fn chosen_frames(&self) -> usize {
        self.session
            .as_ref()
            .map_or(0, |session| match self.workspace {
                Workspace::Label => session.label.selection.len(),
                Workspace::Evaluate if session.evaluate.shows_files => {
                    session.evaluate.files_selected.len()
                }
                Workspace::Evaluate => session.evaluate.chosen().len(),
                Workspace::Import | Workspace::Train | Workspace::Export => 0,
            })
    }

    /// Adds a notification that something failed.
    pub fn fail(&mut self, text: impl Into<String>) -> &mut Note {
        self.notes.add(Tone::Error, text)
    }

    /// Cancels a task; for an extraction, also those that wait for it.
    fn cancel_task(&mut self, id: TaskId) {
        self.tasks.cancel(id);
        if let Some(session) = &mut self.session
            && session.import.extracting.values().any(|task| *task == id)
        {
            for task in session.import.extracting.values() {
                self.tasks.cancel(*task);
            }
            let tasks = &self.tasks;
            session
                .import
                .extracting
                .retain(|_, task| tasks.is_alive(*task));
            session.import.settle_batch();
        }
    }

    fn ask_new_project(&mut self, files: Vec<PathBuf>) {
        self.place.forget();
        let name = files
            .first()
            .filter(|path| path.is_dir())
            .and_then(|path| path.file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        self.dialog = Some(Dialog::NewProject {
            name,
            folder: self.projects_dir().to_string_lossy().into_owned(),
            files,
        });
    }

    /// The folder for new projects.
    fn projects_dir(&self) -> PathBuf {
        self.prefs
            .projects_dir
            .clone()
            .unwrap_or_else(default_projects_dir)
    }

    fn reveal_project(&mut self) {
        if let Some(root) = self.session.as_ref().map(|session| session.root.clone()) {
            self.reveal(root);
        }
    }

    /// Shows a folder in the file manager.
    fn reveal(&mut self, folder: PathBuf) {
        self.tasks.start_for_window(
            Lane::Free,
            "Opening the file manager",
            true,
            move |_| open::that_detached(folder),
            |app, result| {
                if let Err(error) = result {
                    app.fail(format!("The file manager could not be opened: {error}"));
                }
            },
        );
    }

    fn show_theme(&self) {
        self.ctx.set_theme(match self.prefs.theme {
            ThemeChoice::System => egui::ThemePreference::System,
            ThemeChoice::Dark => egui::ThemePreference::Dark,
            ThemeChoice::Light => egui::ThemePreference::Light,
        });
    }

    /// The user wants to close the window: asks first when a job runs.
    pub fn ask_to_quit(&mut self) {
        if self.quitting == Quitting::No {
            if self.tasks.holds_up_quitting() {
                self.dialog = Some(Dialog::Quit);
            } else {
                self.apply(Action::QuitNow);
            }
        }
    }

    /// Whether the window may close now.
    #[must_use]
    pub fn may_close(&self) -> bool {
        self.quitting == Quitting::Now
    }

    /// Whether the window waits for jobs to end before it closes.
    #[must_use]
    pub fn is_quitting(&self) -> bool {
        self.quitting != Quitting::No
    }
}
