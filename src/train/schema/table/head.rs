//! Settings of the training of the head.

use crate::train::schema::{ChoiceOption, Group, Kind, Nothing, Setting};
use crate::train::{EvalSpacing, TrainSettings};

use super::{
    BELOW_ONE, KEEP_OPTIONS, KEEPS, MOST_STEPS, NOT_NEGATIVE, OPTIMIZER_OPTIONS, OPTIMIZERS, RATE,
    SCHEDULES, UP_TO_TEN, choose, large, place_of, small,
};

pub(super) const HOW_MANY_TRAINING_STEPS: Setting = Setting {
    key: "how_many_training_steps",
    group: Group::Head,
    title: "Training steps",
    unit: "",
    brief: "How many times the weights of the head are changed, each time by one batch",
    more: "More is better until the validation curve stops rising.",
    retrain: Some("how_many_training_steps"),
    kind: whole!([1, MOST_STEPS], how_many_training_steps),
};

pub(super) const OPTIMIZER: Setting = Setting {
    key: "optimizer",
    group: Group::Head,
    title: "Optimiser",
    unit: "",
    brief: "How the weights follow the gradient; retrain.py has `sgd`",
    more: "A learning rate that was not chosen follows the optimiser: 0.01 for `sgd` and `momentum`, 0.001 for `adam` and `adam-w`.",
    retrain: None,
    kind: Kind::Choice {
        options: OPTIMIZER_OPTIONS,
        get: |s| place_of(&OPTIMIZERS, &s.optimizer),
        set: |s, place| choose(&mut s.optimizer, &mut s.learning_rate, place),
    },
};

pub(super) const LEARNING_RATE: Setting = Setting {
    key: "learning_rate",
    group: Group::Head,
    title: "Learning rate",
    unit: "",
    brief: "How far each step follows the gradient; too small learns slowly, too large makes the curves jump",
    more: "",
    retrain: Some("learning_rate"),
    kind: real!(RATE, 6, learning_rate),
};

pub(super) const HEAD_SCHEDULE: Setting = Setting {
    key: "head_schedule",
    group: Group::Head,
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
                brief: "It stays, as in retrain.py",
            },
            ChoiceOption {
                word: "cosine",
                title: "Cosine",
                brief: "It rises in the first tenth of the steps, then falls to zero along half a cosine (Loshchilov and Hutter 2017)",
            },
        ],
        get: |s| place_of(&SCHEDULES, &s.head.schedule),
        set: |s, place| {
            if let Some(schedule) = SCHEDULES.get(place) {
                s.head.schedule = *schedule;
            }
        },
    },
};

pub(super) const HEAD_HIDDEN_UNITS: Setting = Setting {
    key: "head_hidden_units",
    group: Group::Head,
    title: "Hidden units",
    unit: "",
    brief: "Units of a layer between the bottleneck and the last layer, with a ReLU; 0 has none",
    more: "Only with many {images} does a head with a hidden layer do better than without; its heat maps hold for each image by itself. Fine-tuning trains it further, and all exports have it.",
    retrain: None,
    kind: whole!([0, 8_192], head.hidden_units),
};

pub(super) const HEAD_DROPOUT: Setting = Setting {
    key: "head_dropout",
    group: Group::Head,
    title: "Dropout of the head",
    unit: "",
    brief: "The part of what each layer of the head reads that is left out at random in each step, which keeps it from relying on single numbers",
    more: "Srivastava et al. 2014. Evaluations and exports leave out nothing.",
    retrain: None,
    kind: real!(BELOW_ONE, 3, head.dropout),
};

pub(super) const HEAD_WEIGHT_DECAY: Setting = Setting {
    key: "head_weight_decay",
    group: Group::Head,
    title: "Weight decay of the head",
    unit: "",
    brief: "How strongly the weights of the head are drawn towards zero, which keeps it from learning single {images} by heart",
    more: "Biases are left alone.",
    retrain: None,
    kind: real!(NOT_NEGATIVE, 6, head.weight_decay),
};

