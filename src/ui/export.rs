//! The export workspace: which run, which format, where to, and the proof that the files behave.

use egui::{Align, CornerRadius, Frame, Layout, Margin, Panel, RichText, ScrollArea, Stroke, Ui};

use super::Cx;
use super::icons;
use super::run_choice::run_choice;
use super::theme::{self, tokens};
use super::widgets::{
    self, accent_button, button, empty, field_label, icon_button, panel, progress_bar,
    quiet_button, scroll_ui, section, side_width,
};
use crate::app::{Action, Ask, ExportAction, Exported, Session, Workspace, words};
use crate::export::{Format, example};
use crate::train::RunId;

/// Width of the settings, points, where there is room and at least.
const SETTINGS: [f32; 2] = [340.0, 260.0];

/// Paints the workspace.
pub fn export_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let Some(run) = session.export_run() else {
        let training = session.train.live.is_some();
        let words = if training {
            "The training is still running. When it has finished, this page makes files that run on a phone."
        } else {
            "Train first; then this page makes files that run on a phone."
        };
        empty(ui, icons::EXPORT, "Nothing to export yet", words, |ui| {
            let label = if training { "Watch it" } else { "Go to Train" };
            if accent_button(ui, None, label).clicked() {
                cx.act(Action::Go(Workspace::Train));
            }
        });
        return;
    };
    Panel::left("export settings")
        .exact_size(side_width(ui, SETTINGS[0], SETTINGS[1]))
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().inner_margin(Margin {
            right: 14,
            ..Margin::ZERO
        }))
        .show(ui, |ui| settings_ui(ui, cx, session, &run));
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CONTROL_HEIGHT);
        ui.label(widgets::heading("Export"));
        let t = tokens(ui);
        let words = "every file is run on the whole test set before it counts";
        ui.add(egui::Label::new(widgets::muted(t, words)).truncate());
    });
    ui.add_space(2.0);
    scroll_ui(ui, |ui| {
        running_ui(ui, cx, session);
        if let Some(error) = &session.export.error {
            error_ui(ui, cx, error);
        }
        for done in &session.export.done {
            done_ui(ui, cx, session, done);
            ui.add_space(6.0);
        }
        how_to_ui(ui, session, &run);
    });
}

fn settings_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, run: &RunId) {
    let height = ui.available_height();
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.set_min_height(height - 30.0);
        ui.spacing_mut().item_spacing.y = 6.0;
        section(ui, "What is exported", |_| {});
        field_label(ui, "Run");
        if let Some(id) = run_choice(ui, session, "exported run", Some(run)) {
            cx.act(Action::Export(ExportAction::Run(id)));
        }
        field_label(ui, "Format");
        for format in Format::all() {
            format_ui(ui, cx, *format, session.export.format == *format);
        }
        field_label(ui, "Folder");
        folder_ui(ui, cx, session);
        ui.add_space(8.0);
        let busy = session.export.task.is_some();
        let export = ui
            .add_enabled_ui(!busy, |ui| accent_button(ui, Some(icons::EXPORT), "Export"))
            .inner;
        if export
            .on_hover_text("Write the model, its labels and how images become its input")
            .on_disabled_hover_text("An export is being made")
            .clicked()
        {
            cx.act(Action::Export(ExportAction::Start));
        }
    });
}

/// A format as a card that can be chosen.
fn format_ui(ui: &mut Ui, cx: &mut Cx<'_>, format: Format, chosen: bool) {
    let t = tokens(ui);
    let (fill, line) = if chosen {
        (t.accent_soft, t.accent)
    } else {
        (t.window, t.line)
    };
    let response = Frame::new()
        .fill(fill)
        .stroke(Stroke::new(1.0, line))
        .corner_radius(CornerRadius::same(theme::RADIUS))
        .inner_margin(Margin::symmetric(12, 9))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 2.0;
            ui.label(widgets::name(format.title()));
            ui.add(
                egui::Label::new(widgets::small(t, format.sentence()).line_height(Some(16.0)))
                    .wrap(),
            );
        })
        .response
        .interact(egui::Sense::click());
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::Role::RadioButton, true, chosen, format.title())
    });
    if response.has_focus() {
        ui.painter().rect_stroke(
            response.rect,
            CornerRadius::same(theme::RADIUS),
            Stroke::new(1.0, t.text),
            egui::StrokeKind::Inside,
        );
    }
    if response.clicked() && !chosen {
        cx.act(Action::Export(ExportAction::Format(format)));
    }
}

