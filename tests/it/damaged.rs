//! Flipped bits in the files of runs and exports: each is detected, or changes nothing.

use std::fs;
use std::path::{Path, PathBuf};

use salamander::app::Action;
use salamander::backbone::Depth;
use salamander::evaluate::{Predictor, evaluate};
use salamander::export::{Format, Order, export, verify_bundle};
use salamander::jobs::Work;
use salamander::project::{Project, Split};
use salamander::sweep::{Sweep, find_sweeps};
use salamander::train::{
    Calibration, LiveCurves, Part, Run, RunState, TrainError, TrainSettings, UnknownThreshold,
    resume, train,
};
use serde_json::json;

use crate::cli_program::{Place, copy_dir};
use crate::projects::{change_tensors, of_images, quick, runs, without_hashes};
use crate::web::files_below;
use crate::window::Desk;
use crate::window_project::{go, session, train_until};

/// The number of bits that are flipped in each file.
const FLIPS: usize = 40;

/// A training in two stages, a few seconds long.
fn settings() -> TrainSettings {
    let mut settings = quick("efficientnet-lite0@96", 60);
    settings.fine_tune.depth = Depth::Last1;
    settings.fine_tune.steps = Some(6);
    settings.fine_tune.learn.batch_size = 8;
    settings
}

fn project(root: &Path) -> Project {
    of_images(root, &[("cat", 12), ("dog", 12), ("fox", 12)])
}

/// Calls `check` with each of this many flipped bits in a file, including the first and the last.
fn with_flips(path: &Path, flips: usize, mut check: impl FnMut(&str)) {
    let whole = fs::read(path).unwrap();
    let bits = whole.len() * 8;
    assert!(bits > flips, "{}", path.display());
    for flip in 0..flips {
        // A different bit of its byte each time.
        let bit = (flip * (bits - 1) / (flips - 1) / 8 * 8 + flip % 8).min(bits - 1);
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        fs::write(path, bytes).unwrap();
        check(&format!("bit {bit} of {}", path.display()));
    }
    fs::write(path, whole).unwrap();
}

/// Everything that is read of a finished run.
fn all_of(dir: &Path) -> Result<String, TrainError> {
    let run = Run::open(dir)?;
    let head = run.head()?;
    let mut texts = vec![
        format!("{run:?}"),
        format!("{head:?}"),
        format!(
            "{:?}",
            run.fine_tuned()?
                .map(|fine_tuned| fine_tuned.hash().to_owned())
        ),
        format!("{:?}", run.frames()?),
        format!("{:?}", run.calibration()?),
        format!("{:?}", run.note()?),
    ];
    for stage in run.stages() {
        texts.push(format!("{:?} {:?}", stage.curves()?, stage.metrics()?));
    }
    Ok(texts.join("\n"))
}

#[test]
fn a_flipped_bit_in_any_file_of_a_run_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir.path().join("p"));
    let work = Work::new();
    let run = train(&project, &settings(), &LiveCurves::default(), &work).unwrap();
    run.set_calibration(&Calibration {
        temperature: 1.25,
        frames: 9,
        sources: 9,
        nll: [0.5, 0.4],
        expected_error: [0.2, 0.1],
        unknown: None,
        weights: String::new(),
    })
    .unwrap();
    run.set_note(&salamander::train::RunNote {
        name: "the best".into(),
        note: "of all".into(),
    })
    .unwrap();
    let right = all_of(&run.dir).unwrap();
    let files = [
        "run.json",
        "frames.jsonl",
        "curves.jsonl",
        "metrics.jsonl",
        "head_curves.jsonl",
        "head_metrics.jsonl",
        "weights.safetensors",
        "backbone.safetensors",
        "calibration.json",
        "note.json",
    ];
    for file in files {
        with_flips(&run.dir.join(file), FLIPS, |what| match all_of(&run.dir) {
            Ok(found) => assert!(found == right, "{what} changed something"),
            Err(error) => {
                let error = error.to_string();
                assert!(
                    error.contains(file) && !error.contains('\n'),
                    "{what}: {error}"
                );
            }
        });
    }

    // The files that extending a training reads.
    for file in ["fine_tune.safetensors", "head_only.safetensors"] {
        with_flips(&run.dir.join(file), FLIPS / 2, |what| {
            let longer = resume(&project, &run.id, Some(8), &LiveCurves::default(), &work);
            let error = longer.unwrap_err().to_string();
            assert!(error.contains(file), "{what}: {error}");
        });
    }
    // A valid file of another run.
    let other = TrainSettings {
        how_many_training_steps: 61,
        ..settings()
    };
    let other = train(&project, &other, &LiveCurves::default(), &work).unwrap();
    let head = run.dir.join("weights.safetensors");
    fs::copy(other.dir.join("weights.safetensors"), &head).unwrap();
    let error = all_of(&run.dir).unwrap_err().to_string();
    assert!(error.contains("weights.safetensors"), "{error}");
}

