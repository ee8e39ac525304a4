//! The existing exports: one opened with its models and their certificates, the others as a line each.

use std::path::PathBuf;

use egui::{
    Align, CornerRadius, Frame, Layout, Margin, RichText, Sense, Sides, Stroke, Ui, UiBuilder, vec2,
};

use super::{flips, phone, plot};
use crate::app::{Action, ExportAction, RunEntry, Session, words};
use crate::export::{FoundExport, ModelCertificate};
use crate::train::RunId;
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, button, icon_button, panel};

/// Below this width, points, the phone is below the models.
const BESIDE: f32 = 640.0;

/// State of the painting.
#[derive(Default)]
pub(super) struct View {
    /// The opened export; `None` is the newest.
    open: Option<PathBuf>,
    /// The file name of the model whose answers are shown.
    model: String,
    phone: phone::View,
    flips: flips::View,
    plot: plot::View,
}

impl View {
    /// Whether a changed answer is shown large.
    pub(super) fn is_large(&self) -> bool {
        self.flips.is_large()
    }

    /// The model of an export whose answers are shown.
    fn model<'a>(&self, export: &'a FoundExport) -> Option<&'a ModelCertificate> {
        let models = &export.certificate.models;
        let chosen = models.iter().find(|model| model.file == self.model);
        chosen.or_else(|| models.first())
    }
}

/// Paints all exports, newest first.
pub(super) fn exports_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    let done = &session.export.done;
    let chosen = view.open.as_ref();
    let open = done
        .iter()
        .position(|export| Some(&export.dir) == chosen)
        .unwrap_or(0);
    for (index, export) in done.iter().enumerate() {
        if index == open {
            open_ui(ui, cx, session, export, view);
        } else if line_ui(ui, cx, session, export) {
            view.open = Some(export.dir.clone());
        }
        ui.add_space(6.0);
    }
}

/// Paints the changed answer that is shown large.
pub(super) fn large_ui(ctx: &egui::Context, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    flips::large_ui(ctx, cx, session, &mut view.flips);
}

/// The title of a run, even if the run no longer exists.
fn title(session: &Session, export: &FoundExport) -> String {
    let run = RunId(export.certificate.run.clone());
    session.train.run(&run).map_or(run.0, RunEntry::title)
}

fn proved(session: &Session, export: &FoundExport) -> String {
    let certificate = &export.certificate;
    let images = session.noun().count(certificate.frames as usize);
    format!("verified on {images} of the {} side", certificate.split)
}

fn reveal_ui(ui: &mut Ui, cx: &mut Cx<'_>, export: &FoundExport) {
    if button(ui, Some(icons::REVEAL), "Show in folder")
        .on_hover_text(words::path(&export.dir))
        .clicked()
    {
        cx.act(Action::Export(ExportAction::Reveal(export.dir.clone())));
    }
}

/// An export that is not opened. Returns whether it was clicked.
fn line_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, export: &FoundExport) -> bool {
    let t = tokens(ui);
    let models = &export.certificate.models;
    let models: Vec<&str> = models.iter().map(|model| model.file.as_str()).collect();
    let name = title(session, export);
    let mut revealed = false;
    let click = UiBuilder::new().sense(Sense::click());
    let response = ui
        .scope_builder(click, |ui| {
            panel(ui)
                .inner_margin(Margin::symmetric(14, 8))
                .show(ui, |ui| {
                    ui.set_width(ui.available_width());
                    let line = vec2(ui.available_width(), theme::CONTROL_HEIGHT);
                    let layout = Layout::right_to_left(Align::Center);
                    ui.allocate_ui_with_layout(line, layout, |ui| {
                        revealed =
                            icon_button(ui, icons::REVEAL, "Show in folder", "Show in folder")
                                .clicked();
                        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                            ui.add(egui::Label::new(widgets::name(&name)).selectable(false));
                            let models = widgets::muted(t, models.join(", "));
                            ui.add(egui::Label::new(models).selectable(false).truncate());
                        });
                    });
                });
        })
        .response;
    response.widget_info(|| {
        let name = format!("Open export of {name}: {}", models.join(", "));
        egui::WidgetInfo::labeled(egui::Role::Button, true, name)
    });
    if response.has_focus() || response.hovered() {
        let stroke = Stroke::new(1.0, t.line_strong);
        let radius = CornerRadius::same(theme::RADIUS_LARGE);
        let painter = ui.painter();
        painter.rect_stroke(response.rect, radius, stroke, egui::StrokeKind::Inside);
    }
    if revealed {
        cx.act(Action::Export(ExportAction::Reveal(export.dir.clone())));
    }
    response.clicked() && !revealed
}

