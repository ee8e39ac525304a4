//! Pictures with round corners that fill their place, or lie within it, without being distorted.

use egui::{
    Align2, Color32, CornerRadius, FontId, Rect, Shape, TextureHandle, Ui, Vec2, epaint::RectShape,
    pos2, vec2,
};

use crate::ui::theme::{self, tokens};

/// The middle part of a picture of `size` that fills a place of `place`, as texture coordinates.
fn cover_uv(size: Vec2, place: Vec2) -> Rect {
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

/// Paints the whole of a picture within `rect`; what it leaves free is filled as an empty place is.
pub fn picture_within(ui: &Ui, rect: Rect, texture: &TextureHandle, radius: u8) {
    let place = within(texture.size_vec2(), rect);
    if place.width() + 0.5 < rect.width() || place.height() + 0.5 < rect.height() {
        placeholder(ui, rect, radius, None);
        picture(ui, place, texture, 0);
    } else {
        picture(ui, rect, texture, radius);
    }
}

/// Where a picture of `size` lies within `rect`: as large as it can be, in the middle.
fn within(size: Vec2, rect: Rect) -> Rect {
    if size.x <= 0.0 || size.y <= 0.0 {
        return rect;
    }
    let scale = (rect.width() / size.x).min(rect.height() / size.y);
    Rect::from_center_size(rect.center(), size * scale)
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
    fn a_portrait_lies_within_a_landscape_uncropped() {
        let rect = Rect::from_min_size(pos2(10.0, 20.0), vec2(160.0, 120.0));
        let place = within(vec2(90.0, 160.0), rect);
        assert!(rect.expand(1e-3).contains_rect(place));
        assert!((place.width() - 67.5).abs() < 1e-3 && (place.height() - 120.0).abs() < 1e-3);
        assert!((place.center() - rect.center()).length() < 1e-3);
    }

    #[test]
    fn the_middle_part_fills_the_place() {
        let uv = cover_uv(vec2(1600.0, 900.0), vec2(100.0, 100.0));
        assert!((uv.width() - 0.5625).abs() < 1e-6 && (uv.height() - 1.0).abs() < 1e-6);
        let uv = cover_uv(vec2(900.0, 1600.0), vec2(160.0, 90.0));
        assert!((uv.width() - 1.0).abs() < 1e-6 && uv.height() < 0.33);
    }
}
