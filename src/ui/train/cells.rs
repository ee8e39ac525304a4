//! Tables with clickable rows and headings that sort: widths, headings and cells.

use egui::{
    Align2, CornerRadius, FontFamily, FontId, Rect, Response, Sense, Stroke, StrokeKind, Ui, pos2,
    vec2,
};

use crate::app::{CellTable, RunCell, RunColumn};
use crate::project::Noun;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};

/// Height of a row, points.
pub(super) const ROW: f32 = 32.0;
/// Space between two columns, points.
const GAP: f32 = 18.0;
/// Width of the widest column, points; a longer text is truncated and shown in full as a tooltip.
const WIDEST: f32 = 240.0;

/// The column for sorting, and whether the order is descending; `None` is the original order.
pub(super) type Sorted = Option<(&'static str, bool)>;

/// The columns of a table with their widths.
pub(super) type Columns<'a> = (&'a [RunColumn], &'a [f32]);

fn font() -> FontId {
    FontId::new(theme::TYPE_SMALL, FontFamily::Proportional)
}

/// Sorts a table if a column of it is chosen.
pub(super) fn sort<Id>(table: &mut CellTable<Id>, sorted: Sorted) {
    if let Some((title, descending)) = sorted
        && let Some(column) = table.columns.iter().position(|c| c.title == title)
    {
        table.sort(column, descending);
    }
}

/// The widths of the columns of a table.
pub(super) fn widths<Id>(ui: &Ui, table: &CellTable<Id>) -> Vec<f32> {
    let width = |text: &str| {
        let text = text.to_owned();
        let galley = ui
            .painter()
            .layout_no_wrap(text, font(), egui::Color32::WHITE);
        galley.size().x
    };
    let widths = table.columns.iter().enumerate().map(|(index, column)| {
        let cells = table.rows.iter().filter_map(|row| row.cells.get(index));
        let widest = cells.map(|cell| width(&cell.text)).fold(0.0, f32::max);
        // The arrow of the sorting is behind the heading.
        widest.max(width(column.title) + 16.0).min(WIDEST) + GAP
    });
    widths.collect()
}

/// The headings: a click sorts by a column in descending order, the second in ascending order, the third restores the
/// order.
pub(super) fn head_ui(
    ui: &mut Ui,
    noun: Noun,
    lead: f32,
    (columns, widths): Columns<'_>,
    sorted: &mut Sorted,
) {
    let t = tokens(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    ui.painter()
        .hline(rect.x_range(), rect.bottom(), Stroke::new(1.0, t.line));
    let mut left = rect.left() + lead;
    for (column, width) in columns.iter().zip(widths) {
        let cell = Rect::from_min_size(pos2(left, rect.top()), vec2(width - GAP + 6.0, ROW));
        left += width;
        let id = ui.scope_id().with(("sort", column.title));
        let response = ui.interact(cell, id, Sense::click());
        let by = sorted.filter(|(title, _)| *title == column.title);
        let on = by.is_some();
        response.widget_info(|| {
            let name = format!("Sort by {}", column.title);
            egui::WidgetInfo::selected(egui::Role::Button, true, on, name)
        });
        let color = if on {
            t.accent_text
        } else if response.hovered() || response.has_focus() {
            t.text
        } else {
            t.faint
        };
        let (at, align) = if column.numbers {
            (
                pos2(cell.right() - 6.0, cell.center().y),
                Align2::RIGHT_CENTER,
            )
        } else {
            (cell.left_center(), Align2::LEFT_CENTER)
        };
        let text = ui.painter().text(at, align, column.title, font(), color);
        if let Some((_, descending)) = by {
            let glyph = if descending {
                icons::ARROW_DOWN
            } else {
                icons::ARROW_UP
            };
            let (x, align) = if column.numbers {
                (text.left() - 3.0, Align2::RIGHT_CENTER)
            } else {
                (text.right() + 3.0, Align2::LEFT_CENTER)
            };
            let font = FontId::new(11.0, theme::icon_family());
            ui.painter()
                .text(pos2(x, cell.center().y), align, glyph, font, color);
        }
        if response.on_hover_text(noun.fill(column.tip)).clicked() {
            *sorted = match by {
                None => Some((column.title, column.numbers)),
                Some((_, first)) if first == column.numbers => Some((column.title, !first)),
                Some(_) => None,
            };
        }
    }
}

/// The cells of a row, from `lead` points right of its left end. Returns the texts that were truncated.
pub(super) fn cells_ui<'a>(
    ui: &Ui,
    rect: Rect,
    lead: f32,
    (columns, widths): Columns<'_>,
    cells: &'a [RunCell],
) -> Vec<&'a str> {
    let t = tokens(ui);
    let mut left = rect.left() + lead;
    let mut cut = Vec::new();
    for ((column, width), cell) in columns.iter().zip(widths).zip(cells) {
        let room = width - GAP;
        let mut job = egui::text::LayoutJob::simple_singleline(cell.text.clone(), font(), t.text);
        job.wrap = egui::text::TextWrapping::truncate_at_width(room);
        let galley = ui.painter().layout_job(job);
        if galley.elided {
            cut.push(cell.text.as_str());
        }
        let x = if column.numbers {
            left + room - galley.size().x
        } else {
            left
        };
        let at = pos2(x, rect.center().y - galley.size().y / 2.0);
        ui.painter().galley(at, galley, t.text);
        left += width;
    }
    cut
}

/// The background of a row.
pub(super) fn paint_row(ui: &Ui, rect: Rect, response: &Response, focused: bool) {
    let t = tokens(ui);
    let radius = CornerRadius::same(theme::RADIUS_SMALL);
    let inner = rect.shrink2(vec2(0.0, 1.0));
    if focused {
        ui.painter().rect_filled(inner, radius, t.accent_soft);
    } else if response.hovered() {
        ui.painter().rect_filled(inner, radius, t.raised);
    }
    if response.has_focus() {
        let stroke = Stroke::new(1.0, t.accent);
        ui.painter()
            .rect_stroke(inner, radius, stroke, StrokeKind::Inside);
    }
}
