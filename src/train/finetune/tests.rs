//! The rewritten network against the plain one, the optimisers against formulas in double precision, and the
//! loop's promises: it learns, and gives the same bits again whatever interrupts it.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::float_cmp,
    reason = "a failed set-up is a failed test"
)]

mod layout;
mod rates;

use std::sync::Arc;

use half::f16;

use super::checkpoint::{Checkpoint, beginning};
use super::graph::{LOGITS_BIAS, LOGITS_WEIGHT, Network};
use super::learner::{FineTrainer, Report, Row, Rows, Side};
use super::optimizer::{BETA_1, BETA_2, Slot, Weight, append_updates, matrix, next};
use super::{FineTuneOptimizer, FineTuneSettings};
use crate::backbone::Depth;
use crate::graph::ops::{Activation, Conv, GlobalPool, Reshaping};
use crate::graph::{Dim, Graph, Sliding, ValueId};
use crate::jobs::Work;
use crate::onnx::{ElementType, Session, Tensor};
use crate::train::batches::{Draw, Purpose};
use crate::train::files::Values;
use crate::train::learner::End;
use crate::train::{CurvePoint, LiveCurves, TrainError, TrainSettings};

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
    let x = graph.input(
        "cut",
        ElementType::F32,
        &["N".into(), 4.into(), 6.into(), 6.into()],
    );
    let six = graph.constant_named("six", Tensor::scalar(1.0_f32));
    let zero = graph.constant_named("zero", Tensor::scalar(0.0_f32));
    let mut conv = |graph: &mut Graph,
                    x: ValueId,
                    name: &str,
                    shape: [usize; 4],
                    (group, stride): (usize, usize),
                    pads: [usize; 4]| {
        let fan_in = (shape[1] * shape[2] * shape[3]) as f64;
        let kernel = random(&mut draw, &shape, 1.5 / fan_in.sqrt());
        let bias = random(&mut draw, &[shape[0]], 0.3);
        let names = [format!("{name}.weight"), format!("{name}.bias")];
        let [w, b] = [(&names[0], &kernel), (&names[1], &bias)]
            .map(|(name, tensor)| graph.constant_named(name, tensor.clone()));
        weights.extend(names.into_iter().zip([kernel, bias]));
        let mut sliding = Sliding::new(&[stride; 2], &[], &pads);
        sliding.kernel = vec![shape[2] as i64, shape[3] as i64];
        graph.op(Conv::new(sliding, group), &[x, w, b])
    };
    let act = |graph: &mut Graph, x| graph.op(Activation::CLIP, &[x, zero, six]);
    let expand = conv(&mut graph, x, "expand", [12, 4, 1, 1], (1, 1), [0; 4]);
    let expand = act(&mut graph, expand);
    let depth = conv(&mut graph, expand, "depth", [12, 1, 3, 3], (12, 1), [1; 4]);
    let depth = act(&mut graph, depth);
    let project = conv(&mut graph, depth, "project", [4, 12, 1, 1], (1, 1), [0; 4]);
    let sum = graph.add(project, x);
    let half = conv(&mut graph, sum, "half", [4, 1, 3, 3], (4, 2), [0, 0, 1, 1]);
    let half = graph.op(Activation::Relu, &[half]);
    let dense = conv(&mut graph, half, "dense", [6, 4, 3, 3], (1, 1), [1; 4]);
    let dense = act(&mut graph, dense);
    let last = conv(&mut graph, dense, "last", [8, 6, 1, 1], (1, 1), [0; 4]);
    let last = act(&mut graph, last);
    let pooled = graph.op(GlobalPool::Average, &[last]);
    let flat = graph.op_named(Reshaping::FLATTEN, &[pooled], "bottleneck");
    graph.output(flat);
    Small {
        back: graph,
        cut,
        dim: 8,
        weights,
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
        let by: Vec<ValueId> = found.iter().map(|name| graph.find(name).unwrap()).collect();
        append_updates(&mut graph, &settings, &weights, &by).unwrap();
        for (name, _) in &names {
            let next = graph.find(&next(name)).unwrap();
            graph.output(next);
        }
        let mut session = Session::from_bytes(&graph.to_onnx(), 1).unwrap();

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

/// Trains from a checkpoint. Also gives where the training stands at its end or where it was cancelled, and the points
/// up to there.
fn train(
    from: Checkpoint,
    steps: u32,
    cancel_at: Option<usize>,
    settings: &TrainSettings,
) -> (Result<End, TrainError>, Checkpoint, Vec<CurvePoint>) {
    let (_, _, _, sides) = case();
    train_on(&sides, from, steps, cancel_at, settings)
}

/// [`train`] on other sides than those of the [`case`].
fn train_on(
    [train, validation]: &[Side; 2],
    from: Checkpoint,
    steps: u32,
    cancel_at: Option<usize>,
    settings: &TrainSettings,
) -> (Result<End, TrainError>, Checkpoint, Vec<CurvePoint>) {
    let (network, ..) = case();
    let mut rows = table(network.cut, 180);
    rows.cancel_at = cancel_at;
    let work = Work::new();
    let mut trainer =
        FineTrainer::new(&network, settings, [train, validation], from, &work).unwrap();
    let curves = LiveCurves::default();
    let end = trainer.run(
        steps,
        &mut rows,
        &mut Report {
            curves: &curves,
            work: &work,
            save: &mut |_, _| Ok(()),
        },
    );
    let snapshot = trainer.snapshot().unwrap();
    let owned = |values: &Values| Tensor::new(values.shape, values.values.to_vec());
    let stands = Checkpoint {
        place: snapshot.place,
        state: snapshot.state.iter().map(owned).collect(),
        best: snapshot.best.map(<[Tensor]>::to_vec),
    };
    (end, stands, curves.snapshot())
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
fn the_best_weights_have_the_figures_of_the_labels_of_today() {
    let (_, initial, mut settings, sides) = case();
    settings.fine_tune.learning_rate = 10.0 * settings.fine_tune.optimizer.default_rate();
    let (_, last, _) = train(
        beginning(&settings.fine_tune, &initial),
        200,
        None,
        &settings,
    );
    let before = last.place.best.unwrap();
    let (_, same, _) = train(last.clone(), 200, None, &settings);
    assert_eq!(same, last, "nothing was changed");
    let mut relabelled = sides.clone();
    for y in &mut relabelled[1].y {
        *y = (*y + 1) % 3;
    }
    let (_, after, _) = train_on(&relabelled, last.clone(), 200, None, &settings);
    let best = after.place.best.unwrap();
    assert_eq!((best.step, &after.best), (before.step, &last.best));
    assert!(before.validation_accuracy > 0.75, "{before:?}");
    assert!(
        best.validation_accuracy <= 1.0 - before.validation_accuracy,
        "{best:?}"
    );
    let mut none = sides;
    none[1] = Side::default();
    let (_, after, _) = train_on(&none, last, 200, None, &settings);
    assert_eq!((after.place.best, after.best), (None, None));
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
