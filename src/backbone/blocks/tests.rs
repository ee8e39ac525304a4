//! Blocks of the networks in the catalogue, and of others built here with their real shapes.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may stop at the first surprise"
)]

use crate::graph::ops::{
    Activation, Conv, Elementwise, GlobalPool, Moves, Pool, PoolKind, Reshaping,
};
use crate::graph::{Op, Sliding};
use crate::onnx::{Session, Tensor};

use super::*;

fn shipped(architecture: &str) -> Blocks {
    Blocks::of(&architecture.parse().unwrap()).unwrap()
}

fn cuts(blocks: &Blocks) -> Vec<&str> {
    let blocks = blocks.blocks().iter();
    blocks.map(|block| block.cut.tensor.as_str()).collect()
}

#[test]
fn efficientnet_is_its_own_blocks() {
    // Repeats of the stages; stage 0 has one block, which includes the stem.
    for (name, repeats) in [
        ("efficientnet-lite0", [1, 2, 2, 3, 3, 4, 1]),
        ("efficientnet-lite1", [1, 3, 3, 4, 4, 5, 1]),
        ("efficientnet-lite2", [1, 3, 3, 4, 4, 5, 1]),
    ] {
        let mut expected = vec!["input".to_owned()];
        for (stage, repeats) in repeats.into_iter().enumerate() {
            expected.extend((0..repeats).map(|index| format!("blocks.{stage}.{index}")));
        }
        // The last one ends at the feature map after the head convolution, not at its own output.
        assert_eq!(expected.pop().unwrap(), "blocks.6.0");
        for resolution in [96, 224, 320] {
            let blocks = shipped(&format!("{name}@{resolution}"));
            assert_eq!(cuts(&blocks), expected, "{name}@{resolution}");
            let cells = resolution / 32;
            let last = blocks.blocks().last().unwrap();
            assert_eq!(last.output.tensor, "features");
            assert_eq!(last.output.shape, [1280, cells, cells]);
            assert_eq!(last.cut.shape[1..], [cells, cells]);
            let stage = blocks.plan(Depth::Stage).cut.unwrap();
            let last_of_stage_4 = format!("blocks.4.{}", repeats[4] - 1);
            assert_eq!(stage.tensor, last_of_stage_4);
            assert_eq!(stage.shape[1..], [2 * cells, 2 * cells]);
            let two = blocks.plan(Depth::TwoStages).cut.unwrap();
            assert_eq!(two.tensor, format!("blocks.2.{}", repeats[2] - 1));
            assert_eq!(two.shape[1..], [4 * cells, 4 * cells]);
        }
    }
}

#[test]
fn plans_count_what_the_catalogue_says() {
    for name in [
        "efficientnet-lite0",
        "efficientnet-lite1",
        "efficientnet-lite2",
    ] {
        let entry = super::super::Backbone::named(name).unwrap();
        for resolution_px in [entry.default_resolution, 96] {
            let architecture = Architecture {
                backbone: name.into(),
                resolution_px,
            };
            let blocks = Blocks::of(&architecture).unwrap();
            let plans = blocks.plans();
            let depths: Vec<Depth> = plans.iter().map(|plan| plan.depth).collect();
            assert_eq!(depths, Depth::ALL);
            for plan in &plans {
                let macs = plan.macs_front + plan.macs_back;
                assert_eq!(macs, architecture.multiply_accumulates().unwrap());
            }
            assert!(plans.is_sorted_by_key(|plan| plan.macs_back));
            let all = plans.last().unwrap().weights_trained(true);
            assert!(
                all.abs_diff(entry.parameters) < 10_000,
                "{all} weights of {}",
                entry.parameters
            );
        }
    }

    let blocks = shipped("efficientnet-lite0@224");
    let plan = blocks.plan(Depth::Last3);
    let cut = plan.cut.clone().unwrap();
    assert_eq!(
        (cut.tensor.as_str(), cut.shape),
        ("blocks.5.1", vec![192, 7, 7])
    );
    assert_eq!(plan.bytes_per_view, 18_816);
    let of_kind = |kind| -> usize {
        let weights = plan.weights.iter().filter(|weight| weight.kind == kind);
        weights.map(|weight| weight.elements).sum()
    };
    let (wide, depthwise) = (192 * 6, 1152 * (25 + 25 + 9));
    assert_eq!(of_kind(WeightKind::DepthwiseKernel), depthwise);
    assert_eq!(
        of_kind(WeightKind::PointwiseKernel),
        3 * 192 * wide + 2 * wide * 192 + wide * 320 + 320 * 1280
    );
    assert_eq!(of_kind(WeightKind::Bias), 6 * wide + 2 * 192 + 320 + 1280);
    assert_eq!(of_kind(WeightKind::DenseKernel), 0);
    assert_eq!(
        plan.weights_trained(true) - plan.weights_trained(false),
        depthwise as u64
    );
    assert!(
        plan.weights
            .iter()
            .any(|weight| weight.name == "blocks.6.0.expand.weight")
    );
    assert_eq!(blocks.plan(Depth::Head).bytes_per_view, 4 * 1280);
}

