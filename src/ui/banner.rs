//! The strip below the top bar that reports that the folder of the open project is missing.

use egui::{Frame, Label, Margin, Panel, RichText, Ui};

use super::Cx;
use super::icons::{self, icon};
use super::theme::tokens;
use super::widgets::quiet_button;
use crate::app::{Command, words};

/// Paints it while the project is missing.
pub fn banner_ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let Some(session) = cx.app.session.as_ref().filter(|session| session.missing) else {
        return;
    };
    let t = tokens(ui);
    let name = words::shorten(&session.name, 40);
    let text = format!(
        "“{name}” is no longer there. Was its drive unplugged, or its folder moved? Work continues automatically when the folder is back."
    );
    let noun = session.noun();
    let place = words::path(&session.root);
    Panel::top("gone")
        .frame(
            Frame::new()
                .fill(t.accent_soft)
                .inner_margin(Margin::symmetric(16, 8)),
        )
        .show(ui, |ui| {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 10.0;
                ui.label(icon(icons::MISSING, 18.0).color(t.hint_text));
                let close = 150.0;
                ui.scope(|ui| {
                    ui.set_max_width((ui.available_width() - close).max(200.0));
                    ui.add(Label::new(RichText::new(text).color(t.hint_text)).wrap())
                        .on_hover_text(place);
                });
                let button = quiet_button(ui, None, &Command::CloseProject.text(noun));
                if button
                    .on_hover_text(Command::CloseProject.tooltip(noun))
                    .clicked()
                {
                    cx.command(Command::CloseProject);
                }
            });
        });
}
