//! The class list: counts, colours, keys; creating, renaming, deleting, ordering; frames can be dropped on it.

use egui::{
    Align2, CornerRadius, FontFamily, FontId, Popup, Rect, Response, ScrollArea, Sense, Stroke,
    StrokeKind, Ui, UiBuilder, pos2, vec2,
};

use super::grid::DraggedFrames;
use crate::app::{
    Action, Command, Dialog, LabelAction, NewClassThen, Session, Show, class_key, words,
};
use crate::project::{Class, Label};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    self, chip, class_mark, command_button, hint_with, key_cap, menu_item, quiet_button, section,
    separator,
};

const ROW: f32 = 38.0;

/// Height of a row with the space below it, points.
const LINE: f32 = ROW + 2.0;
/// If this many rows are visible, there is room for a hint as well.
const ROWS_BESIDE_HINT: f32 = 6.0;

/// The heights of what is below the list, from the last frame.
pub struct View {
    /// Unsorted, and the filter.
    below: f32,
    /// The hint on what to do next.
    hint: f32,
}

impl Default for View {
    fn default() -> Self {
        Self {
            below: 140.0,
            hint: 120.0,
        }
    }
}

/// Paints the list, which has all the space above what is below it, and scrolls if that is too little.
pub fn classes_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    let height = ui.available_height();
    widgets::panel(ui).show(ui, |ui| {
        ui.set_min_height(height - 30.0);
        ui.set_max_height(height - 30.0);
        ui.set_width(ui.available_width());
        ui.spacing_mut().item_spacing.y = 4.0;
        let app = cx.app;
        let new = section(ui, "Classes", |ui| {
            command_button(ui, app, Command::NewClass, |ui| {
                quiet_button(ui, Some(icons::PLUS), "New").accessible_name("New class")
            })
        });
        if new {
            let then = if session.label.selection.is_empty() {
                NewClassThen::Nothing
            } else {
                NewClassThen::AssignSelected
            };
            cx.act(Action::Open(Dialog::NewClass {
                name: String::new(),
                then,
            }));
        }
        ui.add_space(2.0);
        let count = session.classes.len();
        let room = ui.available_height() - view.below;
        let all = LINE * count as f32;
        let hint = room - view.hint >= all.min(LINE * ROWS_BESIDE_HINT);
        let room = if hint { room - view.hint } else { room };
        ui.scope(|ui| {
            ui.spacing_mut().item_spacing.y = LINE - ROW;
            ScrollArea::vertical()
                .id_salt("classes")
                .max_height(room.max(2.0 * LINE))
                .auto_shrink([false, true])
                .show_rows(ui, ROW, count, |ui, rows| {
                    let classes = session.classes.iter().enumerate();
                    for class in classes.take(rows.end).skip(rows.start) {
                        row_ui(ui, cx, session, Some(class));
                    }
                });
        });
        let begin = ui.cursor().top();
        row_ui(ui, cx, session, None);
        trash_row_ui(ui, cx, session);
        separator(ui);
        show_ui(ui, cx, session);
        let below = ui.cursor().top() - begin;
        let mut measured = View { below, ..*view };
        if hint {
            separator(ui);
            next_ui(ui, cx, session);
            measured.hint = ui.cursor().top() - begin - below;
        }
        if (measured.below - view.below).abs() + (measured.hint - view.hint).abs() > 0.5 {
            *view = measured;
            ui.ctx().request_repaint();
        }
    });
}

