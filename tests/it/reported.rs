//! Problems that users reported about similar tools, reproduced with inputs made here, and run on the set of such
//! inputs next to the repository if it exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};
use salamander::curate::groups;
use salamander::jobs::Work;
use salamander::project::{FrameName, Project, Split, SplitSettings};
use serde_json::Value;

use crate::cli_program::{Place, events};

/// A different image for each number.
fn picture(number: u32) -> RgbImage {
    let hash = blake3::hash(&number.to_le_bytes());
    let bytes = *hash.as_bytes();
    RgbImage::from_fn(48, 48, |x, y| {
        let at = (x / 12 + y / 12 * 4) as usize;
        let value = bytes[at % 32];
        Rgb([
            value,
            value.wrapping_add(bytes[at / 2]),
            bytes[31 - at % 32],
        ])
    })
}

impl Place {
    /// Different images at these paths; those that end in `=name` have the same bytes as `name`.
    pub(super) fn photos(&self, paths: &[&str]) {
        for path in paths {
            let (path, same) = path.split_once('=').unwrap_or((path, ""));
            let to = self.path(path);
            fs::create_dir_all(to.parent().unwrap()).unwrap();
            if same.is_empty() {
                let number = u32::from_le_bytes(
                    blake3::hash(path.as_bytes()).as_bytes()[..4]
                        .try_into()
                        .unwrap(),
                );
                picture(number).save(to).unwrap();
            } else {
                fs::copy(self.path(same), to).unwrap();
            }
        }
    }

    /// A new project called `name`.
    pub(super) fn fresh(&self, name: &str) {
        assert_eq!(self.line(&format!("new {name}")).code, Some(0));
    }

    pub(super) fn open(&self, name: &str) -> Project {
        Project::open(&self.path(name)).unwrap()
    }
}

/// The set of reported inputs, if it is there.
pub(super) fn shared(name: &str) -> Option<PathBuf> {
    let data = std::env::var_os("SALAMANDER_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        PathBuf::from,
    );
    let path = data.join("reported").join(name);
    if !path.is_dir() {
        eprintln!(
            "skipped the set of reported inputs: {} is not there",
            path.display()
        );
        return None;
    }
    path.canonicalize().ok()
}

/// The number of frames with each label: `cat 3, unsorted 1`.
pub(super) fn labels(project: &Project) -> String {
    let frames = project.scan(&Work::new()).unwrap();
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for class in project.classes() {
        counts.insert(class.name.to_string(), 0);
    }
    for frame in &frames.list {
        let label = frame
            .label
            .class()
            .map_or("unsorted", |class| class.as_str());
        *counts.entry(label.to_owned()).or_default() += 1;
    }
    let counts: Vec<String> = counts.iter().map(|(l, n)| format!("{l} {n}")).collect();
    counts.join(", ")
}

/// The `file` events of an import by the end of their paths.
pub(super) fn fates(lines: &[Value]) -> BTreeMap<String, &Value> {
    let files = events(lines, "file").into_iter();
    files
        .map(|file| {
            let path = Path::new(file["path"].as_str().unwrap());
            let mut end: Vec<_> = path.components().rev().take(2).collect();
            end.reverse();
            let end: PathBuf = end.into_iter().collect();
            (end.display().to_string(), file)
        })
        .collect()
}

/// Checks that every file is accounted for.
fn adds_up(result: &Value) {
    let n = |field: &str| result[field].as_u64().unwrap();
    assert_eq!(
        n("imported") + n("known") + n("passed_over") + n("failed"),
        n("files"),
        "{result}"
    );
}

pub(super) fn warnings(lines: &[Value]) -> Vec<String> {
    let warnings = events(lines, "warning").into_iter();
    warnings
        .map(|warning| warning["message"].as_str().unwrap().to_owned())
        .collect()
}

/// The side of each frame by its path.
pub(super) fn sides(project: &Project) -> BTreeMap<String, Option<Split>> {
    let work = Work::new();
    let frames = project.scan(&work).unwrap();
    let groups = groups(project, &frames, &work).unwrap();
    let assigned = project
        .assign_splits(&frames, &groups, &SplitSettings::default())
        .unwrap();
    let paths = frames.list.into_iter().map(|frame| frame.path);
    paths.zip(assigned.splits).collect()
}

