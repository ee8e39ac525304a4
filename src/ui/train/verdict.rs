//! Whether fine-tuning was worth it, in one sentence.

use egui::{CornerRadius, Frame, Margin, RichText, Stroke, Ui};

use crate::app::Session;
use crate::train::FineTuningOutcome;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};

/// Paints the sentence about the run that is drawn in full, if there is one. The run is named above it.
pub(super) fn verdict_ui(ui: &mut Ui, session: &Session) {
    let state = &session.train;
    if state.live.is_some() {
        return;
    }
    let entry = state.focus.as_ref().and_then(|id| state.run(id));
    let Some(verdict) = entry
        .and_then(|entry| entry.run.result())
        .and_then(|result| result.verdict)
    else {
        return;
    };
    let t = tokens(ui);
    let (glyph, color) = match verdict.outcome {
        FineTuningOutcome::Better => (icons::OK, t.ok),
        FineTuningOutcome::Worse => (icons::WARNING, t.accent_text),
        FineTuningOutcome::Undecided | FineTuningOutcome::Unknown => (icons::INFO, t.faint),
    };
    ui.add_space(2.0);
    Frame::new()
        .fill(t.panel)
        .stroke(Stroke::new(1.0, t.line))
        .corner_radius(CornerRadius::same(theme::RADIUS))
        .inner_margin(Margin::symmetric(12, 9))
        .show(ui, |ui| {
            ui.set_width(ui.available_width());
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = 10.0;
                ui.label(icons::icon(glyph, 18.0).color(color));
                let words = RichText::new(verdict.sentence()).line_height(Some(18.0));
                ui.add(egui::Label::new(words).wrap());
            });
        });
    ui.add_space(2.0);
}