pub(super) const HEAD_LABEL_SMOOTHING: Setting = Setting {
    key: "head_label_smoothing",
    group: Group::Head,
    title: "Label smoothing of the head",
    unit: "",
    brief: "How far the head is kept from being certain: the share of the answer that is spread over all classes",
    more: "Szegedy et al. 2016.",
    retrain: None,
    kind: real!(BELOW_ONE, 3, head.label_smoothing),
};

pub(super) const HEAD_MIXUP: Setting = Setting {
    key: "head_mixup",
    group: Group::Head,
    title: "Mixup of the head",
    unit: "",
    brief: "How strongly the bottlenecks of two {images} are mixed, and their classes alike; 0 mixes none",
    more: "It is the α of the Beta distribution that each share is drawn from (Zhang et al. 2018): 0.1 to 0.4 mix most {images} a little, 1 mixes by any share alike. The training curve shows the last batch unmixed.",
    retrain: None,
    kind: real!(UP_TO_TEN, 2, head.mixup),
};

pub(super) const HEAD_AVERAGE_DECAY: Setting = Setting {
    key: "head_average_decay",
    group: Group::Head,
    title: "Weight averaging of the head",
    unit: "",
    brief: "What is kept is the mean of the last weights; closer to 1 it goes further back, at 0 only the last count",
    more: "It is the decay of a moving average.",
    retrain: None,
    kind: real!(BELOW_ONE, 4, head.average_decay),
};

pub(super) const HEAD_CLIP_NORM: Setting = Setting {
    key: "head_clip_norm",
    group: Group::Head,
    title: "Gradient limit of the head",
    unit: "",
    brief: "Largest norm of the gradient of the head: no single step goes further; 0 has no limit",
    more: "Pascanu et al. 2013.",
    retrain: None,
    kind: real!(NOT_NEGATIVE, 3, head.clip_norm),
};

pub(super) const TRAIN_BATCH_SIZE: Setting = Setting {
    key: "train_batch_size",
    group: Group::Head,
    title: "Training batch",
    unit: "{images}",
    brief: "{Images} per step",
    more: "",
    retrain: Some("train_batch_size"),
    kind: whole!([1, 65_536], train_batch_size),
};

pub(super) const VALIDATION_BATCH_SIZE: Setting = Setting {
    key: "validation_batch_size",
    group: Group::Head,
    title: "Validation batch",
    unit: "{images}",
    brief: "Validation {images} per evaluation; few make the curve jump",
    more: "They are drawn anew each time. All of them choose the weights, whatever the curve shows.",
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
    group: Group::Head,
    title: "Evaluate every",
    unit: "steps",
    brief: "Steps between two points of the curves",
    more: "",
    retrain: Some("eval_step_interval"),
    kind: Kind::WholeOr {
        range: [1, MOST_STEPS],
        nothing: Nothing {
            word: "auto",
            title: "As often as it costs little",
            brief: "Every 10 steps, or as many more that no more {images} are evaluated than learned from",
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

pub(super) const HEAD_EARLY_STOPPING: Setting = Setting {
    key: "head_early_stopping",
    group: Group::Head,
    title: "Early stopping of the head",
    unit: "evaluations",
    brief: "Ends once cross-entropy on the validation {images} has not improved for so many evaluations; 0 takes all steps",
    more: "Which weights are kept is another setting. Where weights are averaged, the averages are evaluated. Prechelt 1998.",
    retrain: None,
    kind: whole!([0, 100_000], head.early_stopping),
};

pub(super) const HEAD_KEEP_BY: Setting = Setting {
    key: "head_keep_by",
    group: Group::Head,
    title: "Kept weights of the head",
    unit: "",
    brief: "Which evaluation on the validation {images} gives the weights that are kept",
    more: "With few validation {images}, accuracy moves in large steps and by chance; cross-entropy also counts how sure each answer is.",
    retrain: None,
    kind: Kind::Choice {
        options: KEEP_OPTIONS,
        get: |s| place_of(&KEEPS, &s.head.keep_by),
        set: |s, place| {
            if let Some(keep_by) = KEEPS.get(place) {
                s.head.keep_by = *keep_by;
            }
        },
    },
};
