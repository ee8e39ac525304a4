//! Convolutions and pools over generated shapes.

use super::reference::{Array, Slide, average, check_single, conv, largest};
use super::{Random, check};
use crate::graph::attributes::Attribute;
use crate::graph::{Graph, ValueId};

/// Checks a function of each element, in single precision.
fn check_each(random: &mut Random, operator: &str, range: (f64, f64), f: &dyn Fn(f64) -> f64) {
    let shape = [random.len(), random.len() + 1];
    let x = Array::random(random, &shape, range.0, range.1);
    check_single(
        operator,
        random,
        &[x],
        &|graph, x| graph.spelled(operator, &[x[0]], &[]),
        &|x| Array {
            shape: x[0].shape.clone(),
            data: x[0].data.iter().map(|x| f(*x)).collect(),
        },
    );
}

#[test]
fn hard_activations() {
    let mut random = Random::new(100);
    // Ranges without the points where the function is not differentiable.
    for range in [(-2.4, 2.4), (2.6, 4.0), (-4.0, -2.6)] {
        check_each(&mut random, "HardSigmoid", range, &|x| {
            (0.2 * x + 0.5).clamp(0.0, 1.0)
        });
    }
    for range in [(-2.9, 2.9), (3.1, 5.0), (-5.0, -3.1)] {
        check_each(&mut random, "HardSwish", range, &|x| {
            x * (x / 6.0 + 0.5).clamp(0.0, 1.0)
        });
    }
    for range in [(0.1, 2.0), (-2.0, -0.1)] {
        check_each(&mut random, "LeakyRelu", range, &|x| {
            if x < 0.0 { 0.01 * x } else { x }
        });
    }
}

fn ints(values: &[usize]) -> Attribute {
    Attribute::Ints(values.iter().map(|value| *value as i64).collect())
}

/// How a case specifies its padding.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Padding {
    Pads,
    Same { upper: bool },
    Valid,
}

/// A window of random geometry that fits at least once on a map of `size`.
pub(super) fn slide(random: &mut Random, size: [usize; 2], padding: Padding, pool: bool) -> Slide {
    let mut slide = Slide {
        kernel: [1; 2],
        strides: [1; 2],
        dilations: [1; 2],
        pads: [0; 4],
        output: [0; 2],
    };
    for (at, len) in size.into_iter().enumerate() {
        slide.kernel[at] = 1 + random.below(4);
        slide.strides[at] = 1 + random.below(3);
        // ONNX Runtime supports no dilation with SAME padding.
        let most = if matches!(padding, Padding::Same { .. }) {
            1
        } else {
            2
        };
        slide.dilations[at] = 1 + random.below(most);
        while (slide.kernel[at] - 1) * slide.dilations[at] + 1 > len {
            slide.kernel[at] -= 1;
        }
        if pool && matches!(padding, Padding::Same { .. }) {
            // With strides larger than the kernel, SAME padding would be negative, which ONNX Runtime's pools reject
            // or miscompute.
            slide.strides[at] = slide.strides[at].min(slide.kernel[at]);
        }
        let extent = (slide.kernel[at] - 1) * slide.dilations[at] + 1;
        let (before, after) = match padding {
            Padding::Valid => (0, 0),
            Padding::Pads => {
                // A pool needs a pixel under each window.
                let most = if pool { slide.kernel[at] } else { 4 };
                (random.below(most), random.below(most))
            }
            Padding::Same { upper } => {
                let windows = len.div_ceil(slide.strides[at]);
                let total = ((windows - 1) * slide.strides[at] + extent).saturating_sub(len);
                if upper {
                    (total / 2, total - total / 2)
                } else {
                    (total - total / 2, total / 2)
                }
            }
        };
        slide.pads[at] = before;
        slide.pads[at + 2] = after;
        slide.output[at] = (before + len + after - extent) / slide.strides[at] + 1;
    }
    slide
}

