//! The dialogs: what is asked, the fields, the buttons.

use std::path::{Path, PathBuf};

use egui::{
    Align, Context, CornerRadius, Frame, Grid, Id, Key, Label, Layout, Margin, Modal, Modifiers,
    RichText, ScrollArea, TextEdit, Ui, vec2,
};

use super::Cx;
use super::icons;
use super::theme::{self, tokens};
use super::widgets::{
    self, accent_button, button, danger_button, field_label, key_cap, spinner, text_field,
};
use crate::app::{
    Action, Ask, ClassRule, Command, Dialog, EvaluateAction, ExportAction, ImportAction,
    LabelAction, NewClassThen, PathPurpose, words,
};
use crate::project::ClassName;

/// Which dialog was painted last, so that a new one takes the keyboard.
#[derive(Default)]
pub struct View {
    shown: Option<std::mem::Discriminant<Dialog>>,
}

/// How a dialog ends.
enum End {
    Open,
    Close,
}

/// Paints the dialog, if there is one.
pub fn dialogs_ui(ctx: &Context, cx: &mut Cx<'_>, dialog: &mut Option<Dialog>, view: &mut View) {
    let Some(shown) = dialog else {
        view.shown = None;
        return;
    };
    let kind = std::mem::discriminant(shown);
    let fresh = view.shown != Some(kind);
    view.shown = Some(kind);
    let t = if ctx.global_style().visuals.dark_mode {
        &theme::DARK
    } else {
        &theme::LIGHT
    };
    let modal = Modal::new(Id::unique("dialog"))
        .backdrop_color(t.backdrop)
        .frame(
            Frame::popup(&ctx.global_style())
                .corner_radius(CornerRadius::same(theme::RADIUS_LARGE))
                .inner_margin(Margin::same(20)),
        )
        .show(ctx, |ui| {
            ui.set_width(match shown {
                Dialog::Shortcuts => 620.0,
                _ => 440.0,
            });
            ui.spacing_mut().item_spacing.y = 8.0;
            dialog_ui(ui, cx, shown, fresh)
        });
    let quitting = cx.app.is_quitting();
    if matches!(modal.inner, End::Close) || (modal.should_close() && !quitting) {
        *dialog = None;
    }
}

fn dialog_ui(ui: &mut Ui, cx: &mut Cx<'_>, dialog: &mut Dialog, fresh: bool) -> End {
    match dialog {
        Dialog::NewProject {
            name,
            folder,
            files,
        } => new_project_ui(ui, cx, name, folder, files, fresh),
        Dialog::Path { purpose, text, why } => path_ui(ui, cx, purpose, text, *why, fresh),
        Dialog::NewClass { name, then } => new_class_ui(ui, cx, name, then, fresh),
        Dialog::RenameClass { from, name } => rename_class_ui(ui, cx, from, name, fresh),
        Dialog::RemoveClass { name, frames } => remove_class_ui(ui, cx, name, *frames),
        Dialog::RemoveSource {
            id,
            name,
            frames,
            trash,
        } => {
            title_ui(ui, &format!("Remove “{}”?", words::shorten(name, 40)));
            if *frames == 0 {
                words_ui(
                    ui,
                    "The video is taken off the list. Its file stays where it is.",
                );
            } else {
                words_ui(
                    ui,
                    "The video is taken off the list. Its file stays where it is.",
                );
                let label = format!("Also move its {} to the trash", words::frames(*frames));
                ui.checkbox(trash, label);
            }
            let mut end = End::Open;
            buttons_ui(ui, |ui| {
                if danger_button(ui, Some(icons::TRASH), "Remove").clicked() {
                    cx.act(Action::Import(ImportAction::Remove(id.clone(), *trash)));
                    end = End::Close;
                }
                if button(ui, None, "Keep").clicked() {
                    end = End::Close;
                }
            });
            end
        }
        Dialog::Quit => quit_ui(ui, cx),
        Dialog::Shortcuts => shortcuts_ui(ui, cx),
    }
}

fn title_ui(ui: &mut Ui, words: &str) {
    ui.label(widgets::heading(words));
}

fn words_ui(ui: &mut Ui, words: &str) {
    let t = tokens(ui);
    ui.add(Label::new(widgets::muted(t, words).line_height(Some(19.0))).wrap());
}

/// The row of buttons at the end, the main one at the right.
fn buttons_ui(ui: &mut Ui, add: impl FnOnce(&mut Ui)) {
    ui.add_space(8.0);
    ui.allocate_ui_with_layout(
        vec2(ui.available_width(), theme::CONTROL_HEIGHT),
        Layout::right_to_left(Align::Center),
        add,
    );
}

fn confirmed(ui: &Ui) -> bool {
    ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::Enter))
}

