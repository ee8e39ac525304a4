//! Properties of a network that users can state when they add it, and where each known property comes from.

use std::fmt;
use std::str::FromStr;

/// Properties stated by the user, which complete or override those in the file.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    /// Width and height of its input, in pixels.
    pub size_px: Option<u32>,
    /// The order of its input's dimensions.
    pub layout: Option<Layout>,
    /// Subtracted from each channel value (0..=255); R, G, B.
    pub mean: Option<[f32; 3]>,
    /// Divisor of each channel value after that; R, G, B.
    pub std: Option<[f32; 3]>,
    /// The name of the value that becomes the bottleneck.
    pub pooled: Option<String>,
    /// Its name; by default the file's.
    pub name: Option<String>,
    /// The licence of its weights, for exports.
    pub licence: Option<String>,
}

/// The order of an input's dimensions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// Batch, channels, height, width, as in `PyTorch`.
    Nchw,
    /// Batch, height, width, channels, as in TensorFlow.
    Nhwc,
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nchw => "nchw",
            Self::Nhwc => "nhwc",
        })
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "nchw" => Ok(Self::Nchw),
            "nhwc" => Ok(Self::Nhwc),
            _ => Err("the layout must be nchw or nhwc".into()),
        }
    }
}

/// A common normalisation of channel values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Normalisation {
    /// By mean and standard deviation of `ImageNet`'s channels: torchvision, most of timm.
    ImageNet,
    /// To -1..=1: the Inceptions and `MobileNet`s of TensorFlow and Keras, many transformers of timm.
    Symmetric,
    /// To 0..=1.
    Unit,
    /// Unchanged, 0..=255: networks that normalise their input themselves, such as the newer ones of Keras.
    Raw,
}

impl Normalisation {
    /// All common normalisations.
    pub const ALL: [Self; 4] = [Self::ImageNet, Self::Symmetric, Self::Unit, Self::Raw];

    /// Its name on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::ImageNet => "imagenet",
            Self::Symmetric => "symmetric",
            Self::Unit => "unit",
            Self::Raw => "raw",
        }
    }

    /// A description for users.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::ImageNet => "ImageNet's mean and standard deviation",
            Self::Symmetric => "to −1…1",
            Self::Unit => "to 0…1",
            Self::Raw => "unchanged, 0…255",
        }
    }

    /// Mean and divisor of each channel value (0..=255).
    #[must_use]
    pub fn mean_std(self) -> [[f32; 3]; 2] {
        match self {
            Self::ImageNet => [
                [0.485 * 255.0, 0.456 * 255.0, 0.406 * 255.0],
                [0.229 * 255.0, 0.224 * 255.0, 0.225 * 255.0],
            ],
            Self::Symmetric => [[127.5; 3]; 2],
            Self::Unit => [[0.0; 3], [255.0; 3]],
            Self::Raw => [[0.0; 3], [1.0; 3]],
        }
    }

    /// The common normalisation with this mean and divisor, if there is one.
    #[must_use]
    pub fn of(mean_std: [[f32; 3]; 2]) -> Option<Self> {
        let bits = |of: [[f32; 3]; 2]| of.map(|row| row.map(f32::to_bits));
        let mut all = Self::ALL.into_iter();
        all.find(|one| bits(one.mean_std()) == bits(mean_std))
    }
}

impl FromStr for Normalisation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut all = Self::ALL.into_iter();
        all.find(|one| one.word() == text).ok_or_else(|| {
            let known = Self::ALL.map(Self::word).join(", ");
            format!("unknown normalisation “{text}”; known are {known}")
        })
    }
}

/// The origin of a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provenance {
    /// Stated in the file.
    Found,
    /// Stated by the user.
    Given,
    /// Neither; the usual value.
    Assumed,
    /// Unknown, and impossible to guess.
    Missing,
}

/// The value of a property, with its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Property<T> {
    /// The value; `None` if it is missing.
    pub value: Option<T>,
    /// The origin.
    pub provenance: Provenance,
    /// How it was found, why it was assumed, or what the user must state; a sentence without a full stop.
    pub note: String,
}

impl<T> Property<T> {
    pub(super) fn found(value: T, note: impl Into<String>) -> Self {
        Self::of(Some(value), Provenance::Found, note)
    }

    pub(super) fn given(value: T) -> Self {
        Self::of(Some(value), Provenance::Given, "as you chose")
    }

    pub(super) fn assumed(value: T, note: impl Into<String>) -> Self {
        Self::of(Some(value), Provenance::Assumed, note)
    }

    pub(super) fn missing(note: impl Into<String>) -> Self {
        Self::of(None, Provenance::Missing, note)
    }

    fn of(value: Option<T>, provenance: Provenance, note: impl Into<String>) -> Self {
        Self {
            value,
            provenance,
            note: note.into(),
        }
    }
}