/// An interrupted run can be resumed with the files that `train` and `resume` left; with a flipped bit it cannot, or
/// has the same result.
#[test]
fn a_run_is_not_resumed_from_flipped_bits() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir.path().join("p"));
    let work = Work::new();
    let settings = quick("efficientnet-lite0@96", 40);
    let run = train(&project, &settings, &LiveCurves::default(), &work).unwrap();
    let whole = run.curves().unwrap();
    let kept = dir.path().join("kept");
    copy_dir(&run.dir, &kept);
    let steps = |run: &Run| -> Vec<(u32, Option<f32>)> {
        let points = run.curves().unwrap();
        let of =
            |point: &salamander::train::CurvePoint| (point.step, point.validation_cross_entropy);
        points.iter().map(of).collect()
    };
    let extended = resume(&project, &run.id, Some(60), &LiveCurves::default(), &work).unwrap();
    let (right, head) = (steps(&extended), extended.head().unwrap());
    assert!(right.len() > whole.len());
    for file in [
        "checkpoint.safetensors",
        "curves.jsonl",
        "metrics.jsonl",
        "frames.jsonl",
    ] {
        fs::remove_dir_all(&run.dir).unwrap();
        copy_dir(&kept, &run.dir);
        with_flips(&run.dir.join(file), 24, |what| {
            match resume(&project, &run.id, Some(60), &LiveCurves::default(), &work) {
                Ok(found) => {
                    assert!(
                        found.head().unwrap() == head && steps(&found) == right,
                        "{what}"
                    );
                    fs::remove_dir_all(&run.dir).unwrap();
                    copy_dir(&kept, &run.dir);
                }
                Err(error) => assert!(error.to_string().contains(file), "{what}: {error}"),
            }
        });
    }
    assert_eq!(Run::open(&run.dir).unwrap().state, RunState::Finished);
    assert_eq!(run.last_stage().part(), Part::Head);
}

#[test]
fn a_flipped_bit_in_any_file_of_an_export_is_noticed() {
    let place = Place::new();
    let project = project(&place.path("p"));
    let work = Work::new();
    let settings = quick("efficientnet-lite0@96", 20);
    let run = train(&project, &settings, &LiveCurves::default(), &work).unwrap();
    let order = Order {
        formats: vec![Format::ONNX, Format::COREML],
        ..Format::ONNX.into()
    };
    let out = place.path("out");
    export(&project, &run, &order, &out, &work).unwrap();
    let verified = verify_bundle(&out, &work).unwrap();
    assert!(verified.problems.is_empty(), "{verified:?}");
    let models = [Format::ONNX.file(), Format::COREML.file()];
    let image = image::open(place.path("p/classes/cat/0.png"))
        .unwrap()
        .to_rgb8();
    let says = |model: &str| -> Result<Vec<f32>, String> {
        let predictor = Predictor::from_export(&out.join(model));
        let found =
            predictor.and_then(|mut predictor| predictor.probabilities(&image, &Work::new()));
        found.map_err(|error| error.to_string())
    };
    let right: Vec<Vec<f32>> = models.iter().map(|model| says(model).unwrap()).collect();
    // A file that the manifest no longer names would not be checked.
    let manifest = out.join("export.json");
    let whole = fs::read_to_string(&manifest).unwrap();
    let mut fields: serde_json::Value = serde_json::from_str(&whole).unwrap();
    let names = fields["blake3"].as_object_mut().unwrap();
    assert!(names.remove("labels.txt").is_some());
    let lines = whole.lines().filter(|line| !line.contains("labels.txt"));
    let cut = lines.collect::<Vec<_>>().join("\n") + "\n";
    for text in [cut, fields.to_string()] {
        fs::write(&manifest, text).unwrap();
        let error = verify_bundle(&out, &work).unwrap_err().to_string();
        assert!(error.contains("export.json is damaged"), "{error}");
        assert!(models.iter().all(|model| says(model).is_err()));
    }
    fs::write(&manifest, whole).unwrap();
    for file in files_below(&out) {
        let name = file.strip_prefix(&out).unwrap().to_str().unwrap();
        let is_model = models.iter().any(|model| name.starts_with(model));
        if name == "certificate.json" || name == "golden/golden.json" {
            with_flips(&file, FLIPS / 2, |what| {
                assert!(salamander::export::found_in(&out).is_err(), "{what}");
            });
        }
        with_flips(&file, 2, |what| match verify_bundle(&out, &work) {
            // The manifest itself also has the program's version and spaces.
            Ok(found) => assert!(
                !found.problems.is_empty() || (name == "export.json" && found == verified),
                "{what}"
            ),
            Err(error) => assert!(!error.to_string().contains('\n'), "{what}: {error}"),
        });
        if !is_model && name != "export.json" {
            continue;
        }
        with_flips(&file, FLIPS / 2, |what| {
            for (model, right) in models.iter().zip(&right) {
                match says(model) {
                    Ok(found) => assert!(
                        found == *right && !name.starts_with(model),
                        "{what} changed {model}"
                    ),
                    Err(error) => assert!(error.contains(model), "{what}: {error}"),
                }
            }
        });
    }
    // On the command line, and as one file.
    let model = out.join("model.onnx");
    let mut bytes = fs::read(&model).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&model, bytes).unwrap();
    for line in [
        "predict out p/classes/cat/0.png",
        "predict out/model.onnx p/classes/cat/0.png",
    ] {
        let message = place.failure(line);
        assert!(
            message.contains("model.onnx") && message.contains("not the file that was exported"),
            "{message}"
        );
    }
    assert_ne!(place.line("verify out").code, Some(0));
}

