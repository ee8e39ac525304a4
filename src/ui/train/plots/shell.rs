//! A plot: axes and grid, zooming, its lines, and the values under the pointer.

use egui::{FontFamily, FontId, Id, PointerButton, Rangef, Stroke, Ui, Vec2, Vec2b, pos2, vec2};
use egui_plot::{AxisHints, GridInput, GridMark, Plot, PlotTransform};

use super::baseline::{Baseline, baseline};
use super::draw::Canvas;
use super::lines::{Of, Shown, length, origin};
use super::pointer::{Pointed, values_at, values_ui};
use crate::app::axes::{
    AxisMark, clock, clock_marks, clock_offset, decades, marks, plain, power, seconds, span_x,
    span_y, step_marks, without_outliers,
};
use crate::app::{Axis, Metric, Session, words};
use crate::ui::theme::{Tokens, tokens};

/// The margin at each end of the axes, as a fraction of them, so that lines at the ends are fully visible.
const MARGIN: [f32; 2] = [0.015, 0.05];

/// A plot of one quantity.
pub(super) struct Shell<'a> {
    pub session: &'a Session,
    pub metric: &'a Metric,
    pub lines: &'a [Shown<'a>],
    /// The position of the pointer, in this or another plot.
    pub hover: Option<&'a (f64, Metric)>,
}

/// The key for the state of a plot: each way to draw has axes of its own.
pub(super) fn plot_id(session: &Session, metric: &Metric) -> Id {
    let view = &session.train.view;
    Id::unique((
        "curves",
        &session.root,
        metric,
        view.axis,
        view.is_log(metric),
    ))
}

