//! The field above the list of runs: a regular expression selects those that are listed and compared.

use egui::{Align2, Label, Margin, RichText, TextEdit, Ui, vec2};

use crate::app::{Action, Session, TrainAction, words};
use crate::train::RunId;
use crate::ui::Cx;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, link};

/// Up to this many runs need no filter.
const FEW: usize = 3;
/// Height of the field, points.
const HEIGHT: f32 = 28.0;

/// Paints the field if there are several runs, and the number of runs it finds.
pub(super) fn filter_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let state = &session.train;
    if state.runs.len() < FEW && state.filter.text().is_empty() {
        return;
    }
    let t = tokens(ui);
    let mut text = state.filter.text().to_owned();
    let field = TextEdit::singleline(&mut text)
        .hint_text(RichText::new("filter: lite0.*last").color(t.faint))
        .margin(Margin::symmetric(8, 5))
        .desired_width(f32::INFINITY)
        .align(Align2::LEFT_CENTER)
        .min_size(vec2(0.0, HEIGHT));
    let field = ui
        .add(field)
        .on_hover_text(
            "A regular expression: only runs with matching names are listed and compared",
        )
        .accessible_name("Filter runs");
    if field.changed() {
        cx.act(Action::Train(TrainAction::Filter(text)));
    }
    if let Some(fault) = state.filter.fault() {
        let words = RichText::new(fault).size(theme::TYPE_SMALL).color(t.danger);
        ui.add(Label::new(words).wrap());
    }
    if state.filter.is_on() {
        let found: Vec<&RunId> = state
            .runs
            .iter()
            .filter(|entry| entry.is_found(&state.filter))
            .map(|entry| &entry.run.id)
            .collect();
        let other = found
            .iter()
            .any(|id| !state.overlays.contains(id) && state.focus.as_ref() != Some(id));
        ui.horizontal(|ui| {
            let all = words::number(state.runs.len() as u64);
            ui.label(widgets::faint(t, format!("{} of {all}", found.len())));
            let (label, on) = if other {
                ("Compare them", true)
            } else {
                ("Compare none", false)
            };
            if !found.is_empty() && link(ui, label).clicked() {
                for id in found {
                    if on != state.overlays.contains(id) && state.focus.as_ref() != Some(id) {
                        cx.act(Action::Train(TrainAction::Overlay(id.clone(), on)));
                    }
                }
            }
        });
    }
    ui.add_space(2.0);
}
