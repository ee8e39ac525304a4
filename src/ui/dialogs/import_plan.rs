//! Questions before an import: the class of individual files, whether to keep the split of the folders.

use std::borrow::Cow;
use std::collections::HashMap;

use egui::{Align, Label, Layout, RichText, ScrollArea, Ui};

use super::{End, buttons_ui, confirmed, message_ui, title_ui};
use crate::app::{Action, ImportAction, PlanAnswer, Session, words};
use crate::media::{ImportPlan, PlanGroup};
use crate::project::{ClassName, Split};
use crate::ui::Cx;
use crate::ui::icons::{self, icon};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    self, accent_button, button, choice, class_dot, field_label, menu_item, text_field,
};

pub(super) fn import_plan_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    plan: &ImportPlan,
    answer: &mut PlanAnswer,
    keep_split: &mut bool,
    fresh: bool,
) -> End {
    let t = tokens(ui);
    let Some(session) = &cx.app.session else {
        return End::Close;
    };
    let count = words::count(plan.files() as u64, "file");
    title_ui(ui, &format!("Import {count}"));
    for note in &plan.notes {
        ui.add(Label::new(widgets::muted(t, note)).wrap());
    }
    let alone: usize = loose(plan).map(|group| group.files.len()).sum();
    let mut ready = true;
    if alone > 0 {
        field_label(
            ui,
            &format!(
                "Class of {} outside class folders",
                words::count(alone as u64, "file")
            ),
        );
        class_ui(ui, session, plan, answer);
        if let PlanAnswer::New(name) = answer {
            let field = text_field(ui, "Name of the new class", name, "cat");
            if fresh {
                field.request_focus();
            }
            let wrong = ClassName::new(name.trim()).err();
            let wrong = wrong.filter(|_| !name.is_empty());
            let wrong = wrong.map_or_else(String::new, |wrong| wrong.to_string());
            message_ui(ui, 2, RichText::new(wrong).color(t.danger));
            ready = ClassName::new(name.trim()).is_ok();
        }
    }
    let sides = sides(plan);
    if !sides.is_empty() {
        field_label(ui, "The folders define a split");
        ui.label(widgets::small(t, sides.join(" · ")));
        let keep = ui.checkbox(keep_split, "Keep this split");
        keep.on_hover_text(
            "Off: the folder names are ignored, and the files are split like all others",
        );
        ui.label(widgets::faint(
            t,
            if *keep_split {
                "These files stay on their sides, regardless of the percentages."
            } else {
                "These files are split like all others, by the percentages."
            },
        ));
    }
    groups_ui(ui, session, plan, *keep_split);
    let mut end = End::Open;
    let go = ready && confirmed(ui);
    buttons_ui(ui, |ui| {
        let import = ui
            .add_enabled_ui(ready, |ui| accent_button(ui, None, "Import"))
            .inner;
        if import.clicked() || go {
            let mut plan = plan.clone();
            if let Some(class) = answer.class() {
                plan.answer(&class);
            }
            cx.act(Action::Import(ImportAction::Planned {
                plan: Box::new(plan),
                keep_split: *keep_split,
            }));
            end = End::Close;
        }
        if button(ui, None, "Cancel").clicked() {
            end = End::Close;
        }
    });
    end
}

/// The files whose class only the user knows.
fn loose(plan: &ImportPlan) -> impl Iterator<Item = &PlanGroup> {
    plan.groups
        .iter()
        .filter(|group| group.by_themselves && group.class.is_none() && group.refused.is_none())
}

fn class_ui(ui: &mut Ui, session: &Session, plan: &ImportPlan, answer: &mut PlanAnswer) {
    let selected = match answer {
        PlanAnswer::Unsorted => "Unsorted: sort them by hand".to_owned(),
        PlanAnswer::Class(name) => format!("“{}”", words::shorten(name.as_str(), 30)),
        PlanAnswer::New(_) => "New class".to_owned(),
    };
    let folder = loose(plan)
        .filter_map(|group| group.folder.file_name()?.to_str())
        .find_map(|name| ClassName::new(name).ok());
    choice(
        ui,
        "class of loose files",
        "Class of these files",
        &selected,
        |ui| {
            let mut pick = |ui: &mut Ui, label: &str, to: PlanAnswer| {
                let mark = if *answer == to {
                    icon(icons::CHECK, 14.0)
                } else {
                    RichText::new("")
                };
                if menu_item(ui, None, label, mark).clicked() {
                    *answer = to;
                    ui.close();
                }
            };
            pick(ui, "Unsorted: sort them by hand", PlanAnswer::Unsorted);
            for class in &session.classes {
                let label = format!("“{}”", words::shorten(class.name.as_str(), 30));
                pick(ui, &label, PlanAnswer::Class(class.name.clone()));
            }
            let known = |name: &ClassName| session.classes.iter().any(|class| class.name == *name);
            if let Some(folder) = folder.filter(|name| !known(name)) {
                let label = format!(
                    "“{}”, like their folder",
                    words::shorten(folder.as_str(), 24)
                );
                pick(ui, &label, PlanAnswer::Class(folder));
            }
            pick(ui, "New class…", PlanAnswer::New(String::new()));
        },
    );
}

