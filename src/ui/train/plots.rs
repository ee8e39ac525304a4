//! The two plots, accuracy and cross-entropy: raw lines thin and faint, smoothed lines strong, compared
//! runs dashed, and the values under the pointer.

use std::collections::HashMap;
use std::sync::Arc;

use egui::{Align, Color32, FontFamily, FontId, Layout, Rangef, Stroke, Ui, Vec2b, vec2};
use egui_plot::{AxisHints, Line, LineStyle, Plot, PlotPoint, PlotPoints, Points};

use super::axes::{decades, marks, plain, seconds};
use super::baseline::{Baseline, baseline};
use super::pointer::{heading, values_at, values_ui};
use crate::app::{Action, Axis, CurveView, Metric, Series, Session, Side, TrainAction, words};
use crate::train::{CurvePoint, RunId};
use crate::ui::Cx;
use crate::ui::theme::{self, Tokens, tokens};
use crate::ui::widgets::{self, chip, panel, slider};

/// State of the painting alone.
#[derive(Default)]
pub struct View {
    /// Where the pointer is on the horizontal axis, in either plot.
    hover: Option<f64>,
    /// Lines as they were last drawn; drawn anew only when something changed.
    lines: HashMap<LineKey, Drawn>,
}

/// `None` stands for the training in progress.
type LineKey = (Option<RunId>, Metric, Side);

struct Drawn {
    points: usize,
    /// Another part of a training may have as many points.
    last: Option<CurvePoint>,
    view: CurveView,
    series: Arc<Series>,
}

/// A line with what the legend says of it.
pub(super) struct Shown {
    pub name: String,
    pub color: Color32,
    pub dashed: bool,
    pub series: Arc<Series>,
}

/// The colour in which the run at `index` of the list of `count` is compared. Counted from the oldest, so
/// that a new run changes no colour.
pub fn overlay_color(t: &Tokens, index: usize, count: usize) -> Color32 {
    // Sky blue is validation's and orange is too close to the accent.
    match count.saturating_sub(index + 1) % 6 {
        0 => t.muted,
        1 => theme::class_color(2),
        2 => theme::class_color(3),
        3 => theme::class_color(6),
        4 => theme::class_color(4),
        _ => theme::class_color(5),
    }
}

/// Paints both plots, sharing the height there is.
pub fn plots_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    let gap = ui.spacing().item_spacing.y + 4.0;
    let height = ((ui.available_height() - gap) / 2.0).floor().max(150.0);
    let hover = view.hover.take();
    card_ui(ui, cx, session, view, Metric::Accuracy, height, hover);
    ui.add_space(4.0);
    card_ui(ui, cx, session, view, Metric::CrossEntropy, height, hover);
    // Runs that are gone need no lines any more.
    view.lines
        .retain(|(id, ..), _| id.as_ref().is_none_or(|id| session.train.run(id).is_some()));
    if view.hover != hover {
        // The other plot shows the same place.
        ui.ctx().request_repaint();
    }
}

fn card_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    view: &mut View,
    metric: Metric,
    height: f32,
    hover: Option<f64>,
) {
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.set_height(height - 30.0);
        bar_ui(ui, cx, session, metric);
        let lines = lines(ui, session, view, metric);
        if lines.iter().all(|line| line.series.raw.is_empty()) {
            waiting_ui(ui, session);
        } else {
            plot_ui(ui, session, view, metric, &lines, hover);
        }
    });
}

/// The title, and how the curves are drawn.
fn bar_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, metric: Metric) {
    let t = tokens(ui);
    let now = session.train.view;
    let mut next = now;
    ui.horizontal(|ui| {
        ui.set_min_height(theme::CHIP_HEIGHT);
        ui.label(widgets::title(match metric {
            Metric::Accuracy => "Accuracy",
            Metric::CrossEntropy => "Cross-entropy",
        }));
        // The smoothing needs its room; the other plot has the legend too.
        let room = ui.available_width();
        if metric == Metric::CrossEntropy || room > 410.0 {
            ui.add_space(6.0);
            let line = baseline(session, metric);
            let line = line.filter(|_| metric == Metric::CrossEntropy || room > 550.0);
            legend_ui(ui, t, line.as_ref());
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 8.0;
            match metric {
                Metric::Accuracy => {
                    let (label, other) = match now.axis {
                        Axis::Step => ("steps", Axis::Time),
                        Axis::Time => ("time", Axis::Step),
                    };
                    if chip(ui, false, label)
                        .on_hover_text("Draw the curves over steps or over the time spent training")
                        .clicked()
                    {
                        next.axis = other;
                    }
                    ui.label(widgets::small(t, format!("{:.2}", now.smoothing)));
                    slider(
                        ui,
                        "Smoothing",
                        &mut next.smoothing,
                        0.0..=0.99,
                        false,
                        84.0,
                    )
                    .on_hover_text(
                        "How much the strong line is smoothed; the thin line is as measured",
                    );
                    if room > 250.0 {
                        ui.label(widgets::small(t, "smoothing"));
                    }
                }
                Metric::CrossEntropy => {
                    if chip(ui, now.log_cross_entropy, "log")
                        .on_hover_text("A logarithmic scale shows small values better")
                        .clicked()
                    {
                        next.log_cross_entropy = !now.log_cross_entropy;
                    }
                }
            }
        });
    });
    if next != now {
        cx.act(Action::Train(TrainAction::View(next)));
    }
}

