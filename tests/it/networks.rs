//! Structures of well-known networks with random weights, as ONNX has them.

use salamander::graph::ops::{
    Activation, Conv, GlobalPool, Linear, Norm, Pool, PoolKind, Reshaping, Softmax,
};
use salamander::graph::{AutoPad, Dim, Graph, Sliding, ValueId};
use salamander::onnx::{ElementType, Tensor};

/// Numbers that are the same each time (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def0)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    /// From `from` to `to`.
    pub fn float(&mut self, from: f32, to: f32) -> f32 {
        from + (to - from) * ((self.next() >> 40) as f32 / (1_u64 << 24) as f32)
    }

    pub fn floats(&mut self, count: usize, from: f32, to: f32) -> Vec<f32> {
        (0..count).map(|_| self.float(from, to)).collect()
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }
}

/// A network under construction, pixels `[1, C, H, W]`.
pub struct Net {
    pub graph: Graph,
    pub random: Random,
}

/// Strides, padding before and after for both dimensions.
pub fn sliding(stride: usize, pad: usize) -> Sliding {
    Sliding::new(&[stride; 2], &[1; 2], &[pad; 4])
}

/// The same for a pool of `kernel` × `kernel` pixels.
fn pooling(kernel: usize, stride: usize, pad: usize) -> Sliding {
    Sliding {
        kernel: vec![kernel as i64; 2],
        dilations: Vec::new(),
        ..sliding(stride, pad)
    }
}

fn same(stride: usize) -> Sliding {
    Sliding {
        auto_pad: AutoPad::SameUpper,
        strides: vec![stride as i64; 2],
        ..Sliding::default()
    }
}

impl Net {
    /// One for RGB images with sides of this length, as bytes `[N, side, side, 3]`, normalised by channel.
    pub fn of_images(seed: u64, side: usize) -> (Self, ValueId) {
        let mut graph = Graph::new("network");
        let shape = [Dim::from("N"), side.into(), side.into(), 3.into()];
        let image = graph.input("image", ElementType::U8, &shape);
        let planes = graph.transpose(image, &[0, 3, 1, 2]);
        let values = graph.cast(planes, ElementType::F32);
        let per_channel = |values: [f32; 3]| Tensor::new([1, 3, 1, 1], values.to_vec());
        let mean = graph.constant(per_channel([123.7, 116.3, 103.5]));
        let std = graph.constant(per_channel([58.4, 57.1, 57.4]));
        let centred = graph.sub(values, mean);
        let normal = graph.div(centred, std);
        let random = Random::new(seed);
        (Self { graph, random }, normal)
    }

    pub fn lens(&self, x: ValueId) -> Vec<usize> {
        self.graph
            .shape(x)
            .unwrap()
            .iter()
            .map(|dim| dim.fixed().unwrap_or(1))
            .collect()
    }

    /// A constant of random numbers.
    pub fn tensor(&mut self, shape: &[usize], from: f32, to: f32) -> ValueId {
        let values = self.random.floats(shape.iter().product(), from, to);
        self.graph.constant(Tensor::new(shape, values))
    }

    pub fn conv(
        &mut self,
        x: ValueId,
        out: usize,
        kernel: [usize; 2],
        sliding: Sliding,
        group: usize,
    ) -> ValueId {
        let channels = self.lens(x)[1];
        let shape = [out, channels / group, kernel[0], kernel[1]];
        let limit = (3.0 / (shape[1..].iter().product::<usize>() as f32)).sqrt();
        let w = self.tensor(&shape, -limit, limit);
        let conv = Conv::new(sliding, group);
        if self.random.one_in(2) {
            return self.graph.op(conv, &[x, w]);
        }
        let b = self.tensor(&[out], -0.5, 0.5);
        self.graph.op(conv, &[x, w, b])
    }

    pub fn norm(&mut self, x: ValueId) -> ValueId {
        let channels = [self.lens(x)[1]];
        let scale = self.tensor(&channels, 0.5, 1.5);
        let bias = self.tensor(&channels, -0.5, 0.5);
        let mean = self.tensor(&channels, -0.5, 0.5);
        let variance = self.tensor(&channels, 0.5, 1.5);
        let norm = Norm::Batch {
            epsilon: 1e-3,
            momentum: 0.9,
            training: false,
        };
        self.graph.op(norm, &[x, scale, bias, mean, variance])
    }

    pub fn relu(&mut self, x: ValueId) -> ValueId {
        self.graph.op(Activation::Relu, &[x])
    }

    fn relu6(&mut self, x: ValueId) -> ValueId {
        let (min, max) = (self.graph.number(0.0), self.graph.number(6.0));
        self.graph.op(Activation::CLIP, &[x, min, max])
    }

