//! Problems that users reported about similar tools, reproduced with inputs made here, and run on the set of such
//! inputs next to the repository if it exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use salamander::jobs::Work;
use salamander::project::{FrameName, Split};

use super::imported::{adds_up, fates, labels, shared, sides, warnings};
use crate::cli_program::Place;

#[test]
fn frames_of_another_project_keep_their_source_and_time() {
    let place = Place::new();
    place.project();
    let names = |project: &str| -> BTreeSet<String> {
        let frames = place.open(project).scan(&Work::new()).unwrap();
        frames.list.into_iter().map(|frame| frame.path).collect()
    };
    let theirs = names("p");
    assert_eq!(theirs.len(), 120);
    // The class folders, the whole project, and a plain copy of the class folders.
    fs::create_dir(place.path("copy")).unwrap();
    for class in fs::read_dir(place.path("p/classes")).unwrap() {
        let class = class.unwrap().path();
        let to = place.path("copy").join(class.file_name().unwrap());
        fs::create_dir(&to).unwrap();
        for frame in fs::read_dir(class).unwrap() {
            let frame = frame.unwrap().path();
            fs::copy(&frame, to.join(frame.file_name().unwrap())).unwrap();
        }
    }
    for (project, given) in [("q", "p/classes"), ("r", "p"), ("t", "copy")] {
        place.fresh(project);
        let result = place.result(&format!("import {project} {given} --class-from folder"));
        adds_up(&result);
        assert_eq!(result["imported"], 120, "{given}");
        assert_eq!(names(project), theirs, "{given}");
        let opened = place.open(project);
        assert_eq!(opened.sources().len(), 12, "{given}");
        let sides = sides(&opened);
        let mut by_source: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (path, side) in sides {
            let name = FrameName::parse(path.rsplit('/').next().unwrap()).unwrap();
            let of_source = by_source.entry(name.source.to_string()).or_default();
            of_source.insert(format!("{side:?}"));
        }
        assert_eq!(by_source.len(), 12);
        assert!(
            by_source.values().all(|sides| sides.len() == 1),
            "{by_source:?}"
        );
    }
    // The films are recognised as sources of the frames there.
    let films = place.result("import t videos --class-from folder --fps 5 --width 160");
    assert_eq!(
        (&films["frames"], &films["failed"]),
        (&0.into(), &0.into()),
        "{films}"
    );
    assert_eq!(names("t"), theirs);

    if let Some(given) = shared("frames-of-another-project") {
        place.fresh("u");
        place.result(&format!(
            "import u {} --class-from folder --fps 5",
            given.display()
        ));
        place.fresh("v");
        place.result("import v u/classes --class-from folder");
        assert_eq!(names("v"), names("u"));
    }
}

#[test]
fn nested_folders_are_looked_at_as_a_whole() {
    for (given, expected) in [
        (
            &[
                "g/cat/day1/1.jpg",
                "g/cat/day2/2.jpg",
                "g/dog/day1/3.jpg",
                "g/dog/day2/4.jpg",
            ][..],
            "cat 2, dog 2",
        ),
        (
            &["g/day1/cat/1.jpg", "g/day1/dog/2.jpg", "g/day2/cat/3.jpg"],
            "cat 2, dog 1",
        ),
        (
            &["g/PetImages/Cat/1.jpg", "g/PetImages/Dog/2.jpg"],
            "Cat 1, Dog 1",
        ),
        (
            &[
                "g/cat/2024-05-01/DCIM/100ANDRO/1.jpg",
                "g/dog/2024-05-02/DCIM/100ANDRO/2.jpg",
            ],
            "cat 1, dog 1",
        ),
    ] {
        let place = Place::new();
        place.photos(given);
        place.fresh("p");
        let result = place.result("import p g --class-from folder");
        assert_eq!(labels(&place.open("p")), expected, "{given:?}");
        assert!(!result["notes"].as_array().unwrap().is_empty(), "{result}");
    }
    if let Some(given) = shared("nested-class-folders") {
        let place = Place::new();
        place.fresh("p");
        place.result(&format!("import p {} --class-from folder", given.display()));
        assert_eq!(labels(&place.open("p")), "cat 8, dog 8");
    }
}

