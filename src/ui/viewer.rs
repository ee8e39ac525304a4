//! One image of a list shown large, over the window: buttons and arrow keys move through the list.

use std::path::Path;

use egui::{Align, Context, CornerRadius, Frame, Id, Key, Layout, Margin, Modal, Sense, Ui, vec2};

use super::Cx;
use super::icons;
use super::theme;
use super::widgets::{self, Zoom, failed_image, icon_button, loading_image};
use crate::app::{ImageState, Session, words};

/// The image that is shown.
pub(super) struct Viewer<'a> {
    /// Identity of the overlay.
    pub id: &'static str,
    /// The title of the image.
    pub title: &'a str,
    /// Its path, the tooltip of its title; the zoom is reset if it changes.
    pub of: &'a str,
    /// Its file.
    pub path: &'a Path,
    /// Its index in the list.
    pub place: usize,
    /// The length of the list.
    pub count: usize,
    /// Height of `above` and `below`, points.
    pub beside: f32,
}

impl Viewer<'_> {
    /// Paints it, with content of the caller above and below the image. Returns the index that is shown next; `None`
    /// closes it.
    pub fn show(
        &self,
        ctx: &Context,
        cx: &mut Cx<'_>,
        session: &Session,
        zoom: &mut Zoom,
        above: impl FnOnce(&mut Ui, &mut Cx<'_>),
        below: impl FnOnce(&mut Ui, &mut Cx<'_>),
    ) -> Option<usize> {
        let room = ctx.content_rect().size();
        let size = vec2((room.x * 0.8).min(1200.0), (room.y * 0.82).min(860.0));
        let style = ctx.global_style();
        let t = if style.visuals.dark_mode {
            &theme::DARK
        } else {
            &theme::LIGHT
        };
        let mut to = Some(self.place);
        let modal = Modal::new(Id::unique(self.id))
            .backdrop_color(t.backdrop)
            .frame(
                Frame::popup(&style)
                    .corner_radius(CornerRadius::same(theme::RADIUS_LARGE))
                    .inner_margin(Margin::same(18)),
            )
            .show(ctx, |ui| {
                ui.set_width(size.x);
                // The same image after it was relabelled.
                zoom.follow(self.of);
                to = self.head_ui(ui, session, zoom);
                above(ui, cx);
                let place = vec2(size.x, size.y - self.beside);
                let (rect, _) = ui.allocate_exact_size(place, Sense::hover());
                let wanted = zoom.wants_all_pixels();
                let (large, all_pixels) = session.images.large(self.path, wanted);
                match large {
                    ImageState::Ready(texture) => {
                        let keys = cx.app.dialog.is_none() && !cx.app.palette;
                        zoom.image_ui(ui, rect, &texture, all_pixels, keys);
                    }
                    ImageState::Loading => loading_image(ui, rect, session, self.path),
                    ImageState::Failed(why) => failed_image(ui, rect, why),
                }
                ui.add_space(4.0);
                below(ui, cx);
            });
        let (back, forth) = ctx.input(|input| {
            (
                input.key_pressed(Key::ArrowLeft),
                input.key_pressed(Key::ArrowRight),
            )
        });
        if modal.should_close() {
            None
        } else if back && self.place > 0 {
            Some(self.place - 1)
        } else if forth && self.place + 1 < self.count {
            Some(self.place + 1)
        } else {
            to
        }
    }

    /// Title and buttons. Returns the index that is shown next.
    fn head_ui(&self, ui: &mut Ui, session: &Session, zoom: &mut Zoom) -> Option<usize> {
        let t = theme::tokens(ui);
        let noun = session.noun();
        let mut to = Some(self.place);
        ui.horizontal(|ui| {
            ui.label(widgets::title(words::shorten(self.title, 48)))
                .on_hover_text(self.of);
            let place = format!("{} of {}", self.place + 1, self.count);
            ui.label(widgets::faint(t, place));
            ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
                if icon_button(ui, icons::CROSS, "Close", "Close (Esc)").clicked() {
                    to = None;
                }
                let step = |ui: &mut Ui, glyph, name: &str, key, on| {
                    let tip = format!("{name} ({key})");
                    ui.add_enabled_ui(on, |ui| icon_button(ui, glyph, name, &tip))
                        .inner
                        .clicked()
                };
                let name = noun.fill("Next {image}");
                if step(
                    ui,
                    icons::ARROW_RIGHT,
                    &name,
                    "→",
                    self.place + 1 < self.count,
                ) {
                    to = Some(self.place + 1);
                }
                let name = noun.fill("{Image} before");
                if step(ui, icons::ARROW_LEFT, &name, "←", self.place > 0) {
                    to = self.place.checked_sub(1);
                }
                zoom.buttons_ui(ui);
            });
        });
        to
    }
}