pub(super) fn attributes(slide: &Slide, padding: Padding) -> Vec<(&'static str, Attribute)> {
    let mut attributes = vec![
        ("kernel_shape", ints(&slide.kernel)),
        ("strides", ints(&slide.strides)),
        ("dilations", ints(&slide.dilations)),
    ];
    attributes.push(match padding {
        Padding::Pads => ("pads", ints(&slide.pads)),
        Padding::Same { upper: true } => ("auto_pad", Attribute::Text("SAME_UPPER".into())),
        Padding::Same { upper: false } => ("auto_pad", Attribute::Text("SAME_LOWER".into())),
        Padding::Valid => ("auto_pad", Attribute::Text("VALID".into())),
    });
    attributes
}

pub(super) fn padding(turn: usize) -> Padding {
    match turn % 6 {
        0 => Padding::Same { upper: true },
        1 => Padding::Same { upper: false },
        2 => Padding::Valid,
        _ => Padding::Pads,
    }
}

/// Checks one convolution of random geometry.
fn check_conv(random: &mut Random, turn: usize, channels: [usize; 3]) {
    let [groups, per_group, kernels_per_group] = channels;
    let padding = padding(turn);
    let size = [3 + random.below(6), 3 + random.below(6)];
    let images = 1 + random.below(3);
    let slide = slide(random, size, padding, false);
    let kernels = groups * kernels_per_group;
    let mut inputs = vec![
        Array::random(
            random,
            &[images, groups * per_group, size[0], size[1]],
            -1.0,
            1.0,
        ),
        Array::random(
            random,
            &[kernels, per_group, slide.kernel[0], slide.kernel[1]],
            -1.0,
            1.0,
        ),
    ];
    if random.below(2) == 0 {
        inputs.push(Array::random(random, &[kernels], -1.0, 1.0));
    }
    let name = format!("Conv {turn}, {groups} groups, {padding:?}, {slide:?}");
    let mut attributes = attributes(&slide, padding);
    attributes.push(("group", Attribute::Int(groups as i64)));
    check_single(
        &name,
        random,
        &inputs,
        &|graph: &mut Graph, x: &[ValueId]| graph.spelled("Conv", x, &attributes),
        &|x| conv(&x[0], &x[1], x.get(2), &slide, groups),
    );
}

#[test]
fn dense_convolutions() {
    let mut random = Random::new(101);
    for turn in 0..48 {
        let channels = [1, 1 + random.below(4), 1 + random.below(4)];
        check_conv(&mut random, turn, channels);
    }
    // Enough channels for the form of the gradient with one product for each tap.
    for turn in 0..12 {
        check_conv(&mut random, turn, [1, 16, 2]);
    }
}

#[test]
fn depthwise_convolutions() {
    let mut random = Random::new(102);
    for turn in 0..48 {
        let channels = [2 + random.below(4), 1, 1 + random.below(2)];
        check_conv(&mut random, turn, channels);
    }
}

#[test]
fn grouped_convolutions() {
    let mut random = Random::new(103);
    for turn in 0..36 {
        let channels = [
            2 + random.below(2),
            2 + random.below(2),
            1 + random.below(3),
        ];
        check_conv(&mut random, turn, channels);
    }
}

#[test]
fn pointwise_convolutions() {
    let mut random = Random::new(104);
    for turn in 0..12 {
        let size = [1 + random.below(5), 1 + random.below(5)];
        let stride = 1 + turn % 2;
        let slide = Slide {
            kernel: [1; 2],
            strides: [stride; 2],
            dilations: [1; 2],
            pads: [0; 4],
            output: size.map(|len| (len - 1) / stride + 1),
        };
        let inputs = [
            Array::random(&mut random, &[2, 5, size[0], size[1]], -1.0, 1.0),
            Array::random(&mut random, &[3, 5, 1, 1], -1.0, 1.0),
        ];
        check_single(
            &format!("pointwise {turn}"),
            &mut random,
            &inputs,
            &|graph, x| graph.spelled("Conv", &[x[0], x[1]], &[("strides", ints(&slide.strides))]),
            &|x| conv(&x[0], &x[1], None, &slide, 1),
        );
    }
}

