//! Parts from other computers, dropped on the window or chosen by a command.

use std::fs;
use std::path::{Path, PathBuf};

use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, Command, Workspace};
use salamander::project::{ContentId, Project, Source, SourceKind};

use crate::cli_program::Place;
use crate::kill::contents;
use crate::window::Desk;

const TAKING: &str = "--class-from folder --fps 5 --width 160";

/// Makes six parts of the twelve videos in “parts”, and the empty project “q”.
fn make_parts(place: &Place) {
    place.videos();
    place.result("new q");
    let list = format!("shards q videos --out l.jsonl --size 0.06 {TAKING} --no-bottlenecks");
    assert_eq!(place.result(&list)["shards"], 6);
    for shard in 1..=6 {
        place.result(&format!("work --shard l.jsonl:{shard} --out parts"));
    }
}

/// A window with the project “q”.
fn desk(place: &Place) -> Desk {
    let mut desk = Desk::new(&place.path("config"), [1440.0, 900.0]);
    desk.act(Action::OpenProject(place.path("q")));
    desk.see("Drop videos here");
    desk.rest();
    desk
}

fn frames(place: &Place) -> usize {
    contents(&place.path("q/classes")).len()
}

#[test]
fn a_dropped_folder_of_parts_is_merged_and_undone_as_an_import() {
    let place = Place::new();
    make_parts(&place);
    let mut desk = desk(&place);
    desk.act(Action::Dropped(vec![place.path("parts")]));
    desk.see("Merged 6 of 6 parts: 12 videos, 120 frames");
    desk.rest();
    assert_eq!(frames(&place), 120);
    place_is_as_imported(&place);
    desk.act(Action::UndoNow);
    desk.see("Drop videos here");
    desk.rest();
    assert_eq!(frames(&place), 0);
}

#[test]
fn trainings_of_other_machines_come_in_as_runs_of_the_sweep() {
    let place = Place::new();
    place.project();
    place.result(
        "sweep p --architectures efficientnet-lite0@96 --depths head --set seed=0,1 --how-many-training-steps 10 --out t.jsonl",
    );
    place.result("work --shard t.jsonl:2 --out runs");
    let mut desk = Desk::new(&place.path("config"), [1440.0, 900.0]);
    desk.act(Action::OpenProject(place.path("p")));
    desk.see_part("120 frames");
    desk.rest();
    desk.act(Action::Dropped(vec![place.path("runs")]));
    // Where their progress is shown too.
    assert_eq!(desk.harness.state().app().workspace, Workspace::Train);
    desk.see_part("Merged 1 of 2 trainings into the sweep");
    desk.see_part("1 of 2 parts are missing (shard 1)");
    desk.rest();
    // In the list of runs.
    desk.see("Runs");
    assert_eq!(fs::read_dir(place.path("p/runs")).unwrap().count(), 1);
    place.result("work --shard t.jsonl:1 --out runs");
    desk.act(Action::Dropped(vec![place.path("runs")]));
    desk.see_part("Merged 2 of 2 trainings into the sweep");
    desk.rest();
    assert_eq!(fs::read_dir(place.path("p/runs")).unwrap().count(), 2);
}

/// The frames are those of an import on one computer.
fn place_is_as_imported(place: &Place) {
    place.result("new p");
    place.result(&format!("import p videos {TAKING}"));
    let classes = |project: &str| contents(&place.path(project).join("classes"));
    assert!(classes("p") == classes("q"));
}

#[test]
fn missing_and_damaged_parts_are_named_and_the_rest_is_merged() {
    let place = Place::new();
    make_parts(&place);
    fs::remove_dir_all(place.path("parts/part-000002")).unwrap();
    let manifest = place.path("parts/part-000005/manifest.json");
    let mut bytes = fs::read(&manifest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&manifest, bytes).unwrap();
    let mut desk = desk(&place);
    // By the command, with typed folders.
    desk.act(Action::Command(Command::MergeParts));
    let parts = place.path("parts");
    desk.type_into("Folders of parts, one per line", parts.to_str().unwrap());
    desk.click("Merge");
    desk.see_part("Merged 4 of 6 parts: 8 videos, 80 frames");
    desk.see_part("2 of 6 parts are missing (shards 2, 5)");
    desk.rest();
    assert_eq!(frames(&place), 80);
}

