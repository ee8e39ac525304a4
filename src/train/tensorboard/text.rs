//! Renders text in images: filled outlines of Inter.

use skrifa::instance::{LocationRef, Size};
use skrifa::outline::{DrawSettings, OutlinePen};
use skrifa::{FontRef, MetadataProvider};

/// The font of the window.
static FONT: &[u8] = include_bytes!("../../../assets/fonts/Inter-Regular.ttf");

/// Samples of a pixel along each side.
const SAMPLES: usize = 4;

/// The coverage of each pixel, 0..=1.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Mask {
    pub width: usize,
    pub height: usize,
    /// Row by row.
    pub cover: Vec<f32>,
}

impl Mask {
    /// A line of text of this size in pixels; empty if there is no font.
    pub(super) fn of_text(text: &str, px: f32) -> Self {
        let outline = outline(text, px).unwrap_or_default();
        let width = outline.advance.ceil() as usize + 1;
        let height = (px * 1.25).ceil() as usize;
        let centre = |sample: usize| (sample as f32 + 0.5) / SAMPLES as f32;
        let mut inside = vec![0_u8; width * height];
        for row in 0..height * SAMPLES {
            // Upwards from the baseline.
            let crossings = outline.crossings(px - centre(row));
            let mut winding: i32 = crossings.iter().map(|(_, turn)| turn).sum();
            let mut passed = crossings.iter().peekable();
            for column in 0..width * SAMPLES {
                let x = centre(column);
                while let Some((_, turn)) = passed.next_if(|(crossing, _)| *crossing <= x) {
                    winding -= turn;
                }
                let pixel = row / SAMPLES * width + column / SAMPLES;
                inside[pixel] += u8::from(winding != 0);
            }
        }
        let cover = inside
            .iter()
            .map(|samples| f32::from(*samples) / (SAMPLES * SAMPLES) as f32)
            .collect();
        Self {
            width,
            height,
            cover,
        }
    }

    /// Rotated by 90 degrees, to be read upwards.
    pub(super) fn upwards(&self) -> Self {
        let (width, height) = (self.height, self.width);
        let pixel = |at: usize| {
            let (x, y) = (at % width.max(1), at / width.max(1));
            let from = x * self.width + (height - 1 - y);
            self.cover.get(from).copied().unwrap_or_default()
        };
        Self {
            width,
            height,
            cover: (0..width * height).map(pixel).collect(),
        }
    }
}

/// The outlines of letters as line segments.
#[derive(Default)]
struct Outline {
    /// Start and end of each segment.
    lines: Vec<[[f32; 2]; 2]>,
    start: [f32; 2],
    last: [f32; 2],
    /// The position of the next letter.
    advance: f32,
}

impl Outline {
    /// Where the horizontal line at `y` intersects the outline, from left to right, each with 1 if the outline goes
    /// upwards and −1 if it goes downwards. By the non-zero winding rule a point is inside if the sum of those to its
    /// right is not 0.
    fn crossings(&self, y: f32) -> Vec<(f32, i32)> {
        let mut found = Vec::new();
        for [from, to] in &self.lines {
            let upwards = from[1] <= y && y < to[1];
            let downwards = to[1] <= y && y < from[1];
            if upwards || downwards {
                let x = from[0] + (y - from[1]) / (to[1] - from[1]) * (to[0] - from[0]);
                found.push((x, if upwards { 1 } else { -1 }));
            }
        }
        found.sort_by(|one, other| one.0.total_cmp(&other.0));
        found
    }

    fn line(&mut self, to: [f32; 2]) {
        self.lines.push([self.last, to]);
        self.last = to;
    }
}

impl OutlinePen for Outline {
    fn move_to(&mut self, x: f32, y: f32) {
        self.start = [x + self.advance, y];
        self.last = self.start;
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.line([x + self.advance, y]);
    }

    fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
        let (begin, end) = (self.last, [x + self.advance, y]);
        let middle = [cx + self.advance, cy];
        for part in 1..=4_u8 {
            let t = f32::from(part) / 4.0;
            let at = |axis: fn(&[f32; 2]) -> f32| {
                (1.0 - t) * (1.0 - t) * axis(&begin)
                    + 2.0 * t * (1.0 - t) * axis(&middle)
                    + t * t * axis(&end)
            };
            self.line([at(|p| p[0]), at(|p| p[1])]);
        }
    }

    fn curve_to(&mut self, _: f32, _: f32, cx: f32, cy: f32, x: f32, y: f32) {
        // TrueType fonts have no cubic curves.
        self.quad_to(cx, cy, x, y);
    }

    fn close(&mut self) {
        self.line(self.start);
    }
}

fn outline(text: &str, px: f32) -> Option<Outline> {
    let font = FontRef::new(FONT).ok()?;
    let (size, location) = (Size::new(px), LocationRef::default());
    let (letters, outlines) = (font.charmap(), font.outline_glyphs());
    let widths = font.glyph_metrics(size, location);
    let mut outline = Outline::default();
    for letter in text.chars() {
        // The first glyph of a font is used for missing ones.
        let glyph = letters.map(letter).unwrap_or_default();
        if let Some(drawn) = outlines.get(glyph) {
            drawn
                .draw(DrawSettings::unhinted(size, location), &mut outline)
                .ok()?;
        }
        outline.advance += widths.advance_width(glyph).unwrap_or_default();
    }
    Some(outline)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_filled_and_can_be_read_upwards() {
        let bar = Mask::of_text("I", 40.0);
        let covered: f32 = bar.cover.iter().sum();
        // A stem: about 29 pixels high (Inter's capitals have 0.73 of its size), 3 to 5 wide.
        assert!((80.0..160.0).contains(&covered), "{covered}");
        let ring = Mask::of_text("o", 40.0);
        let middle = ring.cover[28 * ring.width + ring.width / 2];
        assert!(middle < 0.01, "the letter is hollow");
        let rotated = ring.upwards();
        assert_eq!((rotated.width, rotated.height), (ring.height, ring.width));
        assert!((rotated.cover.iter().sum::<f32>() - ring.cover.iter().sum::<f32>()).abs() < 0.1);
        let top_left = Mask::of_text("'", 40.0).upwards();
        let lowest = top_left.cover.iter().rposition(|cover| *cover > 0.5);
        // The top of a line is at the left of one that is read upwards.
        assert!(lowest.is_some_and(|at| at % top_left.width < top_left.width / 2));
    }
}
