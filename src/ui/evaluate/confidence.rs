//! How reliable probabilities are: the reliability diagram, the calibration, and the threshold below which an image
//! counts as unknown.

use egui::Ui;
use egui_plot::{Bar, BarChart, Line, LineStyle, VLine};

use super::measure::{Card, measurement_ui, sentence_ui};
use super::plot::percent_plot;
use crate::app::{Action, EvaluateAction, Found, Measurement, Session, words};
use crate::backbone::Depth;
use crate::evaluate::{Reliability, UnknownCurve};
use crate::project::Split;
use crate::train::Calibration;
use crate::ui::Cx;
use crate::ui::theme::tokens;
use crate::ui::widgets::{self, accent_button, button, hint, plot_line, slider};

/// State of the painting.
pub struct View {
    /// The percentage of images of the classes that may be called unknown.
    rejects: f64,
}

impl Default for View {
    fn default() -> Self {
        Self { rejects: 5.0 }
    }
}

const RELIABILITY: Card = Card {
    what: Measurement::Reliability,
    title: "Calibration",
    about: "Whether 80 % of the {images} that the model classifies with 80 % probability are right. All logits are divided by the temperature, a number fitted on the validation {images}. It is part of every prediction and every export, and never changes which class comes first.",
    button: "Measure",
};

const HELD_OUT: Card = Card {
    what: Measurement::HeldOut,
    title: "Images of unknown classes",
    about: "A classifier always answers with one of its classes. How well a low probability reveals an image of something else is measured by holding out each class in turn: a head that was trained without it classifies its {images}.",
    button: "Hold out classes",
};

/// Paints the cards.
pub fn confidence_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    if session.evaluate.measured.is_due(Measurement::Reliability) {
        let measure = EvaluateAction::Measure(Measurement::Reliability);
        cx.act(Action::Evaluate(measure));
    }
    measurement_ui(ui, cx, session, &RELIABILITY, |ui, _, found| {
        if let Found::Reliability(found, calibration) = found {
            match found {
                Some(found) => reliability_ui(ui, session, found, calibration.as_deref()),
                None => sentence_ui(
                    ui,
                    "There are no images on this side of the split.".to_owned(),
                ),
            }
        }
    });
    ui.add_space(6.0);
    measurement_ui(ui, cx, session, &HELD_OUT, |ui, cx, found| {
        if let Found::HeldOut(found) = found {
            match found {
                Some(found) => held_out_ui(ui, cx, session, found, view),
                None => sentence_ui(
                    ui,
                    "This needs at least three classes, and test or validation images.".to_owned(),
                ),
            }
        }
    });
}

fn reliability_ui(
    ui: &mut Ui,
    session: &Session,
    [before, after]: &[Reliability; 2],
    calibration: Option<&Calibration>,
) {
    let t = tokens(ui);
    let noun = session.noun();
    let words = match calibration {
        Some(found) => format!(
            "Temperature {:.2}, fitted on {} from {}. Expected calibration error {} (without it {}); with bins of equally many {} {} (without it {}).",
            found.temperature,
            noun.count(found.frames as usize),
            words::count(found.sources, "source"),
            words::percent(after.expected_error),
            words::percent(before.expected_error),
            noun.many(),
            words::percent(after.adaptive_error),
            words::percent(before.adaptive_error),
        ),
        None => format!(
            "Not calibrated: the run has too few validation {}. Expected calibration error {}.",
            noun.many(),
            words::percent(before.expected_error),
        ),
    };
    sentence_ui(ui, words);
    ui.add_space(4.0);
    let diagram = |ui: &mut Ui, id: &str, title: &str, of: &Reliability| {
        percent_plot(ui, id, title, ["probability", "right"], 220.0, |plot| {
            let bars = of.bins.iter().map(|bin| {
                let [low, high] = bin.range;
                Bar::new(f64::midpoint(low, high), bin.accuracy)
                    .width((high - low) * 0.92)
                    .name(format!("{} images", bin.frames))
            });
            let chart = BarChart::new("right", bars.collect())
                .color(t.accent)
                .allow_hover(false);
            plot.bar_chart(chart);
            let perfect = Line::new("perfect", vec![[0.0, 0.0], [1.0, 1.0]])
                .color(t.muted)
                .style(LineStyle::dashed_loose())
                .allow_hover(false);
            plot.line(perfect);
        });
    };
    if calibration.is_none() {
        diagram(ui, "reliability", "As trained", before);
    } else if ui.available_width() > 560.0 {
        ui.columns_const(|[left, right]| {
            diagram(left, "reliability before", "As trained", before);
            diagram(right, "reliability after", "Calibrated", after);
        });
    } else {
        diagram(ui, "reliability before", "As trained", before);
        diagram(ui, "reliability after", "Calibrated", after);
    }
}

