//! Frames that were relabelled or removed after a run was trained on them.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use salamander::evaluate::evaluate;
use salamander::jobs::Work;
use salamander::project::{ClassName, Label, Split};
use salamander::train::{LiveCurves, RunFrame, RunState, present, resume, train};

use super::cli_program::{Place, events};
use super::projects::{of_images, of_sample_videos, quick, runs};

#[test]
fn relabelled_frames_are_judged_by_their_present_class() {
    let dir = tempfile::tempdir().unwrap();
    let project = of_sample_videos(&dir.path().join("p"));
    let settings = quick("efficientnet-lite0@96", 40);
    let run = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
    let test_set = || evaluate(&project, &run, Split::Test, &Work::new()).unwrap();
    let before = test_set();
    assert_eq!((before.relabelled, before.missing), (0, 0));
    assert!(before.predictions.len() >= 6);
    let class = |index: usize| Label::Class(ClassName::new(&run.classes[index]).unwrap());
    let at = |index: usize| &before.predictions[index];
    let other = |index: usize| (at(index).truth + 1) % run.classes.len();

    // One by the program, one by hand, one into a folder within its class.
    let moved = project
        .relabel(&[at(0).path.clone()], &class(other(0)), &Work::new())
        .unwrap();
    let by_hand = at(1)
        .path
        .replacen(&run.classes[at(1).truth], &run.classes[other(1)], 1);
    std::fs::rename(project.abs(&at(1).path), project.abs(&by_hand)).unwrap();
    let (folder, name) = at(2).path.rsplit_once('/').unwrap();
    let deeper = format!("{folder}/more/{name}");
    std::fs::create_dir(project.abs(&format!("{folder}/more"))).unwrap();
    std::fs::rename(project.abs(&at(2).path), project.abs(&deeper)).unwrap();
    // One loses its label, one is deleted, one is moved into a class that the run does not have.
    project
        .relabel(&[at(3).path.clone()], &Label::Unsorted, &Work::new())
        .unwrap();
    std::fs::remove_file(project.abs(&at(4).path)).unwrap();
    let new = ClassName::new("new").unwrap();
    project.add_class(&new).unwrap();
    project
        .relabel(&[at(5).path.clone()], &Label::Class(new), &Work::new())
        .unwrap();

    let after = test_set();
    assert_eq!((after.relabelled, after.missing), (2, 3));
    assert_eq!(after.predictions.len(), before.predictions.len() - 3);
    let expected = [
        (&moved[0], other(0), 0),
        (&by_hand, other(1), 1),
        (&deeper, at(2).truth, 2),
    ];
    for ((path, truth, index), found) in expected.into_iter().zip(&after.predictions) {
        assert_eq!((&found.path, found.truth), (path, truth));
        assert_eq!(
            found.probabilities,
            at(index).probabilities,
            "the same picture"
        );
        assert_eq!(found.group, at(index).group);
    }
    assert_eq!(after.predictions[3..], before.predictions[6..]);
    let right = after
        .predictions
        .iter()
        .filter(|frame| frame.predicted == frame.truth);
    assert_eq!(after.confusion.correct(), right.count() as u64);

    // Of copies the one with the frame's name counts, and if two classes have one, the truth is uncertain; a file with
    // another name is recognised by its content.
    let copy = moved[0].replacen(&run.classes[other(0)], &run.classes[at(0).truth], 1);
    let other_name = copy.replace(".jpg", " copy.jpg");
    std::fs::copy(project.abs(&moved[0]), project.abs(&other_name)).unwrap();
    let after = test_set();
    assert_eq!((after.relabelled, after.missing), (2, 3));
    assert_eq!(after.predictions[0].path, moved[0]);
    let same_name = copy.replacen(&run.classes[at(0).truth], "new", 1);
    std::fs::copy(project.abs(&moved[0]), project.abs(&same_name)).unwrap();
    let renamed = project.abs(&by_hand).with_file_name("1.jpg");
    std::fs::rename(project.abs(&by_hand), renamed).unwrap();
    let after = test_set();
    assert_eq!((after.relabelled, after.missing), (1, 4));
    assert_eq!(after.changed, 0);
}

