//! Several formats in one export: all or none, the same bytes each time, certified, and verified again from the folder
//! alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

use salamander::backbone::Architecture;
use salamander::evaluate::InputKind;
use salamander::export::{
    ExportOutcome, Format, Int8Candidate, Options, Order, export, verify_bundle,
};
use salamander::jobs::Work;
use salamander::project::Project;
use salamander::train::{LiveCurves, Run, train};

use super::cli_program::Place;
use super::export::{interpreter, python};
use super::projects::{of_images, quick};
use super::tflite_int8;

/// A finished run on small images.
fn trained(root: &Path) -> (Project, Run) {
    let project = of_images(root, &[("red", 40), ("green", 40), ("blue", 12)]);
    let settings = quick("efficientnet-lite0@96", 60);
    let run = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
    (project, run)
}

fn all() -> Order {
    Order {
        formats: vec![Format::ONNX, Format::ONNX_FP16, Format::ONNX_FLOAT],
        ..Format::ONNX.into()
    }
}

/// All files below `dir` with their contents.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in walkdir(dir) {
        let name = entry
            .strip_prefix(dir)
            .unwrap()
            .to_str()
            .unwrap()
            .replace('\\', "/");
        found.insert(name, fs::read(&entry).unwrap());
    }
    found
}

fn walkdir(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walkdir(&path));
        } else {
            files.push(path);
        }
    }
    files
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn several_formats_are_one_export() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = trained(&dir.path().join("p"));
    let out = dir.path().join("out");
    let ExportOutcome {
        files, certificate, ..
    } = export(&project, &run, &all(), &out, &Work::new()).unwrap();
    let names: Vec<_> = files
        .iter()
        .map(|file| file.path.file_name().unwrap())
        .collect();
    assert_eq!(
        names[..3],
        ["model.onnx", "model-fp16.onnx", "model-float.onnx"]
    );
    for file in &files {
        assert_eq!(file.bytes, fs::metadata(&file.path).unwrap().len());
    }
    // certificate.json has what is returned, and is correct.
    let written: Value = json(&out.join("certificate.json"));
    assert_eq!(written, serde_json::to_value(&certificate).unwrap());
    assert_eq!(certificate.split, "test");
    assert!(certificate.frames >= 20);
    for (model, file) in certificate.models.iter().zip(&files) {
        assert_eq!(model.bytes, file.bytes);
        let expected = file.bytes as f64 / certificate.fp32_bytes as f64;
        assert!((model.size_ratio - expected).abs() < 1e-9);
        // The backbone is stored in fp16 in all of them.
        assert!(
            (0.4..0.6).contains(&model.size_ratio),
            "{}",
            model.size_ratio
        );
        let [low, high] = model.top1_difference_95;
        assert!(low <= model.top1_difference && model.top1_difference <= high);
        let latency = model.latency.unwrap();
        assert!(latency.median_ms > 0.0 && latency.ratio_to_fp32 > 0.0);
    }
    let [plain, half, float] = &certificate.models[..] else {
        panic!("three models");
    };
    assert!(plain.max_probability_difference <= 1e-4 && float.max_probability_difference <= 1e-4);
    assert!((1e-6..0.02).contains(&half.max_probability_difference));
    assert!(plain.flips.is_empty() && float.flips.is_empty());
    let preprocess = json(&out.join("preprocess.json"));
    assert_eq!(preprocess["models"][2]["input"]["kind"], "float32_nchw");
    let readme = fs::read_to_string(out.join("README.txt")).unwrap();
    assert!(
        readme.contains("model-fp16.onnx   the model as ONNX, fp16"),
        "{readme}"
    );

    // The golden images come from all classes.
    let golden = json(&out.join("golden/golden.json"));
    let images = golden["images"].as_array().unwrap();
    assert_eq!(images.len(), 10);
    for class in ["red", "green", "blue"] {
        let of = images
            .iter()
            .filter(|image| image["class"] == class)
            .count();
        assert!(of >= 2, "{class}: {of}");
    }

    // Again: the same bytes. In another order of the formats: the same models.
    let first = contents(&out);
    let again = dir.path().join("again");
    export(&project, &run, &all(), &again, &Work::new()).unwrap();
    let second = contents(&again);
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        second.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &first {
        assert!(second.get(name) == Some(bytes), "{name} differs");
    }
    // Over itself too.
    export(&project, &run, &all(), &out, &Work::new()).unwrap();
    assert!(contents(&out) == first);

    // One format instead: the previous models are deleted, with a message.
    let work = Work::new();
    export(&project, &run, &Format::ONNX_FP16.into(), &out, &work).unwrap();
    assert!(!out.join("model.onnx").exists() && !out.join("model-float.onnx").exists());
    let warnings = work.take_warnings().join("\n");
    assert!(
        warnings.contains("model.onnx") && warnings.contains("removed"),
        "{warnings}"
    );
    assert!(!out.join("golden/01.float32_nchw.npy").exists());
    assert!(
        verify_bundle(&out, &Work::new())
            .unwrap()
            .problems
            .is_empty()
    );
}

