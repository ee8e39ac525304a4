//! Plots as SVG: lines, bars and points with axes, in a page or as a separate file.

use std::fmt::Write as _;

use crate::text::visible;

/// Width and height of a plot, and the space for its axes at the left and below, in SVG units.
const SIZE: [f64; 2] = [340.0, 230.0];
const AXES: [f64; 2] = [44.0, 34.0];
/// Space at the right and above, for half of the last tick label.
const EDGE: [f64; 2] = [20.0, 8.0];

/// Escapes text for HTML; control and invisible characters are written out.
pub(crate) fn escaped(text: &str) -> String {
    let text = visible(text);
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c => escaped.push(c),
        }
    }
    escaped
}

/// A plotted item. Colours are classes of the page's style: `c0` to `c7`, `muted`, `danger`.
pub(crate) enum Mark<'a> {
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

/// The axes of a plot in a page, at least one in per cent.
pub(super) struct Axes<'a> {
    /// A description for people who cannot see it.
    pub title: &'a str,
    /// Names of the axes.
    pub names: [&'a str; 2],
    pub x: [f64; 2],
    pub y: [f64; 2],
    /// Whether the horizontal axis is in per cent, too.
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

    /// The plot as an `svg` element.
    pub(super) fn plot(&self, marks: &[Mark<'_>]) -> String {
        self.frame().plot(marks)
    }

    fn frame(&self) -> Frame {
        let ticks = |[from, to]: [f64; 2], percent: bool| {
            let quarters = (0..=4_i32).map(|step| from + f64::from(step) / 4.0 * (to - from));
            let labelled = quarters.map(|value| {
                let label = if percent {
                    format!("{:.0}\u{202f}%", 100.0 * value)
                } else {
                    format!("{value:.0}")
                };
                (value, label)
            });
            labelled.collect()
        };
        Frame {
            title: self.title.to_owned(),
            names: self.names.map(str::to_owned),
            x: self.x,
            y: self.y,
            size: SIZE,
            ticks: [ticks(self.x, self.x_percent), ticks(self.y, true)],
        }
    }
}

/// The axes of a plot with their ticks.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Frame {
    /// A description for people who cannot see it.
    pub title: String,
    /// Names of the axes.
    pub names: [String; 2],
    /// The range of the horizontal axis.
    pub x: [f64; 2],
    /// The range of the vertical axis.
    pub y: [f64; 2],
    /// Width and height, including the names of the axes, in SVG units.
    pub size: [f64; 2],
    /// The ticks of each axis with their labels.
    pub ticks: [Vec<(f64, String)>; 2],
}

impl Frame {
    /// The position of a point in SVG units.
    pub(crate) fn place(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let part = |value: f64, [from, to]: [f64; 2]| (value - from) / (to - from).max(1e-12);
        let [width, height] = self.size;
        [
            AXES[0] + part(x, self.x) * (width - AXES[0] - EDGE[0]),
            height - AXES[1] - part(y, self.y) * (height - AXES[1] - EDGE[1]),
        ]
    }

    /// The edges of the plotting area: left, right, top and bottom, in SVG units.
    pub(crate) fn room(&self) -> [f64; 4] {
        let [width, height] = self.size;
        [AXES[0], width - EDGE[0], EDGE[1], height - AXES[1]]
    }