#[test]
fn a_weight_knows_its_block() {
    let blocks = shipped("efficientnet-lite0@96");
    let mut names = cuts(&blocks);
    // Here blocks are named after their outputs: all except the input, and the last one.
    names.remove(0);
    names.push("blocks.6.0");
    let all = blocks.plan(Depth::All);
    for (at, name) in names.iter().enumerate() {
        let from_end = names.len() - at;
        let mut of_block = all
            .weights
            .iter()
            .filter(|weight| weight.name.starts_with(&format!("{name}.")));
        let first = of_block.next().unwrap();
        assert_eq!(first.from_end, from_end, "{name}");
        assert!(of_block.all(|weight| weight.from_end == from_end), "{name}");
    }
    // The stem belongs to the first block, the convolution after the last block to that.
    assert_eq!(all.weights.first().unwrap().from_end, names.len());
    assert_eq!(all.weights.last().unwrap().from_end, 1);
    // Blocks do not depend on the depth.
    for depth in [Depth::Last1, Depth::Last3, Depth::Stage, Depth::TwoStages] {
        let part = blocks.plan(depth).weights;
        assert_eq!(part, all.weights[all.weights.len() - part.len()..]);
    }
}

/// Deterministic values like those of a normalised image.
fn planes(side: usize) -> Tensor {
    let value = |at: usize| ((at * 7919 + at / side * 31) % 256) as f32 / 128.0 - 1.0;
    Tensor::new(
        [1, 3, side, side],
        (0..3 * side * side).map(value).collect::<Vec<_>>(),
    )
}

fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
    let (a, b) = (a.f32().unwrap(), b.f32().unwrap());
    assert_eq!(a.len(), b.len());
    assert!(a.iter().any(|value| *value > 0.1), "nothing but zeros");
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).abs())
        .fold(0.0, f32::max)
}

#[test]
fn front_and_back_together_are_the_whole() {
    for (architecture, side) in [
        ("efficientnet-lite0@224", 224),
        ("efficientnet-lite1@96", 96),
        ("efficientnet-lite2@128", 128),
    ] {
        let blocks = shipped(architecture);
        let entry = architecture
            .parse::<Architecture>()
            .unwrap()
            .entry()
            .unwrap();
        let image = planes(side);
        let session = |graph: &Graph| Session::from_bytes(&graph.to_onnx(), 1).unwrap();
        let whole = Session::from_bytes(&entry.model().unwrap(), 1)
            .unwrap()
            .run(&[("input", &image)], &["bottleneck"])
            .unwrap()
            .remove(0);
        for plan in blocks.plans() {
            let Some(cut) = &plan.cut else { continue };
            let back = blocks.back(cut).unwrap();
            for weight in &plan.weights {
                let value = back.constant_of(back.find(&weight.name).unwrap()).unwrap();
                assert_eq!(value.f32().unwrap().len(), weight.elements);
            }
            let is_cast = |op: &Op| matches!(op, Op::Elementwise(Elementwise::Cast(_)));
            assert!(back.nodes().iter().all(|node| !is_cast(&node.op)));
            assert_eq!(
                back.constants().count() - 2,
                plan.weights.len(),
                "and 0 and 6"
            );
            if plan.depth == Depth::All {
                assert!(blocks.front(cut).is_err());
                let bottleneck = session(&back)
                    .run(&[(&cut.tensor, &image)], &["bottleneck"])
                    .unwrap()
                    .remove(0);
                assert_eq!(bottleneck, whole);
                continue;
            }
            let at_cut = session(&blocks.front(cut).unwrap())
                .run(&[("input", &image)], &[&cut.tensor])
                .unwrap()
                .remove(0);
            let mut shape = vec![1];
            shape.extend(&cut.shape);
            assert_eq!(at_cut.shape, shape);
            let both = session(&blocks.front_and_pooled(cut).unwrap())
                .run(&[("input", &image)], &[&cut.tensor, "bottleneck"])
                .unwrap();
            // The cache of bottlenecks does not distinguish which graph a row is from.
            assert_eq!(both[0], at_cut, "{architecture} {}", plan.depth);
            assert_eq!(both[1], whole, "{architecture} {}", plan.depth);
            let joined = session(&back)
                .run(&[(&cut.tensor, &at_cut)], &["bottleneck"])
                .unwrap()
                .remove(0);
            let off = largest_difference(&joined, &whole);
            assert!(off < 1e-5, "{architecture} {}: {off}", plan.depth);
        }
    }
}