fn row_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, class: Option<(usize, &Class)>) {
    let t = tokens(ui);
    let label = class.map_or(Label::Unsorted, |(_, class)| {
        Label::Class(class.name.clone())
    });
    let name = class.map_or("unsorted", |(_, class)| class.name.as_str());
    let count = session.snapshot.counts.label(&label);
    let chosen = session.label.show == Show::Label(label.clone());
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let files = cx.takes_files(rect, &label);
    let receiving = files || response.dnd_hover_payload::<DraggedFrames>().is_some();
    paint_row(ui, rect, &response, chosen, receiving);
    let painter = ui.painter();
    class_mark(
        painter,
        pos2(rect.left() + 14.0, rect.center().y),
        class.map(|(_, class)| class.color),
        t.muted,
    );
    // The key and the count at the right, the name in the remaining width.
    let key = match class {
        None => Some("0".to_owned()),
        Some((index, _)) => class_key(index).map(String::from),
    };
    if let Some(key) = &key {
        let place =
            Rect::from_center_size(pos2(rect.right() - 18.0, rect.center().y), vec2(20.0, 20.0));
        key_cap(&mut ui.new_child(UiBuilder::new().max_rect(place)), key);
    }
    let painter = ui.painter();
    let number = painter.text(
        pos2(rect.right() - 36.0, rect.center().y),
        Align2::RIGHT_CENTER,
        words::number(count as u64),
        FontId::new(theme::TYPE_BODY, FontFamily::Proportional),
        t.muted,
    );
    let color = if class.is_some() { t.text } else { t.muted };
    let mut job = egui::text::LayoutJob::simple_singleline(
        name.to_owned(),
        FontId::new(theme::TYPE_BODY, FontFamily::Proportional),
        color,
    );
    job.wrap = egui::text::TextWrapping::truncate_at_width(number.left() - rect.left() - 38.0);
    let galley = painter.layout_job(job);
    let at = pos2(rect.left() + 28.0, rect.center().y - galley.size().y / 2.0);
    painter.galley(at, galley, color);

    let accessible = format!("{name}, {}", session.noun().count(count));
    response
        .widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, chosen, &accessible));
    if response.dnd_release_payload::<DraggedFrames>().is_some() {
        cx.act(Action::Label(LabelAction::Assign(label.clone())));
    }
    if response.clicked() {
        let show = if chosen {
            Show::All
        } else {
            Show::Label(label.clone())
        };
        cx.act(Action::Label(LabelAction::Show(show)));
    }
    Popup::context_menu(&response)
        .width(200.0)
        .show(|ui| menu_ui(ui, cx, session, class));
    let noun = session.noun();
    let many = noun.many();
    let tip = match (&key, class) {
        (Some(key), Some(_)) => format!(
            "Click to show only “{name}”. Press {key} to label the selected {many}. \
             Right-click to rename, delete, move"
        ),
        (_, None) => noun
            .fill("Click to show only unsorted {images}. Press 0 to remove the class")
            .into_owned(),
        _ => format!(
            "Click to show only “{name}”; drag {many} here, or press L and type part of its name"
        ),
    };
    response.on_hover_text(tip);
}

/// The trash below the classes: a click shows its content; frames can be dropped on it.
fn trash_row_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    let count = session.trash.counts.total();
    let chosen = session.label.show == Show::Trash;
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let receiving = !chosen && response.dnd_hover_payload::<DraggedFrames>().is_some();
    paint_row(ui, rect, &response, chosen, receiving);
    let painter = ui.painter();
    painter.text(
        pos2(rect.left() + 14.0, rect.center().y),
        Align2::CENTER_CENTER,
        icons::TRASH,
        FontId::new(15.0, theme::icon_family()),
        t.muted,
    );
    let font = FontId::new(theme::TYPE_BODY, FontFamily::Proportional);
    for (x, align, words) in [
        (rect.left() + 28.0, Align2::LEFT_CENTER, "Trash".to_owned()),
        (
            rect.right() - 36.0,
            Align2::RIGHT_CENTER,
            words::number(count as u64),
        ),
    ] {
        let at = pos2(x, rect.center().y);
        painter.text(at, align, words, font.clone(), t.muted);
    }
    let accessible = format!("Trash, {}", session.noun().count(count));
    response
        .widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, chosen, &accessible));
    if !chosen && response.dnd_release_payload::<DraggedFrames>().is_some() {
        cx.command(Command::TrashSelected);
    }
    if response.clicked() {
        let show = if chosen { Show::All } else { Show::Trash };
        cx.act(Action::Label(LabelAction::Show(show)));
    }
    let tip = "Show removed {images}; they can be restored";
    response.on_hover_text(session.noun().fill(tip));
}

fn paint_row(ui: &Ui, rect: Rect, response: &Response, chosen: bool, receiving: bool) {
    let t = tokens(ui);
    let radius = CornerRadius::same(theme::RADIUS);
    let painter = ui.painter();
    if receiving {
        painter.rect_filled(rect, radius, t.accent_soft);
        let stroke = Stroke::new(1.5, t.accent);
        painter.rect_stroke(rect, radius, stroke, StrokeKind::Inside);
    } else if chosen {
        painter.rect_filled(rect, radius, t.raised);
    } else if response.hovered() {
        painter.rect_filled(rect, radius, t.raised.gamma_multiply(0.6));
    }
    if response.has_focus() {
        painter.rect_stroke(rect, radius, Stroke::new(1.0, t.accent), StrokeKind::Inside);
    }
}

