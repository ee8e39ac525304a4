//! The loop compared with an independent implementation, and its guarantees: the same bits after any interruption.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a failed set-up is a failed test; numbers are compared bit for bit"
)]

mod early_stopping;
mod layers;
mod measured;
mod mixup;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use super::batches::{ByClass, Draw, Purpose};
use super::checkpoint::{Checkpoint, Snapshot};
use super::head::{Data, Examples, HeadLayer, Sizes, Table, accuracy, correct};
use super::layers::transpose;
use super::learner::{End, Learner, Report};
use super::recipe::Recipe;
use super::{
    ClassSampling, CurvePoint, EvalSpacing, Head, Histogram, LearnSettings, LiveCurves, Measured,
    MetricSide, Metrics, Optimizer, Part, Schedule, Series, TrainError, TrainSettings,
};
use crate::jobs::Work;
use crate::onnx::Tensor;

const SIZES: Sizes = Sizes {
    dim: 24,
    classes: 3,
};

/// Normally distributed numbers, truncated at twice `scale`.
pub(super) fn random(draw: &mut Draw, shape: &[usize], scale: f64) -> Tensor {
    let len: usize = shape.iter().product();
    let values: Vec<f32> = (0..len)
        .map(|_| (scale * draw.truncated_normal()) as f32)
        .collect();
    Tensor::new(shape, values)
}

/// Clouds of points around one centre for each class, which can be classified, but not perfectly.
fn examples(rows: usize, seed: u64) -> Examples {
    let mut centres = Draw::new(99, Purpose::Weights, 0);
    let centres: Vec<f64> = (0..SIZES.dim * SIZES.classes)
        .map(|_| centres.truncated_normal())
        .collect();
    let mut draw = Draw::new(seed, Purpose::Weights, 1);
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for row in 0..rows {
        // Classes of different sizes.
        let class = if row % 7 == 0 { 2 } else { row % 2 };
        y.push(class as i64);
        for at in 0..SIZES.dim {
            let centre = centres[class * SIZES.dim + at];
            x.push((0.7 * centre + draw.truncated_normal()) as f32);
        }
    }
    Examples::new(SIZES, x, y).unwrap()
}

fn data() -> Data {
    Data {
        sizes: SIZES,
        train: examples(150, 1),
        validation: examples(60, 2),
        test: examples(60, 3),
    }
}

const EVERY_OPTIMIZER: [Optimizer; 4] = [
    Optimizer::Sgd,
    Optimizer::Momentum,
    Optimizer::Adam,
    Optimizer::AdamW,
];

fn settings(optimizer: Optimizer) -> TrainSettings {
    let mut settings = TrainSettings {
        how_many_training_steps: 100,
        validation_batch_size: 30,
        seed: 5,
        ..TrainSettings::default()
    };
    settings.head.learn = LearnSettings {
        optimizer,
        learning_rate: match optimizer {
            Optimizer::Sgd => 0.05,
            Optimizer::Momentum | Optimizer::Adam | Optimizer::AdamW => 0.01,
        },
        batch_size: 20,
        ..LearnSettings::of_head()
    };
    settings
}

struct Outcome {
    end: Result<End, TrainError>,
    checkpoint: Checkpoint,
    points: Vec<CurvePoint>,
    measured: Vec<Arc<Measured>>,
    kept: (u32, Head),
}

fn train_to(
    data: &Data,
    settings: &TrainSettings,
    from: Option<Checkpoint>,
    steps: u32,
    work: &Work,
) -> Outcome {
    let mut recipe = settings.recipe(Part::Head, data.validation.len());
    recipe.views = data.train.views();
    train_with(&recipe, data, settings, from, steps, work)
}

