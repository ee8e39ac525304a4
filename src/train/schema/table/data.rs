//! Settings of the images, the network and the split.

use crate::backbone::Architecture;
use crate::train::schema::{ChoiceOption, Kind, Setting, SettingGroup};

use super::{FITS, SAMPLINGS, WEIGHTINGS, large, place_of, small};

pub(super) const ARCHITECTURE: Setting = Setting {
    key: "architecture",
    group: SettingGroup::Data,
    title: "Architecture",
    unit: "",
    brief: "The backbone and its input size in pixels, as listed by `salamander architectures`",
    more: "Larger ones are more accurate and slower, both here and on a phone.",
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
    brief: "How much of the network is trained: `head`, `last-1` (and the last block), `last-3`, `stage`, `two-stages` or `all`",
    more: "On the command line the default is `auto`, which trains the head first. If cross-validation on everything but the test images (at least 100 images) makes no mistake, training ends there; otherwise the depth is chosen by the number of images and the training time on this machine. The window does the same until you choose a depth.",
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
    title: "Fit to square",
    unit: "",
    brief: "How {images} are fitted to the square input",
    more: "Networks have square inputs. Exports record this choice, so that the phone does the same.",
    retrain: None,
    kind: Kind::Choice {
        options: &[
            ChoiceOption {
                word: "center-crop",
                title: "Centre crop",
                brief: "Crop to the largest centred square; the sides are cut off",
            },
            ChoiceOption {
                word: "stretch",
                title: "Stretch",
                brief: "Stretch to a square, ignoring the aspect ratio; nothing is cut off",
            },
            ChoiceOption {
                word: "pad",
                title: "Pad",
                brief: "Show the whole image, with grey bars",
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
    brief: "Percentage of {images} used for validation, during training",
    more: "Whole sources are assigned, so the actual percentage can differ slightly. With 0, the weights of the last step are kept.",
    retrain: Some("validation_percentage"),
    kind: whole!([0, 80], split.validation_percentage),
};

pub(super) const TESTING_PERCENTAGE: Setting = Setting {
    key: "testing_percentage",
    group: SettingGroup::Data,
    title: "Test",
    unit: "%",
    brief: "Percentage of {images} held out for the final test",
    more: "Whole sources are assigned here too.",
    retrain: Some("testing_percentage"),
    kind: whole!([0, 80], split.testing_percentage),
};

pub(super) const SAMPLING: Setting = Setting {
    key: "sampling",
    group: SettingGroup::Data,
    title: "Sampling",
    unit: "",
    brief: "How the {images} of a batch are sampled",
    more: "If some classes have far fewer {images} than others, this decides whether the model expects them to be rare.",
    retrain: None,
    kind: Kind::Choice {
        options: &[
            ChoiceOption {
                word: "balanced",
                title: "Balanced",
                brief: "First a random class, then one of its {images}, as in retrain.py: small classes count as much as large ones",
            },
            ChoiceOption {
                word: "natural",
                title: "Natural",
                brief: "All {images} equally often: classes count in proportion to their size",
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
    more: "Combined with balanced sampling, rare classes are weighted twice.",
    retrain: None,
    kind: Kind::Choice {
        options: &[
            ChoiceOption {
                word: "none",
                title: "Equal",
                brief: "All {images} count equally, as in retrain.py",
            },
            ChoiceOption {
                word: "balanced",
                title: "Balanced",
                brief: "Inverse to the number of {images} of the class: small classes count as much as large ones",
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
    brief: "Another number gives another split by the same rules, to measure how much results depend on the split",
    more: "",
    retrain: None,
    kind: whole!([0, u64::MAX], split.split_seed),
};

pub(super) const SEED: Setting = Setting {
    key: "seed",
    group: SettingGroup::Data,
    title: "Seed",
    unit: "",
    brief: "Seed of all random numbers: the same seed gives the same weights",
    more: "",
    retrain: None,
    kind: whole!([0, u64::MAX], seed),
};

pub(super) const HISTOGRAMS: Setting = Setting {
    key: "histograms",
    group: SettingGroup::Data,
    title: "Histograms",
    unit: "",
    brief: "Whether to record the distributions of weights and activations over the steps",
    more: "They are also written to the event files for TensorBoard. They do not affect weights and results.",
    retrain: None,
    kind: Kind::Choice {
        options: &[
            ChoiceOption {
                word: "on",
                title: "Kept",
                brief: "About fifty of each, at most 3 % of the training time; a few megabytes if the whole network is trained",
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
