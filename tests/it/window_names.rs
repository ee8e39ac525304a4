//! Labelling with more classes than there are digits, finding frames by name, the trash and restoring; the window's
//! size and position.

use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, Command, LabelAction, Show};
use salamander::project::{ClassName, Label, Project};

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_project::{desk, go, session};

fn class(name: &str) -> Label {
    Label::Class(ClassName::new(name).unwrap())
}

fn undo_text(desk: &mut Desk, text: &str) {
    let text = text.to_owned();
    desk.until(&text.clone(), move |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        session.undo_text().as_deref() == Some(text.as_str())
    });
}

#[test]
fn classes_beyond_the_ninth_have_letters_and_names() {
    let place = Place::new();
    place.project();
    let project = Project::open(&place.path("p")).unwrap();
    for number in 4..=33 {
        let name = ClassName::new(&format!("kind {number}")).unwrap();
        project.add_class(&name).unwrap();
    }
    drop(project);
    let mut desk = Desk::new(&place.path("config"), [1440.0, 1400.0]);
    desk.act(Action::OpenProject(place.path("p")));
    desk.see("bars, 40 frames");
    go(&mut desk, "Label");
    desk.click("bars, bars-0.mp4 at 0.0 s");
    desk.key(Modifiers::NONE, Key::Q);
    desk.see("kind 10, bars-0.mp4 at 0.0 s");
    undo_text(&mut desk, "label 1 frame “kind 10”");

    // The thirty-third class has no key; a part of its name is enough.
    desk.key(Modifiers::NONE, Key::L);
    desk.see("Label 1 frame");
    desk.harness.event(egui::Event::Text("33".to_owned()));
    desk.harness.run_steps(2);
    desk.key(Modifiers::NONE, Key::Enter);
    desk.see("kind 33, bars-0.mp4 at 0.0 s");
    undo_text(&mut desk, "label 1 frame “kind 33”");

    // The slash opens it too; the arrows choose; a new name creates a class.
    desk.key(Modifiers::NONE, Key::Slash);
    desk.see("Label 1 frame");
    desk.harness.event(egui::Event::Text("kind 3".to_owned()));
    desk.harness.run_steps(2);
    desk.key(Modifiers::NONE, Key::ArrowDown);
    desk.key(Modifiers::NONE, Key::Enter);
    desk.see("kind 31, bars-0.mp4 at 0.0 s");
    undo_text(&mut desk, "label 1 frame “kind 31”");
    desk.key(Modifiers::NONE, Key::L);
    desk.see("Label 1 frame");
    desk.harness.event(egui::Event::Text("heron".to_owned()));
    desk.harness.run_steps(2);
    desk.see("New class “heron”");
    desk.key(Modifiers::NONE, Key::Enter);
    desk.see("heron, bars-0.mp4 at 0.0 s");
    desk.until("the file in its class", |_| {
        std::fs::read_dir(place.path("p/classes/heron")).is_ok_and(|list| list.count() == 1)
    });
}

#[test]
fn frames_are_found_by_source_and_class() {
    let place = Place::new();
    let mut desk = desk(&place);
    go(&mut desk, "Label");
    desk.key(Modifiers::COMMAND, Key::F);
    desk.see("Find frames");
    desk.harness.event(egui::Event::Text("BARS-2".to_owned()));
    desk.harness.run_steps(3);
    assert_eq!(session(&desk).label.shown.len(), 10);
    desk.see("bars, bars-2.mp4 at 0.0 s");
    desk.key(Modifiers::NONE, Key::Escape);
    assert_eq!(session(&desk).label.find, None);
    assert_eq!(session(&desk).label.shown.len(), 120);

    desk.key(Modifiers::COMMAND, Key::F);
    desk.harness.event(egui::Event::Text("fract".to_owned()));
    desk.harness.run_steps(3);
    assert_eq!(session(&desk).label.shown.len(), 40);

    // The palette finds sources and classes from anywhere.
    go(&mut desk, "Train");
    desk.key(Modifiers::COMMAND, Key::P);
    desk.see("Search commands");
    desk.harness.event(egui::Event::Text("moving-3".to_owned()));
    desk.harness.run_steps(3);
    desk.see("Show source “moving-3.mp4”");
    desk.key(Modifiers::NONE, Key::Enter);
    desk.see("moving, moving-3.mp4 at 0.0 s");
    assert_eq!(session(&desk).label.shown.len(), 10);
    desk.key(Modifiers::COMMAND, Key::K);
    desk.harness
        .event(egui::Event::Text("class fractal".to_owned()));
    desk.harness.run_steps(3);
    desk.key(Modifiers::NONE, Key::Enter);
    assert_eq!(session(&desk).label.shown.len(), 40);
    assert_eq!(session(&desk).label.show, Show::Label(class("fractal")));
}