fn train_with(
    recipe: &Recipe,
    data: &Data,
    settings: &TrainSettings,
    from: Option<Checkpoint>,
    steps: u32,
    work: &Work,
) -> Outcome {
    let curves = LiveCurves::default();
    let mut table = Table {
        train: &data.train,
        validation: &data.validation,
        batch: settings.head.learn.batch_size,
    };
    let layer = HeadLayer::new(SIZES, settings.head.hidden_units as usize, &table);
    let initial = layer.initial(settings.seed);
    let from = from.unwrap_or_else(|| Checkpoint::beginning(&recipe.optimization, &initial));
    let sides = [&data.train.side(), &data.validation.side()];
    let mut learner = Learner::new(
        Arc::new(layer),
        recipe,
        sides,
        &mut table,
        from,
        &Work::new(),
    )
    .unwrap();
    let mut last = None;
    let mut points = Vec::new();
    let mut measured = Vec::new();
    let end = learner.run(
        steps,
        &mut Report {
            curves: &curves,
            work,
            save: &mut |snapshot, new| {
                last = Some(owned(snapshot));
                points.extend_from_slice(&new.points);
                measured.extend_from_slice(&new.measured);
                Ok(())
            },
            classes: &["a", "b", "c"].map(str::to_owned),
        },
    );
    let (best_step, _, weights) = learner.kept().unwrap();
    assert_eq!(
        curves.since([0, 0]).1,
        points,
        "what is saved is what was shown"
    );
    let (_, shown) = curves.measured_since([0, 0]);
    assert_eq!(everything(&shown), everything(&measured));
    Outcome {
        end,
        checkpoint: last.unwrap(),
        points,
        measured,
        kept: (best_step, Head::of_tensors(&weights).unwrap()),
    }
}

/// The checkpoint for a snapshot.
pub(super) fn owned(snapshot: &Snapshot<'_>) -> Checkpoint {
    let state = snapshot.state.iter();
    Checkpoint {
        place: snapshot.place,
        state: state
            .map(|(_, values)| Tensor::new(values.shape, values.values.to_vec()))
            .collect(),
        best: snapshot.best.map(|(_, best)| best.to_vec()),
    }
}

/// The checkpoint without times, which vary from run to run.
fn timeless(mut checkpoint: Checkpoint) -> Checkpoint {
    checkpoint.place.secs = 0.0;
    checkpoint
}

fn timeless_points(points: &[CurvePoint]) -> Vec<CurvePoint> {
    points
        .iter()
        .map(|point| CurvePoint {
            secs: 0.0,
            ..*point
        })
        .collect()
}

/// All scalars as bits, so that they can be compared; NaN if missing.
type Everything = Vec<(u32, Vec<u32>, Vec<(Series, Histogram)>)>;

fn everything(measured: &[Arc<Measured>]) -> Everything {
    let bits = |values: &[f32]| values.iter().map(|value| value.to_bits()).collect();
    let of_each = |of: &Arc<Measured>| (of.step, bits(&of.values), of.histograms.clone());
    measured.iter().map(of_each).collect()
}

/// The same training in double precision without any graph: `dZ = (softmax(XW + b) - Y)/B`, `dW = Xᵀ dZ`, …
fn by_hand(data: &Data, settings: &TrainSettings, steps: u32) -> (Vec<f64>, Vec<f64>) {
    let (d, c) = (SIZES.dim, SIZES.classes);
    let mut draw = Draw::new(settings.seed, Purpose::Weights, 0);
    // The trainer draws its initial weights in the order [C, D].
    let initial: Vec<f32> = (0..d * c)
        .map(|_| (0.001 * draw.truncated_normal()) as f32)
        .collect();
    let mut w: Vec<f64> = transpose(&initial, c).into_iter().map(f64::from).collect();
    let mut b = vec![0.0; c];
    let mut moments = vec![[0.0; 2]; d * c + c];
    let rows = ByClass::new(&data.train.y, c);
    let table = data.train.x().unwrap();
    let size = settings.head.learn.batch_size;
    for step in 1..=steps {
        let mut batch = vec![0; size];
        rows.draw(
            &mut Draw::new(settings.seed, Purpose::Batch, step),
            &mut batch,
        );
        let mut dw = vec![0.0; d * c];
        let mut db = vec![0.0; c];
        for row in batch {
            let row = row as usize;
            let x = &table[row * d..(row + 1) * d];
            let logits: Vec<f64> = (0..c)
                .map(|j| b[j] + (0..d).map(|i| f64::from(x[i]) * w[i * c + j]).sum::<f64>())
                .collect();
            let sum: f64 = logits.iter().map(|z| z.exp()).sum();
            for j in 0..c {
                let truth = f64::from(u8::from(data.train.y[row] == j as i64));
                let dz = (logits[j].exp() / sum - truth) / size as f64;
                db[j] += dz;
                for i in 0..d {
                    dw[i * c + j] += f64::from(x[i]) * dz;
                }
            }
        }
        let rate = f64::from(settings.head.learn.learning_rate);
        let t = f64::from(step);
        let parameters = w.iter_mut().chain(&mut b);
        let gradients = dw.iter().chain(&db);
        for ((parameter, gradient), [m, v]) in parameters.zip(gradients).zip(&mut moments) {
            match settings.head.learn.optimizer {
                Optimizer::Sgd => *parameter -= rate * gradient,
                Optimizer::Momentum => {
                    *m = 0.9 * *m + gradient;
                    *parameter -= rate * *m;
                }
                // Without weight decay they are equal.
                Optimizer::Adam | Optimizer::AdamW => {
                    *m = 0.9 * *m + 0.1 * gradient;
                    *v = 0.999 * *v + 0.001 * gradient * gradient;
                    let m_hat = *m / (1.0 - 0.9_f64.powf(t));
                    let v_hat = *v / (1.0 - 0.999_f64.powf(t));
                    *parameter -= rate * m_hat / (v_hat.sqrt() + 1e-8);
                }
            }
        }
    }
    (w, b)
}

