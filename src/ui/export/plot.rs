//! What a smaller or faster file costs: the models of an export as points, answers kept over size or time.

use egui::{Align, FontFamily, FontId, Layout, Rangef, Stroke, Ui, Vec2, Vec2b, vec2};
use egui_plot::{AxisHints, PlotPoint, PlotPoints, PlotTransform, Points};

use crate::app::words;
use crate::export::{Candidate, FoundExport, ModelCertificate, Search};
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, fixed_plot, toggle_chip};

use super::labels::{self, Dot};

/// Height, points.
const HEIGHT: f32 = 184.0;
/// Radii of the points of models and of the rings of candidates, points.
const DOT: f32 = 4.5;
const RING: f32 = 3.5;

/// State of the painting alone.
#[derive(Default)]
pub(super) struct View {
    /// The horizontal axis is the time of one image instead of the size.
    time: bool,
    /// The vertical axis is top-1 instead of the part of answers that are the run's.
    top1: bool,
}

/// A model in the plot.
struct Point {
    name: String,
    x: f64,
    /// Percent.
    y: f64,
}

/// Paints the plot, where there is more than one model to compare.
pub(super) fn plot_ui(ui: &mut Ui, export: &FoundExport, view: &mut View) {
    let models = &export.certificate.models;
    // One that was timed first.
    let searched = models.iter().filter(|model| model.search.is_some());
    let int8 = searched.max_by_key(|model| model.latency.is_some());
    let search = int8.and_then(|model| model.search.as_ref());
    if models.len() < 2 && search.is_none() {
        return;
    }
    let t = tokens(ui);
    let timed = models
        .iter()
        .filter(|model| model.latency.is_some())
        .count()
        > 1;
    view.time &= timed;
    ui.add_space(2.0);
    ui.horizontal(|ui| {
        ui.label(widgets::name("What it costs"));
        let what = match (view.top1, view.time) {
            (false, false) => "answers that are the run’s, over size",
            (false, true) => "answers that are the run’s, over the time of one image",
            (true, false) => "right answers, over size",
            (true, true) => "right answers, over the time of one image",
        };
        ui.add(egui::Label::new(widgets::faint(t, what)).truncate());
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            let name = "Right answers instead of unchanged ones";
            if toggle_chip(ui, view.top1, "top-1", name)
                .on_hover_text(name)
                .clicked()
            {
                view.top1 = !view.top1;
            }
            let name = "Time of one image instead of size";
            if timed
                && toggle_chip(ui, view.time, "time", name)
                    .on_hover_text(name)
                    .clicked()
            {
                view.time = !view.time;
            }
        });
    });
    let mut points: Vec<Point> = models
        .iter()
        .filter_map(|model| point(model, view))
        .collect();
    points.sort_by(|a, b| a.x.total_cmp(&b.x));
    let tried: Vec<Tried> = int8
        .and_then(|model| Some((model.search.as_ref()?, fp32_ms(model))))
        .map(|(search, fp32)| {
            let candidates = search.candidates.iter();
            candidates.filter_map(|of| tried(of, fp32, view)).collect()
        })
        .unwrap_or_default();
    let all = || points.iter().chain(tried.iter().map(|tried| &tried.point));
    let most = all().map(|point| point.x).fold(0.0, f64::max);
    let least = all().map(|point| point.y).fold(f64::MAX, f64::min);
    let highest = all().map(|point| point.y).fold(0.0, f64::max);
    let margin = ((highest - least) * 0.25).max(0.25);
    let unit = if view.time { "ms" } else { "MB" };
    let small = FontId::new(11.0, FontFamily::Proportional);
    let x_axis = AxisHints::new_x()
        .formatter(move |mark, _| format!("{} {unit}", mark.value))
        .label_spacing(Rangef::new(34.0, 46.0))
        .tick_label_color(t.faint)
        .tick_label_font(small.clone());
    let y_axis = AxisHints::new_y()
        .formatter(|mark, _| match mark.value {
            // There is no such part of anything.
            over if over > 100.000_1 => String::new(),
            percent => format!("{percent:.1} %"),
        })
        .min_thickness(46.0)
        .label_spacing(Rangef::new(14.0, 18.0))
        .tick_label_color(t.faint)
        .tick_label_font(small);
    let id = ("what it costs", &export.dir, view.time, view.top1);
    let size = vec2(ui.available_width(), HEIGHT);
    let [x, y] = [[0.0, most * 1.18], [least - margin, highest + margin]];
    let plot = fixed_plot(t, id, size, x, y)
        .show_grid(Vec2b::new(false, true))
        .custom_x_axes(vec![x_axis])
        .custom_y_axes(vec![y_axis]);
    let shown = plot.show(ui, |plot| {
        for tried in &tried {
            let color = if tried.taken { t.accent } else { t.faint };
            let dot = Points::new(
                tried.point.name.clone(),
                vec![[tried.point.x, tried.point.y]],
            )
            .color(color)
            .filled(false)
            .radius(RING);
            plot.points(dot);
        }
        for point in &points {
            let place = [[point.x, point.y]];
            let dot = Points::new(point.name.clone(), PlotPoints::from_iter(place))
                .color(t.accent)
                .radius(DOT);
            plot.points(dot);
        }
    });
    let rings: Vec<&Point> = tried.iter().map(|tried| &tried.point).collect();
    names_ui(ui, &shown.transform, &points, &rings);
    if let Some(search) = search.filter(|_| !tried.is_empty()) {
        ui.add(egui::Label::new(widgets::faint(t, of_search(search))).wrap());
    }
}

