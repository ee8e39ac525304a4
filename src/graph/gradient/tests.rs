//! Checks every rule against central differences, in double precision, over generated shapes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed set-up is a failed test"
)]

mod blocked;
mod moves;
mod reference;
mod whole_graphs;
mod windows;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use super::gradients;
use crate::graph::attributes::Attribute;
use crate::graph::ops::{Elementwise, ReduceKind};
use crate::graph::{Dim, Graph, Op, ValueId};
use crate::onnx::{Element, ElementType, Session, Tensor, cast_target};

struct Random(ChaCha8Rng);

impl Random {
    fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A pseudorandom number in 0..1.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, end: usize) -> usize {
        (self.unit() * end as f64) as usize
    }

    fn len(&mut self) -> usize {
        1 + self.below(4)
    }

    fn tensor(&mut self, shape: &[usize], low: f64, high: f64) -> Tensor {
        let len = shape.iter().product();
        let values: Vec<f64> = (0..len).map(|_| low + (high - low) * self.unit()).collect();
        Tensor::new(shape, values)
    }
}

/// A graph of some inputs, whose derivatives by all of them are checked.
struct Case<'a> {
    name: &'a str,
    inputs: Vec<Tensor>,
    /// Whether the graph knows the lengths of the inputs' dimensions.
    fixed: bool,
    build: &'a dyn Fn(&mut Graph, &[ValueId]) -> ValueId,
}

impl Case<'_> {
    /// Compares the derivatives with central differences of `loss = Σ r·y`, where `r` is random, so that each element
    /// of the result has a gradient of its own.
    fn check(&self, random: &mut Random) {
        let mut graph = Graph::new("case");
        let names: Vec<String> = (0..self.inputs.len()).map(|at| format!("x{at}")).collect();
        let x: Vec<ValueId> = names
            .iter()
            .zip(&self.inputs)
            .map(|(name, tensor)| {
                let dims = tensor.shape.iter().enumerate();
                let shape: Vec<Dim> = dims
                    .map(|(at, len)| {
                        if self.fixed {
                            Dim::Fixed(*len)
                        } else {
                            Dim::Free(format!("{name}_{at}"))
                        }
                    })
                    .collect();
                graph.input(name, ElementType::F64, &shape)
            })
            .collect();
        let y = (self.build)(&mut graph, &x);
        let inferred = graph.shape(y).map(<[Dim]>::to_vec);
        // Without a declared shape, so that the result's shape is inferred or found at run time, as in real use.
        output_shapeless(&mut graph, y, "y");
        let r = graph.input("r", ElementType::F64, &[]);
        graph.value_mut(r).fact.shape = None;
        let weighted = graph.mul(y, r);
        let loss = graph.reduce_all(ReduceKind::Sum, weighted);
        graph.output_as(loss, "loss");
        let found = gradients(&mut graph, loss, &x).unwrap();
        for (index, gradient) in found.into_iter().enumerate() {
            output_shapeless(&mut graph, gradient, &format!("d{index}"));
        }
        let mut session = Session::from_bytes(&graph.to_onnx(), 1)
            .unwrap_or_else(|error| panic!("{}: {error}", self.name));
        let run = |session: &mut Session, inputs: &[Tensor], r: &Tensor, outputs: &[&str]| {
            let mut named: Vec<(&str, &Tensor)> =
                names.iter().map(String::as_str).zip(inputs).collect();
            named.push(("r", r));
            session
                .run(&named, outputs)
                .unwrap_or_else(|error| panic!("{}: {error}", self.name))
        };
        let one = Tensor::new([1], vec![1.0_f64]);
        let shape = run(&mut session, &self.inputs, &one, &["y"])[0]
            .shape
            .clone();
        let expected: Vec<Dim> = shape.iter().map(|len| Dim::Fixed(*len)).collect();
        if self.fixed {
            assert_eq!(
                inferred,
                Some(expected),
                "{}: the inferred shape",
                self.name
            );
        }
        let r = random.tensor(&shape, -1.0, 1.0);
        let outputs: Vec<String> = (0..names.len()).map(|index| format!("d{index}")).collect();
        let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
        let analytic = run(&mut session, &self.inputs, &r, &outputs);
        for (index, gradient) in analytic.iter().enumerate() {
            assert_eq!(
                gradient.shape, self.inputs[index].shape,
                "{}: shape of gradient {index}",
                self.name
            );
            for at in 0..self.inputs[index].data.len() {
                let mut loss_at = |step: f64| {
                    let mut inputs = self.inputs.clone();
                    let Element::F64(values) = &mut inputs[index].data else {
                        unreachable!()
                    };
                    values[at] += step;
                    run(&mut session, &inputs, &r, &["loss"])[0].f64().unwrap()[0]
                };
                let step = 1e-5;
                let numeric = (loss_at(step) - loss_at(-step)) / (2.0 * step);
                let exact = gradient.f64().unwrap()[at];
                assert!(
                    (numeric - exact).abs() < 1e-7 * (1.0 + numeric.abs()),
                    "{} (fixed shapes: {}), input {index} of {:?}, element {at}: rule {exact}, differences {numeric}",
                    self.name,
                    self.fixed,
                    self.inputs[index].shape,
                );
            }
        }
    }
}

