#![allow(clippy::unwrap_used, reason = "a failing test should panic")]
#![allow(clippy::float_cmp, reason = "what was set must be read back")]

use std::collections::BTreeSet;
use std::path::Path;

use super::document::Document;
use super::*;
use crate::backbone::{Depth, Fit};
use crate::project::Project;

#[test]
fn keys_are_names_of_fields_in_files_and_each_is_there_once() {
    let keys: BTreeSet<&str> = SETTINGS.iter().map(|setting| setting.key).collect();
    assert_eq!(keys.len(), SETTINGS.len());
    for key in keys {
        assert!(
            key.chars().all(|c| c.is_ascii_lowercase() || c == '_'),
            "{key}"
        );
    }
}

#[test]
fn the_defaults_can_be_written_and_read_back() {
    let mut settings = TrainSettings::default();
    settings.fine_tune.depth = Depth::All;
    settings.check().unwrap();
    for setting in SETTINGS {
        let before = settings.clone();
        let text = setting.get(&settings).to_string();
        setting.set(&mut settings, &text).unwrap();
        assert_eq!(settings, before, "{}", setting.key);
    }
}

#[test]
fn what_a_setting_cannot_be_is_refused_with_what_it_can() {
    let mut settings = TrainSettings::default();
    for (key, text, allowed) in [
        ("learning_rate", "0", "over 0 and at most 100"),
        ("learning_rate", "NaN", "over 0 and at most 100"),
        ("layer_decay", "1.1", "over 0 and at most 1"),
        ("label_smoothing", "1", "at least 0 and below 1"),
        ("train_batch_size", "0", "from 1 to 65536"),
        ("testing_percentage", "81", "from 0 to 80"),
        ("testing_percentage", "ten", "from 0 to 80"),
        ("validation_batch_size", "0", "from 1 to 1000000000, or -1"),
        ("eval_step_interval", "often", ", or auto"),
        ("optimizer", "adamw", "sgd, momentum, adam, adam-w"),
        ("train_depthwise", "maybe", "yes or no"),
        ("depth", "deep", ""),
    ] {
        let wrong = Setting::find(key)
            .unwrap()
            .set(&mut settings, text)
            .unwrap_err();
        assert!(wrong.contains(allowed), "{key} {text}: {wrong}");
        assert_eq!(settings, TrainSettings::default());
    }
}

#[test]
fn a_file_with_an_impossible_setting_is_refused_by_its_name() {
    let mut settings = TrainSettings::default();
    settings.fine_tune.learn.average_decay = f32::NAN;
    settings.check().unwrap();
    settings.fine_tune.depth = Depth::Last1;
    let error = settings.check().unwrap_err().to_string();
    assert!(
        error.contains("“Weight averaging” (--average-decay) cannot be NaN"),
        "{error}"
    );
}

#[test]
fn a_rate_of_ones_own_survives_another_optimiser() {
    let mut settings = TrainSettings::default();
    let set = |settings: &mut TrainSettings, key: &str, text: &str| {
        Setting::find(key).unwrap().set(settings, text).unwrap();
    };
    set(&mut settings, "optimizer", "adam");
    assert_eq!(settings.head.learn.learning_rate, 0.001);
    set(&mut settings, "learning_rate", "0.2");
    set(&mut settings, "optimizer", "sgd");
    assert_eq!(settings.head.learn.learning_rate, 0.2);
}

#[test]
fn a_change_of_views_asks_for_some() {
    let given = |pairs: &[(&'static str, &str)]| {
        let pairs = pairs.iter().map(|(key, text)| (*key, (*text).to_owned()));
        let mut settings = TrainSettings::default();
        settings.apply(&pairs.collect()).unwrap();
        settings.fine_tune
    };
    assert_eq!(given(&[("seed", "1")]).views, None);
    let crop = given(&[("random_crop", "40")]);
    assert_eq!((crop.views, crop.augmentation.random_crop), (Some(8), 40));
    assert_eq!(
        given(&[("random_crop", "30"), ("views", "0")]).views,
        Some(0)
    );
    assert_eq!(
        given(&[("flip_left_right", "yes"), ("views", "3")]).views,
        Some(3)
    );
}

/// With `UPDATE_DOCS=1` it writes the page.
#[test]
fn the_page_in_the_docs_is_the_schema() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, Document.to_string()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert_eq!(
        written,
        Document.to_string(),
        "run this test with UPDATE_DOCS=1"
    );
}

#[test]
fn a_remembered_setting_that_cannot_be_costs_only_itself() {
    let dir = tempfile::tempdir().unwrap();
    let project = Project::create(&dir.path().join("p"), "p").unwrap();
    let mut chosen = TrainSettings {
        fit: Fit::Pad,
        seed: 7,
        ..TrainSettings::default()
    };
    chosen.fine_tune.learn.weight_decay = 0.02;
    let mut stored = serde_json::to_value(&chosen).unwrap();
    stored["how_many_training_steps"] = (-3).into();
    stored["fine_tune"]["batch_size"] = 0.into();
    project.set_setting("train", &stored).unwrap();
    let found = project.settings("train", TrainSettings::is_possible);
    assert_eq!(
        found, chosen,
        "the two have their defaults, as they had before"
    );
    let notices = project.take_notices();
    assert_eq!(notices.len(), 1);
    for name in ["how_many_training_steps", "fine_tune.batch_size"] {
        assert!(notices[0].contains(name), "{notices:?}");
    }

    // Also one of a part that this training does not have, since another depth may be chosen next.
    stored["how_many_training_steps"] = 50.into();
    stored["fine_tune"]["depth"] = serde_json::to_value(Depth::Head).unwrap();
    project.set_setting("train", &stored).unwrap();
    let found = project.settings("train", TrainSettings::is_possible);
    assert_eq!(
        found.fine_tune.learn.batch_size,
        chosen.fine_tune.learn.batch_size
    );
    assert_eq!(
        found.head.learn.weight_decay,
        chosen.head.learn.weight_decay
    );
    let notices = project.take_notices();
    assert!(notices[0].contains("fine_tune.batch_size"), "{notices:?}");
    assert!(!notices[0].contains("how_many"), "{notices:?}");
}
