//! The file that is open in *Try it*: a photo, or a film that plays, with the predictions over time.

use std::path::PathBuf;

use egui::{
    Align, Align2, Color32, CornerRadius, FontFamily, FontId, Label, Layout, Rect, Sense, Shape,
    Stroke, TextureHandle, TextureId, Ui, pos2, vec2,
};

use super::heat;
use super::mistakes::bar_ui;
use crate::app::{
    Action, EvaluateAction, FilePrediction, FilePredictions, Heat, HeatClass, ImageState, Player,
    Playing, Session, words,
};
use crate::evaluate::{FolderAccuracy, Prediction, Timeline, Timelines, Verdict};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    self, class_mark, color_of, failed_image, icon_button, image_within, panel, placeholder,
    section, slider,
};

/// The number of classes with a bar and a line, and with a bar in a low window.
const TOP: usize = 5;
const FEW: usize = 3;
/// Height of the plot of probabilities over time, points.
const PLOT: f32 = 96.0;
/// Height of a class with its bar, and the space below it, points.
const BAR: f32 = 26.0;
/// The most points of a line: no screen has many more pixels.
const POINTS: usize = 800;

/// State of the painting.
pub struct View {
    /// Seconds that the timeline is smoothed over.
    smooth_secs: f64,
    /// The accuracy by folders, for the predictions of a version.
    accuracy: Option<((usize, u64), Option<FolderAccuracy>)>,
    lines: Option<Lines>,
}

/// The lines over the time of a film, which take long to compute for long films.
struct Lines {
    of: (PathBuf, usize, f64),
    smoothed: Vec<Vec<f32>>,
    /// The most probable classes overall, in descending order.
    order: Vec<usize>,
}

impl Default for View {
    fn default() -> Self {
        Self {
            smooth_secs: 1.0,
            accuracy: None,
            lines: None,
        }
    }
}

impl View {
    /// The accuracy of the predictions by their folders.
    pub fn accuracy(&mut self, files: &FilePredictions) -> Option<FolderAccuracy> {
        let version = files.version();
        match self.accuracy {
            Some((of, accuracy)) if of == version => accuracy,
            _ => {
                let accuracy = files.timelines().accuracy(files.unknown_below());
                self.accuracy = Some((version, accuracy));
                accuracy
            }
        }
    }

    fn lines(&mut self, film: &Timeline) -> &Lines {
        let of = (film.path.clone(), film.frames.len(), self.smooth_secs);
        let known = self.lines.take().filter(|lines| lines.of == of);
        let lines = known.unwrap_or_else(|| {
            let mean = film.mean();
            let mut order: Vec<usize> = (0..mean.len()).collect();
            let of_class = |class: &usize| mean.get(*class).copied().unwrap_or(0.0);
            order.sort_by(|a, b| of_class(b).total_cmp(&of_class(a)));
            order.truncate(TOP);
            Lines {
                smoothed: film.smoothed(self.smooth_secs),
                order,
                of,
            }
        });
        self.lines.insert(lines)
    }
}

/// Paints the file of a prediction.
pub fn file_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    file: &FilePrediction,
    view: &mut View,
) {
    let timelines = session.evaluate.files.timelines();
    let timeline = timelines.files.iter().find(|of| of.path == file.path);
    let player = session.evaluate.player.as_ref();
    let player = player.filter(|player| player.path == file.path);
    let height = ui.available_height();
    panel(ui).show(ui, |ui| {
        ui.set_width(ui.available_width());
        ui.set_min_height(height - 30.0);
        section(ui, &words::shorten(&file.name, 40), |_| {});
        if let Some(timeline) = timeline {
            verdict_ui(ui, session, &timelines, timeline);
        }
        let film = timeline.filter(|timeline| timeline.is_film());
        // In a low window the image needs the space more.
        let bars = if height < 640.0 { FEW } else { TOP };
        let beside = match film {
            Some(_) => 44.0 + BAR * bars as f32 + heat::ROW + PLOT + 92.0,
            None => BAR * bars as f32 + heat::ROW + 24.0,
        };
        let width = ui.available_width();
        let most = (ui.available_height() - beside).max(200.0);
        let (rect, _) = ui.allocate_exact_size(vec2(width, most.min(width * 0.75)), Sense::hover());
        if let Some(player) = player {
            let now = player.now(ui.ctx());
            let length = film.and_then(|film| film.frames.last()?.time_secs);
            film_ui(
                ui,
                cx,
                session,
                rect,
                (player, &now, length),
                &timelines.classes,
            );
            bars_ui(ui, session, now.prediction.as_ref(), bars);
            if let Some(film) = film {
                timeline_ui(ui, cx, session, &timelines, film, &now, view);
            }
        } else {
            photo_ui(ui, cx, session, rect, file, &timelines.classes);
            bars_ui(ui, session, Some(&file.prediction), bars);
        }
    });
}