fn legend_ui(ui: &mut Ui, t: &Tokens, baseline: Option<&Baseline>) {
    for (color, name) in [(t.accent, "train"), (theme::class_color(0), "validation")] {
        let (rect, _) = ui.allocate_exact_size(vec2(14.0, 12.0), egui::Sense::hover());
        ui.painter().hline(
            rect.left()..=rect.right() - 2.0,
            rect.center().y,
            Stroke::new(2.0, color),
        );
        ui.label(widgets::small(t, name));
    }
    if let Some(baseline) = baseline {
        baseline.legend_ui(ui, t);
    }
}

fn waiting_ui(ui: &mut Ui, session: &Session) {
    let t = tokens(ui);
    let words = if session.train.live.is_some() {
        "The curves begin with the first steps."
    } else if session.train.focus.is_some() {
        "This run has no curves."
    } else {
        "Press Train; the curves appear here while it learns."
    };
    ui.centered_and_justified(|ui| {
        ui.label(widgets::faint(t, words));
    });
}

/// The lines to draw, those in front last.
fn lines(ui: &Ui, session: &Session, view: &mut View, metric: Metric) -> Vec<Shown> {
    let t = tokens(ui);
    let state = &session.train;
    let mut lines = Vec::new();
    for (index, entry) in state.runs.iter().enumerate() {
        if state.overlays.contains(&entry.run.id) && !state.is_live(&entry.run.id) {
            let key = (Some(entry.run.id.clone()), metric, Side::Validation);
            lines.push(Shown {
                name: words::run_title(&entry.run),
                color: overlay_color(t, index, state.runs.len()),
                dashed: true,
                series: view.series(key, &entry.curves, state.view),
            });
        }
    }
    let main = match &state.live {
        Some(_) => None,
        None => state.focus.clone(),
    };
    if state.live.is_some() || main.is_some() {
        for (side, name, color) in [
            (Side::Train, "train", t.accent),
            (Side::Validation, "validation", theme::class_color(0)),
        ] {
            let key = (main.clone(), metric, side);
            lines.push(Shown {
                name: name.to_owned(),
                color,
                dashed: false,
                series: view.series(key, state.main_points(), state.view),
            });
        }
    }
    lines
}

impl View {
    fn series(&mut self, key: LineKey, points: &[CurvePoint], view: CurveView) -> Arc<Series> {
        let fresh = self
            .lines
            .get(&key)
            .filter(|drawn| drawn.points == points.len() && drawn.last.as_ref() == points.last())
            .filter(|drawn| drawn.view == view);
        if let Some(drawn) = fresh {
            return Arc::clone(&drawn.series);
        }
        let series = Arc::new(Series::of(points, key.1, key.2, &view));
        let drawn = Drawn {
            points: points.len(),
            last: points.last().copied(),
            view,
            series: Arc::clone(&series),
        };
        self.lines.insert(key, drawn);
        series
    }
}

