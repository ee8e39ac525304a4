//! The questions before an import, and the report on every file afterwards.

use std::path::Path;

use egui::accesskit::Role;
use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, ImportAction};

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_project::{go, press, session};

fn photo(path: &Path, shade: u8) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let pixels = image::RgbImage::from_fn(48, 36, |x, y| image::Rgb([shade, x as u8, y as u8]));
    pixels.save(path).unwrap();
}

fn open(place: &Place) -> Desk {
    assert_eq!(place.line("new p").code, Some(0));
    let mut desk = Desk::new(&place.path("config"), [1440.0, 900.0]);
    desk.act(Action::OpenProject(place.path("p")));
    desk.see("Drop videos here");
    desk
}

fn idle(desk: &mut Desk) {
    desk.until("all is done", |harness| {
        harness.state().app().tasks.is_idle()
    });
}

fn files_in(place: &Place, folder: &str) -> usize {
    std::fs::read_dir(place.path("p").join(folder)).map_or(0, Iterator::count)
}

#[test]
fn every_file_is_accounted_for_and_can_be_looked_up() {
    let place = Place::new();
    for shade in 0..4 {
        photo(&place.path(format!("in/cat/cat-{shade}.png")), shade);
        photo(&place.path(format!("in/dog/dog-{shade}.png")), 100 + shade);
    }
    std::fs::rename(
        place.path("in/cat/cat-3.png"),
        place.path("in/cat/same.png"),
    )
    .unwrap();
    std::fs::rename(
        place.path("in/dog/dog-0.png"),
        place.path("in/dog/same.png"),
    )
    .unwrap();
    std::fs::write(place.path("in/cat/notes.txt"), "words").unwrap();
    std::fs::write(place.path("in/dog/broken.png"), b"\x89PNG\r\n\x1a\nno more").unwrap();
    let mut desk = open(&place);
    desk.act(Action::Import(ImportAction::Add(vec![place.path("in")])));
    desk.see_part("Added 8 photos; 1 skipped, 1 could not be used");
    idle(&mut desk);
    assert_eq!(
        (
            files_in(&place, "classes/cat"),
            files_in(&place, "classes/dog")
        ),
        (4, 4)
    );

    press(&mut desk, "Details…");
    desk.see("What happened to each file");
    // The failed ones first, because they are most important.
    desk.see_part("broken.png: ");
    desk.see("all 10");
    desk.click("new 8");
    desk.see("cat-2.png: class “cat”");
    desk.see("cat/same.png: class “cat”");
    desk.see("dog/same.png: class “dog”");
    desk.type_into("Search in names", "DOG-3");
    assert!(desk.harness.query_by_label_contains("cat-2.png").is_none());
    desk.see("dog-3.png: class “dog”");
    desk.replace("Search in names", "notes");
    desk.click("skipped 1");
    desk.see_part("notes.txt: ");
    // It can be opened again later.
    press(&mut desk, "Close");
    desk.key(egui::Modifiers::COMMAND, egui::Key::K);
    desk.see("Search commands");
    desk.harness
        .event(egui::Event::Text("last import".to_owned()));
    desk.harness.run_steps(2);
    desk.key(egui::Modifiers::NONE, egui::Key::Enter);
    desk.see("What happened to each file");
    press(&mut desk, "Undo the import");
    idle(&mut desk);
    assert_eq!(
        (
            files_in(&place, "classes/cat"),
            files_in(&place, "classes/dog")
        ),
        (0, 0)
    );
}

#[test]
fn the_class_of_loose_files_is_asked() {
    let place = Place::new();
    photo(&place.path("Downloads/one.png"), 1);
    photo(&place.path("Downloads/two.png"), 2);
    let mut desk = open(&place);
    let paths = vec![
        place.path("Downloads/one.png"),
        place.path("Downloads/two.png"),
    ];
    desk.act(Action::Import(ImportAction::Add(paths)));
    desk.see("Import 2 files");
    desk.see_part("Class of 2 files outside class folders");
    assert_eq!(files_in(&place, "unsorted"), 0);
    desk.click("Class of these files");
    press(&mut desk, "New class…");
    desk.type_into("Name of the new class", "heron");
    desk.harness
        .get_by_role_and_label(Role::Button, "Import")
        .click();
    desk.harness.run_steps(3);
    desk.see_part("Added 2 photos");
    idle(&mut desk);
    assert_eq!(files_in(&place, "classes/heron"), 2);
}

/// Adds six photos that come in the folders of a split.
fn add_given_split(place: &Place) -> Desk {
    for (side, shade) in [("train", 0), ("val", 50), ("test", 100)] {
        photo(&place.path(format!("in/{side}/cat/a.png")), shade);
        photo(&place.path(format!("in/{side}/dog/b.png")), shade + 1);
    }
    let mut desk = open(place);
    desk.act(Action::Import(ImportAction::Add(vec![place.path("in")])));
    desk
}

#[test]
fn a_given_split_is_shown_before_it_is_kept() {
    let place = Place::new();
    let mut desk = add_given_split(&place);
    desk.see("The folders define a split");
    desk.see("train 2 files · validation 2 files · test 2 files");
    desk.harness
        .get_by_role_and_label(Role::Button, "Import")
        .click();
    desk.harness.run_steps(3);
    desk.see_part("Added 6 photos");
    idle(&mut desk);
    assert_eq!(files_in(&place, "classes/cat"), 3);
}

