//! Settings of augmented views.

use crate::train::schema::{Kind, Nothing, Setting, SettingGroup};

use super::{UP_TO_TEN, large, small};

pub(super) const VIEWS: Setting = Setting {
    key: "views",
    group: SettingGroup::Views,
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
};

pub(super) const FLIP_LEFT_RIGHT: Setting = Setting {
    key: "flip_left_right",
    group: SettingGroup::Views,
    title: "Mirror half of the views",
    unit: "",
    brief: "Swap left and right in half of the views; not for things where that matters, as letters and hands",
    more: "",
    retrain: Some("flip_left_right"),
    kind: switch!(fine_tune.augmentation.flip_left_right),
};

pub(super) const RANDOM_CROP: Setting = Setting {
    key: "random_crop",
    group: SettingGroup::Views,
    title: "Crop",
    unit: "%",
    brief: "How much of the margin a view may cut off",
    more: "",
    retrain: Some("random_crop"),
    kind: whole!([0, 100], fine_tune.augmentation.random_crop),
};

pub(super) const RANDOM_SCALE: Setting = Setting {
    key: "random_scale",
    group: SettingGroup::Views,
    title: "Scale",
    unit: "%",
    brief: "How much a view may be enlarged",
    more: "",
    retrain: Some("random_scale"),
    kind: whole!([0, 100], fine_tune.augmentation.random_scale),
};

pub(super) const RANDOM_BRIGHTNESS: Setting = Setting {
    key: "random_brightness",
    group: SettingGroup::Views,
    title: "Brightness",
    unit: "%",
    brief: "How much brighter or darker a view may be",
    more: "",
    retrain: Some("random_brightness"),
    kind: whole!([0, 100], fine_tune.augmentation.random_brightness),
};

pub(super) const RANDOM_ROTATION: Setting = Setting {
    key: "random_rotation",
    group: SettingGroup::Views,
    title: "Rotation",
    unit: "degrees",
    brief: "How far a view may be rotated to either side; the corners are filled with the image mirrored at its edges",
    more: "10 to 15 stand for a camera that is not held level, 180 for things without an up and a down.",
    retrain: None,
    kind: whole!([0, 180], fine_tune.augmentation.random_rotation),
};

pub(super) const RANDOM_HUE: Setting = Setting {
    key: "random_hue",
    group: SettingGroup::Views,
    title: "Hue",
    unit: "degrees",
    brief: "How far the colours of a view may be rotated around the colour wheel, to either side",
    more: "Brightness stays. 10 to 20 stand for the light of another lamp or camera; 180 takes red to cyan, which helps only where colour says nothing about the class.",
    retrain: None,
    kind: whole!([0, 180], fine_tune.augmentation.random_hue),
};

pub(super) const RANDOM_BLUR: Setting = Setting {
    key: "random_blur",
    group: SettingGroup::Views,
    title: "Blur",
    unit: "px",
    brief: "The strongest Gaussian blur of a view, as its standard deviation in pixels of the input of the network",
    more: "It stands for cameras that move or miss the focus. At an input of 224 pixels 1 is slight and 2 is strong.",
    retrain: None,
    kind: real!(UP_TO_TEN, 1, fine_tune.augmentation.random_blur),
};

pub(super) const RANDOM_CUTOUT: Setting = Setting {
    key: "random_cutout",
    group: SettingGroup::Views,
    title: "Cutout",
    unit: "%",
    brief: "The largest side of a square, in parts of the side of the image, that is covered with grey at a random place in a view",
    more: "It stands for things that are partly hidden, and keeps the network from relying on one detail (DeVries and Taylor 2017).",
    retrain: None,
    kind: whole!([0, 100], fine_tune.augmentation.random_cutout),
};
