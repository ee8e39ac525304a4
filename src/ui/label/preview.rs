//! One frame large over the grid; the arrows show the next, the class keys work as in the grid.

use egui::{Align, CornerRadius, Layout, Rect, Sense, Sides, Ui, UiBuilder, pos2, vec2};

use crate::app::{Action, CursorMove, ImageState, LabelAction, Session, image_name, words};
use crate::project::Label;
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, Zoom, class_dot, failed_image, icon_button, loading_image};

const BAR: f32 = 48.0;

/// Paints the frame at the cursor over `rect`.
pub fn preview_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, rect: Rect, zoom: &mut Zoom) {
    let t = tokens(ui);
    let Some(path) = &session.label.cursor else {
        return;
    };
    let Some(frame) = session
        .listed()
        .frames
        .list
        .iter()
        .find(|frame| frame.path == *path)
    else {
        return;
    };
    let mut ui = ui.new_child(UiBuilder::new().max_rect(rect));
    let ui = &mut ui;
    // Takes the clicks that would otherwise reach the grid below.
    let back = ui.interact(
        rect,
        ui.scope_id().with("preview"),
        Sense::CLICK | Sense::DRAG,
    );
    ui.painter().rect(
        rect,
        CornerRadius::same(theme::RADIUS_LARGE),
        t.window,
        egui::Stroke::new(1.0, t.line),
        egui::StrokeKind::Inside,
    );
    let bar = Rect::from_min_size(rect.min, vec2(rect.width(), BAR)).shrink2(vec2(14.0, 8.0));
    let mut top = ui.new_child(
        UiBuilder::new()
            .max_rect(bar)
            .layout(Layout::left_to_right(Align::Center)),
    );
    zoom.follow(path);
    bar_ui(&mut top, cx, session, frame, zoom);

    let room =
        Rect::from_min_max(pos2(rect.left(), rect.top() + BAR), rect.max).shrink2(vec2(56.0, 16.0));
    let abs = session.root.join(path);
    let (large, all_pixels) = session.images.large(&abs, zoom.wants_all_pixels());
    match large {
        ImageState::Ready(texture) => {
            let keys = !cx.in_dialog && !ui.ctx().text_edit_focused();
            let shown = zoom.image_ui(ui, room, &texture, all_pixels, keys);
            if shown.double_clicked() {
                cx.act(Action::Label(LabelAction::Preview(false)));
            }
        }
        ImageState::Loading => loading_image(ui, room, session, &abs),
        ImageState::Failed(why) => failed_image(ui, room, why),
    }
    for (glyph, label, x, by) in [
        (
            icons::ARROW_LEFT,
            "Previous {image}",
            rect.left() + 28.0,
            -1,
        ),
        (icons::ARROW_RIGHT, "Next {image}", rect.right() - 28.0, 1),
    ] {
        let place = Rect::from_center_size(pos2(x, room.center().y), vec2(32.0, 32.0));
        let mut side = ui.new_child(UiBuilder::new().max_rect(place));
        if icon_button(&mut side, glyph, &session.noun().fill(label), "").clicked() {
            cx.act(Action::Label(LabelAction::Move(CursorMove::By(by), false)));
        }
    }
    if back.double_clicked() {
        cx.act(Action::Label(LabelAction::Preview(false)));
    }
}

fn bar_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    frame: &crate::project::Frame,
    zoom: &mut Zoom,
) {
    let t = tokens(ui);
    ui.spacing_mut().item_spacing.x = 8.0;
    let (color, name) = match &frame.label {
        Label::Class(name) => (
            Some(session.class(name).map_or(0, |class| class.color)),
            name.as_str(),
        ),
        Label::Unsorted => (None, "unsorted"),
    };
    let source = frame.source.as_ref().and_then(|id| session.source(id));
    let mut parts = Vec::new();
    if let Some(place) = session.place_of(&frame.path) {
        parts.push(format!(
            "{} of {}",
            words::number(place as u64 + 1),
            words::number(session.label.shown.len() as u64)
        ));
    }
    if let Some(time) = frame.time_secs {
        parts.push(words::timestamp(time));
    }
    if frame.time_secs.is_none() {
        parts.push(words::shorten(&image_name(&frame.path), 48));
    } else if let Some(source) = source {
        parts.push(words::shorten(&source.name, 48));
    }
    Sides::new()
        .height(BAR - 16.0)
        .spacing(12.0)
        .shrink_left()
        .truncate()
        .show(
            ui,
            |ui| {
                class_dot(ui, color);
                ui.label(widgets::title(words::shorten(name, 24)));
                ui.label(widgets::muted(t, parts.join(" · ")));
            },
            |ui| {
                let tip = "Close (Space or Escape)";
                if icon_button(ui, icons::CROSS, "Close preview", tip).clicked() {
                    cx.act(Action::Label(LabelAction::Preview(false)));
                }
                zoom.buttons_ui(ui);
            },
        );
}