#[test]
fn two_photos_whose_hashes_begin_alike_are_both_there() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/photo-id-collision");
    let place = Place::new();
    let mut ids = BTreeSet::new();
    for name in ["cat", "dog"] {
        let from = fixture.join(format!("{name}.jpg"));
        let to = place.path(format!("given/{name}/{name}.jpg"));
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&from, to).unwrap();
        let hash = blake3::hash(&fs::read(from).unwrap()).to_hex();
        ids.insert(hash[..8].to_owned());
    }
    assert_eq!(ids.len(), 1, "the first 32 bits agree");
    place.fresh("p");
    let result = place.result("import p given --class-from folder");
    assert_eq!(result["imported"], 2, "{result}");
    assert_eq!(labels(&place.open("p")), "cat 1, dog 1");
    let again = place.result("import p given --class-from folder");
    assert_eq!(
        (&again["imported"], &again["known"]),
        (&0.into(), &2.into())
    );

    // One of them is in the project with the 32-bit hash of an earlier version.
    place.fresh("old");
    let id = ids.first().unwrap();
    fs::create_dir_all(place.path("old/classes/cat")).unwrap();
    let old = place.path(format!("old/classes/cat/cat-00000001_photo_{id}.jpg"));
    fs::copy(fixture.join("cat.jpg"), old).unwrap();
    let result = place.result("import old given --class-from folder");
    assert_eq!(
        (&result["imported"], &result["known"]),
        (&1.into(), &1.into())
    );
    assert_eq!(labels(&place.open("old")), "cat 1, dog 1");
    if let Some(given) = shared("photo-id-collision") {
        place.fresh("s");
        let line = format!("import s {} --class-from folder", given.display());
        assert_eq!(place.result(&line)["imported"], 2);
    }
}

#[test]
fn the_same_photo_in_two_classes_is_said_by_name() {
    let place = Place::new();
    place.photos(&[
        "g/cat/1.jpg",
        "g/cat/2.jpg",
        "g/dog/1.jpg",
        "g/dog/holiday.jpg=g/cat/1.jpg",
    ]);
    place.fresh("p");
    let lines = place.json("import p g --class-from folder");
    let result = lines.last().unwrap();
    adds_up(result);
    assert_eq!(
        (&result["imported"], &result["conflicts"]),
        (&3.into(), &1.into())
    );
    let fates = fates(&lines);
    let conflict = fates["dog/holiday.jpg"];
    assert_eq!(
        (
            &conflict["fate"],
            &conflict["class"],
            &conflict["asked_class"]
        ),
        (&"known".into(), &"cat".into(), &"dog".into())
    );
    assert!(
        conflict["place"]
            .as_str()
            .unwrap()
            .starts_with("classes/cat/1-")
    );
    let message = warnings(&lines);
    assert_eq!(message.len(), 1, "{message:?}");
    for word in ["holiday.jpg", "class “cat”", "not “dog”"] {
        assert!(message[0].contains(word), "{message:?}");
    }
    assert_eq!(labels(&place.open("p")), "cat 2, dog 1");

    // Again under another class: left with a message, or moved with a message.
    let line = "import p g/cat --class pets";
    let left = place.json(line);
    assert_eq!(left.last().unwrap()["conflicts"], 2);
    assert_eq!(
        labels(&place.open("p")),
        "cat 2, dog 1",
        "no class is made for nothing"
    );
    let moved = place.json(&format!("{line} --on-conflict move"));
    assert_eq!(moved.last().unwrap()["known"], 2);
    assert!(
        events(&moved, "file")
            .iter()
            .all(|file| file["moved"] == true)
    );
    assert_eq!(labels(&place.open("p")), "cat 0, dog 1, pets 2");
    // Unsorted ones get a class that is given later.
    place.photos(&["later/x.jpg"]);
    place.result("import p later");
    let moved = place.json("import p later --class cat --on-conflict move");
    assert_eq!(fates_of(&moved, "moved"), 1);
    assert_eq!(labels(&place.open("p")), "cat 1, dog 1, pets 2");

    if let Some(given) = shared("same-photo-in-two-classes") {
        place.fresh("s");
        let lines = place.json(&format!("import s {} --class-from folder", given.display()));
        let result = lines.last().unwrap();
        assert_eq!(
            (&result["imported"], &result["conflicts"]),
            (&12.into(), &3.into())
        );
        let message = warnings(&lines).join("\n");
        for name in ["holiday0.jpg", "holiday1.jpg", "holiday2.jpg"] {
            assert!(message.contains(name), "{message}");
        }
        assert_eq!(labels(&place.open("s")), "cat 6, dog 6");
    }
}

fn fates_of(lines: &[Value], field: &str) -> usize {
    events(lines, "file")
        .iter()
        .filter(|file| file[field] == true)
        .count()
}

