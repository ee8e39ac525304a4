//! The image of a plot: the marks of its axes, and the lines between them.

use super::super::axes::{self, clock_marks, marks, span_x, span_y, without_outliers};
use super::{Axis, Figure, FigureCurve, FigureError, Line};
use crate::app::words;
use crate::evaluate::svg::{Entry, Frame, Mark, PALETTE, document};
use crate::jobs::Work;

/// Width and height of the plot, SVG units, without title and legend.
const SIZE: [f64; 2] = [800.0, 400.0];
/// Blocks of values in a line: about two units each.
const BLOCKS: usize = 350;

/// A plot, ready to be drawn.
pub(super) struct Drawing {
    pub frame: Frame,
    /// The lines, those in front last.
    pub lines: Vec<DrawingLine>,
    pub legend: Vec<Entry>,
}

/// A line, in units of the axes.
pub(super) struct DrawingLine {
    pub points: Vec<[f64; 2]>,
    pub color: usize,
    /// As measured: thin and faint.
    pub raw: bool,
    pub dashed: bool,
}

impl Figure {
    /// `None` if there is nothing to draw.
    pub(super) fn drawing(&self, work: &Work) -> Result<Option<Drawing>, FigureError> {
        let lines = self.lines(work)?;
        if lines.is_empty() {
            return Ok(None);
        }
        let axis = self.view.axis;
        let log = self.view.is_log(&self.metric);
        let start = |curve: &FigureCurve| match axis {
            Axis::Wall => curve.begun,
            Axis::Step | Axis::Time => 0.0,
        };
        let ends = lines.iter().filter_map(|(curve, line)| {
            Some([
                start(curve) + line.x(0, axis)?,
                start(curve) + line.end(axis)?,
            ])
        });
        let origin = match axis {
            Axis::Wall => ends.clone().map(|[from, _]| from).fold(f64::MAX, f64::min),
            Axis::Step | Axis::Time => 0.0,
        };
        let x = span_x(ends, origin, 0.0);
        let range = if self.view.ignore_outliers {
            without_outliers(lines.iter().flat_map(|(_, line)| line.sampled()).collect())
        } else {
            let ranges = lines.iter().filter_map(|(_, line)| line.range(true));
            ranges.reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])])
        };
        let y = span_y(range, &self.metric, log, self.view.ignore_outliers);
        let frame = self.frame(x, y, log);
        let mut drawing = Drawing {
            frame,
            lines: Vec::new(),
            legend: Vec::new(),
        };
        for smooth in [false, true] {
            for (color, (curve, line)) in lines.iter().enumerate() {
                let raw = !smooth;
                if raw && self.view.smoothing <= 0.0 {
                    continue;
                }
                let points = self.points(line, start(curve), smooth, log);
                drawing.lines.push(DrawingLine {
                    points,
                    color,
                    raw,
                    dashed: dashed(curve, color),
                });
            }
        }
        drawing.legend = lines
            .iter()
            .enumerate()
            .map(|(color, (curve, _))| Entry {
                name: curve.legend(),
                color,
                dashed: dashed(curve, color),
            })
            .collect();
        Ok(Some(drawing))
    }

    /// The points that represent a line, within the vertical axis.
    fn points(&self, line: &Line, start: f64, smooth: bool, log: bool) -> Vec<[f64; 2]> {
        let axis = self.view.axis;
        let all = super::super::LineStretch {
            from: 0,
            to: line.len(),
        };
        let mut points = Vec::new();
        line.thinned(all, smooth, BLOCKS, |place| {
            if let (Some(x), Some(found)) = (line.x(place, axis), line.value_at(place)) {
                let value = if smooth { found.smooth } else { found.value };
                points.push([start + x, self.metric.height(value, log)]);
            }
        });
        points
    }

    fn frame(&self, x: [f64; 2], y: [f64; 2], log: bool) -> Frame {
        let axis = self.view.axis;
        let across = match axis {
            Axis::Wall => {
                let marks = clock_marks(x, 7.0, axes::clock_offset(x[0]));
                let labels = marks
                    .into_iter()
                    .map(|mark| (mark.value, axes::clock(mark.value, mark.step)));
                labels.collect()
            }
            Axis::Step => {
                let labels = axes::step_marks(x, 8.0).into_iter().map(|mark| {
                    (
                        mark.value,
                        words::number(mark.value.max(0.0).round() as u64),
                    )
                });
                labels.collect()
            }
            Axis::Time => {
                let labels = marks(x, 8.0)
                    .into_iter()
                    .map(|mark| (mark.value, axes::seconds(mark)));
                labels.collect()
            }
        };
        let up = if log {
            let labels = axes::decades(y).into_iter();
            labels
                .map(|mark| (mark.value, axes::power(mark.value)))
                .collect()
        } else {
            let percent = if self.metric.is_percent() { " %" } else { "" };
            let labels = marks(y, 5.0).into_iter().map(|mark| {
                let text = axes::plain(mark.value, mark.step);
                (mark.value, format!("{text}{percent}"))
            });
            labels.collect()
        };
        let name = match axis {
            Axis::Step => "steps",
            Axis::Time => "training time",
            Axis::Wall => "local time",
        };
        Frame {
            title: self.metric.title(),
            names: [name.to_owned(), String::new()],
            x,
            y,
            size: SIZE,
            ticks: [across, up],
        }
    }
}

/// Whether a curve is dashed: those of the head alone, and every second round through the palette, so that more curves
/// can be distinguished than there are colours.
fn dashed(curve: &FigureCurve, color: usize) -> bool {
    curve.head || (color / PALETTE.len()) % 2 == 1
}

impl Drawing {
    /// As SVG.
    pub(super) fn svg(&self) -> String {
        let classes: Vec<String> = self
            .lines
            .iter()
            .map(|line| {
                let color = line.color % PALETTE.len();
                let raw = if line.raw { " raw" } else { "" };
                format!("c{color}{raw}")
            })
            .collect();
        // Lines beyond the vertical axis are clipped.
        let cut: Vec<Vec<[f64; 2]>> = self
            .lines
            .iter()
            .map(|line| {
                line.points
                    .iter()
                    .map(|point| self.within(*point))
                    .collect()
            })
            .collect();
        let marks: Vec<Mark<'_>> = self
            .lines
            .iter()
            .zip(&classes)
            .zip(&cut)
            .map(|((line, class), points)| Mark::Line {
                points,
                color: class,
                dashed: line.dashed && !line.raw,
            })
            .collect();
        document(&self.frame, &marks, &self.legend)
    }

    /// A point with its y limited to the vertical axis.
    pub(super) fn within(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        [x, y.clamp(self.frame.y[0], self.frame.y[1])]
    }
}