#[test]
fn thumbnails_trash_and_leftovers_are_passed_over_and_said() {
    let place = Place::new();
    place.photos(&[
        "g/cat/1.jpg",
        "g/cat/@eaDir/1.jpg/SYNOPHOTO_THUMB_XL.jpg",
        "g/cat/.@__thumb/1.jpg",
        "g/dog/2.jpg",
        "g/#recycle/3.jpg",
        "g/.Trash-1000/files/4.jpg",
        "g/$RECYCLE.BIN/5.jpg",
        "g/__MACOSX/cat/6.jpg",
    ]);
    for name in [
        "g/cat/._1.jpg",
        "g/cat/Thumbs.db",
        "g/.DS_Store",
        "g/.hidden.jpg",
    ] {
        fs::write(place.path(name), "x").unwrap();
    }
    // The project's own folder among the paths.
    assert_eq!(place.line("new g/project").code, Some(0));
    place.photos(&["g/project/classes/fox/own.jpg"]);
    let lines = place.json("import g/project g --class-from folder");
    let result = lines.last().unwrap();
    adds_up(result);
    assert_eq!(
        (&result["imported"], &result["failed"]),
        (&2.into(), &0.into()),
        "{result}"
    );
    let mut reasons: BTreeMap<&str, u64> = BTreeMap::new();
    for entry in result["passed_over_for"].as_array().unwrap() {
        *reasons
            .entry(entry["reason"].as_str().unwrap())
            .or_default() += entry["files"].as_u64().unwrap();
    }
    for (reason, count) in [
        ("drive_thumbnail", 2),
        ("deleted", 3),
        ("archive_leftover", 1),
        ("system_file", 3),
        ("hidden", 1),
    ] {
        assert_eq!(reasons.get(reason), Some(&count), "{reason}: {reasons:?}");
    }
    assert!(reasons["this_project"] >= 2, "{reasons:?}");
    assert_eq!(labels(&place.open("g/project")), "cat 1, dog 1, fox 1");

    if let Some(given) = shared("synology-eadir") {
        place.fresh("s");
        let result = place.result(&format!("import s {} --class-from folder", given.display()));
        assert_eq!(result["imported"], 10, "{result}");
        assert_eq!(result["passed_over_for"][0]["reason"], "drive_thumbnail");
        assert_eq!(labels(&place.open("s")), "cat 5, dog 5");
    }
}

#[test]
fn a_given_split_is_kept() {
    for layout in [
        ["train", "val", "test"],
        ["Training", "valid", "Testing"],
        ["train", "validation", "test"],
    ] {
        let place = Place::new();
        for (side, count) in layout.iter().zip([4, 2, 3]) {
            for class in ["cat", "dog"] {
                for number in 0..count {
                    place.photos(&[&format!("g/{side}/{class}/{number}.jpg")]);
                }
            }
        }
        place.fresh("p");
        let result = place.result("import p g --class-from folder");
        assert!(
            result["notes"][0].as_str().unwrap().contains("split"),
            "{result}"
        );
        let project = place.open("p");
        assert_eq!(labels(&project), "cat 9, dog 9");
        let sides = sides(&project);
        for (side, count) in [(Split::Train, 8), (Split::Validation, 4), (Split::Test, 6)] {
            assert_eq!(sides.values().filter(|s| **s == Some(side)).count(), count);
        }
    }
    // Sides within the classes; the three folders given one by one; the same image on two sides.
    let place = Place::new();
    place.photos(&[
        "g/cat/train/1.jpg",
        "g/cat/test/2.jpg",
        "g/dog/train/3.jpg",
        "g/dog/val/4.jpg",
        "h/train/cat/1.jpg",
        "h/val/cat/2.jpg",
        "h/test/cat/3.jpg=h/train/cat/1.jpg",
    ]);
    place.fresh("p");
    place.result("import p g --class-from folder");
    let given: BTreeSet<_> = place
        .open("p")
        .sources()
        .into_iter()
        .map(|s| format!("{:?}", s.given_split))
        .collect();
    assert_eq!(given.len(), 3, "{given:?}");
    place.fresh("q");
    let lines = place.json("import q h/train h/val h/test --class-from folder");
    assert_eq!(lines.last().unwrap()["imported"], 2);
    let message = warnings(&lines);
    assert!(
        message[0].contains("3.jpg") && message[0].contains("training"),
        "{message:?}"
    );

    if let Some(given) = shared("train-val-test-folders") {
        place.fresh("s");
        place.result(&format!("import s {} --class-from folder", given.display()));
        let project = place.open("s");
        assert_eq!(labels(&project), "cat 9, dog 9");
        let sides = sides(&project);
        for side in [Split::Train, Split::Validation, Split::Test] {
            assert_eq!(sides.values().filter(|s| **s == Some(side)).count(), 6);
        }
    }
}

