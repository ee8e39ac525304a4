//! A read-only project, and one that another process has open: both can be viewed, evaluated and exported.
#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use egui_kittest::kittest::Queryable as _;
use salamander::app::{Action, Command as WindowCommand, Session, Workspace};
use salamander::project::{Label, Project};

use crate::cli_program::Place;
use crate::window::Desk;
use crate::window_project::session;

const TRAIN: &str = "train p --depth head --how-many-training-steps 20 --testing-percentage 25";

/// A folder that is read-only while this value exists: by a read-only mount for root, who ignores permissions,
/// otherwise by permissions.
struct ReadOnly {
    dir: PathBuf,
    mounted: bool,
}

impl ReadOnly {
    fn make(dir: &Path) -> Option<Self> {
        let root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
        if !root {
            set_writable(dir, false);
            return Some(Self {
                dir: dir.to_owned(),
                mounted: false,
            });
        }
        let mount = |args: &[&str]| {
            let done = Command::new("mount").args(args).arg(dir).output();
            done.is_ok_and(|done| done.status.success())
        };
        let path = dir.to_str().unwrap();
        if !mount(&["--bind", path]) {
            eprintln!("SKIPPED: this root may not mount anything");
            return None;
        }
        let made = Self {
            dir: dir.to_owned(),
            mounted: true,
        };
        assert!(mount(&["-o", "remount,ro,bind"]));
        Some(made)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        if self.mounted {
            let done = Command::new("umount").arg("-l").arg(&self.dir).status();
            assert!(done.unwrap().success());
        } else {
            set_writable(&self.dir, true);
        }
    }
}

fn set_writable(path: &Path, writable: bool) {
    let metadata = std::fs::metadata(path).unwrap();
    let mode = metadata.permissions().mode();
    let mode = if writable {
        mode | 0o200
    } else {
        mode & !0o222
    };
    let set = || std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    if writable {
        set();
    }
    if metadata.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            set_writable(&entry.unwrap().path(), writable);
        }
    }
    if !writable {
        set();
    }
}

/// All files with their sizes and modification times.
fn state(dir: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(state(&path));
        } else {
            let facts = std::fs::metadata(&path).unwrap();
            found.insert(path, (facts.len(), facts.mtime(), facts.mtime_nsec()));
        }
    }
    found
}

/// Commands that read, and commands that would change something.
fn check(place: &Place, run: &str, accuracy: &serde_json::Value) {
    let classes = place.result("classes p");
    assert_eq!(classes["classes"].as_array().unwrap().len(), 3);
    assert_eq!(place.result("evaluate p")["test_accuracy"], *accuracy);
    let video = "videos/bars/bars-0.mp4";
    let predicted = place.result(&format!("predict p/runs/{run} {video} --fps 1"));
    assert!(predicted["predictions"].as_u64().unwrap() > 0);
    let features = place.result("features p --out f.safetensors");
    assert_eq!(features["frames"], 120);
    let exported = place.result("export p --out model");
    assert_eq!(exported["files"][0]["top1_agreement"], 1.0);
    std::fs::remove_dir_all(place.path("model")).unwrap();
    assert_eq!(
        place.result("sources p")["sources"]
            .as_array()
            .unwrap()
            .len(),
        12
    );
    assert_eq!(place.result("trash p")["frames"], 0);
}

fn changes(run: &str) -> Vec<String> {
    [
        "classes p add cow",
        "classes p rename bars stripes",
        "classes p remove bars",
        "label p unsorted p/classes/bars",
        "import p videos --class-from folder --fps 3 --width 160",
        "trash p --empty",
        TRAIN,
        &format!("train p --resume {run} --how-many-training-steps 40"),
    ]
    .map(str::to_owned)
    .to_vec()
}

#[test]
fn a_project_that_cannot_be_written_is_open_for_looking() {
    let place = Place::new();
    place.project();
    let trained = place.result(TRAIN);
    let run = trained["run"].as_str().unwrap();
    let Some(_read_only) = ReadOnly::make(&place.path("p")) else {
        return;
    };
    let before = state(&place.path("p"));
    check(&place, run, &trained["test_accuracy"]);
    for line in changes(run) {
        let message = place.failure(&line);
        assert!(message.contains("is open read-only"), "{line}: {message}");
    }
    let message = place.failure("export p");
    assert!(message.contains("p/exports"), "{message}");
    assert!(
        message.contains("choose another folder with --out"),
        "{message}"
    );
    assert_eq!(state(&place.path("p")), before, "nothing was changed");
}

