//! Frozen graphs read back, in ONNX Runtime, and by hand (`packaging/tensorflow-proof.sh`) in TensorFlow, compared
//! with the original networks.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use salamander::backbone::{Architecture, Fit};
use salamander::evaluate::{Evaluation, InputKind, Predictor, Recipe, evaluate};
use salamander::export::frozen_graph::{read_graph, write};
use salamander::export::{ExportOutcome, Format, export, verify_bundle};
use salamander::graph::{Dim, Graph};
use salamander::jobs::Work;
use salamander::media::load_image;
use salamander::project::{Project, Split};
use salamander::train::{LiveCurves, Run, train};

use super::cli_program::Place;
use super::networks::{self, Random};
use super::projects::{of_images, of_photos, quick};
use super::random_networks;
use super::test_frames::TestFrames;
use super::tflite::{in_onnx_runtime, largest_difference, outputs};

/// The Python of a folder below `target/` that has a module.
pub fn python_with(folder: &str, module: &str) -> Option<PathBuf> {
    let venv = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("target")
        .join(folder);
    let programs = ["bin/python", "Scripts/python.exe"].map(|program| venv.join(program));
    programs.into_iter().find(|python| {
        let output = Command::new(python)
            .args(["-E", "-c", &format!("import importlib.util, sys; sys.exit(importlib.util.find_spec('{module}') is None)")])
            .output();
        output.is_ok_and(|output| output.status.success())
    })
}

/// The answers of a program of `tests/` to cases, a line for each. `command` is its name, with arguments after it.
pub fn run_cases(python: &Path, command: &str, cases: &[Value]) -> Vec<Value> {
    let (program, arguments) = command.split_once(' ').unwrap_or((command, ""));
    let mut child = Command::new(python)
        .args(["-E", "-X", "utf8"])
        .arg(
            Path::new(env!("CARGO_MANIFEST_DIR"))
                .join("tests")
                .join(program),
        )
        .args(arguments.split_whitespace())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
    let list = lines.join("\n");
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(list.as_bytes()));
    let output = child.wait_with_output().unwrap();
    let sent = writer.join().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command}: {message}");
    sent.unwrap();
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let lines: Vec<Value> = lines.collect();
    assert_eq!(lines.len(), cases.len());
    lines
}

fn tensorflow() -> Option<PathBuf> {
    let python = python_with("tensorflow/venv", "tensorflow");
    if python.is_none() {
        eprintln!("SKIPPED: no Python with TensorFlow (packaging/tensorflow-proof.sh)");
    }
    python
}

/// Small random networks.
pub fn random_graphs(count: u64) -> Vec<(String, Graph)> {
    (0..count)
        .map(|seed| (format!("network {seed}"), random_networks::small(seed)))
        .collect()
}

/// Structures of well-known networks.
pub fn known_graphs() -> Vec<(String, Graph)> {
    vec![
        ("MobileNet v1".to_owned(), networks::mobilenet_v1(96)),
        ("MobileNet v1, odd".to_owned(), networks::mobilenet_v1(75)),
        ("MobileNet v3".to_owned(), networks::mobilenet_v3(96)),
        ("Inception v3".to_owned(), networks::inception_v3(107)),
        ("ResNet-18".to_owned(), networks::resnet_18(96)),
    ]
}

/// Random bytes for the input of a graph.
pub fn random_pixels(graph: &Graph, random: &mut Random) -> Vec<u8> {
    let image = graph.shape(graph.inputs()[0]).unwrap();
    let count: usize = image.iter().filter_map(Dim::fixed).product();
    (0..count).map(|_| random.below(256) as u8).collect()
}

