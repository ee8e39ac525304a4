#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use prost::Message;

use crate::evaluate::InputKind;
use crate::export::ModelFile;
use crate::export::format::{Exporter, Options};
use crate::export::model::tests::{model_of, rows_and_norms, small_model};
use crate::export::onnx::Onnx;
use crate::graph::ops::{Conv, Elementwise, GlobalPool, Linear, Reshaping, Softmax};
use crate::graph::{Dim, Graph, ValueId};
use crate::onnx::{ElementType, Session, Tensor};

use super::schema::Model;
use super::*;

fn picture() -> image::RgbImage {
    image::RgbImage::from_fn(140, 120, |x, y| {
        image::Rgb([
            (x * 3 % 256) as u8,
            (y * 5 % 256) as u8,
            (x * y % 256) as u8,
        ])
    })
}

#[test]
fn an_exported_model_says_what_its_onnx_says() {
    let mut other = model_of(&["a", "b"], Some(&vec![0, 1, 0]));
    // A different normalisation for each channel.
    other.preprocessing.mean = [123.675, 116.28, 103.53];
    other.preprocessing.std = [58.395, 57.12, 57.375];
    for model in [small_model(), other] {
        let run = |exporter: &dyn Exporter| {
            let files = exporter.write(&model, &Options::default()).unwrap();
            assert!(files == exporter.write(&model, &Options::default()).unwrap());
            let mut runner = exporter.open(&files, 1).unwrap();
            assert_eq!(runner.recipe(), &model.recipe(InputKind::Uint8Nhwc));
            runner.probabilities(&picture()).unwrap()
        };
        let expected = run(&Onnx::UINT8);
        for (exporter, limit) in [(&CoreMl::FLOAT, 1e-5), (&CoreMl::HALF, 5e-3)] {
            let found = run(exporter);
            for (a, b) in expected.iter().zip(&found) {
                assert!((a - b).abs() < limit, "{}: {a} {b}", exporter.name());
            }
        }
    }
}

#[test]
fn a_package_holds_what_apples_own_converter_writes() {
    let files = CoreMl::HALF
        .write(&small_model(), &Options::default())
        .unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "Model.mlpackage/Data/com.apple.CoreML/model.mlmodel",
            "Model.mlpackage/Data/com.apple.CoreML/weights/weight.bin",
            "Model.mlpackage/Manifest.json",
        ]
    );
    let size: usize = files.iter().map(|file| file.bytes.len()).sum();
    assert!(size < 7_000_000, "{size}");
    let weights = &files[1].bytes;
    assert_eq!(weights.len() % 64, 0);
    assert_eq!(weights[4..8], [2, 0, 0, 0]);
    let count = u32::from_le_bytes(*weights.first_chunk().unwrap());
    let records = weights.as_chunks::<64>().0.iter();
    let records = records.filter(|block| block.starts_with(&[0xef, 0xbe, 0xad, 0xde]));
    assert_eq!(records.count(), count as usize);
    let model = Model::decode(files[0].bytes.as_slice()).unwrap();
    assert_eq!(model.specification_version, 6);
    let message = model.description.unwrap().metadata.unwrap();
    assert!(message.license.contains("Apache-2.0") && message.author == "Salamander");
    assert!(message.user_defined.contains_key("labels"));
    // Names are unique and consist of the letters that the format allows.
    let Some(schema::model::Type::MlProgram(program)) = model.r#type else {
        panic!("no program");
    };
    let mut names: Vec<String> = program.functions["main"].block_specializations["CoreML5"]
        .operations
        .iter()
        .flat_map(|operation| operation.outputs.iter().map(|output| output.name.clone()))
        .collect();
    assert!(names.iter().all(|name| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    }));
    let count = names.len();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), count);
}

/// A network of one convolution.
fn tiny() -> Graph {
    tiny_with(|_, planes| planes)
}

/// The same with `further` applied to its output of planes `[N, 4, 94, 94]`.
fn tiny_with(further: impl Fn(&mut Graph, ValueId) -> ValueId) -> Graph {
    let mut graph = Graph::new("tiny");
    let shape = [Dim::from("N"), 96.into(), 96.into(), 3.into()];
    let image = graph.input("image", ElementType::U8, &shape);
    let planes = graph.transpose(image, &[0, 3, 1, 2]);
    let values = graph.cast(planes, ElementType::F32);
    let weights = |graph: &mut Graph, shape: &[usize]| {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|at| (at % 7) as f32 / 7000.0).collect();
        graph.constant(Tensor::new(shape, values))
    };
    let w = weights(&mut graph, &[4, 3, 3, 3]);
    let x = graph.op(Conv::plain(), &[values, w]);
    let x = further(&mut graph, x);
    let x = graph.op(GlobalPool::Average, &[x]);
    let x = graph.op(Reshaping::FLATTEN, &[x]);
    let w = weights(&mut graph, &[4, 3]);
    let x = graph.op(Linear::MatMul, &[x, w]);
    let x = graph.op_named(Softmax::LAST, &[x], "probabilities");
    graph.output(x);
    graph
}

