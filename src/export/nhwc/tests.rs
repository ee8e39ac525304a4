#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use crate::graph::ops::{
    Activation as Act, Conv, ConvTranspose, Elementwise, GlobalPool, Linear, Norm, Pool, PoolKind,
    Reduce, ReduceKind, Reshaping, Softmax,
};
use crate::graph::{AutoPad, Dim, Sliding, ValueId};
use crate::onnx::{ElementType, Tensor};

use super::*;

use crate::graph::Graph;

/// A graph whose input is planes `[N, channels, side, side]`.
fn planes(channels: usize, side: usize) -> (Graph, ValueId) {
    let mut graph = Graph::new("g");
    let shape = [Dim::from("N"), channels.into(), side.into(), side.into()];
    let x = graph.input("planes", ElementType::F32, &shape);
    (graph, x)
}

fn weights(graph: &mut Graph, shape: &[usize]) -> ValueId {
    let count: usize = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|at| at as f32).collect();
    graph.constant(Tensor::new(shape, values))
}

fn conv(graph: &mut Graph, x: ValueId, kernels: &[usize], sliding: Sliding) -> ValueId {
    let w = weights(graph, kernels);
    graph.op(Conv::new(sliding, 1), &[x, w])
}

fn kinds(graph: &Graph) -> Vec<Kind> {
    let program = lower(graph).unwrap();
    program
        .operators
        .into_iter()
        .map(|operator| operator.kind)
        .collect()
}

fn refused(graph: &Graph) -> String {
    lower(graph).unwrap_err().to_string()
}

/// The padding of a single convolution, and the explicit padding before it.
fn padding(
    side: usize,
    taps: usize,
    stride: usize,
    pads: [usize; 4],
) -> (Padding, Option<[usize; 4]>) {
    let (mut graph, x) = planes(2, side);
    let sliding = Sliding::new(&[stride; 2], &[1; 2], &pads);
    let y = conv(&mut graph, x, &[3, 2, taps, taps], sliding);
    graph.output(y);
    let (mut padding, mut margin) = (None, None);
    for kind in kinds(&graph) {
        match kind {
            Kind::Conv { slide, .. } => padding = Some(slide.padding),
            Kind::Pad { pads, value } => {
                assert!(value.is_none() && pads[0] == [0, 0] && pads[3] == [0, 0]);
                margin = Some([pads[1][0], pads[2][0], pads[1][1], pads[2][1]]);
            }
            _ => {}
        }
    }
    (padding.unwrap(), margin)
}

#[test]
fn padding_is_same_only_where_tensorflow_puts_the_windows_there() {
    // Stride 1 and odd kernels: symmetric padding is SAME.
    assert_eq!(padding(14, 3, 1, [1; 4]), (Padding::Same, None));
    assert_eq!(padding(14, 5, 1, [2; 4]), (Padding::Same, None));
    // An even map and stride 2: TensorFlow pads only at the end, PyTorch also at the start.
    assert_eq!(padding(224, 3, 2, [0, 0, 1, 1]), (Padding::Same, None));
    assert_eq!(
        padding(224, 3, 2, [1; 4]),
        (Padding::Valid, Some([1, 1, 0, 0]))
    );
    assert_eq!(
        padding(224, 7, 2, [3; 4]),
        (Padding::Valid, Some([3, 3, 2, 2]))
    );
    // An odd map: both agree.
    assert_eq!(padding(15, 3, 2, [1; 4]), (Padding::Same, None));
    // Padding that no window reaches.
    assert_eq!(padding(15, 3, 2, [0, 0, 1, 1]), (Padding::Valid, None));
    assert_eq!(padding(8, 1, 2, [0; 4]), (Padding::Valid, None));
    // As many windows, at other places.
    assert_eq!(
        padding(14, 2, 1, [1, 1, 0, 0]),
        (Padding::Valid, Some([1, 1, 0, 0]))
    );
    assert_eq!(padding(14, 2, 1, [0, 0, 1, 1]), (Padding::Same, None));
}

