//! From a picture to the backbone's input; one definition, stored with the run and shipped with the export.

use image::RgbImage;
use serde::{Deserialize, Serialize};

/// How a picture is made square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// The largest square in the middle.
    CenterCrop,
    /// Width and height are scaled separately.
    Stretch,
    /// The whole picture with grey bars.
    Pad,
}

/// Cut, size, order and normalisation of the input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// How the picture is made square.
    pub fit: Fit,
    /// Width and height in pixels.
    pub resolution_px: u32,
    /// Subtracted from each channel value (0..=255), R, G, B.
    pub mean: [f32; 3],
    /// Divides each channel value after that.
    pub std: [f32; 3],
}

impl Preprocessing {
    /// Cuts and resizes with antialiasing: `resolution × resolution` RGB, 8 bits.
    #[must_use]
    pub fn resize(&self, picture: &RgbImage) -> RgbImage {
        let _ = picture;
        todo!()
    }

    /// Normalises resized pixels into `out`, planar `[3, H, W]`.
    pub fn normalize_into(&self, pixels: &RgbImage, out: &mut [f32]) {
        let _ = (pixels, out);
        todo!()
    }
}
