//! Exports as one ZIP file, of several runs, and their model card; a failed export leaves nothing behind.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;
use std::path::Path;

use serde_json::Value;

use salamander::export::{
    Bundle, Card, Format, Order, example_image, export, export_runs, found_in, verify_bundle,
    zip_name,
};
use salamander::jobs::Work;
use salamander::project::Project;
use salamander::train::{LiveCurves, Run, train};

use super::cli_program::Place;
use super::projects::{change_tensors, of_images, quick, without_hashes};

fn trained(root: &Path, steps: &[u32]) -> (Project, Vec<Run>) {
    let project = of_images(root, &[("red, dark", 40), ("green [x]", 40), ("blue", 12)]);
    let train = |steps: &u32| {
        let settings = quick("efficientnet-lite0@96", *steps);
        train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap()
    };
    let runs = steps.iter().map(train).collect();
    (project, runs)
}

fn zipped() -> Order {
    Order {
        bundle: Bundle::Zip,
        ..Format::ONNX.into()
    }
}

fn unzipped(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(fs::File::open(path).unwrap()).unwrap();
    let mut found = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        found.insert(file.name().to_owned(), bytes);
    }
    found
}

fn entries(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_zip_is_the_folder_in_one_file() {
    let dir = tempfile::tempdir().unwrap();
    let (project, runs) = trained(&dir.path().join("p"), &[40]);
    let run = &runs[0];
    let out = dir.path().join("new/out");
    let outcome = export(&project, run, &zipped(), &out, &Work::new()).unwrap();
    let name = zip_name(&project, run);
    assert_eq!(outcome.place, out.join(&name));
    assert_eq!(entries(&out), std::slice::from_ref(&name));
    assert_eq!(outcome.files[0].format, "zip");
    let bytes = fs::read(&outcome.place).unwrap();
    assert_eq!(outcome.files[0].bytes, bytes.len() as u64);

    // Its content is that of the folder, below a folder of its name.
    let folder = dir.path().join("folder");
    export(&project, run, &Format::ONNX.into(), &folder, &Work::new()).unwrap();
    let inside = unzipped(&outcome.place);
    let stem = name.strip_suffix(".zip").unwrap();
    assert!(inside.len() > 20, "{:?}", inside.keys());
    for (name, bytes) in &inside {
        let below = name.strip_prefix(&format!("{stem}/")).unwrap();
        assert!(fs::read(folder.join(below)).unwrap() == *bytes, "{name}");
    }

    // The same bytes at another place and over itself, and verified from the file alone.
    let again = dir.path().join("again");
    let second = export(&project, run, &zipped(), &again, &Work::new()).unwrap();
    assert!(fs::read(&second.place).unwrap() == bytes);
    export(&project, run, &zipped(), &out, &Work::new()).unwrap();
    assert!(fs::read(&outcome.place).unwrap() == bytes);
    let found = verify_bundle(&outcome.place, &Work::new()).unwrap();
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    assert_eq!((found.images, found.models.len()), (10, 1));

    // The golden images can be shown from both.
    let golden = |place: &Path| -> Vec<(String, image::RgbImage)> {
        let examples = found_in(place).unwrap().unwrap().examples;
        let images = examples.into_iter();
        images
            .map(|found| (found.class, example_image(&found.path).unwrap()))
            .collect()
    };
    let seen = golden(&outcome.place);
    assert_eq!(seen.len(), 10);
    assert!(seen == golden(&folder));
    let missing = example_image(&outcome.place.join("golden/99.png")).unwrap_err();
    assert!(missing.to_string().contains("is missing"), "{missing}");

    // An added or removed byte of the model is detected.
    let mut changed = bytes.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&outcome.place, &changed).unwrap();
    let problems = verify_bundle(&outcome.place, &Work::new())
        .unwrap()
        .problems;
    assert!(!problems.is_empty());

    // Changed files, and files that are not of an export, are not replaced; with force an earlier export is.
    let refused = |order: &Order| {
        let error = export(&project, run, order, &out, &Work::new()).unwrap_err();
        error.to_string()
    };
    let text = refused(&zipped());
    assert!(text.contains(&name) && text.contains("--force"), "{text}");
    let force = Order {
        force: true,
        ..zipped()
    };
    export(&project, run, &force, &out, &Work::new()).unwrap();
    assert!(fs::read(&outcome.place).unwrap() == bytes);
    fs::write(&outcome.place, "mine").unwrap();
    assert!(refused(&force).contains(&name));
    assert_eq!(fs::read_to_string(&outcome.place).unwrap(), "mine");
    assert_eq!(entries(&out), [name]);
}

