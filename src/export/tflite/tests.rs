#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::Path;

use crate::backbone::{Architecture, Fit};
use crate::evaluate::{InputKind, Recipe, Runner as _};
use crate::export::OnnxRunner;
use crate::export::model::tests::rows_and_norms;
use crate::graph::ops::{Conv, Elementwise, GlobalPool, Linear, Quantization, Reshaping, Softmax};
use crate::graph::{Dim, Graph, ValueId};
use crate::onnx::{ElementType, Session, Tensor};

use super::*;

fn about() -> About {
    let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
    let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
    let labels = ["Ä\"1", "日本", "c"].map(str::to_owned);
    About {
        name: "three classes".into(),
        description: "Tells three classes apart.".into(),
        licence: "Apache-2.0".into(),
        recipe: Recipe::new(InputKind::Uint8Nhwc, &preprocessing, &architecture, &labels),
    }
}

/// A network of one convolution.
fn tiny() -> Graph {
    let mut graph = Graph::new("tiny");
    let shape = [Dim::from("N"), 96.into(), 96.into(), 3.into()];
    let image = graph.input("image", ElementType::U8, &shape);
    let planes = graph.transpose(image, &[0, 3, 1, 2]);
    let values = graph.cast(planes, ElementType::F32);
    let weights = |graph: &mut Graph, shape: &[usize]| {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|at| (at % 7) as f32 / 700.0).collect();
        graph.constant(Tensor::new(shape, values))
    };
    let w = weights(&mut graph, &[48, 3, 3, 3]);
    let x = graph.op(Conv::plain(), &[values, w]);
    let x = graph.op(GlobalPool::Average, &[x]);
    let x = graph.op(Reshaping::FLATTEN, &[x]);
    let w = weights(&mut graph, &[48, 3]);
    let x = graph.op(Linear::MatMul, &[x, w]);
    let x = graph.op_named(Softmax::LAST, &[x], "probabilities");
    graph.output(x);
    graph
}

/// The output of a graph for one deterministic image.
fn run(graph: &Graph) -> Vec<f32> {
    let input = graph.inputs()[0];
    let lens: Vec<usize> = graph
        .shape(input)
        .unwrap()
        .iter()
        .map(|dim| dim.fixed().unwrap_or(1))
        .collect();
    let at = |at: usize| ((at * 7919 + at / 3) % 512) as f32 / 256.0 - 1.0;
    let values: Vec<f32> = (0..lens.iter().product()).map(at).collect();
    let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
    let output = graph.name_of(graph.outputs()[0]);
    let input = (graph.name_of(input), &Tensor::new(lens, values));
    let outputs = session.run(&[input], &[output]).unwrap();
    outputs[0].f32().unwrap().to_vec()
}

