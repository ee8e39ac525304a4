//! The rewritten network against the plain one, the optimisers against formulas in double precision, and the
//! loop's promises: it learns, and gives the same bits again whatever interrupts it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "a failed set-up is a failed test"
)]

mod rates;

use std::collections::HashSet;
use std::sync::Arc;

use half::f16;

use super::graph::{LOGITS_BIAS, LOGITS_WEIGHT, Network};
use super::layout::append_in_rows;
use super::learner::{Checkpoint, FineTrainer, Report, Row, Rows, Side, beginning};
use super::network::network;
use super::optimizer::{BETA_1, BETA_2, Slot, Weight, append_updates, matrix, next};
use super::{FineTuneOptimizer, FineTuneSettings};
use crate::backbone::{Architecture, Blocks, Depth};
use crate::jobs::Work;
use crate::onnx::{Attribute, Dim, ElementType, Graph, Session, Tensor};
use crate::train::batches::{Draw, Purpose};
use crate::train::gradient::gradients;
use crate::train::graph::Sizes;
use crate::train::learner::End;
use crate::train::{CurvePoint, Head, LiveCurves, TrainError, TrainSettings};

fn random(draw: &mut Draw, shape: &[usize], scale: f64) -> Tensor {
    let len: usize = shape.iter().product();
    let values: Vec<f32> = (0..len)
        .map(|_| (scale * draw.truncated_normal()) as f32)
        .collect();
    Tensor::new(shape, values)
}

/// The back of a small network with everything that the layout treats in its own way: pointwise and depthwise
/// convolutions, with and without stride, a residual, a dense convolution and a pool in between (planes).
struct Small {
    back: Graph,
    cut: [usize; 3],
    dim: usize,
    weights: Vec<(String, Tensor)>,
}

fn small(seed: u64) -> Small {
    let mut draw = Draw::new(seed, Purpose::Weights, 0);
    let mut graph = Graph::new("small");
    let mut weights = Vec::new();
    let cut = [4, 6, 6];
    graph.input(
        "cut",
        ElementType::F32,
        &["N".into(), 4.into(), 6.into(), 6.into()],
    );
    graph.initializer("six", &Tensor::scalar(1.0_f32));
    graph.initializer("zero", &Tensor::scalar(0.0_f32));
    let mut conv = |graph: &mut Graph,
                    x: &str,
                    name: &str,
                    shape: [usize; 4],
                    group: i64,
                    stride: i64,
                    pads: [i64; 4]| {
        let fan_in = (shape[1] * shape[2] * shape[3]) as f64;
        let kernel = random(&mut draw, &shape, 1.5 / fan_in.sqrt());
        let bias = random(&mut draw, &[shape[0]], 0.3);
        let (w, b) = (format!("{name}.weight"), format!("{name}.bias"));
        graph.initializer(&w, &kernel);
        graph.initializer(&b, &bias);
        weights.push((w.clone(), kernel));
        weights.push((b.clone(), bias));
        graph.op_with(
            "Conv",
            &[x, &w, &b],
            &[
                ("group", Attribute::Int(group)),
                (
                    "kernel_shape",
                    Attribute::Ints(vec![shape[2] as i64, shape[3] as i64]),
                ),
                ("strides", Attribute::Ints(vec![stride, stride])),
                ("pads", Attribute::Ints(pads.to_vec())),
            ],
        )
    };
    let act = |graph: &mut Graph, x: &str| graph.op("Clip", &[x, "zero", "six"]);
    let expand = conv(&mut graph, "cut", "expand", [12, 4, 1, 1], 1, 1, [0; 4]);
    let expand = act(&mut graph, &expand);
    let depth = conv(&mut graph, &expand, "depth", [12, 1, 3, 3], 12, 1, [1; 4]);
    let depth = act(&mut graph, &depth);
    let project = conv(&mut graph, &depth, "project", [4, 12, 1, 1], 1, 1, [0; 4]);
    let sum = graph.op("Add", &[&project, "cut"]);
    let half = conv(&mut graph, &sum, "half", [4, 1, 3, 3], 4, 2, [0, 0, 1, 1]);
    let half = graph.op("Relu", &[&half]);
    let dense = conv(&mut graph, &half, "dense", [6, 4, 3, 3], 1, 1, [1; 4]);
    let dense = act(&mut graph, &dense);
    let last = conv(&mut graph, &dense, "last", [8, 6, 1, 1], 1, 1, [0; 4]);
    let last = act(&mut graph, &last);
    let pooled = graph.op("GlobalAveragePool", &[&last]);
    graph.node(
        "Flatten",
        &[&pooled],
        &["bottleneck"],
        &[("axis", Attribute::Int(1))],
    );
    graph.output("bottleneck", ElementType::F32, &["N".into(), 8.into()]);
    Small {
        back: graph,
        cut,
        dim: 8,
        weights,
    }
}

