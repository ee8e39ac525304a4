//! Predictions on videos and photos outside the project.

use std::sync::Arc;

use egui::{Popup, Rect, ScrollArea, Sense, Ui, UiBuilder, pos2, vec2};

use super::mistakes::bar_ui;
use super::try_it;
use crate::app::{Action, Ask, EvaluateAction, FilePrediction, Session, words};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::color_of;
use crate::ui::widgets::{
    self, accent_button, class_mark, empty, image_within, menu_chip, menu_item, panel,
    quiet_button, section,
};

/// Height of a row, points.
const ROW: f32 = 92.0;

/// Paints the predictions, or how to get some.
pub fn files_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut try_it::View) {
    let list = session.evaluate.files.list();
    let busy = session.evaluate.predicting.is_some();
    if list.is_empty() && !busy {
        empty(
            ui,
            icons::VIDEO,
            "What does it make of something new?",
            "Drop videos, photos or folders that the model has never seen. A video plays with the prediction for each moment; folders named after classes show how often it is right. Nothing is added to the project.",
            |ui| {
                if accent_button(ui, Some(icons::PLUS), "Choose files…").clicked() {
                    cx.act(Action::Ask(Ask::Predict));
                }
            },
        );
        return;
    }
    // Side by side if there is room.
    let room = ui.available_size();
    if let Some(file) = list.get(session.evaluate.file) {
        let player = session.evaluate.player.as_ref();
        let is_open = player.is_some_and(|player| player.path == file.path);
        if file.time_secs.is_some() && !is_open {
            cx.act(Action::Evaluate(EvaluateAction::ShowFile(
                session.evaluate.file,
            )));
        }
        if room.x >= 700.0 {
            let width = (room.x * 0.54).min(760.0);
            egui::Panel::right("file")
                .exact_size(width)
                .resizable(false)
                .show_separator_line(false)
                .frame(egui::Frame::new().inner_margin(egui::Margin {
                    left: 14,
                    ..egui::Margin::ZERO
                }))
                .show(ui, |ui| {
                    widgets::scroll_ui(ui, |ui| try_it::file_ui(ui, cx, session, file, view));
                });
        } else {
            widgets::scroll_ui(ui, |ui| {
                try_it::file_ui(ui, cx, session, file, view);
                ui.allocate_ui(vec2(ui.available_width(), 420.0), |ui| {
                    list_ui(ui, cx, session, &list, view);
                });
            });
            return;
        }
    }
    egui::Frame::new()
        .inner_margin(egui::Margin {
            right: if list.is_empty() { 0 } else { 12 },
            ..egui::Margin::ZERO
        })
        .show(ui, |ui| list_ui(ui, cx, session, &list, view));
}

/// The predictions, with the accuracy if folders have the names of classes.
fn list_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    list: &[Arc<FilePrediction>],
    view: &mut try_it::View,
) {
    let height = ui.available_height();
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.set_min_height(height - 30.0);
        section(ui, "Predictions", |ui| {
            let t = tokens(ui);
            ui.label(widgets::faint(t, words::count(list.len() as u64, "image")));
        });
        accuracy_ui(ui, cx, session, view);
        adopt_ui(ui, cx, session);
        ScrollArea::vertical()
            .auto_shrink(false)
            .show_rows(ui, ROW, list.len(), |ui, rows| {
                for index in rows {
                    if let Some(prediction) = list.get(index) {
                        row_ui(ui, cx, session, index, prediction);
                    }
                }
            });
    });
}

/// The number of files whose prediction agrees with their folder, and a button that saves all probabilities.
fn accuracy_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut try_it::View) {
    let t = tokens(ui);
    let files = &session.evaluate.files;
    let busy = session.evaluate.predicting.is_some();
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CHIP_HEIGHT);
        ui.spacing_mut().item_spacing.x = 8.0;
        let save = ui.add_enabled_ui(!busy, |ui| quiet_button(ui, None, "Save as CSV…"));
        if save
            .inner
            .on_hover_text("All images with file, time and the probability of each class")
            .clicked()
        {
            cx.act(Action::Ask(Ask::SaveTimelines));
        }
        if let Some(accuracy) = view.accuracy(files) {
            let sides = [(accuracy.films, "film"), (accuracy.photos, "photo")];
            let some = sides.into_iter().filter(|(right, _)| right.files > 0);
            let words: Vec<String> = some
                .map(|(right, what)| {
                    let part = right.correct as f64 / right.files.max(1) as f64;
                    let count = words::count(right.files, what);
                    format!(
                        "{} of {count} right ({})",
                        right.correct,
                        words::percent(part)
                    )
                })
                .collect();
            let words = format!("By folder: {}", words.join(", "));
            ui.add(egui::Label::new(widgets::muted(t, words)).truncate());
        }
    });
}

