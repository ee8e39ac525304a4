//! The misclassified frames as a grid: label, prediction, probability.

use egui::{
    Align, Align2, Context, CornerRadius, FontFamily, FontId, Layout, Rect, Sense, Stroke,
    StrokeKind, Ui, pos2, vec2,
};

use super::figures::source_name;
use super::{heat, matrix, nearest, relabel};
use crate::app::{
    Action, EvaluateAction, FrameNow, ImageKey, ImageState, Session, image_name, words,
};
use crate::evaluate::{Evaluation, FramePrediction};
use crate::project::FrameName;
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::viewer::Viewer;
use crate::ui::widgets::{
    self, Zoom, class_mark, color_of, image_within, panel, placeholder, section,
};

/// Width and height of a card, points.
const CARD: egui::Vec2 = vec2(150.0, 146.0);
const GAP: f32 = 10.0;
/// The number of cards that are shown at once; more on request, so that a bad model does not slow the window down.
const PAGE: usize = 120;

/// State of the painting.
#[derive(Default)]
pub struct View {
    pages: usize,
    /// The cell of the matrix whose images were shown last.
    cell: Option<(usize, usize)>,
}

/// Paints the grid.
pub fn mistakes_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    evaluation: &Evaluation,
    view: &mut View,
) {
    let t = tokens(ui);
    let shown = session.evaluate.shown();
    let fresh = view.cell != session.evaluate.cell;
    view.cell = session.evaluate.cell;
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        if fresh && view.cell.is_some() {
            // The cell was clicked to see its images, which may be below the window.
            let top = Rect::from_min_size(ui.cursor().min, vec2(1.0, 220.0));
            ui.scroll_to_rect(top, None);
        }
        let title = match session.evaluate.cell {
            Some((truth, predicted)) if truth == predicted => "Right",
            _ => "Mistakes",
        };
        section(ui, title, |ui| {
            ui.label(widgets::faint(
                t,
                format!(
                    "{}, most confident first",
                    session.noun().count(shown.len())
                ),
            ));
            matrix::filter_ui(ui, cx, session, evaluation);
        });
        if !shown.is_empty() {
            relabel::relabel_ui(ui, cx, session);
        }
        if shown.is_empty() {
            ui.add_space(6.0);
            ui.label(widgets::muted(
                t,
                "None: all images on this side were classified correctly.",
            ));
            return;
        }
        ui.add_space(4.0);
        let columns = ((ui.available_width() + GAP) / (CARD.x + GAP))
            .floor()
            .max(1.0) as usize;
        let most = (view.pages + 1) * PAGE;
        ui.spacing_mut().item_spacing = vec2(GAP, GAP);
        for (row, frames) in shown
            .iter()
            .take(most)
            .collect::<Vec<_>>()
            .chunks(columns)
            .enumerate()
        {
            ui.horizontal(|ui| {
                for (column, frame) in frames.iter().enumerate() {
                    card_ui(ui, cx, session, evaluation, frame, row * columns + column);
                }
            });
        }
        if shown.len() > most && widgets::button(ui, None, "Show more").clicked() {
            view.pages += 1;
        }
    });
}

/// The name of an evaluated image for users: source and time for a frame of a video, the original file name for a
/// photo.
fn shown_name(session: &Session, frame: &FramePrediction) -> String {
    let name = frame.path.rsplit('/').next().unwrap_or(&frame.path);
    match FrameName::parse(name).and_then(|name| Some((name.source, name.time_secs?))) {
        Some((source, secs)) => format!(
            "{} at {}",
            source_name(session, source.as_str()),
            words::timestamp(secs)
        ),
        None => image_name(&frame.path),
    }
}

