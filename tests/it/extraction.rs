//! Importing, extracting and resuming it: names, classes, nothing written twice, folders that cannot be read, a full disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use image::RgbImage;
use salamander::jobs::Work;
use salamander::media::{
    ClassFrom, ImportOptions, MediaError, extract, gather, import, load_image,
};
use salamander::project::{ClassName, Project};
use tempfile::TempDir;

use super::compared::{H264, make, sampling};
use crate::cancel::cancelled_when;

/// Two class folders with a video each, one nested, and files that are not media.
fn two_classes(folder: &TempDir) {
    for class in ["cat", "dog"] {
        fs::create_dir_all(folder.path().join(class)).unwrap();
        let source = format!(
            "testsrc2=s=160x120:r=10:d={}",
            if class == "cat" { 2 } else { 3 }
        );
        make(folder, &format!("{class}/{class}-1.mp4"), &source, &H264);
    }
    fs::write(folder.path().join("dog/readme.txt"), "no media").unwrap();
    fs::write(folder.path().join("dog/.hidden.mp4"), "not looked at").unwrap();
}

fn names(project: &Project) -> Vec<String> {
    let mut names: Vec<String> = project
        .scan(&Work::new())
        .unwrap()
        .list
        .iter()
        .map(|frame| frame.path.clone())
        .collect();
    names.sort();
    names
}

#[test]
fn import_names_classes_and_never_writes_a_frame_twice() {
    let media = TempDir::new().unwrap();
    two_classes(&media);
    let home = TempDir::new().unwrap();
    let project = Project::create(&home.path().join("p"), "p").unwrap();
    let options = ImportOptions {
        class_from: ClassFrom::Folder,
        sampling: sampling(2.0, 160),
        ..ImportOptions::default()
    };
    let work = Work::new();
    let paths = [media.path().to_owned()];
    let outcome = import(&project, &paths, &options, &work).unwrap();
    assert_eq!(work.take_warnings(), Vec::<String>::new());
    let totals = outcome.totals();
    assert_eq!(
        (totals.videos, totals.frames, totals.passed_over),
        (2, 10, 2)
    );
    let first = names(&project);
    assert_eq!(
        first
            .iter()
            .filter(|name| name.starts_with("classes/cat/cat-1-"))
            .count(),
        4
    );
    assert_eq!(
        first
            .iter()
            .filter(|name| name.starts_with("classes/dog/"))
            .count(),
        6
    );
    assert!(
        project
            .sources()
            .iter()
            .all(|source| source.extracted.is_some())
    );
    let progress = work.progress();
    assert_eq!((progress.done, progress.total), (10, Some(10)));

    // Again: nothing new, no message. Even if a frame has another label by now, or is in the trash.
    project.trash(&first[..1], &work).unwrap();
    let moved = project
        .relabel(&first[1..2], &salamander::project::Label::Unsorted, &work)
        .unwrap();
    assert!(moved[0].starts_with("unsorted/"));
    let again = import(&project, &paths, &options, &work).unwrap();
    let totals = again.totals();
    assert_eq!(
        (totals.known, totals.conflicts, totals.passed_over),
        (2, 0, 2)
    );
    assert!(again.record.is_empty());
    assert_eq!(work.take_warnings(), Vec::<String>::new());
    assert_eq!(names(&project).len(), 9);

    // Lost frames, as after a crash: extraction restores the missing ones.
    let lost = names(&project)
        .into_iter()
        .find(|name| name.starts_with("classes/dog"))
        .unwrap();
    fs::remove_file(project.root().join(&lost)).unwrap();
    let dog = project
        .sources()
        .into_iter()
        .find(|source| source.name == "dog-1.mp4")
        .unwrap();
    assert_eq!(extract(&project, &dog.id, &work).unwrap(), 1);
    assert!(load_image(&project.root().join(&lost)).is_ok());
    // An empty file, as after a power cut.
    fs::write(project.root().join(&lost), "").unwrap();
    assert_eq!(extract(&project, &dog.id, &work).unwrap(), 1);
    assert!(load_image(&project.root().join(&lost)).is_ok());
}

#[test]
fn a_cancelled_extraction_goes_on_where_it_stopped() {
    let media = TempDir::new().unwrap();
    let path = make(&media, "walk.mp4", "testsrc2=s=320x240:r=30:d=10", &H264);
    let home = TempDir::new().unwrap();
    let project = Project::create(&home.path().join("p"), "p").unwrap();
    let options = ImportOptions {
        class_from: ClassFrom::File,
        sampling: sampling(30.0, 320),
        ..ImportOptions::default()
    };
    let work = cancelled_when(|work| {
        let progress = work.progress();
        progress.stage == "Extracting frames" && progress.done >= 20
    });
    let result = import(&project, std::slice::from_ref(&path), &options, &work);
    assert!(
        matches!(result, Err(MediaError::Cancelled(_))),
        "{result:?}"
    );
    let before = names(&project).len();
    assert!((20..300).contains(&before), "{before}");
    let source = project.sources().remove(0);
    assert_eq!(source.class, Some(ClassName::new("walk").unwrap()));
    assert_eq!(source.extracted, None);
    let leftovers = fs::read_dir(project.root().join("classes/walk")).unwrap();
    assert!(
        leftovers
            .map(|entry| entry.unwrap().path())
            .all(|path| path.extension().unwrap() == "jpg")
    );

    let written = extract(&project, &source.id, &Work::new()).unwrap();
    assert_eq!(written as usize, 300 - before);
    assert_eq!(names(&project).len(), 300);
    assert_eq!(project.source(&source.id).unwrap().extracted, Some(300));
}