fn folder_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    let Some(dir) = session.export_dir() else {
        return;
    };
    let shown = dir.strip_prefix(&session.root).map_or_else(
        |_| dir.to_string_lossy().into_owned(),
        |inside| inside.to_string_lossy().into_owned(),
    );
    ui.add(egui::Label::new(widgets::small(t, shown)).wrap())
        .on_hover_text(dir.to_string_lossy());
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        if quiet_button(ui, Some(icons::FOLDER), "Another folder…")
            .on_hover_text("Choose where the export is written")
            .clicked()
        {
            cx.act(Action::Ask(Ask::ExportFolder));
        }
        if session.export.dir.is_some()
            && quiet_button(ui, Some(icons::UNDO), "In the project")
                .on_hover_text("Write into the project’s own exports folder")
                .clicked()
        {
            cx.act(Action::Export(ExportAction::Dir(None)));
        }
    });
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
        None => "Waits for its turn".to_owned(),
    };
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        section(ui, &words, |ui| {
            if quiet_button(ui, Some(icons::CROSS), "Cancel")
                .on_hover_text("Stop; nothing half-written is left")
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

fn error_ui(ui: &mut Ui, cx: &mut Cx<'_>, error: &str) {
    let t = tokens(ui);
    panel(ui)
        .fill(t.danger_soft)
        .stroke(Stroke::new(1.0, t.danger))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.label(widgets::title("Nothing was exported"));
            ui.add(egui::Label::new(RichText::new(error).color(t.danger)).wrap());
            if button(ui, Some(icons::REFRESH), "Try again").clicked() {
                cx.act(Action::Export(ExportAction::Start));
            }
        });
    ui.add_space(6.0);
}

fn done_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, done: &Exported) {
    let t = tokens(ui);
    let title = session
        .train
        .run(&done.run)
        .map_or_else(|| done.run.0.clone(), crate::app::RunEntry::title);
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 6.0;
        ui.horizontal(|ui| {
            ui.set_min_height(theme::CONTROL_HEIGHT);
            ui.label(icons::icon(icons::OK, 18.0).color(t.ok));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if button(ui, Some(icons::REVEAL), "Show in folder")
                    .on_hover_text(done.dir.to_string_lossy())
                    .clicked()
                {
                    cx.act(Action::Export(ExportAction::Reveal(done.dir.clone())));
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.label(widgets::title(title));
                    let words = widgets::muted(t, done.format.title());
                    ui.add(egui::Label::new(words).truncate());
                });
            });
        });
        ui.spacing_mut().interact_size.y = 18.0;
        egui::Grid::new(&done.dir)
            .num_columns(4)
            .spacing([28.0, 6.0])
            .show(ui, |ui| {
                for heading in ["file", "size", "same top-1", "largest difference"] {
                    ui.label(widgets::faint(t, heading));
                }
                ui.end_row();
                for file in &done.files {
                    let name = file
                        .path
                        .file_name()
                        .map(|name| name.to_string_lossy().into_owned())
                        .unwrap_or_default();
                    ui.label(widgets::name(name))
                        .on_hover_text(file.path.to_string_lossy());
                    ui.label(widgets::muted(t, words::bytes(file.bytes)));
                    match file.top1_agreement {
                        Some(part) => {
                            let text = RichText::new(words::percent(part)).color(if part >= 1.0 {
                                t.ok
                            } else {
                                t.text
                            });
                            ui.label(text).on_hover_text(
                                "Part of the test images for which the file and the run name the same class",
                            );
                        }
                        None => {
                            ui.label("");
                        }
                    }
                    match file.max_probability_difference {
                        Some(difference) => {
                            ui.label(widgets::muted(t, format!("{difference:.1e}")))
                                .on_hover_text(
                                    "Largest difference of any probability between the file and the run",
                                );
                        }
                        None => {
                            ui.label("");
                        }
                    }
                    ui.end_row();
                }
            });
    });
}

fn how_to_ui(ui: &mut Ui, session: &Session, run: &RunId) {
    let t = tokens(ui);
    let Some(entry) = session.train.run(run) else {
        return;
    };
    let Some(example) = example(&entry.run, session.export.format) else {
        return;
    };
    let code = example.program;
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 6.0;
        ui.horizontal(|ui| {
            ui.set_min_height(theme::CHIP_HEIGHT);
            ui.label(widgets::title("How to use it"));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if icon_button(ui, icons::COPY, "Copy the example", "Copy the example").clicked() {
                    ui.ctx().copy_text(code.clone());
                }
            });
        });
        ui.add(
            egui::Label::new(
                widgets::muted(
                    t,
                    format!(
                        "The model takes an image that was made square and resized as below. labels.txt names its outputs in their order, preprocess.json says the steps in words and numbers, README.txt has this example. In {}, in the folder of the export (pip install {}):",
                        example.runtime, example.packages
                    ),
                )
                .line_height(Some(18.0)),
            )
            .wrap(),
        );
        Frame::new()
            .fill(t.window)
            .stroke(Stroke::new(1.0, t.line))
            .corner_radius(CornerRadius::same(theme::RADIUS))
            .inner_margin(Margin::same(12))
            .show(ui, |ui| {
                ui.set_width(ui.available_width());
                ScrollArea::horizontal().show(ui, |ui| {
                    let code = RichText::new(code).monospace().color(t.text);
                    ui.add(egui::Label::new(code).extend().selectable(true));
                });
            });
    });
}