    /// Pooled over all pixels, a fully connected layer, probabilities.
    pub fn classified(&mut self, x: ValueId, classes: usize) {
        let pooled = self.graph.op(GlobalPool::Average, &[x]);
        let flat = self.graph.op(Reshaping::FLATTEN, &[pooled]);
        self.probabilities(flat, classes);
    }

    pub fn probabilities(&mut self, flat: ValueId, classes: usize) {
        let logits = self.logits(flat, classes);
        let softmax = self
            .graph
            .op_named(Softmax::LAST, &[logits], "probabilities");
        self.graph.output(softmax);
    }

    pub fn logits(&mut self, flat: ValueId, classes: usize) -> ValueId {
        let dim = self.lens(flat)[1];
        let limit = (3.0 / dim as f32).sqrt();
        let w = self.tensor(&[dim, classes], -limit, limit);
        let b = self.tensor(&[classes], -0.5, 0.5);
        self.graph.op(Linear::GEMM, &[flat, w, b])
    }
}

/// `MobileNet` v1 (Howard et al. 2017), a quarter as wide, with TensorFlow's padding.
pub fn mobilenet_v1(side: usize) -> Graph {
    let (mut net, mut x) = Net::of_images(1, side);
    x = net.conv(x, 8, [3, 3], same(2), 1);
    x = net.norm(x);
    x = net.relu6(x);
    let blocks = [
        (16, 1),
        (32, 2),
        (32, 1),
        (64, 2),
        (64, 1),
        (128, 2),
        (128, 1),
        (128, 1),
        (256, 2),
        (256, 1),
    ];
    for (out, stride) in blocks {
        let channels = net.lens(x)[1];
        x = net.conv(x, channels, [3, 3], same(stride), channels);
        x = net.norm(x);
        x = net.relu6(x);
        x = net.conv(x, out, [1, 1], Sliding::default(), 1);
        x = net.norm(x);
        x = net.relu6(x);
    }
    net.classified(x, 10);
    net.graph
}

/// `MobileNet` v3 small (Howard et al. 2019) with `PyTorch`'s symmetric padding: hard swish, squeeze-and-excite.
pub fn mobilenet_v3(side: usize) -> Graph {
    let (mut net, mut x) = Net::of_images(3, side);
    x = net.conv(x, 16, [3, 3], sliding(2, 1), 1);
    x = net.norm(x);
    x = net.graph.op(Activation::HardSwish, &[x]);
    // Kernel, expanded, out, squeezed, hard swish, stride.
    let blocks = [
        (3, 16, 16, true, false, 2),
        (3, 72, 24, false, false, 2),
        (3, 88, 24, false, false, 1),
        (5, 96, 40, true, true, 2),
        (5, 240, 40, true, true, 1),
        (5, 120, 48, true, true, 1),
        (5, 288, 96, true, true, 2),
        (5, 576, 96, true, true, 1),
    ];
    for (kernel, expanded, out, squeezed, swish, stride) in blocks {
        let (from, channels) = (x, net.lens(x)[1]);
        let act = |net: &mut Net, x| {
            if swish {
                net.graph.op(Activation::HardSwish, &[x])
            } else {
                net.relu(x)
            }
        };
        x = net.conv(x, expanded, [1, 1], Sliding::default(), 1);
        x = net.norm(x);
        x = act(&mut net, x);
        x = net.conv(
            x,
            expanded,
            [kernel; 2],
            sliding(stride, kernel / 2),
            expanded,
        );
        x = net.norm(x);
        if squeezed {
            let pooled = net.graph.op(GlobalPool::Average, &[x]);
            let small = net.conv(pooled, expanded / 4, [1, 1], Sliding::default(), 1);
            let small = net.relu(small);
            let wide = net.conv(small, expanded, [1, 1], Sliding::default(), 1);
            let gate = Activation::HardSigmoid {
                alpha: 1.0 / 6.0,
                beta: 0.5,
            };
            let gate = net.graph.op(gate, &[wide]);
            x = net.graph.mul(gate, x);
        }
        x = act(&mut net, x);
        x = net.conv(x, out, [1, 1], Sliding::default(), 1);
        x = net.norm(x);
        if stride == 1 && channels == out {
            x = net.graph.add(from, x);
        }
    }
    x = net.conv(x, 288, [1, 1], Sliding::default(), 1);
    x = net.norm(x);
    // Hard swish as older exporters write it.
    let (three, zero, six) = (
        net.graph.number(3.0),
        net.graph.number(0.0),
        net.graph.number(6.0),
    );
    let shifted = net.graph.add(x, three);
    let clipped = net.graph.op(Activation::CLIP, &[shifted, zero, six]);
    let product = net.graph.mul(x, clipped);
    x = net.graph.div(product, six);
    net.classified(x, 10);
    net.graph
}

