//! Taking a source off the list.

use egui::Ui;

use super::{End, buttons_ui, title_ui, words_ui};
use crate::app::{Action, ImportAction, words};
use crate::project::SourceId;
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::widgets::{button, danger_button};

/// Removing a source; with `trash` its frames go to the trash.
pub(super) fn remove_source_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    id: &SourceId,
    name: &str,
    frames: usize,
    trash: &mut bool,
) -> End {
    title_ui(ui, &format!("Remove “{}”?", words::shorten(name, 40)));
    words_ui(
        ui,
        "The video is taken off the list. Its file stays where it is.",
    );
    if frames > 0 {
        let label = format!("Also move its {} to the trash", words::frames(frames));
        ui.checkbox(trash, label);
    }
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        if danger_button(ui, Some(icons::TRASH), "Remove").clicked() {
            cx.act(Action::Import(ImportAction::Remove(id.clone(), *trash)));
            end = End::Close;
        }
        if button(ui, None, "Keep").clicked() {
            end = End::Close;
        }
    });
    end
}