#[test]
fn the_bundle_proves_itself_without_the_project() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = trained(&dir.path().join("p"));
    let out = dir.path().join("out");
    export(&project, &run, &all(), &out, &Work::new()).unwrap();
    drop(project);
    fs::remove_dir_all(dir.path().join("p")).unwrap();

    let found = verify_bundle(&out, &Work::new()).unwrap();
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    assert_eq!((found.images, found.models.len()), (10, 3));
    for model in &found.models {
        assert!(model.ok && model.same_top1 == 10, "{model:?}");
        assert!(model.max_probability_difference < 1e-6, "{model:?}");
    }
    let verify_py = |python: &Path| {
        let output = interpreter(python)
            .arg(out.join("verify.py"))
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (
            output.status.success(),
            text + &String::from_utf8_lossy(&output.stderr),
        )
    };
    let python = python();
    if let Some(python) = &python {
        let (ok, text) = verify_py(python);
        assert!(ok, "{text}");
        println!("{text}");
        for file in ["model.onnx", "model-fp16.onnx", "model-float.onnx"] {
            assert!(text.contains(&format!("{file}: 10 of 10")), "{text}");
        }
    }

    // Changed files are named: a model replaced by another one, a label, an image, an expectation.
    let place = |name: &str| out.join(name);
    let whole = contents(&out);
    let restore = || {
        for (name, bytes) in &whole {
            fs::write(place(name), bytes).unwrap();
        }
    };
    fs::copy(place("model-float.onnx"), place("model.onnx")).unwrap();
    let problems = verify_bundle(&out, &Work::new()).unwrap().problems;
    assert!(
        problems
            .iter()
            .any(|text| text.contains("“model.onnx” is not the file")),
        "{problems:?}"
    );
    restore();

    let text = String::from_utf8(whole["golden/golden.json"].clone()).unwrap();
    let mut golden: Value = serde_json::from_str(&text).unwrap();
    let expected = &mut golden["images"][3]["expected"]["model.onnx"][0];
    *expected = Value::from(expected.as_f64().unwrap() + 0.001);
    fs::write(place("golden/golden.json"), golden.to_string()).unwrap();
    let found = verify_bundle(&out, &Work::new()).unwrap();
    assert!(
        !found.models[0].ok && found.models[1].ok,
        "{:?}",
        found.models
    );
    if let Some(python) = &python {
        let (ok, text) = verify_py(python);
        assert!(
            !ok && text.contains("model.onnx: a probability differs"),
            "{text}"
        );
    }
    restore();

    // NaN and empty results prove nothing.
    if let Some(python) = &python {
        let number = text.rsplit_once("\"model.onnx\": [").unwrap();
        let (_, rest) = number.1.split_once(',').unwrap();
        let text = format!("{}\"model.onnx\": [NaN,{rest}", number.0);
        fs::write(place("golden/golden.json"), text).unwrap();
        let (ok, text) = verify_py(python);
        assert!(!ok && text.contains("differs by inf"), "{text}");
    }
    let mut golden: Value = serde_json::from_str(&text).unwrap();
    golden["images"] = Value::Array(Vec::new());
    fs::write(place("golden/golden.json"), golden.to_string()).unwrap();
    let problems = verify_bundle(&out, &Work::new()).unwrap().problems;
    assert!(
        problems
            .iter()
            .any(|text| text.contains("nothing to check")),
        "{problems:?}"
    );
    if let Some(python) = &python {
        let (ok, text) = verify_py(python);
        assert!(!ok && text.contains("nothing was checked"), "{text}");
    }
    restore();

    fs::copy(place("golden/01.png"), place("golden/02.png")).unwrap();
    let problems = verify_bundle(&out, &Work::new()).unwrap().problems;
    assert!(
        problems.iter().any(|text| text.contains("does not give")),
        "{problems:?}"
    );
    if let Some(python) = &python {
        let (ok, text) = verify_py(python);
        assert!(!ok && text.contains("does not give"), "{text}");
    }
    restore();

    fs::remove_file(place("golden/03.png")).unwrap();
    let problems = verify_bundle(&out, &Work::new()).unwrap().problems;
    assert!(
        problems
            .iter()
            .any(|text| text.contains("“golden/03.png” is missing")),
        "{problems:?}"
    );
    let no_export = verify_bundle(dir.path(), &Work::new())
        .unwrap_err()
        .to_string();
    assert!(no_export.contains("export.json"), "{no_export}");
}

