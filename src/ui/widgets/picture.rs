//! Pictures with round corners that fill their place without being distorted.

use egui::{
    Align2, Color32, CornerRadius, FontId, Rect, Shape, TextureHandle, Ui, Vec2, epaint::RectShape,
    pos2, vec2,
};

use crate::ui::theme::{self, tokens};

/// The middle part of a picture of `size` that fills a place of `place`, as texture coordinates.
#[must_use]
pub fn cover_uv(size: Vec2, place: Vec2) -> Rect {
    if size.x <= 0.0 || size.y <= 0.0 || place.x <= 0.0 || place.y <= 0.0 {
        return Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    }
    let scale = (place.x / size.x).max(place.y / size.y);
    let part = vec2(place.x / (size.x * scale), place.y / (size.y * scale));
    Rect::from_center_size(pos2(0.5, 0.5), part)
}

/// Paints a picture over `rect`.
pub fn picture(ui: &Ui, rect: Rect, texture: &TextureHandle, radius: u8) {
    let uv = cover_uv(texture.size_vec2(), rect.size());
    let shape = RectShape::filled(rect, CornerRadius::same(radius), Color32::WHITE)
        .with_texture(texture.id(), uv);
    ui.painter().add(Shape::Rect(shape));
}

/// Paints an empty place for a picture, with an icon in it.
pub fn placeholder(ui: &Ui, rect: Rect, radius: u8, glyph: Option<char>) {
    let t = tokens(ui);
    ui.painter()
        .rect_filled(rect, CornerRadius::same(radius), t.raised);
    if let Some(glyph) = glyph {
        let size = (rect.height() * 0.35).clamp(12.0, 28.0);
        ui.painter().text(
            rect.center(),
            Align2::CENTER_CENTER,
            glyph,
            FontId::new(size, theme::icon_family()),
            t.faint,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_part_fills_the_place() {
        let uv = cover_uv(vec2(1600.0, 900.0), vec2(100.0, 100.0));
        assert!((uv.width() - 0.5625).abs() < 1e-6 && (uv.height() - 1.0).abs() < 1e-6);
        let uv = cover_uv(vec2(900.0, 1600.0), vec2(160.0, 90.0));
        assert!((uv.width() - 1.0).abs() < 1e-6 && uv.height() < 0.33);
    }
}
