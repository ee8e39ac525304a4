//! A fine-tuned run: everything that uses the run computes with its weights, or reports in one sentence why it cannot.

use std::path::{Path, PathBuf};

use salamander::backbone::{Blocks, Depth, FineTunedWeights};
use salamander::evaluate::{EvaluateError, Evaluation, Predictor, arg_max, evaluate};
use salamander::export::{ExportError, Format, export};
use salamander::graph::Graph;
use salamander::jobs::Work;
use salamander::media::load_image;
use salamander::onnx::{Session, Tensor};
use salamander::project::{Project, Split};
use salamander::train::{
    FineTuneSettings, LearnSettings, LiveCurves, Run, RunClasses, TrainSettings, train,
};

use super::cli_program::{Place, events};
use super::export::{compare, python, python_predictions};
use super::projects::{of_images, of_sample_videos, quick};

/// A project from the sample videos and a run of its head.
fn trained(root: &Path) -> (Project, Run) {
    let project = of_sample_videos(root);
    let settings = quick("efficientnet-lite0@128", 60);
    let run = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
    (project, run)
}

/// The backbone's graph with plain f32 constants.
fn folded(run: &Run) -> Graph {
    let model = run.settings.architecture.model_with(None).unwrap();
    let mut graph = Graph::from_onnx(&model).unwrap();
    graph.fold_constants().unwrap();
    graph
}

/// The real weights of the last blocks, 5 % larger and with much noise.
fn changed(run: &Run, depth: Depth) -> Vec<(String, Tensor)> {
    let graph = folded(run);
    let plan = Blocks::of(&run.settings.architecture).unwrap().plan(depth);
    let mut state = 42_u32;
    plan.weights
        .iter()
        .map(|weight| {
            let shipped = graph
                .constant_of(graph.find(&weight.name).unwrap())
                .unwrap();
            let values: Vec<f32> = shipped
                .f32()
                .unwrap()
                .iter()
                .map(|value| {
                    state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                    let noise = (state >> 8) as f32 / (1 << 24) as f32 - 0.5;
                    value * (1.05 + 4.0 * noise)
                })
                .collect();
            (
                weight.name.clone(),
                Tensor::new(shipped.shape.clone(), values),
            )
        })
        .collect()
}

fn test_set(project: &Project, run: &Run) -> Result<Evaluation, EvaluateError> {
    evaluate(project, run, Split::Test, &Work::new())
}

/// The probabilities of an image, only by ONNX Runtime and sums: the graph's constants are overwritten here.
fn directly(run: &Run, weights: &[(String, Tensor)], images: &[PathBuf]) -> Vec<Vec<f32>> {
    let mut graph = folded(run);
    for (name, tensor) in weights {
        graph.replace_constant(name, tensor).unwrap();
    }
    let entry = run.settings.architecture.entry().unwrap();
    let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
    let (head, side) = (
        run.calibrated_head().unwrap(),
        run.preprocessing.resolution_px as usize,
    );
    let classes = head.b.len();
    let of_image = |image: &PathBuf| {
        let pixels = run.preprocessing.resize(&load_image(image).unwrap());
        let mut planes = vec![0.0_f32; 3 * side * side];
        run.preprocessing.normalize_into(&pixels, &mut planes);
        let input = Tensor::new([1, 3, side, side], planes);
        let outputs = session.run(&[(&entry.input, &input)], &[&entry.bottleneck]);
        let bottleneck = outputs.unwrap().remove(0);
        let exponentials: Vec<f64> = (0..classes)
            .map(|class| {
                let weights = head.w.iter().skip(class).step_by(classes);
                let products = bottleneck.f32().unwrap().iter().zip(weights);
                let sum: f64 = products.map(|(x, w)| f64::from(*x) * f64::from(*w)).sum();
                (sum + f64::from(head.b[class])).exp()
            })
            .collect();
        let sum: f64 = exponentials.iter().sum();
        exponentials.iter().map(|e| (e / sum) as f32).collect()
    };
    images.iter().map(of_image).collect()
}

