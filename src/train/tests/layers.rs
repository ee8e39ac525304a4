//! Hidden layer, dropout and class weights: gradients compared with differences of an explicit loss, and the same bits
//! after any interruption.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    clippy::indexing_slicing,
    reason = "a failed set-up is a failed test; numbers are compared bit for bit"
)]

use super::*;
use crate::graph::Mask;
use crate::train::ClassWeights;
use crate::train::problem::step_graph;

/// A head with 24 inputs, 7 hidden units and 3 classes, trained with all features under test.
fn everything_set(optimizer: Optimizer) -> TrainSettings {
    let mut settings = TrainSettings {
        sampling: ClassSampling::Natural,
        class_weights: ClassWeights::Balanced,
        ..settings(optimizer)
    };
    settings.head.hidden_units = 7;
    settings.head.learn.dropout = 0.3;
    settings.head.learn.label_smoothing = 0.1;
    settings
}

fn layer(data: &Data, settings: &TrainSettings) -> HeadLayer {
    let table = Table {
        train: &data.train,
        validation: &data.validation,
        batch: settings.head.learn.batch_size,
    };
    HeadLayer::new(SIZES, settings.head.hidden_units as usize, &table)
}

/// The dropout masks of both layers in a step.
fn masks(data: &Data, settings: &TrainSettings, step: u64) -> Vec<Vec<f64>> {
    let recipe = settings.recipe(Part::Head, data.validation.len());
    let objective = recipe.objective(&data.train.y, SIZES.classes);
    let batch = settings.head.learn.batch_size;
    let (_, masks) = step_graph(&layer(data, settings), &recipe, &objective, batch).unwrap();
    let widths = [SIZES.dim, settings.head.hidden_units as usize];
    let filled = |(mask, width): (&Mask, usize)| {
        let mut values = vec![0.0; batch * width];
        mask.fill(settings.seed, step, &mut values);
        assert!(values.contains(&0.0));
        values.into_iter().map(f64::from).collect()
    };
    masks.iter().zip(widths).map(filled).collect()
}

/// The loss of the batch of a step, in double precision. `weights` are in the order of [`Head::tensors`].
fn loss(
    data: &Data,
    settings: &TrainSettings,
    rows: &[usize],
    masks: &[Vec<f64>],
    weights: &[Vec<f64>],
) -> f64 {
    let (d, h, c) = (
        SIZES.dim,
        settings.head.hidden_units as usize,
        SIZES.classes,
    );
    let [v, cv, w, b] = weights else {
        unreachable!()
    };
    let mut count = vec![0.0; c];
    for class in &data.train.y {
        count[*class as usize] += 1.0;
    }
    let table = data.train.x().unwrap();
    let mut total = 0.0;
    for (at, row) in rows.iter().enumerate() {
        let x = |i: usize| f64::from(table[row * d + i]) * masks[0][at * d + i];
        let hidden: Vec<f64> = (0..h)
            .map(|j| (cv[j] + (0..d).map(|i| x(i) * v[j * d + i]).sum::<f64>()).max(0.0))
            .collect();
        let y = |j: usize| hidden[j] * masks[1][at * h + j];
        let logits: Vec<f64> = (0..c)
            .map(|k| b[k] + (0..h).map(|j| y(j) * w[k * h + j]).sum::<f64>())
            .collect();
        let sum = logits.iter().map(|z| z.exp()).sum::<f64>().ln();
        for k in 0..c {
            let right = f64::from(u8::from(data.train.y[*row] == k as i64));
            let q = 0.9 * right + 0.1 / c as f64;
            let weight = data.train.y.len() as f64 / (c as f64 * count[k]);
            total -= weight * q * (logits[k] - sum);
        }
    }
    total / rows.len() as f64
}

#[test]
fn a_step_follows_the_differences_of_the_loss() {
    let mut data = data();
    data.validation = Examples::default();
    let mut settings = everything_set(Optimizer::Sgd);
    settings.head.learn.learning_rate = 1.0;
    let mut draw = Draw::new(77, Purpose::Weights, 0);
    let initial = [vec![7, 24], vec![7], vec![3, 7], vec![3]];
    let initial = initial.map(|shape| random(&mut draw, &shape, 0.4));
    let recipe = settings.recipe(Part::Head, 0);
    let begin = Checkpoint::beginning(&recipe.optimization, &initial);
    let outcome = train_to(&data, &settings, Some(begin), 1, &Work::new());
    let after = outcome.kept.1.tensors();

    let mut draw = Draw::new(settings.seed, Purpose::Batch, 1);
    let rows: Vec<usize> = (0..settings.head.learn.batch_size)
        .map(|_| draw.below(data.train.y.len()))
        .collect();
    let masks = masks(&data, &settings, 1);
    let exact = |tensor: &Tensor| -> Vec<f64> {
        let values = tensor.f32().unwrap().iter();
        values.map(|value| f64::from(*value)).collect()
    };
    let weights: Vec<Vec<f64>> = initial.iter().map(exact).collect();
    let mut largest = 0.0_f64;
    for (at, (before, after)) in weights.iter().zip(after.iter().map(exact)).enumerate() {
        for i in 0..before.len() {
            let moved = |by: f64| {
                let mut weights = weights.clone();
                weights[at][i] += by;
                loss(&data, &settings, &rows, &masks, &weights)
            };
            // So small that hardly a unit becomes active or inactive in between.
            let expected = (moved(1e-6) - moved(-1e-6)) / 2e-6;
            let found = before[i] - after[i];
            largest = largest.max(expected.abs());
            assert!(
                (found - expected).abs() < 2e-6,
                "{at} {i}: {found} {expected}"
            );
        }
    }
    assert!(largest > 0.05, "{largest}");
}

