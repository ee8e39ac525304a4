#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use crate::graph::ops::{
    Activation, Conv, GlobalPool, Linear, Moves, Quantization, Reshaping, Softmax,
};
use crate::graph::{Dim, Graph, Op, Sliding};
use crate::onnx::{Element, ElementType, Session, Tensor};

use super::*;

const SIDE: usize = 6;

/// Deterministic numbers between -1 and 1.
fn drawn(count: usize, seed: usize) -> Vec<f32> {
    (0..count)
        .map(|at| {
            let mixed = (at * 2_654_435_761 + seed * 40_503) % 1009;
            mixed as f32 / 504.0 - 1.0
        })
        .collect()
}

/// Stem with `ReLU6`, depthwise layer, pointwise layer, a shortcut around both, mean, matrix, softmax.
fn network() -> Graph {
    let mut graph = Graph::new("test");
    let side = Dim::Fixed(SIDE);
    let shape = ["N".into(), 3.into(), side.clone(), side];
    let x = graph.input("planes", ElementType::F32, &shape);
    let conv = |graph: &mut Graph, x, shape: [usize; 4], group, seed, name: &str| {
        let count = shape.iter().product();
        let w = graph.constant_named(&format!("{name}.w"), Tensor::new(shape, drawn(count, seed)));
        let b = Tensor::new([shape[0]], drawn(shape[0], seed + 50));
        let b = graph.constant_named(&format!("{name}.b"), b);
        let pad = shape[2] / 2;
        let stride = if name == "stem" { 2 } else { 1 };
        let sliding = Sliding::new(&[stride; 2], &[1; 2], &[pad; 4]);
        graph.op_named(Conv::new(sliding, group), &[x, w, b], name)
    };
    let stem = conv(&mut graph, x, [4, 3, 3, 3], 1, 1, "stem");
    let [low, high] = [0.0, 6.0].map(|bound| graph.number(bound));
    let stem = graph.op_named(Activation::CLIP, &[stem, low, high], "stem.kept");
    let deep = conv(&mut graph, stem, [4, 1, 3, 3], 4, 2, "deep");
    let deep = graph.op_named(Activation::Relu, &[deep], "deep.kept");
    let point = conv(&mut graph, deep, [4, 4, 1, 1], 1, 3, "point");
    let sum = graph.add(stem, point);
    let pool = graph.op(GlobalPool::Average, &[sum]);
    let flat = graph.op_named(Reshaping::FLATTEN, &[pool], "bottleneck");
    // Names that could clash with those that passes assign.
    let w = graph.constant_named("constant_2", Tensor::new([4, 3], drawn(12, 4)));
    let b = graph.constant_named("head.b", Tensor::new([3], drawn(3, 5)));
    let logits = graph.op_named(Linear::GEMM, &[flat, w, b], "logits");
    let softmax = graph.op_named(Softmax::LAST, &[logits], "probabilities");
    graph.output(softmax);
    graph
}

fn pixels() -> Tensor {
    let values: Vec<u8> = (0..2 * SIDE * SIDE * 3)
        .map(|at| (at * 7919 % 256) as u8)
        .collect();
    Tensor::new([2, SIDE, SIDE, 3], values)
}

fn run(graph: &Graph, input: &Tensor, outputs: &[&str]) -> Vec<Tensor> {
    let name = graph.name_of(graph.inputs()[0]).to_owned();
    let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
    session.run(&[(&name, input)], outputs).unwrap()
}

/// Values of the network in fp32.
fn reals(prepared: &Prepared, values: &[ValueId]) -> Vec<Tensor> {
    let (mut graph, joined) = prepared.from_pixels("image").unwrap();
    graph.clear_outputs();
    let values: Vec<ValueId> = values.iter().map(|value| joined.get(*value)).collect();
    for value in &values {
        graph.output(*value);
    }
    let names: Vec<&str> = values.iter().map(|id| graph.name_of(*id)).collect();
    run(&graph, &pixels(), &names)
}

/// The ranges of all values for [`pixels`].
fn measured(prepared: &Prepared) -> HashMap<ValueId, Range> {
    let values = prepared.measured();
    let found = reals(prepared, &values);
    let range = |tensor: &Tensor| Range {
        min: tensor.f32().unwrap().iter().copied().fold(0.0, f32::min),
        max: tensor.f32().unwrap().iter().copied().fold(0.0, f32::max),
    };
    values.into_iter().zip(found.iter().map(range)).collect()
}

fn count(graph: &Graph, is: impl Fn(&Op) -> bool) -> usize {
    graph.nodes().iter().filter(|node| is(&node.op)).count()
}

