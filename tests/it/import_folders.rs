//! The meaning of folders in an import besides classes: a given split, unsorted images, names that cannot be classes.

use std::fs;

use salamander::project::{Project, Split};
use serde_json::Value;

use crate::cli_program::Place;
use crate::imported::{fates, labels, shared, sides, warnings};

const SPLIT: [&str; 6] = [
    "g/train/cat/1.jpg",
    "g/train/dog/2.jpg",
    "g/val/cat/3.jpg",
    "g/val/dog/4.jpg",
    "g/test/cat/5.jpg",
    "g/test/dog/6.jpg",
];

fn notes(result: &Value) -> String {
    let notes = result["notes"].as_array().unwrap();
    let notes: Vec<&str> = notes.iter().map(|note| note.as_str().unwrap()).collect();
    notes.join("\n")
}

/// The number of labelled images on each side.
fn on_sides(project: &Project) -> [usize; 3] {
    let sides = sides(project);
    [Split::Train, Split::Validation, Split::Test]
        .map(|side| sides.values().filter(|s| **s == Some(side)).count())
}

#[test]
fn a_given_split_can_be_declined() {
    let place = Place::new();
    place.photos(&SPLIT);
    place.fresh("p");
    let result = place.result("import p g --class-from folder --ignore-split");
    assert_eq!(result["imported"], 6);
    assert!(notes(&result).contains("is ignored"), "{result}");
    let project = place.open("p");
    assert!(project.sources().iter().all(|s| s.given_split.is_none()));
    drop(project);
    // Images with a side keep it.
    place.fresh("q");
    place.result("import q g --class-from folder");
    place.result("import q g --class-from folder --ignore-split");
    let sources = place.open("q").sources();
    assert!(sources.iter().all(|source| source.given_split.is_some()));
}

#[test]
fn a_given_split_is_kept_wherever_the_classes_come_from() {
    let place = Place::new();
    place.photos(&SPLIT);
    for (name, from) in [("p", ""), ("q", "--class a"), ("r", "--class-from file")] {
        place.fresh(name);
        let result = place.result(format!("import {name} g {from}").trim());
        assert_eq!(result["imported"], 6);
        assert!(
            notes(&result).contains("split into train, validation and test folders is kept"),
            "{from}: {result}"
        );
        let mut given: Vec<_> = place
            .open(name)
            .sources()
            .into_iter()
            .map(|source| format!("{} {:?}", source.name, source.given_split.unwrap()))
            .collect();
        given.sort();
        if from != "--class-from file" {
            assert_eq!(given, ["test Test", "train Train", "val Validation"]);
        }
    }
    assert_eq!(on_sides(&place.open("q")), [2, 2, 2]);
    // The classes are given later; the sides are already there.
    let result = place.result("import p g --class-from folder --on-conflict move");
    assert!(notes(&result).contains("is kept."), "{result}");
    let project = place.open("p");
    assert_eq!(labels(&project), "cat 3, dog 3");
    assert_eq!(on_sides(&project), [2, 2, 2]);

    if let Some(given) = shared("train-val-test-folders") {
        place.fresh("s");
        place.result(&format!("import s {} --class a", given.display()));
        assert_eq!(on_sides(&place.open("s")), [6, 6, 6]);
    }
}

#[test]
fn what_was_imported_without_a_side_takes_one_later() {
    let place = Place::new();
    place.photos(&SPLIT);
    for (side, source) in [("train", "testsrc2"), ("test", "smptebars")] {
        let name = format!("g/{side}/cat/film.mp4");
        place.video(
            &name,
            &format!("{source}=size=160x120:rate=10,trim=duration=1"),
        );
    }
    place.fresh("p");
    for folder in [
        "train/cat",
        "train/dog",
        "val/cat",
        "val/dog",
        "test/cat",
        "test/dog",
    ] {
        let class = folder.split('/').next_back().unwrap();
        place.result(&format!("import p g/{folder} --class {class}"));
    }
    let project = place.open("p");
    assert!(project.sources().iter().all(|s| s.given_split.is_none()));
    drop(project);
    let result = place.result("import p g --class-from folder");
    assert!(notes(&result).contains("is kept."), "{result}");
    let project = place.open("p");
    let expected = |side| {
        project
            .sources()
            .iter()
            .filter(|s| s.given_split == Some(side))
            .count()
    };
    assert_eq!(expected(Split::Train), 3);
    assert_eq!(expected(Split::Validation), 2);
    assert_eq!(expected(Split::Test), 3);
    drop(project);

    // Images of one batch that are given for several sides are not changed, with a message.
    fs::create_dir(place.path("flat")).unwrap();
    for (number, from) in SPLIT.iter().enumerate() {
        fs::copy(place.path(from), place.path(format!("flat/{number}.jpg"))).unwrap();
    }
    place.fresh("q");
    place.result("import q flat --class a");
    let lines = place.json("import q g --class a");
    let result = lines.last().unwrap();
    let message = notes(result);
    assert!(
        message.contains("kept except for 6 files") && !message.contains("is kept."),
        "{result}"
    );
    let message = warnings(&lines);
    assert_eq!(message.len(), 6, "{message:?}");
    assert!(
        message
            .iter()
            .any(|s| s.contains("1.jpg") && s.contains("without a side"))
    );
}