/// The opened export.
fn open_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, export: &FoundExport, view: &mut View) {
    let t = tokens(ui);
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 6.0;
        Sides::new()
            .height(theme::CONTROL_HEIGHT)
            .spacing(12.0)
            .shrink_left()
            .truncate()
            .show(
                ui,
                |ui| {
                    ui.label(icons::icon(icons::OK, 18.0).color(t.ok));
                    ui.label(widgets::title(title(session, export)));
                    ui.label(widgets::muted(t, proved(session, export)));
                },
                |ui| reveal_ui(ui, cx, export),
            );
        let side = phone::WIDTH + 14.0;
        let has_phone = !export.examples.is_empty();
        if has_phone && ui.available_width() >= BESIDE {
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = 14.0;
                let width = ui.available_width() - side;
                ui.vertical(|ui| {
                    ui.set_width(width);
                    models_ui(ui, export, view);
                });
                ui.vertical(|ui| phone_ui(ui, session, export, view));
            });
        } else {
            models_ui(ui, export, view);
            if has_phone {
                ui.vertical_centered(|ui| {
                    ui.set_width(phone::WIDTH);
                    phone_ui(ui, session, export, view);
                });
            }
        }
        if let Some(model) = view.model(export) {
            flips::flips_ui(ui, session, export, model, &mut view.flips);
        }
        let beside = widgets::faint(t, format!("Other files: {}", export.others.join(", ")));
        ui.add(egui::Label::new(beside).wrap())
            .on_hover_text(words::path(&export.dir));
    });
}

fn models_ui(ui: &mut Ui, export: &FoundExport, view: &mut View) {
    let shown = view.model(export).map(|model| model.file.clone());
    for model in &export.certificate.models {
        let chosen = shown.as_ref() == Some(&model.file);
        if model_ui(
            ui,
            export,
            model,
            chosen && export.certificate.models.len() > 1,
        ) {
            view.model.clone_from(&model.file);
        }
    }
    plot::plot_ui(ui, export, &mut view.plot);
}

fn phone_ui(ui: &mut Ui, session: &Session, export: &FoundExport, view: &mut View) {
    if let Some(model) = view.model(export) {
        phone::phone_ui(ui, session, export, &model.file, &mut view.phone);
    }
}

/// A difference of accuracies: `top-1 unchanged`, `top-1 +0.4 points`.
pub(super) fn points_in_words(difference: f64) -> String {
    if difference == 0.0 {
        "top-1 unchanged".to_owned()
    } else {
        format!("top-1 {:+.1} points", difference * 100.0)
    }
}

/// The number of images with another answer.
pub(super) fn flips_in_words(count: usize) -> String {
    match count {
        0 => "no answer changed".to_owned(),
        count => format!("{} changed", words::count(count as u64, "answer")),
    }
}

/// A model of an export with its certificate. Returns whether it was clicked.
fn model_ui(ui: &mut Ui, export: &FoundExport, model: &ModelCertificate, chosen: bool) -> bool {
    let t = tokens(ui);
    let line = if chosen { t.accent } else { t.line };
    let click = UiBuilder::new().sense(Sense::click());
    let response = ui
        .scope_builder(click, |ui| {
            Frame::new()
                .fill(t.window)
                .stroke(Stroke::new(1.0, line))
                .corner_radius(CornerRadius::same(theme::RADIUS))
                .inner_margin(Margin::symmetric(12, 9))
                .show(ui, |ui| {
                    ui.set_width(ui.available_width());
                    ui.spacing_mut().item_spacing.y = 3.0;
                    ui.spacing_mut().interact_size.y = 18.0;
                    figures_ui(ui, export, model);
                });
        })
        .response;
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::Role::RadioButton, true, chosen, &model.file)
    });
    response.on_hover_text("View this file").clicked()
}

fn figures_ui(ui: &mut Ui, export: &FoundExport, model: &ModelCertificate) {
    let t = tokens(ui);
    ui.horizontal(|ui| {
        ui.add(egui::Label::new(widgets::name(&model.file)).selectable(false));
        let size = format!(
            "{}, {:.0} % of fp32",
            words::bytes(model.bytes),
            model.size_ratio * 100.0
        );
        ui.add(egui::Label::new(widgets::muted(t, size)).truncate())
            .on_hover_text("Its size, absolute and relative to the same model in fp32");
    });
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 14.0;
        let [low, high] = model.top1_difference_95.map(|part| part * 100.0);
        let top1 = format!(
            "{}, of {}",
            points_in_words(model.top1_difference),
            words::percent(model.run_top1)
        );
        let color = if model.top1_difference < 0.0 {
            t.danger
        } else {
            t.ok
        };
        let top1 = egui::Label::new(RichText::new(top1).color(color)).extend();
        ui.add(top1).on_hover_text(format!(
            "Its accuracy minus that of the run; 95 % interval of the difference {low:+.1} to {high:+.1} points"
        ));
        ui.add(egui::Label::new(flips_in_words(model.flips.len())).extend())
            .on_hover_text("Images for which the file and the run predict different classes");
        if let Some(latency) = &model.latency {
            let time = format!(
                "{:.1} ms, {:.2} of fp32",
                latency.median_ms, latency.ratio_to_fp32
            );
            ui.add(egui::Label::new(time).extend())
                .on_hover_text(format!(
                    "Time per image: median, and median ratio to the fp32 model, run alternately with it; {}",
                    export.certificate.runtime
                ));
        }
    });
    let proof = format!(
        "{}; largest difference in probability {:.1e}",
        model.proof, model.max_probability_difference
    );
    ui.add(egui::Label::new(widgets::small(t, proof)).wrap())
        .on_hover_text(format!("Required: {}", model.acceptance));
    if let Some(loss) = &model.accepted_loss {
        let words = RichText::new(format!("Accepted: {loss}")).color(t.danger);
        ui.add(egui::Label::new(words).wrap());
    }
}