/// A network under construction: weights are zeros, values are named after their nodes.
struct Net(Graph);

impl Net {
    fn new(side: usize) -> Self {
        let mut graph = Graph::new("net");
        let shape = ["n".into(), 3.into(), Dim::Fixed(side), Dim::Fixed(side)];
        graph.input("x", ElementType::F32, &shape);
        Self(graph)
    }

    fn channels(&self, x: &str) -> usize {
        self.0.shape(self.0.find(x).unwrap()).unwrap()[1]
            .fixed()
            .unwrap()
    }

    /// A convolution with an activation, with padding that keeps the size at stride 1, or without.
    fn conv(
        &mut self,
        x: &str,
        name: &str,
        (out, kernel, stride): (usize, usize, usize),
    ) -> String {
        self.layer(x, name, (out, kernel, stride), 1, kernel / 2, true)
    }

    fn depthwise(&mut self, x: &str, name: &str, stride: usize) -> String {
        let channels = self.channels(x);
        self.layer(x, name, (channels, 3, stride), channels, 1, true)
    }

    fn layer(
        &mut self,
        x: &str,
        name: &str,
        (out, kernel, stride): (usize, usize, usize),
        groups: usize,
        padding: usize,
        activate: bool,
    ) -> String {
        let shape = [out, self.channels(x) / groups, kernel, kernel];
        let zeros = Tensor::zeros(ElementType::F32, shape);
        self.0.constant_named(&format!("{name}.weight"), zeros);
        let conv = Conv::new(Sliding::new(&[stride; 2], &[], &[padding; 4]), groups);
        let raw = if activate {
            format!("{name}.raw")
        } else {
            name.to_owned()
        };
        self.node(conv, &[x, &format!("{name}.weight")], &raw);
        if activate {
            self.node(Activation::Relu, &[&raw], name);
        }
        name.to_owned()
    }

    fn node(&mut self, op: impl Into<Op>, inputs: &[&str], name: &str) -> String {
        let inputs: Vec<ValueId> = inputs
            .iter()
            .map(|input| self.0.find(input).unwrap())
            .collect();
        self.0.op_named(op, &inputs, name);
        name.to_owned()
    }

    fn analyse(mut self, x: &str, resolution: u32) -> Blocks {
        let dim = self.channels(x);
        self.node(GlobalPool::Average, &[x], "pool");
        self.node(Reshaping::FLATTEN, &["pool"], "pooled");
        Blocks::analyse(&self.0, "x", ("pooled", dim), resolution).unwrap()
    }
}

fn max_pool() -> Pool {
    let mut sliding = Sliding::new(&[2, 2], &[], &[]);
    sliding.kernel = vec![3, 3];
    Pool {
        kind: PoolKind::Max { in_columns: false },
        sliding,
        ceil: false,
    }
}

