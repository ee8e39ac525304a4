//! The result of the training in progress so far, or of the run that is drawn in full.

use egui::{RichText, Sides, Ui, vec2};

use crate::app::{Action, Command, EvaluateAction, RunEntry, Session, TrainAction, words};
use crate::train::{KeepBy, Part, StageResult};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::tokens;
use crate::ui::widgets::{self, figure, panel, section};

/// The best validation accuracy so far, and the test accuracy of a finished run.
pub(super) fn result_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    let state = &session.train;
    let many = session.noun().many();
    if let Some(live) = &state.live {
        let Some(best) = live.best else { return };
        panel(ui).show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 4.0;
            section(ui, "Best so far", |_| {});
            ui.label(figure(words::percent(best.validation_accuracy)));
            ui.label(widgets::small(
                t,
                format!(
                    "of the validation {many}, at step {}",
                    words::number(u64::from(best.step))
                ),
            ));
            if let Some(head) = live.baseline {
                let part = f64::from(head.validation_accuracy);
                line_ui(ui, "head alone", &words::percent(part));
            }
        });
        return;
    }
    let Some(entry) = state.focus.as_ref().and_then(|id| state.run(id)) else {
        return;
    };
    if entry.run.result().is_none() {
        unfinished_ui(ui, cx, entry);
        return;
    }
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 4.0;
        section(ui, "Result", |_| {});
        if let Some(result) = entry.run.result() {
            let honest = result.test_accuracy.or(result.validation_accuracy);
            let text = words::percent_or_dash(honest);
            ui.label(figure(text));
            ui.label(widgets::small(
                t,
                if result.test_accuracy.is_some() {
                    format!("of the test {many} correct")
                } else {
                    format!("of the validation {many} correct")
                },
            ));
            ui.add_space(4.0);
            let head = entry.run.head_only();
            if let Some(part) = head.and_then(|head| head.test_accuracy) {
                line_ui(ui, "head alone", &words::percent(part));
            }
            line_ui(
                ui,
                "validation",
                &words::percent_or_dash(result.validation_accuracy),
            );
            kept_ui(ui, entry, result);
            if result.stopped_early {
                stopped_early_ui(ui, entry, result);
            }
            if head.is_some() {
                let weights = words::weights(result.trained_weights);
                ui.scope(|ui| line_ui(ui, "weights", &weights))
                    .response
                    .on_hover_text("Number of weights that were trained");
            }
            line_ui(ui, "took", &words::duration(entry.run.secs().max(1.0)));
            for note in entry.run.all_notes() {
                ui.add(egui::Label::new(widgets::faint(t, note).line_height(Some(16.0))).wrap());
            }
            ui.add_space(4.0);
            let id = &entry.run.id;
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing = vec2(8.0, 6.0);
                if widgets::button(ui, None, "Evaluate")
                    .on_hover_text("Inspect its mistakes")
                    .clicked()
                {
                    cx.act(Action::Evaluate(EvaluateAction::Open(id.clone())));
                }
                if widgets::button(ui, None, "Train further…")
                    .on_hover_text(Command::ExtendTraining.tooltip(session.noun()))
                    .clicked()
                {
                    cx.act(Action::Train(TrainAction::AskExtend(id.clone())));
                }
            });
        }
    });
}

/// The step of the weights that were kept, and why.
fn kept_ui(ui: &mut Ui, entry: &RunEntry, result: &StageResult) {
    let number = |step: u32| words::number(u64::from(step));
    let part = if entry.run.head_only().is_some() {
        Part::FineTuning
    } else {
        Part::Head
    };
    let last = entry.run.settings.learn(part).keep_by == KeepBy::Last;
    let value = if result.best_step >= result.steps {
        number(result.steps)
    } else {
        format!("{} of {}", number(result.best_step), number(result.steps))
    };
    let is_last = result.best_step >= result.steps;
    let tip = match (result.best_step, last) {
        _ if is_last && last => "The weights of the last step are kept",
        _ if is_last => {
            "The weights of the last step were best on the validation images, so they are kept"
        }
        (0, true) => "The weights from before the first step are kept; a note below says why",
        (0, false) => {
            "No step was better on the validation images than the weights before the first, so those are kept"
        }
        (_, true) => "The last usable weights are kept; a note below says why",
        (_, false) => {
            "The best weights on the validation images are kept; later steps were no better"
        }
    };
    ui.scope(|ui| line_ui(ui, "kept step", &value))
        .response
        .on_hover_text(tip);
}

/// The step at which early stopping ended it.
fn stopped_early_ui(ui: &mut Ui, entry: &RunEntry, result: &StageResult) {
    let number = |step: u32| words::number(u64::from(step));
    let steps = entry.run.settings.steps();
    let value = format!("at {} of {}", number(result.steps), number(steps));
    ui.scope(|ui| line_ui(ui, "stopped early", &value))
        .response
        .on_hover_text("Cross-entropy on the validation images no longer improved, so the remaining steps were skipped");
}

/// A run that was interrupted, and how to resume it.
fn unfinished_ui(ui: &mut Ui, cx: &mut Cx<'_>, entry: &RunEntry) {
    let t = tokens(ui);
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        section(ui, "Unfinished", |_| {});
        ui.add(egui::Label::new(widgets::muted(t, interrupted(entry))).wrap());
        ui.add_space(4.0);
        // In the narrowest column the whole label would reach the card's edge.
        let label = if ui.available_width() < 150.0 {
            "Resume"
        } else {
            "Resume training"
        };
        if widgets::button(ui, Some(icons::PLAY), label)
            .accessible_name("Resume training")
            .on_hover_text("Continue from the last saved step")
            .clicked()
        {
            cx.act(Action::Train(TrainAction::Resume(entry.run.id.clone())));
        }
    });
}

/// `It was interrupted at step 120 of 340, while training the last three blocks.`
fn interrupted(entry: &RunEntry) -> String {
    let run = &entry.run;
    let settings = &run.settings;
    let part = words::depth_part(settings.fine_tune.depth);
    let (of, part) = match (run.head_only(), settings.fine_tune.is_on()) {
        (_, false) => (settings.how_many_training_steps, String::new()),
        (None, true) => (
            settings.how_many_training_steps,
            format!(
                ", while training the head; {part} {} would have followed",
                if run.is_undecided() { "might" } else { "would" }
            ),
        ),
        (Some(_), true) => (settings.steps(), format!(", while training {part}")),
    };
    let step = entry.curves.last().map_or(0, |point| point.step);
    format!(
        "It was interrupted at step {} of {}{part}.",
        words::number(u64::from(step)),
        words::number(u64::from(of))
    )
}

fn line_ui(ui: &mut Ui, what: &str, value: &str) {
    let t = tokens(ui);
    ui.spacing_mut().interact_size.y = 18.0;
    // In a narrow column the text is truncated, not the value.
    Sides::new().shrink_left().truncate().show(
        ui,
        |ui| ui.label(widgets::muted(t, what)),
        |ui| ui.label(RichText::new(value).color(t.text)),
    );
}
