//! Emptying the trash, in the window and on the command line.

use egui::{Key, Modifiers};
use salamander::app::{Action, Command, LabelAction, TrainAction, words};
use salamander::train::RunId;

use crate::cli_program::Place;
use crate::window_project::{desk, go, session};

#[test]
fn the_window_tells_what_goes_and_asks() {
    let place = Place::new();
    let mut desk = desk(&place);
    // A run, as far as the trash is concerned.
    std::fs::create_dir_all(place.path("p/runs/gone")).unwrap();
    std::fs::write(place.path("p/runs/gone/curves.jsonl"), [b'\n'; 5000]).unwrap();
    std::fs::write(place.path("p/runs/gone/run.json"), "{}").unwrap();
    let remove = TrainAction::Remove(RunId("gone".into()));
    desk.act(Action::Train(remove));
    desk.until("the run is in the trash", |_| {
        place.path("p/trash/runs/gone").is_dir()
    });
    // One frame labelled, then three removed.
    go(&mut desk, "Label");
    desk.see("bars, 40 frames");
    let paths: Vec<String> = (0..4)
        .map(|at| session(&desk).shown_path(at).unwrap().to_owned())
        .collect();
    let label = salamander::project::Label::Unsorted;
    desk.assign(vec![paths[3].clone()], label);
    desk.act(Action::Label(LabelAction::Select(
        paths[..3].to_vec(),
        false,
    )));
    desk.key(Modifiers::NONE, Key::Delete);
    desk.until("the frames are in the trash", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        session.undo_text().as_deref() == Some("remove 3 frames")
    });
    let bytes: u64 = paths[..3]
        .iter()
        .map(|path| place.path("p/trash").join(path).metadata().unwrap().len())
        .sum();

    let ask = |desk: &mut crate::window::Desk| {
        desk.key(Modifiers::COMMAND, Key::K);
        desk.see("Search or run a command");
        let text = egui::Event::Text("empty the trash".into());
        desk.harness.event(text);
        desk.harness.run_steps(3);
        desk.key(Modifiers::NONE, Key::Enter);
    };
    ask(&mut desk);
    desk.see("Empty the trash?");
    desk.see_part(&format!(
        "3 frames and 1 run, {}, will be permanently deleted.",
        words::bytes(bytes + 5002)
    ));
    desk.click("Keep");
    assert!(place.path("p/trash").join(&paths[0]).is_file());

    // The project's menu has it as well.
    desk.click("Project p");
    desk.click("Empty the trash…");
    desk.click("Empty the trash");
    desk.see("The trash is empty; 5 files deleted");
    assert!(!place.path("p/trash").join(&paths[0]).exists());
    assert!(!place.path("p/trash/runs").exists());
    // Deleted frames can no longer be restored by undo; earlier changes can still be undone.
    assert_eq!(
        session(&desk).undo_text().as_deref(),
        Some("unlabel 1 frame")
    );
    desk.act(Action::Command(Command::Undo));
    desk.see("unsorted, 0 frames");

    ask(&mut desk);
    desk.see("The trash is empty");
}

#[test]
fn the_command_line_does_the_same() {
    let place = Place::new();
    place.project();
    let kept = place.path("p/classes/bars");
    let frame = std::fs::read_dir(&kept).unwrap().next().unwrap().unwrap();
    let trash = place.path("p/trash/classes/bars");
    std::fs::create_dir_all(&trash).unwrap();
    std::fs::rename(frame.path(), trash.join(frame.file_name())).unwrap();
    let before = place.result("trash p");
    assert_eq!(
        (&before["frames"], &before["deleted"]),
        (&1.into(), &0.into())
    );
    assert_eq!(
        place.result("trash p --restore p/trash/classes/bars")["restored"],
        1
    );
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 40);
    std::fs::rename(kept.join(frame.file_name()), trash.join(frame.file_name())).unwrap();
    let size = trash.join(frame.file_name()).metadata().unwrap().len();
    assert_eq!(before["bytes"], size);
    assert_eq!(place.result("trash p --empty")["deleted"], 1);
    assert!(!trash.exists());
    assert_eq!(place.result("trash p")["files"], 0);
    assert_eq!(std::fs::read_dir(&kept).unwrap().count(), 39);
}
