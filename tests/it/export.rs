//! Exports, run by other software: ONNX Runtime for Python with only the files of the export, and Pillow's resize
//! compared with ours.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::{
    DynamicImage, GrayAlphaImage, ImageBuffer, Luma, LumaA, Rgb, RgbImage, Rgba, RgbaImage,
};
use serde_json::Value;

use salamander::backbone::{Fit, Preprocessing};
use salamander::evaluate::{Evaluation, Predictor, arg_max, evaluate};
use salamander::export::{Format, export};
use salamander::jobs::Work;
use salamander::media::load_image;
use salamander::project::Split;
use salamander::train::{LiveCurves, RunClasses, TrainSettings, train};

use super::projects::{of_images, of_sample_videos, quick};

/// The interpreter with onnxruntime, numpy and Pillow. Without one the test is skipped with a message; not in CI.
pub fn python() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let windows = root.join("target/python/Scripts/python.exe");
    let unix = root.join("target/python/bin/python");
    let found = [unix, windows, "python3".into()]
        .into_iter()
        .find(|python| {
            interpreter(python)
                .args(["-c", "import onnxruntime, numpy, PIL"])
                .output()
                .is_ok_and(|output| output.status.success())
        });
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "no Python with onnxruntime, numpy and Pillow; packaging/setup.sh --tests installs it"
        );
        eprintln!(
            "SKIPPED: no Python with onnxruntime, numpy and Pillow (packaging/setup.sh --tests)"
        );
    }
    found
}

/// Python, independent of the computer's variables and locale.
pub fn interpreter(python: &Path) -> Command {
    let mut command = Command::new(python);
    command.args(["-E", "-X", "utf8"]);
    command
}

pub fn python_predictions(python: &Path, export: &Path, images: &[PathBuf]) -> Vec<Value> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/run_export.py");
    let mut child = interpreter(python)
        .arg(script)
        .arg(export)
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut list = String::new();
    for image in images {
        list.push_str(image.to_str().unwrap());
        list.push('\n');
    }
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(list.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The most probable class of the image in a file, and its probability.
pub fn predicted(predictor: &mut Predictor, image: &Path) -> (String, f32) {
    let image = load_image(image).unwrap();
    let probabilities = predictor.probabilities(&image, &Work::new()).unwrap();
    let best = arg_max(&probabilities);
    (predictor.classes()[best].clone(), probabilities[best])
}

/// Runs the program that `README.txt` shows, on one image, and returns what it prints.
pub fn follow_readme(python: &Path, export: &Path, image: &Path) -> String {
    let readme = std::fs::read_to_string(export.join("README.txt")).unwrap();
    let (_, program) = readme.split_once("\n\nimport ").unwrap();
    let (program, _) = program.split_once("\n\n").unwrap();
    let program = format!("import {program}").replace("image.jpg", image.to_str().unwrap());
    let output = interpreter(python)
        .args(["-c", &program])
        .current_dir(export)
        .output()
        .unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}\n{message}");
    String::from_utf8(output.stdout).unwrap()
}

/// Checks for the same top-1 on every frame; returns the largest difference of a probability. JPEG decoders may differ
/// by a level or two, so the probabilities need not be exactly equal.
pub fn compare(evaluation: &Evaluation, found: &[Value], what: &str) -> f64 {
    assert_eq!(found.len(), evaluation.predictions.len());
    let mut largest = 0.0_f64;
    for (frame, found) in evaluation.predictions.iter().zip(found) {
        assert_eq!(
            found["index"], frame.predicted,
            "{what}, {}: {:?} against {found}",
            frame.path, frame.probabilities
        );
        assert_eq!(
            found["class"].as_str(),
            evaluation.classes.get(frame.predicted).map(String::as_str)
        );
        for (ours, theirs) in frame
            .probabilities
            .iter()
            .zip(found["probabilities"].as_array().unwrap())
        {
            largest = largest.max((f64::from(*ours) - theirs.as_f64().unwrap()).abs());
        }
    }
    largest
}