fn plot_ui(
    ui: &mut Ui,
    session: &Session,
    view: &mut View,
    metric: Metric,
    lines: &[Shown],
    hover: Option<f64>,
) {
    let t = tokens(ui);
    let curve_view = session.train.view;
    let log = metric == Metric::CrossEntropy && curve_view.log_cross_entropy;
    let plot = plot(t, session, metric);
    // The last mark of the axis needs half its width beyond the end.
    let plot = plot.width(ui.available_width() - 14.0);
    let baseline = baseline(session, metric);
    let response = plot.show(ui, |plot| {
        if let Some(baseline) = &baseline {
            baseline.draw(plot, t);
        }
        for line in lines {
            if line.series.sparse {
                plot.points(
                    Points::new(
                        format!("{} where measured", line.name),
                        PlotPoints::from(line.series.smooth.clone()),
                    )
                    .color(line.color)
                    .radius(2.5)
                    .allow_hover(false),
                );
            }
            if !line.dashed {
                plot.line(
                    Line::new(
                        format!("{} as measured", line.name),
                        PlotPoints::from(line.series.raw.clone()),
                    )
                    .color(line.color.gamma_multiply(0.35))
                    .width(1.0)
                    .allow_hover(false),
                );
            }
        }
        for line in lines {
            let style = if line.dashed {
                LineStyle::Dashed { length: 6.0 }
            } else {
                LineStyle::Solid
            };
            plot.line(
                Line::new(
                    line.name.clone(),
                    PlotPoints::from(line.series.smooth.clone()),
                )
                .color(line.color)
                .width(if line.dashed { 1.5 } else { 2.0 })
                .style(style)
                .allow_hover(false),
            );
        }
        plot.response()
            .hovered()
            .then(|| plot.pointer_coordinate().map(|point| point.x))
            .flatten()
    });
    if let Some(x) = response.inner {
        view.hover = Some(x);
    }
    if let Some(x) = response.inner.or(hover) {
        let transform = response.transform;
        let frame = *transform.frame();
        let at = transform.position_from_point_x(x);
        if frame.x_range().contains(at) {
            let place = |point: [f64; 2]| transform.position_from_point(&PlotPoint::from(point));
            let values = values_at(lines, x, curve_view.axis, log);
            ui.painter()
                .vline(at, frame.y_range(), Stroke::new(1.0, t.line_strong));
            for value in &values {
                ui.painter()
                    .circle_filled(place(value.point), 3.5, value.color);
            }
            values_ui(ui, frame, at, &heading(x, curve_view.axis), metric, &values);
        }
    }
    let name = match metric {
        Metric::Accuracy => "Accuracy curves",
        Metric::CrossEntropy => "Cross-entropy curves",
    };
    response
        .response
        .widget_info(|| egui::WidgetInfo::labeled(egui::Role::Canvas, true, name));
}

/// The empty plot: axes, grid, what is always in sight.
fn plot<'a>(t: &Tokens, session: &Session, metric: Metric) -> Plot<'a> {
    let view = session.train.view;
    let small = FontId::new(11.0, FontFamily::Proportional);
    let axis = view.axis;
    let x_axis = AxisHints::new_x()
        .formatter(move |mark, _| match axis {
            Axis::Step => words::number(mark.value.max(0.0).round() as u64),
            Axis::Time => seconds(mark),
        })
        .label_spacing(Rangef::new(50.0, 60.0))
        .tick_label_color(t.faint)
        .tick_label_font(small.clone());
    let log = metric == Metric::CrossEntropy && view.log_cross_entropy;
    let y_axis = AxisHints::new_y()
        .formatter(move |mark, _| match metric {
            Metric::Accuracy if mark.value > 99.999 => "100 %".to_owned(),
            Metric::CrossEntropy if log => format!("{}", 10f64.powf(mark.value)),
            Metric::Accuracy | Metric::CrossEntropy => plain(mark.value, mark.step_size),
        })
        .min_thickness(46.0)
        .label_spacing(Rangef::new(14.0, 18.0))
        .tick_label_color(t.faint)
        .tick_label_font(small);
    let name = match metric {
        Metric::Accuracy => "accuracy",
        Metric::CrossEntropy => "cross-entropy",
    };
    let mut plot = Plot::new((name, view.axis == Axis::Time, log))
        .show_background(false)
        .show_axes(true)
        .show_grid(Vec2b::new(false, true))
        .grid_color(t.line)
        .grid_spacing(Rangef::new(8.0, 9.0))
        .custom_x_axes(vec![x_axis])
        .custom_y_axes(vec![y_axis])
        .x_grid_spacer(|input| marks(&input, 8.0))
        .y_grid_spacer(move |input| {
            if log {
                decades(&input)
            } else {
                marks(&input, 5.0)
            }
        })
        .show_x(false)
        .show_y(false)
        .allow_drag(false)
        .allow_scroll(false)
        .allow_zoom(false)
        .allow_axis_zoom_drag(false)
        .allow_boxed_zoom(true)
        .boxed_zoom_pointer_button(egui::PointerButton::Primary)
        .allow_double_click_reset(true)
        .set_margin_fraction(vec2(0.0, 0.03))
        .include_x(0.0);
    // While training the axis is as long as it will be, so that nothing jumps.
    if let (Some(live), Axis::Step) = (&session.train.live, view.axis) {
        plot = plot.include_x(f64::from(live.steps));
    }
    match metric {
        Metric::Accuracy => plot.include_y(0.0).include_y(100.0),
        Metric::CrossEntropy if log => plot.include_y(0.0),
        Metric::CrossEntropy => plot.include_y(0.0),
    }
}
