//! A window on a small project, and common actions of tests of its later workspaces.

use egui::accesskit::Role;
use egui::{Key, Modifiers};
use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, Session, TrainState};

use crate::cli_program::Place;
use crate::window::Desk;

/// A window on the project of [`Place::project`], once it is read.
pub fn desk(place: &Place) -> Desk {
    place.project();
    let mut desk = Desk::new(&place.path("config"), [1440.0, 900.0]);
    let project = place.path("p");
    desk.harness.state_mut().apply(Action::OpenProject(project));
    desk.until("the runs are read", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| session.train.runs_known)
    });
    desk
}

pub fn session(desk: &Desk) -> &Session {
    desk.harness.state().app().session.as_ref().unwrap()
}

/// Waits until something holds of the train workspace's state.
pub fn train_until(desk: &mut Desk, what: &str, done: impl Fn(&TrainState) -> bool) {
    desk.until(what, |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| done(&session.train))
    });
}

/// Opens a step with the rail.
pub fn go(desk: &mut Desk, step: &str) {
    desk.harness.get_by_role_and_label(Role::Tab, step).click();
    desk.harness.run_steps(3);
}

/// Presses a button; a notification may have the same, and either will do.
pub fn press(desk: &mut Desk, button: &str) {
    let name = button.to_owned();
    desk.until(button, |harness| {
        harness
            .query_all_by_role_and_label(Role::Button, &name)
            .next()
            .is_some()
    });
    desk.harness
        .query_all_by_role_and_label(Role::Button, button)
        .next()
        .unwrap()
        .click();
    desk.harness.run_steps(3);
}

/// Clicks on an element that may be below the edge of the settings.
pub fn scroll_and_click(desk: &mut Desk, label: &str) {
    let found = desk.harness.query_all_by_label(label).next();
    found.unwrap().scroll_to_me();
    desk.harness.run_steps(4);
    desk.click(label);
}

/// Chooses the item of an open list that begins with this text; its numbers follow.
pub fn press_part(desk: &mut Desk, begin: &str) {
    let find = |node: &egui_kittest::Node<'_>| {
        use egui_kittest::kittest::NodeT as _;
        let node = node.accesskit_node();
        node.role() == Role::ListBoxOption
            && node.label().is_some_and(|label| label.starts_with(begin))
    };
    let name = begin.to_owned();
    desk.until(begin, move |harness| {
        harness
            .query_all_by_label_contains(&name)
            .any(|node| find(&node))
    });
    desk.harness
        .query_all_by_label_contains(begin)
        .find(|node| find(node))
        .unwrap()
        .click();
    desk.harness.run_steps(3);
}

/// Types a number into one of the fields of the settings.
pub fn set_number(desk: &mut Desk, field: &str, text: &str) {
    desk.harness
        .get_by_role_and_label(Role::SpinButton, field)
        .click();
    desk.harness.run_steps(3);
    desk.key(Modifiers::COMMAND, Key::A);
    desk.harness.event(egui::Event::Text(text.to_owned()));
    desk.harness.run_steps(2);
    desk.key(Modifiers::NONE, Key::Enter);
}
