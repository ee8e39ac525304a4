//! The first half of the workflow in the window: a new project, videos, previews of frames, extraction, labelling by
//! keys, undo. With the real engine, by accessible names.

use std::path::Path;

use egui::{Key, Modifiers};
use salamander::app::{Action, Ask, Command};

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_project::press;

const CTRL: Modifiers = Modifiers::COMMAND;

fn desk(place: &Place) -> Desk {
    Desk::new(&place.path("config"), [1440.0, 900.0])
}

/// Creates a project called “Shapes” in the dialog.
fn new_project(desk: &mut Desk, folder: &Path) {
    desk.click("New project…");
    desk.type_into("Project name", "Shapes");
    desk.replace("Folder", folder.to_str().unwrap());
    desk.click("Create project");
    desk.see("Drop videos here");
}

/// Adds files and folders by typing their paths.
fn add(desk: &mut Desk, paths: &[&Path]) {
    desk.key(CTRL, Key::I);
    let lines: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    desk.type_into("Files or folders, one per line", &lines.join("\n"));
    desk.click("Add");
}

fn files_in(dir: &Path) -> usize {
    std::fs::read_dir(dir).map_or(0, Iterator::count)
}

#[test]
fn from_a_new_project_to_labelled_frames() {
    let place = Place::new();
    place.videos();
    let mut desk = desk(&place);
    let projects = place.path("projects");
    new_project(&mut desk, &projects);
    let root = projects.join("Shapes");
    assert!(root.join("project.json").is_file());

    // The videos become sources with the classes of their folders.
    add(&mut desk, &[&place.path("videos")]);
    desk.see("bars-0.mp4");
    desk.see("Class of bars-0.mp4: bars");
    desk.see_part("12 videos · 24 s · about 48 frames");

    // The frames are previewed before anything is written.
    desk.until("previewed frames", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        let first = &session.sources[0];
        let strip = session
            .previews
            .strip(&first.path, &session.import.sampling);
        strip.complete && strip.frames.len() == 4 && (strip.frames[1].0 - 0.5).abs() < 1e-6
    });
    assert_eq!(files_in(&root.join("classes/bars")), 0);

    // One video alone, then all the others.
    desk.click("Extract bars-0.mp4");
    desk.until("frames of one video", |_| {
        files_in(&root.join("classes/bars")) == 4
    });
    desk.see("Frames extracted from 1 video");
    desk.click("Extract all frames");
    desk.see("Frames extracted from 11 videos");
    for class in ["bars", "fractal", "moving"] {
        assert_eq!(files_in(&root.join("classes").join(class)), 16, "{class}");
    }

    // Label: the classes with their counts.
    desk.click("Label");
    desk.see("bars, 16 frames");
    desk.see("unsorted, 0 frames");
    desk.see("bars, bars-0.mp4 at 0.0 s");

    // 0 removes the class, a digit sets another.
    desk.click("bars, bars-0.mp4 at 0.0 s");
    desk.see("1 selected");
    desk.key(Modifiers::NONE, Key::Num0);
    desk.see("unsorted, bars-0.mp4 at 0.0 s");
    desk.until("the file in unsorted/", |_| {
        files_in(&root.join("unsorted")) == 1
    });
    desk.key(Modifiers::NONE, Key::Num2);
    desk.see("fractal, bars-0.mp4 at 0.0 s");
    desk.see("fractal, 17 frames");
    desk.until("the file in its class", |_| {
        files_in(&root.join("classes/fractal")) == 17
    });

    // A range with Shift and the arrows, then undo for both.
    desk.key(Modifiers::SHIFT, Key::ArrowRight);
    desk.key(Modifiers::SHIFT, Key::ArrowRight);
    desk.see("3 selected");
    desk.key(Modifiers::NONE, Key::Num3);
    desk.see("moving, 19 frames");
    desk.until("edit is through", |harness| {
        harness
            .state()
            .app()
            .session
            .as_ref()
            .unwrap()
            .undo_text()
            .is_some_and(|text| text.contains("moving"))
    });
    desk.click("Undo");
    desk.see("moving, 16 frames");
    desk.key(CTRL, Key::Z);
    desk.see("fractal, 16 frames");
    desk.see("unsorted, 1 frame");
    desk.key(CTRL.plus(Modifiers::SHIFT), Key::Z);
    desk.see("fractal, 17 frames");

    // Trash, and back.
    desk.key(CTRL, Key::A);
    desk.see("48 selected");
    desk.key(Modifiers::NONE, Key::Delete);
    desk.see("bars, 0 frames");
    desk.until("an empty class folder", |_| {
        files_in(&root.join("classes/moving")) == 0
    });
    desk.key(CTRL, Key::Z);
    desk.see("moving, 16 frames");
}

