//! Histograms over the steps of a training, as ridges one behind the other or as bands of percentiles.

use egui::epaint::{Mesh, Vertex, WHITE_UV};
use egui::{
    Align2, Color32, FontFamily, FontId, Painter, Pos2, Rect, Sense, Shape, Stroke, Ui, pos2, vec2,
};

use crate::app::axes::{marks, plain};
use crate::app::words;
use crate::train::metrics::Bucket;
use crate::train::{At, Histogram};
use crate::ui::theme::tokens;

/// The most ridges: more would hide each other.
const RIDGES: usize = 32;
/// The most steps whose percentiles are drawn.
const BANDS: usize = 120;
/// Space for the numbers of the axes, points.
const AXIS: [f32; 2] = [46.0, 18.0];
/// The height of a ridge, in distances between two of them.
const HEIGHT: f32 = 5.0;
/// The percentiles at the edges of the bands, as in `TensorBoard`: at 0, 0.5, 1 and 1.5 standard deviations of a
/// normal distribution on each side, and the ends.
const SHARES: [f64; 9] = [
    0.0, 0.0668, 0.1587, 0.3085, 0.5, 0.6915, 0.8413, 0.9332, 1.0,
];

/// How histograms are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Style {
    /// One behind the other, the newest in front.
    #[default]
    Ridges,
    /// Percentiles over steps.
    Bands,
}

/// At most `most` of the histograms, evenly spread, including the newest.
fn chosen(all: &[At<Histogram>], most: usize) -> Vec<&At<Histogram>> {
    let apart = all.len().div_ceil(most.max(1)).max(1);
    let mut chosen: Vec<&At<Histogram>> = all.iter().rev().step_by(apart).collect();
    chosen.reverse();
    chosen
}

/// Paints the histograms of a tensor in the available space; returns how many histograms were visited.
pub(super) fn histograms_ui(
    ui: &mut Ui,
    name: &str,
    all: &[At<Histogram>],
    style: Style,
    color: Color32,
) -> usize {
    let size = vec2(ui.available_width(), ui.available_height().max(60.0));
    let (rect, response) = ui.allocate_exact_size(size, Sense::hover());
    response.widget_info(|| {
        let name = match style {
            Style::Ridges => format!("{name} histograms"),
            Style::Bands => format!("{name} distributions"),
        };
        egui::WidgetInfo::labeled(egui::Role::Canvas, true, name)
    });
    let painter = ui.painter().with_clip_rect(ui.clip_rect().intersect(rect));
    let room = Rect::from_min_max(
        rect.min + vec2(AXIS[0], 4.0),
        rect.max - vec2(10.0, AXIS[1]),
    );
    let most = match style {
        Style::Ridges => RIDGES,
        Style::Bands => BANDS,
    };
    let shown = chosen(all, most);
    let low = shown.iter().map(|at| f64::from(at.value.min));
    let high = shown.iter().map(|at| f64::from(at.value.max));
    let [low, high] = [low.fold(f64::MAX, f64::min), high.fold(f64::MIN, f64::max)];
    if shown.is_empty() || low > high {
        return 0;
    }
    let range = if high > low {
        [low, high]
    } else {
        [low - 0.5, high + 0.5]
    };
    let drawing = Drawing {
        ui,
        painter,
        room,
        range,
        color,
    };
    match style {
        Style::Ridges => drawing.ridges(&shown, response.hover_pos()),
        Style::Bands => drawing.bands(&shown),
    }
    shown.len()
}

struct Drawing<'a> {
    ui: &'a Ui,
    painter: Painter,
    room: Rect,
    /// The range of the values.
    range: [f64; 2],
    color: Color32,
}

