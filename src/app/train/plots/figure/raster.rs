//! The image of a plot as PNG: tessellated by egui without a screen, and rasterized here.

use egui::epaint::{ClippedPrimitive, ImageData, ImageDelta, Mesh, Primitive};
use egui::{
    Align2, Color32, ColorImage, Context, CornerRadius, FontFamily, FontId, Painter, Pos2,
    RawInput, Rect, Shape, Stroke, TextureId, pos2, vec2,
};

use super::FigureError;
use super::drawing::Drawing;
use crate::evaluate::svg::PALETTE;

/// Pixels per unit of the plot.
const SCALE: f32 = 2.0;
/// Height of the title and of a line of the legend, units.
const TITLE: f32 = 30.0;
const LEGEND: f32 = 18.0;

fn color(index: usize) -> Color32 {
    let [r, g, b] = PALETTE
        .get(index % PALETTE.len())
        .copied()
        .unwrap_or_default();
    Color32::from_rgb(r, g, b)
}

impl Drawing {
    /// As PNG.
    pub(super) fn png(&self) -> Result<Vec<u8>, FigureError> {
        let [width, height] = self.frame.size.map(|size| size as f32);
        let all = TITLE + height + LEGEND * self.legend.len() as f32 + 10.0;
        let rect = Rect::from_min_size(pos2(0.0, 0.0), vec2(width, all));
        let ctx = Context::default();
        ctx.set_pixels_per_point(SCALE);
        let input = || RawInput {
            screen_rect: Some(rect),
            max_texture_side: Some(4096),
            ..RawInput::default()
        };
        let mut atlas = ColorImage::filled([1, 1], Color32::WHITE);
        let mut shapes = Vec::new();
        // In the first frame the scale is not yet applied.
        for _ in 0..2 {
            let mut output = ctx.run_ui(input(), |ui| self.paint(&ui.ctx().debug_painter()));
            if let Some(changes) = output.textures_delta.set.get(&TextureId::default()) {
                for delta in changes {
                    take(&mut atlas, delta);
                }
            }
            output.textures_delta.clear();
            shapes = std::mem::take(&mut output.shapes);
        }
        let [columns, rows] = [width * SCALE, all * SCALE].map(|size| size.ceil() as usize);
        let mut pixels = vec![[255.0_f32; 3]; columns * rows];
        for ClippedPrimitive { primitive, .. } in ctx.tessellate(shapes, SCALE) {
            if let Primitive::Mesh(mesh) = primitive {
                fill(&mut pixels, [columns, rows], &mesh, &atlas);
            }
        }
        let bytes = pixels
            .iter()
            .flat_map(|pixel| pixel.map(|level| level.round().clamp(0.0, 255.0) as u8))
            .collect();
        let drawing = image::RgbImage::from_raw(columns as u32, rows as u32, bytes)
            .ok_or_else(|| FigureError::Drawing("its size is invalid".to_owned()))?;
        let mut png = std::io::Cursor::new(Vec::new());
        drawing
            .write_to(&mut png, image::ImageFormat::Png)
            .map_err(|error| FigureError::Drawing(error.to_string()))?;
        Ok(png.into_inner())
    }

    fn paint(&self, painter: &Painter) {
        let frame = &self.frame;
        let place = |point| {
            let [x, y] = frame.place(point);
            pos2(x as f32, y as f32 + TITLE)
        };
        let font = |size| FontId::new(size, FontFamily::Proportional);
        let (dark, faint) = (Color32::from_gray(0x33), Color32::from_gray(0x66));
        let [left, right, _, bottom] = frame.room().map(|at| at as f32);
        painter.text(
            pos2(left, 8.0),
            Align2::LEFT_TOP,
            &frame.title,
            font(15.0),
            dark,
        );
        let [across, up] = &frame.ticks;
        let grid = Stroke::new(1.0, Color32::from_gray(0xE4));
        for (value, label) in up {
            let at = place([frame.x[0], *value]);
            painter.hline(left..=right, at.y, grid);
            let at = pos2(left - 5.0, at.y);
            painter.text(at, Align2::RIGHT_CENTER, label, font(11.0), faint);
        }
        for (value, label) in across {
            let at = pos2(place([*value, frame.y[0]]).x, bottom + TITLE + 4.0);
            painter.text(at, Align2::CENTER_TOP, label, font(11.0), faint);
        }
        let middle = pos2(f32::midpoint(left, right), bottom + TITLE + 18.0);
        painter.text(
            middle,
            Align2::CENTER_TOP,
            &frame.names[0],
            font(11.0),
            faint,
        );
        for line in &self.lines {
            let points: Vec<Pos2> = line
                .points
                .iter()
                .map(|at| place(self.within(*at)))
                .collect();
            let color = color(line.color);
            if line.raw {
                painter.line(points, Stroke::new(1.0, color.gamma_multiply(0.35)));
            } else if line.dashed {
                painter.extend(Shape::dashed_line(
                    &points,
                    Stroke::new(2.0, color),
                    5.0,
                    4.0,
                ));
            } else {
                painter.line(points, Stroke::new(2.0, color));
            }
        }
        let below = frame.size[1] as f32 + TITLE;
        for (index, entry) in self.legend.iter().enumerate() {
            let y = below + LEGEND * (index as f32 + 0.5);
            let sample = Rect::from_min_max(pos2(left, y - 1.5), pos2(left + 22.0, y + 1.5));
            painter.rect_filled(sample, CornerRadius::ZERO, color(entry.color));
            if entry.dashed {
                let gap = Rect::from_center_size(sample.center(), vec2(5.0, 4.0));
                painter.rect_filled(gap, CornerRadius::ZERO, Color32::WHITE);
            }
            let at = pos2(left + 30.0, y);
            painter.text(at, Align2::LEFT_CENTER, &entry.name, font(12.0), dark);
        }
    }
}

