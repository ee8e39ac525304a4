//! Views: augmented versions of a frame that differ like several photos of one subject.
//!
//! View 0 is the plain one. Each further view is randomly cropped, mirrored and brightened, with the parameters of
//! `retrain.py`. From the square of the plain view, a smaller square is taken at a random place; its side is
//! `1 / ((1 + random_crop) · s)` of the square's, with s between 1 and `1 + random_scale`. Brightness is multiplied by
//! a factor between `1 − random_brightness` and `1 + random_brightness`. The crop is made on the image itself, in whole
//! pixels, so that a view is resized once, like the plain one. Augmentations that retrain.py lacks are applied to the
//! resized square ([`crate::backbone::input::distort`]), in this order: mirror, rotation, brightness, hue, blur,
//! cutout. A view depends only on the file's content, the seed and the number of the view, on every machine.

use fast_image_resize::Resizer;
use image::RgbImage;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use super::distort::{blur, cover, rotate, rotate_hue};
use super::preprocess::{Placement, Rect};
use crate::backbone::Preprocessing;

/// The largest standard deviation of a blur, in pixels.
const MOST_BLUR_PX: f32 = 10.0;

/// The augmentation of all views except the plain one. The names of the first four are those of `retrain.py`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Augmentation {
    /// Whether half of the views are mirrored. Off by default, because for many subjects left and right matter.
    pub flip_left_right: bool,
    /// Percent of a margin that is cropped at a random place, 0..=100.
    pub random_crop: u8,
    /// Largest enlargement in percent, 0..=100.
    pub random_scale: u8,
    /// Largest change of brightness in percent, 0..=100.
    pub random_brightness: u8,
    /// Largest rotation to either side in degrees, 0..=180.
    pub random_rotation: u8,
    /// Largest rotation of hues to either side in degrees, 0..=180.
    pub random_hue: u8,
    /// Largest standard deviation of a Gaussian blur, in pixels of the network's input, 0..=10.
    pub random_blur: f32,
    /// Largest side of a square that is covered with the mean colour, in percent of the image's side, 0..=100.
    pub random_cutout: u8,
}

impl Default for Augmentation {
    fn default() -> Self {
        Self {
            flip_left_right: false,
            random_crop: 30,
            random_scale: 10,
            random_brightness: 10,
            ..Self::OFF
        }
    }
}

impl Augmentation {
    /// No augmentation.
    pub const OFF: Self = Self {
        flip_left_right: false,
        random_crop: 0,
        random_scale: 0,
        random_brightness: 0,
        random_rotation: 0,
        random_hue: 0,
        random_blur: 0.0,
        random_cutout: 0,
    };

    /// Whether all views are equal to the plain one.
    #[must_use]
    pub fn is_off(self) -> bool {
        self == Self::OFF
    }

    /// A text that contains everything that determines the views of a content, for the keys of caches.
    pub(in crate::backbone) fn fingerprint(self, seed: u64) -> String {
        // The leading number is increased when a change of the code below gives other views.
        let of_retrain = format!(
            "1 {} {} {} {} {seed}",
            self.flip_left_right, self.random_crop, self.random_scale, self.random_brightness
        );
        let only_these = Self {
            random_rotation: 0,
            random_hue: 0,
            random_blur: 0.0,
            random_cutout: 0,
            ..self
        };
        if self == only_these {
            // The key of earlier versions, without the later settings, stays valid.
            return of_retrain;
        }
        format!(
            "{of_retrain} 1 {} {} {} {}",
            self.random_rotation, self.random_hue, self.random_blur, self.random_cutout
        )
    }
}

/// The parameters of one view of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::backbone) struct View {
    /// Side of the cropped square, as a fraction of the plain view's, in 0..=1.
    side: f64,
    /// Offset of the cropped square, as a fraction of the plain view's side.
    left: f64,
    top: f64,
    mirrored: bool,
    /// Factor of the brightness, in units of 2⁻¹⁶.
    brightness: u64,
    /// Rotation in degrees, clockwise.
    rotation: f64,
    /// Rotation of hues in degrees.
    hue: f64,
    /// Standard deviation of the blur, in pixels.
    blur: f32,
    /// Side and centre (x, y) of the covered square, as fractions of the image's side.
    cutout: [f64; 3],
}