#[test]
fn an_import_is_accounted_for_undone_and_done_again() {
    let place = Place::new();
    place.videos();
    std::fs::write(place.path("videos/bars/notes.txt"), "no video").unwrap();
    let mut desk = desk(&place);
    let projects = place.path("projects");
    new_project(&mut desk, &projects);
    let root = projects.join("Shapes");
    add(&mut desk, &[&place.path("videos")]);
    desk.see("Added 12 videos; 1 skipped");
    let sources = |desk: &Desk| {
        let session = desk.harness.state().app().session.as_ref().unwrap();
        (session.sources.len(), session.classes.len())
    };
    desk.until("sources", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        session.sources.len() == 12
    });
    {
        let session = desk.harness.state().app().session.as_ref().unwrap();
        let outcome = session.import.outcome.as_ref().unwrap();
        assert_eq!(outcome.files.len(), 13);
        assert_eq!(session.undo_text().as_deref(), Some("import 12 files"));
    }
    desk.click("Extract bars-0.mp4");
    desk.see("Frames extracted from 1 video");
    // Undo would remove the frames as well: it asks first.
    desk.until("the frames are counted", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        session.undo_text().as_deref() == Some("import 12 files and their 4 frames")
    });
    desk.key(CTRL, Key::Z);
    desk.see("Undo the whole import?");
    press(&mut desk, "Keep");
    assert_eq!(files_in(&root.join("classes/bars")), 4);
    desk.key(CTRL, Key::Z);
    desk.see("Undo the whole import?");
    press(&mut desk, "Undo the import");
    desk.until("nothing", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        session.sources.is_empty() && session.classes.is_empty()
    });
    assert_eq!(files_in(&root.join("classes")), 0);
    desk.key(CTRL.plus(Modifiers::SHIFT), Key::Z);
    desk.until("all of it again", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        session.sources.len() == 12
    });
    assert_eq!(sources(&desk), (12, 3));
    assert_eq!(files_in(&root.join("classes/bars")), 4);
    // The same again adds nothing, with a message.
    add(&mut desk, &[&place.path("videos")]);
    desk.see("Nothing new: 12 already there, 1 skipped");
}

#[test]
fn classes_are_made_renamed_and_deleted() {
    let place = Place::new();
    place.video(
        "videos/bars/a.mp4",
        "smptebars=size=160x120:rate=10,trim=duration=2",
    );
    let mut desk = desk(&place);
    new_project(&mut desk, &place.path("projects"));
    let root = place.path("projects").join("Shapes");
    add(&mut desk, &[&place.path("videos/bars")]);
    desk.see("a.mp4");
    desk.click("Extract a.mp4");
    desk.until("frames", |_| files_in(&root.join("classes/bars")) == 4);
    desk.key(CTRL, Key::Num2);
    desk.see("bars, 4 frames");

    // A name in any script; a second one that differs by case only is refused.
    desk.click("New class");
    desk.type_into("Class name", "猫");
    desk.click("Add class");
    desk.see("猫, 0 frames");
    desk.click("New class");
    desk.type_into("Class name", "BARS");
    desk.click("Add class");
    desk.until("a refusal", |harness| {
        let notes = harness.state().app().notes.list();
        notes.iter().any(|note| note.text.contains("BARS"))
    });
    assert!(!root.join("classes/BARS").exists());

    desk.click("bars, a.mp4 at 0.5 s");
    desk.key(Modifiers::NONE, Key::Num2);
    desk.see("猫, 1 frame");

    desk.menu("猫, 1 frame");
    desk.click("Rename…");
    desk.replace("Class name", "neighbour’s cat");
    desk.click("Rename");
    desk.see("neighbour’s cat, 1 frame");

    desk.menu("neighbour’s cat, 1 frame");
    desk.click("Delete…");
    desk.click("Delete class");
    desk.see("unsorted, 1 frame");
    assert_eq!(files_in(&root.join("unsorted")), 1);
    desk.key(CTRL, Key::Z);
    desk.see("neighbour’s cat, 1 frame");
}

#[test]
fn bad_files_are_told_together_and_harm_nothing() {
    let place = Place::new();
    place.video(
        "videos/ok.mp4",
        "testsrc2=size=160x120:rate=10,trim=duration=1",
    );
    for name in ["empty.mp4", "words.mp4", "noise.mkv"] {
        std::fs::write(place.path("videos").join(name), name.repeat(3)).unwrap();
    }
    std::fs::write(place.path("videos/empty.mp4"), b"").unwrap();
    let mut desk = desk(&place);
    new_project(&mut desk, &place.path("projects"));
    add(&mut desk, &[&place.path("videos")]);
    desk.see("ok.mp4");
    desk.see("Added 1 video; 3 could not be used");
    desk.click("Dismiss");
    desk.until("dismissed", |harness| {
        harness
            .state()
            .app()
            .notes
            .list()
            .iter()
            .all(|note| note.details.is_empty())
    });
}

#[test]
fn the_palette_and_the_start_screen() {
    let place = Place::new();
    let mut desk = desk(&place);
    desk.see("Try the sample");
    desk.key(CTRL, Key::K);
    desk.see("Search commands");
    desk.type_into("Search commands", "new proj");
    desk.key(Modifiers::NONE, Key::Enter);
    desk.see("Create project");
    desk.key(Modifiers::NONE, Key::Escape);
    desk.until("closed", |harness| harness.state().app().dialog.is_none());

    new_project(&mut desk, &place.path("projects"));
    desk.harness
        .state_mut()
        .apply(Action::Command(Command::CloseProject));
    // It is among the recent projects now, and opens from there.
    desk.click("Open Shapes");
    desk.see("Drop videos here");
}