#[test]
fn frames_come_back_from_the_trash_or_go_for_good() {
    let place = Place::new();
    let mut desk = desk(&place);
    go(&mut desk, "Label");
    desk.see("Trash, 0 frames");
    let paths: Vec<String> = (0..4)
        .map(|at| session(&desk).shown_path(at).unwrap().to_owned())
        .collect();
    desk.act(Action::Label(LabelAction::Select(paths.clone(), false)));
    desk.key(Modifiers::NONE, Key::Delete);
    desk.see("Trash, 4 frames");
    desk.see("bars, 36 frames");

    desk.click("Trash, 4 frames");
    desk.see("bars, bars-0.mp4 at 0.0 s");
    assert_eq!(session(&desk).label.shown.len(), 4);
    desk.click("bars, bars-0.mp4 at 0.0 s");
    desk.click("Restore");
    desk.see("bars, 37 frames");
    desk.see("Trash, 3 frames");
    assert!(place.path("p").join(&paths[0]).is_file());
    undo_text(&mut desk, "restore 1 frame");
    desk.key(Modifiers::COMMAND, Key::Z);
    desk.see("Trash, 4 frames");
    desk.key(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
    desk.see("Trash, 3 frames");

    // A class's key restores one under another label.
    desk.click("bars, bars-0.mp4 at 0.2 s");
    desk.key(Modifiers::NONE, Key::Num2);
    desk.see("fractal, 41 frames");
    desk.see("Trash, 2 frames");

    // Permanently: with a question, without undo.
    desk.click("bars, bars-0.mp4 at 0.4 s");
    desk.key(Modifiers::NONE, Key::Delete);
    desk.see("Permanently delete 1 frame?");
    assert!(place.path("p/trash").join(&paths[2]).is_file());
    let button = desk
        .harness
        .get_by_role_and_label(egui::accesskit::Role::Button, "Delete permanently");
    button.click();
    desk.harness.run_steps(3);
    desk.see("Trash, 1 frame");
    assert!(!place.path("p/trash").join(&paths[2]).exists());
    assert!(place.path("p/trash").join(&paths[3]).is_file());
    // Undo restores what still exists.
    for _ in 0..3 {
        desk.act(Action::Command(Command::Undo));
        desk.until("undone", |harness| harness.state().app().tasks.is_idle());
    }
    desk.see("bars, 39 frames");
    desk.see("Trash, 0 frames");
    assert!(
        desk.harness
            .state()
            .app()
            .notes
            .list()
            .iter()
            .all(|note| note.details.is_empty())
    );
}

#[test]
fn the_window_is_where_it_was() {
    let place = Place::new();
    let config = place.path("config");
    let mut desk = Desk::new(&config, [1200.0, 800.0]);
    let at = egui::pos2(40.0, 60.0);
    let inner = egui::Rect::from_min_size(at + egui::vec2(4.0, 24.0), egui::vec2(1200.0, 800.0));
    let show = |desk: &mut Desk, maximized: bool| {
        let root = egui::ViewportId::ROOT;
        let info = desk.harness.input_mut().viewports.entry(root).or_default();
        info.inner_rect = Some(inner);
        info.outer_rect = Some(egui::Rect::from_min_max(at, inner.max));
        info.maximized = Some(maximized);
        desk.harness.run_steps(2);
    };
    show(&mut desk, false);
    let remembered = desk.harness.state().app().prefs.window.unwrap();
    assert_eq!(remembered.at, Some([40.0, 60.0]));
    let [width, height] = remembered.size;
    assert!((width - 1200.0).abs() < 0.5 && (height - 800.0).abs() < 0.5);
    // Maximized, it still remembers its normal size.
    show(&mut desk, true);
    desk.act(Action::QuitNow);
    desk.until("saved", |harness| harness.state().app().tasks.is_idle());
    drop(desk);
    let again = salamander::app::Prefs::load(&config).window.unwrap();
    assert_eq!(
        (again.at, again.size, again.maximized),
        (remembered.at, remembered.size, true)
    );
}