/// Declares an output without a shape.
fn output_shapeless(graph: &mut Graph, value: ValueId, name: &str) {
    let output = graph.output_as(value, name);
    graph.value_mut(output).fact.shape = None;
}

impl Graph {
    /// Adds a node by the name and attributes that it has in a file.
    fn spelled<I>(
        &mut self,
        op_type: &str,
        inputs: &[I],
        attributes: &[(&str, Attribute)],
    ) -> ValueId
    where
        I: Copy + Into<Option<ValueId>>,
    {
        self.op(spelled(op_type, attributes), inputs)
    }
}

/// The operator with this name and these attributes in a file.
fn spelled(op_type: &str, attributes: &[(&str, Attribute)]) -> Op {
    let attributes: Vec<_> = attributes
        .iter()
        .map(|(name, value)| crate::graph::attributes::to_proto(name, value))
        .collect();
    let op = Op::of_file("", op_type, &attributes, crate::graph::OPSET);
    assert!(!matches!(op, Op::Other(_)), "{op_type} {attributes:?}");
    op
}

/// Checks a graph with known and with unknown lengths.
fn check(
    name: &str,
    random: &mut Random,
    inputs: &[Tensor],
    build: &dyn Fn(&mut Graph, &[ValueId]) -> ValueId,
) {
    for fixed in [true, false] {
        Case {
            name,
            inputs: inputs.to_vec(),
            fixed,
            build,
        }
        .check(random);
    }
}

/// Two shapes that broadcast to each other, of up to three dimensions.
fn broadcast_shapes(random: &mut Random) -> [Vec<usize>; 2] {
    let full: Vec<usize> = (0..=random.below(3)).map(|_| random.len()).collect();
    let mut shapes = [full.clone(), full];
    for shape in &mut shapes {
        for dim in shape.iter_mut() {
            if random.below(3) == 0 {
                *dim = 1;
            }
        }
    }
    let which = random.below(2);
    let drop = random.below(shapes[which].len() + 1);
    shapes[which].drain(..drop);
    shapes
}

#[test]
fn elementwise_arithmetic_with_broadcasting() {
    let mut random = Random::new(1);
    for operator in ["Add", "Sub", "Mul", "Div"] {
        for _ in 0..12 {
            let [a, b] = broadcast_shapes(&mut random);
            let inputs = vec![random.tensor(&a, -2.0, 2.0), random.tensor(&b, 0.5, 2.0)];
            check(operator, &mut random, &inputs, &|graph, x| {
                graph.spelled(operator, &[x[0], x[1]], &[])
            });
        }
    }
}

#[test]
fn functions_of_one_value() {
    let mut random = Random::new(2);
    for (operator, low, high) in [
        ("Neg", -2.0, 2.0),
        ("Exp", -2.0, 2.0),
        ("Log", 0.5, 3.0),
        ("Sqrt", 0.5, 3.0),
        ("Relu", 0.1, 2.0),
        ("Relu", -2.0, -0.1),
        ("Sigmoid", -3.0, 3.0),
        ("Tanh", -2.0, 2.0),
        ("Identity", -2.0, 2.0),
        ("Softmax", -2.0, 2.0),
        ("LogSoftmax", -2.0, 2.0),
    ] {
        for _ in 0..3 {
            let shape = [random.len(), random.len() + 1];
            let inputs = vec![random.tensor(&shape, low, high)];
            check(operator, &mut random, &inputs, &|graph, x| {
                graph.spelled(operator, &[x[0]], &[])
            });
        }
    }
}

#[test]
fn softmax_along_the_first_axis() {
    let mut random = Random::new(3);
    for operator in ["Softmax", "LogSoftmax"] {
        let inputs = vec![random.tensor(&[3, 2], -2.0, 2.0)];
        check(operator, &mut random, &inputs, &|graph, x| {
            graph.spelled(operator, &[x[0]], &[("axis", Attribute::Int(0))])
        });
    }
}