#[test]
fn mobilenet_v1_is_cut_where_it_is_narrow() {
    let mut net = Net::new(224);
    let mut x = net.conv("x", "stem", (4, 3, 2));
    let layers = [8, 16, 16, 32, 32, 64, 64, 64, 64, 64, 64, 128, 128];
    let strides = [1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1];
    for (at, (out, stride)) in layers.into_iter().zip(strides).enumerate() {
        x = net.depthwise(&x, &format!("{at}.dw"), stride);
        x = net.conv(&x, &format!("{at}.pw"), (out, 1, 1));
    }
    let blocks = net.analyse(&x, 224);
    // After a pointwise convolution, but before one that adds channels.
    assert_eq!(
        cuts(&blocks),
        [
            "x", "0.dw", "1.dw", "2.pw", "3.dw", "4.pw", "5.dw", "6.pw", "7.pw", "8.pw", "9.pw",
            "10.pw", "11.dw"
        ]
    );
    let plan = blocks.plan(Depth::Stage);
    assert_eq!(plan.cut.as_ref().unwrap().tensor, "10.pw");
    let plan = blocks.plan(Depth::Last1);
    let weights: Vec<_> = plan
        .weights
        .iter()
        .map(|weight| (weight.name.as_str(), weight.kind))
        .collect();
    assert_eq!(
        weights,
        [
            ("11.pw.weight", WeightKind::PointwiseKernel),
            ("12.dw.weight", WeightKind::DepthwiseKernel),
            ("12.pw.weight", WeightKind::PointwiseKernel),
        ]
    );
}

#[test]
fn mobilenet_v2_is_cut_at_its_bottlenecks() {
    let mut net = Net::new(160);
    let mut x = net.conv("x", "stem", (4, 3, 2));
    let mut expected = vec!["x".to_owned()];
    for (stage, (expand, out, repeats, stride)) in [
        (1, 2, 1, 1),
        (6, 3, 2, 2),
        (6, 4, 3, 2),
        (6, 8, 4, 2),
        (6, 12, 3, 1),
        (6, 20, 3, 2),
        (6, 40, 1, 1),
    ]
    .into_iter()
    .enumerate()
    {
        for index in 0..repeats {
            let name = format!("{stage}.{index}");
            let stride = if index == 0 { stride } else { 1 };
            let channels = net.channels(&x);
            let mut y = x.clone();
            if expand > 1 {
                y = net.conv(&y, &format!("{name}.expand"), (channels * expand, 1, 1));
            }
            y = net.depthwise(&y, &format!("{name}.dw"), stride);
            if stride == 1 && channels == out {
                let project = format!("{name}.project");
                y = net.layer(&y, &project, (out, 1, 1), 1, 0, false);
                x = net.node(Elementwise::Add, &[&x, &y], &name);
            } else {
                x = net.layer(&y, &name, (out, 1, 1), 1, 0, false);
            }
            expected.push(name);
        }
    }
    expected.pop();
    x = net.conv(&x, "head", (160, 1, 1));
    let blocks = net.analyse(&x, 160);
    assert_eq!(cuts(&blocks), expected);
    assert_eq!(blocks.plan(Depth::Stage).cut.unwrap().tensor, "4.2");
    let end = &blocks.blocks().last().unwrap().output;
    assert_eq!(
        (end.tensor.as_str(), end.shape.clone()),
        ("head", vec![160, 5, 5])
    );
}

#[test]
fn resnet_is_cut_between_residual_blocks() {
    let mut net = Net::new(224);
    let mut x = net.layer("x", "stem", (8, 7, 2), 1, 3, true);
    x = net.node(max_pool(), &[&x], "stem.pool");
    let mut expected = vec!["x".to_owned()];
    for (stage, (out, stride)) in [(8, 1), (16, 2), (32, 2), (64, 2)].into_iter().enumerate() {
        for index in 0..2 {
            let name = format!("layer{}.{index}", stage + 1);
            let stride = if index == 0 { stride } else { 1 };
            let mut y = net.conv(&x, &format!("{name}.1"), (out, 3, stride));
            y = net.layer(&y, &format!("{name}.2"), (out, 3, 1), 1, 1, false);
            if stride != 1 {
                x = net.layer(&x, &format!("{name}.down"), (out, 1, stride), 1, 0, false);
            }
            let sum = net.node(Elementwise::Add, &[&x, &y], &format!("{name}.sum"));
            x = net.node(Activation::Relu, &[&sum], &name);
            expected.push(name);
        }
    }
    expected.pop();
    let blocks = net.analyse(&x, 224);
    assert_eq!(cuts(&blocks), expected);
    let stage = blocks.plan(Depth::Stage);
    assert_eq!(stage.cut.unwrap().tensor, "layer3.1");
    assert!(
        stage
            .weights
            .iter()
            .any(|weight| weight.name == "layer4.0.down.weight")
    );
    let depths: Vec<Depth> = blocks.plans().iter().map(|plan| plan.depth).collect();
    assert_eq!(depths, Depth::ALL);
}

