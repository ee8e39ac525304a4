//! Making a model in one go: from which files, and where.

use std::path::{Path, PathBuf};

use egui::Ui;

use super::{End, buttons_ui, confirmed, message_ui, title_ui, words_ui};
use crate::app::{Action, MakeAction, words};
use crate::ui::Cx;
use crate::ui::theme::tokens;
use crate::ui::widgets::{self, accent_button, button, field_label, text_field};

pub(super) fn make_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    paths: &[PathBuf],
    out: &mut String,
    fresh: bool,
) -> End {
    let t = tokens(ui);
    let name = paths.first().and_then(|path| path.file_name());
    let name = name.unwrap_or_default().to_string_lossy();
    title_ui(
        ui,
        &format!("Make a model of “{}”", words::shorten(&name, 30)),
    );
    words_ui(
        ui,
        "Each folder in it is a class. Frames are extracted from the videos; a model is trained, tested on images it has not seen, and exported for computers (ONNX) and phones (TensorFlow Lite). This takes some minutes.",
    );
    field_label(ui, "Folder for the model and its project");
    let field = text_field(
        ui,
        "Folder for the model",
        out,
        "/home/me/Documents/Pets model",
    );
    if fresh {
        field.request_focus();
    }
    let place = Path::new(out.trim());
    let ready = place.is_absolute();
    let message = if ready {
        "It is created if it does not exist. Your files in it are not changed."
    } else {
        "Give the full path of the folder."
    };
    message_ui(ui, 1, widgets::faint(t, message));
    let go = ready && confirmed(ui);
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        let start = ui
            .add_enabled_ui(ready, |ui| accent_button(ui, None, "Make the model"))
            .inner;
        if start.clicked() || go {
            let action = MakeAction::Start(paths.to_vec(), place.to_owned());
            cx.act(Action::Make(action));
            end = End::Close;
        }
        if button(ui, None, "Cancel").clicked() {
            end = End::Close;
        }
    });
    end
}
