//! The bar at the bottom: the running task with its progress, remaining time, pause and cancel; at the right a summary
//! and the keys that work here.

use std::time::Duration;

use egui::{Align, Frame, Layout, Margin, Panel, RichText, Ui};

use super::Cx;
use super::icons;
use super::theme::{self, tokens};
use super::widgets::{self, key_cap, progress_bar, quiet_button};
use crate::app::{Action, App, Batch, Session, Show, Task, TaskId, Workspace, words};
use crate::project::SourceKind;

/// Height of the bar, points.
const HEIGHT: f32 = 34.0;
/// Shorter tasks are not shown, so that nothing flashes.
const BATCH_SHOWN_AFTER: Duration = Duration::from_millis(350);

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
                    .filter(|task| task.is_shown() && !stands_above(cx.app, task.id))
                    .collect();
                let batch = cx.app.session.as_ref().and_then(|session| {
                    let batch = session.import.batch.as_ref()?;
                    (batch.since.elapsed() > BATCH_SHOWN_AFTER).then_some((session, batch))
                });
                if let Some((session, batch)) = batch {
                    batch_ui(ui, cx, session, batch);
                } else if let Some(task) = shown.first() {
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
                    right_side(ui, cx.app, batch.is_some() || !shown.is_empty());
                });
            });
        });
}

/// Whether the current workspace itself has the progress and buttons of a task, so that the bar leaves them out.
fn stands_above(app: &App, id: TaskId) -> bool {
    let Some(session) = &app.session else {
        let making = app.making.as_ref();
        return making.is_some_and(|making| making.task == Some(id));
    };
    let task = match app.workspace {
        Workspace::Train => session.train.live.as_ref().and_then(|live| live.task),
        Workspace::Evaluate => session.evaluate.task,
        Workspace::Export => session.export.task,
        Workspace::Import | Workspace::Label => None,
    };
    task == Some(id)
}

fn summary(session: &Session) -> String {
    let counts = &session.snapshot.counts;
    if counts.total() == 0 {
        let sources = session.sources.iter();
        let videos = sources.filter(|source| source.kind == SourceKind::Video);
        let videos = videos.count() as u64;
        return match videos {
            0 => "Nothing imported yet".to_owned(),
            _ => format!("{} · no frames yet", words::count(videos, "video")),
        };
    }
    format!(
        "{} · {} labelled · {} unsorted",
        session.noun().count(counts.total()),
        words::number(counts.labelled as u64),
        words::number(counts.unsorted as u64)
    )
}

/// The progress of the frames that are being extracted, over all requested videos.
fn batch_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, batch: &Batch) {
    let running: Vec<&Task> = cx
        .app
        .tasks
        .running()
        .iter()
        .filter(|task| session.import.extracting.values().any(|id| *id == task.id))
        .collect();
    let Some(first) = running.first() else {
        return;
    };
    let frames = cx.app.frames_running(session);
    let done = batch.done(frames);
    let elapsed = batch.since.elapsed();
    let fraction = batch.fraction(frames);
    let left = fraction
        .filter(|fraction| *fraction > 0.02 && elapsed.as_secs() >= 1)
        .map(|fraction| elapsed.mul_f32((1.0 - fraction).max(0.0) / fraction));
    let mut parts = vec![format!(
        "{} of {}",
        words::number(done),
        words::number(batch.frames.max(done))
    )];
    if batch.sources > 1 {
        parts.push(format!(
            "{} of {} videos",
            batch.sources_done, batch.sources
        ));
    }
    let shown = Shown {
        title: "Extracting frames".to_owned(),
        detail: first.work.progress().detail,
        fraction,
        parts,
        left,
        paused: running.iter().all(|task| task.work.is_paused()),
        cancelling: running.iter().all(|task| task.work.is_cancelled()),
        tasks: running.iter().map(|task| task.id).collect(),
    };
    shown_ui(ui, cx, &shown);
}

/// A job as it is painted.
struct Shown {
    title: String,
    detail: String,
    fraction: Option<f32>,
    parts: Vec<String>,
    left: Option<Duration>,
    paused: bool,
    cancelling: bool,
    tasks: Vec<TaskId>,
}

fn task_ui(ui: &mut Ui, cx: &mut Cx<'_>, task: &Task, more: usize) {
    let progress = task.work.progress();
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
    let shown = Shown {
        title: if progress.stage.is_empty() {
            task.title.clone()
        } else {
            progress.stage.clone()
        },
        fraction: progress.fraction(),
        left: progress.time_left(),
        detail: progress.detail,
        parts,
        paused: task.work.is_paused(),
        cancelling: task.work.is_cancelled(),
        tasks: vec![task.id],
    };
    shown_ui(ui, cx, &shown);
    if more > 0 {
        let t = tokens(ui);
        ui.label(widgets::faint(t, format!("{more} more running")));
    }
}

fn shown_ui(ui: &mut Ui, cx: &mut Cx<'_>, shown: &Shown) {
    let t = tokens(ui);
    ui.label(
        RichText::new(&shown.title)
            .font(egui::FontId::new(theme::TYPE_SMALL, theme::semibold()))
            .color(t.text),
    );
    if !shown.detail.is_empty() {
        ui.label(widgets::small(t, words::shorten(&shown.detail, 36)))
            .on_hover_text(&shown.detail);
    }
    progress_bar(ui, shown.fraction, 240.0);
    let mut parts = shown.parts.clone();
    if shown.cancelling {
        parts.push("cancelling…".to_owned());
    } else if shown.paused {
        parts.push("paused".to_owned());
    } else if let Some(left) = shown.left {
        parts.push(words::time_left(left));
    }
    ui.label(widgets::small(t, parts.join(" · ")));
    if shown.cancelling {
        return;
    }
    ui.spacing_mut().item_spacing.x = 6.0;
    let (glyph, label, tip) = if shown.paused {
        (icons::PLAY, "Resume", "Continue")
    } else {
        (icons::PAUSE, "Pause", "Pause until you continue")
    };
    if quiet_button(ui, Some(glyph), label)
        .on_hover_text(tip)
        .clicked()
    {
        for id in &shown.tasks {
            cx.act(Action::PauseTask(*id, !shown.paused));
        }
    }
    let cancel = quiet_button(ui, Some(icons::CROSS), "Cancel");
    if cancel
        .on_hover_text("Stop; finished work is kept")
        .clicked()
    {
        for id in &shown.tasks {
            cx.act(Action::CancelTask(*id));
        }
    }
}

fn right_side(ui: &mut Ui, app: &App, running: bool) {
    let t = tokens(ui);
    let Some(session) = &app.session else {
        return;
    };
    let keys: &[(&str, &str)] = match app.workspace {
        Workspace::Label if session.label.show == Show::Trash => &[
            ("F1", "shortcuts"),
            ("Del", "delete permanently"),
            ("Space", "preview"),
        ],
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
            session.noun().count(session.snapshot.counts.total()),
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
