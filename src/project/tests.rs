//! The project on disk, with real folders: opening, following, moving, and surviving what happens to it.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failing unwrap is a failing test

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::jobs::Work;

fn new_project() -> (TempDir, Project) {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::create(&dir.path().join("My Project"), "Salamanders").unwrap();
    (dir, project)
}

fn class(name: &str) -> ClassName {
    ClassName::new(name).unwrap()
}

fn names(project: &Project) -> Vec<String> {
    project
        .classes()
        .iter()
        .map(|c| c.name.to_string())
        .collect()
}

fn put(project: &Project, path: &str) {
    let path = project.abs(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "x").unwrap();
}

fn paths(project: &Project) -> Vec<String> {
    let frames = project.scan(&Work::new()).unwrap();
    frames.list.into_iter().map(|f| f.path).collect()
}

fn reopen(project: Project) -> Project {
    let root = project.root().to_owned();
    drop(project);
    Project::open(&root).unwrap()
}

fn source(digits: &str) -> Source {
    Source {
        id: SourceId::from_hex(digits).unwrap(),
        kind: SourceKind::Video,
        name: "hall.mp4".into(),
        path: "/films/hall.mp4".into(),
        class: None,
        sampling: Sampling::default(),
        duration_secs: Some(0.1 + 0.2),
        extracted: None,
        warnings: Vec::new(),
    }
}

#[test]
fn everything_said_is_there_after_reopening_elsewhere() {
    let (dir, project) = new_project();
    project.add_class(&class("猫")).unwrap();
    project.add_class(&class("Ärger")).unwrap();
    project.put_source(source("00000001")).unwrap();
    project.put_source(source("00000002")).unwrap();
    let mut changed = source("00000001");
    changed.extracted = Some(7);
    project.put_source(changed.clone()).unwrap();
    project.set_setting("train", &vec![1, 2, 3]).unwrap();
    drop(project);
    let moved = dir.path().join("moved 🦎");
    fs::rename(dir.path().join("My Project"), &moved).unwrap();
    let project = Project::open(&moved).unwrap();
    assert_eq!(project.name(), "Salamanders");
    assert_eq!(names(&project), ["猫", "Ärger"]);
    assert_eq!(project.sources(), [changed, source("00000002")]);
    assert_eq!(project.setting::<Vec<u8>>("train"), [1, 2, 3]);
    assert_eq!(project.setting::<String>("train"), "", "not its type");
    assert_eq!(project.setting::<u8>("absent"), 0);
    assert!(project.take_notices().is_empty());
    project.remove_source(&source("00000001").id).unwrap();
    assert_eq!(project.sources().len(), 1);
}

#[test]
fn one_at_a_time_and_free_again_afterwards() {
    let (_dir, project) = new_project();
    let root = project.root().to_owned();
    let message = Project::open(&root).unwrap_err().to_string();
    assert!(message.contains("open in another Salamander"), "{message}");
    drop(project);
    Project::open(&root).unwrap();
}

#[test]
fn create_takes_an_empty_folder_or_one_of_class_folders_only() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("a/b/cats");
    let project = Project::create(&root, " ").unwrap();
    assert_eq!(project.name(), "cats");
    let message = Project::create(&root, "x").unwrap_err().to_string();
    assert!(message.contains("already"), "{message}");

    let other = dir.path().join("other");
    fs::create_dir_all(other.join("classes/dog")).unwrap();
    fs::write(other.join("classes/dog/1.jpg"), "x").unwrap();
    fs::write(other.join(".DS_Store"), "").unwrap();
    let message = Project::open(&other).unwrap_err().to_string();
    assert!(message.contains("create a project in this folder"));
    let project = Project::create(&other, "").unwrap();
    assert_eq!(names(&project), ["dog"]);
    assert_eq!(paths(&project), ["classes/dog/1.jpg"]);

    let full = dir.path().join("full");
    fs::create_dir_all(&full).unwrap();
    fs::write(full.join("thesis.tex"), "").unwrap();
    let message = Project::create(&full, "").unwrap_err().to_string();
    assert!(message.contains("thesis.tex"), "{message}");
    assert_eq!(fs::read_dir(&full).unwrap().count(), 1, "nothing touched");
}

