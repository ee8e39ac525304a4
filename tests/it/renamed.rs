//! Runs follow their classes and frames: classes renamed, swapped, merged, deleted, and files moved or changed by hand.

use std::fs;
use std::path::Path;

use salamander::evaluate::{Evaluation, Predictor, evaluate};
use salamander::export::{Format, export};
use salamander::jobs::Work;
use salamander::media::{ClassFrom, ImportOptions, import, load_image};
use salamander::project::{Change, ClassName, History, Label, Project, Sampling, Split};
use salamander::train::{LiveCurves, Run, RunClasses, TrainSettings, resume, train};

use super::cli_program::{Place, events};
use super::export::predicted;
use super::projects::{of_images, quick, runs, without_hashes};

fn name(text: &str) -> ClassName {
    ClassName::new(text).unwrap()
}

fn rename(project: &Project, from: &str, to: &str) {
    project.rename_class(&name(from), &name(to)).unwrap();
}

fn settings() -> TrainSettings {
    quick("efficientnet-lite0@96", 40)
}

/// A project of three classes of images, and a run of it.
fn trained(root: &Path) -> (Project, Run) {
    let project = of_images(root, &[("cat", 12), ("dog", 12), ("fox", 12)]);
    let run = train(&project, &settings(), &LiveCurves::default(), &Work::new()).unwrap();
    (project, run)
}

fn on(project: &Project, run: &Run, split: Split) -> Evaluation {
    let run = Run::open(&run.dir).unwrap();
    evaluate(project, &run, split, &Work::new()).unwrap()
}

fn tested(project: &Project, run: &Run) -> Evaluation {
    on(project, run, Split::Test)
}

/// Everything but names and paths.
fn figures(evaluation: &Evaluation) -> Vec<(usize, usize, &[f32])> {
    let frames = evaluation.predictions.iter();
    frames
        .map(|f| (f.truth, f.predicted, f.probabilities.as_slice()))
        .collect()
}

fn assert_nothing_lost(evaluation: &Evaluation) {
    let counts = (
        evaluation.relabelled,
        evaluation.changed,
        evaluation.missing,
    );
    assert_eq!(counts, (0, 0, 0), "relabelled, changed, missing");
}

fn labels_of_export(project: &Project, run: &Run) -> Vec<String> {
    let out = project.root().join("exports").join("of a test");
    let files = export(project, run, &Format::ONNX.into(), &out, &Work::new())
        .unwrap()
        .files;
    assert_eq!(files[0].top1_agreement, Some(1.0));
    let labels = fs::read_to_string(out.join("labels.txt")).unwrap();
    let image = project
        .scan(&Work::new())
        .unwrap()
        .list
        .iter()
        .find(|frame| frame.label != Label::Unsorted)
        .map(|frame| frame.abs(project))
        .unwrap();
    let mut of_export = Predictor::from_export(&out).unwrap();
    let mut of_run = Predictor::from_run(run, RunClasses::beside(run)).unwrap();
    let (found, expected) = (
        predicted(&mut of_export, &image),
        predicted(&mut of_run, &image),
    );
    assert_eq!(found.0, expected.0);
    fs::remove_dir_all(out).unwrap();
    labels.lines().map(str::to_owned).collect()
}

#[test]
fn a_run_follows_a_class_that_is_renamed_twice() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = trained(&dir.path().join("p"));
    let before = tested(&project, &run);
    rename(&project, "cat", "Katze");
    rename(&project, "Katze", "猫");
    let after = tested(&project, &run);
    assert_eq!(after.classes, ["猫", "dog", "fox"]);
    assert_eq!(figures(&after), figures(&before));
    assert_nothing_lost(&after);
    assert!(after.notes.is_empty(), "{:?}", after.notes);
    assert_eq!(labels_of_export(&project, &run), ["猫", "dog", "fox"]);
    // Another class may get the old name; the run does not have it.
    project.add_class(&name("cat")).unwrap();
    let image = project.abs("classes/cat/0.png");
    fs::copy(project.abs("classes/dog/0.png"), image).unwrap();
    let after = tested(&project, &run);
    assert_eq!(figures(&after), figures(&before));
    assert_nothing_lost(&after);
}

#[test]
fn a_run_follows_two_classes_that_swap_their_names() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = trained(&dir.path().join("p"));
    let before = tested(&project, &run);
    for (from, to) in [("cat", "x"), ("dog", "cat"), ("x", "dog")] {
        rename(&project, from, to);
    }
    // The same paths are now frames of the other class.
    let after = tested(&project, &run);
    assert_eq!(after.classes, ["dog", "cat", "fox"]);
    assert_eq!(figures(&after), figures(&before));
    assert_nothing_lost(&after);
    for (before, after) in before.predictions.iter().zip(&after.predictions) {
        assert_eq!(before.path.contains("/cat/"), after.path.contains("/dog/"));
    }
    assert_eq!(labels_of_export(&project, &run), ["dog", "cat", "fox"]);
}

