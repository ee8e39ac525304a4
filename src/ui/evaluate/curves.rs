//! The figures of each class with their intervals, and the precision-recall and ROC curves of its probability.

use egui::{Align, Color32, Layout, RichText, Sense, Ui, vec2};
use egui_plot::{Line, LineStyle};

use super::plot::percent_plot;
use crate::app::{Session, words};
use crate::evaluate::{Evaluation, Figures, Measure, Ranking};
use crate::ui::theme::{self, Tokens, tokens};
use crate::ui::widgets::{self, class_dot, color_of, panel, plot_line, section};

/// The most lines in a plot. The chosen class is always among them.
const MOST_LINES: usize = 24;
/// Height of a row of the table, points.
const ROW: f32 = 24.0;
/// Widths of the table's columns of metrics with and without an interval, points.
const MEASURE: f32 = 118.0;
const COUNT: f32 = 54.0;

/// State of the painting.
#[derive(Default)]
pub struct View {
    /// The class whose curves are highlighted.
    class: Option<usize>,
}

/// Paints curves and table.
pub fn curves_ui(
    ui: &mut Ui,
    session: &Session,
    evaluation: &Evaluation,
    figures: &Figures,
    view: &mut View,
) {
    view.class = view.class.filter(|class| *class < evaluation.classes.len());
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        section(ui, "Curves", |ui| {
            let t = tokens(ui);
            let words = match (figures.macro_average_precision, figures.macro_auc) {
                (Some(precision), Some(auc)) => format!(
                    "mean average precision {precision:.3}, mean area under the ROC curve {auc:.3}"
                ),
                _ => "needs images of two classes".to_owned(),
            };
            ui.add(egui::Label::new(widgets::faint(t, words)).truncate());
        });
        plots_ui(ui, session, evaluation, figures, view.class);
    });
    ui.add_space(6.0);
    table_ui(ui, session, evaluation, figures, view);
}

fn plots_ui(
    ui: &mut Ui,
    session: &Session,
    evaluation: &Evaluation,
    figures: &Figures,
    chosen: Option<usize>,
) {
    let t = tokens(ui);
    let side_by_side = ui.available_width() > 560.0;
    let height = if side_by_side { 240.0 } else { 200.0 };
    let precision = |ui: &mut Ui| {
        percent_plot(
            ui,
            "precision-recall",
            "Precision",
            ["recall", "precision"],
            height,
            |plot| {
                for line in lines(
                    t,
                    session,
                    evaluation,
                    figures,
                    chosen,
                    Ranking::precision_steps,
                ) {
                    plot.line(line);
                }
            },
        );
    };
    let roc = |ui: &mut Ui| {
        percent_plot(
            ui,
            "roc",
            "ROC",
            ["false positives", "true positives"],
            height,
            |plot| {
                let faint = t.line_strong;
                let chance = Line::new("chance", vec![[0.0, 0.0], [1.0, 1.0]])
                    .color(faint)
                    .style(LineStyle::dashed_loose())
                    .allow_hover(false);
                plot.line(chance);
                let of = |ranking: &Ranking| ranking.roc.clone();
                for line in lines(t, session, evaluation, figures, chosen, of) {
                    plot.line(line);
                }
            },
        );
    };
    if side_by_side {
        ui.columns_const(|[left, right]| {
            precision(left);
            roc(right);
        });
    } else {
        precision(ui);
        roc(ui);
    }
}

/// The lines of a plot: of all classes, with the chosen one in front.
fn lines(
    t: &Tokens,
    session: &Session,
    evaluation: &Evaluation,
    figures: &Figures,
    chosen: Option<usize>,
    of: impl Fn(&Ranking) -> Vec<[f64; 2]>,
) -> Vec<Line<'static>> {
    let mut order: Vec<usize> = (0..evaluation.classes.len()).collect();
    order.truncate(MOST_LINES);
    if let Some(chosen) = chosen {
        order.retain(|class| *class != chosen);
        order.push(chosen);
    }
    let line = |class: usize| {
        let name = evaluation.classes.get(class)?;
        let ranking = figures.per_class.get(class)?.ranking.as_ref()?;
        let stands_out = chosen.is_none_or(|chosen| chosen == class);
        let color: Color32 = match color_of(session, name) {
            Some(color) if stands_out => theme::class_color(color),
            None if stands_out => t.muted,
            _ => t.line_strong,
        };
        let line = plot_line(name, of(ranking));
        let width = if chosen == Some(class) { 2.5 } else { 1.5 };
        Some(line.color(color).width(width).allow_hover(false))
    };
    order.into_iter().filter_map(line).collect()
}

