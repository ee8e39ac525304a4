//! Creating and opening a project, and changes made to it meanwhile.

use std::fs;

use serde_json::{Value, json};

use super::*;

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
    for (path, expected) in [
        (dir.path().to_owned(), "is not a Salamander project"),
        (dir.path().join("absent"), "there is no such folder"),
    ] {
        let message = Project::open(&path).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
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
        // Without a previous version, the remedy is stated, and it works.
        fs::write(root.join("project.json"), damage).unwrap();
        fs::write(root.join("project.json.bak"), damage).unwrap();
        let message = Project::open(&root).unwrap_err().to_string();
        assert!(message.contains("damaged"), "{message}");
        fs::rename(root.join("project.json"), root.join("../away.json")).unwrap();
        let project = Project::create(&root, "again").unwrap();
        assert_eq!(paths(&project), ["classes/cat/1.jpg"]);
    }
}

/// Sets the value at a place in a JSON document, such as `sources/0/extracted`.
fn set(document: &mut Value, place: &str, value: &Value) {
    let mut at = document;
    for part in place.split('/') {
        at = match part.parse::<usize>() {
            Ok(index) => &mut at[index],
            Err(_) => &mut at[part],
        };
    }
    *at = value.clone();
}

#[test]
fn numbers_that_no_project_can_have_are_damage() {
    let (_dir, project) = new_project();
    project.put_source(source("00000001")).unwrap();
    project.add_class(&class("cat")).unwrap();
    let root = project.root().to_owned();
    drop(project);
    let path = root.join("project.json");
    let whole = fs::read(&path).unwrap();
    let most = json!(u64::MAX);
    let many = (0..70_000)
        .map(|at| json!({"id": format!("{at:032x}"), "name": format!("c{at}"), "color": 0}));
    let of_one = "hall.mp4";
    for (place, value, part) in [
        ("sources/0/sampling/fps", json!(0), of_one),
        ("sources/0/sampling/fps", json!(-2), of_one),
        ("sources/0/sampling/fps", json!(1e308), of_one),
        ("sources/0/sampling/width_px", json!(0), of_one),
        ("sources/0/sampling/width_px", json!(u32::MAX), of_one),
        ("sources/0/sampling/to_secs", json!(-1), of_one),
        ("sources/0/duration_secs", json!(-1), of_one),
        ("sources/0/duration_secs", json!(1e300), of_one),
        ("sources/0/extracted", most.clone(), of_one),
        ("sources/0/edition", most, of_one),
        ("splits/settings/testing_percentage", json!(255), "split"),
        ("classes", many.collect(), "70000 classes"),
    ] {
        let mut document = serde_json::from_slice(&whole).unwrap();
        set(&mut document, place, &value);
        let changed = document.to_string();
        for file in ["project.json", "project.json.bak"] {
            fs::write(root.join(file), &changed).unwrap();
        }
        let message = Project::open(&root).unwrap_err().to_string();
        let all = ["project.json", part, "move it elsewhere"];
        assert!(
            all.iter().all(|part| message.contains(part)),
            "{place}: {message}"
        );
        // The previous version is used instead.
        fs::write(root.join("project.json.bak"), &whole).unwrap();
        let project = Project::open(&root).unwrap();
        assert_eq!(project.take_notices().len(), 1, "{place}");
        assert_eq!(names(&project), ["cat"]);
        assert_eq!(project.sources().len(), 1);
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
    project.set_setting("key", &1).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(json["future"], "top");
    assert_eq!(json["classes"][0]["future"], "class");
    assert_eq!(json["classes"][0]["name"], "dog");
    assert_eq!(json["sources"][0]["future"], "source");
    assert_eq!(json["settings"]["key"], 1);
}

#[test]
fn temporary_files_of_a_killed_process_are_cleared_away() {
    let (_dir, project) = new_project();
    for path in [
        "classes/cat/newt-0123abcd_1.500000_4567ef01.jpg.part",
        "classes/cat/.salamander-b.part",
        "unsorted/.salamander-c.part",
        ".project-1.part",
        "exports/.salamander-x.part/model.onnx",
        "cache/thumbs/ab/.tmpA1b2C3",
        "cache/.tmpA1b2C3.part",
        "runs/r/.tmpA1b2C3",
        "classes/cat/film.mp4.part",
        "classes/cat/.tmpA1b2C3",
        "classes/odd.part/kept too.jpg",
        "classes/cat/kept.jpg",
    ] {
        put(&project, path);
    }
    let kept = ["classes/cat/kept.jpg", "classes/odd.part/kept too.jpg"];
    assert_eq!(paths(&project), kept);
    let project = reopen(project);
    assert_eq!(paths(&project), kept);
    // Downloads of other programs stay.
    for (folder, expected) in [
        (
            "classes/cat",
            &[".tmpA1b2C3", "film.mp4.part", "kept.jpg"][..],
        ),
        ("unsorted", &[]),
        ("exports", &[]),
        ("cache", &["class_frames.json", "thumbs"]),
        ("cache/thumbs/ab", &[]),
        ("runs/r", &[]),
    ] {
        let mut left: Vec<_> = fs::read_dir(project.abs(folder))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, expected, "{folder}");
    }
    assert!(!project.abs(".project-1.part").exists());
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
    // A folder in place of the backup makes every write fail, also for root.
    let backup = project.root().join("project.json.bak");
    fs::remove_file(&backup).unwrap();
    fs::create_dir(&backup).unwrap();
    let message = project.set_setting("key", &1).unwrap_err().to_string();
    assert!(message.contains("project.json"), "{message}");
    assert_eq!(project.setting::<u32>("key"), 0);
    let parts = fs::read_dir(project.root()).unwrap().filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().ends_with(".part")
    });
    assert_eq!(parts.count(), 0, "no temporary file is left");
}