#[test]
fn options_reach_the_models() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = trained(&dir.path().join("p"));
    let out = dir.path().join("out");
    let order = Order {
        formats: vec![Format::ONNX, Format::ONNX_FP16],
        options: Options {
            input: Some(InputKind::Float32Nchw),
            batch_of_one: true,
            opset: Some(13),
            bottleneck: true,
        },
        ..Format::ONNX.into()
    };
    export(&project, &run, &order, &out, &Work::new()).unwrap();
    assert!(
        verify_bundle(&out, &Work::new())
            .unwrap()
            .problems
            .is_empty()
    );
    let Some(python) = python() else { return };
    let program = "import sys, json, numpy as np, onnxruntime as ort\n\
        for name in sys.argv[1:]:\n\
        \x20   s = ort.InferenceSession(name)\n\
        \x20   x = np.load(name.rsplit('/', 1)[0] + '/golden/01.float32_nchw.npy')\n\
        \x20   p, b = s.run(None, {'image': x})\n\
        \x20   print(json.dumps([s.get_inputs()[0].shape, [o.name for o in s.get_outputs()], list(b.shape), str(b.dtype), sorted(s.get_modelmeta().custom_metadata_map)]))\n";
    let output = interpreter(&python)
        .args(["-c", program])
        .args(["model.onnx", "model-fp16.onnx"].map(|name| out.join(name)))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
    let dim = architecture.entry().unwrap().bottleneck_dim;
    for line in text.lines() {
        let found: Value = serde_json::from_str(line).unwrap();
        let expected = serde_json::json!([
            [1, 3, 96, 96],
            ["probabilities", "bottleneck"],
            [1, dim],
            "float32",
            [
                "architecture",
                "class_ids",
                "labels",
                "licence",
                "preprocessing",
                "producer",
                "run"
            ],
        ]);
        assert_eq!(found, expected);
    }
    assert_eq!(text.lines().count(), 2);
}

#[test]
fn the_command_line_exports_several_and_verifies_them() {
    let place = Place::new();
    let (project, _) = trained(&place.path("p"));
    drop(project);
    let exported = place.result("export p --format onnx,onnx-fp16 --out model");
    let models = exported["certificate"]["models"].as_array().unwrap();
    let formats: Vec<_> = models
        .iter()
        .map(|model| model["format"].as_str().unwrap())
        .collect();
    assert_eq!(formats, ["onnx", "onnx-fp16"]);
    assert!(
        models
            .iter()
            .all(|model| model["latency"]["median_ms"].is_f64())
    );
    place.result("export p --format onnx,onnx-fp16 --out again");
    assert!(contents(&place.path("model")) == contents(&place.path("again")));
    let verified = place.result("verify model");
    assert_eq!(verified["models"].as_array().unwrap().len(), 2);
    assert_eq!(verified["problems"], serde_json::json!([]));
    for model in ["model", "model/model-fp16.onnx"] {
        let lines = place.json(&format!("predict {model} p/classes/red/0.png"));
        let mut predictions = lines.iter().filter(|line| line["event"] == "prediction");
        assert_eq!(
            predictions.next().unwrap()["top"][0]["class"],
            "red",
            "{model}"
        );
    }

    let unknown = place.line("export p --format onnx,tensorflow --out other");
    assert_eq!(unknown.code, Some(2));
    assert!(unknown.stderr.contains("onnx-fp16"), "{}", unknown.stderr);
    assert!(!place.path("other").exists());

    // The user's own files are not replaced, even with --force.
    fs::write(place.path("model/labels.txt"), "mine").unwrap();
    let refused = place.failure("export p --format onnx --out model");
    assert!(refused.contains("labels.txt"), "{refused}");
    assert!(
        place.failure("verify model").contains("1 problem"),
        "{refused}"
    );
    fs::create_dir(place.path("foreign")).unwrap();
    fs::write(place.path("foreign/verify.py"), "mine").unwrap();
    let refused = place.failure("export p --out foreign --force");
    assert!(refused.contains("verify.py"), "{refused}");
    assert_eq!(fs::read_dir(place.path("foreign")).unwrap().count(), 1);
    let told = place.line("export p --format tflite --batch 1 --out lite");
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    let passed_over = "TensorFlow Lite is written as usual";
    assert!(told.stderr.contains(passed_over), "{}", told.stderr);
    let plain = place.line("export p --format tflite --out plain");
    assert!(!plain.stderr.contains(passed_over), "{}", plain.stderr);
    place.result("export p --format onnx --out model --force");
    place.result("verify model");
}

