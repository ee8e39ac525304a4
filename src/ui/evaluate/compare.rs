//! The comparison of two runs frame by frame: the tests, and the frames that only one of them has right.

use egui::{Label, Rect, Sense, Ui, pos2, vec2};

use super::measure::{Card, measurement_ui, sentence_ui};
use crate::app::{
    Action, Compared, EvaluateAction, Found, ImageKey, ImageState, Measurement, Session, words,
};
use crate::evaluate::Evaluation;
use crate::train::RunState;
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::run_choice::run_choice;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, image_within, panel, placeholder, section};

/// The most frames that are shown.
const MOST_FRAMES: usize = 60;
/// Size of a card, points.
const CARD: egui::Vec2 = vec2(150.0, 150.0);
const GAP: f32 = 10.0;

const COMPARE: Card = Card {
    what: Measurement::Compare,
    title: "Which is better",
    about: "Both runs classify the same {images}. Only those that one gets right and the other wrong count. Mistakes on {images} of one source are correlated, so the test over sources must agree with the one over {images}.",
    button: "Compare",
};

/// Paints the choice of the other run, and the comparison.
pub fn compare_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, evaluation: &Evaluation) {
    let state = &session.evaluate;
    let mut runs = session.train.runs.iter();
    let is_alone = !runs.any(|entry| {
        entry.run.state == RunState::Finished && state.run.as_ref() != Some(&entry.run.id)
    });
    if is_alone && state.other.is_none() {
        let t = tokens(ui);
        let words = "This project has no other finished run. Train again, for example at a greater depth or with another architecture, and compare here.";
        ui.add(Label::new(widgets::muted(t, words)).wrap());
        return;
    }
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        section(ui, "Compare with", |_| {});
        ui.scope(|ui| {
            ui.set_max_width(ui.available_width().min(320.0));
            let chosen = state.other.as_ref();
            if let Some(id) = run_choice(ui, session, "compared run", chosen, state.run.as_ref()) {
                cx.act(Action::Evaluate(EvaluateAction::Compare(id)));
            }
        });
    });
    ui.add_space(6.0);
    if state.other.is_none() {
        let t = tokens(ui);
        ui.label(widgets::muted(t, "Choose another run of this project."));
        return;
    }
    measurement_ui(ui, cx, session, &COMPARE, |ui, _, found| {
        if let Found::Compared(found) = found {
            match found {
                Some(found) => found_ui(ui, session, evaluation, found),
                None => sentence_ui(
                    ui,
                    "The two runs were not tested on the same images.".to_owned(),
                ),
            }
        }
    });
}

fn found_ui(ui: &mut Ui, session: &Session, evaluation: &Evaluation, found: &Compared) {
    let t = tokens(ui);
    let noun = session.noun();
    sentence_ui(
        ui,
        format!(
            "First {}, second this run. {}",
            found.other,
            found.comparison.sentence(noun)
        ),
    );
    let counts = found.comparison.counts;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 26.0;
        for (what, count) in [
            ("both right", counts.both),
            ("only the other", counts.first_only),
            ("only this run", counts.second_only),
            ("neither", counts.neither),
        ] {
            ui.vertical(|ui| {
                ui.label(widgets::figure(words::number(count)));
                ui.label(widgets::small(t, what));
            });
        }
    });
    ui.add_space(6.0);
    let differing = &found.comparison.differing;
    if differing.is_empty() {
        return;
    }
    ui.label(widgets::muted(
        t,
        format!(
            "{} that only one of them gets right",
            noun.count(differing.len())
        ),
    ));
    let columns = ((ui.available_width() + GAP) / (CARD.x + GAP))
        .floor()
        .max(1.0) as usize;
    ui.spacing_mut().item_spacing = vec2(GAP, GAP);
    let shown: Vec<&[usize; 2]> = differing.iter().take(MOST_FRAMES).collect();
    for row in shown.chunks(columns) {
        ui.horizontal(|ui| {
            for [first, second] in row {
                frame_ui(ui, session, evaluation, found, [*first, *second]);
            }
        });
    }
    if differing.len() > MOST_FRAMES {
        let more = differing.len() - MOST_FRAMES;
        ui.label(widgets::faint(t, format!("and {more} more")));
    }
}

fn frame_ui(
    ui: &mut Ui,
    session: &Session,
    evaluation: &Evaluation,
    found: &Compared,
    [first, second]: [usize; 2],
) {
    let t = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(CARD, Sense::hover());
    let [Some(before), Some(now)] = [
        found.first.predictions.get(first),
        evaluation.predictions.get(second),
    ] else {
        return;
    };
    let name = |classes: &[String], at: usize| classes.get(at).cloned().unwrap_or_default();
    let truth = name(&evaluation.classes, now.truth);
    let answers = [
        name(&found.first.classes, before.predicted),
        name(&evaluation.classes, now.predicted),
    ];
    let words = format!(
        "“{truth}”: the other run says “{}”, this one “{}”",
        answers[0], answers[1]
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Label, true, &words));
    if !ui.is_rect_visible(rect) {
        return;
    }
    let image = Rect::from_min_size(rect.min, vec2(CARD.x, 100.0));
    match session
        .images
        .get(&ImageKey::Thumb(session.root.join(&now.path)))
    {
        ImageState::Ready(texture) => image_within(ui, image, &texture, theme::RADIUS),
        ImageState::Loading => placeholder(ui, image, theme::RADIUS, None),
        ImageState::Failed(_) => placeholder(ui, image, theme::RADIUS, Some(icons::MISSING)),
    }
    let lines = [
        (truth, t.text),
        (format!("other: {}", answers[0]), t.muted),
        (format!("this: {}", answers[1]), t.muted),
    ];
    for ((line, color), at) in lines.into_iter().zip([102.0, 118.0, 134.0]) {
        ui.painter().text(
            pos2(rect.left(), rect.top() + at),
            egui::Align2::LEFT_TOP,
            words::shorten(&line, 22),
            egui::FontId::new(12.0, egui::FontFamily::Proportional),
            color,
        );
    }
    response.on_hover_text(words);
}
