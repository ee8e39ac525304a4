//! Core ML packages read back, in ONNX Runtime, and by Apple's coremltools with an executor in `NumPy`
//! (`tests/run_coreml.py`), compared with the original networks.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use salamander::backbone::{Architecture, Fit};
use salamander::evaluate::{InputKind, Predictor, Recipe, evaluate};
use salamander::export::coreml::{About, halved, read, write};
use salamander::export::{
    ExportOutcome, Format, ModelFile, Order, RECIPE_KEY, export, verify_bundle,
};
use salamander::graph::Graph;
use salamander::graph::ops::Reshaping;
use salamander::jobs::Work;
use salamander::media::load_image;
use salamander::project::{Project, Split};
use salamander::train::{LiveCurves, Run, train};

use super::cli_program::Place;
use super::frozen_graph::{
    agreement, known_graphs, python_with, random_graphs, random_pixels, run_cases,
};
use super::networks::Random;
use super::projects::{of_images, of_photos, quick};
use super::test_frames::TestFrames;
use super::tflite::{in_onnx_runtime, largest_difference, outputs};

/// The tests' Python with coremltools, which does not exist for Windows.
fn coremltools() -> Option<PathBuf> {
    let python = python_with("python", "coremltools");
    if python.is_none() {
        assert!(
            std::env::var_os("CI").is_none()
                || !cfg!(any(target_os = "macos", target_arch = "x86_64"))
                || cfg!(windows),
            "no Python with coremltools; packaging/setup.sh --tests installs it"
        );
        eprintln!("SKIPPED: no Python with coremltools (packaging/setup.sh --tests)");
    }
    python
}

/// The description of a model, with `labels` made-up labels.
fn about(side: usize, labels: usize) -> About {
    let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
    let mut preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
    preprocessing.resolution_px = u32::try_from(side).unwrap();
    let labels: Vec<String> = (0..labels).map(|at| format!("Größe {at}")).collect();
    let recipe = Recipe::new(InputKind::Uint8Nhwc, &preprocessing, &architecture, &labels);
    About {
        description: "A network of a test.".into(),
        version: "1".into(),
        author: "a test".into(),
        licence: "MIT".into(),
        more: [(
            RECIPE_KEY.to_owned(),
            serde_json::to_string(&recipe).unwrap(),
        )]
        .into(),
        recipe,
    }
}

/// Its output as one row.
fn flattened(mut graph: Graph) -> Graph {
    let output = graph.outputs()[0];
    graph.clear_outputs();
    let row = graph.op_named(Reshaping::FLATTEN, &[output], "row");
    graph.output(row);
    graph
}

fn store(files: &[ModelFile], dir: &Path) {
    for file in files {
        let path = dir.join(&file.name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, &file.bytes).unwrap();
    }
}

fn prove(graphs: Vec<(String, Graph)>, half: bool, limit: f32) -> BTreeSet<String> {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Random::new(79);
    let (mut cases, mut expected) = (Vec::new(), Vec::new());
    for (at, (name, graph)) in graphs.into_iter().enumerate() {
        let graph = flattened(graph);
        let pixels = random_pixels(&graph, &mut random);
        let whole = in_onnx_runtime(&graph, &pixels);
        let side = graph.shape(graph.inputs()[0]).unwrap()[1].fixed().unwrap();
        let about = about(side, whole.len());
        let given = if half { halved(&graph).unwrap() } else { graph };
        let package = format!("{at}.mlpackage");
        let files =
            write(&package, &given, &about).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (read, recipe) = read(&files).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(recipe, about.recipe);
        let found = in_onnx_runtime(&read, &pixels);
        let difference = largest_difference(&whole, &found);
        assert!(
            difference < limit,
            "{name}, read back: {difference}\n{whole:?}\n{found:?}"
        );
        store(&files, dir.path());
        let input = dir.path().join(format!("{at}.bytes"));
        std::fs::write(&input, pixels).unwrap();
        cases.push(json!({"model": dir.path().join(package), "input": input}));
        expected.push((name, whole, about.recipe.labels));
    }
    println!("{} networks read back, half: {half}", expected.len());
    let mut used = BTreeSet::new();
    let Some(python) = coremltools() else {
        return used;
    };
    let mut largest = 0.0_f32;
    let lines = run_cases(&python, "run_coreml.py", &cases);
    for ((name, expected, labels), line) in expected.iter().zip(lines) {
        let found = outputs(&line);
        let difference = largest_difference(expected, &found);
        assert!(
            difference < limit,
            "{name}: {difference}\n{expected:?}\n{found:?}"
        );
        assert!(
            line["labels"].as_array().unwrap().iter().eq(labels),
            "{name}"
        );
        let names = line["operations"].as_array().unwrap().iter();
        used.extend(names.map(|name| name.as_str().unwrap().to_owned()));
        largest = largest.max(difference);
    }
    println!(
        "{} networks by coremltools, half: {half}, largest difference {largest:.1e}",
        expected.len()
    );
    used
}

#[test]
fn random_networks_compute_the_same_as_core_ml() {
    let used = prove(random_graphs(120), false, 3e-5);
    println!("operations: {used:?}");
    // Values of a hundred and more, each rounded to 11 bits, accumulate errors.
    prove(random_graphs(40), true, 3e-2);
}

#[test]
fn structures_of_known_networks_compute_the_same_as_core_ml() {
    prove(known_graphs(), false, 3e-5);
    prove(known_graphs(), true, 3e-2);
}