#[test]
fn clip_between_below_and_above_its_bounds() {
    let mut random = Random::new(4);
    // Away from 0 and 6, where the function is not differentiable.
    for (low, high) in [(-3.0, -0.5), (0.5, 5.5), (6.5, 9.0)] {
        let inputs = vec![random.tensor(&[3, 2], low, high)];
        check("Clip", &mut random, &inputs, &|graph, x| {
            let low = graph.constant(Tensor::scalar(0.0_f64));
            let high = graph.constant(Tensor::scalar(6.0_f64));
            graph.spelled("Clip", &[x[0], low, high], &[])
        });
        check("Clip above", &mut random, &inputs, &|graph, x| {
            let high = graph.constant(Tensor::scalar(6.0_f64));
            graph.spelled("Clip", &[Some(x[0]), None, Some(high)], &[])
        });
    }
}

#[test]
fn products_of_matrices() {
    let mut random = Random::new(5);
    for _ in 0..6 {
        let [rows, inner, columns, batch] = std::array::from_fn(|_| random.len());
        for (left, right) in [
            (vec![rows, inner], vec![inner, columns]),
            (vec![batch, rows, inner], vec![inner, columns]),
            (vec![rows, inner], vec![batch, inner, columns]),
            (vec![batch, rows, inner], vec![batch, inner, columns]),
            (vec![2, 1, rows, inner], vec![batch, inner, columns]),
        ] {
            let inputs = vec![
                random.tensor(&left, -1.0, 1.0),
                random.tensor(&right, -1.0, 1.0),
            ];
            check("MatMul", &mut random, &inputs, &|graph, x| {
                graph.spelled("MatMul", &[x[0], x[1]], &[])
            });
        }
    }
}

#[test]
fn gemm_in_all_transpositions_with_all_biases() {
    let mut random = Random::new(6);
    for trans_a in [0, 1] {
        for trans_b in [0, 1] {
            let [rows, inner, columns] = std::array::from_fn(|_| random.len());
            for bias in [
                None,
                Some(vec![rows, columns]),
                Some(vec![columns]),
                Some(vec![rows, 1]),
                Some(vec![1, columns]),
                Some(vec![]),
            ] {
                let a = if trans_a == 1 {
                    [inner, rows]
                } else {
                    [rows, inner]
                };
                let b = if trans_b == 1 {
                    [columns, inner]
                } else {
                    [inner, columns]
                };
                let mut inputs = vec![random.tensor(&a, -1.0, 1.0), random.tensor(&b, -1.0, 1.0)];
                inputs.extend(bias.map(|shape| random.tensor(&shape, -1.0, 1.0)));
                check("Gemm", &mut random, &inputs, &|graph, x| {
                    graph.spelled(
                        "Gemm",
                        x,
                        &[
                            ("transA", Attribute::Int(trans_a)),
                            ("transB", Attribute::Int(trans_b)),
                            ("alpha", Attribute::Float(0.5)),
                            ("beta", Attribute::Float(1.5)),
                        ],
                    )
                });
            }
        }
    }
}

