//! The confusion matrix, painted; a click on a cell shows its frames.

use std::sync::{Arc, Weak};

use egui::{
    Align2, Color32, CornerRadius, FontFamily, FontId, Rect, Sense, Stroke, StrokeKind, Ui,
    epaint::TextShape, pos2, vec2,
};

use crate::app::{Action, EvaluateAction, Session, words};
use crate::evaluate::{Evaluation, MatrixOrder};
use crate::ui::Cx;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::color_of;
use crate::ui::widgets::{
    self, choice, class_mark, menu_item, panel, quiet_button, section, toggle_chip,
};

/// Largest and smallest side of a cell, points.
const CELL: std::ops::RangeInclusive<f32> = 26.0..=64.0;
/// Width for the names of the classes, points.
const NAMES: f32 = 132.0;
/// The number of characters of a name for that width.
const NAME_LENGTH: usize = 16;

/// State of the painting.
#[derive(Default)]
pub struct View {
    by: MatrixOrder,
    /// Shows percentages of each row instead of counts.
    percent: bool,
    /// The chosen order, and the classes in that order, for the evaluation that was painted last.
    order: Option<(Weak<Evaluation>, MatrixOrder, Vec<usize>)>,
}

impl View {
    /// The classes in the order of painting. Computed once: clustering the matrix of a thousand classes takes long.
    fn order(&mut self, evaluation: &Arc<Evaluation>) -> &[usize] {
        let known = self.order.as_ref().is_some_and(|(of, by, _)| {
            *by == self.by && Weak::ptr_eq(of, &Arc::downgrade(evaluation))
        });
        if !known {
            self.order = None;
        }
        let (_, _, order) = self.order.get_or_insert_with(|| {
            let order = self.by.indices(&evaluation.classes, &evaluation.confusion);
            (Arc::downgrade(evaluation), self.by, order)
        });
        order
    }
}

/// The name of an order, and its purpose.
fn order_words(by: MatrixOrder) -> (&'static str, &'static str) {
    match by {
        MatrixOrder::Project => ("as in the project", "In the order of the project's classes"),
        MatrixOrder::Name => ("by name", "Classes in alphabetical order"),
        MatrixOrder::Size => ("largest first", "The class with the most images first"),
        MatrixOrder::Accuracy => ("weakest first", "The class with the lowest recall first"),
        MatrixOrder::Similar => (
            "similar together",
            "Classes that are confused with each other side by side",
        ),
    }
}

/// Paints the matrix.
pub fn matrix_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    evaluation: &Arc<Evaluation>,
    view: &mut View,
) {
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        section(ui, "Confusion matrix", |ui| {
            ui.scope(|ui| {
                ui.set_max_width(250.0);
                super::side_ui(ui, cx, session);
            });
        });
        let t = tokens(ui);
        ui.add(
            egui::Label::new(widgets::faint(
                t,
                "Rows are the labels, columns the predictions. Click a cell to see its images.",
            ))
            .wrap(),
        );
        ui.horizontal(|ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            let name = "Percent of each row instead of counts";
            if toggle_chip(ui, view.percent, "percent", name)
                .on_hover_text(name)
                .clicked()
            {
                view.percent = !view.percent;
            }
            ui.scope(|ui| {
                ui.set_max_width(ui.available_width().min(170.0));
                let chosen = order_words(view.by).0;
                choice(
                    ui,
                    "order of the matrix",
                    "Order of the classes",
                    chosen,
                    |ui| {
                        for by in MatrixOrder::ALL {
                            let (words, tip) = order_words(by);
                            let item = menu_item(ui, None, words, ());
                            if item.on_hover_text(tip).clicked() {
                                view.by = by;
                                ui.close();
                            }
                        }
                    },
                );
            });
        });
        ui.add_space(4.0);
        let percent = view.percent;
        let order = view.order(evaluation);
        paint_ui(ui, cx, session, evaluation, (order, percent));
    });
}

/// The positions of the cells and of the names of the classes.
struct Grid {
    cell: egui::Vec2,
    /// Height of the names above the cells.
    above: f32,
    /// Whether these names are vertical, above narrow columns.
    upright: bool,
}

