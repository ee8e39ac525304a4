//! Settings of the fine-tuning.

use crate::train::schema::{Group, Kind, Nothing, Reals, Setting};

use super::{
    BELOW_ONE, KEEP_OPTIONS, KEEPS, MOST_STEPS, NOT_NEGATIVE, OPTIMIZER_OPTIONS, OPTIMIZERS, RATE,
    UP_TO_ONE, UP_TO_TEN, choose, large, place_of, small,
};

pub(super) const FINE_TUNE_STEPS: Setting = Setting {
    key: "fine_tune_steps",
    group: Group::FineTuning,
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

pub(super) const EARLY_STOPPING: Setting = Setting {
    key: "early_stopping",
    group: Group::FineTuning,
    title: "Early stopping",
    unit: "evaluations",
    brief: "Ends once cross-entropy on the validation {images} has not improved for so many evaluations; 0 takes all steps",
    more: "Which weights are kept is another setting. Where weights are averaged, the averages are evaluated. Prechelt 1998.",
    retrain: None,
    kind: whole!([0, 100_000], fine_tune.early_stopping),
};

pub(super) const KEEP_BY: Setting = Setting {
    key: "keep_by",
    group: Group::FineTuning,
    title: "Kept weights",
    unit: "",
    brief: "Which evaluation on the validation {images} gives the weights that are kept",
    more: "With few validation {images}, accuracy moves in large steps and by chance; cross-entropy also counts how sure each answer is. The last weights need no choice, because the rate has fallen to zero by then; where they are worse than the head alone on the validation {images}, beyond chance, the head is kept.",
    retrain: None,
    kind: Kind::Choice {
        options: KEEP_OPTIONS,
        get: |s| place_of(&KEEPS, &s.fine_tune.keep_by),
        set: |s, place| {
            if let Some(keep_by) = KEEPS.get(place) {
                s.fine_tune.keep_by = *keep_by;
            }
        },
    },
};

pub(super) const FINE_TUNE_BATCH_SIZE: Setting = Setting {
    key: "fine_tune_batch_size",
    group: Group::FineTuning,
    title: "Fine-tuning batch",
    unit: "{images}",
    brief: "{Images} per step of the fine-tuning; a step takes as much longer as there are more",
    more: "",
    retrain: None,
    kind: whole!([1, 4_096], fine_tune.batch_size),
};

pub(super) const FINE_TUNE_OPTIMIZER: Setting = Setting {
    key: "fine_tune_optimizer",
    group: Group::FineTuning,
    title: "Fine-tuning optimiser",
    unit: "",
    brief: "How the weights follow the gradient in the fine-tuning",
    more: "A learning rate that was not chosen follows the optimiser, as for the head.",
    retrain: None,
    kind: Kind::Choice {
        options: OPTIMIZER_OPTIONS,
        get: |s| place_of(&OPTIMIZERS, &s.fine_tune.optimizer),
        set: |s, place| {
            let fine_tune = &mut s.fine_tune;
            choose(
                &mut fine_tune.optimizer,
                &mut fine_tune.learning_rate,
                place,
            );
        },
    },
};

pub(super) const FINE_TUNE_LEARNING_RATE: Setting = Setting {
    key: "fine_tune_learning_rate",
    group: Group::FineTuning,
    title: "Fine-tuning rate",
    unit: "",
    brief: "The highest learning rate of the fine-tuning; it rises to this in the first tenth of the steps and then falls to zero",
    more: "It falls along half a cosine (Loshchilov and Hutter 2017).",
    retrain: None,
    kind: real!(RATE, 6, fine_tune.learning_rate),
};

pub(super) const LAYER_DECAY: Setting = Setting {
    key: "layer_decay",
    group: Group::FineTuning,
    title: "Layer decay",
    unit: "",
    brief: "How much slower each block learns than the one behind it: at 0.8 the last block learns at 0.8 of the rate, the one before at 0.64; at 1 all learn alike",
    more: "The first blocks of a network see edges and colours, which are the same for all images; the last ones see what sets your classes apart (Howard and Ruder 2018).",
    retrain: None,
    kind: real!(UP_TO_ONE, 3, fine_tune.layer_decay),
};

pub(super) const LABEL_SMOOTHING: Setting = Setting {
    key: "label_smoothing",
    group: Group::FineTuning,
    title: "Label smoothing",
    unit: "",
    brief: "How far the network is kept from being certain: the share of the answer that is spread over all classes",
    more: "Szegedy et al. 2016.",
    retrain: None,
    kind: real!(BELOW_ONE, 3, fine_tune.label_smoothing),
};

pub(super) const MIXUP: Setting = Setting {
    key: "mixup",
    group: Group::FineTuning,
    title: "Mixup",
    unit: "",
    brief: "How strongly two {images} of a batch are mixed, and their classes alike; 0 mixes none",
    more: "It is the α of the Beta distribution that each share is drawn from (Zhang et al. 2018): 0.1 to 0.4 mix most {images} a little, 1 mixes by any share alike. Mixed is what the trained part reads: activations, at depth `all` the pixels. The training curve is of the mixed {images}, each of them right by the share of the class that it is taken for: it stays below the validation curve, and the two do not tell how much was learned by heart.",
    retrain: None,
    kind: real!(UP_TO_TEN, 2, fine_tune.mixup),
};

pub(super) const DROPOUT: Setting = Setting {
    key: "dropout",
    group: Group::FineTuning,
    title: "Dropout",
    unit: "",
    brief: "The part of what each layer of the head reads that is left out at random in each step of the fine-tuning",
    more: "Srivastava et al. 2014. Evaluations leave out nothing; the training curve is measured with it.",
    retrain: None,
    kind: real!(BELOW_ONE, 3, fine_tune.dropout),
};

pub(super) const WEIGHT_DECAY: Setting = Setting {
    key: "weight_decay",
    group: Group::FineTuning,
    title: "Weight decay",
    unit: "",
    brief: "How strongly kernels are drawn towards zero, which keeps the network from learning single {images} by heart",
    more: "Biases are left alone.",
    retrain: None,
    kind: real!(NOT_NEGATIVE, 5, fine_tune.weight_decay),
};

pub(super) const AVERAGE_DECAY: Setting = Setting {
    key: "average_decay",
    group: Group::FineTuning,
    title: "Weight averaging",
    unit: "",
    brief: "What is kept is the mean of the last weights; closer to 1 it goes further back, at 0 only the last count",
    more: "It is the decay of a moving average.",
    retrain: None,
    kind: real!(BELOW_ONE, 4, fine_tune.average_decay),
};

pub(super) const CLIP_NORM: Setting = Setting {
    key: "clip_norm",
    group: Group::FineTuning,
    title: "Gradient limit",
    unit: "",
    brief: "Largest norm of the gradient over all weights: no single step goes further; 0 has no limit",
    more: "Pascanu et al. 2013.",
    retrain: None,
    kind: real!(NOT_NEGATIVE, 3, fine_tune.clip_norm),
};

pub(super) const TRAIN_DEPTHWISE: Setting = Setting {
    key: "train_depthwise",
    group: Group::FineTuning,
    title: "Train depthwise kernels",
    unit: "",
    brief: "Train the kernels of one channel each as well, which takes a tenth longer, up to half as long again at greater depths",
    more: "",
    retrain: None,
    kind: switch!(fine_tune.train_depthwise),
};

pub(super) const CACHE_BUDGET: Setting = Setting {
    key: "cache_budget",
    group: Group::FineTuning,
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
