//! Every command of the window, with its text, tooltip and shortcut, for the menu, the palette, the keys and the
//! buttons.

use std::borrow::Cow;

use egui::{Key, KeyboardShortcut, Modifiers};

use super::words::Noun;
use super::{App, Lane, Workspace};

macro_rules! commands {
    ($($command:ident,)+) => {
        /// A command of the user.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(
            missing_docs,
            reason = "each command's text and tooltip below say what it does"
        )]
        pub enum Command {
            $($command,)+
        }

        impl Command {
            /// All commands, in the order of the palette.
            pub const ALL: [Self; [$(Self::$command),+].len()] = [$(Self::$command),+];
        }
    };
}

// In the order of the palette.
commands! {
    AddFiles,
    AddFolder,
    AddByPath,
    MergeParts,
    ExtractAll,
    ExtractAgain,
    LastImport,
    StartTraining,
    ExtendTraining,
    StopTraining,
    Sweep,
    ExportModel,
    TryOnPhone,
    AddArchitecture,
    NewClass,
    SelectAll,
    SelectNone,
    LabelByName,
    TrashSelected,
    RestoreSelected,
    Find,
    Preview,
    HeatMap,
    LargerThumbs,
    SmallerThumbs,
    Undo,
    Redo,
    GoImport,
    GoLabel,
    GoTrain,
    GoEvaluate,
    GoExport,
    NewProject,
    OpenProject,
    OpenByPath,
    MakeModel,
    TrySample,
    RevealProject,
    Rescan,
    EmptyTrash,
    CloseProject,
    CancelTask,
    ToggleTheme,
    SystemTheme,
    Shortcuts,
    Palette,
    Quit,
}

const NONE: Modifiers = Modifiers::NONE;
const CTRL: Modifiers = Modifiers::COMMAND;
const CTRL_SHIFT: Modifiers = Modifiers::COMMAND.plus(Modifiers::SHIFT);