#[test]
fn parts_among_other_files_are_merged_and_the_others_imported() {
    let place = Place::new();
    make_parts(&place);
    place.video("more/cat/new.mp4", "testsrc=size=160x120:rate=10:d=1");
    let mut desk = desk(&place);
    // As if the whole folder were selected: two parts, and the list.
    let dropped = ["parts/part-000001", "parts/part-000002", "more"].map(|name| place.path(name));
    desk.act(Action::Dropped(dropped.to_vec()));
    desk.see_part("Merged 2 of 6 parts: 4 videos, 40 frames");
    desk.see("new.mp4");
    desk.rest();
    assert_eq!(frames(&place), 40);
    // The list stands for its folder.
    desk.act(Action::Dropped(vec![place.path("parts/shards.jsonl")]));
    desk.see_part("Merged 6 of 6 parts: 8 videos, 80 frames");
    desk.rest();
    assert_eq!(frames(&place), 120);
}

/// Whether a class has a complete frame. Files may be renamed meanwhile.
fn has_a_frame(classes: &Path) -> bool {
    let entries = |dir: &Path| std::fs::read_dir(dir).into_iter().flatten().flatten();
    entries(classes).any(|class| {
        let mut files = entries(&class.path());
        files.any(|file| file.path().extension().is_some_and(|name| name == "jpg"))
    })
}

#[test]
fn what_came_in_before_a_cancellation_can_be_undone() {
    let place = Place::new();
    make_parts(&place);
    let mut desk = desk(&place);
    desk.act(Action::Dropped(vec![place.path("parts")]));
    let classes: PathBuf = place.path("q/classes");
    desk.until("the first frames", |harness| {
        let app = harness.state().app();
        has_a_frame(&classes) || app.tasks.is_idle()
    });
    let running = desk.harness.state().app().tasks.running();
    if let Some(id) = running.first().map(|task| task.id) {
        desk.act(Action::CancelTask(id));
    }
    desk.rest();
    let came = frames(&place);
    assert!(came > 0);
    if came < 120 {
        let harness = &desk.harness;
        let words = "Merged 6 of 6 parts";
        assert!(harness.query_by_label_contains(words).is_none());
    }
    desk.act(Action::UndoNow);
    desk.rest();
    assert_eq!(frames(&place), 0);
}

/// A window with a project of films with this recorded duration, whose files do not exist.
fn desk_with_films(place: &Place, name: &str, duration_secs: f64) -> Desk {
    let project = Project::create(&place.path(name), name).unwrap();
    for number in 0..6 {
        let file = format!("{number}.mp4");
        let path = place.path("films/cat").join(&file);
        let id = ContentId::of_bytes(file.as_bytes()).into();
        let source = Source {
            duration_secs: Some(duration_secs),
            ..Source::new(id, SourceKind::Video, file, path)
        };
        project.put_source(source).unwrap();
    }
    drop(project);
    let mut desk = Desk::new(&place.path("config"), [1440.0, 900.0]);
    desk.act(Action::OpenProject(place.path(name)));
    desk.see("5.mp4");
    desk.rest();
    desk
}

#[test]
fn hours_of_film_are_announced_with_the_command_that_divides_them() {
    let place = Place::new();
    let desk = desk_with_films(&place, "short", 10.0);
    let words = "on this computer";
    assert!(desk.harness.query_by_label_contains(words).is_none());
    drop(desk);
    let mut desk = desk_with_films(&place, "long", 500.0 * 3600.0);
    desk.see_part("hours on this computer. Several computers can share the work:");
    let line = format!(
        "salamander shards '{}' '{}' --out shards.jsonl --class-from folder --fps 2 --width 500",
        place.path("long").display(),
        place.path("films/cat").display()
    );
    desk.see(&line);
    desk.see("Copy the command");
}
