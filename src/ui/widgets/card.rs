//! Surfaces: panels, cards, hints, separators.

use egui::{CornerRadius, Frame, Margin, RichText, Stroke, Ui, vec2};

use super::text;
use crate::ui::theme::{self, tokens};

/// A panel: the middle surface with a line around it.
pub fn panel(ui: &Ui) -> Frame {
    let t = tokens(ui);
    Frame::new()
        .fill(t.panel)
        .stroke(Stroke::new(1.0, t.line))
        .corner_radius(CornerRadius::same(theme::RADIUS_LARGE))
        .inner_margin(Margin::same(14))
}

/// A hint, such as what the data lacks and what to do about it.
pub fn hint(ui: &mut Ui, words: &str) {
    hint_with(ui, words, |_| {});
}

/// A hint with controls below it.
pub fn hint_with<R>(ui: &mut Ui, words: &str, add: impl FnOnce(&mut Ui) -> R) -> R {
    let t = tokens(ui);
    Frame::new()
        .fill(t.hint)
        .stroke(Stroke::new(1.0, t.hint_line))
        .corner_radius(CornerRadius::same(10))
        .inner_margin(Margin::symmetric(10, 9))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 8.0;
            ui.add(
                egui::Label::new(
                    RichText::new(words)
                        .color(t.hint_text)
                        .size(12.5)
                        .line_height(Some(18.0)),
                )
                .wrap(),
            );
            add(ui)
        })
        .inner
}

/// A thin horizontal line, with the usual space around it.
pub fn separator(ui: &mut Ui) {
    let t = tokens(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 17.0), egui::Sense::hover());
    ui.painter()
        .hline(rect.x_range(), rect.center().y, Stroke::new(1.0, t.line));
}

/// The title of a group in a panel, with content on the right.
pub fn section<R>(ui: &mut Ui, words: &str, right: impl FnOnce(&mut Ui) -> R) -> R {
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CHIP_HEIGHT);
        ui.label(text::title(words));
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), right)
            .inner
    })
    .inner
}
