//! The label workspace: classes at the left, the frames in a grid, one of them large on request.

mod classes;
mod find;
mod grid;
mod layout;
mod preview;

use egui::{Frame, Margin, Panel, Popup, Sides, Ui};

use super::Cx;
use super::icons;
use super::theme::{self, tokens};
use super::widgets::{
    self, Zoom, accent_button, button, command_button, empty, icon_button, menu_chip, menu_item,
    quiet_button, side_width, slider,
};
use crate::app::{Action, Command, Dialog, LabelAction, Session, Show, Workspace, words};
use crate::project::Label;

/// Width of the class list, points: normal and least.
const SIDE: [f32; 2] = [244.0, 208.0];

/// State of the painting.
#[derive(Default)]
pub struct View {
    classes: classes::View,
    grid: grid::View,
    find: find::View,
    zoom: Zoom,
}

/// Paints the workspace.
pub fn label_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    let noun = session.noun();
    if session.snapshot.counts.total() == 0
        && session.trash.counts.total() == 0
        && session.classes.is_empty()
    {
        empty(
            ui,
            icons::LABEL,
            &noun.fill("No {images} yet"),
            "Import videos or photos first. Their images appear here, to be sorted into classes.",
            |ui| {
                if accent_button(ui, None, "Go to Import").clicked() {
                    cx.act(Action::Go(Workspace::Import));
                }
            },
        );
        return;
    }
    Panel::left("classes")
        .exact_size(side_width(ui, SIDE[0], SIDE[1]))
        .resizable(false)
        .show_separator_line(false)
        .frame(Frame::new().inner_margin(Margin {
            right: 14,
            ..Margin::ZERO
        }))
        .show(ui, |ui| {
            classes::classes_ui(ui, cx, session, &mut view.classes);
        });
    if session.label.preview && session.label.cursor.is_some() && !session.label.shown.is_empty() {
        // Instead of the grid, so that nothing of it is visible at the edges.
        let room = ui.available_rect_before_wrap();
        grid::keys_ui(ui, cx, session);
        preview::preview_ui(ui, cx, session, room, &mut view.zoom);
        return;
    }
    header_ui(ui, cx, session);
    find::find_ui(ui, cx, session, &mut view.find);
    if session.label.show == Show::Trash {
        trash_ui(ui, cx, session);
    }
    if session.label.shown.is_empty() {
        nothing_shown_ui(ui, cx, session);
    } else {
        grid::grid_ui(ui, cx, session, &mut view.grid);
    }
}

/// The commands for frames in the trash.
fn trash_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    let noun = session.noun();
    let selected = session.label.selection.len();
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CHIP_HEIGHT + 4.0);
        ui.spacing_mut().item_spacing.x = 8.0;
        let app = cx.app;
        if command_button(ui, app, Command::RestoreSelected, |ui| {
            quiet_button(ui, Some(icons::UNDO), "Restore")
        }) {
            cx.command(Command::RestoreSelected);
        }
        let delete = ui
            .add_enabled_ui(selected > 0, |ui| {
                quiet_button(ui, Some(icons::TRASH), "Delete permanently…")
            })
            .inner
            .on_hover_text(noun.fill("Delete the selected {images} from the trash; asks first"));
        if delete.clicked() {
            let paths = session.selected_paths();
            cx.act(Action::Open(Dialog::DeleteForGood(paths)));
        }
        let words = if selected == 0 {
            noun.fill("Select {images} to restore them; a class’s key gives them that class.")
        } else {
            noun.fill("Restores them with their labels; a class’s key gives them that class.")
        };
        ui.add(egui::Label::new(widgets::faint(t, words)).truncate());
    });
}

