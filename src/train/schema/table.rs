//! The table of settings, in the order in which they are shown; each group has a file of its own.

use crate::backbone::Fit;
use crate::train::{ClassWeights, KeepBy, Optimizer, Sampling, Schedule};

use super::{ChoiceOption, Reals, Setting};

const MOST_STEPS: u64 = 10_000_000;

const FITS: [Fit; 3] = [Fit::CenterCrop, Fit::Stretch, Fit::Pad];

const SCHEDULES: [Schedule; 2] = [Schedule::Constant, Schedule::Cosine];

const SAMPLINGS: [Sampling; 2] = [Sampling::Balanced, Sampling::Natural];

const WEIGHTINGS: [ClassWeights; 2] = [ClassWeights::None, ClassWeights::Balanced];

const KEEPS: [KeepBy; 3] = [KeepBy::Accuracy, KeepBy::CrossEntropy, KeepBy::Last];

const KEEP_OPTIONS: &[ChoiceOption] = &[
    ChoiceOption {
        word: "accuracy",
        title: "Best accuracy",
        brief: "The one with the most right answers; where that is equal, the lowest cross-entropy",
    },
    ChoiceOption {
        word: "cross-entropy",
        title: "Lowest cross-entropy",
        brief: "The one with the lowest cross-entropy; where that is equal, the most right answers",
    },
    ChoiceOption {
        word: "last",
        title: "The last",
        brief: "The last one: nothing is chosen by the validation {images}",
    },
];

const OPTIMIZERS: [Optimizer; 4] = [
    Optimizer::Sgd,
    Optimizer::Momentum,
    Optimizer::Adam,
    Optimizer::AdamW,
];

const OPTIMIZER_OPTIONS: &[ChoiceOption] = &[
    ChoiceOption {
        word: "sgd",
        title: "SGD",
        brief: "Plain stochastic gradient descent, as in retrain.py",
    },
    ChoiceOption {
        word: "momentum",
        title: "Momentum",
        brief: "Stochastic gradient descent with momentum 0.9: one rate for all weights, less noise",
    },
    ChoiceOption {
        word: "adam",
        title: "Adam",
        brief: "A step of its own size for each weight (Kingma and Ba 2015)",
    },
    ChoiceOption {
        word: "adam-w",
        title: "AdamW",
        brief: "Adam with decoupled weight decay (Loshchilov and Hutter 2019)",
    },
];

const RATE: Reals = Reals {
    least: 0.0,
    with_least: false,
    most: 100.0,
    with_most: true,
};

const NOT_NEGATIVE: Reals = Reals {
    least: 0.0,
    with_least: true,
    most: 1_000.0,
    with_most: true,
};

const UP_TO_TEN: Reals = Reals {
    least: 0.0,
    with_least: true,
    most: 10.0,
    with_most: true,
};

const BELOW_ONE: Reals = Reals {
    least: 0.0,
    with_least: true,
    most: 1.0,
    with_most: false,
};

const UP_TO_ONE: Reals = Reals {
    least: 0.0,
    with_least: false,
    most: 1.0,
    with_most: true,
};

/// A number of another type than the schema has; the range of the setting keeps it from being cut off.
fn small<T: TryFrom<u64>>(value: u64) -> Option<T> {
    T::try_from(value).ok()
}

/// The other way round.
fn large<T: TryInto<u64>>(value: T) -> u64 {
    value.try_into().unwrap_or(u64::MAX)
}

fn place_of<T: PartialEq>(all: &[T], of: &T) -> usize {
    all.iter().position(|one| one == of).unwrap_or_default()
}

/// Takes another optimiser, and the rate that suits it unless the user has one of his own.
fn choose(optimizer: &mut Optimizer, rate: &mut f32, place: usize) {
    let Some(chosen) = OPTIMIZERS.get(place).copied() else {
        return;
    };
    if (*rate - optimizer.default_rate()).abs() < 1e-9 {
        *rate = chosen.default_rate();
    }
    *optimizer = chosen;
}

/// A whole number of a field that has another type.
macro_rules! whole {
    ($range:expr, $($field:ident).+) => {
        Kind::Whole {
            range: $range,
            get: |s| large(s.$($field).+),
            set: |s, value| {
                if let Some(value) = small(value) {
                    s.$($field).+ = value;
                }
            },
        }
    };
}

macro_rules! real {
    ($range:expr, $digits:expr, $($field:ident).+) => {
        Kind::Real {
            range: $range,
            digits: $digits,
            get: |s| s.$($field).+,
            set: |s, value| s.$($field).+ = value,
        }
    };
}

macro_rules! switch {
    ($($field:ident).+) => {
        Kind::Switch {
            get: |s| s.$($field).+,
            set: |s, value| s.$($field).+ = value,
        }
    };
}

mod data;
mod fine_tuning;
mod head;
mod views;

/// All settings of a training.
pub const SETTINGS: &[Setting] = &[
    data::ARCHITECTURE,
    data::DEPTH,
    data::FIT,
    data::VALIDATION_PERCENTAGE,
    data::TESTING_PERCENTAGE,
    data::SAMPLING,
    data::CLASS_WEIGHTS,
    data::SPLIT_SEED,
    data::SEED,
    data::HISTOGRAMS,
    head::HOW_MANY_TRAINING_STEPS,
    head::OPTIMIZER,
    head::LEARNING_RATE,
    head::HEAD_SCHEDULE,
    head::HEAD_HIDDEN_UNITS,
    head::HEAD_DROPOUT,
    head::HEAD_WEIGHT_DECAY,
    head::HEAD_LABEL_SMOOTHING,
    head::HEAD_MIXUP,
    head::HEAD_AVERAGE_DECAY,
    head::HEAD_CLIP_NORM,
    head::TRAIN_BATCH_SIZE,
    head::VALIDATION_BATCH_SIZE,
    head::EVAL_STEP_INTERVAL,
    head::HEAD_EARLY_STOPPING,
    head::HEAD_KEEP_BY,
    fine_tuning::FINE_TUNE_STEPS,
    fine_tuning::EARLY_STOPPING,
    fine_tuning::KEEP_BY,
    fine_tuning::FINE_TUNE_BATCH_SIZE,
    fine_tuning::FINE_TUNE_OPTIMIZER,
    fine_tuning::FINE_TUNE_LEARNING_RATE,
    fine_tuning::LAYER_DECAY,
    fine_tuning::LABEL_SMOOTHING,
    fine_tuning::MIXUP,
    fine_tuning::DROPOUT,
    fine_tuning::WEIGHT_DECAY,
    fine_tuning::AVERAGE_DECAY,
    fine_tuning::CLIP_NORM,
    fine_tuning::TRAIN_DEPTHWISE,
    fine_tuning::CACHE_BUDGET,
    views::VIEWS,
    views::FLIP_LEFT_RIGHT,
    views::RANDOM_CROP,
    views::RANDOM_SCALE,
    views::RANDOM_BRIGHTNESS,
    views::RANDOM_ROTATION,
    views::RANDOM_HUE,
    views::RANDOM_BLUR,
    views::RANDOM_CUTOUT,
];