impl Drawing<'_> {
    fn part(&self, value: f64) -> f32 {
        let [low, high] = self.range;
        ((value - low) / (high - low).max(1e-12)) as f32
    }

    fn text(&self, at: Pos2, align: Align2, text: String) {
        let font = FontId::new(11.0, FontFamily::Proportional);
        self.painter
            .text(at, align, text, font, tokens(self.ui).faint);
    }

    fn ridges(&self, shown: &[&At<Histogram>], pointer: Option<Pos2>) {
        let t = tokens(self.ui);
        let room = self.room;
        for mark in marks(self.range, f64::from((room.width() / 80.0).clamp(2.0, 8.0))) {
            let x = room.left() + self.part(mark.value) * room.width();
            let line = Stroke::new(1.0, t.line);
            self.painter.vline(x, room.y_range(), line);
            let at = pos2(x, room.bottom() + 4.0);
            self.text(at, Align2::CENTER_TOP, plain(mark.value, mark.step));
        }
        // The area of each ridge is its number of values, so heights are densities.
        let density = |bucket: &Bucket| {
            let width = (bucket.right - bucket.left).max((self.range[1] - self.range[0]) / 200.0);
            f64::from(bucket.count) / width
        };
        let highest = shown
            .iter()
            .flat_map(|at| at.value.buckets())
            .map(|bucket| density(&bucket))
            .fold(1e-12, f64::max);
        let apart = room.height() / (shown.len() as f32 + HEIGHT);
        let labels = (shown.len() as f32 / (room.height() / 18.0))
            .ceil()
            .max(1.0) as usize;
        let baseline = |index: usize| room.bottom() - (shown.len() - 1 - index) as f32 * apart;
        let pointed = pointer.filter(|at| room.contains(*at)).map(|at| {
            let from_end = ((room.bottom() - at.y) / apart.max(0.1)).round().max(0.0) as usize;
            shown.len().saturating_sub(1 + from_end)
        });
        for (index, at) in shown.iter().enumerate() {
            let base = baseline(index);
            let x = |value: f64| room.left() + self.part(value) * room.width();
            let mut points = vec![pos2(x(f64::from(at.value.min)), base)];
            for bucket in at.value.buckets() {
                let middle = f64::midpoint(bucket.left, bucket.right);
                let height = (density(&bucket) / highest) as f32 * apart * HEIGHT;
                points.push(pos2(x(middle), base - height));
            }
            points.push(pos2(x(f64::from(at.value.max)), base));
            let newest = index as f32 / shown.len().max(2) as f32;
            let fill = t.panel.lerp_to_gamma(self.color, 0.25 + 0.45 * newest);
            under(&self.painter, &points, base, fill);
            let (width, line) = if pointed == Some(index) {
                (1.6, t.text)
            } else {
                (1.0, t.panel.lerp_to_gamma(self.color, 0.6 + 0.4 * newest))
            };
            self.painter.line(points, Stroke::new(width, line));
            let from_end = shown.len() - 1 - index;
            if from_end.is_multiple_of(labels) || pointed == Some(index) {
                let at_text = pos2(room.left() - 6.0, base);
                if pointed.is_none_or(|pointed| pointed == index) {
                    let step = words::number(u64::from(at.step));
                    self.text(at_text, Align2::RIGHT_CENTER, step);
                }
            }
        }
        if let Some(at) = pointed.and_then(|index| shown.get(index)) {
            self.describe(at);
        }
    }

    /// The text about a histogram, in the top right corner.
    fn describe(&self, at: &At<Histogram>) {
        let text = format!(
            "step {}: mean {:.4}, deviation {:.4}, {:.4} to {:.4}",
            words::number(u64::from(at.step)),
            at.value.mean(),
            at.value.deviation(),
            at.value.min,
            at.value.max
        );
        let corner = self.room.right_top();
        self.text(corner, Align2::RIGHT_TOP, text);
    }

    fn bands(&self, shown: &[&At<Histogram>]) {
        let t = tokens(self.ui);
        let room = self.room;
        for mark in marks(
            self.range,
            f64::from((room.height() / 40.0).clamp(2.0, 5.0)),
        ) {
            let y = room.bottom() - self.part(mark.value) * room.height();
            self.painter
                .hline(room.x_range(), y, Stroke::new(1.0, t.line));
            let at = pos2(room.left() - 6.0, y);
            self.text(at, Align2::RIGHT_CENTER, plain(mark.value, mark.step));
        }
        let last = shown.last().map_or(1.0, |at| f64::from(at.step)).max(1.0);
        let first = shown
            .first()
            .map_or(0.0, |at| f64::from(at.step))
            .min(last - 1.0);
        let x = |step: f64| room.left() + ((step - first) / (last - first)) as f32 * room.width();
        for mark in marks(
            [first, last],
            f64::from((room.width() / 96.0).clamp(2.0, 8.0)),
        ) {
            let at = pos2(x(mark.value), room.bottom() + 4.0);
            let step = words::number(mark.value.max(0.0) as u64);
            self.text(at, Align2::CENTER_TOP, step);
        }
        let lines: Vec<Vec<Pos2>> = SHARES
            .iter()
            .map(|share| {
                let places = shown.iter().map(|at| {
                    let y = room.bottom() - self.part(at.value.quantile(*share)) * room.height();
                    pos2(x(f64::from(at.step)), y)
                });
                places.collect()
            })
            .collect();
        for (index, pair) in lines.windows(2).enumerate() {
            let [below, above] = pair else { continue };
            // The nearer to the middle, the stronger.
            let strength = [0.12, 0.22, 0.34, 0.5, 0.5, 0.34, 0.22, 0.12];
            let strength = strength.get(index).copied().unwrap_or(0.12);
            between(
                &self.painter,
                below,
                above,
                self.color.gamma_multiply(strength),
            );
        }
        for (line, share) in lines.into_iter().zip(SHARES) {
            let middle = (share - 0.5).abs() < 1e-9;
            let (width, strength) = if middle { (2.0, 1.0) } else { (1.0, 0.5) };
            let stroke = Stroke::new(width, self.color.gamma_multiply(strength));
            self.painter.line(line, stroke);
        }
    }
}

