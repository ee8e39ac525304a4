//! A drawing of a phone: a golden image with the labels that an exported file predicts.

use egui::{
    Align2, CornerRadius, FontFamily, FontId, Rect, Sense, Stroke, StrokeKind, Ui, pos2, vec2,
};

use crate::app::{ImageKey, ImageState, Session, words};
use crate::export::FoundExport;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, color_of, icon_button, image_ui, placeholder};

/// Its width, points.
pub(super) const WIDTH: f32 = 196.0;
/// Its height, points.
const HEIGHT: f32 = 372.0;
/// Space between the edge and the screen, points.
const BEZEL: f32 = 7.0;
/// The number of labels below the image.
const LABELS: usize = 3;

/// State of the painting.
#[derive(Default)]
pub(super) struct View {
    /// Index of the golden image.
    example: usize,
}

/// Paints the phone, and below it the buttons for the other images.
pub(super) fn phone_ui(
    ui: &mut Ui,
    session: &Session,
    export: &FoundExport,
    file: &str,
    view: &mut View,
) {
    let t = tokens(ui);
    let count = export.examples.len();
    view.example = view.example.min(count.saturating_sub(1));
    let Some(example) = export.examples.get(view.example) else {
        return;
    };
    let top = example.top(file, &export.labels, LABELS);
    let (rect, response) = ui.allocate_exact_size(vec2(WIDTH, HEIGHT), Sense::hover());
    response.widget_info(|| {
        let classes: Vec<String> = top
            .iter()
            .map(|(label, part)| format!("{label} {}", words::percent(*part)))
            .collect();
        egui::WidgetInfo::labeled(
            egui::Role::Image,
            true,
            format!("On a phone: {}", classes.join(", ")),
        )
    });
    let painter = ui.painter().clone();
    painter.rect(
        rect,
        CornerRadius::same(26),
        t.raised,
        Stroke::new(1.5, t.line_strong),
        StrokeKind::Inside,
    );
    let screen = rect.shrink(BEZEL);
    painter.rect_filled(screen, CornerRadius::same(20), t.window);
    let pill = Rect::from_center_size(
        pos2(screen.center().x, screen.top() + 11.0),
        vec2(46.0, 9.0),
    );
    painter.rect_filled(pill, CornerRadius::same(5), t.raised);

    let side = screen.width() - 16.0;
    let image = Rect::from_min_size(
        pos2(screen.left() + 8.0, screen.top() + 26.0),
        vec2(side, side),
    );
    match session.images.get(&ImageKey::Golden(example.path.clone())) {
        ImageState::Ready(texture) => image_ui(ui, image, &texture, theme::RADIUS_LARGE),
        ImageState::Loading => placeholder(ui, image, theme::RADIUS_LARGE, None),
        ImageState::Failed(_) => placeholder(ui, image, theme::RADIUS_LARGE, Some(icons::MISSING)),
    }
    let mut y = image.bottom() + 18.0;
    for (index, (label, part)) in top.iter().enumerate() {
        let left = image.left() + 2.0;
        let right = image.right() - 2.0;
        let size = if index == 0 { 15.0 } else { theme::TYPE_SMALL };
        let color = if index == 0 { t.text } else { t.muted };
        let family = if index == 0 {
            theme::medium()
        } else {
            FontFamily::Proportional
        };
        let percent = words::percent(*part);
        let font = FontId::new(size, family);
        let percent = painter.layout_no_wrap(percent, font.clone(), color);
        let room = right - left - percent.size().x - 8.0;
        let mut job = egui::text::LayoutJob::simple_singleline((*label).to_owned(), font, color);
        job.wrap = egui::text::TextWrapping::truncate_at_width(room);
        let label_width = painter.layout_job(job);
        let height = label_width.size().y;
        painter.galley(pos2(left, y - height / 2.0), label_width, color);
        let at = pos2(right - percent.size().x, y - percent.size().y / 2.0);
        painter.galley(at, percent, color);
        let bar = Rect::from_min_max(pos2(left, y + 12.0), pos2(right, y + 16.0));
        painter.rect_filled(bar, CornerRadius::same(2), t.track);
        let filled = vec2(bar.width() * part.clamp(0.0, 1.0), bar.height());
        if filled.x > 0.5 {
            let fill = color_of(session, label).map_or(t.accent, theme::class_color);
            painter.rect_filled(
                Rect::from_min_size(bar.min, filled),
                CornerRadius::same(2),
                fill,
            );
        }
        y += 38.0;
    }
    if top.is_empty() {
        let font = FontId::new(theme::TYPE_SMALL, FontFamily::Proportional);
        let place = pos2(screen.center().x, y);
        painter.text(
            place,
            Align2::CENTER_CENTER,
            "Expected answer unknown",
            font,
            t.muted,
        );
    }

    ui.add_space(2.0);
    ui.horizontal(|ui| {
        ui.set_width(WIDTH);
        let before = view
            .example
            .checked_sub(1)
            .unwrap_or(count.saturating_sub(1));
        let next = (view.example + 1) % count.max(1);
        if icon_button(ui, icons::ARROW_LEFT, "Previous image", "").clicked() {
            view.example = before;
        }
        let room = ui.available_width() - theme::CONTROL_HEIGHT - 8.0;
        let (middle, _) = ui.allocate_exact_size(vec2(room, theme::CONTROL_HEIGHT), Sense::hover());
        let is_right = top
            .first()
            .is_some_and(|(label, _)| *label == example.class);
        let (words, color) = if is_right {
            (format!("{} of {count}", view.example + 1), t.muted)
        } else {
            (
                format!("labelled {}", words::shorten(&example.class, 12)),
                t.danger,
            )
        };
        let font = FontId::new(theme::TYPE_SMALL, FontFamily::Proportional);
        ui.painter()
            .text(middle.center(), Align2::CENTER_CENTER, words, font, color);
        if icon_button(ui, icons::ARROW_RIGHT, "Next image", "").clicked() {
            view.example = next;
        }
    });
    let what = widgets::faint(t, format!("A golden image, with the answer of {file}"));
    ui.add(egui::Label::new(what).wrap());
}
