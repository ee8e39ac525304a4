//! The settings of an export: the run, the formats, the folder.

use egui::{Align, CornerRadius, Frame, Layout, Margin, Popup, RichText, ScrollArea, Stroke, Ui};

use super::done::{flips_in_words, points_in_words};
use crate::app::{Action, Ask, ExportAction, RunEntry, Session, words};
use crate::export::{Family, Format};
use crate::train::{RunId, RunState};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::run_choice::run_choice;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    self, accent_button, field_label, icon_button, menu_chip, menu_item, panel, quiet_button,
    section, toggle_chip,
};

/// Paints the settings.
pub(super) fn settings_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, run: &RunId) {
    let height = ui.available_height();
    // The scroll bar is in the margin.
    let margin = Margin {
        right: 14 - widgets::SCROLL_BAR as i8,
        ..Margin::same(14)
    };
    panel(ui).inner_margin(margin).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.set_min_height(height - 30.0);
        // Outside the scroll area: in a low window the list of formats is higher than the panel.
        section(ui, "What is exported", |ui| {
            ui.add_space(widgets::SCROLL_BAR);
            let busy = session.export.task.is_some();
            let export = ui
                .add_enabled_ui(!busy, |ui| accent_button(ui, Some(icons::EXPORT), "Export"))
                .inner;
            if export
                .on_hover_text("Write the models, their labels and the preprocessing of images")
                .on_disabled_hover_text("An export is running")
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
        if let Some(id) = run_choice(ui, session, "exported run", Some(run), None) {
            cx.act(Action::Export(ExportAction::Run(id)));
        }
        also_ui(ui, cx, session);
        field_label(ui, "Formats (in one export, all or none)");
        for family in families() {
            family_ui(ui, cx, session, family);
        }
        field_label(ui, "Folder");
        folder_ui(ui, cx, session);
    });
}

/// The further runs, and a button to add one.
fn also_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let chosen = session.export_runs();
    let others = |entry: &&RunEntry| {
        entry.run.state == RunState::Finished && !chosen.contains(&entry.run.id)
    };
    for id in chosen.iter().skip(1) {
        let title = session.train.run(id).map(RunEntry::title);
        let title = title.unwrap_or_default();
        ui.horizontal(|ui| {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                let name = format!("Leave out {title}");
                if icon_button(ui, icons::CROSS, &name, "Do not export this run").clicked() {
                    cx.act(Action::Export(ExportAction::AlsoRun(id.clone())));
                }
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.add(egui::Label::new(&title).truncate());
                });
            });
        });
    }
    if session.train.runs.iter().any(|entry| others(&entry)) {
        let menu = menu_chip(ui, "Add a run", "Add a run");
        Popup::menu(&menu).width(260.0).show(|ui| {
            for entry in session.train.runs.iter().filter(others) {
                let label = entry.title();
                if menu_item(ui, None, &label, ()).clicked() {
                    cx.act(Action::Export(ExportAction::AlsoRun(entry.run.id.clone())));
                    ui.close();
                }
            }
        });
    }
}

/// The formats of one family as a card, with a chip for each.
fn family_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, family: &'static Family) {
    let t = tokens(ui);
    let formats = || {
        Format::all()
            .iter()
            .filter(|format| format.family() == family)
    };
    let chosen = |format: &Format| session.export.formats.contains(format);
    let line = if formats().any(chosen) {
        t.accent
    } else {
        t.line
    };
    Frame::new()
        .stroke(Stroke::new(1.0, line))
        .corner_radius(CornerRadius::same(theme::RADIUS))
        .inner_margin(Margin::symmetric(12, 9))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.spacing_mut().item_spacing.y = 4.0;
            ui.horizontal_wrapped(|ui| {
                ui.spacing_mut().item_spacing = egui::vec2(6.0, 4.0);
                ui.label(widgets::name(family.title));
                ui.add_space(4.0);
                for format in formats() {
                    let chip = toggle_chip(ui, chosen(format), format.variant(), format.title());
                    if chip.on_hover_text(format.sentence()).clicked() {
                        cx.act(Action::Export(ExportAction::Toggle(*format)));
                    }
                }
            });
            let sentence = widgets::small(t, family.sentence).line_height(Some(16.0));
            ui.add(egui::Label::new(sentence).wrap());
            for format in formats() {
                if let Some(words) = last_figures(session, *format) {
                    let figures = format!("{}: {words}", format.variant());
                    let figures = RichText::new(figures)
                        .size(theme::TYPE_SMALL)
                        .color(t.muted);
                    ui.add(egui::Label::new(figures).wrap());
                }
            }
        });
}

/// The families of the formats, in the order of the formats.
fn families() -> Vec<&'static Family> {
    let mut families = Vec::new();
    for format in Format::all() {
        if !families.contains(&format.family()) {
            families.push(format.family());
        }
    }
    families
}

/// The result of the format in the newest export of the run with this format.
fn last_figures(session: &Session, format: Format) -> Option<String> {
    let run = session.export_run()?;
    let of_run = session
        .export
        .done
        .iter()
        .filter(|done| done.certificate.run == run.0);
    let mut models = of_run.flat_map(|done| &done.certificate.models);
    let model = models.find(|model| model.format == format.name())?;
    Some(format!(
        "{}, {}, {}{}",
        words::bytes(model.bytes),
        points_in_words(model.top1_difference),
        flips_in_words(model.flips.len()),
        model
            .latency
            .map(|latency| format!(", {:.1} ms", latency.median_ms))
            .unwrap_or_default()
    ))
}

fn folder_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    let Some(dir) = session.export_dir() else {
        return;
    };
    let shown = dir
        .strip_prefix(&session.root)
        .map_or_else(|_| words::path(&dir), words::path);
    ui.add(egui::Label::new(widgets::small(t, shown)).wrap())
        .on_hover_text(words::path(&dir));
    let mut zip = session.export.zip;
    if ui
        .checkbox(&mut zip, "As one ZIP file")
        .on_hover_text("Everything in one file, for sharing or archiving")
        .changed()
    {
        cx.act(Action::Export(ExportAction::Zip(zip)));
    }
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        if quiet_button(ui, Some(icons::FOLDER), "Another folder…")
            .on_hover_text("Choose where to write the export")
            .clicked()
        {
            cx.act(Action::Ask(Ask::ExportFolder));
        }
        if session.export.dir.is_some()
            && quiet_button(ui, Some(icons::UNDO), "In the project")
                .on_hover_text("Write to the project’s exports folder")
                .clicked()
        {
            cx.act(Action::Export(ExportAction::Dir(None)));
        }
    });
}
