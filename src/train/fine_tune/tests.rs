//! The rewritten network compared with the plain one, the optimisers with formulas in double precision, and the
//! guarantees of the loop: it learns, and gives the same bits after any interruption.

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

use super::FineTuneSettings;
use super::graph::Network;
use super::rows::{RowBatches, Rows};
use crate::backbone::Depth;
use crate::graph::ops::{Activation, Conv, GlobalPool, Reshaping};
use crate::graph::{Graph, Sliding, ValueId};
use crate::jobs::Work;
use crate::onnx::{ElementType, Tensor};
use crate::train::Optimizer;
use crate::train::batches::{Draw, LabelledFrames, Purpose, ViewOfFrame};
use crate::train::checkpoint::Checkpoint;
use crate::train::learner::{End, Learner, Report};
use crate::train::optimizer::{Weight, matrix};
use crate::train::recipe::Recipe;
use crate::train::tests::{owned, random};
use crate::train::{CurvePoint, LearnSettings, LiveCurves, Part, TrainError, TrainSettings};

/// The back of a small network with everything that the layout treats differently: pointwise and depthwise
/// convolutions, with and without stride, a shortcut, a dense convolution and a pool in planes.
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

/// Rows in memory: noise around one centre for each class.
struct Table {
    rows: Vec<Vec<f16>>,
    cancel_at: Option<usize>,
    filled: usize,
}

