//! Typing a path if the system has no file dialog.

use std::path::PathBuf;

use egui::{Key, Margin, Modifiers, RichText, TextEdit, Ui};

use super::{End, buttons_ui, confirmed, message_ui, title_ui, words_ui};
use crate::app::{
    Action, ArchitectureAction, EvaluateAction, ExportAction, ImportAction, MakeAction,
    PathPurpose, TrainAction, words,
};
use crate::ui::Cx;
use crate::ui::theme::tokens;
use crate::ui::widgets::{self, accent_button, button, field_label, text_field};

pub(super) fn path_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    purpose: &PathPurpose,
    text: &mut String,
    why: Option<&str>,
    fresh: bool,
) -> End {
    let t = tokens(ui);
    let (title, label, hint, go_label, many) = match purpose {
        PathPurpose::OpenProject => (
            "Open project",
            "The project’s folder",
            "/home/me/Documents/Salamander/Pets",
            "Open",
            false,
        ),
        PathPurpose::AddFiles => (
            "Add videos and photos",
            "Files or folders, one per line",
            "/home/me/Videos/cat\n/home/me/Videos/dog.mp4",
            "Add",
            true,
        ),
        PathPurpose::MergeParts => (
            "Merge parts from other computers",
            "Folders of parts, one per line",
            "/home/me/parts",
            "Merge",
            true,
        ),
        PathPurpose::Predict => (
            "Predict on videos and photos",
            "Files or folders, one per line",
            "/home/me/Videos/new.mp4",
            "Predict",
            true,
        ),
        PathPurpose::SaveTimelines => (
            "Write the probabilities of all images",
            "CSV file",
            "/home/me/Documents/probabilities.csv",
            "Write",
            false,
        ),
        PathPurpose::MakeModel => (
            "Make a model from a folder",
            "Folder with one subfolder per class",
            "/home/me/Videos/pets",
            "Continue",
            false,
        ),
        PathPurpose::ExportFolder => (
            "Export into another folder",
            "Folder; created if it does not exist",
            "/home/me/Documents/model",
            "Use it",
            false,
        ),
        PathPurpose::AddArchitecture => (
            "Add architecture",
            "ONNX file of a classifier",
            "/home/me/Downloads/resnet18.onnx",
            "Inspect it",
            false,
        ),
        PathPurpose::SaveFigure(..) => (
            "Save the plot",
            "File; an existing one is not replaced",
            "/home/me/Documents/accuracy.csv",
            "Save",
            false,
        ),
        PathPurpose::Locate(_) => (
            "Where is the video now?",
            "Path of the file",
            "/home/me/Videos/hallway.mp4",
            "Use it",
            false,
        ),
    };
    title_ui(ui, title);
    if let Some(why) = why {
        words_ui(ui, why);
    }
    field_label(ui, label);
    // If there are several paths, Return adds a line and Ctrl+Return confirms.
    let go_on = many && ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::Enter));
    let field = if many {
        ui.add(
            TextEdit::multiline(text)
                .hint_text(RichText::new(hint).color(t.faint))
                .margin(Margin::symmetric(10, 8))
                .desired_rows(4)
                .desired_width(f32::INFINITY),
        )
        .accessible_name(label)
    } else {
        text_field(ui, label, text, hint)
    };
    if fresh {
        field.request_focus();
    }
    let paths: Vec<PathBuf> = text
        .lines()
        .map(|line| line.trim().trim_matches('"'))
        .filter(|line| !line.is_empty())
        .map(PathBuf::from)
        .collect();
    let relative = paths.iter().find(|path| !path.is_absolute());
    let message = relative.map_or_else(String::new, |path| {
        let path = words::shorten(&path.to_string_lossy(), 50);
        format!("“{path}” is not a full path")
    });
    message_ui(ui, 1, widgets::faint(t, message));
    let ready = !paths.is_empty() && relative.is_none();
    let go = ready && (go_on || (!many && confirmed(ui)));
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        let ok = ui
            .add_enabled_ui(ready, |ui| accent_button(ui, None, go_label))
            .inner;
        if ok.clicked() || go {
            let first = paths.first().cloned().unwrap_or_default();
            cx.act(match purpose {
                PathPurpose::OpenProject => Action::OpenProject(first),
                PathPurpose::AddFiles => Action::Import(ImportAction::Add(paths.clone())),
                PathPurpose::MergeParts => {
                    Action::Import(ImportAction::Merge(paths.clone(), false))
                }
                PathPurpose::Predict => Action::Evaluate(EvaluateAction::Predict(paths.clone())),
                PathPurpose::SaveTimelines => {
                    Action::Evaluate(EvaluateAction::SaveTimelines(first))
                }
                PathPurpose::MakeModel => Action::Make(MakeAction::Offer(vec![first])),
                PathPurpose::AddArchitecture => {
                    Action::Architecture(ArchitectureAction::Offer(first))
                }
                PathPurpose::SaveFigure(metric, format) => Action::Train(TrainAction::SaveFigure(
                    metric.clone(),
                    *format,
                    first,
                    false,
                )),
                PathPurpose::ExportFolder => Action::Export(ExportAction::Dir(Some(first))),
                PathPurpose::Locate(id) => Action::Import(ImportAction::Locate(id.clone(), first)),
            });
            end = End::Close;
        }
        if button(ui, None, "Cancel").clicked() {
            end = End::Close;
        }
    });
    end
}
