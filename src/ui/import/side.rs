//! The column at the right: the sampling, what each class gets, and what the data lacks.

use egui::{DragValue, RichText, ScrollArea, Sides, Stroke, Ui, vec2};

use crate::app::{
    Action, ClassRule, Dialog, ImportAction, NewClassThen, Session, expected_frames, words,
};
use crate::project::{Class, Fps, Label, Sampling, SourceKind};
use crate::ui::Cx;
use crate::ui::icons;
use crate::ui::theme::{self, tokens};
use crate::ui::widgets::{
    self, button, choice, class_dot, field_frame, field_label, hint, hint_with, menu_item, section,
    separator, slider,
};

/// Empty; the fields edit the state's copy directly.
#[derive(Default)]
pub struct View {}

/// Paints the column.
pub fn side_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session, _view: &mut View) {
    let height = ui.available_height();
    // The scroll bar has the margin at the right to itself.
    let margin = egui::Margin {
        left: 14,
        right: 4,
        top: 14,
        bottom: 14,
    };
    widgets::panel(ui).inner_margin(margin).show(ui, |ui| {
        ui.set_min_height(height - 30.0);
        ui.set_width(ui.available_width());
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            ui.set_max_width(ui.available_width() - 10.0);
            ui.spacing_mut().item_spacing.y = 6.0;
            section(ui, "Sampling", |_| {});
            let mut sampling = session.import.sampling;
            fps_ui(ui, session, &mut sampling);
            width_ui(ui, &mut sampling);
            if sampling != session.import.sampling {
                cx.act(Action::Import(ImportAction::SetSampling(sampling)));
            }
            rule_ui(ui, cx, session);
            hours_ui(ui, cx, session);
            separator(ui);
            section(ui, "Per class", |_| {});
            per_class_ui(ui, cx, session);
        });
    });
}

fn fps_ui(ui: &mut Ui, session: &Session, sampling: &mut Sampling) {
    let t = tokens(ui);
    field_label(ui, "Frames per second");
    ui.horizontal(|ui| {
        let mut fps = sampling.fps.0;
        let width = ui.available_width() - 70.0;
        let tip = "How many frames to extract per second of video";
        let moved = slider(
            ui,
            "Frames per second slider",
            &mut fps,
            0.1..=30.0,
            true,
            width,
        );
        if moved.on_hover_text(tip).changed() {
            // To a number that is easy to say: tenths if small, then halves, then whole numbers.
            let step = if fps < 2.0 {
                0.1
            } else if fps < 10.0 {
                0.5
            } else {
                1.0
            };
            fps = (fps / step).round() * step;
        }
        let value = ui
            .scope(|ui| {
                field_look(ui);
                ui.add_sized(
                    vec2(62.0, theme::CONTROL_HEIGHT),
                    DragValue::new(&mut fps)
                        .range(0.01..=240.0)
                        .speed(0.05)
                        .custom_formatter(|value, _| {
                            let text = words::rate(value);
                            if text.contains('.') {
                                text
                            } else {
                                format!("{text}.0")
                            }
                        }),
                )
            })
            .inner;
        value
            .accessible_name("Frames per second")
            .on_hover_text(tip);
        if (fps - sampling.fps.0).abs() > 1e-9 && fps > 0.0 {
            sampling.fps = Fps(fps);
        }
    });
    ui.label(widgets::faint(t, every_nth(session, sampling.fps.0)));
}

/// `Every 15th frame of a 30 fps video`
fn every_nth(session: &Session, fps: f64) -> String {
    let rate = session
        .sources
        .iter()
        .filter(|source| source.kind == SourceKind::Video)
        .find_map(|source| session.previews.known_facts(&source.path)?.average_fps)
        .unwrap_or(30.0);
    let n = rate / fps;
    let video = format!("{} fps video", words::rate((rate * 100.0).round() / 100.0));
    if n < 1.0 {
        format!("More than a {video} has: every frame, some of them twice")
    } else if n < 1.5 {
        format!("Every frame of a {video}")
    } else {
        let n = n.round() as u64;
        let ending = match (n % 10, n % 100) {
            (_, 11..=13) => "th",
            (1, _) => "st",
            (2, _) => "nd",
            (3, _) => "rd",
            _ => "th",
        };
        format!("Every {}{ending} frame of a {video}", words::number(n))
    }
}

/// Makes buttons and drag values look like a field.
fn field_look(ui: &mut Ui) {
    let t = tokens(ui);
    let widgets = &mut ui.visuals_mut().widgets;
    for state in [
        &mut widgets.inactive,
        &mut widgets.hovered,
        &mut widgets.active,
    ] {
        state.weak_bg_fill = t.window;
    }
    widgets.inactive.bg_stroke = Stroke::new(1.0, t.line);
}

