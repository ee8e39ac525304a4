//! What each line of the plots is.

use egui::{Color32, Sense, Stroke, Ui, vec2};

use super::baseline::Baseline;
use super::lines::{Of, Shown};
use crate::app::words;
use crate::ui::theme::{self, Tokens, tokens};
use crate::ui::widgets;

/// Compared runs that are named; of more it is said how many there are.
const NAMED: usize = 4;

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
    let t = tokens(ui);
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 2.0);
        ui.spacing_mut().interact_size.y = 18.0;
        ui.label(widgets::faint(t, "compared:"));
        for line in compared.iter().take(NAMED) {
            ui.horizontal(|ui| {
                ui.spacing_mut().item_spacing.x = 4.0;
                sample_ui(ui, line.color, line.dashed);
                let name = words::shorten(&line.name, 28);
                ui.label(widgets::small(t, name))
                    .on_hover_text(format!("{}: validation images", line.name));
            });
        }
        if compared.len() > NAMED {
            let more = format!("and {} more", compared.len() - NAMED);
            ui.label(widgets::faint(t, more));
        }
    });
}

/// A piece of the line.
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