#[test]
fn kernels_have_their_channels_last() {
    let (mut graph, x) = planes(2, 4);
    let y = conv(&mut graph, x, &[3, 2, 2, 2], Sliding::default());
    graph.output(y);
    let program = lower(&graph).unwrap();
    let operator = program
        .operators
        .iter()
        .find(|o| matches!(o.kind, Kind::Conv { .. }))
        .unwrap();
    let kernel = operator.inputs[1];
    assert_eq!(program.shape(kernel), [3, 2, 2, 2]);
    // Output 0, row 0, columns 0 and 1, both channels of each.
    assert_eq!(program.floats(kernel).unwrap()[..4], [0.0, 4.0, 1.0, 5.0]);

    let (mut graph, x) = planes(2, 4);
    let w = weights(&mut graph, &[4, 1, 2, 2]);
    let y = graph.op(Conv::new(Sliding::default(), 2), &[x, w]);
    graph.output(y);
    let program = lower(&graph).unwrap();
    let is_depthwise = |o: &&Operator| matches!(o.kind, Kind::DepthwiseConv { multiplier: 2, .. });
    let operator = program.operators.iter().find(is_depthwise).unwrap();
    let kernel = operator.inputs[1];
    assert_eq!(program.shape(kernel), [1, 2, 2, 4]);
    assert_eq!(
        program.floats(kernel).unwrap()[..5],
        [0.0, 4.0, 8.0, 12.0, 1.0]
    );
}

#[test]
fn windows_that_lie_apart_are_not_left_to_same() {
    let (mut graph, x) = planes(3, 14);
    let y = conv(
        &mut graph,
        x,
        &[3, 3, 1, 3],
        Sliding::new(&[2, 2], &[1; 2], &[0, 0, 0, 1]),
    );
    graph.output(y);
    let kinds = kinds(&graph);
    assert!(kinds.contains(&Kind::Pad {
        pads: vec![[0, 0], [0, 0], [0, 1], [0, 0]],
        value: None
    }));
}

/// A network as exporters write it: bytes, batch normalisation, separate activations, a shortcut.
#[test]
fn only_what_tensorflow_has_is_left() {
    let mut graph = Graph::new("g");
    let shape = [Dim::from("N"), 8.into(), 8.into(), 3.into()];
    let image = graph.input("image", ElementType::U8, &shape);
    let planar = graph.transpose(image, &[0, 3, 1, 2]);
    let values = graph.cast(planar, ElementType::F32);
    let mean = weights(&mut graph, &[1, 3, 1, 1]);
    let centred = graph.sub(values, mean);
    let mut x = conv(
        &mut graph,
        centred,
        &[4, 3, 3, 3],
        Sliding::new(&[2; 2], &[1; 2], &[0, 0, 1, 1]),
    );
    let norm = Norm::Batch {
        epsilon: 1e-3,
        momentum: 0.9,
        training: false,
    };
    let statistics = weights(&mut graph, &[4]);
    x = graph.op(norm, &[x, statistics, statistics, statistics, statistics]);
    let (zero, six) = (graph.number(0.0), graph.number(6.0));
    x = graph.op(Act::CLIP, &[x, zero, six]);
    let branch = conv(&mut graph, x, &[4, 4, 1, 1], Sliding::default());
    x = graph.add(x, branch);
    x = graph.op(Act::Relu, &[x]);
    x = graph.op(GlobalPool::Average, &[x]);
    x = graph.op(Reshaping::FLATTEN, &[x]);
    let w = weights(&mut graph, &[4, 2]);
    x = graph.op(Linear::MatMul, &[x, w]);
    let b = weights(&mut graph, &[2]);
    x = graph.add(x, b);
    x = graph.op(Softmax::LAST, &[x]);
    graph.output(x);
    let program = lower(&graph).unwrap();
    let kinds: Vec<&Kind> = program
        .operators
        .iter()
        .map(|operator| &operator.kind)
        .collect();
    assert!(
        matches!(
            kinds.as_slice(),
            [
                Kind::Unary(Unary::Cast),
                Kind::Binary {
                    binary: Binary::Sub,
                    ..
                },
                Kind::Conv {
                    activation: Activation::Relu6,
                    ..
                },
                Kind::Conv {
                    activation: Activation::None,
                    ..
                },
                Kind::Binary {
                    binary: Binary::Add,
                    activation: Activation::Relu
                },
                Kind::Reduce {
                    reduction: Reduction::Mean,
                    keep: false,
                    ..
                },
                Kind::FullyConnected { .. },
                Kind::Softmax,
            ]
        ),
        "{kinds:#?}"
    );
    // The addition after the product becomes its bias.
    let product = &program.operators[6];
    assert_eq!(program.floats(product.inputs[2]), Some(&[0.0, 1.0][..]));
    assert_eq!(program.shape(program.inputs[0]), [1, 8, 8, 3]);
    assert_eq!(program.shape(program.outputs[0]), [1, 2]);
}

