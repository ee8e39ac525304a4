//! Converts an image to the backbone's input. There is one definition, stored with the run and included in exports.
//!
//! The resize is a triangle filter, widened by the scale factor when reducing: Pillow's `Image.resize(size,
//! BILINEAR)`, torchvision's `antialias=True` and TensorFlow's `tf.image.resize(…, antialias=True)`. So users of an
//! exported model can reproduce it; the result equals Pillow's to within one level of 255.

use fast_image_resize::images::{CroppedImage, CroppedImageMut, Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::RgbImage;
use serde::{Deserialize, Serialize};

/// How an image is made square.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fit {
    /// Crop to the largest square in the middle.
    CenterCrop,
    /// Scale width and height separately.
    Stretch,
    /// Pad with grey bars.
    Pad,
}

/// Crop, size, order and normalisation of the input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preprocessing {
    /// How the image is made square.
    pub fit: Fit,
    /// Width and height in pixels.
    pub resolution_px: u32,
    /// Subtracted from each channel value (0..=255); R, G, B.
    pub mean: [f32; 3],
    /// Divisor of each channel value after that; R, G, B.
    pub std: [f32; 3],
}

/// The part of the image that is used, and the part of the square that it fills, in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backbone) struct Placement {
    pub source: Rect,
    pub target: Rect,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::backbone) struct Rect {
    pub left: u32,
    pub top: u32,
    pub width: u32,
    pub height: u32,
}

/// The largest side of an input in pixels: several times that of any backbone, and moderate in memory.
const MOST_PX: u32 = 4096;

impl Preprocessing {
    /// Why these are invalid for any network, as the end of a sentence: runs and model files may come from anywhere.
    #[must_use]
    pub fn fault(&self) -> Option<String> {
        let side = self.resolution_px;
        if !(1..=MOST_PX).contains(&side) {
            return Some(format!(
                "its input is {side} pixels wide; 1 to {MOST_PX} are supported"
            ));
        }
        let is_usable = self.mean.iter().all(|mean| mean.is_finite())
            && self.std.iter().all(|std| std.is_normal());
        (!is_usable).then(|| "its mean or standard deviation is invalid".into())
    }

    /// Crops and resizes with antialiasing: `resolution × resolution` RGB, 8 bits.
    #[must_use]
    pub fn resize(&self, image: &RgbImage) -> RgbImage {
        self.resize_with(&mut Resizer::new(), image)
    }

    /// [`Preprocessing::resize`] that reuses the buffers of `resizer`, for loops.
    pub(crate) fn resize_with(&self, resizer: &mut Resizer, image: &RgbImage) -> RgbImage {
        let placement = self.place(image.width(), image.height());
        self.resize_placed(resizer, image, placement)
    }

    /// Resizes a part of the image to a part of the square; the rest is bars.
    pub(in crate::backbone) fn resize_placed(
        &self,
        resizer: &mut Resizer,
        image: &RgbImage,
        placement: Placement,
    ) -> RgbImage {
        let side = self.resolution_px;
        let mut square = if self.fit == Fit::Pad {
            RgbImage::from_pixel(side, side, image::Rgb(self.bar_colour()))
        } else {
            RgbImage::new(side, side)
        };
        if let Err(error) = resize_rect(resizer, image, &mut square, placement) {
            // Only an empty image has no placement, and decoders do not return empty images; the result is then one
            // colour.
            log::error!("an image could not be resized: {error}");
        }
        square
    }

    /// The colour of the bars of [`Fit::Pad`]: the mean, which normalisation maps to about zero.
    #[must_use]
    pub fn bar_colour(&self) -> [u8; 3] {
        self.mean.map(|mean| mean.round().clamp(0.0, 255.0) as u8)
    }

    /// The placement of the plain view of an image of this size.
    pub(in crate::backbone) fn place(&self, width: u32, height: u32) -> Placement {
        let side = self.resolution_px;
        let whole = |width, height| Rect {
            left: 0,
            top: 0,
            width,
            height,
        };
        match self.fit {
            Fit::Stretch => Placement {
                source: whole(width, height),
                target: whole(side, side),
            },
            Fit::CenterCrop => {
                let cut = width.min(height);
                Placement {
                    source: Rect {
                        left: (width - cut) / 2,
                        top: (height - cut) / 2,
                        width: cut,
                        height: cut,
                    },
                    target: whole(side, side),
                }
            }
            Fit::Pad => {
                // Halves are rounded up, in integers, so that every programming language gives the same result.
                let longer = u64::from(width.max(height).max(1));
                let scaled = |length: u32| {
                    let scaled = (2 * u64::from(length) * u64::from(side) + longer) / (2 * longer);
                    (scaled as u32).clamp(1, side)
                };
                let (inner_width, inner_height) = (scaled(width), scaled(height));
                Placement {
                    source: whole(width, height),
                    target: Rect {
                        left: (side - inner_width) / 2,
                        top: (side - inner_height) / 2,
                        width: inner_width,
                        height: inner_height,
                    },
                }
            }
        }
    }

