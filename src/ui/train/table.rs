//! The runs as a table instead of the curves: sorted by any column, with the settings in which they differ.

use egui::{Popup, Rect, Response, ScrollArea, Sense, Ui, UiBuilder, pos2, vec2};

use super::cells::{self, ROW, Sorted, cells_ui, head_ui, paint_row};
use super::runs::{compare_ui, more_ui};
use crate::app::{Action, Dialog, EvaluateAction, RunEntry, RunTable, Session, TrainAction};
use crate::train::{RunId, RunState};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::tokens;
use crate::ui::widgets::{self, icon_button, panel, section};

/// Width of the dot for comparing, points.
const DOT: f32 = 26.0;
/// Width of the button that edits a note, points.
const PEN: f32 = 32.0;

/// State of the painting.
#[derive(Default)]
pub struct View {
    /// `None` is the order of time.
    sorted: Sorted,
    built: Option<Built>,
}

/// The table as it was built for one state of the list of runs.
struct Built {
    revision: u64,
    sorted: Sorted,
    root: std::path::PathBuf,
    table: RunTable,
    widths: Vec<f32>,
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
            cells::sort(&mut table, self.sorted);
            Built {
                revision: state.revision,
                sorted: self.sorted,
                root: session.root.clone(),
                widths: cells::widths(ui, &table),
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
                "click a heading to sort, a row to show its curves, a dot to compare",
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
                let columns = (&built.table.columns[..], &built.widths[..]);
                head_ui(ui, session.noun(), DOT + PEN, columns, &mut sorted);
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

fn row_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, built: &Built, index: usize) {
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
    // Two runs may have the same title, but not the same folder.
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
    let columns = (&built.table.columns[..], &built.widths[..]);
    let cut = cells_ui(ui, rect, DOT + PEN, columns, &row.cells);
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

/// Opens the dialog for the name and the note of a run.
pub(super) fn ask_note(cx: &mut Cx<'_>, entry: &RunEntry) {
    cx.act(Action::Open(Dialog::RunNote {
        run: entry.run.id.clone(),
        name: entry.note.name.clone(),
        note: entry.note.note.clone(),
    }));
}