/// Applies a change to the font texture.
fn take(atlas: &mut ColorImage, delta: &ImageDelta) {
    let ImageData::Color(image) = &delta.image;
    let Some([left, top]) = delta.pos else {
        *atlas = (**image).clone();
        return;
    };
    let width = atlas.size[0];
    for (row, pixels) in image.pixels.chunks(image.size[0].max(1)).enumerate() {
        let from = (top + row) * width + left;
        if let Some(place) = atlas.pixels.get_mut(from..from + pixels.len()) {
            place.copy_from_slice(pixels);
        }
    }
}

/// Fills the triangles of a mesh over the existing pixels; colours are premultiplied, as in egui.
fn fill(pixels: &mut [[f32; 3]], [columns, rows]: [usize; 2], mesh: &Mesh, atlas: &ColorImage) {
    for corners in mesh.indices.as_chunks::<3>().0 {
        let [Some(a), Some(b), Some(c)] = corners.map(|corner| mesh.vertices.get(corner as usize))
        else {
            continue;
        };
        let at = [a, b, c].map(|corner| corner.pos * SCALE);
        let edge = |from: Pos2, to: Pos2, point: Pos2| {
            (to.x - from.x) * (point.y - from.y) - (to.y - from.y) * (point.x - from.x)
        };
        let area = edge(at[0], at[1], at[2]);
        if area.abs() < 1e-6 {
            continue;
        }
        let low = at[0].min(at[1]).min(at[2]);
        let high = at[0].max(at[1]).max(at[2]);
        let range = |low: f32, high: f32, most: usize| {
            low.floor().max(0.0) as usize..(high.ceil().max(0.0) as usize).min(most)
        };
        for row in range(low.y, high.y, rows) {
            for column in range(low.x, high.x, columns) {
                let point = pos2(column as f32 + 0.5, row as f32 + 0.5);
                let parts = [
                    edge(at[1], at[2], point) / area,
                    edge(at[2], at[0], point) / area,
                    edge(at[0], at[1], point) / area,
                ];
                // A point on a common edge of two triangles belongs to one of them.
                if parts.iter().any(|part| *part < 0.0) {
                    continue;
                }
                let mix = |of: fn(&egui::epaint::Vertex) -> f32| -> f32 {
                    let values = [a, b, c].map(of);
                    parts
                        .iter()
                        .zip(values)
                        .map(|(part, value)| part * value)
                        .sum()
                };
                let texel = texel(atlas, mix(|corner| corner.uv.x), mix(|corner| corner.uv.y));
                let channels = [
                    mix(|corner| f32::from(corner.color.r())),
                    mix(|corner| f32::from(corner.color.g())),
                    mix(|corner| f32::from(corner.color.b())),
                    mix(|corner| f32::from(corner.color.a())),
                ];
                let mut over = [0.0; 4];
                for ((over, channel), texel) in over.iter_mut().zip(channels).zip(texel) {
                    *over = channel * texel / 255.0;
                }
                if let Some(pixel) = pixels.get_mut(row * columns + column) {
                    for (level, over_level) in pixel.iter_mut().zip(over) {
                        *level = over_level + *level * (1.0 - over[3] / 255.0);
                    }
                }
            }
        }
    }
}

/// The nearest pixel of a texture: letters are drawn in their own size.
fn texel(atlas: &ColorImage, u: f32, v: f32) -> [f32; 4] {
    let [width, height] = atlas.size;
    let at = |part: f32, size: usize| ((part * size as f32) as usize).min(size.saturating_sub(1));
    let place = at(v, height) * width + at(u, width);
    let pixel = atlas.pixels.get(place).copied().unwrap_or(Color32::WHITE);
    pixel.to_array().map(f32::from)
}
