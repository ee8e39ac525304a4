//! The building blocks of workspaces: buttons, chips, cards, fields, bars.

mod button;
mod card;
mod chip;
mod classes;
mod empty;
mod field;
mod fixed_plot;
mod image;
mod labels;
mod number;
mod progress;
mod scatter;
mod text;
mod zoom;

pub use button::{
    accent_button, button, command_button, danger_button, icon_button, link, menu_item,
    quiet_button,
};
pub use card::{hint, hint_with, panel, section, separator};
pub use chip::{badge, chip, class_chip, class_dot, class_mark, key_cap, menu_chip, toggle_chip};
pub use classes::{class_item, class_lines_ui, color_of};
pub use empty::empty;
pub use field::{choice, field_frame, field_label, segments, slider, text_field};
pub use fixed_plot::{fixed_plot, plot_line};
pub use image::{failed_image, image_ui, image_within, loading_image, placeholder};
pub use number::{Number, number_ui};
pub use progress::{progress_bar, spinner};
pub use scatter::{Mark, Scatter, scatter_ui};
pub use text::{faint, figure, heading, muted, name, small, title};
pub use zoom::Zoom;

use egui::{Context, KeyboardShortcut, ScrollArea, Ui, UiBuilder};

use crate::app::{App, Command};

/// A tooltip: the text, and the shortcut.
#[must_use]
pub fn tooltip(ctx: &Context, text: &str, shortcut: Option<KeyboardShortcut>) -> String {
    match shortcut {
        Some(shortcut) => format!("{text}\u{a0}·\u{a0}{}", shortcut_text(ctx, &shortcut)),
        None => text.to_owned(),
    }
}

/// A shortcut as printed on the keys: `Ctrl+]`, not `Ctrl+CloseBracket`.
#[must_use]
pub fn shortcut_text(ctx: &Context, shortcut: &KeyboardShortcut) -> String {
    let text = ctx.format_shortcut(shortcut);
    text.replace("OpenBracket", "[")
        .replace("CloseBracket", "]")
}

/// The tooltip of a command.
#[must_use]
pub fn command_tooltip(ctx: &Context, app: &App, command: Command) -> String {
    tooltip(ctx, &command.tooltip(app.noun()), command.shortcut())
}

/// Width of the bar beside a scroll area, points.
pub const SCROLL_BAR: f32 = 10.0;

/// Width of a column at the side of a workspace: `full` if there is room, down to `least` in the smallest window.
#[must_use]
pub fn side_width(ui: &Ui, full: f32, least: f32) -> f32 {
    // The width of the workspace in the smallest window, and in one where everything fits.
    let (small, large) = (692.0, 1172.0);
    let part = ((ui.available_width() - small) / (large - small)).clamp(0.0, 1.0);
    (least + part * (full - least)).round()
}

/// A vertical scroll area, as wide as what is above it: the bar is in the margin of the window.
pub fn scroll_ui(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    let mut room = ui.available_rect_before_wrap();
    let width = room.width();
    room.max.x += SCROLL_BAR;
    ui.scope_builder(UiBuilder::new().max_rect(room), |ui| {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.set_max_width(width);
            add(ui);
        });
    });
}