#[test]
fn loose_photos_are_unsorted_and_empty_classes_are_made() {
    let place = Place::new();
    place.photos(&[
        "g/image0.jpg",
        "g/image1.jpg",
        "g/cat/0.jpg",
        "g/cat/1.jpg",
        "g/dog/0.jpg",
    ]);
    for folder in ["g/bird", "g/.cache", "g/2024-01-01"] {
        fs::create_dir(place.path(folder)).unwrap();
    }
    fs::create_dir(place.path("g/frog")).unwrap();
    fs::write(place.path("g/frog/Thumbs.db"), "x").unwrap();
    place.fresh("p");
    let result = place.result("import p g --class-from folder");
    assert_eq!(
        labels(&place.open("p")),
        "bird 0, cat 2, dog 1, frog 0, unsorted 2"
    );
    assert_eq!(result["classes"].as_array().unwrap().len(), 4, "{result}");
    // Within a given split.
    place.photos(&["h/train/cat/a.jpg", "h/val/cat/b.jpg", "h/test/c.jpg"]);
    fs::create_dir_all(place.path("h/train/owl")).unwrap();
    place.fresh("q");
    place.result("import q h --class-from folder");
    assert_eq!(labels(&place.open("q")), "cat 2, owl 0, unsorted 1");

    if let Some(given) = shared("loose-photos-in-the-root") {
        place.fresh("s");
        place.result(&format!("import s {} --class-from folder", given.display()));
        assert_eq!(labels(&place.open("s")), "cat 4, dog 4, unsorted 3");
    }
    if let Some(given) = shared("empty-class-folder") {
        // The set is read-only and has no empty folder.
        for class in ["cat", "dog"] {
            let to = place.path(format!("e/{class}"));
            fs::create_dir_all(&to).unwrap();
            for file in fs::read_dir(given.join(class)).unwrap() {
                let file = file.unwrap().path();
                fs::copy(&file, to.join(file.file_name().unwrap())).unwrap();
            }
        }
        fs::create_dir(place.path("e/bird")).unwrap();
        place.fresh("t");
        place.result("import t e --class-from folder");
        assert_eq!(labels(&place.open("t")), "bird 0, cat 4, dog 4");
    }
}

#[test]
fn a_single_file_is_not_of_the_class_of_its_folder() {
    let place = Place::new();
    place.photos(&[
        "Downloads/x.jpg",
        "cat/y.jpg",
        "cat/z.jpg",
        "dog/w.jpg",
        "DCIM/100ANDRO/v.jpg",
    ]);
    place.fresh("p");
    for (given, expected) in [
        ("Downloads/x.jpg", "unsorted 1"),
        ("cat/y.jpg", "unsorted 2"),
        ("DCIM", "unsorted 3"),
        ("cat/z.jpg dog/w.jpg", "cat 1, dog 1, unsorted 3"),
    ] {
        place.result(&format!("import p {given} --class-from folder"));
        assert_eq!(labels(&place.open("p")), expected, "{given}");
    }
}

