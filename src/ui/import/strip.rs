//! A preview of the frames that would be extracted from a video, with their timestamps.

use egui::{Align2, CornerRadius, FontFamily, FontId, Rect, Ui, pos2, vec2};

use crate::app::{ImageKey, ImageState, STRIP_FRAMES, Session, expected_frames, words};
use crate::project::{Source, SourceKind};
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{image_within, placeholder};

/// Size of a previewed frame, points.
pub const THUMB: egui::Vec2 = vec2(92.0, 62.0);
const GAP: f32 = 5.0;

/// Paints the strip into `rect`.
pub fn strip_ui(ui: &mut Ui, rect: Rect, session: &Session, source: &Source) {
    let room = ((rect.width() - 78.0 + GAP) / (THUMB.x + GAP))
        .floor()
        .max(1.0) as usize;
    let places = (0..room.min(STRIP_FRAMES)).map(|index| {
        let left = rect.left() + index as f32 * (THUMB.x + GAP);
        Rect::from_min_size(pos2(left, rect.top()), THUMB)
    });
    let (shown, total, waiting) = match source.kind {
        SourceKind::Video => video_ui(ui, session, source, places),
        SourceKind::Photos => photos_ui(ui, session, source, places),
    };
    let t = tokens(ui);
    let x = rect.left() + shown as f32 * (THUMB.x + GAP) + 4.0;
    let more = total.saturating_sub(shown as u64);
    if more > 0 && shown > 0 && !waiting {
        ui.painter().text(
            pos2(x, rect.top() + THUMB.y / 2.0),
            Align2::LEFT_CENTER,
            format!("+ {} more", words::number(more)),
            FontId::new(theme::TYPE_BODY, FontFamily::Proportional),
            t.faint,
        );
    }
}

/// Returns the number of frames shown, the number of all, and whether more will be shown soon.
fn video_ui(
    ui: &mut Ui,
    session: &Session,
    source: &Source,
    places: impl Iterator<Item = Rect>,
) -> (usize, u64, bool) {
    let t = tokens(ui);
    let sampling = &session.import.sampling;
    let strip = session.previews.strip(&source.path, sampling);
    let expected = expected_frames(source.duration_secs, sampling).unwrap_or(0);
    let mut shown = 0;
    let mut waiting = false;
    for (index, place) in places.enumerate() {
        if let Some((time, texture)) = strip.frames.get(index) {
            image_within(ui, place, texture, theme::RADIUS_SMALL);
            stamp(ui, place, &words::timestamp(*time));
            shown += 1;
        } else if !strip.complete && (index as u64) < expected.max(1) {
            placeholder(ui, place, theme::RADIUS_SMALL, None);
            shown += 1;
            waiting = true;
        }
    }
    if shown == 0
        && let Some(warning) = &strip.warning
    {
        let rect = ui.max_rect();
        let galley = ui.painter().layout(
            warning.clone(),
            FontId::new(theme::TYPE_SMALL, FontFamily::Proportional),
            t.danger,
            rect.width(),
        );
        ui.painter().galley(rect.min, galley, t.danger);
    }
    let total = source
        .extracted
        .filter(|_| source.sampling == *sampling)
        .unwrap_or(expected);
    (shown, total.max(shown as u64), waiting)
}

fn photos_ui(
    ui: &mut Ui,
    session: &Session,
    source: &Source,
    places: impl Iterator<Item = Rect>,
) -> (usize, u64, bool) {
    let frames = session
        .snapshot
        .frames
        .list
        .iter()
        .filter(|frame| frame.source.as_ref() == Some(&source.id));
    let mut shown = 0;
    for (place, frame) in places.zip(frames) {
        let key = ImageKey::Thumb(session.root.join(&frame.path));
        match session.images.get(&key) {
            ImageState::Ready(texture) => image_within(ui, place, &texture, theme::RADIUS_SMALL),
            ImageState::Loading => placeholder(ui, place, theme::RADIUS_SMALL, None),
            ImageState::Failed(_) => {
                placeholder(ui, place, theme::RADIUS_SMALL, Some(icons::WARNING));
            }
        }
        shown += 1;
    }
    let total = session.snapshot.counts.source(&source.id);
    (shown, total as u64, false)
}

/// A timestamp in the bottom left corner of an image.
fn stamp(ui: &Ui, place: Rect, words: &str) {
    let t = tokens(ui);
    let galley = ui.painter().layout_no_wrap(
        words.to_owned(),
        FontId::new(10.5, theme::medium()),
        t.on_scrim,
    );
    let size = galley.size() + vec2(8.0, 2.0);
    let rect = Rect::from_min_size(
        pos2(place.left() + 4.0, place.bottom() - size.y - 4.0),
        size,
    );
    ui.painter()
        .rect_filled(rect, CornerRadius::same(4), t.scrim);
    ui.painter()
        .galley(rect.min + vec2(4.0, 1.0), galley, t.on_scrim);
}
