//! The train workspace: settings at the left, progress and curves in the middle, runs at the right.

mod advanced;
mod architectures;
mod cells;
mod depth;
mod field;
mod filter;
mod header;
mod plots;
mod result;
mod runs;
mod settings;
mod sweep;
mod sweep_header;
mod table;
mod verdict;

use egui::{Frame, Margin, Panel, Ui};

use super::Cx;
use super::icons;
use super::widgets::{accent_button, empty, side_width};
use crate::app::{Action, Readiness, Session, Workspace};

/// Width of the settings, points: normal and least.
const SETTINGS: [f32; 2] = [266.0, 204.0];
/// Width of the runs, points: normal and least.
const RUNS: [f32; 2] = [250.0, 172.0];

/// State of the painting.
#[derive(Default)]
pub struct View {
    plots: plots::View,
    table: table::View,
    sweep: sweep::View,
    /// Whether the runs are shown as a table instead of the curves.
    as_table: bool,
    advanced: bool,
}

/// Paints the workspace.
pub fn train_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    let nothing_yet = session.train.runs.is_empty()
        && session.train.live.is_none()
        && session.sweep.list.is_empty()
        && session.sweep.live.is_none();
    if nothing_yet && session.readiness() != Readiness::Ready {
        not_ready_ui(ui, cx, session);
        return;
    }
    let side = |left, right| {
        Frame::new().inner_margin(Margin {
            left,
            right,
            ..Margin::ZERO
        })
    };
    let [settings, runs] = [SETTINGS, RUNS].map(|[full, least]| side_width(ui, full, least));
    Panel::left("train settings")
        .exact_size(settings)
        .resizable(false)
        .show_separator_line(false)
        .frame(side(0, 14))
        .show(ui, |ui| {
            settings::settings_ui(ui, cx, session, &mut view.advanced);
        });
    Panel::right("runs")
        .exact_size(runs)
        .resizable(false)
        .show_separator_line(false)
        .frame(side(14, 0))
        .show(ui, |ui| runs::runs_ui(ui, cx, session, &mut view.as_table));
    if session.sweep.live.is_some() || session.sweep.shown().is_some() {
        sweep_header::header_ui(ui, cx, session);
    } else {
        header::header_ui(ui, cx, session);
    }
    if let Some(entry) = session.sweep.shown() {
        sweep::sweep_ui(ui, cx, session, entry, &mut view.sweep);
        return;
    }
    if view.as_table && !session.train.runs.is_empty() {
        table::table_ui(ui, cx, session, &mut view.table);
        return;
    }
    verdict::verdict_ui(ui, session);
    plots::plots_ui(ui, cx, session, &mut view.plots);
}

fn not_ready_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let noun = session.noun();
    let (title, words, label, to) = match session.readiness() {
        Readiness::NoFrames => (
            "Nothing to train on yet",
            "Import videos or photos. Training needs images in at least two classes.",
            "Go to Import",
            Workspace::Import,
        ),
        Readiness::NothingLabelled => (
            "No {image} has a class yet",
            "Sort the {images} into at least two classes; then you can train.",
            "Label {images}",
            Workspace::Label,
        ),
        Readiness::OneClass | Readiness::Ready => (
            "There is only one class with {images}",
            "A classifier needs at least two classes to distinguish. Label some {images} as something else, or import more.",
            "Label {images}",
            Workspace::Label,
        ),
    };
    empty(
        ui,
        icons::TRAIN,
        &noun.fill(title),
        &noun.fill(words),
        |ui| {
            if accent_button(ui, None, &noun.fill(label)).clicked() {
                cx.act(Action::Go(to));
            }
        },
    );
}
