//! The command line end to end: videos in, trained model out, each command's JSON lines and exit codes.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::cli_program::{Place, Ran, events};

fn number(value: &Value, key: &str) -> f64 {
    value[key]
        .as_f64()
        .unwrap_or_else(|| panic!("{key} is not a number in {value}"))
}

#[test]
fn from_videos_to_an_exported_model() {
    let place = Place::new();
    place.videos();

    let made = place.result("new p --name Test·pictures");
    assert_eq!(made["name"], "Test·pictures");
    assert!(made["project"].as_str().unwrap().ends_with('p'));

    let lines = place.json("import p videos --class-from folder --fps 5 --width 160");
    let imported = lines.last().unwrap();
    assert_eq!(imported["sources"], 12, "{imported}");
    assert_eq!(imported["frames"], 120, "{imported}");
    assert_eq!(imported["skipped"], 0, "{imported}");
    let progress = events(&lines, "progress");
    assert!(!progress.is_empty());
    assert!(progress[0]["stage"].is_string() && progress[0]["done"].is_u64());

    // Importing again finds that all files are already there.
    let again = place.result("import p videos --class-from folder --fps 5 --width 160");
    assert_eq!(again["frames"], 0, "{again}");

    let classes = place.result("classes p");
    let names: Vec<&str> = classes["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|class| {
            assert_eq!(class["frames"], 40, "{class}");
            class["name"].as_str().unwrap()
        })
        .collect();
    assert_eq!(names, ["bars", "fractal", "moving"]);
    assert_eq!(classes["unsorted"], 0);

    let lines = place.json(
        "train p --depth head --how-many-training-steps 60 --train-batch-size 20 --eval-step-interval 10 \
         --validation-batch-size -1 --testing-percentage 25 --validation-percentage 25 --seed 7",
    );
    let trained = lines.last().unwrap().clone();
    assert_eq!(trained["steps"], 60);
    assert_eq!(trained["classes"], serde_json::json!(names));
    assert!(number(&trained, "seconds") > 0.0);
    for key in ["validation_accuracy", "test_accuracy"] {
        let accuracy = number(&trained, key);
        assert!((0.8..=1.0).contains(&accuracy), "{key}: {accuracy}");
    }
    let steps = events(&lines, "step");
    assert!(steps.len() >= 6, "{}", steps.len());
    for step in &steps {
        for key in ["seconds", "train_accuracy", "train_cross_entropy"] {
            number(step, key);
        }
        assert!((0.0..=1.0).contains(&number(step, "validation_accuracy")));
        assert!(number(step, "validation_cross_entropy") >= 0.0);
    }
    let numbers: Vec<u64> = steps.iter().map(|s| s["step"].as_u64().unwrap()).collect();
    assert!(
        numbers.is_sorted() && numbers.last() == Some(&60),
        "{numbers:?}"
    );

    let run = trained["run"].as_str().unwrap().to_owned();
    for which in ["latest".to_owned(), run.clone(), format!("p/runs/{run}")] {
        let evaluated = place.result(&format!("evaluate p --run {which}"));
        assert_eq!(evaluated["run"], trained["run"]);
        assert_eq!(evaluated["classes"], trained["classes"]);
        assert_eq!(evaluated["test_accuracy"], trained["test_accuracy"]);
        check_confusion(&evaluated);
    }

    check_export(&place, &run);
    check_features(&place);
}

