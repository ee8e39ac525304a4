//! The list of keyboard shortcuts.

use egui::{Grid, Key, Label, Modifiers, RichText, ScrollArea, Ui, vec2};

use super::{End, buttons_ui, title_ui};
use crate::app::Command;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, button, key_cap};

pub(super) fn shortcuts_ui(ui: &mut Ui) -> End {
    let t = tokens(ui);
    title_ui(ui, "Keyboard shortcuts");
    ui.add_space(4.0);
    let ctx = ui.ctx().clone();
    let mut rows: Vec<(String, &str)> = vec![
        ("1–9".to_owned(), "Give the selected frames a class"),
        ("0".to_owned(), "Make the selected frames unsorted"),
        ("Arrows".to_owned(), "Go from frame to frame; Shift selects"),
        ("Shift+Click".to_owned(), "Select a range"),
    ];
    rows.extend(Command::ALL.into_iter().filter_map(|command| {
        let shortcut = command.shortcut()?;
        Some((
            ctx.format_shortcut(&shortcut),
            command.text().trim_end_matches('…'),
        ))
    }));
    let half = rows.len().div_ceil(2);
    ScrollArea::vertical().max_height(460.0).show(ui, |ui| {
        ui.columns_const(|[left, right]| {
            for (column, rows) in [(left, rows.get(..half)), (right, rows.get(half..))] {
                Grid::new(column.scope_id())
                    .spacing(vec2(12.0, 8.0))
                    .min_row_height(22.0)
                    .show(column, |ui| {
                        for (keys, what) in rows.unwrap_or_default() {
                            key_cap(ui, keys);
                            ui.add(
                                Label::new(RichText::new(*what).size(theme::TYPE_SMALL)).truncate(),
                            );
                            ui.end_row();
                        }
                    });
            }
        });
    });
    ui.label(widgets::faint(
        t,
        "Every command is also in the palette, which finds it by a part of its name.",
    ));
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
