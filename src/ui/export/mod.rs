//! The export workspace: which run, which format, where to, and the proof that the files behave.

use std::path::Path;

use egui::{Align, CornerRadius, Frame, Layout, Margin, Panel, RichText, ScrollArea, Stroke, Ui};

use super::Cx;
use super::icons;
use super::run_choice::run_choice;
use super::theme::{self, tokens};
use super::widgets::{
    self, accent_button, button, empty, field_label, icon_button, panel, progress_bar,
    quiet_button, scroll_ui, section, side_width,
};
use crate::app::{Action, Ask, ExportAction, ExportFailure, Exported, Session, Workspace, words};
use crate::export::{Format, ModelCertificate, example};
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
    // The scroll bar lies in the margin.
    let margin = Margin {
        right: 14 - widgets::SCROLL_BAR as i8,
        ..Margin::same(14)
    };
    panel(ui).inner_margin(margin).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.set_min_height(height - 30.0);
        // Above what scrolls: in a low window the list of formats is higher than the panel.
        section(ui, "What is exported", |ui| {
            ui.add_space(widgets::SCROLL_BAR);
            let busy = session.export.task.is_some();
            let export = ui
                .add_enabled_ui(!busy, |ui| accent_button(ui, Some(icons::EXPORT), "Export"))
                .inner;
            if export
                .on_hover_text("Write the models, their labels and how images become their input")
                .on_disabled_hover_text("An export is being made")
                .clicked()
            {
                cx.act(Action::Export(ExportAction::Start));
            }
        });
        ScrollArea::vertical()
            .auto_shrink(false)
            .show(ui, |ui| choices_ui(ui, cx, session, run));
    });
}

fn choices_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, run: &RunId) {
    ui.scope(|ui| {
        ui.set_width(ui.available_width() - widgets::SCROLL_BAR);
        ui.spacing_mut().item_spacing.y = 6.0;
        field_label(ui, "Run");
        if let Some(id) = run_choice(ui, session, "exported run", Some(run)) {
            cx.act(Action::Export(ExportAction::Run(id)));
        }
        field_label(ui, "Format");
        let several = "Click one, or tick several: they are one export, all or none.";
        ui.add(egui::Label::new(widgets::faint(tokens(ui), several)).wrap());
        for format in Format::all() {
            format_ui(ui, cx, session, *format);
        }
        field_label(ui, "Folder");
        folder_ui(ui, cx, session);
    });
}

/// A format as a card: a click chooses it alone, its box adds it to the others.
fn format_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, format: Format) {
    let t = tokens(ui);
    let state = &session.export;
    let chosen = state.formats.contains(&format);
    let (fill, line) = if chosen {
        (t.accent_soft, t.accent)
    } else {
        (t.window, t.line)
    };
    let mut toggled = false;
    // What lies on the card is clicked before the card.
    let card = egui::UiBuilder::new().sense(egui::Sense::click());
    let response = ui
        .scope_builder(card, |ui| {
            Frame::new()
                .fill(fill)
                .stroke(Stroke::new(1.0, line))
                .corner_radius(CornerRadius::same(theme::RADIUS))
                .inner_margin(Margin::symmetric(12, 9))
                .show(ui, |ui| {
                    ui.set_width(ui.available_width());
                    ui.spacing_mut().item_spacing.y = 2.0;
                    ui.horizontal(|ui| {
                        ui.add(egui::Label::new(widgets::name(format.title())).selectable(false));
                        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                            let mut on = chosen;
                            let tick = ui.checkbox(&mut on, "");
                            let tick = tick.on_hover_text("Export this format beside the others");
                            tick.widget_info(|| {
                                let name = format!("Also {}", format.title());
                                egui::WidgetInfo::selected(egui::Role::CheckBox, true, chosen, name)
                            });
                            toggled = tick.changed();
                        });
                    });
                    let sentence = widgets::small(t, format.sentence()).line_height(Some(16.0));
                    ui.add(egui::Label::new(sentence).wrap().selectable(false));
                    if let Some(words) = last_figures(session, format) {
                        let figures = egui::RichText::new(words)
                            .size(theme::TYPE_SMALL)
                            .color(t.ok);
                        ui.add(egui::Label::new(figures).wrap().selectable(false));
                    }
                });
        })
        .response;
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
    if toggled {
        cx.act(Action::Export(ExportAction::Toggle(format)));
    } else if response.clicked() && (!chosen || state.formats.len() > 1) {
        cx.act(Action::Export(ExportAction::Format(format)));
    }
}

/// What the format came to in the newest export of the run that has it.
fn last_figures(session: &Session, format: Format) -> Option<String> {
    let run = session.export_run()?;
    let of_run = session.export.done.iter().filter(|done| done.run == run);
    let mut models = of_run.flat_map(|done| &done.certificate.models);
    let model = models.find(|model| model.format == format.name())?;
    Some(format!(
        "{}, {}, {}{}",
        words::bytes(model.bytes),
        points(model.top1_difference),
        flips(model.flips.len()),
        model
            .latency
            .map(|latency| format!(", {:.1} ms", latency.median_ms))
            .unwrap_or_default()
    ))
}

/// A difference of accuracies: `top-1 unchanged`, `top-1 +0.4 points`.
fn points(difference: f64) -> String {
    if difference == 0.0 {
        "top-1 unchanged".to_owned()
    } else {
        format!("top-1 {:+.1} points", difference * 100.0)
    }
}