/// A run from before files had hashes: only its own data can be checked.
#[test]
fn an_altered_head_does_not_certify_itself() {
    let place = Place::new();
    let project = project(&place.path("p"));
    let work = Work::new();
    let settings = quick("efficientnet-lite0@96", 60);
    let run = train(&project, &settings, &LiveCurves::default(), &work).unwrap();
    drop(project);
    let head = run.dir.join("weights.safetensors");
    without_hashes(&run.dir);
    change_tensors(&head, |_, values| {
        for value in values {
            *value = -*value;
        }
    });
    let message = place.failure("export p --out out");
    assert!(
        message.contains("was not exported")
            && message.contains("recorded")
            && message.contains(&run.id.0),
        "{message}"
    );
    assert!(!place.path("out").exists());
    let mut bytes = fs::read(&head).unwrap();
    let end = bytes.len();
    bytes[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    fs::write(&head, bytes).unwrap();
    for line in [
        "export p --out out",
        "evaluate p",
        &format!("predict p/runs/{} p/classes/cat/0.png", run.id),
    ] {
        let message = place.failure(line);
        assert!(
            message.contains("weights.safetensors") && message.contains("not finite"),
            "{message}"
        );
    }
}

#[test]
fn a_run_that_cannot_be_read_is_named_and_not_passed_over() {
    let place = Place::new();
    let project = project(&place.path("p"));
    let work = Work::new();
    let settings = quick("efficientnet-lite0@96", 20);
    let train = || train(&project, &settings, &LiveCurves::default(), &work).unwrap();
    let (first, second) = (train(), train());
    // The clock was set back between the two.
    without_hashes(&first.dir);
    let path = first.dir.join("run.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace(&first.created, "2999-01-01T00:00:00.000Z"),
    )
    .unwrap();
    let found = runs(&project);
    assert_eq!(
        found[0].id, second.id,
        "the latest is the one that was begun last"
    );
    // Its frames have no hash: the file was emptied or cut.
    let frames = first.dir.join("frames.jsonl");
    let whole = fs::read(&frames).unwrap();
    for length in [0, whole.len() / 2, whole.len() - 1] {
        fs::write(&frames, &whole[..length]).unwrap();
        let error = found[1].frames().unwrap_err().to_string();
        assert!(
            error.contains("frames.jsonl") && error.contains("damaged"),
            "{error}"
        );
    }
    fs::write(&frames, &whole).unwrap();
    let curves = train().dir.join("curves.jsonl");
    let mut bytes = fs::read(&curves).unwrap();
    bytes[20] ^= 1;
    fs::write(&curves, bytes).unwrap();
    drop(project);

    let path = second.dir.join("run.json");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 2;
    fs::write(&path, bytes).unwrap();
    for line in [
        "evaluate p",
        "export p --out out",
        "train p --resume latest",
    ] {
        let message = place.failure(line);
        assert!(
            message.contains(&second.id.0) && message.contains("run.json"),
            "{line}: {message}"
        );
    }
    let message = place.failure(&format!("evaluate p --run {}", second.id));
    assert!(message.contains("run.json"), "{message}");
    let listed = place.line("runs p");
    assert_eq!(listed.code, Some(0), "{}", listed.stderr);
    assert!(listed.stdout.contains(&first.id.0) && !listed.stdout.contains(&second.id.0));
    assert!(listed.stderr.contains(&second.id.0), "{}", listed.stderr);
    // It may have been tested on the same images too.
    let counted = place.line(&format!("evaluate p --run {}", first.id));
    counted.ended_with(&[0], "evaluate");
    assert!(counted.stderr.contains(&second.id.0), "{}", counted.stderr);

    let mut desk = Desk::new(&place.path("config"), [1440.0, 900.0]);
    desk.act(Action::OpenProject(place.path("p")));
    train_until(&mut desk, "the runs are read", |train| train.runs_known);
    go(&mut desk, "Train");
    desk.see_part("is damaged");
    assert_eq!(session(&desk).train.runs.len(), 2);
    // A run with damaged curves is listed, with a message.
    desk.see_part("curves.jsonl");
    drop(desk);

    // The only run is named too, and can be removed as the message says.
    for run in fs::read_dir(place.path("p/runs")).unwrap() {
        let run = run.unwrap();
        if run.file_name() != second.id.0.as_str() {
            fs::remove_dir_all(run.path()).unwrap();
        }
    }
    let said = place.failure("runs p");
    assert!(
        said.contains(&second.id.0) && said.contains("delete this run"),
        "{said}"
    );
    let removed = place.result(&format!("runs p --remove {}", second.id));
    assert_eq!(removed["removed"], json!(second.id.0));
    let none = place.line("runs p");
    assert!(none.stdout.contains("no runs yet"), "{}", none.stdout);
}

/// Files of an earlier version have no checksum: their numbers are checked one by one.
#[test]
fn numbers_that_no_training_came_to_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir.path().join("p"));
    let work = Work::new();
    let run = train(&project, &settings(), &LiveCurves::default(), &work).unwrap();
    without_hashes(&run.dir);
    let path = run.dir.join("run.json");
    let whole = fs::read(&path).unwrap();
    for (place, value) in [
        ("/preprocessing/resolution_px", json!(0)),
        ("/preprocessing/resolution_px", json!(u32::MAX)),
        ("/classes", json!([])),
        ("/settings/testing_percentage", json!(255)),
        ("/settings/how_many_training_steps", json!(0)),
        ("/preparation_secs", json!(-1)),
        ("/preparation_secs", json!(1e308)),
        ("/stages/0/secs", json!(1e308)),
        ("/stages/0/validation_accuracy", json!(1e308)),
        ("/stages/1/test_accuracy", json!(-0.5)),
        ("/stages/1/validation_cross_entropy", json!(1e308)),
        ("/stages/1/verdict/deeper", json!(2)),
    ] {
        let mut json: serde_json::Value = serde_json::from_slice(&whole).unwrap();
        *json.pointer_mut(place).unwrap() = value.clone();
        fs::write(&path, json.to_string()).unwrap();
        let error = Run::open(&run.dir).unwrap_err().to_string();
        assert!(
            error.contains("run.json") && !error.contains('\n'),
            "{place} {value}: {error}"
        );
    }
    fs::write(&path, whole).unwrap();
    let calibration = Calibration {
        temperature: 1.25,
        frames: 9,
        sources: 9,
        nll: [0.5, 0.4],
        expected_error: [0.2, 0.1],
        unknown: None,
        weights: String::new(),
    };
    let with = |change: &dyn Fn(&mut Calibration)| {
        let mut calibration = calibration.clone();
        change(&mut calibration);
        run.set_calibration(&calibration).unwrap();
        run.calibration()
    };
    assert!(with(&|_| ()).unwrap().is_some());
    let unknown = UnknownThreshold {
        threshold: 2.0,
        false_reject: 0.0,
        false_accept: 0.0,
    };
    for error in [
        with(&|of| of.temperature = 0.0),
        with(&|of| of.temperature = -1.0),
        with(&|of| of.expected_error[1] = 7.0),
        with(&|of| of.unknown = Some(unknown)),
    ] {
        let error = error.unwrap_err().to_string();
        assert!(error.contains("calibration.json"), "{error}");
    }
}

