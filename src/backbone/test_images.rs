//! Image files for the tests of this layer.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};

/// An image of 90 × 120 pixels, different for each number.
pub(super) fn image(number: u8) -> RgbImage {
    RgbImage::from_fn(90, 120, |x, y| {
        Rgb([(x * 2) as u8, (y * 2) as u8, number.wrapping_mul(29)])
    })
}

/// The first `count` images as files in a folder.
pub(super) fn images(dir: &Path, count: u8) -> Vec<PathBuf> {
    let write = |number| {
        let path = dir.join(format!("ü {number}.png"));
        image(number).save(&path).unwrap();
        path
    };
    (0..count).map(write).collect()
}
