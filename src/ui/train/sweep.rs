//! A sweep: accuracy over cost with the Pareto set, and its configurations as a table.

use egui::{Align, Id, Layout, Popup, Rect, ScrollArea, Sense, Ui, WidgetInfo, vec2};
use egui_plot::PlotPoint;

use super::cells::{self, ROW, Sorted, cells_ui, head_ui, paint_row};
use crate::app::{
    Action, EvaluateAction, Session, SweepAction, SweepCells, SweepEntry, TrainAction, words,
};
use crate::sweep::{Cost, State, SweepId, SweepRow};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    self, Mark, Scatter, accent_button, button, menu_item, panel, scatter_ui, section, toggle_chip,
};

/// Height of the plot, points: normal and least.
const PLOT: [f32; 2] = [230.0, 96.0];
/// Height of the table and of what is above the plot, points.
const TABLE: f32 = 310.0;
/// A narrower plot has no title, and only the name of the chosen configuration, points.
const NARROW: f32 = 420.0;
/// A Pareto set of up to this many has its names in the plot.
const NAMED: usize = 8;

/// State of the painting.
#[derive(Default)]
pub struct View {
    cost: Cost,
    /// The vertical axis is the test accuracy.
    test: bool,
    sorted: Sorted,
    built: Option<Built>,
}

/// The table as it was built for one state of the sweep.
struct Built {
    of: (SweepId, u64, Sorted),
    table: SweepCells,
    widths: Vec<f32>,
}

/// Paints it.
pub(super) fn sweep_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    entry: &SweepEntry,
    view: &mut View,
) {
    chosen_ui(ui, cx, session, entry);
    let height = (ui.available_height() - TABLE).clamp(PLOT[1], PLOT[0]);
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        plot_ui(ui, cx, session, entry, view, height);
    });
    ui.add_space(6.0);
    table_ui(ui, cx, session, entry, view);
}

/// The chosen configuration, and the commands for it.
fn chosen_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, entry: &SweepEntry) {
    let t = tokens(ui);
    let chosen = session.sweep.selected;
    let row = chosen.and_then(|row| entry.table.rows.get(row));
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CONTROL_HEIGHT);
        let (Some(index), Some(row)) = (chosen, row) else {
            let words = entry.table.notes.first().cloned();
            let words = words.unwrap_or_else(|| {
                "Click a point or a row to select a configuration; adopt it to continue with it"
                    .into()
            });
            let label = egui::Label::new(widgets::faint(t, &words)).truncate();
            ui.add(label).on_hover_text(entry.table.notes.join("\n\n"));
            return;
        };
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 8.0;
            let can = !row.runs.is_empty();
            let adopt = ui
                .add_enabled_ui(can, |ui| accent_button(ui, Some(icons::CHECK), "Adopt"))
                .inner
                .on_hover_text(
                    "Use its settings for the next training, and its run in Evaluate and Export",
                )
                .on_disabled_hover_text("It has not been trained");
            if adopt.clicked() {
                let id = entry.sweep.id.clone();
                cx.act(Action::Sweep(SweepAction::Adopt(id, index)));
            }
            if let Some(run) = row
                .runs
                .first()
                .filter(|run| session.train.run(run).is_some())
            {
                let curves = button(ui, Some(icons::TRAIN), "Its curves");
                if curves.on_hover_text("Show the curves of its run").clicked() {
                    cx.act(Action::Train(TrainAction::Focus(run.clone())));
                    cx.act(Action::Sweep(SweepAction::Show(None)));
                }
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let words = match &row.state {
                    State::Failed(reason) => format!("{}: {reason}", title(entry, row)),
                    _ => details(entry, row),
                };
                let label = egui::Label::new(widgets::muted(t, &words)).truncate();
                ui.add(label).on_hover_text(words);
            });
        });
    });
}

/// A configuration by the settings that are varied: `lite0@96 · last-1 · 2000`; the only one by its architecture.
fn title(entry: &SweepEntry, row: &SweepRow) -> String {
    let settings = &row.settings;
    let playing = entry.table.settings.iter();
    let words: Vec<String> = playing
        .filter(|setting| setting.plays(settings))
        .map(|setting| match setting.key {
            "architecture" => words::architecture_name(&settings.architecture),
            "depth" => settings.fine_tune.depth.to_string(),
            _ => setting.title_of_value(settings),
        })
        .collect();
    if words.is_empty() {
        words::architecture_name(&settings.architecture)
    } else {
        words.join(" · ")
    }
}

