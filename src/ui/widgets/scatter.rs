//! Percentages over a cost, as named points.

use egui::{Color32, FontFamily, FontId, Id, Rangef, Stroke, Ui, Vec2, Vec2b, vec2};
use egui_plot::{AxisHints, PlotPoint, PlotTransform, Points, uniform_grid_spacer};

use super::labels::{self, Dot};
use super::{fixed_plot, plot_line};
use crate::ui::theme::{self, tokens};

/// A point.
pub struct Mark {
    /// Its name.
    pub name: String,
    /// Its cost, in the unit of the plot.
    pub x: f64,
    /// Per cent.
    pub y: f64,
    /// Its interval, per cent, as a bar.
    pub range: Option<[f64; 2]>,
    /// Its colour.
    pub color: Color32,
    /// Radius, in points of the screen.
    pub radius: f32,
    /// A filled dot instead of a ring.
    pub filled: bool,
    /// Whether its name is beside it.
    pub named: bool,
}

/// Points over a cost.
pub struct Scatter<'a> {
    /// The identity of the plot, different for other axes.
    pub id: Id,
    /// Points of the screen.
    pub height: f32,
    /// The unit of the cost.
    pub unit: &'a str,
    /// Later marks are painted over earlier ones.
    pub marks: &'a [Mark],
    /// A line below the points: the Pareto set.
    pub line: &'a [[f64; 2]],
}

/// Paints it; returns the transform from its points to the screen.
pub fn scatter_ui(ui: &mut Ui, scatter: &Scatter<'_>) -> PlotTransform {
    let t = tokens(ui);
    let marks = scatter.marks;
    let most = marks.iter().map(|mark| mark.x).fold(0.0, f64::max);
    let ends = |mark: &Mark| mark.range.unwrap_or([mark.y; 2]);
    let least = marks.iter().map(|mark| ends(mark)[0].min(mark.y));
    let least = least.fold(f64::MAX, f64::min);
    let highest = marks.iter().map(|mark| ends(mark)[1].max(mark.y));
    let highest = highest.fold(0.0, f64::max);
    let margin = ((highest - least) * 0.25).max(0.25);
    let step = round_step(highest - least + 2.0 * margin);
    let unit = scatter.unit.to_owned();
    let small = FontId::new(11.0, FontFamily::Proportional);
    let x_axis = AxisHints::new_x()
        .formatter(move |mark, _| match mark.value {
            // The corner belongs to the vertical axis.
            corner if corner < 1e-9 => String::new(),
            cost => format!("{cost} {unit}"),
        })
        .label_spacing(Rangef::new(34.0, 46.0))
        .tick_label_color(t.faint)
        .tick_label_font(small.clone());
    let y_axis = AxisHints::new_y()
        .formatter(|mark, _| match mark.value {
            // There are no percentages above 100.
            over if over > 100.000_1 => String::new(),
            percent => format!("{percent:.1} %"),
        })
        .min_thickness(46.0)
        .label_spacing(Rangef::new(14.0, 18.0))
        .tick_label_color(t.faint)
        .tick_label_font(small);
    let size = vec2(ui.available_width(), scatter.height);
    let [x, y] = [[0.0, most * 1.18], [least - margin, highest + margin]];
    let plot = fixed_plot(t, scatter.id, size, x, y)
        .y_grid_spacer(uniform_grid_spacer(move |_| {
            [step, 5.0 * step, 10.0 * step]
        }))
        .show_grid(Vec2b::new(false, true))
        .custom_x_axes(vec![x_axis])
        .custom_y_axes(vec![y_axis]);
    let shown = plot.show(ui, |plot| {
        if scatter.line.len() > 1 {
            let line = plot_line("Pareto", scatter.line.to_vec());
            plot.line(line.color(t.accent.gamma_multiply(0.5)).width(1.5));
        }
        for mark in marks {
            if let Some([low, high]) = mark.range {
                let bar = plot_line(&mark.name, vec![[mark.x, low], [mark.x, high]]);
                let bar = bar.allow_hover(false);
                plot.line(bar.color(mark.color.gamma_multiply(0.45)).width(1.5));
            }
        }
        for mark in marks {
            let dot = Points::new(mark.name.clone(), vec![[mark.x, mark.y]])
                .color(mark.color)
                .filled(mark.filled)
                .radius(mark.radius);
            plot.points(dot);
        }
    });
    names_ui(ui, &shown.transform, marks);
    shown.transform
}

/// The distance of two grid lines, per cent: 1, 2 or 5 times a power of ten, the smallest with at most six lines.
fn round_step(range: f64) -> f64 {
    let steps = (-2..=2).flat_map(|power| [1.0, 2.0, 5.0].map(|of| of * 10_f64.powi(power)));
    let mut enough = steps.filter(|step| range / step <= 6.0);
    enough.next().unwrap_or(20.0)
}

/// Paints the names of points beside them.
fn names_ui(ui: &Ui, transform: &PlotTransform, marks: &[Mark]) {
    let t = tokens(ui);
    let dot = |mark: &Mark| Dot {
        center: transform.position_from_point(&PlotPoint::new(mark.x, mark.y)),
        radius: mark.radius,
    };
    let dots: Vec<Dot> = marks.iter().map(dot).collect();
    let font = FontId::new(theme::TYPE_SMALL, FontFamily::Proportional);
    let painter = ui.painter().with_clip_rect(*transform.frame());
    let named = || marks.iter().filter(|mark| mark.named);
    let texts: Vec<_> = named()
        .map(|mark| painter.layout_no_wrap(mark.name.clone(), font.clone(), t.text))
        .collect();
    let names: Vec<(Vec2, Dot)> = named()
        .zip(&texts)
        .map(|(mark, text)| (text.size(), dot(mark)))
        .collect();
    let places = labels::places(&names, &dots, *transform.frame());
    for ((place, (_, dot)), text) in places.iter().zip(&names).zip(texts) {
        // A line connects a distant name with its point.
        let near = place.clamp(dot.center);
        let away = near - dot.center;
        if away.length() > 3.0 * dot.radius {
            let from = dot.center + away.normalized() * dot.radius;
            painter.line_segment([from, near], Stroke::new(1.0, t.line));
        }
        painter.galley(place.min, text, t.text);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::float_cmp, reason = "steps are round")]

    use super::*;

    #[test]
    fn there_are_a_few_lines() {
        let steps = [0.5, 3.0, 13.0, 60.0, 100.0].map(round_step);
        assert_eq!(steps, [0.1, 0.5, 5.0, 10.0, 20.0]);
    }
}