fn prove(graphs: Vec<(String, Graph)>, limit: f32) {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::new(78);
    let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
    let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
    let recipe = Recipe::new(InputKind::Float32Nhwc, &preprocessing, &architecture, &[]);
    let (mut cases, mut expected) = (Vec::new(), Vec::new());
    for (at, (name, graph)) in graphs.into_iter().enumerate() {
        let pixels = random_pixels(&graph, &mut random);
        let bytes = write(&graph, &recipe).unwrap_or_else(|error| panic!("{name}: {error}"));
        let whole = in_onnx_runtime(&graph, &pixels);
        let read = read_graph(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let found = in_onnx_runtime(&read, &pixels);
        let difference = largest_difference(&whole, &found);
        assert!(
            difference < limit,
            "{name}, read back: {difference}\n{whole:?}\n{found:?}"
        );
        let paths = [format!("{at}.pb"), format!("{at}.bytes")].map(|name| dir.path().join(name));
        std::fs::write(&paths[0], bytes).unwrap();
        std::fs::write(&paths[1], pixels).unwrap();
        cases.push(json!({"model": paths[0], "input": paths[1]}));
        expected.push((name, whole));
    }
    println!("{} networks read back", expected.len());
    let Some(python) = tensorflow() else { return };
    let mut largest = 0.0_f32;
    let found = run_cases(&python, "run_tensorflow.py", &cases);
    for ((name, expected), line) in expected.iter().zip(found) {
        let found = outputs(&line);
        let difference = largest_difference(expected, &found);
        assert!(
            difference < limit,
            "{name}: {difference}\n{expected:?}\n{found:?}"
        );
        largest = largest.max(difference);
    }
    println!(
        "{} networks in TensorFlow, largest difference {largest:.1e}",
        expected.len()
    );
}

#[test]
fn random_networks_compute_the_same_as_frozen_graphs() {
    prove(random_graphs(120), 2e-5);
}

#[test]
fn structures_of_known_networks_compute_the_same_as_frozen_graphs() {
    prove(known_graphs(), 2e-5);
}

/// Compares the answers of a model to all frames with the run's: the number with the same top-1, and the largest
/// difference.
pub fn agreement(frames: &Evaluation, lines: &[Value]) -> (usize, f32) {
    let mut same = 0;
    let mut largest = 0.0_f32;
    for (frame, line) in frames.predictions.iter().zip(lines) {
        let found = outputs(line);
        let best = (0..found.len()).max_by(|a, b| found[*a].total_cmp(&found[*b]));
        same += usize::from(best == Some(frame.predicted));
        largest = largest.max(largest_difference(&frame.probabilities, &found));
    }
    (same, largest)
}

fn in_tensorflow(python: &Path, project: &Project, run: &Run, out: &Path) {
    let model = out.join("frozen-graph/output_graph.pb");
    let TestFrames { frames, files, .. } =
        &TestFrames::of(project, run, InputKind::Float32Nhwc, None);
    let cases: Vec<Value> = files
        .iter()
        .map(|input| json!({"model": model, "input": input}))
        .collect();
    let lines = run_cases(python, "run_tensorflow.py", &cases);
    let (same, largest) = agreement(frames, &lines);
    println!(
        "{}: {same} of {} with the same top-1 in TensorFlow, largest difference {largest:.1e}",
        run.settings.architecture,
        frames.predictions.len()
    );
    assert!(
        same == frames.predictions.len() && largest < 2e-5,
        "{same} {largest}"
    );
    // The old program scales without antialiasing, and gets no crop: another image, but about the same answer.
    let images = frames.predictions.iter().take(200);
    let cases: Vec<Value> = images
        .clone()
        .map(|frame| json!({"model": model, "image": project.root().join(&frame.path)}))
        .collect();
    let lines = run_cases(python, "run_tensorflow.py", &cases);
    let same = images.zip(&lines).filter(|(frame, line)| {
        let message = line["labels"][0].as_str().unwrap();
        message == frames.classes[frame.predicted]
    });
    let same = same.count();
    println!(
        "label_image.py: {same} of {} with the same top-1",
        lines.len()
    );
    assert!(same * 10 >= lines.len() * 9, "{same} of {}", lines.len());
}

#[test]
fn an_exported_run_predicts_the_same_as_a_frozen_graph() {
    for architecture in ["efficientnet-lite0@96", "mobilenet-v2@96"] {
        let dir = tempfile::tempdir().unwrap();
        let classes = [("rot, ein 'x'", 40), ("grün", 40), ("blå", 12)];
        let project = of_images(&dir.path().join("p"), &classes);
        let run = train(
            &project,
            &quick(architecture, 60),
            &LiveCurves::default(),
            &Work::new(),
        )
        .unwrap();
        let order = Format::FROZEN_GRAPH.into();
        let out = dir.path().join("out");
        let ExportOutcome { certificate, .. } =
            export(&project, &run, &order, &out, &Work::new()).unwrap();
        let [model] = &certificate.models[..] else {
            panic!("one model");
        };
        assert!(
            model.flips.is_empty() && model.max_probability_difference < 2e-5,
            "{model:?}"
        );
        assert!(model.latency.is_none() && model.proof.contains("read back"));
        let again = dir.path().join("again");
        export(&project, &run, &order, &again, &Work::new()).unwrap();
        for file in ["output_graph.pb", "output_labels.txt"] {
            let bytes = |out: &Path| std::fs::read(out.join("frozen-graph").join(file)).unwrap();
            assert!(bytes(&out) == bytes(&again), "{file} differs");
        }
        let found = verify_bundle(&out, &Work::new()).unwrap();
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        assert!(found.models[0].ok && found.models[0].same_top1 == 10);

        // Predictions with the export, the folder under another name, the graph alone.
        let moved = dir.path().join("elsewhere");
        std::fs::create_dir(&moved).unwrap();
        for file in ["output_graph.pb", "output_labels.txt"] {
            std::fs::copy(out.join("frozen-graph").join(file), moved.join(file)).unwrap();
        }
        let frames = evaluate(&project, &run, Split::Test, &Work::new()).unwrap();
        let frame = &frames.predictions[0];
        let image = load_image(&project.root().join(&frame.path)).unwrap();
        for path in [out.clone(), moved.clone(), moved.join("output_graph.pb")] {
            let mut predictor = Predictor::from_export(&path).unwrap();
            assert_eq!(predictor.classes(), frames.classes);
            let found = predictor.probabilities(&image, &Work::new()).unwrap();
            assert!(largest_difference(&frame.probabilities, &found) < 2e-5);
        }
        std::fs::write(moved.join("output_labels.txt"), "one\n").unwrap();
        let error = Predictor::from_export(&moved).err().unwrap().to_string();
        assert!(error.contains("1 labels for 3 outputs"), "{error}");
        if let Some(python) = tensorflow() {
            in_tensorflow(&python, &project, &run, &out);
        }
    }
}

/// By hand, on a folder of photos for each class: half of them are the test.
#[test]
fn photos_predict_the_same_as_a_frozen_graph() {
    let (Some(photos), Some(python)) = (std::env::var_os("SALAMANDER_PHOTOS"), tensorflow()) else {
        return;
    };
    let place = Place::new();
    let project = of_photos(&place, &photos);
    for architecture in ["efficientnet-lite0@224", "mobilenet-v2@224"] {
        let mut settings = quick(architecture, 500);
        settings.split.validation_percentage = 10;
        settings.split.testing_percentage = 50;
        let run = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
        let out = place.path(format!("out-{}", settings.architecture.backbone));
        export(
            &project,
            &run,
            &Format::FROZEN_GRAPH.into(),
            &out,
            &Work::new(),
        )
        .unwrap();
        in_tensorflow(&python, &project, &run, &out);
    }
}