/// The prediction for the whole file, and whether the folder agrees.
fn verdict_ui(ui: &mut Ui, session: &Session, timelines: &Timelines, timeline: &Timeline) {
    let t = tokens(ui);
    let Some(verdict) = timeline.verdict(session.evaluate.files.unknown_below()) else {
        return;
    };
    let class = |index: usize| timelines.classes.get(index).map_or("", String::as_str);
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 6.0;
        widgets::class_dot(ui, color_of(session, class(verdict.class)));
        ui.label(widgets::name(verdict_words(&verdict, class(verdict.class))));
        if timeline.is_film() {
            let count = timeline.frames.len() as u64;
            let mean = format!("mean of {}", words::count(count, "frame"));
            ui.add(Label::new(widgets::faint(t, mean)).truncate());
        }
        if let Some(truth) = timeline.truth(&timelines.classes) {
            let right = truth == verdict.class && verdict.unknown != Some(true);
            let (words, color) = if right {
                ("correct by its folder".to_owned(), t.ok)
            } else {
                (format!("its folder is {}", class(truth)), t.danger)
            };
            ui.add(Label::new(widgets::small(t, words).color(color)).truncate());
        }
    });
}

/// “cat 87.3 %”, or that it is unknown.
fn verdict_words(verdict: &Verdict, class: &str) -> String {
    let percent = words::percent(verdict.probability);
    match verdict.unknown {
        Some(true) => format!("unknown ({class} {percent})"),
        _ => format!("{class} {percent}"),
    }
}

fn photo_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    rect: Rect,
    file: &FilePrediction,
    classes: &[String],
) {
    let state = &session.evaluate;
    let map = state.heat.then(|| {
        let class = match state.heat_class {
            HeatClass::Of(class) => Some(class),
            HeatClass::Predicted | HeatClass::Labelled => None,
        };
        session.heat.get(state, &file.path, class)
    });
    match session.images.large(&file.path, false).0 {
        ImageState::Ready(texture) => screen_ui(ui, rect, &texture, heat::texture(map.as_ref())),
        ImageState::Loading => screen_ui(ui, rect, &file.texture, None),
        ImageState::Failed(why) => failed_image(ui, rect, why),
    }
    heat::row_ui(ui, cx, session, classes, map.as_ref(), false);
}

/// The film's newest frame, with the buttons below it.
fn film_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    rect: Rect,
    (player, now, length): (&Player, &Playing, Option<f64>),
    classes: &[String],
) {
    let map = heat_of(session, now);
    match (&now.image, &now.error) {
        (_, Some(error)) => failed_image(ui, rect, error.clone()),
        (Some(image), None) => screen_ui(ui, rect, image, heat::texture(map.as_ref())),
        (None, None) => {
            placeholder(ui, rect, theme::RADIUS, None);
            let place = Rect::from_center_size(rect.center(), vec2(28.0, 28.0));
            let mut ui = ui.new_child(egui::UiBuilder::new().max_rect(place));
            widgets::spinner(&mut ui, 28.0);
        }
    }
    controls_ui(ui, cx, player, now, length);
    heat::row_ui(ui, cx, session, classes, map.as_ref(), false);
}

fn heat_of(session: &Session, now: &Playing) -> Option<Heat> {
    if !session.evaluate.heat {
        return None;
    }
    Some(match &now.heat {
        Some(layer) => Heat::Ready(layer.clone()),
        None => Heat::Loading,
    })
}

/// A frame in the middle of its rectangle, with the heat map over it.
fn screen_ui(ui: &Ui, rect: Rect, image: &TextureHandle, over: Option<TextureId>) {
    image_within(ui, rect, image, theme::RADIUS);
    let Some(over) = over else { return };
    let size = image.size_vec2();
    let scale = (rect.width() / size.x).min(rect.height() / size.y);
    let place = Rect::from_center_size(rect.center(), size * scale);
    let all = Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0));
    ui.painter().image(over, place, all, Color32::WHITE);
}

/// Play, pause, and the current time of the film.
fn controls_ui(ui: &mut Ui, cx: &mut Cx<'_>, player: &Player, now: &Playing, length: Option<f64>) {
    let t = tokens(ui);
    let playing = player.is_playing();
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 8.0;
        let (glyph, name) = if playing {
            (icons::PAUSE, "Pause")
        } else {
            (icons::PLAY, "Play")
        };
        let tip = format!("{name} the film (Space)");
        if icon_button(ui, glyph, name, &tip).clicked() {
            cx.act(Action::Evaluate(EvaluateAction::Play(!playing)));
        }
        let mut place = words::timestamp(now.time_secs);
        if let Some(length) = length {
            place = format!("{place} of {}", words::timestamp(length));
        }
        ui.label(widgets::muted(t, place));
    });
}

/// The most probable classes as bars.
fn bars_ui(ui: &mut Ui, session: &Session, prediction: Option<&Prediction>, count: usize) {
    let Some(prediction) = prediction else {
        return;
    };
    if prediction.unknown == Some(true) {
        let danger = tokens(ui).danger;
        ui.colored_label(danger, "unknown")
            .on_hover_text("The highest probability is below the threshold of this run");
    }
    for class in prediction.top.iter().take(count) {
        let color = color_of(session, &class.class);
        bar_ui(ui, color, &class.class, class.probability, "");
    }
}

