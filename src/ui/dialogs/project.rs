//! Creating a project: its name and the place of its folder.

use std::path::{Path, PathBuf};

use egui::{RichText, Ui, vec2};

use super::{End, buttons_ui, confirmed, message_ui, title_ui};
use crate::app::{Action, Ask, MakeAction, ProjectSite, words};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, accent_button, button, field_label, text_field};

pub(super) fn new_project_ui(
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
                .on_hover_text("Choose where to create the project’s folder")
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
    let complete = !cleaned.is_empty() && Path::new(folder.trim()).is_absolute();
    let site = if complete {
        if let Some(ask) = cx.app.place.ask(&root) {
            cx.act(ask);
        }
        cx.app.place.site(&root).cloned()
    } else {
        None
    };
    let message = match &site {
        Some(ProjectSite::Project) => {
            let words = format!(
                "A project “{}” already exists here.",
                words::shorten(cleaned, 40)
            );
            RichText::new(words).color(t.danger)
        }
        Some(ProjectSite::Refused(why)) => RichText::new(words::sentence(why)).color(t.danger),
        Some(ProjectSite::Free) | None => {
            let words = if cleaned.is_empty() {
                "The project will be a folder of its own.".to_owned()
            } else if complete {
                words::shorten(&root.to_string_lossy(), 64)
            } else {
                "Give the full path of the folder.".to_owned()
            };
            widgets::faint(t, words)
        }
    };
    message_ui(ui, 3, message);
    let there = site == Some(ProjectSite::Project);
    // While the check is still running it may be tried: existing files are never overwritten.
    let ready = complete && matches!(site, None | Some(ProjectSite::Free));
    if !files.is_empty() {
        ui.label(widgets::small(
            t,
            format!(
                "What you dropped will be imported into it ({}).",
                words::count(files.len() as u64, "item")
            ),
        ));
    }
    let mut end = End::Open;
    let go = (ready || there) && confirmed(ui);
    buttons_ui(ui, |ui| {
        if there {
            let open = accent_button(ui, Some(icons::FOLDER_OPEN), "Open it");
            if open.on_hover_text("Open the existing project").clicked() || go {
                cx.act(Action::OpenAndAdd(root.clone(), files.to_vec()));
                end = End::Close;
            }
        } else {
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
        }
        if button(ui, None, "Cancel").clicked() {
            end = End::Close;
        }
        if files.iter().any(|path| path.extension().is_none()) {
            let make = button(ui, None, "Make a model…");
            let tip = "Import what you dropped, train, evaluate and export in one go";
            if make.on_hover_text(tip).clicked() {
                cx.act(Action::Make(MakeAction::Offer(files.to_vec())));
                end = End::Close;
            }
        }
    });
    end
}

/// The folder name for a project name: characters that some file systems reject become dashes.
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