/// The matrix agrees with the accuracy and the metrics by class and by source.
fn check_confusion(evaluated: &Value) {
    let confusion: Vec<Vec<u64>> = serde_json::from_value(evaluated["confusion"].clone()).unwrap();
    assert_eq!(confusion.len(), 3);
    let all: u64 = confusion.iter().flatten().sum();
    let right: u64 = (0..3).map(|class| confusion[class][class]).sum();
    assert_eq!(evaluated["frames"], all);
    assert!((number(evaluated, "test_accuracy") - right as f64 / all as f64).abs() < 1e-6);
    let sum = |key: &str| -> u64 {
        evaluated[key]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["frames"].as_u64().unwrap())
            .sum()
    };
    assert_eq!(sum("per_class"), all);
    assert_eq!(sum("per_source"), all);
    let figure = |name: &str| number(&evaluated[name], "value");
    assert!((figure("accuracy") - right as f64 / all as f64).abs() < 1e-9);
    let per_class = evaluated["per_class"].as_array().unwrap();
    for (macro_average, of_class) in [("macro_recall", "recall"), ("macro_f1", "f1")] {
        let mean = per_class
            .iter()
            .map(|class| number(class, of_class))
            .sum::<f64>()
            / 3.0;
        assert!((figure(macro_average) - mean).abs() < 1e-9);
        let interval = &evaluated[macro_average]["interval_95"];
        assert!(interval[0].as_f64().unwrap() <= mean && mean <= interval[1].as_f64().unwrap());
    }
    assert!(evaluated["sources"].as_u64().unwrap() >= 3, "{evaluated}");
    for class in per_class {
        assert!((0.5..=1.0).contains(&number(class, "auc")), "{class}");
        assert!(class.get("roc").is_none());
    }
}

