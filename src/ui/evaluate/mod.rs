//! The evaluate workspace: how good a run is on frames it was not trained on, and its mistakes.

mod compare;
mod confidence;
mod curves;
mod data;
mod figures;
mod files;
mod heat;
mod matrix;
mod measure;
mod mistakes;
mod nearest;
mod plot;
mod relabel;
mod try_it;

use egui::{Align, Frame, Layout, Margin, Panel, RichText, Ui};

use super::Cx;
use super::icons;
use super::run_choice::run_choice;
use super::theme::{self, tokens};
use super::widgets::{
    self, accent_button, button, empty, progress_bar, scroll_ui, segments, side_width,
};
use crate::app::{Action, App, Ask, EvaluateAction, Session, Workspace};
use crate::evaluate::Evaluation;
use crate::project::Split;

/// Width of the metrics, points: normal and least.
const FIGURES: [f32; 2] = [340.0, 304.0];

/// Below this width the choice of the page has a row of its own, points.
const NARROW_PAGES: f32 = 520.0;
/// Width of the choice between test images and other files with its button, points.
const WHAT: f32 = 404.0;
/// Width of the button for the report, points.
const REPORT: f32 = 72.0;

/// State of the painting.
#[derive(Default)]
pub struct View {
    page: Page,
    matrix: matrix::View,
    curves: curves::View,
    confidence: confidence::View,
    mistakes: mistakes::View,
    zoom: widgets::Zoom,
    try_it: try_it::View,
}

/// A page of an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Page {
    /// The matrix and the mistakes.
    #[default]
    Mistakes,
    /// Metrics and curves by class.
    Classes,
    /// How reliable probabilities are.
    Confidence,
    /// What the accuracy owes to the data.
    Data,
    /// Two runs on the same frames.
    Compare,
}

/// The pages with their names and purposes, in the order of the tabs.
const PAGES: [(Page, &str, &str); 5] = [
    (
        Page::Mistakes,
        "Mistakes",
        "Which classes are confused, and the images",
    ),
    (
        Page::Classes,
        "Classes",
        "Precision, recall, F1 and curves of each class",
    ),
    (
        Page::Confidence,
        "Confidence",
        "How reliable the probabilities are, and how unknown images are recognised",
    ),
    (
        Page::Data,
        "Data",
        "How the figures depend on the data, and what more data would add",
    ),
    (
        Page::Compare,
        "Compare",
        "Compare this run with another, frame by frame",
    ),
];

/// Paints the workspace.
pub fn evaluate_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    let Some(latest) = session.train.latest_finished() else {
        nothing_yet_ui(ui, cx, session);
        return;
    };
    let state = &session.evaluate;
    if state.run.is_none() || (state.is_due() && session.train.runs_known) {
        // Opening the page starts the evaluation: the bottlenecks are cached, so it is fast.
        let id = state.run.clone().unwrap_or_else(|| latest.run.id.clone());
        cx.act(Action::Evaluate(EvaluateAction::Choose(id)));
    }
    if state.shows_files {
        header_ui(ui, cx, session);
        ui.add_space(2.0);
        files::files_ui(ui, cx, session, &mut view.try_it);
        return;
    }
    Panel::left("figures")
        .exact_size(side_width(ui, FIGURES[0], FIGURES[1]))
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().inner_margin(Margin {
            right: 14,
            ..Margin::ZERO
        }))
        .show(ui, |ui| {
            scroll_ui(ui, |ui| figures::figures_ui(ui, cx, session));
        });
    header_ui(ui, cx, session);
    ui.add_space(2.0);
    if let Some(error) = &state.error {
        let t = tokens(ui);
        ui.add_space(20.0);
        ui.label(RichText::new(error).color(t.danger));
        if button(ui, Some(icons::REFRESH), "Try again").clicked() {
            cx.act(Action::Evaluate(EvaluateAction::Again));
        }
        return;
    }
    let (Some(evaluation), Some(figures)) = (&state.evaluation, &state.figures) else {
        measuring_ui(ui, cx, session);
        return;
    };
    if evaluation.predictions.is_empty() {
        empty(
            ui,
            icons::EVALUATE,
            &session.noun().fill("No {images} on this side of the split"),
            "The project had too few sources to hold some out. Import more, or raise the test percentage, and train again.",
            |ui| {
                if accent_button(ui, None, "Go to Import").clicked() {
                    cx.act(Action::Go(Workspace::Import));
                }
            },
        );
        return;
    }
    pages_ui(ui, cx, session, view);
    scroll_ui(ui, |ui| match view.page {
        Page::Mistakes => {
            matrix::matrix_ui(ui, cx, session, evaluation, &mut view.matrix);
            ui.add_space(6.0);
            mistakes::mistakes_ui(ui, cx, session, evaluation, &mut view.mistakes);
        }
        Page::Classes => {
            curves::curves_ui(ui, session, evaluation, figures, &mut view.curves);
        }
        Page::Confidence => confidence::confidence_ui(ui, cx, session, &mut view.confidence),
        Page::Data => data::data_ui(ui, cx, session),
        Page::Compare => compare::compare_ui(ui, cx, session, evaluation),
    });
}

