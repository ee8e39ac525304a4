//! Settings of the fine-tuning.

use crate::train::schema::{Kind, Nothing, Reals, Setting, SettingGroup};

use super::{MOST_STEPS, NOT_NEGATIVE, UP_TO_ONE, small};

pub(super) const FINE_TUNE_STEPS: Setting = Setting {
    key: "fine_tune_steps",
    group: SettingGroup::FineTuning,
    title: "Fine-tuning steps",
    unit: "",
    brief: "Number of fine-tuning steps, one batch each",
    more: "",
    retrain: None,
    kind: Kind::WholeOr {
        range: [1, MOST_STEPS],
        nothing: Nothing {
            word: "auto",
            title: "Depends on the number of {images}",
            brief: "2.5 passes over the training images, at least 200 and at most 2000 steps",
            instead: 200,
        },
        get: |s| s.fine_tune.steps.map(u64::from),
        set: |s, value| s.fine_tune.steps = value.and_then(small),
    },
};

pub(super) const LAYER_DECAY: Setting = Setting {
    key: "layer_decay",
    group: SettingGroup::FineTuning,
    title: "Layer decay",
    unit: "",
    brief: "Factor by which the learning rate shrinks from each block to the one before it: with 0.8, the last block is trained at 0.8 of the rate, the one before at 0.64; with 1, all at the same rate",
    more: "The first blocks of a network detect edges and colours, which are common to all images; the last ones what distinguishes your classes (Howard and Ruder 2018).",
    retrain: None,
    kind: real!(UP_TO_ONE, 3, fine_tune.layer_decay),
};

pub(super) const TRAIN_DEPTHWISE: Setting = Setting {
    key: "train_depthwise",
    group: SettingGroup::FineTuning,
    title: "Train depthwise kernels",
    unit: "",
    brief: "Also train depthwise kernels, which takes 10 % longer, up to 50 % at greater depths",
    more: "",
    retrain: None,
    kind: switch!(fine_tune.train_depthwise),
};

pub(super) const CACHE_BUDGET: Setting = Setting {
    key: "cache_budget",
    group: SettingGroup::FineTuning,
    title: "Cache budget",
    unit: "GB",
    brief: "Disk space for cached activations; those that do not fit are recomputed in each step",
    more: "",
    retrain: None,
    kind: Kind::Real {
        range: Reals {
            most: 100_000.0,
            ..NOT_NEGATIVE
        },
        digits: 1,
        get: |s| (s.fine_tune.cache_budget_bytes as f64 / 1e9) as f32,
        set: |s, gigabytes| {
            s.fine_tune.cache_budget_bytes = (f64::from(gigabytes) * 1e9) as u64;
        },
    },
};