#[test]
fn several_runs_are_exported_each_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let (project, runs) = trained(&dir.path().join("p"), &[20, 30, 40]);
    let out = dir.path().join("out");
    let blocked = out.join(&runs[1].id.0);
    fs::create_dir_all(&blocked).unwrap();
    fs::write(blocked.join("README.txt"), "mine").unwrap();
    let mut asked = runs.clone();
    asked.push(runs[0].clone());
    let done = export_runs(&project, &asked, &Format::ONNX.into(), &out, &Work::new()).unwrap();
    assert_eq!(done.len(), 3);
    for (at, (found, run)) in done.iter().zip(&runs).enumerate() {
        assert_eq!((&found.run, &found.place), (&run.id, &out.join(&run.id.0)));
        match &found.outcome {
            Ok(outcome) => {
                assert_ne!(at, 1);
                assert_eq!(outcome.certificate.run, run.id.0);
                let found = verify_bundle(&found.place, &Work::new()).unwrap();
                assert!(found.problems.is_empty());
            }
            Err(error) => {
                assert_eq!(at, 1);
                assert!(error.to_string().contains("README.txt"), "{error}");
            }
        }
    }
    assert_eq!(entries(&blocked), ["README.txt"]);
    // Cancelled before it begins, it does nothing.
    let work = Work::new();
    work.cancel();
    let none = dir.path().join("none");
    assert!(export_runs(&project, &runs, &Format::ONNX.into(), &none, &work).is_err());
    assert!(!none.exists());
}

#[test]
fn folders_made_for_an_export_that_fails_go_again() {
    let dir = tempfile::tempdir().unwrap();
    let (project, runs) = trained(&dir.path().join("p"), &[20]);
    let kept = dir.path().join("kept");
    fs::create_dir(&kept).unwrap();
    let work = Work::new();
    work.cancel();
    for order in [Format::ONNX.into(), zipped()] {
        let out = kept.join("a/b/c");
        assert!(export(&project, &runs[0], &order, &out, &work).is_err());
        assert_eq!(entries(&kept), Vec::<String>::new());
    }
}