impl Rows for Table {
    fn fill(
        &mut self,
        wanted: &[ViewOfFrame],
        out: &mut [f16],
        work: &Work,
    ) -> Result<(), TrainError> {
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

    fn ensure(&mut self, _: &[ViewOfFrame], work: &Work) -> Result<(), TrainError> {
        Ok(work.check()?)
    }
}

fn table(cut: &[usize], frames: usize) -> Table {
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

fn case() -> (
    Arc<Network>,
    Vec<Tensor>,
    TrainSettings,
    [LabelledFrames; 2],
) {
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
    for (name, shape) in [
        ("logits.weight", vec![3, small.dim]),
        ("logits.bias", vec![3]),
    ] {
        initial.push(random(&mut draw, &shape, 0.1));
        weights.push(Weight {
            name: name.to_owned(),
            shape,
            rate: 1.0,
            decays: name == "logits.weight",
        });
    }
    let settings = TrainSettings {
        eval_step_interval: 4,
        fine_tune: FineTuneSettings {
            depth: Depth::Last3,
            learn: LearnSettings {
                batch_size: 16,
                learning_rate: 0.01,
                ..LearnSettings::of_fine_tuning()
            },
            ..FineTuneSettings::default()
        },
        ..TrainSettings::default()
    };
    let side = |range: std::ops::Range<usize>| LabelledFrames {
        y: range.clone().map(|frame| (frame % 3) as i64).collect(),
        frames: range.collect(),
    };
    let network = Network {
        back: small.back,
        cut: small.cut.to_vec(),
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

/// Trains from a checkpoint. Also returns the progress at its end or when it was cancelled, and the points up to
/// there.
fn train(
    from: Checkpoint,
    steps: u32,
    cancel_at: Option<usize>,
    settings: &TrainSettings,
) -> (Result<End, TrainError>, Checkpoint, Vec<CurvePoint>) {
    let (_, _, _, sides) = case();
    train_on(&sides, from, steps, cancel_at, settings)
}

/// [`train`] with other sides than those of the [`case`].
fn train_on(
    [train, validation]: &[LabelledFrames; 2],
    from: Checkpoint,
    steps: u32,
    cancel_at: Option<usize>,
    settings: &TrainSettings,
) -> (Result<End, TrainError>, Checkpoint, Vec<CurvePoint>) {
    let recipe = settings.recipe(Part::FineTuning, validation.y.len());
    train_by(
        &recipe,
        [train, validation],
        from,
        steps,
        cancel_at,
        settings,
    )
}

/// [`train_on`] with another recipe.
fn train_by(
    recipe: &Recipe,
    sides: [&LabelledFrames; 2],
    from: Checkpoint,
    steps: u32,
    cancel_at: Option<usize>,
    settings: &TrainSettings,
) -> (Result<End, TrainError>, Checkpoint, Vec<CurvePoint>) {
    let (network, ..) = case();
    let mut rows = table(&network.cut, 180);
    rows.cancel_at = cancel_at;
    let work = Work::new();
    let mut batches = RowBatches::new(
        &mut rows,
        network.row_len(),
        settings.fine_tune.learn.batch_size,
    );
    let mut learner = Learner::new(network, recipe, sides, &mut batches, from, &work).unwrap();
    let curves = LiveCurves::default();
    let end = learner.run(
        steps,
        &mut Report {
            curves: &curves,
            work: &work,
            save: &mut |_, _| Ok(()),
            classes: &[],
        },
    );
    let stands = owned(&learner.snapshot().unwrap());
    (end, stands, curves.since([0, 0]).1)
}

/// The checkpoint before the first step.
fn beginning(settings: &TrainSettings, initial: &[Tensor]) -> Checkpoint {
    Checkpoint::beginning(&settings.recipe(Part::FineTuning, 0).optimization, initial)
}

/// Everything except times.
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
    for optimizer in [Optimizer::AdamW, Optimizer::Momentum] {
        let (_, initial, mut settings, _) = case();
        settings.fine_tune.learn.optimizer = optimizer;
        settings.fine_tune.learn.learning_rate = 10.0 * optimizer.default_rate();
        let (end, last, points) = train(beginning(&settings, &initial), 200, None, &settings);
        assert_eq!(end.unwrap(), End::Complete);
        let best = last.place.best.unwrap();
        let first = points.first().unwrap();
        assert!(best.validation_accuracy > 0.75, "{best:?}");
        assert!(points.last().unwrap().train_cross_entropy < first.train_cross_entropy);
        assert_eq!(points.len(), 50);
    }
}

#[test]
fn what_is_measured_changes_no_bit() {
    for clip_norm in [0.0, 0.5] {
        let (_, initial, mut settings, [train, validation]) = case();
        settings.fine_tune.learn.clip_norm = clip_norm;
        let [with, without] = [true, false].map(|measured| {
            let mut recipe = settings.recipe(Part::FineTuning, validation.y.len());
            assert!(recipe.measures.gradient_norm);
            recipe.measures.gradient_norm = measured;
            recipe.measures.histograms = measured;
            let (sides, begin) = ([&train, &validation], beginning(&settings, &initial));
            train_by(&recipe, sides, begin, 40, None, &settings).1
        });
        assert_eq!((&with.state, &with.best), (&without.state, &without.best));
        assert!(with.place.gradient_norm.unwrap() > 0.0);
        assert_eq!(without.place.gradient_norm, None);
    }
}

#[test]
fn the_best_weights_have_the_figures_of_the_labels_of_today() {
    let (_, initial, mut settings, sides) = case();
    settings.fine_tune.learn.learning_rate =
        10.0 * settings.fine_tune.learn.optimizer.default_rate();
    let (_, last, _) = train(beginning(&settings, &initial), 200, None, &settings);
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
    none[1] = LabelledFrames::default();
    let (_, after, _) = train_on(&none, last, 200, None, &settings);
    assert_eq!((after.place.best, after.best), (None, None));
}

#[test]
fn interrupted_anywhere_it_ends_with_the_same_bits() {
    let (_, initial, mut settings, _) = case();
    for mixup in [0.0, 0.3] {
        settings.fine_tune.learn.mixup = mixup;
        let begin = || beginning(&settings, &initial);
        let (_, last, points) = train(begin(), 60, None, &settings);
        let whole = timeless(last, points);
        // `fill` is called for training and validation alike, so this interrupts both.
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
}
