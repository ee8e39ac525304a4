//! Augmentations of a square of pixels: rotation, hue, blur and cutout.

use image::{DynamicImage, Rgb, RgbImage};

/// A blur with a smaller standard deviation does not change 8-bit pixels.
const LEAST_BLUR_PX: f32 = 0.1;

/// Rotates a square clockwise about its centre by `degrees`, with bilinear interpolation. Pixels outside the image are
/// those of the image mirrored at its edges.
pub(in crate::backbone) fn rotate(square: &RgbImage, degrees: f64) -> RgbImage {
    let side = i64::from(square.width());
    // Integers from here on, so that every machine gives the same pixels.
    let [sin, cos] = {
        let (sin, cos) = degrees.to_radians().sin_cos();
        [sin, cos].map(|value| (value * 65536.0).round() as i64)
    };
    let (pixels, _) = square.as_raw().as_chunks::<3>();
    let mirrored = |at: i64| {
        let inside = if at < 0 {
            -1 - at
        } else if at >= side {
            2 * side - 1 - at
        } else {
            at
        };
        inside.clamp(0, side - 1)
    };
    let pixel = |x: i64, y: i64| {
        let place = mirrored(y) * side + mirrored(x);
        pixels.get(place as usize).copied().unwrap_or_default()
    };
    let mut rotated = RgbImage::new(square.width(), square.height());
    for (x, y, out) in rotated.enumerate_pixels_mut() {
        // Twice the distance from the centre, in pixels.
        let [across, down] = [x, y].map(|at| 2 * i64::from(at) + 1 - side);
        // The source position from the centre of the first pixel, in units of 2⁻¹⁷ pixels.
        let from_x = ((side - 1) << 16) + across * cos + down * sin;
        let from_y = ((side - 1) << 16) - across * sin + down * cos;
        let [left, top] = [from_x, from_y].map(|from| from >> 17);
        // The position between two pixels in 256 steps.
        let [right_part, lower_part] = [from_x, from_y].map(|from| ((from >> 9) & 255) as u32);
        let corners = [
            (pixel(left, top), (256 - right_part) * (256 - lower_part)),
            (pixel(left + 1, top), right_part * (256 - lower_part)),
            (pixel(left, top + 1), (256 - right_part) * lower_part),
            (pixel(left + 1, top + 1), right_part * lower_part),
        ];
        let mut sums = [1_u32 << 15; 3];
        for (corner, part) in corners {
            for (sum, value) in sums.iter_mut().zip(corner) {
                *sum += u32::from(value) * part;
            }
        }
        *out = Rgb(sums.map(|sum| (sum >> 16) as u8));
    }
    rotated
}

/// Rotates hues by `degrees` at constant luminance: the matrix of `feColorMatrix type="hueRotate"` in SVG. (The one in
/// the `image` crate rounds down, which darkens greys.)
pub(in crate::backbone) fn rotate_hue(square: &mut RgbImage, degrees: f64) {
    const LUMINANCE: [f64; 3] = [0.213, 0.715, 0.072];
    const OF_SINE: [[f64; 3]; 3] = [
        [-0.213, -0.715, 0.928],
        [0.143, 0.140, -0.283],
        [-0.787, 0.715, 0.072],
    ];
    let (sin, cos) = degrees.to_radians().sin_cos();
    // In units of 2⁻¹⁶, so that every machine gives the same pixels.
    let matrix: [[i32; 3]; 3] = std::array::from_fn(|to| {
        let sines = OF_SINE.get(to).copied().unwrap_or_default();
        let parts: [f64; 3] = std::array::from_fn(|from| {
            let kept = if from == to { cos } else { 0.0 };
            let (grey, of_sine) = (LUMINANCE.get(from), sines.get(from));
            let [grey, of_sine] = [grey, of_sine].map(|part| part.copied().unwrap_or_default());
            grey * (1.0 - cos) + kept + of_sine * sin
        });
        parts.map(|part| (part * 65536.0).round() as i32)
    });
    for pixel in square.pixels_mut() {
        let [red, green, blue] = pixel.0.map(i32::from);
        let rotated = matrix.map(|[of_red, of_green, of_blue]| {
            let sum = of_red * red + of_green * green + of_blue * blue;
            ((sum + (1 << 15)) >> 16).clamp(0, 255) as u8
        });
        pixel.0 = rotated;
    }
}

/// Gaussian blur with this standard deviation, in pixels. The edge pixels are repeated outside.
pub(in crate::backbone) fn blur(square: RgbImage, deviation: f32) -> RgbImage {
    // Also false for NaN.
    if deviation >= LEAST_BLUR_PX {
        return DynamicImage::ImageRgb8(square).blur(deviation).into_rgb8();
    }
    square
}