#[test]
fn scales_hold_zero_exactly() {
    let range = |min, max| Range { min, max }.affine();
    assert_eq!(
        range(0.0, 6.0),
        Affine {
            scale: 6.0 / 255.0,
            zero: 0
        }
    );
    let both = range(-1.0, 2.0);
    assert_eq!(both.zero, 85);
    assert!((both.scale - 3.0 / 255.0).abs() < 1e-9);
    // Extended to zero on either side.
    assert_eq!(range(1.0, 2.0).zero, 0);
    assert_eq!(range(-2.0, -1.0).zero, 255);
    // A value that is always zero.
    let always = Affine {
        scale: 1.0 / 255.0,
        zero: 0,
    };
    assert_eq!(range(0.0, 0.0), always);
}

#[test]
fn weights_are_rounded_by_channel() {
    let weight = Tensor::new([2, 2], vec![127.0_f32, -63.6, 0.5, -0.25]);
    let by_row = rounded(&weight, 0, false).unwrap();
    assert_eq!(by_row.values, [127, -64, 127, -64]);
    assert!((by_row.scales[1] - 0.5 / 127.0).abs() < 1e-9);
    let by_column = rounded(&weight, 1, false).unwrap();
    assert_eq!(by_column.values, [127, -127, 0, 0]);
    let one = rounded(&weight, 0, true).unwrap();
    assert_eq!((one.values, one.scales), (vec![127, -64, 0, 0], vec![1.0]));
    assert_eq!(by_row.reals(&[2, 2], 0)[0].to_bits(), 127.0_f32.to_bits());
}

/// A bias of 1e9 steps fits into 32 bits; one of 1e10 steps, as the weight's scale alone would require, does not.
#[test]
fn a_bias_never_leaves_32_bits() {
    let weight = Tensor::new([2, 1], vec![1e-9_f32, 1.0]);
    let floored = rounded(&weight, 0, false)
        .unwrap()
        .floored(&weight, 0, &[1.0, 1.0], 0.01)
        .unwrap();
    assert!(1.0 / (floored.scales[0] * 0.01) <= 1.001 * f32::from(1_u8) * (1 << 30) as f32);
    assert_eq!(floored.values, [0, 127]);
    // Channels whose scale stays keep their given integers.
    let given = Integers {
        values: vec![127, 126],
        ..rounded(&weight, 0, false).unwrap()
    };
    let floored = given.floored(&weight, 0, &[1.0, 1.0], 0.01).unwrap();
    assert_eq!(floored.values, [0, 126]);
}

#[test]
fn what_is_quantized_computes_nearly_the_same_in_any_normalisation() {
    for (mean, std, folded) in [
        ([127.0; 3], [128.0; 3], false),
        ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375], true),
    ] {
        let prepared = prepare(&network(), mean, std).unwrap();
        assert_eq!(
            prepared.pixels.unwrap().scale.to_bits() == 1.0_f32.to_bits(),
            folded
        );
        let real = &reals(&prepared, prepared.graph.outputs())[0];
        for every_layer in [false, true] {
            let how = Quantizing {
                ranges: measured(&prepared),
                every_layer,
                ..Quantizing::default()
            };
            let graph = quantize(&prepared, &how, "image").unwrap();
            let found = &run(&graph, &pixels(), &["probabilities"])[0];
            for (found, real) in found.f32().unwrap().iter().zip(real.f32().unwrap()) {
                assert!((found - real).abs() < 0.02, "{found} {real}");
            }
            // No activation is left, and each value is quantized once.
            assert_eq!(count(&graph, |op| matches!(op, Op::Activation(_))), 0);
            let is = |op: &Op| matches!(op, Op::Quantization(Quantization::Quantize { .. }));
            assert_eq!(count(&graph, is), 6 + usize::from(every_layer));
            // The output is deterministic, and survives writing and reading.
            let again = quantize(&prepared, &how, "image").unwrap();
            assert_eq!(graph.to_onnx(), again.to_onnx());
            let read = Graph::from_onnx(&graph.to_onnx()).unwrap();
            assert_eq!(count(&read, |op| matches!(op, Op::Other(_))), 0);
            for opset in crate::graph::passes::OPSETS {
                let converted = graph.to_opset(opset).unwrap();
                assert_eq!(&run(&converted, &pixels(), &["probabilities"])[0], found);
            }
        }
    }
}

