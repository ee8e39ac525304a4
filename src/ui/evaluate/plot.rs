//! Plots of percentages over a percentage or a number, without zooming or dragging.

use egui::{FontFamily, FontId, Rangef, Ui, vec2};
use egui_plot::{AxisHints, PlotUi, uniform_grid_spacer};

use crate::ui::theme::tokens;
use crate::ui::widgets::{self, fixed_plot};

/// The ranges and labels of a plot.
pub struct Axes<'a> {
    /// Its identity on the page.
    pub id: &'a str,
    /// The title above it.
    pub title: &'a str,
    /// The labels of the horizontal and vertical axis.
    pub names: [&'a str; 2],
    /// Ends of the horizontal axis.
    pub x: [f64; 2],
    /// Ends of the vertical axis, as fractions.
    pub y: [f64; 2],
    /// Whether the horizontal axis has percentages too.
    pub x_percent: bool,
    /// Height, points.
    pub height: f32,
}

/// Paints a plot whose axes both go from 0 to 100 %.
pub fn percent_plot(
    ui: &mut Ui,
    id: &str,
    title: &str,
    names: [&str; 2],
    height: f32,
    add: impl FnOnce(&mut PlotUi<'_>),
) {
    let axes = Axes {
        id,
        title,
        names,
        x: [0.0, 1.02],
        y: [0.0, 1.04],
        x_percent: true,
        height,
    };
    plot_ui(ui, &axes, add);
}

/// Paints a plot.
pub fn plot_ui(ui: &mut Ui, axes: &Axes<'_>, add: impl FnOnce(&mut PlotUi<'_>)) {
    let t = tokens(ui);
    ui.vertical(|ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        let [x, y] = axes.names;
        ui.horizontal(|ui| {
            ui.label(widgets::name(axes.title));
            ui.add(egui::Label::new(widgets::faint(t, format!("{y} over {x}"))).truncate());
        });
        let small = FontId::new(11.0, FontFamily::Proportional);
        // The zeros of both axes are in one corner: that of the vertical axis is enough.
        let axis = |hints: AxisHints<'static>, percent: bool, from: f64, spacing: Rangef| {
            hints
                .formatter(move |mark, _| match mark.value {
                    value if !percent => format!("{value}"),
                    corner if corner < from => String::new(),
                    outside if !(-1e-6..=1.000_001).contains(&outside) => String::new(),
                    part => format!("{:.0} %", 100.0 * part),
                })
                .label_spacing(spacing)
                .tick_label_color(t.faint)
                .tick_label_font(small.clone())
        };
        let x_axis = axis(
            AxisHints::new_x(),
            axes.x_percent,
            1e-6,
            Rangef::new(34.0, 44.0),
        );
        let y_axis = axis(
            AxisHints::new_y().min_thickness(40.0),
            true,
            -1e-6,
            Rangef::new(14.0, 18.0),
        );
        let size = vec2(ui.available_width(), axes.height);
        let mut plot = fixed_plot(t, axes.id.to_owned(), size, axes.x, axes.y)
            .custom_x_axes(vec![x_axis])
            .custom_y_axes(vec![y_axis]);
        if axes.x_percent {
            // Lines and numbers at every fifth, all in the same style.
            let fifths = || uniform_grid_spacer(|_| [0.2, 1.0, 5.0]);
            plot = plot.x_grid_spacer(fifths()).y_grid_spacer(fifths());
        }
        plot.show(ui, add);
    });
}
