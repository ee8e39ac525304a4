//! The table of settings, in the order in which they are shown; each group has its own file.

use crate::backbone::Fit;
use crate::train::{ClassSampling, ClassWeights, KeepBy, LearnSettings, Optimizer, Schedule};

use super::{ChoiceOption, Reals, Setting};

const MOST_STEPS: u64 = 10_000_000;

const FITS: [Fit; 3] = [Fit::CenterCrop, Fit::Stretch, Fit::Pad];

const SCHEDULES: [Schedule; 2] = [Schedule::Constant, Schedule::Cosine];

const SAMPLINGS: [ClassSampling; 2] = [ClassSampling::Balanced, ClassSampling::Natural];

const WEIGHTINGS: [ClassWeights; 2] = [ClassWeights::None, ClassWeights::Balanced];

const KEEPS: [KeepBy; 3] = [KeepBy::Accuracy, KeepBy::CrossEntropy, KeepBy::Last];

const KEEP_OPTIONS: &[ChoiceOption] = &[
    ChoiceOption {
        word: "accuracy",
        title: "Best accuracy",
        brief: "The highest accuracy; among equals, the lowest cross-entropy",
    },
    ChoiceOption {
        word: "cross-entropy",
        title: "Lowest cross-entropy",
        brief: "The lowest cross-entropy; among equals, the highest accuracy",
    },
    ChoiceOption {
        word: "last",
        title: "Last step",
        brief: "The last evaluation: validation {images} are not used for selection",
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
        brief: "Stochastic gradient descent with momentum 0.9",
    },
    ChoiceOption {
        word: "adam",
        title: "Adam",
        brief: "Adaptive step size for each weight (Kingma and Ba 2015)",
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

/// Converts an integer to a smaller type; the range of the setting prevents overflow.
fn small<T: TryFrom<u64>>(value: u64) -> Option<T> {
    T::try_from(value).ok()
}

/// Converts an integer to the type of the schema.
fn large<T: TryInto<u64>>(value: T) -> u64 {
    value.try_into().unwrap_or(u64::MAX)
}

fn place_of<T: PartialEq>(all: &[T], of: &T) -> usize {
    all.iter().position(|one| one == of).unwrap_or_default()
}

/// Sets another optimiser, and its default rate unless the user has changed the rate.
fn choose(learn: &mut LearnSettings, place: usize) {
    let Some(chosen) = OPTIMIZERS.get(place).copied() else {
        return;
    };
    if (learn.learning_rate - learn.optimizer.default_rate()).abs() < 1e-9 {
        learn.learning_rate = chosen.default_rate();
    }
    learn.optimizer = chosen;
}

/// Declares an integer setting for a field of another type; with `[P]`, a field of a part's [`LearnSettings`].
macro_rules! whole {
    ($range:expr, [$part:ident] $field:ident) => {
        whole!($range, |s| s.learn(PARTS[$part]).$field, |s| s.learn_mut(PARTS[$part]).$field)
    };
    ($range:expr, $($field:ident).+) => {
        whole!($range, |s| s.$($field).+, |s| s.$($field).+)
    };
    ($range:expr, |$s:ident| $get:expr, |$t:ident| $set:expr) => {
        Kind::Whole {
            range: $range,
            get: |$s| large($get),
            set: |$t, value| {
                if let Some(value) = small(value) {
                    $set = value;
                }
            },
        }
    };
}

macro_rules! real {
    ($range:expr, $digits:expr, [$part:ident] $field:ident) => {
        Kind::Real {
            range: $range,
            digits: $digits,
            get: |s| s.learn(PARTS[$part]).$field,
            set: |s, value| s.learn_mut(PARTS[$part]).$field = value,
        }
    };
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
mod learning;
mod views;

use learning::{FINE_TUNED, HEAD};

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
    learning::optimizer::<HEAD>(),
    learning::learning_rate::<HEAD>(),
    head::HEAD_SCHEDULE,
    head::HEAD_HIDDEN_UNITS,
    learning::dropout::<HEAD>(),
    learning::weight_decay::<HEAD>(),
    learning::label_smoothing::<HEAD>(),
    learning::mixup::<HEAD>(),
    learning::average_decay::<HEAD>(),
    learning::clip_norm::<HEAD>(),
    learning::batch_size::<HEAD>(),
    head::VALIDATION_BATCH_SIZE,
    head::EVAL_STEP_INTERVAL,
    learning::early_stopping::<HEAD>(),
    learning::keep_by::<HEAD>(),
    fine_tuning::FINE_TUNE_STEPS,
    learning::early_stopping::<FINE_TUNED>(),
    learning::keep_by::<FINE_TUNED>(),
    learning::batch_size::<FINE_TUNED>(),
    learning::optimizer::<FINE_TUNED>(),
    learning::learning_rate::<FINE_TUNED>(),
    fine_tuning::LAYER_DECAY,
    learning::label_smoothing::<FINE_TUNED>(),
    learning::mixup::<FINE_TUNED>(),
    learning::dropout::<FINE_TUNED>(),
    learning::weight_decay::<FINE_TUNED>(),
    learning::average_decay::<FINE_TUNED>(),
    learning::clip_norm::<FINE_TUNED>(),
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
