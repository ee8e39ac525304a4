//! The images for which an exported file gives another answer than the run.

use std::path::PathBuf;

use egui::{
    Align2, CornerRadius, FontFamily, FontId, Rect, Sense, Stroke, StrokeKind, Ui, pos2, vec2,
};

use crate::app::{ImageKey, ImageState, Session, image_name, words};
use crate::export::{Flip, FoundExport, ModelCertificate, TopClass};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::viewer::Viewer;
use crate::ui::widgets::{self, Zoom, class_mark, color_of, image_within, placeholder};

/// Width and height of a card, points.
const CARD: egui::Vec2 = vec2(150.0, 146.0);
const GAP: f32 = 10.0;
/// The number of changed answers that are shown at first.
const SOME: usize = 24;

/// State of the painting.
#[derive(Default)]
pub(super) struct View {
    /// Whether all are shown, not only the first.
    all: bool,
    /// The one that is shown large.
    large: Option<Large>,
    zoom: Zoom,
}

struct Large {
    dir: PathBuf,
    file: String,
    place: usize,
}

impl View {
    pub(super) fn is_large(&self) -> bool {
        self.large.is_some()
    }
}

/// Paints the changed answers of a model as cards.
pub(super) fn flips_ui(
    ui: &mut Ui,
    session: &Session,
    export: &FoundExport,
    model: &ModelCertificate,
    view: &mut View,
) {
    if model.flips.is_empty() {
        return;
    }
    let t = tokens(ui);
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        ui.label(widgets::name("Changed answers"));
        let words = format!(
            "{} for which {} predicts a different class than the run",
            session.noun().count(model.flips.len()),
            model.file
        );
        ui.add(egui::Label::new(widgets::faint(t, words)).truncate());
    });
    let most = if view.all { usize::MAX } else { SOME };
    let shown: Vec<&Flip> = model.flips.iter().take(most).collect();
    let columns = ((ui.available_width() + GAP) / (CARD.x + GAP))
        .floor()
        .max(1.0) as usize;
    ui.scope(|ui| {
        ui.spacing_mut().item_spacing = vec2(GAP, GAP);
        for (row, flips) in shown.chunks(columns).enumerate() {
            ui.horizontal(|ui| {
                for (column, flip) in flips.iter().enumerate() {
                    if card_ui(ui, session, flip) {
                        view.large = Some(Large {
                            dir: export.dir.clone(),
                            file: model.file.clone(),
                            place: row * columns + column,
                        });
                    }
                }
            });
        }
    });
    if model.flips.len() > shown.len() && widgets::button(ui, None, "Show all").clicked() {
        view.all = true;
    }
}

/// Returns whether it was clicked.
fn card_ui(ui: &mut Ui, session: &Session, flip: &Flip) -> bool {
    let t = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(CARD, Sense::click());
    let words = format!(
        "{}, labelled “{}”: the run predicts {}, the file {}",
        image_name(&flip.path),
        flip.truth,
        answer(&flip.run),
        answer(&flip.model)
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &words));
    if !ui.is_rect_visible(rect) {
        return false;
    }
    let image = Rect::from_min_size(rect.min, vec2(CARD.x, 100.0));
    let key = ImageKey::Thumb(session.root.join(&flip.path));
    match session.images.get(&key) {
        ImageState::Ready(texture) => image_within(ui, image, &texture, theme::RADIUS),
        ImageState::Loading => placeholder(ui, image, theme::RADIUS, None),
        ImageState::Failed(_) => placeholder(ui, image, theme::RADIUS, Some(icons::MISSING)),
    }
    if response.hovered() || response.has_focus() {
        ui.painter().rect_stroke(
            image,
            CornerRadius::same(theme::RADIUS),
            Stroke::new(
                1.5,
                if response.has_focus() {
                    t.accent
                } else {
                    t.line_strong
                },
            ),
            StrokeKind::Inside,
        );
    }
    let font = FontId::new(12.0, FontFamily::Proportional);
    for (y, who, top) in [(113.0, "run", &flip.run), (132.0, "file", &flip.model)] {
        let y = rect.top() + y;
        let color = if top.class == flip.truth {
            t.ok
        } else {
            t.text
        };
        let mark = color_of(session, &top.class);
        class_mark(ui.painter(), pos2(rect.left() + 6.0, y), mark, t.muted);
        let name = words::shorten(&top.class, 12);
        let painter = ui.painter();
        let left = pos2(rect.left() + 16.0, y);
        painter.text(left, Align2::LEFT_CENTER, name, font.clone(), color);
        let percent = format!("{who} {}", words::percent(top.probability));
        let right = pos2(rect.right() - 2.0, y);
        painter.text(right, Align2::RIGHT_CENTER, percent, font.clone(), t.muted);
    }
    response
        .on_hover_text(format!("{words}\nClick to view it"))
        .clicked()
}

/// `“a” at 63 %`.
fn answer(answer: &TopClass) -> String {
    format!(
        "“{}” at {}",
        answer.class,
        words::percent(answer.probability)
    )
}

/// Paints the image that is shown large, over the window.
pub(super) fn large_ui(ctx: &egui::Context, cx: &mut Cx<'_>, session: &Session, view: &mut View) {
    let Some(large) = &mut view.large else {
        return;
    };
    let model = session
        .export
        .done
        .iter()
        .filter(|export| export.dir == large.dir)
        .flat_map(|export| &export.certificate.models)
        .find(|model| model.file == large.file);
    let Some((model, flip)) = model.and_then(|model| Some((model, model.flips.get(large.place)?)))
    else {
        view.large = None;
        return;
    };
    let path = session.root.join(&flip.path);
    let viewer = Viewer {
        id: "changed answer",
        title: &image_name(&flip.path),
        of: &flip.path,
        path: &path,
        place: large.place,
        count: model.flips.len(),
        beside: 170.0,
    };
    let answers = |ui: &mut Ui| {
        for (who, top) in [("the run", &flip.run), (model.file.as_str(), &flip.model)] {
            let right = top.class == flip.truth;
            ui.horizontal(|ui| {
                widgets::class_dot(ui, color_of(session, &top.class));
                ui.label(format!(
                    "{who} predicts {}{}",
                    answer(top),
                    if right {
                        ", which matches the label"
                    } else {
                        ""
                    }
                ));
            });
        }
        if flip.run.class != flip.truth && flip.model.class != flip.truth {
            let words = format!("It is labelled “{}”.", flip.truth);
            ui.label(widgets::muted(tokens(ui), words));
        }
    };
    match viewer.show(
        ctx,
        cx,
        session,
        &mut view.zoom,
        |_, _| (),
        |ui, _| answers(ui),
    ) {
        Some(to) => large.place = to,
        None => view.large = None,
    }
}