#[test]
fn what_another_process_has_can_be_measured_and_exported_meanwhile() {
    let place = Place::new();
    place.project();
    let trained = place.result(TRAIN);
    let run = trained["run"].as_str().unwrap();
    let holder = Project::open(&place.path("p")).unwrap();
    check(&place, run, &trained["test_accuracy"]);
    place.result("export p");
    for line in changes(run) {
        let message = place.failure(&line);
        assert!(
            message.contains("is open in another Salamander"),
            "{line}: {message}"
        );
    }
    // Changes by the holder are visible.
    let class = holder.classes()[0].name.clone();
    let renamed = salamander::project::ClassName::new("renamed").unwrap();
    holder.rename_class(&class, &renamed).unwrap();
    let classes = place.result("classes p");
    assert_eq!(classes["classes"][0]["name"], "renamed");
}

fn open(desk: &mut Desk, place: &Place) {
    let project = place.path("p");
    desk.harness.state_mut().apply(Action::OpenProject(project));
}

/// Nothing can be changed, and the reason is reported.
fn cannot_change(desk: &mut Desk, place: &Place) {
    desk.until("the runs are read", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(|session| session.train.runs_known)
    });
    let before = state(&place.path("p"));
    for command in [
        WindowCommand::AddFiles,
        WindowCommand::NewClass,
        WindowCommand::EmptyTrash,
        WindowCommand::StartTraining,
        WindowCommand::ExtractAll,
    ] {
        assert!(
            !command.is_enabled(desk.harness.state().app()),
            "{command:?}"
        );
    }
    assert!(WindowCommand::ExportModel.is_enabled(desk.harness.state().app()));
    desk.act(Action::Go(Workspace::Label));
    let frame = session(desk).snapshot.frames.list[0].path.clone();
    let to = Label::Unsorted;
    desk.assign(vec![frame.clone()], to);
    desk.see_part("is open read-only");
    assert_eq!(session(desk).snapshot.frames.list[0].path, frame);
    desk.act(Action::Dropped(vec![place.path("videos")]));
    desk.harness.run_steps(5);
    assert_eq!(session(desk).sources.len(), 12);
    desk.act(Action::Go(Workspace::Evaluate));
    let run = session(desk).train.runs[0].run.id.clone();
    desk.act(Action::Evaluate(salamander::app::EvaluateAction::Open(run)));
    desk.see("Confusion matrix");
    let after = state(&place.path("p"));
    let changed = |path: &Path| !path.starts_with(place.path("p/cache"));
    let kept = |state: BTreeMap<PathBuf, (u64, i64, i64)>| -> Vec<_> {
        state
            .into_iter()
            .filter(|(path, _)| changed(path))
            .collect()
    };
    assert_eq!(kept(after), kept(before));
}

#[test]
fn the_window_opens_what_cannot_be_written_for_looking() {
    let place = Place::new();
    place.project();
    place.result(TRAIN);
    let Some(_read_only) = ReadOnly::make(&place.path("p")) else {
        return;
    };
    let mut desk = Desk::new(&place.path("config"), [1280.0, 800.0]);
    open(&mut desk, &place);
    desk.see("Read-only");
    cannot_change(&mut desk, &place);
}

#[test]
fn the_window_offers_to_look_at_what_another_process_has() {
    let place = Place::new();
    place.project();
    place.result(TRAIN);
    let holder = Project::open(&place.path("p")).unwrap();
    let mut desk = Desk::new(&place.path("config"), [1280.0, 800.0]);
    open(&mut desk, &place);
    desk.see_part("is open in another Salamander");
    desk.click("Open read-only");
    desk.see("Read-only");
    cannot_change(&mut desk, &place);
    // Once it is free, everything can be done after opening it.
    drop(holder);
    open(&mut desk, &place);
    desk.until("it can be changed", |harness| {
        let session = harness.state().app().session.as_ref();
        session.is_some_and(Session::can_change)
    });
    assert!(desk.harness.query_by_label("Read-only").is_none());
}
