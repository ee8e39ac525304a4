//! Frames: scanned, moved, deleted.

use std::fs;

use super::*;

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
    let counts = frames.counts();
    let of_class = project
        .classes()
        .into_iter()
        .map(|class| counts[&Label::Class(class.name)]);
    assert!(of_class.eq([7, 1]));
    assert_eq!(counts[&Label::Unsorted], 1);
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
    // A run as the window removes one, and a link, which is not followed.
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
    // Two more frames of each name are moved to a folder that has one.
    let distinct: std::collections::HashSet<_> = moved.iter().collect();
    assert_eq!(distinct.len(), 1_000);
    assert_eq!(project.scan(&work).unwrap().list.len(), 6_000);
    let last = project.classes().pop().unwrap().name;
    let counts = project.scan(&work).unwrap().counts();
    assert_eq!(counts[&Label::Class(last)], 1_600);
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

#[test]
fn restoring_is_a_change_like_any_other() {
    let (_dir, project) = new_project();
    project.add_class(&class("cat")).unwrap();
    put(&project, "classes/cat/1.jpg");
    let work = Work::new();
    let trashed = project
        .trash(&["classes/cat/1.jpg".to_owned()], &work)
        .unwrap();
    project.remove_class(&class("cat")).unwrap();
    let mut history = History::default();
    let restore = Change::Restore { frames: trashed };
    assert_eq!(restore.text().with(Noun::Frame), "restore 1 frame");
    history.apply(&project, restore, &work).unwrap();
    assert_eq!(names(&project), ["cat"]);
    assert_eq!(paths(&project), ["classes/cat/1.jpg"]);
    history.undo(&project, &work).unwrap();
    assert_eq!(project.scan_trash(&work).unwrap().list.len(), 1);
    history.redo(&project, &work).unwrap();
    assert_eq!(paths(&project), ["classes/cat/1.jpg"]);
}

#[test]
fn frames_deleted_from_the_trash_are_forgotten_by_undo() {
    let (_dir, project) = new_project();
    project.add_class(&class("cat")).unwrap();
    let frames = ["classes/cat/1.jpg", "classes/cat/2.jpg"].map(str::to_owned);
    for path in &frames {
        put(&project, path);
    }
    let work = Work::new();
    let mut history = History::default();
    let trash = Change::Trash {
        frames: frames.to_vec(),
    };
    history.apply(&project, trash, &work).unwrap();
    // Only files in the trash can be deleted, all or none.
    put(&project, "classes/cat/3.jpg");
    let wrong = ["trash/classes/cat/1.jpg", "classes/cat/3.jpg"].map(str::to_owned);
    project.delete_trashed(&wrong, &work).unwrap_err();
    let one = ["trash/classes/cat/1.jpg".to_owned()];
    assert_eq!(project.delete_trashed(&one, &work).unwrap(), 1);
    history.forget_deleted(&one);
    history.undo(&project, &work).unwrap();
    assert_eq!(paths(&project), ["classes/cat/2.jpg", "classes/cat/3.jpg"]);
    assert!(work.take_warnings().is_empty());
    assert_eq!(history.undo_step(), None);
}

#[test]
fn frames_follow_their_neighbours_and_replace_others_in_one_change() {
    let (_dir, project) = new_project();
    project.add_class(&class("cat")).unwrap();
    project.add_class(&class("dog")).unwrap();
    let film = |folder: &str, secs: &str, id: &str| format!("{folder}/h-3fa9c1d2_{secs}_{id}.jpg");
    let old = [
        film("classes/cat", "1.000000", "00000001"),
        film("classes/cat", "2.000000", "00000002"),
        film("unsorted", "3.000000", "00000003"),
    ];
    let new = [
        film("classes/dog", "1.000000", "00000011"),
        film("classes/dog", "1.500000", "00000012"),
        film("classes/dog", "3.000000", "00000013"),
    ];
    for path in old.iter().chain(&new) {
        put(&project, path);
    }
    let work = Work::new();
    let mut history = History::default();
    let before = paths(&project);
    let change = Change::LikeNeighbours {
        frames: new.to_vec(),
        replaced: old.to_vec(),
    };
    history.apply(&project, change, &work).unwrap();
    let expected = [
        film("classes/cat", "1.000000", "00000011"),
        film("classes/cat", "1.500000", "00000012"),
        film("unsorted", "3.000000", "00000013"),
    ];
    assert_eq!(paths(&project), expected);
    // Where an extraction does not find them.
    assert!(project.scan_trash(&work).unwrap().list.is_empty());
    assert_eq!(project.trash_contents(&work).unwrap().frames, 3);
    history.undo(&project, &work).unwrap();
    assert_eq!(paths(&project), before);
    history.redo(&project, &work).unwrap();
    assert_eq!(paths(&project), expected);
}
