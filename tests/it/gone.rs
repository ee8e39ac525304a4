//! A project's folder that disappears while it is in use, and comes back; and files that other programs move
//! meanwhile.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, LabelAction, Session, TrainAction, Workspace};
use salamander::project::Label;

use crate::cli_program::{Place, Ran, copy_dir};
use crate::window::Desk;
use crate::window_project::{desk, session};

/// All files below a folder.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// Starts a line, moves the project away once `begun`, and returns the error message.
fn moved_away_during(place: &Place, line: &str, begun: impl Fn() -> bool) -> String {
    let child = place
        .command(&line.split(' ').collect::<Vec<_>>())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let start = Instant::now();
    while !begun() {
        assert!(
            start.elapsed() < Duration::from_mins(2),
            "{line} never began"
        );
        std::thread::sleep(Duration::from_millis(2));
    }
    std::fs::rename(place.path("p"), place.path("away")).unwrap();
    let ran = Ran::of(&child.wait_with_output().unwrap());
    let message = ran.failure(line);
    assert!(!place.path("p").exists(), "{line} made it again: {message}");
    std::fs::rename(place.path("away"), place.path("p")).unwrap();
    message
}

#[test]
fn jobs_end_with_the_one_sentence_and_make_nothing_again() {
    let place = Place::new();
    place.project();
    let frames = || files(&place.path("p/classes")).len();
    let before = frames();
    let line = "import p videos --class-from folder --fps 10 --width 80 --replace";
    let message = moved_away_during(&place, line, || frames() > before + 3);
    assert!(message.contains("is no longer there"), "{line}: {message}");

    let line = "train p --depth head --how-many-training-steps 2000000 --testing-percentage 25";
    let checkpoint = || {
        std::fs::read_dir(place.path("p/runs")).is_ok_and(|runs| {
            runs.flatten()
                .any(|run| run.path().join("checkpoint.safetensors").exists())
        })
    };
    let message = moved_away_during(&place, line, checkpoint);
    assert!(message.contains("is no longer there"), "{line}: {message}");

    // Once it is back, everything is there and the run can be resumed.
    let runs = place.path("p/runs");
    let run = std::fs::read_dir(runs).unwrap().next().unwrap().unwrap();
    assert!(run.path().join("run.json").exists());
    place.result("import p videos --class-from folder --fps 10 --width 80 --replace");
}

fn frame_count(desk: &Desk) -> usize {
    session(desk).snapshot.frames.list.len()
}

/// Waits until the window shows this many frames.
fn until_frames(desk: &mut Desk, count: usize) {
    desk.until(&format!("{count} frames"), |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| session.snapshot.frames.list.len() == count)
    });
}

#[test]
fn the_window_says_that_the_project_is_gone_and_goes_on_when_it_is_back() {
    let place = Place::new();
    let mut desk = desk(&place);
    desk.act(Action::Go(Workspace::Label));
    let (root, away) = (place.path("p"), place.path("away"));
    std::fs::rename(&root, &away).unwrap();
    desk.see_part("“p” is no longer there");
    let frame = session(&desk).snapshot.frames.list[0].path.clone();
    desk.assign(vec![frame.clone()], Label::Unsorted);
    desk.act(Action::Label(LabelAction::AddClass("cow".into(), false)));
    desk.act(Action::Train(TrainAction::Start));
    desk.act(Action::Dropped(vec![place.path("videos")]));
    desk.harness.state_mut().apply(Action::Go(Workspace::Train));
    desk.harness.run_steps(20);
    desk.harness.state_mut().apply(Action::Go(Workspace::Label));
    desk.rest();
    assert!(!root.exists(), "made again");
    assert_eq!(frame_count(&desk), 120, "what was known stays on screen");

    std::fs::rename(&away, &root).unwrap();
    desk.until("it is back", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(Session::can_change)
    });
    assert!(
        desk.harness
            .query_by_label_contains("is no longer there")
            .is_none()
    );
    assert_eq!(desk.harness.state().app().workspace, Workspace::Label);
    desk.assign(vec![frame.clone()], Label::Unsorted);
    desk.until("it is moved", |_| !root.join(&frame).exists());

    // A copy in its place (the same drive, plugged in again) is another folder: it is opened and locked again.
    desk.rest();
    copy_dir(&root, &place.path("copy"));
    std::fs::rename(&root, &away).unwrap();
    desk.see_part("“p” is no longer there");
    std::fs::rename(place.path("copy"), &root).unwrap();
    desk.until("it is back", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| session.can_change() && session.train.runs_known)
    });
    assert_eq!(desk.harness.state().app().workspace, Workspace::Label);
    assert_eq!(frame_count(&desk), 120);
    let message = place.failure("classes p add cow");
    assert!(
        message.contains("is open in another Salamander"),
        "{message}"
    );
}