#[test]
fn norms_and_rows_read_back_compute_what_they_do() {
    let mut graph = Graph::new("g");
    let shape = [Dim::from("N"), 6.into(), 7.into(), 5.into()];
    let planes = graph.input("planes", ElementType::F32, &shape);
    let made = rows_and_norms(&mut graph, planes, 6);
    graph.output(made);
    let expected = run(&graph);
    let bytes = write(&graph, Weights::Float32, &about()).unwrap();
    let found = run(&read_graph(&bytes).unwrap());
    assert_eq!(expected.len(), found.len());
    for (a, b) in expected.iter().zip(&found) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn shipped_backbones_read_back_compute_what_they_do() {
    for (name, least, most) in [
        ("efficientnet-lite0@96", 6.8e6, 13.5e6),
        ("mobilenet-v2@96", 4.5e6, 9.0e6),
    ] {
        let architecture: Architecture = name.parse().unwrap();
        let mut graph = Graph::from_onnx(&architecture.entry().unwrap().model().unwrap()).unwrap();
        let planes = graph.inputs()[0];
        graph.set_input_shape(planes, &["N".into(), 3.into(), 96.into(), 96.into()]);
        let expected = run(&graph);
        let scale = expected.iter().copied().fold(0.0, f32::max);
        for (weights, limit, size) in [
            (Weights::Float32, 2e-6, most),
            (Weights::Float16, 5e-3, least),
        ] {
            let bytes = write(&graph, weights, &about()).unwrap();
            assert!(
                bytes == write(&graph, weights, &about()).unwrap(),
                "not the same twice"
            );
            assert!((bytes.len() as f64) < size, "{name}: {}", bytes.len());
            let found = run(&read_graph(&bytes).unwrap());
            assert_eq!(expected.len(), found.len());
            let differences = expected.iter().zip(&found).map(|(a, b)| (a - b).abs());
            let largest = differences.fold(0.0, f32::max) / scale;
            assert!(largest < limit, "{name}, {weights:?}: {largest:e}");
        }
    }
}

#[test]
fn labels_are_those_of_the_file() {
    let graph = tiny();
    let bytes = write(&graph, Weights::Float16, &about()).unwrap();
    // As a ZIP reader finds it: at the end, under its name, uncompressed.
    assert_eq!(
        archive::find(&bytes, LABELS),
        Some("Ä\"1\n日本\nc\n".as_bytes())
    );
    assert_eq!(archive::find(&bytes, "other.txt"), None);
    // Changed labels in the archive take precedence over the recipe.
    let at = bytes.len() - archive::archive(0, LABELS, "Ä\"1\n日本\nc\n".as_bytes()).len();
    let mut other = bytes[..at].to_vec();
    other.extend(archive::archive(at, LABELS, b"x\ny\nz\n"));
    let onnx = read(&other).unwrap().to_onnx();
    let runner = OnnxRunner::of_read_back(&onnx, Path::new("model.tflite"), 1).unwrap();
    assert_eq!(runner.recipe().labels, ["x", "y", "z"]);
    for wrong in [&b"x\ny\n"[..], b"\xff\n2\n3\n"] {
        let mut other = bytes[..at].to_vec();
        other.extend(archive::archive(at, LABELS, wrong));
        read(&other).unwrap_err();
    }
    let message = read(&bytes[..at]).unwrap_err().to_string();
    assert!(message.contains("labels"), "{message}");
}

#[test]
fn a_damaged_file_is_an_error_and_nothing_worse() {
    let graph = tiny();
    let bytes = write(&graph, Weights::Float16, &about()).unwrap();
    for len in (0..bytes.len()).step_by(7) {
        assert!(read(&bytes[..len]).is_err(), "{len}");
    }
    assert!(
        read(b"<html>no model")
            .unwrap_err()
            .to_string()
            .contains("not a TensorFlow Lite")
    );
    // Bytes of the tables at the start, and of the archive at the end.
    let mut whole = bytes.clone();
    let places = (8..bytes.len()).step_by(3);
    for place in places {
        let before = whole[place];
        whole[place] ^= 0x55;
        // Errors may go undetected, but there must be no panic and no endless loop.
        drop(read(&whole));
        whole[place] = before;
    }
}

#[test]
fn contents_are_aligned_as_the_format_asks() {
    let graph = tiny();
    for weights in [Weights::Float32, Weights::Float16] {
        let bytes = write(&graph, weights, &about()).unwrap();
        let model = schema::tflite::root_as_model(&bytes).unwrap();
        let start = bytes.as_ptr() as usize;
        let mut count = 0;
        for data in model
            .buffers()
            .unwrap()
            .iter()
            .filter_map(|buffer| buffer.data())
        {
            assert_eq!((data.bytes().as_ptr() as usize - start) % 16, 0);
            count += 1;
        }
        assert!(count > 6);
        // The oldest existing versions.
        for code in model.operator_codes().unwrap() {
            let newest = if code.builtin_code().0 == 6 { 3 } else { 2 };
            assert!(code.version() <= newest, "{code:?}");
            assert_eq!(
                i32::from(code.deprecated_builtin_code()),
                code.builtin_code().0
            );
        }
    }
}

#[test]
fn what_cannot_be_written_is_said_before_anything_is() {
    let mut graph = tiny();
    let output = graph.outputs()[0];
    let strange = graph.op_named(Elementwise::Sign, &[output], "bell");
    graph.clear_outputs();
    graph.output(strange);
    let message = write(&graph, Weights::Float32, &about())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("“bell” (Sign)") && message.contains("ONNX instead"),
        "{message}"
    );
}

/// Quantized planes computed from an image of bytes.
fn pixels(graph: &mut Graph, side: usize) -> ValueId {
    let shape = [Dim::from("N"), side.into(), side.into(), 3.into()];
    let image = graph.input("image", ElementType::U8, &shape);
    let planes = graph.transpose(image, &[0, 3, 1, 2]);
    dequantized(graph, planes, 1.0 / 128.0, 127)
}

fn dequantized(graph: &mut Graph, x: ValueId, scale: f32, zero: u8) -> ValueId {
    let scale = graph.constant(Tensor::scalar(scale));
    let zero = graph.constant(Tensor::scalar(zero));
    graph.op(Quantization::DEQUANTIZE, &[x, scale, zero])
}

/// A value quantized and dequantized.
fn stored(graph: &mut Graph, x: ValueId, scale: f32, zero: u8) -> ValueId {
    let scales = graph.constant(Tensor::scalar(scale));
    let zeros = graph.constant(Tensor::scalar(zero));
    let integers = graph.op(Quantization::QUANTIZE, &[x, scales, zeros]);
    dequantized(graph, integers, scale, zero)
}

/// The integers of weights.
fn int8(count: usize) -> Vec<i8> {
    let integers = (0..count).map(|at| (at * 37 % 255) as u8 as i8);
    integers.map(|value| value.max(-127)).collect()
}