/// Probabilities over the time of the film; a click goes to that moment.
fn timeline_ui(
    ui: &mut Ui,
    cx: &mut Cx<'_>,
    session: &Session,
    timelines: &Timelines,
    film: &Timeline,
    now: &Playing,
    view: &mut View,
) {
    let t = tokens(ui);
    ui.horizontal(|ui| {
        ui.label(widgets::name("Over time"));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.label(widgets::small(t, format!("{:.1} s", view.smooth_secs)));
            let range = 0.0..=10.0;
            slider(
                ui,
                "Smoothing, seconds",
                &mut view.smooth_secs,
                range,
                false,
                90.0,
            )
            .on_hover_text("Each moment shows the mean of the surrounding probabilities");
            ui.label(widgets::faint(t, "smoothed over"));
        });
    });
    let (rect, response) =
        ui.allocate_exact_size(vec2(ui.available_width(), PLOT), Sense::click_and_drag());
    response.widget_info(|| {
        egui::WidgetInfo::labeled(egui::Role::Slider, true, "Probabilities over time")
    });
    let times: Vec<f64> = film
        .frames
        .iter()
        .filter_map(|frame| frame.time_secs)
        .collect();
    let last = times.last().copied().unwrap_or(0.0).max(1e-3);
    if let Some(at) = response
        .interact_pointer_pos()
        .filter(|_| response.clicked() || response.dragged())
    {
        let part = ((at.x - rect.left()) / rect.width()).clamp(0.0, 1.0);
        let secs = f64::from(part) * last;
        cx.act(Action::Evaluate(EvaluateAction::Seek(secs)));
    }
    let painter = ui.painter_at(rect);
    painter.rect_filled(rect, CornerRadius::same(theme::RADIUS_SMALL), t.raised);
    let at = |secs: f64, probability: f32| {
        let x = rect.left() + rect.width() * (secs / last) as f32;
        pos2(x, rect.bottom() - 4.0 - (rect.height() - 8.0) * probability)
    };
    for part in [0.0, 0.5, 1.0] {
        let line = [at(0.0, part), at(last, part)];
        painter.line_segment(line, Stroke::new(1.0, t.line));
    }
    if let Some(threshold) = session.evaluate.files.unknown_below() {
        let line = [at(0.0, threshold), at(last, threshold)];
        painter.add(Shape::dashed_line(
            &line,
            Stroke::new(1.0, t.danger),
            4.0,
            4.0,
        ));
    }
    let Lines {
        smoothed, order, ..
    } = view.lines(film);
    let step = smoothed.len().div_ceil(POINTS).max(1);
    // The most probable class last, over the others.
    for class in order.iter().rev() {
        let name = timelines.classes.get(*class).map_or("", String::as_str);
        let color = color_of(session, name).map_or(t.muted, theme::class_color);
        let points: Vec<_> = times
            .iter()
            .zip(smoothed)
            .step_by(step)
            .filter_map(|(secs, probabilities)| Some(at(*secs, *probabilities.get(*class)?)))
            .collect();
        if let [only] = points.as_slice() {
            painter.circle_filled(*only, 3.0, color);
        } else {
            painter.add(Shape::line(points, Stroke::new(2.0, color)));
        }
    }
    let head = at(now.time_secs.min(last), 0.0).x;
    painter.vline(head, rect.y_range(), Stroke::new(1.5, t.text));
    if let Some(pointer) = response.hover_pos() {
        let part = ((pointer.x - rect.left()) / rect.width()).clamp(0.0, 1.0);
        let secs = f64::from(part) * last;
        let nearest = times
            .partition_point(|time| *time < secs)
            .min(times.len().saturating_sub(1));
        response.on_hover_ui_at_pointer(|ui| {
            ui.label(widgets::small(
                t,
                words::timestamp(times.get(nearest).copied().unwrap_or(0.0)),
            ));
            for class in order {
                let name = timelines.classes.get(*class).map_or("", String::as_str);
                let probability = smoothed.get(nearest).and_then(|of| of.get(*class));
                let percent = words::percent(probability.copied().unwrap_or(0.0));
                ui.label(widgets::small(t, format!("{name} {percent}")));
            }
        });
    }
    // The legend of the colours.
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 4.0;
        let font = FontId::new(11.0, FontFamily::Proportional);
        for class in order {
            let name = timelines.classes.get(*class).map_or("", String::as_str);
            let shown = words::shorten(name, 14);
            let galley = ui.painter().layout_no_wrap(shown, font.clone(), t.muted);
            let size = vec2(galley.size().x + 22.0, 14.0);
            let (place, _) = ui.allocate_exact_size(size, Sense::hover());
            let dot = pos2(place.left() + 6.0, place.center().y);
            class_mark(ui.painter(), dot, color_of(session, name), t.muted);
            let text = Align2::LEFT_CENTER.anchor_size(dot + vec2(8.0, 0.0), galley.size());
            ui.painter().galley(text.min, galley, t.muted);
        }
    });
}