impl Grid {
    fn of(classes: &[String], room: f32) -> Self {
        let count = classes.len().max(1) as f32;
        let width = ((room - NAMES - 20.0) / count).clamp(*CELL.start(), *CELL.end());
        let longest = classes
            .iter()
            .map(|class| words::shorten(class, NAME_LENGTH).chars().count())
            .max()
            .unwrap_or(0) as f32;
        let upright = longest * 6.6 > width - 4.0;
        let above = if upright {
            (longest * 6.6 + 12.0).min(130.0)
        } else {
            22.0
        };
        Self {
            cell: vec2(width, (width * 0.62).max(26.0)),
            above,
            upright,
        }
    }
}

/// Paints the cells, which scroll below the names of the classes; the names stay visible.
fn paint_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    evaluation: &Evaluation,
    (order, percent): (&[usize], bool),
) {
    let classes = &evaluation.classes;
    let count = classes.len() as f32;
    if classes.is_empty() {
        return;
    }
    let grid = Grid::of(classes, ui.available_width());
    let size = vec2(
        NAMES + grid.cell.x * count,
        grid.above + grid.cell.y * count + 6.0,
    );
    // The greatest height at which its top and the scroll bar at its bottom are visible together, but at least four
    // rows, whatever the window's height.
    let least = grid.above + 4.5 * grid.cell.y + widgets::SCROLL_BAR;
    let most = (ui.ctx().content_rect().height() - 260.0)
        .max(200.0)
        .max(least);
    egui::ScrollArea::both()
        .id_salt("matrix")
        .max_height(most)
        .auto_shrink([false, true])
        .show(ui, |ui| {
            let (area, _) = ui.allocate_exact_size(size, Sense::hover());
            let clip = ui.clip_rect();
            // The top left corner of the visible cells.
            let corner = pos2(
                clip.left().max(area.left()) + NAMES,
                clip.top().max(area.top()) + grid.above,
            );
            let origin = area.min + vec2(NAMES, grid.above);
            let mut inner = ui.new_child(egui::UiBuilder::new().max_rect(area));
            inner.shrink_clip_rect(Rect::from_min_max(corner, clip.max));
            let shown = Shown {
                grid: &grid,
                order,
                percent,
            };
            cells_ui(&mut inner, cx, session, evaluation, &shown, origin);
            let names: Vec<&String> = order.iter().filter_map(|at| classes.get(*at)).collect();
            names_ui(ui, session, &names, &grid, origin, corner);
        });
}

fn names_ui(
    ui: &Ui,
    session: &Session,
    classes: &[&String],
    grid: &Grid,
    origin: egui::Pos2,
    corner: egui::Pos2,
) {
    let t = tokens(ui);
    let font = FontId::new(12.0, FontFamily::Proportional);
    let clip = ui.clip_rect();
    let left = ui
        .painter()
        .with_clip_rect(Rect::from_min_max(pos2(clip.left(), corner.y), clip.max));
    let top = ui
        .painter()
        .with_clip_rect(Rect::from_min_max(pos2(corner.x, clip.top()), clip.max));
    for (index, class) in classes.iter().enumerate() {
        let name = words::shorten(class, NAME_LENGTH);
        let y = origin.y + (index as f32 + 0.5) * grid.cell.y;
        let x = origin.x + (index as f32 + 0.5) * grid.cell.x;
        let begin = corner.x - NAMES;
        class_mark(
            &left,
            pos2(begin + 6.0, y),
            color_of(session, class),
            t.muted,
        );
        left.text(
            pos2(begin + 18.0, y),
            Align2::LEFT_CENTER,
            &name,
            font.clone(),
            t.text,
        );
        let galley = top.layout_no_wrap(name, font.clone(), t.muted);
        if grid.upright {
            let at = pos2(x - galley.size().y / 2.0, corner.y - 6.0);
            let shape = TextShape::new(at, galley, t.muted);
            top.add(shape.with_angle(-std::f32::consts::FRAC_PI_2));
        } else {
            let at = pos2(x - galley.size().x / 2.0, corner.y - 6.0 - galley.size().y);
            top.galley(at, galley, t.muted);
        }
    }
}

/// How the matrix is painted.
struct Shown<'a> {
    grid: &'a Grid,
    order: &'a [usize],
    percent: bool,
}