#[test]
fn a_given_split_can_be_declined() {
    let place = Place::new();
    let mut desk = add_given_split(&place);
    desk.see("These files stay on their sides, regardless of the percentages.");
    desk.click("Keep this split");
    desk.see("These files are split like all others, by the percentages.");
    assert!(desk.harness.query_by_label_contains("· train 1").is_none());
    press(&mut desk, "Import");
    desk.see_part("Added 6 photos");
    idle(&mut desk);
    assert_eq!(files_in(&place, "classes/cat"), 3);
    let sources = &session(&desk).sources;
    assert!(!sources.is_empty());
    assert!(sources.iter().all(|source| source.given_split.is_none()));
}

#[test]
fn what_lies_in_another_class_is_moved_on_request() {
    let place = Place::new();
    photo(&place.path("first/cat/a.png"), 1);
    photo(&place.path("first/dog/b.png"), 2);
    photo(&place.path("second/dog/a.png"), 1);
    photo(&place.path("second/fox/c.png"), 3);
    let mut desk = open(&place);
    desk.act(Action::Import(ImportAction::Add(vec![place.path("first")])));
    desk.see_part("Added 2 photos");
    idle(&mut desk);
    desk.act(Action::Import(ImportAction::Add(vec![
        place.path("second"),
    ])));
    desk.see_part("1 already there, 1 of them in another class");
    idle(&mut desk);
    assert_eq!(files_in(&place, "classes/cat"), 1);
    desk.until("one offer of details", |harness| {
        harness
            .query_all_by_role_and_label(Role::Button, "Details…")
            .count()
            > 0
    });
    desk.harness
        .query_all_by_role_and_label(Role::Button, "Details…")
        .last()
        .unwrap()
        .click();
    desk.harness.run_steps(3);
    desk.see_part("not “dog”; left there");
    press(&mut desk, "Move 1 to the requested class");
    idle(&mut desk);
    assert_eq!(
        (
            files_in(&place, "classes/cat"),
            files_in(&place, "classes/dog")
        ),
        (0, 2)
    );
}

#[test]
fn a_class_is_merged_by_giving_it_anothers_name() {
    let place = Place::new();
    photo(&place.path("in/cat/a.png"), 1);
    photo(&place.path("in/kitten/b.png"), 2);
    let mut desk = open(&place);
    desk.act(Action::Import(ImportAction::Add(vec![place.path("in")])));
    desk.see_part("Added 2 photos");
    idle(&mut desk);
    go(&mut desk, "Label");
    let row = session(&desk)
        .classes
        .iter()
        .position(|class| class.name.as_str() == "kitten");
    assert!(row.is_some());
    let name = desk
        .names()
        .into_iter()
        .find_map(|name| {
            Some(name.strip_prefix("Button ")?.to_owned()).filter(|n| n.starts_with("kitten, "))
        })
        .unwrap();
    desk.menu(&name);
    desk.click("Rename…");
    desk.replace("Class name", "cat");
    desk.see_part("Merging moves ");
    press(&mut desk, "Merge");
    idle(&mut desk);
    assert_eq!(files_in(&place, "classes/cat"), 2);
    assert!(!place.path("p/classes/kitten").exists());
    desk.key(egui::Modifiers::COMMAND, egui::Key::Z);
    idle(&mut desk);
    assert_eq!(
        (
            files_in(&place, "classes/cat"),
            files_in(&place, "classes/kitten")
        ),
        (1, 1)
    );
}

/// A file as passed by the system.
#[derive(Debug)]
struct Dropped(std::path::PathBuf);

impl egui::DroppedFile for Dropped {
    fn path(&self) -> &Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

#[test]
fn files_dropped_on_a_class_get_it() {
    let place = Place::new();
    photo(&place.path("in/cat/a.png"), 1);
    photo(&place.path("in/dog/b.png"), 2);
    photo(&place.path("Downloads/c.png"), 3);
    let mut desk = open(&place);
    desk.act(Action::Import(ImportAction::Add(vec![place.path("in")])));
    desk.see_part("Added 2 photos");
    idle(&mut desk);
    go(&mut desk, "Label");
    let row = desk.harness.get_by_label_contains("dog, 1 ").rect();
    let file = place.path("Downloads/c.png");
    let hovered = egui::HoveredFile {
        path: Some(file.clone()),
        ..egui::HoveredFile::default()
    };
    desk.harness.input_mut().hovered_files = vec![hovered];
    desk.harness.event(egui::Event::PointerMoved(row.center()));
    desk.harness.run_steps(2);
    let input = desk.harness.input_mut();
    input.hovered_files.clear();
    input.dropped_files = vec![std::sync::Arc::new(Dropped(file))];
    desk.harness.run_steps(2);
    desk.see_part("Added 1 photo");
    idle(&mut desk);
    assert_eq!(
        (
            files_in(&place, "classes/cat"),
            files_in(&place, "classes/dog")
        ),
        (1, 2)
    );
}
