//! The page of a model that is made in one go: its phases while it runs, one page of results at the end.

use egui::{Align, Label, Layout, RichText, Ui, vec2};

use super::Cx;
use super::icons;
use super::theme::{self, tokens};
use super::widgets::{self, accent_button, button, progress_bar};
use crate::app::{Action, MakeAction, MakeEnd, Making, words};
use crate::export::{Bundle, CardAccuracy};
use crate::make::{Made, MakePhase};

const WIDTH: f32 = 640.0;
/// The most sentences of advice; the model card has all of them.
const ADVICE: usize = 6;

/// Paints the page.
pub fn make_ui(ui: &mut Ui, cx: &mut Cx<'_>, making: &Making) {
    widgets::scroll_ui(ui, |ui| {
        ui.with_layout(Layout::top_down(Align::Center), |ui| {
            ui.set_max_width(WIDTH);
            ui.add_space(24.0);
            ui.with_layout(Layout::top_down(Align::Min), |ui| match &making.end {
                Some(MakeEnd::Made(made)) => made_ui(ui, cx, made),
                _ => steps_ui(ui, cx, making),
            });
        });
    });
}

fn steps_ui(ui: &mut Ui, cx: &mut Cx<'_>, making: &Making) {
    let t = tokens(ui);
    let name = making.paths.first().and_then(|path| path.file_name());
    let name = name.unwrap_or_default().to_string_lossy();
    ui.label(widgets::heading(format!(
        "Making a model of “{}”",
        words::shorten(&name, 40)
    )));
    let out = making.out.to_string_lossy();
    ui.label(widgets::small(t, words::shorten(&out, 90)));
    ui.add_space(16.0);
    let now = making.phase();
    for phase in MakePhase::ALL {
        let is_now = now == Some(phase);
        let done = now.is_some_and(|now| phase < now);
        ui.horizontal(|ui| {
            let (glyph, color) = if done {
                (icons::OK, t.accent_text)
            } else if is_now && matches!(making.end, Some(MakeEnd::Failed(_))) {
                (icons::ERROR, t.danger)
            } else {
                (icons::ARROW_RIGHT, if is_now { t.text } else { t.faint })
            };
            ui.label(
                RichText::new(glyph)
                    .font(egui::FontId::new(18.0, theme::icon_family()))
                    .color(color),
            );
            let text = format!("{}. {}", phase.number(), phase.title());
            ui.label(match (done, is_now) {
                (_, true) => widgets::title(text),
                (true, _) => widgets::muted(t, text),
                _ => widgets::faint(t, text),
            });
        });
        if is_now && let Some(work) = cx.app.making_work() {
            let progress = work.progress();
            let left = progress.time_left().map(words::time_left);
            ui.indent("progress", |ui| {
                progress_bar(ui, progress.fraction(), WIDTH - 60.0);
                let mut parts = vec![progress.stage.clone()];
                if let Some(total) = progress.total {
                    parts.push(format!(
                        "{} of {}",
                        words::number(progress.done),
                        words::number(total)
                    ));
                }
                parts.extend(left);
                ui.label(widgets::small(t, parts.join(" · ")));
            });
        }
    }
    ui.add_space(16.0);
    match &making.end {
        Some(MakeEnd::Failed(why)) => {
            let why = RichText::new(words::sentence(why)).color(t.danger);
            ui.add(Label::new(why).wrap());
            ends_ui(ui, cx, "Try again");
        }
        Some(MakeEnd::Much(amount)) => {
            let why = format!(
                "These videos give {amount}. For fewer, use fewer or shorter videos; neighbouring frames add little."
            );
            ui.add(Label::new(why).wrap());
            ui.add_space(8.0);
            ui.horizontal(|ui| {
                let tip = "Extract all these frames and make the model from them";
                let all = accent_button(ui, None, "Use all of them").on_hover_text(tip);
                if all.clicked() {
                    cx.act(Action::Make(MakeAction::All));
                }
                back_ui(ui, cx);
            });
        }
        Some(MakeEnd::Cancelled) => {
            ui.label(widgets::muted(t, "Cancelled. Finished work is kept."));
            ends_ui(ui, cx, "Continue");
        }
        _ => {
            let cancel = button(ui, None, "Cancel");
            let tip =
                "Cancel; finished work is kept, and making the model again resumes from there";
            if cancel.on_hover_text(tip).clicked() {
                cx.act(Action::Make(MakeAction::Cancel));
            }
        }
    }
}

fn ends_ui(ui: &mut Ui, cx: &mut Cx<'_>, again: &str) {
    ui.add_space(8.0);
    ui.horizontal(|ui| {
        let tip = "Resume from the finished work";
        if accent_button(ui, None, again).on_hover_text(tip).clicked() {
            cx.act(Action::Make(MakeAction::Again));
        }
        back_ui(ui, cx);
    });
}

