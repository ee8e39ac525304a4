//! The event files of a run as read by TensorBoard's own reader, compared with the run.

#![allow(clippy::float_cmp, reason = "files hold the same numbers")]

use std::path::Path;

use salamander::backbone::Depth;
use salamander::jobs::Work;
use salamander::project::{Project, Split};
use salamander::train::schema::{SETTINGS, Value as Setting};
use salamander::train::{
    At, FineTuneSettings, Histogram, LearnSettings, LiveCurves, MetricKind, MetricSide, Metrics,
    Run, Series, TrainSettings, train,
};
use serde_json::Value;

use crate::cli_program::Place;
use crate::export::interpreter;
use crate::frozen_graph::python_with;
use crate::projects::runs;

/// The output of `tests/read_events.py`; `None` without TensorBoard.
fn read(dir: &Path) -> Option<Value> {
    let Some(python) = python_with("python", "tensorboard") else {
        assert!(
            std::env::var_os("CI").is_none(),
            "no Python with tensorboard; packaging/setup.sh --tests installs it"
        );
        eprintln!("SKIPPED: no Python with tensorboard (packaging/setup.sh --tests)");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/read_events.py");
    let ran = interpreter(&python).arg(script).arg(dir).output().unwrap();
    let message = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{message}");
    Some(serde_json::from_slice(&ran.stdout).unwrap())
}

fn numbers(of: &Value) -> Vec<f64> {
    let all = of.as_array().unwrap();
    all.iter().map(|value| value.as_f64().unwrap()).collect()
}

/// The scalars of a tag.
fn scalars(of: &Value) -> Vec<(u32, f32)> {
    let all = of.as_array().unwrap().iter();
    all.map(|at| (numbers(at)[0] as u32, numbers(at)[1] as f32))
        .collect()
}

fn check_histograms(of: &Value, expected: &[At<Histogram>]) {
    let found = of.as_array().unwrap();
    assert_eq!(found.len(), expected.len());
    for (found, at) in found.iter().zip(expected) {
        let of = &at.value;
        let head: Vec<f64> = found.as_array().unwrap()[..6]
            .iter()
            .map(|value| value.as_f64().unwrap())
            .collect();
        let sums = [
            f64::from(of.min),
            f64::from(of.max),
            of.count() as f64,
            of.sum,
            of.sum_squares,
        ];
        assert_eq!(head[0], f64::from(at.step));
        assert_eq!(head[1..], sums);
        let ends: Vec<f64> = of.buckets().map(|bucket| bucket.right).collect();
        let counts: Vec<f64> = of.counts.iter().map(|count| f64::from(*count)).collect();
        assert_eq!((numbers(&found[6]), numbers(&found[7])), (ends, counts));
    }
}

/// The tag of a series in the event files, as in `retrain.py`, and whether there are other series with it.
fn event_tag(series: &Series) -> (String, bool) {
    let tag = match series.tag.as_str() {
        "weights/logits.weight" => "final_training_ops/weights/summaries/histogram",
        "weights/logits.bias" => "final_training_ops/biases/summaries/histogram",
        "activations/logits" => "final_training_ops/Wx_plus_b/pre_activations",
        "activations/probabilities" => "activations",
        other => other,
    };
    (tag.to_owned(), tag.ends_with("/summaries/histogram"))
}

/// Checks that everything that was measured is in the files, and nothing else.
fn check_curves(found: &Value, metrics: &Metrics) {
    let mut left = [0; 2];
    for (side, sides) in [
        ("train", &[MetricSide::Train, MetricSide::Run][..]),
        ("validation", &[MetricSide::Validation]),
    ] {
        let found = &found[side];
        for (series, kind) in metrics.series() {
            if !sides.contains(&series.side) {
                continue;
            }
            let (tag, is_variable) = event_tag(series);
            if kind == MetricKind::Scalar {
                let expected: Vec<(u32, f32)> = metrics
                    .scalars(series)
                    .iter()
                    .map(|at| (at.step, at.value))
                    .collect();
                assert_eq!(scalars(&found["scalars"][&tag]), expected, "{tag}");
                left[0] += 1;
                continue;
            }
            let expected = metrics.histograms(series);
            check_histograms(&found["histograms"][&tag], expected);
            left[1] += 1;
            if is_variable {
                left[0] += 4;
                let of = |name: &str| {
                    let tag = tag.replace("/histogram", &format!("/{name}"));
                    let last = *scalars(&found["scalars"][&tag]).last().unwrap();
                    f64::from(last.1)
                };
                let last = &expected.last().unwrap().value;
                assert_eq!([of("min"), of("max")], [last.min, last.max].map(f64::from));
                assert!((of("mean") - last.mean()).abs() < 1e-6);
                assert!((of("stddev_1") - last.deviation()).abs() < 1e-6);
            }
        }
    }
    let count = |kind: &str| {
        let sides =
            ["train", "validation"].map(|side| found[side][kind].as_object().unwrap().len());
        sides.iter().sum::<usize>()
    };
    assert_eq!([count("scalars"), count("histograms")], left);
}

/// Settings, results and predictions for the test images.
fn check_outcome(found: &Value, run: &Run) {
    let found = &found[""];
    assert_eq!(found["status"], 1);
    let hparams = found["hparams"].as_object().unwrap();
    let mut known = 0;
    for setting in SETTINGS {
        let Some(found) = hparams.get(setting.key) else {
            continue;
        };
        known += 1;
        match setting.get(&run.settings) {
            Setting::Whole(number) => assert_eq!(found.as_f64().unwrap(), number as f64),
            Setting::Real(number) => assert_eq!(found.as_f64().unwrap() as f32, number),
            Setting::Switch(switch) => assert_eq!(found.as_bool().unwrap(), switch),
            Setting::Word(word) => assert_eq!(found.as_str().unwrap(), word),
            Setting::Nothing => unreachable!(),
        }
    }
    assert!(known == hparams.len() && known > 10);
    assert_eq!(hparams["depth"], run.settings.fine_tune.depth.to_string());
    let result = run.result().unwrap();
    let step = result.best_step;
    let accuracy = scalars(&found["scalars"]["test_accuracy"]);
    assert_eq!(accuracy, [(step, result.test_accuracy.unwrap())]);
    let images = found["images"].as_object().unwrap();
    let size = numbers(&images["confusion_matrix/test_images"]);
    assert!(images.len() == 1 && size.iter().all(|side| *side > 200.0));
    let curves = found["pr_curves"].as_object().unwrap();
    assert_eq!(curves.len(), run.classes.len());
    for name in &run.classes {
        let rows = curves[&format!("precision_recall/{name}")]
            .as_array()
            .unwrap();
        let rows: Vec<Vec<f64>> = rows.iter().map(numbers).collect();
        assert!(rows.len() == 6 && rows.iter().all(|row| row.len() == 201));
        // All probabilities are at least the first threshold.
        assert_eq!((rows[2][0], rows[3][0], rows[5][0]), (0.0, 0.0, 1.0));
        let images: f64 = rows[..4].iter().map(|row| row[100]).sum();
        let tested = run.frames().unwrap();
        let tested = tested.iter().filter(|frame| frame.split == Split::Test);
        assert_eq!(images, tested.count() as f64);
    }
}

fn settings(depth: Depth) -> TrainSettings {
    let mut settings = TrainSettings {
        architecture: "efficientnet-lite0@96".parse().unwrap(),
        how_many_training_steps: 120,
        fine_tune: FineTuneSettings {
            depth,
            steps: Some(60),
            learn: LearnSettings {
                batch_size: 8,
                ..LearnSettings::of_fine_tuning()
            },
            ..FineTuneSettings::default()
        },
        ..TrainSettings::default()
    };
    settings.split.validation_percentage = 25;
    settings.split.testing_percentage = 25;
    settings
}

#[test]
fn its_own_reader_finds_what_was_measured() {
    let place = Place::new();
    place.project();
    let project = Project::open(&place.path("p")).unwrap();
    for depth in [Depth::Head, Depth::Last1] {
        let curves = LiveCurves::default();
        let run = train(&project, &settings(depth), &curves, &Work::new()).unwrap();
        let Some(found) = read(&run.dir) else {
            return;
        };
        let metrics = run.last_stage().metrics().unwrap();
        check_curves(&found, &metrics);
        check_outcome(&found, &run);
        // The features change only if the network does.
        let features = Series::new("activations/features", MetricSide::Validation);
        let features = metrics.histograms(&features);
        let moved = features
            .windows(2)
            .any(|pair| pair[0].value != pair[1].value);
        assert_eq!(moved, depth != Depth::Head);
        if depth != Depth::Head {
            let head = read(&run.dir.join("head")).unwrap();
            check_curves(&head, &run.head_stage().metrics().unwrap());
        }
    }
}

/// The tables have a line for each image, in the same order, and the files that the projector needs exist.
#[test]
fn the_projector_finds_every_image() {
    let place = Place::new();
    place.project();
    let trained = place.line("train p --architecture efficientnet-lite0@96 --depth head");
    assert_eq!(trained.code, Some(0), "{}", trained.stderr);
    let ran = place.line("embedding p --json");
    assert_eq!(ran.code, Some(0), "{}", ran.stderr);
    let project = Project::open(&place.path("p")).unwrap();
    let run = runs(&project).remove(0);
    let read = |name: &str| std::fs::read_to_string(run.dir.join(name)).unwrap();
    let config = read("projector_config.pbtxt");
    let (tensors, metadata) = (
        read("embedding/tensors.tsv"),
        read("embedding/metadata.tsv"),
    );
    for name in ["tensors.tsv", "metadata.tsv", "sprite.png"] {
        assert!(config.contains(&format!("\"embedding/{name}\"")));
    }
    let frames = run.frames().unwrap();
    let widths: Vec<usize> = tensors
        .lines()
        .map(|line| line.split('\t').count())
        .collect();
    assert_eq!(widths, vec![1280; frames.len()]);
    let mut lines = metadata.lines();
    assert_eq!(lines.next(), Some("class\tpredicted\tset\tsource\tfile"));
    for (line, frame) in lines.zip(&frames) {
        let columns: Vec<&str> = line.split('\t').collect();
        assert_eq!(
            (columns[0], columns[4]),
            (run.classes[frame.class].as_str(), frame.path.as_str())
        );
    }
    let sprite = std::fs::read(run.dir.join("embedding/sprite.png")).unwrap();
    let side = |at: usize| u32::from_be_bytes(sprite[at..at + 4].try_into().unwrap());
    let columns = (frames.len() as f64).sqrt().ceil() as u32;
    assert_eq!(side(16), columns * 48);
    assert_eq!(side(20), columns * 48);
}