/// The choice of the page.
fn pages_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    let chosen = PAGES.iter().position(|(page, ..)| *page == view.page);
    let labels = PAGES.map(|(_, label, _)| label);
    let narrow = ui.available_width() < NARROW_PAGES;
    ui.horizontal(|ui| {
        let report = if narrow { 0.0 } else { 96.0 };
        let most = 112.0 * PAGES.len() as f32;
        let size = egui::vec2(
            (ui.available_width() - report).min(most),
            theme::CONTROL_HEIGHT,
        );
        ui.allocate_ui(size, |ui| {
            if let Some(at) = segments(ui, chosen.unwrap_or(0), &labels)
                && let Some((page, ..)) = PAGES.get(at)
            {
                view.page = *page;
            }
        });
        if !narrow {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                report_ui(ui, cx, session);
            });
        }
    });
    ui.add_space(4.0);
}

fn report_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let writing = session.evaluate.reporting.is_some();
    let label = if writing { "Writing…" } else { "Report" };
    let report = ui
        .add_enabled_ui(!writing, |ui| button(ui, None, label))
        .inner;
    if report
        .on_hover_text("One page with everything, for sharing or printing; saved in the run's folder and opened in the browser")
        .clicked()
    {
        cx.act(Action::Evaluate(EvaluateAction::Report));
    }
}

/// Paints the frame that is shown large, over the window.
pub fn large_ui(
    ctx: &egui::Context,
    cx: &mut Cx<'_>,
    session: &Session,
    evaluation: &Evaluation,
    view: &mut View,
) {
    mistakes::large_ui(ctx, cx, session, evaluation, &mut view.zoom);
}

/// The evaluation whose frame is shown large, over the window.
pub fn viewed(app: &App) -> Option<(&Session, &Evaluation)> {
    let session = app.session.as_ref()?;
    let state = &session.evaluate;
    let shown = app.workspace == Workspace::Evaluate && !state.shows_files;
    if !shown || state.error.is_some() || state.preview.is_none() {
        return None;
    }
    Some((session, state.evaluation.as_deref()?))
}

fn nothing_yet_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let training = session.train.live.is_some();
    let (title, words) = if training {
        (
            "The training is still running",
            "When it has finished, this page shows how accurate the classifier is on {images} it has never seen.",
        )
    } else {
        (
            "Nothing to evaluate yet",
            "Train first; then this page shows how accurate the classifier is on {images} it has never seen.",
        )
    };
    empty(
        ui,
        icons::EVALUATE,
        title,
        &session.noun().fill(words),
        |ui| {
            let label = if training { "Watch it" } else { "Go to Train" };
            if accent_button(ui, None, label).clicked() {
                cx.act(Action::Go(Workspace::Train));
            }
        },
    );
}