#[test]
fn inception_is_cut_between_its_modules() {
    let mut net = Net::new(299);
    let mut x = net.layer("x", "1a", (4, 3, 2), 1, 0, true);
    x = net.layer(&x, "2a", (4, 3, 1), 1, 0, true);
    x = net.conv(&x, "2b", (8, 3, 1));
    x = net.node(max_pool(), &[&x], "3a");
    x = net.conv(&x, "3b", (10, 1, 1));
    x = net.layer(&x, "4a", (24, 3, 1), 1, 0, true);
    x = net.node(max_pool(), &[&x], "5a");
    for (name, out, stride) in [
        ("5b", 8, 1),
        ("5c", 9, 1),
        ("6a", 24, 2),
        ("6b", 24, 1),
        ("7a", 40, 2),
        ("7b", 64, 1),
        ("7c", 64, 1),
    ] {
        let branch = |part: &str| format!("{name}.{part}");
        let padding = 2 - stride;
        let a = net.conv(&x, &branch("a.1"), (out, 1, 1));
        let a = net.layer(&a, &branch("a.2"), (out, 3, stride), 1, padding, true);
        let b = net.conv(&x, &branch("b.1"), (out, 1, 1));
        let b = net.conv(&b, &branch("b.2"), (out, 3, 1));
        let b = net.layer(&b, &branch("b.3"), (out, 3, stride), 1, padding, true);
        let c = if stride == 1 {
            net.conv(&x, &branch("c.1"), (out, 1, 1))
        } else {
            net.node(max_pool(), &[&x], &branch("c.1"))
        };
        x = net.node(Moves::Concat { axis: 1 }, &[&a, &b, &c], name);
    }
    let blocks = net.analyse(&x, 299);
    assert_eq!(
        cuts(&blocks),
        ["x", "2a", "3a", "5a", "5b", "5c", "6a", "6b", "7a", "7b"]
    );
    assert_eq!(blocks.plan(Depth::Last1).cut.unwrap().tensor, "7b");
    assert_eq!(blocks.plan(Depth::Stage).cut.unwrap().tensor, "6b");
    // The stage has three blocks, so there is one depth less.
    let depths: Vec<Depth> = blocks.plans().iter().map(|plan| plan.depth).collect();
    let expected = [
        Depth::Head,
        Depth::Last1,
        Depth::Last3,
        Depth::TwoStages,
        Depth::All,
    ];
    assert_eq!(depths, expected);
}

#[test]
fn a_tiny_network_is_one_block() {
    let mut net = Net::new(32);
    let x = net.conv("x", "a", (4, 3, 2));
    let x = net.conv(&x, "b", (4, 3, 2));
    let blocks = net.analyse(&x, 32);
    assert_eq!(cuts(&blocks), ["x"]);
    let plans = blocks.plans();
    let depths: Vec<Depth> = plans.iter().map(|plan| plan.depth).collect();
    assert_eq!(depths, [Depth::Head, Depth::Last1]);
    assert_eq!(blocks.plan(Depth::All).cut, plans[1].cut);
}

#[test]
fn a_network_without_convolutions_says_so() {
    let mut net = Net::new(32);
    let x = net.conv("x", "a", (4, 1, 1));
    net.node(GlobalPool::Average, &[&x], "pool");
    net.node(Reshaping::FLATTEN, &["pool"], "pooled");
    let error = Blocks::analyse(&net.0, "x", ("pooled", 4), 32)
        .err()
        .unwrap();
    assert!(error.to_string().contains("no convolution"), "{error}");
    let error = Blocks::analyse(&net.0, "y", ("pooled", 4), 32)
        .err()
        .unwrap();
    assert!(error.to_string().contains('x'), "{error}");
}
