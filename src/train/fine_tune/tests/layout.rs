//! The network in rows compared with planes, and a batch in parts compared with the whole.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use half::f16;

use super::super::FineTuneSettings;
use super::super::network::network;
use super::super::rows::Rows;
use super::{Small, case, random, small, table};
use crate::backbone::{Architecture, Blocks, Depth};
use crate::graph::ops::{Activation, Conv, GlobalPool, Linear, ReduceKind, Reshaping, block_size};
use crate::graph::passes::layout::append_in_rows;
use crate::graph::{CrossEntropy, Dim, Graph, Sliding, ValueId, gradients};
use crate::jobs::Work;
use crate::onnx::{ElementType, Session, Tensor};
use crate::train::Head;
use crate::train::batches::{Draw, Part, Purpose, ViewOfFrame};
use crate::train::mixup;
use crate::train::parts::{self, Objective};
use crate::train::problem::{Inputs, Problem};

#[derive(Debug, Clone, Copy)]
enum Form {
    Planes,
    /// In blocks of this many channels, or with the batch last.
    Rows(Option<usize>),
}

/// The loss `Σ r·bottleneck` and its derivatives with respect to all weights, in either form of the graph.
fn derivatives(small: &Small, form: Form, x: &Tensor, r: &Tensor) -> Vec<Tensor> {
    let batch = x.shape[0];
    let back = &small.back;
    let mut graph = Graph::new("derivatives");
    let mut input = |name: &str, tensor: &Tensor| {
        graph.input(name, ElementType::F32, &Dim::all_fixed(&tensor.shape))
    };
    let (x_in, r_in) = (input("x", x), input("r", r));
    let weights: Vec<ValueId> = small
        .weights
        .iter()
        .map(|(name, tensor)| input(name, tensor))
        .collect();
    let originals = small
        .weights
        .iter()
        .map(|(name, _)| back.find(name).unwrap());
    let bottleneck = if let Form::Rows(block) = form {
        let trained: BTreeMap<ValueId, ValueId> = originals.zip(weights.iter().copied()).collect();
        append_in_rows(&mut graph, back, x_in, &small.cut, batch, &trained, block).unwrap()
    } else {
        let mut plain = back.clone();
        let mut connect = vec![(back.inputs()[0], x_in)];
        for (original, weight) in originals.zip(&weights) {
            plain.make_input(original);
            connect.push((original, *weight));
        }
        plain.clear_outputs();
        plain.prefix("plain.");
        let joined = graph.append(plain, &connect).unwrap();
        joined.get(back.outputs()[0])
    };
    let product = graph.mul(bottleneck, r_in);
    let loss = graph.reduce_all(ReduceKind::Sum, product);
    let found = gradients(&mut graph, loss, &weights).unwrap();
    let mut outputs = vec!["value".to_owned()];
    graph.output_as(bottleneck, "value");
    for (at, gradient) in found.into_iter().enumerate() {
        let name = format!("d{at}");
        graph.output_as(gradient, &name);
        outputs.push(name);
    }
    graph.prune();
    let mut inputs = vec![("x", x), ("r", r)];
    inputs.extend(
        small
            .weights
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor)),
    );
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
    session.run(&inputs, &outputs).unwrap()
}

/// Compares the value and all derivatives in rows with those in planes, each as a whole.
fn compare(small: &Small, block: Option<usize>, batch: usize, seed: u64, limit: f64) {
    let mut draw = Draw::new(seed, Purpose::Batch, 0);
    let [channels, height, width] = small.cut;
    let x = random(&mut draw, &[batch, channels, height, width], 1.0);
    let r = random(&mut draw, &[batch, small.dim], 1.0);
    let planes = derivatives(small, Form::Planes, &x, &r);
    let rows = derivatives(small, Form::Rows(block), &x, &r);
    for (at, (a, b)) in planes.iter().zip(&rows).enumerate() {
        assert_eq!(a.shape, b.shape);
        let (a, b) = (a.f32().unwrap(), b.f32().unwrap());
        let norm = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let difference: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        assert!(norm(a) > 1e-3, "value {at} says nothing");
        assert!(
            norm(&difference) < limit * norm(a),
            "value {at}: {} of {}",
            norm(&difference),
            norm(a)
        );
    }
}

#[test]
fn rows_give_the_same_values_and_derivatives_as_planes() {
    // Batches whose pixels fill blocks, and others.
    for (seed, batch) in [(0, 5), (1, 7), (2, 1), (3, 16), (4, 16), (5, 32)] {
        compare(&small(seed), block_size(), batch, seed, 1e-5);
        compare(&small(seed), None, batch, seed, 1e-5);
    }
}

