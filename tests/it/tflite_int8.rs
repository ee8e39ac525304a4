//! TensorFlow Lite files with integer arithmetic: random networks and structures of known ones, quantized, written,
//! read back and run by `LiteRT`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde_json::json;

use salamander::evaluate::{InputKind, Predictor};
use salamander::export::tflite::{Weights, integers, read_graph, write};
use salamander::graph::ops::ReduceKind;
use salamander::graph::passes::quantize::{Prepared, Quantizing, Range, prepare, quantize};
use salamander::graph::{Graph, Node, Op, Sliding, ValueId};
use salamander::jobs::Work;
use salamander::media::load_image;
use salamander::onnx::{Element, ElementType, Session, Tensor};
use salamander::project::Project;
use salamander::train::Run;

use super::networks::{self, Net, Random};
use super::random_networks;
use super::test_frames::TestFrames;
use super::tflite::{about, largest_difference, outputs, run_in, runtimes};

/// How pixels are normalised here: EfficientNet-Lite's numbers.
const MEAN: [f32; 3] = [127.0; 3];
const STD: [f32; 3] = [128.0; 3];

/// A network for images as one for planes `[1, 3, H, W]`: without its normalisation.
fn of_planes(mut graph: Graph) -> Graph {
    let image = graph.inputs()[0];
    let normal = graph.nodes()[3].output().unwrap();
    let shape = graph.shape(normal).unwrap().to_vec();
    graph.make_input(normal);
    graph.prune();
    let mut planar = Graph::new("network");
    planar.opset = graph.opset;
    let shape: Vec<_> = [1.into()].into_iter().chain(shape[1..].to_vec()).collect();
    let planes = planar.input("planes", ElementType::F32, &shape);
    planar
        .append(graph, &[(image, planes), (normal, planes)])
        .unwrap();
    planar.infer_again();
    planar
}