fn check_export(place: &Place, run: &str) {
    let exported = place.result("export p --format onnx --out model");
    let files = exported["files"].as_array().unwrap();
    let model = files.iter().find(|file| file["format"] == "onnx").unwrap();
    assert_eq!(model["top1_agreement"], 1.0, "{model}");
    assert!(number(model, "max_probability_difference") <= 1e-4);
    for file in files {
        let path = place.path(file["path"].as_str().unwrap());
        let bytes = std::fs::metadata(&path).unwrap().len();
        assert_eq!(file["bytes"], bytes, "{}", path.display());
    }
    let labels = std::fs::read_to_string(place.path("model/labels.txt")).unwrap();
    assert_eq!(labels.trim_end(), "bars\nfractal\nmoving");
    let float = place.result("export p --format onnx-float");
    let path = float["files"][0]["path"].as_str().unwrap();
    assert!(
        place.path(path).starts_with(place.path("p/exports")),
        "{path}"
    );

    // The run and the export predict the same for a new video and for a photo.
    place.video(
        "new.mp4",
        "testsrc2=size=160x120:rate=10,hue=h=30,trim=duration=1",
    );
    let photo = std::fs::read_dir(place.path("p/classes/bars"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    std::fs::copy(photo, place.path("photo.jpg")).unwrap();
    for model in [
        format!("p/runs/{run}"),
        "model".into(),
        "model/model.onnx".into(),
    ] {
        let lines = place.json(&format!("predict {model} new.mp4 photo.jpg --fps 4"));
        let predictions = events(&lines, "prediction");
        assert_eq!(predictions.len(), 5, "{model}");
        for prediction in &predictions {
            let top = prediction["top"].as_array().unwrap();
            let sum: f64 = top.iter().map(|class| number(class, "probability")).sum();
            assert!((sum - 1.0).abs() < 1e-3, "{prediction}");
            let (class, time) = match prediction["path"].as_str().unwrap() {
                "new.mp4" => ("moving", true),
                _ => ("bars", false),
            };
            assert_eq!(top[0]["class"], class, "{prediction}");
            assert_eq!(prediction["time_secs"].is_f64(), time, "{prediction}");
        }
        assert_eq!(lines.last().unwrap()["predictions"], 5);
    }
}

fn check_features(place: &Place) {
    let architecture = "--architecture efficientnet-lite0@224";
    let written = place.result(&format!(
        "features p {architecture} --out f/all.safetensors"
    ));
    assert_eq!(written["frames"], 120);
    assert_eq!(written["from_cache"], 120, "training computed them");
    let bytes = std::fs::read(place.path("f/all.safetensors")).unwrap();
    let (_, metadata) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let features = tensors.tensor("features").unwrap();
    assert_eq!(features.dtype(), safetensors::Dtype::F32);
    assert_eq!(features.shape(), [120, 1280]);
    let metadata = metadata.metadata().as_ref().unwrap();
    let paths: Vec<String> = serde_json::from_str(&metadata["paths"]).unwrap();
    assert_eq!(paths.len(), 120);
    assert!(
        paths
            .iter()
            .all(|path| place.path("p").join(path).is_file())
    );

    // A plain folder gives the same rows without a cache.
    let plain = place.result(&format!(
        "features p/classes/bars {architecture} --out f/bars.safetensors"
    ));
    assert_eq!(plain["frames"], 40);
    let plain = std::fs::read(place.path("f/bars.safetensors")).unwrap();
    let plain = safetensors::SafeTensors::deserialize(&plain).unwrap();
    let floats = |bytes: &[u8]| -> Vec<f32> {
        bytes
            .chunks_exact(4)
            .map(|b| f32::from_le_bytes(b.try_into().unwrap()))
            .collect()
    };
    let all = floats(features.data());
    let some = floats(plain.tensor("features").unwrap().data());
    let difference = some
        .iter()
        .zip(&all)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max);
    // The cache may store fewer bits.
    assert!(difference < 0.01, "{difference}");
}

#[test]
fn people_get_text_and_tables() {
    let place = Place::new();
    place.project();
    let trained =
        place.line("train p --depth head --how-many-training-steps 20 --testing-percentage 25");
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    assert!(
        trained.stdout.contains("test accuracy"),
        "{}",
        trained.stdout
    );
    assert!(!trained.stdout.contains('{'));
    let evaluated = place.line("evaluate p");
    assert!(
        evaluated.stdout.contains("precision"),
        "{}",
        evaluated.stdout
    );
    assert!(
        evaluated.stdout.contains("confusion"),
        "{}",
        evaluated.stdout
    );
}

#[test]
fn labels_and_classes_are_scriptable() {
    let place = Place::new();
    place.video("a.mp4", "testsrc2=size=64x48:rate=10,trim=duration=1");
    assert_eq!(place.line("new p").code, Some(0));
    let imported = place.result("import p a.mp4 --fps 5");
    assert_eq!(imported["frames"], 5);
    assert_eq!(place.result("classes p")["unsorted"], 5);

    assert!(
        place
            .failure("label p cat p/unsorted")
            .contains("no class “cat”")
    );
    place.result("classes p add cat dog");
    let frame = std::fs::read_dir(place.path("p/unsorted"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .min()
        .unwrap();
    let one = place.result(&format!("label p dog unsorted/{frame}"));
    assert_eq!(one["frames"], 1);
    assert_eq!(
        one["paths"],
        serde_json::json!([format!("classes/dog/{frame}")])
    );
    assert_eq!(place.result("label p cat p/unsorted")["frames"], 4);
    let renamed = place.result("classes p rename cat kitten");
    assert_eq!(renamed["classes"][0]["name"], "kitten");
    assert_eq!(renamed["classes"][0]["frames"], 4);
    let removed = place.result("classes p remove dog");
    assert_eq!(removed["unsorted"], 1);
    assert_eq!(removed["classes"].as_array().unwrap().len(), 1);
}

#[test]
fn doctor_tells_what_there_is() {
    let place = Place::new();
    let found = place.result("doctor");
    assert_eq!(found["ok"], true, "{found}");
    assert_eq!(found["problems"], serde_json::json!([]), "{found}");
    assert!(found["ffmpeg"].as_array().unwrap().len() >= 3, "{found}");
    assert!(found["onnxruntime"]["version"].is_string(), "{found}");
    let models: Vec<_> = found["models"].as_array().unwrap().iter().collect();
    let names: Vec<_> = models.iter().map(|model| model["name"].as_str()).collect();
    let shipped = [
        "efficientnet-lite0",
        "efficientnet-lite1",
        "efficientnet-lite2",
        "mobilenet-v2",
    ];
    assert_eq!(names, shipped.map(Some), "{found}");
    assert!(models.iter().all(|model| model["ok"] == true), "{found}");
    assert!(
        place
            .line("doctor")
            .stdout
            .contains("Everything is in order")
    );
}

#[test]
fn wrong_usage_is_code_2() {
    let place = Place::new();
    for line in [
        "nonsense",
        "train",
        "train p --learning-rate 0",
        "train p --depth last-2",
        "train p --label-smoothing 1",
        "train p --layer-decay 0",
        "train p --layer-decay 1.1",
        "train p --architecture efficientnet-lite0@97",
        "train p --testing-percentage 81",
        "train p --testing-percentage 50 --validation-percentage 50",
        "train p --resume latest --seed 1",
        "train p --resume latest --depth last-3",
        "train p --resume latest --train-depthwise",
        "train p --resume latest --layer-decay 0.8",
        "import p a.mp4 --class a --class-from folder",
        "import p a.mp4 --fps 0",
        "import p a.mp4 --from 9 --to 3",
    ] {
        let ran = place.line(line);
        assert_eq!(ran.code, Some(2), "{line}: {}", ran.stderr);
        assert!(ran.stderr.contains("error:"), "{line}: {}", ran.stderr);
        assert_eq!(ran.stdout, "", "{line}");
    }
    for line in ["--help", "train --help", "--version"] {
        let ran = place.line(line);
        assert_eq!(ran.code, Some(0), "{line}");
        assert!(!ran.stdout.is_empty(), "{line}");
    }
}

#[test]
fn a_reader_that_leaves_is_no_panic() {
    let place = Place::new();
    place.project();
    for args in [
        &["classes", "p"][..],
        &[
            "train",
            "p",
            "--json",
            "--depth",
            "head",
            "--how-many-training-steps",
            "500",
        ],
    ] {
        let mut child = place
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        // Dropping the reader closes the pipe.
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut first)
            .unwrap();
        assert!(!first.is_empty(), "{args:?}");
        let ran = Ran::of(&child.wait_with_output().unwrap());
        assert!(matches!(ran.code, Some(0)), "{args:?}: {}", ran.stderr);
        assert_eq!(ran.stderr, "", "{args:?}");
    }
}

#[cfg(unix)]
#[test]
fn ctrl_c_leaves_a_run_that_resumes() {
    let place = Place::new();
    place.project();
    let mut child = place
        .command(&[
            "train",
            "p",
            "--json",
            "--depth",
            "head",
            "--how-many-training-steps",
            "2000000",
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains(r#""event":"step""#)));
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    let pressed = std::time::Instant::now();
    let last = lines.last().unwrap().unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(
        pressed.elapsed().as_secs_f64() < 5.0,
        "{:?}",
        pressed.elapsed()
    );
    let sentence = Ran::of(&output).failure("train");
    assert!(sentence.contains("--resume"), "{sentence}");
    assert!(
        last.contains(r#""event":"error""#) && last.contains("--resume"),
        "{last}"
    );

    // Steps are not repeated: the run continues.
    let unfinished = place.failure("evaluate p");
    assert!(unfinished.contains("--resume"), "{unfinished}");
    let ran = place.command(&["train", "p", "--resume", "latest", "--json"]);
    let first_step = first_step_of(ran);
    assert!(first_step > 10, "{first_step}");
}

/// The first `step` that a training reports; the training is then killed.
#[cfg(unix)]
fn first_step_of(mut command: Command) -> u64 {
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let step = BufReader::new(child.stdout.take().unwrap())
        .lines()
        .map(|line| serde_json::from_str::<Value>(&line.unwrap()).unwrap())
        .find(|line| line["event"] == "step")
        .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    step["step"].as_u64().unwrap()
}

/// A fine-tuning: its results, the verdict, and that evaluation and export use its weights.
#[test]
fn fine_tuning_from_estimate_to_export() {
    let place = Place::new();
    place.project();
    let common =
        "--architecture efficientnet-lite0@96 --validation-percentage 25 --testing-percentage 25";
    let estimate = place.result(&format!("train p --estimate {common}"));
    let depths = estimate["depths"].as_array().unwrap();
    let words: Vec<_> = depths
        .iter()
        .map(|depth| depth["depth"].as_str().unwrap())
        .collect();
    let all = ["head", "last-1", "last-3", "stage", "two-stages", "all"];
    assert_eq!(words, all);
    for pair in depths.windows(2) {
        let [less, more] = [&pair[0], &pair[1]].map(|depth| number(depth, "trained_weights"));
        assert!(less < more, "{estimate}");
    }
    assert!(depths.iter().all(|depth| number(depth, "seconds") > 0.0));
    assert!(words.contains(&estimate["recommended"].as_str().unwrap()));

    let lines = place.json(&format!(
        "train p --depth last-1 --how-many-training-steps 100 --fine-tune-steps 40 \
         --fine-tune-batch-size 16 {common}"
    ));
    let trained = lines.last().unwrap().clone();
    assert_eq!(
        (&trained["depth"], &trained["steps"]),
        (&"last-1".into(), &40.into())
    );
    assert!(number(&trained, "trained_weights") > 500_000.0);
    let verdict = &trained["verdict"];
    for (part, whole) in [
        ("head_only", "head_only_test_accuracy"),
        ("deeper", "test_accuracy"),
    ] {
        let difference = number(verdict, part) - number(&trained, whole);
        assert!(difference.abs() < 1e-6, "{trained}");
    }
    let steps = events(&lines, "step");
    assert_eq!(steps.last().unwrap()["step"], 40);

    let evaluated = place.result("evaluate p");
    assert_eq!(evaluated["test_accuracy"], trained["test_accuracy"]);
    let exported = place.result("export p --out tuned");
    let files = exported["files"].as_array().unwrap();
    let model = files.iter().find(|file| file["format"] == "onnx").unwrap();
    assert_eq!(model["top1_agreement"], 1.0, "{model}");
    let again = place.result(&format!(
        "train p --depth last-1 --how-many-training-steps 100 --fine-tune-steps 40 \
         --fine-tune-batch-size 16 {common}"
    ));
    let weights = |result: &Value| {
        let run = result["run"].as_str().unwrap();
        std::fs::read(place.path("p/runs").join(run).join("backbone.safetensors")).unwrap()
    };
    assert!(
        weights(&trained) == weights(&again),
        "same seed, other weights"
    );

    // Extended, it continues from its last step.
    let refused = place.line("train p --resume latest --how-many-training-steps 500");
    assert_eq!(refused.code, Some(2));
    assert!(refused.stderr.contains("--fine-tune-steps"));
    let fewer = place.failure("train p --resume latest --fine-tune-steps 39");
    assert!(fewer.contains("already has 40 steps"), "{fewer}");
    let extended = place.result("train p --resume latest --fine-tune-steps 50");
    assert_eq!(extended["steps"], 50);
    // The same command again: it is already done.
    let again = place.result("train p --resume latest --fine-tune-steps 50");
    assert_eq!(again, extended);
}

/// `README.md` mentions every command, and `docs/json.md` documents the output of each.
#[test]
fn documents_know_every_command() {
    let help = Place::new().line("--help").stdout;
    let (_, commands) = help.split_once("\nCommands:\n").unwrap();
    let (commands, _) = commands.split_once("\n\n").unwrap();
    let names: Vec<&str> = commands
        .lines()
        .filter_map(|line| {
            line.strip_prefix("  ")
                .filter(|rest| !rest.starts_with(' '))
        })
        .filter_map(|line| line.split(' ').next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() > 20, "{names:?}");
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let [readme, json] =
        ["README.md", "docs/json.md"].map(|file| fs::read_to_string(root.join(file)).unwrap());
    for name in names {
        let code = format!("`{name}`");
        assert!(readme.contains(&code), "README.md does not name {name}");
        // A window has no output.
        let is_there =
            name == "open" || json.contains(&code) || json.contains(&format!("`{name} "));
        assert!(is_there, "docs/json.md does not describe {name}");
    }
}
