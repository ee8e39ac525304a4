//! A film that crashes its decoder, in the window: it is named and set aside, also when the project is opened again,
//! until the user retries it.
//!
//! The crashing library is loaded by the environment, which decoders inherit from their parent process. So the window
//! runs in its own process: this test binary, started again for one test.

use std::path::Path;
use std::process::Command;

use egui_kittest::kittest::Queryable as _;
use salamander::app::Action;

use crate::cli_program::Place;
use crate::decoders::FAULTS;
use crate::preload::preloaded;
use crate::window::Desk;
use crate::window_project::go;

/// The temporary folder of the test that started this process.
const PLACE: &str = "SALAMANDER_TEST_PLACE";
/// Whether decoders crash.
const FAULT: &str = "FAULT";

/// Runs one of the ignored tests below.
fn in_its_own_process(place: &Place, test: &str, library: Option<&Path>) {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "--ignored", "--nocapture"])
        .arg(format!("window_decoder::{test}"))
        .env(PLACE, place.path(""));
    if let Some(library) = library {
        command.env("LD_PRELOAD", library).env(FAULT, "crash");
    }
    let ran = command.output().unwrap();
    let message = String::from_utf8_lossy(&ran.stdout);
    assert!(
        ran.status.success() && message.contains("1 passed"),
        "{test}: {}: {message}{}",
        ran.status,
        String::from_utf8_lossy(&ran.stderr)
    );
}

#[test]
fn a_film_that_crashes_its_decoder_is_set_aside_until_it_is_tried_again() {
    let place = Place::new();
    let film = "testsrc2=size=160x120:rate=10,trim=duration=2";
    place.video("videos/one/film.mp4", film);
    assert_eq!(place.line("new p").code, Some(0));
    place.result("import p videos --class-from folder --fps 1");
    let library = preloaded(&place.path(""), FAULTS);
    in_its_own_process(&place, "it_is_named", Some(&library));
    let remembered = place.path("p/cache/set-aside.json");
    let kept = std::fs::read_to_string(&remembered).unwrap();
    assert!(kept.contains("film.mp4"), "{kept}");
    // Without the library, opening the project again still opens no such film.
    in_its_own_process(&place, "it_is_remembered_and_tried_again", None);
    let kept = std::fs::read_to_string(&remembered).unwrap();
    assert!(!kept.contains("film.mp4"), "{kept}");
    in_its_own_process(&place, "it_is_as_others", None);
}

/// The window of this process, on the Import screen of the project.
fn desk() -> Desk {
    let place = std::env::var_os(PLACE).expect("another test starts this one");
    let place = Path::new(&place);
    let mut desk = Desk::new(&place.join("config"), [1200.0, 800.0]);
    desk.act(Action::OpenProject(place.join("p")));
    desk.until("the project", |harness| {
        harness.state().app().session.is_some()
    });
    go(&mut desk, "Import");
    desk
}

fn posters() -> usize {
    let place = std::env::var_os(PLACE).unwrap();
    std::fs::read_dir(Path::new(&place).join("p/cache/posters")).map_or(0, Iterator::count)
}

/// Waits for the message on the film's card.
fn see_set_aside(desk: &mut Desk) {
    desk.see_part("Skipped: it");
    desk.see("Try film.mp4 again");
    desk.rest();
    assert_eq!(posters(), 0);
}

#[test]
#[ignore = "in a process of its own, started by the test above"]
fn it_is_named() {
    // Twice: the window keeps running, and the second opening decodes nothing.
    for _ in 0..2 {
        let mut desk = desk();
        see_set_aside(&mut desk);
        desk.see_part("crash (signal 11)");
        for step in ["Label", "Train", "Import"] {
            go(&mut desk, step);
        }
        see_set_aside(&mut desk);
    }
    // Retried while it still crashes, it is set aside again.
    let mut desk = desk();
    see_set_aside(&mut desk);
    desk.click("Try film.mp4 again");
    see_set_aside(&mut desk);
}

#[test]
#[ignore = "in a process of its own, started by the test above"]
fn it_is_remembered_and_tried_again() {
    let mut desk = desk();
    see_set_aside(&mut desk);
    desk.click("Try film.mp4 again");
    desk.until("the poster", |_| posters() > 0);
    desk.rest();
    let found = desk
        .harness
        .query_all_by_label("Try film.mp4 again")
        .count();
    assert_eq!(found, 0);
}

#[test]
#[ignore = "in a process of its own, started by the test above"]
fn it_is_as_others() {
    let mut desk = desk();
    desk.see_part("160 × 120");
    desk.rest();
    let found = desk
        .harness
        .query_all_by_label("Try film.mp4 again")
        .count();
    assert_eq!(found, 0);
}
