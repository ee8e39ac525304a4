//! Settings of the optimisation, common to the head and the fine-tuning: of values that differ, the first is the
//! head's.

use crate::train::Part;
use crate::train::schema::{Kind, Setting, SettingGroup};

use super::{
    BELOW_ONE, KEEP_OPTIONS, KEEPS, NOT_NEGATIVE, OPTIMIZER_OPTIONS, OPTIMIZERS, RATE, UP_TO_TEN,
    choose, large, place_of, small,
};

/// The index of the head in pairs.
pub(super) const HEAD: usize = 0;
/// The index of the fine-tuning in pairs.
pub(super) const FINE_TUNED: usize = 1;

const PARTS: [Part; 2] = [Part::Head, Part::FineTuning];

const GROUPS: [SettingGroup; 2] = [SettingGroup::Head, SettingGroup::FineTuning];

pub(super) const fn optimizer<const P: usize>() -> Setting {
    Setting {
        key: ["optimizer", "fine_tune_optimizer"][P],
        group: GROUPS[P],
        title: ["Optimiser", "Fine-tuning optimiser"][P],
        unit: "",
        brief: [
            "How weights are updated from the gradient; retrain.py uses `sgd`",
            "How weights are updated from the gradient in fine-tuning",
        ][P],
        more: [
            "The default learning rate depends on the optimiser: 0.01 for `sgd` and `momentum`, 0.001 for `adam` and `adam-w`.",
            "The default learning rate depends on the optimiser, as for the head.",
        ][P],
        retrain: None,
        kind: Kind::Choice {
            options: OPTIMIZER_OPTIONS,
            get: |s| place_of(&OPTIMIZERS, &s.learn(PARTS[P]).optimizer),
            set: |s, place| choose(s.learn_mut(PARTS[P]), place),
        },
    }
}

pub(super) const fn learning_rate<const P: usize>() -> Setting {
    Setting {
        key: ["learning_rate", "fine_tune_learning_rate"][P],
        group: GROUPS[P],
        title: ["Learning rate", "Fine-tuning rate"][P],
        unit: "",
        brief: [
            "Size of each step along the gradient; too small trains slowly, too large makes the curves jump",
            "Highest learning rate of fine-tuning; it rises to this in the first tenth of the steps and then falls to zero",
        ][P],
        more: [
            "",
            "It falls along half a cosine (Loshchilov and Hutter 2017).",
        ][P],
        retrain: [Some("learning_rate"), None][P],
        kind: real!(RATE, 6, [P] learning_rate),
    }
}

pub(super) const fn batch_size<const P: usize>() -> Setting {
    Setting {
        key: ["train_batch_size", "fine_tune_batch_size"][P],
        group: GROUPS[P],
        title: ["Training batch", "Fine-tuning batch"][P],
        unit: "{images}",
        brief: [
            "{Images} per step",
            "{Images} per step of the fine-tuning; a step takes as much longer as there are more",
        ][P],
        more: "",
        retrain: [Some("train_batch_size"), None][P],
        kind: whole!([1, [65_536, 4_096][P]], [P] batch_size),
    }
}

pub(super) const fn early_stopping<const P: usize>() -> Setting {
    Setting {
        key: ["head_early_stopping", "early_stopping"][P],
        group: GROUPS[P],
        title: ["Early stopping of the head", "Early stopping"][P],
        unit: "evaluations",
        brief: "Stops once cross-entropy on the validation {images} has not improved for this many evaluations; 0 for never",
        more: "Which weights are kept is a separate setting. If weights are averaged, the averages are evaluated. Prechelt 1998.",
        retrain: None,
        kind: whole!([0, 100_000], [P] early_stopping),
    }
}

pub(super) const fn keep_by<const P: usize>() -> Setting {
    Setting {
        key: ["head_keep_by", "keep_by"][P],
        group: GROUPS[P],
        title: ["Kept weights of the head", "Kept weights"][P],
        unit: "",
        brief: "Which evaluation on the validation {images} determines the weights that are kept",
        more: [
            "With few validation {images}, accuracy moves in large steps and by chance; cross-entropy also counts how sure each answer is.",
            "With few validation {images}, accuracy moves in large steps and by chance; cross-entropy also counts how sure each answer is. The last weights need no selection, because the learning rate has fallen to zero by then; if they are significantly worse than the head alone on the validation {images}, the head alone is kept.",
        ][P],
        retrain: None,
        kind: Kind::Choice {
            options: KEEP_OPTIONS,
            get: |s| place_of(&KEEPS, &s.learn(PARTS[P]).keep_by),
            set: |s, place| {
                if let Some(keep_by) = KEEPS.get(place) {
                    s.learn_mut(PARTS[P]).keep_by = *keep_by;
                }
            },
        },
    }
}