/// What the rings are.
fn of_search(search: &Search) -> String {
    let images = words::count(search.compared_on, "image", "images");
    if let [only] = &search.candidates[..] {
        return format!(
            "Ring: the int8 model on {images} that nothing was fitted on; it was good enough there to try no other ({}).",
            only.name
        );
    }
    let taken = search.candidates.iter().filter(|known| known.taken);
    let taken: Vec<&str> = taken.map(|known| known.name.as_str()).collect();
    format!(
        "Rings: int8 models that were tried, on {images} that nothing was fitted on. Taken: {}.",
        taken.join("; ")
    )
}

/// Paints the names of models beside their points.
fn names_ui(ui: &Ui, transform: &PlotTransform, points: &[Point], rings: &[&Point]) {
    let t = tokens(ui);
    let dot = |point: &Point, radius: f32| Dot {
        center: transform.position_from_point(&PlotPoint::new(point.x, point.y)),
        radius,
    };
    let mut dots: Vec<Dot> = rings.iter().map(|point| dot(point, RING)).collect();
    dots.extend(points.iter().map(|point| dot(point, DOT)));
    let font = FontId::new(theme::TYPE_SMALL, FontFamily::Proportional);
    let painter = ui.painter().with_clip_rect(*transform.frame());
    let texts: Vec<_> = points
        .iter()
        .map(|point| painter.layout_no_wrap(point.name.clone(), font.clone(), t.text))
        .collect();
    let names: Vec<(Vec2, Dot)> = points
        .iter()
        .zip(&texts)
        .map(|(point, text)| (text.size(), dot(point, DOT)))
        .collect();
    let places = labels::places(&names, &dots, *transform.frame());
    for ((place, (_, dot)), text) in places.iter().zip(&names).zip(texts) {
        // What had to go further away is led back.
        let near = place.clamp(dot.center);
        let away = near - dot.center;
        if away.length() > 3.0 * DOT {
            let from = dot.center + away.normalized() * DOT;
            painter.line_segment([from, near], Stroke::new(1.0, t.line));
        }
        painter.galley(place.min, text, t.text);
    }
}

/// A candidate of the search for an int8 model.
struct Tried {
    point: Point,
    taken: bool,
}

/// The time of the model in fp32 beside which this one was timed, milliseconds.
fn fp32_ms(model: &ModelCertificate) -> Option<f64> {
    let latency = model.latency.as_ref()?;
    Some(latency.median_ms / latency.ratio_to_fp32.max(f64::MIN_POSITIVE))
}

/// `None` where the time is to be shown and was not measured.
fn tried(candidate: &Candidate, fp32_ms: Option<f64>, view: &View) -> Option<Tried> {
    let x = if view.time {
        candidate.latency_ratio? * fp32_ms?
    } else {
        candidate.bytes as f64 / 1e6
    };
    let part = if view.top1 {
        candidate.top1
    } else {
        candidate.agreement
    };
    Some(Tried {
        point: Point {
            name: candidate.name.clone(),
            x,
            y: part * 100.0,
        },
        taken: candidate.taken,
    })
}

fn point(model: &ModelCertificate, view: &View) -> Option<Point> {
    let x = if view.time {
        model.latency.as_ref()?.median_ms
    } else {
        model.bytes as f64 / 1e6
    };
    let part = if view.top1 {
        model.top1
    } else {
        model.top1_agreement
    };
    Some(Point {
        name: model.format.clone(),
        x,
        y: part * 100.0,
    })
}