#[test]
fn the_sample_is_one_click_away() {
    let place = Place::new();
    let config = place.path("config");
    std::fs::create_dir_all(&config).unwrap();
    let prefs = serde_json::json!({ "projects_dir": place.path("projects") });
    std::fs::write(config.join("settings.json"), prefs.to_string()).unwrap();
    let mut desk = desk(&place);
    desk.click("Try the sample");
    desk.see_part("15 videos");
    desk.see("cat-1.mp4");
    let sample = place.path("projects/Sample");
    assert_eq!(
        desk.harness.state().app().session.as_ref().unwrap().root,
        sample
    );
    // The second time it is opened, not created again.
    desk.act(Action::Command(Command::CloseProject));
    desk.click("Try the sample");
    desk.see_part("15 videos");
}

#[test]
fn paths_are_typed_where_the_system_has_no_dialogs() {
    let place = Place::new();
    assert_eq!(place.line("new p").code, Some(0));
    place.video("v/bars.mp4", "smptebars=size=64x48:rate=10,trim=duration=1");
    let mut desk = desk(&place);
    desk.click("Open project…");
    desk.type_into("The project’s folder", "p");
    // Paths that depend on the program's working folder are refused.
    desk.see("“p” is not a full path");
    desk.replace("The project’s folder", place.path("p").to_str().unwrap());
    desk.key(Modifiers::NONE, Key::Enter);
    desk.see("Drop videos here");

    // Quotation marks, as file managers copy them, are not part of a path.
    desk.click("Add files…");
    let quoted = format!("\"{}\"", place.path("v/bars.mp4").display());
    desk.type_into("Files or folders, one per line", &quoted);
    desk.key(CTRL, Key::Enter);
    // A single file has no folder for its class, so the class is asked for.
    desk.see("Import 1 file");
    desk.key(Modifiers::NONE, Key::Enter);
    desk.see("bars.mp4");

    // A moved file is located in the same way.
    std::fs::rename(place.path("v"), place.path("w")).unwrap();
    let ask = {
        let session = desk.harness.state().app().session.as_ref().unwrap();
        Ask::Locate(session.sources[0].id.clone())
    };
    desk.act(Action::Ask(ask));
    desk.type_into(
        "Path of the file",
        place.path("w/bars.mp4").to_str().unwrap(),
    );
    desk.click("Use it");
    let moved = place.path("w/bars.mp4");
    desk.until("the source is found", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        session.sources[0].path == moved
    });
}

#[test]
fn labelling_many_frames_at_once_is_previewed_on_a_thread_and_what_follows_waits_for_it() {
    const FRAMES: usize = 3_000;
    let place = Place::new();
    place.result("new p");
    place.result("classes p add cat");
    place.result("classes p add dog");
    for index in 0..FRAMES {
        let path = format!("p/classes/cat/photo {index:05}.jpg");
        std::fs::write(place.path(&path), index.to_le_bytes()).unwrap();
    }
    let mut desk = desk(&place);
    desk.act(Action::OpenProject(place.path("p")));
    desk.see("cat, 3,000 photos");
    // Everything at once, as if it were typed within one frame of the window.
    let window = desk.harness.state_mut();
    for command in [Command::SelectAll, Command::SelectNone, Command::SelectAll] {
        window.apply(Action::Command(command));
    }
    let label = |name: Option<&str>| {
        use salamander::project::{ClassName, Label};
        let label = name.map_or(Label::Unsorted, |name| {
            Label::Class(ClassName::new(name).unwrap())
        });
        Action::Label(salamander::app::LabelAction::Assign(label))
    };
    window.apply(label(None));
    window.apply(label(Some("dog")));
    window.apply(Action::Command(Command::SelectNone));
    desk.see("dog, 3,000 photos");
    desk.until("all of it is done", |harness| {
        let app = harness.state().app();
        app.tasks.is_idle() && app.session.as_ref().unwrap().label.selection.is_empty()
    });
    assert_eq!(files_in(&place.path("p/classes/dog")), FRAMES);
    // Both can be undone, and the selection follows.
    desk.act(Action::Command(Command::SelectAll));
    desk.key(CTRL, Key::Z);
    desk.see("unsorted, 3,000 photos");
    desk.see("3,000 selected");
    desk.key(CTRL, Key::Z);
    desk.see("cat, 3,000 photos");
    desk.see("3,000 selected");
    assert_eq!(files_in(&place.path("p/classes/cat")), FRAMES);
    desk.key(Modifiers::NONE, Key::Delete);
    desk.see("cat, 0 photos");
    desk.until("the frames are in the trash", |_| {
        files_in(&place.path("p/trash/classes/cat")) == FRAMES
    });
}
