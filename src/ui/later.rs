//! A step that cannot be taken yet: says what has to be done first.

use egui::Ui;

use super::Cx;
use super::icons;
use super::widgets::{accent_button, empty};
use crate::app::{Action, Session, Workspace};

/// Paints what stands in the way of a step.
pub fn later_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, step: Workspace) {
    let (glyph, title, words) = match step {
        Workspace::Train => (
            icons::TRAIN,
            "Nothing to train on yet",
            "Training needs at least two classes with frames.",
        ),
        Workspace::Evaluate => (
            icons::EVALUATE,
            "Nothing to evaluate yet",
            "Train first; then this page shows how good the classifier is on frames it has never seen.",
        ),
        _ => (
            icons::EXPORT,
            "Nothing to export yet",
            "Train first; then this page makes files that run on a phone.",
        ),
    };
    empty(ui, glyph, title, words, |ui| {
        let (label, to) = if session.snapshot.counts.total() == 0 {
            ("Import videos", Workspace::Import)
        } else {
            ("Label frames", Workspace::Label)
        };
        if accent_button(ui, None, label).clicked() {
            cx.act(Action::Go(to));
        }
    });
}
