//! Images with round corners that fill a rectangle, or fit in it, without distortion.

use std::path::Path;

use egui::{
    Align2, Color32, CornerRadius, FontFamily, FontId, Rect, Shape, TextureHandle, Ui, UiBuilder,
    Vec2, epaint::RectShape, pos2, vec2,
};

use super::progress::spinner;
use super::zoom::MOST_TO_FIT;
use crate::app::{ImageKey, Session, THUMB_PX};
use crate::ui::theme::{self, tokens};

/// The middle part of an image of `size` that fills a rectangle of `place`, as texture coordinates.
fn cover_uv(size: Vec2, place: Vec2) -> Rect {
    if size.x <= 0.0 || size.y <= 0.0 || place.x <= 0.0 || place.y <= 0.0 {
        return Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    }
    let scale = (place.x / size.x).max(place.y / size.y);
    let part = vec2(place.x / (size.x * scale), place.y / (size.y * scale));
    Rect::from_center_size(pos2(0.5, 0.5), part)
}

/// Paints an image over `rect`.
pub fn image_ui(ui: &Ui, rect: Rect, texture: &TextureHandle, radius: u8) {
    let uv = cover_uv(texture.size_vec2(), rect.size());
    let shape = RectShape::filled(rect, CornerRadius::same(radius), Color32::WHITE)
        .with_texture(texture.id(), uv);
    ui.painter().add(Shape::Rect(shape));
}

/// Paints the whole image within `rect`; the rest is painted like a placeholder.
pub fn image_within(ui: &Ui, rect: Rect, texture: &TextureHandle, radius: u8) {
    let place = within(texture.size_vec2(), rect);
    if place.width() + 0.5 < rect.width() || place.height() + 0.5 < rect.height() {
        placeholder(ui, rect, radius, None);
        image_ui(ui, place, texture, 0);
    } else {
        image_ui(ui, rect, texture, radius);
    }
}

/// The largest rectangle of an image of `size` within `rect`, in the middle.
fn within(size: Vec2, rect: Rect) -> Rect {
    if size.x <= 0.0 || size.y <= 0.0 {
        return rect;
    }
    let scale = (rect.width() / size.x).min(rect.height() / size.y);
    Rect::from_center_size(rect.center(), size * scale)
}

/// Shown while the image in the file `path` is being loaded: its thumbnail, if there is one, in the rectangle of the
/// image within `room`, so that nothing moves when the image is loaded.
pub fn loading_image(ui: &mut Ui, room: Rect, session: &Session, path: &Path) {
    let thumb = session.images.known(&ImageKey::Thumb(path.to_owned()));
    if let Some(texture) = thumb {
        let place = thumbnail_place(texture.size_vec2(), room);
        image_ui(ui, place, &texture, theme::RADIUS_SMALL);
    }
    let place = Rect::from_center_size(room.center(), vec2(28.0, 28.0));
    spinner(&mut ui.new_child(UiBuilder::new().max_rect(place)), 28.0);
}

/// Why an image cannot be shown, instead of the image.
pub fn failed_image(ui: &Ui, room: Rect, why: String) {
    let t = tokens(ui);
    let font = FontId::new(theme::TYPE_BODY, FontFamily::Proportional);
    let galley = ui.painter().layout(why, font, t.danger, room.width());
    let place = Align2::CENTER_CENTER.anchor_size(room.center(), galley.size());
    ui.painter().galley(place.min, galley, t.danger);
}

/// The rectangle of a thumbnail of `size` that replaces its image within `room`, fitted as by [`super::Zoom`].
fn thumbnail_place(size: Vec2, room: Rect) -> Rect {
    let fitted = within(size, room);
    // An image that is smaller than thumbnails is its own thumbnail.
    if size.max_elem() < THUMB_PX as f32 && fitted.width() > MOST_TO_FIT * size.x {
        return Rect::from_center_size(room.center(), MOST_TO_FIT * size);
    }
    fitted
}

/// Paints an empty rectangle with an icon in it.
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
    fn an_image_and_its_thumbnail_have_the_same_place() {
        let room = Rect::from_min_size(pos2(10.0, 20.0), vec2(900.0, 500.0));
        let place = within(vec2(1920.0, 1080.0), room);
        let thumb = thumbnail_place(vec2(288.0, 162.0), room);
        assert!((thumb.size() - place.size()).length() < 0.5, "{thumb}");
        assert_eq!(thumb.center(), place.center());
        // A small image is enlarged by the same factor as later the image itself.
        let small = thumbnail_place(vec2(96.0, 54.0), room);
        assert_eq!(small.size(), vec2(288.0, 162.0));
    }

    #[test]
    fn the_middle_part_fills_the_place() {
        let uv = cover_uv(vec2(1600.0, 900.0), vec2(100.0, 100.0));
        assert!((uv.width() - 0.5625).abs() < 1e-6 && (uv.height() - 1.0).abs() < 1e-6);
        let uv = cover_uv(vec2(900.0, 1600.0), vec2(160.0, 90.0));
        assert!((uv.width() - 1.0).abs() < 1e-6 && uv.height() < 0.33);
    }
}