impl Shell<'_> {
    /// Paints it in the available space; returns the position of the pointer on its horizontal axis.
    pub fn show(&self, ui: &mut Ui) -> Option<f64> {
        let t = tokens(ui);
        let view = &self.session.train.view;
        let log = view.is_log(self.metric);
        let baseline = baseline(self.session, self.metric);
        // The last mark of the axis needs half its width beyond the end.
        let size = vec2(ui.available_width() - 14.0, ui.available_height());
        let plot = self.plot(
            t,
            ui.input(|input| input.modifiers.shift),
            size,
            baseline.as_ref(),
        );
        let response = plot.show(ui, |plot| {
            if let Some(baseline) = &baseline {
                baseline.draw(plot, t);
            }
            plot.response()
                .hovered()
                .then(|| plot.pointer_coordinate().map(|point| point.x))
                .flatten()
        });
        let transform = &response.transform;
        let canvas = Canvas {
            painter: ui
                .painter()
                .with_clip_rect(ui.clip_rect().intersect(*transform.frame())),
            transform,
            metric: self.metric,
            log,
        };
        // No lines are drawn if the plot is scrolled out of view.
        if ui.is_rect_visible(*transform.frame()) {
            let visited = canvas.lines(self.lines);
            self.session.train.visit(visited);
        }
        if self.lines.iter().any(|line| line.of == Of::Head) {
            self.head_ui(ui, transform);
        }
        let here = response.inner;
        if let Some(x) = here.or_else(|| self.hover.map(|hover| hover.0)) {
            self.pointed_ui(ui, transform, x, here.is_some());
        }
        let name = format!("{} curves", self.metric.title());
        response
            .response
            .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Canvas, true, &name));
        here
    }

    /// The marks at the pointer, and the values there.
    fn pointed_ui(&self, ui: &Ui, transform: &PlotTransform, x: f64, here: bool) {
        let t = tokens(ui);
        let log = self.session.train.view.is_log(self.metric);
        let frame = *transform.frame();
        let at = transform.position_from_point_x(x);
        // If the plot is scrolled out of view, the values would be without their plot.
        let seen = here || ui.clip_rect().contains(frame.center());
        if !frame.x_range().contains(at) || !seen {
            return;
        }
        let painter = ui.painter().with_clip_rect(ui.clip_rect().intersect(frame));
        painter.vline(at, frame.y_range(), Stroke::new(1.0, t.line_strong));
        let values = values_at(self.lines, x, self.session);
        for value in &values {
            let y = self.metric.height(value.smooth, log);
            let at = pos2(
                transform.position_from_point_x(value.x),
                transform.position_from_point_y(y),
            );
            painter.circle_filled(at, 3.0, value.color);
        }
        let pointed = Pointed {
            frame,
            at,
            metric: self.metric,
            // The other plots show their values in short.
            whole: here,
        };
        values_ui(ui, &pointed, &values);
    }

    /// Where the curves of the head alone end.
    fn head_ui(&self, ui: &Ui, transform: &PlotTransform) {
        let t = tokens(ui);
        let frame = *transform.frame();
        let at = transform.position_from_point_x(origin(self.session));
        if !frame.x_range().contains(at) {
            return;
        }
        let painter = ui.painter();
        painter.vline(at, frame.y_range(), Stroke::new(1.0, t.line));
        let font = FontId::new(11.0, FontFamily::Proportional);
        let words = painter.layout_no_wrap("head alone".to_owned(), font, t.faint);
        // The side where these curves do not end: accuracy rises, cross-entropy falls.
        let y = if self.metric.is_percent() {
            frame.bottom() - 4.0 - words.size().y
        } else {
            frame.top() + 4.0
        };
        let place = pos2(at - 6.0 - words.size().x, y);
        // In a narrow plot it would cover the numbers of the axis.
        if place.x > frame.left() {
            painter.galley(place, words, t.faint);
        }
    }

    /// The range of the vertical axis.
    fn range(&self, baseline: Option<&Baseline>) -> Option<[f64; 2]> {
        let line = baseline.map(|baseline| [baseline.value; 2]);
        let lines = if self.session.train.view.ignore_outliers {
            let values = self.lines.iter().flat_map(|line| line.line.sampled());
            let values: Vec<f64> = values.collect();
            self.session.train.visit(values.len());
            return without_outliers(values).or(line);
        } else {
            let ranges = self
                .lines
                .iter()
                .filter_map(|line| line.line.range(line.of == Of::Main));
            ranges.chain(line)
        };
        lines.reduce(|a, b| [a[0].min(b[0]), a[1].max(b[1])])
    }

    /// The empty plot: axes that span all lines, and the grid. Its `size`, in points, includes the numbers of the
    /// axes.
    fn plot<'p>(
        &self,
        t: &Tokens,
        shift: bool,
        size: Vec2,
        baseline: Option<&Baseline>,
    ) -> Plot<'p> {
        let view = &self.session.train.view;
        let log = view.is_log(self.metric);
        let origin = origin(self.session);
        let ends = self.lines.iter().filter_map(Shown::ends);
        let x = span_x(ends, origin, length(self.session));
        let y = span_y(self.range(baseline), self.metric, log, view.ignore_outliers);
        // The number of marks that fit along each axis.
        let [across, up] = [size.x / 96.0, size.y / 40.0];
        let [across, up] = [
            f64::from(across.clamp(2.0, 8.0)),
            f64::from(up.clamp(2.0, 5.0)),
        ];
        let small = FontId::new(11.0, FontFamily::Proportional);
        let axis = view.axis;
        let head = self.lines.iter().any(|line| line.of == Of::Head);
        let x_axis = AxisHints::new_x()
            .formatter(move |mark, _| match axis {
                // The head has steps of its own there.
                _ if head && mark.value < origin => String::new(),
                Axis::Step => words::number(mark.value.max(0.0).round() as u64),
                Axis::Time => seconds(AxisMark {
                    value: mark.value,
                    step: mark.step_size,
                }),
                Axis::Wall => clock(mark.value, mark.step_size),
            })
            .label_spacing(Rangef::new(50.0, 60.0))
            .tick_label_color(t.faint)
            .tick_label_font(small.clone());
        let percent = self.metric.is_percent();
        let y_axis = AxisHints::new_y()
            .formatter(move |mark, _| {
                if log {
                    power(mark.value)
                } else if percent && mark.value > 99.999 {
                    "100 %".to_owned()
                } else {
                    plain(mark.value, mark.step_size)
                }
            })
            .min_thickness(46.0)
            .label_spacing(Rangef::new(14.0, 18.0))
            .tick_label_color(t.faint)
            .tick_label_font(small);
        let offset = match axis {
            Axis::Wall => clock_offset(origin),
            Axis::Step | Axis::Time => 0.0,
        };
        Plot::new("curves")
            .id(plot_id(self.session, self.metric))
            .width(size.x)
            .height(size.y)
            .show_background(false)
            .show_axes(true)
            .show_grid(Vec2b::new(false, true))
            .grid_color(t.line)
            .grid_spacing(Rangef::new(8.0, 9.0))
            .custom_x_axes(vec![x_axis])
            .custom_y_axes(vec![y_axis])
            .x_grid_spacer(move |input| match axis {
                Axis::Wall => grid(clock_marks(bounds(&input), across, offset)),
                Axis::Step => grid(step_marks(bounds(&input), across)),
                Axis::Time => grid(marks(bounds(&input), across)),
            })
            .y_grid_spacer(move |input| {
                grid(if log {
                    decades(bounds(&input))
                } else {
                    marks(bounds(&input), up)
                })
            })
            .show_x(false)
            .show_y(false)
            // A drag zooms into a section; with Shift, or the middle button, it moves the visible section.
            .allow_drag(true)
            .pan_pointer_button(if shift {
                PointerButton::Primary
            } else {
                PointerButton::Middle
            })
            .allow_boxed_zoom(!shift)
            .boxed_zoom_pointer_button(PointerButton::Primary)
            // The wheel scrolls the column of plots; with Ctrl it zooms.
            .allow_scroll(false)
            .allow_zoom(true)
            .allow_axis_zoom_drag(true)
            .allow_double_click_reset(true)
            .set_margin_fraction(MARGIN.into())
            .min_size(vec2(64.0, 40.0))
            .include_x(x[0])
            .include_x(x[1])
            .include_y(y[0])
            .include_y(y[1])
    }
}

/// The ends of an axis.
fn bounds(input: &GridInput) -> [f64; 2] {
    input.bounds.into()
}

fn grid(marks: Vec<AxisMark>) -> Vec<GridMark> {
    let marks = marks.into_iter().map(|mark| GridMark {
        value: mark.value,
        step_size: mark.step,
    });
    marks.collect()
}
