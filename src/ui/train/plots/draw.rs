//! Draws lines into a plot: with as many points as there are pixels, however many were measured.

use egui::{Painter, Pos2, Rect, Shape, Stroke, pos2};
use egui_plot::{PlotPoint, PlotTransform};

use super::lines::{Of, Shown};
use crate::app::Metric;

/// The most width of a block of values, in points, so that nothing is lost between two pixels.
const BLOCK: f32 = 2.0;
/// Dots are drawn if each has this much width, points.
const DOT_ROOM: f32 = 6.0;
/// The most distance that a line is drawn beyond the frame, points.
const FAR: f32 = 1e4;

/// A plot to draw into.
pub(super) struct Canvas<'a> {
    pub painter: Painter,
    pub transform: &'a PlotTransform,
    pub metric: &'a Metric,
    pub log: bool,
}

impl Canvas<'_> {
    /// Draws the lines, and returns the number of points and blocks that were visited for that.
    pub fn lines(&self, lines: &[Shown<'_>]) -> usize {
        let mut visited = 0;
        for line in lines {
            // One or two points would be invisible as a line.
            if line.line.is_sparse() || line.line.len() < 3 {
                visited += self.dots(line);
            }
            if line.of == Of::Main {
                let stroke = Stroke::new(1.0, line.color.gamma_multiply(0.35));
                visited += self.line(line, false, stroke);
            }
        }
        for line in lines {
            let stroke = Stroke::new(line.width(), line.color);
            visited += self.line(line, true, stroke);
        }
        visited
    }

    fn line(&self, line: &Shown<'_>, smooth: bool, stroke: Stroke) -> usize {
        let mut points = Vec::new();
        let visited = self.places(line, smooth, |at| points.push(at));
        if line.dashed {
            let shapes = Shape::dashed_line(&points, stroke, 6.0, 6.0);
            self.painter.extend(shapes);
        } else {
            self.painter.line(points, stroke);
        }
        visited
    }

    fn dots(&self, line: &Shown<'_>) -> usize {
        let frame = *self.transform.frame();
        let stretch = line.stretch(self.section());
        let count = stretch.to.saturating_sub(stretch.from);
        if count as f32 * DOT_ROOM > frame.width() {
            return 0;
        }
        self.places(line, true, |at| {
            self.painter.circle_filled(at, 2.5, line.color);
        })
    }

    /// The ends of the horizontal axis.
    fn section(&self) -> [f64; 2] {
        let range = self.transform.bounds().range_x();
        [*range.start(), *range.end()]
    }

    /// Calls `found` with the points of a line on the screen.
    fn places(&self, line: &Shown<'_>, smooth: bool, mut found: impl FnMut(Pos2)) -> usize {
        let frame = *self.transform.frame();
        let stretch = line.stretch(self.section());
        let [Some(first), Some(last)] = [
            line.x(stretch.from),
            stretch.to.checked_sub(1).and_then(|last| line.x(last)),
        ] else {
            return 0;
        };
        let [left, right] = [first, last].map(|x| self.transform.position_from_point_x(x));
        let width = (right - left).clamp(0.0, frame.width());
        let blocks = (width / BLOCK).ceil() as usize;
        let room = frame.expand(FAR);
        line.line.thinned(stretch, smooth, blocks, |place| {
            let (Some(x), Some(values)) = (line.x(place), line.line.value_at(place)) else {
                return;
            };
            let value = if smooth { values.smooth } else { values.value };
            found(self.position(x, value, room));
        })
    }

    fn position(&self, x: f64, value: f64, room: Rect) -> Pos2 {
        let y = self.metric.height(value, self.log);
        let at = self.transform.position_from_point(&PlotPoint::new(x, y));
        pos2(
            at.x.clamp(room.left(), room.right()),
            at.y.clamp(room.top(), room.bottom()),
        )
    }
}
