//! The table of settings, in the order in which they are shown.

use crate::backbone::{Architecture, Fit};
use crate::train::{
    ClassWeights, EvalSpacing, KeepBy, Optimizer, Sampling, Schedule, TrainSettings,
};

use super::{ChoiceOption, Group, Kind, Nothing, Reals, Setting};

const MOST_STEPS: u64 = 10_000_000;

const FITS: [Fit; 3] = [Fit::CenterCrop, Fit::Stretch, Fit::Pad];

const SCHEDULES: [Schedule; 2] = [Schedule::Constant, Schedule::Cosine];

const SAMPLINGS: [Sampling; 2] = [Sampling::Balanced, Sampling::Natural];

const CLASS_WEIGHTS: [ClassWeights; 2] = [ClassWeights::None, ClassWeights::Balanced];

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

/// All settings of a training.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "architecture",
        group: Group::Data,
        title: "Architecture",
        unit: "",
        brief: "The backbone and its input size in pixels, as `salamander architectures` lists them",
        more: "A larger one is more accurate and slower, here and on a phone.",
        retrain: Some("architecture"),
        kind: Kind::Name {
            get: |s| s.architecture.to_string(),
            title: |s| s.architecture.to_string(),
            set: |s, text| {
                s.architecture = Architecture::named(text).map_err(|error| error.to_string())?;
                Ok(())
            },
        },
    },
    Setting {
        key: "depth",
        group: Group::Data,
        title: "Depth",
        unit: "",
        brief: "How much of the network is trained: `head`, `last-1` (the last block too), `last-3`, `stage` or `all`",
        more: "On the command line `auto`, which is the default, chooses by the number of images and the time it would take on this machine; so does the window until somebody chooses.",
        retrain: None,
        kind: Kind::Name {
            get: |s| s.fine_tune.depth.to_string(),
            title: |s| s.fine_tune.depth.title().to_owned(),
            set: |s, text| {
                s.fine_tune.depth = text.parse().map_err(|error| format!("{error}"))?;
                Ok(())
            },
        },
    },
    Setting {
        key: "fit",
        group: Group::Data,
        title: "Made square by",
        unit: "",
        brief: "How {images} are made square",
        more: "Networks see squares. What is chosen here is written into exports, so that the phone does the same.",
        retrain: None,
        kind: Kind::Choice {
            options: &[
                ChoiceOption {
                    word: "center-crop",
                    title: "Centre crop",
                    brief: "The largest square in the middle; the sides are cut off",
                },
                ChoiceOption {
                    word: "stretch",
                    title: "Stretch",
                    brief: "Width and height are scaled separately; nothing is cut off",
                },
                ChoiceOption {
                    word: "pad",
                    title: "Pad",
                    brief: "The whole image with grey bars",
                },
            ],
            get: |s| place_of(&FITS, &s.fit),
            set: |s, place| {
                if let Some(fit) = FITS.get(place) {
                    s.fit = *fit;
                }
            },
        },
    },
    Setting {
        key: "validation_percentage",
        group: Group::Data,
        title: "Validation",
        unit: "%",
        brief: "Part of the {images} that is watched while training and chooses the best weights",
        more: "Whole sources are taken, so the part can come out a little larger or smaller. 0 keeps the weights of the last step.",
        retrain: Some("validation_percentage"),
        kind: whole!([0, 80], split.validation_percentage),
    },
    Setting {
        key: "testing_percentage",
        group: Group::Data,
        title: "Test",
        unit: "%",
        brief: "Part of the {images} that is evaluated once, at the end: the honest figure",
        more: "Whole sources are taken here too.",
        retrain: Some("testing_percentage"),
        kind: whole!([0, 80], split.testing_percentage),
    },
    Setting {
        key: "sampling",
        group: Group::Data,
        title: "Sampling",
        unit: "",
        brief: "How the {images} of a batch are drawn",
        more: "Where some classes have far fewer {images} than others, this decides whether the model takes the rare ones to be rare.",
        retrain: None,
        kind: Kind::Choice {
            options: &[
                ChoiceOption {
                    word: "balanced",
                    title: "Classes alike",
                    brief: "First a class, then one of its {images}, as in retrain.py: small classes count as much as large ones",
                },
                ChoiceOption {
                    word: "natural",
                    title: "{Images} alike",
                    brief: "Any one as often as any other: classes count as much as they have {images}",
                },
            ],
            get: |s| place_of(&SAMPLINGS, &s.sampling),
            set: |s, place| {
                if let Some(sampling) = SAMPLINGS.get(place) {
                    s.sampling = *sampling;
                }
            },
        },
    },
    Setting {
        key: "class_weights",
        group: Group::Data,
        title: "Class weights",
        unit: "",
        brief: "How much an {image} of each class counts in the loss",
        more: "They do for {images} drawn alike what *Classes alike* does by drawing; both together weigh rare classes twice.",
        retrain: None,
        kind: Kind::Choice {
            options: &[
                ChoiceOption {
                    word: "none",
                    title: "All alike",
                    brief: "Each as much as any other, as in retrain.py",
                },
                ChoiceOption {
                    word: "balanced",
                    title: "Balanced",
                    brief: "By the inverse of how many {images} its class has: small classes count as much as large ones",
                },
            ],
            get: |s| place_of(&CLASS_WEIGHTS, &s.class_weights),
            set: |s, place| {
                if let Some(weights) = CLASS_WEIGHTS.get(place) {
                    s.class_weights = *weights;
                }
            },
        },
    },
    Setting {
        key: "split_seed",
        group: Group::Data,
        title: "Split seed",
        unit: "",
        brief: "Another number makes another split by the same rules, to measure how much depends on the draw",
        more: "",
        retrain: None,
        kind: whole!([0, u64::MAX], split.split_seed),
    },
    Setting {
        key: "seed",
        group: Group::Data,
        title: "Seed",
        unit: "",
        brief: "Everything random follows from it: the same seed gives the same weights",
        more: "",
        retrain: None,
        kind: whole!([0, u64::MAX], seed),
    },
    Setting {
        key: "histograms",
        group: Group::Data,
        title: "Histograms",
        unit: "",
        brief: "Whether the distributions of weights and activations are kept over the steps",
        more: "They are written into the event files for TensorBoard as well. Weights and results are the same without.",
        retrain: None,
        kind: Kind::Choice {
            options: &[
                ChoiceOption {
                    word: "on",
                    title: "Kept",
                    brief: "Some fifty of each, at most three hundredths of the time; a training of the whole network keeps a few megabytes",
                },
                ChoiceOption {
                    word: "off",
                    title: "None",
                    brief: "Curves only",
                },
            ],
            get: |s| usize::from(!s.histograms),
            set: |s, place| s.histograms = place == 0,
        },
    },
    Setting {
        key: "how_many_training_steps",
        group: Group::Head,
        title: "Training steps",
        unit: "",
        brief: "How many times the weights of the head are changed, each time by one batch",
        more: "More is better until the validation curve stops rising.",
        retrain: Some("how_many_training_steps"),
        kind: whole!([1, MOST_STEPS], how_many_training_steps),
    },
    Setting {
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
    },
    Setting {
        key: "learning_rate",
        group: Group::Head,
        title: "Learning rate",
        unit: "",
        brief: "How far each step follows the gradient; too small learns slowly, too large makes the curves jump",
        more: "",
        retrain: Some("learning_rate"),
        kind: real!(RATE, 6, learning_rate),
    },
    Setting {
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
    },
    Setting {
        key: "head_hidden_units",
        group: Group::Head,
        title: "Hidden units",
        unit: "",
        brief: "Units of a layer between the bottleneck and the last layer, with a ReLU; 0 has none",
        more: "Only with many {images} does a head with a hidden layer do better than without; its heat maps hold for each image by itself. Fine-tuning trains it further, and all exports have it.",
        retrain: None,
        kind: whole!([0, 8_192], head.hidden_units),
    },
    Setting {
        key: "head_dropout",
        group: Group::Head,
        title: "Dropout of the head",
        unit: "",
        brief: "The part of what each layer of the head reads that is left out at random in each step, which keeps it from relying on single numbers",
        more: "Srivastava et al. 2014. Evaluations and exports leave out nothing.",
        retrain: None,
        kind: real!(BELOW_ONE, 3, head.dropout),
    },
    Setting {
        key: "head_weight_decay",
        group: Group::Head,
        title: "Weight decay of the head",
        unit: "",
        brief: "How strongly the weights of the head are drawn towards zero, which keeps it from learning single {images} by heart",
        more: "Biases are left alone.",
        retrain: None,
        kind: real!(NOT_NEGATIVE, 6, head.weight_decay),
    },
    Setting {
        key: "head_label_smoothing",
        group: Group::Head,
        title: "Label smoothing of the head",
        unit: "",
        brief: "How far the head is kept from being certain: the share of the answer that is spread over all classes",
        more: "Szegedy et al. 2016.",
        retrain: None,
        kind: real!(BELOW_ONE, 3, head.label_smoothing),
    },
    Setting {
        key: "head_mixup",
        group: Group::Head,
        title: "Mixup of the head",
        unit: "",
        brief: "How strongly the bottlenecks of two {images} are mixed, and their classes alike; 0 mixes none",
        more: "It is the α of the Beta distribution that each share is drawn from (Zhang et al. 2018): 0.1 to 0.4 mix most {images} a little, 1 mixes by any share alike. The training curve shows the last batch unmixed.",
        retrain: None,
        kind: real!(UP_TO_TEN, 2, head.mixup),
    },
    Setting {
        key: "head_average_decay",
        group: Group::Head,
        title: "Weight averaging of the head",
        unit: "",
        brief: "What is kept is the mean of the last weights; closer to 1 it goes further back, at 0 only the last count",
        more: "It is the decay of a moving average.",
        retrain: None,
        kind: real!(BELOW_ONE, 4, head.average_decay),
    },
    Setting {
        key: "head_clip_norm",
        group: Group::Head,
        title: "Gradient limit of the head",
        unit: "",
        brief: "Largest norm of the gradient of the head: no single step goes further; 0 has no limit",
        more: "Pascanu et al. 2013.",
        retrain: None,
        kind: real!(NOT_NEGATIVE, 3, head.clip_norm),
    },
    Setting {
        key: "train_batch_size",
        group: Group::Head,
        title: "Training batch",
        unit: "{images}",
        brief: "{Images} per step",
        more: "",
        retrain: Some("train_batch_size"),
        kind: whole!([1, 65_536], train_batch_size),
    },
    Setting {
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
    },
    Setting {
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
    },
    Setting {
        key: "head_early_stopping",
        group: Group::Head,
        title: "Early stopping of the head",
        unit: "evaluations",
        brief: "Ends once cross-entropy on the validation {images} has not improved for so many evaluations; 0 takes all steps",
        more: "The best weights are kept either way. Where weights are averaged, the averages are evaluated. Prechelt 1998.",
        retrain: None,
        kind: whole!([0, 100_000], head.early_stopping),
    },
    Setting {
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
    },
    Setting {
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
    },
    Setting {
        key: "early_stopping",
        group: Group::FineTuning,
        title: "Early stopping",
        unit: "evaluations",
        brief: "Ends once cross-entropy on the validation {images} has not improved for so many evaluations; 0 takes all steps",
        more: "The best weights are kept either way. Where weights are averaged, the averages are evaluated. Prechelt 1998.",
        retrain: None,
        kind: whole!([0, 100_000], fine_tune.early_stopping),
    },
    Setting {
        key: "keep_by",
        group: Group::FineTuning,
        title: "Kept weights",
        unit: "",
        brief: "Which evaluation on the validation {images} gives the weights that are kept",
        more: "With few validation {images}, accuracy moves in large steps and by chance; cross-entropy also counts how sure each answer is.",
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
    },
    Setting {
        key: "fine_tune_batch_size",
        group: Group::FineTuning,
        title: "Fine-tuning batch",
        unit: "{images}",
        brief: "{Images} per step of the fine-tuning; a step takes as much longer as there are more",
        more: "",
        retrain: None,
        kind: whole!([1, 4_096], fine_tune.batch_size),
    },
    Setting {
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
    },
    Setting {
        key: "fine_tune_learning_rate",
        group: Group::FineTuning,
        title: "Fine-tuning rate",
        unit: "",
        brief: "The highest learning rate of the fine-tuning; it rises to this in the first tenth of the steps and then falls to zero",
        more: "It falls along half a cosine (Loshchilov and Hutter 2017).",
        retrain: None,
        kind: real!(RATE, 6, fine_tune.learning_rate),
    },
    Setting {
        key: "layer_decay",
        group: Group::FineTuning,
        title: "Layer decay",
        unit: "",
        brief: "How much slower each block learns than the one behind it: at 0.8 the last block learns at 0.8 of the rate, the one before at 0.64; at 1 all learn alike",
        more: "The first blocks of a network see edges and colours, which are the same for all images; the last ones see what sets your classes apart (Howard and Ruder 2018).",
        retrain: None,
        kind: real!(UP_TO_ONE, 3, fine_tune.layer_decay),
    },
    Setting {
        key: "label_smoothing",
        group: Group::FineTuning,
        title: "Label smoothing",
        unit: "",
        brief: "How far the network is kept from being certain: the share of the answer that is spread over all classes",
        more: "Szegedy et al. 2016.",
        retrain: None,
        kind: real!(BELOW_ONE, 3, fine_tune.label_smoothing),
    },
    Setting {
        key: "mixup",
        group: Group::FineTuning,
        title: "Mixup",
        unit: "",
        brief: "How strongly two {images} of a batch are mixed, and their classes alike; 0 mixes none",
        more: "It is the α of the Beta distribution that each share is drawn from (Zhang et al. 2018): 0.1 to 0.4 mix most {images} a little, 1 mixes by any share alike. Mixed is what the trained part reads: activations, at depth `all` the pixels. The training curve is of the mixed {images}, each of them right by the share of the class that it is taken for: it stays below the validation curve, and the two do not tell how much was learned by heart.",
        retrain: None,
        kind: real!(UP_TO_TEN, 2, fine_tune.mixup),
    },
    Setting {
        key: "dropout",
        group: Group::FineTuning,
        title: "Dropout",
        unit: "",
        brief: "The part of what each layer of the head reads that is left out at random in each step of the fine-tuning",
        more: "Srivastava et al. 2014. Evaluations leave out nothing; the training curve is measured with it.",
        retrain: None,
        kind: real!(BELOW_ONE, 3, fine_tune.dropout),
    },
    Setting {
        key: "weight_decay",
        group: Group::FineTuning,
        title: "Weight decay",
        unit: "",
        brief: "How strongly kernels are drawn towards zero, which keeps the network from learning single {images} by heart",
        more: "Biases are left alone.",
        retrain: None,
        kind: real!(NOT_NEGATIVE, 5, fine_tune.weight_decay),
    },
    Setting {
        key: "average_decay",
        group: Group::FineTuning,
        title: "Weight averaging",
        unit: "",
        brief: "What is kept is the mean of the last weights; closer to 1 it goes further back, at 0 only the last count",
        more: "It is the decay of a moving average.",
        retrain: None,
        kind: real!(BELOW_ONE, 4, fine_tune.average_decay),
    },
    Setting {
        key: "clip_norm",
        group: Group::FineTuning,
        title: "Gradient limit",
        unit: "",
        brief: "Largest norm of the gradient over all weights: no single step goes further; 0 has no limit",
        more: "Pascanu et al. 2013.",
        retrain: None,
        kind: real!(NOT_NEGATIVE, 3, fine_tune.clip_norm),
    },
    Setting {
        key: "train_depthwise",
        group: Group::FineTuning,
        title: "Train depthwise kernels",
        unit: "",
        brief: "Train the kernels of one channel each as well, which takes a tenth longer, up to half as long again at greater depths",
        more: "",
        retrain: None,
        kind: switch!(fine_tune.train_depthwise),
    },
    Setting {
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
    },
    Setting {
        key: "views",
        group: Group::Views,
        title: "Augmented views",
        unit: "per image",
        brief: "Changed copies of each {image} that are learned from too; each takes as much disk as the {image} itself",
        more: "They are computed once and kept. Where the head alone is trained it learns from them; where more is, the head learns from the plain {images} first and the views come in afterwards. Without a number, naming a change below asks for 8.",
        retrain: None,
        kind: Kind::WholeOr {
            range: [0, 64],
            nothing: Nothing {
                word: "auto",
                title: "As many as the {images} call for",
                brief: "6 where more than the head is trained, fewer of more than 4,000 training {images}; none for the head alone",
                instead: 6,
            },
            get: |s| s.fine_tune.views.map(u64::from),
            set: |s, value| s.fine_tune.views = value.and_then(small),
        },
    },
    Setting {
        key: "flip_left_right",
        group: Group::Views,
        title: "Mirror half of the views",
        unit: "",
        brief: "Swap left and right in half of the views; not for things where that matters, as letters and hands",
        more: "",
        retrain: Some("flip_left_right"),
        kind: switch!(fine_tune.augmentation.flip_left_right),
    },
    Setting {
        key: "random_crop",
        group: Group::Views,
        title: "Crop",
        unit: "%",
        brief: "How much of the margin a view may cut off",
        more: "",
        retrain: Some("random_crop"),
        kind: whole!([0, 100], fine_tune.augmentation.random_crop),
    },
    Setting {
        key: "random_scale",
        group: Group::Views,
        title: "Scale",
        unit: "%",
        brief: "How much a view may be enlarged",
        more: "",
        retrain: Some("random_scale"),
        kind: whole!([0, 100], fine_tune.augmentation.random_scale),
    },
    Setting {
        key: "random_brightness",
        group: Group::Views,
        title: "Brightness",
        unit: "%",
        brief: "How much brighter or darker a view may be",
        more: "",
        retrain: Some("random_brightness"),
        kind: whole!([0, 100], fine_tune.augmentation.random_brightness),
    },
    Setting {
        key: "random_rotation",
        group: Group::Views,
        title: "Rotation",
        unit: "degrees",
        brief: "How far a view may be rotated to either side; the corners are filled with the image mirrored at its edges",
        more: "10 to 15 stand for a camera that is not held level, 180 for things without an up and a down.",
        retrain: None,
        kind: whole!([0, 180], fine_tune.augmentation.random_rotation),
    },
    Setting {
        key: "random_hue",
        group: Group::Views,
        title: "Hue",
        unit: "degrees",
        brief: "How far the colours of a view may be rotated around the colour wheel, to either side",
        more: "Brightness stays. 10 to 20 stand for the light of another lamp or camera; 180 takes red to cyan, which helps only where colour says nothing about the class.",
        retrain: None,
        kind: whole!([0, 180], fine_tune.augmentation.random_hue),
    },
    Setting {
        key: "random_blur",
        group: Group::Views,
        title: "Blur",
        unit: "px",
        brief: "The strongest Gaussian blur of a view, as its standard deviation in pixels of the input of the network",
        more: "It stands for cameras that move or miss the focus. At an input of 224 pixels 1 is slight and 2 is strong.",
        retrain: None,
        kind: real!(UP_TO_TEN, 1, fine_tune.augmentation.random_blur),
    },
    Setting {
        key: "random_cutout",
        group: Group::Views,
        title: "Cutout",
        unit: "%",
        brief: "The largest side of a square, in parts of the side of the image, that is covered with grey at a random place in a view",
        more: "It stands for things that are partly hidden, and keeps the network from relying on one detail (DeVries and Taylor 2017).",
        retrain: None,
        kind: whole!([0, 100], fine_tune.augmentation.random_cutout),
    },
];