/// Also for a matrix within the network, whose weights were rounded together.
#[test]
fn a_matrix_of_a_network_in_integers_has_one_scale_however_it_is_rounded() {
    let prepared = prepare(&network(), [127.0; 3], [128.0; 3]).unwrap();
    let layers = prepared.layers();
    let matrix = layers.last().unwrap();
    let weight = prepared.graph.constant_of(matrix.weight).unwrap();
    let given = rounded(weight, matrix.axis, false).unwrap();
    assert!(given.scales.len() > 1);
    let real = &reals(&prepared, prepared.graph.outputs())[0];
    for every_layer in [false, true] {
        let how = Quantizing {
            ranges: measured(&prepared),
            weights: [(matrix.weight, Arc::new(given.clone()))].into(),
            every_layer,
            ..Quantizing::default()
        };
        let graph = quantize(&prepared, &how, "image").unwrap();
        let name = format!("{}/scale", prepared.graph.name_of(matrix.weight));
        assert_eq!(graph.find(&name).is_some(), !every_layer);
        let found = &run(&graph, &pixels(), &["probabilities"])[0];
        for (found, real) in found.f32().unwrap().iter().zip(real.f32().unwrap()) {
            assert!((found - real).abs() < 0.02, "{found} {real}");
        }
    }
}

#[test]
fn a_layer_may_stay_in_real_numbers_and_a_range_must_be_known() {
    let prepared = prepare(&network(), [127.0; 3], [128.0; 3]).unwrap();
    let deep = prepared.graph.find("deep").unwrap();
    // With the ranges of the integer network; the addition after it is in integers again.
    let mut how = Quantizing {
        ranges: measured(&prepared),
        float: HashSet::from([deep]),
        ..Quantizing::default()
    };
    let graph = quantize(&prepared, &how, "image").unwrap();
    let weight = graph.find("deep.w").unwrap();
    assert_eq!(graph.element(weight), Some(ElementType::F32));
    let weight = graph.find("point.w").unwrap();
    assert_eq!(graph.element(weight), Some(ElementType::I8));

    let kept = prepared.graph.find("stem.kept").unwrap();
    how.ranges.remove(&kept);
    let error = quantize(&prepared, &how, "image").unwrap_err();
    assert!(error.to_string().contains("“stem.kept”"), "{error}");
}

/// Integers `[..]` and their scales: one, or one for each channel of the second dimension.
#[derive(Clone)]
struct Whole {
    shape: Vec<usize>,
    values: Vec<i64>,
    scales: Vec<f64>,
}

