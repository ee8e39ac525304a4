//! The header of the train workspace: the progress of the training, and its buttons.

use std::time::Duration;

use egui::{Align, Layout, Ui};

use crate::app::{Action, Live, Readiness, Session, TrainAction, words};
use crate::backbone::Depth;
use crate::jobs::Work;
use crate::train::{CurvePoint, Part};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, accent_button, button, progress_bar};

/// Paints the header.
pub fn header_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    let work = cx.app.training_work().cloned();
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CONTROL_HEIGHT);
        ui.spacing_mut().item_spacing.x = 10.0;
        ui.label(widgets::heading("Train"));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 8.0;
            match &session.train.live {
                Some(live) => steer_ui(ui, cx, live, work.as_ref()),
                None => start_ui(ui, cx, session),
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let words = match &session.train.live {
                    Some(live) => progress_words(live, work.as_ref()),
                    None => summary(session),
                };
                ui.add(egui::Label::new(widgets::muted(t, words)).truncate());
            });
        });
    });
    if let Some(live) = &session.train.live {
        let fraction = fraction(live, work.as_ref());
        ui.add_space(2.0);
        progress_bar(ui, fraction, ui.available_width());
        ui.add_space(2.0);
    }
}

fn start_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let ready = session.readiness() == Readiness::Ready;
    let tip = if ready {
        "Train a classifier on the labelled {images}"
    } else {
        "Training needs {images} in at least two classes"
    };
    let tip = session.noun().fill(tip);
    let train = ui
        .add_enabled_ui(ready, |ui| accent_button(ui, Some(icons::PLAY), "Train"))
        .inner
        .on_hover_text(&*tip)
        .on_disabled_hover_text(&*tip);
    if train.clicked() {
        cx.act(Action::Train(TrainAction::Start));
    }
    ui.add_enabled_ui(ready, |ui| {
        super::sweep_header::sweeps_button_ui(ui, cx, session, false);
    });
}

fn steer_ui(ui: &mut Ui, cx: &mut Cx<'_>, live: &Live, work: Option<&Work>) {
    let cancelling = work.is_some_and(Work::is_cancelled);
    let stopping = work.is_some_and(Work::is_stopping);
    let paused = work.is_some_and(Work::is_paused);
    // In a narrow window the buttons have icons only.
    let narrow = ui.available_width() < 460.0;
    let button = |ui: &mut Ui, glyph, label: &'static str| {
        button(ui, Some(glyph), if narrow { "" } else { label }).accessible_name(label)
    };
    ui.add_enabled_ui(!cancelling && !stopping, |ui| {
        let cancel = button(ui, icons::CROSS, "Cancel");
        if cancel
            .on_hover_text("End the training now; its run can be resumed later")
            .clicked()
        {
            cx.act(Action::Train(TrainAction::Cancel));
        }
        let begun = !live.points.is_empty();
        let stop = ui
            .add_enabled_ui(begun, |ui| button(ui, icons::STOP, "Stop and keep"))
            .inner;
        if stop
            .on_hover_text("End the training early and keep the result")
            .on_disabled_hover_text("There is nothing to keep before the first evaluation")
            .clicked()
        {
            cx.act(Action::Train(TrainAction::StopAndKeep));
        }
        let (glyph, label, tip) = if paused {
            (icons::PLAY, "Resume", "Continue")
        } else {
            (icons::PAUSE, "Pause", "Pause until you continue")
        };
        if button(ui, glyph, label).on_hover_text(tip).clicked() {
            cx.act(Action::Train(TrainAction::Pause(!paused)));
        }
    });
}

/// The last point of the current part while its steps are trained; `None` before and after them.
fn stepping(live: &Live) -> Option<&CurvePoint> {
    live.points.last().filter(|point| point.step < live.steps)
}

/// The fraction of the current stage that is done, 0..=1.
fn fraction(live: &Live, work: Option<&Work>) -> Option<f32> {
    match stepping(live) {
        Some(point) => Some(point.step as f32 / live.steps.max(1) as f32),
        None => work.and_then(|work| work.progress().fraction()),
    }
}

/// `training the head · step 2,880 of 4,000 · 720 steps/s · 2 s left`, or the work before and after the steps.
fn progress_words(live: &Live, work: Option<&Work>) -> String {
    let Some(work) = work else {
        return "waiting for another job".to_owned();
    };
    let progress = work.progress();
    let mut parts = Vec::new();
    if let Some(point) = stepping(live) {
        let part = match live.part {
            Part::Head => Depth::Head,
            Part::FineTuning => live.depth.unwrap_or_default(),
        };
        parts.push(format!("training {}", words::depth_part(part)));
        parts.push(format!(
            "step {} of {}",
            words::number(u64::from(point.step)),
            words::number(u64::from(live.steps))
        ));
        if let Some(rate) = live.steps_per_second
            && !work.is_paused()
        {
            // A slow rate is less informative than the time left, for which there must be room.
            if live.part == Part::Head {
                parts.push(format!("{} steps/s", words::number(rate.round() as u64)));
            }
            let left = f64::from(live.steps.saturating_sub(point.step)) / rate.max(1e-9);
            // The whole time, as far as it is known.
            let after = match (live.part, live.depth) {
                (Part::FineTuning, _) | (Part::Head, Some(Depth::Head)) => Some(0.0),
                (Part::Head, _) => live.fine_tuning_secs,
            };
            if let Some(left) = after.map(|after| left + after)
                && left.is_finite()
                && left > 0.0
            {
                let left = Duration::from_secs_f64(left.min(1e9));
                let left = words::time_left(left);
                parts.push(if live.part == Part::Head && live.may_end {
                    format!("up to {left}")
                } else {
                    left
                });
            }
        }
    } else {
        parts.push(if progress.stage.is_empty() {
            "starting".to_owned()
        } else {
            progress.stage.clone()
        });
        if let Some(total) = progress.total {
            parts.push(format!(
                "{} of {}",
                words::number(progress.done.min(total)),
                words::number(total)
            ));
        }
        if let Some(left) = progress.time_left() {
            parts.push(words::time_left(left));
        }
    }
    if work.is_cancelled() {
        parts.push("cancelling…".to_owned());
    } else if work.is_stopping() {
        parts.push("stopping…".to_owned());
    } else if work.is_paused() {
        parts.push("paused".to_owned());
    }
    parts.join(" · ")
}

/// The summary of the chosen run, if nothing is being trained.
fn summary(session: &Session) -> String {
    session
        .train
        .focus
        .as_ref()
        .and_then(|id| session.train.run(id))
        .map_or_else(
            || "curves and figures appear here".to_owned(),
            |entry| {
                format!(
                    "{} · {}",
                    entry.title(),
                    words::count(u64::from(entry.steps()), "step")
                )
            },
        )
}