/// Adds the selected files to the project.
fn adopt_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    let selected = session.evaluate.files_selected.len();
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CHIP_HEIGHT);
        ui.spacing_mut().item_spacing.x = 8.0;
        let all = quiet_button(ui, None, "Select all");
        if all.on_hover_text("Select every prediction").clicked() {
            cx.act(Action::Evaluate(EvaluateAction::PickFiles(true)));
        }
        if selected == 0 {
            let words = "Select images to add to the project: click, or Ctrl-click for more; 1–9 adds them to a class.";
            ui.add(egui::Label::new(widgets::faint(t, words)).truncate());
            return;
        }
        ui.label(widgets::muted(
            t,
            format!("{} selected", words::number(selected as u64)),
        ));
        let tip = "Photos are copied into their predicted class. A video becomes a source: its frames are extracted, and the selected ones get their predicted class";
        let add = quiet_button(ui, Some(icons::PLUS), "Add as predicted");
        if add.on_hover_text(tip).clicked() {
            cx.act(Action::Evaluate(EvaluateAction::Adopt(None)));
        }
        let chosen = menu_chip(ui, "Add as…", "Add to the project with a class")
            .on_hover_text("Add them with a class of your choice, to correct a wrong prediction");
        Popup::menu(&chosen).width(210.0).show(|ui| {
            ui.spacing_mut().item_spacing.y = 1.0;
            ScrollArea::vertical().max_height(320.0).show(ui, |ui| {
                for class in &session.classes {
                    let name = words::shorten(class.name.as_str(), 24);
                    let item = menu_item(ui, None, &name, ());
                    let center = pos2(item.rect.left() + 16.0, item.rect.center().y);
                    class_mark(ui.painter(), center, Some(class.color), t.muted);
                    if item.clicked() {
                        let class = Some(class.name.clone());
                        cx.act(Action::Evaluate(EvaluateAction::Adopt(class)));
                        ui.close();
                    }
                }
            });
        });
        if quiet_button(ui, Some(icons::CROSS), "Clear").clicked() {
            cx.act(Action::Evaluate(EvaluateAction::PickFiles(false)));
        }
    });
}

fn row_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    place: usize,
    prediction: &FilePrediction,
) {
    let t = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let selected = session.evaluate.files_selected.contains(&place);
    if selected || response.hovered() || response.has_focus() {
        let fill = if selected { t.accent_soft } else { t.raised };
        ui.painter()
            .rect_filled(rect, egui::CornerRadius::same(theme::RADIUS), fill);
    }
    if response.clicked() {
        let modifiers = ui.input(|input| input.modifiers);
        let also = modifiers.command || modifiers.shift;
        cx.act(Action::Evaluate(EvaluateAction::PickFile(place, also)));
    }
    let top = prediction.prediction.top.first();
    let added = session.evaluate.files_added.contains(&place);
    let mut accessible_name = top.map_or_else(String::new, |top| {
        format!(
            "{}: {} {}",
            prediction.name,
            top.class,
            words::percent(top.probability)
        )
    });
    if prediction.prediction.unknown == Some(true) {
        accessible_name.push_str(", unknown");
    }
    if added {
        accessible_name.push_str(", added");
    }
    response.widget_info(|| {
        egui::WidgetInfo::selected(egui::Role::ListItem, true, selected, &accessible_name)
    });
    let image = Rect::from_min_size(rect.min + vec2(0.0, 4.0), vec2(138.0, ROW - 8.0));
    image_within(ui, image, &prediction.texture, theme::RADIUS);
    let mut inner = ui.new_child(UiBuilder::new().max_rect(Rect::from_min_max(
        pos2(image.right() + 14.0, rect.top() + 4.0),
        pos2(rect.right() - 8.0, rect.bottom()),
    )));
    inner.spacing_mut().item_spacing.y = 2.0;
    inner.horizontal(|ui| {
        ui.label(widgets::name(words::shorten(&prediction.name, 48)))
            .on_hover_text(&prediction.name);
        if let Some(secs) = prediction.time_secs {
            ui.label(widgets::faint(t, words::timestamp(secs)));
        }
        if prediction.prediction.unknown == Some(true) {
            ui.colored_label(t.danger, "unknown")
                .on_hover_text("The highest probability is below the threshold of this run");
        }
        if added {
            ui.label(widgets::small(t, "added to the project"));
        }
    });
    for class in prediction.prediction.top.iter().take(3) {
        let color = color_of(session, &class.class);
        bar_ui(&mut inner, color, &class.class, class.probability, "");
    }
}