/// An independent implementation of a quantized graph in integers, with sums in 64 bits and one rounding for each
/// value.
#[allow(clippy::too_many_lines, reason = "one arm for each operator")]
fn simulated(graph: &Graph) -> HashMap<String, Vec<i64>> {
    let mut whole: HashMap<ValueId, Whole> = HashMap::new();
    let mut real: HashMap<ValueId, (Vec<usize>, Vec<f64>)> = HashMap::new();
    let mut seen = HashMap::new();
    let ints = |tensor: &Tensor| -> Vec<i64> {
        match &tensor.data {
            Element::U8(values) => values.iter().map(|value| i64::from(*value)).collect(),
            Element::I8(values) => values.iter().map(|value| i64::from(*value)).collect(),
            Element::I32(values) => values.iter().map(|value| i64::from(*value)).collect(),
            other => panic!("{other:?}"),
        }
    };
    let floats = |id: ValueId| -> Vec<f64> {
        let tensor = graph.constant_of(id).unwrap();
        tensor
            .f32()
            .unwrap()
            .iter()
            .map(|value| f64::from(*value))
            .collect()
    };
    for node in graph.nodes() {
        let output = node.output().unwrap();
        let x = node.input(0).unwrap();
        let arg = |at: usize| whole[&node.input(at).unwrap()].clone();
        match &node.op {
            Op::Reshaping(Reshaping::Transpose { .. }) => {
                let bytes = ints(&pixels());
                let area = SIDE * SIDE;
                let mut values = Vec::new();
                for image in bytes.chunks_exact(area * 3) {
                    for channel in 0..3 {
                        values.extend((0..area).map(|at| image[at * 3 + channel]));
                    }
                }
                let shape = vec![2, 3, SIDE, SIDE];
                whole.insert(
                    output,
                    Whole {
                        shape,
                        values,
                        scales: Vec::new(),
                    },
                );
            }
            Op::Quantization(Quantization::Quantize { .. }) => {
                let (shape, values) = &real[&x];
                let scale = floats(node.input(1).unwrap())[0];
                let zero = ints(graph.constant_of(node.input(2).unwrap()).unwrap())[0];
                let of =
                    |value: &f64| ((value / scale).round_ties_even() as i64 + zero).clamp(0, 255);
                let values: Vec<i64> = values.iter().map(of).collect();
                seen.insert(graph.name_of(output).to_owned(), values.clone());
                whole.insert(
                    output,
                    Whole {
                        shape: shape.clone(),
                        values,
                        scales: Vec::new(),
                    },
                );
            }
            Op::Quantization(Quantization::Dequantize { .. }) => {
                let (shape, values) = match graph.constant_of(x) {
                    Some(tensor) => (tensor.shape.clone(), ints(tensor)),
                    None => (whole[&x].shape.clone(), whole[&x].values.clone()),
                };
                let zero = ints(graph.constant_of(node.input(2).unwrap()).unwrap())[0];
                let scales = floats(node.input(1).unwrap());
                let values = values.iter().map(|value| value - zero).collect();
                whole.insert(
                    output,
                    Whole {
                        shape,
                        values,
                        scales,
                    },
                );
            }
            Op::Conv(conv) => {
                let (x, w, b) = (arg(0), arg(1), arg(2));
                let [images, channels, height, width] = x.shape[..] else {
                    panic!()
                };
                let [kernels, per_group, tall, wide] = w.shape[..] else {
                    panic!()
                };
                let window = conv
                    .sliding
                    .window(&[height, width], &[tall, wide], false)
                    .unwrap();
                let [rows, columns] = window.output[..] else {
                    panic!()
                };
                let mut values = Vec::new();
                for image in 0..images {
                    for kernel in 0..kernels {
                        let group = kernel * (channels / per_group) / kernels;
                        for row in 0..rows {
                            for column in 0..columns {
                                let mut sum = b.values[kernel];
                                for tap in 0..per_group * tall * wide {
                                    let (c, tap_row, tap_column) =
                                        (tap / (tall * wide), tap / wide % tall, tap % wide);
                                    let at_row = (row * window.strides[0] + tap_row)
                                        .checked_sub(window.before[0]);
                                    let at_column = (column * window.strides[1] + tap_column)
                                        .checked_sub(window.before[1]);
                                    if let (Some(r), Some(q)) = (at_row, at_column)
                                        && r < height
                                        && q < width
                                    {
                                        let c = group * per_group + c;
                                        let pixel = x.values
                                            [((image * channels + c) * height + r) * width + q];
                                        sum += pixel
                                            * w.values[kernel * per_group * tall * wide + tap];
                                    }
                                }
                                assert!(i32::try_from(sum).is_ok());
                                values.push(sum as f64 * b.scales[kernel]);
                            }
                        }
                    }
                }
                real.insert(output, (vec![images, kernels, rows, columns], values));
            }
            Op::Elementwise(_) => {
                let (a, b) = (arg(0), arg(1));
                let sum = |(x, y): (&i64, &i64)| *x as f64 * a.scales[0] + *y as f64 * b.scales[0];
                let values = a.values.iter().zip(&b.values).map(sum).collect();
                real.insert(output, (a.shape.clone(), values));
            }
            Op::GlobalPool(_) => {
                let x = arg(0);
                let area = x.shape[2] * x.shape[3];
                let mean = |map: &[i64]| map.iter().sum::<i64>() as f64 * x.scales[0] / area as f64;
                let values = x.values.chunks_exact(area).map(mean).collect();
                real.insert(output, (vec![x.shape[0], x.shape[1], 1, 1], values));
            }
            Op::Reshaping(_) => {
                let x = arg(0);
                let values = x
                    .values
                    .iter()
                    .map(|value| *value as f64 * x.scales[0])
                    .collect();
                real.insert(output, (vec![x.shape[0], x.shape[1]], values));
            }
            Op::Linear(_) => {
                let (x, w, b) = (arg(0), arg(1), arg(2));
                let classes = w.shape[1];
                let mut values = Vec::new();
                for row in x.values.chunks_exact(x.shape[1]) {
                    for class in 0..classes {
                        let products = row.iter().zip(w.values.iter().skip(class).step_by(classes));
                        let sum = b.values[class] + products.map(|(x, w)| x * w).sum::<i64>();
                        values.push(
                            sum as f64 * b.scales[if b.scales.len() == 1 { 0 } else { class }],
                        );
                    }
                }
                real.insert(output, (vec![x.shape[0], classes], values));
            }
            Op::Softmax(_) => {}
            other => panic!("{other:?}"),
        }
    }
    seen
}

