//! Tests of whole graphs instead of single rules: how far back they can be trained, dropout, the value of the loss.

use super::Random;
use crate::graph::gradient::{Mask, WithoutRule};
use crate::graph::ops::{Conv, Elementwise, ReduceKind, Reshaping};
use crate::graph::{
    CrossEntropy, Dim, Graph, Op, Other, Sliding, explicit_masks, gradients, reach,
};
use crate::onnx::{ElementType, Session, Tensor};

fn fixed(shape: &[usize]) -> Vec<Dim> {
    Dim::all_fixed(shape)
}

#[test]
fn training_begins_after_the_last_operators_without_a_rule() {
    let mut graph = Graph::new("reach");
    let x = graph.input("x", ElementType::F32, &fixed(&[2, 3]));
    let w = graph.constant_named("w", Tensor::zeros(ElementType::F32, [3]));
    let first = graph.spelled("Relu", &[x], &[]);
    let early = graph.op(Elementwise::Floor, &[first]);
    let between = graph.op(Elementwise::Exp, &[early]);
    let late = graph.op_named(Elementwise::Floor, &[between], "late");
    graph.nodes.last_mut().unwrap().name = "the late one".into();
    let scaled = graph.mul(late, w);
    // A branch that bypasses `late`, and the shape of a value without a rule, which blocks no gradient.
    let branch = graph.op(Elementwise::Abs, &[early]);
    let shape = graph.shape_of(early);
    let branch = graph.reshape_to(branch, shape);
    let output = graph.add(scaled, branch);
    let found = reach(&graph, output);
    let names: Vec<(&str, &str)> = found
        .without_rule
        .iter()
        .map(|WithoutRule { operator, node }| (operator.as_str(), node.as_str()))
        .collect();
    assert_eq!(
        names,
        [("Floor", graph.name_of(early)), ("Floor", "the late one")]
    );
    assert_eq!(found.from, [early, late]);

    // From there on the graph can be differentiated, although operators without a rule compute it.
    let loss = graph.reduce_all(ReduceKind::Sum, output);
    gradients(&mut graph.clone(), loss, &[late, w]).unwrap();
    let error = gradients(&mut graph.clone(), loss, &[x]).unwrap_err();
    assert!(
        error.to_string().contains("“Floor” (node “the late one”)"),
        "{error}"
    );
    let error = gradients(&mut graph, loss, &[early]).unwrap_err();
    assert!(error.to_string().contains("the late one"), "{error}");
}

#[test]
fn a_graph_whose_operators_all_have_rules_can_be_trained_from_its_input_on() {
    let mut graph = Graph::new("reach");
    let x = graph.input("x", ElementType::F32, &fixed(&[2, 3]));
    graph.input("unused", ElementType::F32, &fixed(&[2, 3]));
    let output = graph.spelled("Tanh", &[x], &[]);
    let found = reach(&graph, output);
    assert!(found.without_rule.is_empty());
    assert_eq!(found.from, [x]);
}

#[test]
fn an_operator_of_another_domain_has_no_rule_whatever_its_name() {
    let mut graph = Graph::new("domain");
    let x = graph.input("x", ElementType::F32, &fixed(&[2]));
    let relu = Op::of_file("com.example", "Relu", &[], crate::graph::OPSET);
    assert!(matches!(relu, Op::Other(Other { .. })));
    let y = graph.op(relu, &[x]);
    assert_eq!(reach(&graph, y).from, [y]);
    assert!(gradients(&mut graph, y, &[x]).is_err());
}

