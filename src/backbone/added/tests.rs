//! Networks of many forms, each added and compared with its file.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod files;
mod forms;

use std::path::{Path, PathBuf};

use crate::graph::ops::{
    Activation, Conv, GlobalPool, Linear, Reduce, ReduceKind, Reshaping, Softmax,
};
use crate::graph::{Dim, Graph, Sliding, ValueId};
use crate::jobs::Work;
use crate::onnx::{ElementType, Tensor};

use super::asked::{Asked, Layout, Normalisation};
use super::inspect::{Inspected, inspect};
use super::measure::Candidate;

/// Input size of the small networks, in pixels.
const SIDE: usize = 32;
/// Length of their bottlenecks.
const DIM: usize = 24;
/// Number of their classes.
const CLASSES: usize = 7;

/// Deterministic numbers between -1 and 1.
pub(super) fn numbers(seed: u32, count: usize) -> Vec<f32> {
    let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / 8_388_608.0 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

fn weight(graph: &mut Graph, name: &str, shape: &[usize]) -> ValueId {
    let count: usize = shape.iter().product();
    let fan: usize = shape.iter().skip(1).product();
    let scale = (2.0 / fan.max(1) as f32).sqrt();
    let values: Vec<f32> = numbers(name.len() as u32 + count as u32, count)
        .into_iter()
        .map(|value| value * scale)
        .collect();
    graph.constant_named(name, Tensor::new(shape, values))
}

/// A 3×3 convolution with a bias and a `ReLU`.
fn conv(
    graph: &mut Graph,
    x: ValueId,
    [inside, outside, stride]: [usize; 3],
    name: &str,
) -> ValueId {
    let kernel = weight(graph, &format!("{name}.weight"), &[outside, inside, 3, 3]);
    let bias = weight(graph, &format!("{name}.bias"), &[outside]);
    let op = Conv {
        sliding: Sliding {
            strides: vec![stride as i64; 2],
            pads: vec![1; 4],
            ..Sliding::default()
        },
        group: 1,
    };
    let y = graph.op(op, &[x, kernel, bias]);
    graph.op(Activation::Relu, &[y])
}

/// Three convolutions, from planes to `[N, 24, 8, 8]`.
fn trunk(graph: &mut Graph, x: ValueId) -> ValueId {
    let y = conv(graph, x, [3, 8, 2], "stem");
    let y = conv(graph, y, [8, 16, 2], "middle");
    conv(graph, y, [16, DIM, 1], "last")
}

fn classifier(graph: &mut Graph, pooled: ValueId) -> ValueId {
    let w = weight(graph, "fc.weight", &[CLASSES, DIM]);
    let b = weight(graph, "fc.bias", &[CLASSES]);
    graph.op(Linear::BY_TRANSPOSE, &[pooled, w, b])
}

/// A typical network with an input of that shape.
fn usual(shape: &[Dim]) -> Graph {
    let mut graph = Graph::new("usual");
    let x = graph.input("pixels", ElementType::F32, shape);
    let y = trunk(&mut graph, x);
    let pooled = graph.op(GlobalPool::Average, &[y]);
    let flat = graph.op_named(Reshaping::FLATTEN, &[pooled], "flat");
    let logits = classifier(&mut graph, flat);
    graph.output_as(logits, "logits");
    graph
}

/// The shape of planes with a free batch.
fn planes() -> [Dim; 4] {
    ["batch".into(), 3.into(), SIDE.into(), SIDE.into()]
}

fn written(dir: &Path, graph: &Graph) -> PathBuf {
    let path = dir.join("Some Network (v2).onnx");
    std::fs::write(&path, graph.to_onnx()).unwrap();
    path
}

fn imagenet() -> Asked {
    let [mean, std] = Normalisation::ImageNet.mean_std();
    Asked {
        mean: Some(mean),
        std: Some(std),
        ..Asked::default()
    }
}

/// The inferred properties of a graph, and the candidate made from it.
fn tried(graph: &Graph, asked: &Asked) -> (Inspected, Candidate) {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), graph);
    let inspected = inspect(&path, asked).unwrap();
    let candidate = inspected.candidate(&Work::new()).unwrap();
    (inspected, candidate)
}

