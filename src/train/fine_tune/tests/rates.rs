//! The learning rate over the steps and over the blocks.

use std::sync::Arc;

use super::super::FineTuneSettings;
use super::super::network::network;
use super::super::rows::RowBatches;
use super::{beginning, case, table};
use crate::backbone::{Blocks, Depth};
use crate::jobs::Work;
use crate::onnx::Tensor;
use crate::train::learner::{Learner, Report};
use crate::train::{Head, KeepBy, LearnSettings, LiveCurves, Optimizer, Part, TrainSettings};

#[test]
fn the_rate_warms_up_and_falls_to_nothing() {
    let settings = FineTuneSettings {
        depth: Depth::Last3,
        learn: LearnSettings {
            learning_rate: 2.0,
            ..LearnSettings::of_fine_tuning()
        },
        ..FineTuneSettings::default()
    };
    let at = |fine_tune: &FineTuneSettings, step, steps| {
        let settings = TrainSettings {
            fine_tune: fine_tune.clone(),
            ..TrainSettings::default()
        };
        let recipe = settings.recipe(Part::FineTuning, 0);
        recipe.optimization.rate.at(step, steps)
    };
    assert!((at(&settings, 1, 100) - 0.2).abs() < 1e-9);
    assert!((at(&settings, 10, 100) - 2.0).abs() < 1e-9);
    assert!((at(&settings, 55, 100) - 1.0).abs() < 1e-9);
    assert!(at(&settings, 100, 100).abs() < 1e-9);
    assert!(at(&settings, 1, 1).is_finite());
    // Extended twice, each part has its own schedule, independent of the others.
    let extended = FineTuneSettings {
        learn: LearnSettings {
            restarts: vec![100, 150],
            ..settings.learn.clone()
        },
        ..settings.clone()
    };
    for step in 1..=100 {
        assert!((at(&extended, step, 350) - at(&settings, step, 100)).abs() < 1e-12);
        assert!((at(&extended, 150 + step, 350) - at(&settings, step, 200)).abs() < 1e-12);
    }
    assert!((at(&extended, 105, 350) - 2.0).abs() < 1e-9);
    assert!(at(&extended, 150, 350).abs() < 1e-9);
    assert_eq!(settings.steps_for(3200), 250);
    let views = |frames| settings.views_for(frames);
    assert_eq!([3, 4000, 10_000, 30_000].map(views), [6, 6, 2, 0]);
    assert_eq!(
        (settings.steps_for(3), settings.steps_for(1 << 20)),
        (200, 2000)
    );
}

/// The weights after one step with plain momentum; those in `slower` have the given factor.
fn after_a_step(factor: f32, slower: &[&str]) -> Vec<(String, Tensor)> {
    let (network, mut initial, mut settings, [train, _]) = case();
    let mut network = Arc::unwrap_or_clone(network);
    for (weight, tensor) in network.weights.iter_mut().zip(&mut initial) {
        if slower.contains(&weight.name.as_str()) {
            weight.rate = factor;
            // Starting from zero, no precision is lost, and half the rate is exactly half the change.
            *tensor = Tensor::zeros(crate::onnx::ElementType::F32, weight.shape.clone());
        }
    }
    settings.fine_tune = FineTuneSettings {
        learn: LearnSettings {
            optimizer: Optimizer::Momentum,
            clip_norm: 0.0,
            average_decay: 0.0,
            ..settings.fine_tune.learn
        },
        ..settings.fine_tune
    };
    let nobody = super::LabelledFrames::default();
    let mut rows = table(&network.cut, 180);
    let begin = beginning(&settings, &initial);
    let (network, work) = (Arc::new(network), Work::new());
    let recipe = settings.recipe(Part::FineTuning, 0);
    let mut batches = RowBatches::new(
        &mut rows,
        network.row_len(),
        settings.fine_tune.learn.batch_size,
    );
    let sides = [&train, &nobody];
    let mut learner =
        Learner::new(network.clone(), &recipe, sides, &mut batches, begin, &work).unwrap();
    let mut report = Report {
        curves: &LiveCurves::default(),
        work: &work,
        save: &mut |_, _| Ok(()),
        classes: &[],
    };
    learner.run(1, &mut report).unwrap();
    let names = network.weights.iter().map(|weight| weight.name.clone());
    names.zip(learner.kept().unwrap().2).collect()
}

#[test]
fn a_weight_with_half_the_rate_goes_exactly_half_as_far() {
    let slower = ["expand.bias", "project.bias", "last.bias"];
    let (full, half) = (after_a_step(1.0, &slower), after_a_step(0.5, &slower));
    for ((name, full), (_, half)) in full.iter().zip(&half) {
        let (full, half) = (full.f32().unwrap(), half.f32().unwrap());
        if slower.contains(&name.as_str()) {
            assert!(full.iter().any(|value| *value != 0.0), "{name} stood still");
            let expected: Vec<f32> = full.iter().map(|value| 0.5 * value).collect();
            assert_eq!(half, expected, "{name}");
        } else {
            assert_eq!(half, full, "{name}");
        }
    }
}

#[test]
fn each_block_learns_slower_than_the_one_behind_it() {
    let blocks = Arc::new(Blocks::of(&"efficientnet-lite0@96".parse().unwrap()).unwrap());
    let head = Head::linear(vec![0.0; 2 * 1280], vec![0.0; 2]);
    for (layer_decay, factors) in [(1.0, [1.0; 4]), (0.5, [1.0, 0.5, 0.25, 0.125])] {
        let settings = FineTuneSettings {
            layer_decay,
            ..FineTuneSettings::default()
        };
        let plan = blocks.plan(Depth::Last3);
        let (network, _) = network(&blocks, &plan, &settings, &head, &Work::new()).unwrap();
        let of_names = ["logits.weight", "blocks.6.0.", "blocks.5.3.", "blocks.5.2."];
        for (begin, factor) in of_names.iter().zip(factors) {
            let mut weights = network.weights.iter().filter(|w| w.name.starts_with(begin));
            let first = weights.next().unwrap();
            assert!(first.rate == factor && weights.all(|weight| weight.rate == factor));
        }
    }
}

#[test]
fn older_runs_go_on_as_they_began() {
    let mut old = serde_json::to_value(FineTuneSettings::default()).unwrap();
    for absent in ["layer_decay", "keep_by", "views"] {
        old.as_object_mut().unwrap().remove(absent).unwrap();
    }
    let read: FineTuneSettings = serde_json::from_value(old).unwrap();
    assert_eq!(read.rate_factor(7), 1.0);
    assert_eq!(
        (read.learn.keep_by, read.views),
        (KeepBy::Accuracy, Some(0))
    );
    for (layer_decay, good) in [(0.0, false), (f32::NAN, false), (1.01, false), (0.1, true)] {
        let mut settings = TrainSettings::default();
        settings.fine_tune.depth = Depth::Last1;
        settings.fine_tune.layer_decay = layer_decay;
        assert_eq!(settings.check().is_ok(), good, "{layer_decay}");
    }
}