#[test]
fn an_interrupted_run_goes_on_to_the_same_bits_after_a_rename() {
    let dir = tempfile::tempdir().unwrap();
    let (project, whole) = trained(&dir.path().join("p"));
    rename(&project, "dog", "Hund");
    let run = resume(
        &project,
        &whole.id,
        Some(80),
        &LiveCurves::default(),
        &Work::new(),
    )
    .unwrap();
    let mut settings = settings();
    settings.how_many_training_steps = 80;
    let at_once = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
    assert_eq!(run.head().unwrap(), at_once.head().unwrap());
    assert_eq!(run.all_notes(), at_once.all_notes());
    assert_eq!(run.classes, ["cat", "dog", "fox"], "as it was trained");
    assert_eq!(at_once.classes, ["cat", "Hund", "fox"]);
}

#[test]
fn a_merger_is_explained_counts_either_answer_and_can_be_undone() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = trained(&dir.path().join("p"));
    let before = tested(&project, &run);
    let (mut history, work) = (History::default(), Work::new());
    let merge = Change::MergeClass {
        from: name("fox"),
        into: name("dog"),
    };
    let outcome = history.apply(&project, merge, &work).unwrap();
    assert_eq!(outcome.moved.len(), 12);
    assert!(!project.abs("classes/fox").exists());

    let after = tested(&project, &run);
    assert_eq!(after.classes, ["cat", "dog"]);
    assert_nothing_lost(&after);
    assert_eq!(after.notes.len(), 1);
    assert!(after.notes[0].contains("“fox” was merged into “dog”"));
    for (before, after) in before.predictions.iter().zip(&after.predictions) {
        let [cat, dog, fox] = before.probabilities[..] else {
            panic!("three classes")
        };
        assert_eq!(after.probabilities, [cat, dog + fox]);
        assert_eq!(after.truth, before.truth.min(1));
    }
    assert_eq!(labels_of_export(&project, &run), ["cat", "dog"]);
    // The training continues as it began: with frames of both classes, distinguished.
    let more = resume(&project, &run.id, Some(50), &LiveCurves::default(), &work).unwrap();
    assert_eq!(more.classes, ["cat", "dog", "fox"]);
    let notes = more.all_notes();
    assert!(
        notes.iter().any(|note| note.contains("merged into “dog”")),
        "{notes:?}"
    );

    history.undo(&project, &work).unwrap();
    let back = on(&project, &run, Split::Train);
    assert_eq!(back.classes, ["cat", "dog", "fox"]);
    assert_nothing_lost(&back);
    assert!(back.notes.is_empty());
    // And redone, into a class that is renamed afterwards.
    history.redo(&project, &work).unwrap();
    rename(&project, "dog", "canine");
    assert_eq!(tested(&project, &run).classes, ["cat", "canine"]);
}

#[test]
fn a_deleted_class_is_explained_and_its_frames_are_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = trained(&dir.path().join("p"));
    let before = tested(&project, &run);
    let foxes = before.predictions.iter().filter(|f| f.truth == 2).count();
    assert!(foxes > 0);
    project.remove_class(&name("fox")).unwrap();
    let check = |after: &Evaluation| {
        assert_eq!(after.missing, foxes as u64);
        assert_eq!(after.predictions.len(), before.predictions.len() - foxes);
        assert!(after.notes[0].contains("“fox” was deleted"));
    };
    let after = tested(&project, &run);
    check(&after);
    assert_eq!(after.classes, ["cat", "dog", "fox"]);
    // A new class with that name is another class.
    project.add_class(&name("fox")).unwrap();
    let unsorted: Vec<String> = project
        .scan(&Work::new())
        .unwrap()
        .list
        .into_iter()
        .filter(|frame| frame.label == Label::Unsorted)
        .map(|frame| frame.path)
        .collect();
    project
        .relabel(&unsorted, &Label::Class(name("fox")), &Work::new())
        .unwrap();
    check(&tested(&project, &run));
    let error = resume(
        &project,
        &run.id,
        Some(60),
        &LiveCurves::default(),
        &Work::new(),
    );
    let told = error.unwrap_err().to_string();
    assert!(
        told.contains("all images of “fox” it was trained on are gone"),
        "{told}"
    );
}

