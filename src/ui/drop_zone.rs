//! Files dragged over the window: says what will happen, and accepts them.

use egui::{
    Align2, Context, CornerRadius, FontId, Id, LayerId, Order, Stroke, StrokeKind, pos2, vec2,
};

use super::Cx;
use super::icons;
use super::theme;
use crate::app::{Action, Workspace, words};
use crate::project::Label;

/// Paints the overlay while files hover, and accepts dropped ones.
pub fn drop_zone_ui(ctx: &Context, cx: &mut Cx<'_>) {
    let (hovering, dropped) = ctx.input(|input| {
        (
            !input.raw.hovered_files.is_empty(),
            input
                .raw
                .dropped_files
                .iter()
                .map(|file| file.path().to_owned())
                .filter(|path| !path.as_os_str().is_empty())
                .collect::<Vec<_>>(),
        )
    });
    if !dropped.is_empty() {
        let label = cx.files_on.take();
        cx.act(match label {
            Some(label) => Action::DroppedOn(dropped, label),
            None => Action::Dropped(dropped),
        });
    }
    if !hovering {
        return;
    }
    let t = if ctx.global_style().visuals.dark_mode {
        &theme::DARK
    } else {
        &theme::LIGHT
    };
    let painter = ctx.layer_painter(LayerId::new(Order::Foreground, Id::unique("drop zone")));
    let rect = ctx.content_rect();
    // Files can be dropped on the rows of classes, which must be visible then.
    let rows = cx.files_at.is_some()
        && matches!(cx.app.workspace, Workspace::Import | Workspace::Label)
        && (cx.app.session.as_ref()).is_some_and(|session| !session.classes.is_empty());
    if !rows {
        painter.rect_filled(rect, 0.0, t.backdrop);
    }
    let title = match &cx.files_on {
        Some(Label::Class(name)) => {
            format!("Drop to add to “{}”", words::shorten(name.as_str(), 24))
        }
        Some(Label::Unsorted) => "Drop to add, unsorted".to_owned(),
        None if cx.app.predicts_drops() => "Drop to predict".to_owned(),
        None => "Drop to add".to_owned(),
    };
    let words = match &cx.app.session {
        Some(_) if rows => "Drop on a class to label them with it".to_owned(),
        Some(session) => format!(
            "Videos, photos and folders are imported into “{}”",
            session.name
        ),
        None => "A new project is created for them".to_owned(),
    };
    let card = egui::Rect::from_center_size(rect.center(), vec2(420.0, 190.0));
    let radius = CornerRadius::same(theme::RADIUS_LARGE);
    painter.rect(
        card,
        radius,
        t.panel,
        Stroke::new(2.0, t.accent),
        StrokeKind::Inside,
    );
    painter.text(
        pos2(card.center().x, card.top() + 62.0),
        Align2::CENTER_CENTER,
        icons::IMPORT,
        FontId::new(44.0, theme::icon_family()),
        t.accent_text,
    );
    painter.text(
        pos2(card.center().x, card.top() + 118.0),
        Align2::CENTER_CENTER,
        title,
        FontId::new(theme::TYPE_HEADING, theme::semibold()),
        t.text,
    );
    painter.text(
        pos2(card.center().x, card.top() + 146.0),
        Align2::CENTER_CENTER,
        words,
        FontId::new(theme::TYPE_BODY, egui::FontFamily::Proportional),
        t.muted,
    );
}