fn weight(graph: &mut Graph, shape: &[usize], scales: &[f32], axis: i64) -> ValueId {
    let integers = graph.constant(Tensor::new(shape, int8(shape.iter().product())));
    let lens: Vec<usize> = (scales.len() > 1)
        .then_some(scales.len())
        .into_iter()
        .collect();
    let zeros = graph.constant(Tensor::new(lens.clone(), vec![0_i8; scales.len()]));
    let scales = graph.constant(Tensor::new(lens, scales.to_vec()));
    graph.op(
        Quantization::Dequantize { axis },
        &[integers, scales, zeros],
    )
}

/// A layer, a mean and a matrix in QDQ form; with `by_row` each row of the matrix has its own scale.
fn quantized(by_row: bool) -> Graph {
    let mut graph = Graph::new("tiny");
    let x = pixels(&mut graph, 8);
    let w = weight(&mut graph, &[4, 3, 3, 3], &[0.01, 0.02, 0.005, 0.0125], 0);
    let x = graph.op(Conv::plain(), &[x, w]);
    let x = stored(&mut graph, x, 0.1, 0);
    let x = graph.op(GlobalPool::Average, &[x]);
    let x = stored(&mut graph, x, 0.05, 0);
    let x = graph.op(Reshaping::FLATTEN, &[x]);
    let scales: &[f32] = if by_row { &[0.02, 0.02, 0.03] } else { &[0.02] };
    let w = weight(&mut graph, &[4, 3], scales, 1);
    let x = graph.op(Linear::MatMul, &[x, w]);
    let x = stored(&mut graph, x, 0.1, 128);
    let x = graph.op_named(Softmax::LAST, &[x], "probabilities");
    graph.output(x);
    graph
}

#[test]
fn a_quantized_graph_is_written_in_integers_and_read_back() {
    use schema::tflite::BuiltinOperator as Code;

    let graph = quantized(false);
    let bytes = write(&graph, Weights::Int8, &about()).unwrap();
    // Quantize, layer, mean, matrix, softmax, dequantize: the flattening is merged into the mean.
    assert_eq!(integers(&bytes).unwrap(), 6);
    let pixels: Vec<u8> = (0..8 * 8 * 3).map(|at| (at * 7919 % 256) as u8).collect();
    let pixels = Tensor::new([1, 8, 8, 3], pixels);
    let run = |graph: &Graph| {
        let mut session = Session::simulating_integers(&graph.to_onnx(), 1).unwrap();
        let found = session
            .run(&[("image", &pixels)], &["probabilities"])
            .unwrap();
        found[0].f32().unwrap().to_vec()
    };
    let (expected, found) = (run(&graph), run(&read_graph(&bytes).unwrap()));
    for (expected, found) in expected.iter().zip(&found) {
        // Softmax gives multiples of 1/256, at most 255/256.
        assert!(
            (expected - found).abs() <= 0.5 / 256.0 + 1e-6,
            "{expected} {found}"
        );
        assert!((found * 256.0).fract() == 0.0);
    }

    // 8-bit tensors with a scale, 32-bit biases and indices, and the float output.
    let model = schema::tflite::root_as_model(&bytes).unwrap();
    let tensors = model.subgraphs().unwrap().get(0).tensors().unwrap();
    let floats: Vec<_> = tensors
        .iter()
        .filter(|tensor| tensor.type_() == schema::tflite::TensorType::FLOAT32)
        .map(|tensor| tensor.name().unwrap())
        .collect();
    assert_eq!(floats, ["probabilities"]);
    let versions = |code: Code| {
        let mut codes = model.operator_codes().unwrap().iter();
        codes
            .find(|known| known.builtin_code() == code)
            .unwrap()
            .version()
    };
    // Versions that TensorFlow Lite 2.14 loads.
    let wanted = [
        (Code::QUANTIZE, 1),
        (Code::CONV_2D, 3),
        (Code::MEAN, 2),
        (Code::FULLY_CONNECTED, 4),
        (Code::SOFTMAX, 2),
        (Code::DEQUANTIZE, 2),
    ];
    for (code, version) in wanted {
        assert_eq!(versions(code), version, "{code:?}");
    }
}

