//! The legend of the lines of the plots.

use egui::{Color32, Sense, Stroke, Ui, vec2};

use super::baseline::Baseline;
use super::lines::{Of, Shown};
use crate::app::words;
use crate::ui::theme::{self, Tokens, tokens};
use crate::ui::widgets;

/// The lines of the run that is drawn in full.
pub(super) fn legend_ui(ui: &mut Ui, t: &Tokens, baseline: Option<&Baseline>) {
    for (color, name) in [(t.accent, "train"), (theme::class_color(0), "validation")] {
        sample_ui(ui, color, false);
        ui.label(widgets::small(t, name));
    }
    if let Some(baseline) = baseline {
        baseline.legend_ui(ui, t);
    }
}

/// The runs to compare with, in a line of their own.
pub(super) fn compared_ui(ui: &mut Ui, lines: &[Shown<'_>]) {
    let compared: Vec<&Shown<'_>> = lines
        .iter()
        .filter(|line| line.of == Of::Compared)
        .collect();
    if compared.is_empty() {
        return;
    }
    named_ui(ui, Some("compared:"), &compared, |line| {
        format!("{}: validation images", line.name)
    });
}

/// The names of lines in a row, as many as fit.
fn named_ui(
    ui: &mut Ui,
    begin: Option<&str>,
    lines: &[&Shown<'_>],
    tip: impl Fn(&Shown<'_>) -> String,
) {
    let t = tokens(ui);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 5.0;
        ui.spacing_mut().interact_size.y = 18.0;
        if let Some(begin) = begin {
            ui.label(widgets::faint(t, begin));
        }
        for (index, line) in lines.iter().enumerate() {
            let name = words::shorten(&line.name, 28);
            let text = widgets::small(t, &name);
            let font = egui::FontId::proportional(theme::TYPE_SMALL);
            let width = ui.painter().layout_no_wrap(name, font, t.text).size().x + 24.0;
            let rest = lines.len() - index;
            // Space for the number of the others.
            let more = if rest > 1 { 76.0 } else { 0.0 };
            if index > 0 && ui.available_width() < width + more {
                ui.label(widgets::faint(t, format!("and {rest} more")));
                break;
            }
            sample_ui(ui, line.color, line.dashed);
            ui.add(egui::Label::new(text).truncate())
                .on_hover_text(tip(line));
        }
    });
}

/// The classes of lines, as many as fit.
pub(super) fn classes_ui(ui: &mut Ui, lines: &[Shown<'_>]) {
    let classes: Vec<&Shown<'_>> = lines.iter().filter(|line| line.of == Of::Main).collect();
    named_ui(ui, None, &classes, |line| line.name.clone());
}

/// A sample of the line.
pub(super) fn sample_ui(ui: &mut Ui, color: Color32, dashed: bool) {
    let (rect, _) = ui.allocate_exact_size(vec2(14.0, 12.0), Sense::hover());
    let y = rect.center().y;
    if dashed {
        for x in [rect.left(), rect.left() + 7.0] {
            ui.painter().hline(x..=x + 5.0, y, Stroke::new(1.5, color));
        }
    } else {
        let x = rect.left()..=rect.right() - 2.0;
        ui.painter().hline(x, y, Stroke::new(2.0, color));
    }
}
