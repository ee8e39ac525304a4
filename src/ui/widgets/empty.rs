//! An empty page with a hint on what to do next.

use egui::{Align, Label, Layout, Ui};

use super::text;
use crate::ui::icons::icon;
use crate::ui::theme::tokens;

/// Paints an icon, a title, a sentence and controls, in the middle of the available space.
pub fn empty<R>(
    ui: &mut Ui,
    glyph: char,
    title: &str,
    words: &str,
    add: impl FnOnce(&mut Ui) -> R,
) -> R {
    let t = tokens(ui);
    let room = ui.available_height();
    ui.with_layout(Layout::top_down(Align::Center), |ui| {
        ui.add_space((room * 0.5 - 110.0).max(8.0));
        ui.spacing_mut().item_spacing.y = 8.0;
        ui.label(icon(glyph, 44.0).color(t.faint));
        ui.add_space(4.0);
        ui.label(text::heading(title));
        ui.scope(|ui| {
            ui.set_max_width(420.0);
            ui.add(Label::new(text::muted(t, words).line_height(Some(19.0))).wrap());
        });
        ui.add_space(10.0);
        ui.horizontal(|ui| {
            // Centred by its size in the last frame.
            let id = ui.scope_id().with("empty actions");
            let width: f32 = ui.data(|data| data.get_temp(id)).unwrap_or(160.0);
            ui.add_space(((ui.available_width() - width) / 2.0).max(0.0));
            let start = ui.cursor().min.x;
            let result = add(ui);
            let now = ui.min_rect().max.x - start;
            if (now - width).abs() > 0.5 {
                ui.data_mut(|data| data.insert_temp(id, now));
                ui.ctx().request_repaint();
            }
            result
        })
        .inner
    })
    .inner
}
