//! The header of the train workspace while a sweep is trained or shown, and the button for sweeps.

use std::time::Duration;

use egui::{Align, Layout, Popup, Ui};

use crate::app::{Action, Session, SweepAction, SweepEntry, words};
use crate::jobs::Work;
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, accent_button, button, menu_item, progress_bar};

/// A button that opens the dialog for a new sweep, or a list of the existing sweeps; with only its icon in a narrow
/// window.
pub(super) fn sweeps_button_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, narrow: bool) {
    let t = tokens(ui);
    let tip = "Train once for each combination of architectures, depths and settings, and compare accuracy and cost";
    let response = short(ui, narrow, icons::GRID, "Sweep…").on_hover_text(tip);
    if session.sweep.list.is_empty() {
        if response.clicked() {
            cx.act(Action::Sweep(SweepAction::Ask));
        }
        return;
    }
    Popup::menu(&response).width(300.0).show(|ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        if menu_item(ui, Some(icons::PLUS), "New sweep…", ()).clicked() {
            cx.act(Action::Sweep(SweepAction::Ask));
            ui.close();
        }
        widgets::separator(ui);
        egui::ScrollArea::vertical()
            .max_height(320.0)
            .show(ui, |ui| {
                for entry in &session.sweep.list {
                    let right = widgets::faint(t, done(entry));
                    if menu_item(ui, None, &title(entry), right).clicked() {
                        let id = Some(entry.sweep.id.clone());
                        cx.act(Action::Sweep(SweepAction::Show(id)));
                        ui.close();
                    }
                }
            });
    });
}

/// `Sweep · today 14:02`
fn title(entry: &SweepEntry) -> String {
    format!("Sweep · {}", words::moment(&entry.sweep.created))
}

/// `5 of 16`
fn done(entry: &SweepEntry) -> String {
    format!("{} of {}", entry.sweep.done(), entry.sweep.trainings.len())
}

/// Paints the header.
pub(super) fn header_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    let state = &session.sweep;
    let work = cx.app.sweep_work().cloned();
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CONTROL_HEIGHT);
        ui.spacing_mut().item_spacing.x = 10.0;
        ui.label(widgets::heading("Sweep"));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 8.0;
            let narrow = ui.available_width() < 460.0;
            if state.live.is_some() {
                steer_ui(ui, cx, session, work.as_ref(), narrow);
            } else {
                rest_ui(ui, cx, session, narrow);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                let words = if state.live.is_some() {
                    progress_words(session, work.as_ref())
                } else {
                    summary(session)
                };
                ui.add(egui::Label::new(widgets::muted(t, words)).truncate());
            });
        });
    });
    if state.live.is_some() {
        ui.add_space(2.0);
        progress_bar(ui, fraction(session), ui.available_width());
        ui.add_space(2.0);
    }
}

/// A button with only its icon in a narrow window.
fn short(ui: &mut Ui, narrow: bool, glyph: char, label: &'static str) -> egui::Response {
    button(ui, Some(glyph), if narrow { "" } else { label }).accessible_name(label)
}

fn steer_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, work: Option<&Work>, narrow: bool) {
    let cancelling = work.is_some_and(Work::is_cancelled);
    let paused = work.is_some_and(Work::is_paused);
    ui.add_enabled_ui(!cancelling, |ui| {
        let cancel = short(ui, narrow, icons::CROSS, "Cancel");
        let tip = "End the sweep now; it can be resumed later";
        if cancel.on_hover_text(tip).clicked() {
            cx.act(Action::Sweep(SweepAction::Cancel));
        }
        let (glyph, label, tip) = if paused {
            (icons::PLAY, "Resume", "Continue")
        } else {
            (icons::PAUSE, "Pause", "Pause until you continue")
        };
        if short(ui, narrow, glyph, label).on_hover_text(tip).clicked() {
            cx.act(Action::Sweep(SweepAction::Pause(!paused)));
        }
    });
    curves_ui(ui, cx, session, narrow);
}

