//! Dialogs and menus over the window: complete, on top, and closed by Escape; a new project where one already exists.

use egui::accesskit::Role;
use egui::{Key, Modifiers, Rect};
use egui_kittest::kittest::{NodeT as _, Queryable as _};
use salamander::app::{Action, Command, Dialog, LabelAction, Show};
use salamander::project::{ClassName, Label, Noun};

use crate::cli_program::Place;
use crate::window::Desk;

/// A window on a project “p” with a photo in each of two classes.
pub fn two_photos(place: &Place, size: [f32; 2]) -> Desk {
    many_classes(place, &["cat", "dog"], 1);
    open(place, size)
}

/// A project “p” with `frames` small photos in each of these classes.
pub fn many_classes(place: &Place, classes: &[&str], frames: usize) {
    assert_eq!(place.line("new p").code, Some(0));
    for class in classes {
        assert_eq!(place.run(&["classes", "p", "add", class]).code, Some(0));
        for index in 0..frames {
            let path = place.path(format!("p/classes/{class}/{class} {index:03}.png"));
            let level = (index % 250) as u8;
            image::RgbImage::from_pixel(16, 12, image::Rgb([level, 90, 120]))
                .save(path)
                .unwrap();
        }
    }
}

/// A window on the project “p” in the label workspace.
pub fn open(place: &Place, size: [f32; 2]) -> Desk {
    let mut desk = Desk::new(&place.path("config"), size);
    desk.act(Action::OpenProject(place.path("p")));
    desk.until("the project is read", |harness| {
        harness.state().app().session.is_some() && harness.state().app().tasks.is_idle()
    });
    desk.act(Action::Command(Command::GoLabel));
    desk
}

/// The painted rectangle of the element with this accessible name.
pub fn rect(desk: &Desk, label: &str) -> Rect {
    desk.harness
        .query_all_by_label(label)
        .next()
        .unwrap_or_else(|| panic!("no “{label}”"))
        .rect()
}

fn is_seen(desk: &Desk, part: &str) -> bool {
    desk.harness
        .query_all_by_label_contains(part)
        .next()
        .is_some()
}

#[test]
fn the_list_of_shortcuts_says_all_of_each() {
    let place = Place::new();
    for size in [[800.0, 600.0], [1440.0, 900.0]] {
        let mut desk = two_photos_once(&place, size);
        desk.key(Modifiers::NONE, Key::F1);
        desk.see("Keyboard shortcuts");
        for command in Command::ALL {
            if command.shortcut().is_none() {
                continue;
            }
            let text = command.text(Noun::Photo);
            let text = text.trim_end_matches('…');
            let label = desk
                .harness
                .query_all_by_role_and_label(Role::Label, text)
                .next();
            let label = label.unwrap_or_else(|| panic!("“{text}” is not there"));
            let font = egui::FontId::proportional(12.0);
            let needed = desk.harness.ctx.fonts_mut(|fonts| {
                let galley = fonts.layout_no_wrap(text.to_owned(), font, egui::Color32::WHITE);
                galley.size()
            });
            let lines = (label.rect().height() / needed.y).round();
            assert!(
                label.rect().width() * lines >= needed.x - 1.0,
                "“{text}” is cut at {size:?}: {} for {needed}",
                label.rect()
            );
        }
        desk.key(Modifiers::NONE, Key::Escape);
        desk.until("closed", |harness| harness.state().app().dialog.is_none());
    }
}

fn two_photos_once(place: &Place, size: [f32; 2]) -> Desk {
    if place.path("p").exists() {
        open(place, size)
    } else {
        two_photos(place, size)
    }
}

#[test]
fn escape_closes_the_menu_of_a_frame_and_only_that() {
    let place = Place::new();
    let mut desk = two_photos(&place, [1440.0, 900.0]);
    desk.click("cat, cat 000.png");
    desk.see("1 selected");
    desk.menu("cat, cat 000.png");
    desk.see("Move to trash");
    desk.key(Modifiers::NONE, Key::Escape);
    desk.until("the menu is closed", |harness| {
        harness.query_all_by_label("Move to trash").next().is_none()
    });
    assert!(is_seen(&desk, "1 selected"));
    desk.key(Modifiers::NONE, Key::Escape);
    desk.until("nothing is selected", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        session.label.selection.is_empty()
    });
}

#[test]
fn no_tooltip_lies_above_a_dialog() {
    let place = Place::new();
    let mut desk = two_photos(&place, [1440.0, 900.0]);
    let button = rect(&desk, "Search or run a command");
    desk.harness.hover_at(button.center());
    let tip = "Find a command by typing part of its name";
    desk.see_part(tip);
    // By the keyboard, so that the pointer stays where it is.
    desk.key(Modifiers::NONE, Key::F1);
    desk.see("Keyboard shortcuts");
    desk.harness.run_steps(4);
    let tips = desk.harness.query_all_by_label_contains(tip).count();
    assert_eq!(tips, 0, "{}", desk.names().join("\n"));
    // The dialog itself gets the pointer.
    desk.click("Close");
    desk.until("closed", |harness| harness.state().app().dialog.is_none());
}