#[cfg(unix)]
#[test]
fn what_cannot_be_used_stops_only_itself_and_leaves_nothing_behind() {
    use std::os::unix::ffi::OsStringExt;
    let place = Place::new();
    // Five files that are not images, whatever their names.
    for (number, content) in ["", "text", "\u{FF}\u{D8}", "RIFFxxxxWEBP", "%PDF-1.4"]
        .iter()
        .enumerate()
    {
        let path = place.path(format!("bad/cat/{number}.jpg"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    fs::write(place.path("bad/cat/film.mp4"), "no film").unwrap();
    place.fresh("p");
    let ran = place.line("import p bad --class-from folder --json");
    assert_eq!(ran.code, Some(1));
    assert_eq!(fates(&ran.json()).len(), 6);
    assert_eq!(labels(&place.open("p")), "");
    assert_eq!(place.open("p").sources(), []);
    let nothing = place.failure("import p bad/cat/1.jpg");
    assert!(
        nothing.contains("1.jpg") && nothing.contains("text"),
        "{nothing}"
    );

    // A broken link, a file and a folder with names that are not Unicode, an invalid class name.
    place.photos(&["g/cat/1.jpg", "g/dog/2.jpg", "g/CON/3.jpg"]);
    std::os::unix::fs::symlink("nowhere", place.path("g/cat/broken.jpg")).unwrap();
    let odd = std::ffi::OsString::from_vec(b"caf\xe9.jpg".to_vec());
    fs::copy(place.path("g/cat/1.jpg"), place.path("g/dog").join(&odd)).unwrap();
    let folder = place
        .path("g")
        .join(std::ffi::OsString::from_vec(b"\xff".to_vec()));
    fs::create_dir(&folder).unwrap();
    fs::copy(place.path("g/dog/2.jpg"), folder.join("4.jpg")).unwrap();
    place.photos(&["h/plain.jpg"]);
    fs::rename(place.path("h/plain.jpg"), place.path("h").join(&odd)).unwrap();
    let lines = place.json("import p g --class-from folder");
    let result = lines.last().unwrap();
    adds_up(result);
    assert_eq!(
        (&result["imported"], &result["known"]),
        (&2.into(), &1.into()),
        "{result}"
    );
    assert_eq!(result["failed"], 3, "{result}");
    let message = warnings(&lines).join("\n");
    for words in ["broken.jpg", "“nowhere”", "“CON”", "not valid Unicode"] {
        assert!(message.contains(words), "{words}: {message}");
    }
    assert_eq!(place.result("import p h")["imported"], 1);
    assert_eq!(labels(&place.open("p")), "cat 1, dog 1, unsorted 1");

    // A source in a folder with a non-Unicode name is found again.
    place.video("v.mp4", "testsrc2=size=160x120:rate=10,trim=duration=1");
    let film = folder.join("v.mp4");
    fs::rename(place.path("v.mp4"), &film).unwrap();
    place.fresh("q");
    let ran = place.command(&["import", "q"]).arg(&film).output().unwrap();
    assert!(
        ran.status.success(),
        "{}",
        String::from_utf8_lossy(&ran.stderr)
    );
    assert_eq!(place.open("q").sources()[0].path, film);
}

#[test]
fn a_project_of_the_version_before_is_imported_into_without_doing_anything_anew() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    if !fixtures.join("project-before").is_dir() {
        eprintln!("skipped: there is no fixture of a project of the version before");
        return;
    }
    let place = Place::new();
    copy_all(&fixtures.join("project-before"), &place.path("p"));
    let before = place.open("p");
    let (labelled, sources) = (labels(&before), before.sources());
    assert!(sources.iter().all(|source| source.id.is_legacy()));
    drop(before);
    let photos = fixtures.join("photos-before");
    let result = place.result(&format!(
        "import p {} --class-from folder",
        photos.display()
    ));
    assert_eq!(
        (&result["imported"], &result["known"]),
        (&0.into(), &7.into()),
        "{result}"
    );
    let project = place.open("p");
    assert_eq!(labels(&project), labelled);
    assert_eq!(project.sources(), sources);
    drop(project);
    // Its films are identified by the sample of their content in their ids, at any place.
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/sample");
    if sample.is_dir() {
        let line = format!(
            "import p {} --class-from folder --fps 1 --width 64",
            sample.display()
        );
        let result = place.result(&line);
        assert_eq!(
            (&result["imported"], &result["frames"]),
            (&0.into(), &0.into()),
            "{result}"
        );
        assert!(result["known"].as_u64().unwrap() > 0, "{result}");
        assert_eq!(labels(&place.open("p")), labelled);
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_all(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
