#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use prost::Message;

use crate::backbone::{Architecture, Fit};
use crate::evaluate::{InputKind, Recipe};
use crate::export::format::{Exporter, Options};
use crate::export::model::tests::{model_of, rows_and_norms, small_model};
use crate::export::onnx::Onnx;
use crate::graph::ops::{Conv, Elementwise};
use crate::graph::{Dim, Graph, Sliding};
use crate::onnx::{ElementType, Session, Tensor};

use super::schema::GraphDef;
use super::schema::attr_value::Value;
use super::*;

fn recipe(labels: &[&str]) -> Recipe {
    let architecture: Architecture = "efficientnet-lite0@96".parse().unwrap();
    let preprocessing = architecture.preprocessing(Fit::CenterCrop).unwrap();
    let labels: Vec<String> = labels.iter().map(|label| (*label).to_owned()).collect();
    Recipe::new(
        InputKind::Float32Nhwc,
        &preprocessing,
        &architecture,
        &labels,
    )
}

/// The output of a graph for one deterministic input.
fn run(graph: &Graph) -> Vec<f32> {
    let input = graph.inputs()[0];
    let lens = graph.shape(input).unwrap().iter();
    let lens: Vec<usize> = lens.map(|dim| dim.fixed().unwrap_or(1)).collect();
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
    let bytes = write(&graph, &recipe(&["a"])).unwrap();
    let found = run(&read_graph(&bytes).unwrap());
    assert_eq!(expected.len(), found.len());
    for (a, b) in expected.iter().zip(&found) {
        assert!((a - b).abs() < 1e-5, "{a} {b}");
    }
}

#[test]
fn shipped_backbones_read_back_compute_what_they_do() {
    for (name, most) in [
        ("efficientnet-lite0@96", 13.5e6),
        ("mobilenet-v2@96", 9.0e6),
    ] {
        let architecture: Architecture = name.parse().unwrap();
        let mut graph = Graph::from_onnx(&architecture.entry().unwrap().model().unwrap()).unwrap();
        let planes = graph.inputs()[0];
        graph.set_input_shape(planes, &["N".into(), 3.into(), 96.into(), 96.into()]);
        let bottleneck = graph
            .named(&architecture.entry().unwrap().bottleneck)
            .unwrap();
        graph.clear_outputs();
        graph.output(bottleneck);
        let expected = run(&graph);
        let scale = expected.iter().copied().fold(0.0, f32::max);
        let bytes = write(&graph, &recipe(&["a"])).unwrap();
        assert!(
            bytes == write(&graph, &recipe(&["a"])).unwrap(),
            "not the same twice"
        );
        assert!((bytes.len() as f64) < most, "{name}: {}", bytes.len());
        let found = run(&read_graph(&bytes).unwrap());
        assert_eq!(expected.len(), found.len());
        let differences = expected.iter().zip(&found).map(|(a, b)| (a - b).abs());
        let largest = differences.fold(0.0, f32::max) / scale;
        assert!(largest < 2e-6, "{name}: {largest:e}");
    }
}

/// The caller normalises by `(value - 128) / 128`, whatever the backbone needs.
#[test]
fn an_exported_model_says_what_its_onnx_says() {
    let picture = image::RgbImage::from_fn(140, 120, |x, y| {
        image::Rgb([
            (x * 3 % 256) as u8,
            (y * 5 % 256) as u8,
            (x * y % 256) as u8,
        ])
    });
    let mut other = model_of(&["a", "b"], Some(&vec![0, 1, 0]));
    // A different normalisation for each channel.
    other.preprocessing.mean = [123.675, 116.28, 103.53];
    other.preprocessing.std = [58.395, 57.12, 57.375];
    for model in [small_model(), other] {
        let run = |exporter: &dyn Exporter, options: &Options| {
            let files = exporter.write(&model, options).unwrap();
            let mut runner = exporter.open(&files, 1).unwrap();
            assert_eq!(runner.recipe(), &model.recipe(exporter.input(options)));
            runner.probabilities(&picture).unwrap()
        };
        let expected = run(&Onnx::UINT8, &Options::default());
        let found = run(&FrozenGraph::FLOAT, &Options::default());
        // The same input for an ONNX model.
        let fed = Options {
            input: Some(InputKind::Float32Nhwc),
            bottleneck: true,
            ..Options::default()
        };
        for found in [found, run(&Onnx::UINT8, &fed)] {
            for (a, b) in expected.iter().zip(&found) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
        let files = FrozenGraph::FLOAT
            .write(&model, &Options::default())
            .unwrap();
        let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "frozen-graph/output_labels.txt",
                "frozen-graph/output_graph.pb"
            ]
        );
        let file = GraphDef::decode(files[1].bytes.as_slice()).unwrap();
        assert_eq!(file.node.first().unwrap().name, "input");
        assert_eq!(file.node.last().unwrap().name, "final_result");
        // Only operations that libraries of TensorFlow 1.4 know.
        for node in &file.node {
            assert!(
                !["dilations", "explicit_paddings"]
                    .iter()
                    .any(|new| node.attr.contains_key(*new))
            );
            assert!(
                node.name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "._-/".contains(c))
            );
        }
    }
}

