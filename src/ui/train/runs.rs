//! The runs of the project: the one that is drawn, the compared ones, and the commands for each.

use egui::{
    Align, CornerRadius, Layout, Popup, Rect, RichText, ScrollArea, Sense, Stroke, Ui, UiBuilder,
    pos2, vec2,
};

use super::filter::filter_ui;
use super::plots;
use super::result::result_ui;
use super::table::ask_note;
use crate::app::{
    Action, EvaluateAction, ExportAction, RunEntry, Session, TrainAction, Workspace, words,
};
use crate::backbone::Depth;
use crate::train::RunState;
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, icon_button, menu_item, panel, quiet_button, section, separator};

const ROW: f32 = 46.0;

/// Paints the list of runs, and the best accuracy below it.
pub fn runs_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, as_table: &mut bool) {
    let t = tokens(ui);
    let room = ui.available_height();
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        section(ui, "Runs", |ui| {
            if !session.train.runs.is_empty() {
                let (label, tip) = if *as_table {
                    ("Curves", "Show the curves again")
                } else {
                    (
                        "Table",
                        "Show all runs in a table, with the settings that differ",
                    )
                };
                let glyph = if *as_table { icons::TRAIN } else { icons::GRID };
                if quiet_button(ui, Some(glyph), label)
                    .on_hover_text(tip)
                    .clicked()
                {
                    *as_table = !*as_table;
                }
                ui.label(widgets::faint(
                    t,
                    words::number(session.train.runs.len() as u64),
                ));
            }
        });
        for problem in session.train.problems.iter().chain(&session.sweep.problems) {
            ui.add(egui::Label::new(RichText::new(problem).color(t.danger)).wrap());
        }
        if session.train.runs.is_empty() && session.train.live.is_none() {
            ui.add(
                egui::Label::new(widgets::faint(
                    t,
                    "Each training makes a run. Compare runs here; none is ever overwritten.",
                ))
                .wrap(),
            );
            return;
        }
        filter_ui(ui, cx, session);
        let most = (room - 300.0).max(120.0);
        ScrollArea::vertical()
            .id_salt("runs")
            .max_height(most)
            .auto_shrink([false, true])
            .show(ui, |ui| {
                if session.train.runs.len() as f32 * ROW > most {
                    // The bar is beside the rows.
                    ui.set_max_width(ui.available_width() - widgets::SCROLL_BAR);
                }
                ui.spacing_mut().item_spacing.y = 0.0;
                let new_one = session.train.live.as_ref().is_some_and(|live| {
                    live.resumed.is_none()
                        && !session
                            .train
                            .runs
                            .iter()
                            .any(|entry| session.train.is_live(&entry.run.id))
                });
                if new_one {
                    live_row_ui(ui, session);
                }
                let runs = session.train.runs.iter().enumerate();
                for (index, entry) in
                    runs.filter(|(_, entry)| entry.is_found(&session.train.filter))
                {
                    ui.push_id(&entry.run.id.0, |ui| {
                        row_ui(ui, cx, session, entry, index);
                    });
                }
            });
    });
    ui.add_space(6.0);
    // In a low window its buttons must be scrolled to.
    ScrollArea::vertical()
        .id_salt("result")
        .auto_shrink([false, true])
        .show(ui, |ui| result_ui(ui, cx, session));
}

/// The run that is being trained and is not yet in the list.
fn live_row_ui(ui: &mut Ui, session: &Session) {
    let t = tokens(ui);
    let Some(live) = &session.train.live else {
        return;
    };
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::hover());
    let step = live.points.last().map_or(0, |point| u64::from(point.step));
    ui.painter()
        .circle_filled(pos2(rect.left() + 6.0, rect.top() + 15.0), 4.5, t.accent);
    let mut title = words::architecture(&live.architecture);
    if let Some(depth) = live.depth.filter(|depth| *depth != Depth::Head) {
        title.push(' ');
        title.push_str(depth.word());
    }
    texts_ui(ui, rect, &title, "training…", &words::number(step), 0.0);
}

