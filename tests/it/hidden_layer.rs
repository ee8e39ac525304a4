//! A head with a hidden layer, dropout and class weights: evaluated, exported in all formats, fine-tuned, resumed.

use salamander::backbone::Depth;
use salamander::evaluate::evaluate;
use salamander::export::{Format, export};
use salamander::jobs::Work;
use salamander::project::Split;
use salamander::train::{
    ClassSampling, ClassWeights, FineTuneSettings, HeadSettings, LearnSettings, LiveCurves,
    Optimizer, Run, TrainSettings, resume, train,
};

use super::cancel::cancelled_when;
use super::cli_program::Place;
use super::projects::{of_images, quick, runs};

fn settings(steps: u32) -> TrainSettings {
    let mut settings = TrainSettings {
        sampling: ClassSampling::Natural,
        class_weights: ClassWeights::Balanced,
        ..quick("efficientnet-lite0@96", steps)
    };
    settings.head = HeadSettings {
        learn: LearnSettings {
            optimizer: Optimizer::Adam,
            learning_rate: 0.001,
            batch_size: 20,
            dropout: 0.2,
            ..LearnSettings::of_head()
        },
        hidden_units: 24,
    };
    settings
}

fn classes() -> [(&'static str, u32); 3] {
    [("red", 24), ("green", 16), ("blue", 20)]
}

#[test]
fn every_format_has_the_hidden_layer() {
    let place = Place::new();
    let project = of_images(&place.path("p"), &classes());
    let work = Work::new();
    let run = train(&project, &settings(80), &LiveCurves::default(), &work).unwrap();
    let read = Run::open(&run.dir).unwrap();
    assert_eq!(read, run);
    let head = read.head().unwrap();
    assert_eq!(head.hidden.as_ref().unwrap().b.len(), 24);
    let result = run.result().unwrap();
    assert_eq!(result.trained_weights, 1281 * 24 + 25 * 3);
    let evaluation = evaluate(&project, &run, Split::Test, &work).unwrap();
    assert_eq!(evaluation.confusion.accuracy(), result.test_accuracy);
    assert!(result.test_accuracy.unwrap() > 0.6, "{result:?}");
    // A version that does not know stages refuses the run by its format version.
    let file = std::fs::read_to_string(run.dir.join("run.json")).unwrap();
    let file: serde_json::Value = serde_json::from_str(&file).unwrap();
    assert_eq!(file["format"], 4);

    // Calibrated in the last layer only, and each verified on the test images before it is written.
    for format in [
        Format::ONNX,
        Format::ONNX_FP16,
        Format::ONNX_INT8,
        Format::TFLITE,
        Format::TFLITE_FP16,
        Format::TFLITE_INT8,
        Format::COREML,
        Format::FROZEN_GRAPH,
        Format::WEB,
    ] {
        let out = place.path(format.name());
        let exported = export(&project, &run, &format.into(), &out, &work);
        let exported = exported.unwrap_or_else(|error| panic!("{}: {error}", format.name()));
        let file = &exported.files[0];
        println!(
            "{}: {} bytes, top-1 agreement {:?}, probabilities within {:?}",
            format.name(),
            file.bytes,
            file.top1_agreement,
            file.max_probability_difference
        );
    }
}

#[test]
fn fine_tuning_begins_with_the_hidden_layer_and_goes_on_to_the_same_bits() {
    let place = Place::new();
    let project = of_images(&place.path("p"), &classes());
    let settings = TrainSettings {
        fine_tune: FineTuneSettings {
            depth: Depth::Last1,
            steps: Some(20),
            learn: LearnSettings {
                batch_size: 8,
                dropout: 0.3,
                ..LearnSettings::of_fine_tuning()
            },
            ..FineTuneSettings::default()
        },
        ..settings(30)
    };
    let whole = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
    let head = whole.head().unwrap();
    assert_eq!(head.hidden.as_ref().unwrap().b.len(), 24);
    let result = whole.result().unwrap();
    assert!(result.trained_weights > 1281 * 24 + 25 * 3);
    assert!(whole.fine_tuned().unwrap().is_some());

    // Cancelled during the fine-tuning and resumed.
    let curves = LiveCurves::default();
    let watched = curves.clone();
    let work = cancelled_when(move |_| watched.baseline().is_some());
    let cut = train(&project, &settings, &curves, &work);
    assert!(cut.is_err());
    let runs = runs(&project);
    let cut = runs.iter().find(|run| run.id != whole.id).unwrap();
    let resumed = resume(
        &project,
        &cut.id,
        None,
        &LiveCurves::default(),
        &Work::new(),
    )
    .unwrap();
    assert_eq!(resumed.head().unwrap(), head);
    let hash = |run: &Run| run.fine_tuned().unwrap().unwrap().hash().to_owned();
    assert_eq!(hash(&resumed), hash(&whole));
    let out = place.path("onnx");
    export(&project, &resumed, &Format::ONNX.into(), &out, &Work::new()).unwrap();
}
