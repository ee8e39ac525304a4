//! Creating, renaming and deleting classes.

use egui::{RichText, Ui};

use super::{End, buttons_ui, confirmed, message_ui, title_ui, words_ui};
use crate::app::{Action, ClassRule, ImportAction, LabelAction, NewClassThen, words};
use crate::project::{ClassName, Label};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::tokens;
use crate::ui::widgets::{self, accent_button, button, danger_button, field_label, text_field};

/// A field for the name of a class, with a message if the name cannot be used; `own` is the current name of the class.
/// Returns whether the name can be used. Space is reserved for this many lines of the message.
fn class_field_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    name: &mut String,
    own: Option<&ClassName>,
    lines: u8,
    fresh: bool,
) -> bool {
    let t = tokens(ui);
    field_label(ui, "Name");
    let field = text_field(ui, "Class name", name, "cat");
    if fresh {
        field.request_focus();
    }
    let trimmed = name.trim();
    let unchanged = own.is_some_and(|own| own.as_str() == trimmed);
    let known = !unchanged
        && cx.app.session.as_ref().is_some_and(|session| {
            session
                .classes
                .iter()
                .any(|class| class.name.as_str() == trimmed)
        });
    let wrong = if trimmed.is_empty() {
        None
    } else if known {
        Some("A class of this name already exists".to_owned())
    } else {
        ClassName::new(trimmed).err().map(|error| error.to_string())
    };
    let ok = !trimmed.is_empty() && !unchanged && wrong.is_none();
    let message = match wrong {
        Some(wrong) => RichText::new(wrong).color(t.danger),
        None => widgets::faint(t, "On disk a class is a folder of this name."),
    };
    message_ui(ui, lines, message);
    ok
}

pub(super) fn new_class_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    name: &mut String,
    then: &NewClassThen,
    fresh: bool,
) -> End {
    title_ui(ui, "New class");
    let ready = class_field_ui(ui, cx, name, None, 2, fresh);
    let go = ready && confirmed(ui);
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        let add = ui
            .add_enabled_ui(ready, |ui| accent_button(ui, None, "Add class"))
            .inner;
        if add.clicked() || go {
            let name = name.trim().to_owned();
            match then {
                NewClassThen::Nothing => {
                    cx.act(Action::Label(LabelAction::AddClass(name, false)));
                }
                NewClassThen::AssignSelected => {
                    cx.act(Action::Label(LabelAction::AddClass(name, true)));
                }
                NewClassThen::Sources(ids) => {
                    let action = ImportAction::SetNewClass(ids.clone(), name);
                    cx.act(Action::Import(action));
                }
                NewClassThen::NewVideos => {
                    if let Ok(class) = ClassName::new(&name) {
                        cx.act(Action::Label(LabelAction::AddClass(name, false)));
                        let rule = ClassRule::Chosen(class);
                        cx.act(Action::Import(ImportAction::SetClassRule(rule)));
                    }
                }
            }
            end = End::Close;
        }
        if button(ui, None, "Cancel").clicked() {
            end = End::Close;
        }
    });
    end
}

pub(super) fn rename_class_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    from: &ClassName,
    name: &mut String,
    fresh: bool,
) -> End {
    title_ui(
        ui,
        &format!("Rename “{}”", words::shorten(from.as_str(), 40)),
    );
    let into = other_class(cx, from, name.trim());
    let ready = match &into {
        None => class_field_ui(ui, cx, name, Some(from), MERGE_LINES, fresh),
        Some(into) => merge_field_ui(ui, cx, from, into, name),
    };
    let go = ready && confirmed(ui);
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        let label = if into.is_some() { "Merge" } else { "Rename" };
        let rename = ui
            .add_enabled_ui(ready, |ui| accent_button(ui, None, label))
            .inner;
        if rename.clicked() || go {
            let to = name.trim().to_owned();
            cx.act(Action::Label(match &into {
                Some(into) => LabelAction::MergeClass(from.clone(), into.clone()),
                None => LabelAction::RenameClass(from.clone(), to),
            }));
            end = End::Close;
        }
        if button(ui, None, "Cancel").clicked() {
            end = End::Close;
        }
    });
    end
}

/// The other class of this name, which this one can be merged into.
fn other_class(cx: &Cx<'_>, from: &ClassName, name: &str) -> Option<ClassName> {
    let session = cx.app.session.as_ref()?;
    let mut others = session.classes.iter().map(|class| &class.name);
    others
        .find(|other| *other != from && other.as_str() == name)
        .cloned()
}

/// The most lines that the offer to merge needs.
const MERGE_LINES: u8 = 3;

/// The field if the name is that of another class: explains merging.
fn merge_field_ui(
    ui: &mut Ui,
    cx: &Cx<'_>,
    from: &ClassName,
    into: &ClassName,
    name: &mut String,
) -> bool {
    let t = tokens(ui);
    field_label(ui, "Name");
    text_field(ui, "Class name", name, "cat");
    let frames = cx.app.session.as_ref().map_or(0, |session| {
        let label = Label::Class(from.clone());
        session.snapshot.counts.label(&label)
    });
    let [from, into] = [from, into].map(|name| words::shorten(name.as_str(), 22));
    let words = format!(
        "A class “{into}” already exists. Merging moves {} of “{from}” to “{into}” and removes “{from}”. Runs that were trained on both note this. You can undo it.",
        cx.app.noun().count(frames)
    );
    message_ui(ui, MERGE_LINES, RichText::new(words).color(t.hint_text));
    true
}

pub(super) fn remove_class_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    name: &ClassName,
    frames: usize,
) -> End {
    let noun = cx.app.noun();
    title_ui(
        ui,
        &format!("Delete “{}”?", words::shorten(name.as_str(), 40)),
    );
    words_ui(
        ui,
        &if frames == 0 {
            format!("The class has no {}.", noun.many())
        } else {
            format!(
                "Its {} become unsorted; nothing is deleted from disk. You can undo this.",
                noun.count(frames)
            )
        },
    );
    let mut end = End::Open;
    let go = confirmed(ui);
    buttons_ui(ui, |ui| {
        if danger_button(ui, Some(icons::TRASH), "Delete class").clicked() || go {
            cx.act(Action::Label(LabelAction::RemoveClass(name.clone())));
            end = End::Close;
        }
        if button(ui, None, "Keep").clicked() {
            end = End::Close;
        }
    });
    end
}
