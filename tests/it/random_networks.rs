//! Small random networks of the operators that mobile formats have.

use salamander::graph::ops::{
    Activation, Elementwise, Moves, Pool, PoolKind, Reduce, ReduceKind, Reshaping,
};
use salamander::graph::{AutoPad, Graph, Sliding, ValueId};

use super::networks::{Net, sliding};

/// A small network of random operators that mobile formats have.
pub fn small(seed: u64) -> Graph {
    let side = [7, 8, 11, 14, 16, 19][(seed % 6) as usize];
    let (mut net, mut x) = Net::of_images(1000 + seed, side);
    let count = 3 + net.random.below(6);
    for _ in 0..count {
        x = step(&mut net, x);
    }
    let end = net.random.below(6);
    if end < 2 {
        // Each pixel matters: no mean is taken.
        let flat = net.graph.op(Reshaping::FLATTEN, &[x]);
        let logits = net.logits(flat, 5);
        net.graph.output(logits);
    } else if end < 4 {
        net.graph.output(x);
    } else if end == 4 {
        let axes: &[i64] = &[2, 3];
        let pooled = net
            .graph
            .op(Reduce::along(ReduceKind::Mean, axes, false), &[x]);
        net.probabilities(pooled, 5);
    } else {
        net.classified(x, 5);
    }
    net.graph
}

/// One random operator, or a few that belong together.
fn step(net: &mut Net, x: ValueId) -> ValueId {
    let lens = net.lens(x);
    let (channels, height, width) = (lens[1], lens[2], lens[3]);
    match net.random.below(17) {
        0..=3 => random_conv(net, x),
        4 => random_pool(net, x),
        5 | 6 => {
            let act = net.random.pick(&[
                Activation::Relu,
                Activation::Sigmoid,
                Activation::Tanh,
                Activation::HardSwish,
                Activation::LeakyRelu { alpha: 0.1 },
                Activation::HardSigmoid {
                    alpha: 1.0 / 6.0,
                    beta: 0.5,
                },
                Activation::HardSigmoid {
                    alpha: 0.2,
                    beta: 0.4,
                },
            ]);
            net.graph.op(act, &[x])
        }
        7 => {
            let (min, max) = net
                .random
                .pick(&[(0.0, 6.0), (-1.0, 1.0), (-0.5, 2.0), (0.0, 1.0)]);
            let (min, max) = (net.graph.number(min), net.graph.number(max));
            net.graph.op(Activation::CLIP, &[x, min, max])
        }
        8 => net.norm(x),
        9 => {
            let shape = net.random.pick(&[
                vec![channels, 1, 1],
                vec![1, channels, height, width],
                vec![height, 1],
                vec![width],
                vec![],
            ]);
            let other = net.tensor(&shape, 0.5, 1.5);
            let op = net.random.pick(&[
                Elementwise::Add,
                Elementwise::Sub,
                Elementwise::Mul,
                Elementwise::Div,
                Elementwise::Max,
                Elementwise::Min,
            ]);
            // No divisors near zero.
            if op == Elementwise::Div || net.random.one_in(2) {
                net.graph.op(op, &[x, other])
            } else {
                net.graph.op(op, &[other, x])
            }
        }
        10 => {
            let branch = net.conv(x, channels, [3, 3], sliding(1, 1), 1);
            let branch = net.relu(branch);
            if net.random.one_in(2) {
                net.graph.add(x, branch)
            } else {
                net.graph.concat(&[branch, x], 1)
            }
        }
        11 => {
            // Squeeze and excite, by a mean along axes and matrices.
            let axes = net.graph.ints(&[2, 3]);
            let sum = net.graph.op(Reduce::new(ReduceKind::Sum, true), &[x, axes]);
            let scale = net.graph.number(1.0 / (height * width) as f64);
            let mean = net.graph.mul(sum, scale);
            let gate = net.conv(mean, channels, [1, 1], Sliding::default(), 1);
            let gate = net.graph.op(Activation::Sigmoid, &[gate]);
            net.graph.mul(x, gate)
        }
        12 => {
            let pads: Vec<i64> = [
                0,
                0,
                net.random.below(3),
                net.random.below(3),
                0,
                0,
                net.random.below(2),
                net.random.below(3),
            ]
            .map(|pad| pad as i64)
            .to_vec();
            let padded = if net.random.one_in(2) {
                net.graph.pad(x, &pads)
            } else {
                let (pads, value) = (net.graph.ints(&pads), net.graph.number(0.75));
                net.graph.op(Moves::PAD, &[x, pads, value])
            };
            random_conv(net, padded)
        }
        13 => {
            let cut = |len: usize| {
                if len > 2 {
                    (1, len as i64)
                } else {
                    (0, len as i64)
                }
            };
            let ((top, bottom), (left, right)) = (cut(height), cut(width));
            net.graph
                .slice(x, &[2, -1], &[top, left], &[bottom, right], &[1, 1])
        }
        14 if channels > 1 => {
            let split = Moves::Split {
                axis: 1,
                lens: None,
                count: None,
            };
            let first = net.random.below(channels - 1) + 1;
            let lens = net.graph.ints(&[first as i64, (channels - first) as i64]);
            let parts = net.graph.op_many(split, &[x, lens], 2);
            let second = net.graph.op(Activation::Tanh, &[parts[1]]);
            net.graph.concat(&[second, parts[0]], 1)
        }
        15 => {
            // Channels one by one, as torchvision's Inception v3 changes its input.
            let mut parts = Vec::new();
            for channel in (0..channels).rev() {
                let index = net.graph.int(channel as i64);
                let map = net.graph.gather(x, index, 1);
                let map = net.graph.unsqueeze(map, &[1]);
                let scale = net.graph.number(0.5 + channel as f64);
                parts.push(net.graph.mul(map, scale));
            }
            net.graph.concat(&parts, 1)
        }
        _ => {
            let slope = net.tensor(&[channels, 1, 1], 0.1, 0.9);
            net.graph.op(Activation::PRelu, &[x, slope])
        }
    }
}

