//! The position of each thumbnail of the grid: sections with headers, rows of equal cells.

use egui::{Pos2, Rect, Vec2, pos2, vec2};

use crate::app::GridSection;

/// Height of a section's header, points.
pub const HEADER: f32 = 30.0;
/// Space between thumbnails, points.
pub const GAP: f32 = 6.0;
/// Height of a thumbnail as a fraction of its width.
const ASPECT: f32 = 0.76;

/// A section with its vertical position.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Band {
    /// Index of the section.
    pub section: usize,
    /// Top of its header.
    pub top: f32,
    /// Bottom of its last row.
    pub bottom: f32,
    /// Index of its first thumbnail among all.
    pub start: usize,
    /// The number of its thumbnails.
    pub len: usize,
}

/// The layout of a grid of a certain width; coordinates are relative to the grid's top left.
#[derive(Debug, Clone, PartialEq)]
pub struct Layout {
    /// Size of a thumbnail.
    pub cell: Vec2,
    /// The number of thumbnails in a row.
    pub columns: usize,
    /// The sections.
    pub bands: Vec<Band>,
    /// Total height.
    pub height: f32,
}

impl Layout {
    /// Lays `sections` out in `width` points with thumbnails of about `thumb` points.
    #[must_use]
    pub fn new(sections: &[GridSection], width: f32, thumb: f32) -> Self {
        let columns = (((width + GAP) / (thumb + GAP)).floor() as usize).max(1);
        let cell_width = ((width - GAP * (columns - 1) as f32) / columns as f32).max(8.0);
        let cell = vec2(cell_width, (cell_width * ASPECT).round());
        let mut top = 0.0;
        let bands = sections
            .iter()
            .enumerate()
            .map(|(index, section)| {
                let rows = section.len.div_ceil(columns);
                let bottom = top + HEADER + rows as f32 * (cell.y + GAP);
                let band = Band {
                    section: index,
                    top,
                    bottom,
                    start: section.start,
                    len: section.len,
                };
                top = bottom + 4.0;
                band
            })
            .collect();
        Self {
            cell,
            columns,
            bands,
            height: top,
        }
    }

    fn band_of(&self, place: usize) -> Option<&Band> {
        let index = self.bands.partition_point(|band| band.start <= place);
        self.bands.get(index.checked_sub(1)?)
    }

    /// The rectangle of a thumbnail.
    #[must_use]
    pub fn rect(&self, place: usize) -> Option<Rect> {
        let band = self.band_of(place)?;
        Some(self.rect_in(band, place - band.start))
    }

    /// The rectangle of the `index`th thumbnail of a section.
    #[must_use]
    pub fn rect_in(&self, band: &Band, index: usize) -> Rect {
        let (row, column) = (index / self.columns, index % self.columns);
        Rect::from_min_size(
            pos2(
                column as f32 * (self.cell.x + GAP),
                band.top + HEADER + row as f32 * (self.cell.y + GAP),
            ),
            self.cell,
        )
    }

    /// The sections that overlap `from..to` vertically.
    #[must_use]
    pub fn visible(&self, from: f32, to: f32) -> &[Band] {
        let first = self.bands.partition_point(|band| band.bottom < from);
        let last = self.bands.partition_point(|band| band.top <= to);
        self.bands.get(first..last.max(first)).unwrap_or_default()
    }

    /// The thumbnails of a section that overlap `from..to`, as indices within the section.
    #[must_use]
    pub fn visible_in(&self, band: &Band, from: f32, to: f32) -> std::ops::Range<usize> {
        let step = self.cell.y + GAP;
        let first = ((from - band.top - HEADER) / step).floor().max(0.0) as usize;
        let last = ((to - band.top - HEADER) / step).ceil().max(0.0) as usize;
        (first * self.columns).min(band.len)..(last * self.columns).min(band.len)
    }

    /// The thumbnail at a point; `None` between them.
    #[must_use]
    pub fn at(&self, point: Pos2) -> Option<usize> {
        let band = self.visible(point.y, point.y).first()?;
        let mut row = self.visible_in(band, point.y, point.y);
        let index = row.find(|index| self.rect_in(band, *index).contains(point))?;
        Some(band.start + index)
    }

