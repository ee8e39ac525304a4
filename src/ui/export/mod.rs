//! The export workspace: the run, the formats, the folder, and the proof that the files behave as the run.

mod choices;
mod done;
mod flips;
mod how_to;
mod phone;
mod plot;

use egui::{Frame, Margin, Panel, RichText, Stroke, Ui};

use super::Cx;
use super::dialogs::phone_button;
use super::icons;
use super::theme::{self, tokens};
use super::widgets::{
    self, accent_button, button, empty, panel, progress_bar, quiet_button, scroll_ui, section,
    side_width,
};
use crate::app::{Action, App, ExportAction, ExportFailure, Session, Workspace};

/// Width of the settings, points: normal and least.
const SETTINGS: [f32; 2] = [340.0, 260.0];

/// State of the painting.
#[derive(Default)]
pub struct View {
    done: done::View,
    how_to: how_to::View,
}

/// Paints the workspace.
pub fn export_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    let Some(run) = session.export_run() else {
        let training = session.train.live.is_some();
        let words = if training {
            "The training is still running. When it has finished, this page exports models that run on a phone."
        } else {
            "Train first; then this page exports models that run on a phone."
        };
        empty(ui, icons::EXPORT, "Nothing to export yet", words, |ui| {
            let label = if training { "Watch it" } else { "Go to Train" };
            if accent_button(ui, None, label).clicked() {
                cx.act(Action::Go(Workspace::Train));
            }
        });
        return;
    };
    if session.export.is_due() {
        cx.act(Action::Export(ExportAction::FindExports));
    }
    Panel::left("export settings")
        .exact_size(side_width(ui, SETTINGS[0], SETTINGS[1]))
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().inner_margin(Margin {
            right: 14,
            ..Margin::ZERO
        }))
        .show(ui, |ui| choices::settings_ui(ui, cx, session, &run));
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CONTROL_HEIGHT);
        ui.label(widgets::heading("Export"));
        let t = tokens(ui);
        let words = "every file is verified on the whole test set";
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            phone_button(ui, cx, &run);
            ui.with_layout(egui::Layout::left_to_right(egui::Align::Center), |ui| {
                ui.add(egui::Label::new(widgets::muted(t, words)).truncate());
            });
        });
    });
    ui.add_space(2.0);
    scroll_ui(ui, |ui| {
        running_ui(ui, cx, session);
        if let Some(error) = &session.export.error {
            error_ui(ui, cx, error);
        }
        done::exports_ui(ui, cx, session, &mut view.done);
        how_to::how_to_ui(ui, session, &run, &mut view.how_to);
    });
}

/// Paints the changed answer that is shown large, over the window.
pub fn large_ui(ctx: &egui::Context, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    done::large_ui(ctx, cx, session, &mut view.done);
}

/// The session whose changed answer is shown large, over the window.
pub fn viewed<'a>(app: &'a App, view: &View) -> Option<&'a Session> {
    let shown = app.workspace == Workspace::Export && view.done.is_large();
    app.session.as_ref().filter(|_| shown)
}

fn running_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let Some(task) = session.export.task else {
        return;
    };
    let t = tokens(ui);
    let running = cx.app.tasks.running().iter().find(|run| run.id == task);
    let progress = running.map(|running| running.work.progress());
    let words = match &progress {
        Some(progress) if !progress.stage.is_empty() => progress.stage.clone(),
        Some(_) => "Exporting".to_owned(),
        None => "Waiting for another job".to_owned(),
    };
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        section(ui, &words, |ui| {
            if quiet_button(ui, Some(icons::CROSS), "Cancel")
                .on_hover_text("Stop; no partial files are left")
                .clicked()
            {
                cx.act(Action::Export(ExportAction::Cancel));
            }
        });
        ui.label(widgets::faint(
            t,
            progress
                .as_ref()
                .map(|progress| progress.detail.clone())
                .unwrap_or_default(),
        ));
        let fraction = progress.as_ref().and_then(crate::jobs::Progress::fraction);
        progress_bar(ui, fraction, ui.available_width());
    });
    ui.add_space(6.0);
}

fn error_ui(ui: &mut Ui, cx: &mut Cx<'_>, failure: &ExportFailure) {
    let t = tokens(ui);
    panel(ui)
        .fill(t.danger_soft)
        .stroke(Stroke::new(1.0, t.danger))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(widgets::title("Nothing was exported"));
            ui.add(egui::Label::new(RichText::new(&failure.text).color(t.danger)).wrap());
            ui.horizontal_wrapped(|ui| {
                if button(ui, Some(icons::REFRESH), "Try again").clicked() {
                    cx.act(Action::Export(ExportAction::Start));
                }
                if failure.is_loss
                    && button(ui, None, "Accept the loss")
                        .on_hover_text("Export it anyway; the certificate records this")
                        .clicked()
                {
                    cx.act(Action::Export(ExportAction::StartAcceptingLoss));
                }
            });
        });
    ui.add_space(6.0);
}
