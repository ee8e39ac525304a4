//! Changed settings in Import: outdated videos, extracting them again, and their labels.

use egui::{Key, Modifiers};
use salamander::app::{Action, ImportAction};
use salamander::project::{Fps, Sampling};

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_project::{desk, go, press, session};

fn set(desk: &mut Desk, fps: f64, width: u32) {
    let sampling = Sampling {
        fps: Fps(fps),
        width_px: Some(width),
        ..Sampling::default()
    };
    desk.act(Action::Import(ImportAction::SetSampling(sampling)));
}

fn files_in(place: &Place, folder: &str) -> usize {
    std::fs::read_dir(place.path("p").join(folder)).map_or(0, Iterator::count)
}

fn idle(desk: &mut Desk) {
    desk.until("all is done", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        session.import.extracting.is_empty() && harness.state().app().tasks.is_idle()
    });
}

#[test]
fn new_frames_between_labelled_ones_get_their_class() {
    let place = Place::new();
    let mut desk = desk(&place);
    // A stretch of one video is labelled by hand.
    go(&mut desk, "Label");
    desk.click("bars, bars-0.mp4 at 0.4 s");
    desk.key(Modifiers::SHIFT, Key::ArrowRight);
    desk.key(Modifiers::SHIFT, Key::ArrowRight);
    desk.key(Modifiers::NONE, Key::Num3);
    desk.see("moving, 43 frames");
    idle(&mut desk);

    go(&mut desk, "Import");
    // A project that was begun on the command line has its settings.
    assert!(session(&desk).outdated().is_empty());
    set(&mut desk, 10.0, 160);
    assert_eq!(session(&desk).outdated().len(), 12);
    desk.see("other settings");
    press(&mut desk, "Extract all again…");
    desk.see("Extract 12 videos again?");
    desk.see("Label frames between labelled ones");
    press(&mut desk, "Extract again");
    desk.see_part("now have their class");
    idle(&mut desk);
    // 0.5 and 0.7 s are between frames with the label moving; 0.3 and 0.9 s are not.
    assert_eq!(files_in(&place, "classes/moving"), 80 + 3 + 2);
    assert_eq!(files_in(&place, "classes/bars"), 80 - 3 - 2);
    assert!(session(&desk).outdated().is_empty());
    assert_eq!(
        session(&desk).undo_text().as_deref(),
        Some("label 120 frames like their neighbours")
    );

    // One change: one undo.
    desk.key(Modifiers::COMMAND, Key::Z);
    idle(&mut desk);
    assert_eq!(files_in(&place, "classes/moving"), 80 + 3);
    assert_eq!(files_in(&place, "classes/bars"), 80 - 3);
}

#[test]
fn another_width_replaces_what_was_there() {
    let place = Place::new();
    let mut desk = desk(&place);
    go(&mut desk, "Label");
    desk.click("bars, bars-0.mp4 at 0.4 s");
    desk.key(Modifiers::NONE, Key::Num2);
    desk.click("bars, bars-0.mp4 at 0.6 s");
    desk.key(Modifiers::NONE, Key::Num0);
    desk.see("fractal, 41 frames");
    idle(&mut desk);

    go(&mut desk, "Import");
    set(&mut desk, 5.0, 80);
    press(&mut desk, "Extract again bars-0.mp4");
    desk.see("Extract “bars-0.mp4” again?");
    desk.see("Replace them; the new frames get their labels");
    press(&mut desk, "Extract again");
    desk.see_part("10 frames of another width moved to the trash");
    idle(&mut desk);
    assert_eq!(session(&desk).snapshot.counts.total(), 120);
    assert_eq!(files_in(&place, "classes/fractal"), 41);
    assert_eq!(files_in(&place, "unsorted"), 1);
    assert_eq!(files_in(&place, "trash/replaced/classes/bars"), 8);

    // And back: the frames of that width are made again, the labels stay.
    set(&mut desk, 5.0, 160);
    press(&mut desk, "Extract again bars-0.mp4");
    press(&mut desk, "Extract again");
    idle(&mut desk);
    assert_eq!(session(&desk).snapshot.counts.total(), 120);
    assert_eq!(files_in(&place, "classes/fractal"), 41);
    let widths = session(&desk).snapshot.frames.list.iter().map(|frame| {
        image::image_dimensions(place.path("p").join(&frame.path))
            .unwrap()
            .0
    });
    assert!(widths.into_iter().all(|width| width == 160));

    // Undo restores the other width.
    desk.key(Modifiers::COMMAND, Key::Z);
    idle(&mut desk);
    assert_eq!(session(&desk).snapshot.counts.total(), 130);
}

#[test]
fn sources_are_selected_and_changed_together() {
    let place = Place::new();
    let mut desk = desk(&place);
    go(&mut desk, "Import");
    desk.click("bars-0.mp4");
    desk.see("1 selected");
    let click = |desk: &mut Desk, name: &str, modifiers: Modifiers| {
        use egui_kittest::kittest::Queryable as _;
        let node = desk
            .harness
            .get_by_role_and_label(egui::accesskit::Role::Group, name);
        node.click_modifiers(modifiers);
        desk.harness.run_steps(3);
    };
    click(&mut desk, "bars-2.mp4", Modifiers::SHIFT);
    desk.see("3 selected");
    click(&mut desk, "bars-1.mp4", Modifiers::COMMAND);
    desk.see("2 selected");
    desk.click("Class of the selected sources");
    desk.click("moving");
    desk.see("6 sources · 60 frames");
    idle(&mut desk);
    assert_eq!(files_in(&place, "classes/moving"), 60);

    // One undo reverts both.
    desk.key(Modifiers::COMMAND, Key::Z);
    desk.see("Undone: change the class of 2 sources to “moving”");
    idle(&mut desk);
    assert_eq!(files_in(&place, "classes/moving"), 40);
    assert_eq!(files_in(&place, "classes/bars"), 40);
    assert!(!session(&desk).can_undo());
    desk.key(Modifiers::COMMAND.plus(Modifiers::SHIFT), Key::Z);
    desk.see("Redone: change the class of 2 sources to “moving”");
    idle(&mut desk);
    assert_eq!(files_in(&place, "classes/moving"), 60);

    desk.click("Remove the selected sources");
    desk.see("Remove “2 sources”?");
    desk.click("Also move their 20 frames to the trash");
    press(&mut desk, "Remove");
    idle(&mut desk);
    assert_eq!(session(&desk).sources.len(), 10);
    assert_eq!(session(&desk).snapshot.counts.total(), 100);
    assert!(session(&desk).import.selected.is_empty());

    desk.key(Modifiers::COMMAND, Key::A);
    desk.see("10 selected");
    desk.key(Modifiers::NONE, Key::Escape);
    assert!(session(&desk).import.selected.is_empty());
}