fn measuring_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    let task = session.evaluate.task;
    let running = cx
        .app
        .tasks
        .running()
        .iter()
        .find(|running| Some(running.id) == task);
    let (words, fraction) = match running {
        Some(running) => {
            let progress = running.work.progress();
            let words = if progress.stage.is_empty() {
                "Evaluating".to_owned()
            } else {
                progress.stage.clone()
            };
            (words, progress.fraction())
        }
        None => ("Waiting for another job".to_owned(), None),
    };
    ui.vertical_centered(|ui| {
        ui.add_space(ui.available_height() * 0.35);
        ui.label(widgets::muted(t, words));
        ui.add_space(4.0);
        progress_bar(ui, fraction, 240.0);
    });
}

fn header_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    // In a narrow window the buttons go below, and the report moves up from the pages, which need their whole row.
    let narrow = ui.available_width() < 690.0;
    let report = ui.available_width() < NARROW_PAGES && !session.evaluate.shows_files;
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CONTROL_HEIGHT);
        ui.spacing_mut().item_spacing.x = 10.0;
        ui.label(widgets::heading("Evaluate"));
        ui.scope(|ui| {
            let beside = match (narrow, report) {
                (false, _) => WHAT + 10.0,
                (true, true) => REPORT + 10.0,
                (true, false) => 0.0,
            };
            ui.set_max_width((ui.available_width() - beside).min(240.0));
            run_choice_ui(ui, cx, session);
        });
        if report {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                report_ui(ui, cx, session);
            });
        }
        if !narrow {
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                what_ui(ui, cx, session);
            });
        }
    });
    if narrow {
        let size = egui::vec2(ui.available_width(), theme::CONTROL_HEIGHT);
        ui.allocate_ui_with_layout(size, Layout::right_to_left(Align::Center), |ui| {
            what_ui(ui, cx, session);
        });
    }
}

/// The choice between the test frames and other files, and the button for other files.
fn what_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    ui.spacing_mut().item_spacing.x = 10.0;
    let predict = accent_button(ui, Some(icons::PLUS), "Predict on files…");
    if predict
        .on_hover_text("See what the model predicts for videos and photos outside the project; you can also drop them on this page")
        .clicked()
    {
        cx.act(Action::Evaluate(EvaluateAction::ShowFiles(true)));
        cx.act(Action::Ask(Ask::Predict));
    }
    let width = ui.available_width().min(232.0);
    ui.allocate_ui(egui::vec2(width, theme::CONTROL_HEIGHT), |ui| {
        let chosen = usize::from(session.evaluate.shows_files);
        if let Some(index) = segments(
            ui,
            chosen,
            &[&session.noun().fill("Test {images}"), "Try it"],
        ) {
            let files = EvaluateAction::ShowFiles(index == 1);
            cx.act(Action::Evaluate(files));
        }
    });
}

fn run_choice_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let chosen = session.evaluate.run.as_ref();
    if let Some(id) = run_choice(ui, session, "evaluated run", chosen, None) {
        cx.act(Action::Evaluate(EvaluateAction::Choose(id)));
    }
}

/// The sides of a split with their names, in the order of the choice.
const SIDES: [(Split, &str); 3] = [
    (Split::Test, "Test"),
    (Split::Validation, "Validation"),
    (Split::Train, "Train"),
];

/// Paints the choice of the side of the split.
fn side_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let chosen = SIDES
        .iter()
        .position(|(split, _)| *split == session.evaluate.split)
        .unwrap_or(0);
    let labels = SIDES.map(|(_, label)| label);
    if let Some((split, _)) = segments(ui, chosen, &labels).and_then(|index| SIDES.get(index)) {
        cx.act(Action::Evaluate(EvaluateAction::Split(*split)));
    }
}