fn width_ui(ui: &mut Ui, sampling: &mut Sampling) {
    let t = tokens(ui);
    field_label(ui, "Width");
    let mut keep = sampling.width_px.is_none();
    let mut width = sampling.width_px.unwrap_or(500);
    field_frame(ui, "height follows", |ui| {
        let field = ui.add_enabled(
            !keep,
            DragValue::new(&mut width)
                .range(16..=7680)
                .speed(2)
                .suffix(" px"),
        );
        field
            .accessible_name("Width in pixels")
            .on_hover_text("Width of the frames; never wider than the video");
    });
    ui.scope(|ui| {
        ui.spacing_mut().interact_size.y = 22.0;
        ui.spacing_mut().icon_width = 16.0;
        ui.checkbox(
            &mut keep,
            RichText::new("Keep the video’s size").color(t.muted),
        )
        .on_hover_text("Frames as large as the video; they take more space and time");
    });
    sampling.width_px = if keep { None } else { Some(width) };
}

/// A hint for extractions that take hours, with the command that divides them among several machines.
fn hours_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let Some(hours) = cx.app.extraction_hours(session) else {
        return;
    };
    let left = if hours.under_way { " left" } else { "" };
    let count = words::number(hours.hours);
    let text = format!(
        "About {count} hours{left} on this computer. Several computers can share the work:"
    );
    ui.add_space(6.0);
    hint_with(ui, &text, |ui| {
        let t = tokens(ui);
        let command = RichText::new(&hours.command)
            .monospace()
            .size(theme::TYPE_SMALL)
            .color(t.text);
        ui.add(egui::Label::new(command).wrap().selectable(true));
        let tip = "Copies the command that divides the work among computers";
        let copy = button(ui, Some(icons::COPY), "Copy the command");
        if copy.on_hover_text(tip).clicked() {
            ui.ctx().copy_text(hours.command.clone());
        }
        ui.label(widgets::small(t, "See docs/cluster.md"));
    });
}

fn rule_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    field_label(ui, "Class of a new video");
    let rule = &session.import.class_rule;
    let selected = match rule {
        ClassRule::Folder => "From its folder".to_owned(),
        ClassRule::File => "From its file name".to_owned(),
        ClassRule::Chosen(name) => format!("Always “{}”", words::shorten(name.as_str(), 20)),
        ClassRule::Unsorted => "None: unsorted".to_owned(),
    };
    choice(ui, "class rule", "Class of a new video", &selected, |ui| {
        let mut pick = |ui: &mut Ui, label: &str, tip: &str, to: ClassRule| {
            let chosen = *rule == to;
            let mark = if chosen {
                icons::icon(icons::CHECK, 14.0)
            } else {
                RichText::new("")
            };
            if menu_item(ui, None, label, mark)
                .on_hover_text(tip)
                .clicked()
            {
                cx.act(Action::Import(ImportAction::SetClassRule(to)));
                ui.close();
            }
        };
        pick(
            ui,
            "From its folder",
            "cat/hall.mp4 becomes “cat”",
            ClassRule::Folder,
        );
        pick(
            ui,
            "From its file name",
            "cat-3.mp4 becomes “cat”",
            ClassRule::File,
        );
        pick(
            ui,
            "None: unsorted",
            "You sort the frames by hand",
            ClassRule::Unsorted,
        );
        for class in &session.classes {
            let label = format!("Always “{}”", words::shorten(class.name.as_str(), 22));
            let to = ClassRule::Chosen(class.name.clone());
            pick(ui, &label, "Every new video gets this class", to);
        }
        if menu_item(ui, Some(icons::PLUS), "New class…", ()).clicked() {
            cx.act(Action::Open(Dialog::NewClass {
                name: String::new(),
                then: NewClassThen::NewVideos,
            }));
            ui.close();
        }
    });
}

/// What a class gets: its sources, and its frames now and after everything is extracted.
struct Share {
    sources: usize,
    /// The number of videos among them; the others are batches of photos.
    videos: usize,
    frames: u64,
}

impl Share {
    /// `12 frames`, or `12 photos` if there are only photos.
    fn count(&self) -> String {
        let noun = match (self.videos, self.sources) {
            (0, 1..) => words::Noun::Photo,
            (videos, sources) if videos < sources => words::Noun::Image,
            _ => words::Noun::Frame,
        };
        noun.count(self.frames as usize)
    }
}

