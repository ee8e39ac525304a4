//! An image that can be zoomed: wheel, pinch, + and −; it can be dragged if it is larger than its rectangle.

use egui::{
    Color32, Key, Modifiers, Rect, Response, Sense, TextureHandle, TextureId, Ui, Vec2, pos2, vec2,
};

use super::{image_ui, quiet_button, text};
use crate::ui::theme::{self, tokens};

/// The most that a small image is enlarged to fill its rectangle.
pub(super) const MOST_TO_FIT: f32 = 3.0;
/// Largest size of one pixel of the image, points.
const LARGEST_PIXEL: f32 = 16.0;
/// The factor of one press of + or −.
const STEP: f32 = 1.25;

/// The size of an image, and the visible part of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Zoom {
    /// The image that is zoomed; another one starts unzoomed.
    of: String,
    /// Width of the whole image, points; `None` fits it into its rectangle.
    width: Option<f32>,
    /// The point of the image in the middle of its rectangle, as fractions of its width and height.
    center: Vec2,
    /// The zoom to apply when the image is painted next, or once it is loaded in full size.
    wish: Option<Wish>,
    /// Its size when it was last painted, as a fraction of its actual size.
    shown: Option<f32>,
    /// The texture to paint over it next time.
    over: Option<TextureId>,
}

impl Default for Zoom {
    fn default() -> Self {
        Self {
            of: String::new(),
            width: None,
            center: Vec2::splat(0.5),
            wish: None,
            shown: None,
            over: None,
        }
    }
}

/// A request of the user by key or button.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wish {
    By(f32),
    Fit,
    Native,
}

impl Zoom {
    /// Resets zoom and position when another image is shown.
    pub fn follow(&mut self, of: &str) {
        if self.of != of {
            *self = Self {
                of: of.to_owned(),
                over: self.over,
                ..Self::default()
            };
        }
    }

    /// Sets a texture that is painted over the whole image next time.
    pub fn lay_over(&mut self, over: Option<TextureId>) {
        self.over = over;
    }

    /// Whether more pixels are needed than in the loaded version: then the image should be loaded in full size.
    #[must_use]
    pub fn wants_all_pixels(&self) -> bool {
        self.width.is_some() || self.wish == Some(Wish::Native)
    }

    /// Paints the part of the image that is visible in `rect`; `size_px` is the full size of the image if the texture
    /// has all of its pixels. `keys` are handled unless another widget has the focus.
    pub fn image_ui(
        &mut self,
        ui: &mut Ui,
        rect: Rect,
        texture: &TextureHandle,
        all_pixels: bool,
        keys: bool,
    ) -> Response {
        let response = ui.interact(
            rect,
            ui.scope_id().with("enlarged picture"),
            Sense::CLICK | Sense::DRAG,
        );
        let pixel = 1.0 / ui.ctx().pixels_per_point();
        let size_px = texture.size_vec2().max(Vec2::splat(1.0));
        if keys && let Some(wish) = pressed(ui) {
            self.wish = Some(wish);
        }
        let fit = fit_width(size_px, rect.size());
        let native = size_px.x * pixel;
        match self.wish {
            Some(Wish::Native) if all_pixels => self.width = Some(native),
            Some(Wish::By(factor)) => self.by(factor, Vec2::ZERO, size_px, rect.size()),
            Some(Wish::Fit) => self.width = None,
            Some(Wish::Native) | None => {}
        }
        self.wish
            .take_if(|wish| *wish != Wish::Native || all_pixels);
        if response.contains_pointer() {
            let (scroll, pinch, pointer) = ui.input(|input| {
                let pointer = input.pointer.hover_pos();
                (input.smooth_scroll_delta().y, input.zoom_delta(), pointer)
            });
            let factor = pinch * (scroll / 220.0).exp();
            if (factor - 1.0).abs() > 1e-4 {
                let from = pointer.map_or(Vec2::ZERO, |at| at - rect.center());
                self.by(factor, from, size_px, rect.size());
            }
        }
        let most = (size_px.x * LARGEST_PIXEL).max(fit);
        self.width = self.width.map(|width| width.clamp(fit.min(native), most));
        let width = self.width.unwrap_or(fit);
        let shown = size_px * (width / size_px.x);
        if response.dragged() {
            self.center -= response.drag_delta() / shown;
        }
        // An image smaller than its rectangle is in the middle; a larger one leaves no gap.
        let room = rect.size() / shown / 2.0;
        let within = |at: f32, half: f32| {
            if half >= 0.5 {
                0.5
            } else {
                at.clamp(half, 1.0 - half)
            }
        };
        self.center = vec2(within(self.center.x, room.x), within(self.center.y, room.y));
        let place = Rect::from_min_size(rect.center() - self.center * shown, shown);
        let clip = ui.clip_rect();
        ui.set_clip_rect(rect.intersect(clip));
        image_ui(ui, place, texture, theme::RADIUS_SMALL);
        if let Some(over) = self.over.take() {
            let all = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
            ui.painter().image(over, place, all, Color32::WHITE);
        }
        ui.set_clip_rect(clip);
        let larger = shown.x > rect.width() + 0.5 || shown.y > rect.height() + 0.5;
        if larger && response.dragged() {
            ui.ctx().set_cursor_icon(egui::CursorIcon::Grabbing);
        } else if larger && response.hovered() {
            ui.ctx().set_cursor_icon(egui::CursorIcon::Grab);
        }
        self.shown = Some(width / native);
        response.widget_info(|| {
            let words = format!("Image at {:.0} %", width / native * 100.0);
            egui::WidgetInfo::labeled(egui::Role::Image, true, words)
        });
        response
    }

