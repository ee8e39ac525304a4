//! Progress bars and spinners.

use egui::{CornerRadius, Rect, Response, Sense, Ui, pos2, vec2};

use crate::ui::theme::tokens;

/// A slim bar, `width` points wide; without a fraction a part of it moves to and fro.
pub fn progress_bar(ui: &mut Ui, fraction: Option<f32>, width: f32) -> Response {
    let t = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(width, 6.0), Sense::hover());
    if ui.is_rect_visible(rect) {
        let radius = CornerRadius::same(3);
        ui.painter().rect_filled(rect, radius, t.track);
        let filled = if let Some(fraction) = fraction {
            let width = (rect.width() * fraction.clamp(0.0, 1.0)).max(0.0);
            Rect::from_min_size(rect.min, vec2(width, rect.height()))
        } else {
            let time = ui.input(|input| input.time) as f32;
            let part = rect.width() * 0.3;
            let travel = (rect.width() - part) * (0.5 - 0.5 * (time * 1.8).cos());
            ui.ctx()
                .request_repaint_after(std::time::Duration::from_millis(40));
            Rect::from_min_size(
                pos2(rect.left() + travel, rect.top()),
                vec2(part, rect.height()),
            )
        };
        if filled.width() >= 1.0 {
            ui.painter().rect_filled(filled, radius, t.accent);
        }
    }
    response.widget_info(|| {
        let mut info = egui::WidgetInfo::labeled(egui::Role::ProgressIndicator, true, "Progress");
        info.value = fraction.map(|fraction| f64::from(fraction) * 100.0);
        info
    });
    response
}

/// A spinner for work of unknown duration.
pub fn spinner(ui: &mut Ui, size: f32) -> Response {
    let t = tokens(ui);
    ui.add(egui::Spinner::new().size(size).color(t.accent_text))
}