#[test]
fn labels_are_those_of_the_text_beside_it() {
    let files = FrozenGraph::FLOAT
        .write(&small_model(), &Options::default())
        .unwrap();
    assert_eq!(files[0].bytes, "Ä\"1\n日本\nc\n".as_bytes());
    let labels = |bytes: &[u8]| {
        let mut files = files.clone();
        files[0].bytes = bytes.to_vec();
        FrozenGraph::FLOAT
            .open(&files, 1)
            .map(|runner| runner.recipe().labels.clone())
    };
    assert_eq!(labels(b"x\ny\nz\n").unwrap(), ["x", "y", "z"]);
    let error = labels(b"x\ny\n").unwrap_err().to_string();
    assert!(error.contains("2 labels for 3 outputs"), "{error}");
    labels(b"\xff\n2\n3\n").unwrap_err();
    // Without its label file the graph has its own labels.
    let alone = FrozenGraph::FLOAT.open(&files[1..], 1).unwrap();
    assert_eq!(alone.recipe().labels, ["Ä\"1", "日本", "c"]);
    FrozenGraph::FLOAT.open(&files[..1], 1).err().unwrap();
}

/// A network of one dilated convolution.
fn tiny(channels: usize, stride: i64, group: i64) -> Graph {
    let mut graph = Graph::new("tiny");
    let planes = graph.input(
        "planes",
        ElementType::F32,
        &[Dim::from("N"), channels.into(), 11.into(), 12.into()],
    );
    let per_group = channels / group as usize;
    let values = (0..channels * per_group * 9).map(|at| (at % 7) as f32 / 7.0);
    let w = graph.constant(Tensor::new(
        [channels, per_group, 3, 3],
        values.collect::<Vec<_>>(),
    ));
    let sliding = Sliding {
        dilations: vec![2, 3],
        strides: vec![stride, 1],
        pads: vec![2, 3, 2, 3],
        ..Sliding::default()
    };
    let x = graph.op_named(Conv { sliding, group }, &[planes, w], "layer");
    graph.output(x);
    graph
}

#[test]
fn holes_are_made_of_images_of_their_own() {
    for group in [1, 4] {
        let graph = tiny(4, 1, group);
        let bytes = write(&graph, &recipe(&["a"])).unwrap();
        let file = GraphDef::decode(bytes.as_slice()).unwrap();
        assert!(file.node.iter().any(|node| node.op == "SpaceToBatchND"));
        let found = run(&read_graph(&bytes).unwrap());
        for (a, b) in run(&graph).iter().zip(&found) {
            assert!((a - b).abs() < 1e-5, "{a} {b}");
        }
    }
}

#[test]
fn what_cannot_be_written_is_said_before_anything_is() {
    let message = |graph: &Graph| write(graph, &recipe(&["a"])).unwrap_err().to_string();
    let holes = message(&tiny(4, 2, 1));
    assert!(
        holes.contains("“layer” (Conv) has both stride and dilation"),
        "{holes}"
    );
    let mut graph = tiny(4, 1, 1);
    let output = graph.outputs()[0];
    let strange = graph.op_named(Elementwise::Sign, &[output], "bell");
    graph.clear_outputs();
    graph.output(strange);
    let strange = message(&graph);
    assert!(
        strange.contains("“bell” (Sign)") && strange.contains("ONNX instead"),
        "{strange}"
    );
}

#[test]
fn a_damaged_file_is_an_error_and_nothing_worse() {
    let bytes = write(&tiny(4, 1, 1), &recipe(&["a"])).unwrap();
    for len in (0..bytes.len()).step_by(5) {
        // Cut off between two nodes, it is a shorter valid file.
        drop(read(&bytes[..len], None));
    }
    for wrong in [&b"<html>no model"[..], b""] {
        read(wrong, None).unwrap_err();
    }
    let mut whole = bytes.clone();
    for place in 0..bytes.len() {
        let before = whole[place];
        for flip in [0x55, 0xff] {
            whole[place] = before ^ flip;
            // Errors may go undetected, but there must be no panic and no endless loop.
            drop(read_graph(&whole));
        }
        whole[place] = before;
    }
    // Files of other programs have no recipe.
    let mut file = GraphDef::decode(bytes.as_slice()).unwrap();
    file.node[0].attr.remove(RECIPE);
    let error = read(&file.encode_to_vec(), None).unwrap_err().to_string();
    assert!(error.contains("Salamander did not export it"), "{error}");
    assert!(matches!(attribute_of(&bytes), Some(Value::Shape(_))));
}

fn attribute_of(bytes: &[u8]) -> Option<Value> {
    let file = GraphDef::decode(bytes).unwrap();
    file.node[0].attr.get("shape")?.value.clone()
}