/// Fills the area between a line and `base` below it.
fn under(painter: &Painter, points: &[Pos2], base: f32, color: Color32) {
    let below: Vec<Pos2> = points.iter().map(|at| pos2(at.x, base)).collect();
    between(painter, &below, points, color);
}

/// Fills the area between two lines with points at the same places.
fn between(painter: &Painter, below: &[Pos2], above: &[Pos2], color: Color32) {
    let mut mesh = Mesh::default();
    let mut add = |pos: Pos2| {
        mesh.vertices.push(Vertex {
            pos,
            uv: WHITE_UV,
            color,
        });
    };
    for (below, above) in below.iter().zip(above) {
        add(*below);
        add(*above);
    }
    let pairs = below.len().min(above.len()) as u32;
    for pair in 1..pairs {
        let [a, b, c, d] = [2 * pair - 2, 2 * pair - 1, 2 * pair, 2 * pair + 1];
        mesh.add_triangle(a, b, c);
        mesh.add_triangle(b, c, d);
    }
    painter.add(Shape::mesh(mesh));
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    #[test]
    fn the_newest_histogram_is_always_among_those_that_are_drawn() {
        let all: Vec<At<Histogram>> = (1..=1000)
            .map(|step| At {
                step,
                secs: 0.0,
                value: Histogram::of(&[0.0, 1.0]).unwrap(),
            })
            .collect();
        for most in [7, 32, 120] {
            let shown = chosen(&all, most);
            assert!(shown.len() <= most && shown.len() * 2 > most);
            assert_eq!(shown.last().map(|at| at.step), Some(1000));
            assert!(shown.is_sorted_by_key(|at| at.step));
        }
        assert_eq!(chosen(&all[..3], 32).len(), 3);
        assert!(chosen(&[], 32).is_empty());
    }
}