#[test]
fn the_same_video_in_two_classes_or_at_another_rate_is_said() {
    let place = Place::new();
    place.video(
        "g/cat/film.mp4",
        "testsrc2=size=160x120:rate=10,trim=duration=2",
    );
    place.video(
        "g/dog/dog.mp4",
        "smptebars=size=160x120:rate=10,trim=duration=2",
    );
    fs::copy(place.path("g/cat/film.mp4"), place.path("g/dog/film.mp4")).unwrap();
    place.fresh("p");
    let lines = place.json("import p g --class-from folder --fps 2");
    let result = lines.last().unwrap();
    adds_up(result);
    assert_eq!(
        (&result["imported"], &result["conflicts"]),
        (&2.into(), &1.into())
    );
    let fates = fates(&lines);
    assert_eq!(fates["dog/film.mp4"]["class"], "cat");
    assert_eq!(fates["dog/film.mp4"]["asked_class"], "dog");
    assert!(warnings(&lines)[0].contains("film.mp4"));
    let record = |project: &Project| -> Vec<String> {
        let sources = project.sources().into_iter();
        sources
            .map(|s| format!("{} {}", s.name, s.class.unwrap().as_str()))
            .collect()
    };
    let project = place.open("p");
    assert_eq!(record(&project), ["film.mp4 cat", "dog.mp4 dog"]);
    assert_eq!(labels(&project), "cat 4, dog 4");
    drop(project);

    // Another class: the frames and the record are changed together.
    let moved = place.json("import p g/cat/film.mp4 --class dog --on-conflict move --fps 2");
    assert_eq!(fates_of(&moved, "moved"), 1);
    let project = place.open("p");
    assert_eq!(record(&project), ["film.mp4 dog", "dog.mp4 dog"]);
    assert_eq!(labels(&project), "cat 0, dog 8");
    drop(project);

    // Another rate or width: existing frames stay, with a message.
    for other in ["--fps 5", "--fps 2 --width 64"] {
        let kept = place.json(&format!("import p g/dog/dog.mp4 --class dog {other}"));
        assert_eq!(kept.last().unwrap()["frames"], 0, "{other}");
        let message = warnings(&kept);
        assert!(
            message[0].contains("dog.mp4") && message[0].contains("2 a second"),
            "{message:?}"
        );
        assert_eq!(labels(&place.open("p")), "cat 0, dog 8");
    }
    // Replaced: labels given by hand stay, and there is only one set of frames.
    let project = place.open("p");
    let frames = project.scan(&Work::new()).unwrap();
    let last = frames
        .list
        .iter()
        .rfind(|f| f.path.contains("dog-"))
        .unwrap();
    assert_eq!(last.time_secs, Some(1.5));
    let cat = project.classes()[0].name.clone();
    let label = salamander::project::Label::Class(cat);
    project
        .relabel(std::slice::from_ref(&last.path), &label, &Work::new())
        .unwrap();
    drop((project, frames));
    let replaced = place.result("import p g/dog/dog.mp4 --class dog --fps 5 --width 64 --replace");
    assert_eq!(replaced["frames"], 10, "{replaced}");
    let project = place.open("p");
    // At 1.4, 1.6 and 1.8 s, nearest to 1.5.
    assert_eq!(labels(&project), "cat 3, dog 11");
    let trash = project.scan_trash(&Work::new()).unwrap();
    assert_eq!(trash.list.len(), 4);
    drop(project);

    if let Some(given) = shared("same-video-in-two-classes") {
        place.fresh("s");
        let lines = place.json(&format!("import s {} --class-from folder", given.display()));
        assert_eq!(lines.last().unwrap()["conflicts"], 1);
        assert!(warnings(&lines).join("\n").contains("film.mp4"));
    }
}

#[test]
fn films_that_differ_in_the_middle_are_two() {
    let place = Place::new();
    place.video(
        "g/a.avi",
        "testsrc2=size=320x240:rate=25,trim=duration=20,noise=alls=60",
    );
    let mut bytes = fs::read(place.path("g/a.avi")).unwrap();
    assert!(bytes.len() > 5 << 20, "{}", bytes.len());
    // In none of the three MiB that an earlier version read.
    let at = (3 << 20) / 2;
    bytes[at] ^= 1;
    fs::write(place.path("g/b.avi"), &bytes).unwrap();
    place.fresh("p");
    let result = place.result("import p g --fps 0.2 --width 32");
    assert_eq!(
        (&result["videos"], &result["known"]),
        (&2.into(), &0.into()),
        "{result}"
    );
    assert_eq!(place.open("p").sources().len(), 2);
}

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