#[test]
fn convolutions_along_a_line() {
    let mut random = Random::new(105);
    for turn in 0..24 {
        let groups = 1 + turn % 3;
        let mut slide = slide(&mut random, [9, 1], Padding::Pads, false);
        slide = Slide {
            kernel: [slide.kernel[0], 1],
            strides: [slide.strides[0], 1],
            dilations: [slide.dilations[0], 1],
            pads: [slide.pads[0], 0, slide.pads[2], 0],
            output: [slide.output[0], 1],
        };
        let inputs = [
            Array::random(&mut random, &[2, groups * 2, 9], -1.0, 1.0),
            Array::random(&mut random, &[groups * 2, 2, slide.kernel[0]], -1.0, 1.0),
        ];
        let attributes = [
            ("strides", ints(&slide.strides[..1])),
            ("dilations", ints(&slide.dilations[..1])),
            ("pads", ints(&[slide.pads[0], slide.pads[2]])),
            ("group", Attribute::Int(groups as i64)),
        ];
        let flat = |array: &Array| {
            let mut shape = array.shape.clone();
            shape.push(1);
            Array {
                shape,
                data: array.data.clone(),
            }
        };
        check_single(
            &format!("line {turn}, {slide:?}"),
            &mut random,
            &inputs,
            &|graph, x| graph.spelled("Conv", &[x[0], x[1]], &attributes),
            &|x| {
                let mut y = conv(&flat(&x[0]), &flat(&x[1]), None, &slide, groups);
                y.shape.pop();
                y
            },
        );
    }
}

#[test]
fn global_average_pool() {
    let mut random = Random::new(106);
    for _ in 0..6 {
        let shape = [random.len(), random.len(), random.len(), random.len()];
        let x = Array::random(&mut random, &shape, -1.0, 1.0);
        check_single(
            "GlobalAveragePool",
            &mut random,
            &[x],
            &|graph, x| graph.spelled("GlobalAveragePool", &[x[0]], &[]),
            &|x| {
                let area = x[0].shape[2] * x[0].shape[3];
                let means = x[0].data.chunks(area);
                Array {
                    shape: vec![x[0].shape[0], x[0].shape[1], 1, 1],
                    data: means
                        .map(|map| map.iter().sum::<f64>() / area as f64)
                        .collect(),
                }
            },
        );
    }
}

#[test]
fn batch_normalization_with_frozen_statistics() {
    let mut random = Random::new(107);
    for turn in 0..6 {
        let channels = random.len();
        let mut shape = vec![random.len(), channels];
        shape.extend((0..turn % 3).map(|_| random.len()));
        let inputs = [
            random.tensor(&shape, -2.0, 2.0),
            random.tensor(&[channels], 0.5, 2.0),
            random.tensor(&[channels], -1.0, 1.0),
        ];
        let mean = random.tensor(&[channels], -1.0, 1.0);
        let var = random.tensor(&[channels], 0.2, 2.0);
        check("BatchNormalization", &mut random, &inputs, &|graph, x| {
            let mean = graph.constant(mean.clone());
            let var = graph.constant(var.clone());
            graph.spelled(
                "BatchNormalization",
                &[x[0], x[1], x[2], mean, var],
                &[("epsilon", Attribute::Float(1e-3))],
            )
        });
    }
}

#[test]
fn prelu_with_a_slope_for_each_channel_or_one_for_all() {
    let mut random = Random::new(108);
    for slope in [vec![3, 1, 1], vec![1], vec![2, 3, 2, 2]] {
        let mut x = Array::random(&mut random, &[2, 3, 2, 2], 0.1, 1.0);
        for value in x.data.iter_mut().step_by(3) {
            *value = -*value;
        }
        let slope = Array::random(&mut random, &slope, 0.1, 0.5);
        check_single(
            "PRelu",
            &mut random,
            &[x, slope],
            &|graph, x| graph.spelled("PRelu", &[x[0], x[1]], &[]),
            &|x| {
                let channels = x[1].data.len();
                let slope = |at: usize| match channels {
                    3 => x[1].data[at / 4 % 3],
                    1 => x[1].data[0],
                    _ => x[1].data[at],
                };
                let of = |(at, x): (usize, &f64)| if *x < 0.0 { slope(at) * x } else { *x };
                Array {
                    shape: x[0].shape.clone(),
                    data: x[0].data.iter().enumerate().map(of).collect(),
                }
            },
        );
    }
}

/// In older versions of the operators, the number of windows that ONNX Runtime infers with `ceil_mode` is not always
/// the one that it computes.
const WITH_CEILINGS: i64 = 22;

