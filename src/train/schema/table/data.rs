//! Settings of the images, the network and the split.

use crate::backbone::Architecture;
use crate::train::schema::{ChoiceOption, Kind, Setting, SettingGroup};

use super::{FITS, SAMPLINGS, WEIGHTINGS, large, place_of, small};

pub(super) const ARCHITECTURE: Setting = Setting {
    key: "architecture",
    group: SettingGroup::Data,
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
};

pub(super) const DEPTH: Setting = Setting {
    key: "depth",
    group: SettingGroup::Data,
    title: "Depth",
    unit: "",
    brief: "How much of the network is trained: `head`, `last-1` (the last block too), `last-3`, `stage`, `two-stages` or `all`",
    more: "On the command line `auto`, which is the default, trains the head first. Where that is right on each of at least 100 images, by cross-validation of everything but the test images, it ends there; otherwise it chooses by the number of images and the time it would take on this machine. So does the window until somebody chooses.",
    retrain: None,
    kind: Kind::Name {
        get: |s| s.fine_tune.depth.to_string(),
        title: |s| s.fine_tune.depth.title().to_owned(),
        set: |s, text| {
            s.fine_tune.depth = text.parse().map_err(|error| format!("{error}"))?;
            s.fine_tune.automatic = false;
            Ok(())
        },
    },
};

pub(super) const FIT: Setting = Setting {
    key: "fit",
    group: SettingGroup::Data,
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
};

pub(super) const VALIDATION_PERCENTAGE: Setting = Setting {
    key: "validation_percentage",
    group: SettingGroup::Data,
    title: "Validation",
    unit: "%",
    brief: "Part of the {images} that a training is measured on while it runs",
    more: "Whole sources are taken, so the part can come out a little larger or smaller. 0 keeps the weights of the last step.",
    retrain: Some("validation_percentage"),
    kind: whole!([0, 80], split.validation_percentage),
};

pub(super) const TESTING_PERCENTAGE: Setting = Setting {
    key: "testing_percentage",
    group: SettingGroup::Data,
    title: "Test",
    unit: "%",
    brief: "Part of the {images} that is evaluated once, at the end: the honest figure",
    more: "Whole sources are taken here too.",
    retrain: Some("testing_percentage"),
    kind: whole!([0, 80], split.testing_percentage),
};

pub(super) const SAMPLING: Setting = Setting {
    key: "sampling",
    group: SettingGroup::Data,
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
};

pub(super) const CLASS_WEIGHTS: Setting = Setting {
    key: "class_weights",
    group: SettingGroup::Data,
    title: "Class weights",
    unit: "",
    brief: "The weight of each class in the loss",
    more: "Balanced weights do for {images} drawn alike what *Classes alike* does by drawing; both together weigh rare classes twice.",
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
        get: |s| place_of(&WEIGHTINGS, &s.class_weights),
        set: |s, place| {
            if let Some(weights) = WEIGHTINGS.get(place) {
                s.class_weights = *weights;
            }
        },
    },
};

pub(super) const SPLIT_SEED: Setting = Setting {
    key: "split_seed",
    group: SettingGroup::Data,
    title: "Split seed",
    unit: "",
    brief: "Another number makes another split by the same rules, to measure how much depends on the draw",
    more: "",
    retrain: None,
    kind: whole!([0, u64::MAX], split.split_seed),
};

pub(super) const SEED: Setting = Setting {
    key: "seed",
    group: SettingGroup::Data,
    title: "Seed",
    unit: "",
    brief: "Everything random follows from it: the same seed gives the same weights",
    more: "",
    retrain: None,
    kind: whole!([0, u64::MAX], seed),
};

pub(super) const HISTOGRAMS: Setting = Setting {
    key: "histograms",
    group: SettingGroup::Data,
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
};
