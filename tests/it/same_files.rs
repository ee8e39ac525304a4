//! Files that are the same or nearly so: each is counted once, and the report names which.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use salamander::jobs::Work;
use salamander::project::Project;
use serde_json::Value;

use super::imported::{adds_up, fates, labels, shared, warnings};
use crate::cli_program::{Place, events};

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
            message[0].contains("dog.mp4") && message[0].contains("2 per second"),
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