#[test]
fn photos_are_copied_byte_for_byte_under_their_true_extension() {
    let media = TempDir::new().unwrap();
    for (name, seed) in [("img2.png", 2), ("img10.png", 10)] {
        let image = RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 6, y as u8 * 8, seed]));
        image.save(media.path().join(name)).unwrap();
    }
    fs::rename(media.path().join("img2.png"), media.path().join("img2.jpg")).unwrap();
    fs::write(
        media.path().join("broken.jpg"),
        [0xFF, 0xD8, 0xFF, 0xE0, 0, 16, 1, 2],
    )
    .unwrap();
    let home = TempDir::new().unwrap();
    let project = Project::create(&home.path().join("p"), "p").unwrap();
    let options = ImportOptions {
        class_from: ClassFrom::Chosen(ClassName::new("plant").unwrap()),
        ..ImportOptions::default()
    };
    let work = Work::new();
    let paths = [media.path().to_owned()];
    let outcome = import(&project, &paths, &options, &work).unwrap();
    let totals = outcome.totals();
    assert_eq!((totals.images, totals.frames, totals.failed), (2, 2, 1));
    let warnings = work.take_warnings();
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].contains("broken.jpg"), "{warnings:?}");
    let names = names(&project);
    assert_eq!(names.len(), 2);
    for name in &names {
        assert!(
            name.starts_with("classes/plant/img") && name.contains("_photo_"),
            "{name}"
        );
        assert_eq!(Path::new(name).extension().unwrap(), "png", "{name}");
        let original = if name.contains("img10") {
            "img10.png"
        } else {
            "img2.jpg"
        };
        assert_eq!(
            fs::read(project.root().join(name)).unwrap(),
            fs::read(media.path().join(original)).unwrap()
        );
    }
    let again = import(&project, &paths, &options, &work).unwrap();
    assert_eq!((again.totals().imported, again.totals().known), (0, 2));
    assert_eq!(project.sources().len(), 1);
}

#[test]
fn classes_that_differ_by_case_only_are_refused() {
    let media = TempDir::new().unwrap();
    for folder in ["Cat", "cat"] {
        fs::create_dir(media.path().join(folder)).unwrap();
        let colour = if folder == "Cat" { "red" } else { "blue" };
        let source = format!("color={colour}:s=64x64:r=5:d=1");
        make(&media, &format!("{folder}/a.mp4"), &source, &H264);
    }
    let home = TempDir::new().unwrap();
    let project = Project::create(&home.path().join("p"), "p").unwrap();
    let options = ImportOptions {
        class_from: ClassFrom::Folder,
        sampling: sampling(1.0, 64),
        ..ImportOptions::default()
    };
    let work = Work::new();
    let outcome = import(&project, &[media.path().to_owned()], &options, &work).unwrap();
    let totals = outcome.totals();
    assert_eq!((totals.videos, totals.failed), (1, 1));
    let warnings = work.take_warnings();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("“Cat”") && warnings[0].contains("“cat”"),
        "{warnings:?}"
    );
}

#[cfg(unix)]
#[test]
fn gathering_survives_loops_and_locked_folders() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let media = TempDir::new().unwrap();
    let root = media.path();
    fs::create_dir_all(root.join("a/b")).unwrap();
    for name in [
        "a/clip10.mp4",
        "a/clip2.mp4",
        "a/b/x.JPG",
        "a/notes.txt",
        "a/.secret.mp4",
        "a/@eaDir/clip2.mp4",
        "a/#recycle/clip3.mp4",
        "__MACOSX/a/clip2.mp4",
        "p/project.json",
        "p/classes/cat/c.jpg",
        "p/unsorted/u.jpg",
        "p/trash/classes/cat/t.jpg",
    ] {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "x").unwrap();
    }
    symlink(root, root.join("a/b/loop")).unwrap();
    let locked = root.join("locked");
    fs::create_dir(&locked).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o000)).unwrap();
    // Root can read everything.
    let refused = fs::read_dir(&locked).is_err();
    let work = Work::new();
    let gone = root.join("gone.jpg");
    let named = [root.to_owned(), root.join("a/notes.txt"), gone.clone()];
    let found = gather(&named, &work).unwrap();
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
    // Junk is skipped; an explicitly named file is opened, so that the error is reported.
    let expected = [
        "a/b/x.JPG",
        "a/clip2.mp4",
        "a/clip10.mp4",
        "a/notes.txt",
        "gone.jpg",
        "p/classes/cat/c.jpg",
        "p/unsorted/u.jpg",
    ];
    assert_eq!(found, expected.map(|name| root.join(name)));
    assert_eq!(work.take_warnings().len(), usize::from(refused));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told_and_leaves_no_half_file() {
    let media = TempDir::new().unwrap();
    let path = make(&media, "a.mp4", "testsrc2=s=64x64:r=5:d=2", &H264);
    let home = TempDir::new().unwrap();
    let project = Project::create(&home.path().join("p"), "p").unwrap();
    let options = ImportOptions {
        sampling: sampling(5.0, 64),
        ..ImportOptions::default()
    };
    // A folder that is always full replaces the class folder, if the system allows creating one.
    let folder = project.root().join("unsorted");
    fs::remove_dir(&folder).unwrap();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=8k", "tmpfs"])
        .arg({
            fs::create_dir(&folder).unwrap();
            &folder
        })
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        eprintln!("SKIPPED: mounting a small disk needs more rights than this test has");
        return;
    }
    let result = import(&project, &[path], &options, &Work::new());
    let left: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let unmounted = Command::new("umount").arg(&folder).status().unwrap();
    assert!(unmounted.success());
    let message = result.unwrap_err().to_string();
    assert!(message.contains("the disk is full"), "{message}");
    assert!(
        left.iter().all(|path| path.extension().unwrap() == "jpg"),
        "{left:?}"
    );
}
