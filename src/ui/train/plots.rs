//! The two plots, accuracy and cross-entropy: raw lines thin and faint, smoothed lines strong, compared
//! runs dashed, the head's own curves before those of a deeper training, and the values under the pointer.

use std::collections::HashMap;
use std::sync::Arc;

use egui::{Align, Color32, FontFamily, FontId, Id, Layout, Rangef, Stroke, Ui, Vec2b, pos2, vec2};
use egui_plot::{AxisHints, Line, LineStyle, Plot, PlotMemory, PlotPoint, PlotPoints, Points};

use super::axes::{HEAD_PART, MARGIN, Span, decades, marks, plain, seconds, span};
use super::baseline::baseline;
use super::legend::{compared_ui, legend_ui};
use super::pointer::{heading, values_at, values_ui};
use crate::app::{Action, Axis, CurveView, Metric, Series, Session, Side, TrainAction, words};
use crate::train::{CurvePoint, RunId};
use crate::ui::Cx;
use crate::ui::theme::{self, Tokens, tokens};
use crate::ui::widgets::{self, chip, panel, slider};

/// Least height of a plot with its title, points: both fit below a long sentence in the smallest window.
const LEAST: f32 = 96.0;

/// State of the painting alone.
#[derive(Default)]
pub struct View {
    /// Where the pointer is on the horizontal axis, in either plot.
    hover: Option<f64>,
    /// Lines as they were last drawn; drawn anew only when something changed.
    lines: HashMap<LineKey, Drawn>,
    /// What is drawn in full, and its axis: something else is not looked at through the same section.
    shown: Option<(Option<RunId>, bool, Axis)>,
}

/// Which points: of a run or, for `None`, of the training in progress; of the head alone or of the last part.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct LineKey {
    run: Option<RunId>,
    head: bool,
    metric: Metric,
    side: Side,
}

struct Drawn {
    points: usize,
    /// Another part of a training may have as many points.
    last: Option<CurvePoint>,
    view: CurveView,
    series: Arc<Series>,
}

/// What a line is of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Of {
    /// The run that is drawn in full.
    Main,
    /// The head alone, before the run went deeper.
    Head {
        /// Its x (steps or seconds) at the end, where what follows begins.
        end: f64,
    },
    /// A run to compare with.
    Compared,
}

/// A line with what the legend says of it.
pub(super) struct Shown {
    pub name: String,
    pub color: Color32,
    pub of: Of,
    pub series: Arc<Series>,
}

impl Shown {
    fn style(&self) -> LineStyle {
        match self.of {
            Of::Main => LineStyle::Solid,
            Of::Head { .. } | Of::Compared => LineStyle::Dashed { length: 6.0 },
        }
    }

