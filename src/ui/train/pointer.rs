//! What the plots say of the place under the pointer.

use egui::{
    Align2, Color32, CornerRadius, FontFamily, FontId, Rect, Stroke, StrokeKind, Ui, pos2, vec2,
};

use super::plots::{Of, Shown};
use crate::app::{Axis, Metric, words};
use crate::ui::theme::{self, tokens};

/// Where a line is under the pointer.
pub(super) struct Value {
    name: String,
    pub color: Color32,
    pub point: [f64; 2],
    /// On a linear scale, also when the plot is logarithmic.
    linear: f64,
}

pub(super) fn values_at(lines: &[Shown], x: f64, axis: Axis, log: bool) -> Vec<Value> {
    lines
        .iter()
        // Before the beginning are the steps of the head alone.
        .filter(|line| matches!(line.of, Of::Head { .. }) == (x < 0.0))
        .filter_map(|line| {
            let end = line.series.smooth.last().copied();
            let beyond = line.of == Of::Compared;
            // A compared run that was shorter says where it ended.
            let point = line.series.at(x).or(end.filter(|_| beyond))?;
            let ended = beyond && end == Some(point) && point[0] < x;
            let mut name = match line.of {
                Of::Compared => format!("{}, validation", words::shorten(&line.name, 22)),
                Of::Main => line.name.clone(),
                Of::Head { .. } => line.name.replace("head, ", ""),
            };
            // The nearest measurement may be far from the pointer.
            if (line.series.sparse && x >= 0.0) || ended {
                name = format!("{name} at {}", heading(point[0], axis));
            }
            Some(Value {
                name,
                color: line.color,
                point,
                linear: if log { 10f64.powf(point[1]) } else { point[1] },
            })
        })
        .rev()
        .collect()
}

pub(super) fn heading(x: f64, axis: Axis) -> String {
    match axis {
        Axis::Step => format!("step {}", words::number(x.max(0.0).round() as u64)),
        Axis::Time => format!("{x:.1} s"),
    }
}

/// The box with the values under the pointer.
pub(super) fn values_ui(
    ui: &Ui,
    frame: Rect,
    x: f32,
    heading: &str,
    metric: Metric,
    values: &[Value],
) {
    if values.is_empty() {
        return;
    }
    let t = tokens(ui);
    let font = FontId::new(11.5, FontFamily::Proportional);
    let painter = ui.painter();
    let lay = |text: String, color| painter.layout_no_wrap(text, font.clone(), color);
    let title = lay(heading.to_owned(), t.faint);
    let rows: Vec<_> = values
        .iter()
        .map(|value| {
            let text = match metric {
                Metric::Accuracy => format!("{:.1} %", value.linear),
                Metric::CrossEntropy => format!("{:.3}", value.linear),
            };
            (
                value.color,
                lay(value.name.clone(), t.text),
                lay(text, t.text),
            )
        })
        .collect();
    let names = rows.iter().map(|row| row.1.size().x).fold(0.0, f32::max);
    let figures = rows.iter().map(|row| row.2.size().x).fold(0.0, f32::max);
    let width = (names + figures + 24.0 + 14.0 + 20.0).max(title.size().x + 24.0);
    let height = 22.0 + rows.len() as f32 * 18.0 + 8.0;
    // Right of the line, or left of it where there is no room.
    let left = if x + 12.0 + width <= frame.right() {
        x + 12.0
    } else {
        (x - 12.0 - width).max(frame.left())
    };
    let top = (frame.center().y - height / 2.0).max(frame.top());
    let rect = Rect::from_min_size(pos2(left, top), vec2(width, height));
    painter.rect(
        rect,
        CornerRadius::same(theme::RADIUS),
        t.window,
        Stroke::new(1.0, t.line),
        StrokeKind::Inside,
    );
    painter.galley(rect.min + vec2(12.0, 8.0), title, t.faint);
    for (index, (color, name, figure)) in rows.into_iter().enumerate() {
        let y = rect.top() + 24.0 + index as f32 * 18.0;
        painter.circle_filled(pos2(rect.left() + 16.0, y + 8.0), 3.5, color);
        painter.galley(pos2(rect.left() + 26.0, y), name, t.text);
        let at = pos2(rect.right() - 12.0, y);
        let place = Align2::RIGHT_TOP.anchor_size(at, figure.size());
        painter.galley(place.min, figure, t.text);
    }
}
