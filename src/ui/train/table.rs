//! The runs as a table in the place of the curves: sorted by any column, with the settings in which they differ.

use egui::{
    Align2, CornerRadius, FontFamily, FontId, Popup, Rect, Response, ScrollArea, Sense, Stroke,
    StrokeKind, Ui, UiBuilder, pos2, vec2,
};

use super::runs::{compare_ui, more_ui};
use crate::app::{Action, Dialog, EvaluateAction, RunEntry, RunTable, Session, TrainAction};
use crate::project::Noun;
use crate::train::{RunId, RunState};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, icon_button, panel, section};

/// Height of a row, points.
const ROW: f32 = 32.0;
/// Room for the dot that compares, points.
const DOT: f32 = 26.0;
/// Room for the button that edits a note, points.
const PEN: f32 = 32.0;
/// Between two columns, points.
const GAP: f32 = 18.0;
/// Widest column, points; a longer text is cut and shown in full as a tooltip.
const WIDEST: f32 = 240.0;

/// State of the painting alone.
#[derive(Default)]
pub struct View {
    /// The column by which rows are sorted, and whether the highest comes first; `None` is the order of time.
    sorted: Option<(&'static str, bool)>,
    built: Option<Built>,
}

/// The table as it was built for one state of the list of runs.
struct Built {
    revision: u64,
    sorted: Option<(&'static str, bool)>,
    root: std::path::PathBuf,
    table: RunTable,
    widths: Vec<f32>,
}

fn font() -> FontId {
    FontId::new(theme::TYPE_SMALL, FontFamily::Proportional)
}

impl View {
    fn built(&mut self, ui: &Ui, session: &Session) -> &Built {
        let state = &session.train;
        let fresh = self.built.as_ref().is_some_and(|built| {
            built.revision == state.revision
                && built.sorted == self.sorted
                && built.root == session.root
        });
        let built = self.built.take().filter(|_| fresh);
        let built = built.unwrap_or_else(|| {
            let mut table = RunTable::of(&state.runs);
            if let Some((title, descending)) = self.sorted
                && let Some(column) = table.columns.iter().position(|c| c.title == title)
            {
                table.sort(column, descending);
            }
            let width = |text: &str| {
                let galley =
                    ui.painter()
                        .layout_no_wrap(text.to_owned(), font(), egui::Color32::WHITE);
                galley.size().x
            };
            let widths = table.columns.iter().enumerate().map(|(index, column)| {
                let cells = table.rows.iter().filter_map(|row| row.cells.get(index));
                let widest = cells.map(|cell| width(&cell.text)).fold(0.0, f32::max);
                // The arrow of the sorting stands behind the heading.
                widest.max(width(column.title) + 16.0).min(WIDEST) + GAP
            });
            Built {
                revision: state.revision,
                sorted: self.sorted,
                root: session.root.clone(),
                widths: widths.collect(),
                table,
            }
        });
        self.built.insert(built)
    }
}

/// Paints the table.
pub(super) fn table_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    let height = ui.available_height();
    let mut sorted = view.sorted;
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.set_min_height(height - 30.0);
        section(ui, "Runs", |ui| {
            let t = tokens(ui);
            ui.label(widgets::faint(
                t,
                "click a heading to sort, a row to draw its curves, a dot to compare",
            ));
        });
        let built = view.built(ui, session);
        let width = DOT + PEN + built.widths.iter().sum::<f32>();
        ScrollArea::horizontal()
            .id_salt("columns of runs")
            .auto_shrink(false)
            .show(ui, |ui| {
                ui.set_min_width(width);
                ui.spacing_mut().item_spacing.y = 0.0;
                head_ui(ui, session.noun(), built, &mut sorted);
                ScrollArea::vertical()
                    .id_salt("rows of runs")
                    .auto_shrink(false)
                    .show_rows(ui, ROW, built.table.rows.len(), |ui, rows| {
                        for index in rows {
                            row_ui(ui, cx, session, built, index);
                        }
                    });
            });
    });
    view.sorted = sorted;
}

/// The headings: each sorts by its column, the highest number first, once more the other way round, and then no more.
fn head_ui(ui: &mut Ui, noun: Noun, built: &Built, sorted: &mut Option<(&'static str, bool)>) {
    let t = tokens(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    ui.painter()
        .hline(rect.x_range(), rect.bottom(), Stroke::new(1.0, t.line));
    let mut left = rect.left() + DOT + PEN;
    for (column, width) in built.table.columns.iter().zip(&built.widths) {
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

fn row_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, built: &Built, index: usize) {
    let t = tokens(ui);
    let Some(row) = built.table.rows.get(index) else {
        return;
    };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let state = &session.train;
    let Some(place) = state.runs.iter().position(|entry| entry.run.id == row.id) else {
        return;
    };
    let Some(entry) = state.runs.get(place) else {
        return;
    };
    let live = state.is_live(&row.id);
    let focused = live || (state.live.is_none() && state.focus.as_ref() == Some(&row.id));
    paint_row(ui, rect, &response, focused);
    let texts: Vec<String> = built
        .table
        .columns
        .iter()
        .zip(&row.cells)
        .filter(|(_, cell)| !cell.text.is_empty())
        .map(|(column, cell)| format!("{} {}", column.title, cell.text))
        .collect();
    let name = texts.join(", ");
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Row, true, focused, &name));
    let dot = pos2(rect.left() + 11.0, rect.center().y);
    compare_ui(ui, cx, session, place, dot, focused);
    let pen = Rect::from_min_size(pos2(rect.left() + DOT, rect.top() + 2.0), vec2(28.0, 28.0));
    let mut corner = ui.new_child(UiBuilder::new().max_rect(pen));
    // Two runs may have the same title; their folders have not.
    let label = format!("Name and note of {}", row.id);
    if icon_button(
        &mut corner,
        icons::RENAME,
        &label,
        "Give it a name and a note",
    )
    .clicked()
    {
        ask_note(cx, entry);
    }
    let mut left = rect.left() + DOT + PEN;
    let mut cut = Vec::new();
    for ((column, width), cell) in built
        .table
        .columns
        .iter()
        .zip(&built.widths)
        .zip(&row.cells)
    {
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
    Popup::context_menu(&response)
        .width(220.0)
        .show(|ui| more_ui(ui, cx, entry, state.live.is_some()));
    let response = if cut.is_empty() {
        response
    } else {
        response.on_hover_text(cut.join("\n"))
    };
    click(cx, &response, &row.id, entry, live);
}

fn paint_row(ui: &Ui, rect: Rect, response: &Response, focused: bool) {
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

fn click(cx: &mut Cx<'_>, response: &Response, id: &RunId, entry: &RunEntry, live: bool) {
    if live {
        return;
    }
    if response.double_clicked() && entry.run.state == RunState::Finished {
        cx.act(Action::Evaluate(EvaluateAction::Open(id.clone())));
    } else if response.clicked() {
        cx.act(Action::Train(TrainAction::Focus(id.clone())));
    }
}

/// Asks for the name and the note of a run.
pub(super) fn ask_note(cx: &mut Cx<'_>, entry: &RunEntry) {
    cx.act(Action::Open(Dialog::RunNote {
        run: entry.run.id.clone(),
        name: entry.note.name.clone(),
        note: entry.note.note.clone(),
    }));
}