/// The reason why it cannot be added.
fn refused(graph: &Graph, asked: &Asked) -> String {
    let dir = tempfile::tempdir().unwrap();
    let path = written(dir.path(), graph);
    let outcome = inspect(&path, asked).and_then(|found| found.candidate(&Work::new()));
    outcome.map(|_| ()).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_found_is_asked_by_the_name_of_its_option() {
    let usual_one = usual(&planes());
    let error = refused(&usual_one, &Asked::default());
    assert!(
        error.contains("--normalisation") && error.contains("Some Network"),
        "{error}"
    );
    let free = usual(&["N".into(), 3.into(), "H".into(), "W".into()]);
    let error = refused(&free, &imagenet());
    assert!(error.contains("--size"), "{error}");
    let asked = Asked {
        size_px: Some(32),
        ..imagenet()
    };
    let (found, candidate) = tried(&free, &asked);
    assert_eq!(found.title(), "some-network-v2");
    assert_eq!(candidate.default_resolution, 32);
    assert!(candidate.multiply_accumulates.contains_key(&96));

    let mut nowhere = Graph::new("nowhere");
    let shape = ["N".into(), 3.into(), SIDE.into(), SIDE.into()];
    let x = nowhere.input("x", ElementType::F32, &shape);
    let y = trunk(&mut nowhere, x);
    let y = nowhere.op_named(GlobalPool::Average, &[y], "pool");
    let y = nowhere.op(Reshaping::FLATTEN, &[y]);
    let logits = classifier(&mut nowhere, y);
    let two = nowhere.number(2.0);
    let scaled = nowhere.op_named(crate::graph::ops::Elementwise::Pow, &[logits, two], "power");
    nowhere.output(scaled);
    let error = refused(&nowhere, &imagenet());
    assert!(
        error.contains("--pooled") && error.contains("“power”"),
        "{error}"
    );
    let asked = Asked {
        pooled: Some("pool".into()),
        ..imagenet()
    };
    let (found, candidate) = tried(&nowhere, &asked);
    assert_eq!(candidate.bottleneck_dim, DIM);
    assert!(
        found
            .choices
            .iter()
            .any(|choice| choice.name == "pool" && choice.dim == DIM)
    );
    let asked = Asked {
        pooled: Some("nothing".into()),
        ..imagenet()
    };
    let error = refused(&nowhere, &asked);
    assert!(
        error.contains("“nothing”") && error.contains("“pool”"),
        "{error}"
    );
}

#[test]
fn a_person_is_not_believed_against_the_file() {
    for (asked, word) in [
        (
            Asked {
                size_px: Some(64),
                ..imagenet()
            },
            "32 pixels",
        ),
        (
            Asked {
                layout: Some(Layout::Nhwc),
                ..imagenet()
            },
            "nchw",
        ),
        (
            Asked {
                std: Some([0.0; 3]),
                ..imagenet()
            },
            "std over 0",
        ),
        (
            Asked {
                std: None,
                ..imagenet()
            },
            "belong together",
        ),
    ] {
        let error = refused(&usual(&planes()), &asked);
        assert!(error.contains(word), "{error}");
    }
    let wide = usual(&["N".into(), 3.into(), 32.into(), 64.into()]);
    assert!(refused(&wide, &imagenet()).contains("64 × 32"));
    let grey = usual(&["N".into(), 1.into(), 32.into(), 32.into()]);
    assert!(refused(&grey, &imagenet()).contains("grey"));
}

#[test]
fn means_of_values_up_to_one_are_known_by_the_deviation() {
    let asked = Asked {
        mean: Some([0.485, 0.456, 0.406]),
        std: Some([0.229, 0.224, 0.225]),
        ..Asked::default()
    };
    let (found, candidate) = tried(&usual(&planes()), &asked);
    assert_eq!(found.normalisation.provenance, super::Provenance::Assumed);
    let [mean, std] = Normalisation::ImageNet.mean_std();
    for (a, b) in candidate
        .mean
        .iter()
        .chain(&candidate.std)
        .zip(mean.iter().chain(&std))
    {
        assert!((a - b).abs() < 1e-4, "{a} {b}");
    }
}

/// An operator without a gradient rule: the depths after it are offered, and the reason names it.
#[test]
fn depths_end_where_no_gradient_goes_through() {
    let mut graph = Graph::new("floors");
    let x = graph.input("x", ElementType::F32, &planes());
    let y = conv(&mut graph, x, [3, 8, 2], "stem");
    let y = conv(&mut graph, y, [8, 8, 1], "second");
    let y = graph.op_named(crate::graph::ops::Elementwise::Floor, &[y], "floored");
    let y = conv(&mut graph, y, [8, 16, 2], "third");
    let y = conv(&mut graph, y, [16, DIM, 1], "last");
    let y = graph.op(Reduce::along(ReduceKind::Mean, &[2, 3], false), &[y]);
    let y = classifier(&mut graph, y);
    let y = graph.op(Softmax::LAST, &[y]);
    graph.output_as(y, "probabilities");
    let (_, candidate) = tried(&graph, &imagenet());
    let reason = candidate.hindrance.unwrap();
    assert!(
        reason.contains("“floored”") && reason.contains("Floor"),
        "{reason}"
    );
    let depths: Vec<String> = candidate
        .depths
        .iter()
        .map(|offer| offer.depth.to_string())
        .collect();
    assert_eq!(depths, ["head", "last-1", "stage"]);
    let weights: Vec<u64> = candidate.depths.iter().map(|offer| offer.weights).collect();
    // The last layer, and the one before it.
    let last = (DIM * 16 * 9 + DIM) as u64;
    assert_eq!(weights, [0, last, last + 16 * 8 * 9 + 16]);
    let (_, whole) = tried(&usual(&planes()), &imagenet());
    assert!(whole.hindrance.is_none());
}
