//! How an exported model is used: a program to start from.

use egui::{Align, CornerRadius, Frame, Layout, Margin, RichText, ScrollArea, Stroke, Ui};

use crate::app::Session;
use crate::export::example;
use crate::train::RunId;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, icon_button, panel};

/// Paints the program.
pub(super) fn how_to_ui(ui: &mut Ui, session: &Session, run: &RunId) {
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
