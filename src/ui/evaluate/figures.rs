//! The metrics: accuracy with its interval and meaning, by class, by source.

use egui::{Align, Layout, RichText, Ui};

use crate::app::{Action, EvaluateAction, Session, words};
use crate::evaluate::{Evaluation, Figures};
use crate::project::Split;
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::tokens;
use crate::ui::widgets::{
    self, class_dot, color_of, figure, hint, hint_with, panel, quiet_button, section,
};

/// The most sources in the list; those with the lowest accuracy come first.
const MOST_SOURCES: usize = 40;

/// Width of a column of percentages and of one of counts, points.
const FIGURE: f32 = 54.0;
const COUNT: f32 = 40.0;

/// Space between two columns, points.
const GAP: f32 = 10.0;

/// Paints the column of metrics.
pub fn figures_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let state = &session.evaluate;
    let (Some(evaluation), Some(figures)) = (&state.evaluation, &state.figures) else {
        pending_ui(ui, session);
        return;
    };
    accuracy_ui(ui, cx, session, evaluation, figures);
    ui.add_space(6.0);
    classes_ui(ui, session, evaluation, figures);
    ui.add_space(6.0);
    sources_ui(ui, session, evaluation);
}

/// The accuracy stored with the run, until the frames are evaluated.
fn pending_ui(ui: &mut Ui, session: &Session) {
    let t = tokens(ui);
    let result = session
        .evaluate
        .run
        .as_ref()
        .and_then(|id| session.train.run(id))
        .and_then(|entry| entry.run.result());
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        section(ui, "Test accuracy", |_| {});
        let text = result
            .and_then(|result| result.test_accuracy)
            .map_or_else(|| "–".to_owned(), words::percent);
        ui.label(figure(text));
        ui.label(widgets::small(t, "as measured after training"));
    });
}

fn accuracy_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    evaluation: &Evaluation,
    figures: &Figures,
) {
    let t = tokens(ui);
    let noun = session.noun();
    let many = noun.many();
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 4.0;
        let (title, meaning) = match evaluation.split {
            Split::Test => ("Test accuracy", format!("of {many} it has never seen")),
            Split::Validation => (
                "Validation accuracy",
                format!("of the {many} that selected the weights: slightly optimistic"),
            ),
            Split::Train => (
                "Training accuracy",
                format!("of the {many} it was trained on: says nothing about new {many}"),
            ),
        };
        section(ui, title, |_| {});
        let accuracy = evaluation.confusion.accuracy();
        let text = words::percent_or_dash(accuracy);
        ui.label(figure(text));
        ui.label(widgets::small(t, meaning));
        let words = format!(
            "{} of {} right. {}",
            words::number(evaluation.confusion.correct()),
            words::number(figures.frames),
            interval_words(figures, many)
        );
        ui.add(egui::Label::new(widgets::faint(t, words).line_height(Some(16.0))).wrap())
            .on_hover_text(
                noun.fill("95 % interval, by bootstrap over sources (videos, and groups of similar photos): whole sources are resampled, because {images} of one source look alike. More sources make it narrower"),
            );
        ui.horizontal(|ui| {
            ui.label(widgets::muted(t, format!("Macro F1 {}", figures.macro_f1)))
                .on_hover_text("Mean over the classes of F1, the harmonic mean of precision and recall: every class counts equally, however few images it has");
        });
        if figures.sources > 0 && figures.sources < 6 {
            hint(
                ui,
                &format!(
                    "These {many} come from only {}. With other sources the figure could be quite different.",
                    words::count(figures.sources, "source")
                ),
            );
        }
        let changed = session.evaluate.changed();
        if changed > 0 {
            let words = format!(
                "{} changed since; the figures are out of date.",
                words::count(changed as u64, "label")
            );
            hint_with(ui, &words, |ui| {
                let again = quiet_button(ui, Some(icons::REFRESH), "Measure again");
                if again.on_hover_text(noun.fill("Evaluate again with the current labels")).clicked() {
                    cx.act(Action::Evaluate(EvaluateAction::Again));
                }
            });
        }
        if evaluation.missing > 0 {
            let words = format!(
                "{} of the run are no longer in the project or in the run's classes and were left out.",
                noun.count(evaluation.missing as usize)
            );
            ui.add(egui::Label::new(widgets::faint(t, words)).wrap());
        }
        if evaluation.relabelled > 0 {
            let words = format!(
                "{} of the run were relabelled since and were evaluated with their new labels.",
                noun.count(evaluation.relabelled as usize)
            );
            ui.add(egui::Label::new(widgets::faint(t, words)).wrap());
        }
        if evaluation.changed > 0 {
            let words = format!(
                "{} of the run have changed since and were evaluated as they are now.",
                noun.count(evaluation.changed as usize)
            );
            ui.add(egui::Label::new(widgets::faint(t, words)).wrap());
        }
        for note in &evaluation.notes {
            hint(ui, note);
        }
        let notes = session
            .evaluate
            .run
            .as_ref()
            .and_then(|id| session.train.run(id))
            .map(|entry| entry.run.all_notes())
            .unwrap_or_default();
        for note in notes.iter().filter(|note| !evaluation.notes.contains(*note)) {
            hint(ui, note);
        }
    });
}