    /// The positions of the columns and rows of an image of this size in the network's square input, as fractions of
    /// its side, 0..=1; `None` for those that are cropped.
    #[must_use]
    pub fn places_in_square(&self, width: u32, height: u32) -> [Vec<Option<f64>>; 2] {
        let Placement { source, target } = self.place(width, height);
        let side = f64::from(self.resolution_px);
        let along = |length: u32, from: u32, taken: u32, to: u32, filled: u32| {
            let at = |pixel: u32| {
                let inside = (from..from + taken).contains(&pixel);
                let part = (f64::from(pixel - from.min(pixel)) + 0.5) / f64::from(taken.max(1));
                inside.then(|| (f64::from(to) + part * f64::from(filled)) / side)
            };
            (0..length).map(at).collect()
        };
        [
            along(width, source.left, source.width, target.left, target.width),
            along(height, source.top, source.height, target.top, target.height),
        ]
    }

    /// Normalises resized pixels into `out`, planar `[3, H, W]`: `(value - mean) / std`.
    pub fn normalize_into(&self, pixels: &RgbImage, out: &mut [f32]) {
        let area = pixels.width() as usize * pixels.height() as usize;
        debug_assert_eq!(out.len(), 3 * area);
        // There are only 256 values per channel, so each division is done once.
        let tables: [[f32; 256]; 3] = std::array::from_fn(|channel| {
            std::array::from_fn(|value| {
                let (mean, std) = match channel {
                    0 => (self.mean[0], self.std[0]),
                    1 => (self.mean[1], self.std[1]),
                    _ => (self.mean[2], self.std[2]),
                };
                (value as f32 - mean) / std
            })
        });
        let (red, rest) = out.split_at_mut(area.min(out.len()));
        let (green, blue) = rest.split_at_mut(area.min(rest.len()));
        let (values, _) = pixels.as_raw().as_chunks::<3>();
        for (((pixel, r), g), b) in values.iter().zip(red).zip(green).zip(blue) {
            *r = tables[0][usize::from(pixel[0])];
            *g = tables[1][usize::from(pixel[1])];
            *b = tables[2][usize::from(pixel[2])];
        }
    }

    /// A text that contains everything that affects the input of the backbone, for the keys of caches.
    pub(crate) fn fingerprint(&self) -> String {
        // The leading number is increased when a change of the code above gives other pixels.
        format!(
            "1 bilinear-antialias {:?} {} {:?} {:?}",
            self.fit, self.resolution_px, self.mean, self.std
        )
    }
}

