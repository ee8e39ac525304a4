//! Projects from strangers: links to classes and videos elsewhere are read once the user agrees, and never written.

#![cfg(unix)]

use std::os::unix::fs::symlink;
use std::path::Path;

use salamander::app::{Action, Session};

use super::hostile::{Hostile, move_out, whole_project};
use crate::cli_program::Place;
use crate::window::Desk;

#[test]
fn a_linked_class_is_read_once_the_user_agrees_and_never_written() {
    let place = Place::new();
    whole_project(&place);
    std::fs::rename(place.path("p"), place.path("good")).unwrap();
    let hostile = Hostile::make(&place, "a linked class", |root, outside| {
        move_out(root, outside, Path::new("classes/bars"));
    });
    let refused = place.failure("classes p");
    assert!(
        refused.contains("classes/bars") && refused.contains("--follow-links"),
        "{refused}"
    );
    let listed = place.result("classes p --follow-links");
    let bars = &listed["classes"][0];
    assert_eq!(
        (bars["name"].as_str(), bars["frames"].as_u64()),
        (Some("bars"), Some(40))
    );
    let trained = place.result(
        "train p --follow-links --depth head --how-many-training-steps 20 --architecture efficientnet-lite0@96 --testing-percentage 25",
    );
    assert_eq!(trained["classes"].as_array().unwrap().len(), 3);
    for line in [
        "classes p --follow-links remove bars",
        "label p moving p/classes/bars --follow-links",
        "import p more --class-from folder --fps 1 --follow-links",
    ] {
        hostile.does(line, &[0, 1]);
    }
    // In the window the answer is remembered, outside the project.
    let mut desk = Desk::new(&place.path("config"), [1000.0, 700.0]);
    desk.act(Action::OpenProject(place.path("p")));
    desk.see("Read linked folders");
    desk.click("Read linked folders");
    let opened = |session: Option<&Session>| session.is_some();
    desk.until("the project", |harness| {
        opened(harness.state().app().session.as_ref())
    });
    desk.rest();
    drop(desk);
    let mut desk = Desk::new(&place.path("config"), [1000.0, 700.0]);
    desk.act(Action::OpenProject(place.path("p")));
    desk.until("the project", |harness| {
        opened(harness.state().app().session.as_ref())
    });
    hostile.nothing_changed("the window");
    // The link now points elsewhere: the answer does not apply to it.
    drop(desk);
    std::fs::remove_file(place.path("p/classes/bars")).unwrap();
    symlink(place.path("outside"), place.path("p/classes/bars")).unwrap();
    let mut desk = Desk::new(&place.path("config"), [1000.0, 700.0]);
    desk.act(Action::OpenProject(place.path("p")));
    desk.see("Read linked folders");
}

#[test]
fn the_videos_of_a_stranger_are_opened_once_the_user_agrees() {
    let place = Place::new();
    place.project();
    let posters = || std::fs::read_dir(place.path("p/cache/posters")).map_or(0, Iterator::count);
    let desk = || {
        let mut desk = Desk::of_a_stranger(&place.path("config"), [1200.0, 800.0]);
        desk.act(Action::OpenProject(place.path("p")));
        desk.until("the project", |harness| {
            harness.state().app().session.is_some()
        });
        crate::window_project::go(&mut desk, "Import");
        desk
    };
    let mut first = desk();
    first.see("Open the project’s videos");
    first.rest();
    assert_eq!(posters(), 0);
    let session = first.harness.state().app().session.as_ref().unwrap();
    assert!(!session.sources.is_empty());
    for source in &session.sources {
        let strip = session
            .previews
            .strip(&source.path, &session.import.sampling);
        assert!(strip.frames.is_empty() && !strip.complete);
        assert!(session.previews.known_facts(&source.path).is_none());
    }
    first.click("Open the project’s videos");
    first.until("the posters", |_| posters() > 0);
    drop(first);
    std::fs::remove_dir_all(place.path("p/cache/posters")).unwrap();
    let mut again = desk();
    again.until("the posters", |_| posters() > 0);
}