#[test]
fn a_project_of_photos_speaks_of_photos() {
    let place = Place::new();
    many_classes(&place, &["cat", "dog"], 3);
    let mut desk = open(&place, [1440.0, 900.0]);
    desk.click("cat, cat 000.png");
    desk.key(Modifiers::NONE, Key::L);
    desk.see("Label 1 photo");
    desk.key(Modifiers::NONE, Key::Escape);
    desk.key(Modifiers::NONE, Key::Delete);
    desk.see("Trash, 1 photo");
    let texts = |desk: &Desk| {
        let session = desk.harness.state().app().session.as_ref().unwrap();
        (session.undo_text(), session.redo_text())
    };
    desk.until("it can be undone", |harness| {
        harness.state().app().tasks.is_idle()
    });
    assert_eq!(texts(&desk).0.as_deref(), Some("remove 1 photo"));
    desk.key(Modifiers::COMMAND, Key::Z);
    desk.see("Undone: remove 1 photo");
    desk.until("it can be done again", |harness| {
        harness.state().app().tasks.is_idle()
    });
    assert_eq!(texts(&desk).1.as_deref(), Some("remove 1 photo"));
    desk.key(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
    desk.see("Trash, 1 photo");

    desk.key(Modifiers::COMMAND, Key::F);
    desk.see("Find photos");
    desk.see("5 photos");
    desk.harness.event(egui::Event::Text("nothing".to_owned()));
    desk.see("No photos here");
    desk.key(Modifiers::NONE, Key::Escape);

    desk.click("Trash, 1 photo");
    desk.see("Select photos to restore them; a class’s key gives them that class.");
    desk.click("cat, cat 000.png");
    desk.key(Modifiers::NONE, Key::Delete);
    desk.see("Permanently delete 1 photo?");
    desk.see("This cannot be undone.");
    desk.key(Modifiers::NONE, Key::Escape);

    for command in [Command::GoTrain, Command::GoEvaluate, Command::Shortcuts] {
        desk.act(Action::Command(command));
        desk.harness.run_steps(4);
        let frames: Vec<String> = desk
            .names()
            .into_iter()
            .filter(|name| name.to_lowercase().contains("frame"))
            // Frames that are not extracted yet.
            .filter(|name| !name.contains("Extract all frames"))
            .collect();
        assert!(frames.is_empty(), "{frames:?}");
    }
}

#[test]
fn a_class_is_not_refused_its_own_name() {
    let place = Place::new();
    let mut desk = two_photos(&place, [1440.0, 900.0]);
    let name = ClassName::new("cat").unwrap();
    desk.act(Action::Open(Dialog::RenameClass {
        from: name,
        name: "cat".to_owned(),
    }));
    desk.see("Rename “cat”");
    assert!(!is_seen(&desk, "already"));
    desk.replace("Class name", "cats");
    desk.click("Rename");
    desk.see("cats, 1 photo");
}

#[test]
fn a_new_project_where_one_is_closes_nothing_and_offers_to_open_it() {
    let place = Place::new();
    assert_eq!(place.line("new There").code, Some(0));
    let mut desk = two_photos(&place, [1440.0, 900.0]);
    let root = |desk: &Desk| {
        let session = desk.harness.state().app().session.as_ref();
        session.map(|session| session.root.clone())
    };
    desk.act(Action::Command(Command::NewProject));
    desk.replace("Folder", place.path("").to_str().unwrap());
    desk.type_into("Project name", "There");
    desk.see("A project “There” already exists here.");
    assert!(!is_seen(&desk, "Create project"));
    assert_eq!(root(&desk), Some(place.path("p")));
    desk.click("Open it");
    let there = place.path("There");
    desk.until("the other project is open", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| session.root == there)
    });

    // An unexpected failure closes nothing either.
    let taken = place.path("p");
    desk.act(Action::CreateProject {
        root: taken,
        name: "p".to_owned(),
        files: Vec::new(),
    });
    desk.see_part("is already a Salamander project");
    assert_eq!(root(&desk), Some(place.path("There")));

    // A folder with other files is refused while its name is typed.
    std::fs::create_dir(place.path("Full")).unwrap();
    std::fs::write(place.path("Full/letter.txt"), "Dear").unwrap();
    desk.act(Action::Command(Command::NewProject));
    desk.replace("Folder", place.path("").to_str().unwrap());
    desk.type_into("Project name", "Full");
    desk.see_part("letter.txt");
}

#[test]
fn the_title_names_the_project() {
    let place = Place::new();
    many_classes(&place, &["cat"], 1);
    let mut desk = Desk::new(&place.path("config"), [800.0, 600.0]);
    // Not with `act`: the title is sent in one frame, and each frame is checked.
    let open = Action::OpenProject(place.path("p"));
    desk.harness.state_mut().apply(open);
    let title = egui::ViewportCommand::Title("p – Salamander".to_owned());
    desk.until("the title", |harness| {
        let output = &harness.output().viewport_output;
        output
            .get(&egui::ViewportId::ROOT)
            .is_some_and(|viewport| viewport.commands.contains(&title))
    });
}

#[test]
fn a_frame_that_is_shown_large_has_the_place_of_the_grid() {
    let place = Place::new();
    let mut desk = two_photos(&place, [1440.0, 900.0]);
    desk.act(Action::Label(LabelAction::Show(Show::Label(Label::Class(
        ClassName::new("cat").unwrap(),
    )))));
    desk.click("cat, cat 000.png");
    desk.key(Modifiers::NONE, Key::Space);
    desk.see("Close preview");
    // Nothing of the grid is visible at its edges.
    assert!(!is_seen(&desk, "cat, cat 000.png"));
    desk.key(Modifiers::NONE, Key::Escape);
    desk.see("cat, cat 000.png");
    let node = desk.harness.get_by_label("cat, cat 000.png");
    assert_eq!(node.accesskit_node().role(), Role::Image);
}