#[test]
fn dropout_drops_the_same_in_both_directions_and_in_each_repetition_of_a_step() {
    let mut graph = Graph::new("dropout");
    let x = graph.input("x", ElementType::F32, &fixed(&[40, 50]));
    let ratio = graph.constant(Tensor::scalar(0.2_f32));
    let dropout = Reshaping::Dropout {
        ratio: None,
        seed: None,
    };
    let y = graph.op(dropout.clone(), &[x, ratio]);
    let nothing = graph.constant(Tensor::scalar(0.0_f32));
    let y = graph.op(dropout.clone(), &[y, nothing]);
    let y = graph.op(dropout, &[y]);
    let loss = graph.reduce_all(ReduceKind::Sum, y);
    let masks = explicit_masks(&mut graph).unwrap();
    assert_eq!(masks.len(), 2);
    assert_eq!(masks[0].shape, fixed(&[40, 50]));
    let ratios = [masks[0].ratio, masks[1].ratio];
    assert_eq!(ratios.map(f32::to_bits), [0.2_f32, 0.5].map(f32::to_bits));
    let found = gradients(&mut graph, loss, &[x]).unwrap();
    graph.output_as(y, "y");
    graph.output_as(found[0], "dx");
    let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
    let drawn = |step: u64| -> Vec<Tensor> {
        let fill = |mask: &Mask| {
            let mut values = vec![f32::NAN; 2000];
            mask.fill(7, step, &mut values);
            Tensor::new([40, 50], values)
        };
        masks.iter().map(fill).collect()
    };
    let step = drawn(3);
    assert_eq!(step, drawn(3));
    assert_ne!(step, drawn(4));
    assert_ne!(step[0].f32().unwrap()[..20], step[1].f32().unwrap()[..20]);
    for (mask, drawn) in masks.iter().zip(&step) {
        let values = drawn.f32().unwrap();
        let dropped = values.iter().filter(|value| **value == 0.0).count() as f32 / 2000.0;
        assert!(
            (dropped - mask.ratio).abs() < 0.04,
            "{dropped} of {}",
            mask.ratio
        );
        let mean = values.iter().sum::<f32>() / 2000.0;
        assert!((mean - 1.0).abs() < 0.08, "{mean}");
    }
    let ones = Tensor::new([40, 50], vec![1.0_f32; 2000]);
    let inputs = [
        ("x", &ones),
        (masks[0].input.as_str(), &step[0]),
        (masks[1].input.as_str(), &step[1]),
    ];
    let results = session.run(&inputs, &["y", "dx"]).unwrap();
    // The input is 1 everywhere, so the result and its gradient are both the mask.
    assert_eq!(results[0], results[1]);
    let kept = results[0]
        .f32()
        .unwrap()
        .iter()
        .filter(|y| **y > 0.0)
        .count();
    assert!((700..900).contains(&kept), "{kept}");
}

#[test]
fn a_dropout_that_would_draw_its_own_mask_is_refused() {
    let mut graph = Graph::new("dropout");
    let x = graph.input("x", ElementType::F32, &fixed(&[4]));
    let ratio = graph.constant(Tensor::scalar(0.2_f32));
    let on = graph.constant(Tensor::scalar(true));
    let y = graph.spelled("Dropout", &[x, ratio, on], &[]);
    let loss = graph.reduce_all(ReduceKind::Sum, y);
    assert!(gradients(&mut graph.clone(), loss, &[x]).is_err());
    explicit_masks(&mut graph).unwrap();
    assert!(gradients(&mut graph, loss, &[x]).is_ok());
}

#[test]
fn cross_entropy_is_that_of_pytorch() {
    let logits = vec![
        0.5, -1.0, 2.0, 1.5, 0.25, -0.75, -2.0, 0.0, 1.0, 0.1, 0.2, 0.3,
    ];
    let weights = Some(vec![0.5, 2.0, 1.0]);
    // The values of torch.nn.CrossEntropyLoss(weight, label_smoothing) for these logits and the classes 2, 0, 1, 1.
    for (smoothing, class_weights, expected) in [
        (0.0, None, 0.755_734_742_765),
        (0.0, weights.clone(), 0.965_192_314_792),
        (0.2, None, 0.905_734_742_765),
        (0.2, weights, 1.039_187_626_363),
    ] {
        let mut graph = Graph::new("loss");
        let x = graph.constant(Tensor::new([4, 3], logits.clone()));
        let labels = graph.ints(&[2, 0, 1, 1]);
        let loss = CrossEntropy {
            smoothing,
            class_weights,
            by_row: false,
        };
        let value = loss.append(&mut graph, x, labels, 3, ElementType::F64);
        graph.output_as(value, "loss");
        let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();
        let value = session.run(&[], &["loss"]).unwrap()[0].f64().unwrap()[0];
        assert!(
            (value - expected).abs() < 1e-11,
            "{loss:?}: {value}, not {expected}"
        );
    }
}

#[test]
fn a_kernel_that_two_convolutions_share_gets_both_gradients() {
    let mut random = Random::new(301);
    let mut value =
        |shape: &[usize]| super::reference::Array::random(&mut random, shape, -1.0, 1.0);
    let inputs = [value(&[2, 3, 5, 5]), value(&[3, 3, 3, 3])];
    let slide = super::reference::Slide {
        kernel: [3; 2],
        strides: [1; 2],
        dilations: [1; 2],
        pads: [1; 4],
        output: [5; 2],
    };
    let sliding = Sliding::new(&[], &[], &[1; 4]);
    super::reference::check_single(
        "shared kernel with a residual",
        &mut random,
        &inputs,
        &|graph, x| {
            let conv = Conv::new(sliding.clone(), 1);
            let once = graph.op(conv.clone(), &[x[0], x[1]]);
            let twice = graph.op(conv, &[once, x[1]]);
            graph.add(twice, once)
        },
        &|x| {
            let once = super::reference::conv(&x[0], &x[1], None, &slide, 1);
            let mut twice = super::reference::conv(&once, &x[1], None, &slide, 1);
            for (to, from) in twice.data.iter_mut().zip(&once.data) {
                *to += from;
            }
            twice
        },
    );
}
