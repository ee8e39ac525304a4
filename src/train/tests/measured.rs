//! Measurements beside accuracy and cross-entropy: learning rate, gradient norm, accuracy by class, histograms.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a failed set-up is a failed test; numbers are compared bit for bit"
)]

use super::*;
use crate::train::metrics::{GRADIENT_NORM, LEARNING_RATE};

/// The values of a series.
fn values(outcome: &Outcome, tag: &str, side: MetricSide) -> Vec<(u32, f32)> {
    let metrics = Metrics::of(&outcome.points, outcome.measured.iter().map(AsRef::as_ref));
    let values = metrics.scalars(&Series::new(tag, side)).iter();
    values.map(|at| (at.step, at.value)).collect()
}

/// The weights have the same bits whether any of this is measured or not.
#[test]
fn rate_and_gradient_are_measured_and_change_no_bit() {
    let data = data();
    for optimizer in EVERY_OPTIMIZER {
        let mut norms_by_clip = Vec::new();
        // No gradient is as long as the last limit, with which the step computes the norm anyway.
        for clip_norm in [0.05, 0.0, 1e30] {
            let mut settings = settings(optimizer);
            settings.eval_step_interval = 1;
            settings.eval_spacing = EvalSpacing::Exact;
            settings.head.learn.clip_norm = clip_norm;
            settings.head.learn.schedule = Schedule::Cosine;
            settings.head.learn.weight_decay = 0.1;
            let mut recipe = settings.recipe(Part::Head, data.validation.len());
            assert!(recipe.measures.gradient_norm);
            let with = train_to(&data, &settings, None, 40, &Work::new());
            recipe.measures.gradient_norm = false;
            let without = train_with(&recipe, &data, &settings, None, 40, &Work::new());
            assert_eq!(with.checkpoint.state, without.checkpoint.state);
            assert_eq!(
                timeless_points(&with.points),
                timeless_points(&without.points)
            );
            assert!(values(&without, GRADIENT_NORM, MetricSide::Run).is_empty());
            let rates = values(&with, LEARNING_RATE, MetricSide::Run);
            let of_recipe = |step| recipe.optimization.rate.at(step, 40) as f32;
            assert_eq!(rates.len(), 40);
            assert!(rates.iter().all(|(step, rate)| *rate == of_recipe(*step)));
            norms_by_clip.push(values(&with, GRADIENT_NORM, MetricSide::Run));
        }
        let [clipped, found, computed] = &norms_by_clip[..] else {
            unreachable!()
        };
        // The last step of the half cosine changes nothing.
        assert!(found.len() >= 39 && computed.len() == 40);
        for ((step, found), (_, computed)) in found.iter().zip(computed) {
            let close = (found / computed - 1.0).abs() < 2e-3;
            assert!(close, "{optimizer:?} {step}: {found} {computed}");
        }
        // Before clipping.
        assert!((clipped[0].1 / computed[0].1 - 1.0).abs() < 1e-6 && clipped[0].1 > 0.05);
    }
}

#[test]
fn classes_are_measured_on_all_validation_images() {
    let data = data();
    let settings = settings(Optimizer::Adam);
    let outcome = train_to(&data, &settings, None, 100, &Work::new());
    let (step, head) = &outcome.kept;
    let right = correct(SIZES, &data.validation, head).unwrap();
    for (class, name) in ["a", "b", "c"].into_iter().enumerate() {
        let of_class = data.validation.y.iter().zip(&right);
        let of_class: Vec<bool> = of_class
            .filter(|(y, _)| **y == class as i64)
            .map(|(_, right)| *right)
            .collect();
        let right = of_class.iter().filter(|right| **right).count();
        let expected = (right as f64 / of_class.len() as f64) as f32;
        let found = values(
            &outcome,
            &format!("accuracy/{name}"),
            MetricSide::Validation,
        );
        assert_eq!(found.len(), 10);
        assert!(found.contains(&(*step, expected)), "{name}: {found:?}");
    }
}

/// At most fifty of each, and the weights have the same bits.
#[test]
fn histograms_are_of_the_evaluated_weights_and_change_no_bit() {
    let data = data();
    let mut settings = settings(Optimizer::Adam);
    settings.head.learn.average_decay = 0.9;
    let with = train_to(&data, &settings, None, 1_000, &Work::new());
    settings.histograms = false;
    let without = train_to(&data, &settings, None, 1_000, &Work::new());
    assert_eq!(
        timeless(with.checkpoint.clone()),
        timeless(without.checkpoint)
    );
    assert_eq!(
        timeless_points(&with.points),
        timeless_points(&without.points)
    );
    assert!(without.measured.iter().all(|at| at.histograms.is_empty()));
    let metrics = Metrics::of(&[], with.measured.iter().map(AsRef::as_ref));
    let of = |tag: &str, side| metrics.histograms(&Series::new(tag, side));
    let weights = of("weights/logits.weight", MetricSide::Run);
    assert_eq!(weights.len(), 50);
    // The moving average, which comes after the weight and the two moments.
    let average = with.checkpoint.state[3].f32().unwrap();
    let expected = Histogram::of(average).unwrap();
    assert_eq!(weights.last().unwrap().value, expected);
    assert_eq!(weights[0].value.count(), 72);
    assert_eq!(
        of("weights/logits.bias", MetricSide::Run)[0].value.count(),
        3
    );
    let x = Histogram::of(data.validation.x().unwrap()).unwrap();
    let features = of("activations/features", MetricSide::Validation);
    assert!(features.len() == 50 && features.iter().all(|at| at.value == x));
    let last = |tag: &str| &of(tag, MetricSide::Validation).last().unwrap().value;
    let probabilities = last("activations/probabilities");
    assert_eq!(probabilities.count(), 180);
    assert!((probabilities.sum - 60.0).abs() < 1e-3);
    assert_eq!(last("activations/logits").count(), 180);
}
