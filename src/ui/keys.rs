//! Keyboard shortcuts: translates keys to commands, with one table for all ([`Command::shortcut`]).

use egui::{Key, Modifiers, Ui};

use super::Cx;
use crate::app::{Action, Command, Workspace, class_key};
use crate::project::Label;

/// Handles the keys that no widget uses.
pub fn keys_ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let ctx = ui.ctx().clone();
    if cx.in_dialog && !cx.app.palette {
        return;
    }
    let typing = ctx.text_edit_focused();
    // A focused button uses space and return, a slider the arrows.
    let widget_focused = ctx.memory(|memory| memory.focused().is_some());
    let mut shortcuts = Vec::new();
    for command in Command::ALL {
        let plain = command.is_plain_key();
        if (plain && (typing || cx.app.palette)) || (cx.app.palette && command != Command::Palette)
        {
            continue;
        }
        if command == Command::Preview && widget_focused {
            continue;
        }
        // Undo and select-all belong to the text field with the focus.
        if typing && matches!(command, Command::Undo | Command::Redo | Command::SelectAll) {
            continue;
        }
        shortcuts.extend(
            [command.shortcut(), command.other_shortcut()]
                .into_iter()
                .flatten()
                .map(|shortcut| (shortcut, command)),
        );
    }
    // Those with Shift first: the shortcut of the same key without Shift would match as well.
    shortcuts.sort_by_key(|(shortcut, _)| !shortcut.modifiers.shift);
    for (shortcut, command) in shortcuts {
        if ctx.input_mut(|input| input.consume_shortcut(&shortcut)) {
            cx.command(command);
        }
    }
    if !typing && !cx.app.palette {
        class_keys(&ctx, cx);
    }
}

/// 1–9 and letters label, 0 makes unsorted: the selected frames in Label, the shown one in Evaluate. Selected
/// predictions on files are added to the project with the class.
fn class_keys(ctx: &egui::Context, cx: &mut Cx<'_>) {
    let labels = matches!(cx.app.workspace, Workspace::Label | Workspace::Evaluate);
    let Some(session) = cx.app.session.as_ref().filter(|_| labels) else {
        return;
    };
    let mut pressed = |key: Key| ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key));
    if pressed(Key::Num0) {
        cx.actions.push(Action::Assign(Label::Unsorted));
    }
    for (index, class) in session.classes.iter().enumerate() {
        let Some(key) = class_key(index) else {
            return;
        };
        if Key::from_name(&key.to_string()).is_some_and(&mut pressed) {
            let label = Label::Class(class.name.clone());
            cx.actions.push(Action::Assign(label));
        }
    }
}