    /// The thumbnails that touch a rectangle.
    #[must_use]
    pub fn touching(&self, rect: Rect) -> Vec<usize> {
        let mut places = Vec::new();
        for band in self.visible(rect.top(), rect.bottom()) {
            for index in self.visible_in(band, rect.top(), rect.bottom()) {
                if self.rect_in(band, index).intersects(rect) {
                    places.push(band.start + index);
                }
            }
        }
        places
    }

    /// The index one row up or down.
    #[must_use]
    pub fn row_step(&self, place: usize, down: bool) -> usize {
        let Some(at) = self
            .bands
            .iter()
            .position(|band| (band.start..band.start + band.len).contains(&place))
        else {
            return place;
        };
        let Some(band) = self.bands.get(at) else {
            return place;
        };
        let index = place - band.start;
        let column = index % self.columns;
        if down {
            let next_row = (index / self.columns + 1) * self.columns;
            if next_row < band.len {
                return band.start + (next_row + column).min(band.len - 1);
            }
            self.bands
                .get(at + 1)
                .map_or(place, |next| next.start + column.min(next.len - 1))
        } else {
            if index >= self.columns {
                return place - self.columns;
            }
            at.checked_sub(1)
                .and_then(|at| self.bands.get(at))
                .map_or(place, |previous| {
                    let last_row = (previous.len - 1) / self.columns * self.columns;
                    previous.start + (last_row + column).min(previous.len - 1)
                })
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failing test should panic")]
    use super::*;

    fn layout() -> Layout {
        let sections = [
            GridSection {
                source: None,
                start: 0,
                len: 7,
            },
            GridSection {
                source: None,
                start: 7,
                len: 2,
            },
        ];
        // Three columns of exactly 100 points.
        Layout::new(&sections, 312.0, 100.0)
    }

    #[test]
    fn cells_fill_the_width() {
        let layout = layout();
        assert_eq!(layout.columns, 3);
        assert!((layout.rect(2).unwrap().right() - 312.0).abs() < 1e-3);
        assert!(layout.rect(3).unwrap().left().abs() < 1e-3);
        assert!(layout.rect(7).unwrap().top() > layout.rect(6).unwrap().bottom() + HEADER - GAP);
    }

    #[test]
    fn rows_are_walked_across_sections() {
        let layout = layout();
        assert_eq!(layout.row_step(1, true), 4);
        assert_eq!(layout.row_step(5, true), 6);
        assert_eq!(layout.row_step(6, true), 7);
        assert_eq!(layout.row_step(8, false), 6);
        assert_eq!(layout.row_step(1, false), 1);
        assert_eq!(layout.row_step(8, true), 8);
    }

    #[test]
    fn a_rectangle_touches_what_it_covers() {
        let layout = layout();
        let rect = layout
            .rect(1)
            .unwrap()
            .union(layout.rect(5).unwrap())
            .shrink(1.0);
        assert_eq!(layout.touching(rect), [1, 2, 4, 5]);
        assert!(
            layout
                .touching(layout.rect(8).unwrap().translate(vec2(206.0, 0.0)))
                .is_empty()
        );
    }

    #[test]
    fn a_point_is_on_one_thumbnail_or_between_them() {
        let layout = layout();
        for place in 0..9 {
            let rect = layout.rect(place).unwrap();
            assert_eq!(layout.at(rect.center()), Some(place));
            assert_eq!(layout.at(rect.right_center() + vec2(3.0, 0.0)), None);
            assert_eq!(layout.at(rect.center_bottom() + vec2(0.0, 3.0)), None);
        }
        // Headers, and the empty rest of the last row.
        assert_eq!(layout.at(pos2(50.0, HEADER / 2.0)), None);
        let last = layout.rect(6).unwrap();
        assert_eq!(layout.at(last.center() + vec2(106.0, 0.0)), None);
    }

    #[test]
    fn only_what_is_in_view_is_listed() {
        let layout = layout();
        let band = layout.bands[0];
        let row = layout.cell.y + GAP;
        let second_row = HEADER + row + 1.0;
        assert_eq!(
            layout.visible_in(&band, second_row, second_row + row - 2.0),
            3..6
        );
        assert_eq!(layout.visible(0.0, 10.0).len(), 1);
        assert_eq!(layout.visible(0.0, layout.height).len(), 2);
    }
}