pub(super) const fn label_smoothing<const P: usize>() -> Setting {
    Setting {
        key: ["head_label_smoothing", "label_smoothing"][P],
        group: GROUPS[P],
        title: ["Label smoothing of the head", "Label smoothing"][P],
        unit: "",
        brief: [
            "Fraction of the target probability that is spread over all classes, so that the head becomes less certain",
            "Fraction of the target probability that is spread over all classes, so that the network becomes less certain",
        ][P],
        more: "Szegedy et al. 2016.",
        retrain: None,
        kind: real!(BELOW_ONE, 3, [P] label_smoothing),
    }
}

pub(super) const fn mixup<const P: usize>() -> Setting {
    Setting {
        key: ["head_mixup", "mixup"][P],
        group: GROUPS[P],
        title: ["Mixup of the head", "Mixup"][P],
        unit: "",
        brief: [
            "How strongly the bottlenecks and labels of two {images} are mixed; 0 for none",
            "How strongly pairs of {images} in a batch and their labels are mixed; 0 for none",
        ][P],
        more: [
            "It is the α of the Beta distribution that each share is drawn from (Zhang et al. 2018): 0.1 to 0.4 mix most {images} a little, 1 mixes by any share alike. The training curve shows the last batch unmixed.",
            "It is the α of the Beta distribution that each share is drawn from (Zhang et al. 2018): 0.1 to 0.4 mix most {images} a little, 1 mixes by any share alike. The input of the trained part is mixed: activations, or pixels at depth `all`. The training curve is measured on mixed {images}, so it stays below the validation curve and does not show overfitting.",
        ][P],
        retrain: None,
        kind: real!(UP_TO_TEN, 2, [P] mixup),
    }
}

pub(super) const fn dropout<const P: usize>() -> Setting {
    Setting {
        key: ["head_dropout", "dropout"][P],
        group: GROUPS[P],
        title: ["Dropout of the head", "Dropout"][P],
        unit: "",
        brief: [
            "Fraction of each head layer’s inputs that is dropped at random in each step, so that the head does not rely on single values",
            "Fraction of each head layer’s inputs that is dropped at random in each fine-tuning step",
        ][P],
        more: [
            "Srivastava et al. 2014. Evaluations and exports drop nothing.",
            "Srivastava et al. 2014. Evaluations drop nothing; the training curve is measured with dropout.",
        ][P],
        retrain: None,
        kind: real!(BELOW_ONE, 3, [P] dropout),
    }
}

pub(super) const fn weight_decay<const P: usize>() -> Setting {
    Setting {
        key: ["head_weight_decay", "weight_decay"][P],
        group: GROUPS[P],
        title: ["Weight decay of the head", "Weight decay"][P],
        unit: "",
        brief: [
            "How strongly the weights of the head are pulled towards zero, against overfitting",
            "How strongly kernels are pulled towards zero, against overfitting",
        ][P],
        more: "Biases are not decayed.",
        retrain: None,
        kind: real!(NOT_NEGATIVE, [6, 5][P], [P] weight_decay),
    }
}

pub(super) const fn average_decay<const P: usize>() -> Setting {
    Setting {
        key: ["head_average_decay", "average_decay"][P],
        group: GROUPS[P],
        title: ["Weight averaging of the head", "Weight averaging"][P],
        unit: "",
        brief: "The kept weights are a moving average; closer to 1 averages over more steps, 0 does not average",
        more: "This is the decay of an exponential moving average.",
        retrain: None,
        kind: real!(BELOW_ONE, 4, [P] average_decay),
    }
}

pub(super) const fn clip_norm<const P: usize>() -> Setting {
    Setting {
        key: ["head_clip_norm", "clip_norm"][P],
        group: GROUPS[P],
        title: ["Gradient limit of the head", "Gradient limit"][P],
        unit: "",
        brief: [
            "Largest norm of the head’s gradient, which limits single steps; 0 for no limit",
            "Largest norm of the gradient over all weights, which limits single steps; 0 for no limit",
        ][P],
        more: "Pascanu et al. 2013.",
        retrain: None,
        kind: real!(NOT_NEGATIVE, 3, [P] clip_norm),
    }
}
