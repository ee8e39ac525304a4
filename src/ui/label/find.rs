//! The field for finding frames by name, above the grid.

use egui::{Key, Modifiers, TextEdit, Ui, vec2};

use crate::app::{Action, LabelAction, Session};
use crate::ui::Cx;
use crate::ui::icons::{self, icon};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, icon_button};

/// State of the painting.
#[derive(Default)]
pub struct View {
    /// The number of the last request for the search that focused the field.
    asked: u64,
}

/// Paints the field.
pub fn find_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    let t = tokens(ui);
    let Some(query) = &session.label.find else {
        return;
    };
    let noun = session.noun();
    let mut text = query.clone();
    let mut close = false;
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CONTROL_HEIGHT);
        ui.spacing_mut().item_spacing.x = 8.0;
        ui.label(icon(icons::SEARCH, 16.0).color(t.muted));
        let width = (ui.available_width() - 170.0).clamp(120.0, 420.0);
        let field = ui
            .add(
                TextEdit::singleline(&mut text)
                    .hint_text("Source, file or class")
                    .desired_width(width)
                    .min_size(vec2(0.0, 30.0))
                    .margin(egui::Margin::symmetric(10, 6)),
            )
            .accessible_name(noun.fill("Find {images}"));
        if view.asked != session.label.find_asked {
            view.asked = session.label.find_asked;
            field.request_focus();
        }
        // Escape ends the search; the field itself only gives up the focus.
        close = (field.has_focus() || field.lost_focus())
            && ui.input_mut(|input| {
                input.key_pressed(Key::Escape) | input.consume_key(Modifiers::NONE, Key::Escape)
            });
        let tip = "Show all again (Escape)";
        close |= icon_button(ui, icons::CROSS, "End the search", tip).clicked();
        let found = noun.count(session.label.shown.len());
        ui.add(egui::Label::new(widgets::muted(t, found)).truncate());
    });
    if close {
        cx.act(Action::Label(LabelAction::Find(None)));
    } else if text != *query {
        cx.act(Action::Label(LabelAction::Find(Some(text))));
    }
}