/// ONNX Runtime agrees with the integer implementation, except by one step where a float rounds the other way.
#[test]
fn the_graph_computes_what_its_integers_say() {
    for std in [[128.0; 3], [58.395, 57.12, 57.375]] {
        let prepared = prepare(&network(), [127.0; 3], std).unwrap();
        let how = Quantizing {
            ranges: measured(&prepared),
            every_layer: true,
            ..Quantizing::default()
        };
        let graph = quantize(&prepared, &how, "image").unwrap();
        for (name, expected) in simulated(&graph) {
            let mut alone = graph.clone();
            alone.clear_outputs();
            let value = alone.find(&name).unwrap();
            alone.output(value);
            let found = run(&alone, &pixels(), &[&name]);
            let Element::U8(found) = &found[0].data else {
                panic!("{name} is no byte");
            };
            let differ: Vec<i64> = found
                .iter()
                .zip(&expected)
                .map(|(found, expected)| (i64::from(*found) - expected).abs())
                .collect();
            assert!(differ.iter().all(|steps| *steps <= 1), "{name}");
            let wrong = differ.iter().filter(|steps| **steps > 0).count();
            assert!(
                wrong * 20 <= differ.len(),
                "{name}: {wrong} of {}",
                differ.len()
            );
        }
    }
}

/// Two layers, of which only one is clipped, concatenated; or one layer clipped twice.
fn joined_or_cut_twice(joined: bool) -> Graph {
    let mut graph = Graph::new("test");
    let side = Dim::Fixed(SIDE);
    let shape = ["N".into(), 3.into(), side.clone(), side];
    let x = graph.input("planes", ElementType::F32, &shape);
    let layer = |graph: &mut Graph, seed: usize, name: &str| {
        let w = Tensor::new([4, 3, 1, 1], drawn(12, seed));
        let w = graph.constant_named(&format!("{name}.w"), w);
        let b = Tensor::new([4], drawn(4, seed + 50));
        let b = graph.constant_named(&format!("{name}.b"), b);
        let sliding = Sliding::new(&[1; 2], &[1; 2], &[0; 4]);
        graph.op_named(Conv::new(sliding, 1), &[x, w, b], name)
    };
    let a = layer(&mut graph, 1, "a");
    let a = graph.op_named(Activation::Relu, &[a], "a.kept");
    let all = if joined {
        let b = layer(&mut graph, 2, "b");
        graph.op_named(Moves::Concat { axis: 1 }, &[a, b], "all")
    } else {
        let [low, high] = [0.0, 0.5].map(|bound| graph.number(bound));
        graph.op_named(Activation::CLIP, &[a, low, high], "all")
    };
    let pool = graph.op(GlobalPool::Average, &[all]);
    let flat = graph.op_named(Reshaping::FLATTEN, &[pool], "bottleneck");
    let width = if joined { 8 } else { 4 };
    let w = graph.constant_named("head.w", Tensor::new([width, 3], drawn(width * 3, 4)));
    let b = graph.constant_named("head.b", Tensor::new([3], drawn(3, 5)));
    let logits = graph.op_named(Linear::GEMM, &[flat, w, b], "logits");
    let softmax = graph.op_named(Softmax::LAST, &[logits], "probabilities");
    graph.output(softmax);
    graph
}

#[test]
fn no_activation_is_lost_where_values_share_a_scale_or_are_cut_off_twice() {
    for joined in [true, false] {
        let prepared = prepare(&joined_or_cut_twice(joined), [127.0; 3], [128.0; 3]).unwrap();
        let how = Quantizing {
            ranges: measured(&prepared),
            ..Quantizing::default()
        };
        let quantized = quantize(&prepared, &how, "image").unwrap();
        // The activation that no range can replace stays an operator.
        assert_eq!(count(&quantized, |op| matches!(op, Op::Activation(_))), 1);
        let expected = reals(&prepared, prepared.graph.outputs());
        let found = run(&quantized, &pixels(), &["probabilities"]);
        let pairs = expected[0]
            .f32()
            .unwrap()
            .iter()
            .zip(found[0].f32().unwrap());
        for (expected, found) in pairs {
            assert!(
                (expected - found).abs() < 0.02,
                "{joined}: {expected} {found}"
            );
        }
    }
}

#[test]
fn nearest_is_to_the_even_one_of_two() {
    // Zeros may differ in it.
    const SIGN: u32 = 1 << 31;
    let values = [
        0.0,
        -0.0,
        0.5,
        1.5,
        2.5,
        -0.5,
        -1.5,
        0.499_999_97,
        126.5,
        4_194_303.5,
        4_194_304.5,
        1e30,
        f32::INFINITY,
    ];
    for value in values {
        let [found, expected] = [nearest(value), value.round_ties_even()].map(f32::to_bits);
        assert_eq!(found & !SIGN, expected & !SIGN, "{value}");
    }
    assert!(nearest(f32::NAN).is_nan());
}