#[test]
fn sums_and_means() {
    let mut random = Random::new(7);
    for keep in [0, 1] {
        for axes in [vec![0], vec![-1], vec![0, 2], vec![0, 1, 2]] {
            let shape = [random.len(), random.len(), random.len()];
            let inputs = vec![random.tensor(&shape, -1.0, 1.0)];
            check("ReduceSum", &mut random, &inputs, &|graph, x| {
                let axes = graph.ints(&axes);
                graph.spelled(
                    "ReduceSum",
                    &[x[0], axes],
                    &[("keepdims", Attribute::Int(keep))],
                )
            });
            check("ReduceMean", &mut random, &inputs, &|graph, x| {
                graph.spelled(
                    "ReduceMean",
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
fn moving_values() {
    let mut random = Random::new(8);
    let inputs = vec![random.tensor(&[2, 3, 4], -1.0, 1.0)];
    check("Reshape", &mut random, &inputs, &|graph, x| {
        let shape = graph.ints(&[4, -1]);
        graph.spelled("Reshape", &[x[0], shape], &[])
    });
    check("Flatten", &mut random, &inputs, &|graph, x| {
        graph.spelled("Flatten", &[x[0]], &[("axis", Attribute::Int(2))])
    });
    check("Unsqueeze", &mut random, &inputs, &|graph, x| {
        let axes = graph.ints(&[1]);
        graph.spelled("Unsqueeze", &[x[0], axes], &[])
    });
    for perm in [vec![2, 0, 1], vec![1, 2, 0], vec![0, 2, 1]] {
        check("Transpose", &mut random, &inputs, &|graph, x| {
            graph.spelled(
                "Transpose",
                &[x[0]],
                &[("perm", Attribute::Ints(perm.clone()))],
            )
        });
    }
    check("Transpose", &mut random, &inputs, &|graph, x| {
        graph.spelled("Transpose", &[x[0]], &[])
    });
    let inputs = vec![random.tensor(&[4, 3], -1.0, 1.0)];
    check("Gather", &mut random, &inputs, &|graph, x| {
        let rows = graph.ints(&[3, 0, 3, -1, 1]);
        graph.spelled("Gather", &[x[0], rows], &[])
    });
    let inputs = vec![random.tensor(&[4, 1, 3], -1.0, 1.0)];
    check("Squeeze", &mut random, &inputs, &|graph, x| {
        let axes = graph.ints(&[1]);
        graph.spelled("Squeeze", &[x[0], axes], &[])
    });
}

#[test]
fn a_value_used_several_times_gets_the_sum() {
    let mut random = Random::new(9);
    let inputs = vec![
        random.tensor(&[2, 3], 0.5, 1.5),
        random.tensor(&[3], 0.5, 1.5),
    ];
    check("shared", &mut random, &inputs, &|graph, x| {
        let product = graph.spelled("Mul", &[x[0], x[0]], &[]);
        let activated = graph.spelled("Sigmoid", &[product], &[]);
        let residual = graph.spelled("Add", &[activated, x[0]], &[]);
        let scaled = graph.spelled("Mul", &[residual, x[1]], &[]);
        graph.spelled("Add", &[scaled, x[1]], &[])
    });
}

#[test]
fn cross_entropy_of_a_two_layer_network() {
    let mut random = Random::new(10);
    let inputs = vec![
        random.tensor(&[5, 4], -1.0, 1.0),
        random.tensor(&[4, 6], -1.0, 1.0),
        random.tensor(&[6], 0.1, 0.5),
        random.tensor(&[6, 3], -1.0, 1.0),
        random.tensor(&[3], -1.0, 1.0),
    ];
    check("network", &mut random, &inputs, &|graph, x| {
        let hidden = graph.spelled("MatMul", &[x[0], x[1]], &[]);
        let hidden = graph.spelled("Add", &[hidden, x[2]], &[]);
        let hidden = graph.spelled("Tanh", &[hidden], &[]);
        let logits = graph.spelled("Gemm", &[hidden, x[3], x[4]], &[]);
        let log_p = graph.spelled("LogSoftmax", &[logits], &[]);
        let labels = graph.ints(&[0, 2, 1, 1, 0]);
        let classes = graph.ints(&[0, 1, 2]);
        let axes = graph.ints(&[1]);
        let column = graph.spelled("Unsqueeze", &[labels, axes], &[]);
        let equal = graph.spelled("Equal", &[column, classes], &[]);
        let to = Attribute::Int(cast_target(ElementType::F64));
        let one_hot = graph.spelled("Cast", &[equal], &[("to", to)]);
        let picked = graph.spelled("Mul", &[log_p, one_hot], &[]);
        let per_row = graph.spelled(
            "ReduceSum",
            &[picked, axes],
            &[("keepdims", Attribute::Int(0))],
        );
        let mean = graph.spelled("ReduceMean", &[per_row], &[("keepdims", Attribute::Int(0))]);
        graph.spelled("Neg", &[mean], &[])
    });
}

#[test]
fn what_the_loss_does_not_depend_on_gets_zeros_and_needs_no_rule() {
    let mut graph = Graph::new("unused");
    let x = graph.input("x", ElementType::F64, &[Dim::Fixed(2)]);
    let other = graph.input("other", ElementType::F64, &[Dim::Fixed(3)]);
    let loss = graph.reduce_all(ReduceKind::Sum, x);
    // An operator without a rule, not on the path from `x` to the loss.
    let _floor = graph.op(Elementwise::Floor, &[x]);
    let found = gradients(&mut graph, loss, &[other, x]).unwrap();
    graph.output_as(found[0], "d_other");
    graph.output_as(found[1], "d_x");
    let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
    let x = Tensor::new([2], vec![1.0_f64, 2.0]);
    let other = Tensor::new([3], vec![1.0_f64; 3]);
    let results = session
        .run(&[("x", &x), ("other", &other)], &["d_other", "d_x"])
        .unwrap();
    assert_eq!(results[0], Tensor::new([3], vec![0.0_f64; 3]));
    assert_eq!(results[1], Tensor::new([2], vec![1.0_f64; 2]));
}

#[test]
fn an_operator_without_a_rule_is_named() {
    let mut graph = Graph::new("floor");
    let x = graph.input("x", ElementType::F32, &[Dim::Fixed(2)]);
    let floor = graph.op(Elementwise::Floor, &[x]);
    assert!(!graph.producer(floor).unwrap().op.has_gradient());
    let loss = graph.reduce_all(ReduceKind::Sum, floor);
    let error = gradients(&mut graph, loss, &[x]).unwrap_err();
    assert!(error.to_string().contains("“Floor”"), "{error}");
}