fn classes_ui(ui: &mut Ui, session: &Session, evaluation: &Evaluation, figures: &Figures) {
    let t = tokens(ui);
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        section(ui, "Per class", |_| {});
        ui.spacing_mut().interact_size.y = 18.0;
        // The width that the numbers leave, so that a long name does not make the card wider than the others.
        let name_width = ui.available_width() - COUNT - 2.0 * FIGURE - 3.0 * GAP;
        egui::Grid::new("per class")
            .num_columns(4)
            .spacing([GAP, 6.0])
            .min_col_width(COUNT)
            .show(ui, |ui| {
                ui.label("");
                for (heading, width, tip) in [
                    (
                        session.noun().many(),
                        COUNT,
                        "Number of images of this class",
                    ),
                    (
                        "recall",
                        FIGURE,
                        "Fraction of the images of this class that were recognised",
                    ),
                    (
                        "precision",
                        FIGURE,
                        "Fraction of the images classified as this class that belong to it",
                    ),
                ] {
                    right(ui, width, |ui| {
                        ui.label(widgets::faint(t, heading)).on_hover_text(tip);
                    });
                }
                ui.end_row();
                let rows = evaluation.classes.iter().zip(&evaluation.confusion.counts);
                for (index, (class, row)) in rows.enumerate() {
                    let left = Layout::left_to_right(Align::Center);
                    ui.allocate_ui_with_layout(egui::vec2(name_width, 18.0), left, |ui| {
                        // The full width for short names too, so that the columns end at the card's edge.
                        ui.set_width(name_width);
                        ui.spacing_mut().item_spacing.x = 6.0;
                        class_dot(ui, color_of(session, class));
                        let name = egui::Label::new(class).truncate();
                        ui.add(name).on_hover_text(class);
                    });
                    let frames: u64 = row.iter().sum();
                    right(ui, COUNT, |ui| {
                        ui.label(widgets::muted(t, words::number(frames)));
                    });
                    let of_class = figures.per_class.get(index);
                    for measure in [
                        of_class.map(|of| of.recall),
                        of_class.map(|of| of.precision),
                    ] {
                        let measure = measure.unwrap_or_default();
                        right(ui, FIGURE, |ui| {
                            let text = words::percent_or_dash(measure.value);
                            ui.label(RichText::new(text).color(t.text))
                                .on_hover_text(measure.to_string());
                        });
                    }
                    ui.end_row();
                }
            });
    });
}

/// The interval of the accuracy in words.
fn interval_words(figures: &Figures, many: &str) -> String {
    // If no two photos are similar, each is a source of its own.
    let others = if figures.sources == figures.frames {
        many
    } else {
        "sources"
    };
    match figures.accuracy.interval_95.map(words::percent_range) {
        Some([low, high]) => format!(
            "With {} other {} like these, the figure would be between {:.0} and {:.0} %, 19 times out of 20.",
            words::number(figures.sources),
            others,
            low,
            high,
        ),
        None if figures.sources == 1 => {
            "All from one source: its accuracy on others is unknown.".to_owned()
        }
        None => String::new(),
    }
}

fn sources_ui(ui: &mut Ui, session: &Session, evaluation: &Evaluation) {
    let t = tokens(ui);
    let groups = evaluation.by_source();
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        section(ui, "Per source", |ui| {
            ui.label(widgets::faint(t, "worst first"));
        });
        ui.spacing_mut().item_spacing.y = 6.0;
        ui.spacing_mut().interact_size.y = 18.0;
        for group in groups.iter().take(MOST_SOURCES) {
            let name = source_name(session, &group.group);
            ui.horizontal(|ui| {
                ui.label(words::shorten(&name, 24)).on_hover_text(&name);
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    let part = words::percent(group.accuracy());
                    right(ui, FIGURE, |ui| {
                        ui.label(RichText::new(part).color(t.text));
                    });
                    ui.label(widgets::faint(
                        t,
                        format!("{} of {}", group.correct, group.total),
                    ));
                });
            });
        }
        if groups.len() > MOST_SOURCES {
            ui.label(widgets::faint(
                t,
                format!("and {} more", groups.len() - MOST_SOURCES),
            ));
        }
    });
}

/// A right-aligned cell of a column.
fn right(ui: &mut Ui, width: f32, add: impl FnOnce(&mut Ui)) {
    ui.allocate_ui_with_layout(
        egui::vec2(width, 18.0),
        Layout::right_to_left(Align::Center),
        |ui| {
            ui.set_min_width(width);
            add(ui);
        },
    );
}

/// The name of a source for users; an image file that was copied into the project by hand is a source of its own.
pub fn source_name(session: &Session, group: &str) -> String {
    session
        .sources
        .iter()
        .find(|source| source.id.as_str() == group)
        .map_or_else(|| group.to_owned(), |source| source.name.clone())
}