fn held_out_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    curve: &UnknownCurve,
    view: &mut View,
) {
    let t = tokens(ui);
    let noun = session.noun();
    let kept = match session.evaluate.measured.found(Measurement::Reliability) {
        Some(Ok(Found::Reliability(_, Some(calibration)))) => Some(calibration.unknown),
        _ => None,
    };
    let chosen = curve.at_reject_rate(view.rejects / 100.0);
    percent_plot(
        ui,
        "unknown",
        "Unknown",
        [
            "threshold of the highest probability",
            "wrongly accepted or rejected",
        ],
        220.0,
        |plot| {
            let line = |values: &[f64]| -> Vec<[f64; 2]> {
                let places = values.iter().enumerate();
                places
                    .map(|(at, part)| [UnknownCurve::threshold(at), *part])
                    .collect()
            };
            for (name, values, color) in [
                ("false accepts", &curve.false_accept, t.danger),
                ("false rejects", &curve.false_reject, t.accent),
            ] {
                let line = plot_line(name, line(values));
                plot.line(line.color(color).width(2.0).allow_hover(false));
            }
            plot.vline(
                VLine::new("chosen", chosen.threshold)
                    .color(t.muted)
                    .style(LineStyle::dashed_loose())
                    .allow_hover(false),
            );
        },
    );
    ui.horizontal_wrapped(|ui| {
        ui.colored_label(t.danger, "Unknown classes, taken for a known one");
        ui.add_space(12.0);
        ui.colored_label(t.accent_text, "Known classes, called unknown");
    });
    ui.horizontal(|ui| {
        ui.label(widgets::muted(t, "At most called unknown"));
        let name = "Percent called unknown";
        slider(ui, name, &mut view.rejects, 0.0..=25.0, false, 150.0);
        ui.label(widgets::muted(t, format!("{:.0} %", view.rejects)));
    });
    let side = match curve.known {
        Split::Validation => "validation",
        Split::Test | Split::Train => "test",
    };
    sentence_ui(
        ui,
        format!(
            "Below {}, an image is unknown: {} of the {side} {} are rejected, and {} of {} of unknown classes are accepted.",
            words::percent(chosen.threshold),
            words::percent(chosen.false_reject),
            noun.many(),
            words::percent(chosen.false_accept),
            noun.many(),
        ),
    );
    let fine_tuned = session
        .evaluate
        .run
        .as_ref()
        .and_then(|id| session.train.run(id))
        .is_some_and(|entry| entry.run.settings.fine_tune.depth != Depth::Head);
    if fine_tuned {
        hint(
            ui,
            "The backbone of this run was fine-tuned on the held-out classes too: images of something truly new may be taken for a class more often.",
        );
    }
    ui.add_space(4.0);
    ui.horizontal(|ui| match kept {
        None => {
            ui.label(widgets::faint(
                t,
                "A run without calibration cannot have a threshold.",
            ));
        }
        Some(threshold) => {
            let rate = view.rejects / 100.0;
            if accent_button(ui, None, "Use this threshold")
                .on_hover_text(
                    "Stores it with the run: predictions and exports answer “unknown” below it",
                )
                .clicked()
            {
                cx.act(Action::Evaluate(EvaluateAction::KeepUnknown(Some(rate))));
            }
            if let Some(known) = threshold {
                ui.label(widgets::muted(
                    t,
                    format!("In use: {}", words::percent(known.threshold)),
                ));
                if button(ui, None, "Use none").clicked() {
                    cx.act(Action::Evaluate(EvaluateAction::KeepUnknown(None)));
                }
            }
        }
    });
}
