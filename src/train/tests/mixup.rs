//! A training with mixup compared with an explicit one in double precision.

#![allow(clippy::unwrap_used, reason = "a failed set-up is a failed test")]

use super::*;
use crate::train::recipe::TrainFigures;

const ALPHA: f32 = 0.4;

fn mixing() -> (TrainSettings, Recipe) {
    let mut settings = settings(Optimizer::Sgd);
    settings.head.learn.mixup = ALPHA;
    settings.head.learn.label_smoothing = 0.1;
    let recipe = settings.recipe(Part::Head, 60);
    (settings, recipe)
}

/// Weights `[C, D]`, bias, and the mean accuracy and cross-entropy of every ten steps. The target of the loss is `0.9
/// (λ onehot(yᵢ) + (1 − λ) onehot(yⱼ)) + 0.1 / C`; that of the figures is not smoothed.
fn by_hand(data: &Data, settings: &TrainSettings, steps: u32) -> (Vec<Vec<f64>>, Vec<[f64; 2]>) {
    let Sizes { dim, classes } = SIZES;
    let mut draw = Draw::new(settings.seed, Purpose::Weights, 0);
    let mut initial = || (0.001 * draw.truncated_normal()) as f32;
    // The last number of each row is the bias.
    let mut weights: Vec<Vec<f64>> = (0..classes)
        .map(|_| {
            (0..dim)
                .map(|_| f64::from(initial()))
                .chain([0.0])
                .collect()
        })
        .collect();
    let by_class = ByClass::new(&data.train.y, classes);
    let table = data.train.x().unwrap();
    let size = settings.head.learn.batch_size;
    let mut figures = Vec::new();
    let mut sums = [0.0; 2];
    for step in 1..=steps {
        let mut draw = Draw::new(settings.seed, Purpose::Batch, step);
        let mut places = vec![0; size];
        by_class.draw(&mut draw, &mut places);
        for _ in 0..size {
            assert_eq!(draw.below(1), 0);
        }
        let shares = draw.shares(ALPHA, size);
        let mut gradients = vec![vec![0.0; dim + 1]; classes];
        for (at, share) in shares.into_iter().enumerate() {
            let share = f64::from(share);
            let pair = [at, (at + 1) % size].map(|at| places[at] as usize);
            let of = |row: usize, column: usize| f64::from(table[row * dim + column]);
            let x: Vec<f64> = (0..dim)
                .map(|column| share * of(pair[0], column) + (1.0 - share) * of(pair[1], column))
                .chain([1.0])
                .collect();
            let mut target = vec![0.0; classes];
            for (row, part) in pair.into_iter().zip([share, 1.0 - share]) {
                target[data.train.y[row] as usize] += part;
            }
            let logits: Vec<f64> = weights
                .iter()
                .map(|row| row.iter().zip(&x).map(|(w, x)| w * x).sum())
                .collect();
            let sum: f64 = logits.iter().map(|logit: &f64| logit.exp()).sum();
            let best = (0..classes).max_by(|a, b| logits[*a].total_cmp(&logits[*b]));
            sums[0] += target[best.unwrap()];
            for class in 0..classes {
                let probability = logits[class].exp() / sum;
                sums[1] -= target[class] * probability.ln();
                let smoothed = 0.9 * target[class] + 0.1 / classes as f64;
                for (gradient, x) in gradients[class].iter_mut().zip(&x) {
                    *gradient += (probability - smoothed) * x / size as f64;
                }
            }
        }
        for (row, gradients) in weights.iter_mut().zip(&gradients) {
            for (weight, gradient) in row.iter_mut().zip(gradients) {
                *weight -= f64::from(settings.head.learn.learning_rate) * gradient;
            }
        }
        if step % 10 == 0 {
            figures.push(sums.map(|sum| sum / (10 * size) as f64));
            sums = [0.0; 2];
        }
    }
    (weights, figures)
}

#[test]
fn weights_and_figures_are_those_of_mixed_bottlenecks_and_targets() {
    let data = data();
    let (settings, mut recipe) = mixing();
    recipe.train_figures = TrainFigures::AllBatches;
    let outcome = train_with(&recipe, &data, &settings, None, 60, &Work::new());
    let (weights, figures) = by_hand(&data, &settings, 60);
    let [w, b] = &outcome.checkpoint.state[..] else {
        panic!("a head has two weights");
    };
    let (w, b) = (w.f32().unwrap(), b.f32().unwrap());
    for (class, expected) in weights.iter().enumerate() {
        let found = w[class * SIZES.dim..(class + 1) * SIZES.dim].iter();
        for (found, expected) in found.chain([&b[class]]).zip(expected) {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-5,
                "{found} {expected}"
            );
        }
    }
    assert_eq!(outcome.points.len(), figures.len());
    for (point, [accuracy, cross_entropy]) in outcome.points.iter().zip(figures) {
        assert!((f64::from(point.train_accuracy) - accuracy).abs() < 1e-5);
        assert!((f64::from(point.train_cross_entropy) - cross_entropy).abs() < 1e-5);
    }
}

#[test]
fn the_last_batch_of_the_head_is_evaluated_unmixed() {
    let data = data();
    let (settings, recipe) = mixing();
    let outcome = train_with(&recipe, &data, &settings, None, 10, &Work::new());
    let of_batch = outcome.points[0].train_accuracy * settings.head.learn.batch_size as f32;
    assert!((of_batch - of_batch.round()).abs() < 1e-4, "{of_batch}");
    // The result differs from a training without mixup.
    let mut plain = settings.clone();
    plain.head.learn.mixup = 0.0;
    let plain = train_to(&data, &plain, None, 10, &Work::new());
    assert_ne!(plain.checkpoint.state, outcome.checkpoint.state);
}

#[test]
fn interrupted_it_ends_with_the_same_bits() {
    let data = data();
    let (settings, _) = mixing();
    let whole = train_to(&data, &settings, None, 100, &Work::new());
    for at in [10, 30, 90] {
        let part = train_to(&data, &settings, None, at, &Work::new());
        let rest = train_to(&data, &settings, Some(part.checkpoint), 100, &Work::new());
        assert_eq!(
            timeless(whole.checkpoint.clone()),
            timeless(rest.checkpoint)
        );
    }
}
