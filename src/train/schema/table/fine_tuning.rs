//! Settings of the fine-tuning.

use crate::train::schema::{Kind, Nothing, Reals, Setting, SettingGroup};

use super::{MOST_STEPS, NOT_NEGATIVE, UP_TO_ONE, small};

pub(super) const FINE_TUNE_STEPS: Setting = Setting {
    key: "fine_tune_steps",
    group: SettingGroup::FineTuning,
    title: "Fine-tuning steps",
    unit: "",
    brief: "How many times the part that is trained after the head is changed, each time by one batch",
    more: "",
    retrain: None,
    kind: Kind::WholeOr {
        range: [1, MOST_STEPS],
        nothing: Nothing {
            word: "auto",
            title: "As many as the {images} call for",
            brief: "As many steps as show each image 2.5 times, at least 200 and at most 2000",
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
    brief: "How much slower each block learns than the one behind it: at 0.8 the last block learns at 0.8 of the rate, the one before at 0.64; at 1 all learn alike",
    more: "The first blocks of a network see edges and colours, which are the same for all images; the last ones see what sets your classes apart (Howard and Ruder 2018).",
    retrain: None,
    kind: real!(UP_TO_ONE, 3, fine_tune.layer_decay),
};

pub(super) const TRAIN_DEPTHWISE: Setting = Setting {
    key: "train_depthwise",
    group: SettingGroup::FineTuning,
    title: "Train depthwise kernels",
    unit: "",
    brief: "Train the kernels of one channel each as well, which takes a tenth longer, up to half as long again at greater depths",
    more: "",
    retrain: None,
    kind: switch!(fine_tune.train_depthwise),
};

pub(super) const CACHE_BUDGET: Setting = Setting {
    key: "cache_budget",
    group: SettingGroup::FineTuning,
    title: "Cache budget",
    unit: "GB",
    brief: "How much disk may be taken by what is kept of the {images}; what does not fit is computed again in each step",
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
