//! A plot without dragging, scrolling or zooming, and the lines in it.

use egui::{Vec2, Vec2b, vec2};
use egui_plot::{Line, Plot};

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

/// A line through points, each joined to the next. By default the plot would merge points within a pixel into a band
/// and fill the triangle between a long segment and a steep one.
pub fn plot_line(name: impl Into<String>, points: Vec<[f64; 2]>) -> Line<'static> {
    Line::new(name, points).allow_band(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::theme;

    #[test]
    fn steps_are_drawn_as_lines_and_nothing_is_filled() {
        let ctx = egui::Context::default();
        theme::install(&ctx);
        let mut painted = ctx.run_ui(egui::RawInput::default(), |ui| {
            let t = theme::tokens(ui);
            let plot = fixed_plot(t, "plot", vec2(300.0, 200.0), [0.0, 1.0], [0.0, 1.0]);
            plot.show(ui, |plot| {
                let points = vec![[0.0, 1.0], [1.0, 1.0], [1.0, 0.2]];
                plot.line(plot_line("line", points));
            });
        });
        painted.textures_delta.clear();
        let mut shapes: Vec<egui::Shape> = std::mem::take(&mut painted.shapes)
            .into_iter()
            .map(|of| of.shape)
            .collect();
        let mut lines = 0;
        while let Some(shape) = shapes.pop() {
            match shape {
                egui::Shape::Vec(more) => shapes.extend(more),
                egui::Shape::Path(path) => lines += usize::from(path.points.len() == 3),
                egui::Shape::Band(_) => panic!("a band is filled"),
                _ => {}
            }
        }
        assert_eq!(lines, 1);
    }
}