#[test]
fn planes_are_transposed_at_the_edges_only() {
    let (mut graph, x) = planes(3, 9);
    let mut y = conv(&mut graph, x, &[4, 3, 3, 3], Sliding::default());
    y = graph.op(Act::Sigmoid, &[y]);
    let scale = weights(&mut graph, &[4, 1, 1]);
    y = graph.mul(y, scale);
    let sum = graph.op(Reduce::along(ReduceKind::Sum, &[2, 3], true), &[y]);
    y = graph.div(y, sum);
    y = graph.concat(&[y, y], 1);
    y = graph.pad(y, &[0, 0, 1, 1, 0, 0, 2, 2]);
    graph.output(y);
    let kinds = kinds(&graph);
    let transposes = kinds
        .iter()
        .filter(|kind| matches!(kind, Kind::Transpose { .. }))
        .count();
    assert_eq!(transposes, 2, "{kinds:#?}");
    assert!(kinds.contains(&Kind::Concat { axis: 3 }));
    assert!(kinds.contains(&Kind::Pad {
        pads: vec![[0, 0], [1, 2], [1, 2], [0, 0]],
        value: None
    }));
    assert!(
        kinds
            .iter()
            .any(|kind| matches!(kind, Kind::Reduce { axes, keep: true, .. } if axes == &[1, 2]))
    );
}

#[test]
fn a_padded_mean_leaves_padding_out_where_the_network_does() {
    let pooled = |padding_counts, stride: usize, pads: [usize; 4]| {
        let (mut graph, x) = planes(2, 6);
        let pool = Pool {
            kind: PoolKind::Average { padding_counts },
            sliding: Sliding {
                kernel: vec![3, 3],
                strides: vec![stride as i64; 2],
                pads: pads.map(|pad| pad as i64).to_vec(),
                ..Sliding::default()
            },
            ceil: false,
        };
        let y = graph.op(pool, &[x]);
        graph.output(y);
        lower(&graph).unwrap()
    };
    let has = |program: &Program, of: fn(&Kind) -> bool| {
        program.operators.iter().any(|operator| of(&operator.kind))
    };
    let is_pad = |kind: &Kind| matches!(kind, Kind::Pad { .. });
    let is_mul = |kind: &Kind| matches!(kind, Kind::Binary { .. });
    // As with SAME.
    let program = pooled(false, 1, [1; 4]);
    assert!(!has(&program, is_pad) && !has(&program, is_mul));
    // Zeros are included in the mean.
    let program = pooled(true, 1, [1; 4]);
    assert!(has(&program, is_pad) && !has(&program, is_mul));
    // SAME would give other windows; means at the border are rescaled.
    let program = pooled(false, 2, [1; 4]);
    assert!(has(&program, is_pad));
    let factors = program
        .operators
        .iter()
        .find(|operator| is_mul(&operator.kind))
        .unwrap();
    let factors = program.floats(factors.inputs[1]).unwrap();
    assert_eq!(factors, [9.0 / 4.0, 1.5, 1.5, 1.5, 1.0, 1.0, 1.5, 1.0, 1.0]);
}

#[test]
fn a_largest_is_padded_with_less_than_any_pixel() {
    for above_zero in [false, true] {
        let (mut graph, mut x) = planes(2, 6);
        if above_zero {
            x = graph.op(Act::Relu, &[x]);
        }
        let pool = Pool {
            kind: PoolKind::Max { in_columns: false },
            sliding: Sliding {
                kernel: vec![3, 3],
                strides: vec![2, 2],
                pads: vec![1; 4],
                ..Sliding::default()
            },
            ceil: false,
        };
        let y = graph.op(pool, &[x]);
        graph.output(y);
        let value = kinds(&graph).into_iter().find_map(|kind| match kind {
            Kind::Pad { value, .. } => Some(value),
            _ => None,
        });
        // After ReLU zeros are low enough.
        assert_eq!(value, Some((!above_zero).then_some(f32::MIN)));
    }
}