/// The loss `Σ r·bottleneck` and its derivatives by all weights, in either form of the graph.
fn derivatives(small: &Small, in_rows: bool, x: &Tensor, r: &Tensor) -> Vec<Tensor> {
    let batch = x.shape[0];
    let mut graph = Graph::new("derivatives");
    let fixed = |shape: &[usize]| shape.iter().map(|len| Dim::Fixed(*len)).collect::<Vec<_>>();
    graph.input("x", ElementType::F32, &fixed(&x.shape));
    graph.input("r", ElementType::F32, &fixed(&r.shape));
    let trained: HashSet<String> = small.weights.iter().map(|(name, _)| name.clone()).collect();
    for (name, tensor) in &small.weights {
        graph.input(name, ElementType::F32, &fixed(&tensor.shape));
    }
    let bottleneck = if in_rows {
        let columns =
            append_in_rows(&mut graph, &small.back, "x", small.cut, batch, &trained).unwrap();
        graph.op("Transpose", &[&columns])
    } else {
        let mut back = small.back.clone();
        let cut = small.back.inputs[0].name();
        let bottleneck = small.back.outputs[0].name().to_owned();
        back.inputs.clear();
        back.outputs.clear();
        back.initializers
            .retain(|tensor| !trained.contains(tensor.name()));
        for node in &mut back.nodes {
            for input in &mut node.input {
                if input == cut {
                    *input = "x".into();
                }
            }
        }
        graph.reserve(&small.back);
        graph.initializers.extend(back.initializers);
        graph.nodes.extend(back.nodes);
        bottleneck
    };
    let product = graph.op("Mul", &[&bottleneck, "r"]);
    let loss = graph.op_with("ReduceSum", &[&product], &[("keepdims", Attribute::Int(0))]);
    let names: Vec<&str> = small
        .weights
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let found = gradients(&mut graph, &loss, &names).unwrap();
    let mut outputs = vec!["value".to_owned()];
    graph.output_as(&bottleneck, "value", ElementType::F32, &[]);
    for (at, gradient) in found.iter().enumerate() {
        let name = format!("d{at}");
        graph.output_as(gradient, &name, ElementType::F32, &[]);
        outputs.push(name);
    }
    for output in &mut graph.outputs {
        output.r#type = None;
    }
    graph.prune();
    let mut inputs = vec![("x", x), ("r", r)];
    inputs.extend(
        small
            .weights
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor)),
    );
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let mut session = Session::from_bytes(&graph.to_bytes(), 1).unwrap();
    session.run(&inputs, &outputs).unwrap()
}

/// Compares the value and all derivatives in rows with those in planes, each as a whole.
fn compare(small: &Small, batch: usize, seed: u64, limit: f64) {
    let mut draw = Draw::new(seed, Purpose::Batch, 0);
    let [channels, height, width] = small.cut;
    let x = random(&mut draw, &[batch, channels, height, width], 1.0);
    let r = random(&mut draw, &[batch, small.dim], 1.0);
    let planes = derivatives(small, false, &x, &r);
    let rows = derivatives(small, true, &x, &r);
    for (at, (a, b)) in planes.iter().zip(&rows).enumerate() {
        assert_eq!(a.shape, b.shape);
        let (a, b) = (a.f32().unwrap(), b.f32().unwrap());
        let norm = |v: &[f32]| v.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let difference: Vec<f32> = a.iter().zip(b).map(|(a, b)| a - b).collect();
        assert!(norm(a) > 1e-3, "value {at} says nothing");
        assert!(
            norm(&difference) < limit * norm(a),
            "value {at}: {} of {}",
            norm(&difference),
            norm(a)
        );
    }
}

