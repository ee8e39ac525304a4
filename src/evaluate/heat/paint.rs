//! Draws heat maps as colours over the image.
//!
//! Places that speak for a class are painted in *inferno* (S. van der Walt and N. Smith, matplotlib, CC0), those
//! against it in *mako* (M. Waskom, seaborn, BSD-3-Clause): both are perceptually uniform, increase in lightness, and
//! can be distinguished by colour-blind people, because one is warm and the other cold.

use image::{Rgb, RgbImage, Rgba, RgbaImage};

use crate::backbone::Cells;

use super::HeatMap;

/// Colours of positive values, from zero to the strongest, in equal steps.
pub const POSITIVE: [[u8; 3]; 17] = [
    [0, 0, 4],
    [11, 7, 36],
    [33, 12, 74],
    [61, 9, 101],
    [87, 16, 110],
    [113, 25, 110],
    [138, 34, 106],
    [163, 44, 97],
    [188, 55, 84],
    [208, 69, 69],
    [227, 89, 51],
    [241, 113, 31],
    [249, 140, 10],
    [252, 170, 15],
    [249, 201, 50],
    [242, 232, 101],
    [252, 255, 164],
];

/// Colours of negative values.
pub const NEGATIVE: [[u8; 3]; 17] = [
    [11, 4, 5],
    [28, 16, 28],
    [43, 28, 53],
    [55, 40, 79],
    [62, 53, 107],
    [65, 67, 135],
    [59, 86, 152],
    [54, 105, 159],
    [53, 123, 163],
    [52, 140, 167],
    [53, 158, 170],
    [59, 175, 173],
    [73, 193, 173],
    [104, 209, 173],
    [150, 221, 181],
    [190, 232, 202],
    [222, 245, 229],
];

/// Opacity of the strongest colour, 0..=255.
const STRONGEST: f64 = 165.0;
/// Where to start in the tables, whose first colours are black and would darken the image where the map is zero.
const FIRST: f64 = 0.3;
/// The colour of places that are cropped from the network's input.
const CUT_AWAY: [u8; 4] = [0, 0, 0, 120];

/// The colour, with its opacity, of a value relative to the limit, -1..=1.
#[must_use]
pub fn heat_color(part: f64) -> [u8; 4] {
    let table = if part < 0.0 { &NEGATIVE } else { &POSITIVE };
    let strength = part.abs().min(1.0);
    let at = (FIRST + (1.0 - FIRST) * strength) * (table.len() - 1) as f64;
    let (low, between) = (at.floor(), at.fract());
    let color = |index: f64| table.get(index as usize).or(table.last()).copied();
    let (a, b) = (
        color(low).unwrap_or_default(),
        color(low + 1.0).unwrap_or_default(),
    );
    let mut mixed = [0, 0, 0, (STRONGEST * strength).round() as u8];
    for (mixed, (a, b)) in mixed.iter_mut().zip(a.iter().zip(b)) {
        *mixed = (f64::from(*a) + between * (f64::from(b) - f64::from(*a))).round() as u8;
    }
    mixed
}

/// The two cells between whose centres a place is, and its position between them, 0..=1.
fn between(place: f64, cells: Cells, count: usize) -> (usize, usize, f64) {
    let last = count.saturating_sub(1);
    let at = ((place - cells.first) / cells.step).clamp(0.0, last as f64);
    let low = at.floor() as usize;
    (low, (low + 1).min(last), at.fract())
}

impl HeatMap {
    /// The value at each pixel of an image of this size, row by row. Between the centres of cells (those of their
    /// receptive fields), values are interpolated. `None` for pixels that are cropped from the network's input.
    pub fn at_pixels(&self, width: u32, height: u32) -> impl Iterator<Item = Option<f32>> + '_ {
        let [columns, rows] = self.preprocessing.places_in_square(width, height);
        let [of_rows, of_columns] = self.cells;
        let along = |places: Vec<Option<f64>>, cells: Cells, count: usize| {
            let places = places.into_iter();
            let places = places.map(|place| Some(between(place?, cells, count)));
            places.collect::<Vec<Option<(usize, usize, f64)>>>()
        };
        let columns = along(columns, of_columns, self.columns);
        let rows = along(rows, of_rows, self.rows);
        let value = |row: usize, column: usize| {
            let value = self.values.get(row * self.columns + column);
            value.map_or(0.0, |value| f64::from(*value))
        };
        let mix = |a: f64, b: f64, part: f64| a + part * (b - a);
        rows.into_iter().flat_map(move |row| {
            let of_row: Vec<Option<f32>> = columns
                .iter()
                .map(|column| {
                    let ((top, bottom, down), (left, right, across)) = (row?, (*column)?);
                    let upper = mix(value(top, left), value(top, right), across);
                    let lower = mix(value(bottom, left), value(bottom, right), across);
                    Some(mix(upper, lower, down) as f32)
                })
                .collect();
            of_row
        })
    }

    /// The map as colours for an image of this size; cropped parts are darkened.
    #[must_use]
    pub fn layer(&self, width: u32, height: u32) -> RgbaImage {
        let limit = f64::from(self.limit()).max(f64::MIN_POSITIVE);
        let mut layer = RgbaImage::new(width, height);
        for (pixel, value) in layer.pixels_mut().zip(self.at_pixels(width, height)) {
            let color = value.map(|value| heat_color(f64::from(value) / limit));
            *pixel = Rgba(color.unwrap_or(CUT_AWAY));
        }
        layer
    }

    /// The image with the map over it.
    #[must_use]
    pub fn over(&self, image: &RgbImage) -> RgbImage {
        let layer = self.layer(image.width(), image.height());
        let mut painted = image.clone();
        for (Rgb(below), Rgba([r, g, b, alpha])) in painted.pixels_mut().zip(layer.pixels()) {
            for (below, above) in below.iter_mut().zip([r, g, b]) {
                let (alpha, above) = (u32::from(*alpha), u32::from(*above));
                *below = ((u32::from(*below) * (255 - alpha) + above * alpha + 127) / 255) as u8;
            }
        }
        painted
    }
}