#[test]
fn a_slope_has_a_number_for_each_channel() {
    let (mut graph, x) = planes(3, 5);
    let y = conv(&mut graph, x, &[4, 3, 1, 1], Sliding::default());
    let slope = graph.constant(Tensor::new([1, 1, 1], vec![0.25_f32]));
    let y = graph.op(Act::PRelu, &[y, slope]);
    graph.output(y);
    let program = lower(&graph).unwrap();
    let is_prelu = |operator: &&Operator| operator.kind == Kind::Prelu;
    let operator = program.operators.iter().find(is_prelu).unwrap();
    let slope = operator.inputs[1];
    assert_eq!(program.shape(slope), [1, 1, 4]);
    assert_eq!(program.floats(slope), Some(&[0.25; 4][..]));
}

#[test]
fn what_cannot_be_written_is_named_with_the_reason() {
    let named = |mut graph: Graph, y| {
        graph.output(y);
        refused(&graph)
    };
    let (mut graph, x) = planes(4, 6);
    let w = weights(&mut graph, &[4, 2, 1, 1]);
    let y = graph.op_named(Conv::new(Sliding::default(), 2), &[x, w], "grouped");
    let message = named(graph, y);
    assert!(
        message.contains("“grouped” (Conv)") && message.contains("2 groups"),
        "{message}"
    );

    let (mut graph, x) = planes(4, 6);
    let kernels = graph.input("kernels", ElementType::F32, &Dim::all_fixed(&[1, 4, 1, 1]));
    let y = graph.op_named(Conv::plain(), &[x, kernels], "conv");
    let message = named(graph, y);
    assert!(
        message.contains("“conv” (Conv)") && message.contains("constants"),
        "{message}"
    );

    let (mut graph, x) = planes(4, 6);
    let y = graph.op_named(Elementwise::Sign, &[x], "bell");
    let message = named(graph, y);
    assert!(message.contains("“bell” (Sign)"), "{message}");

    let (mut graph, x) = planes(4, 6);
    let w = weights(&mut graph, &[4, 4, 2, 2]);
    let transposed = ConvTranspose {
        sliding: Sliding::default(),
        group: 1,
        output_padding: Vec::new(),
    };
    let y = graph.op_named(transposed, &[x, w], "wider");
    let message = named(graph, y);
    assert!(message.contains("“wider” (ConvTranspose)"), "{message}");

    let mut graph = Graph::new("g");
    let shape = [Dim::from("N"), 3.into(), Dim::from("H"), Dim::from("W")];
    let x = graph.input("planes", ElementType::F32, &shape);
    let y = conv(&mut graph, x, &[3, 3, 1, 1], Sliding::default());
    let message = named(graph, y);
    assert!(
        message.contains("planes") && message.contains("size"),
        "{message}"
    );
}

#[test]
fn padding_before_a_convolution_becomes_part_of_it() {
    let (mut graph, x) = planes(2, 14);
    let padded = graph.pad(x, &[0, 0, 0, 0, 0, 0, 1, 1]);
    let y = conv(
        &mut graph,
        padded,
        &[3, 2, 3, 3],
        Sliding::new(&[2; 2], &[1; 2], &[0; 4]),
    );
    graph.output(y);
    let kinds = kinds(&graph);
    assert!(
        kinds.iter().all(|kind| !matches!(kind, Kind::Pad { .. })),
        "{kinds:?}"
    );
    let is_same =
        |kind: &Kind| matches!(kind, Kind::Conv { slide, .. } if slide.padding == Padding::Same);
    assert!(kinds.iter().any(is_same));
    // SAME_LOWER puts the odd pixel at the start.
    let (mut graph, x) = planes(2, 14);
    let lower_pad = Sliding {
        auto_pad: AutoPad::SameLower,
        strides: vec![2, 2],
        ..Sliding::default()
    };
    let y = conv(&mut graph, x, &[3, 2, 3, 3], lower_pad);
    graph.output(y);
    assert!(
        self::kinds(&graph)
            .iter()
            .any(|kind| matches!(kind, Kind::Pad { .. }))
    );
}