impl Command {
    /// Its name on buttons, in menus and in the palette, with this noun for images.
    #[must_use]
    pub fn text(self, noun: Noun) -> Cow<'static, str> {
        noun.fill(self.template())
    }

    /// Its effect in one sentence, with this noun for images.
    #[must_use]
    pub fn tooltip(self, noun: Noun) -> Cow<'static, str> {
        noun.fill(self.tooltip_template())
    }

    /// Its name, for [`Noun::fill`].
    fn template(self) -> &'static str {
        match self {
            Self::NewProject => "New project…",
            Self::OpenProject => "Open project…",
            Self::OpenByPath => "Open project by path…",
            Self::MakeModel => "Make a model from a folder…",
            Self::TrySample => "Try the sample",
            Self::CloseProject => "Close project",
            Self::RevealProject => "Show project folder",
            Self::GoImport => "Go to Import",
            Self::GoLabel => "Go to Label",
            Self::GoTrain => "Go to Train",
            Self::GoEvaluate => "Go to Evaluate",
            Self::GoExport => "Go to Export",
            Self::AddFiles => "Add files…",
            Self::AddFolder => "Add folder…",
            Self::AddByPath => "Add files by path…",
            Self::MergeParts => "Merge parts…",
            Self::ExtractAll => "Extract all frames",
            Self::ExtractAgain => "Extract all again…",
            Self::LastImport => "Last import…",
            Self::StartTraining => "Start training",
            Self::ExtendTraining => "Train the run further…",
            Self::StopTraining => "Stop training and keep the best",
            Self::Sweep => "Sweep over settings…",
            Self::ExportModel => "Export the model",
            Self::TryOnPhone => "Try the model on your phone…",
            Self::AddArchitecture => "Add architecture…",
            Self::Rescan => "Read folders again",
            Self::NewClass => "New class…",
            Self::SelectAll => "Select all {images}",
            Self::SelectNone => "Select nothing",
            Self::TrashSelected => "Move selected {images} to trash",
            Self::RestoreSelected => "Restore selected {images}",
            Self::EmptyTrash => "Empty the trash…",
            Self::Find => "Find {images} by name",
            Self::LabelByName => "Label by the class’s name…",
            Self::Preview => "Preview {image}",
            Self::HeatMap => "Heat map",
            Self::LargerThumbs => "Larger thumbnails",
            Self::SmallerThumbs => "Smaller thumbnails",
            Self::Undo => "Undo",
            Self::Redo => "Redo",
            Self::CancelTask => "Cancel what is running",
            Self::Palette => "Search or run a command",
            Self::ToggleTheme => "Switch between dark and light",
            Self::SystemTheme => "Use the system's theme",
            Self::Shortcuts => "Keyboard shortcuts",
            Self::Quit => "Quit",
        }
    }

    /// Its effect, for [`Noun::fill`].
    fn tooltip_template(self) -> &'static str {
        match self {
            Self::NewProject => "Create a new, empty project in a folder of your choice",
            Self::OpenProject => "Open a project by choosing its folder",
            Self::OpenByPath => "Open a project by typing the path of its folder",
            Self::MakeModel => {
                "Import, train, evaluate and export in one go, from a folder with one subfolder per class"
            }
            Self::TrySample => "Create a project from the sample videos and explore it",
            Self::CloseProject => "Close the project and go back to the start screen",
            Self::RevealProject => "Show the project's folder in the file manager",
            Self::GoImport => "Import videos and photos, and choose which frames to extract",
            Self::GoLabel => "Sort the {images} into classes",
            Self::GoTrain => "Train a classifier on the labelled {images}",
            Self::GoEvaluate => "See how accurate it is on {images} it has never seen",
            Self::GoExport => "Export models that run on a phone",
            Self::AddFiles => "Choose videos and photos to import",
            Self::AddFolder => "Choose a folder and import every video and photo in it",
            Self::AddByPath => "Import files and folders by typing their paths",
            Self::MergeParts => "Merge what other computers extracted into the project",
            Self::ExtractAll => "Extract the frames of every video that has none yet",
            Self::ExtractAgain => {
                "Extract frames again, with the current settings, from every video that was extracted with different ones; asks what to do with the old frames"
            }
            Self::LastImport => "Show what happened to each file in the last import",
            Self::StartTraining => {
                "Train on the labelled {images} with the settings of the Train step"
            }
            Self::ExtendTraining => "Add steps to the run whose curves are shown",
            Self::StopTraining => "End the training now and keep the best weights so far",
            Self::Sweep => {
                "Train once for each combination of architectures, depths and settings, and compare accuracy and cost"
            }
            Self::ExportModel => "Export the newest run, or the chosen one, and verify the files",
            Self::TryOnPhone => {
                "Show a QR code that opens the model’s page on a phone in the same network"
            }
            Self::AddArchitecture => {
                "Add a classifier from an ONNX file to the project, to train it like the built-in ones"
            }
            Self::Rescan => "Read the class folders again, in case files were moved by hand",
            Self::NewClass => "Add a class",
            Self::SelectAll => "Select all {images} shown",
            Self::SelectNone => "Clear the selection",
            Self::TrashSelected => "Move the selected {images} to the project's trash",
            Self::RestoreSelected => {
                "Restore the selected {images} from the trash, with their labels"
            }
            Self::Find => "Show only {images} whose source, file or class name contains a word",
            Self::LabelByName => "Label the selected {images} by typing part of a class’s name",
            Self::EmptyTrash => {
                "Permanently delete removed {images} and runs; says how much first and asks"
            }
            Self::Preview => "View the {image} in full size",
            Self::HeatMap => "Show over the {image} what speaks for the class and what against it",
            Self::LargerThumbs => "Show fewer, larger thumbnails",
            Self::SmallerThumbs => "Show more, smaller thumbnails",
            Self::Undo => "Undo the last change",
            Self::Redo => "Redo the change that was undone",
            Self::CancelTask => "Cancel the running job; finished work is kept",
            Self::Palette => "Find a command by typing part of its name",
            Self::ToggleTheme => "Switch between the dark and the light theme",
            Self::SystemTheme => "Follow the system’s dark or light theme",
            Self::Shortcuts => "Show all keyboard shortcuts",
            Self::Quit => "Close the window; asks first if a job is running",
        }
    }

    /// The default shortcut.
    #[must_use]
    pub fn shortcut(self) -> Option<KeyboardShortcut> {
        let (modifiers, key) = match self {
            Self::NewProject => (CTRL, Key::N),
            Self::OpenProject => (CTRL, Key::O),
            Self::CloseProject => (CTRL, Key::W),
            Self::GoImport => (CTRL, Key::Num1),
            Self::GoLabel => (CTRL, Key::Num2),
            Self::GoTrain => (CTRL, Key::Num3),
            Self::GoEvaluate => (CTRL, Key::Num4),
            Self::GoExport => (CTRL, Key::Num5),
            Self::AddFiles => (CTRL, Key::I),
            Self::AddFolder => (CTRL_SHIFT, Key::I),
            Self::ExtractAll => (CTRL, Key::E),
            Self::StartTraining => (CTRL, Key::T),
            Self::ExportModel => (CTRL_SHIFT, Key::E),
            Self::Rescan => (NONE, Key::F5),
            Self::NewClass => (CTRL_SHIFT, Key::N),
            Self::SelectAll => (CTRL, Key::A),
            Self::SelectNone => (CTRL_SHIFT, Key::A),
            Self::TrashSelected => (NONE, Key::Delete),
            Self::Find => (CTRL, Key::F),
            Self::LabelByName => (NONE, Key::L),
            Self::Preview => (NONE, Key::Space),
            Self::HeatMap => (NONE, Key::H),
            Self::LargerThumbs => (CTRL, Key::CloseBracket),
            Self::SmallerThumbs => (CTRL, Key::OpenBracket),
            Self::Undo => (CTRL, Key::Z),
            Self::Redo => (CTRL_SHIFT, Key::Z),
            Self::Palette => (CTRL, Key::K),
            Self::Shortcuts => (NONE, Key::F1),
            Self::Quit => (CTRL, Key::Q),
            Self::OpenByPath
            | Self::MakeModel
            | Self::TrySample
            | Self::RevealProject
            | Self::AddByPath
            | Self::MergeParts
            | Self::ExtractAgain
            | Self::LastImport
            | Self::RestoreSelected
            | Self::EmptyTrash
            | Self::ExtendTraining
            | Self::StopTraining
            | Self::Sweep
            | Self::TryOnPhone
            | Self::AddArchitecture
            | Self::CancelTask
            | Self::ToggleTheme
            | Self::SystemTheme => return None,
        };
        Some(KeyboardShortcut::new(modifiers, key))
    }

    /// A second, commonly known shortcut.
    #[must_use]
    pub fn other_shortcut(self) -> Option<KeyboardShortcut> {
        match self {
            Self::Redo => Some(KeyboardShortcut::new(CTRL, Key::Y)),
            Self::TrashSelected => Some(KeyboardShortcut::new(NONE, Key::Backspace)),
            Self::LabelByName => Some(KeyboardShortcut::new(NONE, Key::Slash)),
            Self::Palette => Some(KeyboardShortcut::new(CTRL, Key::P)),
            _ => None,
        }
    }

    /// Whether the shortcut is a plain key, which a focused widget handles first.
    #[must_use]
    pub fn is_plain_key(self) -> bool {
        self.shortcut()
            .is_some_and(|shortcut| shortcut.modifiers.is_none())
    }

    /// Whether it is possible now.
    #[must_use]
    pub fn is_enabled(self, app: &App) -> bool {
        let session = app.session.as_ref();
        let changeable = session.filter(|session| session.can_change());
        let labelling = app.workspace == Workspace::Label;
        match self {
            Self::NewProject
            | Self::OpenProject
            | Self::OpenByPath
            | Self::TrySample
            | Self::Palette
            | Self::ToggleTheme
            | Self::SystemTheme
            | Self::Shortcuts
            | Self::Quit => true,
            Self::MakeModel => session.is_none() && app.making.is_none(),
            Self::CloseProject
            | Self::RevealProject
            | Self::GoImport
            | Self::GoLabel
            | Self::GoTrain
            | Self::GoEvaluate
            | Self::GoExport
            | Self::Find
            | Self::Rescan => session.is_some(),
            Self::AddFiles
            | Self::AddFolder
            | Self::AddByPath
            | Self::MergeParts
            | Self::AddArchitecture
            | Self::EmptyTrash
            | Self::NewClass => changeable.is_some(),
            Self::LastImport => session.is_some_and(|session| session.import.outcome.is_some()),
            Self::ExtractAll => changeable.is_some_and(super::Session::has_unextracted),
            Self::ExtractAgain => changeable.is_some_and(super::Session::has_outdated),
            Self::StartTraining | Self::Sweep => changeable.is_some_and(|session| {
                session.train.live.is_none() && session.readiness() == super::Readiness::Ready
            }),
            Self::ExtendTraining => {
                changeable.is_some_and(|session| session.extendable().is_some())
            }
            Self::StopTraining => session.is_some_and(|session| {
                let live = session.train.live.as_ref();
                live.is_some_and(|live| !live.points.is_empty())
            }),
            Self::ExportModel => session.is_some_and(|session| {
                !session.missing && session.export.task.is_none() && session.export_run().is_some()
            }),
            Self::TryOnPhone => session.is_some_and(|session| session.phone_run().is_some()),
            Self::LargerThumbs | Self::SmallerThumbs => session.is_some() && labelling,
            Self::SelectAll => session.is_some_and(|session| match app.workspace {
                Workspace::Import | Workspace::Label => true,
                Workspace::Evaluate => session.evaluate.shows_files,
                Workspace::Train | Workspace::Export => false,
            }),
            Self::SelectNone => session.is_some_and(|session| match app.workspace {
                Workspace::Import => !session.import.selected.is_empty(),
                Workspace::Label => !session.label.selection.is_empty(),
                Workspace::Evaluate if session.evaluate.shows_files => {
                    !session.evaluate.files_selected.is_empty()
                }
                Workspace::Evaluate => !session.evaluate.selection.is_empty(),
                Workspace::Train | Workspace::Export => false,
            }),
            Self::TrashSelected => {
                let files = app.workspace == Workspace::Evaluate
                    && session.is_some_and(|session| session.evaluate.shows_files);
                changeable.is_some() && app.chosen_frames() > 0 && !files
            }
            Self::LabelByName => changeable.is_some() && app.chosen_frames() > 0,
            Self::RestoreSelected => {
                labelling
                    && changeable.is_some_and(|session| {
                        session.label.show == super::Show::Trash
                            && !session.label.selection.is_empty()
                    })
            }
            Self::Preview => session.is_some_and(|session| match app.workspace {
                Workspace::Label => session.label.cursor.is_some(),
                // The film in *Try it* plays.
                Workspace::Evaluate if session.evaluate.shows_files => {
                    session.evaluate.player.is_some()
                }
                Workspace::Evaluate => !session.evaluate.chosen().is_empty(),
                Workspace::Import | Workspace::Train | Workspace::Export => false,
            }),
            Self::HeatMap => session.is_some_and(|session| {
                app.workspace == Workspace::Evaluate && session.evaluate.can_show_heat()
            }),
            Self::Undo => changeable.is_some_and(super::session::Session::can_undo),
            Self::Redo => changeable.is_some_and(|session| session.redo_text().is_some()),
            Self::CancelTask => {
                app.tasks.is_busy(Lane::Extract)
                    || app.tasks.is_busy(Lane::Learn)
                    || app.tasks.holds_up_quitting()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_command_is_listed_once_and_no_shortcut_twice() {
        let all: HashSet<Command> = Command::ALL.into_iter().collect();
        assert_eq!(all.len(), Command::ALL.len());
        let shortcuts: Vec<KeyboardShortcut> = Command::ALL
            .into_iter()
            .flat_map(|command| [command.shortcut(), command.other_shortcut()])
            .flatten()
            .collect();
        for (index, shortcut) in shortcuts.iter().enumerate() {
            assert!(!shortcuts[..index].contains(shortcut), "{shortcut:?}");
        }
        for command in Command::ALL {
            for noun in [Noun::Frame, Noun::Photo, Noun::Image] {
                let (text, tip) = (command.text(noun), command.tooltip(noun));
                assert!(!text.is_empty() && !tip.ends_with('.'));
                assert!(!text.contains('{') && !tip.contains('{'), "{text}: {tip}");
            }
        }
    }
}