#[test]
fn hundred_steps_equal_an_independent_implementation() {
    for optimizer in EVERY_OPTIMIZER {
        // Without validation frames the last weights are kept, which are to be compared.
        let mut data = data();
        data.validation = Examples::default();
        let settings = settings(optimizer);
        let outcome = train_to(&data, &settings, None, 100, &Work::new());
        assert!(matches!(outcome.end, Ok(End::Complete)));
        let (step, head) = outcome.kept;
        assert_eq!(step, 100);
        let (w, b) = by_hand(&data, &settings, 100);
        let mut largest = 0.0_f64;
        for (ours, theirs) in head.w.iter().chain(&head.b).zip(w.iter().chain(&b)) {
            largest = largest.max((f64::from(*ours) - theirs).abs());
        }
        assert!(largest < 1e-5, "{optimizer:?}: {largest}");
        let moved = w.iter().map(|w| w.abs()).fold(0.0, f64::max);
        assert!(
            moved > 0.02,
            "{optimizer:?}: the weights hardly moved: {moved}"
        );
    }
}

#[test]
fn training_learns_and_the_best_weights_are_kept() {
    let data = data();
    let settings = settings(Optimizer::Adam);
    let outcome = train_to(&data, &settings, None, 300, &Work::new());
    let test = accuracy(SIZES, &data.test, &outcome.kept.1)
        .unwrap()
        .unwrap();
    assert!(test > 0.8, "{test}");
    let best = outcome.checkpoint.place.best.unwrap();
    assert_eq!(best.step, outcome.kept.0);
    let again = accuracy(SIZES, &data.validation, &outcome.kept.1).unwrap();
    assert_eq!(again, Some(best.validation_accuracy));
    assert_eq!(outcome.points.len(), 30);
    assert!(outcome.points[29].train_cross_entropy < outcome.points[0].train_cross_entropy);
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_others() {
    let data = data();
    for optimizer in EVERY_OPTIMIZER {
        let mut settings = settings(optimizer);
        let first = train_to(&data, &settings, None, 100, &Work::new());
        let again = train_to(&data, &settings, None, 100, &Work::new());
        assert_eq!(
            timeless(first.checkpoint.clone()),
            timeless(again.checkpoint)
        );
        assert_eq!(
            timeless_points(&first.points),
            timeless_points(&again.points)
        );
        settings.seed += 1;
        let other = train_to(&data, &settings, None, 100, &Work::new());
        assert_ne!(first.checkpoint.state, other.checkpoint.state);
    }
}

#[test]
fn going_on_from_any_checkpoint_ends_with_the_same_bits() {
    let data = data();
    for optimizer in EVERY_OPTIMIZER {
        let settings = settings(optimizer);
        let whole = train_to(&data, &settings, None, 100, &Work::new());
        for at in [1, 10, 37, 99] {
            let part = train_to(&data, &settings, None, at, &Work::new());
            // A run that is interrupted between evaluations evaluates once more there; ignore that one.
            let mut from = part.checkpoint;
            if at % 10 != 0 {
                let before = train_to(&data, &settings, None, at / 10 * 10, &Work::new());
                from.place.best = before.checkpoint.place.best;
                from.place.pointed = before.checkpoint.place.pointed;
                from.place.validated = before.checkpoint.place.validated;
                from.best = before.checkpoint.best;
            }
            let rest = train_to(&data, &settings, Some(from), 100, &Work::new());
            assert_eq!(
                timeless(whole.checkpoint.clone()),
                timeless(rest.checkpoint),
                "{optimizer:?}, cut at {at}"
            );
        }
    }
}

#[test]
fn a_cancelled_training_hands_out_a_checkpoint_first() {
    let data = data();
    let settings = settings(Optimizer::Adam);
    let work = Work::new();
    work.cancel();
    let cut = train_to(&data, &settings, None, 100, &work);
    assert!(matches!(cut.end, Err(TrainError::Cancelled(_))));
    assert_eq!(cut.checkpoint.place.step, 0);
    let whole = train_to(&data, &settings, None, 100, &Work::new());
    let rest = train_to(&data, &settings, Some(cut.checkpoint), 100, &Work::new());
    assert_eq!(timeless(whole.checkpoint), timeless(rest.checkpoint));
}

#[test]
fn cancelled_from_another_thread_and_continued_the_bits_are_the_same() {
    let data = data();
    let settings = TrainSettings {
        eval_step_interval: 50,
        ..settings(Optimizer::Adam)
    };
    let steps = 3000;
    let work = Work::new();
    let remote = work.clone();
    let cut = std::thread::scope(|scope| {
        let canceller = scope.spawn(move || {
            while remote.progress().done < 200 {
                std::thread::yield_now();
            }
            remote.cancel();
        });
        let cut = train_to(&data, &settings, None, steps, &work);
        canceller.join().unwrap();
        cut
    });
    assert!(matches!(cut.end, Err(TrainError::Cancelled(_))));
    assert!((200..steps).contains(&cut.checkpoint.place.step));
    let rest = train_to(&data, &settings, Some(cut.checkpoint), steps, &Work::new());
    let whole = train_to(&data, &settings, None, steps, &Work::new());
    assert_eq!(timeless(whole.checkpoint), timeless(rest.checkpoint));
    let mut points = cut.points;
    points.extend(rest.points);
    assert_eq!(timeless_points(&points), timeless_points(&whole.points));
    let mut measured = cut.measured;
    measured.extend(rest.measured);
    assert_eq!(everything(&measured), everything(&whole.measured));
}

#[test]
fn a_stopped_training_ends_well_with_the_best_weights() {
    let data = data();
    let work = Work::new();
    let remote = work.clone();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(move || {
            while remote.progress().done < 100 {
                std::thread::yield_now();
            }
            remote.stop();
        });
        train_to(&data, &settings(Optimizer::Sgd), None, 1_000_000, &work)
    });
    assert!(matches!(outcome.end, Ok(End::Stopped)));
    let step = outcome.checkpoint.place.step;
    assert!((100..1_000_000).contains(&step));
    assert_eq!(outcome.points.last().unwrap().step, step);
}