/// `lite0@96 · last-1 · 2000: 91.2 % on validation, 90.1 % on test images`
fn details(entry: &SweepEntry, row: &SweepRow) -> String {
    let mut words = title(entry, row);
    if let Some(score) = row.validation {
        words = format!("{words}: {} on validation", words::percent(score.value));
    }
    if let Some(score) = row.test {
        words = format!("{words}, {} on test images", words::percent(score.value));
    }
    words
}

fn cost_words(cost: Cost) -> &'static str {
    match cost {
        Cost::Macs => "multiply-accumulates per image",
        Cost::Size => "size of the model in fp32",
        Cost::Latency => {
            "time per image for the whole network, on one thread of this computer; fine-tuning changes weights, not the graph"
        }
    }
}

/// Whether any configuration has an interval.
fn rows_have_intervals(entry: &SweepEntry, test: bool) -> bool {
    let rows = entry.table.rows.iter();
    let scores = rows.map(|row| if test { row.test } else { row.validation });
    scores.flatten().any(|score| score.interval_95.is_some())
}

fn plot_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    entry: &SweepEntry,
    view: &mut View,
    height: f32,
) {
    let t = tokens(ui);
    let narrow = ui.available_width() < NARROW;
    ui.horizontal(|ui| {
        if !narrow {
            ui.label(widgets::name("Accuracy and cost"));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            let tip = "Show test accuracy; the line is still the one chosen by validation accuracy";
            if toggle_chip(ui, view.test, "test", "Test accuracy")
                .on_hover_text(tip)
                .clicked()
            {
                view.test = !view.test;
            }
            for cost in Cost::ALL.into_iter().rev() {
                let on = view.cost == cost;
                let name = format!("Over {}", cost.title());
                if toggle_chip(ui, on, cost.title(), &name)
                    .on_hover_text(cost_words(cost))
                    .clicked()
                {
                    view.cost = cost;
                }
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let of = if view.test { "test" } else { "validation" };
                let bars = rows_have_intervals(entry, view.test);
                let bars = if bars { ", bars: 95 %" } else { "" };
                let words = format!("{of} accuracy; line: Pareto set{bars}");
                ui.add(egui::Label::new(widgets::faint(t, words)).truncate());
            });
        });
    });
    let (unit, scale) = match view.cost {
        Cost::Macs => ("M", 1e-6),
        Cost::Size => ("MB", 1e-6),
        Cost::Latency => ("ms", 1.0),
    };
    let rows = &entry.table.rows;
    let score = |row: &SweepRow| if view.test { row.test } else { row.validation };
    let place = |row: &SweepRow| Some([row.cost(view.cost)? * scale, score(row)?.value * 100.0]);
    let placed: Vec<(usize, &SweepRow, [f64; 2])> = rows
        .iter()
        .enumerate()
        .filter_map(|(index, row)| Some((index, row, place(row)?)))
        .collect();
    if placed.is_empty() {
        ui.allocate_ui(vec2(ui.available_width(), height), |ui| {
            ui.centered_and_justified(|ui| {
                ui.label(widgets::faint(t, "Points appear as trainings finish"));
            });
        });
        return;
    }
    let pareto = placed.iter().filter(|(_, row, _)| row.is_pareto(view.cost));
    let few = pareto.count() <= NAMED && !narrow;
    let marks: Vec<Mark> = placed
        .iter()
        .map(|(index, row, [x, y])| {
            let chosen = session.sweep.selected == Some(*index);
            let pareto = row.is_pareto(view.cost);
            Mark {
                name: title(entry, row),
                x: *x,
                y: *y,
                // Those of the others would overlap if their costs are equal.
                range: score(row)
                    .filter(|_| pareto || chosen)
                    .and_then(|score| score.interval_95)
                    .map(|ends| ends.map(|end| 100.0 * end)),
                color: match (chosen, pareto) {
                    (true, _) => t.text,
                    (_, true) => t.accent,
                    _ => t.faint,
                },
                radius: if chosen { 6.0 } else { 4.5 },
                filled: pareto || chosen,
                named: chosen || pareto && few,
            }
        })
        .collect();
    let mut line: Vec<[f64; 2]> = placed
        .iter()
        .filter(|(_, row, _)| row.is_pareto(view.cost))
        .map(|(_, _, place)| *place)
        .collect();
    line.sort_by(|a, b| a[0].total_cmp(&b[0]));
    let transform = scatter_ui(
        ui,
        &Scatter {
            id: Id::unique(("sweep", &entry.sweep.id, view.cost.title(), view.test)),
            height,
            unit,
            marks: &marks,
            line: &line,
        },
    );
    for (index, row, [x, y]) in &placed {
        let at = transform.position_from_point(&PlotPoint::new(*x, *y));
        let rect = Rect::from_center_size(at, vec2(14.0, 14.0));
        let id = ui.scope_id().with(("configuration", *index));
        let response = ui.interact(rect, id, Sense::CLICK);
        let chosen = session.sweep.selected == Some(*index);
        response.widget_info(|| {
            let name = format!("Point {}", entry.table.words(row));
            WidgetInfo::selected(egui::Role::RadioButton, true, chosen, name)
        });
        let response = response.on_hover_cursor(egui::CursorIcon::PointingHand);
        if response.on_hover_text(details(entry, row)).clicked() {
            cx.act(Action::Sweep(SweepAction::Select(Some(*index))));
        }
    }
}

