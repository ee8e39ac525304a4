//! Confirms undoing an import if frames were extracted from its videos since.

use egui::Ui;

use super::{End, buttons_ui, title_ui, words_ui};
use crate::app::{Action, words};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::widgets::{button, danger_button};

pub(super) fn undo_import_ui(ui: &mut Ui, cx: &mut Cx<'_>, frames: usize) -> End {
    title_ui(ui, "Undo the whole import?");
    words_ui(
        ui,
        &format!(
            "{} extracted since then move to the trash with their labels, and the imported files are removed from the project. Redo restores everything.",
            words::frames(frames)
        ),
    );
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        if danger_button(ui, Some(icons::UNDO), "Undo the import").clicked() {
            cx.act(Action::UndoNow);
            end = End::Close;
        }
        if button(ui, None, "Keep").clicked() {
            end = End::Close;
        }
    });
    end
}