fn menu_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, class: Option<(usize, &Class)>) {
    ui.spacing_mut().item_spacing.y = 1.0;
    let label = class.map_or(Label::Unsorted, |(_, class)| {
        Label::Class(class.name.clone())
    });
    let selected = session.label.selection.len();
    let noun = session.noun();
    if selected > 0 {
        let text = match class {
            Some(class) => format!(
                "Label {} “{}”",
                noun.count(selected),
                words::shorten(class.1.name.as_str(), 16)
            ),
            None => format!("Make {} unsorted", noun.count(selected)),
        };
        if menu_item(ui, Some(icons::LABEL), &text, ()).clicked() {
            cx.act(Action::Label(LabelAction::Assign(label.clone())));
            ui.close();
        }
    }
    let Some((index, class)) = class else {
        return;
    };
    if menu_item(ui, Some(icons::RENAME), "Rename…", ()).clicked() {
        cx.act(Action::Open(Dialog::RenameClass {
            from: class.name.clone(),
            name: class.name.as_str().to_owned(),
        }));
        ui.close();
    }
    if index > 0 && menu_item(ui, Some(icons::ARROW_UP), "Move up", ()).clicked() {
        let action = LabelAction::MoveClass(class.name.clone(), index - 1);
        cx.act(Action::Label(action));
        ui.close();
    }
    if index + 1 < session.classes.len()
        && menu_item(ui, Some(icons::ARROW_DOWN), "Move down", ()).clicked()
    {
        let action = LabelAction::MoveClass(class.name.clone(), index + 1);
        cx.act(Action::Label(action));
        ui.close();
    }
    if menu_item(ui, Some(icons::TRASH), "Delete…", ()).clicked() {
        cx.act(Action::Open(Dialog::RemoveClass {
            name: class.name.clone(),
            frames: session.snapshot.counts.label(&label),
        }));
        ui.close();
    }
}

fn show_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    section(ui, "Show", |_| {});
    let counts = &session.snapshot.counts;
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing = vec2(6.0, 6.0);
        let all = session.label.show == Show::All;
        let words = format!("all {}", words::number(counts.total() as u64));
        if chip(ui, all, &words).clicked() {
            cx.act(Action::Label(LabelAction::Show(Show::All)));
        }
        let unsorted = session.label.show == Show::Label(Label::Unsorted);
        let words = format!("unsorted {}", words::number(counts.unsorted as u64));
        if chip(ui, unsorted, &words).clicked() {
            let show = Show::Label(Label::Unsorted);
            cx.act(Action::Label(LabelAction::Show(show)));
        }
    });
}

/// A hint on what to do next.
fn next_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    let counts = &session.snapshot.counts;
    let filled = session
        .classes
        .iter()
        .filter(|class| counts.label(&Label::Class(class.name.clone())) > 0)
        .count();
    if session.label.show == Show::Trash {
        let words = "Files stay here until they are permanently deleted or the trash is emptied. Only that cannot be undone.";
        ui.add(egui::Label::new(widgets::faint(t, words)).wrap());
    } else if session.classes.is_empty() {
        hint_with(
            ui,
            "Create a class for each thing the classifier is to distinguish.",
            |ui| {
                if quiet_button(ui, Some(icons::PLUS), "New class…").clicked() {
                    cx.command(Command::NewClass);
                }
            },
        );
    } else if counts.unsorted > 0 && session.label.selection.is_empty() {
        widgets::hint(
            ui,
            &format!(
                "{} without a class. Select some (drag, Shift, Ctrl) and press a class’s number, or drag them onto it.",
                session.noun().count(counts.unsorted)
            ),
        );
    } else if filled < 2 && counts.labelled > 0 {
        let words = "A classifier needs {images} in at least two classes.";
        widgets::hint(ui, &session.noun().fill(words));
    } else {
        ui.add(
            egui::Label::new(widgets::faint(
                t,
                session
                    .noun()
                    .fill("Space shows one {image} in full size. Everything can be undone."),
            ))
            .wrap(),
        );
    }
}
