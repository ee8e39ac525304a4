//! Correcting labels among the mistakes: the bar of commands, and marks on changed frames.

use egui::{Align2, CornerRadius, FontFamily, FontId, Popup, Rect, Response, Ui, pos2, vec2};

use crate::app::{Action, Command, EvaluateAction, FrameNow, Pick, Session, class_key, words};
use crate::project::{ClassName, Label};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::color_of;
use crate::ui::widgets::{self, class_mark, menu_chip, menu_item, quiet_button};

/// Paints the commands for the frame that is shown large, or for the selected ones.
pub fn relabel_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    let state = &session.evaluate;
    let chosen = state.chosen();
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CHIP_HEIGHT);
        ui.spacing_mut().item_spacing.x = 8.0;
        if chosen.is_empty() {
            let words =
                "Select {images} to correct their labels: click, or Shift- or Ctrl-click for more.";
            let words = session.noun().fill(words);
            ui.add(egui::Label::new(widgets::faint(t, words)).truncate());
            return;
        }
        if let ([index], Some(_)) = (chosen.as_slice(), state.preview) {
            if let Some(fate) = state.fate(*index) {
                ui.label(widgets::small(t, words::sentence(&fate_words(&fate))));
            }
        } else {
            let count = words::number(chosen.len() as u64);
            ui.label(widgets::muted(t, format!("{count} selected")));
        }
        let label = menu_chip(
            ui,
            "Label",
            &session.noun().fill("Label of the selected {images}"),
        )
        .on_hover_text("Move them to another class; its key does the same");
        Popup::menu(&label).width(210.0).show(|ui| {
            class_items_ui(ui, cx, session);
        });
        let app = cx.app;
        if widgets::command_button(ui, app, Command::TrashSelected, |ui| {
            quiet_button(ui, Some(icons::TRASH), "Trash")
        }) {
            cx.command(Command::TrashSelected);
        }
        let show = quiet_button(ui, Some(icons::LABEL), "Show in Label");
        if show
            .on_hover_text("Go to Label with them selected, among their neighbouring frames")
            .clicked()
        {
            cx.act(Action::Evaluate(EvaluateAction::ShowInLabel));
        }
    });
}

/// The classes as items of a menu, then unsorted and typing a name.
fn class_items_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    ui.spacing_mut().item_spacing.y = 1.0;
    egui::ScrollArea::vertical()
        .max_height(340.0)
        .show(ui, |ui| {
            let classes = session.classes.iter().enumerate().map(|(index, class)| {
                let key = class_key(index).map(String::from).unwrap_or_default();
                (Label::Class(class.name.clone()), Some(class.color), key)
            });
            let unsorted = (Label::Unsorted, None, "0".to_owned());
            for (label, color, key) in classes.chain([unsorted]) {
                let name = label.class().map_or("unsorted", |name| name.as_str());
                let name = words::shorten(name, 24);
                let item = menu_item(ui, None, &name, widgets::faint(t, key));
                let center = pos2(item.rect.left() + 16.0, item.rect.center().y);
                class_mark(ui.painter(), center, color, t.muted);
                if item.clicked() {
                    cx.act(Action::Evaluate(EvaluateAction::Assign(label)));
                    ui.close();
                }
            }
        });
    let typed = menu_item(ui, Some(icons::SEARCH), "By name…", widgets::faint(t, "L"));
    if typed.clicked() {
        cx.command(Command::LabelByName);
        ui.close();
    }
}

/// Handles clicks on a frame: selects it, opens its menu, shows it large.
pub fn mouse(
    ui: &Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    response: &Response,
    place: usize,
    selected: bool,
) {
    let modifiers = ui.input(|input| input.modifiers);
    let mut pick = |pick| cx.act(Action::Evaluate(EvaluateAction::Pick(place, pick)));
    if response.double_clicked() {
        pick(Pick::Only);
        cx.act(Action::Evaluate(EvaluateAction::Preview(Some(place))));
    } else if response.clicked() {
        pick(if modifiers.shift {
            Pick::Range
        } else if modifiers.command {
            Pick::Toggle
        } else {
            Pick::Only
        });
    } else if response.secondary_clicked() && !selected {
        pick(Pick::Only);
    }
    Popup::context_menu(response).width(210.0).show(|ui| {
        class_items_ui(ui, cx, session);
        widgets::separator(ui);
        let t = tokens(ui);
        if menu_item(ui, Some(icons::VIEW), "View it", widgets::faint(t, "Space")).clicked() {
            cx.act(Action::Evaluate(EvaluateAction::Preview(Some(place))));
            ui.close();
        }
        if menu_item(ui, Some(icons::LABEL), "Show in Label", ()).clicked() {
            cx.act(Action::Evaluate(EvaluateAction::ShowInLabel));
            ui.close();
        }
        if menu_item(
            ui,
            Some(icons::TRASH),
            "Move to trash",
            widgets::faint(t, "Del"),
        )
        .clicked()
        {
            cx.command(Command::TrashSelected);
            ui.close();
        }
    });
}

/// The change of a frame, within a sentence: `now “cat”`.
pub fn fate_words(fate: &FrameNow) -> String {
    match fate {
        FrameNow::Relabelled(Label::Class(name)) => format!("now “{name}”"),
        FrameNow::Relabelled(Label::Unsorted) => "now unsorted".to_owned(),
        FrameNow::Trashed => "now in the trash".to_owned(),
    }
}

/// Marks an image with the change of its frame.
pub fn fate_ui(ui: &Ui, session: &Session, fate: &FrameNow, image: Rect) {
    let t = tokens(ui);
    let painter = ui.painter();
    painter.rect_filled(
        image,
        CornerRadius::same(theme::RADIUS),
        t.window.gamma_multiply(0.55),
    );
    let (color, name) = match fate {
        FrameNow::Relabelled(label) => {
            let name = label.class().map(ClassName::as_str);
            let color = name.and_then(|name| color_of(session, name));
            (color, name.unwrap_or("unsorted"))
        }
        FrameNow::Trashed => (None, "trash"),
    };
    let galley = painter.layout_no_wrap(
        words::shorten(name, 12),
        FontId::new(12.0, FontFamily::Proportional),
        t.on_scrim,
    );
    let size = galley.size() + vec2(32.0, 8.0);
    let pill = Rect::from_center_size(image.center(), size);
    painter.rect_filled(pill, CornerRadius::same(12), t.scrim);
    let mark = pos2(pill.left() + 13.0, pill.center().y);
    if *fate == FrameNow::Trashed {
        let font = FontId::new(13.0, theme::icon_family());
        painter.text(mark, Align2::CENTER_CENTER, icons::TRASH, font, t.on_scrim);
    } else {
        class_mark(painter, mark, color, t.on_scrim);
    }
    let at = pos2(pill.left() + 23.0, pill.center().y - galley.size().y / 2.0);
    painter.galley(at, galley, t.on_scrim);
}