fn card_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    evaluation: &Evaluation,
    frame: &FramePrediction,
    place: usize,
) {
    let t = tokens(ui);
    let (rect, response) = ui.allocate_exact_size(CARD, Sense::click());
    let state = &session.evaluate;
    let index = state.shown.get(place).copied().unwrap_or(usize::MAX);
    let selected = state.selection.contains(&index);
    let fate = state.fate(index);
    let name = |index: usize| evaluation.classes.get(index).map_or("", String::as_str);
    let mut words = format!(
        "{}: “{}” taken for “{}” at {}",
        shown_name(session, frame),
        name(frame.truth),
        name(frame.predicted),
        words::percent(frame.confidence()),
    );
    if let Some(fate) = &fate {
        words = format!("{words}, {}", relabel::fate_words(fate));
    }
    response.widget_info(|| egui::WidgetInfo::selected(egui::Role::Button, true, selected, &words));
    if !ui.is_rect_visible(rect) {
        return;
    }
    let image = Rect::from_min_size(rect.min, vec2(CARD.x, 100.0));
    let path = state.path(index).unwrap_or(&frame.path);
    let key = ImageKey::Thumb(session.root.join(path));
    match session.images.get(&key) {
        ImageState::Ready(texture) => image_within(ui, image, &texture, theme::RADIUS),
        ImageState::Loading => placeholder(ui, image, theme::RADIUS, None),
        ImageState::Failed(_) => placeholder(ui, image, theme::RADIUS, Some(icons::MISSING)),
    }
    if let Some(fate) = &fate {
        relabel::fate_ui(ui, session, fate, image);
    }
    if selected {
        ui.painter().rect_stroke(
            image.expand(1.0),
            CornerRadius::same(theme::RADIUS + 1),
            Stroke::new(3.0, t.accent),
            StrokeKind::Inside,
        );
    } else if response.hovered() || response.has_focus() {
        let color = if response.has_focus() {
            t.accent
        } else {
            t.line_strong
        };
        ui.painter().rect_stroke(
            image,
            CornerRadius::same(theme::RADIUS),
            Stroke::new(1.5, color),
            StrokeKind::Inside,
        );
    }
    let small = FontId::new(12.0, FontFamily::Proportional);
    let line = |ui: &Ui, y: f32, index: usize, color, right: String| {
        let class = name(index);
        class_mark(
            ui.painter(),
            pos2(rect.left() + 6.0, y),
            color_of(session, class),
            t.muted,
        );
        ui.painter().text(
            pos2(rect.left() + 16.0, y),
            Align2::LEFT_CENTER,
            words::shorten(class, 13),
            small.clone(),
            color,
        );
        ui.painter().text(
            pos2(rect.right() - 2.0, y),
            Align2::RIGHT_CENTER,
            right,
            small.clone(),
            t.muted,
        );
    };
    let confidence = words::percent(frame.confidence());
    line(
        ui,
        rect.top() + 113.0,
        frame.truth,
        t.text,
        "labelled".to_owned(),
    );
    line(ui, rect.top() + 132.0, frame.predicted, t.muted, confidence);
    let tip = format!("{words}\nDouble-click or Space to view it; a class’s key relabels it");
    relabel::mouse(ui, cx, session, &response, place, selected);
    response.on_hover_text(tip);
}