#[test]
fn the_card_says_what_the_run_was_made_of_and_came_to() {
    let dir = tempfile::tempdir().unwrap();
    let (project, runs) = trained(&dir.path().join("p"), &[40]);
    let run = &runs[0];
    let out = dir.path().join("out");
    let outcome = export(&project, run, &Format::ONNX.into(), &out, &Work::new()).unwrap();
    let json = fs::read(out.join("model_card.json")).unwrap();
    let card: Card = serde_json::from_slice(&json).unwrap();
    assert_eq!(card, outcome.card);
    let data = &card.data;
    assert_eq!(
        data.train.images + data.validation.images + data.test.images,
        92
    );
    let sum = |count: fn(&salamander::export::CardClass) -> u64| {
        card.classes.iter().map(count).sum::<u64>()
    };
    assert_eq!(sum(|class| class.train.images), data.train.images);
    assert_eq!(sum(|class| class.test.images), data.test.images);
    assert_eq!(card.accuracy.split, "test");
    assert_eq!(card.accuracy.images, outcome.certificate.frames);
    let top1 = outcome.certificate.models[0].run_top1 as f32;
    assert!((card.accuracy.part.unwrap() - top1).abs() < 1e-6);
    let (low, high) = card.accuracy.interval_95.unwrap();
    assert!(low < top1 + 1e-6 && top1 < high + 1e-6);
    assert_eq!(card.weakest().len(), 3);
    let leak = card.leak.as_ref().unwrap();
    assert_eq!(leak.frames, data.test.images);
    assert!((leak.by_source.value.unwrap() - f64::from(top1)).abs() < 1e-6);
    assert!(card.licences[0].contains("Apache-2.0"));

    let text = fs::read_to_string(out.join("MODEL_CARD.md")).unwrap();
    for part in [
        "# Model card: ",
        "## Limitations",
        "red, dark",
        "green \\[x\\]",
        "fewer than 30 test images",
        "`model.onnx`",
        "LICENSE.txt",
        "with a split image by image it would seem",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // Every table has as many cells in each row as in its heading.
    for table in text.split("\n\n").filter(|part| part.starts_with('|')) {
        let cells = |line: &str| line.replace("\\|", "").matches('|').count();
        let mut lines = table.lines();
        let heading = cells(lines.next().unwrap());
        assert!(lines.all(|line| cells(line) == heading), "{table}");
    }
}

#[test]
fn the_command_line_exports_and_verifies_them() {
    let place = Place::new();
    let (project, runs) = trained(&place.path("p"), &[20, 30]);
    drop(project);
    let [first, second] = [&runs[0].id.0, &runs[1].id.0];
    let result = place.result(&format!(
        "export p --run {first} --run {second} --bundle zip --out packed"
    ));
    let exported = result["runs"].as_array().unwrap();
    assert_eq!(exported.len(), 2);
    for (found, run) in exported.iter().zip([first, second]) {
        assert_eq!(found["run"], **run);
        let zip = found["place"].as_str().unwrap();
        assert!(zip.contains(".zip"), "{zip}");
        let verified = place.result(&format!("verify {zip}"));
        assert_eq!(verified["problems"], serde_json::json!([]));
    }
    // Trainings for the cards are cached, although an export opens the project read-only.
    let kept = fs::read_dir(place.path("p/cache/evaluate")).unwrap();
    let kept = kept.filter(|entry| {
        let name = entry.as_ref().unwrap().file_name();
        name.to_string_lossy().starts_with("leak-")
    });
    assert!(kept.count() > 0);
    let ran = place.line(&format!("export p --run {first} --run {second} --out both"));
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    for run in [first, second] {
        assert!(
            ran.stdout.matches(run.as_str()).count() >= 2,
            "{}",
            ran.stdout
        );
        assert!(place.path(format!("both/{run}/model.onnx")).is_file());
    }

    // One of them cannot be written; the other is.
    fs::write(place.path(format!("both/{first}/labels.txt")), "mine").unwrap();
    let line = format!("export p --run {first} --run {second} --out both");
    let failed = place.line(&format!("{line} --json"));
    assert_eq!(failed.code, Some(1));
    assert!(failed.stderr.contains("1 of 2 runs"), "{}", failed.stderr);
    let lines = failed.json();
    let told: Vec<&Value> = lines
        .iter()
        .filter(|line| line["event"] == "exported")
        .collect();
    assert_eq!(told[0]["failed"][0]["run"], **first);
    assert_eq!(told[0]["runs"][0]["run"], **second);
    let twice = place.line(&format!("export p --run {first} --run {first} --out x"));
    assert_eq!(twice.code, Some(2));

    // For a path that is not an export, the message says what to give instead.
    let message = place.failure(&format!("verify both/{second}/model.onnx"));
    assert!(message.contains("give the folder"), "{message}");
    for (nothing, told) in [("nowhere", "it does not exist"), ("p", "export.json")] {
        let message = place.failure(&format!("verify {nothing}"));
        assert!(message.contains(told), "{message}");
    }
}

/// The formats that can be written on this computer: all in CI, where ONNX Runtime Web is installed.
pub fn installed() -> Vec<Format> {
    let ready = |format: &&Format| {
        let found = format.check_installed();
        if let Err(error) = &found {
            assert!(std::env::var_os("CI").is_none(), "{error}");
            eprintln!("SKIPPED: {}: {error}", format.name());
        }
        found.is_ok()
    };
    Format::all().iter().filter(ready).copied().collect()
}

/// A limit of one megabyte per file simulates a full disk: no format leaves any files, and an earlier export stays.
#[cfg(unix)]
#[test]
fn a_full_disk_leaves_things_as_they_were_in_each_format() {
    let place = Place::new();
    let (project, _) = trained(&place.path("p"), &[20]);
    drop(project);
    place.result("export p --out there");
    fs::write(place.path("there/mine.txt"), "mine").unwrap();
    let before = entries(&place.path("there"));
    let model = fs::read(place.path("there/model.onnx")).unwrap();
    // Without the trap the signal would kill the program, unlike a full disk.
    let limited = |line: &str| place.line_after("trap '' XFSZ; ulimit -f 1024", line);
    let mut lines: Vec<(String, &str)> = Vec::new();
    for format in installed() {
        let name = format.name();
        lines.push((
            format!("export p --format {name} --accept-loss --out new/a"),
            "new",
        ));
    }
    lines.push(("export p --bundle zip --out new/a".to_owned(), "new"));
    lines.push((
        "export p --format onnx-fp16,onnx --out there".to_owned(),
        "there",
    ));
    for (line, out) in &lines {
        let message = limited(line).failure(line);
        assert!(
            message.contains("cannot write") && message.contains(out),
            "{line}: {message}"
        );
        assert!(!place.path("new").exists(), "{line}");
        assert_eq!(entries(&place.path("there")), before, "{line}");
    }
    assert!(fs::read(place.path("there/model.onnx")).unwrap() == model);
    assert!(place.line("verify there").code == Some(0));
}

/// A model that does not work in half precision: its logits are far from zero and close together.
#[test]
fn a_loss_is_refused_on_the_command_line_or_accepted_and_recorded() {
    let place = Place::new();
    let (project, runs) = trained(&place.path("p"), &[20]);
    drop(project);
    let path = runs[0].dir.join("weights.safetensors");
    without_hashes(&runs[0].dir);
    change_tensors(&path, |name, values| {
        let shift = if name == "w" { 60.0 } else { 0.0 };
        for value in values {
            *value = *value * 0.02 + shift;
        }
    });

    let refused = place.failure("export p --format onnx-fp16 --out model");
    for part in ["model-fp16.onnx", "was not exported", "--accept-loss"] {
        assert!(refused.contains(part), "{refused}");
    }
    assert!(!place.path("model").exists());
    let accepted = place.line("export p --format onnx-fp16 --accept-loss --out model");
    assert_eq!(accepted.code, Some(0), "{}", accepted.stderr);
    assert!(
        accepted.stdout.contains("accepted for model-fp16.onnx"),
        "{}",
        accepted.stdout
    );
    let text = fs::read(place.path("model/certificate.json")).unwrap();
    let certificate: Value = serde_json::from_slice(&text).unwrap();
    assert!(certificate["models"][0]["accepted_loss"].is_string());
    for file in ["MODEL_CARD.md", "README.txt"] {
        let text = fs::read_to_string(place.path("model").join(file)).unwrap();
        assert!(text.to_lowercase().contains("accepted"), "{file}: {text}");
    }
    assert_eq!(place.line("verify model").code, Some(0));
}
