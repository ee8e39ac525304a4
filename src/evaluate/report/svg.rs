//! Plots as SVG within a page: axes in per cent, lines, bars and points.

use std::fmt::Write as _;

/// Width and height of a plot, and the room for its axes at the left and below, in SVG units.
const SIZE: [f64; 2] = [340.0, 230.0];
const AXES: [f64; 2] = [44.0, 34.0];
/// Room at the right and above: for half the last mark.
const EDGE: [f64; 2] = [20.0, 8.0];

/// Something that is plotted. Colours are classes of the page's style: `c0` to `c7`, `muted`, `danger`.
pub(super) enum Mark<'a> {
    /// A line through points.
    Line {
        points: &'a [[f64; 2]],
        color: &'a str,
        dashed: bool,
    },
    /// Bars from 0 up: left end, right end, height.
    Bars(Vec<[f64; 3]>),
    /// Dots.
    Dots {
        points: &'a [[f64; 2]],
        color: &'a str,
        radius: f64,
    },
}

/// What a plot spans.
pub(super) struct Axes<'a> {
    /// What it shows, for those who cannot see it.
    pub title: &'a str,
    /// Names of the axes.
    pub names: [&'a str; 2],
    pub x: [f64; 2],
    pub y: [f64; 2],
    /// Whether the horizontal axis is in per cent too.
    pub x_percent: bool,
}

impl<'a> Axes<'a> {
    /// Both from 0 to 100 %.
    pub(super) fn percent(title: &'a str, names: [&'a str; 2]) -> Self {
        Self {
            title,
            names,
            x: [0.0, 1.0],
            y: [0.0, 1.0],
            x_percent: true,
        }
    }

    fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let part = |value: f64, [from, to]: [f64; 2]| (value - from) / (to - from).max(1e-12);
        [
            AXES[0] + part(x, self.x) * (SIZE[0] - AXES[0] - EDGE[0]),
            SIZE[1] - AXES[1] - part(y, self.y) * (SIZE[1] - AXES[1] - EDGE[1]),
        ]
    }

    /// The plot as an `svg` element.
    pub(super) fn plot(&self, marks: &[Mark<'_>]) -> String {
        let [width, height] = SIZE;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
            super::html::escaped(self.title)
        );
        self.grid(&mut svg);
        for mark in marks {
            match mark {
                Mark::Line {
                    points,
                    color,
                    dashed,
                } => {
                    let places: Vec<String> = points
                        .iter()
                        .map(|point| self.place(*point).map(|at| format!("{at:.1}")).join(","))
                        .collect();
                    let dashes = if *dashed { " dashed" } else { "" };
                    _ = write!(
                        svg,
                        "<polyline class=\"line {color}{dashes}\" points=\"{}\"/>",
                        places.join(" ")
                    );
                }
                Mark::Bars(bars) => {
                    for [from, to, value] in bars {
                        let [left, top] = self.place([*from, *value]);
                        let [right, bottom] = self.place([*to, self.y[0]]);
                        _ = write!(
                            svg,
                            "<rect class=\"bar\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
                            left + 0.5,
                            (right - left - 1.0).max(0.5),
                            (bottom - top).max(0.0)
                        );
                    }
                }
                Mark::Dots {
                    points,
                    color,
                    radius,
                } => {
                    for point in *points {
                        let [x, y] = self.place(*point);
                        _ = write!(
                            svg,
                            "<circle class=\"dot {color}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{radius}\"/>"
                        );
                    }
                }
            }
        }
        svg += "</svg>";
        svg
    }

    fn grid(&self, svg: &mut String) {
        let [width, height] = SIZE;
        let label = |value: f64, percent: bool| {
            if percent {
                format!("{:.0}\u{202f}%", 100.0 * value)
            } else {
                format!("{value:.0}")
            }
        };
        for step in 0..=4_i32 {
            let part = f64::from(step) / 4.0;
            let [x, y] = [self.x, self.y].map(|[from, to]| from + part * (to - from));
            let [at_x, _] = self.place([x, self.y[0]]);
            let [_, at_y] = self.place([self.x[0], y]);
            _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{at_y:.1}\" y2=\"{at_y:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
                 <text class=\"tick\" x=\"{at_x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                AXES[0],
                width - EDGE[0],
                AXES[0] - 5.0,
                at_y + 3.5,
                label(y, true),
                height - AXES[1] + 13.0,
                label(x, self.x_percent),
            );
        }
        let [x, y] = self.names.map(super::html::escaped);
        _ = write!(
            svg,
            "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{x}</text>\
             <text class=\"axis\" transform=\"translate(9 {:.1}) rotate(-90)\" text-anchor=\"middle\">{y}</text>",
            f64::midpoint(AXES[0], width - EDGE[0]),
            height - 4.0,
            f64::midpoint(EDGE[1], height - AXES[1]),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_the_axes_say() {
        let axes = Axes::percent("a <b>", ["x", "y"]);
        let close = |found: [f64; 2], expected: [f64; 2]| {
            assert!((found[0] - expected[0]).abs() < 1e-9 && (found[1] - expected[1]).abs() < 1e-9);
        };
        close(axes.place([0.0, 0.0]), [44.0, 196.0]);
        close(axes.place([1.0, 1.0]), [320.0, 8.0]);
        let line = Mark::Line {
            points: &[[0.0, 0.0], [1.0, 1.0]],
            color: "c0",
            dashed: true,
        };
        let svg = axes.plot(&[line, Mark::Bars(vec![[0.0, 0.5, 0.5]])]);
        assert!(svg.contains("points=\"44.0,196.0 320.0,8.0\""), "{svg}");
        assert!(svg.contains("aria-label=\"a &lt;b&gt;\""), "{svg}");
        assert!(svg.contains("class=\"bar\"") && svg.ends_with("</svg>"));
    }
}