#[test]
fn a_class_folder_renamed_by_hand_is_the_same_class() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("p");
    let (project, run) = trained(&root);
    let before = tested(&project, &run);
    // While it is open, and while it is not.
    let by_hand = |from: &str, to: &str| {
        fs::rename(
            root.join("classes").join(from),
            root.join("classes").join(to),
        )
        .unwrap();
    };
    by_hand("cat", "Katze");
    let after = tested(&project, &run);
    assert_eq!(after.classes, ["Katze", "dog", "fox"]);
    assert_eq!(figures(&after), figures(&before));
    drop(project);
    by_hand("dog", "Hund");
    by_hand("fox", "Fuchs");
    let project = Project::open(&root).unwrap();
    let after = tested(&project, &run);
    assert_eq!(after.classes, ["Katze", "Hund", "Fuchs"]);
    assert_eq!(figures(&after), figures(&before));
    assert_nothing_lost(&after);
    // A folder that disappears for a while is the same class when it comes back; another folder in its place is not.
    let aside = dir.path().join("aside");
    fs::rename(root.join("classes/Hund"), &aside).unwrap();
    fs::create_dir(root.join("classes/Wolf")).unwrap();
    fs::copy(aside.join("0.png"), root.join("classes/Wolf/w.png")).unwrap();
    let without = tested(&project, &run);
    assert_eq!(without.classes, ["Katze", "dog", "Fuchs"]);
    assert!(without.missing > 0 && without.notes[0].contains("“dog” was deleted"));
    fs::rename(&aside, root.join("classes/Hund")).unwrap();
    let after = tested(&project, &run);
    assert_eq!(after.classes, ["Katze", "Hund", "Fuchs"]);
    assert_eq!(figures(&after), figures(&before));
}

#[test]
fn files_moved_renamed_and_changed_by_hand_are_followed_and_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = trained(&dir.path().join("p"));
    let before = tested(&project, &run);
    let at = |index: usize| project.abs(&before.predictions[index].path);
    let last = before.predictions.len() - 1;
    assert!(before.predictions[0].truth != before.predictions[last].truth);
    // One has another name in another folder within its class, two of different classes are swapped, one is changed in
    // place.
    fs::create_dir(at(1).with_file_name("more")).unwrap();
    fs::rename(at(1), at(1).with_file_name("more").join("holiday.png")).unwrap();
    let aside = dir.path().join("aside.png");
    fs::rename(at(0), &aside).unwrap();
    fs::rename(at(last), at(0)).unwrap();
    fs::rename(&aside, at(last)).unwrap();
    let darker = load_image(&at(2)).unwrap();
    let darker = image::imageops::brighten(&darker, -30);
    darker.save(at(2)).unwrap();

    let after = tested(&project, &run);
    let counts = (after.relabelled, after.changed, after.missing);
    assert_eq!(counts, (2, 1, 0), "relabelled, changed, missing");
    for index in [0, 1, last] {
        let (then, now) = (&before.predictions[index], &after.predictions[index]);
        assert_eq!(then.probabilities, now.probabilities, "the same image");
    }
    assert_eq!(after.predictions[0].truth, before.predictions[last].truth);
    assert_eq!(after.predictions[last].truth, before.predictions[0].truth);
    assert!(after.predictions[1].path.ends_with("more/holiday.png"));
    assert_eq!(after.predictions[1].truth, before.predictions[1].truth);
    let changed = (&before.predictions[2], &after.predictions[2]);
    assert_ne!(changed.0.probabilities, changed.1.probabilities);
    assert_eq!(changed.0.path, changed.1.path);
}

/// A run of the previous version has neither contents nor identities of classes.
#[test]
fn an_old_run_follows_by_names_what_can_be_followed() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = trained(&dir.path().join("p"));
    let before = tested(&project, &run);
    let path = run.dir.join("run.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let ids = json.as_object_mut().unwrap().remove("class_ids").unwrap();
    assert_eq!(ids.as_array().unwrap().len(), 3);
    json["settings"]
        .as_object_mut()
        .unwrap()
        .remove("eval_spacing");
    fs::write(&path, json.to_string()).unwrap();
    let path = run.dir.join("frames.jsonl");
    let lines: Vec<String> = fs::read_to_string(&path)
        .unwrap()
        .lines()
        .map(|line| {
            let mut frame: serde_json::Value = serde_json::from_str(line).unwrap();
            assert!(frame.as_object_mut().unwrap().remove("content").is_some());
            frame.to_string()
        })
        .collect();
    fs::write(&path, lines.join("\n") + "\n").unwrap();
    without_hashes(&run.dir);
    let run = runs(&project).remove(0);
    assert_eq!(figures(&tested(&project, &run)), figures(&before));
    rename(&project, "cat", "Katze");
    project
        .merge_class(&name("fox"), &name("dog"), &Work::new())
        .unwrap();
    let after = tested(&project, &run);
    assert_eq!(after.classes, ["Katze", "dog"]);
    // `0.png` of both classes: the one that is now `0~2.png` cannot be identified without its content.
    let foxes = before.predictions.iter().filter(|f| f.truth == 2).count();
    assert_eq!(
        after.predictions.len() + after.missing as usize,
        before.predictions.len()
    );
    assert!(after.missing as usize <= foxes);
}

