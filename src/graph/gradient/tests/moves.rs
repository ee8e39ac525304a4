//! Operators that slice, join, index and select; normalisation; the loss.

use super::reference::{Array, check_single};
use super::spelled;
use super::{Case, Random, check};
use crate::graph::attributes::Attribute;
use crate::graph::{CrossEntropy, Graph, ValueId};
use crate::onnx::{ElementType, Tensor, cast_target};

/// Checks a graph whose lengths must be known.
fn check_fixed(
    name: &str,
    random: &mut Random,
    inputs: &[Tensor],
    build: &dyn Fn(&mut Graph, &[ValueId]) -> ValueId,
) {
    Case {
        name,
        inputs: inputs.to_vec(),
        fixed: true,
        build,
    }
    .check(random);
}

#[test]
fn concat_along_each_axis() {
    let mut random = Random::new(201);
    for turn in 0..12 {
        let rank = 1 + random.below(3);
        let shape: Vec<usize> = (0..rank).map(|_| random.len()).collect();
        let axis = random.below(rank);
        let inputs: Vec<Tensor> = (0..=random.below(3))
            .map(|_| {
                let mut shape = shape.clone();
                shape[axis] = random.len();
                random.tensor(&shape, -1.0, 1.0)
            })
            .collect();
        let axis = if turn % 2 == 0 {
            axis as i64
        } else {
            axis as i64 - rank as i64
        };
        check("Concat", &mut random, &inputs, &|graph, x| {
            graph.spelled("Concat", x, &[("axis", Attribute::Int(axis))])
        });
    }
}

#[test]
fn split_in_equal_and_given_parts_some_of_them_unused() {
    let mut random = Random::new(202);
    for (lens, used) in [
        (None, [true, true, true]),
        (Some([1, 2, 3]), [true, true, true]),
        (Some([3, 1, 2]), [false, true, true]),
        (None, [true, false, false]),
    ] {
        for axis in [0, 1, -1] {
            let shape = if axis == 0 { [6, 2] } else { [2, 6] };
            let inputs = [random.tensor(&shape, -1.0, 1.0)];
            check("Split", &mut random, &inputs, &|graph, x| {
                let lens = lens.map(|lens| graph.ints(&lens));
                let from: Vec<ValueId> = [x[0]].into_iter().chain(lens).collect();
                let split = spelled("Split", &[("axis", Attribute::Int(axis))]);
                let parts = graph.op_many(split, &from, 3);
                let used = parts.into_iter().zip(used).filter(|(_, used)| *used);
                let squares: Vec<ValueId> = used.map(|(part, _)| graph.mul(part, part)).collect();
                graph.concat(&squares, axis)
            });
        }
    }
}

#[test]
fn slices_forwards_backwards_and_with_steps() {
    let mut random = Random::new(203);
    for (starts, ends, axes, steps) in [
        (vec![1], vec![3], Some(vec![0]), None),
        (vec![0, 1], vec![2, 4], None, None),
        (vec![-3], vec![i64::MAX], Some(vec![-1]), Some(vec![1])),
        (vec![0], vec![5], Some(vec![1]), Some(vec![2])),
        (vec![-1], vec![i64::MIN], Some(vec![1]), Some(vec![-1])),
        (
            vec![4, -1],
            vec![0, -4],
            Some(vec![1, 0]),
            Some(vec![-2, -1]),
        ),
        (vec![-100], vec![-1], Some(vec![1]), None),
    ] {
        let inputs = [random.tensor(&[4, 5], -1.0, 1.0)];
        check("Slice", &mut random, &inputs, &|graph, x| {
            let mut inputs = vec![
                Some(x[0]),
                Some(graph.ints(&starts)),
                Some(graph.ints(&ends)),
            ];
            for ints in [&axes, &steps] {
                inputs.push(ints.as_ref().map(|ints| graph.ints(ints)));
            }
            graph.spelled("Slice", &inputs, &[])
        });
    }
}

#[test]
fn margins_of_each_mode() {
    let mut random = Random::new(204);
    for mode in ["constant", "reflect", "edge"] {
        for pads in [[0, 1, 2, 0], [2, 1, 1, 2], [0, 0, 0, 0]] {
            let inputs = [random.tensor(&[3, 4], -1.0, 1.0)];
            check(mode, &mut random, &inputs, &|graph, x| {
                let pads = graph.ints(&pads);
                let value = graph.constant(Tensor::scalar(0.5_f64));
                graph.spelled(
                    "Pad",
                    &[x[0], pads, value],
                    &[("mode", Attribute::Text(mode.into()))],
                )
            });
        }
    }
    // Negative padding crops.
    let inputs = [random.tensor(&[3, 4], -1.0, 1.0)];
    check("Pad", &mut random, &inputs, &|graph, x| {
        let pads = graph.ints(&[-1, 2, 0, -2]);
        graph.spelled("Pad", &[x[0], pads], &[])
    });
}