    /// The plot as an `svg` element.
    pub(crate) fn plot(&self, marks: &[Mark<'_>]) -> String {
        let [width, height] = self.size;
        let mut svg = format!(
            "<svg viewBox=\"0 0 {width} {height}\" role=\"img\" aria-label=\"{}\">",
            escaped(&self.title)
        );
        self.grid(&mut svg);
        for mark in marks {
            self.mark(&mut svg, mark);
        }
        svg += "</svg>";
        svg
    }

    fn mark(&self, svg: &mut String, mark: &Mark<'_>) {
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

    fn grid(&self, svg: &mut String) {
        let [width, height] = self.size;
        let [left, right, _, bottom] = self.room();
        let [across, up] = &self.ticks;
        for (value, label) in up {
            let [_, at] = self.place([self.x[0], *value]);
            _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{left:.1}\" x2=\"{right:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"tick\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 5.0,
                at + 3.5,
                escaped(label),
            );
        }
        for (value, label) in across {
            let [at, _] = self.place([*value, self.y[0]]);
            _ = write!(
                svg,
                "<text class=\"tick\" x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                bottom + 13.0,
                escaped(label),
            );
        }
        let [x, y] = self.names.each_ref().map(|name| escaped(name));
        _ = write!(
            svg,
            "<text class=\"axis\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{x}</text>\
             <text class=\"axis\" transform=\"translate(9 {:.1}) rotate(-90)\" text-anchor=\"middle\">{y}</text>",
            f64::midpoint(left, width - EDGE[0]),
            height - 4.0,
            f64::midpoint(EDGE[1], bottom),
        );
    }
}

/// Colours that print well on white and that colour-blind people can distinguish: Okabe and Ito's set, darkened where
/// it is pale. Separate files contain them; pages have their own style.
pub(crate) const PALETTE: [[u8; 3]; 8] = [
    [0x00, 0x72, 0xB2],
    [0xD5, 0x5E, 0x00],
    [0x00, 0x9E, 0x73],
    [0xCC, 0x79, 0xA7],
    [0xE6, 0x9F, 0x00],
    [0x56, 0xB4, 0xE9],
    [0x7A, 0x7A, 0x00],
    [0x44, 0x44, 0x44],
];

/// An entry in a file's legend.
pub(crate) struct Entry {
    pub name: String,
    /// Its index in [`PALETTE`].
    pub color: usize,
    pub dashed: bool,
}

/// Height of a title and of a line of the legend, in SVG units.
const TITLE: f64 = 26.0;
const LEGEND: f64 = 17.0;

/// A plot as a separate SVG file, with a title above and a legend below it. The classes of its marks are `c0`, `c1`,
/// …, indices in [`PALETTE`], and `raw` for thin faint lines.
pub(crate) fn document(frame: &Frame, marks: &[Mark<'_>], legend: &[Entry]) -> String {
    let [width, height] = frame.size;
    let all = TITLE + height + LEGEND * legend.len() as f64 + 10.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{all}\" viewBox=\"0 0 {width} {all}\">\
         <style>text{{font-family:sans-serif;font-size:12px;fill:#333}}.tick,.axis{{font-size:11px;fill:#666}}\
         .grid{{stroke:#e3e6eb}}.line{{fill:none;stroke-width:1.8;stroke-linejoin:round}}\
         .dashed{{stroke-dasharray:5 4}}.raw{{stroke-width:1;opacity:.35}}"
    );
    for (index, [r, g, b]) in PALETTE.iter().enumerate() {
        _ = write!(
            svg,
            ".c{index}{{stroke:#{r:02x}{g:02x}{b:02x}}}.dot.c{index}{{fill:#{r:02x}{g:02x}{b:02x}}}"
        );
    }
    _ = write!(
        svg,
        "</style><rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\
         <text x=\"{}\" y=\"18\" font-weight=\"bold\">{}</text>\
         <svg y=\"{TITLE}\" width=\"{width}\" height=\"{height}\">",
        AXES[0],
        escaped(&frame.title)
    );
    svg += &frame.plot(marks);
    svg += "</svg>";
    for (index, entry) in legend.iter().enumerate() {
        let y = TITLE + height + LEGEND * (index as f64 + 0.5);
        let dashes = if entry.dashed { " dashed" } else { "" };
        _ = write!(
            svg,
            "<line class=\"line c{}{dashes}\" x1=\"{}\" x2=\"{}\" y1=\"{y}\" y2=\"{y}\"/><text x=\"{}\" y=\"{}\">{}</text>",
            entry.color % PALETTE.len(),
            AXES[0],
            AXES[0] + 22.0,
            AXES[0] + 30.0,
            y + 4.0,
            escaped(&entry.name)
        );
    }
    svg += "</svg>\n";
    svg
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
        let frame = axes.frame();
        close(frame.place([0.0, 0.0]), [44.0, 196.0]);
        close(frame.place([1.0, 1.0]), [320.0, 8.0]);
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

    #[test]
    fn a_file_has_its_title_its_style_and_a_legend() {
        let frame = Axes::percent("a & b", ["x", "y"]).frame();
        let line = Mark::Line {
            points: &[[0.0, 0.0], [1.0, 1.0]],
            color: "c1 raw",
            dashed: false,
        };
        let legend = Entry {
            name: "run <1>".to_owned(),
            color: 9,
            dashed: true,
        };
        let svg = document(&frame, &[line], &[legend]);
        assert!(svg.starts_with("<svg xmlns=") && svg.ends_with("</svg>\n"));
        assert!(svg.contains(">a &amp; b</text>") && svg.contains(">run &lt;1&gt;</text>"));
        assert!(svg.contains("class=\"line c1 raw\"") && svg.contains("class=\"line c1 dashed\""));
        assert!(svg.contains(".c1{stroke:#d55e00}"), "{svg}");
    }
}