impl View {
    /// The view without augmentation.
    pub const PLAIN: Self = Self {
        side: 1.0,
        left: 0.0,
        top: 0.0,
        mirrored: false,
        brightness: 1 << 16,
        rotation: 0.0,
        hue: 0.0,
        blur: 0.0,
        cutout: [0.0; 3],
    };

    /// View `number` of the image whose file has the BLAKE3 hash `content`; 0 is the plain one.
    pub fn of(content: &[u8; 32], number: u32, augmentation: Augmentation, seed: u64) -> Self {
        if number == 0 {
            return Self::PLAIN;
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(content);
        hasher.update(&seed.to_le_bytes());
        hasher.update(&number.to_le_bytes());
        let mut random = Random(ChaCha8Rng::from_seed(*hasher.finalize().as_bytes()));
        // All are drawn, even if an augmentation is off, so that one parameter does not affect another.
        let [scale, left, top, mirror, light] = std::array::from_fn(|_| random.unit());
        let [rotation, hue, blur, cutout, x, y] = std::array::from_fn(|_| random.unit());
        let percent = |value: u8| f64::from(value.min(100)) / 100.0;
        let degrees = |value: u8, drawn: f64| f64::from(value.min(180)) * (2.0 * drawn - 1.0);
        let margin = 1.0 + percent(augmentation.random_crop);
        let side = 1.0 / (margin * (1.0 + percent(augmentation.random_scale) * scale));
        let light = 1.0 + percent(augmentation.random_brightness) * (2.0 * light - 1.0);
        Self {
            side,
            left: (1.0 - side) * left,
            top: (1.0 - side) * top,
            mirrored: augmentation.flip_left_right && mirror < 0.5,
            brightness: (light * 65536.0).round() as u64,
            rotation: degrees(augmentation.random_rotation, rotation),
            hue: degrees(augmentation.random_hue, hue),
            blur: augmentation.random_blur.clamp(0.0, MOST_BLUR_PX) * blur as f32,
            cutout: [percent(augmentation.random_cutout) * cutout, x, y],
        }
    }

    /// Crops, resizes and augments an image: `resolution × resolution` RGB, 8 bits.
    pub fn resize(
        &self,
        preprocessing: &Preprocessing,
        resizer: &mut Resizer,
        image: &RgbImage,
    ) -> RgbImage {
        let plain = preprocessing.place(image.width(), image.height());
        let placement = self.place(plain, preprocessing.resolution_px);
        let mut square = preprocessing.resize_placed(resizer, image, placement);
        if self.mirrored {
            image::imageops::flip_horizontal_in_place(&mut square);
        }
        if self.rotation != 0.0 {
            square = rotate(&square, self.rotation);
        }
        if self.brightness != Self::PLAIN.brightness {
            let lit: [u8; 256] = std::array::from_fn(|value| {
                let lit = (value as u64 * self.brightness + (1 << 15)) >> 16;
                lit.min(255) as u8
            });
            for value in square.iter_mut() {
                *value = lit[usize::from(*value)];
            }
        }
        if self.hue != 0.0 {
            rotate_hue(&mut square, self.hue);
        }
        square = blur(square, self.blur);
        cover(&mut square, self.cutout, preprocessing.bar_colour());
        square
    }

    /// The plain placement when this part of the square is enlarged to all of it.
    fn place(&self, plain: Placement, resolution_px: u32) -> Placement {
        let side = f64::from(resolution_px);
        let across = self.along(
            (plain.source.left, plain.source.width),
            (plain.target.left, plain.target.width),
            self.left,
            side,
        );
        let down = self.along(
            (plain.source.top, plain.source.height),
            (plain.target.top, plain.target.height),
            self.top,
            side,
        );
        // A narrow image between bars may be outside the cropped square; then the plain view is used.
        let (Some((from_x, to_x)), Some((from_y, to_y))) = (across, down) else {
            return plain;
        };
        let rect = |(left, width), (top, height)| Rect {
            left,
            top,
            width,
            height,
        };
        Placement {
            source: rect(from_x, from_y),
            target: rect(to_x, to_y),
        }
    }

    /// In one direction: offset and length in the image and in the square, in pixels.
    fn along(
        &self,
        source: (u32, u32),
        target: (u32, u32),
        begin: f64,
        side: f64,
    ) -> Option<((u32, u32), (u32, u32))> {
        let (window_begin, window_end) = (begin * side, (begin + self.side) * side);
        let (target_begin, target_length) = (f64::from(target.0), f64::from(target.1));
        let seen_begin = window_begin.max(target_begin);
        let seen_end = window_end.min(target_begin + target_length);
        if seen_end <= seen_begin {
            return None;
        }
        let in_source = |at: f64| (at - target_begin) / target_length * f64::from(source.1);
        let in_square = |at: f64| (at - window_begin) / self.side;
        let (from, length) = whole(in_source(seen_begin), in_source(seen_end), source.1);
        Some((
            (source.0 + from, length),
            whole(in_square(seen_begin), in_square(seen_end), side as u32),
        ))
    }
}

/// Offset and length in whole pixels, at least one, within `0..end`.
fn whole(begin: f64, finish: f64, end: u32) -> (u32, u32) {
    let first = (begin.round() as u32).min(end.saturating_sub(1));
    let last = (finish.round() as u32).clamp(first + 1, end.max(first + 1));
    (first, last - first)
}

struct Random(ChaCha8Rng);

impl Random {
    /// A number in `0..1` in steps of 2⁻⁵³; implemented here, because a library may change its algorithm.
    fn unit(&mut self) -> f64 {
        (self.0.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use image::Rgb;

    use crate::backbone::Fit;

    use super::*;

    const STRONG: Augmentation = Augmentation {
        flip_left_right: true,
        random_crop: 60,
        random_scale: 40,
        random_brightness: 50,
        ..Augmentation::OFF
    };

    fn preprocessing(fit: Fit) -> Preprocessing {
        Preprocessing {
            fit,
            resolution_px: 64,
            mean: [127.0; 3],
            std: [128.0; 3],
        }
    }

    fn view(number: u32, augmentation: Augmentation) -> View {
        View::of(&[7; 32], number, augmentation, 3)
    }

    /// Red grows to the right, green downwards.
    fn ramp(width: u32, height: u32) -> RgbImage {
        RgbImage::from_fn(width, height, |x, y| {
            Rgb([(x * 255 / width) as u8, (y * 255 / height) as u8, 100])
        })
    }

    #[test]
    fn the_plain_view_is_the_plain_preprocessing() {
        for fit in [Fit::CenterCrop, Fit::Stretch, Fit::Pad] {
            let preprocessing = preprocessing(fit);
            assert!(Augmentation::OFF.is_off() && !STRONG.is_off());
            for (width, height) in [(150, 97), (20, 31), (1, 400)] {
                let image = ramp(width, height);
                let expected = preprocessing.resize(&image);
                for view in [view(0, STRONG), view(5, Augmentation::OFF)] {
                    let found = view.resize(&preprocessing, &mut Resizer::new(), &image);
                    assert_eq!(found, expected);
                }
            }
        }
    }

    #[test]
    fn views_are_the_same_on_every_machine() {
        // If the result changes, cached rows are invalid: increase the number in the fingerprint.
        let view = View::of(&[7; 32], 1, STRONG, 3);
        assert_eq!(
            (
                view.side,
                view.left,
                view.top,
                view.mirrored,
                view.brightness
            ),
            (
                0.472_112_834_957_508_05,
                0.437_920_804_733_992,
                0.002_489_889_258_715_045_4,
                false,
                96148
            )
        );
        let different = (1..200).map(|number| self::view(number, STRONG));
        let distinct: std::collections::HashSet<String> =
            different.map(|view| format!("{view:?}")).collect();
        assert_eq!(distinct.len(), 199);
        assert_ne!(view, View::of(&[8; 32], 1, STRONG, 3));
        assert_ne!(view, View::of(&[7; 32], 1, STRONG, 4));
    }

    #[test]
    fn parameters_keep_within_their_percentages_and_fill_them() {
        let views: Vec<View> = (1..2000).map(|number| view(number, STRONG)).collect();
        let range = |value: &dyn Fn(&View) -> f64| {
            let values = views.iter().map(value);
            values.fold((f64::MAX, f64::MIN), |(low, high), value| {
                (low.min(value), high.max(value))
            })
        };
        let near = |(low, high): (f64, f64), from: f64, to: f64| {
            assert!(low >= from && low < from + 0.02, "{low} for {from}");
            assert!(high <= to && high > to - 0.02, "{high} for {to}");
        };
        near(range(&|view| view.side), 1.0 / (1.6 * 1.4), 1.0 / 1.6);
        near(range(&|view| view.brightness as f64 / 65536.0), 0.5, 1.5);
        near(range(&|view| view.left / (1.0 - view.side)), 0.0, 1.0);
        near(range(&|view| view.top / (1.0 - view.side)), 0.0, 1.0);
        let mirrored = views.iter().filter(|view| view.mirrored).count();
        assert!((900..1100).contains(&mirrored), "{mirrored}");
        let unmirrored = Augmentation {
            flip_left_right: false,
            ..STRONG
        };
        for number in 1..200 {
            let (a, b) = (view(number, STRONG), view(number, unmirrored));
            assert_eq!(
                View {
                    mirrored: false,
                    ..a
                },
                b
            );
        }
    }

    const ALL: Augmentation = Augmentation {
        random_rotation: 30,
        random_hue: 20,
        random_blur: 1.5,
        random_cutout: 40,
        ..STRONG
    };

    #[test]
    fn what_retrain_does_not_have_changes_nothing_else() {
        for number in 1..200 {
            let (with, without) = (view(number, ALL), view(number, STRONG));
            let stripped = View {
                rotation: 0.0,
                hue: 0.0,
                blur: 0.0,
                cutout: without.cutout,
                ..with
            };
            assert_eq!(stripped, without);
            assert_eq!((without.rotation, without.hue), (0.0, 0.0));
            assert_eq!((without.blur, without.cutout[0]), (0.0, 0.0));
        }
        // The names of existing caches; a new setting may only change the names of those that use it.
        assert_eq!(STRONG.fingerprint(3), "1 true 60 40 50 3");
        assert_eq!(ALL.fingerprint(3), "1 true 60 40 50 3 1 30 20 1.5 40");
        let keys: std::collections::HashSet<String> = [
            STRONG,
            Augmentation {
                random_rotation: 9,
                ..STRONG
            },
            Augmentation {
                random_hue: 9,
                ..STRONG
            },
            Augmentation {
                random_blur: 9.0,
                ..STRONG
            },
            Augmentation {
                random_cutout: 9,
                ..STRONG
            },
        ]
        .map(|augmentation| augmentation.fingerprint(3))
        .into();
        assert_eq!(keys.len(), 5);
    }

    #[test]
    fn further_parameters_keep_within_their_ranges_and_fill_them() {
        let views: Vec<View> = (1..2000).map(|number| view(number, ALL)).collect();
        let near = |value: &dyn Fn(&View) -> f64, from: f64, to: f64| {
            let (low, high) = views
                .iter()
                .map(value)
                .fold((f64::MAX, f64::MIN), |(low, high), value| {
                    (low.min(value), high.max(value))
                });
            let margin = 0.02 * (to - from);
            assert!(low >= from && low < from + margin, "{low} for {from}");
            assert!(high <= to && high > to - margin, "{high} for {to}");
        };
        near(&|view| view.rotation, -30.0, 30.0);
        near(&|view| view.hue, -20.0, 20.0);
        near(&|view| f64::from(view.blur), 0.0, 1.5);
        near(&|view| view.cutout[0], 0.0, 0.4);
        near(&|view| view.cutout[1], 0.0, 1.0);
        near(&|view| view.cutout[2], 0.0, 1.0);
    }

    #[test]
    fn all_changes_together_give_a_square_of_any_size() {
        let strongest = Augmentation {
            flip_left_right: true,
            random_crop: 100,
            random_scale: 100,
            random_brightness: 100,
            random_rotation: 180,
            random_hue: 180,
            random_blur: 10.0,
            random_cutout: 100,
        };
        for side in [1, 2, 7, 64] {
            let preprocessing = Preprocessing {
                resolution_px: side,
                ..preprocessing(Fit::CenterCrop)
            };
            let image = ramp(50, 40);
            let mut seen = std::collections::HashSet::new();
            for number in 1..40 {
                let view = view(number, strongest);
                let square = view.resize(&preprocessing, &mut Resizer::new(), &image);
                assert_eq!(square.dimensions(), (side, side));
                let again = view.resize(&preprocessing, &mut Resizer::new(), &image);
                assert_eq!(square, again);
                seen.insert(square.into_raw());
            }
            assert!(side == 1 || seen.len() == 39, "{side}: {}", seen.len());
        }
    }

    #[test]
    fn a_view_shows_the_part_it_says() {
        for fit in [Fit::CenterCrop, Fit::Stretch] {
            let preprocessing = preprocessing(fit);
            let image = ramp(640, 640);
            for number in 1..50 {
                let view = View {
                    brightness: View::PLAIN.brightness,
                    ..view(number, STRONG)
                };
                let square = view.resize(&preprocessing, &mut Resizer::new(), &image);
                let at = |x: f64| (x * 255.0).clamp(0.0, 255.0);
                let centre = square.get_pixel(32, 32);
                let middle = 32.5 / 64.0 * view.side;
                let across = if view.mirrored {
                    view.left + view.side - middle
                } else {
                    view.left + middle
                };
                assert!((f64::from(centre[0]) - at(across)).abs() < 2.0);
                assert!((f64::from(centre[1]) - at(view.top + middle)).abs() < 2.0);
            }
        }
    }

    #[test]
    fn brightness_multiplies_and_stops_at_white() {
        let preprocessing = preprocessing(Fit::Stretch);
        let image = RgbImage::from_pixel(80, 80, Rgb([100, 200, 0]));
        let view = View {
            brightness: 3 << 15,
            ..View::PLAIN
        };
        let square = view.resize(&preprocessing, &mut Resizer::new(), &image);
        assert!(square.pixels().all(|pixel| pixel.0 == [150, 255, 0]));
    }

    #[test]
    fn bars_keep_their_place_around_the_image() {
        // 97 / 150 of the square are image; a window in the middle with half the side contains nothing else.
        let preprocessing = preprocessing(Fit::Pad);
        let image = RgbImage::from_pixel(150, 97, Rgb([250, 0, 0]));
        let middle = View {
            side: 0.5,
            left: 0.25,
            top: 0.25,
            ..View::PLAIN
        };
        let square = middle.resize(&preprocessing, &mut Resizer::new(), &image);
        assert!(square.pixels().all(|pixel| pixel.0 == [250, 0, 0]));
        // The upper half contains the bar (11 of 64 rows) at twice the size.
        let upper = View { top: 0.0, ..middle };
        let square = upper.resize(&preprocessing, &mut Resizer::new(), &image);
        let bars = square.rows().take_while(|row| {
            let mut row = row.clone();
            row.all(|pixel| pixel.0 == [127; 3])
        });
        assert_eq!(bars.count(), 22);
        for (width, height) in [(1, 1), (1, 5000), (5000, 1), (3, 2)] {
            let image = ramp(width, height);
            for number in 1..100 {
                let view = view(number, STRONG);
                for fit in [Fit::CenterCrop, Fit::Stretch, Fit::Pad] {
                    let preprocessing = self::preprocessing(fit);
                    let square = view.resize(&preprocessing, &mut Resizer::new(), &image);
                    assert_eq!(square.dimensions(), (64, 64));
                }
            }
        }
    }
}