#[test]
fn values_picked_along_other_axes() {
    let mut random = Random::new(205);
    let inputs = [random.tensor(&[3, 4, 2], -1.0, 1.0)];
    for axis in [0, 1, -1] {
        check("Gather", &mut random, &inputs, &|graph, x| {
            let places = graph.constant(Tensor::new([2, 2], vec![1_i64, 0, -1, 1]));
            graph.spelled("Gather", &[x[0], places], &[("axis", Attribute::Int(axis))])
        });
        check("Gather of one", &mut random, &inputs, &|graph, x| {
            let place = graph.constant(Tensor::scalar(1_i64));
            graph.spelled("Gather", &[x[0], place], &[("axis", Attribute::Int(axis))])
        });
    }
}

#[test]
fn expanded_values() {
    let mut random = Random::new(206);
    for (shape, target) in [
        (vec![3, 1], [2, 3, 4]),
        (vec![1], [2, 1, 3]),
        (vec![], [1, 2, 2]),
    ] {
        let inputs = [random.tensor(&shape, -1.0, 1.0)];
        check("Expand", &mut random, &inputs, &|graph, x| {
            let target = graph.ints(&target);
            graph.spelled("Expand", &[x[0], target], &[])
        });
    }
}

#[test]
fn choices_between_values() {
    let mut random = Random::new(207);
    for _ in 0..8 {
        let [a, b] = super::broadcast_shapes(&mut random);
        let inputs = [random.tensor(&a, -1.0, 1.0), random.tensor(&b, -1.0, 1.0)];
        check("Where", &mut random, &inputs, &|graph, x| {
            let half = graph.constant(Tensor::scalar(0.3_f64));
            let condition = graph.spelled("Greater", &[x[1], half], &[]);
            graph.spelled("Where", &[condition, x[0], x[1]], &[])
        });
        for operator in ["Max", "Min"] {
            check(operator, &mut random, &inputs, &|graph, x| {
                let bound = graph.constant(Tensor::scalar(0.1_f64));
                graph.spelled(operator, &[x[0], x[1], bound], &[])
            });
        }
        check("Sum", &mut random, &inputs, &|graph, x| {
            graph.spelled("Sum", &[x[0], x[1], x[0]], &[])
        });
    }
    for operator in ["ReduceMax", "ReduceMin"] {
        for (keep, axes) in [(0, vec![1]), (1, vec![0, 2]), (0, vec![0, 1, 2])] {
            let inputs = [random.tensor(&[2, 3, 4], -1.0, 1.0)];
            check(operator, &mut random, &inputs, &|graph, x| {
                graph.spelled(
                    operator,
                    &[x[0]],
                    &[
                        ("axes", Attribute::Ints(axes.clone())),
                        ("keepdims", Attribute::Int(keep)),
                    ],
                )
            });
        }
    }
}

#[test]
fn powers_and_other_functions() {
    let mut random = Random::new(208);
    let inputs = [
        random.tensor(&[2, 3], 0.5, 2.0),
        random.tensor(&[3], -2.0, 2.0),
    ];
    check("Pow", &mut random, &inputs, &|graph, x| {
        graph.spelled("Pow", &[x[0], x[1]], &[])
    });
    for power in [2.0_f64, 3.0, 1.0, -1.0] {
        let inputs = [random.tensor(&[2, 3], -2.0, -0.5)];
        check("Pow", &mut random, &inputs, &|graph, x| {
            let power = graph.constant(Tensor::scalar(power));
            graph.spelled("Pow", &[x[0], power], &[])
        });
    }
    check("Pow", &mut random, &inputs[..1], &|graph, x| {
        let power = graph.constant(Tensor::scalar(2_i64));
        graph.spelled("Pow", &[x[0], power], &[])
    });
    for (low, high) in [(0.1, 1.0), (-1.0, -0.1)] {
        let inputs = [random.tensor(&[2, 3], low, high)];
        check("Abs", &mut random, &inputs, &|graph, x| {
            graph.spelled("Abs", &[x[0]], &[])
        });
        check("Reciprocal", &mut random, &inputs, &|graph, x| {
            graph.spelled("Reciprocal", &[x[0]], &[])
        });
    }
}