fn new_project_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    name: &mut String,
    folder: &mut String,
    files: &[PathBuf],
    fresh: bool,
) -> End {
    let t = tokens(ui);
    title_ui(ui, "New project");
    field_label(ui, "Name");
    let field = text_field(ui, "Project name", name, "Pets at the door");
    if fresh {
        field.request_focus();
    }
    field_label(ui, "Folder");
    ui.horizontal(|ui| {
        if cx.app.options.system_dialogs {
            let width = ui.available_width() - 100.0;
            ui.allocate_ui(vec2(width, theme::CONTROL_HEIGHT), |ui| {
                text_field(ui, "Folder", folder, "");
            });
            let choose = button(ui, None, "Choose…");
            if choose
                .on_hover_text("Choose the folder in which the project's folder is made")
                .clicked()
            {
                cx.act(Action::Ask(Ask::ProjectsFolder));
            }
        } else {
            text_field(ui, "Folder", folder, "");
        }
    });
    let cleaned = name.trim();
    let root = Path::new(folder.trim()).join(folder_name(cleaned));
    let ready = !cleaned.is_empty() && Path::new(folder.trim()).is_absolute();
    let words = if cleaned.is_empty() {
        "The project becomes a folder of its own.".to_owned()
    } else if ready {
        words::shorten(&root.to_string_lossy(), 64)
    } else {
        "The folder must be a full path.".to_owned()
    };
    ui.label(widgets::faint(t, words));
    if !files.is_empty() {
        ui.label(widgets::small(
            t,
            format!(
                "What you dropped is added to it ({}).",
                words::count(files.len() as u64, "item", "items")
            ),
        ));
    }
    let mut end = End::Open;
    let go = ready && confirmed(ui);
    buttons_ui(ui, |ui| {
        let create = ui
            .add_enabled_ui(ready, |ui| accent_button(ui, None, "Create project"))
            .inner;
        if create.clicked() || go {
            cx.act(Action::CreateProject {
                root: root.clone(),
                name: cleaned.to_owned(),
                files: files.to_vec(),
            });
            end = End::Close;
        }
        if button(ui, None, "Cancel").clicked() {
            end = End::Close;
        }
    });
    end
}

/// A folder name for a project name: what some file system refuses becomes a dash.
fn folder_name(name: &str) -> String {
    let cleaned: String = name
        .chars()
        .map(|c| match c {
            '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|' => '-',
            c if c.is_control() => '-',
            c => c,
        })
        .collect();
    cleaned.trim_end_matches(['.', ' ']).to_owned()
}

fn path_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    purpose: &PathPurpose,
    text: &mut String,
    why: Option<&str>,
    fresh: bool,
) -> End {
    let t = tokens(ui);
    let (title, label, hint, go_label, many) = match purpose {
        PathPurpose::OpenProject => (
            "Open project",
            "Folder of the project",
            "/home/me/Documents/Salamander/Pets",
            "Open",
            false,
        ),
        PathPurpose::AddFiles => (
            "Add videos and photos",
            "Files or folders, one a line",
            "/home/me/Videos/cat\n/home/me/Videos/dog.mp4",
            "Add",
            true,
        ),
        PathPurpose::Predict => (
            "Predict on videos and photos",
            "Files or folders, one a line",
            "/home/me/Videos/new.mp4",
            "Predict",
            true,
        ),
        PathPurpose::ExportFolder => (
            "Export into another folder",
            "Folder; it is made when it is not there",
            "/home/me/Documents/model",
            "Use it",
            false,
        ),
        PathPurpose::Locate(_) => (
            "Where is the video now?",
            "Path of the file",
            "/home/me/Videos/hallway.mp4",
            "Use it",
            false,
        ),
    };
    title_ui(ui, title);
    if let Some(why) = why {
        words_ui(ui, why);
    }
    field_label(ui, label);
    // Return makes a new line where there are several; Ctrl+Return goes on.
    let go_on = many && ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::Enter));
    let field = if many {
        ui.add(
            TextEdit::multiline(text)
                .hint_text(RichText::new(hint).color(t.faint))
                .margin(Margin::symmetric(10, 8))
                .desired_rows(4)
                .desired_width(f32::INFINITY),
        )
        .accessible_name(label)
    } else {
        text_field(ui, label, text, hint)
    };
    if fresh {
        field.request_focus();
    }
    let paths: Vec<PathBuf> = text
        .lines()
        .map(|line| line.trim().trim_matches('"'))
        .filter(|line| !line.is_empty())
        .map(PathBuf::from)
        .collect();
    let relative = paths.iter().find(|path| !path.is_absolute());
    if let Some(path) = relative {
        let words = format!("“{}” is not a full path", path.display());
        ui.label(widgets::faint(t, words));
    }
    let ready = !paths.is_empty() && relative.is_none();
    let go = ready && (go_on || (!many && confirmed(ui)));
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        let ok = ui
            .add_enabled_ui(ready, |ui| accent_button(ui, None, go_label))
            .inner;
        if ok.clicked() || go {
            let first = paths.first().cloned().unwrap_or_default();
            cx.act(match purpose {
                PathPurpose::OpenProject => Action::OpenProject(first),
                PathPurpose::AddFiles => Action::Import(ImportAction::Add(paths.clone())),
                PathPurpose::Predict => Action::Evaluate(EvaluateAction::Predict(paths.clone())),
                PathPurpose::ExportFolder => Action::Export(ExportAction::Dir(Some(first))),
                PathPurpose::Locate(id) => Action::Import(ImportAction::Locate(id.clone(), first)),
            });
            end = End::Close;
        }
        if button(ui, None, "Cancel").clicked() {
            end = End::Close;
        }
    });
    end
}

