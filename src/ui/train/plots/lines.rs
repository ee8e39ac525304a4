//! The lines of a plot, and their positions on its horizontal axis.

use egui::Color32;

use super::groups::{PlotOf, Plotted};
use super::{HEAD_PART, View, overlay_color};
use crate::app::{Axis, Budget, Line, LineStretch, Metric, MetricSide, Points, RunEntry, Session};
use crate::train::{RunId, Series};
use crate::ui::theme::{self, Tokens};
use crate::ui::widgets::color_of;

/// The points of a line: those of a run or, for `None`, of the training in progress; of the head alone or of the last
/// part.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct LineKey {
    pub run: Option<RunId>,
    head: bool,
    metric: Metric,
    side: MetricSide,
}

/// What a line shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Of {
    /// The run that is drawn in full.
    Main,
    /// The head alone, before the fine-tuning.
    Head,
    /// A run to compare with.
    Compared,
}

/// The position of a line on the horizontal axis of the plot: `x = origin + (own − end)·scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Place {
    pub origin: f64,
    pub end: f64,
    pub scale: f64,
}

impl Place {
    /// A line that begins at `start` of the axis.
    fn from(start: f64) -> Self {
        Self {
            origin: start,
            end: 0.0,
            scale: 1.0,
        }
    }

    /// A line that is scaled to the `length` before `start`, where it ends.
    fn before(start: f64, end: f64, length: f64) -> Self {
        Self {
            origin: start,
            end,
            scale: length / end.max(1e-9),
        }
    }

    pub fn to_plot(self, own: f64) -> f64 {
        self.origin + (own - self.end) * self.scale
    }

    pub fn to_own(self, x: f64) -> f64 {
        self.end + (x - self.origin) / self.scale.max(1e-12)
    }
}

/// A line to be drawn.
struct Wanted<'a> {
    key: LineKey,
    points: Points<'a>,
    name: String,
    color: Color32,
    dashed: bool,
    of: Of,
    start: f64,
}

/// A line with its text in the legend.
pub(super) struct Shown<'a> {
    pub name: String,
    pub color: Color32,
    pub dashed: bool,
    pub of: Of,
    pub place: Place,
    pub axis: Axis,
    pub line: &'a Line,
}

impl Shown<'_> {
    pub fn width(&self) -> f32 {
        if self.of == Of::Main { 2.0 } else { 1.5 }
    }

    /// The position of a point on the horizontal axis of the plot, by its own place on the line.
    pub fn x(&self, place: usize) -> Option<f64> {
        Some(self.place.to_plot(self.line.x(place, self.axis)?))
    }

    /// Its ends on the horizontal axis of the plot.
    pub fn ends(&self) -> Option<[f64; 2]> {
        Some([self.x(0)?, self.x(self.line.len().checked_sub(1)?)?])
    }

    /// Its own place at `x` of the plot.
    pub fn at(&self, x: f64) -> Option<usize> {
        self.line.at(self.place.to_own(x), self.axis)
    }

    /// The part of it between two positions of the horizontal axis.
    pub fn stretch(&self, [from, to]: [f64; 2]) -> LineStretch {
        let ends = [self.place.to_own(from), self.place.to_own(to)];
        self.line.stretch(ends, self.axis)
    }
}

/// The least end of the horizontal axis: during a training its planned number of steps, so that nothing jumps.
pub(super) fn length(session: &Session) -> f64 {
    let state = &session.train;
    let last = state.main_points().last();
    match (state.view.axis, &state.live) {
        (Axis::Step, Some(live)) => f64::from(live.steps),
        (Axis::Step, None) => last.map_or(1.0, |point| f64::from(point.step)),
        (Axis::Time | Axis::Wall, _) => last.map_or(1.0, |point| point.secs),
    }
}

/// Where the run that is drawn in full begins on the horizontal axis.
pub(super) fn origin(session: &Session) -> f64 {
    let state = &session.train;
    if state.view.axis != Axis::Wall {
        return 0.0;
    }
    if let Some(live) = &state.live {
        return live.begun;
    }
    let main = state.focus.as_ref().and_then(|id| state.run(id));
    let compared = state.overlays.iter().find_map(|id| state.run(id));
    main.or(compared).map_or(0.0, RunEntry::begun)
}

/// The lines of a plot, those in front last; their new points are added.
pub(super) fn lines<'v>(
    t: &Tokens,
    session: &Session,
    view: &'v mut View,
    plot: &Plotted,
    budget: &mut Budget,
) -> Vec<Shown<'v>> {
    let state = &session.train;
    let wanted = wanted(t, session, plot);
    // The points of the run that is drawn in full are added first.
    for line in wanted.iter().rev() {
        let entry = view.lines.entry(line.key.clone()).or_default();
        entry.follow(line.points, state.view.smoothing, budget);
    }
    let axis = state.view.axis;
    let length = length(session) * HEAD_PART;
    wanted
        .into_iter()
        .filter_map(|wanted| {
            let line = view.lines.get(&wanted.key)?;
            let place = match wanted.of {
                Of::Main | Of::Compared => Place::from(wanted.start),
                Of::Head => Place::before(wanted.start, line.end(axis)?, length),
            };
            Some(Shown {
                name: wanted.name,
                color: wanted.color,
                dashed: wanted.dashed,
                of: wanted.of,
                place,
                axis,
                line,
            })
        })
        .collect()
}