/// How many images get another answer.
fn flips(count: usize) -> String {
    match count {
        0 => "no answer changed".to_owned(),
        count => format!(
            "{} changed",
            words::count(count as u64, "answer", "answers")
        ),
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
                        .on_hover_text("Export it all the same; the certificate says so")
                        .clicked()
                {
                    cx.act(Action::Export(ExportAction::StartAcceptingLoss));
                }
            });
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
                    let certificate = &done.certificate;
                    let proved = format!(
                        "proved on {} {} images",
                        certificate.frames, certificate.split
                    );
                    ui.add(egui::Label::new(widgets::muted(t, proved)).truncate());
                });
            });
        });
        for model in &done.certificate.models {
            model_ui(ui, done, model);
        }
        let others = done.files.iter().skip(done.certificate.models.len());
        let others: Vec<&str> = others
            .filter_map(|file| name_in(&done.dir, &file.path))
            .collect();
        let beside = widgets::faint(t, format!("Beside: {}", others.join(", ")));
        ui.add(egui::Label::new(beside).wrap())
            .on_hover_text(done.dir.to_string_lossy());
    });
}

/// A file of an export by its name, or by that of the folder that it lies in.
fn name_in<'a>(dir: &Path, path: &'a Path) -> Option<&'a str> {
    let below = path.strip_prefix(dir).ok()?;
    below.components().next()?.as_os_str().to_str()
}

/// A model of an export with its figures, and the images that get another answer.
fn model_ui(ui: &mut Ui, done: &Exported, model: &ModelCertificate) {
    let t = tokens(ui);
    Frame::new()
        .fill(t.window)
        .stroke(Stroke::new(1.0, t.line))
        .corner_radius(CornerRadius::same(theme::RADIUS))
        .inner_margin(Margin::symmetric(12, 9))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 3.0;
            ui.spacing_mut().interact_size.y = 18.0;
            ui.horizontal(|ui| {
                ui.label(widgets::name(&model.file))
                    .on_hover_text(done.dir.join(&model.file).to_string_lossy());
                let size = format!(
                    "{}, {:.0} % of fp32",
                    words::bytes(model.bytes),
                    model.size_ratio * 100.0
                );
                ui.add(egui::Label::new(widgets::muted(t, size)).truncate())
                    .on_hover_text("Its size, and by that of the same model with all weights in fp32");
            });
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing.x = 14.0;
                let [low, high] = model.top1_difference_95.map(|part| part * 100.0);
                let worse = model.top1_difference < 0.0;
                let top1 = format!(
                    "{}, of {}",
                    points(model.top1_difference),
                    words::percent(model.run_top1)
                );
                let color = if worse { t.danger } else { t.ok };
                let top1 = egui::Label::new(RichText::new(top1).color(color)).extend();
                ui.add(top1).on_hover_text(format!(
                    "Part of the images that it gets right less that of the run; 95 % interval of the difference {low:+.1} to {high:+.1} points"
                ));
                ui.add(egui::Label::new(flips(model.flips.len())).extend())
                    .on_hover_text("Images for which the file and the run name another class");
                if let Some(latency) = &model.latency {
                    let time = format!(
                        "{:.1} ms, {:.2} of fp32",
                        latency.median_ms, latency.ratio_to_fp32
                    );
                    ui.add(egui::Label::new(time).extend())
                    .on_hover_text(format!(
                        "One image: median, and median of the ratios to the model in fp32 that ran in turn with it; {}",
                        done.certificate.runtime
                    ));
                }
            });
            let proof = format!(
                "{}; largest difference of a probability {:.1e}",
                model.proof, model.max_probability_difference
            );
            ui.add(egui::Label::new(widgets::small(t, proof)).wrap())
                .on_hover_text(format!("Asked of it: {}", model.acceptance));
            if let Some(loss) = &model.accepted_loss {
                let words = RichText::new(format!("Accepted: {loss}")).color(t.danger);
                ui.add(egui::Label::new(words).wrap());
            }
            flips_ui(ui, done, model);
        });
}

/// How many changed answers are listed.
const LISTED: usize = 50;

fn flips_ui(ui: &mut Ui, done: &Exported, model: &ModelCertificate) {
    if model.flips.is_empty() {
        return;
    }
    let t = tokens(ui);
    let id = (&done.dir, &model.file);
    egui::CollapsingHeader::new(widgets::small(t, "Changed answers"))
        .id_salt(id)
        .show(ui, |ui| {
            for flip in model.flips.iter().take(LISTED) {
                let line = format!(
                    "{} ({}): the run {} {}, the file {} {}",
                    flip.path,
                    flip.truth,
                    flip.run.class,
                    words::percent(f64::from(flip.run.probability)),
                    flip.model.class,
                    words::percent(f64::from(flip.model.probability))
                );
                ui.add(egui::Label::new(widgets::small(t, line)).wrap());
            }
            if model.flips.len() > LISTED {
                let more = format!("{} more in certificate.json", model.flips.len() - LISTED);
                ui.label(widgets::faint(t, more));
            }
        });
}

fn how_to_ui(ui: &mut Ui, session: &Session, run: &RunId) {
    let t = tokens(ui);
    let Some(entry) = session.train.run(run) else {
        return;
    };
    let mut formats = session.export.formats.iter();
    let Some(example) = formats.find_map(|format| example(&entry.run, *format)) else {
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
