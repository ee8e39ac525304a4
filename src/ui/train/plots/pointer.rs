//! The values of the plots under the pointer: a table with a row for each run.

use std::sync::Arc;

use egui::{
    Color32, CornerRadius, FontFamily, FontId, Galley, LayerId, Order, Rect, Stroke, StrokeKind,
    Ui, pos2, vec2,
};

use super::lines::{Of, Shown};
use crate::app::{Axis, Metric, Session, axes, words};
use crate::ui::theme::{self, tokens};

/// Height of a row, points.
const ROW: f32 = 18.0;
/// Space at the sides of the table, and between its columns.
const EDGE: f32 = 12.0;
const GAP: f32 = 14.0;

/// The value of a line under the pointer.
pub(super) struct Value {
    name: String,
    pub color: Color32,
    /// Position on the horizontal axis.
    pub x: f64,
    /// As measured and smoothed; per cent for fractions.
    measured: f64,
    pub smooth: f64,
    step: u32,
    secs: f64,
    /// The time when it was measured, seconds since 1970; on the axis with times of day.
    clock: Option<f64>,
    ended: bool,
}

/// The values of all lines at `x`, in descending order, like the lines.
pub(super) fn values_at(lines: &[Shown<'_>], x: f64, session: &Session) -> Vec<Value> {
    let origin = super::lines::origin(session);
    let has_head = lines.iter().any(|line| line.of == Of::Head);
    let wall = session.train.view.axis == Axis::Wall;
    let mut values: Vec<Value> = lines
        .iter()
        // Before the beginning are the steps of the head alone.
        .filter(|line| {
            !has_head || line.of == Of::Compared || (line.of == Of::Head) == (x < origin)
        })
        .filter_map(|line| {
            let last = line.line.len().checked_sub(1);
            let compared = line.of == Of::Compared;
            // For a shorter compared run, its end is shown.
            let beyond = last.filter(|last| compared && line.x(*last).is_some_and(|end| end < x));
            let place = line.at(x).or(beyond)?;
            let found = line.line.value_at(place)?;
            let name = match line.of {
                Of::Compared => words::shorten(&line.name, 26),
                Of::Main | Of::Head => line.name.clone(),
            };
            Some(Value {
                name,
                color: line.color,
                x: line.x(place)?,
                measured: found.value,
                smooth: found.smooth,
                step: found.step,
                secs: found.secs,
                clock: wall.then_some(line.place.origin + found.secs),
                ended: beyond.is_some(),
            })
        })
        .collect();
    values.sort_by(|a, b| b.smooth.total_cmp(&a.smooth));
    values
}

/// Where the values are shown.
pub(super) struct Pointed<'a> {
    /// The plot.
    pub frame: Rect,
    /// The pointer's x on the screen.
    pub at: f32,
    pub metric: &'a Metric,
    /// Whether everything is shown; otherwise only the smoothed values.
    pub whole: bool,
}

struct Cell {
    galley: Arc<Galley>,
    right: bool,
}