#[test]
fn rows_give_the_same_values_and_derivatives_as_planes() {
    // Batches that are blocks of pictures, and one that is not.
    for (seed, batch) in [(0, 5), (1, 5), (2, 5), (3, 16), (4, 16), (5, 32)] {
        compare(&small(seed), batch, seed, 1e-5);
    }
}

/// All weights of a shipped backbone, its first convolution and those with steps among them.
#[test]
fn rows_give_the_derivatives_of_a_whole_backbone() {
    let architecture = Architecture::default();
    let blocks = Blocks::of(&architecture).unwrap();
    let plan = blocks.plan(Depth::All);
    let cut = plan.cut.as_ref().unwrap();
    let back = blocks.back(cut).unwrap();
    let weights = plan
        .weights
        .iter()
        .map(|weight| {
            let value = back.initializer_value(&weight.name).unwrap().unwrap();
            (weight.name.clone(), value)
        })
        .collect();
    let whole = Small {
        cut: cut.shape,
        dim: architecture.entry().unwrap().bottleneck_dim,
        back,
        weights,
    };
    // Single precision through fifty layers; activations next to a corner of ReLU6 fall on either side of it.
    compare(&whole, 16, 7, 1e-2);
}

/// The logits and derivatives of a batch, with some pictures at a time.
fn by_parts(pictures: usize) -> Vec<Tensor> {
    const BATCH: usize = 32;
    let (network, initial, settings, _) = case();
    let mut graph = Graph::new("by parts");
    network.inputs(&mut graph, BATCH);
    let (logits, found) = network
        .by_parts(&mut graph, &settings.fine_tune, BATCH, pictures)
        .unwrap();
    let mut outputs = Vec::new();
    for (at, value) in [logits].iter().chain(&found).enumerate() {
        let name = format!("value {at}");
        graph.output_as(value, &name, ElementType::F32, &[]);
        outputs.push(name);
    }
    for output in &mut graph.outputs {
        output.r#type = None;
    }
    graph.prune();
    let mut rows = table(network.cut, BATCH);
    let wanted: Vec<Row> = (0..BATCH).map(|frame| (frame, 0)).collect();
    let mut x = vec![f16::ZERO; BATCH * network.row_len()];
    rows.fill(&wanted, &mut x, &Work::new()).unwrap();
    let x = Tensor::new([BATCH, network.row_len()], x);
    let y = Tensor::new(
        [BATCH],
        (0..BATCH as i64).map(|at| at % 3).collect::<Vec<_>>(),
    );
    let mut inputs = vec![("x", &x), ("y", &y)];
    let weights = network.weights.iter().map(|weight| weight.name.as_str());
    inputs.extend(weights.zip(&initial));
    let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
    let mut session = Session::from_bytes(&graph.to_bytes(), 2).unwrap();
    session.run(&inputs, &outputs).unwrap()
}

#[test]
fn a_batch_in_parts_has_the_derivatives_of_the_whole() {
    let whole = by_parts(32);
    for pictures in [4, 8, 16] {
        for (at, (a, b)) in whole.iter().zip(&by_parts(pictures)).enumerate() {
            assert_eq!(a.shape, b.shape);
            let (a, b) = (a.f32().unwrap(), b.f32().unwrap());
            let largest = a.iter().fold(0.0_f32, |most, value| most.max(value.abs()));
            assert!(largest > 1e-4, "value {at} says nothing");
            for (a, b) in a.iter().zip(b) {
                assert!(
                    (a - b).abs() < 1e-5 * largest,
                    "value {at}, {pictures}: {a} {b}"
                );
            }
        }
    }
}

