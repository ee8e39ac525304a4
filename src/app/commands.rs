//! Executing commands: their effect in the current workspace.

use super::import::Bulk;
use super::{
    Action, App, Ask, Command, Dialog, EvaluateAction, ExportAction, ImportAction, LabelAction,
    NewClassThen, PhoneAction, Session, SweepAction, ThemeChoice, TrainAction, Workspace,
};

impl App {
    /// Executes a command if it is enabled.
    pub(super) fn command(&mut self, command: Command) {
        if !command.is_enabled(self) {
            return;
        }
        match command {
            Command::NewProject => self.ask_new_project(Vec::new()),
            Command::OpenProject => self.ask(Ask::Project),
            Command::OpenByPath => self.ask_for_path(&Ask::Project, None),
            Command::MakeModel => self.ask(Ask::MakeModel),
            Command::TrySample => self.try_sample(),
            Command::CloseProject => self.close_project(),
            Command::RevealProject => self.reveal_project(),
            Command::GoImport => self.workspace = Workspace::Import,
            Command::GoLabel => self.workspace = Workspace::Label,
            Command::GoTrain => self.workspace = Workspace::Train,
            Command::GoEvaluate => self.workspace = Workspace::Evaluate,
            Command::GoExport => self.workspace = Workspace::Export,
            Command::AddFiles => self.ask(Ask::Files),
            Command::AddFolder => self.ask(Ask::Folder),
            Command::MergeParts => self.ask(Ask::Parts),
            Command::AddArchitecture => self.ask(Ask::Architecture),
            Command::Sweep => {
                self.apply(Action::Go(Workspace::Train));
                self.apply_sweep(SweepAction::Ask);
            }
            Command::AddByPath => self.ask_for_path(&Ask::Files, None),
            Command::ExtractAll => {
                if let Some(session) = &self.session {
                    let ids = session
                        .sources
                        .iter()
                        .filter(|source| session.is_unextracted(source))
                        .map(|source| source.id.clone())
                        .collect();
                    self.apply_import(ImportAction::Extract(ids));
                }
            }
            Command::LastImport => self.show_last_import(),
            Command::Rescan => self.focused(),
            Command::NewClass => {
                self.dialog = Some(Dialog::NewClass {
                    name: String::new(),
                    then: NewClassThen::Nothing,
                });
            }
            Command::ExtractAgain => {
                let ids = self.session.as_ref().map(Session::outdated);
                self.apply_import(ImportAction::Extract(ids.unwrap_or_default()));
            }
            Command::SelectAll if self.workspace == Workspace::Import => {
                self.apply_import(ImportAction::Select(Bulk::All));
            }
            Command::SelectAll if self.workspace == Workspace::Evaluate => {
                self.apply_evaluate(EvaluateAction::PickFiles(true));
            }
            Command::SelectAll => {
                if let Some(session) = &mut self.session {
                    let all = (0..session.label.shown.len())
                        .filter_map(|place| session.shown_path(place))
                        .map(str::to_owned)
                        .collect();
                    session.label.selection = std::sync::Arc::new(all);
                }
            }
            Command::SelectNone => {
                if let Some(session) = &mut self.session {
                    match self.workspace {
                        Workspace::Import => session.import.selected.clear(),
                        Workspace::Evaluate if session.evaluate.shows_files => {
                            session.evaluate.files_selected.clear();
                        }
                        Workspace::Evaluate => session.evaluate.selection.clear(),
                        _ => session.label.selection = std::sync::Arc::default(),
                    }
                }
            }
            Command::TrashSelected if self.workspace == Workspace::Evaluate => {
                self.apply_evaluate(EvaluateAction::Trash);
            }
            Command::TrashSelected => self.trash_selected(),
            Command::RestoreSelected => {
                let frames = self.session.as_ref().map(Session::selected_paths);
                self.apply_label(LabelAction::Restore(frames.unwrap_or_default()));
            }
            Command::Find => self.find(),
            Command::LabelByName => {
                self.dialog = Some(Dialog::LabelAs {
                    text: String::new(),
                    chosen: 0,
                    frames: self.chosen_frames(),
                });
            }
            Command::EmptyTrash => self.ask_empty_trash(),
            Command::HeatMap => self.apply_evaluate(EvaluateAction::Heat),
            Command::Preview if self.workspace == Workspace::Evaluate => {
                let state = self.session.as_ref().map(|session| &session.evaluate);
                let film = state.filter(|state| state.shows_files);
                let film = film.and_then(|state| state.player.as_ref());
                self.apply_evaluate(match film {
                    Some(player) => EvaluateAction::Play(!player.is_playing()),
                    None => EvaluateAction::Enlarge,
                });
            }
            Command::Preview => {
                if let Some(session) = &mut self.session {
                    session.label.preview = !session.label.preview;
                }
            }
            Command::LargerThumbs => {
                self.apply(Action::SetThumbWidth(self.prefs.thumb_width * 1.2));
            }
            Command::SmallerThumbs => {
                self.apply(Action::SetThumbWidth(self.prefs.thumb_width / 1.2));
            }
            Command::Undo => self.undo(),
            Command::Redo => self.redo(),
            Command::StartTraining => {
                self.workspace = Workspace::Train;
                self.apply_train(TrainAction::Start);
            }
            Command::ExtendTraining => {
                let run = self.session.as_ref().and_then(Session::extendable);
                if let Some(id) = run.map(|entry| entry.run.id.clone()) {
                    self.workspace = Workspace::Train;
                    self.apply_train(TrainAction::AskExtend(id));
                }
            }
            Command::StopTraining => self.apply_train(TrainAction::StopAndKeep),
            Command::ExportModel => {
                self.workspace = Workspace::Export;
                self.apply_export(ExportAction::Start);
            }
            Command::TryOnPhone => {
                let run = self.session.as_ref().and_then(Session::phone_run);
                if let Some(run) = run {
                    self.apply_phone(PhoneAction::Try(run));
                }
            }
            Command::CancelTask => {
                let id = self.tasks.running().iter().find(|task| task.is_shown());
                if let Some(id) = id.map(|task| task.id) {
                    self.cancel_task(id);
                }
            }
            Command::Palette => self.palette = !self.palette,
            Command::ToggleTheme => {
                let theme = if self.ctx.theme() == egui::Theme::Dark {
                    ThemeChoice::Light
                } else {
                    ThemeChoice::Dark
                };
                self.apply(Action::SetTheme(theme));
            }
            Command::SystemTheme => self.apply(Action::SetTheme(ThemeChoice::System)),
            Command::Shortcuts => self.dialog = Some(Dialog::Shortcuts),
            Command::Quit => self.ask_to_quit(),
        }
    }

    /// Opens the label workspace with the search field.
    fn find(&mut self) {
        if let Some(session) = &mut self.session {
            self.workspace = Workspace::Label;
            session.label.preview = false;
            session.label.find.get_or_insert_default();
            session.label.find_asked += 1;
        }
    }
}