impl View {
    fn built(&mut self, ui: &Ui, session: &Session, entry: &SweepEntry) -> &Built {
        let id = &entry.sweep.id;
        let of = (id.clone(), session.sweep.revision, self.sorted);
        let built = self.built.take().filter(|built| built.of == of);
        let built = built.unwrap_or_else(|| {
            let training = session.sweep.training(id);
            let mut table = SweepCells::of_sweep(&entry.table, training);
            cells::sort(&mut table, self.sorted);
            Built {
                of,
                widths: cells::widths(ui, &table),
                table,
            }
        });
        self.built.insert(built)
    }
}

fn table_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, entry: &SweepEntry, view: &mut View) {
    let height = ui.available_height();
    let mut sorted = view.sorted;
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.set_min_height((height - 30.0).max(60.0));
        section(ui, "Configurations", |ui| {
            let t = tokens(ui);
            let words = "ranked by validation images, not by test images";
            ui.add(egui::Label::new(widgets::faint(t, words)).truncate())
                .on_hover_text(entry.table.notes.join("\n\n"));
        });
        let built = view.built(ui, session, entry);
        let width = built.widths.iter().sum::<f32>() + 12.0;
        ScrollArea::horizontal()
            .id_salt("columns of the sweep")
            .auto_shrink(false)
            .show(ui, |ui| {
                ui.set_min_width(width);
                ui.spacing_mut().item_spacing.y = 0.0;
                let columns = (&built.table.columns[..], &built.widths[..]);
                head_ui(ui, session.noun(), 6.0, columns, &mut sorted);
                ScrollArea::vertical()
                    .id_salt("rows of the sweep")
                    .auto_shrink(false)
                    .show_rows(ui, ROW, built.table.rows.len(), |ui, rows| {
                        for index in rows {
                            row_ui(ui, cx, session, entry, built, index);
                        }
                    });
            });
    });
    view.sorted = sorted;
}

fn row_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    entry: &SweepEntry,
    built: &Built,
    index: usize,
) {
    let Some(cells) = built.table.rows.get(index) else {
        return;
    };
    let Some(row) = entry.table.rows.get(cells.id) else {
        return;
    };
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let chosen = session.sweep.selected == Some(cells.id);
    paint_row(ui, rect, &response, chosen);
    let texts: Vec<String> = built
        .table
        .columns
        .iter()
        .zip(&cells.cells)
        .filter(|(_, cell)| !cell.text.is_empty())
        .map(|(column, cell)| format!("{} {}", column.title, cell.text))
        .collect();
    let label = texts.join(", ");
    response.widget_info(|| WidgetInfo::selected(egui::Role::Row, true, chosen, &label));
    let columns = (&built.table.columns[..], &built.widths[..]);
    let cut = cells_ui(ui, rect, 6.0, columns, &cells.cells);
    let id = &entry.sweep.id;
    Popup::context_menu(&response).width(220.0).show(|ui| {
        let adopt = SweepAction::Adopt(id.clone(), cells.id);
        if menu_item(ui, Some(icons::CHECK), "Adopt", ()).clicked() {
            cx.act(Action::Sweep(adopt));
            ui.close();
        }
        if let Some(run) = row.runs.first()
            && menu_item(ui, Some(icons::EVALUATE), "Evaluate", ()).clicked()
        {
            cx.act(Action::Evaluate(EvaluateAction::Open(run.clone())));
            ui.close();
        }
    });
    let response = match (&row.state, cut.is_empty()) {
        (State::Failed(reason), _) => response.on_hover_text(reason),
        (_, false) => response.on_hover_text(cut.join("\n")),
        _ => response,
    };
    if response.clicked() {
        let row = (!chosen).then_some(cells.id);
        cx.act(Action::Sweep(SweepAction::Select(row)));
    }
}