    /// Buttons: smaller, larger, fit, actual pixels. From right to left in a right-to-left layout.
    pub fn buttons_ui(&mut self, ui: &mut Ui) {
        let t = tokens(ui);
        ui.spacing_mut().item_spacing.x = 4.0;
        for (label, name, tip, wish) in [
            (
                "100 %",
                "Actual size",
                "One image pixel per screen pixel",
                Wish::Native,
            ),
            ("Fit", "Fit", "The whole image", Wish::Fit),
            (
                "+",
                "Zoom in",
                "Larger (+, or the wheel); drag to move",
                Wish::By(STEP),
            ),
            (
                "−",
                "Zoom out",
                "Smaller (−, or the wheel)",
                Wish::By(1.0 / STEP),
            ),
        ] {
            let button = quiet_button(ui, None, label).accessible_name(name);
            if button.on_hover_text(tip).clicked() {
                self.wish = Some(wish);
            }
        }
        if let Some(shown) = self.shown {
            ui.label(text::faint(t, format!("{:.0} %", shown * 100.0)));
        }
    }

    /// Zooms by `factor` around the point at `from`, in points from the middle of its rectangle.
    fn by(&mut self, factor: f32, from: Vec2, size_px: Vec2, place: Vec2) {
        let fit = fit_width(size_px, place);
        let before = self.width.unwrap_or(fit);
        let after = before * factor;
        if before > fit && after <= fit {
            self.width = None;
            return;
        }
        let shown = |width: f32| size_px * (width / size_px.x);
        // The point under the pointer stays there.
        self.center += from / shown(before) - from / shown(after);
        self.width = Some(after);
    }
}

/// The width at which an image fits its rectangle.
fn fit_width(size_px: Vec2, place: Vec2) -> f32 {
    let scale = (place.x / size_px.x).min(place.y / size_px.y);
    size_px.x * scale.min(MOST_TO_FIT)
}

fn pressed(ui: &Ui) -> Option<Wish> {
    ui.input_mut(|input| {
        let mut pressed = |key| input.consume_key(Modifiers::NONE, key);
        if pressed(Key::Plus) || pressed(Key::Equals) {
            Some(Wish::By(STEP))
        } else if pressed(Key::Minus) {
            Some(Wish::By(1.0 / STEP))
        } else {
            None
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_enlarged_around_the_pointer_and_fits_again() {
        let (size, place) = (vec2(400.0, 200.0), vec2(800.0, 800.0));
        let mut zoom = Zoom::default();
        assert!((fit_width(size, place) - 800.0).abs() < 1e-3);
        // The middle of the right edge stays under the pointer.
        zoom.by(2.0, vec2(400.0, 0.0), size, place);
        assert_eq!(zoom.width, Some(1600.0));
        let edge = zoom.center.x + 400.0 / 1600.0;
        assert!((edge - 1.0).abs() < 1e-6, "{edge}");
        zoom.by(0.4, Vec2::ZERO, size, place);
        assert_eq!(zoom.width, None);
        assert!((fit_width(vec2(10.0, 10.0), place) - 30.0).abs() < 1e-3);
    }
}