fn back_ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let back = button(ui, None, "Back to the start");
    if back
        .on_hover_text("Go back to the start screen; everything stays where it is")
        .clicked()
    {
        cx.act(Action::Make(MakeAction::Close));
    }
}

fn made_ui(ui: &mut Ui, cx: &mut Cx<'_>, made: &Made) {
    let t = tokens(ui);
    let card = &made.export.card;
    ui.label(widgets::small(
        t,
        format!("The model of “{}” is ready", card.project),
    ));
    ui.label(widgets::heading(accuracy_words(&card.accuracy)));
    if let Some((low, high)) = card.accuracy.interval_95 {
        ui.label(widgets::muted(
            t,
            format!(
                "95 % interval {:.1} to {:.1} %, over sources like those of the test",
                low * 100.0,
                high * 100.0
            ),
        ));
    }
    ui.add_space(12.0);
    classes_ui(ui, made);
    if let Some(worst) = card.confused.first() {
        ui.add_space(6.0);
        ui.label(widgets::muted(
            t,
            format!(
                "Most frequent mistake: “{}” taken for “{}” ({} of {})",
                worst.class, worst.called, worst.images, worst.of
            ),
        ));
    }
    ui.add_space(12.0);
    for sentence in made.advice.iter().take(ADVICE) {
        ui.horizontal_top(|ui| {
            ui.label(
                RichText::new(icons::HINT)
                    .font(egui::FontId::new(16.0, theme::icon_family()))
                    .color(t.muted),
            );
            ui.add(Label::new(widgets::muted(t, sentence)).wrap());
        });
    }
    ui.add_space(12.0);
    files_ui(ui, made);
    ui.add_space(16.0);
    ui.horizontal(|ui| {
        let open = accent_button(ui, Some(icons::FOLDER_OPEN), "Open project");
        let tip = "Inspect mistakes, correct labels, train again, export again";
        if open.on_hover_text(tip).clicked() {
            cx.act(Action::Make(MakeAction::OpenProject));
        }
        let folder = button(ui, Some(icons::REVEAL), "Open folder");
        if folder
            .on_hover_text("Show the model's files in the file manager")
            .clicked()
        {
            cx.act(Action::Make(MakeAction::Reveal));
        }
        back_ui(ui, cx);
    });
}

fn accuracy_words(accuracy: &CardAccuracy) -> String {
    let side = match accuracy.split.as_str() {
        "train" => "training",
        other => other,
    };
    match accuracy.part {
        Some(part) => format!(
            "{:.1} % of {} {side} images are classified correctly",
            part * 100.0,
            words::number(accuracy.images)
        ),
        None => "Its accuracy was not measured".to_owned(),
    }
}

/// The classes, those with the lowest accuracy first.
fn classes_ui(ui: &mut Ui, made: &Made) {
    let t = tokens(ui);
    let card = &made.export.card;
    let mut classes = card.weakest();
    classes.extend(
        card.classes
            .iter()
            .filter(|class| class.recall.part.is_none()),
    );
    egui::Grid::new("classes of the model")
        .num_columns(4)
        .spacing(vec2(24.0, 6.0))
        .show(ui, |ui| {
            for title in ["Class", "Images", "Recognised", ""] {
                ui.label(widgets::small(t, title));
            }
            ui.end_row();
            for class in classes {
                let images = class.train.images + class.validation.images + class.test.images;
                ui.label(words::shorten(&class.class, 32));
                ui.label(words::number(images));
                let found = class
                    .recall
                    .part
                    .map_or_else(|| "not tested".to_owned(), words::percent);
                ui.label(found);
                ui.label(widgets::small(
                    t,
                    format!("{} of {}", class.recall.correct, class.recall.images),
                ));
                ui.end_row();
            }
        });
}

/// The files that were written.
fn files_ui(ui: &mut Ui, made: &Made) {
    let t = tokens(ui);
    let place = made.export.place.to_string_lossy();
    ui.label(widgets::title("Files"));
    ui.label(widgets::small(t, words::shorten(&place, 90)));
    let models = made
        .export
        .files
        .iter()
        .filter(|file| file.top1_agreement.is_some() || file.format == Bundle::Zip.name());
    for file in models {
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        ui.horizontal(|ui| {
            ui.label(
                RichText::new(icons::OK)
                    .font(egui::FontId::new(16.0, theme::icon_family()))
                    .color(t.accent_text),
            );
            ui.label(name.into_owned());
            ui.label(widgets::small(
                t,
                format!("{}, verified", words::bytes(file.bytes)),
            ));
        });
    }
    ui.label(widgets::small(
        t,
        "MODEL_CARD.md, in the same folder, says what the model is for and what it cannot do.",
    ));
}