/// The whole of a large network goes in parts; a few blocks of it go at once.
#[test]
fn what_fits_into_memory_goes_at_once() {
    let blocks = Arc::new(Blocks::of(&Architecture::default()).unwrap());
    let sizes = Sizes {
        dim: Architecture::default().entry().unwrap().bottleneck_dim,
        classes: 3,
    };
    let head = Head {
        w: vec![0.0; sizes.dim * 3],
        b: vec![0.0; 3],
    };
    let settings = FineTuneSettings::default();
    for (depth, expected) in [(Depth::Last3, 32..=32), (Depth::All, 8..=16)] {
        let plan = blocks.plan(depth);
        let (network, _) = network(&blocks, &plan, &settings, sizes, &head, &Work::new()).unwrap();
        let pictures = network.pictures_at_once(32);
        assert!(expected.contains(&pictures), "{depth}: {pictures}");
        assert!(network.pictures_at_once(30) >= 1);
    }
}

/// The formulas of [`append_updates`] in double precision, over 60 steps of random gradients.
#[test]
fn updates_follow_the_formulas() {
    for optimizer in [FineTuneOptimizer::Momentum, FineTuneOptimizer::AdamW] {
        let settings = FineTuneSettings {
            optimizer,
            weight_decay: 0.05,
            clip_norm: 1.5,
            ..FineTuneSettings::default()
        };
        let weights = [("kernel", 7, true, 1.0_f32), ("bias", 3, false, 0.5)];
        let weights: Vec<Weight> = weights
            .iter()
            .map(|(name, len, decays, rate)| Weight {
                name: (*name).to_owned(),
                shape: vec![*len],
                rate: *rate,
                decays: *decays,
            })
            .collect();
        let mut graph = Graph::new("updates");
        for scalar in super::graph::scalars(&settings) {
            graph.input(scalar, ElementType::F32, &[]);
        }
        let mut names = Vec::new();
        for weight in &weights {
            let shape = [Dim::Fixed(weight.shape[0])];
            let slots = Slot::all(&settings)
                .into_iter()
                .map(|slot| slot.name(&weight.name));
            for name in [weight.name.clone()].into_iter().chain(slots) {
                graph.input(&name, ElementType::F32, &shape);
                names.push((name, weight.shape[0]));
            }
            graph.input(&format!("g.{}", weight.name), ElementType::F32, &shape);
        }
        let found: Vec<String> = weights.iter().map(|w| format!("g.{}", w.name)).collect();
        append_updates(&mut graph, &settings, &weights, &found);
        for (name, len) in &names {
            graph.output(&next(name), ElementType::F32, &[Dim::Fixed(*len)]);
        }
        let mut session = Session::from_bytes(&graph.to_bytes(), 1).unwrap();

        let mut draw = Draw::new(3, Purpose::Weights, 0);
        let mut state: Vec<Tensor> = names
            .iter()
            .map(|(name, len)| {
                if name.contains('.') {
                    Tensor::zeros(ElementType::F32, [*len])
                } else {
                    random(&mut draw, &[*len], 1.0)
                }
            })
            .collect();
        let mut exact: Vec<Vec<f64>> = state
            .iter()
            .map(|t| t.f32().unwrap().iter().map(|v| f64::from(*v)).collect())
            .collect();
        let slots = Slot::all(&settings).len() + 1;
        for step in 1..=60_u32 {
            let rate = 0.02 + 0.001 * f64::from(step);
            let average_rate = settings.average_rate(step);
            let t = f64::from(step);
            let scales = (1.0 / (1.0 - BETA_1.powf(t)), 1.0 / (1.0 - BETA_2.powf(t)));
            let g: Vec<Tensor> = weights
                .iter()
                .map(|w| random(&mut draw, &w.shape, 0.1 * f64::from(step % 9)))
                .collect();

            let norm = g
                .iter()
                .flat_map(|g| g.f32().unwrap())
                .map(|v| f64::from(*v).powi(2))
                .sum::<f64>()
                .sqrt();
            let scale = 1.5 / norm.max(1.5);
            for (at, weight) in weights.iter().enumerate() {
                let rate = rate * f64::from(weight.rate);
                let decay = if weight.decays { 0.05 } else { 0.0 };
                for i in 0..weight.shape[0] {
                    let g = scale * f64::from(g[at].f32().unwrap()[i]);
                    let [w, first, rest @ .., average] = &mut exact[at * slots..(at + 1) * slots]
                    else {
                        unreachable!()
                    };
                    if let [second] = rest {
                        first[i] = BETA_1 * first[i] + (1.0 - BETA_1) * g;
                        second[i] = BETA_2 * second[i] + (1.0 - BETA_2) * g * g;
                        let divisor = (second[i] * scales.1).sqrt() + 1e-8;
                        w[i] -= rate * (first[i] * scales.0 / divisor + decay * w[i]);
                    } else {
                        first[i] = 0.9 * first[i] + g + decay * w[i];
                        w[i] -= rate * first[i];
                    }
                    average[i] += average_rate * (w[i] - average[i]);
                }
            }

            let scalars =
                [rate, average_rate, scales.0, scales.1].map(|value| Tensor::scalar(value as f32));
            let mut inputs: Vec<(&str, &Tensor)> = super::graph::scalars(&settings)
                .iter()
                .copied()
                .zip(&scalars)
                .collect();
            inputs.extend(found.iter().map(String::as_str).zip(&g));
            inputs.extend(names.iter().map(|(name, _)| name.as_str()).zip(&state));
            let outputs: Vec<String> = names.iter().map(|(name, _)| next(name)).collect();
            let outputs: Vec<&str> = outputs.iter().map(String::as_str).collect();
            state = session.run(&inputs, &outputs).unwrap();
        }
        for (exact, (found, (name, _))) in exact.iter().zip(state.iter().zip(&names)) {
            for (exact, found) in exact.iter().zip(found.f32().unwrap()) {
                let difference = (exact - f64::from(*found)).abs();
                assert!(difference < 1e-5, "{optimizer:?} {name}: {difference}");
            }
        }
    }
}

