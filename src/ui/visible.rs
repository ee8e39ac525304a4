//! The last step of each frame: control characters and invisible characters are escaped in all text of the window,
//! painted and read aloud, wherever it came from. Line breaks stay, because some texts of the window have them; in
//! names they are escaped in `app/`.

use std::borrow::Cow;
use std::collections::HashSet;

use egui::accesskit::{Node, Role};
use egui::epaint::TextShape;
use egui::epaint::text::{ByteIndex, ByteRangeExt as _};
use egui::text::{LayoutJob, LayoutSection};
use egui::{Context, FullOutput, Galley, Plugin, Shape};

use crate::text::{is_visible, visible_lines};

/// Installs it on `ctx`.
pub fn install(ctx: &Context) {
    ctx.add_plugin(Visible::default());
}

/// The plugin of egui.
#[derive(Default)]
struct Visible {
    /// Escaped texts that were laid out before, so that all their letters are in the font texture.
    laid_out: HashSet<String>,
}

impl Plugin for Visible {
    fn debug_name(&self) -> &'static str {
        "visible"
    }

    fn output_hook(&mut self, ctx: &Context, output: &mut FullOutput) {
        for clipped in &mut output.shapes {
            self.shape(ctx, &mut clipped.shape);
        }
        if let Some(update) = &mut output.platform_output.accesskit_update {
            for (_, node) in &mut update.nodes {
                read_aloud(node);
            }
        }
    }
}

impl Visible {
    fn shape(&mut self, ctx: &Context, shape: &mut Shape) {
        match shape {
            Shape::Text(text) => self.text(ctx, text),
            Shape::Vec(shapes) => {
                for shape in shapes {
                    self.shape(ctx, shape);
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, ctx: &Context, shape: &mut TextShape) {
        if is_visible(shape.galley.text()) {
            return;
        }
        let job = written_out(&shape.galley);
        if self.laid_out.insert(job.text.clone()) {
            // Letters that were never painted before are ready in the next frame.
            ctx.request_repaint();
        }
        shape.galley = ctx.fonts_mut(|fonts| fonts.layout_job(job));
    }
}

/// The layout of the escaped text, in the same fonts and colours.
fn written_out(galley: &Galley) -> LayoutJob {
    let old: &LayoutJob = &galley.job;
    let mut text = String::new();
    let mut sections = Vec::with_capacity(old.sections.len());
    for section in &old.sections {
        let begin = text.len();
        let part = old
            .text
            .get(section.byte_range.as_usize())
            .unwrap_or_default();
        text.push_str(&visible_lines(part));
        sections.push(LayoutSection {
            byte_range: ByteIndex(begin)..ByteIndex(text.len()),
            ..section.clone()
        });
    }
    LayoutJob {
        text,
        sections,
        ..old.clone()
    }
}

/// The same for the text of screen readers.
fn read_aloud(node: &mut Node) {
    let changed = |text: Option<&str>| match text.map(visible_lines) {
        Some(Cow::Owned(text)) => Some(text),
        _ => None,
    };
    if let Some(text) = changed(node.label()) {
        node.set_label(text);
    }
    if let Some(text) = changed(node.description()) {
        node.set_description(text);
    }
    if let Some(text) = changed(node.placeholder()) {
        node.set_placeholder(text);
    }
    if let Some(text) = changed(node.value()) {
        if node.role() == Role::TextRun {
            // The positions of its characters are no longer known; the length of each must match the text.
            let lengths: Vec<u8> = text.chars().map(|c| c.len_utf8() as u8).collect();
            node.set_character_lengths(lengths);
            node.clear_character_positions();
            node.clear_character_widths();
            node.clear_word_starts();
        }
        node.set_value(text);
    }
}

#[cfg(test)]
mod tests {
    use egui::{Label, RawInput, RichText};

    use super::*;

    /// All painted texts.
    fn painted(output: &FullOutput) -> Vec<String> {
        fn texts(shape: &Shape, found: &mut Vec<String>) {
            match shape {
                Shape::Text(text) => found.push(text.galley.text().to_owned()),
                Shape::Vec(shapes) => shapes.iter().for_each(|shape| texts(shape, found)),
                _ => {}
            }
        }
        let mut found = Vec::new();
        for clipped in &output.shapes {
            texts(&clipped.shape, &mut found);
        }
        found
    }

    #[test]
    fn every_text_of_a_frame_is_written_out() {
        let ctx = Context::default();
        install(&ctx);
        ctx.enable_accesskit();
        let mut output = FullOutput::default();
        for _ in 0..2 {
            output = ctx.run_ui(RawInput::default(), |ui| {
                ui.label("\u{202e}gpj.exe and 猫 👩\u{200d}👧\nnext line");
                ui.add(Label::new(RichText::new("a\u{1b}[31mb").strong()).truncate());
                let mut name = "x\u{200b}y".to_owned();
                ui.text_edit_singleline(&mut name);
                assert_eq!(name, "x\u{200b}y");
            });
            output.textures_delta.clear();
        }
        let texts = painted(&output);
        for wanted in [
            "\\u{202e}gpj.exe and 猫 👩\u{200d}👧\nnext line",
            "a\\u{1b}[31mb",
            "x\\u{200b}y",
        ] {
            assert!(texts.iter().any(|text| text == wanted), "{texts:?}");
        }
        let update = output.platform_output.accesskit_update;
        let nodes = update.map(|update| update.nodes).unwrap_or_default();
        let texts = nodes
            .iter()
            .flat_map(|(_, node)| [node.label(), node.value()]);
        let texts: Vec<&str> = texts.flatten().collect();
        assert!(texts.contains(&"a\\u{1b}[31mb"), "{texts:?}");
        assert!(texts.iter().all(|text| is_visible(text)), "{texts:?}");
    }
}