/// Switches between the sweep in progress and the curves.
fn curves_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, narrow: bool) {
    let live = session.sweep.live.as_ref();
    let id = live.and_then(|live| live.id.clone());
    let shown = session.sweep.shown().is_some();
    let (glyph, label, tip) = if shown {
        (icons::TRAIN, "Curves", "Show the curves of runs instead")
    } else {
        (icons::GRID, "Show sweep", "Show the sweep again")
    };
    if (shown || id.is_some()) && short(ui, narrow, glyph, label).on_hover_text(tip).clicked() {
        let id = id.filter(|_| !shown);
        cx.act(Action::Sweep(SweepAction::Show(id)));
    }
}

fn rest_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, narrow: bool) {
    let Some(entry) = session.sweep.shown() else {
        return;
    };
    let id = &entry.sweep.id;
    let failed = entry.sweep.failed();
    if failed > 0 {
        let enabled = session.train.live.is_none();
        let count = words::count(failed as u64, "training");
        let again = ui
            .add_enabled_ui(enabled, |ui| short(ui, narrow, icons::REFRESH, "Try again"))
            .inner
            .on_hover_text(format!(
                "Retry {count} that failed, and train the rest; finished ones are not repeated"
            ))
            .on_disabled_hover_text("A training is running");
        if again.clicked() {
            cx.act(Action::Sweep(SweepAction::TryAgain(id.clone())));
        }
    }
    if !entry.sweep.is_done() {
        let enabled = session.train.live.is_none();
        let go = ui
            .add_enabled_ui(enabled, |ui| {
                accent_button(ui, Some(icons::PLAY), "Resume sweep")
            })
            .inner
            .on_hover_text("Train the rest; finished trainings are not repeated")
            .on_disabled_hover_text("A training is running");
        if go.clicked() {
            cx.act(Action::Sweep(SweepAction::Resume(id.clone())));
        }
    }
    curves_ui(ui, cx, session, narrow);
    sweeps_button_ui(ui, cx, session, narrow);
    let tip = "Move this sweep to the trash; its runs are kept";
    if widgets::icon_button(ui, icons::TRASH, "Remove sweep", tip).clicked() {
        cx.act(Action::Sweep(SweepAction::Remove(id.clone())));
    }
    let tip = "Copy the table as CSV";
    if widgets::icon_button(ui, icons::COPY, "Copy table", tip).clicked() {
        cx.act(Action::Sweep(SweepAction::Copy(id.clone())));
    }
}

fn live_entry(session: &Session) -> Option<&SweepEntry> {
    let live = session.sweep.live.as_ref()?;
    session.sweep.entry(live.id.as_ref()?)
}

/// By the estimated time, otherwise by the number of trainings.
fn fraction(session: &Session) -> Option<f32> {
    let sweep = &live_entry(session)?.sweep;
    let all: Option<f64> = sweep.trainings.iter().map(|one| one.expected_secs).sum();
    Some(match (all, sweep.expected_secs_left()) {
        (Some(all), Some(left)) if all > 0.0 => (1.0 - left / all) as f32,
        _ => sweep.done() as f32 / sweep.trainings.len().max(1) as f32,
    })
}

/// `training 3 of 16 · mobilenet-v2@96, head · computing bottlenecks · 4 min left`
fn progress_words(session: &Session, work: Option<&Work>) -> String {
    let Some(work) = work else {
        return "waiting for another job".to_owned();
    };
    let stage = work.progress().stage;
    let mut parts = Vec::new();
    if let Some(entry) = live_entry(session) {
        let sweep = &entry.sweep;
        if let Some(number) = session.sweep.training(&sweep.id) {
            parts.push(format!("training {number} of {}", sweep.trainings.len()));
            if let Some(left) = sweep.expected_secs_left().filter(|left| *left > 0.0) {
                // The estimate assumes that nothing is cached.
                let left = words::time_left(Duration::from_secs_f64(left.min(1e9)));
                parts.push(format!("at most {left}"));
            }
        }
    }
    if !stage.is_empty() {
        parts.push(stage);
    }
    if work.is_cancelled() {
        parts.push("cancelling…".to_owned());
    } else if work.is_paused() {
        parts.push("paused".to_owned());
    }
    parts.join(" · ")
}

fn summary(session: &Session) -> String {
    session.sweep.shown().map_or_else(String::new, |entry| {
        format!(
            "{} · {} trainings",
            words::moment(&entry.sweep.created),
            done(entry)
        )
    })
}