fn about() -> About {
    let model = small_model();
    let recipe = model.recipe(InputKind::Uint8Nhwc);
    let json = serde_json::to_string(&recipe).unwrap();
    About {
        description: "Tells three classes apart.".into(),
        version: "1".into(),
        author: "a test".into(),
        licence: "MIT".into(),
        more: [(crate::export::RECIPE_KEY.to_owned(), json)].into(),
        recipe,
    }
}

#[test]
fn norms_and_rows_read_back_compute_what_they_do() {
    let graph = tiny_with(|graph, planes| rows_and_norms(graph, planes, 4));
    let probabilities = |graph: &Graph| {
        let image: Vec<u8> = picture().into_raw().into_iter().take(96 * 96 * 3).collect();
        let image = Tensor::new([1, 96, 96, 3], image);
        let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
        let [input, output] = [graph.inputs(), graph.outputs()].map(|all| graph.name_of(all[0]));
        let found = session.run(&[(input, &image)], &[output]).unwrap();
        found[0].f32().unwrap().to_vec()
    };
    let expected = probabilities(&graph);
    assert!(
        expected.iter().all(|one| (0.01..0.99).contains(one)),
        "{expected:?}"
    );
    for (graph, limit) in [(graph.clone(), 1e-5), (halved(&graph).unwrap(), 5e-3)] {
        let files = write("m", &graph, &about()).unwrap();
        let found = probabilities(&read(&files).unwrap().0);
        for (a, b) in expected.iter().zip(&found) {
            assert!((a - b).abs() < limit, "{a} {b}");
        }
    }
}

#[test]
fn labels_are_those_of_the_program() {
    let mut message = about();
    message.recipe.labels = ["x", "y", "z"].map(str::to_owned).to_vec();
    let files = write("m", &tiny(), &message).unwrap();
    assert_eq!(read(&files).unwrap().1.labels, ["x", "y", "z"]);
    message.recipe.labels.pop();
    let error = write("m", &tiny(), &message).unwrap_err().to_string();
    assert!(error.contains("for 2 labels"), "{error}");
    // Contents that the writer never produces.
    message = about();
    message.more.clear();
    let error = read(&write("m", &tiny(), &message).unwrap()).unwrap_err();
    assert!(error.to_string().contains("did not export it"), "{error}");
    // The size of the image differs from that of the recipe.
    let mut recipe = about().recipe;
    recipe.preprocessing.resolution_px = 80;
    message.more = [(
        crate::export::RECIPE_KEY.to_owned(),
        serde_json::to_string(&recipe).unwrap(),
    )]
    .into();
    let error = read(&write("m", &tiny(), &message).unwrap()).unwrap_err();
    assert!(error.to_string().contains("96 × 96"), "{error}");
}

#[test]
fn a_damaged_package_is_an_error_and_nothing_worse() {
    let files = write("m", &halved(&tiny()).unwrap(), &about()).unwrap();
    read(&files).unwrap();
    for at in 0..files.len() {
        let mut fewer = files.clone();
        fewer.remove(at);
        let error = read(&fewer).unwrap_err().to_string();
        assert!(error.contains("missing"), "{error}");
        let bytes = files[at].bytes.clone();
        let damaged = |bytes: Vec<u8>| -> Vec<ModelFile> {
            let mut damaged = files.clone();
            damaged[at].bytes = bytes;
            damaged
        };
        for len in (0..bytes.len()).step_by(5) {
            drop(read(&damaged(bytes[..len].to_vec())));
        }
        assert!(read(&damaged(Vec::new())).is_err());
        for place in 0..bytes.len() {
            let mut changed = bytes.clone();
            changed[place] ^= 0x55;
            // Errors may go undetected, but there must be no panic and no endless loop.
            drop(read(&damaged(changed)));
        }
    }
}

#[test]
fn what_cannot_be_written_is_said_before_anything_is() {
    let mut graph = tiny();
    let output = graph.outputs()[0];
    let strange = graph.op_named(Elementwise::IsNaN, &[output], "odd");
    graph.clear_outputs();
    graph.output(strange);
    let message = write("m", &graph, &about()).unwrap_err().to_string();
    assert!(
        message.contains("“odd” (IsNaN)") && message.contains("ONNX instead"),
        "{message}"
    );
}
