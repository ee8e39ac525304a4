//! Notifications at the bottom right: what happened, a button for the remedy, details on request.

use egui::{
    Align2, Area, Color32, Context, CornerRadius, Frame, Id, Label, Margin, Order, RichText,
    ScrollArea, Shadow, Stroke, Ui, vec2,
};

use super::Cx;
use super::icons::{self, icon};
use super::theme::{self, Tokens, tokens};
use super::widgets::{self, icon_button, quiet_button};
use crate::app::{Action, Note, Tone};

const WIDTH: f32 = 380.0;

/// Paints the notifications, the newest at the bottom.
pub fn notes_ui(ctx: &Context, cx: &mut Cx<'_>) {
    let list = cx.app.notes.list();
    if list.is_empty() {
        return;
    }
    Area::new(Id::unique("notifications"))
        .anchor(Align2::RIGHT_BOTTOM, vec2(-16.0, -48.0))
        .order(Order::Foreground)
        .accessible_name("Notifications")
        .show(ctx, |ui| {
            ui.set_width(WIDTH);
            ui.spacing_mut().item_spacing.y = 8.0;
            // Of many, only the newest few are shown.
            let skipped = list.len().saturating_sub(5);
            for note in &list[skipped..] {
                note_ui(ui, cx, note);
            }
        });
}

fn mark(t: &Tokens, tone: Tone) -> (char, Color32) {
    match tone {
        Tone::Done => (icons::OK, t.ok),
        Tone::Info => (icons::INFO, t.muted),
        Tone::Warning => (icons::WARNING, t.accent_text),
        Tone::Error => (icons::ERROR, t.danger),
    }
}

fn note_ui(ui: &mut Ui, cx: &mut Cx<'_>, note: &Note) {
    let t = tokens(ui);
    let (glyph, color) = mark(t, note.tone);
    Frame::new()
        .fill(t.panel)
        .stroke(Stroke::new(1.0, t.line_strong))
        .corner_radius(CornerRadius::same(10))
        .inner_margin(Margin {
            left: 12,
            right: 8,
            top: 8,
            bottom: 8,
        })
        .shadow(Shadow {
            offset: [0, 6],
            blur: 24,
            spread: 0,
            color: t.shadow,
        })
        .show(ui, |ui| {
            ui.set_width(WIDTH - 22.0);
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = 8.0;
                ui.add_space(0.0);
                ui.vertical(|ui| {
                    ui.add_space(4.0);
                    ui.label(icon(glyph, 18.0).color(color));
                });
                ui.vertical(|ui| {
                    ui.set_width(WIDTH - 22.0 - 66.0);
                    ui.spacing_mut().item_spacing.y = 6.0;
                    ui.add_space(5.0);
                    ui.add(Label::new(RichText::new(&note.text).color(t.text)).wrap());
                    if !note.details.is_empty() {
                        details_ui(ui, note);
                    }
                    if let Some((label, action)) = &note.remedy
                        && quiet_button(ui, None, label).clicked()
                    {
                        cx.act(action.clone());
                        cx.act(Action::Dismiss(note.id));
                    }
                    ui.add_space(3.0);
                });
                let dismiss = icon_button(ui, icons::CROSS, "Dismiss", "Dismiss this message");
                if dismiss.clicked() {
                    cx.act(Action::Dismiss(note.id));
                }
            });
        });
}

fn details_ui(ui: &mut Ui, note: &Note) {
    let t = tokens(ui);
    ScrollArea::vertical()
        .id_salt(note.id)
        .max_height(132.0)
        .show(ui, |ui| {
            ui.spacing_mut().item_spacing.y = 4.0;
            for line in &note.details {
                let text = RichText::new(line).size(theme::TYPE_SMALL).color(t.muted);
                ui.add(Label::new(text).wrap());
            }
        });
    let copy = widgets::link(ui, "Copy the list");
    if copy.clicked() {
        ui.ctx().copy_text(note.details.join("\n"));
    }
}