fn share(session: &Session, class: Option<&Class>) -> Share {
    let name = class.map(|class| &class.name);
    let label = name.map_or(Label::Unsorted, |name| Label::Class(name.clone()));
    let mut share = Share {
        sources: 0,
        videos: 0,
        frames: session.snapshot.counts.label(&label) as u64,
    };
    for source in &session.sources {
        if source.class.as_ref() != name {
            continue;
        }
        share.sources += 1;
        share.videos += usize::from(source.kind == SourceKind::Video);
        if source.kind == SourceKind::Video && source.extracted.is_none() {
            share.frames += expected_frames(source.duration_secs, &session.import.sampling)
                .unwrap_or(0)
                .saturating_sub(session.snapshot.counts.source(&source.id) as u64);
        }
    }
    share
}

fn per_class_ui(ui: &mut Ui, cx: &mut Cx<'_>, session: &Session) {
    let t = tokens(ui);
    if session.classes.is_empty() && session.sources.is_empty() {
        ui.label(widgets::faint(
            t,
            "Classes appear here with the first videos.",
        ));
        return;
    }
    let mut shares = Vec::new();
    for class in &session.classes {
        let share = share(session, Some(class));
        line_ui(ui, cx, Some(class), &share);
        shares.push((class, share));
    }
    let unsorted = share(session, None);
    if unsorted.sources > 0 || unsorted.frames > 0 {
        line_ui(ui, cx, None, &unsorted);
    }
    ui.add_space(4.0);
    for words in lacks(&shares) {
        hint(ui, &words);
    }
}

fn line_ui(ui: &mut Ui, cx: &mut Cx<'_>, class: Option<&Class>, share: &Share) {
    let t = tokens(ui);
    ui.spacing_mut().interact_size.y = 22.0;
    let name = class.map_or("unsorted", |class| class.name.as_str());
    let mut tip = name.to_owned();
    let below = ui.painter().add(egui::Shape::Noop);
    let row = ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 8.0;
        class_dot(ui, class.map(|class| class.color));
        let mut words = share.count();
        if share.sources > 0 {
            let sources = words::count(share.sources as u64, "source");
            let whole = format!("{sources} · {words}");
            // A narrow column shows only the number of images, and the sources as a tooltip.
            if ui.available_width() > 220.0 {
                words = whole;
            } else {
                tip = format!("{name}: {whole}");
            }
        }
        Sides::new().shrink_left().truncate().show(
            ui,
            |ui| ui.label(words::shorten(name, 16)).on_hover_text(&tip),
            |ui| ui.label(widgets::small(t, words)),
        );
    });
    let label = class.map_or(Label::Unsorted, |class| Label::Class(class.name.clone()));
    let rect = row.response.rect.expand2(vec2(6.0, 3.0));
    if cx.takes_files(rect, &label) {
        let stroke = Stroke::new(1.5, t.accent);
        let shape = egui::epaint::RectShape::new(
            rect,
            theme::RADIUS_SMALL,
            t.accent_soft,
            stroke,
            egui::StrokeKind::Inside,
        );
        ui.painter().set(below, shape);
    }
}

/// What the data lacks, at most two sentences, the most important first.
fn lacks(shares: &[(&Class, Share)]) -> Vec<String> {
    let filled: Vec<&(&Class, Share)> = shares
        .iter()
        .filter(|(_, share)| share.frames > 0 || share.sources > 0)
        .collect();
    let mut words = Vec::new();
    if let [(class, _)] = filled.as_slice() {
        words.push(format!(
            "There is only “{}” so far. A classifier needs at least two classes; add images of what it is to be distinguished from.",
            class.name
        ));
    }
    if let Some((class, _)) = filled
        .iter()
        .find(|(_, share)| share.sources == 1 && share.videos == 1)
    {
        words.push(format!(
            "“{}” comes from a single video. Film it again at another time of day, so that accuracy on new videos can be measured.",
            class.name
        ));
    }
    if let Some((class, share)) = filled.iter().find(|(_, share)| share.frames < 20) {
        let name = class.name.as_str();
        words.push(match (share.videos, share.sources) {
            (0, 1..) => format!("“{name}” has only {}. Add more.", share.count()),
            _ => format!(
                "“{name}” has only {}. Extract more frames per second, or film more.",
                share.count()
            ),
        });
    }
    let most = filled.iter().max_by_key(|(_, share)| share.frames);
    let least = filled.iter().min_by_key(|(_, share)| share.frames);
    if let (Some((most, a)), Some((least, b))) = (most, least)
        && a.frames > 5 * b.frames.max(1)
    {
        words.push(format!(
            "“{}” has {} times as many images as “{}”. Training balances this, but “{}” would benefit most from more.",
            most.name,
            (a.frames as f64 / b.frames.max(1) as f64).round(),
            least.name,
            least.name
        ));
    }
    words.truncate(2);
    words
}