/// The table with the values under the pointer, beside it.
pub(super) fn values_ui(ui: &Ui, pointed: &Pointed<'_>, values: &[Value]) {
    if values.is_empty() {
        return;
    }
    let t = tokens(ui);
    let screen = ui.ctx().content_rect().shrink(4.0);
    let font = FontId::new(11.5, FontFamily::Proportional);
    // It may be larger than the plot, and is above everything else.
    let id = ui.scope_id().with(("values", pointed.metric));
    let layer = LayerId::new(Order::Tooltip, id);
    let painter = ui.ctx().layer_painter(layer);
    let lay = |text: String, color| painter.layout_no_wrap(text, font.clone(), color);
    let most = ((screen.height() - 40.0) / ROW).max(1.0) as usize;
    let mut columns = columns(values, pointed, most, &lay, t.text, t.faint);
    let width = |columns: &[Vec<Cell>]| -> f32 {
        let widths = columns.iter().map(|column| column_width(column) + GAP);
        widths.sum::<f32>() - GAP + 2.0 * EDGE + 14.0
    };
    // Columns that do not fit are left out, the least important first.
    while columns.len() > 2 && width(&columns) > screen.width() {
        columns.pop();
    }
    let shown = values.len().min(most);
    let rest = values.len() - shown;
    let lines = shown + 1 + usize::from(rest > 0);
    let size = vec2(width(&columns), lines as f32 * ROW + 12.0);
    // Right of the pointer, or left of it if there is no room.
    let left = if pointed.at + 12.0 + size.x <= screen.right() {
        pointed.at + 12.0
    } else {
        (pointed.at - 12.0 - size.x).max(screen.left())
    };
    let top = (pointed.frame.center().y - size.y / 2.0)
        .clamp(screen.top(), (screen.bottom() - size.y).max(screen.top()));
    let rect = Rect::from_min_size(pos2(left, top), size);
    painter.rect(
        rect,
        CornerRadius::same(theme::RADIUS),
        t.window,
        Stroke::new(1.0, t.line),
        StrokeKind::Inside,
    );
    let row = |index: usize| rect.top() + 6.0 + index as f32 * ROW;
    for (index, value) in values.iter().take(shown).enumerate() {
        let center = pos2(rect.left() + EDGE + 4.0, row(index + 1) + 8.0);
        painter.circle_filled(center, 3.5, value.color);
    }
    let mut x = rect.left() + EDGE + 14.0;
    for column in columns {
        let width = column_width(&column);
        for (index, cell) in column.into_iter().enumerate() {
            let left = if cell.right {
                x + width - cell.galley.size().x
            } else {
                x
            };
            painter.galley(pos2(left, row(index)), cell.galley, t.text);
        }
        x += width + GAP;
    }
    if rest > 0 {
        let more = lay(format!("and {rest} more"), t.faint);
        painter.galley(
            pos2(rect.left() + EDGE + 14.0, row(lines - 1)),
            more,
            t.faint,
        );
    }
}

fn column_width(column: &[Cell]) -> f32 {
    let widths = column.iter().map(|cell| cell.galley.size().x);
    widths.fold(0.0, f32::max)
}

/// The text of a column for a value.
type Text<'a> = Box<dyn Fn(&Value) -> String + 'a>;

/// The columns of the table, with their headings, the most important first.
fn columns(
    values: &[Value],
    pointed: &Pointed<'_>,
    most: usize,
    lay: &dyn Fn(String, Color32) -> Arc<Galley>,
    color: Color32,
    faint: Color32,
) -> Vec<Vec<Cell>> {
    let metric = pointed.metric;
    let mut wanted: Vec<(&str, bool, Text<'_>)> = vec![
        (
            "",
            false,
            Box::new(|value| {
                if value.ended {
                    format!("{}, ended", value.name)
                } else {
                    value.name.clone()
                }
            }),
        ),
        (
            "smoothed",
            true,
            Box::new(|value| metric.text(value.smooth)),
        ),
    ];
    if pointed.whole {
        wanted.push(("value", true, Box::new(|value| metric.text(value.measured))));
    }
    wanted.push((
        "step",
        true,
        Box::new(|value| words::number(u64::from(value.step))),
    ));
    if pointed.whole {
        wanted.push((
            "time",
            true,
            Box::new(|value| match value.clock {
                Some(clock) => axes::clock(clock, 1.0),
                None if value.secs < 60.0 => format!("{:.1} s", value.secs),
                None => words::clock(value.secs),
            }),
        ));
    }
    wanted
        .into_iter()
        .map(|(heading, right, text)| {
            let heading = Cell {
                galley: lay(heading.to_owned(), faint),
                right,
            };
            let rows = values.iter().take(most).map(|value| Cell {
                galley: lay(text(value), color),
                right,
            });
            std::iter::once(heading).chain(rows).collect()
        })
        .collect()
}
