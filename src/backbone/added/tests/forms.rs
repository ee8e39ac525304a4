//! Heads, layouts, element types and versions of the operators.

use half::f16;

use crate::backbone::{Blocks, FeatureMaps, Fit, Preprocessing};
use crate::graph::ops::{
    Activation, Conv, Elementwise, GlobalPool, Linear, Moves, Norm, PadMode, Pool, PoolKind,
    Reduce, ReduceKind, Reshaping, Softmax,
};
use crate::graph::{Dim, Graph, Op, Sliding, ValueId};
use crate::onnx::{Element, ElementType, Tensor};

use super::super::asked::{Asked, Provenance};
use super::{
    CLASSES, DIM, SIDE, classifier, conv, imagenet, numbers, planes, tried, trunk, usual, weight,
};

/// Pools the last map to `[N, 24]`, or to a map of one pixel.
type Pooling = (&'static str, fn(&mut Graph, ValueId) -> ValueId);
/// Computes the logits from that.
type Heading = (&'static str, fn(&mut Graph, ValueId) -> ValueId);

fn pools() -> Vec<Pooling> {
    vec![
        ("GlobalAveragePool, Flatten", |graph, y| {
            let y = graph.op(GlobalPool::Average, &[y]);
            graph.op(Reshaping::FLATTEN, &[y])
        }),
        ("ReduceMean", |graph, y| {
            graph.op(Reduce::along(ReduceKind::Mean, &[2, 3], false), &[y])
        }),
        ("ReduceMean, Squeeze", |graph, y| {
            let y = graph.op(Reduce::along(ReduceKind::Mean, &[-2, -1], true), &[y]);
            let axes = graph.ints(&[2, 3]);
            graph.op(Reshaping::Squeeze { axes: None }, &[y, axes])
        }),
        ("AveragePool over the map, Reshape", |graph, y| {
            let kind = PoolKind::Average {
                padding_counts: false,
            };
            let sliding = Sliding {
                kernel: vec![8, 8],
                ..Sliding::default()
            };
            let pool = Pool {
                kind,
                sliding,
                ceil: false,
            };
            let y = graph.op(pool, &[y]);
            graph.reshape(y, &[-1, DIM as i64])
        }),
    ]
}

fn heads() -> Vec<Heading> {
    vec![
        ("Gemm", classifier),
        ("MatMul, Add", |graph, y| {
            let w = weight(graph, "fc.weight", &[DIM, CLASSES]);
            let b = weight(graph, "fc.bias", &[CLASSES]);
            let y = graph.op(Linear::MatMul, &[y, w]);
            graph.add(b, y)
        }),
        ("MatMul", |graph, y| {
            let w = weight(graph, "fc.weight", &[DIM, CLASSES]);
            graph.op(Linear::MatMul, &[y, w])
        }),
        ("1×1 convolution", |graph, y| {
            let y = graph.reshape(y, &[-1, DIM as i64, 1, 1]);
            let w = weight(graph, "fc.weight", &[CLASSES, DIM, 1, 1]);
            let b = weight(graph, "fc.bias", &[CLASSES]);
            let y = graph.op(Conv::plain(), &[y, w, b]);
            graph.op(Reshaping::FLATTEN, &[y])
        }),
    ]
}

#[test]
fn every_head_is_found() {
    for (pool, pooled) in pools() {
        for (head, headed) in heads() {
            for softmax in [false, true] {
                let mut graph = Graph::new("form");
                let x = graph.input("x", ElementType::F32, &planes());
                let y = trunk(&mut graph, x);
                let y = pooled(&mut graph, y);
                let mut y = headed(&mut graph, y);
                if softmax {
                    y = graph.op(Softmax::LAST, &[y]);
                }
                graph.output_as(y, "out");
                let form = format!("{pool}, {head}, {softmax}");
                let (found, candidate) = tried(&graph, &imagenet());
                let layer = found.pooled.value.unwrap();
                assert_eq!(
                    (layer.dim, layer.classes),
                    (Some(DIM), Some(CLASSES)),
                    "{form}"
                );
                assert_eq!(candidate.bottleneck_dim, DIM, "{form}");
                assert!(
                    candidate.difference < 1e-5,
                    "{form}: {}",
                    candidate.difference
                );
                assert_eq!(candidate.hindrance, None, "{form}");
                assert!(candidate.depths.len() > 1, "{form}");
                // Three 3×3 layers: 16²·8·27 + 8²·16·72 + 8²·24·144.
                assert_eq!(
                    candidate.multiply_accumulates[&32],
                    55_296 + 73_728 + 221_184,
                    "{form}"
                );
            }
        }
    }
}

/// A file that ends with its pooled layer.
#[test]
fn a_network_without_a_head_is_its_own_bottleneck() {
    let mut graph = Graph::new("features");
    let x = graph.input("x", ElementType::F32, &planes());
    let y = trunk(&mut graph, x);
    let y = graph.op(GlobalPool::Average, &[y]);
    let y = graph.op(Reshaping::FLATTEN, &[y]);
    graph.output_as(y, "features");
    let (found, candidate) = tried(&graph, &imagenet());
    assert_eq!(found.pooled.value.unwrap().classes, None);
    assert_eq!(candidate.bottleneck_dim, DIM);
}

/// Channels last, as tf2onnx writes them, with normalisation in the network: bytes, or floats up to 255.
#[test]
fn channels_last_and_what_normalises_inside_are_found() {
    for element in [ElementType::F32, ElementType::U8] {
        for transposed_first in [true, false] {
            let mut graph = Graph::new("keras");
            let shape = ["N".into(), SIDE.into(), SIDE.into(), 3.into()];
            let mut x = graph.input("x", element, &shape);
            if element == ElementType::U8 {
                x = graph.cast(x, ElementType::F32);
            }
            if transposed_first {
                x = graph.transpose(x, &[0, 3, 1, 2]);
            }
            let by = graph.number(127.5);
            let one = graph.number(1.0);
            let scaled = graph.div(x, by);
            let mut y = graph.sub(scaled, one);
            if !transposed_first {
                y = graph.transpose(y, &[0, 3, 1, 2]);
            }
            let y = trunk(&mut graph, y);
            let y = graph.op(Reduce::along(ReduceKind::Mean, &[2, 3], false), &[y]);
            let y = classifier(&mut graph, y);
            graph.output_as(y, "out");
            let (found, candidate) = tried(&graph, &Asked::default());
            assert_eq!(found.layout.value.unwrap().to_string(), "nhwc");
            assert_eq!(found.normalisation.provenance, Provenance::Found);
            assert_eq!((candidate.mean, candidate.std), ([0.0; 3], [1.0; 3]));
            assert!(candidate.difference < 1e-5, "{}", candidate.difference);
            let kept = Graph::from_onnx(&candidate.bytes).unwrap();
            let is_transpose = |op: &Op| matches!(op, Op::Reshaping(Reshaping::Transpose { .. }));
            let transposes = kept
                .nodes()
                .iter()
                .filter(|node| is_transpose(&node.op))
                .count();
            let expected = if transposed_first && element == ElementType::F32 {
                0
            } else {
                2
            };
            assert_eq!(transposes, expected, "{element:?} {transposed_first}");
        }
    }
}

/// Everything in fp16, including input and output.
#[test]
fn fp16_is_widened() {
    let mut graph = usual(&planes());
    let halves = |tensor: &Tensor| {
        let values = tensor.f32().unwrap().iter();
        let values: Vec<f16> = values.map(|value| f16::from_f32(*value)).collect();
        Tensor::new(tensor.shape.clone(), values)
    };
    let constants: Vec<(String, Tensor)> = graph
        .constants()
        .map(|id| {
            (
                graph.name_of(id).to_owned(),
                halves(graph.constant_of(id).unwrap()),
            )
        })
        .collect();
    let mut half = Graph::new("half");
    let x = half.input("pixels", ElementType::F16, &planes());
    let names: Vec<String> = constants.iter().map(|(name, _)| name.clone()).collect();
    let mut connect = vec![(graph.inputs()[0], x)];
    for (name, tensor) in constants {
        let id = graph.find(&name).unwrap();
        graph.make_input(id);
        connect.push((id, half.constant_named(&name, tensor)));
    }
    half.append(graph, &connect).unwrap();
    assert_eq!(half.constants().count(), names.len());
    half.infer_again();
    let (_, candidate) = tried(&half, &imagenet());
    assert!(candidate.difference < 2e-3, "{}", candidate.difference);
    let kept = Graph::from_onnx(&candidate.bytes).unwrap();
    let all_wide = kept
        .constants()
        .all(|id| !matches!(kept.constant_of(id).unwrap().data, Element::F16(_)));
    assert!(all_wide);
}

/// Parameters that used to be attributes.
#[test]
fn operators_of_version_9_are_read() {
    let mut graph = Graph::new("old");
    graph.opset = 9;
    let x = graph.input("x", ElementType::F32, &planes());
    let y = trunk(&mut graph, x);
    let clip = Activation::Clip {
        min: Some(0.0),
        max: Some(6.0),
    };
    let y = graph.op(clip, &[y]);
    let pad = Moves::Pad {
        mode: PadMode::Constant,
        pads: Some(vec![0, 0, 1, 1, 0, 0, 1, 1]),
        value: Some(0.0),
    };
    let y = graph.op(pad, &[y]);
    let y = graph.op(Reduce::along(ReduceKind::Mean, &[2, 3], true), &[y]);
    let axes = Some(vec![2, 3]);
    let y = graph.op(Reshaping::Squeeze { axes }, &[y]);
    let dropout = Reshaping::Dropout {
        ratio: Some(0.5),
        seed: None,
    };
    let y = graph.op(dropout, &[y]);
    let y = classifier(&mut graph, y);
    let softmax = Softmax {
        axis: 1,
        log: false,
    };
    let y = graph.op(softmax, &[y]);
    graph.output_as(y, "out");
    let (_, candidate) = tried(&graph, &imagenet());
    assert!(candidate.difference < 1e-5, "{}", candidate.difference);
    assert_eq!(Graph::from_onnx(&candidate.bytes).unwrap().opset, 17);
    for opset in [8, 25] {
        graph.opset = opset;
        let error = super::refused(&graph, &imagenet());
        assert!(error.contains(&format!("opset {opset}")), "{error}");
    }
}

/// A transformer of two layers with a class token, whose graph computes with the batch, as torch exports it.
fn transformer(batch: Dim, computed: bool) -> Graph {
    const TOKENS: usize = 16;
    let mut graph = Graph::new("transformer");
    let shape = [batch, 3.into(), SIDE.into(), SIDE.into()];
    let x = graph.input("x", ElementType::F32, &shape);
    let kernel = weight(&mut graph, "patch.weight", &[DIM, 3, 8, 8]);
    let op = Conv {
        sliding: Sliding {
            strides: vec![8, 8],
            ..Sliding::default()
        },
        group: 1,
    };
    let y = graph.op(op, &[x, kernel]);
    let zero = graph.ints(&[0]);
    let batch = graph.shape_of(x);
    let batch = graph.gather(batch, zero, 0);
    let target = |graph: &mut Graph, rest: &[i64]| {
        if computed {
            let rest = graph.ints(rest);
            graph.concat(&[batch, rest], 0)
        } else {
            graph.ints(&[&[1], rest].concat())
        }
    };
    let dim = DIM as i64;
    let shape = target(&mut graph, &[dim, -1]);
    let y = graph.reshape_to(y, shape);
    let mut y = graph.transpose(y, &[0, 2, 1]);
    let class = graph.constant_named("class", Tensor::new([1, 1, DIM], numbers(5, DIM)));
    let token = if computed {
        let shape = target(&mut graph, &[1, dim]);
        graph.op(Reshaping::Expand, &[class, shape])
    } else {
        class
    };
    y = graph.concat(&[token, y], 1);
    let places = numbers(6, (TOKENS + 1) * DIM);
    let places = graph.constant_named("places", Tensor::new([1, TOKENS + 1, DIM], places));
    y = graph.add(y, places);
    let norm = Norm::Layer {
        axis: -1,
        epsilon: 1e-6,
        stash: 1,
    };
    for layer in 0..2 {
        let linear = |graph: &mut Graph, x: ValueId, name: &str, inside: usize, outside: usize| {
            let w = weight(graph, &format!("{layer}.{name}.weight"), &[inside, outside]);
            let b = weight(graph, &format!("{layer}.{name}.bias"), &[outside]);
            let x = graph.op(Linear::MatMul, &[x, w]);
            graph.add(b, x)
        };
        let scale = graph.constant_named(
            &format!("{layer}.scale"),
            Tensor::new([DIM], vec![1.1_f32; DIM]),
        );
        let shift = weight(&mut graph, &format!("{layer}.shift"), &[DIM]);
        let n = graph.op(norm, &[y, scale, shift]);
        let [q, k, v] = ["q", "k", "v"].map(|name| linear(&mut graph, n, name, DIM, DIM));
        let heads = |graph: &mut Graph, x: ValueId| {
            let shape = target(graph, &[TOKENS as i64 + 1, 2, dim / 2]);
            let x = graph.reshape_to(x, shape);
            graph.transpose(x, &[0, 2, 1, 3])
        };
        let [q, k, v] = [q, k, v].map(|x| heads(&mut graph, x));
        let k = graph.transpose(k, &[0, 1, 3, 2]);
        let scores = graph.op(Linear::MatMul, &[q, k]);
        let scores = graph.op(Softmax::LAST, &[scores]);
        let mixed = graph.op(Linear::MatMul, &[scores, v]);
        let mixed = graph.transpose(mixed, &[0, 2, 1, 3]);
        let shape = target(&mut graph, &[TOKENS as i64 + 1, dim]);
        let mixed = graph.reshape_to(mixed, shape);
        let mixed = linear(&mut graph, mixed, "out", DIM, DIM);
        y = graph.add(y, mixed);
        let wide = linear(&mut graph, y, "wide", DIM, 2 * DIM);
        let wide = graph.op(Activation::Gelu { tanh: false }, &[wide]);
        let narrow = linear(&mut graph, wide, "narrow", 2 * DIM, DIM);
        y = graph.add(y, narrow);
    }
    let first = graph.int(0);
    let pooled = graph.gather(y, first, 1);
    let logits = classifier(&mut graph, pooled);
    graph.output_as(logits, "logits");
    graph.opset = 20;
    graph
}

#[test]
fn a_transformer_with_a_class_token_is_trained_by_blocks() {
    let (found, candidate) = tried(&transformer("batch".into(), true), &imagenet());
    assert_eq!(found.pooled.value.unwrap().dim, Some(DIM));
    assert!(candidate.difference < 1e-5, "{}", candidate.difference);
    assert_eq!(candidate.hindrance, None);
    let depths: Vec<(String, u64)> = candidate
        .depths
        .iter()
        .map(|offer| (offer.depth.to_string(), offer.weights))
        .collect();
    // One layer: norm, four matrices of 24×24 and two of 24×48, each with its bias.
    let layer = (2 * DIM + 4 * (DIM * DIM + DIM) + 2 * 2 * DIM * DIM + 2 * DIM + DIM) as u64;
    assert_eq!(depths[1], ("last-1".into(), layer));
    assert_eq!(
        depths.last().map(|(_, weights)| *weights),
        Some(2 * layer + (DIM * 3 * 64) as u64)
    );
    assert_eq!(
        candidate.multiply_accumulates.len(),
        1,
        "places are of one size"
    );
    let kept = Graph::from_onnx(&candidate.bytes).unwrap();
    let computes_shapes = kept.nodes().iter().any(|node| {
        matches!(
            node.op,
            Op::Reshaping(Reshaping::Shape { .. } | Reshaping::Expand)
        )
    });
    assert!(!computes_shapes);

    // Heat maps are weighted by the gradient, over the tokens before the last layer, without the class token.
    let input = kept.name_of(kept.inputs()[0]).to_owned();
    let pooled = kept.name_of(kept.outputs()[0]).to_owned();
    let blocks = Blocks::analyse(&kept, &input, (&pooled, DIM), SIDE as u32).unwrap();
    let preprocessing = Preprocessing {
        fit: Fit::Stretch,
        resolution_px: SIDE as u32,
        mean: [127.0; 3],
        std: [128.0; 3],
    };
    let mut maps = FeatureMaps::of_blocks(&blocks, DIM, &preprocessing, 1).unwrap();
    assert!(!maps.is_exact());
    assert_eq!(maps.size(), (4, 4));
    let image = image::RgbImage::from_fn(40, 40, |x, y| {
        image::Rgb([(x * 6) as u8, (y * 6) as u8, 90])
    });
    let seen = maps.extract(&image).unwrap();
    let column: Vec<f32> = (0..DIM).map(|at| (at as f32).sin()).collect();
    let map = maps.weigh(&seen, &column, None).unwrap();
    assert!(map.len() == 16 && map.iter().all(|value| value.is_finite()));
    assert!(map.iter().any(|value| value.abs() > 1e-4), "{map:?}");
}

/// A file for single images.
#[test]
fn a_batch_of_one_becomes_free() {
    let (_, candidate) = tried(&transformer(1.into(), false), &imagenet());
    assert!(candidate.difference < 1e-5, "{}", candidate.difference);
    assert_eq!(candidate.hindrance, None);
    assert!(candidate.depths.len() > 1);
}

/// The matrix of a layer after a transposition is a weight.
#[test]
fn a_transposed_matrix_is_a_weight() {
    let mut graph = Graph::new("transposed");
    let x = graph.input("x", ElementType::F32, &planes());
    let y = conv(&mut graph, x, [3, 8, 2], "stem");
    let y = graph.op(GlobalPool::Average, &[y]);
    let y = graph.op(Reshaping::FLATTEN, &[y]);
    let w = weight(&mut graph, "wide.weight", &[DIM, 8]);
    let b = weight(&mut graph, "wide.bias", &[DIM]);
    let w = graph.transpose(w, &[1, 0]);
    let y = graph.op(Linear::MatMul, &[y, w]);
    let y = graph.op(Elementwise::Add, &[y, b]);
    let y = graph.op(Activation::Relu, &[y]);
    let y = classifier(&mut graph, y);
    graph.output_as(y, "out");
    let (_, candidate) = tried(&graph, &imagenet());
    let all = candidate.depths.last().unwrap();
    assert_eq!(all.weights as usize, 8 * 27 + 8 + DIM * 8 + DIM);
}
