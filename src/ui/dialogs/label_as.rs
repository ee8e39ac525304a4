//! Labels frames by typing a part of the class's name: for classes without a key, and for projects with many classes.

use egui::{Key, Modifiers, RichText, ScrollArea, Ui, pos2};

use super::{End, confirmed, title_ui};
use crate::app::{Action, LabelAction, Session, class_key, words};
use crate::project::{ClassName, Label};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, class_mark, menu_item, text_field};

/// Height of a row of the list with the space below it, points.
const ROW: f32 = 29.0;

/// The label that a row of the list gives the frames.
#[derive(Clone)]
enum Choice {
    Label {
        label: Label,
        color: Option<usize>,
        key: String,
    },
    NewClass(String),
}

pub(super) fn label_as_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    text: &mut String,
    chosen: &mut usize,
    frames: usize,
    fresh: bool,
) -> End {
    let t = tokens(ui);
    title_ui(ui, &format!("Label {}", cx.app.noun().count(frames)));
    let (up, down) = ui.input_mut(|input| {
        (
            input.consume_key(Modifiers::NONE, Key::ArrowUp),
            input.consume_key(Modifiers::NONE, Key::ArrowDown),
        )
    });
    let field = text_field(ui, "Class", text, "Type part of the class’s name");
    if fresh {
        field.request_focus();
    }
    if field.changed() {
        *chosen = 0;
    }
    let Some(session) = &cx.app.session else {
        return End::Close;
    };
    let choices = choices(session, text.trim());
    let last = choices.len().saturating_sub(1);
    if down {
        *chosen += 1;
    }
    if up {
        *chosen = chosen.saturating_sub(1);
    }
    *chosen = (*chosen).min(last);
    let mut take = confirmed(ui).then_some(*chosen);
    // High enough for all choices, including those that the typed text hides: unsorted and a new class besides the
    // classes.
    let all = (session.classes.len() + 2) as f32 * ROW;
    let list = ScrollArea::vertical().max_height(all.min(300.0));
    list.auto_shrink([true, false]).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 1.0;
        for (index, choice) in choices.iter().enumerate() {
            let (name, color, key) = match choice {
                Choice::Label { label, color, key } => {
                    let name = label.class().map_or("unsorted", |name| name.as_str());
                    (name.to_owned(), Some(*color), key.as_str())
                }
                Choice::NewClass(name) => (format!("New class “{name}”"), None, ""),
            };
            let glyph = color.is_none().then_some(icons::PLUS);
            let name = words::shorten(&name, 44);
            let fill = ui.painter().add(egui::Shape::Noop);
            let key = RichText::new(key).size(theme::TYPE_SMALL).color(t.faint);
            let item = menu_item(ui, glyph, &name, key);
            if index == *chosen {
                let radius = theme::RADIUS_SMALL;
                let shape = egui::Shape::rect_filled(item.rect, radius, t.accent_soft);
                ui.painter().set(fill, shape);
                if up || down {
                    item.scroll_to_me(None);
                }
            }
            if let Some(color) = color {
                let center = pos2(item.rect.left() + 16.0, item.rect.center().y);
                class_mark(ui.painter(), center, color, t.muted);
            }
            if item.clicked() {
                take = Some(index);
            }
        }
        if choices.is_empty() {
            ui.label(widgets::muted(t, "No class name contains this."));
        }
    });
    ui.label(widgets::faint(
        t,
        "Press Return to apply the chosen class; use the arrow keys to choose another.",
    ));
    match take.and_then(|index| choices.into_iter().nth(index)) {
        Some(Choice::Label { label, .. }) => {
            cx.act(Action::Assign(label));
            End::Close
        }
        Some(Choice::NewClass(name)) => {
            cx.act(Action::Label(LabelAction::AddClass(name.clone(), false)));
            if let Ok(class) = ClassName::new(&name) {
                cx.act(Action::Assign(Label::Class(class)));
            }
            End::Close
        }
        None => End::Open,
    }
}

/// The classes whose names contain the text, those that begin with it first; a new class if none has this name.
fn choices(session: &Session, text: &str) -> Vec<Choice> {
    let query = text.to_lowercase();
    let mut found: Vec<(u8, Choice)> = session
        .classes
        .iter()
        .enumerate()
        .filter_map(|(index, class)| {
            let rank = rank(class.name.as_str(), &query)?;
            let key = class_key(index).map(String::from).unwrap_or_default();
            let label = Label::Class(class.name.clone());
            let color = Some(class.color);
            Some((rank, Choice::Label { label, color, key }))
        })
        .collect();
    if let Some(rank) = rank("unsorted", &query) {
        let unsorted = Choice::Label {
            label: Label::Unsorted,
            color: None,
            key: "0".to_owned(),
        };
        found.push((rank, unsorted));
    }
    // The sort is stable: within a rank, the order of the classes remains.
    found.sort_by_key(|(rank, _)| *rank);
    let mut choices: Vec<Choice> = found.into_iter().map(|(_, choice)| choice).collect();
    let exact = session
        .classes
        .iter()
        .any(|class| class.name.as_str().to_lowercase() == query);
    if !exact && ClassName::new(text).is_ok() {
        choices.push(Choice::NewClass(text.to_owned()));
    }
    choices
}

/// 0 for the name itself, 1 for a name that begins with the query, 2 for one with a word that does, 3 for one that
/// contains it; the query is in lower case.
fn rank(name: &str, query: &str) -> Option<u8> {
    let name = name.to_lowercase();
    if name == query {
        Some(0)
    } else if name.starts_with(query) {
        Some(1)
    } else if name
        .split([' ', '-', '_'])
        .any(|word| word.starts_with(query))
    {
        Some(2)
    } else {
        name.contains(query).then_some(3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_begin_with_the_text_come_first() {
        assert_eq!(rank("Cat", "cat"), Some(0));
        assert_eq!(rank("Cat", "ca"), Some(1));
        assert_eq!(rank("wild cat", "ca"), Some(2));
        assert_eq!(rank("bobcat", "ca"), Some(3));
        assert_eq!(rank("dog", "ca"), None);
        assert_eq!(rank("dog", ""), Some(1));
    }
}