fn largest_difference<'a>(
    a: impl IntoIterator<Item = &'a Vec<f32>>,
    b: impl IntoIterator<Item = &'a Vec<f32>>,
) -> f32 {
    let both = a.into_iter().flatten().zip(b.into_iter().flatten());
    both.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

fn probabilities(evaluation: &Evaluation) -> impl Iterator<Item = &Vec<f32>> {
    evaluation
        .predictions
        .iter()
        .map(|frame| &frame.probabilities)
}

#[test]
fn a_tuned_backbone_is_what_is_evaluated_predicted_with_and_exported() {
    let place = Place::new();
    let (project, mut run) = trained(&place.path("p"));
    let before = test_set(&project, &run).unwrap();
    assert!(before.predictions.len() >= 6);
    assert_eq!(run.fine_tuned().unwrap(), None);
    assert!(
        !run.cache_dir().exists(),
        "shipped weights share the project's cache"
    );

    let weights = changed(&run, Depth::Last3);
    assert!(weights.len() > 12 && weights.iter().any(|(name, _)| name == "head.weight"));
    let fine_tuned = FineTunedWeights::new(weights.clone()).unwrap();
    run.save_fine_tuned(&fine_tuned).unwrap();
    let run = Run::open(&run.dir).unwrap();
    let read = run.fine_tuned().unwrap().unwrap();
    assert!(read.iter().eq(fine_tuned.iter()), "the same bits");
    assert_eq!(read.hash(), fine_tuned.hash());

    // Evaluated twice: once computed, once from the run's own cache.
    let after = test_set(&project, &run).unwrap();
    assert_eq!(test_set(&project, &run).unwrap(), after);
    assert!(run.cache_dir().is_dir());
    let images: Vec<PathBuf> = after
        .predictions
        .iter()
        .map(|frame| project.root().join(&frame.path))
        .collect();
    let direct = directly(&run, &weights, &images);
    let shift = largest_difference(probabilities(&before), probabilities(&after));
    let error = largest_difference(probabilities(&after), &direct);
    println!(
        "{} frames: tuning moved a probability by up to {shift:.3}; directly computed ones are within {error:.1e}",
        images.len()
    );
    assert!(shift > 0.01 && error < 1e-5, "{shift} {error}");
    for (frame, direct) in after.predictions.iter().zip(&direct) {
        assert_eq!(frame.predicted, arg_max(direct));
    }

    let mut predictor = Predictor::from_run(&run, RunClasses::of(&project, &run)).unwrap();
    for (image, expected) in images.iter().zip(&direct) {
        let found = predictor.probabilities(&load_image(image).unwrap(), &Work::new());
        assert!(largest_difference([&found.unwrap()], [expected]) < 1e-5);
    }

    // These weights come from no training: the recorded accuracy does not apply to them.
    let mut run = run;
    let out = place.path("refused");
    let refused = export(&project, &run, &Format::ONNX.into(), &out, &Work::new());
    assert!(
        matches!(refused, Err(ExportError::OtherAccuracy { .. })),
        "{refused:?}"
    );
    run.results.last_mut().unwrap().test_accuracy = after.confusion.accuracy();
    for format in [Format::ONNX, Format::ONNX_FLOAT] {
        let out = place.path(format.name());
        let exported = export(&project, &run, &format.into(), &out, &Work::new())
            .unwrap()
            .files;
        assert_eq!(exported[0].top1_agreement, Some(1.0));
        println!(
            "{}: {} bytes, probabilities within {:.1e}",
            format.name(),
            exported[0].bytes,
            exported[0].max_probability_difference.unwrap()
        );
        let mut predictor = Predictor::from_export(&out).unwrap();
        for (image, expected) in images.iter().zip(&direct) {
            let found = predictor.probabilities(&load_image(image).unwrap(), &Work::new());
            assert!(largest_difference([&found.unwrap()], [expected]) < 1e-4);
        }
        let readme = std::fs::read_to_string(out.join("README.txt")).unwrap();
        assert!(readme.contains("changed by fine-tuning"), "{readme}");
    }

    // With other weights, the previous bottlenecks are neither used nor kept.
    let rows = |run: &Run| -> Vec<PathBuf> {
        let folder = std::fs::read_dir(run.cache_dir().join("bottlenecks")).unwrap();
        let files = folder.map(|entry| entry.unwrap().path());
        files
            .filter(|file| file.extension().is_some_and(|kind| kind == "rows"))
            .collect()
    };
    let old = rows(&run);
    let fewer = changed(&run, Depth::Last1);
    run.save_fine_tuned(&FineTunedWeights::new(fewer.clone()).unwrap())
        .unwrap();
    let other = test_set(&project, &run).unwrap();
    let direct = directly(&run, &fewer, &images);
    assert!(largest_difference(probabilities(&other), &direct) < 1e-5);
    assert_ne!(other, after);
    assert_eq!((old.len(), rows(&run).len()), (1, 1));
    assert_ne!(rows(&run), old);

    // The same by the command line.
    drop(project);
    let evaluated = place.result("evaluate p");
    let close = |a: &serde_json::Value, b: f32| (a.as_f64().unwrap() - f64::from(b)).abs() < 1e-5;
    let accuracy = other.confusion.accuracy().unwrap();
    assert!(close(&evaluated["test_accuracy"], accuracy), "{evaluated}");
    let frame = &other.predictions[0];
    let lines = place.json(&format!("predict p/runs/{} p/{}", run.id, frame.path));
    let top = &events(&lines, "prediction")[0]["top"][0];
    assert_eq!(top["class"], run.classes[frame.predicted].as_str());
    assert!(close(&top["probability"], frame.confidence()), "{top}");
    let plain = "features p --architecture efficientnet-lite0@128 --out plain.safetensors";
    let of_run = "features p --run latest --out run.safetensors";
    for line in [plain, of_run] {
        assert_eq!(place.result(line)["architecture"], "efficientnet-lite0@128");
    }
    let [plain, of_run] = ["plain", "run"]
        .map(|name| std::fs::read(place.path(format!("{name}.safetensors"))).unwrap());
    assert_eq!(plain.len(), of_run.len());
    assert_ne!(plain, of_run);
}

/// A fine-tuning of the last three blocks, exported, run by other software: on images that need no resizing and that
/// all decoders decode identically, so that only the model can make a difference.
#[test]
fn others_get_the_same_from_a_fine_tuned_export() {
    let Some(python) = python() else { return };
    let place = Place::new();
    let counts = [("red", 16), ("green", 16), ("blue", 16)];
    let project = of_images(&place.path("p"), &counts);
    let settings = TrainSettings {
        fine_tune: FineTuneSettings {
            depth: Depth::Last3,
            steps: Some(12),
            learn: LearnSettings {
                batch_size: 8,
                ..LearnSettings::of_fine_tuning()
            },
            train_depthwise: true,
            ..FineTuneSettings::default()
        },
        ..quick("efficientnet-lite0@96", 5)
    };
    let run = train(&project, &settings, &LiveCurves::default(), &Work::new()).unwrap();
    assert!(run.result().unwrap().best_step > 0, "the head won");
    let trained = run.fine_tuned().unwrap().unwrap();
    let shipped = folded(&run);
    for (name, tensor) in trained.iter() {
        let before = shipped.constant_of(shipped.find(name).unwrap()).unwrap();
        assert_ne!(before.data, tensor.data, "“{name}” was not trained");
    }
    assert!(trained.iter().count() >= 20);

    let evaluation = test_set(&project, &run).unwrap();
    assert!(evaluation.predictions.len() >= 6);
    let images: Vec<PathBuf> = evaluation
        .predictions
        .iter()
        .map(|frame| project.root().join(&frame.path))
        .collect();
    // The original backbone with the same head gives other results.
    let untrained = directly(&run, &[], &images);
    let shift = largest_difference(probabilities(&evaluation), &untrained);
    assert!(shift > 0.01, "{shift}");
    for format in [Format::ONNX, Format::ONNX_FLOAT] {
        let out = place.path(format.name());
        export(&project, &run, &format.into(), &out, &Work::new()).unwrap();
        let found = python_predictions(&python, &out, &images);
        let largest = compare(&evaluation, &found, format.name());
        println!(
            "{}: {} frames, training moved a probability by up to {shift:.3}, Python's are within {largest:.1e}",
            format.name(),
            images.len()
        );
        assert!(largest < 1e-4, "{largest}");
    }
}

#[test]
fn weights_that_cannot_be_used_are_one_sentence() {
    let place = Place::new();
    let (project, mut run) = trained(&place.path("p"));
    let file = run.dir.join("backbone.safetensors");
    let weights = changed(&run, Depth::Last1);
    let name = file.display().to_string();

    // Everything that uses the run refuses, with the same sentence.
    let refused = |run: &Run, words: &[&str]| {
        let out = place.path("out");
        let told = test_set(&project, run).unwrap_err().to_string();
        for word in words.iter().chain([&name.as_str()]) {
            assert!(told.contains(word), "“{word}” is not in: {told}");
        }
        assert!(!told.contains(". ") && !told.contains('\n'), "{told}");
        let classes = RunClasses::of(&project, run);
        assert_eq!(
            Predictor::from_run(run, classes).err().unwrap().to_string(),
            told
        );
        let exported = export(&project, run, &Format::ONNX.into(), &out, &Work::new());
        assert_eq!(exported.unwrap_err().to_string(), told);
        assert!(!out.exists(), "nothing is exported");
    };

    // A file that does not belong to the run.
    std::fs::write(&file, "anything").unwrap();
    refused(&run, &["run.json"]);

    let mut with = |name: &str, tensor: Tensor| {
        let mut weights = weights.clone();
        weights.push((name.to_owned(), tensor));
        run.save_fine_tuned(&FineTunedWeights::new(weights).unwrap())
            .unwrap();
        Run::open(&run.dir).unwrap()
    };
    let unknown = with(
        "blocks.99.0.expand.weight",
        Tensor::new([2], vec![0.5_f32; 2]),
    );
    refused(
        &unknown,
        &[
            "efficientnet-lite0",
            "no weight",
            "blocks.99.0.expand.weight",
        ],
    );
    let shape = with("stem.weight", Tensor::new([2, 2], vec![0.5_f32; 4]));
    refused(&shape, &["efficientnet-lite0", "stem.weight", "[2, 2]"]);

    run.save_fine_tuned(&FineTunedWeights::new(weights).unwrap())
        .unwrap();
    let run = Run::open(&run.dir).unwrap();
    let right = test_set(&project, &run).unwrap();
    let whole = std::fs::read(&file).unwrap();
    for length in [0, 7, 100, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&file, &whole[..length]).unwrap();
        refused(&run, &["is damaged"]);
    }
    let mut altered = whole.clone();
    let at = whole.len() - 3;
    altered[at] ^= 1;
    std::fs::write(&file, altered).unwrap();
    refused(&run, &["is damaged", "checksum"]);
    std::fs::remove_file(&file).unwrap();
    refused(&run, &["is damaged", "missing"]);
    // None of this lost anything.
    std::fs::write(&file, whole).unwrap();
    assert_eq!(test_set(&project, &run).unwrap(), right);
}