/// Layers and additions give the same integers as exact sums and fixed-point additions, also near rounding boundaries,
/// where floats differ in a few of a thousand cases.
#[test]
fn layers_and_additions_read_back_are_those_of_integers() {
    const SIDE: usize = 100;
    const OUT: usize = SIDE - 2;
    let of_weights = [0.01, 0.02, 0.005, 0.0125];
    let (of_first, of_second, of_sum) = (0.017_f32, 0.031_f32, 0.034_f32);
    let mut graph = Graph::new("sum");
    let x = pixels(&mut graph, SIDE);
    let w = weight(&mut graph, &[4, 3, 3, 3], &of_weights, 0);
    let first = graph.op(Conv::plain(), &[x, w]);
    let first = stored(&mut graph, first, of_first, 128);
    let w = weight(&mut graph, &[4, 4, 1, 1], &of_weights, 0);
    let second = graph.op(Conv::plain(), &[first, w]);
    let second = stored(&mut graph, second, of_second, 128);
    let sum = graph.add(first, second);
    let sum = stored(&mut graph, sum, of_sum, 128);
    graph.output_as(sum, "sum");

    let image: Vec<u8> = (0..SIDE * SIDE * 3)
        .map(|at| (at * 7919 / 13 % 256) as u8)
        .collect();
    let weights = int8(4 * 27).into_iter().map(i32::from).collect::<Vec<_>>();
    let in_steps = |products: i32, of_one: f32, scale: f32| {
        let steps = (products as f32 * (of_one / scale)).round_ties_even();
        steps.clamp(-128.0, 127.0) as i32
    };
    let first = |channel: usize, at: usize| {
        let taps = (0..27).map(|tap| {
            let (plane, row, column) = (tap / 9, at / OUT + tap % 9 / 3, at % OUT + tap % 3);
            let pixel = image[(row * SIDE + column) * 3 + plane];
            (i32::from(pixel) - 127) * weights[channel * 27 + tap]
        });
        in_steps(taps.sum(), of_weights[channel] / 128.0, of_first)
    };
    let first: Vec<[i32; 4]> = (0..OUT * OUT)
        .map(|at| [0, 1, 2, 3].map(|channel| first(channel, at)))
        .collect();
    let mut expected = Vec::new();
    for channel in 0..4 {
        for first in &first {
            let products = (0..4).map(|from| first[from] * weights[channel * 4 + from]);
            let second = in_steps(products.sum(), of_first * of_weights[channel], of_second);
            // The larger ratio, 0.031 / 0.034, is below 1: 21 fractional bits.
            let fixed = |scale: f32| (scale / of_sum * 2_f32.powi(21)).round() as i32;
            let sum = first[channel] * fixed(of_first) + second * fixed(of_second);
            expected.push(((sum + (1 << 20)) >> 21).clamp(-128, 127) as i8);
        }
    }
    assert!(expected.contains(&127) && expected.contains(&-128));

    let bytes = write(&graph, Weights::Int8, &about()).unwrap();
    let read = read_graph(&bytes).unwrap();
    let mut session = Session::simulating_integers(&read.to_onnx(), 1).unwrap();
    let image = Tensor::new([1, SIDE, SIDE, 3], image);
    let output = read.name_of(read.outputs()[0]);
    let found = session.run(&[("image", &image)], &[output]).unwrap();
    let found = found[0]
        .f32()
        .unwrap()
        .iter()
        .map(|one| (one / of_sum).round() as i8);
    let found: Vec<i8> = found.collect();
    let differ = found.iter().zip(&expected).filter(|(a, b)| a != b).count();
    assert_eq!(differ, 0, "of {}", expected.len());
}

#[test]
fn a_model_that_is_not_in_integers_is_refused() {
    // A float model that is only called int8.
    let message = write(&tiny(), Weights::Int8, &about())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("does not compute in integers"),
        "{message}"
    );
    let float = write(&tiny(), Weights::Float32, &about()).unwrap();
    assert!(integers(&float).is_err());

    // A matrix with several scales: version 12 of its operator.
    let message = write(&quantized(true), Weights::Int8, &about())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("has no scale") || message.contains("has a scale for each row"),
        "{message}"
    );

    // One float layer between integer layers.
    let mut graph = quantized(false);
    let output = graph.outputs()[0];
    let exp = graph.op_named(Elementwise::Exp, &[output], "growth");
    graph.clear_outputs();
    graph.output(exp);
    let message = write(&graph, Weights::Int8, &about())
        .unwrap_err()
        .to_string();
    assert!(message.contains("“growth” (Exp)"), "{message}");
}

#[test]
fn damaged_files_in_integers_are_errors() {
    let bytes = write(&quantized(false), Weights::Int8, &about()).unwrap();
    let mut whole = bytes.clone();
    for place in 8..bytes.len() {
        let before = whole[place];
        whole[place] ^= 0x55;
        drop((read(&whole), integers(&whole)));
        whole[place] = before;
    }
}

#[test]
fn a_file_that_is_called_so_and_is_none_is_refused_as_what_it_is_called() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("model.TFLITE");
    std::fs::write(&path, "<html>not found</html>").unwrap();
    let message = crate::export::open(&path, 1).err().unwrap().to_string();
    assert!(
        message.contains("not a TensorFlow Lite file") && message.contains("model.TFLITE"),
        "{message}"
    );
}
