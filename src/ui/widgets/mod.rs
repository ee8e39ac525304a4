//! The parts that workspaces are built of: buttons, chips, cards, fields, bars.

mod button;
mod card;
mod chip;
mod empty;
mod field;
mod picture;
mod progress;
mod text;

pub use button::{
    accent_button, button, command_button, danger_button, icon_button, link, menu_item,
    quiet_button,
};
pub use card::{card, hint, hint_with, panel, section, separator};
pub use chip::{badge, chip, class_chip, class_dot, class_mark, key_cap, menu_chip};
pub use empty::empty;
pub use field::{choice, field_frame, field_label, segments, slider, text_field};
pub use picture::{cover_uv, picture, placeholder};
pub use progress::{progress_bar, spinner};
pub use text::{faint, figure, heading, muted, name, small, title};

use egui::{Context, KeyboardShortcut};

use crate::app::Command;

/// A tooltip: what it does, and the shortcut.
#[must_use]
pub fn tooltip(ctx: &Context, text: &str, shortcut: Option<KeyboardShortcut>) -> String {
    match shortcut {
        Some(shortcut) => format!("{text}\u{a0}·\u{a0}{}", ctx.format_shortcut(&shortcut)),
        None => text.to_owned(),
    }
}

/// The tooltip of a command.
#[must_use]
pub fn command_tooltip(ctx: &Context, command: Command) -> String {
    tooltip(ctx, command.tooltip(), command.shortcut())
}
