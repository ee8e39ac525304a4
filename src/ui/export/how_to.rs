//! How an exported model is used: a program to start from.

use egui::{Align, CornerRadius, Frame, Layout, Margin, RichText, ScrollArea, Stroke, Ui};

use crate::app::Session;
use crate::export::{Example, Language, examples};
use crate::train::RunId;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, chip, icon_button, panel};

/// Height of a program that is not scrolled, points.
const MOST: f32 = 360.0;

/// State of the painting alone.
#[derive(Default)]
pub(super) struct View {
    /// The language whose program is shown; `None` is the first.
    language: Option<Language>,
}

/// Paints the program.
pub(super) fn how_to_ui(ui: &mut Ui, session: &Session, run: &RunId, view: &mut View) {
    let t = tokens(ui);
    let Some(entry) = session.train.run(run) else {
        return;
    };
    let formats = session.export.formats.iter();
    let mut programs: Vec<Example> = Vec::new();
    for example in formats.flat_map(|format| examples(&entry.run, *format)) {
        if programs
            .iter()
            .all(|known| known.language != example.language)
        {
            programs.push(example);
        }
    }
    let chosen = programs
        .iter()
        .find(|example| Some(example.language) == view.language);
    let Some(example) = chosen.or_else(|| programs.first()) else {
        return;
    };
    let code = &example.program;
    let installed = match example.language {
        Language::Python => format!("pip install {}", example.packages),
        Language::JavaScript | Language::Kotlin | Language::Swift => example.packages.to_owned(),
    };
    let words = format!(
        "The model takes an image that was made square and resized as below. labels.txt names its outputs in their order, preprocess.json says the steps in words and numbers; the export’s folder has programs like this one. In {} ({installed}):",
        example.runtime
    );
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 6.0;
        ui.horizontal(|ui| {
            ui.set_min_height(theme::CHIP_HEIGHT);
            ui.label(widgets::title("How to use it"));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                ui.spacing_mut().item_spacing.x = 6.0;
                if icon_button(ui, icons::COPY, "Copy the example", "Copy the example").clicked() {
                    ui.ctx().copy_text(code.clone());
                }
                for other in programs.iter().rev().filter(|_| programs.len() > 1) {
                    let on = other.language == example.language;
                    if chip(ui, on, other.language.title()).clicked() {
                        view.language = Some(other.language);
                    }
                }
            });
        });
        ui.add(egui::Label::new(widgets::muted(t, words).line_height(Some(18.0))).wrap());
        Frame::new()
            .fill(t.window)
            .stroke(Stroke::new(1.0, t.line))
            .corner_radius(CornerRadius::same(theme::RADIUS))
            .inner_margin(Margin::same(12))
            .show(ui, |ui| {
                ui.set_width(ui.available_width());
                let program = ScrollArea::both().auto_shrink([false, true]);
                program.max_height(MOST).show(ui, |ui| {
                    let code = RichText::new(code.as_str()).monospace().color(t.text);
                    ui.add(egui::Label::new(code).extend().selectable(true));
                });
            });
    });
}
