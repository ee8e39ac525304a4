//! What the accuracy owes to the data: leak meter, cross-validation by source, learning curve, and the number of
//! evaluations on the test frames.

use egui::Ui;
use egui_plot::{LineStyle, MarkerShape, PlotPoints, Points};

use super::measure::{Card, measurement_ui, sentence_ui};
use super::plot::{Axes, plot_ui};
use crate::app::{Action, EvaluateAction, Found, Measurement, Session, words};
use crate::evaluate::{CrossValidation, LeakMeter, LearningCurve, QualityParts};
use crate::project::Noun;
use crate::ui::Cx;
use crate::ui::theme::tokens;
use crate::ui::widgets::{self, hint, plot_line};

/// Paints the cards.
pub fn data_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let measured = &session.evaluate.measured;
    if measured.is_due(Measurement::TestUses) {
        cx.act(Action::Evaluate(EvaluateAction::Measure(
            Measurement::TestUses,
        )));
    }
    if let Some(Ok(Found::TestUses(uses))) = measured.found(Measurement::TestUses)
        && let Some(figures) = &session.evaluate.figures
        && let Some(words) = uses.sentence(&figures.accuracy)
    {
        hint(ui, &words);
        ui.add_space(6.0);
    }
    let noun = session.noun();
    measurement_ui(ui, cx, session, &LEAK, |ui, _, found| {
        if let Found::Leak(found) = found {
            leak_ui(ui, noun, found.as_ref());
        }
    });
    ui.add_space(6.0);
    measurement_ui(ui, cx, session, &FOLDS, |ui, _, found| {
        if let Found::Folds(found) = found {
            folds_ui(ui, noun, found.as_ref());
        }
    });
    ui.add_space(6.0);
    measurement_ui(ui, cx, session, &QUALITY, |ui, _, found| {
        if let Found::Quality(found) = found {
            quality_ui(ui, noun, found);
        }
    });
    ui.add_space(6.0);
    measurement_ui(ui, cx, session, &LEARNING, |ui, _, found| {
        if let Found::Learning(found) = found {
            learning_ui(ui, noun, found.as_ref());
        }
    });
}

const QUALITY: Card = Card {
    what: Measurement::Quality,
    title: "Dark and blurred {images}",
    about: "Accuracy by quartile, from the darkest to the brightest {images} and from the most blurred to the sharpest; and by time of day if the files record it.",
    button: "Measure them",
};

fn quality_ui(ui: &mut Ui, noun: Noun, found: &QualityParts) {
    let t = tokens(ui);
    for (title, ends, parts, unit) in [
        (
            "Brightness",
            ["darkest", "brightest"],
            &found.brightness,
            100.0,
        ),
        (
            "Sharpness",
            ["most blurred", "sharpest"],
            &found.sharpness,
            1.0,
        ),
    ] {
        ui.label(widgets::name(title));
        egui::Grid::new(title)
            .num_columns(4)
            .spacing([18.0, 4.0])
            .show(ui, |ui| {
                for (at, part) in parts.iter().enumerate() {
                    let name = match at {
                        0 => ends[0],
                        at if at + 1 == parts.len() => ends[1],
                        _ => "",
                    };
                    let [low, high] = part.range.map(|end| end * unit);
                    ui.label(widgets::muted(t, name));
                    ui.label(widgets::muted(t, format!("{low:.0} to {high:.0}")));
                    ui.label(widgets::muted(t, noun.count(part.frames as usize)));
                    ui.label(part.accuracy.to_string());
                    ui.end_row();
                }
            });
        ui.add_space(4.0);
    }
    times_ui(ui, noun, found);
}

/// The accuracy by time of day, if any image has a time.
fn times_ui(ui: &mut Ui, noun: Noun, found: &QualityParts) {
    if found.time_of_day.is_empty() {
        return;
    }
    let t = tokens(ui);
    ui.label(widgets::name("Time of day")).on_hover_text(
        "From the EXIF data of photos and the recording times of videos; times given in UTC are shown in the time zone of this computer.",
    );
    egui::Grid::new("Time of day")
        .num_columns(4)
        .spacing([18.0, 4.0])
        .show(ui, |ui| {
            for part in &found.time_of_day {
                ui.label(widgets::muted(t, part.part));
                let hours = part.hours.map(|[from, to]| format!("{from} to {to} h"));
                ui.label(widgets::muted(t, hours.unwrap_or_default()));
                ui.label(widgets::muted(t, noun.count(part.frames as usize)));
                ui.label(part.accuracy.to_string());
                ui.end_row();
            }
        });
    ui.add_space(4.0);
}