fn row_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, entry: &RunEntry, index: usize) {
    let t = tokens(ui);
    let run = &entry.run;
    let state = &session.train;
    let live = state.is_live(&run.id);
    let focused = live || (state.live.is_none() && state.focus.as_ref() == Some(&run.id));
    let title = if entry.note.name.is_empty() {
        words::run_title_without_depth(run)
    } else {
        entry.title()
    };
    let depth = run.settings.fine_tune.depth;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    ui.painter()
        .hline(rect.x_range(), rect.top(), Stroke::new(1.0, t.line));
    if response.hovered() || response.has_focus() {
        let fill = rect.shrink2(vec2(0.0, 3.0)).expand2(vec2(6.0, 0.0));
        ui.painter()
            .rect_filled(fill, CornerRadius::same(theme::RADIUS), t.raised);
    }
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::Role::ListBoxOption, true, focused, &title)
    });
    let mut response = response.on_hover_text(format!(
        "Draw the curves of {}\n{}",
        run.id.0,
        details(entry)
    ));

    let dot = pos2(rect.left() + 6.0, rect.top() + 15.0);
    compare_ui(ui, cx, session, index, dot, focused);

    let (left, right) = if live {
        let live = state.live.as_ref();
        let point = live.and_then(|live| live.points.last());
        let step = point.map_or(0, |point| u64::from(point.step));
        ("training…".to_owned(), words::number(step))
    } else {
        (figures(entry), depth.to_string())
    };
    texts_ui(ui, rect, &title, &left, &right, 28.0);
    if !live {
        let place = Rect::from_min_size(pos2(rect.right() - 26.0, rect.top()), vec2(28.0, 28.0));
        let mut corner = ui.new_child(UiBuilder::new().max_rect(place));
        let more = icon_button(
            &mut corner,
            icons::MORE,
            &format!("More about {title}"),
            "Evaluate, export, train further or resume, delete",
        );
        Popup::menu(&more)
            .width(220.0)
            .show(|ui| more_ui(ui, cx, entry, state.live.is_some()));
    }
    if !live && response.clicked() {
        cx.act(Action::Train(TrainAction::Focus(run.id.clone())));
    }
    // A double-click opens the evaluation of a finished run.
    response = response.on_hover_cursor(egui::CursorIcon::PointingHand);
    if response.double_clicked() && run.state == RunState::Finished {
        cx.act(Action::Evaluate(EvaluateAction::Open(run.id.clone())));
    }
}

/// The dot of the run at `index` of the list: toggles comparing it.
pub(super) fn compare_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    index: usize,
    center: egui::Pos2,
    focused: bool,
) {
    let t = tokens(ui);
    let state = &session.train;
    let Some(entry) = state.runs.get(index) else {
        return;
    };
    let id = &entry.run.id;
    let compared = state.overlays.contains(id);
    let dot = Rect::from_center_size(center, vec2(22.0, 22.0));
    let toggle = ui.interact(
        dot,
        ui.scope_id().with(("compare", id.0.as_str())),
        Sense::click(),
    );
    toggle.widget_info(|| {
        let name = format!("Compare {}", entry.title());
        egui::WidgetInfo::selected(egui::Role::CheckBox, !focused, compared, name)
    });
    let (color, _) = plots::overlay_color(t, state.color_of(id));
    if focused {
        ui.painter().circle_filled(center, 4.5, t.accent);
    } else if compared {
        ui.painter().circle_filled(center, 4.5, color);
    } else {
        let width = if toggle.hovered() { 2.0 } else { 1.2 };
        ui.painter()
            .circle_stroke(center, 4.0, Stroke::new(width, color));
    }
    let tip = if focused {
        "All curves of this run are shown"
    } else if compared {
        "Stop comparing"
    } else {
        "Show its validation curve for comparison"
    };
    if toggle.on_hover_text(tip).clicked() && !focused {
        cx.act(Action::Train(TrainAction::Overlay(id.clone(), !compared)));
    }
}

/// `test 93.4 %`, or `test 94.1 %, head 92.9 %` if it was fine-tuned; for an unfinished run, that it can be resumed.
fn figures(entry: &RunEntry) -> String {
    let run = &entry.run;
    let (Some(result), RunState::Finished) = (run.result(), run.state) else {
        return "unfinished".to_owned();
    };
    // 100 % is written without decimals: there is little room.
    let percent = |part: f32| {
        if part >= 1.0 {
            "100 %".to_owned()
        } else {
            words::percent(part)
        }
    };
    let head = run.head_only();
    match (result.test_accuracy, result.validation_accuracy) {
        (Some(part), _) => {
            let head = head.and_then(|head| head.test_accuracy);
            let head = head.map_or_else(String::new, |head| format!(", head {}", percent(head)));
            format!("test {}{head}", percent(part))
        }
        (None, Some(part)) => format!("validation {}", percent(part)),
        (None, None) => "–".to_owned(),
    }
}