#[test]
fn what_is_no_project_says_so() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().to_owned(), dir.path().join("absent")] {
        let message = Project::open(&path).unwrap_err().to_string();
        assert!(message.contains("is no Salamander project"), "{message}");
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_newer_format_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let text = r#"{"schema": 99, "name": {"changed": "entirely"}}"#;
    fs::write(dir.path().join("project.json"), text).unwrap();
    let message = Project::open(dir.path()).unwrap_err().to_string();
    assert!(message.contains("newer Salamander"), "{message}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    let after = fs::read_to_string(dir.path().join("project.json")).unwrap();
    assert_eq!(after, text);
}

#[test]
fn a_damaged_project_json_is_recovered_from_the_version_before() {
    for damage in ["", "{\"schema\": 1, \"na", "\0\0\0\0", "[]"] {
        let (_dir, project) = new_project();
        project.put_source(source("00000001")).unwrap();
        project.add_class(&class("cat")).unwrap();
        project.set_setting("last", &1).unwrap();
        put(&project, "classes/cat/1.jpg");
        let root = project.root().to_owned();
        drop(project);
        fs::write(root.join("project.json"), damage).unwrap();
        let project = Project::open(&root).unwrap();
        let notices = project.take_notices();
        assert!(notices[0].contains("previous version"), "{notices:?}");
        assert_eq!(names(&project), ["cat"]);
        assert_eq!(project.sources().len(), 1);
        let aside = fs::read(root.join("project.json.damaged")).unwrap();
        assert_eq!(aside, damage.as_bytes());
        drop(project);
        // Without any version before, the remedy is told, and it works.
        fs::write(root.join("project.json"), damage).unwrap();
        fs::write(root.join("project.json.bak"), damage).unwrap();
        let message = Project::open(&root).unwrap_err().to_string();
        assert!(message.contains("damaged"), "{message}");
        fs::rename(root.join("project.json"), root.join("../away.json")).unwrap();
        let project = Project::create(&root, "again").unwrap();
        assert_eq!(paths(&project), ["classes/cat/1.jpg"]);
    }
}

#[test]
fn a_missing_project_json_is_recovered_too() {
    let (_dir, project) = new_project();
    project.add_class(&class("cat")).unwrap();
    let root = project.root().to_owned();
    drop(project);
    fs::remove_file(root.join("project.json")).unwrap();
    let project = Project::open(&root).unwrap();
    assert_eq!(names(&project), ["cat"]);
    assert_eq!(project.take_notices().len(), 1);
    assert!(root.join("project.json").exists());
}

#[test]
fn fields_of_later_versions_are_kept() {
    let (_dir, project) = new_project();
    project.add_class(&class("cat")).unwrap();
    project.put_source(source("00000001")).unwrap();
    let root = project.root().to_owned();
    drop(project);
    let path = root.join("project.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json["future"] = "top".into();
    json["classes"][0]["future"] = "class".into();
    json["sources"][0]["future"] = "source".into();
    fs::write(&path, json.to_string()).unwrap();
    let project = Project::open(&root).unwrap();
    project.put_source(source("00000001")).unwrap();
    project.rename_class(&class("cat"), &class("dog")).unwrap();
    project.set_name("renamed").unwrap();
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(json["future"], "top");
    assert_eq!(json["classes"][0]["future"], "class");
    assert_eq!(json["classes"][0]["name"], "dog");
    assert_eq!(json["sources"][0]["future"], "source");
    assert_eq!(json["name"], "renamed");
}

#[test]
fn temporary_files_of_a_killed_process_are_cleared_away() {
    let (_dir, project) = new_project();
    for path in [
        "classes/cat/a.jpg.part",
        "classes/cat/.b.part",
        "unsorted/c.jpg.part",
        ".project-1.part",
        "exports/x.part/model.onnx",
        "cache/a/b.part",
        "classes/odd.part/kept too.jpg",
        "classes/cat/kept.jpg",
    ] {
        put(&project, path);
    }
    let kept = ["classes/cat/kept.jpg", "classes/odd.part/kept too.jpg"];
    assert_eq!(paths(&project), kept);
    let project = reopen(project);
    assert_eq!(paths(&project), kept);
    assert_eq!(fs::read_dir(project.exports_dir()).unwrap().count(), 0);
    let left: Vec<_> = ["classes/cat", "unsorted", ".", "cache/a"]
        .iter()
        .flat_map(|folder| fs::read_dir(project.root().join(folder)).unwrap())
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| Path::new(name).extension().is_some_and(|e| e == "part"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn frames_come_by_class_then_source_then_time() {
    let (_dir, project) = new_project();
    project.add_class(&class("zebra")).unwrap();
    project.put_source(source("bbbbbbbb")).unwrap();
    project.put_source(source("aaaaaaaa")).unwrap();
    let expected = [
        "classes/zebra/h-bbbbbbbb_2.000000_00000000.jpg",
        "classes/zebra/h-bbbbbbbb_10.000000_00000000.jpg",
        "classes/zebra/h-aaaaaaaa_1.000000_00000000.jpg",
        "classes/zebra/h-cccccccc_photo_00000000.png",
        "classes/zebra/deep/er/10.jpg",
        "classes/zebra/img2.JPEG",
        "classes/zebra/img10.webp",
        "classes/ant/1.gif",
        "unsorted/9.bmp",
    ];
    for path in expected {
        put(&project, path);
    }
    for path in [
        "classes/zebra/.x.jpg",
        "classes/zebra/notes.txt",
        "classes/zebra/jpg",
        "classes/stray.jpg",
    ] {
        put(&project, path);
    }
    assert_eq!(paths(&project), expected);
    let frames = project.scan(&Work::new()).unwrap();
    assert_eq!(frames.list[1].time_secs, Some(10.0));
    assert_eq!(frames.list[3].source, SourceId::from_hex("cccccccc"));
    assert_eq!(frames.list[3].time_secs, None);
    assert_eq!(frames.list[5].source, None);
    assert_eq!(frames.class_counts(&project.classes()), [7, 1]);
    assert_eq!(frames.count(&Label::Unsorted), 1);
    assert!(frames.list.iter().all(|f| f.abs(&project).is_file()));
}

#[test]
fn twins_made_by_hand_are_reported() {
    let (_dir, project) = new_project();
    project.add_class(&class("Ärger")).unwrap();
    put(&project, "classes/Ärger/1.jpg");
    put(&project, "classes/A\u{308}rger/2.jpg");
    let work = Work::new();
    assert_eq!(project.scan(&work).unwrap().list.len(), 1);
    assert!(work.take_warnings()[0].contains("left out"));
    let message = project.add_class(&class("ärger")).unwrap_err().to_string();
    assert!(message.contains("choose another name"), "{message}");
}

#[cfg(target_os = "linux")]
#[test]
fn names_that_are_not_unicode_are_left_out_with_a_warning() {
    use std::os::unix::ffi::OsStrExt;
    let (_dir, project) = new_project();
    put(&project, "classes/cat/1.jpg");
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.jpg");
    fs::write(project.abs("classes/cat").join(name), "x").unwrap();
    let work = Work::new();
    assert_eq!(project.scan(&work).unwrap().list.len(), 1);
    assert_eq!(work.take_warnings().len(), 1);
}

#[test]
fn relabelling_never_overwrites_and_reports_what_is_gone() {
    let (_dir, project) = new_project();
    project.add_class(&class("cat")).unwrap();
    put(&project, "unsorted/1.jpg");
    put(&project, "unsorted/2.jpg");
    fs::create_dir_all(project.abs("classes/cat")).unwrap();
    fs::write(project.abs("classes/cat/1.jpg"), "there before").unwrap();
    let work = Work::new();
    let frames = [
        "unsorted/1.jpg",
        "unsorted/gone.jpg",
        "unsorted/2.jpg",
        "classes/cat/1.jpg",
    ]
    .map(str::to_owned);
    let new = project
        .relabel(&frames, &Label::Class(class("cat")), &work)
        .unwrap();
    assert_eq!(
        new,
        [
            "classes/cat/1~2.jpg",
            "unsorted/gone.jpg",
            "classes/cat/2.jpg",
            "classes/cat/1.jpg"
        ]
    );
    assert_eq!(work.take_warnings().len(), 1);
    let before = fs::read_to_string(project.abs("classes/cat/1.jpg")).unwrap();
    assert_eq!(before, "there before");
    let message = project
        .relabel(&frames, &Label::Class(class("dog")), &work)
        .unwrap_err()
        .to_string();
    assert!(message.contains("no class “dog”"), "{message}");
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let (_dir, project) = new_project();
    for path in [
        "/etc/passwd",
        "../x.jpg",
        "classes/../../x.jpg",
        "project.json",
        "classes/x.jpg",
        "runs/a/b.jpg",
        "unsorted//x.jpg",
    ] {
        let error = project.relabel(&[path.to_owned()], &Label::Unsorted, &Work::new());
        assert!(
            matches!(error, Err(ProjectError::NotAFrame { .. })),
            "{path}"
        );
    }
}

#[test]
fn a_cancelled_move_keeps_what_was_moved() {
    let (_dir, project) = new_project();
    put(&project, "classes/cat/1.jpg");
    project.scan(&Work::new()).unwrap();
    let work = Work::new();
    work.cancel();
    let result = project.relabel(&["classes/cat/1.jpg".to_owned()], &Label::Unsorted, &work);
    assert!(matches!(result, Err(ProjectError::Cancelled(_))));
    assert_eq!(paths(&project), ["classes/cat/1.jpg"]);
}

#[test]
fn the_trash_remembers_where_its_frames_came_from() {
    let (_dir, project) = new_project();
    put(&project, "classes/cat/1.jpg");
    put(&project, "unsorted/2.jpg");
    let all = paths(&project);
    let work = Work::new();
    let trashed = project.trash(&all, &work).unwrap();
    assert_eq!(trashed, ["trash/classes/cat/1.jpg", "trash/unsorted/2.jpg"]);
    assert!(paths(&project).is_empty());
    let listed = project.scan_trash(&work).unwrap();
    assert_eq!(listed.list.len(), 2);
    assert_eq!(listed.list[0].label, Label::Class(class("cat")));
    project.remove_class(&class("cat")).unwrap();
    assert_eq!(project.restore(&trashed, &work).unwrap(), all);
    assert_eq!(names(&project), ["cat"]);
    let trashed = project.trash(&all, &work).unwrap();
    let back = project.relabel(&trashed, &Label::Unsorted, &work).unwrap();
    assert_eq!(back, ["unsorted/1.jpg", "unsorted/2.jpg"]);
    project.trash(&back, &work).unwrap();
    // A run, as the window removes one, and a link, which is not followed.
    let trash = project.root().join("trash");
    fs::create_dir_all(trash.join("runs/one/cache")).unwrap();
    fs::write(trash.join("runs/one/cache/x.jpg"), [0; 1000]).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(project.root().join("classes"), trash.join("link")).unwrap();
    let found = project.trash_contents(&work).unwrap();
    let links = u64::from(cfg!(unix));
    assert_eq!((found.frames, found.runs, found.files), (2, 1, 3 + links));
    assert!((1000..2000).contains(&found.bytes), "{found:?}");
    assert_eq!(project.empty_trash(&work).unwrap(), found.files);
    assert_eq!(project.trash_contents(&work).unwrap(), Trash::default());
    assert!(project.root().join("classes").is_dir());
    assert!(project.scan_trash(&work).unwrap().list.is_empty());
}

#[test]
fn classes_are_added_renamed_ordered_and_removed() {
    let (_dir, project) = new_project();
    for name in ["cat", "dog", "fox"] {
        project.add_class(&class(name)).unwrap();
    }
    put(&project, "classes/dog/1.jpg");
    put(&project, "classes/dog/notes.txt");
    let mut film = source("00000001");
    film.class = Some(class("dog"));
    project.put_source(film).unwrap();
    for (name, part) in [("DOG", "“dog”"), ("Cat", "“cat”")] {
        let message = project
            .rename_class(&class("fox"), &class(name))
            .unwrap_err()
            .to_string();
        assert!(message.contains(part), "{message}");
    }
    project.rename_class(&class("dog"), &class("Dog")).unwrap();
    project.rename_class(&class("Dog"), &class("Hund")).unwrap();
    assert_eq!(paths(&project), ["classes/Hund/1.jpg"]);
    assert_eq!(project.sources()[0].class, Some(class("Hund")));
    project.move_class(&class("Hund"), 0).unwrap();
    project.move_class(&class("cat"), 99).unwrap();
    let project = reopen(project);
    assert_eq!(names(&project), ["Hund", "fox", "cat"]);
    assert_eq!(
        project
            .classes()
            .iter()
            .map(|c| c.color)
            .collect::<Vec<_>>(),
        [1, 2, 0]
    );
    let moved = project.remove_class(&class("Hund")).unwrap();
    assert_eq!(moved, ["unsorted/1.jpg"]);
    assert_eq!(names(&project), ["fox", "cat"]);
    assert!(!project.abs("classes/Hund").exists());
    assert!(project.abs("trash/removed/Hund 1/notes.txt").exists());
    assert_eq!(project.sources()[0].class, None);
    project.add_class(&class("cow")).unwrap();
    assert_eq!(project.classes()[2].color, 1, "the smallest free colour");
    assert!(project.remove_class(&class("Hund")).is_err());
}

#[test]
fn a_killed_rename_is_finished_on_opening() {
    for renamed_already in [false, true] {
        let (_dir, project) = new_project();
        project.add_class(&class("cat")).unwrap();
        project.add_class(&class("dog")).unwrap();
        put(&project, "classes/cat/1.jpg");
        let root = project.root().to_owned();
        drop(project);
        let path = root.join("project.json");
        let mut json: serde_json::Value =
            serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        json["pending"] = serde_json::json!({"rename_class": {"from": "cat", "to": "Katze"}});
        fs::write(&path, json.to_string()).unwrap();
        if renamed_already {
            fs::rename(root.join("classes/cat"), root.join("classes/Katze")).unwrap();
        }
        let project = Project::open(&root).unwrap();
        assert_eq!(names(&project), ["Katze", "dog"]);
        assert_eq!(paths(&project), ["classes/Katze/1.jpg"]);
        let json = fs::read_to_string(&path).unwrap();
        assert!(!json.contains("pending"));
    }
}

#[test]
fn a_killed_removal_is_finished_on_opening() {
    let (_dir, project) = new_project();
    project.add_class(&class("cat")).unwrap();
    put(&project, "classes/cat/1.jpg");
    put(&project, "unsorted/0.jpg");
    let root = project.root().to_owned();
    drop(project);
    let path = root.join("project.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    json["pending"] = serde_json::json!({"remove_class": "cat"});
    fs::write(&path, json.to_string()).unwrap();
    let project = Project::open(&root).unwrap();
    assert!(project.classes().is_empty());
    assert_eq!(paths(&project), ["unsorted/0.jpg", "unsorted/1.jpg"]);
}

#[test]
fn a_copy_without_its_empty_folders_keeps_its_classes() {
    let (_dir, project) = new_project();
    project.add_class(&class("cat")).unwrap();
    fs::remove_dir_all(project.abs("classes")).unwrap();
    let project = reopen(project);
    assert_eq!(names(&project), ["cat"]);
    assert!(paths(&project).is_empty());
}

#[test]
fn a_project_that_cannot_be_written_changes_nothing() {
    let (_dir, project) = new_project();
    project.add_class(&class("cat")).unwrap();
    // A folder in the way of the backup makes every write fail, whoever runs the test.
    let backup = project.root().join("project.json.bak");
    fs::remove_file(&backup).unwrap();
    fs::create_dir(&backup).unwrap();
    let message = project.set_name("other").unwrap_err().to_string();
    assert!(message.contains("project.json"), "{message}");
    assert_eq!(project.name(), "Salamanders");
    let parts = fs::read_dir(project.root()).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".part")
    });
    assert_eq!(parts.count(), 0, "no temporary file is left");
}

#[test]
fn thousands_of_frames() {
    let (_dir, project) = new_project();
    for folder in 0..10 {
        let folder = project.abs(&format!("classes/class {folder}"));
        fs::create_dir_all(&folder).unwrap();
        for i in 0..600 {
            let name = FrameName {
                stem: format!("film_{}", i % 7),
                source: SourceId::from_hex(&format!("{:08x}", i % 7)).unwrap(),
                time_secs: Some(f64::from(i) / 4.0),
                id: format!("{i:08x}"),
                extension: "jpg".into(),
            };
            fs::File::create(folder.join(name.to_file_name())).unwrap();
        }
    }
    let work = Work::new();
    let mut best = f64::MAX;
    for _ in 0..3 {
        let start = std::time::Instant::now();
        assert_eq!(project.scan(&work).unwrap().list.len(), 6_000);
        best = best.min(start.elapsed().as_secs_f64());
    }
    println!("scan of 6,000 frames: {:.0} ms", best * 1e3);
    let frames = project.scan(&work).unwrap();
    let some: Vec<String> = frames
        .list
        .iter()
        .take(1_000)
        .map(|f| f.path.clone())
        .collect();
    let start = std::time::Instant::now();
    let moved = project
        .relabel(&some, &Label::Class(class("class 9")), &work)
        .unwrap();
    println!(
        "relabel of 1,000 frames: {:.0} ms",
        start.elapsed().as_secs_f64() * 1e3
    );
    // Two more frames of each name arrive in a folder that has one.
    let distinct: std::collections::HashSet<_> = moved.iter().collect();
    assert_eq!(distinct.len(), 1_000);
    assert_eq!(project.scan(&work).unwrap().list.len(), 6_000);
    let last = project.classes().len() - 1;
    let counts = project
        .scan(&work)
        .unwrap()
        .class_counts(&project.classes());
    assert_eq!(counts[last], 1_600);
    let groups: Vec<String> = frames
        .list
        .iter()
        .map(|f| f.source.clone().unwrap().to_string())
        .collect();
    let start = std::time::Instant::now();
    let split = project
        .assign_splits(&frames, &groups, &SplitSettings::default())
        .unwrap();
    println!(
        "split of 6,000 frames: {:.0} ms",
        start.elapsed().as_secs_f64() * 1e3
    );
    assert!(split.splits.iter().all(Option::is_some));
}

/// Set in the process that [`killed_at_any_moment_nothing_confirmed_is_lost`] kills.
const VICTIM: &str = "SALAMANDER_TEST_VICTIM";

/// Changes the project for ever, saying on standard output what is confirmed.
#[test]
fn victim() {
    let Ok(root) = std::env::var(VICTIM) else {
        return;
    };
    let project = Project::open(Path::new(&root)).unwrap();
    let work = Work::new();
    for round in project.sources().len() as u32.. {
        let mut source = source("00000001");
        source.id = SourceId::from_hex(&format!("{round:08x}")).unwrap();
        project.put_source(source).unwrap();
        println!("\nconfirmed {}", round + 1);
        // A victim killed between removing and adding leaves one class fewer.
        if project.classes().len() < 3 {
            project.add_class(&class(&format!("more {round}"))).unwrap();
        }
        let names = project.classes();
        let from = &names[round as usize % names.len()].name;
        let to = class(&format!("class {round}"));
        project.rename_class(from, &to).unwrap();
        let frames = project.scan(&work).unwrap();
        let some: Vec<String> = frames
            .list
            .iter()
            .step_by(3)
            .map(|f| f.path.clone())
            .collect();
        project
            .relabel(&some, &Label::Class(to.clone()), &work)
            .unwrap();
        let some: Vec<String> = project
            .scan(&work)
            .unwrap()
            .list
            .iter()
            .step_by(5)
            .map(|f| f.path.clone())
            .collect();
        let trashed = project.trash(&some, &work).unwrap();
        project.restore(&trashed, &work).unwrap();
        project.remove_class(&to).unwrap();
        project.add_class(&to).unwrap();
        let unsorted: Vec<String> = project
            .scan(&work)
            .unwrap()
            .list
            .into_iter()
            .filter(|f| f.label == Label::Unsorted)
            .map(|f| f.path)
            .collect();
        project
            .relabel(&unsorted, &Label::Class(to), &work)
            .unwrap();
    }
}

#[test]
fn killed_at_any_moment_nothing_confirmed_is_lost() {
    use std::process::{Command, Stdio};
    let (_dir, project) = new_project();
    for i in 0..60 {
        let path = format!("classes/c{}/{i}.jpg", i % 3);
        put(&project, &path);
        fs::write(project.abs(&path), i.to_string()).unwrap();
    }
    project.scan(&Work::new()).unwrap();
    let root = project.root().to_owned();
    drop(project);
    let mut rounds = 0;
    for attempt in 0..20u64 {
        let mut victim = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "project::tests::victim", "--nocapture"])
            .env(VICTIM, &root)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(std::time::Duration::from_millis(80 + attempt * 37 % 211));
        victim.kill().unwrap();
        let output = victim.wait_with_output().unwrap();
        let confirmed = String::from_utf8_lossy(&output.stdout)
            .lines()
            .filter_map(|line| line.strip_prefix("confirmed ")?.parse().ok())
            .next_back()
            .unwrap_or(rounds);
        let project = Project::open(&root).unwrap();
        rounds = project.sources().len();
        assert!(
            rounds >= confirmed,
            "{rounds} sources, {confirmed} confirmed"
        );
        let work = Work::new();
        let mut all = project.scan(&work).unwrap().list;
        all.extend(project.scan_trash(&work).unwrap().list);
        let mut contents: Vec<u32> = all
            .iter()
            .map(|frame| {
                fs::read_to_string(frame.abs(&project))
                    .unwrap()
                    .parse()
                    .unwrap()
            })
            .collect();
        contents.sort_unstable();
        assert_eq!(contents, (0..60).collect::<Vec<_>>(), "each frame once");
        let trashed: Vec<String> = project
            .scan_trash(&work)
            .unwrap()
            .list
            .into_iter()
            .map(|f| f.path)
            .collect();
        project.restore(&trashed, &work).unwrap();
        assert!(work.take_warnings().is_empty());
    }
    println!("{rounds} rounds in 20 lives");
    assert!(rounds > 0, "no victim lived long enough to say anything");
}