#[test]
fn a_project_that_is_gone_is_said_to_be_gone_and_not_made_again() {
    let (dir, project) = new_project();
    project.add_class(&class("cat")).unwrap();
    put(&project, "classes/cat/1.jpg");
    let root = project.root().to_owned();
    let away = dir.path().join("away");
    fs::rename(&root, &away).unwrap();
    let work = Work::new();
    // Nothing in its place, or the empty folder that a disconnected drive may leave.
    for empty in [false, true] {
        if empty {
            fs::create_dir(&root).unwrap();
        }
        let frame = ["classes/cat/1.jpg".to_owned()];
        let errors = [
            project.scan(&work).unwrap_err(),
            project.add_class(&class("dog")).unwrap_err(),
            project
                .rename_class(&class("cat"), &class("dog"))
                .unwrap_err(),
            project.remove_class(&class("cat")).map(drop).unwrap_err(),
            project.put_source(source("00000001")).unwrap_err(),
            project.set_setting("key", &1).unwrap_err(),
            project
                .relabel(&frame, &Label::Unsorted, &work)
                .unwrap_err(),
            project.trash(&frame, &work).unwrap_err(),
            project
                .restore(&["trash/classes/cat/1.jpg".to_owned()], &work)
                .unwrap_err(),
            project.empty_trash(&work).unwrap_err(),
            project.make_dir(&project.cache_dir()).unwrap_err(),
            project.check_there().unwrap_err(),
        ];
        for (number, error) in errors.iter().enumerate() {
            assert!(
                matches!(error, ProjectError::Gone { .. }),
                "{number}: {error}"
            );
        }
        assert_eq!(root.exists(), empty);
        if empty {
            assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
            fs::remove_dir(&root).unwrap();
        }
    }
    assert!(work.take_warnings().is_empty());
    // Once it is back, it works as before.
    fs::rename(&away, &root).unwrap();
    assert_eq!(project.scan(&work).unwrap().list.len(), 1);
    project.add_class(&class("dog")).unwrap();
    assert_eq!(names(&project), ["cat", "dog"]);
}

#[test]
fn a_class_that_could_not_be_added_does_not_break_the_listing() {
    let (_dir, project) = new_project();
    project.add_class(&class("cat")).unwrap();
    // A folder in place of the backup makes every write fail, also for root.
    let backup = project.root().join("project.json.bak");
    fs::remove_file(&backup).unwrap();
    fs::create_dir(&backup).unwrap();
    project.add_class(&class("dog")).unwrap_err();
    assert!(
        !project.abs("classes/dog").exists(),
        "its folder goes again"
    );
    assert_eq!(names(&project), ["cat"]);
    // Temporary files of an earlier version, and a class folder with a frame.
    put(&project, "classes/fox/1.jpg");
    fs::create_dir(project.abs("classes/cow")).unwrap();
    let work = Work::new();
    for warnings in [1, 0] {
        let frames = project.scan(&work).unwrap();
        assert_eq!(frames.list.len(), 1);
        assert_eq!(names(&project), ["cat", "cow", "fox"]);
        let told = work.take_warnings();
        assert_eq!(told.len(), warnings, "told once: {told:?}");
    }
    // As soon as it can be saved, it is.
    fs::remove_dir(&backup).unwrap();
    project.set_setting("key", &1).unwrap();
    let project = reopen(project);
    assert_eq!(names(&project), ["cat", "cow", "fox"]);
}