/// The smallest and largest of each measured value for some images.
fn ranges(prepared: &Prepared, images: &[Vec<u8>], side: usize) -> HashMap<ValueId, Range> {
    let values = prepared.measured();
    let (mut graph, joined) = prepared.from_pixels("image").unwrap();
    graph.clear_outputs();
    let mut names = Vec::new();
    for value in &values {
        let name = format!("measured {}", names.len());
        graph.output_as(joined.get(*value), &name);
        names.push(name);
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
    let mut ranges = HashMap::new();
    for image in images {
        let input = Tensor::new([1, side, side, 3], image.clone());
        let found = session.run(&[("image", &input)], &names).unwrap();
        for (value, tensor) in values.iter().zip(found) {
            let floats = tensor.f32().unwrap().iter().copied();
            let range = Range {
                min: floats.clone().fold(f32::INFINITY, f32::min),
                max: floats.fold(f32::NEG_INFINITY, f32::max),
            };
            let known = ranges.entry(*value).or_insert(range);
            *known = known.union(range);
        }
    }
    ranges
}

/// A network with its quantized form, and images for it.
struct Case {
    name: String,
    float: Graph,
    quantized: Graph,
    images: Vec<Vec<u8>>,
}

/// Quantizes a network for images by its values for some made-up images.
fn case(name: &str, graph: Graph) -> Result<Case, String> {
    let side = graph.shape(graph.inputs()[0]).unwrap()[1].fixed().unwrap();
    let mut random = Random::new(side as u64);
    let image = |random: &mut Random| -> Vec<u8> {
        (0..side * side * 3)
            .map(|_| random.below(256) as u8)
            .collect()
    };
    let images: Vec<Vec<u8>> = (0..4).map(|_| image(&mut random)).collect();
    let float = of_planes(graph);
    let prepared = prepare(&float, MEAN, STD).map_err(|error| error.to_string())?;
    let how = Quantizing {
        ranges: ranges(&prepared, &images, side),
        every_layer: true,
        ..Quantizing::default()
    };
    let quantized = quantize(&prepared, &how, "image").map_err(|e| e.to_string())?;
    Ok(Case {
        name: name.to_owned(),
        float,
        quantized,
        images,
    })
}

fn in_floats(graph: &Graph, image: &[u8]) -> Vec<f32> {
    let side = graph.shape(graph.inputs()[0]).unwrap()[2].fixed().unwrap();
    let area = side * side;
    let plane = |at: usize| (f32::from(image[at % area * 3 + at / area]) - MEAN[0]) / STD[0];
    let planes: Vec<f32> = (0..3 * area).map(plane).collect();
    run(graph, &Tensor::new([1, 3, side, side], planes))
}

fn of_pixels(graph: &Graph, image: &[u8]) -> Vec<f32> {
    let lens = graph.shape(graph.inputs()[0]).unwrap();
    let lens: Vec<usize> = lens.iter().map(|dim| dim.fixed().unwrap_or(1)).collect();
    run(graph, &Tensor::new(lens, image.to_vec()))
}

fn run(graph: &Graph, input: &Tensor) -> Vec<f32> {
    let mut session = Session::simulating_integers(&graph.to_onnx(), 1).unwrap();
    let name = graph.name_of(graph.inputs()[0]);
    let output = graph.name_of(graph.outputs()[0]);
    let found = session.run(&[(name, input)], &[output]).unwrap();
    match found.into_iter().next().unwrap().data {
        Element::F32(values) => values,
        other => panic!("{other:?}"),
    }
}

/// The mean and the largest difference, as fractions of the range of the values.
fn differences(a: &[f32], b: &[f32]) -> [f32; 2] {
    assert_eq!(a.len(), b.len());
    assert!(a.iter().chain(b).all(|value| value.is_finite()));
    let least = a.iter().copied().fold(0.0, f32::min);
    let most = a.iter().copied().fold(0.0, f32::max);
    let span = (most - least).max(1e-6);
    let all = a.iter().zip(b).map(|(a, b)| (a - b).abs() / span);
    [
        all.clone().sum::<f32>() / a.len() as f32,
        all.fold(0.0, f32::max),
    ]
}

/// Whether a network sums along axes.
fn has_sum(graph: &Graph) -> bool {
    let is_sum =
        |node: &Node| matches!(&node.op, Op::Reduce(reduce) if reduce.kind == ReduceKind::Sum);
    graph.nodes().iter().any(is_sum)
}

/// Writes each network with integers, and compares the outputs of runtimes for the file with those of the app, and
/// these with the network itself.
fn prove(cases: &[Case], names: &[&'static str]) {
    let dir = tempfile::tempdir().unwrap();
    let mut files: Vec<(PathBuf, PathBuf)> = Vec::new();
    let mut expected = Vec::new();
    for (at, case) in cases.iter().enumerate() {
        let name = &case.name;
        let labels = of_pixels(&case.quantized, &case.images[0]).len();
        let bytes = write(&case.quantized, Weights::Int8, &about(labels))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        integers(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let read = read_graph(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
        let model = dir.path().join(format!("{at}.tflite"));
        std::fs::write(&model, bytes).unwrap();
        for (image, pixels) in case.images.iter().enumerate() {
            let input = dir.path().join(format!("{at}-{image}.bytes"));
            std::fs::write(&input, pixels).unwrap();
            files.push((model.clone(), input));
            let found = of_pixels(&read, pixels);
            let of_graph = of_pixels(&case.quantized, pixels);
            let of_floats = in_floats(&case.float, pixels);
            // The file is the same as the graph except for the integers of softmax and of operators that the graph
            // computes in real numbers; the rounding error of the graph depends on the network.
            for (what, other, limits) in [
                ("graph", of_graph, [0.02, 0.05]),
                ("network", of_floats, [0.05, 0.5]),
            ] {
                let [mean, largest] = differences(&other, &found);
                assert!(
                    mean < limits[0] && largest < limits[1],
                    "{name}, file and {what}: {mean} {largest}"
                );
            }
            expected.push((case, found));
        }
    }
    for runtime in runtimes(names) {
        let (mut compared, mut same, mut worst) = (0, 0, [0.0_f32; 2]);
        for ((case, expected), line) in expected.iter().zip(run_in(&runtime, &files)) {
            let name = &case.name;
            // See `reference_kernels_cannot_sum_integers`.
            if runtime.name == "reference" && has_sum(&case.quantized) {
                continue;
            }
            compared += 1;
            let [mean, largest] = differences(expected, &outputs(&line));
            same += usize::from(largest == 0.0);
            worst = [worst[0].max(mean), worst[1].max(largest)];
            // Layers, additions and means are computed as XNNPACK does, to the bit; other operators round differently.
            let is_exact = ["MobileNet v1", "ResNet-18"]
                .iter()
                .any(|known| name.starts_with(known));
            let limits = match runtime.name {
                "litert" if is_exact => [1e-6, 1e-6],
                _ => [0.01, 0.03],
            };
            assert!(
                mean < limits[0] && largest < limits[1],
                "{name} in {}: {mean} {largest}",
                runtime.name
            );
        }
        println!(
            "{compared} images in {}: {same} the same to the bit, mean and largest difference at most {worst:.4?}",
            runtime.name,
        );
    }
}

/// Compares an export with integers in other runtimes with the app on the pixels of all test frames; and checks the
/// types of its operators in `LiteRT`.
pub fn prove_export(project: &Project, run: &Run, model: &Path) {
    let TestFrames { frames, files, .. } =
        &TestFrames::of(project, run, InputKind::Uint8Nhwc, None);
    let cases: Vec<_> = files
        .iter()
        .map(|input| (model.to_owned(), input.clone()))
        .collect();
    let mut predictor = Predictor::from_export(model).unwrap();
    let expected = frames.predictions.iter().map(|frame| {
        let image = load_image(&project.root().join(&frame.path)).unwrap();
        predictor.probabilities(&image, &Work::new()).unwrap()
    });
    let expected: Vec<Vec<f32>> = expected.collect();
    let best = |values: &[f32]| {
        (0..values.len())
            .rev()
            .max_by(|a, b| values[*a].total_cmp(&values[*b]))
    };
    for runtime in runtimes(&["litert", "tflite", "mediapipe", "task"]) {
        // Kernels of other versions may round differently.
        let steps = if runtime.name == "litert" { 1.0 } else { 8.0 };
        let mut largest = 0.0_f32;
        for (expected, line) in expected.iter().zip(run_in(&runtime, &cases)) {
            let found = outputs(&line);
            largest = largest.max(largest_difference(expected, &found));
            assert_eq!(
                best(expected),
                best(&found),
                "{}: {expected:?} {found:?}",
                runtime.name
            );
            if let Some(labels) = line["labels"].as_array() {
                assert!(
                    labels.iter().eq(&frames.classes),
                    "{}: {labels:?}",
                    runtime.name
                );
            }
        }
        assert!(largest <= steps / 255.0, "{}: {largest}", runtime.name);
        println!(
            "{} frames in {}: the same top-1, largest difference {largest:.4}",
            cases.len(),
            runtime.name
        );
    }
    for runtime in runtimes(&["operators"]) {
        let line = &run_in(&runtime, &cases[..1])[0];
        let operators = line["operators"].as_array().unwrap();
        let (first, last) = (&operators[0], &operators[operators.len() - 1]);
        assert_eq!(*first, json!(["QUANTIZE", "uint8", "int8"]));
        assert_eq!(*last, json!(["DEQUANTIZE", "int8", "float32"]));
        for operator in &operators[1..operators.len() - 1] {
            let types = &operator.as_array().unwrap()[1..];
            let integers = types.iter().all(|kind| kind == "int8" || kind == "int32");
            assert!(integers, "{operator}");
        }
        assert!(operators.len() > 50);
    }
}

#[test]
fn random_networks_compute_the_same_in_integers() {
    let mut refused = Vec::new();
    let mut cases = Vec::new();
    for seed in 0..120 {
        let name = format!("network {seed}");
        match case(&name, random_networks::small(seed)) {
            Ok(case) => cases.push(case),
            Err(error) => refused.push((name, error)),
        }
    }
    cases.retain(|case| {
        let error = write(&case.quantized, Weights::Int8, &about(5)).err();
        if let Some(error) = &error {
            refused.push((case.name.clone(), error.to_string()));
        }
        error.is_none()
    });
    for (name, error) in &refused {
        println!("{name}: {error}");
    }
    assert!(refused.is_empty(), "{} refused", refused.len());
    prove(&cases, &["litert", "reference", "tflite"]);
}

/// `LiteRT`'s reference kernel of `SUM` gives wrong numbers for int8 if input and output have different scales; its
/// other kernels are right to the bit. Networks are run in the reference kernels only if they have no `SUM`.
#[test]
fn reference_kernels_cannot_sum_integers() {
    let (mut net, x) = Net::of_images(7, 8);
    let read = net.conv(x, 4, [1, 1], Sliding::default(), 1);
    let sum = net.graph.reduce_sum(read, &[2, 3], true);
    let made = net.conv(sum, 3, [1, 1], Sliding::default(), 1);
    net.graph.output(made);
    let case = case("sum", net.graph).unwrap();
    assert!(has_sum(&case.quantized));
    let bytes = write(&case.quantized, Weights::Int8, &about(3)).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (model, input) = (dir.path().join("sum.tflite"), dir.path().join("image"));
    std::fs::write(&model, &bytes).unwrap();
    std::fs::write(&input, &case.images[0]).unwrap();
    let expected = of_pixels(&read_graph(&bytes).unwrap(), &case.images[0]);
    for runtime in runtimes(&["litert", "reference", "tflite"]) {
        let found = outputs(&run_in(&runtime, &[(model.clone(), input.clone())])[0]);
        let [_, largest] = differences(&expected, &found);
        println!("{}: {largest}", runtime.name);
        if runtime.name == "reference" {
            // If this fails, the kernel was fixed: the exception in `prove` can be removed.
            assert!(largest > 0.1, "{expected:?} {found:?}");
        } else {
            assert!(largest < 0.01, "{expected:?} {found:?}");
        }
    }
}

#[test]
fn structures_of_known_networks_compute_the_same_in_integers() {
    let cases = [
        ("MobileNet v1", networks::mobilenet_v1(96)),
        ("MobileNet v1, odd", networks::mobilenet_v1(75)),
        ("MobileNet v3", networks::mobilenet_v3(96)),
        ("Inception v3", networks::inception_v3(107)),
        ("ResNet-18", networks::resnet_18(96)),
    ];
    let cases = cases.map(|(name, graph)| case(name, graph).unwrap());
    prove(&cases, &["litert", "reference", "tflite"]);
}
