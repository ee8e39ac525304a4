//! Lists of classes in menus.

use egui::{IntoAtoms, Response, ScrollArea, Ui, pos2};

use super::button::menu_item;
use super::chip::class_mark;
use crate::app::{Session, words};
use crate::project::Class;
use crate::ui::theme::tokens;

/// Height of an item of a menu with the space below it, points.
const LINE: f32 = 29.0;
/// The least number of items that are shown, however small the window is.
const FEWEST: f32 = 4.0;

/// The classes as items of a menu, each painted by `line`. They use the height of the window except `below` points for
/// what follows them, and scroll if that is too little; only visible items are built.
pub fn class_lines_ui(
    ui: &mut Ui,
    classes: &[Class],
    below: f32,
    mut line: impl FnMut(&mut Ui, usize, &Class),
) {
    let window = ui.ctx().content_rect().height();
    // The margins of the menu, and a little of the window above and below it.
    let most = (window - below - 48.0).max(FEWEST * LINE);
    ScrollArea::vertical()
        .id_salt("classes")
        .max_height(most)
        .auto_shrink([false, true])
        .show_rows(
            ui,
            LINE - ui.spacing().item_spacing.y,
            classes.len(),
            |ui, rows| {
                for index in rows {
                    if let Some(class) = classes.get(index) {
                        line(ui, index, class);
                    }
                }
            },
        );
}

/// A class as an item of a menu: its mark, its name, and on the right a key or a mark. `None` is unsorted.
pub fn class_item<'a>(
    ui: &mut Ui,
    color: Option<usize>,
    name: &str,
    right: impl IntoAtoms<'a>,
) -> Response {
    let t = tokens(ui);
    let response = menu_item(ui, None, &words::shorten(name, 24), right);
    let center = pos2(response.rect.left() + 16.0, response.rect.center().y);
    class_mark(ui.painter(), center, color, t.muted);
    response
}

/// The palette index of a class of the run, if it still exists in the project.
pub fn color_of(session: &Session, class: &str) -> Option<usize> {
    session
        .classes
        .iter()
        .find(|known| known.name.as_str() == class)
        .map(|known| known.color)
}
