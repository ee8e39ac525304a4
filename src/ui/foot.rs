//! The bar at the bottom: what is running, how far, how long, pause and cancel; on the right what there is
//! and what the keys do here.

use egui::{Align, Frame, Layout, Margin, Panel, RichText, Ui};

use super::Cx;
use super::icons;
use super::theme::{self, tokens};
use super::widgets::{self, key_cap, progress_bar, quiet_button};
use crate::app::{Action, App, Session, Task, Workspace, words};

/// Height of the bar, points.
const HEIGHT: f32 = 34.0;

/// Paints the bar.
pub fn foot_ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let t = tokens(ui);
    Panel::bottom("foot")
        .exact_size(HEIGHT)
        .frame(
            Frame::new()
                .fill(t.panel)
                .inner_margin(Margin::symmetric(16, 0)),
        )
        .show(ui, |ui| {
            ui.horizontal_centered(|ui| {
                ui.spacing_mut().item_spacing.x = 12.0;
                let shown: Vec<&Task> = cx
                    .app
                    .tasks
                    .running()
                    .iter()
                    .filter(|task| task.is_shown())
                    .collect();
                if let Some(task) = shown.first() {
                    task_ui(ui, cx, task, shown.len() - 1);
                } else if let Some(session) = &cx.app.session {
                    ui.label(widgets::small(t, summary(session)));
                } else {
                    ui.label(widgets::faint(
                        t,
                        format!("Salamander {}", env!("CARGO_PKG_VERSION")),
                    ));
                }
                ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                    right_side(ui, cx.app, !shown.is_empty());
                });
            });
        });
}

fn summary(session: &Session) -> String {
    let counts = &session.snapshot.counts;
    if counts.total() == 0 {
        return "No frames yet".to_owned();
    }
    format!(
        "{} · {} labelled · {} unsorted",
        words::frames(counts.total()),
        words::number(counts.labelled as u64),
        words::number(counts.unsorted as u64)
    )
}

fn task_ui(ui: &mut Ui, cx: &mut Cx<'_>, task: &Task, more: usize) {
    let t = tokens(ui);
    let progress = task.work.progress();
    let paused = task.work.is_paused();
    let cancelling = task.work.is_cancelled();
    let title = if progress.stage.is_empty() {
        &task.title
    } else {
        &progress.stage
    };
    ui.label(
        RichText::new(title)
            .font(egui::FontId::new(theme::TYPE_SMALL, theme::semibold()))
            .color(t.text),
    );
    if !progress.detail.is_empty() {
        ui.label(widgets::small(t, words::shorten(&progress.detail, 36)))
            .on_hover_text(&progress.detail);
    }
    progress_bar(ui, progress.fraction(), 240.0);
    let mut parts = Vec::new();
    if let Some(total) = progress.total {
        parts.push(format!(
            "{} of {}",
            words::number(progress.done),
            words::number(total.max(progress.done))
        ));
    } else if progress.done > 0 {
        parts.push(words::number(progress.done));
    }
    if cancelling {
        parts.push("cancelling…".to_owned());
    } else if paused {
        parts.push("paused".to_owned());
    } else if let Some(left) = progress.time_left() {
        parts.push(words::time_left(left));
    }
    ui.label(widgets::small(t, parts.join(" · ")));
    ui.spacing_mut().item_spacing.x = 6.0;
    if !cancelling {
        let (glyph, label, tip) = if paused {
            (icons::PLAY, "Resume", "Go on where it was paused")
        } else {
            (icons::PAUSE, "Pause", "Wait until it is resumed")
        };
        if quiet_button(ui, Some(glyph), label)
            .on_hover_text(tip)
            .clicked()
        {
            cx.act(Action::PauseTask(task.id, !paused));
        }
        let cancel = quiet_button(ui, Some(icons::CROSS), "Cancel");
        if cancel
            .on_hover_text("Stop; what is finished is kept")
            .clicked()
        {
            cx.act(Action::CancelTask(task.id));
        }
    }
    if more > 0 {
        ui.label(widgets::faint(t, format!("{more} more running")));
    }
}

fn right_side(ui: &mut Ui, app: &App, running: bool) {
    let t = tokens(ui);
    let Some(session) = &app.session else {
        return;
    };
    let keys: &[(&str, &str)] = match app.workspace {
        Workspace::Label => &[
            ("F1", "shortcuts"),
            ("Del", "trash"),
            ("1–9", "assign"),
            ("Space", "preview"),
        ],
        _ => &[("F1", "shortcuts")],
    };
    if running {
        ui.label(widgets::small(
            t,
            words::frames(session.snapshot.counts.total()),
        ));
        return;
    }
    ui.spacing_mut().item_spacing.x = 6.0;
    for (key, what) in keys {
        ui.label(widgets::faint(t, *what));
        key_cap(ui, key);
        ui.add_space(6.0);
    }
}