const LEAK: Card = Card {
    what: Measurement::Leak,
    title: "Leak meter",
    about: "A second head is trained on a random split of {images}, as many tools do, so that {images} of one source are on both sides. Its apparent gain in accuracy is leakage.",
    button: "Measure the leak",
};

const FOLDS: Card = Card {
    what: Measurement::Folds,
    title: "Cross-validation by source",
    about: "Each source is tested once, with a head that was not trained on it. With few test sources this is more reliable than the test accuracy, because all {images} count.",
    button: "Cross-validate",
};

const LEARNING: Card = Card {
    what: Measurement::Learning,
    title: "Learning curve",
    about: "Heads are trained on fractions of the sources. The growth of their accuracy shows what more sources would add.",
    button: "Measure the curve",
};

fn leak_ui(ui: &mut Ui, noun: Noun, found: Option<&LeakMeter>) {
    let t = tokens(ui);
    let Some(leak) = found else {
        sentence_ui(ui, noun.fill("There are no test {images}.").into_owned());
        return;
    };
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 26.0;
        for (what, value) in [
            ("split by source", leak.by_source.to_string()),
            ("split at random", words::percent(leak.by_frame)),
        ] {
            ui.vertical(|ui| {
                ui.label(widgets::figure(value));
                ui.label(widgets::small(t, what));
            });
        }
    });
    sentence_ui(ui, leak.sentence(noun));
}

fn folds_ui(ui: &mut Ui, noun: Noun, found: Option<&CrossValidation>) {
    let t = tokens(ui);
    let Some(found) = found else {
        sentence_ui(
            ui,
            "A class has a single source, which cannot be used for both training and testing."
                .to_owned(),
        );
        return;
    };
    ui.label(widgets::figure(found.accuracy.to_string()));
    let folds: Vec<String> = found
        .folds
        .iter()
        .map(|part| words::percent(*part))
        .collect();
    let words = format!(
        "of {} from {}, macro F1 {}. The folds: {}.",
        noun.count(found.frames as usize),
        words::count(found.sources, "source"),
        found.macro_f1,
        folds.join(", ")
    );
    ui.add(egui::Label::new(widgets::muted(t, words)).wrap());
}

fn learning_ui(ui: &mut Ui, noun: Noun, found: Option<&LearningCurve>) {
    let Some(found) = found else {
        sentence_ui(
            ui,
            noun.fill("There are too few sources to train on, or no test {images}.")
                .into_owned(),
        );
        return;
    };
    sentence_ui(ui, found.sentence(noun));
    let t = tokens(ui);
    let each: Vec<[f64; 2]> = found
        .points
        .iter()
        .flat_map(|point| {
            let n = point.sources_per_class;
            point.accuracies.iter().map(move |accuracy| [n, *accuracy])
        })
        .collect();
    let means: Vec<[f64; 2]> = found
        .points
        .iter()
        .map(|point| [point.sources_per_class, point.accuracy()])
        .collect();
    let lowest = each.iter().map(|[_, y]| *y).fold(1.0, f64::min);
    let most = found.law.last().or(means.last()).map_or(1.0, |[x, _]| *x);
    let measured_to = means.last().map_or(0.0, |[x, _]| *x);
    let axes = Axes {
        id: "learning curve",
        title: "Accuracy",
        names: ["sources per class", "test accuracy"],
        x: [0.0, most * 1.04],
        y: [(lowest - 0.05).max(0.0), 1.02],
        x_percent: false,
        height: 220.0,
    };
    plot_ui(ui, &axes, |plot| {
        let (behind, ahead): (Vec<_>, Vec<_>) =
            found.law.iter().partition(|[x, _]| *x <= measured_to);
        let law = |points: Vec<[f64; 2]>| {
            plot_line("law", points)
                .color(t.muted)
                .width(1.5)
                .allow_hover(false)
        };
        plot.line(law(behind));
        plot.line(law(ahead).style(LineStyle::dashed_loose()));
        plot.points(
            Points::new("trainings", PlotPoints::from(each.clone()))
                .color(t.line_strong)
                .radius(2.5)
                .allow_hover(false),
        );
        plot.points(
            Points::new("mean", PlotPoints::from(means.clone()))
                .color(t.accent)
                .shape(MarkerShape::Circle)
                .radius(4.5)
                .allow_hover(false),
        );
    });
}