/// Rows in memory: noise around one centre per class.
struct Table {
    rows: Vec<Vec<f16>>,
    cancel_at: Option<usize>,
    filled: usize,
}

impl Rows for Table {
    fn fill(&mut self, wanted: &[Row], out: &mut [f16], work: &Work) -> Result<(), TrainError> {
        self.filled += 1;
        if self.cancel_at == Some(self.filled) {
            work.cancel();
        }
        let len = self.rows[0].len();
        for ((frame, _), out) in wanted.iter().zip(out.chunks_exact_mut(len)) {
            out.copy_from_slice(&self.rows[*frame]);
        }
        Ok(())
    }

    fn ensure(&mut self, _: &[Row], work: &Work) -> Result<(), TrainError> {
        Ok(work.check()?)
    }
}

fn table(cut: [usize; 3], frames: usize) -> Table {
    let len: usize = cut.iter().product();
    let mut draw = Draw::new(5, Purpose::Weights, 0);
    let centres: Vec<Tensor> = (0..3).map(|_| random(&mut draw, &[len], 0.6)).collect();
    let rows = (0..frames)
        .map(|frame| {
            let noise = random(&mut draw, &[len], 1.0);
            let centre = centres[frame % 3].f32().unwrap();
            let values = noise.f32().unwrap().iter().zip(centre);
            values.map(|(n, c)| f16::from_f32(n + c)).collect()
        })
        .collect();
    Table {
        rows,
        cancel_at: None,
        filled: 0,
    }
}

