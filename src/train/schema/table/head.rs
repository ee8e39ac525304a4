//! Settings of the training of the head.

use crate::train::schema::{ChoiceOption, Kind, Nothing, Setting, SettingGroup};
use crate::train::{EvalSpacing, TrainSettings};

use super::{MOST_STEPS, SCHEDULES, large, place_of, small};

pub(super) const HOW_MANY_TRAINING_STEPS: Setting = Setting {
    key: "how_many_training_steps",
    group: SettingGroup::Head,
    title: "Training steps",
    unit: "",
    brief: "Number of training steps for the head, one batch each",
    more: "More is better until the validation curve stops rising.",
    retrain: Some("how_many_training_steps"),
    kind: whole!([1, MOST_STEPS], how_many_training_steps),
};

pub(super) const HEAD_SCHEDULE: Setting = Setting {
    key: "head_schedule",
    group: SettingGroup::Head,
    title: "Schedule",
    unit: "",
    brief: "How the learning rate of the head changes over the steps",
    more: "",
    retrain: None,
    kind: Kind::Choice {
        options: &[
            ChoiceOption {
                word: "constant",
                title: "Constant",
                brief: "Constant, as in retrain.py",
            },
            ChoiceOption {
                word: "cosine",
                title: "Cosine",
                brief: "It rises in the first tenth of the steps, then falls to zero along half a cosine (Loshchilov and Hutter 2017)",
            },
        ],
        get: |s| place_of(&SCHEDULES, &s.head.learn.schedule),
        set: |s, place| {
            if let Some(schedule) = SCHEDULES.get(place) {
                s.head.learn.schedule = *schedule;
            }
        },
    },
};

pub(super) const HEAD_HIDDEN_UNITS: Setting = Setting {
    key: "head_hidden_units",
    group: SettingGroup::Head,
    title: "Hidden units",
    unit: "",
    brief: "Units of a hidden layer with ReLU between the bottleneck and the last layer; 0 for none",
    more: "A hidden layer helps only with many {images}; heat maps are then specific to each image. Fine-tuning continues to train it, and all exports include it.",
    retrain: None,
    kind: whole!([0, 8_192], head.hidden_units),
};

pub(super) const VALIDATION_BATCH_SIZE: Setting = Setting {
    key: "validation_batch_size",
    group: SettingGroup::Head,
    title: "Validation batch",
    unit: "{images}",
    brief: "Validation {images} per evaluation; with few, the curve is noisy",
    more: "They are sampled again each time. The kept weights are always selected on all of them, whatever the curve shows.",
    retrain: Some("validation_batch_size"),
    kind: Kind::WholeOr {
        range: [1, 1_000_000_000],
        nothing: Nothing {
            word: "-1",
            title: "All validation {images}",
            brief: "Smoother curves; a little slower with many {images}",
            instead: 100,
        },
        get: |s| u64::try_from(s.validation_batch_size).ok(),
        set: |s, value| {
            s.validation_batch_size = value.and_then(|size| size.try_into().ok()).unwrap_or(-1);
        },
    },
};

pub(super) const EVAL_STEP_INTERVAL: Setting = Setting {
    key: "eval_step_interval",
    group: SettingGroup::Head,
    title: "Evaluate every",
    unit: "steps",
    brief: "Steps between two points of the curves",
    more: "",
    retrain: Some("eval_step_interval"),
    kind: Kind::WholeOr {
        range: [1, MOST_STEPS],
        nothing: Nothing {
            word: "auto",
            title: "As often as is cheap",
            brief: "Every 10 steps, or less often, so that no more {images} are evaluated than trained on",
            instead: 10,
        },
        get: |s| {
            let exact = s.eval_spacing == EvalSpacing::Exact;
            exact.then_some(u64::from(s.eval_step_interval))
        },
        set: |s, value| {
            let auto = TrainSettings::default();
            let spacing = value.map_or(auto.eval_spacing, |_| EvalSpacing::Exact);
            s.eval_spacing = spacing;
            s.eval_step_interval = value.and_then(small).unwrap_or(auto.eval_step_interval);
        },
    },
};
