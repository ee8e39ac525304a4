//! Quitting while a job runs.

use egui::Ui;

use super::{End, buttons_ui, title_ui, words_ui};
use crate::app::Action;
use crate::ui::Cx;
use crate::ui::widgets::{button, danger_button, spinner};

pub(super) fn quit_ui(ui: &mut Ui, cx: &mut Cx<'_>) -> End {
    if cx.app.is_quitting() {
        ui.horizontal(|ui| {
            spinner(ui, 20.0);
            title_ui(ui, "Finishing what cannot be interrupted…");
        });
        return End::Open;
    }
    title_ui(ui, "Quit while a job is running?");
    let titles: Vec<&str> = cx
        .app
        .tasks
        .running()
        .iter()
        .filter(|task| task.is_shown())
        .map(|task| task.title.as_str())
        .collect();
    let what = titles.first().copied().unwrap_or("A job");
    words_ui(
        ui,
        &format!(
            "“{what}” is not finished. Finished work is kept; the rest can be done next time."
        ),
    );
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        if danger_button(ui, None, "Cancel it and quit").clicked() {
            cx.act(Action::QuitNow);
        }
        if button(ui, None, "Stay").clicked() {
            end = End::Close;
        }
    });
    end
}
