//! The training images that are most similar to an evaluated one, beside its probabilities.

use egui::{
    Align2, CornerRadius, FontFamily, FontId, Rect, Sense, Stroke, StrokeKind, Ui, pos2, vec2,
};

use super::figures::source_name;
use crate::app::{Action, ImageKey, ImageState, LabelAction, Near, Nearest, Session, words};
use crate::evaluate::NearImage;
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{self, class_mark, color_of, image_within, placeholder, spinner};

/// Width and height of an image, points.
const IMAGE: egui::Vec2 = vec2(72.0, 52.0);
const GAP: f32 = 8.0;
/// Width of the probabilities beside the images, points.
const PROBABILITIES: f32 = 250.0;

/// The width of the list within the available width; 0 if fewer than three images fit.
pub fn width(room: f32) -> f32 {
    let columns = ((room - PROBABILITIES) / (IMAGE.x + GAP)).floor();
    let columns = columns.min(crate::app::NEAREST as f32);
    if columns < 3.0 {
        0.0
    } else {
        columns * (IMAGE.x + GAP)
    }
}

/// Paints as many of them as fit. The image had the path when it was evaluated, and has another path and label now if
/// it was moved.
pub fn nearest_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    [path, now]: [&str; 2],
    label: &str,
) {
    let t = tokens(ui);
    let noun = session.noun();
    ui.spacing_mut().item_spacing = vec2(GAP, 4.0);
    let title = noun.fill("Nearest training {images}");
    ui.label(widgets::small(t, title)).on_hover_text(noun.fill(
        "The training {images} that are most similar to the backbone, with the cosine of their bottlenecks: 1 is the same {image}. Click one to see it in Label.",
    ));
    match session.nearest.get(&session.evaluate, path, now) {
        Nearest::Loading => {
            spinner(ui, 16.0);
        }
        Nearest::Failed(why) => {
            let words = format!("Cannot be determined: {why}");
            ui.add(egui::Label::new(widgets::faint(t, &words)).truncate())
                .on_hover_text(words);
        }
        Nearest::Ready(near) if near.images.is_empty() => {
            ui.label(widgets::faint(t, "None are left."));
        }
        Nearest::Ready(near) => {
            let fits = (ui.available_width() / (IMAGE.x + GAP)).round() as usize;
            ui.horizontal(|ui| {
                for image in near.images.iter().take(fits) {
                    image_ui(ui, cx, session, &near, image);
                }
            });
            if let Some(words) = near.finding(label, noun) {
                ui.add(egui::Label::new(widgets::small(t, &words).color(t.text)).truncate())
                    .on_hover_text(words);
            }
        }
    }
}

fn image_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, near: &Near, image: &NearImage) {
    let t = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(IMAGE + vec2(0.0, 16.0), Sense::click());
    let class = near.classes.get(image.class).map_or("", String::as_str);
    let words = format!(
        "Training {} of “{class}” from {}, cosine {:.3}",
        session.noun().one(),
        source_name(session, &image.source),
        image.similarity,
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &words));
    if response.clicked() {
        let paths = vec![image.path.clone()];
        cx.act(Action::Label(LabelAction::Reveal(paths)));
    }
    let place = Rect::from_min_size(rect.min, IMAGE);
    let key = ImageKey::Thumb(session.root.join(&image.path));
    match session.images.get(&key) {
        ImageState::Ready(texture) => image_within(ui, place, &texture, theme::RADIUS_SMALL),
        ImageState::Loading => placeholder(ui, place, theme::RADIUS_SMALL, None),
        ImageState::Failed(_) => placeholder(ui, place, theme::RADIUS_SMALL, Some(icons::MISSING)),
    }
    if response.hovered() || response.has_focus() {
        let color = if response.has_focus() {
            t.accent
        } else {
            t.line_strong
        };
        ui.painter().rect_stroke(
            place,
            CornerRadius::same(theme::RADIUS_SMALL),
            Stroke::new(1.5, color),
            StrokeKind::Inside,
        );
    }
    let y = rect.bottom() - 7.0;
    let font = FontId::new(11.0, FontFamily::Proportional);
    let mark = pos2(rect.left() + 5.0, y);
    class_mark(ui.painter(), mark, color_of(session, class), t.muted);
    ui.painter().text(
        pos2(rect.left() + 13.0, y),
        Align2::LEFT_CENTER,
        words::shorten(class, 5),
        font.clone(),
        t.text,
    );
    ui.painter().text(
        pos2(rect.right(), y),
        Align2::RIGHT_CENTER,
        format!("{:.2}", image.similarity),
        font,
        t.muted,
    );
    response.on_hover_text(format!("{words}. Click to see it in Label."));
}