#[test]
fn a_flipped_bit_in_the_cache_changes_no_figure() {
    let dir = tempfile::tempdir().unwrap();
    let project = project(&dir.path().join("p"));
    let work = Work::new();
    let settings = quick("efficientnet-lite0@96", 20);
    let run = train(&project, &settings, &LiveCurves::default(), &work).unwrap();
    let figures = || {
        [Split::Train, Split::Validation, Split::Test]
            .map(|split| evaluate(&project, &run, split, &work).unwrap())
    };
    let right = figures();
    let cache = dir.path().join("p/cache");
    let kept = files_below(&cache);
    let rows = |path: &PathBuf| path.extension().is_some_and(|end| end == "rows");
    assert!(kept.iter().any(rows), "{kept:?}");
    for file in kept {
        let length = fs::metadata(&file).unwrap().len();
        if length > 8 {
            with_flips(&file, 12, |what| assert!(figures() == right, "{what}"));
        }
    }
}

#[test]
fn a_sweep_that_was_changed_is_named_and_not_passed_over() {
    let place = Place::new();
    drop(project(&place.path("p")));
    let line = "sweep p --depths head --set how-many-training-steps=2,3 --resolutions 96 --architectures efficientnet-lite0";
    let swept = place.line(line);
    assert_eq!(swept.code, Some(0), "{}", swept.stderr);
    let project = Project::open(&place.path("p")).unwrap();
    let sweep = find_sweeps(&project).unwrap().sweeps.remove(0);
    let path = sweep.dir.join("sweep.json");
    with_flips(&path, FLIPS, |what| {
        match Sweep::open(&project, &sweep.id) {
            Ok(found) => assert!(found == sweep, "{what} changed something"),
            Err(error) => {
                let error = error.to_string();
                assert!(
                    error.contains("sweep.json") && !error.contains('\n'),
                    "{what}: {error}"
                );
            }
        }
        let found = find_sweeps(&project).unwrap();
        assert_eq!(found.sweeps.len() + found.unreadable.len(), 1, "{what}");
    });
    drop(project);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"repeats\": 1", "\"repeats\": 2", 1)).unwrap();
    // It is the only one, so that nothing can be listed.
    for line in [
        "sweeps p",
        "sweeps p --show latest",
        "sweep p --resume latest",
    ] {
        let message = place.failure(line);
        assert!(message.contains("sweep.json"), "{line}: {message}");
    }
    let mut desk = Desk::new(&place.path("config"), [1440.0, 900.0]);
    desk.act(Action::OpenProject(place.path("p")));
    train_until(&mut desk, "the runs are read", |train| train.runs_known);
    go(&mut desk, "Train");
    desk.see_part("sweep.json");
    drop(desk);
    // It can be removed although it cannot be read.
    let removed = place.line(&format!("sweeps p --remove {}", sweep.id));
    assert_eq!(removed.code, Some(0), "{}", removed.stderr);
    assert!(!path.exists());
}

/// Serving a run's page and continuing to make a model read the run's files, and report what is wrong.
#[test]
fn damage_is_said_by_what_serves_and_makes() {
    let place = Place::new();
    let photos = place.path("photos");
    drop(project(&place.path("p")));
    fs::rename(place.path("p/classes"), &photos).unwrap();
    let line =
        "make photos --out made --depth head --format onnx --architecture efficientnet-lite0@96";
    let made = place.line(line);
    assert_eq!(made.code, Some(0), "{}", made.stderr);
    let run = files_below(&place.path("made/project/runs"));
    let file = |name: &str| {
        run.iter()
            .find(|path| path.ends_with(name))
            .unwrap()
            .clone()
    };
    let flip = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(path, bytes).unwrap();
    };
    let weights = file("weights.safetensors");
    flip(&weights);
    let message = place.failure("serve made/project --interface 127.0.0.1");
    assert!(message.contains("weights.safetensors"), "{message}");
    flip(&weights);
    let document = file("run.json");
    flip(&document);
    let again = place.line(line);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    assert!(
        again.stderr.contains("run.json") && again.stderr.contains("left out"),
        "{}",
        again.stderr
    );
}
