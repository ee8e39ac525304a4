//! The choice among the finished runs of a project.

use egui::Ui;

use super::theme::tokens;
use super::widgets::{choice, menu_item, small};
use crate::app::{Session, words};
use crate::train::{RunId, RunState};

/// A list of the finished runs with their test accuracy, without `except`. Returns the one that was clicked.
pub fn run_choice(
    ui: &mut Ui,
    session: &Session,
    id: &str,
    chosen: Option<&RunId>,
    except: Option<&RunId>,
) -> Option<RunId> {
    let t = tokens(ui);
    let selected = chosen
        .and_then(|id| session.train.run(id))
        .map_or_else(|| "Choose a run".to_owned(), crate::app::RunEntry::title);
    let mut clicked = None;
    choice(ui, id, "Run", &selected, |ui| {
        for entry in &session.train.runs {
            if entry.run.state != RunState::Finished || except == Some(&entry.run.id) {
                continue;
            }
            let accuracy = entry
                .run
                .result()
                .and_then(|result| result.test_accuracy)
                .map(words::percent)
                .unwrap_or_default();
            let label = entry.title();
            if menu_item(ui, None, &label, small(t, accuracy)).clicked() {
                clicked = Some(entry.run.id.clone());
                ui.close();
            }
        }
    });
    clicked
}