/// Everything that [`small`] lacks: squeeze-and-excite, an activation that is not 0 at 0 on channels that do not fill
/// a block, a value with several readers, convolutions without a bias, an untrained depthwise kernel, a dense layer
/// after the pool.
fn unusual(seed: u64) -> Small {
    let mut draw = Draw::new(seed, Purpose::Weights, 0);
    let mut graph = Graph::new("unusual");
    let cut = [10, 5, 5];
    let x = graph.input(
        "cut",
        ElementType::F32,
        &["N".into(), 10.into(), 5.into(), 5.into()],
    );
    let mut weights = Vec::new();
    let mut values = HashMap::new();
    for (name, shape, trained) in [
        ("expand", &[20, 10, 1, 1][..], true),
        ("depth", &[20, 1, 3, 3], false),
        ("squeeze", &[20, 20, 1, 1], true),
        ("squeeze.bias", &[20], true),
        ("project", &[12, 20, 1, 1], true),
        ("dense", &[9, 12], true),
        ("dense.bias", &[9], true),
    ] {
        let fan_in: usize = shape.iter().skip(1).product();
        let tensor = random(&mut draw, shape, 1.5 / (fan_in as f64).sqrt());
        values.insert(name, graph.constant_named(name, tensor.clone()));
        if trained {
            weights.push((name.to_owned(), tensor));
        }
    }
    let of = |name: &str| values[name];
    let expand = graph.op(Conv::plain(), &[x, of("expand")]);
    let expand = graph.op(Activation::Sigmoid, &[expand]);
    let padded = Conv::new(Sliding::new(&[], &[], &[1; 4]), 20);
    let depth = graph.op(padded, &[expand, of("depth")]);
    let depth = graph.op(Activation::Relu, &[depth]);
    let squeeze = graph.op(GlobalPool::Average, &[expand]);
    let squeeze = graph.op(Conv::plain(), &[squeeze, of("squeeze"), of("squeeze.bias")]);
    let hard_sigmoid = Activation::HardSigmoid {
        alpha: 0.2,
        beta: 0.5,
    };
    let squeeze = graph.op(hard_sigmoid, &[squeeze]);
    let excited = graph.mul(depth, squeeze);
    let project = graph.op(Conv::plain(), &[excited, of("project")]);
    let positive = graph.op(Activation::Relu, &[project]);
    let sum = graph.add(positive, project);
    let pooled = graph.op(GlobalPool::Average, &[sum]);
    let flat = graph.op(Reshaping::FLATTEN, &[pooled]);
    let dense = graph.op(Linear::BY_TRANSPOSE, &[flat, of("dense"), of("dense.bias")]);
    let last = graph.op(Activation::HardSwish, &[dense]);
    graph.output_as(last, "bottleneck");
    Small {
        back: graph,
        cut,
        dim: 9,
        weights,
    }
}

#[test]
fn rows_cope_with_unusual_networks() {
    for (seed, batch) in [(0, 3), (1, 4), (2, 16)] {
        compare(&unusual(seed), block_size(), batch, seed, 1e-5);
        compare(&unusual(seed), None, batch, seed, 1e-5);
    }
}

/// All weights of a backbone in the catalogue, including its first convolution and those with strides.
#[test]
fn rows_give_the_derivatives_of_a_whole_backbone() {
    of_a_whole_backbone(&Architecture::default());
}

/// The same with symmetric padding at a stride of two.
#[test]
fn rows_give_the_derivatives_of_mobilenet() {
    of_a_whole_backbone(&"mobilenet-v2@96".parse().unwrap());
}

fn of_a_whole_backbone(architecture: &Architecture) {
    let blocks = Blocks::of(architecture).unwrap();
    let plan = blocks.plan(Depth::All);
    let cut = plan.cut.as_ref().unwrap();
    let back = blocks.back(cut).unwrap();
    let weights = plan
        .weights
        .iter()
        .map(|weight| {
            let value = back.constant_of(back.find(&weight.name).unwrap()).unwrap();
            (weight.name.clone(), Tensor::clone(value))
        })
        .collect();
    let whole = Small {
        cut: cut.shape.clone().try_into().unwrap(),
        dim: architecture.entry().unwrap().bottleneck_dim,
        back,
        weights,
    };
    // In single precision through fifty layers, activations near a bound of ReLU6 may fall on either side of it.
    compare(&whole, block_size(), 6, 7, 1e-3);
    compare(&whole, None, 4, 8, 1e-3);
}