/// A quarter of the size, the same bytes each time, searched on frames outside the test, and verified like all others.
#[test]
fn int8_is_found_and_certified() {
    let dir = tempfile::tempdir().unwrap();
    let (project, run) = trained(&dir.path().join("p"));
    let order = Order {
        options: Options {
            bottleneck: true,
            ..Options::default()
        },
        ..Format::ONNX_INT8.into()
    };
    let [out, again, anew] = ["out", "again", "anew"].map(|name| dir.path().join(name));
    let found = export(&project, &run, &order, &out, &Work::new()).unwrap();
    let model = &found.certificate.models[0];
    assert!(
        (0.2..0.275).contains(&model.size_ratio),
        "{}",
        model.size_ratio
    );
    let search = model.search.as_ref().unwrap();
    assert!(search.fitted_on > 20 && search.compared_on > 5);
    // The first was good enough, or others were tried.
    let first = &search.candidates[0];
    assert!(first.taken && first.is_good_enough() == (search.candidates.len() == 1));
    // Accepted changes never made it worse.
    let taken = search.candidates.iter().filter(|known| known.taken);
    let divergences: Vec<f64> = taken.map(|known| known.divergence).collect();
    assert!(divergences.windows(2).all(|pair| pair[1] < pair[0]));
    let read: Value = json(&out.join("certificate.json"));
    assert_eq!(read["models"][0]["search"]["candidates"][0]["taken"], true);
    // Each has its time: the exported model's, or that of the one with other operators.
    let last = search.candidates.iter().rfind(|known| known.taken).unwrap();
    let time = |like: bool| {
        let same = |known: &&Int8Candidate| (known.real_values == last.real_values) == like;
        let times = search.candidates.iter().filter(same);
        let mut times: Vec<f64> = times.map(|known| known.latency_ratio.unwrap()).collect();
        times.dedup();
        times
    };
    assert_eq!(time(true), [model.latency.unwrap().ratio_to_fp32]);
    assert!(time(false).iter().all(|ratio| *ratio > 0.0) && time(false).len() <= 1);

    // From the cache, and without it.
    export(&project, &run, &order, &again, &Work::new()).unwrap();
    assert_eq!(contents(&out), contents(&again));
    fs::remove_dir_all(project.cache_dir().join("int8")).unwrap();
    export(&project, &run, &order, &anew, &Work::new()).unwrap();
    let bytes = |out: &Path| fs::read(out.join("model-int8.onnx")).unwrap();
    assert_eq!(bytes(&out), bytes(&anew));

    // For phones, of the same search.
    let lite = dir.path().join("lite");
    export(
        &project,
        &run,
        &Format::TFLITE_INT8.into(),
        &lite,
        &Work::new(),
    )
    .unwrap();
    tflite_int8::prove_export(&project, &run, &lite.join("model-int8.tflite"));

    // The folder verifies itself; the model with float input computes the same.
    for model in verify_bundle(&out, &Work::new()).unwrap().models {
        assert!(model.ok, "{model:?}");
    }
    let order = Order {
        options: Options {
            input: Some(InputKind::Float32Nchw),
            batch_of_one: true,
            opset: Some(21),
            ..Options::default()
        },
        ..Format::ONNX_INT8.into()
    };
    let fed = export(
        &project,
        &run,
        &order,
        &dir.path().join("fed"),
        &Work::new(),
    )
    .unwrap();
    let fed = &fed.certificate.models[0];
    assert_eq!(fed.flips, model.flips);
    let differs = fed.max_probability_difference - model.max_probability_difference;
    assert!(differs.abs() < 1e-5, "{differs}");
}
