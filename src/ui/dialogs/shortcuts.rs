//! The list of keyboard shortcuts.

use std::borrow::Cow;

use egui::{Align, Key, Label, Layout, Modifiers, RichText, ScrollArea, Ui, vec2};

use super::{End, buttons_ui, title_ui};
use crate::app::{Command, words::Noun};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, button, key_cap, shortcut_text};

/// Width of the keys, points: the longest are `Ctrl+Shift+A` and `Shift+Click`.
const KEYS: f32 = 108.0;
/// Height of a row with one line, points.
const ROW: f32 = 24.0;
/// Space between the two columns, points.
const GAP: f32 = 20.0;

pub(super) fn shortcuts_ui(ui: &mut Ui, noun: Noun) -> End {
    let t = tokens(ui);
    title_ui(ui, "Keyboard shortcuts");
    ui.add_space(4.0);
    let ctx = ui.ctx().clone();
    let mut rows: Vec<(String, Cow<'_, str>)> = [
        ("1–9", "Give the selected {images} a class"),
        ("0", "Make the selected {images} unsorted"),
        ("Arrows", "Go from {image} to {image}"),
        ("Shift+Arrows", "Extend the selection"),
        ("Shift+Click", "Select a range"),
        ("Ctrl+Click", "Add or remove one"),
        ("Escape", "Close what is open, clear the selection"),
    ]
    .into_iter()
    .map(|(keys, what)| (keys.to_owned(), noun.fill(what)))
    .collect();
    rows.extend(Command::ALL.into_iter().filter_map(|command| {
        let shortcut = command.shortcut()?;
        Some((
            shortcut_text(&ctx, &shortcut),
            match command.text(noun) {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim_end_matches('…')),
                Cow::Owned(text) => Cow::Owned(text.trim_end_matches('…').to_owned()),
            },
        ))
    }));
    let half = rows.len().div_ceil(2);
    let most = (ui.ctx().content_rect().height() - 220.0).max(160.0);
    ScrollArea::vertical().max_height(most).show(ui, |ui| {
        let width = (ui.available_width() - widgets::SCROLL_BAR - GAP) / 2.0;
        ui.horizontal_top(|ui| {
            ui.spacing_mut().item_spacing.x = GAP;
            for rows in [rows.get(..half), rows.get(half..)] {
                let layout = Layout::top_down(Align::Min);
                ui.allocate_ui_with_layout(vec2(width, 0.0), layout, |ui| {
                    ui.set_width(width);
                    ui.spacing_mut().item_spacing.y = 4.0;
                    ui.spacing_mut().interact_size.y = ROW;
                    for (keys, what) in rows.unwrap_or_default() {
                        row_ui(ui, keys, what);
                    }
                });
            }
        });
    });
    ui.add(
        Label::new(widgets::faint(
            t,
            "Every command is also in the palette, which finds it by part of its name.",
        ))
        .wrap(),
    );
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        if button(ui, None, "Close").clicked() {
            end = End::Close;
        }
    });
    if ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::F1)) {
        end = End::Close;
    }
    end
}

/// The keys, and what they do; a text that is too long for its column is wrapped.
fn row_ui(ui: &mut Ui, keys: &str, what: &str) {
    ui.horizontal(|ui| {
        ui.set_min_height(ROW);
        ui.spacing_mut().item_spacing.x = 0.0;
        let width = ui.available_width();
        let begin = ui.cursor().left();
        key_cap(ui, keys);
        let used = ui.cursor().left() - begin;
        ui.add_space((KEYS - used).max(8.0));
        let room = width - used.max(KEYS);
        ui.scope(|ui| {
            ui.set_max_width(room.max(60.0));
            ui.add(Label::new(RichText::new(what).size(theme::TYPE_SMALL)).wrap());
        });
    });
}