/// Values at least 0.05 apart, in random order.
fn apart(random: &mut Random, shape: &[usize]) -> Array {
    let len: usize = shape.iter().product();
    let mut data: Vec<f64> = (0..len)
        .map(|at| (at as f64 - len as f64 / 2.0) / 16.0)
        .collect();
    for at in (1..len).rev() {
        data.swap(at, random.below(at + 1));
    }
    Array {
        shape: shape.to_vec(),
        data,
    }
}

/// With `ceil_mode` a window may extend beyond the padded map, as long as it begins before the padding at the end.
fn with_ceiling(slide: &mut Slide, size: [usize; 2]) {
    for (at, len) in size.into_iter().enumerate() {
        let extent = (slide.kernel[at] - 1) * slide.dilations[at] + 1;
        let room = slide.pads[at] + len + slide.pads[at + 2] - extent;
        let more = usize::from(!room.is_multiple_of(slide.strides[at]));
        let start = slide.output[at] * slide.strides[at];
        if more == 1 && start < slide.pads[at] + len {
            slide.output[at] += 1;
        }
    }
}

#[test]
fn average_pools() {
    let mut random = Random::new(109);
    for turn in 0..72 {
        let padding = padding(turn);
        let size = [3 + random.below(6), 3 + random.below(6)];
        let mut slide = slide(&mut random, size, padding, true);
        let ceil = padding == Padding::Pads && turn % 12 > 5;
        if ceil {
            with_ceiling(&mut slide, size);
        }
        let counted = turn % 2 == 0;
        let mut attributes = attributes(&slide, padding);
        // Average pools have dilations since version 19 of the operators.
        let dilated = slide.dilations != [1; 2];
        attributes.retain(|(name, _)| dilated || *name != "dilations");
        attributes.push(("count_include_pad", Attribute::Int(i64::from(counted))));
        if ceil {
            attributes.push(("ceil_mode", Attribute::Int(1)));
        }
        let shape = [1 + random.below(2), 1 + random.below(3), size[0], size[1]];
        let x = Array::random(&mut random, &shape, -1.0, 1.0);
        check_single(
            &format!(
                "AveragePool {turn}, padding counts: {counted}, ceil: {ceil}, {size:?}, {padding:?}, {slide:?}"
            ),
            &mut random,
            &[x],
            &|graph, x| {
                if ceil || dilated {
                    graph.opset = WITH_CEILINGS;
                }
                graph.spelled("AveragePool", &[x[0]], &attributes)
            },
            &|x| average(&x[0], &slide, counted),
        );
    }
}

#[test]
fn max_pools() {
    let mut random = Random::new(110);
    for turn in 0..72 {
        let padding = padding(turn);
        let size = [3 + random.below(6), 3 + random.below(6)];
        let mut slide = slide(&mut random, size, padding, true);
        let ceil = padding == Padding::Pads && turn % 12 > 5;
        if ceil {
            with_ceiling(&mut slide, size);
        }
        let mut attributes = attributes(&slide, padding);
        if ceil {
            attributes.push(("ceil_mode", Attribute::Int(1)));
        }
        let shape = [1 + random.below(2), 1 + random.below(3), size[0], size[1]];
        let x = apart(&mut random, &shape);
        check_single(
            &format!("MaxPool {turn}, ceil: {ceil}, {size:?}, {padding:?}, {slide:?}"),
            &mut random,
            &[x],
            &|graph, x| {
                if ceil {
                    graph.opset = WITH_CEILINGS;
                }
                graph.spelled("MaxPool", &[x[0]], &attributes)
            },
            &|x| largest(&x[0], &slide),
        );
    }
}

#[test]
fn global_max_pool() {
    let mut random = Random::new(111);
    let x = apart(&mut random, &[2, 3, 2, 4]);
    check_single(
        "GlobalMaxPool",
        &mut random,
        &[x],
        &|graph, x| graph.spelled("GlobalMaxPool", &[x[0]], &[]),
        &|x| Array {
            shape: vec![2, 3, 1, 1],
            data: x[0]
                .data
                .chunks(8)
                .map(|map| map.iter().copied().fold(f64::MIN, f64::max))
                .collect(),
        },
    );
}