/// The logits and derivatives of a batch in parts of this many images, mixed or not.
fn by_parts(images: usize, mixes: bool) -> Vec<Tensor> {
    const BATCH: usize = 32;
    let (network, initial, settings, _) = case();
    let mut graph = Graph::new("by parts");
    let problem: &dyn Problem = network.as_ref();
    let mut inputs = Inputs::of(problem, &mut graph, Part::Training, BATCH);
    if mixes {
        mixup::mix(&mut graph, &mut inputs, network.classes, BATCH);
    }
    let objective = Objective {
        loss: CrossEntropy {
            smoothing: f64::from(settings.fine_tune.learn.label_smoothing),
            class_weights: Some(vec![0.25, 2.0, 0.75]),
            by_row: true,
        },
        dropout: 0.25,
    };
    let learned =
        parts::by_parts(problem, &mut graph, &inputs, &objective, [BATCH, images]).unwrap();
    assert_eq!(learned.masks.len(), BATCH / images);
    let mut outputs = Vec::new();
    for (at, value) in [learned.logits]
        .into_iter()
        .chain(learned.gradients)
        .enumerate()
    {
        let name = format!("value {at}");
        graph.output_as(value, &name);
        outputs.push(name);
    }
    graph.prune();
    let mut rows = table(&network.cut, BATCH);
    let wanted: Vec<ViewOfFrame> = (0..BATCH).map(|frame| (frame, 0)).collect();
    let mut x = vec![f16::ZERO; BATCH * network.row_len()];
    rows.fill(&wanted, &mut x, &Work::new()).unwrap();
    let x = Tensor::new([BATCH, network.row_len()], x);
    let y = Tensor::new(
        [BATCH],
        (0..BATCH as i64).map(|at| at % 3).collect::<Vec<_>>(),
    );
    let shares: Vec<f32> = (0..BATCH).map(|at| at as f32 / BATCH as f32).collect();
    let shares = Tensor::new([BATCH], shares);
    let mut inputs = vec![("x", &x), ("y", &y)];
    if mixes {
        inputs.push((mixup::SHARES, &shares));
    }
    let weights = network.weights.iter().map(|weight| weight.name.as_str());
    inputs.extend(weights.zip(&initial));
    // Each image has the same mask as in the whole batch.
    let of_all = BATCH / learned.masks.len();
    let mut row = 0;
    let masks: Vec<(String, Tensor)> = learned
        .masks
        .iter()
        .map(|mask| {
            let [Dim::Fixed(rows), Dim::Fixed(width)] = mask.shape[..] else {
                panic!("{:?}", mask.shape);
            };
            assert_eq!(rows, of_all);
            let kept = |at: usize| if (7 * at) % 11 < 3 { 0.0 } else { 4.0 / 3.0 };
            let first = row * width;
            row += rows;
            let values: Vec<f32> = (first..first + rows * width).map(kept).collect();
            (mask.input.clone(), Tensor::new([rows, width], values))
        })
        .collect();
    inputs.extend(masks.iter().map(|(name, mask)| (name.as_str(), mask)));
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let mut session = Session::from_bytes(&graph.to_onnx(), 2).unwrap();
    session.run(&inputs, &outputs).unwrap()
}

#[test]
fn a_batch_in_parts_has_the_derivatives_of_the_whole() {
    let [plain, mixed] = [false, true].map(|mixes| by_parts(32, mixes));
    assert_ne!(plain, mixed);
    for (mixes, images) in [(false, 4), (false, 8), (false, 16), (true, 4), (true, 16)] {
        let whole = if mixes { &mixed } else { &plain };
        for (at, (a, b)) in whole.iter().zip(&by_parts(images, mixes)).enumerate() {
            assert_eq!(a.shape, b.shape);
            let (a, b) = (a.f32().unwrap(), b.f32().unwrap());
            let largest = a.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            assert!(largest > 1e-4, "value {at} says nothing");
            for (a, b) in a.iter().zip(b) {
                assert!(
                    (a - b).abs() < 1e-5 * largest,
                    "value {at}, {images}: {a} {b}"
                );
            }
        }
    }
}

/// A whole large network is trained in parts; a few of its blocks are not.
#[test]
fn what_fits_into_memory_goes_at_once() {
    let blocks = Arc::new(Blocks::of(&Architecture::default()).unwrap());
    let dim = Architecture::default().entry().unwrap().bottleneck_dim;
    let head = Head::linear(vec![0.0; dim * 3], vec![0.0; 3]);
    let settings = FineTuneSettings::default();
    for (depth, expected, of_30) in [
        (Depth::Last3, 32..=32, 30..=30),
        (Depth::All, 8..=16, 5..=15),
    ] {
        let plan = blocks.plan(depth);
        let (network, _) = network(&blocks, &plan, &settings, &head, &Work::new()).unwrap();
        let images = network.images_at_once(32);
        assert!(expected.contains(&images), "{depth}: {images}");
        let images = network.images_at_once(30);
        assert!(of_30.contains(&images), "{depth}: {images}");
    }
}
