//! Training a run further: for how many steps.

use egui::Ui;

use super::{End, buttons_ui, confirmed, title_ui, words_ui};
use crate::app::{Action, Extension, RunEntry, TrainAction, words};
use crate::backbone::Depth;
use crate::train::RunId;
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::tokens;
use crate::ui::widgets::{self, Number, accent_button, button, number_ui};

/// The most steps that a run can be extended by at once.
const MOST: u32 = 10_000_000;

pub(super) fn extend_ui(ui: &mut Ui, cx: &mut Cx<'_>, id: &RunId, more: &mut u32) -> End {
    let session = cx.app.session.as_ref();
    let entry = session.and_then(|session| session.train.run(id));
    let Some((entry, extension)) = entry.and_then(|entry| Some((entry, entry.extension()?))) else {
        // The run was deleted, or is already being trained.
        return End::Close;
    };
    title_ui(ui, "Train further");
    words_ui(ui, &what_happens(entry, &extension, *more));
    let response = number_ui(
        ui,
        "More steps",
        "How many steps to add",
        more,
        &Number {
            range: 1..=MOST.saturating_sub(extension.done).max(1),
            speed: 10.0,
            decimals: 0,
            note: "",
            suffix: "",
        },
    );
    ui.label(widgets::faint(tokens(ui), in_all(&extension, *more)));
    // The first Enter in the field ends typing, the second starts.
    let go = !response.has_focus() && !response.lost_focus() && confirmed(ui);
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        if accent_button(ui, Some(icons::PLAY), "Train further").clicked() || go {
            let steps = extension.done.saturating_add(*more);
            cx.act(Action::Train(TrainAction::Extend(id.clone(), steps)));
            end = End::Close;
        }
        if button(ui, None, "Cancel").clicked() {
            end = End::Close;
        }
    });
    end
}

fn what_happens(entry: &RunEntry, extension: &Extension, more: u32) -> String {
    let run = &entry.run;
    let title = entry.title();
    let depth = run.settings.fine_tune.depth;
    let steps = words::count(u64::from(extension.done), "step");
    let planned = run.settings.steps();
    let how = if run.result().is_some_and(|of| of.stopped_early) {
        "It stopped early; counting of evaluations without improvement restarts."
    } else if depth == Depth::Head {
        "Training continues as if it had never ended."
    } else if extension.done.saturating_add(more) == planned {
        "Training continues as if it had never been stopped."
    } else {
        "The learning rate rises and falls again over the added steps."
    };
    format!(
        "“{title}” has trained {} for {steps}. {how} The best weights so far are kept until better ones are found.",
        words::depth_part(depth)
    )
}

/// `8,000 steps in all, about 6 s more`
fn in_all(extension: &Extension, more: u32) -> String {
    let all = words::count(u64::from(extension.done) + u64::from(more), "step");
    match extension.secs_per_step {
        Some(secs) => format!(
            "{all} in total, {} more",
            words::about(secs * f64::from(more))
        ),
        None => format!("{all} in total"),
    }
}