/// The lines of a run in full: side, name, colour.
fn sides(t: &Tokens) -> [(MetricSide, &'static str, Color32); 2] {
    [
        (MetricSide::Train, "train", t.accent),
        (MetricSide::Validation, "validation", theme::class_color(0)),
    ]
}

/// Creates the lines of one plot.
struct Lines<'a> {
    t: &'a Tokens,
    session: &'a Session,
    metric: &'a Metric,
    all: Vec<Wanted<'a>>,
}

impl<'a> Lines<'a> {
    fn compared(&mut self, entry: &'a RunEntry, side: MetricSide, points: Points<'a>) {
        let state = &self.session.train;
        let id = &entry.run.id;
        let (color, dashed) = overlay_color(self.t, state.color_of(id));
        self.all.push(Wanted {
            key: LineKey {
                run: Some(id.clone()),
                head: false,
                metric: self.metric.clone(),
                side,
            },
            points,
            name: entry.title(),
            color,
            dashed,
            of: Of::Compared,
            start: match state.view.axis {
                Axis::Wall => entry.begun(),
                Axis::Step | Axis::Time => 0.0,
            },
        });
    }

    fn main(
        &mut self,
        metric: &Metric,
        side: MetricSide,
        head: bool,
        points: Points<'a>,
        (name, color): (&str, Color32),
    ) {
        let state = &self.session.train;
        let run = match &state.live {
            Some(_) => None,
            None => state.focus.clone(),
        };
        let (name, color, of) = if head {
            let name = format!("head, {name}");
            (name, color.gamma_multiply(0.6), Of::Head)
        } else {
            (name.to_owned(), color, Of::Main)
        };
        self.all.push(Wanted {
            key: LineKey {
                run,
                head,
                metric: metric.clone(),
                side,
            },
            points,
            name,
            color,
            dashed: head,
            of,
            start: origin(self.session),
        });
    }
}

fn wanted<'a>(t: &'a Tokens, session: &'a Session, plot: &'a Plotted) -> Vec<Wanted<'a>> {
    let state = &session.train;
    let metric = &plot.metric;
    let mut lines = Lines {
        t,
        session,
        metric,
        all: Vec::new(),
    };
    let side = plot.compared_side();
    for entry in state.runs.iter().rev() {
        let id = &entry.run.id;
        let compared = state.overlays.contains(id) && !state.is_live(id);
        if !compared || !entry.is_found(&state.filter) {
            continue;
        }
        match &plot.of {
            PlotOf::Evaluations => {
                let points = Points::Evaluations(&entry.curves, metric, side);
                lines.compared(entry, side, points);
            }
            PlotOf::Series(_) => {
                let series = Series::new(metric.tag(), side);
                let points = entry.metrics.scalars(&series);
                lines.compared(entry, side, Points::Scalars(points, metric));
            }
            // Runs times classes would be too many lines.
            PlotOf::Classes(_) => {}
        }
    }
    if state.live.is_none() && state.focus.is_none() {
        return lines.all;
    }
    for head in [true, false] {
        let (points, metrics) = if head {
            (state.head_points(), state.head_metrics())
        } else {
            (state.main_points(), state.main_metrics())
        };
        match (&plot.of, metrics) {
            (PlotOf::Evaluations, _) => {
                for (side, name, color) in sides(t) {
                    let points = Points::Evaluations(points, metric, side);
                    lines.main(metric, side, head, points, (name, color));
                }
            }
            (PlotOf::Series(series), Some(metrics)) => {
                for series in series {
                    let points = Points::Scalars(metrics.scalars(series), metric);
                    let named = sides(t).into_iter().find(|(side, ..)| *side == series.side);
                    let style =
                        named.map_or(("this run", t.accent), |(_, name, color)| (name, color));
                    lines.main(metric, series.side, head, points, style);
                }
            }
            (PlotOf::Classes(classes), Some(metrics)) => {
                for (place, class) in classes.iter().enumerate() {
                    let points = Points::Scalars(metrics.scalars(&class.series), &class.metric);
                    let color = color_of(session, &class.name).unwrap_or(place);
                    let style = (class.name.as_str(), theme::class_color(color));
                    lines.main(&class.metric, class.series.side, head, points, style);
                }
            }
            (_, None) => {}
        }
    }
    lines.all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_heads_line_is_squeezed_before_the_beginning() {
        let place = Place::before(0.0, 4000.0, 20.0);
        for (own, x) in [(0.0, -20.0), (2000.0, -10.0), (4000.0, 0.0)] {
            assert!((place.to_plot(own) - x).abs() < 1e-9);
            assert!((place.to_own(x) - own).abs() < 1e-9);
        }
        let wall = Place::before(1000.0, 4.0, 2.0);
        assert!((wall.to_plot(0.0) - 998.0).abs() < 1e-9);
        let later = Place::from(1e9);
        assert!((later.to_plot(5.0) - 1_000_000_005.0).abs() < 1e-9);
    }
}