#[test]
fn others_get_the_same_classes_from_an_export() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let project = of_sample_videos(&dir.path().join("Über 映画"));

    for (fit, format, files) in [
        (Fit::CenterCrop, Format::ONNX, 14),
        (Fit::Pad, Format::ONNX_FLOAT, 14),
    ] {
        let settings = TrainSettings {
            fit,
            ..quick("efficientnet-lite0@128", 60)
        };
        let run = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
        let out = dir.path().join(format!("出力 {}", format.name()));
        let exported = export(&project, &run, &format.into(), &out, &Work::new())
            .unwrap()
            .files;
        assert_eq!(exported.len(), files);
        // Three of them are the programs in the folder `snippets`.
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), files - 2);
        let model = &exported[0];
        assert_eq!(model.top1_agreement, Some(1.0));
        assert!(model.max_probability_difference.unwrap() <= 1e-4);
        for file in &exported {
            assert_eq!(file.bytes, std::fs::metadata(&file.path).unwrap().len());
        }

        let evaluation = evaluate(&project, &run, Split::Test, &Work::new()).unwrap();
        assert!(evaluation.predictions.len() >= 6);
        assert_eq!(
            evaluation.confusion.accuracy(),
            run.result().unwrap().test_accuracy,
            "evaluation and training agree"
        );
        let images: Vec<PathBuf> = evaluation
            .predictions
            .iter()
            .map(|frame| project.root().join(&frame.path))
            .collect();
        let found = python_predictions(&python, &out, &images);
        let largest = compare(&evaluation, &found, format.name());
        println!(
            "{}: {} frames, same top-1 on all, probabilities within {largest:.1e} of Python's (own JPEG decoder)",
            format.name(),
            images.len()
        );
        assert!(largest < 0.05, "{largest}");

        let told = follow_readme(&python, &out, &images[0]);
        let class = &evaluation.classes[evaluation.predictions[0].predicted];
        assert!(told.starts_with(&format!("{class} ")), "{told}");

        // The program itself predicts the same with the run and with the export.
        let image = load_image(&images[0]).unwrap();
        let of_run = Predictor::from_run(&run, RunClasses::of(&project, &run))
            .unwrap()
            .probabilities(&image, &Work::new())
            .unwrap();
        let of_export = Predictor::from_export(&out)
            .unwrap()
            .probabilities(&image, &Work::new())
            .unwrap();
        assert_eq!(arg_max(&of_run), arg_max(&of_export));
        for (a, b) in of_run.iter().zip(&of_export) {
            assert!((a - b).abs() < 1e-4);
        }

        // A cancelled export does not change the earlier one, and leaves nothing next to it.
        let before = std::fs::read(&model.path).unwrap();
        let work = Work::new();
        work.cancel();
        assert!(export(&project, &run, &format.into(), &out, &work).is_err());
        assert_eq!(std::fs::read(&model.path).unwrap(), before);
        // Three of them are the programs in the folder `snippets`.
        assert_eq!(std::fs::read_dir(&out).unwrap().count(), files - 2);
    }
}

