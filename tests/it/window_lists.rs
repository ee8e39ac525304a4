//! Lists of classes: as long as there is room, with all classes reachable; different places have different scroll
//! positions.

use egui::{Rect, Vec2, pos2, vec2};
use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, Workspace};

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_dialogs::{many_classes, open, rect};

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("class {n:02}")).collect()
}

fn project(place: &Place, count: usize) {
    let names = names(count);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    many_classes(place, &names, 1);
}

/// The visible rows `class …, 1 photo`, from top to bottom.
fn rows(desk: &Desk, inside: Rect) -> Vec<Rect> {
    let mut rows: Vec<Rect> = desk
        .harness
        .query_all_by_label_contains(", 1 photo")
        .map(|node| node.rect())
        .filter(|rect| inside.contains_rect(rect.shrink(1.0)))
        .collect();
    rows.sort_by(|a, b| a.top().total_cmp(&b.top()));
    rows
}

/// Turns the wheel over a point.
fn scroll(desk: &mut Desk, at: egui::Pos2, points: f32) {
    desk.harness.hover_at(at);
    desk.harness.event(egui::Event::MouseWheel {
        unit: egui::MouseWheelUnit::Point,
        delta: vec2(0.0, -points),
        phase: egui::TouchPhase::Move,
        source: egui::MouseWheelSource::Wheel,
        modifiers: egui::Modifiers::NONE,
    });
    desk.harness.run_steps(30);
}

#[test]
fn the_class_list_uses_the_room_there_is_and_scrolls_to_the_last() {
    for count in [3, 10, 20, 60] {
        let place = Place::new();
        project(&place, count);
        for size in [[800.0, 600.0], [1440.0, 900.0]] {
            let mut desk = open(&place, size);
            desk.see("class 01, 1 photo");
            desk.harness.run_steps(4);
            let at = format!("{count} classes at {size:?}");
            let unsorted = rect(&desk, "unsorted, 0 photos");
            let room = Rect::from_min_max(pos2(0.0, 0.0), pos2(size[0], unsorted.top()));
            let seen = rows(&desk, room);
            // 38 points per row with 2 between them; the rest above and below needs at most 410.
            let fits = ((size[1] - 410.0) / 40.0) as usize;
            assert!(
                seen.len() >= count.min(fits),
                "{at}: {} rows, {fits} would fit",
                seen.len()
            );
            let gap = unsorted.top() - seen.last().unwrap().bottom();
            assert!(
                gap < 42.0,
                "{at}: {gap} points below the last row are empty"
            );
            if count > seen.len() {
                scroll(&mut desk, seen[1].center(), 10_000.0);
            }
            let last = format!("class {count:02}, 1 photo");
            desk.see(&last);
            assert!(room.contains_rect(rect(&desk, &last).shrink(1.0)), "{at}");
        }
    }
}

#[test]
fn the_menu_of_a_frame_reaches_every_class_within_the_window() {
    for count in [3, 20, 60] {
        let place = Place::new();
        project(&place, count);
        let size = [800.0, 600.0];
        let mut desk = open(&place, size);
        desk.menu("class 01, class 01 000.png");
        desk.see("Move to trash");
        let window = Rect::from_min_size(pos2(0.0, 0.0), Vec2::from(size));
        for line in ["class 01", "unsorted", "Move to trash"] {
            let rect = rect(&desk, line);
            assert!(window.contains_rect(rect), "{count}: {line} at {rect}");
        }
        let last = format!("class {count:02}");
        if count > 10 {
            let first = rect(&desk, "class 01");
            scroll(&mut desk, first.center(), 10_000.0);
        }
        desk.see(&last);
        desk.click(&last);
        desk.see(&format!("{last}, class 01 000.png"));
    }
}

#[test]
fn what_is_scrolled_stays_with_its_project() {
    let place = Place::new();
    project(&place, 40);
    std::fs::rename(place.path("p"), place.path("q")).unwrap();
    project(&place, 40);
    let mut desk = open(&place, [1440.0, 700.0]);
    let first = "class 01, 1 photo";
    desk.see(first);
    let at = rect(&desk, first).center();
    scroll(&mut desk, at, 10_000.0);
    assert!(desk.harness.query_by_label(first).is_none());
    // Another project begins at its top.
    let other = place.path("q");
    desk.act(Action::OpenProject(other.clone()));
    desk.until("the other project is read", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| session.root == other)
    });
    desk.act(Action::Go(Workspace::Label));
    desk.see(first);
    // The first has its old scroll position.
    desk.act(Action::OpenProject(place.path("p")));
    let root = place.path("p");
    desk.until("the first project is read", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| session.root == root)
    });
    desk.act(Action::Go(Workspace::Label));
    desk.see("class 40, 1 photo");
    assert!(desk.harness.query_by_label(first).is_none());
}
