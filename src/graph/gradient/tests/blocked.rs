//! Convolutions in ONNX Runtime's blocked layout, with fused activations.

use super::reference::{Array, Slide, check_single, conv};
use super::windows::{attributes, padding, slide};
use super::{Random, spelled};
use crate::graph::gradient::Backward;
use crate::graph::ops::{Blocked, Conv, Fused, block_size, mask_of_blocked};
use crate::graph::value::as_ints;
use crate::graph::{Dim, Graph, Op, ValueId};
use crate::onnx::{ElementType, Session, Tensor};

/// A fused activation, a different one for each turn.
fn fused(turn: usize) -> Fused {
    let clip = Fused::Clip {
        low: 0.0,
        high: 1.3,
    };
    [Fused::Nothing, Fused::Relu, clip][turn % 3]
}

fn after(fused: Fused, mut y: Array) -> Array {
    for value in &mut y.data {
        *value = match fused {
            Fused::Nothing => *value,
            Fused::Relu => value.max(0.0),
            Fused::Clip { low, high } => value.clamp(f64::from(low), f64::from(high)),
            Fused::HardSigmoid { .. } => unreachable!(),
        };
    }
    y
}

fn shaped(graph: &mut Graph, value: ValueId, shape: &[usize]) -> ValueId {
    graph.reshape(value, &as_ints(shape))
}

/// Conversions to and from the blocked layout, with a depthwise convolution between.
#[test]
fn depthwise_convolutions() {
    let Some(block) = block_size() else {
        return;
    };
    let mut random = Random::new(107);
    let mut checked = 0;
    for turn in 0..60 {
        let fused = fused(turn);
        let padding = padding(turn);
        let size = [3 + random.below(6), 3 + random.below(6)];
        let (images, channels) = (1 + random.below(2), block * (1 + random.below(2)));
        let slide = slide(&mut random, size, padding, false);
        let [height, width] = slide.kernel;
        let inputs = [
            Array::random(
                &mut random,
                &[images, channels, size[0], size[1]],
                -1.0,
                1.0,
            ),
            Array::random(&mut random, &[channels, 1, height, width], -1.0, 1.0),
            Array::random(&mut random, &[channels], -1.0, 1.0),
        ];
        let Op::Conv(Conv { sliding, .. }) = spelled("Conv", &attributes(&slide, padding)) else {
            unreachable!()
        };
        let window = sliding.window(&size, &slide.kernel, false).unwrap();
        if window.backward_padding().is_none() {
            continue;
        }
        checked += 1;
        check_single(
            &format!("blocked Conv {turn}, {channels} channels, {padding:?}, {slide:?}, {fused:?}"),
            &mut random,
            &inputs,
            &|graph, x| {
                let taps = height * width;
                let kernel = shaped(graph, x[1], &[channels / block, block, taps]);
                let kernel = graph.transpose(kernel, &[0, 2, 1]);
                let kernel = shaped(graph, kernel, &[channels, 1, height, width]);
                let blocked = graph.op(Blocked::INPUT, &[x[0]]);
                let conv = Blocked::conv(sliding.clone(), channels, fused);
                let y = graph.op(conv, &[blocked, kernel, x[2]]);
                graph.op(Blocked::output(channels, false), &[y])
            },
            &|x| after(fused, conv(&x[0], &x[1], x.get(2), &slide, channels)),
        );
    }
    assert!(checked > 20, "{checked} of 60 geometries");
}

/// Both forms of the kernel's gradient: with fewer input than output channels, and with more.
#[test]
fn pointwise_convolutions() {
    let Some(block) = block_size() else {
        return;
    };
    let mut random = Random::new(111);
    for turn in 0..18 {
        let fused = fused(turn);
        let [from, to] = [(); 2].map(|()| block * (1 + random.below(3)));
        let size = [block, 1 + random.below(3)];
        let slide = Slide {
            kernel: [1; 2],
            strides: [1; 2],
            dilations: [1; 2],
            pads: [0; 4],
            output: size,
        };
        // Values below, between and above the bounds of the activations, but not near them.
        let most = 0.3 / from as f64;
        let inputs = [
            Array::random(&mut random, &[1, from, size[0], size[1]], -1.0, 1.0),
            Array::random(&mut random, &[to, from, 1, 1], -most, most),
            Array {
                shape: vec![to],
                data: (0..to).map(|at| [-1.0, 0.65, 3.0][at % 3]).collect(),
            },
        ];
        // The kernel is reordered by one node, which the rule recognises, or in another way.
        let by_one_node = turn % 2 == 0;
        check_single(
            &format!("blocked Conv {turn}, {from} to {to} channels, {fused:?}"),
            &mut random,
            &inputs,
            &|graph, x| {
                let kernel = if by_one_node {
                    let plain = shaped(graph, x[1], &[1, to, from, 1]);
                    graph.op(Blocked::INPUT, &[plain])
                } else {
                    let plain = shaped(graph, x[1], &[to / block, block, from]);
                    graph.transpose(plain, &[0, 2, 1])
                };
                let kernel = shaped(graph, kernel, &[to, from, 1, 1]);
                let blocked = graph.op(Blocked::INPUT, &[x[0]]);
                let y = graph.op(Blocked::pointwise(fused), &[blocked, kernel, x[2]]);
                graph.op(Blocked::output(to, false), &[y])
            },
            &|x| after(fused, conv(&x[0], &x[1], x.get(2), &slide, 1)),
        );
    }
}

/// The mask is 1 up to the last number below the bound, and 0 at it.
#[test]
fn nothing_is_learned_at_the_bounds_of_an_activation() {
    let Some(block) = block_size() else {
        return;
    };
    for highest in [6.0_f32, 1.0, 4.0, 5.3, 0.37] {
        let tiny = 1e-20;
        let most = highest.next_down();
        let mut values = [0.0, tiny, 0.5 * highest, most, highest].repeat(block);
        values.truncate(2 * block);
        values.rotate_left(1);
        let shape = [1, block, 2, 1];
        let mut graph = Graph::new("mask");
        let y = graph.input("y", ElementType::F32, &shape.map(Dim::Fixed));
        let mut backward = Backward::new(&mut graph, &[y]);
        let one_sided = mask_of_blocked(&mut backward, y, None).unwrap();
        let two_sided = mask_of_blocked(&mut backward, y, Some(highest)).unwrap();
        graph.output_as(one_sided, "one");
        graph.output_as(two_sided, "two");
        let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
        let y = Tensor::new(shape, values.clone());
        let found = session.run(&[("y", &y)], &["one", "two"]).unwrap();
        let expected = |inside: &dyn Fn(f32) -> bool| -> Vec<f32> {
            let numbers = values
                .iter()
                .map(|value| f32::from(u8::from(inside(*value))));
            numbers.collect()
        };
        assert_eq!(found[0].f32().unwrap(), expected(&|y| y > 0.0));
        assert_eq!(
            found[1].f32().unwrap(),
            expected(&|y| y > 0.0 && y < highest),
            "up to {highest}"
        );
    }
}
