//! A plot without dragging, scrolling or zooming.

use egui::{Vec2, Vec2b, vec2};
use egui_plot::Plot;

use crate::ui::theme::Tokens;

/// An empty plot of `size` points, numbers of the axes included, with the fixed ranges `x` and `y`.
pub fn fixed_plot<'a>(
    t: &Tokens,
    id: impl egui::AsIdSalt,
    size: Vec2,
    x: [f64; 2],
    y: [f64; 2],
) -> Plot<'a> {
    Plot::new(id)
        .width(size.x)
        .height(size.y)
        .allow_zoom(Vec2b::FALSE)
        .allow_drag(Vec2b::FALSE)
        .allow_scroll(Vec2b::FALSE)
        .allow_axis_zoom_drag(Vec2b::FALSE)
        .allow_boxed_zoom(false)
        .allow_double_click_reset(false)
        .show_x(false)
        .show_y(false)
        .show_background(false)
        .grid_color(t.line)
        .set_margin_fraction(vec2(0.0, 0.0))
        .include_x(x[0])
        .include_x(x[1])
        .include_y(y[0])
        .include_y(y[1])
}