    fn width(&self) -> f32 {
        if self.of == Of::Main { 2.0 } else { 1.5 }
    }
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
    let height = ((ui.available_height() - gap) / 2.0).floor().max(LEAST);
    let hover = view.hover.take();
    view.follow(ui, session);
    card_ui(ui, cx, session, view, Metric::Accuracy, height, hover);
    ui.add_space(4.0);
    card_ui(ui, cx, session, view, Metric::CrossEntropy, height, hover);
    // Runs that are gone need no lines any more.
    view.lines.retain(|key, _| {
        key.run
            .as_ref()
            .is_none_or(|id| session.train.run(id).is_some())
    });
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
        // Nothing of it lies over what stands beside it.
        let room = ui.max_rect().expand(14.0);
        ui.shrink_clip_rect(room);
        bar_ui(ui, cx, session, metric);
        let lines = lines(ui, session, view, metric);
        compared_ui(ui, &lines);
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
        // The smoothing needs its room, and the baseline more than the two lines; what does not fit is left out.
        let room = ui.available_width();
        let [least, least_baseline] = match metric {
            Metric::Accuracy => [410.0, 550.0],
            Metric::CrossEntropy => [240.0, 400.0],
        };
        if room > least {
            ui.add_space(6.0);
            let line = baseline(session, metric).filter(|_| room > least_baseline);
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
                    reset_ui(ui, session, metric);
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
                    reset_ui(ui, session, metric);
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

/// The way back from a section of the plot that was zoomed into.
fn reset_ui(ui: &mut Ui, session: &Session, metric: Metric) {
    let id = plot_id(session, metric);
    let Some(mut memory) = PlotMemory::load(ui.ctx(), id) else {
        return;
    };
    if memory.auto_bounds == Vec2b::TRUE {
        return;
    }
    let reset = chip(ui, true, "Reset zoom");
    if reset
        .on_hover_text("Show the whole curves again; so does a double click")
        .clicked()
    {
        memory.auto_bounds = Vec2b::TRUE;
        memory.store(ui.ctx(), id);
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
            let key = LineKey {
                run: Some(entry.run.id.clone()),
                head: false,
                metric,
                side: Side::Validation,
            };
            lines.push(Shown {
                name: entry.title(),
                color: overlay_color(t, index, state.runs.len()),
                of: Of::Compared,
                series: view.series(key, &entry.curves, state.view),
            });
        }
    }
    let main = match &state.live {
        Some(_) => None,
        None => state.focus.clone(),
    };
    if state.live.is_none() && main.is_none() {
        return lines;
    }
    let sides = [
        (Side::Train, "train", t.accent),
        (Side::Validation, "validation", theme::class_color(0)),
    ];
    let length = length(session);
    for (side, name, color) in sides {
        let key = LineKey {
            run: main.clone(),
            head: true,
            metric,
            side,
        };
        let series = view.series(key, state.head_points(), state.view);
        if let Some([end, _]) = series.smooth.last().copied() {
            lines.push(Shown {
                name: format!("head, {name}"),
                color: color.gamma_multiply(0.6),
                of: Of::Head { end },
                series: Arc::new(series.before(end, length * HEAD_PART)),
            });
        }
    }
    for (side, name, color) in sides {
        let key = LineKey {
            run: main.clone(),
            head: false,
            metric,
            side,
        };
        lines.push(Shown {
            name: name.to_owned(),
            color,
            of: Of::Main,
            series: view.series(key, state.main_points(), state.view),
        });
    }
    lines
}

/// How far the horizontal axis goes at least: in steps as long as the training will be, so that nothing jumps.
fn length(session: &Session) -> f64 {
    let state = &session.train;
    let last = state.main_points().last();
    match (state.view.axis, &state.live) {
        (Axis::Step, Some(live)) => f64::from(live.steps),
        (Axis::Step, None) => last.map_or(1.0, |point| f64::from(point.step)),
        (Axis::Time, _) => last.map_or(1.0, |point| point.secs),
    }
}

/// Where the state of a plot is kept: each way to draw has axes of its own.
fn plot_id(session: &Session, metric: Metric) -> Id {
    let CurveView {
        axis,
        log_cross_entropy,
        ..
    } = session.train.view;
    let log = metric == Metric::CrossEntropy && log_cross_entropy;
    Id::unique(("curves", &session.root, metric, axis == Axis::Time, log))
}

impl View {
    /// Leaves the section that was zoomed into when something else is drawn.
    fn follow(&mut self, ui: &Ui, session: &Session) {
        let state = &session.train;
        let deeper = !state.head_points().is_empty();
        let focus = match &state.live {
            Some(_) => None,
            None => state.focus.clone(),
        };
        let shown = Some((focus, deeper, state.view.axis));
        if self.shown == shown {
            return;
        }
        self.shown = shown;
        for metric in [Metric::Accuracy, Metric::CrossEntropy] {
            let id = plot_id(session, metric);
            if let Some(mut memory) = PlotMemory::load(ui.ctx(), id) {
                memory.auto_bounds = Vec2b::TRUE;
                memory.store(ui.ctx(), id);
            }
        }
    }