/// Transparency, grey, and 16 bits a value: the program in `README.txt` reads them as the application does.
#[test]
fn the_program_in_the_readme_reads_what_the_application_reads() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let project = of_images(
        &dir.path().join("p"),
        &[("red", 8), ("green", 8), ("blue", 8)],
    );
    let settings = quick("mobilenet-v2@96", 20);
    let run = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
    let out = dir.path().join("export");
    export(&project, &run, &Format::ONNX.into(), &out, &Work::new()).unwrap();
    let mut predictor = Predictor::from_export(&out).unwrap();

    let at = |x: u32, y: u32| [(x * 5) as u8, (y * 4) as u8, (x * y / 9) as u8];
    let wide = |value: u8, low: u32| u16::from(value) << 8 | (low * 37 % 256) as u16;
    let rgba = RgbaImage::from_fn(50, 60, |x, y| {
        let [r, g, b] = at(x, y);
        Rgba([r, g, b, (x * 5) as u8])
    });
    let grey_alpha = GrayAlphaImage::from_fn(50, 60, |x, y| LumaA([at(x, y)[0], (y * 4) as u8]));
    let grey = ImageBuffer::<Luma<u16>, _>::from_fn(50, 60, |x, y| Luma([wide(at(x, y)[1], x)]));
    let deep = ImageBuffer::<Rgba<u16>, _>::from_fn(50, 60, |x, y| {
        let [r, g, b] = at(x, y).map(|value| wide(value, x + y));
        Rgba([r, g, b, wide((y * 4) as u8, x)])
    });
    for (name, image) in [
        ("rgba.png", DynamicImage::from(rgba)),
        ("grey-alpha.png", grey_alpha.into()),
        ("grey-16.png", grey.clone().into()),
        ("grey-16.tif", grey.into()),
        ("rgba-16.png", deep.into()),
    ] {
        let path = dir.path().join(name);
        image.save(&path).unwrap();
        let (class, probability) = predicted(&mut predictor, &path);
        let told = follow_readme(&python, &out, &path);
        let (theirs, their_probability) = told.trim().split_once(' ').unwrap();
        assert_eq!(theirs, class, "{name}: {told}");
        let off = their_probability.parse::<f32>().unwrap() - probability;
        assert!(off.abs() < 0.01, "{name}: {told} {probability}");
    }
}

const PILLOW: &str = r"
import sys, json
sys.path.insert(0, sys.argv[1])
import numpy as np
from run_export import square, upright_rgb
for line in sys.stdin:
    path, theirs, recipe = json.loads(line)
    a = np.asarray(square(upright_rgb(path), recipe), np.int16)
    b = np.asarray(upright_rgb(theirs), np.int16)
    print(int(np.abs(a - b).max()))
";

#[test]
fn resized_pixels_are_those_of_pillow() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let mut lines = String::new();
    for (number, (width, height)) in [
        (500, 281),
        (281, 500),
        (500, 375),
        (100, 100),
        (37, 211),
        (1920, 1080),
    ]
    .into_iter()
    .enumerate()
    {
        let image = RgbImage::from_fn(width, height, |x, y| {
            // Edges, ramps and noise.
            let noise =
                (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(x + 7);
            let edge = if (x / 9 + y / 7) % 2 == 0 { 255 } else { 0 };
            Rgb([(noise >> 13) as u8, edge, ((x * 255) / width) as u8])
        });
        let path = dir.path().join(format!("{number}.png"));
        image.save(&path).unwrap();
        for (fit, name) in [
            (Fit::CenterCrop, "center_crop"),
            (Fit::Stretch, "stretch"),
            (Fit::Pad, "pad"),
        ] {
            let preprocessing = Preprocessing {
                fit,
                resolution_px: 224,
                mean: [127.0, 120.0, 110.0],
                std: [128.0; 3],
            };
            let resized = dir.path().join(format!("{number}-{name}.png"));
            preprocessing.resize(&image).save(&resized).unwrap();
            let recipe = serde_json::json!({
                "fit": name,
                "resolution_px": 224,
                "resize": {"filter": "bilinear", "antialias": true},
                "bar_rgb": preprocessing.bar_colour(),
            });
            lines.push_str(&serde_json::json!([path, resized, recipe]).to_string());
            lines.push('\n');
        }
    }
    let mut child = interpreter(&python)
        .args(["-c", PILLOW])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let written = child.stdin.take().unwrap().write_all(lines.as_bytes());
    written.unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let differences: Vec<u8> = String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| line.parse().unwrap())
        .collect();
    println!("largest difference from Pillow of each picture: {differences:?}");
    assert_eq!(differences.len(), 18);
    assert!(differences.iter().all(|difference| *difference <= 1));
}
