//! Drags in the grid: which move frames, and which only select.

use egui::{Event, Modifiers, PointerButton, Pos2, Rect, vec2};
use egui_kittest::kittest::Queryable as _;

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_dialogs::{many_classes, open, rect};

fn button(desk: &Desk, pos: Pos2, pressed: bool) {
    desk.harness.event(Event::PointerButton {
        pos,
        button: PointerButton::Primary,
        pressed,
        modifiers: Modifiers::NONE,
    });
}

/// Presses at `from`, holds for `held` frames of the window (a quarter of a second each), moves to `to` and releases.
fn drag(desk: &mut Desk, from: Pos2, held: usize, to: Pos2) {
    desk.harness.hover_at(from);
    desk.harness.run_steps(2);
    button(desk, from, true);
    desk.harness.run_steps(held);
    for part in [0.3, 0.6, 1.0] {
        desk.harness.event(Event::PointerMoved(from.lerp(to, part)));
        desk.harness.step();
    }
    desk.harness.step();
    button(desk, to, false);
    desk.harness.run_steps(4);
    desk.until("edits are through", |harness| {
        harness.state().app().tasks.is_idle()
    });
}

fn selected(desk: &Desk) -> usize {
    let session = desk.harness.state().app().session.as_ref().unwrap();
    session.label.selection.len()
}

fn files_in(place: &Place, class: &str) -> usize {
    std::fs::read_dir(place.path("p/classes").join(class))
        .unwrap()
        .count()
}

fn frame(desk: &Desk, index: usize) -> Rect {
    rect(desk, &format!("cat, cat {index:03}.png"))
}

fn desk(place: &Place) -> Desk {
    many_classes(place, &["cat", "dog"], 30);
    let mut desk = open(place, [1440.0, 900.0]);
    desk.see("cat, cat 000.png");
    desk
}

#[test]
fn a_drag_from_an_empty_place_is_a_rubber_band_wherever_it_ends() {
    let place = Place::new();
    let mut desk = desk(&place);
    let (first, second) = (frame(&desk, 0), frame(&desk, 1));
    let between = Pos2::new(first.right().midpoint(second.left()), first.center().y);
    let dog = rect(&desk, "dog, 30 photos").center();
    // So quick that the pointer is far from where it was pressed when the window sees it.
    drag(&mut desk, between, 1, dog);
    assert_eq!((files_in(&place, "cat"), files_in(&place, "dog")), (30, 30));
    let below = frame(&desk, 2).center() + vec2(0.0, 200.0);
    drag(&mut desk, between, 1, below);
    assert!(selected(&desk) >= 4, "{}", selected(&desk));
}

#[test]
fn a_quick_drag_from_a_frame_that_is_not_selected_selects() {
    let place = Place::new();
    let mut desk = desk(&place);
    let dog = rect(&desk, "dog, 30 photos").center();
    let from = frame(&desk, 0).center();
    drag(&mut desk, from, 1, dog);
    assert_eq!((files_in(&place, "cat"), files_in(&place, "dog")), (30, 30));
    let from = frame(&desk, 16).center();
    let to = frame(&desk, 19).center();
    drag(&mut desk, from, 1, to);
    assert_eq!(selected(&desk), 4);
    // An unsteady click is no drag.
    let from = frame(&desk, 5).center();
    button(&desk, from, true);
    desk.harness.step();
    desk.harness
        .event(Event::PointerMoved(from + vec2(5.0, 0.0)));
    desk.harness.step();
    button(&desk, from + vec2(5.0, 0.0), false);
    desk.harness.run_steps(3);
    assert_eq!(selected(&desk), 1);
}

#[test]
fn held_a_frame_is_moved_and_a_selection_at_once() {
    let place = Place::new();
    let mut desk = desk(&place);
    let dog = rect(&desk, "dog, 30 photos").center();
    let from = frame(&desk, 0).center();
    drag(&mut desk, from, 3, dog);
    assert_eq!((files_in(&place, "cat"), files_in(&place, "dog")), (29, 31));
    let (from, to) = (frame(&desk, 3).center(), frame(&desk, 5).center());
    drag(&mut desk, from, 1, to);
    assert_eq!(selected(&desk), 3);
    let dog = rect(&desk, "dog, 31 photos").center();
    let from = frame(&desk, 4).center();
    drag(&mut desk, from, 1, dog);
    assert_eq!((files_in(&place, "cat"), files_in(&place, "dog")), (26, 34));
    assert!(desk.harness.query_by_label("cat, 26 photos").is_some());
}
