//! Keyboard shortcuts: turns keys into commands, one table for all ([`Command::shortcut`]).

use egui::{Key, Modifiers, Ui};

use super::Cx;
use crate::app::{Action, Command, LabelAction, Workspace};
use crate::project::Label;

/// Reads the keys that belong to no widget.
pub fn keys_ui(ui: &mut Ui, cx: &mut Cx<'_>) {
    let ctx = ui.ctx().clone();
    if cx.in_dialog && !cx.app.palette {
        return;
    }
    let typing = ctx.text_edit_focused();
    // A focused button is pressed by space and return, a slider moved by arrows.
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
        // Undo and select-all belong to the field that is being typed in.
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
    // With Shift first: the shortcut of the same key without it would match as well.
    shortcuts.sort_by_key(|(shortcut, _)| !shortcut.modifiers.shift);
    for (shortcut, command) in shortcuts {
        if ctx.input_mut(|input| input.consume_shortcut(&shortcut)) {
            cx.command(command);
        }
    }
    if !typing && !cx.app.palette && cx.app.workspace == Workspace::Label {
        class_keys(&ctx, cx);
    }
}

const DIGITS: [Key; 10] = [
    Key::Num0,
    Key::Num1,
    Key::Num2,
    Key::Num3,
    Key::Num4,
    Key::Num5,
    Key::Num6,
    Key::Num7,
    Key::Num8,
    Key::Num9,
];

/// 1–9 assign a class, 0 makes unsorted.
fn class_keys(ctx: &egui::Context, cx: &mut Cx<'_>) {
    let Some(session) = &cx.app.session else {
        return;
    };
    for (digit, key) in DIGITS.into_iter().enumerate() {
        if !ctx.input_mut(|input| input.consume_key(Modifiers::NONE, key)) {
            continue;
        }
        let label = match digit.checked_sub(1) {
            None => Some(Label::Unsorted),
            Some(index) => session
                .classes
                .get(index)
                .map(|class| Label::Class(class.name.clone())),
        };
        if let Some(label) = label {
            cx.actions.push(Action::Label(LabelAction::Assign(label)));
        }
    }
}