fn table_ui(
    ui: &mut Ui,
    session: &Session,
    evaluation: &Evaluation,
    figures: &Figures,
    view: &mut View,
) {
    let t = tokens(ui);
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        section(ui, "Classes", |ui| {
            ui.label(widgets::faint(t, "with 95 % intervals over sources"));
        });
        egui::ScrollArea::horizontal().id_salt("classes").show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 0.0;
            let many = words::sentence(session.noun().many());
            let headings = [
                (many.as_str(), COUNT + 14.0, "Number of images of this class"),
                ("Sources", COUNT, "Number of videos, or groups of similar photos, that they come from"),
                ("Recall", MEASURE, "Fraction of the images of this class that were recognised"),
                ("Precision", MEASURE, "Fraction of the images classified as this class that belong to it"),
                ("F1", MEASURE, "Harmonic mean of recall and precision"),
                ("AP", COUNT, "Average precision: mean precision over all probability thresholds, weighted by the gain in recall"),
                ("AUC", COUNT, "Area under the ROC curve: how often an image of this class has a higher probability for it than one of another class"),
            ];
            let figures_width: f32 = headings.iter().map(|(_, width, _)| width + 8.0).sum();
            let name_width = (ui.available_width() - figures_width).max(110.0);
            let width = name_width + figures_width;
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 8.0;
                ui.allocate_space(vec2(name_width - 8.0, ROW));
                for (heading, width, tip) in headings {
                    cell_ui(ui, width, |ui| {
                        ui.label(widgets::faint(t, heading)).on_hover_text(tip);
                    });
                }
            });
            for (class, (name, of_class)) in
                evaluation.classes.iter().zip(&figures.per_class).enumerate()
            {
                let (rect, response) = ui.allocate_exact_size(vec2(width, ROW), Sense::click());
                let chosen = view.class == Some(class);
                response.widget_info(|| {
                    let words = format!("Curves of “{name}”");
                    egui::WidgetInfo::selected(egui::Role::Button, true, chosen, words)
                });
                if chosen || response.hovered() || response.has_focus() {
                    let fill = if chosen { t.accent_soft } else { t.raised };
                    ui.painter().rect_filled(rect, theme::RADIUS_SMALL, fill);
                }
                if response.clicked() {
                    view.class = (!chosen).then_some(class);
                }
                if !ui.is_rect_visible(rect) {
                    continue;
                }
                let mut row = ui.new_child(
                    egui::UiBuilder::new()
                        .max_rect(rect)
                        .layout(Layout::left_to_right(Align::Center)),
                );
                row.spacing_mut().item_spacing.x = 8.0;
                row.allocate_ui_with_layout(
                    vec2(name_width - 8.0, ROW),
                    Layout::left_to_right(Align::Center),
                    |ui| {
                        ui.set_width(name_width - 8.0);
                        ui.spacing_mut().item_spacing.x = 6.0;
                        class_dot(ui, color_of(session, name));
                        ui.add(egui::Label::new(name).truncate().selectable(false));
                    },
                );
                count_ui(&mut row, COUNT + 14.0, words::number(of_class.frames));
                count_ui(&mut row, COUNT, words::number(of_class.sources));
                for measure in [&of_class.recall, &of_class.precision, &of_class.f1] {
                    measure_ui(&mut row, measure);
                }
                let ranking = of_class.ranking.as_ref();
                for value in [
                    ranking.map(|ranking| ranking.average_precision),
                    ranking.map(|ranking| ranking.auc),
                ] {
                    let text = value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
                    count_ui(&mut row, COUNT, text);
                }
            }
            ui.add_space(6.0);
            ui.horizontal_wrapped(|ui| {
                for (name, measure) in [
                    ("Macro recall", &figures.macro_recall),
                    ("Macro precision", &figures.macro_precision),
                    ("Macro F1", &figures.macro_f1),
                ] {
                    ui.label(widgets::muted(t, format!("{name} {measure}")));
                    ui.add_space(10.0);
                }
            });
        });
    });
}

/// A cell of a column, with its content at the right.
fn cell_ui(ui: &mut Ui, width: f32, add: impl FnOnce(&mut Ui)) {
    let layout = Layout::right_to_left(Align::Center);
    ui.allocate_ui_with_layout(vec2(width, ROW), layout, |ui| {
        ui.set_width(width);
        add(ui);
    });
}

fn count_ui(ui: &mut Ui, width: f32, text: String) {
    let t = tokens(ui);
    cell_ui(ui, width, |ui| {
        ui.add(egui::Label::new(widgets::muted(t, text)).selectable(false));
    });
}

fn measure_ui(ui: &mut Ui, measure: &Measure) {
    let t = tokens(ui);
    cell_ui(ui, MEASURE, |ui| {
        ui.spacing_mut().item_spacing.x = 5.0;
        let interval = match measure.interval_95.map(words::percent_range) {
            Some([low, high]) => format!("{low:.0}–{high:.0}"),
            None => String::new(),
        };
        let interval = egui::Label::new(widgets::faint(t, interval)).selectable(false);
        // The full width for short ones too, so that the numbers are aligned.
        ui.allocate_ui_with_layout(
            vec2(46.0, ROW),
            Layout::right_to_left(Align::Center),
            |ui| {
                ui.set_width(46.0);
                ui.add(interval);
            },
        );
        let value = words::percent_or_dash(measure.value);
        let value = RichText::new(value).color(t.text);
        ui.add(egui::Label::new(value).selectable(false));
    });
}
