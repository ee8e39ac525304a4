//! Small marks: chips, badges, class colours, key caps.

use egui::{
    Align2, Color32, CornerRadius, FontFamily, FontId, Pos2, Rect, Response, Sense, Stroke,
    StrokeKind, Ui, pos2, vec2,
};

use crate::ui::icons;
use crate::ui::theme::{self, tokens};

/// The mark of a class: a dot in its colour; `None` (unsorted) is a dashed ring.
pub fn class_mark(painter: &egui::Painter, center: Pos2, color: Option<usize>, ring: Color32) {
    match color {
        Some(index) => {
            painter.circle(
                center,
                4.5,
                theme::class_color(index),
                Stroke::new(0.75, ring.gamma_multiply(0.45)),
            );
        }
        None => {
            for part in 0..6 {
                let turn = std::f32::consts::TAU / 6.0;
                let from = part as f32 * turn;
                let points = (0..=4)
                    .map(|step| {
                        let angle = from + turn * 0.6 * step as f32 / 4.0;
                        center + 4.5 * vec2(angle.cos(), angle.sin())
                    })
                    .collect();
                painter.line(points, Stroke::new(1.2, ring));
            }
        }
    }
}

/// The mark of a class as a widget of its own.
pub fn class_dot(ui: &mut Ui, color: Option<usize>) {
    let t = tokens(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(12.0, 16.0), Sense::hover());
    class_mark(ui.painter(), rect.center(), color, t.muted);
}

/// What is before a pill's text.
enum Mark {
    Nothing,
    /// A class's mark; `None` is unsorted.
    Class(Option<usize>),
}

/// The content of a pill.
struct Pill<'a> {
    fill: Color32,
    fill_hover: Color32,
    stroke: Stroke,
    text: &'a str,
    color: Color32,
    mark: Mark,
    caret: bool,
    sense: Sense,
}

fn pill(ui: &mut Ui, pill: &Pill<'_>) -> Response {
    let t = tokens(ui);
    let font = FontId::new(theme::TYPE_SMALL, FontFamily::Proportional);
    let most = (ui.available_width() - 40.0).max(60.0);
    let galley = {
        let mut job =
            egui::text::LayoutJob::simple_singleline(pill.text.to_owned(), font, pill.color);
        job.wrap = egui::text::TextWrapping::truncate_at_width(most);
        ui.painter().layout_job(job)
    };
    let mark = match pill.mark {
        Mark::Nothing => 0.0,
        Mark::Class(_) => 16.0,
    };
    let caret = if pill.caret { 16.0 } else { 0.0 };
    let size = vec2(galley.size().x + mark + caret + 18.0, theme::CHIP_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, pill.sense);
    if ui.is_rect_visible(rect) {
        let hot = pill.sense.interactive() && (response.hovered() || response.has_focus());
        let fill = if hot { pill.fill_hover } else { pill.fill };
        let stroke = if response.has_focus() {
            Stroke::new(1.0, t.accent)
        } else {
            pill.stroke
        };
        let radius = CornerRadius::same((theme::CHIP_HEIGHT / 2.0) as u8);
        let painter = ui.painter();
        painter.rect(rect, radius, fill, stroke, StrokeKind::Inside);
        let mut x = rect.left() + 9.0;
        if let Mark::Class(color) = pill.mark {
            class_mark(painter, pos2(x + 5.0, rect.center().y), color, t.muted);
            x += mark;
        }
        let height = galley.size().y;
        let width = galley.size().x;
        painter.galley(pos2(x, rect.center().y - height / 2.0), galley, pill.color);
        if pill.caret {
            painter.text(
                pos2(x + width + 9.0, rect.center().y),
                Align2::CENTER_CENTER,
                icons::CARET_DOWN,
                FontId::new(11.0, theme::icon_family()),
                pill.color,
            );
        }
    }
    response
}

/// A chip that is on or off: a filter.
pub fn chip(ui: &mut Ui, on: bool, label: &str) -> Response {
    toggle_chip(ui, on, label, label)
}

/// A chip that is on or off, with an accessible name that is longer than its label.
pub fn toggle_chip(ui: &mut Ui, on: bool, label: &str, accessible: &str) -> Response {
    let t = tokens(ui);
    let response = pill(
        ui,
        &Pill {
            fill: if on { t.accent_soft } else { t.raised },
            fill_hover: if on { t.accent_soft } else { t.raised_hover },
            stroke: Stroke::NONE,
            text: label,
            color: if on { t.accent_text } else { t.muted },
            mark: Mark::Nothing,
            caret: false,
            sense: Sense::click(),
        },
    );
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, on, accessible));
    response
}

/// A chip that opens a menu.
pub fn menu_chip(ui: &mut Ui, label: &str, accessible: &str) -> Response {
    menu_pill(ui, Mark::Nothing, label, accessible)
}

/// A chip that shows a class and opens the menu to choose another.
pub fn class_chip(ui: &mut Ui, color: Option<usize>, label: &str, accessible: &str) -> Response {
    menu_pill(ui, Mark::Class(color), label, accessible)
}

fn menu_pill(ui: &mut Ui, mark: Mark, label: &str, accessible: &str) -> Response {
    let t = tokens(ui);
    let response = pill(
        ui,
        &Pill {
            fill: t.raised,
            fill_hover: t.raised_hover,
            stroke: Stroke::NONE,
            text: label,
            color: t.muted,
            mark,
            caret: true,
            sense: Sense::click(),
        },
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, accessible));
    response
}

/// A badge with a warning.
pub fn badge(ui: &mut Ui, label: &str) -> Response {
    let t = tokens(ui);
    let response = pill(
        ui,
        &Pill {
            fill: t.accent_soft,
            fill_hover: t.accent_soft,
            stroke: Stroke::NONE,
            text: label,
            color: t.hint_text,
            mark: Mark::Nothing,
            caret: false,
            sense: Sense::hover(),
        },
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, label));
    response
}

/// A key as it looks on the keyboard.
pub fn key_cap(ui: &mut Ui, key: &str) -> Response {
    let t = tokens(ui);
    let font = FontId::new(11.0, theme::medium());
    let galley = ui.painter().layout_no_wrap(key.to_owned(), font, t.muted);
    let size = vec2((galley.size().x + 10.0).max(20.0), 20.0);
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    if ui.is_rect_visible(rect) {
        paint_key(ui.painter(), rect, galley, t);
    }
    response
}

fn paint_key(
    painter: &egui::Painter,
    rect: Rect,
    galley: std::sync::Arc<egui::Galley>,
    t: &theme::Tokens,
) {
    painter.rect(
        rect,
        CornerRadius::same(5),
        t.raised,
        Stroke::new(1.0, t.line),
        StrokeKind::Inside,
    );
    let at = rect.center() - galley.size() / 2.0;
    painter.galley(at, galley, t.muted);
}