#[test]
fn the_command_line_renames_merges_and_lists_runs() {
    let place = Place::new();
    drop(of_images(
        &place.path("p"),
        &[("cat", 12), ("dog", 12), ("fox", 12)],
    ));
    let train =
        "train p --depth head --architecture efficientnet-lite0@96 --how-many-training-steps 40";
    let trained = place.result(&format!(
        "{train} --testing-percentage 25 --validation-percentage 25"
    ));
    let before = place.result("evaluate p");
    assert_eq!(before["test_accuracy"], trained["test_accuracy"]);
    let told = place.failure("classes p rename cat dog");
    assert!(told.contains("“dog” already"), "{told}");
    assert!(
        told.contains("`salamander classes p merge cat dog`"),
        "{told}"
    );

    place.result("classes p rename cat katze");
    let after = place.result("evaluate p");
    assert_eq!(after["classes"], serde_json::json!(["katze", "dog", "fox"]));
    for key in [
        "test_accuracy",
        "confusion",
        "frames",
        "changed",
        "missing",
        "notes",
    ] {
        assert_eq!(after[key], before[key], "{key}");
    }
    assert_eq!(after["per_class"][0]["class"], "katze");
    let image = place.path("p/classes/katze/0.png");
    let run = format!("p/runs/{}", trained["run"].as_str().unwrap());
    let message = place.json(&format!("predict {run} {} --top 0", image.display()));
    let names = events(&message, "prediction")[0]["top"].to_string();
    assert!(names.contains("katze") && !names.contains("cat"), "{names}");

    let steps = "--how-many-training-steps 50";
    let resumed = place.result(&format!("train p --resume latest {steps}"));
    assert_eq!(resumed["classes"], after["classes"]);
    let before = place.result("evaluate p");

    let classes = place.result("classes p merge fox dog");
    assert_eq!(classes["classes"].as_array().unwrap().len(), 2);
    let lines = place.json("evaluate p");
    let merged = lines.last().unwrap();
    assert_eq!(merged["classes"], serde_json::json!(["katze", "dog"]));
    assert_eq!(merged["frames"], before["frames"]);
    assert!(merged["notes"].to_string().contains("“fox” was merged"));
    let warned = lines.iter().filter(|line| line["event"] == "warning");
    assert_eq!(warned.count(), 1);

    let listed = place.result("runs p");
    assert_eq!(listed["runs"][0]["run"], trained["run"]);
    assert_eq!(listed["runs"][0]["classes"], merged["classes"]);
    assert_eq!(listed["runs"][0]["state"], "finished");
    let removed = place.result("runs p --remove latest");
    assert_eq!(removed["removed"], trained["run"]);
    assert_eq!(removed["runs"], serde_json::json!([]));
    assert_eq!(place.result("trash p")["runs"], 1);
    let restore = format!("runs p --restore {}", trained["run"].as_str().unwrap());
    assert_eq!(place.result(&restore)["runs"], listed["runs"]);
    assert!(place.line("runs p").stdout.contains("katze, dog"));
}

#[test]
fn the_reported_project_with_a_renamed_class_goes_on() {
    let data = std::env::var_os("SALAMANDER_DATA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
        Into::into,
    );
    let reported = data.join("reported/renamed-class");
    if !reported.is_dir() {
        eprintln!("SKIPPED: there is no “{}”", reported.display());
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let project = Project::create(&dir.path().join("p"), "p").unwrap();
    let options = ImportOptions {
        class_from: ClassFrom::Folder,
        sampling: Sampling::default(),
        ..ImportOptions::default()
    };
    let folders = [reported.join("cat"), reported.join("dog")];
    import(&project, &folders, &options, &Work::new()).unwrap();
    let run = train(&project, &settings(), &LiveCurves::default(), &Work::new()).unwrap();
    let before = tested(&project, &run);
    rename(&project, "cat", "katze");
    let after = tested(&project, &run);
    assert_eq!(after.classes, ["katze", "dog"]);
    assert_eq!(figures(&after), figures(&before));
    assert_nothing_lost(&after);
    assert_eq!(labels_of_export(&project, &run), ["katze", "dog"]);
    let more = resume(
        &project,
        &run.id,
        Some(50),
        &LiveCurves::default(),
        &Work::new(),
    );
    assert_eq!(more.unwrap().result().unwrap().steps, 50);
}
