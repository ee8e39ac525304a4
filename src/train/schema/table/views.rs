//! Settings of augmented views.

use crate::train::schema::{Kind, Nothing, Setting, SettingGroup};

use super::{UP_TO_TEN, large, small};

pub(super) const VIEWS: Setting = Setting {
    key: "views",
    group: SettingGroup::Views,
    title: "Augmented views",
    unit: "per image",
    brief: "Number of augmented copies per {image} to train on; each takes as much cache as the {image} itself",
    more: "They are computed once and cached. If only the head is trained, it is trained on them; otherwise the head is first trained on the plain {images}, and fine-tuning uses the views. If you set one of the changes below but no number of views, 8 are used.",
    retrain: None,
    kind: Kind::WholeOr {
        range: [0, 64],
        nothing: Nothing {
            word: "auto",
            title: "Depends on the number of {images}",
            brief: "6 if more than the head is trained (fewer with more than 4,000 training {images}), none for the head alone",
            instead: 6,
        },
        get: |s| s.fine_tune.views.map(u64::from),
        set: |s, value| s.fine_tune.views = value.and_then(small),
    },
};

pub(super) const FLIP_LEFT_RIGHT: Setting = Setting {
    key: "flip_left_right",
    group: SettingGroup::Views,
    title: "Flip half of the views",
    unit: "",
    brief: "Flip half of the views horizontally; not for things where left and right matter, such as letters and hands",
    more: "",
    retrain: Some("flip_left_right"),
    kind: switch!(fine_tune.augmentation.flip_left_right),
};

pub(super) const RANDOM_CROP: Setting = Setting {
    key: "random_crop",
    group: SettingGroup::Views,
    title: "Crop",
    unit: "%",
    brief: "Random crop: largest margin that is cut off",
    more: "",
    retrain: Some("random_crop"),
    kind: whole!([0, 100], fine_tune.augmentation.random_crop),
};

pub(super) const RANDOM_SCALE: Setting = Setting {
    key: "random_scale",
    group: SettingGroup::Views,
    title: "Scale",
    unit: "%",
    brief: "Random scale: largest enlargement",
    more: "",
    retrain: Some("random_scale"),
    kind: whole!([0, 100], fine_tune.augmentation.random_scale),
};

pub(super) const RANDOM_BRIGHTNESS: Setting = Setting {
    key: "random_brightness",
    group: SettingGroup::Views,
    title: "Brightness",
    unit: "%",
    brief: "Random brightness: largest change",
    more: "",
    retrain: Some("random_brightness"),
    kind: whole!([0, 100], fine_tune.augmentation.random_brightness),
};

pub(super) const RANDOM_ROTATION: Setting = Setting {
    key: "random_rotation",
    group: SettingGroup::Views,
    title: "Rotation",
    unit: "degrees",
    brief: "Random rotation: largest angle to either side; the corners are filled by reflection",
    more: "10 to 15 for cameras that are not held level, 180 for things without up and down.",
    retrain: None,
    kind: whole!([0, 180], fine_tune.augmentation.random_rotation),
};

pub(super) const RANDOM_HUE: Setting = Setting {
    key: "random_hue",
    group: SettingGroup::Views,
    title: "Hue",
    unit: "degrees",
    brief: "Random hue: largest rotation around the colour wheel, to either side",
    more: "Brightness does not change. 10 to 20 imitate another lamp or camera; 180 turns red into cyan, which helps only if colour says nothing about the class.",
    retrain: None,
    kind: whole!([0, 180], fine_tune.augmentation.random_hue),
};

pub(super) const RANDOM_BLUR: Setting = Setting {
    key: "random_blur",
    group: SettingGroup::Views,
    title: "Blur",
    unit: "px",
    brief: "Random blur: largest standard deviation of the Gaussian, in pixels of the network’s input",
    more: "It imitates cameras that move or miss the focus. At an input of 224 pixels, 1 is slight and 2 is strong.",
    retrain: None,
    kind: real!(UP_TO_TEN, 1, fine_tune.augmentation.random_blur),
};

pub(super) const RANDOM_CUTOUT: Setting = Setting {
    key: "random_cutout",
    group: SettingGroup::Views,
    title: "Cutout",
    unit: "%",
    brief: "Random erasing: largest side of a grey square at a random place, as a percentage of the side of the image",
    more: "It imitates things that are partly hidden, and keeps the network from relying on one detail (DeVries and Taylor 2017).",
    retrain: None,
    kind: whole!([0, 100], fine_tune.augmentation.random_cutout),
};
