//! How to use an exported model: an example program.

use egui::scroll_area::ScrollBarVisibility;
use egui::{Align, CornerRadius, Frame, Layout, Margin, RichText, ScrollArea, Stroke, Ui};

use crate::app::Session;
use crate::export::{Example, Format, Language, examples};
use crate::train::{Run, RunId};
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, chip, icon_button, panel};

/// Height of a program without scrolling, points.
const MOST: f32 = 360.0;

/// State of the painting.
#[derive(Default)]
pub(super) struct View {
    /// The language of the program; `None` is the first.
    language: Option<Language>,
    /// The programs, and the run and formats that they are for.
    programs: Vec<Example>,
    of: Option<(RunId, Vec<Format>)>,
}

impl View {
    /// Creates the programs, one for each language, unless they exist.
    fn update(&mut self, run: &Run, formats: &[Format]) {
        let known = self.of.as_ref();
        if known.is_some_and(|(id, of)| *id == run.id && of == formats) {
            return;
        }
        self.programs.clear();
        for example in formats.iter().flat_map(|format| examples(run, *format)) {
            let mut known = self.programs.iter();
            if known.all(|known| known.language != example.language) {
                self.programs.push(example);
            }
        }
        self.of = Some((run.id.clone(), formats.to_vec()));
    }
}

/// Paints the program.
pub(super) fn how_to_ui(ui: &mut Ui, session: &Session, run: &RunId, view: &mut View) {
    let t = tokens(ui);
    let Some(entry) = session.train.run(run) else {
        return;
    };
    view.update(&entry.run, &session.export.formats);
    let View {
        language: shown,
        programs,
        ..
    } = view;
    let chosen = programs
        .iter()
        .find(|example| Some(example.language) == *shown);
    let Some(example) = chosen.or_else(|| programs.first()) else {
        return;
    };
    let code = &example.program;
    let installed = match example.language {
        Language::Python => format!("pip install {}", example.packages),
        Language::JavaScript | Language::Kotlin | Language::Swift => example.packages.to_owned(),
    };
    let words = format!(
        "The model’s input is an image that was made square and resized as below. labels.txt lists its outputs in order, preprocess.json describes the steps in words and numbers, and the export’s folder has programs like this one. In {} ({installed}):",
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
                        *shown = Some(other.language);
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
            .show(ui, |ui| program_ui(ui, code));
    });
}

/// Paints a program, with scroll bars if it does not fit.
fn program_ui(ui: &mut Ui, code: &str) {
    let t = tokens(ui);
    ui.set_width(ui.available_width());
    let area = ScrollArea::both()
        .auto_shrink([false, true])
        .max_height(MOST);
    // If a program is only partly visible, a scroll bar at its bottom edge is painted at the edge of the visible part:
    // on the page's bottom edge even before the first line of the program is visible.
    let in_sight = ui.next_widget_position().y + theme::CONTROL_HEIGHT < ui.clip_rect().bottom();
    let bars = if in_sight {
        ScrollBarVisibility::VisibleWhenNeeded
    } else {
        ScrollBarVisibility::AlwaysHidden
    };
    area.scroll_bar_visibility(bars).show(ui, |ui| {
        let code = RichText::new(code).monospace().color(t.text);
        ui.add(egui::Label::new(code).extend().selectable(true));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The number of shapes that are painted for a long and wide program on a page of 300 points, below `above` points
    /// of something else.
    fn painted(above: f32) -> usize {
        let ctx = egui::Context::default();
        // Scroll bars are visible without a pointer on them, as in the window.
        ctx.all_styles_mut(|style| style.spacing.scroll.dormant_handle_opacity = 0.35);
        let room = egui::Rect::from_min_size(egui::Pos2::ZERO, egui::vec2(300.0, 300.0));
        let input = egui::RawInput {
            screen_rect: Some(room),
            ..egui::RawInput::default()
        };
        let code = "a line that is wider than the page, by far, and wider still\n".repeat(40);
        let mut seen = 0;
        // The first passes measure sizes, and the bars fade in.
        for _ in 0..30 {
            let mut output = ctx.run_ui(input.clone(), |ui| {
                ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                    ui.add_space(above);
                    program_ui(ui, &code);
                });
            });
            output.textures_delta.clear();
            let shapes = output.shapes.iter().filter(|shape| {
                let rect = shape.shape.visual_bounding_rect();
                rect.height() > 1.0 && rect.height() < 20.0 && rect.intersects(shape.clip_rect)
            });
            seen = shapes.count();
        }
        seen
    }

    #[test]
    fn a_program_below_the_page_paints_no_bar_on_its_edge() {
        assert_eq!(painted(400.0), 0);
        assert_eq!(painted(290.0), 0);
        assert!(painted(100.0) > 0);
    }
}