/// A window that fits a map of these side lengths.
fn random_sliding(net: &mut Net, lens: [usize; 2], kernel: [usize; 2], holes: bool) -> Sliding {
    let fits = |dilation: usize| (0..2).all(|at| (kernel[at] - 1) * dilation < lens[at]);
    let dilation = if holes && fits(2) && net.random.one_in(4) {
        2
    } else {
        1
    };
    // TensorFlow has no strides together with dilation.
    let stride = |net: &mut Net| {
        if dilation == 2 {
            1
        } else {
            1 + net.random.below(3)
        }
    };
    let strides = if net.random.one_in(2) {
        vec![stride(net) as i64; 2]
    } else {
        vec![stride(net) as i64, stride(net) as i64]
    };
    let mut sliding = Sliding {
        strides,
        dilations: if dilation == 2 {
            vec![2, 2]
        } else {
            Vec::new()
        },
        ..Sliding::default()
    };
    // ONNX Runtime has no SAME with dilation, or for pools with gaps between windows.
    let apart = (0..2).any(|at| sliding.strides[at] > kernel[at] as i64);
    let first = if dilation == 2 || apart { 2 } else { 0 };
    match first + net.random.below(5 - first) {
        0 => sliding.auto_pad = AutoPad::SameUpper,
        1 => sliding.auto_pad = AutoPad::SameLower,
        2 => sliding.auto_pad = AutoPad::Valid,
        3 => {
            sliding.pads = [kernel[0] / 2, kernel[1] / 2, kernel[0] / 2, kernel[1] / 2]
                .map(|pad| pad as i64)
                .to_vec();
        }
        _ => {
            let mut pad = |at: usize| net.random.below(kernel[at]) as i64;
            sliding.pads = vec![pad(0), pad(1), pad(0), pad(1)];
        }
    }
    sliding
}

fn random_kernel(net: &mut Net, lens: [usize; 2]) -> [usize; 2] {
    let mut side = |at: usize| (1 + net.random.below(4)).min(lens[at]);
    let first = side(0);
    [first, side(1)]
}

fn random_conv(net: &mut Net, x: ValueId) -> ValueId {
    let lens = net.lens(x);
    let (channels, map) = (lens[1], [lens[2], lens[3]]);
    let kernel = random_kernel(net, map);
    let sliding = random_sliding(net, map, kernel, true);
    let (out, group) = match net.random.below(3) {
        0 if channels > 1 => (channels, channels),
        1 if channels > 1 => (2 * channels, channels),
        _ => (1 + net.random.below(9), 1),
    };
    net.conv(
        x,
        out.min(48.max(channels)),
        kernel,
        sliding,
        if out > 48.max(channels) { 1 } else { group },
    )
}

fn random_pool(net: &mut Net, x: ValueId) -> ValueId {
    let lens = net.lens(x);
    let map = [lens[2], lens[3]];
    let kernel = random_kernel(net, map);
    let mut sliding = random_sliding(net, map, kernel, false);
    sliding.kernel = kernel.map(|taps| taps as i64).to_vec();
    let kind = net.random.pick(&[
        PoolKind::Max { in_columns: false },
        PoolKind::Average {
            padding_counts: false,
        },
        PoolKind::Average {
            padding_counts: true,
        },
    ]);
    // ONNX's shape inference counts a window that begins in the end padding, ONNX Runtime does not.
    let window = sliding.window(&map, &kernel, true).unwrap();
    let is_clear = (0..2).all(|at| {
        let padded = window.before[at] + window.input[at] + window.after[at];
        window.output[at] == (padded - kernel[at]).div_ceil(window.strides[at]) + 1
    });
    let ceil = sliding.auto_pad == AutoPad::Explicit && is_clear && net.random.one_in(2);
    net.graph.op(
        Pool {
            kind,
            sliding,
            ceil,
        },
        &[x],
    )
}