/// A field for the name of a class, with what is wrong with it. Returns whether it can be used.
fn class_field_ui(ui: &mut Ui, cx: &Cx<'_>, name: &mut String, fresh: bool) -> bool {
    let t = tokens(ui);
    field_label(ui, "Name");
    let field = text_field(ui, "Class name", name, "cat");
    if fresh {
        field.request_focus();
    }
    let trimmed = name.trim();
    let known = cx.app.session.as_ref().is_some_and(|session| {
        session
            .classes
            .iter()
            .any(|class| class.name.as_str() == trimmed)
    });
    let wrong = if trimmed.is_empty() {
        None
    } else if known {
        Some("There is a class of this name already".to_owned())
    } else {
        ClassName::new(trimmed).err().map(|error| error.to_string())
    };
    let ok = !trimmed.is_empty() && wrong.is_none();
    match wrong {
        Some(wrong) => {
            ui.label(RichText::new(wrong).size(theme::TYPE_SMALL).color(t.danger));
        }
        None => {
            ui.label(widgets::faint(
                t,
                "On disk a class is a folder of this name.",
            ));
        }
    }
    ok
}

fn new_class_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    name: &mut String,
    then: &NewClassThen,
    fresh: bool,
) -> End {
    title_ui(ui, "New class");
    let ready = class_field_ui(ui, cx, name, fresh);
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
                NewClassThen::Source(id) => {
                    cx.act(Action::Import(ImportAction::SetNewClass(id.clone(), name)));
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

fn rename_class_ui(
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
    let ready = class_field_ui(ui, cx, name, fresh);
    let go = ready && confirmed(ui);
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        let rename = ui
            .add_enabled_ui(ready, |ui| accent_button(ui, None, "Rename"))
            .inner;
        if rename.clicked() || go {
            let to = name.trim().to_owned();
            cx.act(Action::Label(LabelAction::RenameClass(from.clone(), to)));
            end = End::Close;
        }
        if button(ui, None, "Cancel").clicked() {
            end = End::Close;
        }
    });
    end
}

fn remove_class_ui(ui: &mut Ui, cx: &mut Cx<'_>, name: &ClassName, frames: usize) -> End {
    title_ui(
        ui,
        &format!("Delete “{}”?", words::shorten(name.as_str(), 40)),
    );
    words_ui(
        ui,
        &if frames == 0 {
            "The class has no frames.".to_owned()
        } else {
            format!(
                "Its {} become unsorted; nothing is deleted from disk. You can undo this.",
                words::frames(frames)
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

fn quit_ui(ui: &mut Ui, cx: &mut Cx<'_>) -> End {
    if cx.app.is_quitting() {
        ui.horizontal(|ui| {
            spinner(ui, 20.0);
            title_ui(ui, "Finishing what must not be cut…");
        });
        return End::Open;
    }
    title_ui(ui, "Quit while something is running?");
    let titles: Vec<&str> = cx
        .app
        .tasks
        .running()
        .iter()
        .filter(|task| task.is_shown())
        .map(|task| task.title.as_str())
        .collect();
    let what = titles.first().copied().unwrap_or("A job");
    words_ui(
        ui,
        &format!("“{what}” is not finished. What is done is kept; the rest can be done next time."),
    );
    let mut end = End::Open;
    buttons_ui(ui, |ui| {
        if danger_button(ui, None, "Cancel it and quit").clicked() {
            cx.act(Action::QuitNow);
        }
        if button(ui, None, "Stay").clicked() {
            end = End::Close;
        }
    });
    end
}

fn shortcuts_ui(ui: &mut Ui, cx: &mut Cx<'_>) -> End {
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
        if cx.app.session.is_some() {
            ui.add_space(0.0);
        }
    });
    if ui.input_mut(|input| input.consume_key(Modifiers::NONE, Key::F1)) {
        end = End::Close;
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_name_becomes_a_folder_name() {
        assert_eq!(folder_name("Pets at the door"), "Pets at the door");
        assert_eq!(folder_name("a/b: c?"), "a-b- c-");
        assert_eq!(folder_name("猫と犬…"), "猫と犬…");
        assert_eq!(folder_name("trailing. "), "trailing");
    }
}
