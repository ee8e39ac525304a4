//! Convolutions in ONNX Runtime's blocked layout, with the activations that they apply themselves.

use super::Random;
use super::reference::{Array, Slide, check_single, conv};
use super::windows::{attributes, padding, slide};
use crate::onnx::{Attribute, Dim, ElementType, Graph, Session, Tensor, Window, block_size};
use crate::train::gradient::Backward;
use crate::train::gradient::rules::mask_of_blocked;

/// What follows a convolution in the same node.
#[derive(Debug, Clone, Copy)]
enum Activation {
    Nothing,
    Relu,
    UpTo(f32),
}

impl Activation {
    fn of_turn(turn: usize) -> Self {
        [Self::Nothing, Self::Relu, Self::UpTo(1.3)][turn % 3]
    }

    fn attributes(self) -> Vec<(&'static str, Attribute)> {
        let named = |name: &str| ("activation", Attribute::Text(name.into()));
        match self {
            Self::Nothing => Vec::new(),
            Self::Relu => vec![named("Relu")],
            Self::UpTo(highest) => {
                let bounds = Attribute::Floats(vec![0.0, highest]);
                vec![named("Clip"), ("activation_params", bounds)]
            }
        }
    }

    fn after(self, mut y: Array) -> Array {
        for value in &mut y.data {
            *value = match self {
                Self::Nothing => *value,
                Self::Relu => value.max(0.0),
                Self::UpTo(highest) => value.clamp(0.0, f64::from(highest)),
            };
        }
        y
    }
}

fn shaped(graph: &mut Graph, value: &str, shape: &[usize]) -> String {
    let shape: Vec<i64> = shape.iter().map(|len| *len as i64).collect();
    let shape = graph.ints(&shape);
    graph.op("Reshape", &[value, &shape])
}

/// Into and out of blocks of channels, and a depthwise convolution between.
#[test]
fn depthwise_convolutions() {
    let Some(block) = block_size() else {
        return;
    };
    let mut random = Random::new(107);
    let mut checked = 0;
    for turn in 0..60 {
        let activation = Activation::of_turn(turn);
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
        let mut attributes = attributes(&slide, padding);
        attributes.push(("group", Attribute::Int(channels as i64)));
        let mut plain = Graph::new("window");
        plain.op_with("Conv", &[], &attributes);
        attributes.extend(activation.attributes());
        let window = Window::of(&plain.nodes[0], &size, &slide.kernel).unwrap();
        if window.pads_backwards().is_none() {
            continue;
        }
        checked += 1;
        check_single(
            &format!(
                "blocked Conv {turn}, {channels} channels, {padding:?}, {slide:?}, {activation:?}"
            ),
            &mut random,
            &inputs,
            &|graph, x| {
                let taps = height * width;
                let kernel = shaped(graph, &x[1], &[channels / block, block, taps]);
                let perm = Attribute::Ints(vec![0, 2, 1]);
                let kernel = graph.op_with("Transpose", &[&kernel], &[("perm", perm)]);
                let kernel = shaped(graph, &kernel, &[channels, 1, height, width]);
                let blocked = graph.blocked_op("ReorderInput", &[&x[0]], &[]);
                let y = graph.blocked_op("Conv", &[&blocked, &kernel, &x[2]], &attributes);
                let all = Attribute::Int(channels as i64);
                graph.blocked_op("ReorderOutput", &[&y], &[("channels", all)])
            },
            &|x| activation.after(conv(&x[0], &x[1], x.get(2), &slide, channels)),
        );
    }
    assert!(checked > 20, "{checked} of 60 geometries");
}

/// Both ways of the kernel's gradient: fewer channels before than behind, and the other way round.
#[test]
fn pointwise_convolutions() {
    let Some(block) = block_size() else {
        return;
    };
    let mut random = Random::new(111);
    for turn in 0..18 {
        let activation = Activation::of_turn(turn);
        let [from, to] = [(); 2].map(|()| block * (1 + random.below(3)));
        let size = [block, 1 + random.below(3)];
        let slide = Slide {
            kernel: [1; 2],
            strides: [1; 2],
            dilations: [1; 2],
            pads: [0; 4],
            output: size,
        };
        // Below, between and above the bounds of the activations, and not near them.
        let most = 0.3 / from as f64;
        let inputs = [
            Array::random(&mut random, &[1, from, size[0], size[1]], -1.0, 1.0),
            Array::random(&mut random, &[to, from, 1, 1], -most, most),
            Array {
                shape: vec![to],
                data: (0..to).map(|at| [-1.0, 0.65, 3.0][at % 3]).collect(),
            },
        ];
        // Made of a plain kernel by one node, or in another way: the rule knows the first.
        let by_one_node = turn % 2 == 0;
        check_single(
            &format!("blocked Conv {turn}, {from} to {to} channels, {activation:?}"),
            &mut random,
            &inputs,
            &|graph, x| {
                let kernel = if by_one_node {
                    let plain = shaped(graph, &x[1], &[1, to, from, 1]);
                    graph.blocked_op("ReorderInput", &[&plain], &[])
                } else {
                    let plain = shaped(graph, &x[1], &[to / block, block, from]);
                    let perm = Attribute::Ints(vec![0, 2, 1]);
                    graph.op_with("Transpose", &[&plain], &[("perm", perm)])
                };
                let kernel = shaped(graph, &kernel, &[to, from, 1, 1]);
                let blocked = graph.blocked_op("ReorderInput", &[&x[0]], &[]);
                let attributes = activation.attributes();
                let y = graph.blocked_op("Conv", &[&blocked, &kernel, &x[2]], &attributes);
                let all = Attribute::Int(to as i64);
                graph.blocked_op("ReorderOutput", &[&y], &[("channels", all)])
            },
            &|x| activation.after(conv(&x[0], &x[1], x.get(2), &slide, 1)),
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
        graph.input("y", ElementType::F32, &shape.map(Dim::Fixed));
        let mut backward = Backward::new(&mut graph, &["y"]);
        let one_sided = mask_of_blocked(&mut backward, "y", None).unwrap();
        let two_sided = mask_of_blocked(&mut backward, "y", Some(highest)).unwrap();
        graph.output_as(&one_sided, "one", ElementType::F32, &shape.map(Dim::Fixed));
        graph.output_as(&two_sided, "two", ElementType::F32, &shape.map(Dim::Fixed));
        let mut session = Session::from_bytes(&graph.to_bytes(), 1).unwrap();
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