/// Covers a square with a colour. Its side and its centre (x, y) are fractions of the image's side; it is clipped at
/// the edges.
pub(in crate::backbone) fn cover(square: &mut RgbImage, [side, x, y]: [f64; 3], colour: [u8; 3]) {
    let length = f64::from(square.width());
    let bounds = |centre: f64| {
        let [from, to] = [centre - side / 2.0, centre + side / 2.0];
        [from, to].map(|at| (at * length).round().clamp(0.0, length) as u32)
    };
    let [left, right] = bounds(x);
    let [top, bottom] = bounds(y);
    for row in top..bottom {
        for column in left..right {
            square.put_pixel(column, row, Rgb(colour));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]

    use super::*;

    fn speckled(side: u32) -> RgbImage {
        RgbImage::from_fn(side, side, |x, y| {
            let hash = blake3::hash(&[x.to_le_bytes(), y.to_le_bytes()].concat());
            let [red, green, blue, ..] = *hash.as_bytes();
            Rgb([red, green, blue])
        })
    }

    #[test]
    fn quarter_turns_move_whole_pixels() {
        for side in [1, 2, 31, 64] {
            let square = speckled(side);
            assert_eq!(rotate(&square, 90.0), image::imageops::rotate90(&square));
            assert_eq!(rotate(&square, 180.0), image::imageops::rotate180(&square));
            assert_eq!(rotate(&square, -90.0), image::imageops::rotate270(&square));
        }
    }

    #[test]
    fn a_rotation_is_clockwise_about_the_centre_and_fills_the_corners_from_the_edges() {
        // A dark spot to the right of the centre moves below the horizontal line through the centre.
        let spot = |x: u32, y: u32| x.abs_diff(75) <= 3 && y.abs_diff(50) <= 3;
        let square = RgbImage::from_fn(101, 101, |x, y| {
            Rgb(if spot(x, y) { [0; 3] } else { [200; 3] })
        });
        let rotated = rotate(&square, 30.0);
        let dark = rotated
            .enumerate_pixels()
            .filter(|(.., pixel)| pixel.0[0] < 100);
        let dark: Vec<[f64; 2]> = dark.map(|(x, y, _)| [x, y].map(f64::from)).collect();
        let mean = |at: usize| {
            let of_all = dark.iter().filter_map(|place| place.get(at));
            of_all.sum::<f64>() / dark.len() as f64
        };
        // 25 pixels from the centre, 50 + 25 · (cos 30°, sin 30°).
        assert!((mean(0) - 71.65).abs() < 0.2, "{}", mean(0));
        assert!((mean(1) - 62.5).abs() < 0.2, "{}", mean(1));
        // No new values: all others occur in the image.
        assert!(rotated.pixels().all(|pixel| pixel.0[0] <= 200));
        assert_eq!(rotated.get_pixel(0, 0).0, [200; 3]);
        // Where the image is smooth at its edge, the reflection continues it without a step.
        let ramp = RgbImage::from_fn(64, 64, |x, _| Rgb([(x * 4) as u8; 3]));
        let rotated = rotate(&ramp, 45.0);
        let steps = rotated.rows().flat_map(|row| {
            let row: Vec<u8> = row.map(|pixel| pixel.0[0]).collect();
            let steps: Vec<u8> = row.array_windows().map(|[a, b]| a.abs_diff(*b)).collect();
            steps
        });
        assert!(steps.max().unwrap() <= 5);
    }

    #[test]
    fn a_hue_is_rotated_and_grey_stays() {
        let mut square = RgbImage::from_pixel(4, 4, Rgb([150, 100, 100]));
        rotate_hue(&mut square, 120.0);
        // Towards green at the same luminance: 0.213 R + 0.715 G + 0.072 B.
        let [red, green, blue] = square.get_pixel(0, 0).0.map(f64::from);
        assert!(green > red && green > blue, "{red} {green} {blue}");
        let luminance = 0.213 * red + 0.715 * green + 0.072 * blue;
        assert!((luminance - 110.65).abs() < 0.6, "{luminance}");
        let greys = RgbImage::from_fn(16, 16, |x, y| Rgb([(16 * y + x) as u8; 3]));
        for degrees in [-180.0, -77.0, 13.5, 180.0] {
            let mut rotated = greys.clone();
            rotate_hue(&mut rotated, degrees);
            assert_eq!(rotated, greys, "{degrees}");
        }
    }

    #[test]
    fn a_blur_is_a_gaussian() {
        let mut square = RgbImage::new(41, 41);
        square.put_pixel(20, 20, Rgb([255, 0, 0]));
        for column in 0..41 {
            square.put_pixel(column, 20, Rgb([255; 3]));
        }
        let blurred = blur(square.clone(), 2.0);
        // The profile across a line is the Gaussian: 255 / (σ √2π) · exp(−d² / 2σ²).
        for row in 10..31 {
            let distance = f64::from(row) - 20.0;
            let expected = 255.0 / (2.0 * (2.0 * std::f64::consts::PI).sqrt());
            let expected = expected * (-distance * distance / 8.0).exp();
            for column in [0, 20, 40] {
                let found = f64::from(blurred.get_pixel(column, row).0[1]);
                assert!((found - expected).abs() <= 2.0, "{found} for {expected}");
            }
        }
        assert_eq!(blur(square.clone(), 0.0), square);
        assert_eq!(blur(square.clone(), f32::NAN), square);
    }

    #[test]
    fn a_square_is_covered_and_cut_off_at_the_edge() {
        let covered = |place: [f64; 3]| {
            let mut square = RgbImage::from_pixel(20, 20, Rgb([9; 3]));
            cover(&mut square, place, [1, 2, 3]);
            let covered = square.enumerate_pixels().filter(|(.., p)| p.0 == [1, 2, 3]);
            covered.map(|(x, y, _)| [x, y]).collect::<Vec<_>>()
        };
        let middle = covered([0.5, 0.5, 0.5]);
        assert_eq!(middle.len(), 100);
        assert_eq!(
            [middle.first(), middle.last()],
            [Some(&[5, 5]), Some(&[14, 14])]
        );
        let corner = covered([0.5, 0.0, 1.0]);
        assert_eq!(corner.len(), 25);
        assert_eq!(
            [corner.first(), corner.last()],
            [Some(&[0, 15]), Some(&[4, 19])]
        );
        assert_eq!(covered([1.0, 0.5, 0.5]).len(), 400);
        assert!(covered([0.0, 0.5, 0.5]).is_empty());
    }
}