fn header_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    let selected = session.label.selection.len();
    let noun = session.noun();
    let mut width = f64::from(cx.app.prefs.thumb_width);
    let mut resized = false;
    let mut clear = false;
    Sides::new()
        .height(theme::CONTROL_HEIGHT)
        .spacing(12.0)
        .shrink_left()
        .show(
            ui,
            |ui| {
                ui.spacing_mut().item_spacing.x = 10.0;
                ui.label(widgets::heading("Label"));
                if selected == 0 {
                    let shown = noun.count(session.label.shown.len());
                    ui.label(widgets::muted(t, shown));
                    return;
                }
                let words = format!("{} selected", words::number(selected as u64));
                ui.label(widgets::muted(t, words));
                clear = quiet_button(ui, Some(icons::CROSS), "Clear")
                    .on_hover_text(widgets::command_tooltip(
                        ui.ctx(),
                        cx.app,
                        Command::SelectNone,
                    ))
                    .clicked();
            },
            |ui| {
                ui.spacing_mut().item_spacing.x = 10.0;
                let tip = "Size of the thumbnails (Ctrl+[ and Ctrl+])";
                resized = slider(ui, "Thumbnail size", &mut width, 72.0..=288.0, true, 92.0)
                    .on_hover_text(tip)
                    .changed();
                source_menu_ui(ui, cx, session);
                let tip = widgets::command_tooltip(ui.ctx(), cx.app, Command::Find);
                if icon_button(ui, icons::SEARCH, &Command::Find.text(noun), &tip).clicked() {
                    cx.command(Command::Find);
                }
            },
        );
    if clear {
        cx.command(Command::SelectNone);
    }
    if resized {
        cx.act(Action::SetThumbWidth(width as f32));
    }
}

fn source_menu_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    if session.sources.is_empty() {
        return;
    }
    let label = match &session.label.source {
        None => "Source: all".to_owned(),
        Some(id) => session
            .source(id)
            .map_or_else(|| id.to_string(), |source| words::shorten(&source.name, 28)),
    };
    let chip = menu_chip(
        ui,
        &label,
        &session.noun().fill("Show the {images} of one source"),
    );
    Popup::menu(&chip).width(280.0).show(|ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        egui::ScrollArea::vertical()
            .max_height(400.0)
            .show(ui, |ui| {
                if menu_item(ui, Some(icons::GRID), "All sources", ()).clicked() {
                    cx.act(Action::Label(LabelAction::ShowSource(None)));
                    ui.close();
                }
                let t = tokens(ui);
                for source in &session.sources {
                    let frames = session.snapshot.counts.source(&source.id);
                    let count = widgets::faint(t, words::number(frames as u64));
                    let name = words::shorten(&source.name, 28);
                    if menu_item(ui, Some(icons::VIDEO), &name, count).clicked() {
                        let action = LabelAction::ShowSource(Some(source.id.clone()));
                        cx.act(Action::Label(action));
                        ui.close();
                    }
                }
            });
    });
}

fn nothing_shown_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let noun = session.noun();
    let show_all = noun.fill("Show all {images}");
    if session.label.show == Show::Trash && session.trash.counts.total() == 0 {
        empty(
            ui,
            icons::TRASH,
            "The trash is empty",
            &noun.fill("Removed {images} stay here until the trash is emptied."),
            |ui| {
                if button(ui, None, &show_all).clicked() {
                    cx.act(Action::Label(LabelAction::Show(Show::All)));
                }
            },
        );
        return;
    }
    if session.snapshot.counts.total() == 0 && session.label.show != Show::Trash {
        empty(
            ui,
            icons::LABEL,
            &noun.fill("No {images} yet"),
            "The classes are ready; now import videos or photos.",
            |ui| {
                if accent_button(ui, None, "Go to Import").clicked() {
                    cx.act(Action::Go(Workspace::Import));
                }
            },
        );
        return;
    }
    let all_sorted = session.label.show == Show::Label(Label::Unsorted)
        && session.label.source.is_none()
        && session
            .label
            .find
            .as_deref()
            .is_none_or(|text| text.trim().is_empty());
    let (glyph, title, text) = if all_sorted {
        (
            icons::OK,
            "Everything is sorted".into(),
            noun.fill("Every {image} has a class. Check the classes once more, or train."),
        )
    } else {
        (
            icons::FILTER,
            noun.fill("No {images} here"),
            noun.fill("No {image} matches the choices on the left and above."),
        )
    };
    empty(ui, glyph, &title, &text, |ui| {
        if all_sorted && accent_button(ui, None, "Go to Train").clicked() {
            cx.act(Action::Go(Workspace::Train));
        }
        if button(ui, None, &show_all).clicked() {
            cx.act(Action::Label(LabelAction::Show(Show::All)));
            cx.act(Action::Label(LabelAction::ShowSource(None)));
            cx.act(Action::Label(LabelAction::Find(None)));
        }
    });
}