#[test]
fn a_head_with_everything_ends_with_the_same_bits_whatever_interrupts() {
    let data = data();
    let mut settings = everything_set(Optimizer::AdamW);
    settings.head.learn.average_decay = 0.9;
    let whole = train_to(&data, &settings, None, 60, &Work::new());
    let first = train_to(&data, &settings, None, 25, &Work::new());
    let rest = train_to(&data, &settings, Some(first.checkpoint), 60, &Work::new());
    assert_eq!(rest.checkpoint.state, whole.checkpoint.state);
    let other = TrainSettings {
        seed: 6,
        ..settings
    };
    let other = train_to(&data, &other, None, 60, &Work::new());
    assert_ne!(other.checkpoint.state, whole.checkpoint.state);
}

#[test]
fn an_evaluation_leaves_nothing_out_and_the_kept_head_is_what_was_evaluated() {
    let data = data();
    let mut settings = everything_set(Optimizer::Adam);
    settings.head.learn.dropout = 0.8;
    let outcome = train_to(&data, &settings, None, 100, &Work::new());
    let (step, head) = outcome.kept;
    let best = outcome.checkpoint.place.best.unwrap();
    assert_eq!((best.step, head.hidden.is_some()), (step, true));
    let rows = data.validation.x().unwrap().chunks_exact(SIZES.dim);
    let mut sum = 0.0;
    for (row, class) in rows.zip(&data.validation.y) {
        let logits = head.logits(row);
        let all = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
        sum += all - logits[*class as usize];
    }
    let mean = sum / data.validation.len() as f64;
    let found = f64::from(best.validation_cross_entropy);
    assert!((mean - found).abs() < 1e-5, "{mean} {found}");
    let right = accuracy(SIZES, &data.validation, &head).unwrap();
    assert_eq!(right, Some(best.validation_accuracy));
}

/// Two classes at opposite corners of a square each: they are not linearly separable.
#[test]
fn a_hidden_layer_learns_what_no_line_parts() {
    let sizes = Sizes { dim: 2, classes: 2 };
    let of = |rows: usize, seed: u64| {
        let mut draw = Draw::new(seed, Purpose::Weights, 3);
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for row in 0..rows {
            let corner = [row % 2, row / 2 % 2];
            x.extend(
                corner.map(|at| (2.0 * at as f64 - 1.0 + 0.2 * draw.truncated_normal()) as f32),
            );
            y.push(i64::from(corner[0] != corner[1]));
        }
        Examples::new(sizes, x, y).unwrap()
    };
    let (train, validation) = (of(80, 1), of(40, 2));
    let reached = |hidden: u32| {
        let mut settings = settings(Optimizer::Adam);
        settings.head.hidden_units = hidden;
        let mut table = Table {
            train: &train,
            validation: &validation,
            batch: 20,
        };
        let layer = HeadLayer::new(sizes, hidden as usize, &table);
        let recipe = settings.recipe(Part::Head, validation.len());
        let begin = Checkpoint::beginning(&recipe.optimization, &layer.initial(1));
        let sides = [&train.side(), &validation.side()];
        let work = Work::new();
        let mut learner =
            Learner::new(Arc::new(layer), &recipe, sides, &mut table, begin, &work).unwrap();
        let mut report = Report {
            curves: &LiveCurves::default(),
            work: &work,
            save: &mut |_, _| Ok(()),
            classes: &[],
        };
        learner.run(400, &mut report).unwrap();
        learner.kept().unwrap().1.unwrap().validation_accuracy
    };
    let (linear, hidden) = (reached(0), reached(8));
    assert!(linear < 0.8 && hidden > 0.97, "{linear} {hidden}");
}

#[test]
fn balanced_weights_are_those_of_the_inverse_frequency() {
    let y = [0, 0, 0, 0, 1, 1, 3, 3];
    assert_eq!(ClassWeights::None.of(&y, 4), None);
    // 8 images of three classes; a fourth has none.
    let weights = ClassWeights::Balanced.of(&y, 4).unwrap();
    let expected = [8.0 / 12.0, 8.0 / 6.0, 0.0, 8.0 / 6.0];
    assert_eq!(weights, expected);
    let sum: f64 = y.iter().map(|class| weights[*class as usize]).sum();
    assert!((sum - 8.0).abs() < 1e-12);
}