/// Details for which the list has no room: steps, and the results on the validation frames.
fn details(entry: &RunEntry) -> String {
    let run = &entry.run;
    let steps = |steps: u32| words::count(u64::from(steps), "step");
    let done = entry.steps();
    let mut text = match run.head_only() {
        Some(head) => format!(
            "{} of the head, {} of {}",
            steps(head.steps),
            steps(done),
            words::depth_part(run.settings.fine_tune.depth)
        ),
        None => format!("{} of the head", steps(done)),
    };
    if let Some(part) = run.result().and_then(|r| r.validation_accuracy) {
        text.push_str(", validation ");
        text.push_str(&words::percent(part));
    }
    text
}

fn texts_ui(ui: &mut Ui, rect: Rect, title: &str, left: &str, right: &str, corner: f32) {
    let t = tokens(ui);
    let mut top = ui.new_child(
        UiBuilder::new()
            .max_rect(Rect::from_min_max(
                pos2(rect.left() + 20.0, rect.top() + 6.0),
                pos2(rect.right() - corner, rect.top() + 24.0),
            ))
            .layout(Layout::left_to_right(Align::Center)),
    );
    top.add(egui::Label::new(widgets::name(title)).truncate());
    let mut bottom = ui.new_child(
        UiBuilder::new()
            .max_rect(Rect::from_min_max(
                pos2(rect.left() + 20.0, rect.top() + 26.0),
                pos2(rect.right(), rect.top() + 43.0),
            ))
            .layout(Layout::right_to_left(Align::Center)),
    );
    bottom.spacing_mut().item_spacing.x = 4.0;
    bottom.label(widgets::small(t, right));
    bottom.with_layout(Layout::left_to_right(Align::Center), |ui| {
        ui.add(egui::Label::new(widgets::small(t, left)).truncate());
    });
}

/// The commands for a run.
pub(super) fn more_ui(ui: &mut Ui, cx: &mut Cx<'_>, entry: &RunEntry, training: bool) {
    ui.spacing_mut().item_spacing.y = 1.0;
    let id = entry.run.id.clone();
    let finished = entry.run.state == RunState::Finished;
    if finished {
        if menu_item(ui, Some(icons::EVALUATE), "Evaluate", ()).clicked() {
            cx.act(Action::Evaluate(EvaluateAction::Open(id.clone())));
            ui.close();
        }
        if menu_item(ui, Some(icons::EXPORT), "Export…", ()).clicked() {
            cx.act(Action::Export(ExportAction::Run(id.clone())));
            cx.act(Action::Go(Workspace::Export));
            ui.close();
        }
        let embedding = menu_item(
            ui,
            Some(icons::GRID),
            "Save embedding for the projector",
            (),
        );
        let tip = "The run’s bottlenecks, with thumbnails, for TensorBoard: one cluster per class is good; two clusters of one class are two kinds of images";
        if embedding.on_hover_text(tip).clicked() {
            cx.act(Action::Train(TrainAction::SaveEmbedding(id.clone())));
            ui.close();
        }
        let further = ui.add_enabled_ui(!training, |ui| {
            menu_item(ui, Some(icons::PLAY), "Train further…", ())
        });
        if further.inner.clicked() {
            cx.act(Action::Train(TrainAction::AskExtend(id.clone())));
            ui.close();
        }
    } else if menu_item(ui, Some(icons::PLAY), "Resume training", ()).clicked() {
        cx.act(Action::Train(TrainAction::Resume(id.clone())));
        ui.close();
    }
    if menu_item(ui, Some(icons::RENAME), "Name and note…", ()).clicked() {
        ask_note(cx, entry);
        ui.close();
    }
    if menu_item(ui, Some(icons::SETTINGS), "Use its settings", ()).clicked() {
        cx.act(Action::Train(TrainAction::UseSettings(id.clone())));
        ui.close();
    }
    if menu_item(ui, Some(icons::REVEAL), "Show its folder", ()).clicked() {
        cx.act(Action::Export(ExportAction::Reveal(entry.run.dir.clone())));
        ui.close();
    }
    separator(ui);
    if menu_item(ui, Some(icons::TRASH), "Move to trash", ()).clicked() {
        cx.act(Action::Train(TrainAction::Remove(id)));
        ui.close();
    }
}