#[test]
fn equal_frames_of_a_film_that_stands_still_are_told_apart_by_their_names() {
    let place = Place::new();
    place.video(
        "g/still/still.mp4",
        "color=c=gray:size=64x64:rate=10,trim=duration=12",
    );
    place.video(
        "g/moving/moving.mp4",
        "testsrc2=size=64x64:rate=10,trim=duration=12",
    );
    place.fresh("p");
    place.result("import p g --class-from folder --fps 2");
    let project = place.open("p");
    let class = |name: &str| Label::Class(ClassName::new(name).unwrap());
    for name in ["third", "fourth"] {
        project.add_class(&ClassName::new(name).unwrap()).unwrap();
    }
    let frames = project.scan(&Work::new()).unwrap().list;
    let moving: Vec<String> = frames
        .into_iter()
        .filter(|frame| frame.label == class("moving"))
        .map(|frame| frame.path)
        .collect();
    project
        .relabel(&moving[..6], &class("third"), &Work::new())
        .unwrap();
    project
        .relabel(&moving[6..12], &class("fourth"), &Work::new())
        .unwrap();
    let settings = quick("efficientnet-lite0@96", 20);
    let run = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
    let still: Vec<RunFrame> = run
        .frames()
        .unwrap()
        .into_iter()
        .filter(|frame| frame.path.starts_with("classes/still/"))
        .collect();
    assert!(still.len() > 10);
    let content = still[0].content;
    assert!(content.is_some() && still.iter().all(|frame| frame.content == content));

    // The last is moved to one class and the first to another, so that all three classes have copies; the second is
    // deleted.
    let last = still.len() - 1;
    let to = |at: usize, name: &str| {
        let path = [still[at].path.clone()];
        project.relabel(&path, &class(name), &Work::new()).unwrap()
    };
    let moved = [to(last, "third"), to(0, "fourth")].concat();
    std::fs::remove_file(project.abs(&still[1].path)).unwrap();
    let found = present(&project, &run, None, &Work::new()).unwrap();
    let places: HashSet<&String> = found.frames.iter().map(|frame| &frame.path).collect();
    assert_eq!(places.len(), found.frames.len(), "no file twice");
    // A copy that was left out of the training replaces the second.
    assert_eq!((found.relabelled, found.changed, found.missing), (2, 0, 0));
    for path in moved.iter().chain(still[2..last].iter().map(|f| &f.path)) {
        assert!(places.contains(path), "{path}");
    }
}

#[test]
fn weights_from_before_a_correction_are_compared_by_the_labels_of_today() {
    let dir = tempfile::tempdir().unwrap();
    let project = of_images(&dir.path().join("p"), &[("cat", 40), ("dog", 30)]);
    let settings = quick("efficientnet-lite0@96", 60);
    let curves = LiveCurves::default();
    let run = train(&project, &settings, &curves, &Work::new()).unwrap();
    assert_eq!(run.result().unwrap().validation_accuracy, Some(1.0));

    // Half of one class, of every side, is moved to the other by hand.
    let mut moved = 0;
    for split in [Split::Train, Split::Validation, Split::Test] {
        let frames = run.frames().unwrap().into_iter();
        let cats = frames.filter(|frame| frame.split == split && frame.path.contains("/cat/"));
        let cats: Vec<String> = cats.map(|frame| frame.path).collect();
        for path in &cats[cats.len() / 2..] {
            let to = path.replace("/cat/", "/dog/").replace(".png", "-cat.png");
            std::fs::rename(project.abs(path), project.abs(&to)).unwrap();
            moved += 1;
        }
    }
    assert!(moved >= 15, "{moved}");
    let run = resume(&project, &run.id, Some(61), &curves, &Work::new()).unwrap();
    let result = run.result().cloned().unwrap();
    assert!(run.all_notes().iter().any(|note| note.contains("label")));
    let found = evaluate(&project, &run, Split::Validation, &Work::new()).unwrap();
    assert!(found.relabelled > 0);
    let accuracy = found.confusion.accuracy().unwrap();
    assert!(accuracy < 1.0);
    assert!(
        (result.validation_accuracy.unwrap() - accuracy).abs() < 1e-6,
        "{result:?}: {accuracy}"
    );
    let best = curves.best().unwrap();
    assert_eq!(Some(best.validation_accuracy), result.validation_accuracy);
    assert_eq!(best.step, result.best_step);
}

