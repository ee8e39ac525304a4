//! The price of a smaller or faster file: the models of an export as points, with the fraction of unchanged answers
//! over size or time.

use egui::{Align, Id, Layout, Ui};

use crate::app::words;
use crate::export::{FoundExport, Int8Candidate, ModelCertificate, Search};
use crate::ui::theme::tokens;
use crate::ui::widgets::{self, Mark, Scatter, scatter_ui, toggle_chip};

/// Height, points.
const HEIGHT: f32 = 184.0;
/// Radii of the points of models and of the rings of candidates, points.
const DOT: f32 = 4.5;
const RING: f32 = 3.5;

/// State of the painting.
#[derive(Default)]
pub(super) struct View {
    /// The horizontal axis is the time per image instead of the size.
    time: bool,
    /// The vertical axis is top-1 accuracy instead of the fraction of answers that match the run's.
    top1: bool,
}

/// A model in the plot.
struct Point {
    name: String,
    x: f64,
    /// Per cent.
    y: f64,
}

/// Paints the plot if there are at least two models.
pub(super) fn plot_ui(ui: &mut Ui, export: &FoundExport, view: &mut View) {
    let models = &export.certificate.models;
    // Prefers a model with a measured time.
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
            (false, false) => "answers that match the run, over size",
            (false, true) => "answers that match the run, over time per image",
            (true, false) => "correct answers, over size",
            (true, true) => "correct answers, over time per image",
        };
        ui.add(egui::Label::new(widgets::faint(t, what)).truncate());
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().item_spacing.x = 6.0;
            let name = "Correct answers instead of unchanged ones";
            if toggle_chip(ui, view.top1, "top-1", name)
                .on_hover_text(name)
                .clicked()
            {
                view.top1 = !view.top1;
            }
            let name = "Time per image instead of size";
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
    let mark = |point: &Point, filled: bool, color| Mark {
        name: point.name.clone(),
        x: point.x,
        y: point.y,
        range: None,
        color,
        radius: if filled { DOT } else { RING },
        filled,
        named: filled,
    };
    let rings = tried.iter().map(|tried| {
        let color = if tried.taken { t.accent } else { t.faint };
        mark(&tried.point, false, color)
    });
    let dots = points.iter().map(|point| mark(point, true, t.accent));
    let marks: Vec<Mark> = rings.chain(dots).collect();
    scatter_ui(
        ui,
        &Scatter {
            id: Id::unique(("what it costs", &export.dir, view.time, view.top1)),
            height: HEIGHT,
            unit: if view.time { "ms" } else { "MB" },
            marks: &marks,
            line: &[],
        },
    );
    if let Some(search) = search.filter(|_| !tried.is_empty()) {
        ui.add(egui::Label::new(widgets::faint(t, of_search(search))).wrap());
    }
}

/// The meaning of the rings.
fn of_search(search: &Search) -> String {
    let images = words::count(search.compared_on, "image");
    if let [only] = &search.candidates[..] {
        return format!(
            "Ring: the int8 model on held-out {images}; it was accurate enough, so no other was tried ({}).",
            only.name
        );
    }
    let taken = search.candidates.iter().filter(|known| known.taken);
    let taken: Vec<&str> = taken.map(|known| known.name.as_str()).collect();
    format!(
        "Rings: int8 models that were tried, on held-out {images}. Chosen: {}.",
        taken.join("; ")
    )
}

/// A candidate of the search for an int8 model.
struct Tried {
    point: Point,
    taken: bool,
}

/// The time of the fp32 model that was measured together with this one, milliseconds.
fn fp32_ms(model: &ModelCertificate) -> Option<f64> {
    let latency = model.latency.as_ref()?;
    Some(latency.median_ms / latency.ratio_to_fp32.max(f64::MIN_POSITIVE))
}

/// `None` if the time is to be shown but was not measured.
fn tried(candidate: &Int8Candidate, fp32_ms: Option<f64>, view: &View) -> Option<Tried> {
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