fn cells_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    evaluation: &Evaluation,
    shown: &Shown<'_>,
    origin: egui::Pos2,
) {
    let size = shown.grid.cell;
    for (row_at, &truth) in shown.order.iter().enumerate() {
        let Some(row) = evaluation.confusion.counts.get(truth) else {
            continue;
        };
        let total: u64 = row.iter().sum();
        for (column_at, &predicted) in shown.order.iter().enumerate() {
            let min = origin + vec2(column_at as f32, row_at as f32) * size;
            let rect = Rect::from_min_size(min, size).shrink(1.5);
            // Of many classes, only a part is visible.
            if !ui.is_rect_visible(rect) {
                continue;
            }
            let frames = row.get(predicted).copied().unwrap_or(0);
            let part = frames as f32 / total.max(1) as f32;
            let cell = Cell {
                rect,
                truth,
                predicted,
                frames,
                part,
                percent: shown.percent,
            };
            cell_ui(ui, cx, session, evaluation, &cell);
        }
    }
}

struct Cell {
    rect: Rect,
    truth: usize,
    predicted: usize,
    frames: u64,
    /// The fraction of the row, 0..=1.
    part: f32,
    /// Writes it as a percentage instead of the count.
    percent: bool,
}

fn cell_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, evaluation: &Evaluation, cell: &Cell) {
    let t = tokens(ui);
    let at = (cell.truth, cell.predicted);
    let chosen = session.evaluate.cell == Some(at);
    let right = cell.truth == cell.predicted;
    let name = |index: usize| evaluation.classes.get(index).map_or("", String::as_str);
    let sense = if cell.frames > 0 {
        Sense::click()
    } else {
        Sense::hover()
    };
    let response = ui.interact(cell.rect, ui.scope_id().with(("cell", at)), sense);
    let strength = 0.12 + 0.88 * cell.part;
    let hue = if right { t.accent } else { t.danger };
    let fill = if cell.frames == 0 {
        t.window
    } else {
        mix(t.panel, hue, strength)
    };
    let radius = CornerRadius::same(theme::RADIUS_SMALL);
    let stroke = if chosen || response.has_focus() {
        Stroke::new(2.0, t.text)
    } else if response.hovered() && cell.frames > 0 {
        Stroke::new(1.0, t.line_strong)
    } else {
        Stroke::NONE
    };
    ui.painter()
        .rect(cell.rect, radius, fill, stroke, StrokeKind::Inside);
    let color = if cell.frames == 0 {
        t.faint
    } else if strength > 0.5 {
        if right { t.on_accent } else { t.window }
    } else {
        t.text
    };
    ui.painter().text(
        cell.rect.center(),
        Align2::CENTER_CENTER,
        if cell.percent && cell.frames > 0 {
            format!("{:.0}", 100.0 * cell.part)
        } else {
            words::number(cell.frames)
        },
        FontId::new(12.5, theme::medium()),
        color,
    );
    let words = format!(
        "{} of “{}” taken for “{}” ({})",
        session.noun().count(cell.frames as usize),
        name(cell.truth),
        name(cell.predicted),
        words::percent(cell.part),
    );
    if cell.frames > 0 {
        response
            .widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, chosen, &words));
    }
    if response.on_hover_text(words).clicked() {
        let next = (!chosen).then_some(at);
        cx.act(Action::Evaluate(EvaluateAction::Cell(next)));
    }
}

/// A colour between two, at the fraction `part` of the way.
fn mix(from: Color32, to: Color32, part: f32) -> Color32 {
    from.lerp_to_gamma(to, part.clamp(0.0, 1.0))
}

/// Names the chosen cell, with a button that shows all mistakes again.
pub fn filter_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, evaluation: &Evaluation) {
    let Some((truth, predicted)) = session.evaluate.cell else {
        return;
    };
    let name = |index: usize| evaluation.classes.get(index).map_or("", String::as_str);
    let label = format!(
        "“{}” taken for “{}”",
        words::shorten(name(truth), 16),
        words::shorten(name(predicted), 16)
    );
    let clear = quiet_button(ui, Some(crate::ui::icons::CROSS), &label);
    if clear.on_hover_text("Show all mistakes again").clicked() {
        cx.act(Action::Evaluate(EvaluateAction::Cell(None)));
    }
}
