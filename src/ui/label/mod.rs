//! The label workspace.

use egui::Ui;

use super::Cx;
use crate::app::Session;

/// State of the painting alone.
#[derive(Default)]
pub struct View {}

/// Paints the workspace.
pub fn label_ui(ui: &mut Ui, _cx: &mut Cx<'_>, session: &Session, _view: &mut View) {
    ui.label(super::widgets::heading("Label"));
    ui.label(session.name.as_str());
}