#[test]
fn values_in_other_types() {
    let mut random = Random::new(209);
    let inputs = [random.tensor(&[2, 3], -1.0, 1.0)];
    // Casting a mask to floats has no gradient; the path around it has one.
    check("Cast", &mut random, &inputs, &|graph, x| {
        let zero = graph.constant(Tensor::scalar(0.0_f64));
        let positive = graph.spelled("Greater", &[x[0], zero], &[]);
        let to = |element| [("to", Attribute::Int(cast_target(element)))];
        let mask = graph.spelled("Cast", &[positive], &to(ElementType::F64));
        let same = graph.spelled("Cast", &[x[0]], &to(ElementType::F64));
        graph.spelled("Mul", &[same, mask], &[])
    });
    let x = Array::random(&mut random, &[2, 3], -1.0, 1.0);
    check_single(
        "Cast there and back",
        &mut random,
        &[x],
        &|graph, x| {
            let to = |element| [("to", Attribute::Int(cast_target(element)))];
            let double = graph.spelled("Cast", &[x[0]], &to(ElementType::F64));
            let half = graph.spelled("Cast", &[double], &to(ElementType::F32));
            graph.spelled("Mul", &[half, half], &[])
        },
        &|x| Array {
            shape: x[0].shape.clone(),
            data: x[0].data.iter().map(|x| x * x).collect(),
        },
    );
}

#[test]
fn layer_normalization() {
    let mut random = Random::new(210);
    for (axis, scale) in [(-1, vec![4]), (1, vec![3, 4]), (0, vec![2, 3, 4])] {
        let inputs = [
            random.tensor(&[2, 3, 4], -2.0, 2.0),
            random.tensor(&scale, 0.5, 1.5),
            random.tensor(&scale, -1.0, 1.0),
        ];
        for given in [2, 3] {
            check_fixed(
                "LayerNormalization",
                &mut random,
                &inputs[..given],
                &|graph, x| {
                    graph.spelled(
                        "LayerNormalization",
                        x,
                        &[
                            ("axis", Attribute::Int(axis)),
                            ("epsilon", Attribute::Float(0.1)),
                        ],
                    )
                },
            );
        }
    }
}

/// The error function, by its Taylor series.
fn erf(x: f64) -> f64 {
    let mut term = x;
    let mut sum = x;
    for n in 1..80 {
        let n = f64::from(n);
        term *= -x * x / n;
        sum += term / (2.0 * n + 1.0);
    }
    sum * std::f64::consts::FRAC_2_SQRT_PI
}

#[test]
fn the_error_function_and_gelu() {
    let mut random = Random::new(211);
    let each = |x: &[Array], f: &dyn Fn(f64) -> f64| Array {
        shape: x[0].shape.clone(),
        data: x[0].data.iter().map(|x| f(*x)).collect(),
    };
    let x = [Array::random(&mut random, &[4, 6], -3.0, 3.0)];
    check_single(
        "Erf",
        &mut random,
        &x,
        &|graph, x| graph.spelled("Erf", &[x[0]], &[]),
        &|x| each(x, &erf),
    );
    check_single(
        "Gelu",
        &mut random,
        &x,
        &|graph, x| {
            graph.opset = 20;
            graph.spelled("Gelu", &[x[0]], &[])
        },
        &|x| each(x, &|x| x * (1.0 + erf(x / 2.0_f64.sqrt())) / 2.0),
    );
    check_single(
        "Gelu by tanh",
        &mut random,
        &x,
        &|graph, x| {
            graph.opset = 20;
            let approximate = Attribute::Text("tanh".into());
            graph.spelled("Gelu", &[x[0]], &[("approximate", approximate)])
        },
        &|x| {
            each(x, &|x| {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                x * (1.0 + inner.tanh()) / 2.0
            })
        },
    );
}

#[test]
fn cross_entropy_with_smoothed_labels_and_weighted_classes() {
    let mut random = Random::new(212);
    for (smoothing, class_weights) in [
        (0.0, None),
        (0.1, None),
        (0.0, Some(vec![0.5, 2.0, 1.0])),
        (0.2, Some(vec![0.5, 2.0, 1.0])),
    ] {
        let loss = CrossEntropy {
            smoothing,
            class_weights,
            by_row: false,
        };
        let inputs = [random.tensor(&[4, 3], -2.0, 2.0)];
        check("cross-entropy", &mut random, &inputs, &|graph, x| {
            let labels = graph.ints(&[2, 0, 1, 1]);
            loss.append(graph, x[0], labels, 3, ElementType::F64)
        });
    }
}