/// Paints the frame that is shown large, over the window.
pub fn large_ui(
    ctx: &Context,
    cx: &mut Cx<'_>,
    session: &Session,
    evaluation: &Evaluation,
    zoom: &mut Zoom,
) {
    let shown = session.evaluate.shown();
    let Some((place, frame)) = session
        .evaluate
        .preview
        .and_then(|place| Some((place, *shown.get(place)?)))
    else {
        return;
    };
    let index = session.evaluate.shown.get(place).copied();
    let now = index.and_then(|index| session.evaluate.path(index));
    let now = now.unwrap_or(&frame.path);
    let path = session.root.join(now);
    let label = match index.and_then(|index| session.evaluate.fate(index)) {
        Some(FrameNow::Relabelled(label)) => label.class().map(ToString::to_string),
        _ => evaluation.classes.get(frame.truth).cloned(),
    }
    .unwrap_or_default();
    let viewer = Viewer {
        id: "evaluated frame",
        title: &shown_name(session, frame),
        of: &frame.path,
        path: &path,
        place,
        count: shown.len(),
        beside: 250.0 + heat::ROW,
    };
    let map = heat::of_frame(session, frame, &path);
    zoom.lay_over(heat::texture(map.as_ref()));
    let to = viewer.show(
        ctx,
        cx,
        session,
        zoom,
        |ui, cx| relabel::relabel_ui(ui, cx, session),
        |ui, cx| {
            heat::row_ui(ui, cx, session, &evaluation.classes, map.as_ref(), true);
            let near = nearest::width(ui.available_width());
            ui.horizontal_top(|ui| {
                ui.spacing_mut().item_spacing.x = 0.0;
                let width = ui.available_width() - near - if near > 0.0 { 16.0 } else { 0.0 };
                ui.allocate_ui_with_layout(vec2(width, 0.0), Layout::top_down(Align::Min), |ui| {
                    ui.set_width(width);
                    probabilities_ui(ui, session, evaluation, frame);
                });
                if near > 0.0 {
                    ui.add_space(16.0);
                    ui.vertical(|ui| {
                        nearest::nearest_ui(ui, cx, session, [&frame.path, now], &label);
                    });
                }
            });
        },
    );
    if to != Some(place) {
        cx.act(Action::Evaluate(EvaluateAction::Preview(to)));
    }
}

/// The most probable classes as bars; the frame's label is marked.
fn probabilities_ui(
    ui: &mut Ui,
    session: &Session,
    evaluation: &Evaluation,
    frame: &FramePrediction,
) {
    let mut order: Vec<usize> = (0..frame.probabilities.len()).collect();
    let probability = |index: usize| frame.probabilities.get(index).copied().unwrap_or(0.0);
    order.sort_by(|a, b| probability(*b).total_cmp(&probability(*a)));
    order.truncate(4);
    if !order.contains(&frame.truth) {
        order.pop();
        order.push(frame.truth);
    }
    for index in order {
        let class = evaluation.classes.get(index).map_or("", String::as_str);
        let note = if index == frame.truth { "labelled" } else { "" };
        bar_ui(
            ui,
            color_of(session, class),
            class,
            probability(index),
            note,
        );
    }
}

/// A class with its probability as a bar.
pub fn bar_ui(ui: &mut Ui, color: Option<usize>, class: &str, probability: f32, note: &str) {
    let t = tokens(ui);
    let (rect, _) = ui.allocate_exact_size(vec2(ui.available_width(), 18.0), Sense::hover());
    let y = rect.center().y;
    class_mark(ui.painter(), pos2(rect.left() + 6.0, y), color, t.muted);
    let font = FontId::new(12.0, FontFamily::Proportional);
    let names = (rect.width() * 0.34).min(200.0);
    ui.painter().text(
        pos2(rect.left() + 17.0, y),
        Align2::LEFT_CENTER,
        words::shorten(class, (names / 7.5) as usize),
        font.clone(),
        t.text,
    );
    let figures = 52.0;
    let notes = if note.is_empty() { 0.0 } else { 58.0 };
    let bar = Rect::from_min_max(
        pos2(rect.left() + names + 12.0, y - 3.0),
        pos2(rect.right() - figures - notes, y + 3.0),
    );
    let radius = CornerRadius::same(3);
    ui.painter().rect_filled(bar, radius, t.track);
    let filled = Rect::from_min_size(
        bar.min,
        vec2(bar.width() * probability.clamp(0.0, 1.0), bar.height()),
    );
    if filled.width() > 0.5 {
        ui.painter().rect_filled(filled, radius, t.accent);
    }
    ui.painter().text(
        pos2(rect.right() - notes, y),
        Align2::RIGHT_CENTER,
        words::percent(probability),
        font.clone(),
        t.text,
    );
    ui.painter().text(
        pos2(rect.right(), y),
        Align2::RIGHT_CENTER,
        note,
        font,
        t.ok,
    );
}