#[test]
fn a_pause_stands_still_and_takes_no_time() {
    let data = data();
    let work = Work::new();
    work.set_paused(true);
    let remote = work.clone();
    let outcome = std::thread::scope(|scope| {
        scope.spawn(move || {
            std::thread::sleep(Duration::from_millis(300));
            assert_eq!(remote.progress().done, 0);
            remote.set_paused(false);
        });
        train_to(&data, &settings(Optimizer::Sgd), None, 20, &work)
    });
    assert!(matches!(outcome.end, Ok(End::Complete)));
    let began_to_end = outcome.checkpoint.place.secs;
    assert!(began_to_end < 0.3, "{began_to_end}");
}

#[test]
fn a_training_that_diverges_says_where() {
    let data = data();
    let mut settings = settings(Optimizer::Sgd);
    settings.head.learn.learning_rate = 1e38;
    let outcome = train_to(&data, &settings, None, 1000, &Work::new());
    assert!(
        matches!(outcome.end, Ok(End::Diverged(_))),
        "{:?}",
        outcome.end
    );
}

/// If there are more validation frames than in a few batches, evaluations have longer intervals, also across
/// interruptions.
#[test]
fn large_validation_sets_are_evaluated_less_often_to_the_same_bits() {
    let data = Data {
        validation: examples(430, 2),
        ..data()
    };
    let settings = settings(Optimizer::Adam);
    assert_eq!(settings.steps_between_evaluations(430), 30);
    let whole = train_to(&data, &settings, None, 100, &Work::new());
    let steps: Vec<u32> = whole.points.iter().map(|point| point.step).collect();
    assert_eq!(steps, [30, 60, 90, 100]);
    let exact = TrainSettings {
        eval_spacing: EvalSpacing::Exact,
        ..settings.clone()
    };
    let often = train_to(&data, &exact, None, 100, &Work::new());
    assert_eq!(often.points.len(), 10);
    assert_eq!(often.checkpoint.state, whole.checkpoint.state);
    for at in [30, 60] {
        let part = train_to(&data, &settings, None, at, &Work::new());
        let rest = train_to(&data, &settings, Some(part.checkpoint), 100, &Work::new());
        assert_eq!(
            timeless(whole.checkpoint.clone()),
            timeless(rest.checkpoint)
        );
    }
}