/// Inception v3 (Szegedy et al. 2015), an eighth as wide: unpadded stem, parallel branches, means over padded windows,
/// kernels of 1 × 7 and 7 × 1.
pub fn inception_v3(side: usize) -> Graph {
    let (mut net, mut x) = Net::of_images(4, side);
    let layer = |net: &mut Net, x, out, kernel: [usize; 2], stride, pad: [usize; 2]| {
        let sliding = Sliding::new(&[stride; 2], &[1; 2], &[pad[0], pad[1], pad[0], pad[1]]);
        let x = net.conv(x, out, kernel, sliding, 1);
        let x = net.norm(x);
        net.relu(x)
    };
    let largest = |net: &mut Net, x| {
        let pool = Pool {
            kind: PoolKind::Max { in_columns: false },
            sliding: pooling(3, 2, 0),
            ceil: false,
        };
        net.graph.op(pool, &[x])
    };
    let mean = |net: &mut Net, x, padding_counts| {
        let pool = Pool {
            kind: PoolKind::Average { padding_counts },
            sliding: pooling(3, 1, 1),
            ceil: false,
        };
        net.graph.op(pool, &[x])
    };
    x = layer(&mut net, x, 4, [3, 3], 2, [0, 0]);
    x = layer(&mut net, x, 4, [3, 3], 1, [0, 0]);
    x = layer(&mut net, x, 8, [3, 3], 1, [1, 1]);
    x = largest(&mut net, x);
    x = layer(&mut net, x, 10, [1, 1], 1, [0, 0]);
    x = layer(&mut net, x, 24, [3, 3], 1, [0, 0]);
    x = largest(&mut net, x);
    // 35 × 35 in the original; the mean with and without padding, as PyTorch and TensorFlow compute it.
    for padding_counts in [true, false] {
        let first = layer(&mut net, x, 8, [1, 1], 1, [0, 0]);
        let second = layer(&mut net, x, 6, [1, 1], 1, [0, 0]);
        let second = layer(&mut net, second, 8, [5, 5], 1, [2, 2]);
        let third = layer(&mut net, x, 8, [1, 1], 1, [0, 0]);
        let third = layer(&mut net, third, 12, [3, 3], 1, [1, 1]);
        let third = layer(&mut net, third, 12, [3, 3], 1, [1, 1]);
        let fourth = mean(&mut net, x, padding_counts);
        let fourth = layer(&mut net, fourth, 4, [1, 1], 1, [0, 0]);
        x = net.graph.concat(&[first, second, third, fourth], 1);
    }
    let first = layer(&mut net, x, 48, [3, 3], 2, [0, 0]);
    let second = layer(&mut net, x, 8, [1, 1], 1, [0, 0]);
    let second = layer(&mut net, second, 12, [3, 3], 2, [0, 0]);
    let third = largest(&mut net, x);
    x = net.graph.concat(&[first, second, third], 1);
    let first = layer(&mut net, x, 24, [1, 1], 1, [0, 0]);
    let second = layer(&mut net, x, 16, [1, 1], 1, [0, 0]);
    let second = layer(&mut net, second, 16, [1, 7], 1, [0, 3]);
    let second = layer(&mut net, second, 24, [7, 1], 1, [3, 0]);
    let third = mean(&mut net, x, true);
    let third = layer(&mut net, third, 24, [1, 1], 1, [0, 0]);
    x = net.graph.concat(&[first, second, third], 1);
    let wide = layer(&mut net, x, 20, [1, 3], 1, [0, 1]);
    let high = layer(&mut net, x, 20, [3, 1], 1, [1, 0]);
    x = net.graph.concat(&[wide, high], 1);
    net.classified(x, 10);
    net.graph
}

/// `ResNet`-18 (He et al. 2015), a quarter as wide: a stem of 7 × 7, a padded max-pooling, sums.
pub fn resnet_18(side: usize) -> Graph {
    let (mut net, mut x) = Net::of_images(18, side);
    x = net.conv(x, 16, [7, 7], sliding(2, 3), 1);
    x = net.norm(x);
    x = net.relu(x);
    let pool = Pool {
        kind: PoolKind::Max { in_columns: false },
        sliding: pooling(3, 2, 1),
        ceil: false,
    };
    x = net.graph.op(pool, &[x]);
    for (stage, out) in [16, 32, 64, 128].into_iter().enumerate() {
        for block in 0..2 {
            let stride = if stage > 0 && block == 0 { 2 } else { 1 };
            let mut short = x;
            x = net.conv(x, out, [3, 3], sliding(stride, 1), 1);
            x = net.norm(x);
            x = net.relu(x);
            x = net.conv(x, out, [3, 3], sliding(1, 1), 1);
            x = net.norm(x);
            if stride == 2 {
                short = net.conv(short, out, [1, 1], sliding(2, 0), 1);
                short = net.norm(short);
            }
            x = net.graph.add(x, short);
            x = net.relu(x);
        }
    }
    net.classified(x, 10);
    net.graph
}