fn case() -> (Arc<Network>, Vec<Tensor>, TrainSettings, [Side; 2]) {
    let small = small(1);
    let mut weights: Vec<Weight> = small
        .weights
        .iter()
        .map(|(name, tensor)| Weight {
            name: name.clone(),
            shape: matrix(&tensor.shape),
            rate: 1.0,
            decays: name.ends_with("weight"),
        })
        .collect();
    let mut initial: Vec<Tensor> = small
        .weights
        .into_iter()
        .map(|(_, tensor)| Tensor::new(matrix(&tensor.shape), tensor.data))
        .collect();
    let mut draw = Draw::new(2, Purpose::Weights, 0);
    for (name, shape) in [(LOGITS_WEIGHT, vec![3, small.dim]), (LOGITS_BIAS, vec![3])] {
        initial.push(random(&mut draw, &shape, 0.1));
        weights.push(Weight {
            name: name.to_owned(),
            shape,
            rate: 1.0,
            decays: name == LOGITS_WEIGHT,
        });
    }
    let settings = TrainSettings {
        eval_step_interval: 4,
        fine_tune: FineTuneSettings {
            depth: Depth::Last3,
            batch_size: 16,
            learning_rate: 0.01,
            ..FineTuneSettings::default()
        },
        ..TrainSettings::default()
    };
    let side = |range: std::ops::Range<usize>| Side {
        y: range.clone().map(|frame| (frame % 3) as i64).collect(),
        frames: range.collect(),
    };
    let network = Network {
        back: small.back,
        cut: small.cut,
        classes: 3,
        weights,
    };
    (
        Arc::new(network),
        initial,
        settings,
        [side(0..120), side(120..180)],
    )
}

/// Trains from a checkpoint; a cancellation is no error here. Also gives the points and the last checkpoint.
fn train(
    from: Checkpoint,
    steps: u32,
    cancel_at: Option<usize>,
    settings: &TrainSettings,
) -> (Result<End, TrainError>, Checkpoint, Vec<CurvePoint>) {
    let (network, _, _, [train, validation]) = case();
    let mut rows = table(network.cut, 180);
    rows.cancel_at = cancel_at;
    let work = Work::new();
    let mut trainer =
        FineTrainer::new(&network, settings, [&train, &validation], from, &work).unwrap();
    let curves = LiveCurves::default();
    let mut last = None;
    let mut points = Vec::new();
    let end = trainer.run(
        steps,
        &mut rows,
        &mut Report {
            curves: &curves,
            work: &work,
            save: &mut |checkpoint, new| {
                last = Some(checkpoint.clone());
                points.extend_from_slice(new);
                Ok(())
            },
        },
    );
    (end, last.unwrap(), points)
}

/// Everything but the time.
fn timeless(
    mut checkpoint: Checkpoint,
    mut points: Vec<CurvePoint>,
) -> (Checkpoint, Vec<CurvePoint>) {
    checkpoint.place.secs = 0.0;
    for point in &mut points {
        point.secs = 0.0;
    }
    (checkpoint, points)
}

#[test]
fn it_learns_and_keeps_the_best() {
    for optimizer in [FineTuneOptimizer::AdamW, FineTuneOptimizer::Momentum] {
        let (_, initial, mut settings, _) = case();
        settings.fine_tune.optimizer = optimizer;
        settings.fine_tune.learning_rate = 10.0 * optimizer.default_rate();
        let (end, last, points) = train(
            beginning(&settings.fine_tune, &initial),
            200,
            None,
            &settings,
        );
        assert_eq!(end.unwrap(), End::Complete);
        let best = last.place.best.unwrap();
        let first = points.first().unwrap();
        assert!(best.validation_accuracy > 0.75, "{best:?}");
        assert!(points.last().unwrap().train_cross_entropy < first.train_cross_entropy);
        assert_eq!(points.len(), 50);
    }
}

#[test]
fn interrupted_anywhere_it_ends_with_the_same_bits() {
    let (_, initial, settings, _) = case();
    let begin = || beginning(&settings.fine_tune, &initial);
    let (_, last, points) = train(begin(), 60, None, &settings);
    let whole = timeless(last, points);
    // `fill` is called for training and for validation alike, so this hits both.
    for at in [1, 2, 7, 9, 30, 31, 32, 33, 50, 77] {
        let (end, middle, mut points) = train(begin(), 60, Some(at), &settings);
        assert!(matches!(end, Err(TrainError::Cancelled(_))), "at {at}");
        assert!(middle.place.step < 60);
        let (end, last, rest) = train(middle, 60, None, &settings);
        assert_eq!(end.unwrap(), End::Complete);
        points.extend(rest);
        assert_eq!(timeless(last, points), whole, "interrupted at {at}");
    }
}