/// Checks that a package of an exported run agrees with the run, by coremltools.
fn by_coremltools(project: &Project, run: &Run, package: &Path, limit: f32, most: Option<usize>) {
    let Some(python) = coremltools() else { return };
    let TestFrames { frames, files, .. } =
        &TestFrames::of(project, run, InputKind::Uint8Nhwc, most);
    let cases: Vec<Value> = files
        .iter()
        .map(|input| json!({"model": package, "input": input}))
        .collect();
    let lines = run_cases(&python, "run_coreml.py", &cases);
    let (same, largest) = agreement(frames, &lines);
    let count = frames.predictions.len();
    println!(
        "{}, {}: {same} of {count} with the same top-1 by coremltools, largest difference {largest:.1e}",
        run.settings.architecture,
        package.file_name().unwrap().to_string_lossy()
    );
    assert!(
        same * 1000 >= count * 995 && largest < limit,
        "{same} of {count}, {largest}"
    );
    let labels = lines[0]["labels"].as_array().unwrap();
    assert!(labels.iter().eq(&frames.classes), "{labels:?}");
}

#[test]
fn an_exported_run_predicts_the_same_as_core_ml() {
    for architecture in ["efficientnet-lite0@96", "mobilenet-v2@96"] {
        let dir = tempfile::tempdir().unwrap();
        let classes = [("rot, ein 'x'", 40), ("grün", 40), ("blå", 12)];
        let project = of_images(&dir.path().join("p"), &classes);
        let settings = quick(architecture, 60);
        let run = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
        let order = Order {
            formats: vec![Format::COREML, Format::COREML_FP32],
            ..Format::COREML.into()
        };
        let out = dir.path().join("out");
        let ExportOutcome {
            certificate, files, ..
        } = export(&project, &run, &order, &out, &Work::new()).unwrap();
        let [half, full] = &certificate.models[..] else {
            panic!("two models");
        };
        assert!(
            full.flips.is_empty() && full.max_probability_difference < 2e-5,
            "{full:?}"
        );
        assert!(
            half.flips.is_empty() && half.max_probability_difference < 1e-2,
            "{half:?}"
        );
        assert!(half.latency.is_none() && half.proof.contains("read back"));
        assert!(half.bytes * 19 < full.bytes * 10, "{half:?} {full:?}");
        assert_eq!(files[0].bytes, half.bytes);
        let packages = ["Model.mlpackage", "Model-fp32.mlpackage"].map(|name| out.join(name));
        let [of_half, of_full] = &packages;
        by_coremltools(&project, &run, of_half, 2e-2, None);
        by_coremltools(&project, &run, of_full, 2e-5, None);

        // The same bytes again, although coremltools rewrites the manifest when it opens a package, and the same proof
        // from the folder alone.
        let again = dir.path().join("again");
        export(&project, &run, &order, &again, &Work::new()).unwrap();
        for package in ["Model.mlpackage", "Model-fp32.mlpackage"] {
            for file in [
                "Manifest.json",
                "Data/com.apple.CoreML/model.mlmodel",
                "Data/com.apple.CoreML/weights/weight.bin",
            ] {
                let bytes = |out: &Path| std::fs::read(out.join(package).join(file)).unwrap();
                assert!(bytes(&out) == bytes(&again), "{package}/{file} differs");
            }
        }
        let found = verify_bundle(&out, &Work::new()).unwrap();
        assert!(found.problems.is_empty(), "{:?}", found.problems);
        assert!(
            found
                .models
                .iter()
                .all(|model| model.ok && model.same_top1 == 10)
        );

        // Predictions with the export, a package, and one under another name.
        let moved = dir.path().join("elsewhere");
        std::fs::rename(again.join("Model.mlpackage"), &moved).unwrap();
        let frames = evaluate(&project, &run, Split::Test, &Work::new()).unwrap();
        let frame = &frames.predictions[0];
        let image = load_image(&project.root().join(&frame.path)).unwrap();
        for path in [&out, of_half, of_full, &moved] {
            let mut predictor = Predictor::from_export(path).unwrap();
            assert_eq!(predictor.classes(), frames.classes);
            let found = predictor.probabilities(&image, &Work::new()).unwrap();
            assert!(largest_difference(&frame.probabilities, &found) < 1e-2);
        }
        let weights = moved.join("Data/com.apple.CoreML/weights/weight.bin");
        std::fs::write(&weights, &std::fs::read(&weights).unwrap()[..5000]).unwrap();
        let error = Predictor::from_export(&moved).err().unwrap().to_string();
        assert!(
            error.contains("elsewhere") && error.contains("weights"),
            "{error}"
        );
        let file = of_half.join("Data/com.apple.CoreML/model.mlmodel");
        let error = Predictor::from_export(&file).err().unwrap().to_string();
        assert!(error.contains("Manifest.json is missing"), "{error}");
    }
}

/// By hand, on a folder of photos for each class: half of them are the test.
#[test]
fn photos_predict_the_same_as_core_ml() {
    let Some(photos) = std::env::var_os("SALAMANDER_PHOTOS") else {
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
        let order = Order {
            formats: vec![Format::COREML, Format::COREML_FP32],
            ..Format::COREML.into()
        };
        let found = export(&project, &run, &order, &out, &Work::new()).unwrap();
        for model in &found.certificate.models {
            println!(
                "{architecture}, {}: {} frames, {} flips, largest difference {:.1e}, top-1 {} → {}, {} bytes ({:.3} of fp32)",
                model.file,
                found.certificate.frames,
                model.flips.len(),
                model.max_probability_difference,
                model.run_top1,
                model.top1,
                model.bytes,
                model.size_ratio
            );
            let limit = if model.format == "coreml" { 5e-2 } else { 2e-5 };
            // NumPy is slow.
            by_coremltools(&project, &run, &out.join(&model.file), limit, Some(200));
        }
    }
}