#[test]
fn files_in_a_folder_called_unsorted_are_unsorted() {
    let place = Place::new();
    place.photos(&[
        "g/cat/1.jpg",
        "g/dog/2.jpg",
        "g/Unsorted/3.jpg",
        "g/CON/4.jpg",
    ]);
    place.fresh("p");
    let lines = place.json("import p g --class-from folder");
    let result = lines.last().unwrap();
    assert_eq!(
        (&result["imported"], &result["failed"]),
        (&3.into(), &1.into()),
        "{result}"
    );
    assert_eq!(labels(&place.open("p")), "cat 1, dog 1, unsorted 1");
    let message = warnings(&lines);
    assert_eq!(message.len(), 1, "{message:?}");
    assert!(
        message[0].contains("rename the folder") && message[0].contains("g/CON"),
        "{message:?}"
    );
}

#[test]
fn of_copies_in_one_import_the_first_decides() {
    let place = Place::new();
    place.photos(&[
        "g/cat/1.jpg",
        "g/cat/2.jpg",
        "g/dog/3.jpg",
        "g/dog/copy.jpg=g/cat/1.jpg",
    ]);
    let film = "testsrc2=size=160x120:rate=10,trim=duration=1";
    place.video("g/cat/film.mp4", film);
    fs::copy(place.path("g/cat/film.mp4"), place.path("g/dog/film.mp4")).unwrap();
    place.fresh("p");
    let line = "import p g --class-from folder --on-conflict move";
    for _ in 0..3 {
        let lines = place.json(line);
        assert_eq!(lines.last().unwrap()["conflicts"], 2);
        let fates = fates(&lines);
        for name in ["dog/copy.jpg", "dog/film.mp4"] {
            assert_eq!(fates[name]["class"], "cat", "{name}");
            assert_ne!(fates[name]["moved"], true, "{name}");
        }
        assert_eq!(labels(&place.open("p")), "cat 4, dog 1");
        let message = warnings(&lines).join("\n");
        assert!(message.contains("a copy of an earlier file"), "{message}");
    }
    // The first copy's class replaces an earlier one, once.
    place.fresh("p2");
    place.result("import p2 g/dog --class dog");
    for moved in [2, 0] {
        let lines = place.json("import p2 g --class-from folder --on-conflict move");
        let fates = fates(&lines);
        assert_eq!(fates.values().filter(|f| f["moved"] == true).count(), moved);
        assert_eq!(labels(&place.open("p2")), "cat 4, dog 1");
    }
}

#[test]
fn empty_folders_with_names_of_sessions_make_no_class() {
    let place = Place::new();
    place.photos(&["g/cat/1.jpg", "g/dog/2.jpg"]);
    for folder in [
        "2024",
        "new",
        "day3",
        "2024-05",
        "New Folder (2)",
        "owl",
        "7",
    ] {
        fs::create_dir(place.path("g").join(folder)).unwrap();
    }
    place.fresh("p");
    let result = place.result("import p g --class-from folder");
    assert_eq!(labels(&place.open("p")), "7 0, cat 1, dog 1, owl 0");
    let message = notes(&result);
    for name in ["“2024”", "“2024-05”", "1 more", "did not become classes"] {
        assert!(message.contains(name), "{name}: {message}");
    }
}
