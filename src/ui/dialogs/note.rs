//! The name and the note of a run.

use egui::{Key, Margin, Modifiers, RichText, TextEdit, Ui};

use super::{End, buttons_ui, confirmed, title_ui, words_ui};
use crate::app::{Action, TrainAction, words};
use crate::train::{RunId, RunNote};
use crate::ui::Cx;
use crate::ui::theme::tokens;
use crate::ui::widgets::{accent_button, button, field_label, text_field};

pub(super) fn run_note_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    id: &RunId,
    name: &mut String,
    note: &mut String,
    fresh: bool,
) -> End {
    let session = cx.app.session.as_ref();
    let Some(entry) = session.and_then(|session| session.train.run(id)) else {
        // The run was deleted in the meantime.
        return End::Close;
    };
    let t = tokens(ui);
    title_ui(ui, "Name and note");
    words_ui(
        ui,
        &format!(
            "For {}. They are stored beside the run, which itself is not changed.",
            words::run_title(&entry.run)
        ),
    );
    // Return adds a line to the note; Ctrl+Return saves.
    let ctrl_return = ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::Enter));
    field_label(ui, "Name");
    let field = text_field(ui, "Run name", name, &words::run_title(&entry.run));
    if fresh {
        field.request_focus();
    }
    field_label(ui, "Note");
    let hint = "What you tried, and how it went";
    let text = ui
        .add(
            TextEdit::multiline(note)
                .hint_text(RichText::new(hint).color(t.faint))
                .margin(Margin::symmetric(10, 8))
                .desired_rows(4)
                .desired_width(f32::INFINITY),
        )
        .accessible_name("Run note");
    let go = ctrl_return || (!text.has_focus() && confirmed(ui));
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        if accent_button(ui, None, "Save").clicked() || go {
            let note = RunNote {
                name: name.trim().to_owned(),
                note: note.trim().to_owned(),
            };
            cx.act(Action::Train(TrainAction::SetNote(id.clone(), note)));
            end = End::Close;
        }
        if button(ui, None, "Cancel").clicked() {
            end = End::Close;
        }
    });
    end
}
