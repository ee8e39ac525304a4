//! Draws lines into a plot: as many points as there are pixels, however many were measured.

use egui::{Painter, Pos2, Rect, Shape, Stroke, pos2};
use egui_plot::{PlotPoint, PlotTransform};

use super::lines::{Of, Shown};
use crate::app::Metric;

/// A block of values takes this many points of the width at most, so that nothing is lost between two pixels.
const BLOCK: f32 = 2.0;
/// Dots are drawn where they have so much room each, points.
const DOT_ROOM: f32 = 6.0;
/// How far beyond the frame a line goes at most, points.
const FAR: f32 = 1e4;

/// A plot that is drawn into.
pub(super) struct Canvas<'a> {
    pub painter: Painter,
    pub transform: &'a PlotTransform,
    pub metric: &'a Metric,
    pub log: bool,
}

impl Canvas<'_> {
    /// Draws the lines, and returns how many points and blocks of points were visited for that.
    pub fn lines(&self, lines: &[Shown<'_>]) -> usize {
        let mut visited = 0;
        for line in lines {
            // One or two points make no line that could be seen.
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

    /// Calls `found` with the points that show a line, on the screen.
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
            let (Some(x), Some(look)) = (line.x(place), line.line.look(place)) else {
                return;
            };
            let value = if smooth { look.smooth } else { look.value };
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