    fn series(&mut self, key: LineKey, points: &[CurvePoint], view: CurveView) -> Arc<Series> {
        let fresh = self
            .lines
            .get(&key)
            .filter(|drawn| drawn.points == points.len() && drawn.last.as_ref() == points.last())
            .filter(|drawn| drawn.view == view);
        if let Some(drawn) = fresh {
            return Arc::clone(&drawn.series);
        }
        let series = Arc::new(Series::of(points, key.metric, key.side, &view));
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
    let baseline = baseline(session, metric);
    let points = lines.iter().flat_map(|line| {
        let raw = line.series.raw.iter().filter(|_| line.of == Of::Main);
        line.series.smooth.iter().chain(raw).copied()
    });
    let marks = baseline.iter().map(|baseline| [0.0, baseline.y]);
    let span = span(points.chain(marks), metric, log, length(session));
    // The last mark of the axis needs half its width beyond the end.
    let size = vec2(ui.available_width() - 14.0, ui.available_height());
    let plot = plot(t, session, metric, span, size);
    let response = plot.show(ui, |plot| {
        if let Some(baseline) = &baseline {
            baseline.draw(plot, t);
        }
        for line in lines {
            // One or two points make no line that could be seen.
            if line.series.sparse || line.series.smooth.len() < 3 {
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
            if line.of == Of::Main {
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
            plot.line(
                Line::new(
                    line.name.clone(),
                    PlotPoints::from(line.series.smooth.clone()),
                )
                .color(line.color)
                .width(line.width())
                .style(line.style())
                .allow_hover(false),
            );
        }
        plot.response()
            .hovered()
            .then(|| plot.pointer_coordinate().map(|point| point.x))
            .flatten()
    });
    let head = lines.iter().find_map(|line| match line.of {
        Of::Head { end } => Some(end),
        Of::Main | Of::Compared => None,
    });
    if head.is_some() {
        let frame = *response.transform.frame();
        let at = response.transform.position_from_point_x(0.0);
        if frame.x_range().contains(at) {
            ui.painter()
                .vline(at, frame.y_range(), Stroke::new(1.0, t.line));
            let font = FontId::new(11.0, FontFamily::Proportional);
            let words = ui
                .painter()
                .layout_no_wrap("head alone".to_owned(), font, t.faint);
            // Where these curves do not end: accuracy rises, cross-entropy falls.
            let y = match metric {
                Metric::Accuracy => frame.bottom() - 4.0 - words.size().y,
                Metric::CrossEntropy => frame.top() + 4.0,
            };
            let place = pos2(at - 6.0 - words.size().x, y);
            // In a narrow plot it would lie over the numbers of the axis.
            if place.x > frame.left() {
                ui.painter().galley(place, words, t.faint);
            }
        }
    }
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
            let heading = match head {
                Some(end) if x < 0.0 => {
                    let x = head_x(x, end, length(session));
                    format!("head alone, {}", heading(x, curve_view.axis))
                }
                _ => heading(x, curve_view.axis),
            };
            values_ui(ui, frame, at, &heading, metric, &values);
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

/// Steps or seconds of the head's own training at `x` of the plot, where they end at 0.
pub(super) fn head_x(x: f64, end: f64, length: f64) -> f64 {
    let part = 1.0 + x / (length * HEAD_PART).max(1e-9);
    end * part.clamp(0.0, 1.0)
}

/// The empty plot: axes that span `span`, and the grid. It has `size` points, numbers of the axes included.
fn plot<'a>(
    t: &Tokens,
    session: &Session,
    metric: Metric,
    span: Span,
    size: egui::Vec2,
) -> Plot<'a> {
    // So many numbers have room beside each other.
    let [across, up] = [size.x / 96.0, size.y / 40.0];
    let [across, up] = [
        f64::from(across.clamp(2.0, 8.0)),
        f64::from(up.clamp(2.0, 5.0)),
    ];
    let view = session.train.view;
    let small = FontId::new(11.0, FontFamily::Proportional);
    let axis = view.axis;
    let x_axis = AxisHints::new_x()
        .formatter(move |mark, _| match axis {
            // The head has steps of its own there.
            _ if mark.value < 0.0 => String::new(),
            Axis::Step => words::number(mark.value.round() as u64),
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
    Plot::new("curves")
        .id(plot_id(session, metric))
        .width(size.x)
        .show_background(false)
        .show_axes(true)
        .show_grid(Vec2b::new(false, true))
        .grid_color(t.line)
        .grid_spacing(Rangef::new(8.0, 9.0))
        .custom_x_axes(vec![x_axis])
        .custom_y_axes(vec![y_axis])
        .x_grid_spacer(move |input| marks(&input, across))
        .y_grid_spacer(move |input| {
            if log {
                decades(&input)
            } else {
                marks(&input, up)
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
        .set_margin_fraction(MARGIN.into())
        .min_size(vec2(64.0, 40.0))
        .include_x(span.x[0])
        .include_x(span.x[1])
        .include_y(span.y[0])
        .include_y(span.y[1])
}