fn resize_rect(
    resizer: &mut Resizer,
    image: &RgbImage,
    square: &mut RgbImage,
    Placement { source, target }: Placement,
) -> Result<(), Box<dyn std::error::Error>> {
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear));
    let from = ImageRef::new(
        image.width(),
        image.height(),
        image.as_raw(),
        PixelType::U8x3,
    )?;
    let (width, height) = square.dimensions();
    let mut to = Image::from_slice_u8(width, height, square, PixelType::U8x3)?;
    // Views of the crop instead of crop boxes: the filter must not see pixels outside the crop, or else cropping first
    // and resizing then, as others do, would give a different result at the edge.
    let from = CroppedImage::new(&from, source.left, source.top, source.width, source.height)?;
    let mut to = CroppedImageMut::new(
        &mut to,
        target.left,
        target.top,
        target.width,
        target.height,
    )?;
    resizer.resize(&from, &mut to, &options)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    fn preprocessing(fit: Fit, resolution_px: u32) -> Preprocessing {
        Preprocessing {
            fit,
            resolution_px,
            mean: [127.0; 3],
            std: [128.0; 3],
        }
    }

    /// Pillow's antialiased bilinear filter, in 64-bit floats, both passes rounded to 8 bits.
    fn reference(image: &RgbImage, width: u32, height: u32) -> RgbImage {
        let pass = |length_in: u32, length_out: u32, get: &dyn Fn(u32) -> [u8; 3], at: u32| {
            let scale = f64::from(length_in) / f64::from(length_out);
            let support = scale.max(1.0);
            let center = (f64::from(at) + 0.5) * scale;
            let (mut sum, mut weights) = ([0.0; 3], 0.0);
            for x in 0..length_in {
                let distance = (f64::from(x) + 0.5 - center).abs() / support;
                let weight = (1.0 - distance).max(0.0);
                weights += weight;
                for (total, value) in sum.iter_mut().zip(get(x)) {
                    *total += weight * f64::from(value);
                }
            }
            image::Rgb(sum.map(|total| (total / weights).round() as u8))
        };
        let mut across = RgbImage::new(width, image.height());
        for y in 0..image.height() {
            for x in 0..width {
                let get = |from| image.get_pixel(from, y).0;
                across.put_pixel(x, y, pass(image.width(), width, &get, x));
            }
        }
        let mut down = RgbImage::new(width, height);
        for y in 0..height {
            for x in 0..width {
                let get = |from| across.get_pixel(x, from).0;
                down.put_pixel(x, y, pass(image.height(), height, &get, y));
            }
        }
        down
    }

    fn speckled(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            let hash = blake3::hash(&[x.to_le_bytes(), y.to_le_bytes()].concat());
            let bytes = hash.as_bytes();
            image::Rgb([bytes[0], bytes[1] / 2 + (x % 128) as u8, (y % 256) as u8])
        })
    }

    fn largest_difference(a: &RgbImage, b: &RgbImage) -> u8 {
        assert_eq!(a.dimensions(), b.dimensions());
        a.iter()
            .zip(b.iter())
            .map(|(a, b)| a.abs_diff(*b))
            .max()
            .unwrap()
    }

    #[test]
    fn center_crop_is_cutting_first_and_resizing_then() {
        for (width, height) in [(150, 97), (61, 180), (32, 32), (20, 31)] {
            let image = speckled(width, height);
            let cut = width.min(height);
            let left = (width - cut) / 2;
            let top = (height - cut) / 2;
            let square = image::imageops::crop_imm(&image, left, top, cut, cut).to_image();
            let expected = reference(&square, 32, 32);
            let found = preprocessing(Fit::CenterCrop, 32).resize(&image);
            assert!(
                largest_difference(&found, &expected) <= 1,
                "{width}×{height}"
            );
        }
    }

    #[test]
    fn stretch_and_pad_use_the_whole_image() {
        let image = speckled(150, 97);
        let stretched = preprocessing(Fit::Stretch, 64).resize(&image);
        assert!(largest_difference(&stretched, &reference(&image, 64, 64)) <= 1);

        // 97 · 64 / 150 = 41.4, so 41 rows, with 11 grey ones above and 12 below.
        let padded = preprocessing(Fit::Pad, 64).resize(&image);
        let inner = image::imageops::crop_imm(&padded, 0, 11, 64, 41).to_image();
        assert!(largest_difference(&inner, &reference(&image, 64, 41)) <= 1);
        assert!(padded.rows().take(11).flatten().all(|p| p.0 == [127; 3]));
        assert!(padded.rows().skip(52).flatten().all(|p| p.0 == [127; 3]));
    }

    #[test]
    fn extreme_shapes_have_a_place() {
        for (width, height) in [(1, 1), (1, 5000), (5000, 1), (3, 2)] {
            for fit in [Fit::CenterCrop, Fit::Stretch, Fit::Pad] {
                let image = RgbImage::from_pixel(width, height, image::Rgb([200, 10, 90]));
                let square = preprocessing(fit, 32).resize(&image);
                assert_eq!(square.dimensions(), (32, 32));
                assert!(square.pixels().any(|pixel| pixel.0 == [200, 10, 90]));
            }
        }
    }

    /// The middle of the image is in the middle of the square, and the edges of a crop are at its edges.
    #[test]
    fn columns_and_rows_have_their_places_in_the_square() {
        let [columns, rows] = preprocessing(Fit::CenterCrop, 32).places_in_square(100, 50);
        assert_eq!((columns.len(), rows.len()), (100, 50));
        assert_eq!((columns[24], columns[75]), (None, None));
        assert_eq!((columns[25], columns[74]), (Some(0.01), Some(0.99)));
        assert_eq!((rows[0], rows[49]), (Some(0.01), Some(0.99)));
        let [columns, _] = preprocessing(Fit::Stretch, 32).places_in_square(100, 50);
        assert_eq!((columns[0], columns[99]), (Some(0.005), Some(0.995)));
        // 16 of 32 rows are filled; 8 above and 8 below are bars.
        let [columns, rows] = preprocessing(Fit::Pad, 32).places_in_square(100, 50);
        assert_eq!(columns[99], Some(0.995));
        assert_eq!((rows[0], rows[49]), (Some(0.255), Some(0.745)));
    }

    #[test]
    fn normalises_into_planes() {
        let mut preprocessing = preprocessing(Fit::Stretch, 2);
        preprocessing.mean = [1.0, 2.0, 3.0];
        preprocessing.std = [2.0, 4.0, 8.0];
        let pixels =
            RgbImage::from_raw(2, 2, vec![1, 2, 3, 3, 6, 11, 5, 10, 19, 255, 0, 0]).unwrap();
        let mut planes = vec![f32::NAN; 12];
        preprocessing.normalize_into(&pixels, &mut planes);
        let expected = [
            0.0, 1.0, 2.0, 127.0, 0.0, 1.0, 2.0, -0.5, 0.0, 1.0, 2.0, -0.375,
        ];
        assert_eq!(planes, expected);
    }
}