/// How many files were given for each side: `train 40 files`.
fn sides(plan: &ImportPlan) -> Vec<String> {
    [
        (Split::Train, "train"),
        (Split::Validation, "validation"),
        (Split::Test, "test"),
    ]
    .into_iter()
    .filter_map(|(side, name)| {
        let of_side = plan.groups.iter().filter(|group| group.side == Some(side));
        let files: usize = of_side.map(|group| group.files.len()).sum();
        (files > 0).then(|| format!("{name} {}", words::count(files as u64, "file")))
    })
    .collect()
}

/// What a class gets, or a folder that cannot be a class.
struct ClassRow<'a> {
    name: Cow<'a, str>,
    group: &'a PlanGroup,
    files: usize,
    /// The number of files for training, validation and test.
    sides: [usize; 3],
}

/// One row for each class, over all folders that it comes from.
fn class_rows(plan: &ImportPlan) -> Vec<ClassRow<'_>> {
    let mut rows: Vec<ClassRow<'_>> = Vec::new();
    let mut places: HashMap<&ClassName, usize> = HashMap::new();
    for group in &plan.groups {
        let name = match &group.class {
            Some(class) => Cow::Borrowed(class.as_str()),
            None if group.refused.is_some() => {
                let folder = group.folder.file_name().unwrap_or_default();
                Cow::Owned(words::path(folder))
            }
            None => continue,
        };
        let known = group.class.as_ref().and_then(|class| places.get(class));
        let place = known.copied().unwrap_or(rows.len());
        if place == rows.len() {
            rows.push(ClassRow {
                name,
                group,
                files: 0,
                sides: [0; 3],
            });
            if let Some(class) = &group.class {
                places.insert(class, place);
            }
        }
        if let Some(row) = rows.get_mut(place) {
            row.files += group.files.len();
            let side = group.side.and_then(|side| row.sides.get_mut(side as usize));
            if let Some(count) = side {
                *count += group.files.len();
            }
        }
    }
    rows
}

/// Lists what each class gets.
fn groups_ui(ui: &mut Ui, session: &Session, plan: &ImportPlan, keep_split: bool) {
    const ROW: f32 = 22.0;
    let t = tokens(ui);
    let rows = class_rows(plan);
    if rows.is_empty() {
        return;
    }
    field_label(ui, "Classes");
    ui.spacing_mut().item_spacing.y = 2.0;
    ui.spacing_mut().interact_size.y = ROW;
    ScrollArea::vertical()
        .max_height(180.0)
        .auto_shrink([false, true])
        .show_rows(ui, ROW, rows.len(), |ui, shown| {
            ui.set_max_width(ui.available_width() - widgets::SCROLL_BAR);
            for row in rows.get(shown).unwrap_or_default() {
                ui.horizontal(|ui| {
                    ui.set_height(ROW);
                    ui.spacing_mut().item_spacing.x = 8.0;
                    let class = row.group.class.as_ref();
                    let color = class.and_then(|name| session.class(name));
                    class_dot(ui, color.map(|class| class.color));
                    let label = ui.label(words::shorten(&row.name, 30));
                    label.on_hover_text(words::path(&row.group.folder));
                    if let Some(refused) = &row.group.refused {
                        let text = RichText::new(refused).color(t.danger);
                        ui.add(Label::new(text.size(theme::TYPE_SMALL)).truncate());
                        return;
                    }
                    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                        ui.label(widgets::small(t, row_words(row, keep_split)));
                    });
                });
            }
        });
}

/// `3 files · train 1 · validation 1 · test 1`
fn row_words(row: &ClassRow<'_>, keep_split: bool) -> String {
    let mut parts = vec![words::count(row.files as u64, "file")];
    for (name, count) in ["train", "validation", "test"].into_iter().zip(row.sides) {
        if keep_split && count > 0 {
            parts.push(format!("{name} {}", words::number(count as u64)));
        }
    }
    parts.join(" · ")
}
