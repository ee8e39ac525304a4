//! `MobileNet` v2 in all steps: trained, evaluated, exported, run by other software, fine-tuned and extended. Unlike
//! the other backbones it normalises each channel separately and pads equally on all sides.

use std::path::PathBuf;

use salamander::backbone::{Depth, Fit};
use salamander::evaluate::{Predictor, arg_max, evaluate};
use salamander::export::{Format, export};
use salamander::jobs::Work;
use salamander::project::Split;
use salamander::train::{
    FineTuneSettings, LearnSettings, LiveCurves, Run, RunState, TrainSettings, resume, train,
};

use super::cli_program::Place;
use super::export::{compare, follow_readme, predicted, python, python_predictions};
use super::projects::{of_images, of_sample_videos, quick};

#[test]
fn it_is_trained_exported_and_run_by_others() {
    let place = Place::new();
    let project = of_sample_videos(&place.path("p"));
    for (fit, format) in [
        (Fit::CenterCrop, Format::ONNX),
        (Fit::Pad, Format::ONNX_FLOAT),
    ] {
        let settings = TrainSettings {
            fit,
            ..quick("mobilenet-v2@96", 60)
        };
        let run = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
        let out = place.path(format.name());
        let exported = export(&project, &run, &format.into(), &out, &Work::new())
            .unwrap()
            .files;
        assert_eq!(exported[0].top1_agreement, Some(1.0));
        assert!(exported[0].max_probability_difference.unwrap() <= 1e-4);
        let text = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
        assert!(text("LICENSE.txt").contains("Soumith Chintala"));
        assert!(text("README.txt").contains("published under BSD-3-Clause"));
        let recipe: serde_json::Value = serde_json::from_str(&text("preprocess.json")).unwrap();
        let mean = serde_json::json!([123.675, 116.28, 103.53]);
        assert_eq!(recipe["mean"], mean);
        assert_eq!(recipe["std"], serde_json::json!([58.395, 57.12, 57.375]));
        assert_eq!(recipe["bar_rgb"], serde_json::json!([124, 116, 104]));

        let evaluation = evaluate(&project, &run, Split::Test, &Work::new()).unwrap();
        assert!(evaluation.predictions.len() >= 6);
        assert!(evaluation.confusion.accuracy().unwrap() > 0.8);
        let images: Vec<PathBuf> = evaluation
            .predictions
            .iter()
            .map(|frame| project.root().join(&frame.path))
            .collect();
        let mut exported = Predictor::from_export(&out).unwrap();
        for (frame, image) in evaluation.predictions.iter().zip(&images) {
            let (class, probability) = predicted(&mut exported, image);
            let best = arg_max(&frame.probabilities);
            assert_eq!(class, evaluation.classes[best]);
            let off = probability - frame.probabilities[best];
            assert!(off.abs() < 1e-4, "{off}");
        }
        let Some(python) = python() else { continue };
        let found = python_predictions(&python, &out, &images);
        let largest = compare(&evaluation, &found, format.name());
        assert!(largest < 0.05, "{largest}");
        let told = follow_readme(&python, &out, &images[0]);
        let class = &evaluation.classes[evaluation.predictions[0].predicted];
        assert!(told.starts_with(&format!("{class} ")), "{told}");
    }
}

#[test]
fn it_is_fine_tuned_at_every_depth_and_extended() {
    let place = Place::new();
    let counts = [("red", 12), ("green", 12), ("blue", 12)];
    let project = of_images(&place.path("p"), &counts);
    for depth in [
        Depth::Last1,
        Depth::Last3,
        Depth::Stage,
        Depth::TwoStages,
        Depth::All,
    ] {
        let settings = TrainSettings {
            fine_tune: FineTuneSettings {
                depth,
                steps: Some(4),
                learn: LearnSettings {
                    batch_size: 8,
                    ..LearnSettings::of_fine_tuning()
                },
                train_depthwise: true,
                ..FineTuneSettings::default()
            },
            ..quick("mobilenet-v2@96", 5)
        };
        let run = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
        assert_eq!(run.state, RunState::Finished, "{depth}");
        check_export(&project, &run, &place.path(format!("{depth}")));
        if depth == Depth::Last1 {
            let longer = resume(
                &project,
                &run.id,
                Some(8),
                &LiveCurves::default(),
                &Work::new(),
            );
            let longer = longer.unwrap();
            assert_eq!(longer.id, run.id);
            check_export(&project, &longer, &place.path("longer"));
        }
    }
}

/// The export has the same probabilities as the evaluation of the run.
fn check_export(project: &salamander::project::Project, run: &Run, out: &std::path::Path) {
    let exported = export(project, run, &Format::ONNX.into(), out, &Work::new())
        .unwrap()
        .files;
    assert_eq!(exported[0].top1_agreement, Some(1.0), "{}", run.id);
    let evaluation = evaluate(project, run, Split::Test, &Work::new()).unwrap();
    let Some(python) = python() else { return };
    let images: Vec<PathBuf> = evaluation
        .predictions
        .iter()
        .map(|frame| project.root().join(&frame.path))
        .collect();
    let found = python_predictions(&python, out, &images);
    // The same pixels for both, so that only the model can differ.
    let largest = compare(&evaluation, &found, "fine-tuned");
    assert!(largest < 1e-4, "{largest}");
}

#[test]
fn the_command_line_lists_what_can_be_trained() {
    let place = Place::new();
    let result = place.result("architectures");
    let list = result["architectures"].as_array().unwrap();
    let of = |name: &str| {
        list.iter()
            .find(|line| line["architecture"] == name)
            .unwrap()
    };
    let full = of("mobilenet-v2@224");
    assert_eq!(full["licence"], "BSD-3-Clause");
    assert!((full["imagenet_top1"].as_f64().unwrap() - 0.7188).abs() < 1e-6);
    assert_eq!(full["multiply_accumulates"], 299_494_272);
    let small = of("mobilenet-v2@96");
    assert!(small["imagenet_top1"].is_null(), "nobody published one");
    assert_eq!(small["bytes"], full["bytes"]);
    assert_eq!(of("efficientnet-lite0@224")["default"], true);

    let text = place.line("architectures").stdout;
    let line = |name: &str| text.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(line("mobilenet-v2@224").contains("71.9 %"), "{text}");
    assert!(line("mobilenet-v2@96").contains("not published"), "{text}");
    assert!(
        text.contains("efficientnet-lite1 has 76.7 % at 240 pixels"),
        "{text}"
    );
}
