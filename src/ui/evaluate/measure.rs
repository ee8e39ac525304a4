//! The card of a measurement: its result, a button to start it, its progress, or its error.

use egui::{RichText, Ui};

use crate::app::{Action, EvaluateAction, Found, Measurement, Session};
use crate::jobs::Progress;
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::tokens;
use crate::ui::widgets::{self, button, panel, progress_bar, quiet_button, section};

/// The texts of a card.
pub struct Card {
    /// The measurement.
    pub what: Measurement,
    /// The heading.
    pub title: &'static str,
    /// Its purpose, in a sentence or two.
    pub about: &'static str,
    /// The label of the button.
    pub button: &'static str,
}

/// Paints the card of a measurement; `found_ui` paints its result.
pub fn measurement_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    card: &Card,
    found_ui: impl FnOnce(&mut Ui, &mut Cx<'_>, &Found),
) {
    let t = tokens(ui);
    let measured = &session.evaluate.measured;
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        section(ui, &session.noun().fill(card.title), |_| {});
        let about = session.noun().fill(card.about);
        ui.add(egui::Label::new(widgets::faint(t, about).line_height(Some(16.0))).wrap());
        ui.add_space(4.0);
        let found = measured.found(card.what);
        if let Some(task) = measured.task(card.what)
            && found.is_none()
        {
            let tasks = cx.app.tasks.running();
            let progress = tasks
                .iter()
                .find(|running| running.id == task)
                .map(|running| running.work.progress());
            ui.horizontal(|ui| {
                let fraction = progress.as_ref().and_then(Progress::fraction);
                progress_bar(ui, fraction, 200.0);
                let words =
                    progress.map_or_else(|| "Waiting for another job".to_owned(), |of| of.stage);
                ui.label(widgets::muted(t, words));
                let cancel = quiet_button(ui, Some(icons::CROSS), "Cancel");
                if cancel.clicked() {
                    cx.act(Action::Evaluate(EvaluateAction::CancelMeasure(card.what)));
                }
            });
            return;
        }
        match found {
            Some(Ok(found)) => found_ui(ui, cx, found),
            Some(Err(error)) => {
                ui.label(RichText::new(error).color(t.danger));
                again_ui(ui, cx, card, "Try again");
            }
            None => again_ui(ui, cx, card, card.button),
        }
    });
}

fn again_ui(ui: &mut Ui, cx: &mut Cx<'_>, card: &Card, label: &str) {
    ui.horizontal(|ui| {
        if button(ui, None, label).clicked() {
            cx.act(Action::Evaluate(EvaluateAction::Measure(card.what)));
        }
    });
}

/// A result in one sentence.
pub fn sentence_ui(ui: &mut Ui, words: String) {
    let t = tokens(ui);
    let text = RichText::new(words).color(t.text).line_height(Some(19.0));
    ui.add(egui::Label::new(text).wrap());
}