#[cfg(target_os = "linux")]
#[test]
fn an_unplugged_drive_leaves_an_empty_folder_that_stays_empty() {
    let place = Place::new();
    let drive = place.path("p");
    std::fs::create_dir(&drive).unwrap();
    let mount = || {
        let done = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "none"])
            .arg(&drive)
            .output();
        done.is_ok_and(|done| done.status.success())
    };
    if !mount() {
        eprintln!("SKIPPED: no drive can be mounted here");
        return;
    }
    let mut desk = desk(&place);
    // A file that is being written at that moment may end up in the folder below the mount point.
    desk.rest();
    let unplugged = std::process::Command::new("umount")
        .arg("-l")
        .arg(&drive)
        .status();
    assert!(unplugged.unwrap().success());
    desk.see_part("“p” is no longer there");
    for workspace in [Workspace::Import, Workspace::Label, Workspace::Train] {
        desk.act(Action::Go(workspace));
        desk.harness.run_steps(20);
    }
    desk.act(Action::Label(LabelAction::AddClass("cow".into(), false)));
    desk.rest();
    assert!(files(&drive).is_empty(), "{:?}", files(&drive));
    assert_eq!(std::fs::read_dir(&drive).unwrap().count(), 0);
}

#[test]
fn files_that_others_move_show_by_themselves_and_own_changes_cause_no_scans_for_ever() {
    let place = Place::new();
    let mut desk = desk(&place);
    desk.act(Action::Go(Workspace::Label));
    let root = place.path("p");
    let idle = |desk: &mut Desk| {
        desk.rest();
        let since = Instant::now();
        desk.until("a while", |_| since.elapsed() > Duration::from_millis(1500));
        desk.harness.state().app().scans()
    };
    idle(&mut desk);
    assert_eq!(frame_count(&desk), 120);

    // Without the window getting the focus.
    let one = files(&root.join("classes/bars"))[0].clone();
    std::fs::copy(&one, root.join("classes/bars/copy.jpg")).unwrap();
    until_frames(&mut desk, 121);
    std::fs::create_dir(root.join("classes/cow")).unwrap();
    std::fs::rename(&one, root.join("classes/cow/1.jpg")).unwrap();
    desk.until("the class", |harness| {
        let session = harness.state().app().session.as_ref().unwrap();
        session.classes.len() == 4 && session.snapshot.counts.labelled == 121
    });
    std::fs::rename(root.join("classes/cow/1.jpg"), root.join("unsorted/1.jpg")).unwrap();
    desk.until("the unsorted frame", |harness| {
        harness
            .state()
            .app()
            .session
            .as_ref()
            .unwrap()
            .snapshot
            .counts
            .unsorted
            == 1
    });

    let before = idle(&mut desk);
    assert_eq!(idle(&mut desk), before, "nothing happens, nothing is read");
    let frames: Vec<String> = session(&desk)
        .snapshot
        .frames
        .list
        .iter()
        .take(50)
        .map(|f| f.path.clone())
        .collect();
    desk.assign(frames, Label::Unsorted);
    let after = idle(&mut desk);
    assert!(
        after - before <= 2,
        "{} scans for one change",
        after - before
    );
    assert_eq!(idle(&mut desk), after);
    // A thousand new files cause a few scans, not a thousand.
    for number in 0..1000 {
        std::fs::copy(
            files(&root.join("classes/moving"))[0].clone(),
            root.join(format!("unsorted/many-{number}.jpg")),
        )
        .unwrap();
    }
    until_frames(&mut desk, 1121);
    let scans = idle(&mut desk) - after;
    assert!(scans <= 20, "{scans} scans");
}
