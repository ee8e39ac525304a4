//! Which evaluation is kept, and where a training ends whose cross-entropy no longer improves.

#![allow(
    clippy::unwrap_used,
    clippy::float_cmp,
    reason = "a failed set-up is a failed test; numbers are compared bit for bit"
)]

use super::*;
use crate::train::KeepBy;

/// A training whose cross-entropy on the validation images rises before its end: it overfits few images.
fn overfitting() -> (Data, TrainSettings) {
    let data = Data {
        train: examples(20, 1),
        ..data()
    };
    let mut settings = TrainSettings {
        how_many_training_steps: 300,
        validation_batch_size: -1,
        ..settings(Optimizer::Momentum)
    };
    settings.head.learn.learning_rate = 0.05;
    (data, settings)
}

fn with(settings: &TrainSettings, evaluations: u32, keep_by: KeepBy) -> TrainSettings {
    let mut settings = settings.clone();
    settings.head.learn.early_stopping = evaluations;
    settings.head.learn.keep_by = keep_by;
    settings
}

/// The step at which the rule ends a training with these evaluations: `evaluations` after the lowest so far.
fn end_by_hand(points: &[CurvePoint], evaluations: usize) -> u32 {
    let cross_entropy = |point: &CurvePoint| point.validation_cross_entropy.unwrap();
    for at in 0..points.len() {
        let lowest = (0..=at)
            .min_by(|a, b| cross_entropy(&points[*a]).total_cmp(&cross_entropy(&points[*b])))
            .unwrap();
        if at - lowest >= evaluations {
            return points[at].step;
        }
    }
    points.last().unwrap().step
}

#[test]
fn it_ends_so_many_evaluations_after_the_lowest_cross_entropy() {
    let (data, settings) = overfitting();
    let whole = train_to(&data, &settings, None, 300, &Work::new());
    let mut ends = Vec::new();
    for evaluations in [1, 2, 5] {
        let settings = with(&settings, evaluations, KeepBy::Accuracy);
        let early = train_to(&data, &settings, None, 300, &Work::new());
        let step = end_by_hand(&whole.points, evaluations as usize);
        assert!(matches!(early.end, Ok(End::Early)));
        assert_eq!(early.checkpoint.place.step, step);
        // Up to there it is the same training.
        let before: Vec<CurvePoint> = whole
            .points
            .iter()
            .take_while(|point| point.step <= step)
            .copied()
            .collect();
        assert_eq!(timeless_points(&early.points), timeless_points(&before));
        ends.push(step);
    }
    assert!(ends.is_sorted() && ends[2] < 300, "{ends:?}");
}

#[test]
fn it_ends_at_the_same_step_whenever_it_was_interrupted() {
    let (data, settings) = overfitting();
    let settings = with(&settings, 3, KeepBy::CrossEntropy);
    let whole = train_to(&data, &settings, None, 300, &Work::new());
    let end = whole.checkpoint.place.step;
    assert!(matches!(whole.end, Ok(End::Early)));
    for interrupted in (10..end).step_by(10) {
        let first = train_to(&data, &settings, None, interrupted, &Work::new());
        assert!(matches!(first.end, Ok(End::Complete)));
        let rest = train_to(&data, &settings, Some(first.checkpoint), 300, &Work::new());
        assert!(matches!(rest.end, Ok(End::Early)));
        assert_eq!(
            timeless(rest.checkpoint),
            timeless(whole.checkpoint.clone()),
            "{interrupted}"
        );
        assert_eq!(rest.kept, whole.kept);
    }
    // Killed after its last checkpoint, before the run was marked as finished.
    let again = train_to(
        &data,
        &settings,
        Some(whole.checkpoint.clone()),
        300,
        &Work::new(),
    );
    assert!(matches!(again.end, Ok(End::Early)) && again.points.is_empty());
    // When it is extended, it waits again for as many evaluations.
    let mut further = settings;
    further.head.learn.early_stopping_from = end;
    let further = train_to(&data, &further, Some(whole.checkpoint), 300, &Work::new());
    assert!(matches!(further.end, Ok(End::Early)));
    assert!(further.checkpoint.place.step >= end + 30);
}

#[test]
fn the_kept_weights_are_those_of_the_figure_that_was_chosen() {
    let (data, settings) = overfitting();
    let kept = |keep_by| {
        let settings = with(&settings, 0, keep_by);
        let outcome = train_to(&data, &settings, None, 300, &Work::new());
        let of = |step| {
            outcome
                .points
                .iter()
                .find(|point| point.step == step)
                .copied()
        };
        (of(outcome.kept.0).unwrap(), outcome.points)
    };
    let (by_accuracy, points) = kept(KeepBy::Accuracy);
    let (by_cross_entropy, _) = kept(KeepBy::CrossEntropy);
    let best = points.iter().filter_map(|point| point.validation_accuracy);
    let best = best.max_by(f32::total_cmp);
    let lowest = points
        .iter()
        .filter_map(|point| point.validation_cross_entropy);
    let lowest = lowest.min_by(f32::total_cmp);
    assert_eq!(by_accuracy.validation_accuracy, best);
    assert_eq!(by_cross_entropy.validation_cross_entropy, lowest);
    assert_ne!(by_accuracy.step, by_cross_entropy.step);
}