/// Starts `line` and kills it with SIGKILL once it has reported a step.
fn killed_while_training(place: &Place, line: &str) {
    let words: Vec<&str> = line.split(' ').chain(["--json"]).collect();
    let mut child = place
        .command(&words)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let told = lines.any(|line| line.unwrap().contains("\"event\":\"step\""));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(told, "{line} ended before its first step");
}

#[test]
fn a_run_that_was_killed_goes_on_with_the_labels_and_names_of_today() {
    let place = Place::new();
    drop(of_images(&place.path("p"), &[("cat", 40), ("dog", 30)]));
    let steps = "--how-many-training-steps";
    let train = "train p --depth head --architecture efficientnet-lite0@96 \
                 --validation-percentage 25 --testing-percentage 25";
    let train = train.split_whitespace().collect::<Vec<_>>().join(" ");
    killed_while_training(&place, &format!("{train} {steps} 4000"));

    // On each side some cats become dogs: by the command, and by hand.
    let run = runs(&place.open("p")).remove(0);
    assert_eq!(run.state, RunState::Unfinished);
    let (mut by_command, mut by_hand) = (0, 0);
    for split in [Split::Train, Split::Validation, Split::Test] {
        let frames = run.frames().unwrap().into_iter();
        let cats = frames.filter(|frame| frame.split == split && frame.path.contains("/cat/"));
        let cats: Vec<String> = cats.map(|frame| frame.path).collect();
        for path in cats.iter().step_by(4) {
            let ran = place.run(&["label", "p", "dog", &format!("p/{path}")]);
            assert_eq!(ran.code, Some(0), "{}", ran.stderr);
            by_command += 1;
        }
        for path in cats.iter().skip(2).step_by(4) {
            let to = path
                .replace("/cat/", "/dog/")
                .replace(".png", "-by hand.png");
            std::fs::rename(place.path("p").join(path), place.path("p").join(to)).unwrap();
            by_hand += 1;
        }
    }
    assert!(by_command >= 9 && by_hand >= 9, "{by_command} {by_hand}");
    place.result("classes p rename dog wolf");

    let resumed = place.result("train p --resume latest");
    assert_eq!(resumed["classes"], serde_json::json!(["cat", "wolf"]));
    let notes = resumed["notes"].to_string();
    assert!(notes.contains("label"), "{notes}");
    for (side, figure) in [
        ("validation", "validation_accuracy"),
        ("test", "test_accuracy"),
    ] {
        let found = place.result(&format!("evaluate p --split {side}"));
        assert!(found["relabelled"].as_u64().unwrap() > 0, "{found}");
        assert_eq!(found["missing"], 0);
        let cell = |row: usize, column: usize| found["confusion"][row][column].as_f64().unwrap();
        let right = cell(0, 0) + cell(1, 1);
        let accuracy = right / (right + cell(0, 1) + cell(1, 0));
        let kept = resumed[figure].as_f64().unwrap();
        assert!((kept - accuracy).abs() < 1e-6, "{side}: {kept} {found}");
        assert_eq!(found["classes"], resumed["classes"]);
    }

    let exported = place.result("export p --out out");
    assert!(exported["files"].is_array(), "{exported}");
    let labels = std::fs::read_to_string(place.path("out/labels.txt")).unwrap();
    assert_eq!(labels, "cat\nwolf\n");
    let found = place.json("predict out p/classes/wolf/0.png --top 0");
    let names = events(&found, "prediction")[0]["top"].to_string();
    assert!(names.contains("wolf") && !names.contains("dog"), "{names}");
}
