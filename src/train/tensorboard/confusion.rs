//! The confusion matrix as an image.

use std::io::Cursor;

use image::{ImageFormat, Rgb, RgbImage};

use super::outcome::Tested;
use super::text::Mask;

/// Approximate width and height of the matrix in pixels.
const SIDE: u32 = 640;
/// The most classes with written names and counts.
const MOST_NAMED: usize = 40;
/// The longest name that is not shortened, in letters.
const LONGEST: usize = 24;

const INK: [u8; 3] = [32, 34, 40];
const PAPER: [u8; 3] = [255, 255, 255];
const FULL: [u8; 3] = [24, 90, 170];
const EMPTY: [u8; 3] = [240, 243, 248];

/// A PNG with its width and height: a row for each true class, a column for each predicted one, each cell darker for a
/// larger fraction of the row. `None` without classes.
pub(super) fn png(tested: &Tested, classes: &[String]) -> Option<(Vec<u8>, [u32; 2])> {
    let image = draw(&counts(tested, classes.len()), classes, tested.images)?;
    let size = [image.width(), image.height()];
    let mut bytes = Cursor::new(Vec::new());
    image.write_to(&mut bytes, ImageFormat::Png).ok()?;
    Some((bytes.into_inner(), size))
}

/// Numbers of images by true and predicted class, row by row.
fn counts(tested: &Tested, classes: usize) -> Vec<u32> {
    let mut counts = vec![0; classes * classes];
    for (y, probabilities) in tested.probabilities(classes) {
        let best = probabilities.iter().enumerate();
        let best = best.max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0)));
        if let Some((best, _)) = best
            && let Some(count) = counts.get_mut(y * classes + best)
        {
            *count += 1;
        }
    }
    counts
}

fn draw(counts: &[u32], classes: &[String], images: &str) -> Option<RgbImage> {
    let number = u32::try_from(classes.len()).ok()?;
    if number == 0 || number > 2 * SIDE {
        return None;
    }
    let cell = (SIDE / number).clamp(1, 96);
    let font = (cell as f32 * 0.4).clamp(9.0, 22.0);
    let named = classes.len() <= MOST_NAMED;
    let labels: Vec<Mask> = if named {
        classes.iter().map(|name| label(name, font)).collect()
    } else {
        Vec::new()
    };
    let space = 8;
    let widest = labels.iter().map(|label| label.width).max().unwrap_or(0) as u32;
    let title = Mask::of_text(
        &format!("{images} images: rows are true, columns predicted"),
        16.0,
    );
    let left = widest + 2 * space;
    let top = widest + 3 * space + title.height as u32;
    let side = cell * number;
    let width = (left + side + space).max(title.width as u32 + 2 * space);
    let mut image = RgbImage::from_pixel(width, top + side + space, Rgb(PAPER));
    write(&mut image, &title, [space, space], INK);
    for (row, counts) in (0..).zip(counts.chunks(classes.len())) {
        let all: u32 = counts.iter().sum();
        for (column, count) in (0..).zip(counts) {
            let share = *count as f32 / all.max(1) as f32;
            let corner = [left + column * cell, top + row * cell];
            let colour = between(EMPTY, FULL, share);
            let inner = if cell > 3 { cell - 1 } else { cell };
            for y in corner[1]..corner[1] + inner {
                for x in corner[0]..corner[0] + inner {
                    image.put_pixel(x, y, Rgb(colour));
                }
            }
            if named && *count > 0 {
                let text = Mask::of_text(&count.to_string(), font);
                let ink = if share > 0.5 { PAPER } else { INK };
                write(&mut image, &text, centred(corner, [cell; 2], &text), ink);
            }
        }
        if let Some(label) = labels.get(row as usize) {
            let at = [space, top + row * cell];
            let [_, y] = centred(at, [0, cell], label);
            let x = left - space - label.width as u32;
            write(&mut image, label, [x, y], INK);
            let label = label.upwards();
            let [x, _] = centred([left + row * cell, 0], [cell, 0], &label);
            write(
                &mut image,
                &label,
                [x, top - space - label.height as u32],
                INK,
            );
        }
    }
    Some(image)
}

/// A name, shortened if necessary.
fn label(name: &str, font: f32) -> Mask {
    if name.chars().count() <= LONGEST {
        return Mask::of_text(name, font);
    }
    let short: String = name.chars().take(LONGEST - 1).collect();
    Mask::of_text(&format!("{short}…"), font)
}

/// The position of a text that is centred in a rectangle.
fn centred([x, y]: [u32; 2], [width, height]: [u32; 2], text: &Mask) -> [u32; 2] {
    [
        x + width.saturating_sub(text.width as u32) / 2,
        y + height.saturating_sub(text.height as u32) / 2,
    ]
}

fn write(image: &mut RgbImage, text: &Mask, [left, top]: [u32; 2], ink: [u8; 3]) {
    for (at, cover) in text.cover.iter().enumerate() {
        let (x, y) = (at % text.width.max(1), at / text.width.max(1));
        if let Some(pixel) = image.get_pixel_mut_checked(left + x as u32, top + y as u32) {
            pixel.0 = between(pixel.0, ink, *cover);
        }
    }
}

/// A colour between two others.
fn between(from: [u8; 3], to: [u8; 3], share: f32) -> [u8; 3] {
    let mut colour = from;
    for (channel, to) in colour.iter_mut().zip(to) {
        let value = f32::from(*channel) + (f32::from(to) - f32::from(*channel)) * share;
        *channel = value.round() as u8;
    }
    colour
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn it_counts_and_shades_by_row() {
        let tested = Tested {
            images: "test",
            y: vec![0, 0, 1, 1, 1],
            logits: vec![2.0, 1.0, 0.0, 1.0, 0.0, 3.0, 0.0, 0.5, 0.0, 9.0],
        };
        let classes = [
            "cat".to_owned(),
            "a dog of an uncommonly long name".to_owned(),
        ];
        assert_eq!(counts(&tested, 2), [1, 1, 0, 3]);
        let (png, [width, height]) = png(&tested, &classes).unwrap();
        let image = image::load_from_memory(&png).unwrap().to_rgb8();
        assert_eq!((image.width(), image.height()), (width, height));
        // The matrix is at the lower right; its cells are 96 pixels wide, and their corners are free of text.
        let corner = |row: u32, column: u32| {
            let from_end = |size: u32, at: u32| size - 8 - (2 - at) * 96 + 4;
            image
                .get_pixel(from_end(width, column), from_end(height, row))
                .0
        };
        let full_width = width;
        assert!(full_width > 200);
        assert_eq!((corner(1, 1), corner(1, 0)), (FULL, EMPTY));
        assert_eq!(corner(0, 0), corner(0, 1));
        let many: Vec<String> = (0..700).map(|at| at.to_string()).collect();
        assert!(draw(&vec![0; 490_000], &many, "test").is_some());
        assert!(draw(&[], &[], "test").is_none());
    }
}
